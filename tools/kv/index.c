// A node's blocks are held under its holder id, not under its number: a node that is cleared gets another id, and its
// blocks under the old one are dead from that instant, since no node has it. An id goes
//
//   FREE --add, clear--> LIVE --clear, remove--> RETIRED --a pass begins--> SWEEPING --the pass ends--> FREE
//
// where a pass is once over the whole table, a segment now and then. What is stored during a pass is of live ids only,
// and segments that split keep their order, so that a pass that began after an id retired has seen all of its blocks.
#include "tools/kv/index.h"
#include "tools/kv/index_table.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_BITS     5
#define COUNT_MAX      31u
#define SWEEP_EVERY    128 // blocks stored or removed
#define PREFETCH_AHEAD 12
#define COUNT_OF(w, t) ((w) >> (t)*COUNT_BITS & COUNT_MAX)
#define TIERS_OF(w)    ((COUNT_OF(w, 0) ? 1u : 0u) | (COUNT_OF(w, 1) ? 2u : 0u) | (COUNT_OF(w, 2) ? 4u : 0u))

const double kv_tier_weights[KV_N_TIERS] = { 1.0, 0.8, 0.25 };
const char *const kv_tier_names[KV_N_TIERS] = { "gpu", "cpu", "disk" };

struct node {
    uint16_t holder;
    bool is_used;
    enum kv_count count;
    uint32_t group;
};

struct id_list {
    uint16_t *ids; // [HOLDER_IDS]
    uint32_t n;
};

struct kv_index {
    struct index_table table;
    struct node *nodes; // [nodes_cap]
    uint32_t nodes_cap, n_nodes;
    uint16_t *node_of;      // [HOLDER_IDS]
    uint32_t *n_placements; // [HOLDER_IDS]
    struct id_list free, retired, sweeping;
    uint64_t sweep_at;
    bool is_sweeping;
    unsigned n_until_sweep;
    uint64_t n_stored, n_removed, n_unknown;
    // Of a match, all 0 between two: how far each holder has come, and its score.
    uint32_t *depth; // [HOLDER_IDS]
    double *score;   // [HOLDER_IDS]
};

// ---- holder ids ----------------------------------------------------------------------------------------------------

static void begin_pass(struct kv_index *index)
{
    struct id_list empty = index->sweeping;
    index->sweeping = index->retired;
    index->retired = empty;
    index->is_sweeping = index->sweeping.n > 0;
    index->sweep_at = 0;
}

static void end_pass(struct kv_index *index)
{
    for (uint32_t i = 0; i < index->sweeping.n; i++) {
        uint16_t id = index->sweeping.ids[i];
        index->n_placements[id] = 0;
        index->free.ids[index->free.n++] = id;
    }
    index->sweeping.n = 0;
    begin_pass(index);
}

bool kv_index_tidy(struct kv_index *index)
{
    if (!index->is_sweeping) {
        begin_pass(index);
    }
    if (index->is_sweeping) {
        table_sweep(&index->table, &index->sweep_at);
        if (index->sweep_at == 0) {
            end_pass(index);
        }
    }
    return index->is_sweeping;
}

static void sweep_now_and_then(struct kv_index *index)
{
    if (--index->n_until_sweep == 0) {
        index->n_until_sweep = SWEEP_EVERY;
        kv_index_tidy(index);
    }
}

static void give_id(struct kv_index *index, uint32_t node)
{
    while (index->free.n == 0) { // there are four times as many ids as nodes
        kv_index_tidy(index);
    }
    uint16_t id = index->free.ids[--index->free.n];
    index->nodes[node].holder = id;
    index->node_of[id] = (uint16_t)node;
}

static void retire_id(struct kv_index *index, uint32_t node)
{
    uint16_t id = index->nodes[node].holder;
    index->node_of[id] = NODE_NONE;
    index->retired.ids[index->retired.n++] = id;
}

// ---- nodes ---------------------------------------------------------------------------------------------------------

static int grow_nodes(struct kv_index *index)
{
    if (index->nodes_cap == KV_INDEX_NODES_MAX) {
        return -ENFILE;
    }
    uint32_t cap = index->nodes_cap ? 2 * index->nodes_cap : 64;
    struct node *nodes = reallocarray(index->nodes, cap, sizeof(*nodes));
    if (!nodes) {
        return -ENOMEM;
    }
    for (uint32_t i = index->nodes_cap; i < cap; i++) {
        nodes[i] = (struct node){ 0 };
    }
    index->nodes = nodes;
    index->nodes_cap = cap;
    return 0;
}

