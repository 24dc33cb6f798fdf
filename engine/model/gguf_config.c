// Translates metadata to the config.json that such a file was made from, and reads that as any other: families, their
// defaults and all checks are in one place (config.c, family.c).
//
// Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; the rest is what llama.cpp's convert_hf_to_gguf.py
// does to a checkpoint, which the file does not say:
//   llama, smollm3   rows of q and k are reordered, so that the two dimensions which turn together lie side by side
//   gemma*           norms have been given their 1
//   gemma2, gemma3   the scale of scores is implied by the number of layers
//   qwen3moe         the weights of the experts that a token uses sum to 1
#include "engine/model/gguf_config.h"
#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gguf_family {
    const char *name; // general.architecture
    const char *architecture, *model_type;
    bool has_experts; // which tells two of the same name apart
    bool is_permuted; // rows of q and k
    uint32_t
        large_layers; // a model of so many layers scales its scores by the heads' share of the width, not their size
    bool has_window;  // attention.sliding_window counts
    const char *member, *value; // of config.json, that all of them have
};

static const struct gguf_family families[] = {
    { "llama", "LlamaForCausalLM", "llama", .is_permuted = true },
    { "llama", "MixtralForCausalLM", "mixtral", .is_permuted = true, .has_experts = true },
    { "smollm3", "SmolLM3ForCausalLM", "smollm3", .is_permuted = true },
    { "qwen2", "Qwen2ForCausalLM", "qwen2" },
    { "qwen3", "Qwen3ForCausalLM", "qwen3" },
    { "qwen3moe", "Qwen3MoeForCausalLM", "qwen3_moe", .has_experts = true, .member = "norm_topk_prob",
      .value = "true" },
    { "phi3", "Phi3ForCausalLM", "phi3", .has_window = true },
    { "gemma", "GemmaForCausalLM", "gemma" },
    { "gemma2", "Gemma2ForCausalLM", "gemma2", .large_layers = 46, .has_window = true },
    { "gemma3", "Gemma3ForCausalLM", "gemma3_text", .large_layers = 62, .has_window = true },
    { "gpt-oss", "GptOssForCausalLM", "gpt_oss", .has_experts = true, .has_window = true,
      .member = "quantization_config", .value = "{\"quant_method\":\"mxfp4\"}" },
};

// Keys of the architecture that say the same as a field of config.json.
enum kind { WHOLE, NUMBER };
static const struct field {
    const char *key, *name;
    enum kind kind;
    bool is_required;
} fields[] = {
    { "context_length", "max_position_embeddings", WHOLE, true },
    { "embedding_length", "hidden_size", WHOLE, true },
    { "block_count", "num_hidden_layers", WHOLE, true },
    { "attention.head_count", "num_attention_heads", WHOLE, true },
    { "attention.head_count_kv", "num_key_value_heads", WHOLE, false },
    { "attention.key_length", "head_dim", WHOLE, false },
    { "attention.layer_norm_rms_epsilon", "rms_norm_eps", NUMBER, true },
    { "rope.freq_base", "rope_theta", NUMBER, false },
    { "expert_used_count", "num_experts_per_tok", WHOLE, false },
    { "expert_feed_forward_length", "moe_intermediate_size", WHOLE, false },
    { "attn_logit_softcapping", "attn_logit_softcapping", NUMBER, false },
    { "final_logit_softcapping", "final_logit_softcapping", NUMBER, false },
};
#define N_FIELDS (sizeof(fields) / sizeof(*fields))

// Keys that change the computation in a way that is not implemented unless they have this value.
static const struct neutral_key {
    const char *key;
    double neutral;
} neutral_keys[] = {
    { "logit_scale", 1 },
    { "residual_scale", 1 },
    { "embedding_scale", 1 },
    { "attention.clamp_kqv", 0 },
    { "attention.max_alibi_bias", 0 },
    { "attention.causal", 1 },
    { "attention.temperature_scale", 0 },
    { "expert_shared_count", 0 },
    { "expert_group_count", 0 },
    { "expert_weights_scale", 1 },
    { "leading_dense_block_count", 0 },
    { "use_parallel_residual", 0 },
    { "rope.scaling.yarn_log_multiplier", 0 },
};

