// Memory for the scores of a prompt, and one position after another.
#include "engine/serve/scores.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static size_t bytes_for(uint32_t n_positions, uint32_t n_each)
{
    return (size_t)n_positions * (n_each * sizeof(struct token_prob) + sizeof(uint32_t));
}

static int charge(atomic_size_t *budget, size_t bytes, struct err *err)
{
    if (bytes > SCORES_BYTES_MAX) {
        return err_set(err, -E2BIG, "log probabilities of the prompt take %zu bytes, more than %u", bytes,
                       SCORES_BYTES_MAX);
    }
    if (atomic_fetch_add(budget, bytes) + bytes > SCORES_BYTES_MAX) {
        atomic_fetch_sub(budget, bytes);
        return err_set(err, -EAGAIN, "too many log probabilities of prompts are held: try again later");
    }
    return 0;
}

int scores_init(struct scores *scores, uint32_t n_prompt, uint32_t first, uint32_t n_top, atomic_size_t *budget,
                size_t *ret_charged, struct err *err)
{
    assert(n_prompt > 0);
    first = first < 1 ? 1 : first > n_prompt ? n_prompt : first;
    size_t n = n_prompt - first, bytes = bytes_for(n_prompt - first, 1 + n_top);
    int rc = charge(budget, bytes, err);
    if (rc < 0) {
        return rc;
    }
    *ret_charged += bytes;
    *scores = (struct scores){ .first = first, .n_prompt = n_prompt, .next = first, .n_each = 1 + n_top };
    scores->probs = calloc(n * scores->n_each + 1, sizeof(*scores->probs));
    scores->ranks = calloc(n + 1, sizeof(*scores->ranks));
    if (!scores->probs || !scores->ranks) {
        scores_deinit(scores);
        return err_set(err, -ENOMEM, "out of memory for log probabilities of a prompt");
    }
    return 0;
}

void scores_deinit(struct scores *scores)
{
    free(scores->probs);
    free(scores->ranks);
    *scores = (struct scores){ 0 };
}

float scores_take(struct scores *scores, struct sampler *sampler, struct logits logits, int32_t id)
{
    assert(!scores_are_complete(scores));
    uint32_t i = scores->next++ - scores->first;
    struct token_prob *probs = &scores->probs[(size_t)i * scores->n_each];
    const struct sampler_input input = { .logits = logits.rows, .maxima = logits.maxima };
    size_t n = sampler_logprobs(sampler, &input, id, scores->n_each - 1, probs);
    for (; n < scores->n_each; n++) {
        probs[n].id = -1;
    }
    scores->ranks[i] = sampler_rank(sampler, logits.rows, id);
    return probs[0].logprob;
}
