#include "tools/kv/score.h"
#include "tools/kv/foreign_hash.h"
#include "tools/kv/index_names.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define NODE_UNKNOWN UINT32_MAX
#define NAMES_MAX    (64u << 20) // names of one source: 1.4 GB

struct model {
    char *name;
    struct tokfs_text *text; // NULL: only heard of
};

struct peer {
    char *name; // NULL: free
    struct scorer_load load;
    uint64_t scope;
    bool is_kept;
    // During scorer_rank:
    bool has_model;
    size_t prompt; // that the best ones are of
    double best_score, best_tokens;
    double score, n_cached_tokens;
};

struct score_source {
    struct scorer *scorer;
    struct score_source *next;
    unsigned n_users, n_arrived;
    unsigned peer, model;
    uint32_t node; // NODE_UNKNOWN until the first block
    uint32_t block_size;
    bool is_foreign; // `names` tells its blocks' names
    struct index_names names;
    uint64_t n_orphans;
    void *data; // the listener's
};

struct group { // of nodes: those whose blocks have one name if they are the same
    unsigned model;
    uint32_t block_size;
};

struct scorer {
    struct kv_index *index;
    struct model *models;
    struct peer *peers;
    struct group *groups;
    size_t n_models, n_peers, n_groups; // n_peers: free ones too
    struct score_source *sources;
    struct score_source *of_node[KV_INDEX_NODES_MAX];
    struct kv_match found[KV_INDEX_NODES_MAX];
    struct score_row *rows;          // [n_peers]
    struct scorer_listener listener; // all NULL: none
};

// ---- models --------------------------------------------------------------------------------------------------------

static int find_model(const struct scorer *scorer, struct str name)
{
    for (size_t i = 0; i < scorer->n_models; i++) {
        if (str_eq(str_from(scorer->models[i].name), name)) {
            return (int)i;
        }
    }
    return -ENOENT;
}

static int add_model(struct scorer *scorer, struct str name)
{
    int found = find_model(scorer, name);
    if (found >= 0) {
        return found;
    }
    struct model *models = reallocarray(scorer->models, scorer->n_models + 1, sizeof(*models));
    if (!models) {
        return -ENOMEM;
    }
    scorer->models = models;
    models[scorer->n_models] = (struct model){ .name = str_dup(name) };
    return models[scorer->n_models].name ? (int)scorer->n_models++ : -ENOMEM;
}

int scorer_add_text(struct scorer *scorer, struct tokfs_text *text)
{
    int model = add_model(scorer, str_from(tokfs_text_model(text)));
    if (model >= 0 && !scorer->models[model].text) {
        scorer->models[model].text = text;
        return 0;
    }
    tokfs_text_close(text);
    return model < 0 ? model : -EEXIST;
}

static int refuse_model(const struct scorer *scorer, struct str model, struct err *err)
{
    struct strbuf list;
    strbuf_init(&list, 120);
    for (size_t i = 0; i < scorer->n_models; i++) {
        if (scorer->models[i].text) {
            strbuf_printf(&list, "%s'%s'", list.len > 0 ? ", " : "", scorer->models[i].name);
        }
    }
    int r = model.ptr ? err_set_param(err, -ENOENT, "model", "model '%.*s' is not known here; known: %s",
                                      STR_ARG(str_take(model, 80)), list.len > 0 ? list.ptr : "none")
                      : err_set_param(err, -EINVAL, "model", "a model is to be named; known: %s",
                                      list.len > 0 ? list.ptr : "none");
    strbuf_deinit(&list);
    return r;
}

int scorer_find_text(const struct scorer *scorer, struct str model, const struct tokfs_text **ret, struct err *err)
{
    const struct tokfs_text *found = NULL;
    size_t n = 0;
    for (size_t i = 0; i < scorer->n_models; i++) {
        const struct model *m = &scorer->models[i];
        if (m->text && (!model.ptr || str_eq(str_from(m->name), model))) {
            found = m->text;
            n++;
        }
    }
    if (n != 1) {
        return refuse_model(scorer, model, err);
    }
    *ret = found;
    return 0;
}

// ---- peers ---------------------------------------------------------------------------------------------------------

int scorer_find_peer(const struct scorer *scorer, struct str name)
{
    for (size_t i = 0; i < scorer->n_peers; i++) {
        if (scorer->peers[i].name && str_eq(str_from(scorer->peers[i].name), name)) {
            return (int)i;
        }
    }
    return -ENOENT;
}

