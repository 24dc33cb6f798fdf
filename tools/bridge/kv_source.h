// What one mount tells of its prefix cache: kv/events, read all the time, and kv/snapshot, read where something is
// missing or a sink asks for it.
//
//   CLOSED --opened--> FOLLOWING --lost, or a sink asks--> SNAPSHOT
//     ^                    |  ^                               |  |
//     `-- the mount went <-'  `-------- it is read -----------'  |
//     `--------------------------- the mount went <--------------'
//
// While a snapshot is made and read, events wait in the mount, which bounds them. So each sink sees an order of its own
// calls that is true: whoever takes a snapshot and then applies every step after it holds what the engine holds. (Steps
// that the snapshot has seen already come again. What happens last to a block is what counts, and that is the same in
// both.) A mount that has gone is tried again every two seconds. Loop thread only.
#ifndef TOKFS_BRIDGE_KV_SOURCE_H
#define TOKFS_BRIDGE_KV_SOURCE_H

#include "engine/base/loop.h"
#include "tools/bridge/exchange.h"
#include "tools/kv/kv_message.h"
#include "tools/kv/kv_snapshot.h"

struct kv_source;

struct kv_sink {
    void (*lost)(void *ctx); // what was told is worth nothing: ask for a snapshot. Called at the beginning too
    // All that is there, asked for by whomever: whole. Or, to a sink with `part`, as it is being read, in no order;
    // then it ends with NULL.
    void (*part)(void *ctx, const struct kv_batch *batch);
    void (*snapshot)(void *ctx, struct kv_snapshot *snapshot);
    void (*step)(void *ctx, const struct kv_batch *batch); // changes: one step's, or a part of them
    void *ctx;
};

#define KV_SINKS_MAX 2

struct kv_source_counts {
    uint64_t n_batches, n_stored, n_removed, n_losses, n_snapshots;
    bool is_open;
};

// `mount` is the path, which must outlive it.
int kv_source_new(struct loop *loop, struct exchange_pool *files, const char *mount, const struct kv_sink *sinks,
                  unsigned n_sinks, struct kv_source **ret);
void kv_source_stop(struct kv_source *source); // free it when the loop has nothing pending
void kv_source_free(struct kv_source *source);

void kv_source_want_snapshot(struct kv_source *source);        // for all who want one now, the same
uint32_t kv_source_block_size(const struct kv_source *source); // 0: not known yet
double kv_source_time_s(void);                                 // since 1970, of a batch
const struct kv_source_counts *kv_source_counts(const struct kv_source *source);

#endif
