// What a request adds to and takes from a row of logits before it is drawn from: tokens that its grammar or min_tokens
// forbids, biases, penalties on what was said. In the order of vLLM's sampler.
//
// Counts are made from the timeline at each draw, so there is no state to keep, to bound, or to restore when a sequence
// is computed again: a walk over the known tokens is short beside the forward pass that computed them.
#ifndef TOKFS_SERVE_LOGIT_ADJUST_H
#define TOKFS_SERVE_LOGIT_ADJUST_H

#include "engine/serve/guide.h"
#include "engine/text/sampling_params.h"
#include "kernels/backend.h"

#define BANS_MAX 2

// One draw: all that it depends on.
struct sampler_input {
    const float *logits;                  // [n_vocab]
    const float *maxima;                  // [sampler_n_maxima] of the logits, or NULL: the sampler finds them
    const struct sampling_params *params; // all but the seed
    uint64_t seed, pos;
    struct token_set bans[BANS_MAX]; // tokens that must not be drawn now (end tokens before min_tokens)
    const struct guide *guide;       // what may be drawn at all; NULL: anything
    struct token_set ends[BANS_MAX]; // with a guide: tokens that end the answer
    const int32_t *tokens;           // [n_tokens] the timeline: prompt, then sampled; each below n_vocab
    uint32_t n_prompt, n_tokens;
};

// Owner: one thread at a time. Scratch for one row at a time.
struct logit_adjust {
    size_t n_vocab;
    float *row;     // [n_vocab]
    uint32_t *seen; // [n_vocab] all 0 between calls
};

int logit_adjust_init(struct logit_adjust *adjust, size_t n_vocab); // 0 or -ENOMEM
void logit_adjust_deinit(struct logit_adjust *adjust);
bool logit_adjust_is_needed(const struct sampler_input *input);
// The row to draw from: the logits themselves when nothing changes them, else a copy in `adjust`. Does not allocate.
const float *logit_adjust_apply(struct logit_adjust *adjust, const struct sampler_input *input);
// The same changes, but for the grammar's, as a list with each id once. Returns how many they are; SIZE_MAX: more than
// n_max. Does not allocate.
size_t logit_adjust_list(struct logit_adjust *adjust, const struct sampler_input *input, struct sample_edit *ret,
                         size_t n_max);

#endif
