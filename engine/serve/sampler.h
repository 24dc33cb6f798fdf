// From a row of logits to one token: bans, biases, penalties (logit_adjust.h), temperature, min_p, top_k, top_p,
// typical_p, and a draw; and how probable the model itself found it.
//
// The filters apply in the order of vLLM's sampler: logits are divided by the temperature; min_p drops tokens less
// probable than min_p times the most probable one; top_k keeps the k most probable; top_p keeps the fewest most
// probable of those whose mass (renormalised over what is left) reaches top_p. vLLM has no typical_p; it comes last, as
// in transformers: of what is left, the tokens whose surprise is nearest to the entropy, the fewest whose mass reaches
// it. Among equally probable tokens the lowest id ranks first, everywhere: exactly k stay, and greedy is exact. A draw
// is a function of (logits, timeline, parameters, seed, position): it depends on nothing else in the batch, and any
// token can be drawn again.
#ifndef TOKFS_SERVE_SAMPLER_H
#define TOKFS_SERVE_SAMPLER_H

#include "engine/serve/logit_adjust.h"
#include "kernels/backend.h"

#define SAMPLER_TEMPERATURE_MIN 1e-5 // below: greedy (as vLLM)

struct sampler_candidate;
struct sampler_isa;

// Owner: one thread at a time. Scratch for one row at a time.
struct sampler {
    size_t n_vocab, n_blocks;
    float *weights;      // [n_blocks][64] exp((logit - max) / temperature), 0 for dropped tokens
    float *block_max;    // [n_blocks]
    float *tail;         // [64] the last block, filled up with -inf
    double *block_sum;   // [n_blocks]
    double *bucket_mass; // histogram of top_p
    struct logit_adjust adjust;
    const struct sampler_isa *isa;
    struct sampler_candidate *candidates; // [n_vocab]
};

int sampler_init(struct sampler *s, size_t n_vocab); // 0 or -ENOMEM
void sampler_deinit(struct sampler *s);
// "base", "avx2" or "avx512" instead of the best there is; the result is the same. False: this processor lacks it.
bool sampler_use_isa(struct sampler *s, const char *name);

// How many maxima a row of logits has (struct logits).
static inline size_t sampler_n_maxima(size_t n_vocab)
{
    return (n_vocab - 1) / MAXIMA_OUTPUTS + 1;
}

// Whether a draw takes less time than waking another thread for it: greedy, from maxima that are known.
bool sampler_is_quick(const struct sampler_input *input);
// Draws with (seed, pos). 0, or -EDOM: no finite logit is left. Does not allocate.
int sampler_draw(struct sampler *s, const struct sampler_input *input, int32_t *ret_id);

struct token_prob {
    int32_t id;
    float logprob;
};

// The logarithms of the probabilities that the model gave, before anything that a request changes (vLLM's
// raw_logprobs): ret[0] is `id`, then come the n_top most probable tokens, best first, `id` again if it is one of them.
// Returns how many there are, 1 + n_top or as many as the vocabulary has. Of the input the logits and their maxima
// count; one of them is finite.
size_t sampler_logprobs(struct sampler *s, const struct sampler_input *input, int32_t id, size_t n_top,
                        struct token_prob *ret);
// How many tokens rank before `id` by what the model gave, and one: 1 for the most probable.
uint32_t sampler_rank(const struct sampler *s, const float *logits, int32_t id);

#endif
