// All blocks that an engine holds, as it told them, to be told on: parents before their children, in batches.
#ifndef TOKFS_KV_SNAPSHOT_H
#define TOKFS_KV_SNAPSHOT_H

#include "engine/base/arena.h"
#include "tools/kv/kv_message.h"

struct kv_snapshot;

// NULL when out of memory. One reference.
struct kv_snapshot *kv_snapshot_new(uint32_t block_size);
struct kv_snapshot *kv_snapshot_ref(struct kv_snapshot *snapshot);
void kv_snapshot_unref(struct kv_snapshot *snapshot); // NULL is accepted
// Copies the blocks of a message of type STORED: 0, -ENOMEM, or -EINVAL when its blocks have another size, or there are
// too many media.
int kv_snapshot_add(struct kv_snapshot *snapshot, const struct kv_message *message);
// Once, when all were added: puts them in order. A block that was told twice stays once; one whose parent was not told
// (it went while the snapshot was being made) goes too, since nothing leads to it. 0 or -ENOMEM.
int kv_snapshot_finish(struct kv_snapshot *snapshot);

uint32_t kv_snapshot_block_size(const struct kv_snapshot *snapshot);
size_t kv_snapshot_count(const struct kv_snapshot *snapshot); // blocks, after finish
// Blocks [from, from + n) as messages in the arena, which borrow from the snapshot: 0 or -ENOMEM.
int kv_snapshot_take(const struct kv_snapshot *snapshot, size_t from, size_t n, struct arena *arena,
                     struct kv_batch *ret);

#endif
