// The tables, and what their entries mean for a config.
#include "engine/model/weights_table.h"
#include "kernels/quant.h"
#include <stddef.h>
#include <stdlib.h>

#define IN_LAYER(member)      LAYER, true, offsetof(struct layer_weights, member)
#define LAYER_VECTOR(member)  LAYER, false, offsetof(struct layer_weights, member)
#define IN_DENSE(member)      DENSE_LAYER, true, offsetof(struct layer_weights, member)
#define DENSE_VECTOR(member)  DENSE_LAYER, false, offsetof(struct layer_weights, member)
#define EXPERT_VECTOR(member) EXPERT, false, offsetof(struct expert_weights, member)
#define IN_EXPERT(member)     EXPERT, true, offsetof(struct expert_weights, member)

const struct weight_place weight_places[N_PLACES] = {
    [ATTN_NORM] = { LAYER_VECTOR(attn_norm), DIM_1, DIM_EMBD, 0, 0 },
    [ATTN_POST_NORM] = { LAYER_VECTOR(attn_post_norm), DIM_1, DIM_EMBD, FEATURE_POST_NORMS, 0 },
    [MLP_POST_NORM] = { LAYER_VECTOR(mlp_post_norm), DIM_1, DIM_EMBD, FEATURE_POST_NORMS, 0 },
    [QKV] = { IN_LAYER(qkv), DIM_QKV, DIM_EMBD, 0, 0 },
    [QKV_B] = { LAYER_VECTOR(qkv_bias), DIM_1, DIM_QKV, FEATURE_QKV_BIAS, 0 },
    [Q_NORM] = { LAYER_VECTOR(q_norm), DIM_1, DIM_HEAD, FEATURE_QK_NORM, 0 },
    [K_NORM] = { LAYER_VECTOR(k_norm), DIM_1, DIM_HEAD, FEATURE_QK_NORM, 0 },
    [O] = { IN_LAYER(o), DIM_EMBD, DIM_Q, 0, 0 },
    [O_B] = { LAYER_VECTOR(o_bias), DIM_1, DIM_EMBD, FEATURE_O_BIAS, 0 },
    [MLP_NORM] = { LAYER_VECTOR(mlp_norm), DIM_1, DIM_EMBD, 0, 0 },
    [GATE_UP] = { IN_DENSE(gate_up), DIM_2FF, DIM_EMBD, 0, 0 },
    [GATE_UP_B] = { DENSE_VECTOR(gate_up_bias), DIM_1, DIM_2FF, FEATURE_MLP_BIAS, 0 },
    [DOWN] = { IN_DENSE(down), DIM_EMBD, DIM_FF, 0, 0 },
    [DOWN_B] = { DENSE_VECTOR(down_bias), DIM_1, DIM_EMBD, FEATURE_MLP_BIAS, 0 },
    [ROUTER] = { EXPERT_LAYER, true, offsetof(struct layer_weights, router), DIM_EXPERTS, DIM_EMBD, 0, 0 },
    [EXPERT_GATE_UP] = { IN_EXPERT(gate_up), DIM_2FFE, DIM_EMBD, 0, 0 },
    [EXPERT_DOWN] = { IN_EXPERT(down), DIM_EMBD, DIM_FFE, 0, 0 },
    [EXPERT_GATE_UP_B] = { EXPERT_VECTOR(gate_up_bias), DIM_1, DIM_2FFE, FEATURE_EXPERT_BIAS, 0 },
    [EXPERT_DOWN_B] = { EXPERT_VECTOR(down_bias), DIM_1, DIM_EMBD, FEATURE_EXPERT_BIAS, 0 },
    [ROUTER_B] = { EXPERT_LAYER, false, offsetof(struct layer_weights, router_bias), DIM_1, DIM_EXPERTS,
                   FEATURE_EXPERT_BIAS, 0 },
    [SINKS] = { LAYER_VECTOR(sinks), DIM_1, DIM_HEADS, FEATURE_SINKS, 0 },
    [EMBED] = { MODEL, true, offsetof(struct weights, embed), DIM_VOCAB, DIM_EMBD, 0, 0 },
    [FINAL_NORM] = { MODEL, false, offsetof(struct weights, final_norm), DIM_1, DIM_EMBD, 0, 0 },
    [LM_HEAD] = { MODEL, true, offsetof(struct weights, lm_head), DIM_VOCAB, DIM_EMBD, 0, FEATURE_TIED },
};

