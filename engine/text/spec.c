// Field readers: each checks presence and type and fills *ret, or says which entry is wrong. Stateless.
#include "engine/text/spec.h"

#include "engine/text/codepoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SEQUENCE_DEPTH_MAX 8

// 0 and the member; 1 when an optional one is absent.
static int member(const struct json *object, const char *where, const char *key, enum spec_need need,
                  enum json_type type, const struct json **ret, struct err *err)
{
    const struct json *value = json_get(object, str_from(key));
    if (need == SPEC_OPTIONAL && (!value || value->type == JSON_NULL)) {
        return 1;
    }
    if (!value) {
        return err_set(err, -EINVAL, "%s.%s is missing", where, key);
    }
    if (value->type != type) {
        return err_set(err, -EINVAL, "%s.%s: %s expected, %s found", where, key, json_type_name(type),
                       json_type_name(value->type));
    }
    *ret = value;
    return 0;
}

int spec_str(const struct json *object, const char *where, const char *key, enum spec_need need, struct str *ret,
             struct err *err)
{
    const struct json *value = NULL;
    int r = member(object, where, key, need, JSON_STRING, &value, err);
    if (r == 0) {
        *ret = value->text;
    }
    return r < 0 ? r : 0;
}

int spec_bool(const struct json *object, const char *where, const char *key, enum spec_need need, bool *ret,
              struct err *err)
{
    const struct json *value = NULL;
    int r = member(object, where, key, need, JSON_BOOL, &value, err);
    if (r == 0) {
        *ret = value->boolean;
    }
    return r < 0 ? r : 0;
}

int spec_u32(const struct json *object, const char *where, const char *key, enum spec_need need, uint32_t *ret,
             struct err *err)
{
    const struct json *value = NULL;
    int r = member(object, where, key, need, JSON_NUMBER, &value, err);
    int64_t number;
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    if (json_get_i64(value, &number) < 0 || number < 0 || number > UINT32_MAX) {
        return err_set(err, -EINVAL, "%s.%s: %.*s is not a whole number from 0 to 4294967295", where, key,
                       STR_ARG(value->text));
    }
    *ret = (uint32_t)number;
    return 0;
}

int spec_char(const struct json *object, const char *where, const char *key, enum spec_need need, struct str *ret,
              struct err *err)
{
    struct str s = { NULL, 0 };
    int r = spec_str(object, where, key, need, &s, err);
    if (r < 0 || (need == SPEC_OPTIONAL && !s.ptr)) {
        return r;
    }
    if (s.len == 0 || codepoint_len((uint8_t)s.ptr[0]) != s.len) {
        return err_set(err, -EINVAL, "%s.%s: one character expected, \"%.*s\" found", where, key, STR_ARG(s));
    }
    *ret = s;
    return 0;
}

int spec_copy(struct str s, struct str *ret)
{
    *ret = (struct str){ str_dup(s), s.len };
    return ret->ptr ? 0 : -ENOMEM;
}

int spec_container(const struct json *object, const char *where, const char *key, enum json_type type,
                   enum spec_need need, const struct json **ret, struct err *err)
{
    *ret = NULL;
    int r = member(object, where, key, need, type, ret, err);
    return r < 0 ? r : 0;
}

int spec_pattern(const struct json *object, const char *where, struct str *ret, bool *ret_is_regex, struct err *err)
{
    const struct json *pattern;
    int r = spec_container(object, where, "pattern", JSON_OBJECT, SPEC_REQUIRED, &pattern, err);
    if (r < 0) {
        return r;
    }
    const struct json *key = json_first(pattern);
    *ret_is_regex = key && str_eq(key->text, STR("Regex"));
    if (pattern->n_children != 1 || (!*ret_is_regex && !str_eq(key->text, STR("String"))) ||
        json_next(key)->type != JSON_STRING) {
        return err_set(err, -EINVAL, "%s.pattern: {\"String\": text} or {\"Regex\": text} expected, %.*s found", where,
                       STR_ARG(str_take(pattern->text, 64)));
    }
    *ret = json_next(key)->text;
    *ret_is_regex = *ret_is_regex || ret->len == 0; // an empty text is found everywhere, as the empty expression is
    return 0;
}

int spec_type(const struct json *component, const char *where, const void *kinds, size_t n, size_t size, int *ret,
              struct err *err)
{
    struct str type;
    if (component->type != JSON_OBJECT) {
        return err_set(err, -EINVAL, "%s: object expected, %s found", where, json_type_name(component->type));
    }
    int r = spec_str(component, where, "type", SPEC_REQUIRED, &type, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < n; i++) {
        const char *name;
        memcpy(&name, (const char *)kinds + i * size, sizeof name);
        if (str_eq(type, str_from(name))) {
            *ret = (int)i;
            return 0;
        }
    }
    return err_set(err, -EOPNOTSUPP, "%s: type %.*s is not supported", where, STR_ARG(type));
}

static int for_each_at(const struct json *component, const char *where, const char *list_key, spec_component_fn fn,
                       void *ctx, int depth, struct err *err)
{
    const struct json *type = json_get(component, STR("type"));
    if (!type || type->type != JSON_STRING || !str_eq(type->text, STR("Sequence"))) {
        return fn(ctx, component, where, err);
    }
    if (depth == SEQUENCE_DEPTH_MAX) {
        return err_set(err, -EINVAL, "%s: Sequences are nested more than %d deep", where, SEQUENCE_DEPTH_MAX);
    }
    const struct json *list;
    int r = spec_container(component, where, list_key, JSON_ARRAY, SPEC_REQUIRED, &list, err);
    if (r < 0) {
        return r;
    }
    const struct json *item = json_first(list);
    for (size_t i = 0; i < list->n_children && r == 0; i++, item = json_next(item)) {
        char path[SPEC_PATH_MAX];
        snprintf(path, sizeof path, "%s.%s[%zu]", where, list_key, i);
        r = for_each_at(item, path, list_key, fn, ctx, depth + 1, err);
    }
    return r;
}

int spec_for_each(const struct json *component, const char *where, const char *list_key, spec_component_fn fn,
                  void *ctx, struct err *err)
{
    return for_each_at(component, where, list_key, fn, ctx, 0, err);
}
