// What the prefix cache holds and drops, told to whoever publishes it: a bounded ring from the engine thread to one
// reader.
//
// Nothing is logged until the reader asks for it (kv_log_enable), and nothing ever waits: when the ring is full,
// records are dropped until half of it is free again, and then an EPOCH record says that something is missing. A
// snapshot heals that: every cached block, a few with each step, between two records that say for which sequence number
// it holds. Blocks that come and go meanwhile are told as usual; who applies the snapshot and then all events after its
// number has what the cache has, since telling a block twice changes nothing.
//
//   seq     counts steps that changed anything; all records of a step have the same
//   epoch   begins at the time of the open (ms), so that a restart's is another one; rises by one with each loss
#ifndef TOKFS_CACHE_KV_LOG_H
#define TOKFS_CACHE_KV_LOG_H

#include "engine/cache/page_pool.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kv_kind {
    KV_STORED,         // a whole block, in its tier
    KV_REMOVED,        // from its tier; hash only
    KV_EPOCH,          // what was known before is worth nothing: take a snapshot
    KV_SNAPSHOT_BEGIN, // what follows is valid at this seq
    KV_SNAPSHOT_BLOCK, // as KV_STORED
    KV_SNAPSHOT_END,
};

struct kv_record {
    uint64_t epoch, seq;
    uint64_t hash;   // chained over all blocks before it
    uint64_t parent; // hash of the block before; of block 0: of the salt
    uint8_t kind;
    uint8_t tier;      // enum page_tier
    bool is_first;     // block 0
    uint32_t n_tokens; // of the block: 0 where it has none to tell
    int32_t tokens[];
};

struct kv_log {
    uint32_t page_tokens;
    uint32_t n_records; // a power of two
    size_t record_bytes;
    uint8_t *records; // [n_records][record_bytes]; made by the reader, before is_on

    atomic_bool is_on, wants_snapshot;
    atomic_uint head, tail; // free-running; taken, published

    // Engine thread.
    uint32_t filled; // >= tail: records of the step in hand
    uint64_t epoch, seq;
    bool is_losing;
    uint32_t walk_at; // node that the snapshot goes on with; 0: none is being made
};

void kv_log_init(struct kv_log *log, uint32_t page_tokens, uint64_t epoch);
void kv_log_deinit(struct kv_log *log);

// ---- the reader ----------------------------------------------------------------------------------------------------

int kv_log_enable(struct kv_log *log); // 0 or -ENOMEM; again: nothing happens
void kv_log_request_snapshot(struct kv_log *log);
const struct kv_record *kv_log_peek(const struct kv_log *log); // NULL: nothing there
// What was peeked. True: half of the ring is free now, which the engine thread may be waiting for.
bool kv_log_take(struct kv_log *log);

// ---- the engine thread ---------------------------------------------------------------------------------------------

static inline bool kv_log_is_on(const struct kv_log *log)
{
    return atomic_load_explicit(&log->is_on, memory_order_acquire);
}

struct kv_block {
    uint64_t hash, parent;
    bool is_first;
    enum page_tier tier;
    const int32_t *tokens; // [page_tokens], or NULL
};

void kv_log_add(struct kv_log *log, enum kv_kind kind, const struct kv_block *block); // NULL: of no block
uint32_t kv_log_room(const struct kv_log *log);
// At the end of a step: lets the reader see its records. False: there are none.
bool kv_log_publish(struct kv_log *log);
// A snapshot was asked for or is being made, and there is room to go on.
bool kv_log_has_work(const struct kv_log *log);

#endif