struct source {
    const struct gguf_set *set;
    const struct gguf *g;
    struct str arch;
    const struct gguf_family *family;
    struct json_writer w;
    struct err *err;
};

#define KEY_MAX 160

static const char *full_key(const struct source *s, const char *key, char buf[KEY_MAX])
{
    snprintf(buf, KEY_MAX, "%.*s.%s", STR_ARG(s->arch), key);
    return buf;
}

static bool has_key(const struct source *s, const char *key)
{
    char buf[KEY_MAX];
    return gguf_find(s->g, full_key(s, key, buf)) != NULL;
}

static int missing(const struct source *s, const char *key)
{
    char buf[KEY_MAX];
    return err_set(s->err, -EINVAL, "%s: %s is missing", s->g->file, full_key(s, key, buf));
}

// A number, or one per layer that are all the same. *ret stays as it is where the key is absent.
static int get_number(const struct source *s, const char *key, enum kind kind, double *ret)
{
    char buf[KEY_MAX];
    const struct gguf_entry *entry = gguf_find(s->g, full_key(s, key, buf));
    uint64_t whole = 0;
    if (entry && entry->type == GGUF_ARRAY && entry->n_items > 0 && gguf_type_bytes(entry->item_type) > 0) {
        for (uint64_t i = 0; i < entry->n_items; i++) {
            if (gguf_item_f64(entry, i) != gguf_item_f64(entry, 0)) {
                return err_set(s->err, -EOPNOTSUPP, "%s: %s differs between layers (%g, %g), which is not supported",
                               s->g->file, buf, gguf_item_f64(entry, 0), gguf_item_f64(entry, i));
            }
        }
        *ret = gguf_item_f64(entry, 0);
        return 0;
    }
    int rc = kind == WHOLE ? gguf_get_u64(s->g, buf, &whole, s->err) : gguf_get_f64(s->g, buf, ret, s->err);
    *ret = entry && kind == WHOLE && rc == 0 ? (double)whole : *ret;
    return rc;
}

static void write_number(struct source *s, const char *name, double value)
{
    json_write_key(&s->w, name);
    if (value == floor(value) && fabs(value) < 0x1p53) {
        json_write_i64(&s->w, (int64_t)value);
    } else {
        json_write_double(&s->w, value);
    }
}

static bool has_tensor(const struct source *s, const char *name)
{
    return gguf_set_find(s->set, name, NULL) != NULL;
}

// ---- architecture --------------------------------------------------------------------------------------------------

static int find_family(struct source *s)
{
    s->arch = (struct str){ NULL, 0 };
    int rc = gguf_get_str(s->g, "general.architecture", &s->arch, s->err);
    if (rc < 0 || !s->arch.ptr) {
        return rc < 0 ? rc : err_set(s->err, -EINVAL, "%s: general.architecture is missing", s->g->file);
    }
    s->arch = str_take(s->arch, 64);
    double n_experts = 0;
    rc = get_number(s, "expert_count", WHOLE, &n_experts);
    for (size_t i = 0; rc == 0 && i < sizeof(families) / sizeof(*families); i++) {
        if (str_eq(s->arch, str_from(families[i].name)) && families[i].has_experts == (n_experts > 0)) {
            s->family = &families[i];
            return 0;
        }
    }
    return rc < 0 ? rc
                  : err_set(s->err, -EOPNOTSUPP, "%s: general.architecture \"%.*s\"%s is not supported", s->g->file,
                            STR_ARG(s->arch), n_experts > 0 ? " with experts" : "");
}

