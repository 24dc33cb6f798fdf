// From a row of logits to one token: temperature, min_p, top_k, top_p, and a draw.
//
// The filters apply in the order of vLLM's sampler: logits are divided by the temperature; min_p drops tokens less
// probable than min_p times the most probable one; top_k keeps the k most probable; top_p keeps the fewest most
// probable of those whose mass (renormalised over what is left) reaches top_p. Among equally probable tokens the lowest
// id ranks first, everywhere: exactly k stay, and greedy is exact. A draw is a function of (logits, parameters, seed,
// position): it depends on nothing else in the batch, and any token can be drawn again.
#ifndef TOKFS_SERVE_SAMPLER_H
#define TOKFS_SERVE_SAMPLER_H

#include "engine/text/chat_request.h"

#define SAMPLER_TEMPERATURE_MIN 1e-5 // below: greedy (as vLLM)

struct sampler_candidate;
struct sampler_isa;

// Owner: the engine thread. Scratch for one row at a time.
struct sampler {
    size_t n_vocab, n_blocks;
    float *weights;      // [n_blocks][64] exp((logit - max) / temperature), 0 for dropped tokens
    float *block_max;    // [n_blocks]
    float *masked;       // [n_vocab]
    float *tail;         // [64] the last block, filled up with -inf
    double *block_sum;   // [n_blocks]
    double *bucket_mass; // histogram of top_p
    const struct sampler_isa *isa;
    struct sampler_candidate *candidates; // [n_vocab]
};

int sampler_init(struct sampler *s, size_t n_vocab); // 0 or -ENOMEM
void sampler_deinit(struct sampler *s);
// "base", "avx2" or "avx512" instead of the best there is; the result is the same. False: this processor lacks it.
bool sampler_use_isa(struct sampler *s, const char *name);

// Tokens that must not be drawn now (end tokens before min_tokens).
struct sampler_ban {
    const int32_t *ids;
    size_t n;
};

// logits: [n_vocab]. Draws with (params->seed, pos). 0, or -EDOM: no finite logit is left. Does not allocate.
int sampler_draw(struct sampler *s, const float *logits, const struct sampling_params *params, struct sampler_ban ban,
                 uint64_t pos, int32_t *ret_id);

#endif
