// Two tables. `families` has a row per family: what differs is a column, and a new family is a new row.
// `neutral_fields` lists fields of config.json that change the computation: in families without the feature that
// honours them they must be absent or have the value at which they change nothing. What is in neither is not known to
// change anything.
#include "engine/model/family.h"
#include <errno.h>
#include <math.h>

#define ATTENTION_BIASES (FEATURE_QKV_BIAS | FEATURE_O_BIAS)
#define GEMMA            (FEATURE_NORM_PLUS_ONE | FEATURE_SCALED_EMBEDDINGS)
#define GEMMA2           (GEMMA | FEATURE_POST_NORMS | FEATURE_SOFTCAPS | FEATURE_QUERY_SCALAR)

// Defaults are those of transformers' configuration classes.
static const struct family families[] = {
    {
        .architecture = "LlamaForCausalLM",
        .model_type = "llama",
        .attention_bias = ATTENTION_BIASES,
        .mlp_bias = FEATURE_MLP_BIAS,
        .eps_default = 1e-6,
        .theta_default = 10000,
        .bos_default = 1,
        .eos_default = 2,
    },
    {
        .architecture = "MistralForCausalLM",
        .model_type = "mistral",
        .window = WINDOW_BY_VALUE,
        .window_default = 4096,
        .kv_heads_default = 8,
        .eps_default = 1e-6,
        .theta_default = 10000,
        .bos_default = 1,
        .eos_default = 2,
    },
    {
        .architecture = "Qwen2ForCausalLM",
        .model_type = "qwen2",
        .features = FEATURE_QKV_BIAS,
        .window = WINDOW_BY_SWITCH,
        .windowed = WINDOWED_LATE,
        .window_default = 4096,
        .window_first = 28,
        .kv_heads_default = 32,
        .eps_default = 1e-6,
        .theta_default = 10000,
        .bos_default = -1,
        .eos_default = -1,
    },
    {
        .architecture = "Qwen3ForCausalLM",
        .model_type = "qwen3",
        .features = FEATURE_QK_NORM,
        .attention_bias = ATTENTION_BIASES,
        .window = WINDOW_BY_SWITCH,
        .windowed = WINDOWED_LATE,
        .window_default = 4096,
        .window_first = 28,
        .kv_heads_default = 32,
        .head_dim_default = 128,
        .eps_default = 1e-6,
        .theta_default = 10000,
        .bos_default = -1,
        .eos_default = -1,
    },
    {
        .architecture = "Qwen3MoeForCausalLM",
        .model_type = "qwen3_moe",
        .features = FEATURE_QK_NORM | FEATURE_EXPERTS,
        .attention_bias = ATTENTION_BIASES,
        .window = WINDOW_BY_SWITCH,
        .window_default = 4096,
        .kv_heads_default = 4,
        .eps_default = 1e-6,
        .theta_default = 10000,
        .n_experts_default = 128,
        .n_experts_used_default = 8,
        .n_ff_expert_default = 768,
        .bos_default = -1,
        .eos_default = -1,
    },
    {
        .architecture = "MixtralForCausalLM",
        .model_type = "mixtral",
        .features = FEATURE_EXPERTS | FEATURE_NORMED_TOPK | FEATURE_BLOCK_SPARSE,
        .window = WINDOW_BY_VALUE,
        .kv_heads_default = 8,
        .eps_default = 1e-5,
        .theta_default = 1000000,
        .n_experts_default = 8,
        .n_experts_used_default = 2,
        .bos_default = 1,
        .eos_default = 2,
    },
    {
        .architecture = "GptOssForCausalLM",
        .model_type = "gpt_oss",
        .features = FEATURE_EXPERTS | FEATURE_NORMED_TOPK | FEATURE_SINKS | FEATURE_EXPERT_BIAS | FEATURE_MXFP4,
        .attention_bias = ATTENTION_BIASES,
        .has_attention_bias = true,
        .quantization = "mxfp4",
        .activation = GLU_SILU_CLAMPED,
        .activation_key = "", // hidden_act says silu and is not asked
        .window = WINDOW_BY_VALUE,
        .windowed = WINDOWED_PERIOD,
        .window_default = 128,
        .window_period = 2,
        .kv_heads_default = 8,
        .head_dim_default = 64,
        .eps_default = 1e-5,
        .needs_rope_scaling = true,
        .theta_default = 150000,
        .n_experts_default = 128,
        .n_experts_used_default = 4,
        .bos_default = -1,
        .eos_default = -1,
    },
    {
        .architecture = "SmolLM3ForCausalLM",
        .model_type = "smollm3",
        .features = FEATURE_NOPE_LAYERS,
        .attention_bias = ATTENTION_BIASES,
        .mlp_bias = FEATURE_MLP_BIAS,
        .is_tied = true,
        .window = WINDOW_BY_SWITCH,
        .windowed = WINDOWED_NOPE,
        .kv_heads_default = 4,
        .eps_default = 1e-6,
        .theta_default = 2000000,
        .bos_default = 128000,
        .eos_default = 128001,
    },
    {
        .architecture = "Phi3ForCausalLM",
        .model_type = "phi3",
        .features = FEATURE_FUSED | FEATURE_PARTIAL_ROPE,
        .window = WINDOW_BY_VALUE,
        .eps_default = 1e-5,
        .theta_default = 10000,
        .bos_default = 1,
        .eos_default = 32000,
    },
    {
        .architecture = "GemmaForCausalLM",
        .model_type = "gemma",
        .features = GEMMA,
        .attention_bias = ATTENTION_BIASES,
        .activation = GLU_GELU_TANH,
        .gelu_name = "gelu", // what the first files say and do not mean
        .is_tied = true,
        .kv_heads_default = 16,
        .head_dim_default = 256,
        .eps_default = 1e-6,
        .theta_default = 10000,
        .bos_default = 2,
        .eos_default = 1,
    },
    {
        .architecture = "Gemma2ForCausalLM",
        .model_type = "gemma2",
        .features = GEMMA2,
        .attention_bias = ATTENTION_BIASES,
        .activation = GLU_GELU_TANH,
        .activation_key = "hidden_activation",
        .attn_softcap = 50,
        .logit_softcap = 30,
        .is_tied = true,
        .window = WINDOW_BY_VALUE,
        .windowed = WINDOWED_PERIOD,
        .window_default = 4096,
        .window_period = 2,
        .kv_heads_default = 4,
        .head_dim_default = 256,
        .eps_default = 1e-6,
        .theta_default = 10000,
        .bos_default = 2,
        .eos_default = 1,
    },
    {
        .architecture = "Gemma3ForCausalLM",
        .model_type = "gemma3_text",
        .features = GEMMA2 | FEATURE_QK_NORM | FEATURE_WINDOW_ROPE,
        .attention_bias = ATTENTION_BIASES,
        .activation = GLU_GELU_TANH,
        .activation_key = "hidden_activation",
        .is_tied = true,
        .window = WINDOW_BY_VALUE,
        .windowed = WINDOWED_PERIOD,
        .window_default = 4096,
        .window_period = 6,
        .kv_heads_default = 4,
        .head_dim_default = 256,
        .eps_default = 1e-6,
        .theta_default = 1000000,
        .bos_default = 2,
        .eos_default = 1,
    },
};

