// What a model is: the contents of config.json as the transformer step needs them.
//
// Families that share the decoder skeleton are told apart by these fields, not by code: a new family is a row in the
// table of families (family.c) and, where it must be, a new feature here. What is not known is refused by its name.
#ifndef TOKFS_MODEL_CONFIG_H
#define TOKFS_MODEL_CONFIG_H

#include "engine/base/err.h"
#include "engine/base/str.h"
#include "engine/model/f8.h"
#include "engine/model/rope.h"
#include "kernels/backend.h"
#include <stdbool.h>
#include <stdint.h>

#define MODEL_EOS_MAX     16
#define MODEL_LAYERS_MAX  1024
#define MODEL_EXPERTS_MAX 1024

// What a decoder has, or how its tensors lie in the file.
enum model_feature {
    FEATURE_QKV_BIAS = 1 << 0,
    FEATURE_O_BIAS = 1 << 1,
    FEATURE_MLP_BIAS = 1 << 2,
    FEATURE_TIED = 1 << 3,               // the head is the table of embeddings
    FEATURE_QK_NORM = 1 << 4,            // RMS norms of each head of Q and K before they turn
    FEATURE_NOPE_LAYERS = 1 << 5,        // some layers do not turn Q and K
    FEATURE_WINDOW_ROPE = 1 << 8,        // windowed layers have a rope of their own
    FEATURE_NORM_PLUS_ONE = 1 << 9,      // norms multiply by 1 + weight
    FEATURE_POST_NORMS = 1 << 10,        // what attention and feed-forward give is normed before it is added
    FEATURE_SCALED_EMBEDDINGS = 1 << 11, // embeddings are multiplied by the root of their size
    FEATURE_SOFTCAPS = 1 << 12,          // attn_logit_softcapping and final_logit_softcapping count
    FEATURE_QUERY_SCALAR = 1 << 13,      // query_pre_attn_scalar replaces head_dim in the scale of scores
    FEATURE_EXPERTS = 1 << 14,           // feed-forwards of some layers are mixtures of experts
    FEATURE_NORMED_TOPK = 1 << 15,       // weights of the experts that a token uses sum to 1
    FEATURE_BLOCK_SPARSE = 1 << 16,      // the file calls them block_sparse_moe
    FEATURE_SINKS = 1 << 17,             // attention may go to nothing: a score per head that takes part in the sum
    FEATURE_EXPERT_BIAS = 1 << 18,       // router and experts have biases
    FEATURE_MXFP4 = 1 << 19,             // experts are stacked, of type MXFP4, gate and up row by row
    FEATURE_PARTIAL_ROPE = 1 << 6,       // partial_rotary_factor counts
    FEATURE_PERMUTED = 1 << 20,          // rows of q and k: dimensions that turn together lie side by side
    FEATURE_F8 = 1 << 21,                // projections may be of type F8_E4M3, with scales
    FEATURE_FUSED = 1 << 7,              // the file has one tensor for q, k, v and one for gate and up
};

// Of a layer.
enum layer_flag {
    LAYER_WINDOWED = 1 << 0, // attention sees the last `window` positions only
    LAYER_EXPERTS = 1 << 2,  // its feed-forward is a mixture
    LAYER_NOPE = 1 << 1,     // Q and K are not turned
};

// How weights of F8_E4M3 may be scaled, with FEATURE_F8.
struct f8_config {
    struct f8_grid block; // zeros: not by blocks
    bool has_rows;        // one scale, or one per row
    bool is_kept;         // for the loader: they may stay codes and scales; else they become bf16
};

struct model_config {
    char architecture[64]; // "LlamaForCausalLM"
    char model_type[32];   // "llama"
    uint32_t features;     // FEATURE_*
    uint32_t n_vocab, n_embd, n_ff, n_layers, n_heads, n_kv_heads, head_dim;
    uint32_t n_experts, n_experts_used, n_ff_expert; // 0: no layer has experts
    uint32_t n_ctx_max;                              // max_position_embeddings
    uint32_t window; // positions that a windowed layer sees, its own among them; 0: no layer is windowed
    uint8_t layers[MODEL_LAYERS_MAX]; // LAYER_*, of the first n_layers
    float rms_eps;
    enum glu activation;
    float attn_scale;                  // of the scores
    float attn_softcap, logit_softcap; // 0: none
    struct rope_config rope;
    struct rope_config window_rope; // of windowed layers, with FEATURE_WINDOW_ROPE
    struct f8_config f8;
    enum dtype dtype;               // torch_dtype; the tensors' own types decide
    int32_t bos_id;                 // -1: none
    int32_t eos_ids[MODEL_EOS_MAX]; // config.json's and generation_config.json's, without repeats
    uint32_t n_eos;
};

static inline bool model_has(const struct model_config *config, uint32_t features) // all of them
{
    return (config->features & features) == features;
}

// Parses the text of a config.json (and, when not empty, of a generation_config.json, which adds end tokens). -EINVAL
// names the field; -EOPNOTSUPP names the architecture, rope type, activation ... that is not implemented.
int model_config_parse(struct str config_json, struct str generation_json, struct model_config *ret, struct err *err);
uint64_t model_config_n_params(const struct model_config *config);

#endif
