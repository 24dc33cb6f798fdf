// What a backend that draws tokens itself is told of the rows of a step (op_sample): the sampler's inputs in its terms.
//
// Owner: the engine thread. Bounded: what does not fit, and what backends do not do (typical_p), is for the host to
// draw; both draw the same (kernels/cuda/sampling.cu says how nearly).
#ifndef TOKFS_SERVE_DEVICE_DRAWS_H
#define TOKFS_SERVE_DEVICE_DRAWS_H

#include "engine/serve/sampler.h"

struct device_draws {
    size_t n_vocab, n_rows_max, n_masks_max;
    struct sample_row *rows;   // [n_rows_max], the first n_rows: of this step
    struct sample_edit *edits; // [DEVICE_EDITS_MAX]
    uint64_t *masks;           // [n_masks_max][ceil(n_vocab / 64)]
    size_t n_rows, n_edits, n_masks;
    struct logit_adjust adjust;
};

#define DEVICE_EDITS_MAX 1048576 // 16 MiB: penalties of 256 answers that have said 4096 different tokens each
#define DEVICE_MASKS_MAX 64

int device_draws_init(struct device_draws *draws, size_t n_vocab, size_t n_rows_max); // 0 or -ENOMEM
void device_draws_deinit(struct device_draws *draws);                                 // no-op on a zeroed struct
void device_draws_reset(struct device_draws *draws);                                  // a new step
// Adds a row; of the input all but the logits count. Draws that wait for others before them (guesses) tell by `ahead`
// how many tokens. False, and nothing is added: the host is to draw it. Does not allocate.
bool device_draws_add(struct device_draws *draws, const struct sampler_input *input, uint32_t ahead, bool wants_probs,
                      uint32_t n_top);
// Adds a row that nobody will look at.
void device_draws_add_nothing(struct device_draws *draws);

#endif
