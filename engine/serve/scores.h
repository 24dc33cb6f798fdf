// How probable the model found the tokens of a prompt, where a request asks for it.
//
// A text thread makes them with their memory, so that a step allocates nothing; the engine thread fills them in while
// the first choice of the prompt is computed (its scorer; the others wait for it); the caller reads them from the first
// token of any choice of the prompt on.
#ifndef TOKFS_SERVE_SCORES_H
#define TOKFS_SERVE_SCORES_H

#include "engine/base/err.h"
#include "engine/model/model.h"
#include "engine/serve/sampler.h"
#include <stdatomic.h>

#define SCORES_BYTES_MAX (256u << 20) // of all requests that have not been freed

struct scores {
    uint32_t first;           // position of the first token that is scored, 1 or more; nothing stands before token 0
    uint32_t n_prompt;        // positions of the prompt
    uint32_t next;            // the first that has no score yet; n_prompt: all have one
    uint32_t n_each;          // entries of a position: the token itself, then the most probable ones
    struct token_prob *probs; // [n_prompt - first][n_each]; id -1: the vocabulary has no more
    uint32_t *ranks;          // [n_prompt - first] of the token itself, 1 the most probable
};

// Of one prompt. What they take is charged to *budget, and added to *ret_charged, which the caller gives back. -E2BIG:
// more than is allowed at all; -EAGAIN: more than is left; -ENOMEM.
int scores_init(struct scores *scores, uint32_t n_prompt, uint32_t first, uint32_t n_top, atomic_size_t *budget,
                size_t *ret_charged, struct err *err);
void scores_deinit(struct scores *scores); // no-op on zeroed ones

static inline bool scores_are_complete(const struct scores *scores)
{
    return scores->next == scores->n_prompt;
}

// How many tokens of the timeline need not be computed for scores: their rows' logits are of no use any more. What is
// cached beyond is computed again.
static inline uint32_t scores_skippable(const struct scores *scores)
{
    return scores->next - 1;
}

// The row of token `pos` - 1 says how probable token `pos`, the next one to be scored, was: returns the logarithm.
float scores_take(struct scores *scores, struct sampler *sampler, struct logits logits, int32_t id);

#endif
