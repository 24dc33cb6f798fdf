// Reads config.json the way transformers does: defaults of the architecture, both spellings of the rope parameters, end
// tokens from two files.
//
// Two tables carry what is known. `architectures` has a row per family; its columns are the ways in which families
// differ. `neutral_fields` lists fields that change the computation and that no row honours: they must be absent or
// have the value at which they change nothing. Everything else in the file is ignored. What is not in a table is
// refused by name.
#include "engine/model/config.h"
#include "engine/base/json.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_FILE     "config.json"
#define GENERATION_FILE "generation_config.json"
#define DIM_MAX         (1u << 24) // largest width, vocabulary or context that is believed
#define HEAD_DIM_MAX    4096
#define POSITIVE_MIN    1e-15 // real-valued fields lie between it and its inverse: quotients of two stay finite in f32

enum presence { NEVER, ALWAYS, BY_CONFIG };
// When the field sliding_window limits attention: never; whenever it is a number; only with use_sliding_window.
enum window_rule { WINDOW_NEVER, WINDOW_BY_VALUE, WINDOW_BY_SWITCH };

struct architecture {
    const char *name, *model_type;
    enum presence qkv_bias, o_bias, mlp_bias; // BY_CONFIG: attention_bias, mlp_bias
    enum window_rule window;
    uint32_t window_default;          // where sliding_window is absent; 0: no window
    uint32_t kv_heads_default;        // where num_key_value_heads is absent; 0: as many as attention heads
    int32_t bos_default, eos_default; // where the field is absent; -1: none
};

// Defaults are those of transformers' configuration classes.
static const struct architecture architectures[] = {
    { "LlamaForCausalLM", "llama", BY_CONFIG, BY_CONFIG, BY_CONFIG, WINDOW_NEVER, 0, 0, 1, 2 },
    { "MistralForCausalLM", "mistral", NEVER, NEVER, NEVER, WINDOW_BY_VALUE, 4096, 8, 1, 2 },
    { "Qwen2ForCausalLM", "qwen2", ALWAYS, NEVER, NEVER, WINDOW_BY_SWITCH, 4096, 32, -1, -1 },
};

static const struct neutral_field {
    const char *key;
    double neutral; // a number that changes nothing; NAN: only null and false do
} neutral_fields[] = {
    { "quantization_config", NAN },
    { "compression_config", NAN },
    { "partial_rotary_factor", 1 },
    { "rotary_pct", 1 },
    { "rope_interleaved", NAN },
    { "attn_logit_softcapping", 0 },
    { "final_logit_softcapping", 0 },
    { "logit_scale", 1 },
    { "logits_scaling", 1 },
    { "embedding_multiplier", 1 },
    { "residual_multiplier", 1 },
    { "attention_multiplier", NAN },
    { "query_pre_attn_scalar", NAN },
    { "attention_chunk_size", 0 },
    { "clip_qkv", NAN },
    { "qk_norm", NAN },
    { "use_qk_norm", NAN },
    { "qk_layernorm", NAN },
    { "alibi", NAN },
    { "no_rope_layers", NAN },
    { "num_experts", 0 },
    { "num_local_experts", 0 },
    { "n_routed_experts", 0 },
    { "add_cross_attention", NAN },
    { "is_encoder_decoder", NAN },
};

struct reader {
    const char *file;
    const struct json *object;
    struct err *err;
};

// ---- fields --------------------------------------------------------------------------------------------------------

static const struct json *get(const struct json *object, const char *key)
{
    const struct json *v = json_get(object, str_from(key));
    return v && v->type != JSON_NULL ? v : NULL;
}

static struct str clip(const struct json *v)
{
    return str_take(v->text, 80);
}

static struct str clip_or(const struct json *v, struct str fallback)
{
    return v ? clip(v) : fallback;
}

static int wrong_value(const struct reader *r, const char *key, const struct json *v, const char *expected)
{
    if (v->type == JSON_BOOL) {
        return err_set_param(r->err, -EINVAL, key, "%s: %s must be %s, not %s", r->file, key, expected,
                             v->boolean ? "true" : "false");
    }
    return err_set_param(r->err, -EINVAL, key, "%s: %s must be %s, not %s %.*s", r->file, key, expected,
                         json_type_name(v->type), STR_ARG(clip(v)));
}

static int missing(const struct reader *r, const char *key)
{
    return err_set_param(r->err, -EINVAL, key, "%s: %s is missing", r->file, key);
}