static int grow_peers(struct scorer *scorer)
{
    if (scorer->n_peers == KV_INDEX_NODES_MAX) {
        return -ENFILE;
    }
    struct peer *peers = reallocarray(scorer->peers, scorer->n_peers + 1, sizeof(*peers));
    scorer->peers = peers ? peers : scorer->peers;
    struct score_row *rows = peers ? reallocarray(scorer->rows, scorer->n_peers + 1, sizeof(*rows)) : NULL;
    if (!rows) {
        return -ENOMEM;
    }
    scorer->rows = rows;
    peers[scorer->n_peers++] = (struct peer){ 0 };
    return 0;
}

int scorer_add_peer(struct scorer *scorer, struct str name)
{
    int found = scorer_find_peer(scorer, name);
    if (found >= 0) {
        return found;
    }
    size_t i = 0;
    while (i < scorer->n_peers && scorer->peers[i].name) {
        i++;
    }
    int r = i == scorer->n_peers ? grow_peers(scorer) : 0;
    if (r < 0) {
        return r;
    }
    scorer->peers[i] = (struct peer){ .name = str_dup(name) };
    return scorer->peers[i].name ? (int)i : -ENOMEM;
}

static struct peer *peer_at(const struct scorer *scorer, unsigned peer)
{
    assert(peer < scorer->n_peers && scorer->peers[peer].name);
    return &scorer->peers[peer];
}

void scorer_remove_peer(struct scorer *scorer, unsigned peer)
{
    struct peer *p = peer_at(scorer, peer);
    for (struct score_source *source = scorer->sources, *next; source; source = next) {
        next = source->next;
        if (source->peer == peer) {
            source->n_users = 1;
            scorer_remove_source(scorer, source);
        }
    }
    free(p->name);
    p->name = NULL;
}

void scorer_keep_peer(struct scorer *scorer, unsigned peer)
{
    peer_at(scorer, peer)->is_kept = true;
}

void scorer_release_peer(struct scorer *scorer, unsigned peer)
{
    for (const struct score_source *source = scorer->sources; source; source = source->next) {
        if (source->peer == peer) {
            return;
        }
    }
    if (!peer_at(scorer, peer)->is_kept) {
        scorer_remove_peer(scorer, peer);
    }
}

unsigned scorer_n_peers(const struct scorer *scorer)
{
    return (unsigned)scorer->n_peers;
}

const char *scorer_peer_name(const struct scorer *scorer, unsigned peer)
{
    return peer < scorer->n_peers ? scorer->peers[peer].name : NULL;
}

struct scorer_load scorer_get_load(const struct scorer *scorer, unsigned peer)
{
    return peer_at(scorer, peer)->load;
}

void scorer_set_load(struct scorer *scorer, unsigned peer, struct scorer_load load)
{
    peer_at(scorer, peer)->load = load;
}

// ---- sources -------------------------------------------------------------------------------------------------------

uint64_t scorer_get_scope(const struct scorer *scorer, unsigned peer)
{
    return peer_at(scorer, peer)->scope;
}

void scorer_set_scope(struct scorer *scorer, unsigned peer, uint64_t scope)
{
    peer_at(scorer, peer)->scope = scope;
}

struct score_source *scorer_find_source(const struct scorer *scorer, unsigned peer, struct str model)
{
    int m = find_model(scorer, model);
    struct score_source *source = scorer->sources;
    while (source && (source->peer != peer || source->model != (unsigned)m)) {
        source = source->next;
    }
    return source;
}

int scorer_add_source(struct scorer *scorer, unsigned peer, struct str model, struct score_source **ret)
{
    int m = add_model(scorer, model);
    if (m < 0) {
        return m;
    }
    peer_at(scorer, peer);
    struct score_source *source = scorer_find_source(scorer, peer, model);
    if (source) {
        source->n_users++;
        *ret = source;
        return 0;
    }
    source = calloc(1, sizeof(*source));
    if (!source) {
        return -ENOMEM;
    }
    *source = (struct score_source){ .scorer = scorer,
                                     .next = scorer->sources,
                                     .n_users = 1,
                                     .peer = peer,
                                     .model = (unsigned)m,
                                     .node = NODE_UNKNOWN };
    scorer->sources = source;
    *ret = source;
    return 0;
}

void score_source_clear(struct score_source *source)
{
    struct scorer *scorer = source->scorer;
    if (source->node != NODE_UNKNOWN) {
        kv_index_remove_node(scorer->index, source->node);
        scorer->of_node[source->node] = NULL;
        source->node = NODE_UNKNOWN;
    }
    index_names_clear(&source->names);
    source->is_foreign = false;
    if (scorer->listener.cleared) {
        scorer->listener.cleared(scorer->listener.ctx, source);
    }
}