int kv_index_add_node(struct kv_index *index, uint32_t group, enum kv_count count)
{
    uint32_t node = 0;
    while (node < index->nodes_cap && index->nodes[node].is_used) {
        node++;
    }
    if (node == index->nodes_cap) {
        int r = grow_nodes(index);
        if (r < 0) {
            return r;
        }
    }
    index->nodes[node] = (struct node){ .is_used = true, .count = count, .group = group };
    index->n_nodes++;
    give_id(index, node);
    return (int)node;
}

static struct node *node_at(const struct kv_index *index, uint32_t node)
{
    assert(node < index->nodes_cap && index->nodes[node].is_used);
    return &index->nodes[node];
}

void kv_index_remove_node(struct kv_index *index, uint32_t node)
{
    struct node *n = node_at(index, node);
    retire_id(index, node);
    n->is_used = false;
    index->n_nodes--;
}

void kv_index_clear_node(struct kv_index *index, uint32_t node)
{
    if (index->n_placements[node_at(index, node)->holder] > 0) {
        retire_id(index, node);
        give_id(index, node);
    }
}

uint64_t kv_index_node_blocks(const struct kv_index *index, uint32_t node)
{
    return index->n_placements[node_at(index, node)->holder];
}

// ---- blocks --------------------------------------------------------------------------------------------------------

static uint32_t *find_word(const struct kv_index *index, uint64_t hash, uint16_t holder)
{
    struct table_slot *slot = table_find(&index->table, hash);
    return slot ? table_find_holder(slot, holder) : NULL;
}

unsigned kv_index_tiers(const struct kv_index *index, uint32_t node, uint64_t hash)
{
    const uint32_t *word = find_word(index, hash, node_at(index, node)->holder);
    return word ? TIERS_OF(*word) : 0;
}

static int store_one(struct kv_index *index, const struct node *node, enum kv_tier tier, uint64_t hash)
{
    uint32_t *word = find_word(index, hash, node->holder), one = 1u << tier * COUNT_BITS;
    if (!word) {
        int r = table_add(&index->table, hash, node->holder, one);
        index->n_placements[node->holder] += r == 0;
        return r;
    }
    unsigned count = COUNT_OF(*word, tier);
    if (count == 0 || (node->count == KV_COUNT_TIMES && count < COUNT_MAX)) {
        *word += one;
    }
    return 0;
}

int kv_index_store(struct kv_index *index, uint32_t node, enum kv_tier tier, const uint64_t *hashes, size_t n)
{
    const struct node *of = node_at(index, node);
    for (size_t i = 0; i < n && i < PREFETCH_AHEAD; i++) {
        table_prefetch(&index->table, hashes[i]);
    }
    for (size_t i = 0; i < n; i++) {
        if (i + PREFETCH_AHEAD < n) {
            table_prefetch(&index->table, hashes[i + PREFETCH_AHEAD]);
        }
        int r = store_one(index, of, tier, hashes[i]);
        if (r < 0) {
            return r;
        }
        index->n_stored++;
        sweep_now_and_then(index);
    }
    return 0;
}

static void remove_one(struct kv_index *index, const struct node *node, enum kv_tier tier, uint64_t hash)
{
    uint32_t *word = find_word(index, hash, node->holder);
    if (!word || COUNT_OF(*word, tier) == 0) {
        index->n_unknown++;
        return;
    }
    uint32_t left = *word - (1u << tier * COUNT_BITS);
    if (left & HOLDER_COUNTS) {
        *word = left;
    } else {
        table_take(&index->table, hash, node->holder);
        index->n_placements[node->holder]--;
    }
    index->n_removed++;
}

void kv_index_remove(struct kv_index *index, uint32_t node, enum kv_tier tier, const uint64_t *hashes, size_t n)
{
    const struct node *of = node_at(index, node);
    for (size_t i = 0; i < n; i++) {
        if (i + PREFETCH_AHEAD < n) {
            table_prefetch(&index->table, hashes[i + PREFETCH_AHEAD]);
        }
        remove_one(index, of, tier, hashes[i]);
        sweep_now_and_then(index);
    }
}

// ---- match ---------------------------------------------------------------------------------------------------------

