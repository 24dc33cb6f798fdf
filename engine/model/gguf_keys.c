// What llama.cpp's convert_hf_to_gguf.py writes, and checks that what it leaves out is what readers imply.
#include "engine/model/gguf_keys.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct family_name {
    const char *architecture, *name;
    bool is_permuted;
    bool has_window; // attention.sliding_window is read
    uint32_t period; // of its layers that are not windowed
} names[] = {
    { "LlamaForCausalLM", "llama", true, false, 0 },        { "MistralForCausalLM", "llama", true, false, 0 },
    { "MixtralForCausalLM", "llama", true, false, 0 },      { "SmolLM3ForCausalLM", "smollm3", true, false, 0 },
    { "Qwen2ForCausalLM", "qwen2", false, false, 0 },       { "Qwen3ForCausalLM", "qwen3", false, false, 0 },
    { "Qwen3MoeForCausalLM", "qwen3moe", false, false, 0 }, { "Phi3ForCausalLM", "phi3", false, true, 0 },
    { "GemmaForCausalLM", "gemma", false, false, 0 },       { "Gemma2ForCausalLM", "gemma2", false, true, 2 },
    { "Gemma3ForCausalLM", "gemma3", false, true, 6 },      { "GptOssForCausalLM", "gpt-oss", false, true, 2 },
};

static const struct family_name *find_name(const struct model_config *c)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(c->architecture, names[i].architecture) == 0) {
            return &names[i];
        }
    }
    return NULL;
}

bool gguf_is_permuted(const struct model_config *c)
{
    const struct family_name *name = find_name(c);
    return name && name->is_permuted;
}

struct target {
    const struct model_config *c;
    const struct family_name *name;
    struct gguf_writer *w;
    char key[160];
};

static const char *key(struct target *t, const char *suffix)
{
    snprintf(t->key, sizeof(t->key), "%s.%s", t->name->name, suffix);
    return t->key;
}

static void put_u32(struct target *t, const char *suffix, uint32_t value)
{
    gguf_write_u32(t->w, key(t, suffix), value);
}

static void put_f32(struct target *t, const char *suffix, double value)
{
    gguf_write_f32(t->w, key(t, suffix), (float)value);
}

static int check_layers(const struct target *t, struct err *err)
{
    const struct model_config *c = t->c;
    for (uint32_t i = 0; i < c->n_layers; i++) {
        bool is_windowed = c->layers[i] & LAYER_WINDOWED && c->window < c->n_ctx_max;
        bool by_rule = t->name->has_window && (t->name->period == 0 || (i + 1) % t->name->period != 0);
        bool is_implied =
            t->name->has_window ? c->window == 0 || !!(c->layers[i] & LAYER_WINDOWED) == by_rule : !is_windowed;
        if (!is_implied) {
            return err_set(err, -EOPNOTSUPP, "layer %u of %s %s a window, which a GGUF file cannot say", i,
                           c->architecture, c->layers[i] & LAYER_WINDOWED ? "has" : "has not");
        }
        if (!!(c->layers[i] & LAYER_NOPE) != (strcmp(t->name->name, "smollm3") == 0 && (i + 1) % 4 == 0)) {
            return err_set(err, -EOPNOTSUPP, "layer %u of %s: whether it turns q and k cannot be said in a GGUF file",
                           i, c->architecture);
        }
    }
    if (c->n_experts > 0 && !model_has(c, FEATURE_NORMED_TOPK)) {
        return err_set(err, -EOPNOTSUPP, "norm_topk_prob false cannot be said in a GGUF file");
    }
    return 0;
}

static void put_shape(struct target *t)
{
    const struct model_config *c = t->c;
    put_u32(t, "context_length", c->n_ctx_max);
    put_u32(t, "embedding_length", c->n_embd);
    put_u32(t, "block_count", c->n_layers);
    put_u32(t, "feed_forward_length", c->n_ff);
    put_u32(t, "attention.head_count", c->n_heads);
    put_u32(t, "attention.head_count_kv", c->n_kv_heads);
    put_u32(t, "attention.key_length", c->head_dim);
    put_u32(t, "attention.value_length", c->head_dim);
    put_f32(t, "attention.layer_norm_rms_epsilon", (double)c->rms_eps);
    put_u32(t, "vocab_size", c->n_vocab);
    if (c->n_experts > 0) {
        put_u32(t, "expert_count", c->n_experts);
        put_u32(t, "expert_used_count", c->n_experts_used);
        put_u32(t, "expert_feed_forward_length", c->n_ff_expert);
    }
    if (t->name->has_window && c->window > 0) {
        put_u32(t, "attention.sliding_window", c->window);
    }
    if (c->attn_softcap > 0) {
        put_f32(t, "attn_logit_softcapping", (double)c->attn_softcap);
    }
    if (c->logit_softcap > 0) {
        put_f32(t, "final_logit_softcapping", (double)c->logit_softcap);
    }
    if (model_has(c, FEATURE_QUERY_SCALAR)) {
        put_f32(t, "attention.scale", (double)c->attn_scale);
    }
}

