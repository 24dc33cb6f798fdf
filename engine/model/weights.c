// From tensors with names to matrices on a backend.
//
// Two tables describe a decoder: `places`, what it holds (a matrix or a vector, in a layer or outside), and `parts`,
// which tensor of the file fills which rows of which place. A family with other names or other fused tensors is other
// rows.
//
// Matrices keep the type of the file and are filled run by run as the file is read, so that no second copy of the
// weights exists; experts of MXFP4 become bf16, for which their scales are read first. Vectors (norms, biases) become
// f32. Everything is checked (weights_bind) before the first byte is loaded.
#include "engine/model/weights.h"
#include "engine/model/mxfp4.h"
#include "kernels/cpu/convert.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum dim {
    DIM_0,
    DIM_1,
    DIM_EMBD,
    DIM_Q,
    DIM_KV,
    DIM_QKV,
    DIM_Q_KV,
    DIM_HEAD,
    DIM_FF,
    DIM_2FF,
    DIM_HEADS,
    DIM_EXPERTS,
    DIM_FFE,
    DIM_2FFE,
    DIM_VOCAB
};

enum place_id {
    ATTN_NORM,
    ATTN_POST_NORM,
    QKV,
    QKV_B,
    Q_NORM,
    K_NORM,
    O,
    O_B,
    MLP_NORM,
    MLP_POST_NORM,
    GATE_UP,
    GATE_UP_B,
    DOWN,
    DOWN_B,
    ROUTER,
    EXPERT_GATE_UP,
    EXPERT_DOWN,
    EXPERT_GATE_UP_B,
    EXPERT_DOWN_B,
    ROUTER_B,
    SINKS,
    EMBED,
    FINAL_NORM,
    LM_HEAD,
    N_PLACES
};

// How many of a place there are: one, one in every layer, in those without or with experts, one per expert.
enum scope { MODEL, LAYER, DENSE_LAYER, EXPERT_LAYER, EXPERT };

struct place {
    enum scope scope;
    bool is_matrix;
    size_t offset; // of the pointer in struct weights, layer_weights or expert_weights
    enum dim n_out, n_in;
    uint32_t needs, excludes; // FEATURE_*
};

#define IN_LAYER(member)      LAYER, true, offsetof(struct layer_weights, member)
#define LAYER_VECTOR(member)  LAYER, false, offsetof(struct layer_weights, member)
#define IN_DENSE(member)      DENSE_LAYER, true, offsetof(struct layer_weights, member)
#define DENSE_VECTOR(member)  DENSE_LAYER, false, offsetof(struct layer_weights, member)
#define EXPERT_VECTOR(member) EXPERT, false, offsetof(struct expert_weights, member)
#define IN_EXPERT(member)     EXPERT, true, offsetof(struct expert_weights, member)

static const struct place places[N_PLACES] = {
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
// How a tensor holds its part: as it is; or one tensor for all experts of a layer, [n_experts] of the part: plain, or
// groups or scales of MXFP4.
enum packing { PLAIN, STACKED, STACKED_GROUPS, STACKED_SCALES };

static const struct part {
    enum place_id place;
    char name[80]; // %u: layer, expert
    enum dim at, n;
    uint32_t needs, excludes; // FEATURE_*
    enum packing packing;
    bool is_interleaved; // rows 2i and 2i + 1 are row i of either half
} parts[] = {
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
      STACKED_GROUPS, true },
    { EXPERT_GATE_UP, "model.layers.%u.mlp.experts.gate_up_proj_scales", DIM_0, DIM_2FFE, FEATURE_MXFP4, 0,
      STACKED_SCALES },
    { EXPERT_GATE_UP_B, "model.layers.%u.mlp.experts.gate_up_proj_bias", DIM_0, DIM_2FFE, FEATURE_MXFP4, 0, STACKED,
      true },
    { EXPERT_DOWN, "model.layers.%u.mlp.experts.down_proj_blocks", DIM_0, DIM_EMBD, FEATURE_MXFP4, 0, STACKED_GROUPS },
    { EXPERT_DOWN, "model.layers.%u.mlp.experts.down_proj_scales", DIM_0, DIM_EMBD, FEATURE_MXFP4, 0, STACKED_SCALES },
    { EXPERT_DOWN_B, "model.layers.%u.mlp.experts.down_proj_bias", DIM_0, DIM_EMBD, FEATURE_MXFP4, 0, STACKED },
    { FINAL_NORM, "model.norm.weight", DIM_0, DIM_EMBD, 0, 0 },
    { LM_HEAD, "lm_head.weight", DIM_0, DIM_VOCAB, 0, 0 },
};
#define N_PARTS (sizeof(parts) / sizeof(*parts))