// best[bits of the tiers]
static void best_weights(const double weights[KV_N_TIERS], double ret_best[1 << KV_N_TIERS])
{
    for (unsigned tiers = 0; tiers < 1 << KV_N_TIERS; tiers++) {
        ret_best[tiers] = 0;
        for (unsigned t = 0; t < KV_N_TIERS; t++) {
            if (tiers >> t & 1 && weights[t] > ret_best[tiers]) {
                ret_best[tiers] = weights[t];
            }
        }
    }
}

// The nodes that hold the first block: only these can have a prefix.
static size_t match_first(struct kv_index *index, uint32_t group, struct table_slot *slot, const double *best,
                          struct kv_match *ret)
{
    uint32_t n_words;
    const uint32_t *words = table_holders(slot, &n_words);
    size_t n = 0;
    for (uint32_t i = 0; i < n_words; i++) {
        uint16_t holder = (uint16_t)(words[i] >> 16), node = index->node_of[holder];
        if (words[i] & HOLDER_COUNTS && node != NODE_NONE && index->nodes[node].group == group) {
            index->depth[holder] = 1;
            index->score[holder] = best[TIERS_OF(words[i])];
            ret[n++].node = node;
        }
    }
    return n;
}

// How many nodes have come one block further.
static size_t match_next(struct kv_index *index, uint32_t depth, struct table_slot *slot, const double *best)
{
    uint32_t n_words;
    const uint32_t *words = table_holders(slot, &n_words);
    size_t n = 0;
    for (uint32_t i = 0; i < n_words; i++) {
        uint32_t holder = words[i] >> 16;
        if (index->depth[holder] == depth && words[i] & HOLDER_COUNTS) {
            index->depth[holder] = depth + 1;
            index->score[holder] += best[TIERS_OF(words[i])];
            n++;
        }
    }
    return n;
}

// The blocks of a prompt that many nodes hold are mostly held by the same ones: a block with the holders of the one
// before is counted, and what it means for each of them is done once for all of such a row.
struct match_row {
    const uint32_t *words;      // [n_words] the holders' words; NULL: of a slot that has few
    uint32_t n_words, n_blocks; // n_blocks: after the first, which is done
};

static bool row_takes(struct match_row *row, struct table_slot *slot)
{
    uint32_t n_words;
    const uint32_t *words = table_holders(slot, &n_words);
    if (row->words && n_words == row->n_words && memcmp(words, row->words, n_words * sizeof(*words)) == 0) {
        row->n_blocks++;
        return true;
    }
    return false;
}

// depth: that of those who hold the row's first block, and all before it.
static void end_row(struct kv_index *index, struct match_row *row, uint32_t depth, const double *best)
{
    for (uint32_t i = 0; i < row->n_words && row->n_blocks > 0; i++) {
        uint32_t holder = row->words[i] >> 16;
        if (index->depth[holder] == depth) {
            index->depth[holder] = depth + row->n_blocks;
            index->score[holder] += row->n_blocks * best[TIERS_OF(row->words[i])];
        }
    }
}

static void begin_row(struct match_row *row, struct table_slot *slot)
{
    *row = (struct match_row){ 0 };
    const uint32_t *words = table_holders(slot, &row->n_words);
    row->words = words != slot->inline_words ? words : NULL; // those have a flag that is not theirs
}

size_t kv_index_match(struct kv_index *index, uint32_t group, const uint64_t *hashes, size_t n,
                      const double weights[KV_N_TIERS], struct kv_match *ret)
{
    double best[1 << KV_N_TIERS];
    best_weights(weights, best);
    for (size_t i = 0; i < n && i < PREFETCH_AHEAD; i++) {
        table_prefetch(&index->table, hashes[i]);
    }
    struct table_slot *slot = n > 0 ? table_find(&index->table, hashes[0]) : NULL;
    size_t n_nodes = slot ? match_first(index, group, slot, best, ret) : 0, n_left = n_nodes;
    struct match_row row = { 0 };
    if (n_left > 0) {
        begin_row(&row, slot);
    }
    for (uint32_t i = 1; i < n && n_left > 0; i++) {
        table_touch(slot);
        if (i + PREFETCH_AHEAD < n) {
            table_prefetch(&index->table, hashes[i + PREFETCH_AHEAD]);
        }
        slot = table_find(&index->table, hashes[i]);
        if (!slot || !row_takes(&row, slot)) {
            end_row(index, &row, i - row.n_blocks, best);
            row = (struct match_row){ 0 };
            n_left = slot ? match_next(index, i, slot, best) : 0;
            if (n_left > 0) {
                begin_row(&row, slot);
            }
        }
    }
    end_row(index, &row, (uint32_t)n - row.n_blocks, best);
    if (n_left > 0) {
        table_touch(slot);
    }
    for (size_t i = 0; i < n_nodes; i++) {
        uint16_t holder = index->nodes[ret[i].node].holder;
        ret[i].n_blocks = index->depth[holder];
        ret[i].score = index->score[holder];
        index->depth[holder] = 0;
    }
    return n_nodes;
}

