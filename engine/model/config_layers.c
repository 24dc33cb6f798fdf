// Which layers have a window, which turn their queries and keys, and which have experts: from lists in the file where
// it has them, else from the family's rule.
//
// A window as long as the context limits nothing; the layers keep their flag (they may have a rope of their own).
#include "engine/model/config_layers.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>

static int wrong_length(const struct config_reader *r, const char *key, const struct json *v, uint32_t n_layers)
{
    return err_set_param(r->err, -EINVAL, key, "%s: %s has %zu entries for %" PRIu32 " layers", r->file, key,
                         (size_t)v->n_children, n_layers);
}

// ---- window --------------------------------------------------------------------------------------------------------

// 0: none.
static int parse_window(const struct config_reader *r, const struct family *family, uint32_t *ret)
{
    bool is_on = true;
    if (family->window == WINDOW_BY_SWITCH) {
        int rc = config_get_bool(r, "use_sliding_window", false, &is_on);
        if (rc < 0) {
            return rc;
        }
    }
    const struct json *v = json_get(r->object, STR("sliding_window"));
    *ret = 0;
    if (!is_on || (v && (v->type == JSON_NULL || config_is_neutral(v, NAN)))) {
        return 0;
    }
    int64_t window = family->window_default;
    if (v && (v->type != JSON_NUMBER || json_get_i64(v, &window) < 0 || window < 1)) {
        return config_wrong_value(r, "sliding_window", v, "null or a whole number above 0");
    }
    *ret = window < CONFIG_DIM_MAX ? (uint32_t)window : CONFIG_DIM_MAX;
    return 0;
}

// The first layer that is windowed and the period of those that are not, as the family's rule has them.
static int parse_window_rule(const struct config_reader *r, const struct family *family, uint32_t *ret_first,
                             uint32_t *ret_period)
{
    *ret_first = 0;
    *ret_period = family->window_period;
    if (family->windowed == WINDOWED_LATE) {
        const struct json *v = config_get(r->object, "max_window_layers");
        int64_t first = family->window_first;
        if (v && (v->type != JSON_NUMBER || json_get_i64(v, &first) < 0 || first < 0)) {
            return config_wrong_value(r, "max_window_layers", v, "a whole number");
        }
        *ret_first = first < MODEL_LAYERS_MAX ? (uint32_t)first : MODEL_LAYERS_MAX;
    }
    if (family->windowed == WINDOWED_PERIOD) {
        return config_get_u32(r, "sliding_window_pattern", CONFIG_DIM_MAX, family->window_period, ret_period);
    }
    return 0;
}

static bool is_windowed(const struct family *family, uint32_t layer, uint8_t flags, uint32_t first, uint32_t period)
{
    switch (family->windowed) {
    case WINDOWED_ALL: return true;
    case WINDOWED_LATE: return layer >= first;
    case WINDOWED_PERIOD: return (layer + 1) % period != 0;
    case WINDOWED_NOPE: return flags & LAYER_NOPE;
    }
    return false;
}

// The field layer_types, which says of each layer whether it is windowed. Families without it have one kind of layer.
static int parse_layer_types(const struct config_reader *r, const struct family *family, const struct json *types,
                             struct model_config *c)
{
    if (types->type != JSON_ARRAY) {
        return config_wrong_value(r, "layer_types", types, "a list of strings");
    }
    if (types->n_children != c->n_layers) {
        return wrong_length(r, "layer_types", types, c->n_layers);
    }
    bool may_differ = family->window != WINDOW_NEVER && family->windowed != WINDOWED_ALL;
    for (uint32_t i = 0; i < c->n_layers; i++) {
        const struct json *type = json_at(types, i);
        bool is_full = str_eq(type->text, STR("full_attention"));
        bool is_sliding = str_eq(type->text, STR("sliding_attention")) && c->window > 0;
        bool fits = may_differ || is_full == (c->window == 0);
        if (type->type != JSON_STRING || (!is_full && !is_sliding) || !fits) {
            return err_set_param(
                r->err, -EOPNOTSUPP, "layer_types", "%s: layer_types[%" PRIu32 "] \"%.*s\" is not supported%s", r->file,
                i, STR_ARG(config_clip(type)), c->window > 0 ? "" : " where sliding_window is not in force");
        }
        c->layers[i] |= is_sliding ? LAYER_WINDOWED : 0;
    }
    return 0;
}

