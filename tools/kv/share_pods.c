// Blocks in llm-d's form: for each block a hash, whose fields name a pod and a tier.
#include "engine/base/json.h"
#include "tools/kv/redis_reply.h"
#include "tools/kv/share_reader_internal.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static unsigned tier_of(struct str name)
{
    return str_eq(name, STR("gpu")) ? KV_TIER_GPU : str_eq(name, STR("cpu")) ? KV_TIER_CPU : KV_TIER_DISK;
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
    struct share_node *node = pod && pod->type == JSON_STRING
                                  ? share_registry_hear_of(&walk->reader->registry, pod->text, walk->match->model)
                                  : NULL;
    if (!node) {
        return;
    }
    unsigned peer = score_source_peer(node->source);
    double weight = kv_tier_weights[tier && tier->type == JSON_STRING ? tier_of(tier->text) : KV_TIER_GPU];
    struct share_candidate *found = NULL;
    for (size_t i = 0; i < walk->n_left && !found; i++) {
        found = walk->all[i].peer == peer ? &walk->all[i] : NULL;
    }
    if (!found && walk->at == 0) {
        found = share_walk_add(walk, peer, 0);
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
        take_pod(walk, &arena, redis_reply_str(reply->element[i]));
    }
    arena_deinit(&arena);
    for (size_t i = 0; i < walk->n_left; i++) {
        struct share_candidate candidate = walk->all[i];
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
            share_match_finish(reader, walk->match, reply ? -EIO : -ENOTCONN);
        } else if (!walk->is_broken) {
            take_pods(walk, reply);
            walk->at++;
        }
    }
    if (!walk->match || reader->is_stopped) {
        if (is_last) {
            share_walk_give(walk);
        }
    } else if (is_last) {
        share_walk_go_on(walk);
    }
}

bool share_pods_ask(struct share_walk *walk)
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