static void tell_present(struct score_source *source)
{
    const struct scorer_listener *listener = &source->scorer->listener;
    if (listener->present) {
        listener->present(listener->ctx, source);
    }
}

void score_source_arrive(struct score_source *source)
{
    if (source->n_arrived++ == 0) {
        tell_present(source);
    }
}

void score_source_leave(struct score_source *source)
{
    assert(source->n_arrived > 0);
    if (--source->n_arrived == 0) {
        tell_present(source);
    }
}

bool score_source_is_present(const struct score_source *source)
{
    return source->n_arrived > 0;
}

void scorer_remove_source(struct scorer *scorer, struct score_source *source)
{
    if (--source->n_users > 0) {
        return;
    }
    struct score_source **at = &scorer->sources;
    while (*at != source) {
        at = &(*at)->next;
    }
    *at = source->next;
    score_source_clear(source);
    if (scorer->listener.removed) {
        scorer->listener.removed(scorer->listener.ctx, source);
    }
    free(source);
}

struct score_source *scorer_next_source(const struct scorer *scorer, const struct score_source *before)
{
    return before ? before->next : scorer->sources;
}

const struct score_source *scorer_source_of(const struct scorer *scorer, uint32_t node)
{
    return node < KV_INDEX_NODES_MAX ? scorer->of_node[node] : NULL;
}

unsigned score_source_peer(const struct score_source *source)
{
    return source->peer;
}

const char *score_source_model(const struct score_source *source)
{
    return source->scorer->models[source->model].name;
}

void score_source_get_stats(const struct score_source *source, struct score_source_stats *ret)
{
    *ret = (struct score_source_stats){ .n_orphans = source->n_orphans, .block_size = source->block_size };
    if (source->node != NODE_UNKNOWN) {
        ret->n_blocks = kv_index_node_blocks(source->scorer->index, source->node);
    }
}

// ---- what sources tell ---------------------------------------------------------------------------------------------

static int find_group(const struct scorer *scorer, unsigned model, uint32_t block_size)
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
    int found = find_group(scorer, model, block_size);
    if (found >= 0) {
        return found;
    }
    struct group *groups = reallocarray(scorer->groups, scorer->n_groups + 1, sizeof(*groups));
    if (!groups) {
        return -ENOMEM;
    }
    scorer->groups = groups;
    groups[scorer->n_groups] = (struct group){ model, block_size };
    return (int)scorer->n_groups++;
}

static bool has_size(const struct score_sizes *sizes, uint32_t size)
{
    for (unsigned i = 0; i < sizes->n; i++) {
        if (sizes->sizes[i] == size) {
            return true;
        }
    }
    return false;
}