static size_t dim_of(const struct model_config *c, enum dim dim)
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

static bool has_place(const struct model_config *c, enum place_id id)
{
    return model_has(c, places[id].needs) && !(c->features & places[id].excludes);
}

static bool has_part(const struct model_config *c, const struct part *part)
{
    return has_place(c, part->place) && model_has(c, part->needs) && !(c->features & part->excludes);
}

// One of the things that a place stands for.
struct unit {
    uint32_t layer, expert;
};

static uint32_t n_units(const struct model_config *c, enum place_id id)
{
    switch (places[id].scope) {
    case MODEL: return 1;
    case EXPERT: return c->n_layers * c->n_experts;
    default: return c->n_layers;
    }
}

static struct unit unit_at(const struct model_config *c, enum place_id id, uint32_t idx)
{
    if (places[id].scope == EXPERT) {
        return (struct unit){ idx / c->n_experts, idx % c->n_experts };
    }
    return (struct unit){ idx, 0 };
}

static bool has_unit(const struct model_config *c, enum place_id id, struct unit unit)
{
    bool has_experts = c->layers[unit.layer] & LAYER_EXPERTS;
    switch (places[id].scope) {
    case DENSE_LAYER: return !has_experts;
    case EXPERT_LAYER:
    case EXPERT: return has_experts;
    default: return true;
    }
}

// ---- list ----------------------------------------------------------------------------------------------------------

static int list_part(const struct model_config *c, const struct part *part, struct unit unit,
                     int (*fn)(void *ctx, const struct weight_spec *spec), void *ctx)
{
    const struct place *place = &places[part->place];
    if (!has_part(c, part) || !has_unit(c, part->place, unit)) {
        return 0;
    }
    assert(part->packing == PLAIN); // nobody lists packed tensors yet
    struct weight_spec spec = { .n_dims = place->is_matrix ? 2 : 1 };
    snprintf(spec.name, sizeof(spec.name), part->name, unit.layer, unit.expert);
    spec.shape[0] = dim_of(c, part->n);
    spec.shape[1] = place->is_matrix ? dim_of(c, place->n_in) : 1;
    return fn(ctx, &spec);
}

static int list_layer(const struct model_config *c, uint32_t layer, size_t first, size_t end,
                      int (*fn)(void *ctx, const struct weight_spec *spec), void *ctx)
{
    int rc = 0;
    for (size_t i = first; rc == 0 && i < end; i++) {
        uint32_t n = places[parts[i].place].scope == EXPERT ? c->n_experts : 1;
        for (uint32_t expert = 0; rc == 0 && expert < n; expert++) {
            rc = list_part(c, &parts[i], (struct unit){ layer, expert }, fn, ctx);
        }
    }
    return rc;
}

int weights_list(const struct model_config *config, int (*fn)(void *ctx, const struct weight_spec *spec), void *ctx)
{
    size_t first = 0; // parts[first .. end) repeat in every layer
    while (places[parts[first].place].scope == MODEL) {
        first++;
    }
    size_t end = first;
    while (places[parts[end].place].scope != MODEL) {
        end++;
    }
    int rc = list_layer(config, 0, 0, first, fn, ctx);
    for (uint32_t layer = 0; rc == 0 && layer < config->n_layers; layer++) {
        rc = list_layer(config, layer, first, end, fn, ctx);
    }
    return rc == 0 ? list_layer(config, 0, end, N_PARTS, fn, ctx) : rc;
}

// ---- binding -------------------------------------------------------------------------------------------------------

// A tensor's user_idx: which part of which unit it is.
static uint32_t pack_use(const struct model_config *c, size_t part_idx, struct unit unit)
{
    uint32_t n_experts = c->n_experts > 0 ? c->n_experts : 1;
    return (unit.layer * n_experts + unit.expert) * (uint32_t)N_PARTS + (uint32_t)part_idx;
}