// `at`: first row (of a matrix) or element (of a vector) of the place that the tensor fills; `n`: how many.
static const struct weight_part hugging_face_parts[] = {
    { EMBED, "model.embed_tokens.weight", DIM_0, DIM_VOCAB, 0, 0 },
    { ATTN_NORM, "model.layers.%u.input_layernorm.weight", DIM_0, DIM_EMBD, 0, 0 },
    { QKV, "model.layers.%u.self_attn.q_proj.weight", DIM_0, DIM_Q, 0, FEATURE_FUSED },
    { QKV, "model.layers.%u.self_attn.k_proj.weight", DIM_Q, DIM_KV, 0, FEATURE_FUSED },
    { QKV, "model.layers.%u.self_attn.v_proj.weight", DIM_Q_KV, DIM_KV, 0, FEATURE_FUSED },
    { QKV, "model.layers.%u.self_attn.qkv_proj.weight", DIM_0, DIM_QKV, FEATURE_FUSED, 0 },
    { QKV_B, "model.layers.%u.self_attn.q_proj.bias", DIM_0, DIM_Q, 0, 0 },
    { QKV_B, "model.layers.%u.self_attn.k_proj.bias", DIM_Q, DIM_KV, 0, 0 },
    { QKV_B, "model.layers.%u.self_attn.v_proj.bias", DIM_Q_KV, DIM_KV, 0, 0 },
    { Q_NORM, "model.layers.%u.self_attn.q_norm.weight", DIM_0, DIM_HEAD, 0, 0 },
    { K_NORM, "model.layers.%u.self_attn.k_norm.weight", DIM_0, DIM_HEAD, 0, 0 },
    { O, "model.layers.%u.self_attn.o_proj.weight", DIM_0, DIM_EMBD, 0, 0 },
    { O_B, "model.layers.%u.self_attn.o_proj.bias", DIM_0, DIM_EMBD, 0, 0 },
    { MLP_NORM, "model.layers.%u.post_attention_layernorm.weight", DIM_0, DIM_EMBD, 0, FEATURE_POST_NORMS },
    { ATTN_POST_NORM, "model.layers.%u.post_attention_layernorm.weight", DIM_0, DIM_EMBD, 0, 0 },
    { MLP_NORM, "model.layers.%u.pre_feedforward_layernorm.weight", DIM_0, DIM_EMBD, FEATURE_POST_NORMS, 0 },
    { MLP_POST_NORM, "model.layers.%u.post_feedforward_layernorm.weight", DIM_0, DIM_EMBD, 0, 0 },
    { GATE_UP, "model.layers.%u.mlp.gate_proj.weight", DIM_0, DIM_FF, 0, FEATURE_FUSED },
    { GATE_UP, "model.layers.%u.mlp.up_proj.weight", DIM_FF, DIM_FF, 0, FEATURE_FUSED },
    { GATE_UP, "model.layers.%u.mlp.gate_up_proj.weight", DIM_0, DIM_2FF, FEATURE_FUSED, 0 },
    { GATE_UP_B, "model.layers.%u.mlp.gate_proj.bias", DIM_0, DIM_FF, 0, 0 },
    { GATE_UP_B, "model.layers.%u.mlp.up_proj.bias", DIM_FF, DIM_FF, 0, 0 },
    { DOWN, "model.layers.%u.mlp.down_proj.weight", DIM_0, DIM_EMBD, 0, 0 },
    { DOWN_B, "model.layers.%u.mlp.down_proj.bias", DIM_0, DIM_EMBD, 0, 0 },
    { ROUTER, "model.layers.%u.mlp.gate.weight", DIM_0, DIM_EXPERTS, 0, FEATURE_BLOCK_SPARSE | FEATURE_MXFP4 },
    { EXPERT_GATE_UP, "model.layers.%u.mlp.experts.%u.gate_proj.weight", DIM_0, DIM_FFE, 0,
      FEATURE_BLOCK_SPARSE | FEATURE_MXFP4 },
    { EXPERT_GATE_UP, "model.layers.%u.mlp.experts.%u.up_proj.weight", DIM_FFE, DIM_FFE, 0,
      FEATURE_BLOCK_SPARSE | FEATURE_MXFP4 },
    { EXPERT_DOWN, "model.layers.%u.mlp.experts.%u.down_proj.weight", DIM_0, DIM_EMBD, 0,
      FEATURE_BLOCK_SPARSE | FEATURE_MXFP4 },
    { ROUTER, "model.layers.%u.block_sparse_moe.gate.weight", DIM_0, DIM_EXPERTS, FEATURE_BLOCK_SPARSE, 0 },
    { EXPERT_GATE_UP, "model.layers.%u.block_sparse_moe.experts.%u.w1.weight", DIM_0, DIM_FFE, FEATURE_BLOCK_SPARSE,
      0 },
    { EXPERT_GATE_UP, "model.layers.%u.block_sparse_moe.experts.%u.w3.weight", DIM_FFE, DIM_FFE, FEATURE_BLOCK_SPARSE,
      0 },
    { EXPERT_DOWN, "model.layers.%u.block_sparse_moe.experts.%u.w2.weight", DIM_0, DIM_EMBD, FEATURE_BLOCK_SPARSE, 0 },
    { SINKS, "model.layers.%u.self_attn.sinks", DIM_0, DIM_HEADS, 0, 0 },
    { ROUTER, "model.layers.%u.mlp.router.weight", DIM_0, DIM_EXPERTS, FEATURE_MXFP4, 0 },
    { ROUTER_B, "model.layers.%u.mlp.router.bias", DIM_0, DIM_EXPERTS, 0, 0 },
    { EXPERT_GATE_UP, "model.layers.%u.mlp.experts.gate_up_proj_blocks", DIM_0, DIM_2FFE, FEATURE_MXFP4, 0,
      STACKED_GROUPS, HALVES_INTERLEAVED },
    { EXPERT_GATE_UP, "model.layers.%u.mlp.experts.gate_up_proj_scales", DIM_0, DIM_2FFE, FEATURE_MXFP4, 0,
      STACKED_SCALES },
    { EXPERT_GATE_UP_B, "model.layers.%u.mlp.experts.gate_up_proj_bias", DIM_0, DIM_2FFE, FEATURE_MXFP4, 0, STACKED,
      HALVES_INTERLEAVED },
    { EXPERT_DOWN, "model.layers.%u.mlp.experts.down_proj_blocks", DIM_0, DIM_EMBD, FEATURE_MXFP4, 0, STACKED_GROUPS },
    { EXPERT_DOWN, "model.layers.%u.mlp.experts.down_proj_scales", DIM_0, DIM_EMBD, FEATURE_MXFP4, 0, STACKED_SCALES },
    { EXPERT_DOWN_B, "model.layers.%u.mlp.experts.down_proj_bias", DIM_0, DIM_EMBD, FEATURE_MXFP4, 0, STACKED },
    { FINAL_NORM, "model.norm.weight", DIM_0, DIM_EMBD, 0, 0 },
    { LM_HEAD, "lm_head.weight", DIM_0, DIM_VOCAB, 0, 0 },
};

