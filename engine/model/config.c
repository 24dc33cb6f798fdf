// Reads config.json the way transformers does: defaults of the family, both spellings of the rope parameters, end
// tokens from two files. What the families differ in is in family.c.
#include "engine/model/config.h"
#include "engine/base/json.h"
#include "engine/model/config_layers.h"
#include "engine/model/config_quantization.h"
#include "engine/model/config_reader.h"
#include "engine/model/family.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_FILE     "config.json"
#define GENERATION_FILE "generation_config.json"
#define HEAD_DIM_MAX    4096

// ---- architecture --------------------------------------------------------------------------------------------------

static void copy_text(char *dst, size_t size, struct str s)
{
    size_t n = s.len < size - 1 ? s.len : size - 1;
    memcpy(dst, s.ptr, n);
    dst[n] = 0;
}

// ---- groups of fields ----------------------------------------------------------------------------------------------

static int parse_shape(const struct config_reader *r, const struct family *family, struct model_config *c)
{
    int rc;
    if ((rc = config_get_u32(r, "vocab_size", CONFIG_DIM_MAX, 0, &c->n_vocab)) < 0 ||
        (rc = config_get_u32(r, "hidden_size", CONFIG_DIM_MAX, 0, &c->n_embd)) < 0 ||
        (rc = config_get_u32(r, "intermediate_size", CONFIG_DIM_MAX, 0, &c->n_ff)) < 0 ||
        (rc = config_get_u32(r, "num_hidden_layers", MODEL_LAYERS_MAX, 0, &c->n_layers)) < 0 ||
        (rc = config_get_u32(r, "num_attention_heads", 4096, 0, &c->n_heads)) < 0 ||
        (rc = config_get_u32(r, "max_position_embeddings", CONFIG_DIM_MAX, 0, &c->n_ctx_max)) < 0) {
        return rc;
    }
    uint32_t n_kv_heads = family->kv_heads_default ? family->kv_heads_default : c->n_heads;
    uint32_t head_dim = family->head_dim_default ? family->head_dim_default : c->n_embd / c->n_heads;
    if ((rc = config_get_u32(r, "num_key_value_heads", 4096, n_kv_heads, &c->n_kv_heads)) < 0 ||
        (rc = config_get_u32(r, "head_dim", HEAD_DIM_MAX, head_dim, &c->head_dim)) < 0) {
        return rc;
    }
    if (c->n_heads % c->n_kv_heads != 0) {
        return err_set_param(r->err, -EINVAL, "num_key_value_heads",
                             "%s: num_attention_heads %" PRIu32 " is not a multiple of num_key_value_heads %" PRIu32,
                             r->file, c->n_heads, c->n_kv_heads);
    }
    if (!config_get(r->object, "head_dim") && !family->head_dim_default && c->n_embd % c->n_heads != 0) {
        return err_set_param(r->err, -EINVAL, "hidden_size",
                             "%s: hidden_size %" PRIu32 " is not a multiple of num_attention_heads %" PRIu32, r->file,
                             c->n_embd, c->n_heads);
    }
    if (c->head_dim > HEAD_DIM_MAX) {
        return err_set_param(r->err, -EINVAL, "hidden_size",
                             "%s: hidden_size %" PRIu32 " / num_attention_heads %" PRIu32 " gives heads longer than %d",
                             r->file, c->n_embd, c->n_heads, HEAD_DIM_MAX);
    }
    if (c->head_dim % 2 != 0) {
        return err_set_param(r->err, -EINVAL, "head_dim", "%s: head_dim %" PRIu32 " is odd: rope rotates pairs",
                             r->file, c->head_dim);
    }
    return 0;
}

// `features` when the field is true.
static int parse_switch(const struct config_reader *r, const char *key, bool fallback, uint32_t features,
                        struct model_config *c)
{
    bool is_on;
    int rc = features ? config_get_bool(r, key, fallback, &is_on) : 0;
    if (rc == 0 && features && is_on) {
        c->features |= features;
    }
    return rc;
}