static const struct part *unpack_use(const struct model_config *c, uint32_t use, struct unit *ret)
{
    uint32_t n_experts = c->n_experts > 0 ? c->n_experts : 1, at = use / (uint32_t)N_PARTS;
    *ret = (struct unit){ at / n_experts, at % n_experts };
    return &parts[use % N_PARTS];
}

static int check_shape(const struct safetensors *st, const struct tensor_info *t, const struct model_config *c,
                       const struct part *part, struct err *err)
{
    const struct place *place = &places[part->place];
    uint64_t n = dim_of(c, part->n), n_in = dim_of(c, place->n_in);
    const char *file = safetensors_file_name(st, t->file_idx);
    if (place->is_matrix && !(t->n_dims == 2 && t->shape[0] == n && t->shape[1] == n_in)) {
        return err_set(err, -EINVAL,
                       "%s: tensor \"%.*s\" has %" PRIu32 " dimensions [%" PRIu64 ", %" PRIu64
                       "], config.json asks for [%" PRIu64 ", %" PRIu64 "]",
                       file, STR_ARG(str_take(t->name, 80)), t->n_dims, t->shape[0], t->shape[1], n, n_in);
    }
    if (!place->is_matrix && !(t->n_dims == 1 && t->shape[0] == n)) {
        return err_set(err, -EINVAL,
                       "%s: tensor \"%.*s\" has %" PRIu32 " dimensions [%" PRIu64 "...], config.json asks for [%" PRIu64
                       "]",
                       file, STR_ARG(str_take(t->name, 80)), t->n_dims, t->shape[0], n);
    }
    return 0;
}

// [n_experts][n], [n_experts][n][n_groups][16] or [n_experts][n][n_groups]
static int check_stacked(const struct safetensors *st, const struct tensor_info *t, const struct model_config *c,
                         const struct part *part, struct err *err)
{
    uint64_t n = dim_of(c, part->n), n_in = dim_of(c, places[part->place].n_in);
    uint64_t want[4] = { c->n_experts, n, n_in / MXFP4_GROUP, MXFP4_GROUP_BYTES };
    uint32_t n_dims = part->packing == STACKED ? 2 : part->packing == STACKED_SCALES ? 3 : 4;
    bool is_packed = part->packing != STACKED, fits = t->n_dims == n_dims && (!is_packed || n_in % MXFP4_GROUP == 0);
    for (uint32_t i = 0; fits && i < n_dims; i++) {
        fits = t->shape[i] == want[i];
    }
    if (!fits) {
        return err_set(err, -EINVAL, "%s: tensor \"%.*s\" has another shape than config.json asks for",
                       safetensors_file_name(st, t->file_idx), STR_ARG(str_take(t->name, 80)));
    }
    return 0;
}

static int bind_part(struct safetensors *st, const struct model_config *c, size_t part_idx, struct unit unit,
                     struct tensor_info **ret, struct err *err)
{
    char name[128];
    snprintf(name, sizeof(name), parts[part_idx].name, unit.layer, unit.expert);
    struct tensor_info *t = safetensors_find(st, str_from(name));
    if (!t) {
        return err_set(err, -EINVAL, "tensor \"%s\" is missing", name);
    }
    bool is_packed = parts[part_idx].packing == STACKED_GROUPS || parts[part_idx].packing == STACKED_SCALES;
    if (is_packed ? !str_eq(t->dtype_name, STR("U8")) : !t->is_loadable) {
        return err_set(err, -EOPNOTSUPP, "%s: tensor \"%s\" has dtype %.*s, which is not supported",
                       safetensors_file_name(st, t->file_idx), name, STR_ARG(t->dtype_name));
    }
    const struct part *part = &parts[part_idx];
    int rc = part->packing == PLAIN ? check_shape(st, t, c, part, err) : check_stacked(st, t, c, part, err);
    if (rc == 0) {
        t->is_used = true;
        t->user_idx = pack_use(c, part_idx, unit);
        *ret = t;
    }
    return rc;
}

