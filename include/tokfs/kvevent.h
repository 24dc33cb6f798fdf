// What the prefix cache of an engine holds: events as blocks come and go, and snapshots.
//
// For routers that send a request to where its prefix is. Nothing is told before tokfs_kv_open. Telling never delays
// the engine: who polls too slowly loses events, is told so (TOKFS_KV_EPOCH), and takes a snapshot to know again. A
// snapshot comes among the events, between its BEGIN and its END, and holds for the sequence number of its BEGIN: apply
// it, and then every event with a higher one. Events that a snapshot has shown already may come again; they change
// nothing.
//
// Caller's thread, as all of engine.h.
#ifndef TOKFS_KVEVENT_H
#define TOKFS_KVEVENT_H

#include <tokfs/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

enum tokfs_kv_kind {
    TOKFS_KV_STORED,
    TOKFS_KV_REMOVED,
    TOKFS_KV_EPOCH,
    TOKFS_KV_SNAPSHOT_BEGIN,
    TOKFS_KV_SNAPSHOT_BLOCK,
    TOKFS_KV_SNAPSHOT_END,
};

struct tokfs_kv_event {
    enum tokfs_kv_kind kind;
    uint64_t epoch;  // of the engine's life: other after a restart, and after a loss
    uint64_t seq;    // of the step, from 1
    uint64_t hash;   // STORED, REMOVED, SNAPSHOT_BLOCK: XXH3 of the block's tokens, seeded with `parent`
    uint64_t parent; // STORED, SNAPSHOT_BLOCK: hash of the block before; of the first block: XXH3 of the cache_salt
    bool is_first;   // it has no block before it
    // Of the host tier: there is a copy in the host's memory that can be brought to the device; not: it is where it is
    // computed with. A block that goes from one to the other is stored there, and then removed here.
    bool is_on_host;
    const int32_t *tokens; // of the block, valid until the next poll
    size_t n_tokens;
};

TOKFS_API int tokfs_kv_open(struct tokfs_engine *engine); // begins to tell: 0, -ENOMEM, -EOPNOTSUPP (no prefix cache)
// 1 and the next event, or 0. tokfs_engine_fd is readable when there are any.
TOKFS_API int tokfs_kv_poll(struct tokfs_engine *engine, struct tokfs_kv_event *ret);
TOKFS_API void tokfs_kv_snapshot(struct tokfs_engine *engine); // one will come; those asked for meanwhile are the same

#ifdef __cplusplus
}
#endif

#endif
