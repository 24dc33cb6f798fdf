// A node is found by its name with each look; one that has another address or model is another one.
#include "tools/kv/share_registry.h"
#include "engine/base/log.h"
#include "engine/base/loop.h"
#include "tools/kv/foreign_hash.h"
#include "tools/kv/redis_reply.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define NODES_MAX  4096
#define HEARD_NS   600000000000u // a pod of which nothing was found for so long leaves
#define SIZE_USUAL 16u           // of llm-d's blocks

static uint64_t name_hash(struct str name)
{
    return XXH3_64bits(name.ptr, name.len);
}

static struct share_node *find_node(const struct share_registry *registry, struct str name)
{
    uint64_t pointer;
    struct share_node *node =
        index_names_get(&registry->by_name, name_hash(name), &pointer) ? (struct share_node *)pointer : NULL;
    return node && str_eq(str_from(node->name), name) ? node : NULL;
}

static struct share_node *add_node(struct share_registry *registry, struct str name)
{
    struct share_node *node =
        registry->n_nodes < NODES_MAX && name.len < SHARE_NAME_MAX ? calloc(1, sizeof(*node)) : NULL;
    if (!node || index_names_put(&registry->by_name, name_hash(name), (uint64_t)(uintptr_t)node) < 0) {
        free(node);
        return NULL;
    }
    memcpy(node->name, name.ptr, name.len);
    node->next = registry->nodes;
    registry->nodes = node;
    registry->n_nodes++;
    return node;
}

static void drop_source(struct share_registry *registry, struct share_node *node)
{
    if (node->source) {
        unsigned peer = score_source_peer(node->source);
        scorer_remove_source(registry->scorer, node->source);
        scorer_release_peer(registry->scorer, peer);
        node->source = NULL;
    }
}

// One that has another address or model is another one.
static void meet(struct share_registry *registry, struct share_node *node, struct str address, struct str model)
{
    if (node->source && str_eq(str_from(node->address), address) && str_eq(str_from(node->model), model)) {
        return;
    }
    drop_source(registry, node);
    snprintf(node->address, sizeof(node->address), "%.*s", STR_ARG(address));
    snprintf(node->model, sizeof(node->model), "%.*s", STR_ARG(model));
    int peer = scorer_add_peer(registry->scorer, str_from(node->address));
    if (peer < 0 || scorer_add_source(registry->scorer, (unsigned)peer, str_from(node->model), &node->source) < 0) {
        log_warn("shared index, node %s: no room for it", node->name);
    }
}

static void take_node(struct share_registry *registry, const redisReply *row)
{
    bool is_row = row->type == REDIS_REPLY_ARRAY, is_alive = is_row && row->elements == 8;
    bool is_dead = is_row && row->elements == 1 && registry->kind == SHARE_LLMD;
    struct str name = is_alive || is_dead ? redis_reply_str(row->element[0]) : (struct str){ 0 };
    struct share_node *node = name.len > 0 ? find_node(registry, name) : NULL;
    node = node || name.len == 0 ? node : add_node(registry, name);
    if (!node) {
        return;
    }
    node->is_seen = true;
    node->is_heard = false;
    if (is_dead) {
        drop_source(registry, node);
        return;
    }
    struct str address = redis_reply_str(row->element[1]), model = redis_reply_str(row->element[2]);
    meet(registry, node, address, model);
    node->block_size = (uint32_t)redis_reply_number(row->element[3]);
    node->slot = (unsigned)redis_reply_number(row->element[4]);
    if (node->source) {
        const struct scorer_load load = { (double)redis_reply_number(row->element[5]),
                                          (double)redis_reply_number(row->element[6]) };
        node->scope = (uint64_t)redis_reply_number(row->element[7]);
        scorer_set_load(registry->scorer, score_source_peer(node->source), load);
        scorer_set_scope(registry->scorer, score_source_peer(node->source), node->scope);
    }
}

static void remove_unseen(struct share_registry *registry)
{
    for (struct share_node **at = &registry->nodes; *at;) {
        struct share_node *node = *at;
        if (node->is_seen) {
            at = &node->next;
            continue;
        }
        *at = node->next;
        index_names_take(&registry->by_name, name_hash(str_from(node->name)));
        drop_source(registry, node);
        free(node);
        registry->n_nodes--;
    }
}

void share_registry_take_nodes(struct share_registry *registry, const struct redisReply *reply)
{
    uint64_t now = clock_monotonic_ns();
    for (struct share_node *node = registry->nodes; node; node = node->next) {
        node->is_seen = node->is_heard && now - node->heard_ns < HEARD_NS;
    }
    for (size_t i = 0; i < reply->elements; i++) {
        take_node(registry, reply->element[i]);
    }
    remove_unseen(registry);
}

// "SIZE TIER MODEL" -> number.
void share_registry_take_groups(struct share_registry *registry, const struct redisReply *reply)
{
    registry->n_groups = 0;
    for (size_t i = 0; i + 1 < reply->elements && registry->n_groups < SHARE_GROUPS_MAX; i += 2) {
        struct share_group *group = &registry->groups[registry->n_groups];
        struct str size, tier, model = str_cut(str_cut(redis_reply_str(reply->element[i]), ' ', &size), ' ', &tier);
        int64_t block_size = 0;
        unsigned t = 0;
        while (t < KV_N_TIERS && !str_eq(str_from(kv_tier_names[t]), tier)) {
            t++;
        }
        if (t < KV_N_TIERS && str_parse_i64(size, &block_size) == 0 && block_size > 0) {
            *group = (struct share_group){ (unsigned)redis_reply_number(reply->element[i + 1]), t, (uint32_t)block_size,
                                           "" };
            snprintf(group->model, sizeof(group->model), "%.*s", STR_ARG(model));
            registry->n_groups++;
        }
    }
}

struct share_node *share_registry_hear_of(struct share_registry *registry, struct str pod, struct str model)
{
    char name[SHARE_NAME_MAX];
    int n = snprintf(name, sizeof(name), "%.*s@%.*s", STR_ARG(str_take(pod, 290)), STR_ARG(str_take(model, 290)));
    struct share_node *node = find_node(registry, (struct str){ name, (size_t)n });
    if (!node && (node = add_node(registry, (struct str){ name, (size_t)n }))) {
        node->is_heard = true;
        meet(registry, node, pod, model);
    }
    if (node) {
        node->heard_ns = clock_monotonic_ns();
    }
    return node && node->source ? node : NULL;
}

void share_registry_sizes(const struct share_registry *registry, struct str model, struct score_sizes *ret)
{
    *ret = (struct score_sizes){ .n_scopes = 1 };
    for (const struct share_node *node = registry->nodes; node && ret->n < SCORE_BLOCK_SIZES_MAX; node = node->next) {
        if (node->block_size > 0 && str_eq(str_from(node->model), model)) {
            score_sizes_add(ret, node->block_size);
            score_sizes_add_scope(ret, node->scope);
        }
    }
    if (registry->kind == SHARE_LLMD) {
        ret->n_scopes = 1;
        ret->has_root = request_key_root(REQUEST_KEY_FNV, STR(""), model, &ret->root) == 0;
        if (ret->n == 0) {
            ret->sizes[ret->n++] = SIZE_USUAL;
        }
    }
}

void share_registry_deinit(struct share_registry *registry)
{
    while (registry->nodes) {
        struct share_node *node = registry->nodes;
        registry->nodes = node->next;
        free(node);
    }
    index_names_clear(&registry->by_name);
}