// Names: https://github.com/ggml-org/llama.cpp, gguf-py/gguf/constants.py (TENSOR_NAMES).
static const struct weight_part gguf_parts[] = {
    { EMBED, "token_embd.weight", DIM_0, DIM_VOCAB, 0, 0 },
    { ATTN_NORM, "blk.%u.attn_norm.weight", DIM_0, DIM_EMBD, 0, 0 },
    { QKV, "blk.%u.attn_q.weight", DIM_0, DIM_Q, 0, FEATURE_FUSED, PLAIN, HEADS_INTERLEAVED },
    { QKV, "blk.%u.attn_k.weight", DIM_Q, DIM_KV, 0, FEATURE_FUSED, PLAIN, HEADS_INTERLEAVED },
    { QKV, "blk.%u.attn_v.weight", DIM_Q_KV, DIM_KV, 0, FEATURE_FUSED },
    { QKV, "blk.%u.attn_qkv.weight", DIM_0, DIM_QKV, FEATURE_FUSED, 0 },
    { QKV_B, "blk.%u.attn_q.bias", DIM_0, DIM_Q, 0, 0, PLAIN, HEADS_INTERLEAVED },
    { QKV_B, "blk.%u.attn_k.bias", DIM_Q, DIM_KV, 0, 0, PLAIN, HEADS_INTERLEAVED },
    { QKV_B, "blk.%u.attn_v.bias", DIM_Q_KV, DIM_KV, 0, 0 },
    { Q_NORM, "blk.%u.attn_q_norm.weight", DIM_0, DIM_HEAD, 0, 0 },
    { K_NORM, "blk.%u.attn_k_norm.weight", DIM_0, DIM_HEAD, 0, 0 },
    { O, "blk.%u.attn_output.weight", DIM_0, DIM_EMBD, 0, 0 },
    { O_B, "blk.%u.attn_output.bias", DIM_0, DIM_EMBD, 0, 0 },
    { SINKS, "blk.%u.attn_sinks.weight", DIM_0, DIM_HEADS, 0, 0 },
    { MLP_NORM, "blk.%u.ffn_norm.weight", DIM_0, DIM_EMBD, 0, FEATURE_SINKS },
    { MLP_NORM, "blk.%u.post_attention_norm.weight", DIM_0, DIM_EMBD, FEATURE_SINKS, 0 },
    { ATTN_POST_NORM, "blk.%u.post_attention_norm.weight", DIM_0, DIM_EMBD, 0, 0 },
    { MLP_POST_NORM, "blk.%u.post_ffw_norm.weight", DIM_0, DIM_EMBD, 0, 0 },
    { GATE_UP, "blk.%u.ffn_gate.weight", DIM_0, DIM_FF, 0, FEATURE_FUSED },
    { GATE_UP, "blk.%u.ffn_up.weight", DIM_FF, DIM_FF, 0, FEATURE_FUSED },
    { GATE_UP, "blk.%u.ffn_up.weight", DIM_0, DIM_2FF, FEATURE_FUSED, 0 },
    { GATE_UP_B, "blk.%u.ffn_gate.bias", DIM_0, DIM_FF, 0, 0 },
    { GATE_UP_B, "blk.%u.ffn_up.bias", DIM_FF, DIM_FF, 0, 0 },
    { DOWN, "blk.%u.ffn_down.weight", DIM_0, DIM_EMBD, 0, 0 },
    { DOWN_B, "blk.%u.ffn_down.bias", DIM_0, DIM_EMBD, 0, 0 },
    { ROUTER, "blk.%u.ffn_gate_inp.weight", DIM_0, DIM_EXPERTS, 0, 0 },
    { ROUTER_B, "blk.%u.ffn_gate_inp.bias", DIM_0, DIM_EXPERTS, 0, 0 },
    { EXPERT_GATE_UP, "blk.%u.ffn_gate_exps.weight", DIM_0, DIM_FFE, 0, 0, STACKED },
    { EXPERT_GATE_UP, "blk.%u.ffn_up_exps.weight", DIM_FFE, DIM_FFE, 0, 0, STACKED },
    { EXPERT_DOWN, "blk.%u.ffn_down_exps.weight", DIM_0, DIM_EMBD, 0, 0, STACKED },
    { EXPERT_GATE_UP_B, "blk.%u.ffn_gate_exps.bias", DIM_0, DIM_FFE, 0, 0, STACKED },
    { EXPERT_GATE_UP_B, "blk.%u.ffn_up_exps.bias", DIM_FFE, DIM_FFE, 0, 0, STACKED },
    { EXPERT_DOWN_B, "blk.%u.ffn_down_exps.bias", DIM_0, DIM_EMBD, 0, 0, STACKED },
    { FINAL_NORM, "output_norm.weight", DIM_0, DIM_EMBD, 0, 0 },
    { LM_HEAD, "output.weight", DIM_0, DIM_VOCAB, 0, 0 },
};