// Parts of one matrix must agree in type, since the matrix has one.
static int check_same_dtype(const struct safetensors *st, const struct tensor_info *first, const struct tensor_info *t,
                            struct err *err)
{
    if (first->dtype == t->dtype) {
        return 0;
    }
    return err_set(err, -EOPNOTSUPP, "%s: tensor \"%.*s\" is %s, but \"%.*s\" is %s: they form one matrix",
                   safetensors_file_name(st, t->file_idx), STR_ARG(str_take(t->name, 70)), dtype_name(t->dtype),
                   STR_ARG(str_take(first->name, 70)), dtype_name(first->dtype));
}

static int bind_place(struct safetensors *st, const struct model_config *c, enum place_id id, struct unit unit,
                      enum dtype *ret_dtype, struct err *err)
{
    const struct tensor_info *first = NULL;
    for (size_t i = 0; i < N_PARTS; i++) {
        bool is_other = parts[i].packing != PLAIN && unit.expert > 0; // one tensor for all experts
        if (parts[i].place != id || !has_part(c, &parts[i]) || is_other) {
            continue;
        }
        struct tensor_info *t = NULL;
        int rc = bind_part(st, c, i, unit, &t, err);
        if (rc == 0 && first && places[id].is_matrix) {
            rc = check_same_dtype(st, first, t, err);
        }
        if (rc < 0) {
            return rc;
        }
        first = first ? first : t;
    }
    *ret_dtype = first ? first->dtype : *ret_dtype;
    return 0;
}

static bool is_known_extra(const struct model_config *c, struct str name)
{
    return str_ends_with(name, STR(".rotary_emb.inv_freq")) || // buffers that old versions saved
           (model_has(c, FEATURE_TIED) && str_eq(name, STR("lm_head.weight")));
}

// A tensor that nothing asks for may be one that changes the results.
static int refuse_unused(struct safetensors *st, const struct model_config *c, struct err *err)
{
    size_t n_unused = 0;
    const struct tensor_info *first = NULL;
    for (size_t i = 0; i < safetensors_n_tensors(st); i++) {
        const struct tensor_info *t = safetensors_tensor(st, i);
        if (!t->is_used && !is_known_extra(c, t->name)) {
            n_unused++;
            first = first ? first : t;
        }
    }
    if (n_unused == 0) {
        return 0;
    }
    return err_set(
        err, -EOPNOTSUPP, "%s: \"%.*s\" is not a tensor of %s as config.json describes it (%zu such tensors)",
        safetensors_file_name(st, first->file_idx), STR_ARG(str_take(first->name, 80)), c->architecture, n_unused);
}

int weights_bind(struct safetensors *st, const struct model_config *c, enum dtype *ret_dtype, uint64_t *ret_bytes,
                 struct err *err)
{
    enum dtype dtype = DTYPE_F32, ignored = DTYPE_F32;
    for (int id = 0; id < N_PLACES; id++) {
        for (uint32_t i = 0; has_place(c, id) && i < n_units(c, id); i++) {
            struct unit unit = unit_at(c, id, i);
            int rc = 0;
            if (has_unit(c, id, unit)) {
                rc = bind_place(st, c, id, unit, id == QKV && i == 0 ? &dtype : &ignored, err);
            }
            if (rc < 0) {
                return rc;
            }
        }
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < safetensors_n_tensors(st); i++) {
        const struct tensor_info *t = safetensors_tensor(st, i);
        struct unit unit;
        bool is_expanded = t->is_used && unpack_use(c, t->user_idx, &unit)->packing == STACKED_GROUPS;
        bytes += t->is_used ? (is_expanded ? 4 : 1) * t->bytes : 0;
    }
    int rc = refuse_unused(st, c, err);
    if (rc == 0) {
        *ret_dtype = dtype;
        *ret_bytes = bytes;
    }
    return rc;
}

// ---- loading -------------------------------------------------------------------------------------------------------

#define EXPAND_ROWS 32

struct loader {
    struct weights *w;
    const struct model_config *config;
    float *vector;    // [longest vector], a vector as f32 on the host
    uint8_t **scales; // [n_layers][2], of gate_up and down: [n_experts][n][n_groups]; NULL where nothing is packed
    uint16_t *rows;   // [EXPAND_ROWS][longest row], of expanded matrices
    void (*progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total);
    void *progress_ctx;
};