// A whole number in [1, max]; `fallback` where the field is absent or null, 0 meaning that it must be there.
static int get_u32(const struct reader *r, const char *key, uint32_t max, uint32_t fallback, uint32_t *ret)
{
    const struct json *v = get(r->object, key);
    if (!v) {
        if (fallback == 0) {
            return missing(r, key);
        }
        *ret = fallback;
        return 0;
    }
    int64_t value;
    if (v->type != JSON_NUMBER || json_get_i64(v, &value) < 0 || value < 1 || value > max) {
        char expected[64];
        snprintf(expected, sizeof(expected), "a whole number from 1 to %" PRIu32, max);
        return wrong_value(r, key, v, expected);
    }
    *ret = (uint32_t)value;
    return 0;
}

static int get_positive(const struct reader *r, const char *key, double fallback, double *ret)
{
    const struct json *v = get(r->object, key);
    if (!v) {
        if (fallback == 0) {
            return missing(r, key);
        }
        *ret = fallback;
        return 0;
    }
    double value = v->type == JSON_NUMBER ? json_get_double(v) : 0;
    if (!(value >= POSITIVE_MIN && value <= 1 / POSITIVE_MIN)) {
        return wrong_value(r, key, v, "a number from 1e-15 to 1e15");
    }
    *ret = value;
    return 0;
}

static int get_bool(const struct reader *r, const char *key, bool *ret)
{
    const struct json *v = get(r->object, key);
    if (v && v->type != JSON_BOOL) {
        return wrong_value(r, key, v, "true or false");
    }
    *ret = v && v->boolean;
    return 0;
}

static int get_presence(const struct reader *r, const char *key, enum presence presence, bool *ret)
{
    if (presence == BY_CONFIG) {
        return get_bool(r, key, ret);
    }
    *ret = presence == ALWAYS;
    return 0;
}

// ---- architecture --------------------------------------------------------------------------------------------------

static void copy_text(char *dst, size_t size, struct str s)
{
    size_t n = s.len < size - 1 ? s.len : size - 1;
    memcpy(dst, s.ptr, n);
    dst[n] = 0;
}

static int find_architecture(const struct reader *r, const struct architecture **ret)
{
    const struct json *list = get(r->object, "architectures");
    const struct json *name = list && list->type == JSON_ARRAY ? json_at(list, 0) : NULL;
    const struct json *type = get(r->object, "model_type");
    if (list && (!name || name->type != JSON_STRING)) {
        return wrong_value(r, "architectures", list, "a list of strings");
    }
    if (type && type->type != JSON_STRING) {
        return wrong_value(r, "model_type", type, "a string");
    }
    if (!name && !type) {
        return missing(r, "architectures");
    }
    for (size_t i = 0; i < sizeof(architectures) / sizeof(*architectures); i++) {
        const struct architecture *a = &architectures[i];
        bool same_name = !name || str_eq(name->text, str_from(a->name));
        bool same_type = !type || str_eq(type->text, str_from(a->model_type));
        if (same_name && same_type) {
            *ret = a;
            return 0;
        }
    }
    return err_set_param(r->err, -EOPNOTSUPP, "architectures",
                         "%s: architecture %.*s (model_type %.*s) is not supported", r->file,
                         STR_ARG(clip_or(name, STR("not given"))), STR_ARG(clip_or(type, STR("not given"))));
}

static bool is_neutral(const struct json *v, double neutral)
{
    return (v->type == JSON_BOOL && !v->boolean) || (v->type == JSON_NUMBER && json_get_double(v) == neutral);
}

static int check_neutral_fields(const struct reader *r)
{
    for (size_t i = 0; i < sizeof(neutral_fields) / sizeof(*neutral_fields); i++) {
        const char *key = neutral_fields[i].key;
        const struct json *v = get(r->object, key);
        if (v && !is_neutral(v, neutral_fields[i].neutral)) {
            return err_set_param(r->err, -EOPNOTSUPP, key, "%s: %s (%.*s) is not supported", r->file, key,
                                 STR_ARG(v->type == JSON_BOOL ? STR("true") : clip(v)));
        }
    }
    const struct json *act = get(r->object, "hidden_act");
    if (act && (act->type != JSON_STRING || (!str_eq(act->text, STR("silu")) && !str_eq(act->text, STR("swish"))))) {
        return err_set_param(r->err, -EOPNOTSUPP, "hidden_act", "%s: hidden_act \"%.*s\" is not supported", r->file,
                             STR_ARG(clip(act)));
    }
    return 0;
}