const struct weight_scheme *weight_scheme_of(enum checkpoint_format format)
{
    static const struct weight_scheme schemes[] = {
        [CHECKPOINT_SAFETENSORS] = { hugging_face_parts, sizeof(hugging_face_parts) / sizeof(*hugging_face_parts),
                                     "config.json asks" },
        [CHECKPOINT_GGUF] = { gguf_parts, sizeof(gguf_parts) / sizeof(*gguf_parts), "the metadata asks" },
    };
    return &schemes[format];
}

size_t weight_dim(const struct model_config *c, enum dim dim)
{
    size_t n_q = (size_t)c->n_heads * c->head_dim, n_kv = (size_t)c->n_kv_heads * c->head_dim;
    switch (dim) {
    case DIM_0: return 0;
    case DIM_1: return 1;
    case DIM_EMBD: return c->n_embd;
    case DIM_Q: return n_q;
    case DIM_KV: return n_kv;
    case DIM_QKV: return n_q + 2 * n_kv;
    case DIM_Q_KV: return n_q + n_kv;
    case DIM_HEAD: return c->head_dim;
    case DIM_FF: return c->n_ff;
    case DIM_2FF: return 2 * (size_t)c->n_ff;
    case DIM_HEADS: return c->n_heads;
    case DIM_EXPERTS: return c->n_experts;
    case DIM_FFE: return c->n_ff_expert;
    case DIM_2FFE: return 2 * (size_t)c->n_ff_expert;
    case DIM_VOCAB: return c->n_vocab;
    }
    abort();
}

