// Who holds which block: nodes (serving machines), each with a set of blocks in tiers of memory.
//
// A block is known by its chained hash: whoever holds a block and what stands before it is found by looking up hash
// after hash until nobody is left, so that a hash table is all that the longest common prefix needs.
//
// Everything is bounded: above `bytes_max` blocks that nobody asked for lately are forgotten, which costs hits and
// nothing else. Clearing a node takes no longer for a million blocks than for one: what it held is told from what it
// holds by a number of its own, and is swept out bit by bit by later calls (kv_index_tidy).
//
// One thread at a time.
#ifndef TOKFS_KV_INDEX_H
#define TOKFS_KV_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_index;

#define KV_INDEX_NODES_MAX 16384
#define KV_INDEX_BYTES_MIN (4u << 20)

enum kv_tier { KV_TIER_GPU, KV_TIER_CPU, KV_TIER_DISK, KV_N_TIERS };

// What a block in each tier is worth beside one that has to be computed: 1.0, 0.8, 0.25.
extern const double kv_tier_weights[KV_N_TIERS];
extern const char *const kv_tier_names[KV_N_TIERS]; // "gpu", "cpu", "disk"

enum kv_count {
    KV_COUNT_ONCE,  // a block that is stored twice goes with its first removal: tokfs
    KV_COUNT_TIMES, // with its last one, up to 31: engines that tell of every copy (vLLM)
};

// *ret; bytes_max 0: no limit. -EINVAL (below KV_INDEX_BYTES_MIN), -ENOMEM.
int kv_index_new(uint64_t bytes_max, struct kv_index **ret);
void kv_index_free(struct kv_index *index); // NULL is accepted

// A node that holds nothing yet: its number, from 0, lowest first; -ENFILE, -ENOMEM. Only nodes of one group are
// matched together: those that run the same model.
int kv_index_add_node(struct kv_index *index, uint32_t group, enum kv_count count);
void kv_index_remove_node(struct kv_index *index, uint32_t node); // its number is free
void kv_index_clear_node(struct kv_index *index, uint32_t node);

// -ENOMEM: some of them, from the first on, are stored.
int kv_index_store(struct kv_index *index, uint32_t node, enum kv_tier tier, const uint64_t *hashes, size_t n);
void kv_index_remove(struct kv_index *index, uint32_t node, enum kv_tier tier, const uint64_t *hashes, size_t n);

// In which tiers the node has it: bits 1 << tier; 0: it has not.
unsigned kv_index_tiers(const struct kv_index *index, uint32_t node, uint64_t hash);

struct kv_match {
    uint32_t node;
    uint32_t n_blocks; // from the first one, without a gap
    double score;      // sum of the weights of their best tiers
};
// The nodes of the group that hold the first of the blocks, in no order; ret has room for all nodes. `weights`: of the
// tiers.
size_t kv_index_match(struct kv_index *index, uint32_t group, const uint64_t *hashes, size_t n,
                      const double weights[KV_N_TIERS], struct kv_match *ret);

// What the index holds, a piece of it with each call: begin with *at 0; it is 0 again after the last. Blocks that come
// and go meanwhile may be seen or not, all others are seen once. `tiers`: bit 1 << tier.
typedef void kv_index_fn(void *ctx, uint64_t hash, uint32_t node, unsigned tiers);
void kv_index_walk(struct kv_index *index, uint64_t *at, kv_index_fn *fn, void *ctx);

// Sweeps a piece: true when there is more to do. To be called when there is nothing better to do; optional.
bool kv_index_tidy(struct kv_index *index);

struct kv_index_stats {
    uint64_t n_bytes;
    uint64_t n_blocks;     // different ones, those of cleared nodes included until they are swept
    uint64_t n_placements; // of a block at a node
    uint64_t n_stored, n_removed, n_unknown, n_evicted; // since the beginning; unknown: removals of what was not there
    uint32_t n_nodes;
};
void kv_index_get_stats(const struct kv_index *index, struct kv_index_stats *ret);
uint64_t kv_index_node_blocks(const struct kv_index *index, uint32_t node);

#endif
