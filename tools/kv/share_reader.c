// A match walks the blocks of each prompt for each block size, one walk after the other. Its candidates are the nodes
// that can hold them (tokfs: those of the registry; llm-d: the pods of the first block); each block leaves some of
// them.
#include "tools/kv/share_reader.h"
#include "engine/base/json.h"
#include "engine/base/log.h"
#include "tools/kv/foreign_hash.h"
#include "tools/kv/index_names.h"
#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define LOOK_NS    1000000000u
#define WAVE_FIRST 32u
#define WAVE_MAX   256u
#define NODES_MAX  4096
#define GROUPS_MAX 256
#define HEARD_NS   600000000000u // a pod of which nothing was found for so long leaves
#define NAME_MAX_  600
#define TEXT_MAX   300
#define SIZE_USUAL 16u // of llm-d's blocks

struct node {
    struct node *next;
    struct score_source *source;
    char name[NAME_MAX_], address[TEXT_MAX], model[TEXT_MAX];
    uint32_t block_size;
    unsigned slot;
    uint64_t scope;
    bool is_seen;  // with the look in hand
    bool is_heard; // llm-d: a pod without an entry of ours, found last at heard_ns
    uint64_t heard_ns;
    // Without a source: one whose blocks are not swept yet, though it has gone.
};

struct group { // tokfs: whose blocks have the number in their keys
    unsigned number, tier;
    uint32_t block_size;
    char model[TEXT_MAX];
};

struct candidate {
    unsigned peer, slot;
    uint32_t n_blocks;
    double score, step; // step: of the block in hand, llm-d
};

struct share_walk {
    struct share_reader *reader;
    struct share_match *match; // NULL: it is over
    struct share_walk *next;   // of all that are in use, or free
    size_t idx, at, n;         // which of prompts * sizes * scopes; the next block of so many
    const uint64_t *hashes;    // [n]
    uint32_t block_size;
    unsigned wave, n_asked, n_answered;
    bool is_broken;         // nobody holds the block in hand
    int groups[KV_N_TIERS]; // tokfs; -1: none
    struct candidate *all;  // [n_all]; the first n_left hold all blocks until here
    size_t n_all, n_left, n_allocated;
};

struct share_reader {
    struct loop_op tick;
    struct loop_op deadline;
    struct loop *loop;
    struct share_reader_options options;
    const struct share_schema *schema;
    struct scorer *scorer;
    struct redis_link *link;
    struct node *nodes;
    unsigned n_nodes;
    struct index_names by_name; // hash of a node's name -> pointer
    struct group groups[GROUPS_MAX];
    unsigned n_groups;
    struct share_match *first, **last; // under way, in the order of their deadlines
    struct share_walk *free_walks, *used_walks;
    bool is_looking, is_failing, is_stopped;
    struct share_reader_counts counts;
};

static struct str reply_str(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_STRING ? (struct str){ reply->str, reply->len } : (struct str){ 0 };
}

static uint64_t reply_number(const redisReply *reply)
{
    int64_t value;
    return str_parse_i64(reply_str(reply), &value) == 0 && value >= 0 ? (uint64_t)value : 0;
}

// ---- nodes ---------------------------------------------------------------------------------------------------------

static uint64_t name_hash(struct str name)
{
    return XXH3_64bits(name.ptr, name.len);
}

static struct node *find_node(const struct share_reader *reader, struct str name)
{
    uint64_t pointer;
    struct node *node = index_names_get(&reader->by_name, name_hash(name), &pointer) ? (struct node *)pointer : NULL;
    return node && str_eq(str_from(node->name), name) ? node : NULL;
}

static struct node *add_node(struct share_reader *reader, struct str name)
{
    struct node *node = reader->n_nodes < NODES_MAX && name.len < NAME_MAX_ ? calloc(1, sizeof(*node)) : NULL;
    if (!node || index_names_put(&reader->by_name, name_hash(name), (uint64_t)(uintptr_t)node) < 0) {
        free(node);
        return NULL;
    }
    memcpy(node->name, name.ptr, name.len);
    node->next = reader->nodes;
    reader->nodes = node;
    reader->n_nodes++;
    return node;
}

