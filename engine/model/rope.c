// Reads the rope settings in both spellings of transformers, and computes frequencies step by step in f32 as it does,
// so that angles agree to the last bits at long positions.
#include "engine/model/rope.h"
#include "engine/model/config_reader.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

// ---- reading -------------------------------------------------------------------------------------------------------

// The context that the model was first trained for: of the whole config (transformers prefers it), of the scaling, or
// the context that it has now.
static int parse_n_ctx_original(const struct config_reader *r, const struct config_reader *scaling, uint32_t n_ctx_max,
                                uint32_t *ret)
{
    const char *key = "original_max_position_embeddings";
    uint32_t n;
    int rc = config_get_u32(scaling, key, CONFIG_DIM_MAX, n_ctx_max, &n);
    return rc < 0 ? rc : config_get_u32(r, key, CONFIG_DIM_MAX, n, ret);
}

static int parse_linear(const struct config_reader *scaling, uint32_t n_ctx_max, struct rope_config *ret)
{
    (void)n_ctx_max;
    return config_get_positive(scaling, "factor", 0, &ret->factor);
}

static int parse_llama3(const struct config_reader *scaling, uint32_t n_ctx_max, struct rope_config *ret)
{
    (void)n_ctx_max;
    int rc;
    if ((rc = config_get_positive(scaling, "factor", 0, &ret->factor)) < 0 ||
        (rc = config_get_positive(scaling, "low_freq_factor", 0, &ret->low_freq_factor)) < 0 ||
        (rc = config_get_positive(scaling, "high_freq_factor", 0, &ret->high_freq_factor)) < 0) {
        return rc;
    }
    if (ret->high_freq_factor < 1.001 * ret->low_freq_factor) { // their difference divides
        return err_set_param(scaling->err, -EINVAL, "high_freq_factor",
                             "%s: high_freq_factor %g must be above low_freq_factor %g", scaling->file,
                             ret->high_freq_factor, ret->low_freq_factor);
    }
    return 0;
}