static const struct neutral_field {
    const char *key;
    double neutral;       // a number that changes nothing; NAN: only null and false do
    uint32_t honoured_by; // families with one of these features read it
} neutral_fields[] = {
    { "compression_config", NAN, 0 },
    { "partial_rotary_factor", 1, FEATURE_PARTIAL_ROPE },
    { "swiglu_alpha", 1.702, 0 },
    { "swiglu_limit", 7, 0 },
    { "rotary_pct", 1, 0 },
    { "rope_interleaved", NAN, 0 },
    { "rope_local_base_freq", NAN, FEATURE_WINDOW_ROPE },
    { "attn_logit_softcapping", 0, FEATURE_SOFTCAPS },
    { "final_logit_softcapping", 0, FEATURE_SOFTCAPS },
    { "logit_scale", 1, 0 },
    { "logits_scaling", 1, 0 },
    { "embedding_multiplier", 1, 0 },
    { "residual_multiplier", 1, 0 },
    { "attention_multiplier", NAN, 0 },
    { "query_pre_attn_scalar", NAN, FEATURE_QUERY_SCALAR },
    { "use_bidirectional_attention", NAN, 0 },
    { "attention_chunk_size", 0, 0 },
    { "clip_qkv", NAN, 0 },
    { "qk_norm", NAN, FEATURE_QK_NORM },
    { "use_qk_norm", NAN, FEATURE_QK_NORM },
    { "qk_layernorm", NAN, 0 },
    { "alibi", NAN, 0 },
    { "no_rope_layers", NAN, FEATURE_NOPE_LAYERS },
    { "num_experts", 0, FEATURE_EXPERTS },
    { "num_local_experts", 0, FEATURE_EXPERTS },
    { "n_routed_experts", 0, 0 },
    { "add_cross_attention", NAN, 0 },
    { "is_encoder_decoder", NAN, 0 },
};

static struct str clip_or(const struct json *v, struct str fallback)
{
    return v ? config_clip(v) : fallback;
}

int family_find(const struct config_reader *r, const struct family **ret)
{
    const struct json *list = config_get(r->object, "architectures");
    const struct json *name = list && list->type == JSON_ARRAY ? json_at(list, 0) : NULL;
    const struct json *type = config_get(r->object, "model_type");
    if (list && (!name || name->type != JSON_STRING)) {
        return config_wrong_value(r, "architectures", list, "a list of strings");
    }
    if (type && type->type != JSON_STRING) {
        return config_wrong_value(r, "model_type", type, "a string");
    }
    if (!name && !type) {
        return err_set_param(r->err, -EINVAL, "architectures", "%s: architectures is missing", r->file);
    }
    for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
        const struct family *f = &families[i];
        bool same_name = !name || str_eq(name->text, str_from(f->architecture));
        bool same_type = !type || str_eq(type->text, str_from(f->model_type));
        if (same_name && same_type) {
            *ret = f;
            return 0;
        }
    }
    return err_set_param(r->err, -EOPNOTSUPP, "architectures",
                         "%s: architecture %.*s (model_type %.*s) is not supported", r->file,
                         STR_ARG(clip_or(name, STR("not given"))), STR_ARG(clip_or(type, STR("not given"))));
}

int family_check_fields(const struct config_reader *r, const struct family *family)
{
    for (size_t i = 0; i < sizeof(neutral_fields) / sizeof(*neutral_fields); i++) {
        const struct neutral_field *field = &neutral_fields[i];
        const struct json *v = config_get(r->object, field->key);
        if (v && !(family->features & field->honoured_by) && !config_is_neutral(v, field->neutral)) {
            return config_unsupported(r, field->key, v);
        }
    }
    return 0;
}
