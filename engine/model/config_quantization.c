// Reads quantization_config. Of families without a quantized type of their own, the methods whose weights are F8_E4M3
// with scales are taken: "fp8", "fbgemm_fp8", and "compressed-tensors" in its format "float-quantized".
//
// What the field says about inputs (activation_scheme, input_activations, activation_scale_ub) is not honoured: inputs
// keep 16 bits, as they do in transformers once it has dequantized such a model. Which modules are not quantized
// (modules_to_not_convert, ignored_layers, ignore) the tensors' own types say.
#include "engine/model/config_quantization.h"
#include <errno.h>

#define KEY           "quantization_config"
#define BLOCK_DEFAULT 128 // where "fp8" has no weight_block_size

// Another value than the one that is asked for, where the field is there.
static int check_text(const struct config_reader *r, const char *key, const char *want)
{
    const struct json *v = config_get(r->object, key);
    return !v || (v->type == JSON_STRING && str_eq(v->text, str_from(want))) ? 0 : config_unsupported(r, key, v);
}

static int check_names(const struct config_reader *r, const char *key)
{
    const struct json *list = config_get(r->object, key);
    const struct json *v = list && list->type == JSON_ARRAY ? json_first(list) : NULL;
    bool is_right = !list || list->type == JSON_ARRAY;
    for (size_t i = 0; v && is_right && i < list->n_children; i++, v = json_next(v)) {
        is_right = v->type == JSON_STRING;
    }
    return is_right ? 0 : config_wrong_value(r, key, list, "a list of names");
}

static int parse_block(const struct config_reader *r, const char *key, struct f8_config *f8)
{
    const struct json *list = config_get(r->object, key);
    int64_t size[2] = { 0, 0 };
    bool is_pair = list && list->type == JSON_ARRAY && list->n_children == 2;
    for (size_t i = 0; is_pair && i < 2; i++) {
        const struct json *v = json_at(list, i);
        is_pair = v->type == JSON_NUMBER && json_get_i64(v, &size[i]) == 0 && size[i] > 0 && size[i] <= CONFIG_DIM_MAX;
    }
    if (!is_pair) {
        return list ? config_wrong_value(r, key, list, "a pair of whole numbers above 0")
                    : err_set_param(r->err, -EINVAL, KEY, "%s: %s is missing", r->file, key);
    }
    f8->block.n_rows = (size_t)size[0];
    f8->block.n_cols = (size_t)size[1];
    return 0;
}

// weight_block_size: blocks; null: one scale or one per row; absent: what the tensor of scales has.
static int parse_fp8(const struct config_reader *r, struct f8_config *f8)
{
    int rc;
    if ((rc = check_text(r, "fmt", "e4m3")) < 0 || (rc = check_text(r, "expert_dtype", "fp8")) < 0 ||
        (rc = check_names(r, "modules_to_not_convert")) < 0 || (rc = check_names(r, "ignored_layers")) < 0) {
        return rc;
    }
    if (config_get(r->object, "weight_block_size")) {
        return parse_block(r, "weight_block_size", f8);
    }
    f8->has_rows = true;
    if (!json_get(r->object, STR("weight_block_size"))) {
        f8->block = (struct f8_grid){ BLOCK_DEFAULT, BLOCK_DEFAULT };
    }
    return 0;
}

static int parse_fbgemm(const struct config_reader *r, struct f8_config *f8)
{
    f8->has_rows = true;
    return check_names(r, "modules_to_not_convert");
}

// The weights of one group.
static int parse_group(const struct config_reader *group, struct f8_config *f8)
{
    const struct json *weights = config_get(group->object, "weights");
    if (!weights || weights->type != JSON_OBJECT) {
        return err_set_param(group->err, -EINVAL, KEY, "%s: weights is not an object", group->file);
    }
    const struct config_reader r = { group->file, weights, group->err };
    const struct json *bits = config_get(weights, "num_bits"), *strategy = config_get(weights, "strategy");
    int64_t n_bits = 8;
    int rc = check_text(&r, "type", "float");
    if (rc == 0 && bits && (bits->type != JSON_NUMBER || json_get_i64(bits, &n_bits) < 0 || n_bits != 8)) {
        rc = config_unsupported(&r, "num_bits", bits);
    }
    if (rc < 0 || !strategy) {
        return rc < 0 ? rc : err_set_param(r.err, -EINVAL, KEY, "%s: strategy is missing", r.file);
    }
    if (str_eq(strategy->text, STR("block"))) {
        return parse_block(&r, "block_structure", f8);
    }
    f8->has_rows = true;
    bool is_known = str_eq(strategy->text, STR("tensor")) || str_eq(strategy->text, STR("channel"));
    return is_known ? 0 : config_unsupported(&r, "strategy", strategy);
}

static int parse_compressed(const struct config_reader *r, struct f8_config *f8)
{
    const struct json *groups = config_get(r->object, "config_groups");
    int rc;
    if ((rc = check_text(r, "format", "float-quantized")) < 0 || (rc = check_names(r, "ignore")) < 0) {
        return rc;
    }
    const struct json *cache = config_get(r->object, "kv_cache_scheme");
    const struct json *transforms = config_get(r->object, "transform_config");
    if (cache) {
        return config_unsupported(r, "kv_cache_scheme", cache);
    }
    if (transforms && transforms->n_children > 0) { // rotations of weights, which inputs need as well
        return config_unsupported(r, "transform_config", transforms);
    }
    if (!groups || groups->type != JSON_OBJECT || groups->n_children != 1) {
        return err_set_param(r->err, -EOPNOTSUPP, KEY, "%s: config_groups is not an object of one group", r->file);
    }
    const struct config_reader group = { "config.json: " KEY ": config_groups", json_next(json_first(groups)), r->err };
    return parse_group(&group, f8);
}

static const struct {
    const char *name;
    int (*parse)(const struct config_reader *r, struct f8_config *f8);
} methods[] = {
    { "fp8", parse_fp8 },
    { "fbgemm_fp8", parse_fbgemm },
    { "compressed-tensors", parse_compressed },
};

// Files of a family with a quantized type must say so.
static int check_own(const struct config_reader *r, const struct json *method, const char *want)
{
    if (method && str_eq(method->text, str_from(want))) {
        return 0;
    }
    return err_set_param(r->err, -EOPNOTSUPP, KEY, "%s: %s: quant_method \"%.*s\" is not supported, %s is", r->file,
                         KEY, STR_ARG(method ? config_clip(method) : STR("none")), want);
}

int config_quantization_parse(const struct config_reader *r, const struct family *family, struct model_config *c)
{
    const struct json *v = config_get(r->object, KEY), *method = v ? config_get(v, "quant_method") : NULL;
    if (family->quantization) {
        return check_own(r, method, family->quantization);
    }
    if (!v || config_is_neutral(v, 0)) {
        return 0;
    }
    const struct config_reader inner = { "config.json: " KEY, v, r->err };
    for (size_t i = 0; method && method->type == JSON_STRING && i < sizeof(methods) / sizeof(*methods); i++) {
        if (str_eq(method->text, str_from(methods[i].name))) {
            c->features |= FEATURE_F8;
            return methods[i].parse(&inner, &c->f8);
        }
    }
    return err_set_param(r->err, -EOPNOTSUPP, KEY,
                         "%s: %s: quant_method \"%.*s\" is not supported; fp8, fbgemm_fp8 and compressed-tensors are",
                         r->file, KEY, STR_ARG(method ? config_clip(method) : STR("none")));
}