static int parse_features(const struct config_reader *r, const struct family *family, struct model_config *c)
{
    int rc;
    double eps = 0;
    c->features = family->features;
    if ((rc = config_get_positive(r, "rms_norm_eps", family->eps_default, &eps)) < 0 ||
        (rc = parse_switch(r, "tie_word_embeddings", family->is_tied, FEATURE_TIED, c)) < 0 ||
        (rc = parse_switch(r, "attention_bias", family->has_attention_bias, family->attention_bias, c)) < 0 ||
        (rc = parse_switch(r, "mlp_bias", false, family->mlp_bias, c)) < 0) {
        return rc;
    }
    c->rms_eps = (float)eps;
    return 0;
}

static int parse_experts(const struct config_reader *r, const struct family *family, struct model_config *c)
{
    if (!(family->features & FEATURE_EXPERTS)) {
        return 0;
    }
    const char *key = config_get(r->object, "num_experts") ? "num_experts" : "num_local_experts";
    uint32_t n_used_max = MODEL_EXPERTS_MAX, n_ff = family->n_ff_expert_default;
    int rc;
    if ((rc = config_get_u32(r, key, MODEL_EXPERTS_MAX, family->n_experts_default, &c->n_experts)) < 0 ||
        (rc = config_get_u32(r, "num_experts_per_tok", n_used_max, family->n_experts_used_default,
                             &c->n_experts_used)) < 0 ||
        (rc = parse_switch(r, "norm_topk_prob", false, n_ff > 0 ? FEATURE_NORMED_TOPK : 0, c)) < 0) {
        return rc;
    }
    if (c->n_experts_used > c->n_experts) {
        return err_set_param(r->err, -EINVAL, "num_experts_per_tok",
                             "%s: num_experts_per_tok %" PRIu32 " is above %s %" PRIu32, r->file, c->n_experts_used,
                             key, c->n_experts);
    }
    c->n_ff_expert = c->n_ff;
    return n_ff > 0 ? config_get_u32(r, "moe_intermediate_size", CONFIG_DIM_MAX, n_ff, &c->n_ff_expert) : 0;
}

// A cap that is absent has the family's value, one that is null is none.
static int parse_softcap(const struct config_reader *r, const char *key, double fallback, float *ret)
{
    const struct json *v = json_get(r->object, str_from(key));
    double cap = v ? 0 : fallback;
    int rc = v && v->type != JSON_NULL ? config_get_positive(r, key, 0, &cap) : 0;
    *ret = (float)cap;
    return rc;
}

static int parse_scores(const struct config_reader *r, const struct family *family, struct model_config *c)
{
    c->attn_scale = 1.0f / sqrtf((float)c->head_dim);
    int rc = 0;
    if (family->features & FEATURE_QUERY_SCALAR) {
        double scalar = 0;
        rc = config_get_positive(r, "query_pre_attn_scalar", 256, &scalar);
        c->attn_scale = (float)(1 / sqrt(scalar));
    }
    if (rc == 0 && family->features & FEATURE_SOFTCAPS) {
        rc = parse_softcap(r, "attn_logit_softcapping", family->attn_softcap, &c->attn_softcap);
        rc = rc < 0 ? rc : parse_softcap(r, "final_logit_softcapping", family->logit_softcap, &c->logit_softcap);
    }
    return rc;
}

static int parse_activation(const struct config_reader *r, const struct family *family, struct model_config *c)
{
    const struct {
        const char *name;
        enum glu kind;
    } names[] = { { "silu", GLU_SILU },
                  { "swish", GLU_SILU },
                  { "gelu_pytorch_tanh", GLU_GELU_TANH },
                  { family->gelu_name, GLU_GELU_TANH } };
    const char *key = family->activation_key ? family->activation_key : "hidden_act";
    const struct json *v = config_get(r->object, key);
    c->activation = family->activation;
    if (!v) {
        return 0;
    }
    for (size_t i = 0; v->type == JSON_STRING && i < sizeof(names) / sizeof(*names); i++) {
        if (names[i].name && str_eq(v->text, str_from(names[i].name))) {
            c->activation = names[i].kind;
            return 0;
        }
    }
    return err_set_param(r->err, -EOPNOTSUPP, key, "%s: %s \"%.*s\" is not supported", r->file, key,
                         STR_ARG(config_clip(v)));
}

