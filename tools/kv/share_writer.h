// Keeps an index in Redis true to this one, for routers that keep none: whatever the scorer's sources tell is told
// there too. share_schema.h has the two forms in which it lies there.
//
//   IDLE --is there----> CLAIMING --> SWEEPING --> FILLING --all is there--> LIVE
//    ^ ^                  ^  |         (llm-d)                              |  |
//    | `- another bridge -+--'                                              |  |
//    |    writes it       `---- cleared, or too much waited (BEHIND) -------'  |
//    `------------------------- the connection broke, the lease lapsed --------'
//
// Each source is a node, from when it has arrived or told a block. What it should hold is kept here (24 bytes a block),
// so that nobody need be asked for it again. Nothing waits for Redis: beyond waiting_max bytes changes are dropped, and
// all is told anew. Loop thread only.
#ifndef TOKFS_KV_SHARE_WRITER_H
#define TOKFS_KV_SHARE_WRITER_H

#include "tools/kv/redis_link.h"
#include "tools/kv/score.h"
#include "tools/kv/share_schema.h"

struct share_writer;

struct share_writer_options {
    struct redis_url url;
    enum share_kind kind;
    size_t waiting_max; // bytes sent and not answered
};

struct share_writer_counts {
    uint64_t n_stored, n_removed; // blocks told
    uint64_t n_refills;           // times that a node was told from its beginning
    uint64_t n_unnamed;           // llm-d: blocks that have no request key: no tokens are told, or they have a salt
    uint64_t n_failed;            // commands
    bool is_up;
};

// Listens to the scorer from now on. 0, -ENOMEM; *ret is set also on an error unless NULL, to be stopped and freed.
int share_writer_new(struct loop *loop, const struct share_writer_options *options, struct scorer *scorer,
                     struct share_writer **ret);
void share_writer_stop(struct share_writer *writer); // NULL is accepted, likewise below
void share_writer_free(struct share_writer *writer); // when the loop has nothing pending; before the scorer
const struct share_writer_counts *share_writer_counts(const struct share_writer *writer);

#endif