static void drop_source(struct share_reader *reader, struct node *node)
{
    if (node->source) {
        unsigned peer = score_source_peer(node->source);
        scorer_remove_source(reader->scorer, node->source);
        scorer_release_peer(reader->scorer, peer);
        node->source = NULL;
    }
}

// One that has another address or model is another one.
static void meet(struct share_reader *reader, struct node *node, struct str address, struct str model)
{
    if (node->source && str_eq(str_from(node->address), address) && str_eq(str_from(node->model), model)) {
        return;
    }
    drop_source(reader, node);
    snprintf(node->address, sizeof(node->address), "%.*s", STR_ARG(address));
    snprintf(node->model, sizeof(node->model), "%.*s", STR_ARG(model));
    int peer = scorer_add_peer(reader->scorer, str_from(node->address));
    if (peer < 0 || scorer_add_source(reader->scorer, (unsigned)peer, str_from(node->model), &node->source) < 0) {
        log_warn("shared index, node %s: no room for it", node->name);
    }
}

static void take_node(struct share_reader *reader, const redisReply *row)
{
    bool is_row = row->type == REDIS_REPLY_ARRAY, is_alive = is_row && row->elements == 8;
    bool is_dead = is_row && row->elements == 1 && reader->options.kind == SHARE_LLMD;
    struct str name = is_alive || is_dead ? reply_str(row->element[0]) : (struct str){ 0 };
    struct node *node = name.len > 0 ? find_node(reader, name) : NULL;
    node = node || name.len == 0 ? node : add_node(reader, name);
    if (!node) {
        return;
    }
    node->is_seen = true;
    node->is_heard = false;
    if (is_dead) {
        drop_source(reader, node);
        return;
    }
    struct str address = reply_str(row->element[1]), model = reply_str(row->element[2]);
    meet(reader, node, address, model);
    node->block_size = (uint32_t)reply_number(row->element[3]);
    node->slot = (unsigned)reply_number(row->element[4]);
    if (node->source) {
        const struct scorer_load load = { (double)reply_number(row->element[5]),
                                          (double)reply_number(row->element[6]) };
        node->scope = (uint64_t)reply_number(row->element[7]);
        scorer_set_load(reader->scorer, score_source_peer(node->source), load);
        scorer_set_scope(reader->scorer, score_source_peer(node->source), node->scope);
    }
}

static void nodes_came(void *ctx, const struct redisReply *reply)
{
    struct share_reader *reader = ctx;
    reader->is_looking = false;
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reader->is_stopped) {
        return;
    }
    uint64_t now = clock_monotonic_ns();
    for (struct node *node = reader->nodes; node; node = node->next) {
        node->is_seen = node->is_heard && now - node->heard_ns < HEARD_NS;
    }
    for (size_t i = 0; i < reply->elements; i++) {
        take_node(reader, reply->element[i]);
    }
    for (struct node **at = &reader->nodes; *at;) {
        struct node *node = *at;
        if (node->is_seen) {
            at = &node->next;
            continue;
        }
        *at = node->next;
        index_names_take(&reader->by_name, name_hash(str_from(node->name)));
        drop_source(reader, node);
        free(node);
        reader->n_nodes--;
    }
    reader->counts.is_up = true;
}

// "SIZE TIER MODEL" -> number.
static void groups_came(void *ctx, const struct redisReply *reply)
{
    static const char *const tiers[KV_N_TIERS] = { "gpu", "cpu", "disk" };
    struct share_reader *reader = ctx;
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reader->is_stopped) {
        return;
    }
    reader->n_groups = 0;
    for (size_t i = 0; i + 1 < reply->elements && reader->n_groups < GROUPS_MAX; i += 2) {
        struct group *group = &reader->groups[reader->n_groups];
        struct str size, tier, model = str_cut(str_cut(reply_str(reply->element[i]), ' ', &size), ' ', &tier);
        int64_t block_size = 0;
        unsigned t = 0;
        while (t < KV_N_TIERS && !str_eq(str_from(tiers[t]), tier)) {
            t++;
        }
        if (t < KV_N_TIERS && str_parse_i64(size, &block_size) == 0 && block_size > 0) {
            *group = (struct group){ (unsigned)reply_number(reply->element[i + 1]), t, (uint32_t)block_size, "" };
            snprintf(group->model, sizeof(group->model), "%.*s", STR_ARG(model));
            reader->n_groups++;
        }
    }
}