// ---- looking at it -------------------------------------------------------------------------------------------------

void kv_index_walk(struct kv_index *index, uint64_t *at, kv_index_fn *fn, void *ctx)
{
    uint64_t begin = *at; // within a segment, where two have become one since the last call
    const struct table_segment *segment = table_segment_at(&index->table, at);
    for (uint32_t s = 0; s < TABLE_SLOTS; s++) {
        uint32_t n = 0;
        bool is_due = segment->slots[s].word && table_mix(segment->slots[s].hash) >= begin;
        const uint32_t *words = is_due ? table_holders(&segment->slots[s], &n) : NULL;
        for (uint32_t i = 0; i < n; i++) {
            uint16_t node = index->node_of[words[i] >> 16];
            if (words[i] & HOLDER_COUNTS && node != NODE_NONE) {
                fn(ctx, segment->slots[s].hash, node, TIERS_OF(words[i]));
            }
        }
    }
}

void kv_index_get_stats(const struct kv_index *index, struct kv_index_stats *ret)
{
    *ret = (struct kv_index_stats){
        .n_bytes = index->table.n_bytes,
        .n_blocks = index->table.n_used,
        .n_stored = index->n_stored,
        .n_removed = index->n_removed,
        .n_unknown = index->n_unknown,
        .n_evicted = index->table.n_evicted,
        .n_nodes = index->n_nodes,
    };
    for (uint32_t i = 0; i < index->nodes_cap; i++) {
        ret->n_placements += index->nodes[i].is_used ? index->n_placements[index->nodes[i].holder] : 0;
    }
}

// ---- its life ------------------------------------------------------------------------------------------------------

static bool make_arrays(struct kv_index *index)
{
    struct id_list *const lists[] = { &index->free, &index->retired, &index->sweeping };
    bool is_ok = true;
    for (size_t i = 0; i < 3; i++) {
        lists[i]->ids = malloc(HOLDER_IDS * sizeof(uint16_t));
        is_ok &= lists[i]->ids != NULL;
    }
    index->node_of = malloc(HOLDER_IDS * sizeof(*index->node_of));
    index->n_placements = calloc(HOLDER_IDS, sizeof(*index->n_placements));
    index->depth = calloc(HOLDER_IDS, sizeof(*index->depth));
    index->score = calloc(HOLDER_IDS, sizeof(*index->score));
    if (!is_ok || !index->node_of || !index->n_placements || !index->depth || !index->score) {
        return false;
    }
    for (uint32_t id = 0; id < HOLDER_IDS; id++) {
        index->node_of[id] = NODE_NONE;
        index->free.ids[index->free.n++] = (uint16_t)(HOLDER_IDS - 1 - id);
    }
    return true;
}

static size_t arrays_bytes(void)
{
    return HOLDER_IDS * (3 * sizeof(uint16_t) + sizeof(uint16_t) + 2 * sizeof(uint32_t) + sizeof(double));
}

int kv_index_new(uint64_t bytes_max, struct kv_index **ret)
{
    if (bytes_max > 0 && bytes_max < KV_INDEX_BYTES_MIN) {
        return -EINVAL;
    }
    struct kv_index *index = calloc(1, sizeof(*index));
    if (!index || !make_arrays(index) ||
        table_init(&index->table, bytes_max, index->node_of, index->n_placements) < 0) {
        kv_index_free(index);
        return -ENOMEM;
    }
    index->table.n_bytes += arrays_bytes();
    index->n_until_sweep = SWEEP_EVERY;
    *ret = index;
    return 0;
}

void kv_index_free(struct kv_index *index)
{
    if (!index) {
        return;
    }
    table_deinit(&index->table);
    free(index->nodes);
    free(index->free.ids);
    free(index->retired.ids);
    free(index->sweeping.ids);
    free(index->node_of);
    free(index->n_placements);
    free(index->depth);
    free(index->score);
    free(index);
}
