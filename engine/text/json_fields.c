// Applies tables of fields to JSON objects: types, ranges, neutral values, and the errors in the words of OpenAI's API.
//
// Pure functions on their arguments.
#include "engine/text/json_fields.h"

#include "engine/base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    unsigned type;
    const char *name;
} type_names[] = {
    { T_BOOL, "boolean" },  { T_NUMBER, "number" }, { T_INTEGER, "integer" },
    { T_STRING, "string" }, { T_ARRAY, "array" },   { T_OBJECT, "object" },
};

static bool json_is_integer(const struct json *value)
{
    int64_t unused;

    return value->type == JSON_NUMBER && json_get_i64(value, &unused) != -EINVAL;
}

static unsigned json_field_type(const struct json *value)
{
    switch (value->type) {
    case JSON_BOOL: return T_BOOL;
    case JSON_NUMBER: return json_is_integer(value) ? T_NUMBER | T_INTEGER : T_NUMBER;
    case JSON_STRING: return T_STRING;
    case JSON_ARRAY: return T_ARRAY;
    case JSON_OBJECT: return T_OBJECT;
    case JSON_NULL: break;
    }
    return 0;
}

void field_path(char out[static FIELD_PATH_MAX], const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(out, FIELD_PATH_MAX, fmt, args);
    va_end(args);
}

void field_quote(struct str text, char out[static 48])
{
    size_t len = text.len < 40 ? text.len : 40;

    // Not in the middle of a UTF-8 character.
    while (len > 0 && len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80) {
        len--;
    }
    snprintf(out, 48, "%.*s%s", (int)len, len > 0 ? text.ptr : "", len < text.len ? "..." : "");
}

int field_type_error(struct err *err, const char *path, const char *expected, const struct json *got)
{
    const char *name = json_type_name(got->type);

    if (got->type == JSON_NUMBER) {
        name = json_is_integer(got) ? "integer" : "decimal";
    }
    return err_set_param(err, -EINVAL, path, "Invalid type for '%s': expected %s, but got %s %s instead.", path,
                         expected, strchr("aeiou", name[0]) != NULL ? "an" : "a", name);
}

int field_missing(struct err *err, const char *path)
{
    return err_set_param(err, -EINVAL, path, "Missing required parameter: '%s'.", path);
}

// "a string", "an array or an object", ...
static void describe_types(unsigned types, char *out, size_t size)
{
    size_t len = 0;

    out[0] = 0;
    for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
        if ((types & type_names[i].type) != 0 && len < size) {
            const char *name = type_names[i].name;
            int n = snprintf(out + len, size - len, "%s%s %s", len > 0 ? " or " : "",
                             strchr("aeiou", name[0]) != NULL ? "an" : "a", name);

            len += n > 0 ? (size_t)n : 0;
        }
    }
}

int field_check_type(struct err *err, const struct json *value, unsigned types, const char *path)
{
    char expected[96];

    if ((json_field_type(value) & types) != 0) {
        return 0;
    }
    describe_types(types, expected, sizeof(expected));
    return field_type_error(err, path, expected, value);
}

int field_member(struct field_ctx *ctx, const struct json *object, const char *path, const char *name, unsigned types,
                 const struct json **ret, char ret_path[static FIELD_PATH_MAX])
{
    const struct json *value = json_get(object, str_from(name));

    field_path(ret_path, "%s.%s", path, name);
    if (value == NULL) {
        return field_missing(ctx->err, ret_path);
    }
    *ret = value;
    return field_check_type(ctx->err, value, types, ret_path);
}

int field_check_string(struct field_ctx *ctx, const struct json *value, const char *path)
{
    return field_check_type(ctx->err, value, T_STRING, path);
}

int field_check_object(struct field_ctx *ctx, const struct json *value, const char *path)
{
    return field_check_type(ctx->err, value, T_OBJECT, path);
}

int field_check_token_id(struct field_ctx *ctx, const struct json *value, const char *path)
{
    char got[48];
    int64_t id;

    if (value->type != JSON_NUMBER) {
        return field_type_error(ctx->err, path, "an integer", value);
    }
    if (json_get_i64(value, &id) == 0 && id >= 0 && id <= INT32_MAX) {
        return 0;
    }
    field_quote(value->text, got);
    return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': %s is not a token id.", path, got);
}