static int parse_dtype(const struct config_reader *r, struct model_config *c)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } dtypes[] = { { "float32", DTYPE_F32 }, { "float16", DTYPE_F16 }, { "bfloat16", DTYPE_BF16 } };
    const char *key = config_get(r->object, "dtype") ? "dtype" : "torch_dtype";
    const struct json *v = config_get(r->object, key);
    if (!v) {
        c->dtype = DTYPE_F32; // as transformers; the tensors' own type decides
        return 0;
    }
    if (v->type != JSON_STRING) {
        return config_wrong_value(r, key, v, "a string");
    }
    struct str name = str_starts_with(v->text, STR("torch.")) ? str_skip(v->text, 6) : v->text;
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(*dtypes); i++) {
        if (str_eq(name, str_from(dtypes[i].name))) {
            c->dtype = dtypes[i].dtype;
            return 0;
        }
    }
    return err_set_param(r->err, -EOPNOTSUPP, key, "%s: %s \"%.*s\" is not supported", r->file, key,
                         STR_ARG(config_clip(v)));
}

static int parse_ropes(const struct config_reader *r, const struct family *family, struct model_config *c)
{
    bool has_scaling = config_get(r->object, "rope_scaling") || config_get(r->object, "rope_parameters");
    if (family->needs_rope_scaling && !has_scaling) {
        return err_set_param(r->err, -EINVAL, "rope_scaling", "%s: rope_scaling is missing", r->file);
    }
    const struct rope_source source = { .theta_key = "rope_theta",
                                        .takes_scaling = true,
                                        .may_be_partial = family->features & FEATURE_PARTIAL_ROPE,
                                        .theta = family->theta_default,
                                        .head_dim = c->head_dim,
                                        .n_ctx_max = c->n_ctx_max };
    if (!(family->features & FEATURE_WINDOW_ROPE)) {
        return rope_parse(r, &source, &c->rope);
    }
    struct rope_source full = source, window = source;
    full.nested = "full_attention";
    window.nested = "sliding_attention";
    window.theta_key = "rope_local_base_freq";
    window.theta = 10000;
    window.takes_scaling = false;
    int rc = rope_parse(r, &full, &c->rope);
    return rc < 0 ? rc : rope_parse(r, &window, &c->window_rope);
}

// ---- special tokens ------------------------------------------------------------------------------------------------

static int add_eos(const struct config_reader *r, const struct json *v, struct model_config *c)
{
    int64_t id;
    if (v->type != JSON_NUMBER || json_get_i64(v, &id) < 0 || id < 0 || id >= c->n_vocab) {
        return config_wrong_value(r, "eos_token_id", v, "token ids below vocab_size");
    }
    for (uint32_t i = 0; i < c->n_eos; i++) {
        if (c->eos_ids[i] == id) {
            return 0;
        }
    }
    if (c->n_eos == MODEL_EOS_MAX) {
        return err_set_param(r->err, -EINVAL, "eos_token_id", "%s: more than %d end tokens", r->file, MODEL_EOS_MAX);
    }
    c->eos_ids[c->n_eos++] = (int32_t)id;
    return 0;
}