static int check_neutral_keys(const struct source *s)
{
    for (size_t i = 0; i < sizeof(neutral_keys) / sizeof(*neutral_keys); i++) {
        char buf[KEY_MAX];
        const struct gguf_entry *entry = gguf_find(s->g, full_key(s, neutral_keys[i].key, buf));
        double value = neutral_keys[i].neutral;
        bool flag = value != 0;
        int rc = entry && entry->type == GGUF_BOOL ? gguf_get_bool(s->g, buf, &flag, s->err)
                                                   : gguf_get_f64(s->g, buf, &value, s->err);
        value = entry && entry->type == GGUF_BOOL ? flag : value;
        if (rc < 0 || value != neutral_keys[i].neutral) {
            return rc < 0 ? rc : err_set(s->err, -EOPNOTSUPP, "%s: %s %g is not supported", s->g->file, buf, value);
        }
    }
    return 0;
}

// ---- groups of fields ----------------------------------------------------------------------------------------------

static int write_fields(struct source *s)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        double value = NAN;
        int rc = get_number(s, fields[i].key, fields[i].kind, &value);
        if (rc < 0) {
            return rc;
        }
        if (fields[i].is_required && isnan(value)) {
            return missing(s, fields[i].key);
        }
        if (!isnan(value)) {
            write_number(s, fields[i].name, value);
        }
    }
    return 0;
}

static int write_vocabulary(struct source *s)
{
    const struct gguf_tensor *embed = gguf_set_find(s->set, "token_embd.weight", NULL);
    if (!embed) {
        return err_set(s->err, -EINVAL, "%s: tensor \"token_embd.weight\" is missing", s->g->file);
    }
    json_write_member_u64(&s->w, "vocab_size", embed->shape[1]);
    json_write_member_bool(&s->w, "tie_word_embeddings", !has_tensor(s, "output.weight"));
    json_write_member_bool(&s->w, "attention_bias", has_tensor(s, "blk.0.attn_q.bias"));
    json_write_member_bool(&s->w, "mlp_bias", has_tensor(s, "blk.0.ffn_up.bias"));
    return 0;
}

static int write_feed_forward(struct source *s)
{
    double n_ff = 0, n_experts = 0, n_ff_expert = 0, n_layers = 0;
    int rc = get_number(s, "feed_forward_length", WHOLE, &n_ff);
    rc = rc < 0 ? rc : get_number(s, "expert_count", WHOLE, &n_experts);
    rc = rc < 0 ? rc : get_number(s, "expert_feed_forward_length", WHOLE, &n_ff_expert);
    rc = rc < 0 ? rc : get_number(s, "block_count", WHOLE, &n_layers);
    if (rc < 0) {
        return rc;
    }
    if (n_ff == 0 && n_ff_expert == 0) {
        return missing(s, "feed_forward_length");
    }
    write_number(s, "intermediate_size", n_ff > 0 ? n_ff : n_ff_expert);
    if (n_experts == 0) {
        return 0;
    }
    write_number(s, "num_experts", n_experts);
    json_write_key(&s->w, "mlp_only_layers");
    json_write_array_begin(&s->w);
    for (uint32_t i = 0; i < n_layers && i < MODEL_LAYERS_MAX; i++) {
        char name[48];
        snprintf(name, sizeof(name), "blk.%" PRIu32 ".ffn_gate_inp.weight", i);
        if (!has_tensor(s, name)) {
            json_write_u64(&s->w, i);
        }
    }
    json_write_array_end(&s->w);
    return 0;
}