static void look(struct share_reader *reader)
{
    char nodes[64];
    snprintf(nodes, sizeof(nodes), "%snodes", reader->schema->prefix.ptr);
    const struct str ask[] = { STR("EVAL"), share_nodes, STR("1"), str_from(nodes), reader->schema->prefix };
    if (reader->is_looking || !redis_link_is_up(reader->link)) {
        return;
    }
    if (reader->options.kind == SHARE_TOKFS) {
        redis_link_send(reader->link, (const struct str[]){ STR("HGETALL"), STR("tokfs:index:groups") }, 2, groups_came,
                        reader);
    }
    reader->is_looking = redis_link_send(reader->link, ask, 5, nodes_came, reader) == 0;
}

void share_reader_sizes(const struct share_reader *reader, struct str model, struct score_sizes *ret)
{
    *ret = (struct score_sizes){ .n_scopes = 1 };
    for (const struct node *node = reader->nodes; node && ret->n < SCORE_BLOCK_SIZES_MAX; node = node->next) {
        if (node->block_size > 0 && str_eq(str_from(node->model), model)) {
            score_sizes_add(ret, node->block_size);
            score_sizes_add_scope(ret, node->scope);
        }
    }
    if (reader->options.kind == SHARE_LLMD) {
        ret->n_scopes = 1;
        ret->has_root = request_key_root(REQUEST_KEY_FNV, STR(""), model, &ret->root) == 0;
        if (ret->n == 0) {
            ret->sizes[ret->n++] = SIZE_USUAL;
        }
    }
}

// ---- the end of a match --------------------------------------------------------------------------------------------

static void tell_failing(struct share_reader *reader, int result)
{
    bool is_failing = result < 0;
    if (is_failing && !reader->is_failing) {
        log_warn("shared index in Redis %s: %s; until it answers again requests are scored without it",
                 redis_link_name(reader->link), result == -ETIMEDOUT ? "it answers too slowly" : strerror(-result));
    } else if (!is_failing && reader->is_failing) {
        log_info("shared index in Redis %s: it answers again", redis_link_name(reader->link));
    }
    reader->is_failing = is_failing;
}

static void finish(struct share_reader *reader, struct share_match *match, int result)
{
    struct share_match **at = &reader->first;
    while (*at && *at != match) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = match->next;
        reader->last = match->next ? reader->last : at;
    }
    if (match->walk) {
        match->walk->match = NULL; // freed when all that it asked for has come
        match->walk = NULL;
    }
    match->result = result;
    reader->counts.n_matches++;
    reader->counts.n_failed += result < 0;
    if (result != -ECANCELED) {
        tell_failing(reader, result);
    }
    match->done(match);
}

// Of the ways in which a prompt may be known to a peer the best counts; of several prompts the sum.
static void add_best(struct score_found *found, size_t prompt, double score, double n_tokens)
{
    if (found->prompt != prompt) {
        found->prompt = prompt;
        found->best_score = found->best_tokens = 0;
    }
    if (score > found->best_score) {
        found->score += score - found->best_score;
        found->n_cached_tokens += n_tokens - found->best_tokens;
        found->best_score = score;
        found->best_tokens = n_tokens;
    }
}

// There is room. n_before: of those that earlier walks found, among whom the peer may be.
static void add_found(struct share_match *match, const struct candidate *candidate, size_t prompt, uint32_t block_size,
                      size_t n_before)
{
    size_t i = 0;
    while (i < n_before && match->found[i].peer != candidate->peer) {
        i++;
    }
    if (i == n_before) {
        i = match->n_found++;
        match->found[i] = (struct score_found){ .peer = candidate->peer };
    }
    add_best(&match->found[i], prompt, candidate->score * block_size / SCORE_BLOCK_TOKENS,
             (double)candidate->n_blocks * block_size);
}

static size_t prompt_of(const struct share_walk *walk)
{
    const struct score_sizes *sizes = &walk->match->keys->sizes;
    return walk->idx / (sizes->n * sizes->n_scopes);
}

