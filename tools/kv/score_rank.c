// What prompts get: the keys are looked up in the index, for each prompt, size and scope.
#include "tools/kv/score_internal.h"
#include <stdlib.h>

void score_tally_add(struct score_tally *tally, size_t prompt, double score, double n_tokens)
{
    if (tally->prompt != prompt) {
        tally->prompt = prompt;
        tally->best_score = tally->best_tokens = 0;
    }
    if (score > tally->best_score) {
        tally->score += score - tally->best_score;
        tally->n_cached_tokens += n_tokens - tally->best_tokens;
        tally->best_score = score;
        tally->best_tokens = n_tokens;
    }
}

static void add_matches(struct scorer *scorer, size_t prompt, uint32_t block_size, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct kv_match *match = &scorer->found[i];
        struct score_peer *peer = &scorer->peers[scorer->of_node[match->node]->peer];
        score_tally_add(&peer->tally, prompt, match->score * block_size / SCORE_BLOCK_TOKENS,
                        (double)match->n_blocks * block_size);
    }
}

static void match_all(struct scorer *scorer, unsigned model, const struct score_keys *keys, const double *weights)
{
    const struct score_sizes *sizes = &keys->sizes;
    const uint64_t *hashes = keys->hashes;
    for (size_t i = 0; i < keys->n_prompts && !sizes->has_root; i++) { // llm-d's names are not this index's
        for (unsigned s = 0; s < sizes->n; s++) {
            int group = score_find_group(scorer, model, sizes->sizes[s]);
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

static double cost_of(const struct score_peer *peer, const struct score_options *options)
{
    return options->load_cost * (peer->load.n_running + peer->load.n_waiting);
}

static void add_found(struct scorer *scorer, const struct score_options *options)
{
    for (size_t i = 0; i < options->n_found; i++) {
        const struct score_found *found = &options->found[i];
        struct score_peer *peer = found->peer < scorer->n_peers ? &scorer->peers[found->peer] : NULL;
        double score = peer ? found->tally.score - cost_of(peer, options) : 0;
        if (peer && peer->has_model && score > peer->tally.score) {
            peer->tally.score = score;
            peer->tally.n_cached_tokens = found->tally.n_cached_tokens;
        }
    }
}

static int compare_rows(const void *a, const void *b)
{
    const struct score_row *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score)
                                : (x->peer > y->peer) - (x->peer < y->peer);
}

// Peers that have the model begin with the cost of their load.
static void begin_tallies(struct scorer *scorer, unsigned model, const struct score_options *options)
{
    for (const struct score_source *source = scorer->sources; source; source = source->next) {
        struct score_peer *peer = &scorer->peers[source->peer];
        if (source->model == model && !peer->has_model) {
            peer->has_model = true;
            peer->tally = (struct score_tally){ .score = 0 - cost_of(peer, options) };
        }
    }
}

static size_t end_tallies(struct scorer *scorer)
{
    size_t n = 0;
    for (unsigned i = 0; i < scorer->n_peers; i++) {
        struct score_peer *peer = &scorer->peers[i];
        if (peer->has_model) {
            peer->has_model = false;
            scorer->rows[n++] = (struct score_row){ i, peer->tally.score, peer->tally.n_cached_tokens };
        }
    }
    return n;
}

size_t scorer_rank(struct scorer *scorer, struct str model, const struct score_keys *keys,
                   const struct score_options *options, const struct score_row **ret)
{
    int m = score_find_model(scorer, model);
    begin_tallies(scorer, (unsigned)m, options);
    if (m >= 0) {
        match_all(scorer, (unsigned)m, keys, options->weights ? options->weights : kv_tier_weights);
    }
    add_found(scorer, options);
    size_t n = end_tallies(scorer);
    if (n > 1) {
        qsort(scorer->rows, n, sizeof(*scorer->rows), compare_rows);
    }
    *ret = scorer->rows;
    return n;
}
