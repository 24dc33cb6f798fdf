// Rotary positions: which settings a model has, and the frequencies that follow from them.
#ifndef TOKFS_MODEL_ROPE_H
#define TOKFS_MODEL_ROPE_H

#include "engine/base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct config_reader;

#define ROPE_FACTORS_MAX 256 // of longrope, one per pair of dimensions

enum rope_scaling {
    ROPE_SCALING_NONE,
    ROPE_SCALING_LINEAR,
    ROPE_SCALING_LLAMA3,
    ROPE_SCALING_YARN,
    ROPE_SCALING_LONGROPE,
    ROPE_SCALING_FACTORS, // of a GGUF file: one set of them, already computed
};

struct rope_config {
    enum rope_scaling scaling;
    double theta;
    uint32_t n_dims;                          // of a head, from its first on, that turn; even
    uint32_t n_ctx_original;                  // llama3, yarn, longrope: before scaling
    double factor;                            // all but none
    double low_freq_factor, high_freq_factor; // llama3
    double beta_fast, beta_slow;              // yarn
    bool is_truncated;                        // yarn: its range of dimensions is rounded
    double attn_scale;                        // of cosines and sines
    float short_factors[ROPE_FACTORS_MAX], long_factors[ROPE_FACTORS_MAX]; // longrope: [n_dims / 2]; factors: the first
};

// Where the settings of one rope are in config.json.
struct rope_source {
    const char *theta_key; // beside rope_scaling
    const char *nested;    // the object of rope_parameters that holds them; NULL: rope_parameters itself
    bool takes_scaling;    // rope_scaling is about this rope
    bool may_be_partial;   // partial_rotary_factor counts
    double theta;          // where none is given
    uint32_t head_dim, n_ctx_max;
};

// Reads rope_theta and rope_scaling or (transformers 5) rope_parameters, which holds both. `r` reads the whole
// config.json.
int rope_parse(const struct config_reader *r, const struct rope_source *source, struct rope_config *ret);
// inv_freq[n_dims / 2] with the scaling applied, as transformers computes it (in f32), and the factor for cos and sin.
// Longrope has two sets of factors: the long one holds where a sequence may be longer (n_ctx) than the model's original
// context. transformers chooses by the sequence's length so far; a sequence's past would then depend on its future.
void rope_frequencies(const struct rope_config *rope, uint32_t n_ctx, float *inv_freq, float *ret_attn_scale);
const char *rope_scaling_name(enum rope_scaling scaling);

#endif
