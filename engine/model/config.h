// What a model is: the contents of config.json as the transformer step needs them.
//
// Families that share the decoder skeleton are told apart by these fields, not by code: a new family is a row in the
// table of architectures (config.c) and, where it must be, a new field here. What is not known is refused by its name.
#ifndef TOKFS_MODEL_CONFIG_H
#define TOKFS_MODEL_CONFIG_H

#include "engine/base/err.h"
#include "engine/base/str.h"
#include "kernels/dtype.h"
#include <stdbool.h>
#include <stdint.h>

#define MODEL_EOS_MAX 16

enum rope_scaling { ROPE_SCALING_NONE, ROPE_SCALING_LINEAR, ROPE_SCALING_LLAMA3 };

struct model_config {
    char architecture[64]; // "LlamaForCausalLM"
    char model_type[32];   // "llama"
    uint32_t n_vocab, n_embd, n_ff, n_layers, n_heads, n_kv_heads, head_dim;
    uint32_t n_ctx_max; // max_position_embeddings
    float rms_eps;
    bool tie_embeddings;
    bool qkv_bias, o_bias, mlp_bias;
    double rope_theta;
    enum rope_scaling rope_scaling;
    struct {
        double factor, low_freq_factor, high_freq_factor;
        uint32_t n_ctx_original;
    } rope;
    enum dtype dtype;               // torch_dtype; the tensors' own types decide
    int32_t bos_id;                 // -1: none
    int32_t eos_ids[MODEL_EOS_MAX]; // config.json's and generation_config.json's, without repeats
    uint32_t n_eos;
};

// Parses the text of a config.json (and, when not empty, of a generation_config.json, which adds end tokens). -EINVAL
// names the field; -EOPNOTSUPP names the architecture, rope type, activation ... that is not implemented.
int model_config_parse(struct str config_json, struct str generation_json, struct model_config *ret, struct err *err);
// inv_freq[head_dim / 2] with the scaling applied, as transformers computes it (in f32), and the factor for cos and
// sin.
void model_config_rope_frequencies(const struct model_config *config, float *inv_freq, float *ret_attn_scale);
uint64_t model_config_n_params(const struct model_config *config);

#endif