static int write_scores(struct source *s)
{
    double n_embd = 0, n_heads = 0, n_layers = 0, scale = 0;
    int rc = get_number(s, "embedding_length", WHOLE, &n_embd);
    rc = rc < 0 ? rc : get_number(s, "attention.head_count", WHOLE, &n_heads);
    rc = rc < 0 ? rc : get_number(s, "block_count", WHOLE, &n_layers);
    double head_dim = n_heads > 0 ? floor(n_embd / n_heads) : 0, value_dim;
    rc = rc < 0 ? rc : get_number(s, "attention.key_length", WHOLE, &head_dim);
    value_dim = head_dim;
    rc = rc < 0 ? rc : get_number(s, "attention.value_length", WHOLE, &value_dim);
    rc = rc < 0 ? rc : get_number(s, "attention.scale", NUMBER, &scale);
    if (rc < 0) {
        return rc;
    }
    if (value_dim != head_dim) {
        return err_set(s->err, -EOPNOTSUPP, "%s: %.*s.attention.value_length %g is another than the keys' %g, %s",
                       s->g->file, STR_ARG(s->arch), value_dim, head_dim, "which is not supported");
    }
    if (s->family->large_layers > 0) {
        double scalar = n_layers == s->family->large_layers ? n_embd / n_heads : head_dim;
        write_number(s, "query_pre_attn_scalar", scale > 0 ? 1 / (scale * scale) : scalar);
    } else if (scale > 0 && fabs(scale * sqrt(head_dim) - 1) > 1e-6) {
        return err_set(s->err, -EOPNOTSUPP, "%s: %.*s.attention.scale %g is not supported", s->g->file,
                       STR_ARG(s->arch), scale);
    }
    double n_dims = head_dim;
    rc = get_number(s, "rope.dimension_count", WHOLE, &n_dims);
    if (rc == 0 && head_dim > 0 && n_dims != head_dim) {
        write_number(s, "partial_rotary_factor", n_dims / head_dim);
    }
    return rc;
}

// A period, or one bool per layer; which layers these are where the key is absent is the family's rule.
static int write_pattern(struct source *s)
{
    char buf[KEY_MAX];
    const struct gguf_entry *entry = gguf_find(s->g, full_key(s, "attention.sliding_window_pattern", buf));
    double period = 0;
    if (!s->family->has_window || !entry || entry->type != GGUF_ARRAY || entry->item_type != GGUF_BOOL) {
        int rc = s->family->has_window ? get_number(s, "attention.sliding_window_pattern", WHOLE, &period) : 0;
        if (rc == 0 && period > 0) {
            write_number(s, "sliding_window_pattern", period);
        }
        return rc;
    }
    json_write_key(&s->w, "layer_types");
    json_write_array_begin(&s->w);
    for (uint64_t i = 0; i < entry->n_items; i++) {
        json_write_cstr(&s->w, gguf_item_i64(entry, i) ? "sliding_attention" : "full_attention");
    }
    json_write_array_end(&s->w);
    return 0;
}

static int write_window(struct source *s)
{
    double window = 0, local = 10000;
    int rc = get_number(s, "attention.sliding_window", WHOLE, &window);
    rc = rc < 0 ? rc : get_number(s, "rope.freq_base_swa", NUMBER, &local);
    if (rc < 0) {
        return rc;
    }
    if (str_eq(s->arch, STR("gemma3"))) {
        write_number(s, "rope_local_base_freq", local);
    }
    if (s->family->has_window && window > 0) {
        write_number(s, "sliding_window", window);
    } else if (!str_starts_with(s->arch, STR("gemma"))) { // these have one where the file says nothing
        json_write_key(&s->w, "sliding_window");
        json_write_null(&s->w);
    }
    return write_pattern(s);
}

// ---- rope ----------------------------------------------------------------------------------------------------------

// A small vector of F32, by one read; of no elements where there is no such tensor.
static int read_vector(const struct gguf_set *set, const char *name, float *ret, uint32_t n_max, uint32_t *ret_n,
                       struct err *err)
{
    size_t file_idx = 0;
    const struct gguf_tensor *t = gguf_set_find(set, name, &file_idx);
    *ret_n = 0;
    if (!t) {
        return 0;
    }
    const char *file = set->files[file_idx].gguf->file;
    if (strcmp(t->storage->name, "F32") != 0 || t->bytes != 4 * t->shape[0] || t->shape[0] > n_max) {
        return err_set(err, -EINVAL,
                       "%s: tensor \"%s\" of type %s and %" PRIu64 " elements: at most %" PRIu32 " of F32 are expected",
                       file, name, t->storage->name, t->shape[0], n_max);
    }
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd >= 0 ? pread(fd, ret, (size_t)t->bytes, (off_t)t->offset) : -1;
    int rc = n == (ssize_t)t->bytes ? 0 : n < 0 ? -errno : -EIO;
    if (fd >= 0) {
        close(fd);
    }
    *ret_n = (uint32_t)t->shape[0];
    for (uint32_t i = 0; rc == 0 && i < *ret_n; i++) {
        if (!(ret[i] > 1e-15f && ret[i] < 1e15f)) {
            return err_set(err, -EINVAL, "%s: tensor \"%s\": element %" PRIu32 " is %g, not a factor", file, name, i,
                           (double)ret[i]);
        }
    }
    return rc == 0 ? 0 : err_set(err, rc, "%s: tensor \"%s\": %s", file, name, strerror(-rc));
}