// Each size costs every request: those of peers that tell any number of them are refused.
static bool is_size_taken(const struct scorer *scorer, unsigned model, uint32_t size)
{
    struct score_sizes sizes;
    scorer_sizes(scorer, str_from(scorer->models[model].name), &sizes);
    return sizes.n < SCORE_BLOCK_SIZES_MAX || has_size(&sizes, size);
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

void scorer_listen(struct scorer *scorer, const struct scorer_listener *listener)
{
    scorer->listener = *listener;
}

void *score_source_data(const struct score_source *source)
{
    return source->data;
}

void score_source_set_data(struct score_source *source, void *data)
{
    source->data = data;
}

// ---- keys ----------------------------------------------------------------------------------------------------------

void score_sizes_add(struct score_sizes *sizes, uint32_t size)
{
    if (!has_size(sizes, size) && sizes->n < SCORE_BLOCK_SIZES_MAX + 1) {
        sizes->sizes[sizes->n++] = size;
    }
}

void score_sizes_add_scope(struct score_sizes *sizes, uint64_t scope)
{
    unsigned i = 0;
    while (i < sizes->n_scopes && sizes->scopes[i] != scope) {
        i++;
    }
    if (i == sizes->n_scopes && i < SCORE_SCOPES_MAX && !sizes->has_root) { // llm-d knows no scopes
        sizes->scopes[sizes->n_scopes++] = scope;
    }
}

void scorer_sizes(const struct scorer *scorer, struct str model, struct score_sizes *ret)
{
    int m = find_model(scorer, model);
    *ret = (struct score_sizes){ .n_scopes = 1 };
    for (const struct score_source *source = scorer->sources; source; source = source->next) {
        if (source->model == (unsigned)m && source->node != NODE_UNKNOWN) {
            score_sizes_add(ret, source->block_size);
            score_sizes_add_scope(ret, scorer->peers[source->peer].scope);
        }
    }
}

static int keys_alloc(struct score_keys *keys, const struct tokfs_prompts *prompts)
{
    const struct score_sizes *sizes = &keys->sizes;
    size_t n_total = 0;
    for (size_t i = 0; i < prompts->n; i++) {
        for (unsigned s = 0; s < sizes->n; s++) {
            n_total += prompts->items[i].n_tokens / sizes->sizes[s] * sizes->n_scopes;
        }
    }
    keys->hashes = calloc(n_total + 1, sizeof(*keys->hashes));
    keys->n_hashes = calloc(sizes->n * prompts->n + 1, sizeof(*keys->n_hashes));
    return keys->hashes && keys->n_hashes ? 0 : -ENOMEM;
}

// llm-d's names of a prompt's blocks.
static int fill_request_keys(const struct tokfs_prompt *p, uint32_t block_size, uint64_t root, uint64_t *ret)
{
    for (size_t i = 0; i < p->n_tokens / block_size; i++) {
        const struct block_text block = { .tokens = (const uint32_t *)p->tokens + i * block_size,
                                          .n_tokens = block_size };
        int r = request_key_block(REQUEST_KEY_FNV, i > 0 ? ret[i - 1] : root, &block, &ret[i]);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int keys_fill(struct score_keys *keys, const struct tokfs_prompts *prompts, const uint64_t *salts)
{
    const struct score_sizes *sizes = &keys->sizes;
    uint64_t *hashes = keys->hashes;
    bool has_none = sizes->has_root && salts[0] != tokfs_text_salt("", 0);
    int r = 0;
    for (size_t i = 0; i < prompts->n && r == 0; i++) {
        const struct tokfs_prompt *p = &prompts->items[i];
        keys->n_tokens += p->n_tokens;
        for (unsigned s = 0; s < sizes->n && r == 0; s++) {
            size_t n = has_none ? 0 : p->n_tokens / sizes->sizes[s];
            keys->n_hashes[i * sizes->n + s] = n;
            for (unsigned k = 0; k < sizes->n_scopes && n > 0 && r == 0; k++, hashes += n) {
                if (sizes->has_root) {
                    r = fill_request_keys(p, sizes->sizes[s], sizes->root, hashes);
                } else {
                    tokfs_text_blocks(p->tokens, p->n_tokens, sizes->sizes[s], salts[k], hashes);
                }
            }
        }
    }
    return r;
}

int score_keys_make(const struct tokfs_prompts *prompts, const struct score_sizes *sizes, struct score_keys *ret)
{
    struct score_keys keys = { .sizes = *sizes, .n_prompts = prompts->n };
    uint64_t salts[SCORE_SCOPES_MAX] = { prompts->salt };
    int r = keys_alloc(&keys, prompts);
    for (unsigned k = 1; k < sizes->n_scopes && r == 0; k++) {
        r = tokfs_prompts_salt(prompts, sizes->scopes[k], &salts[k]);
    }
    r = r < 0 ? r : keys_fill(&keys, prompts, salts);
    if (r < 0) {
        score_keys_deinit(&keys);
        return r;
    }
    *ret = keys;
    return 0;
}

void score_keys_deinit(struct score_keys *keys)
{
    free(keys->hashes);
    free(keys->n_hashes);
    *keys = (struct score_keys){ 0 };
}

size_t score_keys_find(const struct score_keys *keys, uint32_t size, const uint64_t **ret_hashes)
{
    const uint64_t *hashes = keys->hashes;
    for (unsigned s = 0; s < keys->sizes.n && keys->n_prompts > 0; s++) {
        if (keys->sizes.sizes[s] == size) {
            *ret_hashes = hashes;
            return keys->n_hashes[s];
        }
        hashes += keys->n_hashes[s] * keys->sizes.n_scopes;
    }
    return 0;
}

// ---- scores --------------------------------------------------------------------------------------------------------

// Of the ways in which a prompt may be known to a peer the best counts; of several prompts the sum.
static void add_matches(struct scorer *scorer, size_t prompt, uint32_t block_size, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct kv_match *match = &scorer->found[i];
        struct peer *peer = &scorer->peers[scorer->of_node[match->node]->peer];
        double score = match->score * block_size / SCORE_BLOCK_TOKENS, tokens = (double)match->n_blocks * block_size;
        if (peer->prompt != prompt) {
            peer->prompt = prompt;
            peer->best_score = peer->best_tokens = 0;
        }
        if (score > peer->best_score) {
            peer->score += score - peer->best_score;
            peer->n_cached_tokens += tokens - peer->best_tokens;
            peer->best_score = score;
            peer->best_tokens = tokens;
        }
    }
}

static void match_all(struct scorer *scorer, unsigned model, const struct score_keys *keys, const double *weights)
{
    const struct score_sizes *sizes = &keys->sizes;
    const uint64_t *hashes = keys->hashes;
    for (size_t i = 0; i < keys->n_prompts && !sizes->has_root; i++) { // llm-d's names are not this index's
        for (unsigned s = 0; s < sizes->n; s++) {
            int group = find_group(scorer, model, sizes->sizes[s]);
            size_t n = keys->n_hashes[i * sizes->n + s];
            for (unsigned k = 0; k < sizes->n_scopes; k++, hashes += n) {
                if (group >= 0) {
                    add_matches(scorer, i, sizes->sizes[s],
                                kv_index_match(scorer->index, (uint32_t)group, hashes, n, weights, scorer->found));
                }
            }
        }
    }
}

static void add_found(struct scorer *scorer, const struct score_options *options)
{
    for (size_t i = 0; i < options->n_found; i++) {
        const struct score_found *found = &options->found[i];
        struct peer *peer = found->peer < scorer->n_peers ? &scorer->peers[found->peer] : NULL;
        double load = peer ? options->load_cost * (peer->load.n_running + peer->load.n_waiting) : 0;
        if (peer && peer->has_model && found->score - load > peer->score) {
            peer->score = found->score - load;
            peer->n_cached_tokens = found->n_cached_tokens;
        }
    }
}

static int compare_rows(const void *a, const void *b)
{
    const struct score_row *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score)
                                : (x->peer > y->peer) - (x->peer < y->peer);
}

size_t scorer_rank(struct scorer *scorer, struct str model, const struct score_keys *keys,
                   const struct score_options *options, const struct score_row **ret)
{
    int m = find_model(scorer, model);
    size_t n = 0;
    for (const struct score_source *source = scorer->sources; source; source = source->next) {
        struct peer *peer = &scorer->peers[source->peer];
        if (source->model == (unsigned)m && !peer->has_model) {
            peer->has_model = true;
            peer->prompt = SIZE_MAX;
            peer->n_cached_tokens = 0;
            peer->score = 0 - options->load_cost * (peer->load.n_running + peer->load.n_waiting);
        }
    }
    if (m >= 0) {
        match_all(scorer, (unsigned)m, keys, options->weights ? options->weights : kv_tier_weights);
    }
    add_found(scorer, options);
    for (unsigned i = 0; i < scorer->n_peers; i++) {
        struct peer *peer = &scorer->peers[i];
        if (peer->has_model) {
            peer->has_model = false;
            scorer->rows[n++] = (struct score_row){ i, peer->score, peer->n_cached_tokens };
        }
    }
    if (n > 1) {
        qsort(scorer->rows, n, sizeof(*scorer->rows), compare_rows);
    }
    *ret = scorer->rows;
    return n;
}

// ---- its life ------------------------------------------------------------------------------------------------------

int scorer_new(uint64_t index_bytes_max, struct scorer **ret)
{
    struct scorer *scorer = calloc(1, sizeof(*scorer));
    int r = scorer ? kv_index_new(index_bytes_max, &scorer->index) : -ENOMEM;
    if (r < 0) {
        free(scorer);
        return r;
    }
    *ret = scorer;
    return 0;
}

void scorer_free(struct scorer *scorer)
{
    if (!scorer) {
        return;
    }
    while (scorer->sources) {
        scorer->sources->n_users = 1;
        scorer_remove_source(scorer, scorer->sources);
    }
    for (size_t i = 0; i < scorer->n_models; i++) {
        free(scorer->models[i].name);
        tokfs_text_close(scorer->models[i].text);
    }
    for (size_t i = 0; i < scorer->n_peers; i++) {
        free(scorer->peers[i].name);
    }
    kv_index_free(scorer->index);
    free(scorer->models);
    free(scorer->peers);
    free(scorer->groups);
    free(scorer->rows);
    free(scorer);
}

struct kv_index *scorer_index(const struct scorer *scorer)
{
    return scorer->index;
}
