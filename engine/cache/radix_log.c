// What the log's reader hears of the tree's blocks, and the snapshots that it asks for.
#include "engine/cache/radix_node.h"

#include <string.h>

#define WALK_NODES 65536 // of a snapshot, at a time

uint64_t radix_hash_before(const struct radix *r, uint32_t node)
{
    do {
        node = parent_of(r, node);
    } while (!is_root(r, node) && n_completed(r, node) == 0);
    return hashes_of(r, node)[is_root(r, node) ? 0 : n_completed(r, node) - 1];
}

// The tokens of a block that a node completes: its own, or also those of nodes above it, which are gathered in `room`.
static const int32_t *block_tokens(const struct radix *r, uint32_t node, uint32_t block, int32_t *room)
{
    uint32_t begin = block * r->page_tokens, end = begin + r->page_tokens;
    if (begin >= r->nodes[node].begin) {
        return tokens_of(r, node) + (begin - r->nodes[node].begin);
    }
    while (end > begin) {
        uint32_t from = r->nodes[node].begin > begin ? r->nodes[node].begin : begin;
        memcpy(room + (from - begin), tokens_of(r, node) + (from - r->nodes[node].begin), (end - from) * sizeof(*room));
        end = from;
        node = parent_of(r, node);
    }
    return room;
}

void radix_log_block(const struct radix *r, uint32_t node, uint32_t i, enum kv_kind kind, enum page_tier tier)
{
    int32_t room[RADIX_BLOCK_TOKENS_MAX];
    if (!r->log || !kv_log_is_on(r->log) || i >= n_completed(r, node)) {
        return;
    }
    struct kv_block block = { .hash = hashes_of(r, node)[i], .tier = tier };
    if (kind != KV_REMOVED) {
        block.parent = i > 0 ? hashes_of(r, node)[i - 1] : radix_hash_before(r, node);
        block.is_first = first_block(r, node) + i == 0;
        block.tokens = block_tokens(r, node, first_block(r, node) + i, room);
    }
    kv_log_add(r->log, kind, &block);
}

void radix_log_node(const struct radix *r, uint32_t node)
{
    uint32_t n = r->nodes[node].n_tokens > 0 ? n_completed(r, node) : 0;
    for (uint32_t i = 0; i < n; i++) {
        enum page_tier tier = i < r->nodes[node].n_on_device ? PAGE_ON_DEVICE : PAGE_ON_HOST;
        radix_log_block(r, node, i, KV_SNAPSHOT_BLOCK, tier);
    }
}

// A walk over the nodes by their numbers. A block that moves to a node that was passed already (split) is told then.
void radix_log_snapshot(struct radix *r)
{
    struct kv_log *log = r->log;
    if (!log || !kv_log_has_work(log)) {
        return;
    }
    if (log->walk_at == 0 && atomic_exchange(&log->wants_snapshot, false)) {
        kv_log_add(log, KV_SNAPSHOT_BEGIN, NULL);
        log->walk_at = 1;
    }
    uint32_t n_nodes = 0, enough = log->n_records / 4; // of the ring is left to what happens meanwhile
    while (log->walk_at != 0 && log->walk_at <= r->n_nodes_max && n_nodes < WALK_NODES && kv_log_room(log) > enough) {
        uint32_t node = log->walk_at++;
        n_nodes++;
        radix_log_node(r, node);
    }
    if (log->walk_at > r->n_nodes_max) {
        kv_log_add(log, KV_SNAPSHOT_END, NULL);
        log->walk_at = 0;
    }
}
