// What sources tell: blocks that are stored or removed, under the names that the engine gives them or, where these are
// not ours, under those that we make of their tokens.
#include "tools/kv/score_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#define NAMES_MAX (64u << 20) // names of one source: 1.4 GB

// ---- nodes of the index --------------------------------------------------------------------------------------------

int score_find_group(const struct scorer *scorer, unsigned model, uint32_t block_size)
{
    for (size_t i = 0; i < scorer->n_groups; i++) {
        if (scorer->groups[i].model == model && scorer->groups[i].block_size == block_size) {
            return (int)i;
        }
    }
    return -ENOENT;
}

static int add_group(struct scorer *scorer, unsigned model, uint32_t block_size)
{
    int found = score_find_group(scorer, model, block_size);
    if (found >= 0) {
        return found;
    }
    struct score_group *groups = reallocarray(scorer->groups, scorer->n_groups + 1, sizeof(*groups));
    if (!groups) {
        return -ENOMEM;
    }
    scorer->groups = groups;
    groups[scorer->n_groups] = (struct score_group){ model, block_size };
    return (int)scorer->n_groups++;
}

// Each size costs every request: those of peers that tell any number of them are refused.
static bool is_size_taken(const struct scorer *scorer, unsigned model, uint32_t size)
{
    struct score_sizes sizes;
    scorer_sizes(scorer, str_from(scorer->models[model].name), &sizes);
    return sizes.n < SCORE_BLOCK_SIZES_MAX || score_sizes_has(&sizes, size);
}

// The first block says what the others are like.
static int make_node(struct score_source *source, const struct kv_message *message, bool is_foreign)
{
    struct scorer *scorer = source->scorer;
    if (!is_size_taken(scorer, source->model, message->block_size)) {
        return -E2BIG;
    }
    int group = add_group(scorer, source->model, message->block_size);
    int node = group < 0
                   ? group
                   : kv_index_add_node(scorer->index, (uint32_t)group, is_foreign ? KV_COUNT_TIMES : KV_COUNT_ONCE);
    if (node < 0) {
        return node;
    }
    source->node = (uint32_t)node;
    source->block_size = message->block_size;
    source->is_foreign = is_foreign;
    scorer->of_node[node] = source;
    return 0;
}

// ---- names of blocks -----------------------------------------------------------------------------------------------

static uint64_t first_parent(const struct kv_message *m)
{
    uint64_t root = m->extras && m->extras[0] ? m->extras[0] : tokfs_text_salt("", 0);
    return m->lora_name.len > 0 ? root ^ XXH3_64bits(m->lora_name.ptr, m->lora_name.len) : root;
}

static uint64_t our_hash(const struct kv_message *m, size_t i, uint64_t before)
{
    uint64_t ours;
    bool is_other = m->extras && m->extras[i] && (i > 0 || m->has_parent); // an image, say
    tokfs_text_blocks((const int32_t *)m->tokens + i * m->block_size, m->block_size, m->block_size,
                      is_other ? before ^ m->extras[i] : before, &ours);
    return ours;
}

// ---- changes -------------------------------------------------------------------------------------------------------

static enum kv_tier tier_of(struct str medium)
{
    static const struct {
        struct str name;
        enum kv_tier tier;
    } names[] = {
        { STR(""), KV_TIER_GPU },    { STR("gpu"), KV_TIER_GPU },  { STR("hbm"), KV_TIER_GPU },
        { STR("cpu"), KV_TIER_CPU }, { STR("host"), KV_TIER_CPU }, { STR("dram"), KV_TIER_CPU },
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_eq(names[i].name, medium)) {
            return names[i].tier;
        }
    }
    return KV_TIER_DISK;
}

// A block of a message has changed; parent: ours.
static void tell_change(struct score_source *source, const struct kv_message *m, size_t i, uint64_t ours,
                        uint64_t parent)
{
    const struct scorer_listener *listener = &source->scorer->listener;
    bool is_stored = m->kind == KV_MESSAGE_STORED;
    if (!listener->changed) {
        return;
    }
    const struct score_change change = {
        .theirs = m->hashes[i],
        .ours = ours,
        .has_parent = is_stored && (i > 0 || m->has_parent),
        .parent = parent,
        .tiers = kv_index_tiers(source->scorer->index, source->node, ours),
        .tokens = is_stored && m->tokens ? m->tokens + i * m->block_size : NULL,
        .is_plain = !m->extras || m->extras[i] == 0,
        .lora_name = m->lora_name,
    };
    listener->changed(listener->ctx, source, &change);
}