static int add_eos_field(const struct config_reader *r, struct model_config *c)
{
    const struct json *v = config_get(r->object, "eos_token_id");
    if (!v || v->type != JSON_ARRAY) {
        return v ? add_eos(r, v, c) : 0;
    }
    for (size_t i = 0; i < v->n_children; i++) {
        int rc = add_eos(r, json_at(v, i), c);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int parse_special_tokens(const struct config_reader *r, const struct family *family, struct model_config *c)
{
    c->bos_id = -1;
    const struct json *bos = json_get(r->object, STR("bos_token_id"));
    int64_t id = family->bos_default;
    if (bos && bos->type != JSON_NULL &&
        (bos->type != JSON_NUMBER || json_get_i64(bos, &id) < 0 || id < 0 || id >= c->n_vocab)) {
        return config_wrong_value(r, "bos_token_id", bos, "null or a token id below vocab_size");
    }
    if ((!bos || bos->type != JSON_NULL) && id < c->n_vocab) {
        c->bos_id = (int32_t)id;
    }
    if (!json_get(r->object, STR("eos_token_id")) && family->eos_default >= 0 &&
        (uint32_t)family->eos_default < c->n_vocab) {
        c->eos_ids[c->n_eos++] = family->eos_default;
    }
    return add_eos_field(r, c);
}

// ---- files ---------------------------------------------------------------------------------------------------------

static int parse_object(struct arena *arena, const char *file, struct str text, struct err *err,
                        struct config_reader *ret)
{
    const struct json *root;
    int rc = json_parse(arena, text, &root, err);
    if (rc < 0) {
        err_prefix(err, "%s", file);
        return rc;
    }
    if (root->type != JSON_OBJECT) {
        return err_set(err, -EINVAL, "%s: not a JSON object but %s", file, json_type_name(root->type));
    }
    *ret = (struct config_reader){ file, root, err };
    return 0;
}

static int parse_config(const struct config_reader *r, struct model_config *c)
{
    const struct family *family = NULL;
    int rc = family_find(r, &family);
    if (rc < 0) {
        return rc;
    }
    copy_text(c->architecture, sizeof(c->architecture), str_from(family->architecture));
    copy_text(c->model_type, sizeof(c->model_type), str_from(family->model_type));
    if ((rc = family_check_fields(r, family)) < 0 || (rc = parse_activation(r, family, c)) < 0 ||
        (rc = parse_shape(r, family, c)) < 0 || (rc = config_layers_parse(r, family, c)) < 0 ||
        (rc = parse_features(r, family, c)) < 0 || (rc = parse_experts(r, family, c)) < 0 ||
        (rc = config_quantization_parse(r, family, c)) < 0 || (rc = parse_scores(r, family, c)) < 0 ||
        (rc = parse_dtype(r, c)) < 0 || (rc = parse_ropes(r, family, c)) < 0) {
        return rc;
    }
    return parse_special_tokens(r, family, c);
}

int model_config_parse(struct str config_json, struct str generation_json, struct model_config *ret, struct err *err)
{
    struct model_config config;
    memset(&config, 0, sizeof(config));
    struct arena arena;
    arena_init(&arena, 0);
    struct config_reader r = { 0 };
    int rc = parse_object(&arena, CONFIG_FILE, config_json, err, &r);
    if (rc == 0) {
        rc = parse_config(&r, &config);
    }
    if (rc == 0 && generation_json.len > 0) {
        rc = parse_object(&arena, GENERATION_FILE, generation_json, err, &r);
        if (rc == 0) {
            rc = add_eos_field(&r, &config);
        }
    }
    arena_deinit(&arena);
    if (rc == 0) {
        *ret = config;
    }
    return rc;
}

// ---- what follows from a config ------------------------------------------------------------------------------------

uint64_t model_config_n_params(const struct model_config *c)
{
    uint64_t n_q = (uint64_t)c->n_heads * c->head_dim, n_kv = (uint64_t)c->n_kv_heads * c->head_dim;
    uint64_t attention = (uint64_t)c->n_embd * (n_q + 2 * n_kv) + n_q * c->n_embd;
    uint64_t mlp = 3 * (uint64_t)c->n_embd * c->n_ff;
    uint64_t experts = c->n_experts * (3 * (uint64_t)c->n_embd * c->n_ff_expert + c->n_embd), feed_forward = 0;
    experts += model_has(c, FEATURE_EXPERT_BIAS) ? c->n_experts * (2 * (uint64_t)c->n_ff_expert + c->n_embd + 1) : 0;
    for (uint32_t i = 0; i < c->n_layers; i++) {
        feed_forward += c->layers[i] & LAYER_EXPERTS ? experts : mlp;
    }
    uint64_t biases = (model_has(c, FEATURE_QKV_BIAS) ? n_q + 2 * n_kv : 0) +
                      (model_has(c, FEATURE_O_BIAS) ? c->n_embd : 0) +
                      (model_has(c, FEATURE_MLP_BIAS) ? 2 * (uint64_t)c->n_ff + c->n_embd : 0);
    uint64_t embeddings = (uint64_t)c->n_vocab * c->n_embd * (model_has(c, FEATURE_TIED) ? 1 : 2);
    uint64_t qk_norms = model_has(c, FEATURE_QK_NORM) ? 2 * (uint64_t)c->head_dim : 0;
    uint64_t sinks = model_has(c, FEATURE_SINKS) ? c->n_heads : 0;
    uint64_t norms = sinks + (model_has(c, FEATURE_POST_NORMS) ? 4 : 2) * (uint64_t)c->n_embd;
    return feed_forward + c->n_layers * (attention + biases + qk_norms + norms) + c->n_embd + embeddings;
}