static void **place_pointer(struct weights *w, enum place_id id, struct unit unit)
{
    char *base = (char *)w;
    if (places[id].scope == EXPERT) {
        base = (char *)&w->layers[unit.layer].experts[unit.expert];
    } else if (places[id].scope != MODEL) {
        base = (char *)&w->layers[unit.layer];
    }
    return (void **)(base + places[id].offset);
}

static int make_place(struct loader *l, enum place_id id, struct unit unit, enum dtype dtype)
{
    struct backend *b = l->w->backend;
    const struct model_config *c = l->config;
    size_t n_out = dim_of(c, places[id].n_out), n_in = dim_of(c, places[id].n_in);
    void **p = place_pointer(l->w, id, unit);
    if (places[id].is_matrix) {
        struct matrix *m = b->ops->matrix_new(b, dtype, n_out, n_in);
        uint64_t bytes = m && id != EMBED ? b->ops->matrix_bytes(m) : 0;
        l->w->bytes_per_step += places[id].scope == EXPERT ? bytes * c->n_experts_used / c->n_experts : bytes;
        *p = m;
    } else {
        *p = b->ops->alloc(b, n_in * sizeof(float));
        l->w->bytes_per_step += n_in * sizeof(float);
    }
    return *p ? 0 : -ENOMEM;
}

// Makes each place when its first bound tensor names its type.
static int make_stack(struct loader *l, const struct tensor_info *t, const struct part *part, struct unit unit)
{
    int rc = 0;
    for (unit.expert = 0; rc == 0 && unit.expert < l->config->n_experts; unit.expert++) {
        rc = make_place(l, part->place, unit, part->packing == STACKED ? t->dtype : DTYPE_BF16);
    }
    return rc;
}

static int make_places(struct loader *l, struct safetensors *st, struct err *err)
{
    for (size_t i = 0; i < safetensors_n_tensors(st); i++) {
        const struct tensor_info *t = safetensors_tensor(st, i);
        struct unit unit;
        const struct part *part = unpack_use(l->config, t->user_idx, &unit);
        if (!t->is_used || *place_pointer(l->w, part->place, unit)) {
            continue;
        }
        int rc = part->packing == PLAIN ? make_place(l, part->place, unit, t->dtype) : make_stack(l, t, part, unit);
        if (rc < 0) {
            return err_set(err, rc, "no memory for \"%.*s\" (%.1f MiB of weights are loaded)",
                           STR_ARG(str_take(t->name, 100)), (double)l->w->bytes_per_step / 0x1p20);
        }
    }
    return 0;
}

static void convert_to_f32(enum dtype dtype, const void *src, float *dst, size_t n)
{
    const uint16_t *half = src;
    for (size_t i = 0; i < n; i++) {
        if (dtype == DTYPE_F32) {
            memcpy(&dst[i], (const char *)src + 4 * i, 4);
        } else {
            dst[i] = dtype == DTYPE_BF16 ? f32_from_bf16(half[i]) : f32_from_f16(half[i]);
        }
    }
}

static bool is_norm(enum place_id id)
{
    return id == ATTN_NORM || id == ATTN_POST_NORM || id == MLP_NORM || id == MLP_POST_NORM || id == Q_NORM ||
           id == K_NORM || id == FINAL_NORM;
}

static void add_one(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] += 1.0f;
    }
}

// Rows of an expert's matrix, from groups of MXFP4; interleaved ones go to their halves.
static void expand_expert(struct loader *l, const struct part *part, struct unit unit, const uint8_t *groups)
{
    struct backend *b = l->w->backend;
    size_t n = dim_of(l->config, part->n), n_in = dim_of(l->config, places[part->place].n_in);
    size_t n_groups = n_in / MXFP4_GROUP, step = part->is_interleaved ? 2 : 1, n_half = n / step;
    const uint8_t *scales = l->scales[2 * unit.layer + (part->place == EXPERT_DOWN)] + unit.expert * n * n_groups;
    struct matrix *m = *place_pointer(l->w, part->place, unit);
    for (size_t i = 0; i < n; i += EXPAND_ROWS) {
        size_t n_rows = 0;
        for (; n_rows < EXPAND_ROWS && i + n_rows < n; n_rows++) {
            size_t to = i + n_rows, from = to % n_half * step + to / n_half;
            mxfp4_expand(groups + from * n_groups * MXFP4_GROUP_BYTES, scales + from * n_groups, n_groups,
                         l->rows + n_rows * n_in);
        }
        b->ops->matrix_fill(b, m, i, n_rows, l->rows);
    }
}