// A family without windows must not have one that limits anything.
static int check_no_window(const struct config_reader *r, const struct model_config *c)
{
    const struct json *v = config_get(r->object, "sliding_window");
    int64_t window;
    if (v && !config_is_neutral(v, NAN) &&
        (v->type != JSON_NUMBER || json_get_i64(v, &window) < 0 || window < c->n_ctx_max)) {
        return config_unsupported(r, "sliding_window", v);
    }
    return 0;
}

static int parse_windows(const struct config_reader *r, const struct family *family, struct model_config *c)
{
    uint32_t first, period;
    int rc = family->window == WINDOW_NEVER ? check_no_window(r, c) : parse_window(r, family, &c->window);
    if (rc < 0 || (rc = parse_window_rule(r, family, &first, &period)) < 0) {
        return rc;
    }
    const struct json *types = config_get(r->object, "layer_types");
    if (types) {
        return parse_layer_types(r, family, types, c);
    }
    for (uint32_t i = 0; c->window > 0 && i < c->n_layers; i++) {
        c->layers[i] |= is_windowed(family, i, c->layers[i], first, period) ? LAYER_WINDOWED : 0;
    }
    return 0;
}

// ---- rotation ------------------------------------------------------------------------------------------------------

// no_rope_layers, which in spite of its name holds 1 where a layer has rope; else every no_rope_layer_interval-th layer
// has none.
static int parse_nope(const struct config_reader *r, struct model_config *c)
{
    uint32_t interval = 4;
    const char *key = "no_rope_layers";
    const struct json *list = config_get(r->object, key);
    if (!list) {
        int rc = config_get_u32(r, "no_rope_layer_interval", CONFIG_DIM_MAX, interval, &interval);
        for (uint32_t i = 0; rc == 0 && i < c->n_layers; i++) {
            c->layers[i] |= (i + 1) % interval == 0 ? LAYER_NOPE : 0;
        }
        return rc;
    }
    if (list->type != JSON_ARRAY) {
        return config_wrong_value(r, key, list, "a list of 0 and 1");
    }
    if (list->n_children != c->n_layers) {
        return wrong_length(r, key, list, c->n_layers);
    }
    for (uint32_t i = 0; i < c->n_layers; i++) {
        const struct json *v = json_at(list, i);
        int64_t has_rope;
        if (v->type != JSON_NUMBER || json_get_i64(v, &has_rope) < 0 || has_rope < 0 || has_rope > 1) {
            return config_wrong_value(r, key, list, "a list of 0 and 1");
        }
        c->layers[i] |= has_rope ? 0 : LAYER_NOPE;
    }
    return 0;
}

// ---- experts -------------------------------------------------------------------------------------------------------

// Every decoder_sparse_step-th layer, without those that mlp_only_layers names.
static int parse_expert_layers(const struct config_reader *r, struct model_config *c)
{
    uint32_t step;
    int rc = config_get_u32(r, "decoder_sparse_step", CONFIG_DIM_MAX, 1, &step);
    for (uint32_t i = 0; rc == 0 && i < c->n_layers; i++) {
        c->layers[i] |= (i + 1) % step == 0 ? LAYER_EXPERTS : 0;
    }
    const char *key = "mlp_only_layers";
    const struct json *list = config_get(r->object, key);
    if (rc == 0 && list && (list->type != JSON_ARRAY || list->n_children > MODEL_LAYERS_MAX)) {
        return config_wrong_value(r, key, list, "a list of layers");
    }
    for (size_t i = 0; rc == 0 && list && i < list->n_children; i++) {
        const struct json *v = json_at(list, i);
        int64_t layer;
        if (v->type != JSON_NUMBER || json_get_i64(v, &layer) < 0 || layer < 0 || layer >= c->n_layers) {
            return config_wrong_value(r, key, v, "a list of layers");
        }
        c->layers[layer] &= (uint8_t)~LAYER_EXPERTS;
    }
    return rc;
}

int config_layers_parse(const struct config_reader *r, const struct family *family, struct model_config *ret)
{
    int rc = family->features & FEATURE_NOPE_LAYERS ? parse_nope(r, ret) : 0;
    if (rc == 0 && family->features & FEATURE_EXPERTS) {
        rc = parse_expert_layers(r, ret);
    }
    return rc < 0 ? rc : parse_windows(r, family, ret);
}