// Attention limited to a window is refused, unless the window is at least as long as the context.
static int check_window(const struct reader *r, const struct architecture *arch, uint32_t n_ctx_max)
{
    const struct json *types = get(r->object, "layer_types");
    for (size_t i = 0; types && types->type == JSON_ARRAY && i < types->n_children; i++) {
        const struct json *type = json_at(types, i);
        if (!str_eq(type->text, STR("full_attention"))) {
            return err_set_param(r->err, -EOPNOTSUPP, "layer_types", "%s: layer_types[%zu] \"%.*s\" is not supported",
                                 r->file, i, STR_ARG(clip(type)));
        }
    }
    bool is_on = true;
    if (arch->window == WINDOW_BY_SWITCH) {
        int rc = get_bool(r, "use_sliding_window", &is_on);
        if (rc < 0) {
            return rc;
        }
    }
    const struct json *v = json_get(r->object, STR("sliding_window"));
    if (!is_on || (v ? v->type == JSON_NULL || is_neutral(v, NAN) : arch->window_default == 0)) {
        return 0;
    }
    int64_t window = arch->window_default;
    if (v && (v->type != JSON_NUMBER || json_get_i64(v, &window) < 0 || window < 1)) {
        return wrong_value(r, "sliding_window", v, "null or a whole number above 0");
    }
    if (window < n_ctx_max) {
        return err_set_param(r->err, -EOPNOTSUPP, "sliding_window",
                             "%s: sliding_window %" PRId64 "%s, shorter than max_position_embeddings %" PRIu32
                             ", is not supported",
                             r->file, window, v ? "" : " (the default)", n_ctx_max);
    }
    return 0;
}

// ---- groups of fields ----------------------------------------------------------------------------------------------

static int parse_shape(const struct reader *r, const struct architecture *arch, struct model_config *c)
{
    int rc;
    if ((rc = get_u32(r, "vocab_size", DIM_MAX, 0, &c->n_vocab)) < 0 ||
        (rc = get_u32(r, "hidden_size", DIM_MAX, 0, &c->n_embd)) < 0 ||
        (rc = get_u32(r, "intermediate_size", DIM_MAX, 0, &c->n_ff)) < 0 ||
        (rc = get_u32(r, "num_hidden_layers", 4096, 0, &c->n_layers)) < 0 ||
        (rc = get_u32(r, "num_attention_heads", 4096, 0, &c->n_heads)) < 0 ||
        (rc = get_u32(r, "max_position_embeddings", DIM_MAX, 0, &c->n_ctx_max)) < 0) {
        return rc;
    }
    uint32_t n_kv_heads = arch->kv_heads_default ? arch->kv_heads_default : c->n_heads;
    uint32_t head_dim = c->n_embd / c->n_heads;
    if ((rc = get_u32(r, "num_key_value_heads", 4096, n_kv_heads, &c->n_kv_heads)) < 0 ||
        (rc = get_u32(r, "head_dim", HEAD_DIM_MAX, head_dim, &c->head_dim)) < 0) {
        return rc;
    }
    if (c->n_heads % c->n_kv_heads != 0) {
        return err_set_param(r->err, -EINVAL, "num_key_value_heads",
                             "%s: num_attention_heads %" PRIu32 " is not a multiple of num_key_value_heads %" PRIu32,
                             r->file, c->n_heads, c->n_kv_heads);
    }
    if (!get(r->object, "head_dim") && c->n_embd % c->n_heads != 0) {
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

static int parse_features(const struct reader *r, const struct architecture *arch, struct model_config *c)
{
    int rc;
    double eps = 0;
    if ((rc = get_positive(r, "rms_norm_eps", 1e-6, &eps)) < 0 ||
        (rc = get_bool(r, "tie_word_embeddings", &c->tie_embeddings)) < 0 ||
        (rc = get_presence(r, "attention_bias", arch->qkv_bias, &c->qkv_bias)) < 0 ||
        (rc = get_presence(r, "attention_bias", arch->o_bias, &c->o_bias)) < 0 ||
        (rc = get_presence(r, "mlp_bias", arch->mlp_bias, &c->mlp_bias)) < 0) {
        return rc;
    }
    c->rms_eps = (float)eps;
    return 0;
}

static int parse_dtype(const struct reader *r, struct model_config *c)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } dtypes[] = { { "float32", DTYPE_F32 }, { "float16", DTYPE_F16 }, { "bfloat16", DTYPE_BF16 } };
    const char *key = get(r->object, "dtype") ? "dtype" : "torch_dtype";
    const struct json *v = get(r->object, key);
    if (!v) {
        c->dtype = DTYPE_F32; // as transformers; the tensors' own type decides
        return 0;
    }
    if (v->type != JSON_STRING) {
        return wrong_value(r, key, v, "a string");
    }
    struct str name = str_starts_with(v->text, STR("torch.")) ? str_skip(v->text, 6) : v->text;
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(*dtypes); i++) {
        if (str_eq(name, str_from(dtypes[i].name))) {
            c->dtype = dtypes[i].dtype;
            return 0;
        }
    }
    return err_set_param(r->err, -EOPNOTSUPP, key, "%s: %s \"%.*s\" is not supported", r->file, key, STR_ARG(clip(v)));
}