static void load_stacked_vector(struct loader *l, const struct part *part, struct unit unit, enum dtype dtype,
                                const char *src)
{
    size_t n = dim_of(l->config, part->n), step = part->is_interleaved ? 2 : 1, n_half = n / step;
    for (size_t i = 0; i < n; i++) {
        convert_to_f32(dtype, src + (i % n_half * step + i / n_half) * dtype_bytes(dtype), &l->vector[i], 1);
    }
    l->w->backend->ops->upload(l->w->backend, *place_pointer(l->w, part->place, unit), l->vector, n * sizeof(float));
}

// Some experts of a layer.
static void load_stack(struct loader *l, const struct part *part, struct unit unit, const struct tensor_run *run)
{
    size_t bytes = run->tensor->bytes / l->config->n_experts;
    for (uint64_t i = 0; i < run->n_rows; i++) {
        const char *src = (const char *)run->data + i * bytes;
        unit.expert = (uint32_t)(run->row + i);
        if (part->packing == STACKED) {
            load_stacked_vector(l, part, unit, run->tensor->dtype, src);
        } else if (part->packing == STACKED_GROUPS) {
            expand_expert(l, part, unit, (const uint8_t *)src);
        } else {
            memcpy(l->scales[2 * unit.layer + (part->place == EXPERT_DOWN)] + unit.expert * bytes, src, bytes);
        }
    }
}

static int load_run(void *ctx, const struct tensor_run *run, struct err *err)
{
    (void)err;
    struct loader *l = ctx;
    struct backend *b = l->w->backend;
    struct unit unit;
    const struct part *part = unpack_use(l->config, run->tensor->user_idx, &unit);
    if (part->packing != PLAIN) {
        load_stack(l, part, unit, run);
        return 0;
    }
    void *dst = *place_pointer(l->w, part->place, unit);
    size_t at = dim_of(l->config, part->at);
    if (places[part->place].is_matrix) {
        b->ops->matrix_fill(b, dst, at + run->row, run->n_rows, run->data);
    } else {
        size_t n = dim_of(l->config, part->n);
        convert_to_f32(run->tensor->dtype, run->data, l->vector, n);
        if (is_norm(part->place) && model_has(l->config, FEATURE_NORM_PLUS_ONE)) {
            add_one(l->vector, n);
        }
        b->ops->upload(b, (float *)dst + at, l->vector, n * sizeof(float));
    }
    return 0;
}

static void report_progress(void *ctx, uint64_t bytes_done, uint64_t bytes_total)
{
    struct loader *l = ctx;
    l->progress(l->progress_ctx, bytes_done, bytes_total);
}

static size_t longest_vector(const struct model_config *c)
{
    size_t n = 0;
    for (int id = 0; id < N_PLACES; id++) {
        size_t n_in = dim_of(c, places[id].n_in);
        n = !places[id].is_matrix && n_in > n ? n_in : n;
    }
    return n;
}

static int make_layers(struct weights *w, const struct model_config *c)
{
    w->n_layers = c->n_layers;
    w->n_experts = c->n_experts;
    w->layers = calloc(c->n_layers, sizeof(*w->layers));
    for (uint32_t i = 0; w->layers && i < c->n_layers; i++) {
        if (c->layers[i] & LAYER_EXPERTS) {
            w->layers[i].experts = calloc(c->n_experts, sizeof(*w->layers[i].experts));
            if (!w->layers[i].experts) {
                return -ENOMEM;
            }
        }
    }
    return w->layers ? 0 : -ENOMEM;
}