int fields_each(struct field_ctx *ctx, const struct json *array, const char *path,
                int (*check)(struct field_ctx *ctx, const struct json *value, const char *path))
{
    const struct json *item = json_first(array);
    int r = 0;

    for (size_t i = 0; i < array->n_children && r == 0; i++, item = json_next(item)) {
        char item_path[FIELD_PATH_MAX];

        field_path(item_path, "%s[%zu]", path, i);
        r = check(ctx, item, item_path);
    }
    return r;
}

static int check_range(struct err *err, const struct field *field, const struct json *value, const char *path)
{
    double number;
    char got[48];
    const char *kind = (field->types & T_NUMBER) != 0 ? "decimal" : "integer";

    if (value->type != JSON_NUMBER || (field->min == 0 && field->max == 0)) {
        return 0;
    }
    number = json_get_double(value);
    field_quote(value->text, got);
    if (number < field->min) {
        return err_set_param(err, -EINVAL, path,
                             "Invalid '%s': %s below minimum value. Expected a value >= %.15g, but got %s instead.",
                             path, kind, field->min, got);
    }
    if (number > field->max) {
        return err_set_param(err, -EINVAL, path,
                             "Invalid '%s': %s above maximum value. Expected a value <= %.15g, but got %s instead.",
                             path, kind, field->max, got);
    }
    return 0;
}

static bool json_object_equal(const struct json *a, const struct json *b)
{
    const struct json *key = json_first(a);

    for (size_t i = 0; i < a->n_children; i++) {
        const struct json *value = json_next(key);
        const struct json *other = json_get(b, key->text);

        if (other == NULL || !json_equal(value, other)) {
            return false;
        }
        key = json_next(value);
    }
    return true;
}

bool json_equal(const struct json *a, const struct json *b)
{
    const struct json *x, *y;

    if (a->type != b->type || a->n_children != b->n_children) {
        return false;
    }
    switch (a->type) {
    case JSON_NULL: return true;
    case JSON_BOOL: return a->boolean == b->boolean;
    case JSON_NUMBER: return json_get_double(a) == json_get_double(b);
    case JSON_STRING: return str_eq(a->text, b->text);
    case JSON_OBJECT: return json_object_equal(a, b);
    case JSON_ARRAY: break;
    }
    x = json_first(a);
    y = json_first(b);
    for (size_t i = 0; i < a->n_children; i++, x = json_next(x), y = json_next(y)) {
        if (!json_equal(x, y)) {
            return false;
        }
    }
    return true;
}

static int refuse_unless_neutral(struct field_ctx *ctx, const struct field *field, const struct json *value,
                                 const char *path)
{
    const struct json *neutral;
    char got[48];
    int r;

    if (field->neutral != NULL) {
        r = json_parse(ctx->arena, str_from(field->neutral), &neutral, ctx->err);
        if (r < 0) {
            return r;
        }
        if (json_equal(neutral, value)) {
            return 0;
        }
    }
    if (value->type == JSON_ARRAY || value->type == JSON_OBJECT) {
        return err_set_param(ctx->err, -EOPNOTSUPP, path, "Unsupported parameter: '%s' is not supported.", path);
    }
    field_quote(value->text, got);
    if (value->type == JSON_BOOL) {
        strcpy(got, value->boolean ? "true" : "false");
    }
    return err_set_param(ctx->err, -EOPNOTSUPP, path, "Unsupported value: '%s' does not support %s.%s%s%s", path, got,
                         field->neutral != NULL ? " Only " : "", field->neutral != NULL ? field->neutral : "",
                         field->neutral != NULL ? " is supported." : "");
}

static int take_i64(struct field_ctx *ctx, const struct field *field, const struct json *value, const char *path)
{
    int64_t number;
    int r = json_get_i64(value, &number);

    if (r < 0) {
        char got[48];

        field_quote(value->text, got);
        return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': %s does not fit a 64-bit integer.", path, got);
    }
    *(int64_t *)(void *)((char *)ctx->target + field->offset) = number;
    return 0;
}