static int end_walk(struct share_walk *walk)
{
    struct share_match *match = walk->match;
    size_t n_before = match->n_found;
    struct score_found *found = reallocarray(match->found, n_before + walk->n_all + 1, sizeof(*found));
    if (!found) {
        return -ENOMEM;
    }
    match->found = found;
    for (size_t i = 0; i < walk->n_all; i++) {
        if (walk->all[i].n_blocks > 0) {
            add_found(match, &walk->all[i], prompt_of(walk), walk->block_size, n_before);
        }
    }
    walk->n_all = walk->n_left = 0;
    return 0;
}

// ---- walks ---------------------------------------------------------------------------------------------------------

static struct share_walk *take_walk(struct share_reader *reader)
{
    struct share_walk *walk = reader->free_walks;
    if (walk) {
        reader->free_walks = walk->next;
    } else {
        walk = calloc(1, sizeof(*walk));
    }
    if (walk) {
        walk->reader = reader;
        walk->next = reader->used_walks;
        reader->used_walks = walk;
    }
    return walk;
}

static void give_walk(struct share_walk *walk)
{
    struct share_reader *reader = walk->reader;
    struct share_walk **at = &reader->used_walks;
    struct candidate *all = walk->all;
    size_t n_allocated = walk->n_allocated;
    while (*at != walk) {
        at = &(*at)->next;
    }
    *at = walk->next;
    *walk = (struct share_walk){ .next = reader->free_walks, .all = all, .n_allocated = n_allocated };
    reader->free_walks = walk;
}

static struct candidate *add_candidate(struct share_walk *walk, unsigned peer, unsigned slot)
{
    if (walk->n_all == walk->n_allocated) {
        size_t n = walk->n_allocated ? 2 * walk->n_allocated : 64;
        struct candidate *all = reallocarray(walk->all, n, sizeof(*all));
        if (!all) {
            return NULL;
        }
        walk->all = all;
        walk->n_allocated = n;
    }
    walk->all[walk->n_all] = (struct candidate){ .peer = peer, .slot = slot };
    walk->n_left = walk->n_all + 1;
    return &walk->all[walk->n_all++];
}

static void find_candidates(struct share_walk *walk)
{
    const struct share_reader *reader = walk->reader;
    for (unsigned t = 0; t < KV_N_TIERS; t++) {
        walk->groups[t] = -1;
    }
    for (unsigned i = 0; i < reader->n_groups; i++) {
        const struct group *group = &reader->groups[i];
        if (group->block_size == walk->block_size && str_eq(str_from(group->model), walk->match->model)) {
            walk->groups[group->tier] = (int)group->number;
        }
    }
    bool has_groups = walk->groups[0] >= 0 || walk->groups[1] >= 0 || walk->groups[2] >= 0;
    for (const struct node *node = reader->nodes; node && has_groups; node = node->next) {
        if (node->source && node->block_size == walk->block_size && str_eq(str_from(node->model), walk->match->model)) {
            add_candidate(walk, score_source_peer(node->source), node->slot);
        }
    }
}

// The next scope, block size or prompt. False: there is none.
static bool begin_walk(struct share_walk *walk, bool is_first)
{
    const struct score_keys *keys = walk->match->keys;
    const struct score_sizes *sizes = &keys->sizes;
    if (!is_first) {
        walk->hashes += walk->n;
        walk->idx++;
    }
    if (walk->idx >= keys->n_prompts * sizes->n * sizes->n_scopes) {
        return false;
    }
    walk->n = keys->n_hashes[walk->idx / sizes->n_scopes];
    walk->at = 0;
    walk->wave = WAVE_FIRST;
    walk->is_broken = false;
    walk->block_size = sizes->sizes[walk->idx / sizes->n_scopes % sizes->n];
    walk->n_all = walk->n_left = 0;
    if (walk->reader->options.kind == SHARE_TOKFS) {
        find_candidates(walk);
        walk->is_broken = walk->n_left == 0;
    }
    return true;
}

// ---- blocks, tokfs -------------------------------------------------------------------------------------------------