// The context that the model was first trained for: of the whole config (transformers prefers it), of the scaling, or
// the context that it has now.
static int parse_llama3_scaling(const struct reader *r, const struct reader *scaling, struct model_config *ret)
{
    int rc;
    uint32_t n_ctx_original;
    if ((rc = get_positive(scaling, "factor", 0, &ret->rope.factor)) < 0 ||
        (rc = get_positive(scaling, "low_freq_factor", 0, &ret->rope.low_freq_factor)) < 0 ||
        (rc = get_positive(scaling, "high_freq_factor", 0, &ret->rope.high_freq_factor)) < 0 ||
        (rc = get_u32(scaling, "original_max_position_embeddings", DIM_MAX, ret->n_ctx_max, &n_ctx_original)) < 0 ||
        (rc = get_u32(r, "original_max_position_embeddings", DIM_MAX, n_ctx_original, &ret->rope.n_ctx_original)) < 0) {
        return rc;
    }
    if (ret->rope.high_freq_factor < 1.001 * ret->rope.low_freq_factor) { // their difference divides
        return err_set_param(scaling->err, -EINVAL, "high_freq_factor",
                             "%s: high_freq_factor %g must be above low_freq_factor %g", scaling->file,
                             ret->rope.high_freq_factor, ret->rope.low_freq_factor);
    }
    ret->rope_scaling = ROPE_SCALING_LLAMA3;
    return 0;
}

// rope_theta beside rope_scaling, or (transformers 5) both inside rope_parameters; the inner value wins, as there.
static int parse_rope(const struct reader *r, struct model_config *c)
{
    int rc = get_positive(r, "rope_theta", 10000, &c->rope_theta);
    const char *key = get(r->object, "rope_scaling") ? "rope_scaling" : "rope_parameters";
    const struct json *v = get(r->object, key);
    if (rc < 0 || !v) {
        return rc;
    }
    if (v->type != JSON_OBJECT) {
        return wrong_value(r, key, v, "an object");
    }
    char file[64];
    snprintf(file, sizeof(file), "%s: %s", r->file, key);
    const struct reader scaling = { file, v, r->err };
    if ((rc = get_positive(&scaling, "rope_theta", c->rope_theta, &c->rope_theta)) < 0) {
        return rc;
    }
    const struct json *partial = get(v, "partial_rotary_factor");
    if (partial && !is_neutral(partial, 1)) {
        return err_set_param(r->err, -EOPNOTSUPP, "partial_rotary_factor",
                             "%s: partial_rotary_factor %.*s is not supported", file, STR_ARG(clip(partial)));
    }
    const struct json *type = get(v, "rope_type") ? get(v, "rope_type") : get(v, "type");
    if (type && type->type != JSON_STRING) {
        return wrong_value(&scaling, "rope_type", type, "a string");
    }
    struct str name = type ? type->text : STR("default");
    if (str_eq(name, STR("default"))) {
        return 0;
    }
    if (str_eq(name, STR("linear"))) {
        c->rope_scaling = ROPE_SCALING_LINEAR;
        return get_positive(&scaling, "factor", 0, &c->rope.factor);
    }
    if (str_eq(name, STR("llama3"))) {
        return parse_llama3_scaling(r, &scaling, c);
    }
    return err_set_param(r->err, -EOPNOTSUPP, key, "%s: rope_type \"%.*s\" is not supported", file,
                         STR_ARG(clip(type)));
}

// ---- special tokens ------------------------------------------------------------------------------------------------

