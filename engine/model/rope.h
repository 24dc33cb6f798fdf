// Rotary positions: which settings a model has, and the frequencies that follow from them.
#ifndef TOKFS_MODEL_ROPE_H
#define TOKFS_MODEL_ROPE_H

#include "engine/base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct config_reader;

enum rope_scaling { ROPE_SCALING_NONE, ROPE_SCALING_LINEAR, ROPE_SCALING_LLAMA3 };

struct rope_config {
    enum rope_scaling scaling;
    double theta;
    uint32_t n_dims;                          // of a head, from its first on, that turn; even
    uint32_t n_ctx_original;                  // llama3: before scaling
    double factor;                            // all but none
    double low_freq_factor, high_freq_factor; // llama3
};

// Reads rope_theta and rope_scaling or (transformers 5) rope_parameters, which holds both. `r` reads the whole
// config.json; `theta` is for where none is given.
int rope_parse(const struct config_reader *r, double theta, uint32_t head_dim, uint32_t n_ctx_max,
               struct rope_config *ret);
// inv_freq[n_dims / 2] with the scaling applied, as transformers computes it (in f32), and the factor for cos and sin.
void rope_frequencies(const struct rope_config *rope, float *inv_freq, float *ret_attn_scale);
const char *rope_scaling_name(enum rope_scaling scaling);

#endif