static double yarn_mscale(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

// Peng et al. 2023; mscale and mscale_all_dim as DeepSeek has them.
static int parse_yarn(const struct config_reader *scaling, uint32_t n_ctx_max, struct rope_config *ret)
{
    int rc;
    double mscale, mscale_all, by_factor = n_ctx_max / (double)ret->n_ctx_original;
    if ((rc = config_get_positive(scaling, "factor", by_factor, &ret->factor)) < 0 ||
        (rc = config_get_positive(scaling, "beta_fast", 32, &ret->beta_fast)) < 0 ||
        (rc = config_get_positive(scaling, "beta_slow", 1, &ret->beta_slow)) < 0 ||
        (rc = config_get_positive(scaling, "mscale", 1, &mscale)) < 0 ||
        (rc = config_get_positive(scaling, "mscale_all_dim", 1, &mscale_all)) < 0 ||
        (rc = config_get_bool(scaling, "truncate", true, &ret->is_truncated)) < 0) {
        return rc;
    }
    if (ret->theta < 1.001) { // its logarithm divides
        return err_set_param(scaling->err, -EINVAL, "rope_theta", "%s: rope_theta %g must be above 1 with yarn",
                             scaling->file, ret->theta);
    }
    bool has_both = config_get(scaling->object, "mscale") && config_get(scaling->object, "mscale_all_dim");
    double attn_scale = has_both ? yarn_mscale(ret->factor, mscale) / yarn_mscale(ret->factor, mscale_all)
                                 : yarn_mscale(ret->factor, 1);
    return config_get_positive(scaling, "attention_factor", attn_scale, &ret->attn_scale);
}

// Ding et al. 2024.
static int parse_longrope(const struct config_reader *scaling, uint32_t n_ctx_max, struct rope_config *ret)
{
    if (ret->n_dims / 2 > ROPE_FACTORS_MAX) {
        return err_set_param(scaling->err, -EOPNOTSUPP, "head_dim",
                             "%s: longrope of %" PRIu32 " dimensions is not supported: at most %d are", scaling->file,
                             ret->n_dims, 2 * ROPE_FACTORS_MAX);
    }
    double by_factor = n_ctx_max / (double)ret->n_ctx_original;
    int rc;
    if ((rc = config_get_positives(scaling, "short_factor", ret->n_dims / 2, ret->short_factors)) < 0 ||
        (rc = config_get_positives(scaling, "long_factor", ret->n_dims / 2, ret->long_factors)) < 0 ||
        (rc = config_get_positive(scaling, "factor", by_factor, &ret->factor)) < 0) {
        return rc;
    }
    bool is_scaled = ret->factor > 1 && ret->n_ctx_original > 1;
    double attn_scale = is_scaled ? sqrt(1 + log(ret->factor) / log(ret->n_ctx_original)) : 1;
    return config_get_positive(scaling, "attention_factor", attn_scale, &ret->attn_scale);
}

static const struct scaling {
    enum rope_scaling id;
    const char *name;
    bool has_n_ctx_original;
    int (*parse)(const struct config_reader *scaling, uint32_t n_ctx_max, struct rope_config *ret);
} scalings[] = {
    { ROPE_SCALING_NONE, "default", false, NULL },
    { ROPE_SCALING_LINEAR, "linear", false, parse_linear },
    { ROPE_SCALING_LLAMA3, "llama3", true, parse_llama3 },
    { ROPE_SCALING_YARN, "yarn", true, parse_yarn },
    { ROPE_SCALING_LONGROPE, "longrope", true, parse_longrope },
};
#define N_SCALINGS (sizeof(scalings) / sizeof(*scalings))

static int find_scaling(const struct config_reader *scaling, const char *key, const struct scaling **ret)
{
    const struct json *v = scaling->object;
    const struct json *type = config_get(v, "rope_type") ? config_get(v, "rope_type") : config_get(v, "type");
    if (type && type->type != JSON_STRING) {
        return config_wrong_value(scaling, "rope_type", type, "a string");
    }
    struct str name = type ? type->text : STR("default");
    if (config_get(v, "short_factor") && (str_eq(name, STR("su")) || str_eq(name, STR("yarn")))) {
        name = STR("longrope"); // its names in early files of Phi-3
    }
    for (size_t i = 0; i < N_SCALINGS; i++) {
        if (str_eq(name, str_from(scalings[i].name))) {
            *ret = &scalings[i];
            return 0;
        }
    }
    return err_set_param(scaling->err, -EOPNOTSUPP, key, "%s: rope_type \"%.*s\" is not supported", scaling->file,
                         STR_ARG(config_clip(type)));
}

static int parse_partial(const struct config_reader *r, const struct rope_source *source, struct rope_config *ret)
{
    const char *key = "partial_rotary_factor";
    const struct json *v = config_get(r->object, key);
    double part;
    if (!v) {
        return 0;
    }
    if (!source->may_be_partial) {
        return config_is_neutral(v, 1) ? 0 : config_unsupported(r, key, v);
    }
    int rc = config_get_positive(r, key, 1, &part);
    if (rc == 0 && (part > 1 || source->head_dim * part < 2 || (uint32_t)(source->head_dim * part) % 2 != 0)) {
        rc = config_wrong_value(r, key, v, "a part of the head with an even number of dimensions");
    }
    ret->n_dims = rc == 0 ? (uint32_t)(source->head_dim * part) : ret->n_dims;
    return rc;
}

// The object rope_scaling or rope_parameters, or one inside the latter.
static int parse_scaling(const struct config_reader *r, const struct config_reader *scaling, const char *key,
                         const struct rope_source *source, struct rope_config *ret)
{
    const struct scaling *kind = NULL;
    int rc = config_get_positive(scaling, "rope_theta", ret->theta, &ret->theta);
    if (rc < 0 || (rc = parse_partial(scaling, source, ret)) < 0 || (rc = find_scaling(scaling, key, &kind)) < 0) {
        return rc;
    }
    ret->scaling = kind->id;
    if (kind->has_n_ctx_original &&
        (rc = parse_n_ctx_original(r, scaling, source->n_ctx_max, &ret->n_ctx_original)) < 0) {
        return rc;
    }
    return kind->parse ? kind->parse(scaling, source->n_ctx_max, ret) : 0;
}

static int parse_object(const struct config_reader *r, const char *key, const struct rope_source *source,
                        struct rope_config *ret)
{
    const struct json *v = config_get(r->object, key);
    char file[96];
    snprintf(file, sizeof(file), "%s: %s", r->file, key);
    struct config_reader scaling = { file, v, r->err };
    if (v->type != JSON_OBJECT) {
        return config_wrong_value(r, key, v, "an object");
    }
    bool is_nested = source->nested && str_eq(str_from(key), STR("rope_parameters"));
    const struct json *full = config_get(v, "full_attention"), *sliding = config_get(v, "sliding_attention");
    if (!is_nested && (full || sliding)) {
        return config_unsupported(&scaling, full ? "full_attention" : "sliding_attention", full ? full : sliding);
    }
    if (is_nested) {
        v = config_get(v, source->nested);
        if (!v || v->type != JSON_OBJECT) {
            return v ? config_wrong_value(&scaling, source->nested, v, "an object") : 0;
        }
        snprintf(file, sizeof(file), "%s: %s: %s", r->file, key, source->nested);
        scaling.object = v;
    }
    return parse_scaling(r, &scaling, key, source, ret);
}

// rope_theta beside rope_scaling, or (transformers 5) both inside rope_parameters; the inner value wins, as there.
int rope_parse(const struct config_reader *r, const struct rope_source *source, struct rope_config *ret)
{
    *ret = (struct rope_config){ .n_dims = source->head_dim, .attn_scale = 1 };
    int rc = config_get_positive(r, source->theta_key, source->theta, &ret->theta);
    if (rc < 0 || (rc = parse_partial(r, source, ret)) < 0) {
        return rc;
    }
    if (source->takes_scaling && config_get(r->object, "rope_scaling")) {
        return parse_object(r, "rope_scaling", source, ret);
    }
    return config_get(r->object, "rope_parameters") ? parse_object(r, "rope_parameters", source, ret) : 0;
}

const char *rope_scaling_name(enum rope_scaling scaling)
{
    if (scaling == ROPE_SCALING_FACTORS) {
        return "factors"; // which no config.json says
    }
    for (size_t i = 0; i < N_SCALINGS; i++) {
        if (scalings[i].id == scaling) {
            return scaling == ROPE_SCALING_NONE ? "none" : scalings[i].name;
        }
    }
    return "";
}

// ---- frequencies ---------------------------------------------------------------------------------------------------

// Llama 3.1: long wavelengths are divided by `factor`, short ones kept, those between interpolated.
static float llama3_frequency(const struct rope_config *rope, float inv_freq)
{
    float n_ctx = (float)rope->n_ctx_original;
    float wavelen = (float)(2 * M_PI) * (1.0f / inv_freq);
    float factor = (float)rope->factor;
    if (wavelen > (float)(n_ctx / rope->low_freq_factor)) {
        return inv_freq / factor;
    }
    if (wavelen < (float)(n_ctx / rope->high_freq_factor)) {
        return inv_freq;
    }
    float smooth = ((1.0f / wavelen) * n_ctx - (float)rope->low_freq_factor) /
                   (float)(rope->high_freq_factor - rope->low_freq_factor);
    return (1.0f - smooth) * inv_freq / factor + smooth * inv_freq;
}

// The pair of dimensions that turns n_rotations times in the original context.
static double yarn_pair(const struct rope_config *rope, double n_rotations)
{
    return rope->n_dims * log(rope->n_ctx_original / (n_rotations * 2 * M_PI)) / (2 * log(rope->theta));
}

// YaRN: pairs before the range keep their frequency, those behind it are divided by `factor`, those between blended.
static float yarn_frequency(const struct rope_config *rope, uint32_t pair, float power)
{
    double low = yarn_pair(rope, rope->beta_fast), high = yarn_pair(rope, rope->beta_slow);
    low = fmax(rope->is_truncated ? floor(low) : low, 0);
    high = fmin(rope->is_truncated ? ceil(high) : high, rope->n_dims - 1);
    high += low == high ? 0.001 : 0; // their difference divides
    float ramp = ((float)pair - (float)low) / (float)(high - low);
    ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
    float kept = 1.0f - ramp;
    return 1.0f / ((float)rope->factor * power) * (1.0f - kept) + 1.0f / power * kept;
}

// transformers' modeling_rope_utils.py
void rope_frequencies(const struct rope_config *rope, uint32_t n_ctx, float *inv_freq, float *ret_attn_scale)
{
    const float *factors = n_ctx > rope->n_ctx_original ? rope->long_factors : rope->short_factors;
    for (uint32_t i = 0; i < rope->n_dims / 2; i++) {
        float power = powf((float)rope->theta, (float)(2 * i) / (float)rope->n_dims), f = 1.0f / power;
        switch (rope->scaling) {
        case ROPE_SCALING_NONE: break;
        case ROPE_SCALING_LINEAR: f /= (float)rope->factor; break;
        case ROPE_SCALING_LLAMA3: f = llama3_frequency(rope, f); break;
        case ROPE_SCALING_YARN: f = yarn_frequency(rope, i, power); break;
        case ROPE_SCALING_LONGROPE: f = 1.0f / (factors[i] * power); break;
        case ROPE_SCALING_FACTORS: f /= rope->short_factors[i]; break;
        }
        inv_freq[i] = f;
    }
    *ret_attn_scale = (float)rope->attn_scale;
}
