// Blocks in tokfs's form: for each block and tier a string of bits, in which a node's slot says whether it holds it.
#include "tools/kv/redis_reply.h"
#include "tools/kv/share_reader_internal.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

void share_bits_begin(struct share_walk *walk)
{
    const struct share_registry *registry = &walk->reader->registry;
    for (unsigned t = 0; t < KV_N_TIERS; t++) {
        walk->groups[t] = -1;
    }
    for (unsigned i = 0; i < registry->n_groups; i++) {
        const struct share_group *group = &registry->groups[i];
        if (group->block_size == walk->block_size && str_eq(str_from(group->model), walk->match->model)) {
            walk->groups[group->tier] = (int)group->number;
        }
    }
    bool has_groups = walk->groups[0] >= 0 || walk->groups[1] >= 0 || walk->groups[2] >= 0;
    for (const struct share_node *node = registry->nodes; node && has_groups; node = node->next) {
        if (node->source && node->block_size == walk->block_size && str_eq(str_from(node->model), walk->match->model)) {
            share_walk_add(walk, score_source_peer(node->source), node->slot);
        }
    }
}

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
        struct share_candidate *candidate = &walk->all[i];
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
                struct share_candidate other = walk->all[n_left];
                walk->all[n_left] = *candidate;
                *candidate = other;
            }
            n_left++;
        }
    }
    walk->n_left = n_left;
    walk->is_broken = n_left == 0;
}

static void bits_came(void *ctx, const struct redisReply *reply)
{
    struct share_walk *walk = ctx;
    struct share_reader *reader = walk->reader;
    if (!walk->match || reader->is_stopped) {
        share_walk_give(walk);
        return;
    }
    size_t n_tiers = 0;
    for (unsigned t = 0; t < KV_N_TIERS; t++) {
        n_tiers += walk->groups[t] >= 0;
    }
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != walk->n_asked * n_tiers) {
        share_match_finish(reader, walk->match, reply ? -EIO : -ENOTCONN);
        share_walk_give(walk);
        return;
    }
    for (size_t i = 0; i < walk->n_asked && !walk->is_broken; i++) {
        take_bits(walk, reply->element + i * n_tiers);
    }
    walk->at += walk->n_asked;
    share_walk_go_on(walk);
}

bool share_bits_ask(struct share_walk *walk)
{
    struct str args[1 + SHARE_WAVE_MAX * KV_N_TIERS] = { STR("MGET") };
    char keys[SHARE_WAVE_MAX * KV_N_TIERS][48];
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
    if (redis_link_send(walk->reader->link, args, 1 + n, bits_came, walk) < 0) {
        walk->n_asked = 0;
        return false;
    }
    return true;
}