static int write_factors(struct source *s, const char *tensor, const char *name)
{
    float factors[ROPE_FACTORS_MAX];
    uint32_t n;
    int rc = read_vector(s->set, tensor, factors, ROPE_FACTORS_MAX, &n, s->err);
    if (rc == 0 && n == 0) {
        return err_set(s->err, -EINVAL, "%s: tensor \"%s\" is missing", s->g->file, tensor);
    }
    json_write_key(&s->w, name);
    json_write_array_begin(&s->w);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        json_write_double(&s->w, (double)factors[i]);
    }
    json_write_array_end(&s->w);
    return rc;
}

// Members of rope_scaling that are numbers.
static int write_scaling_numbers(struct source *s, bool is_yarn)
{
    static const struct {
        const char *key, *name;
    } numbers[] = { { "rope.scaling.original_context_length", "original_max_position_embeddings" },
                    { "rope.scaling.yarn_beta_fast", "beta_fast" },
                    { "rope.scaling.yarn_beta_slow", "beta_slow" } };
    double factor = 0, attn_factor = 0;
    int rc = get_number(s, "rope.scaling.factor", NUMBER, &factor);
    rc = rc < 0 ? rc : get_number(s, "rope.scale_linear", NUMBER, &factor);
    rc = rc < 0 ? rc : get_number(s, "rope.scaling.attn_factor", NUMBER, &attn_factor);
    if (rc == 0 && factor > 0) {
        write_number(s, "factor", factor);
    }
    if (rc == 0 && attn_factor > 0) {
        double by_yarn = is_yarn && factor > 1 ? 0.1 * log(factor) + 1 : 1;
        write_number(s, "attention_factor", attn_factor * by_yarn);
    }
    for (size_t i = 0; rc == 0 && i < sizeof(numbers) / sizeof(*numbers); i++) {
        double value = 0;
        rc = get_number(s, numbers[i].key, NUMBER, &value);
        if (rc == 0 && value > 0) {
            write_number(s, numbers[i].name, value);
        }
    }
    return rc;
}

static int write_rope(struct source *s)
{
    char buf[KEY_MAX];
    struct str type = { NULL, 0 };
    int rc = gguf_get_str(s->g, full_key(s, "rope.scaling.type", buf), &type, s->err);
    if (rc == 0 && has_tensor(s, "rope_factors_long.weight")) {
        type = STR("longrope");
    } else if (!type.ptr && has_key(s, "rope.scale_linear")) {
        type = STR("linear");
    }
    if (rc < 0 || !type.ptr || str_eq(type, STR("none"))) {
        return rc;
    }
    bool is_yarn = str_eq(type, STR("yarn"));
    json_write_key(&s->w, "rope_scaling");
    json_write_object_begin(&s->w);
    json_write_key(&s->w, "rope_type");
    json_write_str(&s->w, type);
    if (str_eq(type, STR("longrope"))) {
        rc = write_factors(s, "rope_factors_short.weight", "short_factor");
        rc = rc < 0 ? rc : write_factors(s, "rope_factors_long.weight", "long_factor");
    }
    if (is_yarn && str_eq(s->arch, STR("gpt-oss"))) {
        json_write_member_bool(&s->w, "truncate", false);
    }
    rc = rc < 0 ? rc : write_scaling_numbers(s, is_yarn);
    json_write_object_end(&s->w);
    return rc;
}

// ---- special tokens ------------------------------------------------------------------------------------------------

static int get_token(const struct source *s, const char *key, uint64_t *ret)
{
    return gguf_get_u64(s->g, key, ret, s->err);
}