bool weight_has_place(const struct model_config *c, enum place_id id)
{
    return model_has(c, weight_places[id].needs) && !(c->features & weight_places[id].excludes);
}

bool weight_has_part(const struct model_config *c, const struct weight_part *part)
{
    return weight_has_place(c, part->place) && model_has(c, part->needs) && !(c->features & part->excludes);
}

enum dtype weight_stored_dtype(const struct model_config *c, enum place_id id, enum dtype dtype, enum weight_form form)
{
    bool is_whole = weight_dim(c, weight_places[id].n_in) % QUANT_BLOCK == 0;
    if (form == WEIGHTS_AS_STORED || id == ROUTER || !weight_places[id].is_matrix || !is_whole) {
        return dtype;
    }
    return form == WEIGHTS_Q8 || id == EMBED || id == LM_HEAD ? DTYPE_Q8_0 : DTYPE_Q4_0;
}

uint32_t weight_n_units(const struct model_config *c, enum place_id id)
{
    switch (weight_places[id].scope) {
    case MODEL: return 1;
    case EXPERT: return c->n_layers * c->n_experts;
    default: return c->n_layers;
    }
}

struct weight_unit weight_unit_at(const struct model_config *c, enum place_id id, uint32_t idx)
{
    if (weight_places[id].scope == EXPERT) {
        return (struct weight_unit){ idx / c->n_experts, idx % c->n_experts };
    }
    return (struct weight_unit){ idx, 0 };
}

bool weight_has_unit(const struct model_config *c, enum place_id id, struct weight_unit unit)
{
    bool has_experts = c->layers[unit.layer] & LAYER_EXPERTS;
    switch (weight_places[id].scope) {
    case DENSE_LAYER: return !has_experts;
    case EXPERT_LAYER:
    case EXPERT: return has_experts;
    default: return true;
    }
}

uint32_t weight_pack_use(const struct weight_scheme *scheme, const struct model_config *c, size_t part_idx,
                         struct weight_unit unit)
{
    uint32_t n_experts = c->n_experts > 0 ? c->n_experts : 1;
    return (unit.layer * n_experts + unit.expert) * (uint32_t)scheme->n_parts + (uint32_t)part_idx;
}

const struct weight_part *weight_unpack_use(const struct weight_scheme *scheme, const struct model_config *c,
                                            uint32_t use, struct weight_unit *ret)
{
    uint32_t n_experts = c->n_experts > 0 ? c->n_experts : 1, at = use / (uint32_t)scheme->n_parts;
    *ret = (struct weight_unit){ at / n_experts, at % n_experts };
    return &scheme->parts[use % scheme->n_parts];
}