static bool has_bit(const redisReply *bits, unsigned slot)
{
    return bits->type == REDIS_REPLY_STRING && slot / 8 < bits->len &&
           (unsigned char)bits->str[slot / 8] >> (7 - slot % 8) & 1;
}

// Those who do not hold the block go behind those who do. bits: of each tier that has a group.
static void take_bits(struct share_walk *walk, redisReply **bits)
{
    size_t n_left = 0;
    for (size_t i = 0; i < walk->n_left; i++) {
        struct candidate *candidate = &walk->all[i];
        double best = 0;
        for (unsigned t = 0, k = 0; t < KV_N_TIERS; t++) {
            if (walk->groups[t] >= 0) {
                best = has_bit(bits[k], candidate->slot) && kv_tier_weights[t] > best ? kv_tier_weights[t] : best;
                k++;
            }
        }
        if (best > 0) {
            candidate->score += best;
            candidate->n_blocks++;
            if (i != n_left) {
                struct candidate other = walk->all[n_left];
                walk->all[n_left] = *candidate;
                *candidate = other;
            }
            n_left++;
        }
    }
    walk->n_left = n_left;
    walk->is_broken = n_left == 0;
}

static void go_on(struct share_walk *walk);

static void bits_came(void *ctx, const struct redisReply *reply)
{
    struct share_walk *walk = ctx;
    struct share_reader *reader = walk->reader;
    if (!walk->match || reader->is_stopped) {
        give_walk(walk);
        return;
    }
    size_t n_tiers = 0;
    for (unsigned t = 0; t < KV_N_TIERS; t++) {
        n_tiers += walk->groups[t] >= 0;
    }
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != walk->n_asked * n_tiers) {
        finish(reader, walk->match, reply ? -EIO : -ENOTCONN);
        give_walk(walk);
        return;
    }
    for (size_t i = 0; i < walk->n_asked && !walk->is_broken; i++) {
        take_bits(walk, reply->element + i * n_tiers);
    }
    walk->at += walk->n_asked;
    go_on(walk);
}

static bool ask_bits(struct share_walk *walk)
{
    struct str args[1 + WAVE_MAX * KV_N_TIERS] = { STR("MGET") };
    char keys[WAVE_MAX * KV_N_TIERS][48];
    size_t n = 0;
    for (unsigned i = 0; i < walk->n_asked; i++) {
        for (unsigned t = 0; t < KV_N_TIERS; t++) {
            if (walk->groups[t] >= 0) {
                int len = snprintf(keys[n], sizeof(keys[n]), "tokfs:index:b:%d:%016" PRIx64, walk->groups[t],
                                   walk->hashes[walk->at + i]);
                args[1 + n] = (struct str){ keys[n], (size_t)len };
                n++;
            }
        }
    }
    return redis_link_send(walk->reader->link, args, 1 + n, bits_came, walk) == 0;
}

// ---- blocks, llm-d -------------------------------------------------------------------------------------------------

static unsigned tier_of(struct str name)
{
    return str_eq(name, STR("gpu")) ? KV_TIER_GPU : str_eq(name, STR("cpu")) ? KV_TIER_CPU : KV_TIER_DISK;
}

// A pod that no entry of ours tells of becomes a peer.
static struct node *hear_of(struct share_reader *reader, struct str pod, struct str model)
{
    char name[NAME_MAX_];
    int n = snprintf(name, sizeof(name), "%.*s@%.*s", STR_ARG(str_take(pod, 290)), STR_ARG(str_take(model, 290)));
    struct node *node = find_node(reader, (struct str){ name, (size_t)n });
    if (!node && (node = add_node(reader, (struct str){ name, (size_t)n }))) {
        node->is_heard = true;
        meet(reader, node, pod, model);
    }
    if (node) {
        node->heard_ns = clock_monotonic_ns();
    }
    return node && node->source ? node : NULL;
}