static int write_specials(struct source *s)
{
    static const char *const ends[] = { "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                        "tokenizer.ggml.eom_token_id" };
    uint64_t id = UINT64_MAX;
    int rc = get_token(s, "tokenizer.ggml.bos_token_id", &id);
    json_write_key(&s->w, "bos_token_id");
    if (id != UINT64_MAX) {
        json_write_u64(&s->w, id);
    } else {
        json_write_null(&s->w);
    }
    json_write_key(&s->w, "eos_token_id");
    json_write_array_begin(&s->w);
    for (size_t i = 0; rc == 0 && i < sizeof(ends) / sizeof(*ends); i++) {
        id = UINT64_MAX;
        rc = get_token(s, ends[i], &id);
        if (rc == 0 && id != UINT64_MAX) {
            json_write_u64(&s->w, id);
        }
    }
    json_write_array_end(&s->w);
    return rc;
}

// ---- config.json ---------------------------------------------------------------------------------------------------

static int write_members(struct source *s)
{
    json_write_key(&s->w, "architectures");
    json_write_array_begin(&s->w);
    json_write_cstr(&s->w, s->family->architecture);
    json_write_array_end(&s->w);
    json_write_member_cstr(&s->w, "model_type", s->family->model_type);
    int rc = write_fields(s);
    rc = rc < 0 ? rc : write_vocabulary(s);
    rc = rc < 0 ? rc : write_feed_forward(s);
    rc = rc < 0 ? rc : write_scores(s);
    rc = rc < 0 ? rc : write_window(s);
    rc = rc < 0 ? rc : write_rope(s);
    rc = rc < 0 ? rc : write_specials(s);
    if (rc == 0 && s->family->member) {
        json_write_key(&s->w, s->family->member);
        json_write_raw(&s->w, str_from(s->family->value));
    }
    return rc;
}

static int source_init(struct source *s, const struct gguf_set *set, struct strbuf *out, struct err *err)
{
    *s = (struct source){ .set = set, .g = gguf_set_head(set), .err = err };
    json_writer_init(&s->w, out);
    int rc = find_family(s);
    return rc < 0 ? rc : check_neutral_keys(s);
}

int gguf_config_write(const struct gguf_set *set, struct strbuf *out, struct err *err)
{
    struct source s;
    int rc = source_init(&s, set, out, err);
    if (rc < 0) {
        return rc;
    }
    json_write_object_begin(&s.w);
    rc = write_members(&s);
    json_write_object_end(&s.w);
    return rc < 0 || !out->error ? rc : err_set(err, out->error, "%s: no memory for its metadata", s.g->file);
}

// Names the key that the field of a refused config.json was made from.
static void name_key(const struct source *s)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (strcmp(s->err->param, fields[i].name) == 0) {
            err_prefix(s->err, "%.*s.%s", STR_ARG(s->arch), fields[i].key);
        }
    }
    err_prefix(s->err, "%s", s->g->file);
}

// Factors of frequencies that the file has computed (rope scaling of Llama 3.1 and the like).
static int take_frequencies(const struct source *s, struct model_config *c)
{
    uint32_t n;
    int rc = read_vector(s->set, "rope_freqs.weight", c->rope.short_factors, ROPE_FACTORS_MAX, &n, s->err);
    if (rc == 0 && n == 0) {
        return 0;
    }
    if (rc == 0 && n != c->rope.n_dims / 2) {
        return err_set(s->err, -EINVAL,
                       "%s: tensor \"rope_freqs.weight\" has %" PRIu32 " elements for %" PRIu32
                       " dimensions that turn in pairs",
                       s->g->file, n, c->rope.n_dims);
    }
    if (rc == 0 && c->rope.scaling != ROPE_SCALING_NONE) {
        return err_set(s->err, -EOPNOTSUPP,
                       "%s: tensor \"rope_freqs.weight\" beside rope.scaling.type is not supported", s->g->file);
    }
    c->rope.scaling = ROPE_SCALING_FACTORS;
    return rc;
}