static int make_scales(struct loader *l, struct safetensors *st)
{
    const struct model_config *c = l->config;
    size_t n_in = c->n_embd > c->n_ff_expert ? c->n_embd : c->n_ff_expert;
    l->scales = calloc(2 * (size_t)c->n_layers, sizeof(*l->scales));
    l->rows = malloc(EXPAND_ROWS * n_in * sizeof(*l->rows));
    bool is_complete = l->scales && l->rows;
    for (size_t i = 0; is_complete && i < safetensors_n_tensors(st); i++) {
        const struct tensor_info *t = safetensors_tensor(st, i);
        struct unit unit;
        const struct part *part = unpack_use(c, t->user_idx, &unit);
        if (t->is_used && part->packing == STACKED_SCALES) {
            uint8_t **scales = &l->scales[2 * unit.layer + (part->place == EXPERT_DOWN)];
            *scales = malloc(t->bytes);
            is_complete = *scales != NULL;
        }
    }
    return is_complete ? 0 : -ENOMEM;
}

// One pass over the tensors that are scales, or over all others. Files have the scales behind what they scale.
static int read_pass(struct loader *l, struct safetensors *st, bool of_scales, struct err *err)
{
    size_t n = safetensors_n_tensors(st);
    bool *was_used = malloc(n * sizeof(*was_used) + 1);
    if (!was_used) {
        return err_set(err, -ENOMEM, "no memory for %zu tensors", n);
    }
    for (size_t i = 0; i < n; i++) {
        struct tensor_info *t = safetensors_tensor(st, i);
        struct unit unit;
        was_used[i] = t->is_used;
        t->is_used = t->is_used && (unpack_use(l->config, t->user_idx, &unit)->packing == STACKED_SCALES) == of_scales;
    }
    const struct tensor_read read = { load_run, l->progress && !of_scales ? report_progress : NULL, l };
    int rc = safetensors_read_all(st, &read, err);
    for (size_t i = 0; i < n; i++) {
        safetensors_tensor(st, i)->is_used = was_used[i];
    }
    free(was_used);
    return rc;
}

static void loader_deinit(struct loader *l)
{
    for (uint32_t i = 0; l->scales && i < 2 * l->config->n_layers; i++) {
        free(l->scales[i]);
    }
    free(l->scales);
    free(l->rows);
    free(l->vector);
}

int weights_load(struct weights *w, struct safetensors *st, const struct model_config *config, struct backend *backend,
                 void (*progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total), void *progress_ctx,
                 struct err *err)
{
    memset(w, 0, sizeof(*w));
    w->backend = backend;
    struct loader l = { .w = w, .config = config, .progress = progress, .progress_ctx = progress_ctx };
    int rc = make_layers(w, config);
    l.vector = malloc(longest_vector(config) * sizeof(float));
    if (rc == 0 && model_has(config, FEATURE_MXFP4)) {
        rc = make_scales(&l, st);
    }
    if (rc < 0 || !l.vector) {
        loader_deinit(&l);
        return err_set(err, -ENOMEM, "no memory for %" PRIu32 " layers", config->n_layers);
    }
    rc = make_places(&l, st, err);
    if (rc == 0 && model_has(config, FEATURE_TIED)) {
        w->lm_head = w->embed;
        w->bytes_per_step += backend->ops->matrix_bytes(w->embed);
    }
    if (rc == 0 && model_has(config, FEATURE_MXFP4)) {
        rc = read_pass(&l, st, true, err);
    }
    if (rc == 0) {
        rc = read_pass(&l, st, false, err);
    }
    loader_deinit(&l);
    return rc;
}

static void free_place(struct weights *w, enum place_id id, uint32_t layer)
{
    uint32_t n = 1;
    if (places[id].scope == EXPERT) {
        n = w->layers[layer].experts ? w->n_experts : 0;
    }
    for (uint32_t expert = 0; expert < n; expert++) {
        void *p = *place_pointer(w, id, (struct unit){ layer, expert });
        if (p && places[id].is_matrix) {
            w->backend->ops->matrix_free(w->backend, p);
        } else if (p) {
            w->backend->ops->free(w->backend, p);
        }
    }
}

void weights_deinit(struct weights *w)
{
    if (w->lm_head == w->embed) {
        w->lm_head = NULL;
    }
    for (int id = 0; w->layers && id < N_PLACES; id++) {
        uint32_t n = places[id].scope == MODEL ? 1 : w->n_layers;
        for (uint32_t layer = 0; layer < n; layer++) {
            free_place(w, id, layer);
        }
    }
    for (uint32_t layer = 0; w->layers && layer < w->n_layers; layer++) {
        free(w->layers[layer].experts);
    }
    free(w->layers);
    memset(w, 0, sizeof(*w));
}