// {"PodIdentifier": ..., "DeviceTier": ...}, the name of a field.
static void take_pod(struct share_walk *walk, struct arena *arena, struct str field)
{
    const struct json *entry, *pod = NULL, *tier = NULL;
    struct err err = { 0 };
    if (json_parse(arena, field, &entry, &err) == 0) {
        pod = json_get(entry, STR("PodIdentifier"));
        tier = json_get(entry, STR("DeviceTier"));
    }
    struct node *node = pod && pod->type == JSON_STRING ? hear_of(walk->reader, pod->text, walk->match->model) : NULL;
    if (!node) {
        return;
    }
    unsigned peer = score_source_peer(node->source);
    double weight = kv_tier_weights[tier && tier->type == JSON_STRING ? tier_of(tier->text) : KV_TIER_GPU];
    struct candidate *found = NULL;
    for (size_t i = 0; i < walk->n_left && !found; i++) {
        found = walk->all[i].peer == peer ? &walk->all[i] : NULL;
    }
    if (!found && walk->at == 0) {
        found = add_candidate(walk, peer, 0);
    }
    if (found && weight > found->step) {
        found->step = weight;
    }
}

static void take_pods(struct share_walk *walk, const redisReply *reply)
{
    struct arena arena;
    size_t n_left = 0;
    arena_init(&arena, 0);
    for (size_t i = 0; i < reply->elements; i++) {
        arena_reset(&arena);
        take_pod(walk, &arena, reply_str(reply->element[i]));
    }
    arena_deinit(&arena);
    for (size_t i = 0; i < walk->n_left; i++) {
        struct candidate candidate = walk->all[i];
        if (candidate.step > 0) {
            candidate.score += candidate.step;
            candidate.step = 0;
            candidate.n_blocks++;
            walk->all[i] = walk->all[n_left];
            walk->all[n_left++] = candidate;
        }
    }
    walk->n_left = n_left;
    walk->is_broken = n_left == 0;
}

static void pods_came(void *ctx, const struct redisReply *reply)
{
    struct share_walk *walk = ctx;
    struct share_reader *reader = walk->reader;
    bool is_last = ++walk->n_answered == walk->n_asked;
    if (walk->match && !reader->is_stopped) {
        if (!reply || reply->type != REDIS_REPLY_ARRAY) {
            finish(reader, walk->match, reply ? -EIO : -ENOTCONN);
        } else if (!walk->is_broken) {
            take_pods(walk, reply);
            walk->at++;
        }
    }
    if (!walk->match || reader->is_stopped) {
        if (is_last) {
            give_walk(walk);
        }
    } else if (is_last) {
        go_on(walk);
    }
}

// False: some were not sent, and no match waits for the others.
static bool ask_pods(struct share_walk *walk)
{
    unsigned n = walk->n_asked;
    walk->n_answered = 0;
    for (unsigned i = 0; i < n; i++) {
        char key[24];
        int len = snprintf(key, sizeof(key), "%" PRIu64, walk->hashes[walk->at + i]);
        const struct str args[] = { STR("HKEYS"), { key, (size_t)len } };
        if (redis_link_send(walk->reader->link, args, 2, pods_came, walk) < 0) {
            walk->n_asked = i;
            return false;
        }
    }
    return true;
}

// ---- matches -------------------------------------------------------------------------------------------------------

static void go_on(struct share_walk *walk)
{
    struct share_reader *reader = walk->reader;
    struct share_match *match = walk->match;
    int r = 0;
    bool has_more = true;
    while (r == 0 && has_more && (walk->is_broken || walk->at == walk->n)) {
        r = end_walk(walk);
        has_more = begin_walk(walk, false);
    }
    if (r < 0 || !has_more) {
        finish(reader, match, r);
        give_walk(walk);
        return;
    }
    size_t left = walk->n - walk->at;
    walk->n_asked = left < walk->wave ? (unsigned)left : walk->wave;
    walk->wave = 2 * walk->wave < WAVE_MAX ? 2 * walk->wave : WAVE_MAX;
    reader->counts.n_blocks += walk->n_asked;
    bool is_sent = reader->options.kind == SHARE_TOKFS ? ask_bits(walk) : ask_pods(walk);
    if (!is_sent) {
        finish(reader, match, -ENOTCONN);
        if (reader->options.kind == SHARE_TOKFS || walk->n_asked == 0) {
            give_walk(walk);
        }
    }
}