// Blocks of an engine with names of its own: named anew, from their tokens on.
static int store_foreign(struct score_source *source, const struct kv_message *m, struct err *err)
{
    uint64_t ours = first_parent(m);
    if (m->has_parent && !index_names_get(&source->names, m->parent, &ours)) {
        source->n_orphans += m->n_blocks;
        return 0;
    }
    for (size_t i = 0; i < m->n_blocks; i++) {
        uint64_t parent = ours;
        ours = our_hash(m, i, ours);
        if (source->names.n >= NAMES_MAX || index_names_put(&source->names, m->hashes[i], ours ? ours : 1) < 0 ||
            kv_index_store(source->scorer->index, source->node, tier_of(m->medium), &ours, 1) < 0) {
            return err_set(err, -ENOMEM, "out of memory for names of blocks");
        }
        tell_change(source, m, i, ours, parent);
    }
    return 0;
}

static int store(struct score_source *source, const struct kv_message *m, struct err *err)
{
    if (m->n_blocks == 0) {
        return 0;
    }
    if (source->node != NODE_UNKNOWN && source->block_size != m->block_size) {
        return err_set(err, -EINVAL, "a block of %u tokens after blocks of %u", m->block_size, source->block_size);
    }
    // Ours are chained from the name that stands before them.
    bool is_ours = !m->tokens || our_hash(m, 0, m->has_parent ? m->parent : first_parent(m)) == m->hashes[0];
    int r = source->node == NODE_UNKNOWN ? make_node(source, m, !is_ours) : 0;
    if (r == -E2BIG) {
        return err_set(err, r, "blocks of %u tokens: the other peers of the model have blocks of %d sizes already",
                       m->block_size, SCORE_BLOCK_SIZES_MAX);
    }
    if (r < 0) {
        return err_set(err, r, r == -ENFILE ? "more than %d nodes" : "out of memory for a node", KV_INDEX_NODES_MAX);
    }
    if (source->is_foreign && m->tokens) {
        return store_foreign(source, m, err);
    }
    if (!is_ours || source->is_foreign) {
        return err_set(err, -EINVAL, "blocks with names of tokfs and others from one engine");
    }
    r = kv_index_store(source->scorer->index, source->node, tier_of(m->medium), m->hashes, m->n_blocks);
    for (size_t i = 0; i < m->n_blocks && r == 0; i++) {
        tell_change(source, m, i, m->hashes[i], i > 0 ? m->hashes[i - 1] : m->parent);
    }
    return r < 0 ? err_set(err, r, "out of memory for blocks") : 0;
}

static void take(struct score_source *source, const struct kv_message *m)
{
    struct kv_index *index = source->scorer->index;
    if (source->node == NODE_UNKNOWN) {
        return;
    }
    if (!source->is_foreign) {
        kv_index_remove(index, source->node, tier_of(m->medium), m->hashes, m->n_blocks);
        for (size_t i = 0; i < m->n_blocks; i++) {
            tell_change(source, m, i, m->hashes[i], 0);
        }
        return;
    }
    for (size_t i = 0; i < m->n_blocks; i++) {
        uint64_t ours;
        if (index_names_get(&source->names, m->hashes[i], &ours)) {
            kv_index_remove(index, source->node, tier_of(m->medium), &ours, 1);
            tell_change(source, m, i, ours, 0);
            if (kv_index_tiers(index, source->node, ours) == 0) {
                index_names_take(&source->names, m->hashes[i]);
            }
        }
    }
}

int score_source_apply(struct score_source *source, const struct kv_message *message, struct err *err)
{
    int r = 0;
    switch (message->kind) {
    case KV_MESSAGE_STORED: r = store(source, message, err); break;
    case KV_MESSAGE_REMOVED: take(source, message); break;
    case KV_MESSAGE_CLEARED: score_source_clear(source); break;
    }
    if (r < 0) {
        score_source_clear(source);
    } else if (source->scorer->listener.applied) {
        source->scorer->listener.applied(source->scorer->listener.ctx, source);
    }
    return r;
}