// inv_freq without scaling over inv_freq with it.
static void take_llama3(const struct rope_config *rope, struct gguf_factors *ret)
{
    struct rope_config plain = *rope;
    float scaled[4096 / 2], base[4096 / 2], unused;
    plain.scaling = ROPE_SCALING_NONE;
    rope_frequencies(rope, 0, scaled, &unused);
    rope_frequencies(&plain, 0, base, &unused);
    *ret = (struct gguf_factors){ .name = "rope_freqs.weight", .n = rope->n_dims / 2 };
    for (uint32_t i = 0; i < ret->n; i++) {
        ret->values[i] = base[i] / scaled[i];
    }
}

static size_t take_factors(const struct rope_config *rope, struct gguf_factors ret[GGUF_FACTORS_MAX])
{
    uint32_t n = rope->n_dims / 2;
    if (rope->scaling == ROPE_SCALING_LLAMA3) {
        take_llama3(rope, ret);
        return 1;
    }
    bool is_long = rope->scaling == ROPE_SCALING_LONGROPE;
    ret[0] = (struct gguf_factors){ .name = is_long ? "rope_factors_short.weight" : "rope_freqs.weight", .n = n };
    ret[1] = (struct gguf_factors){ .name = "rope_factors_long.weight", .n = n };
    memcpy(ret[0].values, rope->short_factors, sizeof(ret[0].values));
    memcpy(ret[1].values, rope->long_factors, sizeof(ret[1].values));
    return is_long ? 2 : rope->scaling == ROPE_SCALING_FACTORS ? 1 : 0;
}

static void put_rope(struct target *t)
{
    const struct rope_config *rope = &t->c->rope;
    put_f32(t, "rope.freq_base", rope->theta);
    put_u32(t, "rope.dimension_count", rope->n_dims);
    if (model_has(t->c, FEATURE_WINDOW_ROPE)) {
        put_f32(t, "rope.freq_base_swa", t->c->window_rope.theta);
    }
    if (rope->scaling == ROPE_SCALING_LONGROPE) {
        put_u32(t, "rope.scaling.original_context_length", rope->n_ctx_original);
        put_f32(t, "rope.scaling.attn_factor", rope->attn_scale);
    }
    if (rope->scaling == ROPE_SCALING_LINEAR || rope->scaling == ROPE_SCALING_YARN) {
        gguf_write_str(t->w, key(t, "rope.scaling.type"), str_from(rope_scaling_name(rope->scaling)));
        put_f32(t, "rope.scaling.factor", rope->factor);
    }
    if (rope->scaling == ROPE_SCALING_YARN) {
        double implied = rope->factor > 1 ? 0.1 * log(rope->factor) + 1 : 1;
        put_u32(t, "rope.scaling.original_context_length", rope->n_ctx_original);
        put_f32(t, "rope.scaling.yarn_beta_fast", rope->beta_fast);
        put_f32(t, "rope.scaling.yarn_beta_slow", rope->beta_slow);
        if (fabs(rope->attn_scale / implied - 1) > 1e-6) {
            put_f32(t, "rope.scaling.attn_factor", rope->attn_scale / implied);
        }
    }
}

int gguf_keys_write(const struct model_config *c, struct gguf_writer *w, struct gguf_factors ret[GGUF_FACTORS_MAX],
                    size_t *ret_n, struct err *err)
{
    struct target t = { .c = c, .name = find_name(c), .w = w };
    if (!t.name) {
        return err_set(err, -EOPNOTSUPP, "%s has no form as GGUF", c->architecture);
    }
    if (c->rope.n_dims / 2 > ROPE_FACTORS_MAX) {
        return err_set(err, -EOPNOTSUPP, "rope of %u dimensions has no form as GGUF", c->rope.n_dims);
    }
    int rc = check_layers(&t, err);
    if (rc < 0) {
        return rc;
    }
    gguf_write_str(w, "general.architecture", str_from(t.name->name));
    put_shape(&t);
    put_rope(&t);
    *ret_n = take_factors(&c->rope, ret);
    return 0;
}
