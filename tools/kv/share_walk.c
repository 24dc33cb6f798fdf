// Walks: the blocks of one prompt in one size and scope, wave after wave; then those of the next.
#include "tools/kv/share_reader_internal.h"
#include <errno.h>
#include <stdlib.h>

#define WAVE_FIRST 32u

// ---- memory --------------------------------------------------------------------------------------------------------

struct share_walk *share_walk_take(struct share_reader *reader)
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

void share_walk_give(struct share_walk *walk)
{
    struct share_reader *reader = walk->reader;
    struct share_walk **at = &reader->used_walks;
    struct share_candidate *all = walk->all;
    size_t n_allocated = walk->n_allocated;
    while (*at != walk) {
        at = &(*at)->next;
    }
    *at = walk->next;
    *walk = (struct share_walk){ .next = reader->free_walks, .all = all, .n_allocated = n_allocated };
    reader->free_walks = walk;
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

void share_walks_free(struct share_reader *reader)
{
    free_walks(reader->free_walks);
    free_walks(reader->used_walks);
}

struct share_candidate *share_walk_add(struct share_walk *walk, unsigned peer, unsigned slot)
{
    if (walk->n_all == walk->n_allocated) {
        size_t n = walk->n_allocated ? 2 * walk->n_allocated : 64;
        struct share_candidate *all = reallocarray(walk->all, n, sizeof(*all));
        if (!all) {
            return NULL;
        }
        walk->all = all;
        walk->n_allocated = n;
    }
    walk->all[walk->n_all] = (struct share_candidate){ .peer = peer, .slot = slot };
    walk->n_left = walk->n_all + 1;
    return &walk->all[walk->n_all++];
}

// ---- one after the other -------------------------------------------------------------------------------------------

// The next scope, block size or prompt. False: there is none.
static bool begin(struct share_walk *walk, bool is_first)
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
        share_bits_begin(walk);
        walk->is_broken = walk->n_left == 0;
    }
    return true;
}

// There is room. n_before: of those that earlier walks found, among whom the peer may be.
static void add_found(struct share_match *match, const struct share_candidate *candidate, size_t prompt,
                      uint32_t block_size, size_t n_before)
{
    size_t i = 0;
    while (i < n_before && match->found[i].peer != candidate->peer) {
        i++;
    }
    if (i == n_before) {
        i = match->n_found++;
        match->found[i] = (struct score_found){ .peer = candidate->peer };
    }
    score_tally_add(&match->found[i].tally, prompt, candidate->score * block_size / SCORE_BLOCK_TOKENS,
                    (double)candidate->n_blocks * block_size);
}

static size_t prompt_of(const struct share_walk *walk)
{
    const struct score_sizes *sizes = &walk->match->keys->sizes;
    return walk->idx / (sizes->n * sizes->n_scopes);
}

static int end(struct share_walk *walk)
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

void share_walk_go_on(struct share_walk *walk)
{
    struct share_reader *reader = walk->reader;
    struct share_match *match = walk->match;
    int r = 0;
    bool has_more = true;
    while (r == 0 && has_more && (walk->is_broken || walk->at == walk->n)) {
        r = end(walk);
        has_more = begin(walk, false);
    }
    if (r < 0 || !has_more) {
        share_match_finish(reader, match, r);
        share_walk_give(walk);
        return;
    }
    size_t left = walk->n - walk->at;
    walk->n_asked = left < walk->wave ? (unsigned)left : walk->wave;
    walk->wave = 2 * walk->wave < SHARE_WAVE_MAX ? 2 * walk->wave : SHARE_WAVE_MAX;
    reader->counts.n_blocks += walk->n_asked;
    bool is_sent = reader->options.kind == SHARE_TOKFS ? share_bits_ask(walk) : share_pods_ask(walk);
    if (!is_sent) {
        share_match_finish(reader, match, -ENOTCONN);
        if (walk->n_asked == 0) {
            share_walk_give(walk);
        }
    }
}

void share_walk_start(struct share_walk *walk, struct share_match *match)
{
    match->walk = walk;
    walk->match = match;
    walk->hashes = match->keys->hashes;
    walk->idx = 0;
    if (begin(walk, true)) {
        share_walk_go_on(walk);
    } else {
        share_match_finish(walk->reader, match, 0);
        share_walk_give(walk);
    }
}
