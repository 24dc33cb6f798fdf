// Reads typed fields; what is absent or null has a fallback, what has another type or range is refused.
#include "engine/model/config_reader.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define POSITIVE_MIN 1e-15

const struct json *config_get(const struct json *object, const char *key)
{
    const struct json *v = json_get(object, str_from(key));
    return v && v->type != JSON_NULL ? v : NULL;
}

struct str config_clip(const struct json *v)
{
    return v->type == JSON_BOOL ? str_from(v->boolean ? "true" : "false") : str_take(v->text, 80);
}

int config_wrong_value(const struct config_reader *r, const char *key, const struct json *v, const char *expected)
{
    return err_set_param(r->err, -EINVAL, key, "%s: %s must be %s, not %s%s%.*s", r->file, key, expected,
                         v->type == JSON_BOOL ? "" : json_type_name(v->type), v->type == JSON_BOOL ? "" : " ",
                         STR_ARG(config_clip(v)));
}

int config_unsupported(const struct config_reader *r, const char *key, const struct json *v)
{
    return err_set_param(r->err, -EOPNOTSUPP, key, "%s: %s (%.*s) is not supported", r->file, key,
                         STR_ARG(config_clip(v)));
}

static int missing(const struct config_reader *r, const char *key)
{
    return err_set_param(r->err, -EINVAL, key, "%s: %s is missing", r->file, key);
}

int config_get_u32(const struct config_reader *r, const char *key, uint32_t max, uint32_t fallback, uint32_t *ret)
{
    const struct json *v = config_get(r->object, key);
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
        return config_wrong_value(r, key, v, expected);
    }
    *ret = (uint32_t)value;
    return 0;
}

static int positive(const struct config_reader *r, const char *key, const struct json *v, double *ret)
{
    double value = v->type == JSON_NUMBER ? json_get_double(v) : 0;
    if (!(value >= POSITIVE_MIN && value <= 1 / POSITIVE_MIN)) {
        return config_wrong_value(r, key, v, "a number from 1e-15 to 1e15");
    }
    *ret = value;
    return 0;
}

int config_get_positive(const struct config_reader *r, const char *key, double fallback, double *ret)
{
    const struct json *v = config_get(r->object, key);
    if (!v && fallback == 0) {
        return missing(r, key);
    }
    if (!v) {
        *ret = fallback;
        return 0;
    }
    return positive(r, key, v, ret);
}

int config_get_positives(const struct config_reader *r, const char *key, uint32_t n, float *ret)
{
    const struct json *list = config_get(r->object, key);
    if (!list) {
        return missing(r, key);
    }
    if (list->type != JSON_ARRAY || list->n_children != n) {
        char expected[64];
        snprintf(expected, sizeof(expected), "a list of %" PRIu32 " numbers", n);
        return config_wrong_value(r, key, list, expected);
    }
    for (uint32_t i = 0; i < n; i++) {
        double value = 0;
        int rc = positive(r, key, json_at(list, i), &value);
        if (rc < 0) {
            return rc;
        }
        ret[i] = (float)value;
    }
    return 0;
}

int config_get_bool(const struct config_reader *r, const char *key, bool fallback, bool *ret)
{
    const struct json *v = config_get(r->object, key);
    if (v && v->type != JSON_BOOL) {
        return config_wrong_value(r, key, v, "true or false");
    }
    *ret = v ? v->boolean : fallback;
    return 0;
}

bool config_is_neutral(const struct json *v, double neutral)
{
    return (v->type == JSON_BOOL && !v->boolean) || (v->type == JSON_NUMBER && json_get_double(v) == neutral);
}