int gguf_config_read(const struct gguf_set *set, struct model_config *ret, struct err *err)
{
    struct strbuf text;
    struct source s;
    struct err unused = { 0 };
    strbuf_init(&text, 0);
    err = err ? err : &unused;
    int rc = gguf_config_write(set, &text, err);
    if (rc == 0) {
        source_init(&s, set, &text, err); // a second time: for names
        rc = model_config_parse(strbuf_str(&text), (struct str){ NULL, 0 }, ret, err);
        if (rc < 0) {
            name_key(&s);
        }
    }
    if (rc == 0) { // how tensors lie in a file of the other format is over
        ret->features &= ~(uint32_t)(FEATURE_NORM_PLUS_ONE | FEATURE_BLOCK_SPARSE | FEATURE_MXFP4);
        ret->features |= s.family->is_permuted ? FEATURE_PERMUTED : 0;
        rc = take_frequencies(&s, ret);
    }
    strbuf_deinit(&text);
    return rc;
}

// ---- tokenizer_config.json -----------------------------------------------------------------------------------------

static int write_text(struct source *s, const char *key, struct str text)
{
    if (utf8_valid_len(text) != text.len) {
        return err_set(s->err, -EINVAL, "%s: %s: not UTF-8", s->g->file, key);
    }
    json_write_str(&s->w, text);
    return 0;
}

static struct str token_at(const struct gguf_entry *tokens, uint64_t id)
{
    struct str items = tokens->bytes, token = { NULL, 0 };
    for (uint64_t i = 0; i <= id; i++) {
        token = gguf_next_str(&items);
    }
    return token;
}

static int write_special_tokens(struct source *s)
{
    static const struct {
        const char *key, *name;
    } specials[] = { { "tokenizer.ggml.bos_token_id", "bos_token" },
                     { "tokenizer.ggml.eos_token_id", "eos_token" },
                     { "tokenizer.ggml.unknown_token_id", "unk_token" },
                     { "tokenizer.ggml.padding_token_id", "pad_token" } };
    const struct gguf_entry *tokens = NULL;
    int rc = gguf_get_array(s->g, "tokenizer.ggml.tokens", GGUF_STRING, &tokens, s->err);
    for (size_t i = 0; rc == 0 && tokens && i < sizeof(specials) / sizeof(*specials); i++) {
        uint64_t id = UINT64_MAX;
        rc = get_token(s, specials[i].key, &id);
        if (rc == 0 && id < tokens->n_items) {
            json_write_key(&s->w, specials[i].name);
            rc = write_text(s, specials[i].key, token_at(tokens, id));
        }
    }
    return rc;
}

// Beside the first template there may be one for requests with tools.
static int write_templates(struct source *s)
{
    static const char *const keys[] = { "tokenizer.chat_template", "tokenizer.chat_template.tool_use" };
    static const char *const names[] = { "default", "tool_use" };
    struct str texts[2] = { { NULL, 0 }, { NULL, 0 } };
    int rc = gguf_get_str(s->g, keys[0], &texts[0], s->err);
    rc = rc < 0 ? rc : gguf_get_str(s->g, keys[1], &texts[1], s->err);
    if (rc < 0 || (!texts[0].ptr && !texts[1].ptr)) {
        return rc;
    }
    json_write_key(&s->w, "chat_template");
    json_write_array_begin(&s->w);
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        if (texts[i].ptr) {
            json_write_object_begin(&s->w);
            json_write_member_cstr(&s->w, "name", names[i]);
            json_write_key(&s->w, "template");
            rc = write_text(s, keys[i], texts[i]);
            json_write_object_end(&s->w);
        }
    }
    json_write_array_end(&s->w);
    return rc;
}

int gguf_tokenizer_config_write(const struct gguf_set *set, struct strbuf *out, struct err *err)
{
    struct source s = { .set = set, .g = gguf_set_head(set), .err = err };
    json_writer_init(&s.w, out);
    json_write_object_begin(&s.w);
    int rc = write_special_tokens(&s);
    rc = rc < 0 ? rc : write_templates(&s);
    json_write_object_end(&s.w);
    return rc < 0 || !out->error ? rc : err_set(err, out->error, "%s: no memory for its metadata", s.g->file);
}
