// The shapes of models that tokfs-model random makes, by name.
#ifndef TOKFS_TOOLS_MODEL_RANDOM_SHAPES_H
#define TOKFS_TOOLS_MODEL_RANDOM_SHAPES_H

#include "engine/base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct random_shape {
    const char *name, *architecture, *model_type;
    uint32_t n_vocab, n_embd, n_ff, n_layers, n_heads, n_kv_heads, head_dim, n_ctx_max;
    bool tie_embeddings;
    double rms_eps, rope_theta;
    double llama3_factor; // of its rope scaling; 0: none
};

#define RANDOM_SHAPE_LIST "llama-1b, llama-8b, qwen-0.5b, qwen3-0.6b, gemma2-2b, llama-15m or tiny"

extern const char *const random_dtype_names[]; // by enum dtype; NULL ends them

// The value of --shape: 0, or -EINVAL with err, which lists the names.
int random_shape_find(const char *name, const struct random_shape **ret, struct err *err);

#endif