static int add_eos(const struct reader *r, const struct json *v, struct model_config *c)
{
    int64_t id;
    if (v->type != JSON_NUMBER || json_get_i64(v, &id) < 0 || id < 0 || id >= c->n_vocab) {
        return wrong_value(r, "eos_token_id", v, "token ids below vocab_size");
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

static int add_eos_field(const struct reader *r, struct model_config *c)
{
    const struct json *v = get(r->object, "eos_token_id");
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

static int parse_special_tokens(const struct reader *r, const struct architecture *arch, struct model_config *c)
{
    c->bos_id = -1;
    const struct json *bos = json_get(r->object, STR("bos_token_id"));
    int64_t id = arch->bos_default;
    if (bos && bos->type != JSON_NULL &&
        (bos->type != JSON_NUMBER || json_get_i64(bos, &id) < 0 || id < 0 || id >= c->n_vocab)) {
        return wrong_value(r, "bos_token_id", bos, "null or a token id below vocab_size");
    }
    if ((!bos || bos->type != JSON_NULL) && id < c->n_vocab) {
        c->bos_id = (int32_t)id;
    }
    if (!json_get(r->object, STR("eos_token_id")) && arch->eos_default >= 0 &&
        (uint32_t)arch->eos_default < c->n_vocab) {
        c->eos_ids[c->n_eos++] = arch->eos_default;
    }
    return add_eos_field(r, c);
}

// ---- files ---------------------------------------------------------------------------------------------------------

static int parse_object(struct arena *arena, const char *file, struct str text, struct err *err, struct reader *ret)
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
    *ret = (struct reader){ file, root, err };
    return 0;
}

static int parse_config(const struct reader *r, struct model_config *c)
{
    const struct architecture *arch = NULL;
    int rc = find_architecture(r, &arch);
    if (rc < 0) {
        return rc;
    }
    copy_text(c->architecture, sizeof(c->architecture), str_from(arch->name));
    copy_text(c->model_type, sizeof(c->model_type), str_from(arch->model_type));
    if ((rc = check_neutral_fields(r)) < 0 || (rc = parse_shape(r, arch, c)) < 0 ||
        (rc = check_window(r, arch, c->n_ctx_max)) < 0 || (rc = parse_features(r, arch, c)) < 0 ||
        (rc = parse_dtype(r, c)) < 0 || (rc = parse_rope(r, c)) < 0) {
        return rc;
    }
    return parse_special_tokens(r, arch, c);
}

int model_config_parse(struct str config_json, struct str generation_json, struct model_config *ret, struct err *err)
{
    struct model_config config;
    memset(&config, 0, sizeof(config));
    struct arena arena;
    arena_init(&arena, 0);
    struct reader r = { 0 };
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

// Llama 3.1: long wavelengths are divided by `factor`, short ones kept, those between interpolated.
static float llama3_frequency(const struct model_config *c, float inv_freq)
{
    float n_ctx = (float)c->rope.n_ctx_original;
    float wavelen = (float)(2 * M_PI) * (1.0f / inv_freq);
    float factor = (float)c->rope.factor;
    if (wavelen > (float)(n_ctx / c->rope.low_freq_factor)) {
        return inv_freq / factor;
    }
    if (wavelen < (float)(n_ctx / c->rope.high_freq_factor)) {
        return inv_freq;
    }
    float smooth = ((1.0f / wavelen) * n_ctx - (float)c->rope.low_freq_factor) /
                   (float)(c->rope.high_freq_factor - c->rope.low_freq_factor);
    return (1.0f - smooth) * inv_freq / factor + smooth * inv_freq;
}

// transformers' modeling_rope_utils.py; in f32 step by step, so that angles agree to the last bits at long positions.
void model_config_rope_frequencies(const struct model_config *config, float *inv_freq, float *ret_attn_scale)
{
    for (uint32_t i = 0; i < config->head_dim / 2; i++) {
        float exponent = (float)(2 * i) / (float)config->head_dim;
        float f = 1.0f / powf((float)config->rope_theta, exponent);
        switch (config->rope_scaling) {
        case ROPE_SCALING_NONE: break;
        case ROPE_SCALING_LINEAR: f /= (float)config->rope.factor; break;
        case ROPE_SCALING_LLAMA3: f = llama3_frequency(config, f); break;
        }
        inv_freq[i] = f;
    }
    *ret_attn_scale = 1.0f;
}

uint64_t model_config_n_params(const struct model_config *c)
{
    uint64_t n_q = (uint64_t)c->n_heads * c->head_dim, n_kv = (uint64_t)c->n_kv_heads * c->head_dim;
    uint64_t attention = (uint64_t)c->n_embd * (n_q + 2 * n_kv) + n_q * c->n_embd;
    uint64_t mlp = 3 * (uint64_t)c->n_embd * c->n_ff;
    uint64_t biases = (c->qkv_bias ? n_q + 2 * n_kv : 0) + (c->o_bias ? c->n_embd : 0) +
                      (c->mlp_bias ? 2 * (uint64_t)c->n_ff + c->n_embd : 0);
    uint64_t embeddings = (uint64_t)c->n_vocab * c->n_embd * (c->tie_embeddings ? 1 : 2);
    return c->n_layers * (attention + mlp + biases + 2 * (uint64_t)c->n_embd) + c->n_embd + embeddings;
}