static void arm_deadline(struct share_reader *reader)
{
    if (reader->first && !reader->deadline.is_pending && !reader->is_stopped) {
        uint64_t now = clock_monotonic_ns(), at = reader->first->deadline_ns;
        loop_timer(reader->loop, &reader->deadline, at > now ? at - now : 0);
    }
}

static void deadline_done(struct loop_op *op, int res)
{
    struct share_reader *reader = (struct share_reader *)((char *)op - offsetof(struct share_reader, deadline));
    uint64_t now = clock_monotonic_ns();
    while (res == 0 && reader->first && reader->first->deadline_ns <= now) {
        reader->counts.is_up = false; // until a look is answered: others need not wait as long
        finish(reader, reader->first, -ETIMEDOUT);
    }
    arm_deadline(reader);
}

void share_reader_match(struct share_reader *reader, struct share_match *match)
{
    match->found = NULL;
    match->n_found = 0;
    match->next = NULL;
    match->walk = NULL;
    match->deadline_ns = clock_monotonic_ns() + 1000000ull * reader->options.timeout_ms;
    bool is_up = redis_link_is_up(reader->link) && reader->counts.is_up && !reader->is_stopped;
    struct share_walk *walk = is_up ? take_walk(reader) : NULL;
    if (!walk) {
        finish(reader, match, is_up ? -ENOMEM : -ENOTCONN);
        return;
    }
    *reader->last = match;
    reader->last = &match->next;
    match->walk = walk;
    walk->match = match;
    walk->hashes = match->keys->hashes;
    walk->idx = 0;
    if (begin_walk(walk, true)) {
        go_on(walk);
    } else {
        finish(reader, match, 0);
        give_walk(walk);
    }
    arm_deadline(reader);
}

void share_match_deinit(struct share_match *match)
{
    free(match->found);
    match->found = NULL;
    match->n_found = 0;
}

// ---- life ----------------------------------------------------------------------------------------------------------

static void tick_done(struct loop_op *op, int res)
{
    struct share_reader *reader = (struct share_reader *)op;
    if (res == 0 && !reader->is_stopped) {
        look(reader);
        loop_timer(reader->loop, &reader->tick, LOOK_NS);
    }
}

static void link_up(void *ctx)
{
    look(ctx);
}

static void link_down(void *ctx)
{
    struct share_reader *reader = ctx;
    reader->counts.is_up = false;
    reader->is_looking = false;
}

int share_reader_new(struct loop *loop, const struct share_reader_options *options, struct scorer *scorer,
                     struct share_reader **ret)
{
    static_assert(offsetof(struct share_reader, tick) == 0, "tick_done");
    struct share_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        return -ENOMEM;
    }
    const struct redis_link_owner owner = { .up = link_up, .down = link_down, .ctx = reader };
    *ret = reader;
    reader->loop = loop;
    reader->options = *options;
    reader->schema = &share_schemas[options->kind];
    reader->scorer = scorer;
    reader->last = &reader->first;
    reader->tick.done = tick_done;
    reader->deadline.done = deadline_done;
    loop_timer(loop, &reader->tick, LOOK_NS);
    return redis_link_new(loop, &options->url, &owner, &reader->link);
}

void share_reader_stop(struct share_reader *reader)
{
    if (!reader || reader->is_stopped) {
        return;
    }
    reader->is_stopped = true;
    loop_cancel(reader->loop, &reader->tick);
    loop_cancel(reader->loop, &reader->deadline);
    redis_link_stop(reader->link);
    while (reader->first) {
        finish(reader, reader->first, -ECANCELED);
    }
}

static void free_walks(struct share_walk *walk)
{
    while (walk) {
        struct share_walk *next = walk->next;
        free(walk->all);
        free(walk);
        walk = next;
    }
}

void share_reader_free(struct share_reader *reader)
{
    if (!reader) {
        return;
    }
    while (reader->nodes) {
        struct node *node = reader->nodes;
        reader->nodes = node->next;
        free(node);
    }
    free_walks(reader->free_walks);
    free_walks(reader->used_walks);
    index_names_clear(&reader->by_name);
    redis_link_free(reader->link);
    free(reader);
}

const struct share_reader_counts *share_reader_counts(const struct share_reader *reader)
{
    return &reader->counts;
}