int field_apply(struct field_ctx *ctx, const struct field *field, const struct json *value, const char *path)
{
    char *place = (char *)ctx->target + field->offset;
    int r;

    if (value->type == JSON_NULL) {
        return 0;
    }
    r = field_check_type(ctx->err, value, field->types, path);
    if (r == 0) {
        r = check_range(ctx->err, field, value, path);
    }
    if (r < 0) {
        return r;
    }
    switch (field->action) {
    case FIELD_IGNORE: break;
    case FIELD_REFUSE: return refuse_unless_neutral(ctx, field, value, path);
    case FIELD_TAKE_BOOL: *(bool *)(void *)place = value->boolean; break;
    case FIELD_TAKE_BOOL_NOT: *(bool *)(void *)place = !value->boolean; break;
    case FIELD_TAKE_I64: return take_i64(ctx, field, value, path);
    case FIELD_TAKE_DOUBLE: *(double *)(void *)place = json_get_double(value); break;
    case FIELD_TAKE_STR: *(struct str *)(void *)place = value->text; break;
    case FIELD_TAKE_JSON: *(const struct json **)(void *)place = value; break;
    case FIELD_TAKE: return field->take(ctx, value, path);
    }
    return 0;
}

const struct field *field_find(const struct field *table, size_t n_fields, struct str name)
{
    for (size_t i = 0; i < n_fields; i++) {
        if (str_eq(str_from(table[i].name), name)) {
            return &table[i];
        }
    }
    return NULL;
}

static const struct field *find_in_tables(const struct field_table *tables, size_t n_tables, struct str name,
                                          void **ret_target)
{
    for (size_t i = 0; i < n_tables; i++) {
        const struct field *field = field_find(tables[i].rows, tables[i].n_rows, name);

        if (field != NULL) {
            *ret_target = tables[i].target;
            return field;
        }
    }
    return NULL;
}

int fields_apply_tables(struct field_ctx *ctx, const struct field_table *tables, size_t n_tables,
                        const struct json *object, const char *path, const char *unknown_msg)
{
    const struct json *key = json_first(object);

    for (size_t i = 0; i < object->n_children; i++) {
        struct field_ctx member_ctx = *ctx;
        const struct json *value = json_next(key);
        const struct field *field = find_in_tables(tables, n_tables, key->text, &member_ctx.target);
        char member_path[FIELD_PATH_MAX], name[48];
        int r;

        field_quote(key->text, name);
        field_path(member_path, "%s%s%s", path, path[0] != 0 ? "." : "", name);
        if (field == NULL) {
            return err_set_param(ctx->err, -EINVAL, member_path, "%s: %s", unknown_msg, member_path);
        }
        r = field_apply(&member_ctx, field, value, member_path);
        if (r < 0) {
            return r;
        }
        key = json_next(value);
    }
    return 0;
}

int fields_apply(struct field_ctx *ctx, const struct field *table, size_t n_fields, const struct json *object,
                 const char *path, const char *unknown_msg)
{
    const struct field_table tables[] = { { table, n_fields, ctx->target } };

    return fields_apply_tables(ctx, tables, 1, object, path, unknown_msg);
}

int field_check_utf8(struct str body, struct err *err)
{
    size_t valid = utf8_valid_len(body);

    if (valid == body.len) {
        return 0;
    }
    return err_set(err, -EINVAL, "Invalid body: byte %zu is not valid UTF-8.", valid);
}

bool json_is_given(const struct json *object, const char *name)
{
    const struct json *value = json_get(object, str_from(name));

    return value != NULL && value->type != JSON_NULL;
}

int field_parse_object(struct arena *arena, struct str body, const struct json **ret, struct err *err)
{
    int r = field_check_utf8(body, err);

    if (r == 0) {
        r = json_parse(arena, body, ret, err);
        if (r < 0) {
            err_prefix(err, "We could not parse the JSON body of your request");
        }
    }
    if (r == 0 && (*ret)->type != JSON_OBJECT) {
        return err_set(err, -EINVAL, "Invalid body: expected a JSON object, but got a value of type %s instead.",
                       json_type_name((*ret)->type));
    }
    return r;
}
