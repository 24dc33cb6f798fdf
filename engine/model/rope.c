// Reads the rope settings in both spellings of transformers, and computes frequencies step by step in f32 as it does,
// so that angles agree to the last bits at long positions.
#include "engine/model/rope.h"
#include "engine/model/config_reader.h"
#include <errno.h>
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

static int parse_linear(const struct config_reader *scaling, struct rope_config *ret)
{
    return config_get_positive(scaling, "factor", 0, &ret->factor);
}

static int parse_llama3(const struct config_reader *scaling, struct rope_config *ret)
{
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

static const struct scaling {
    enum rope_scaling id;
    const char *name;
    bool has_n_ctx_original;
    int (*parse)(const struct config_reader *scaling, struct rope_config *ret);
} scalings[] = {
    { ROPE_SCALING_NONE, "default", false, NULL },
    { ROPE_SCALING_LINEAR, "linear", false, parse_linear },
    { ROPE_SCALING_LLAMA3, "llama3", true, parse_llama3 },
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
    for (size_t i = 0; i < N_SCALINGS; i++) {
        if (str_eq(name, str_from(scalings[i].name))) {
            *ret = &scalings[i];
            return 0;
        }
    }
    return err_set_param(scaling->err, -EOPNOTSUPP, key, "%s: rope_type \"%.*s\" is not supported", scaling->file,
                         STR_ARG(config_clip(type)));
}

// The object rope_scaling or rope_parameters.
static int parse_scaling(const struct config_reader *r, const struct config_reader *scaling, const char *key,
                         uint32_t n_ctx_max, struct rope_config *ret)
{
    int rc = config_get_positive(scaling, "rope_theta", ret->theta, &ret->theta);
    const struct json *partial = config_get(scaling->object, "partial_rotary_factor");
    if (rc == 0 && partial && !config_is_neutral(partial, 1)) {
        rc = config_unsupported(scaling, "partial_rotary_factor", partial);
    }
    const struct scaling *kind = NULL;
    if (rc == 0 && (rc = find_scaling(scaling, key, &kind)) == 0) {
        ret->scaling = kind->id;
        rc = kind->parse ? kind->parse(scaling, ret) : 0;
    }
    if (rc == 0 && kind->has_n_ctx_original) {
        rc = parse_n_ctx_original(r, scaling, n_ctx_max, &ret->n_ctx_original);
    }
    return rc;
}

// rope_theta beside rope_scaling, or (transformers 5) both inside rope_parameters; the inner value wins, as there.
int rope_parse(const struct config_reader *r, double theta, uint32_t head_dim, uint32_t n_ctx_max,
               struct rope_config *ret)
{
    *ret = (struct rope_config){ .n_dims = head_dim };
    int rc = config_get_positive(r, "rope_theta", theta, &ret->theta);
    const char *key = config_get(r->object, "rope_scaling") ? "rope_scaling" : "rope_parameters";
    const struct json *v = config_get(r->object, key);
    if (rc < 0 || !v) {
        return rc;
    }
    if (v->type != JSON_OBJECT) {
        return config_wrong_value(r, key, v, "an object");
    }
    char file[64];
    snprintf(file, sizeof(file), "%s: %s", r->file, key);
    const struct config_reader scaling = { file, v, r->err };
    return parse_scaling(r, &scaling, key, n_ctx_max, ret);
}

const char *rope_scaling_name(enum rope_scaling scaling)
{
    for (size_t i = 0; i < N_SCALINGS; i++) {
        if (scalings[i].id == scaling) {
            return scaling == ROPE_SCALING_NONE ? "none" : scalings[i].name;
        }
    }
    return "";
}

// ---- frequencies ---------------------------------------------------------------------------------------------------

// Llama 3.1: long wavelengths are divided by `factor`, short ones kept, those between interpolated.
static float llama3_frequency(const struct rope_config *c, float inv_freq)
{
    float n_ctx = (float)c->n_ctx_original;
    float wavelen = (float)(2 * M_PI) * (1.0f / inv_freq);
    float factor = (float)c->factor;
    if (wavelen > (float)(n_ctx / c->low_freq_factor)) {
        return inv_freq / factor;
    }
    if (wavelen < (float)(n_ctx / c->high_freq_factor)) {
        return inv_freq;
    }
    float smooth =
        ((1.0f / wavelen) * n_ctx - (float)c->low_freq_factor) / (float)(c->high_freq_factor - c->low_freq_factor);
    return (1.0f - smooth) * inv_freq / factor + smooth * inv_freq;
}

// transformers' modeling_rope_utils.py
void rope_frequencies(const struct rope_config *rope, float *inv_freq, float *ret_attn_scale)
{
    for (uint32_t i = 0; i < rope->n_dims / 2; i++) {
        float f = 1.0f / powf((float)rope->theta, (float)(2 * i) / (float)rope->n_dims);
        switch (rope->scaling) {
        case ROPE_SCALING_NONE: break;
        case ROPE_SCALING_LINEAR: f /= (float)rope->factor; break;
        case ROPE_SCALING_LLAMA3: f = llama3_frequency(rope, f); break;
        }
        inv_freq[i] = f;
    }
    *ret_attn_scale = 1.0f;
}
