// One schema at a time, from its end backwards. What it refers to becomes a rule, compiled after it: recursion in a
// schema is recursion of rules, not of this compiler.
//
// Keywords that say nothing about the document are passed over; every other keyword is in a table or is refused.
#include "engine/text/grammar/schema.h"
#include "engine/text/grammar/grammar.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 100

struct schema_ref {
    struct str ref;
    uint32_t rule;
    struct schema_ref *next, *next_pending;
};

enum type {
    T_NULL = 1,
    T_BOOL = 2,
    T_INTEGER = 4,
    T_NUMBER = 8,
    T_STRING = 16,
    T_ARRAY = 32,
    T_OBJECT = 64,
    T_ALL = 123
};

static const struct {
    const char *name;
    enum type type;
} type_names[] = {
    { "null", T_NULL },     { "boolean", T_BOOL }, { "integer", T_INTEGER }, { "number", T_NUMBER },
    { "string", T_STRING }, { "array", T_ARRAY },  { "object", T_OBJECT },
};

// Keywords and the type that they speak of.
static const struct {
    const char *name;
    unsigned types;
} keywords[] = {
    { "type", 0 },
    { "enum", 0 },
    { "const", 0 },
    { "$ref", 0 },
    { "anyOf", 0 },
    { "oneOf", 0 },
    { "allOf", 0 },
    { "properties", T_OBJECT },
    { "required", T_OBJECT },
    { "additionalProperties", T_OBJECT },
    { "minProperties", T_OBJECT },
    { "maxProperties", T_OBJECT },
    { "patternProperties", T_OBJECT },
    { "propertyNames", T_OBJECT },
    { "items", T_ARRAY },
    { "prefixItems", T_ARRAY },
    { "additionalItems", T_ARRAY },
    { "minItems", T_ARRAY },
    { "maxItems", T_ARRAY },
    { "minLength", T_STRING },
    { "maxLength", T_STRING },
    { "pattern", T_STRING },
    { "format", T_STRING },
    { "minimum", T_NUMBER },
    { "maximum", T_NUMBER },
    { "exclusiveMinimum", T_NUMBER },
    { "exclusiveMaximum", T_NUMBER },
    { "multipleOf", T_NUMBER },
};

static const char *const annotations[] = {
    "title",     "description", "default", "examples",        "example",          "$schema",
    "$id",       "$comment",    "$defs",   "definitions",     "deprecated",       "readOnly",
    "writeOnly", "$anchor",     "id",      "contentEncoding", "contentMediaType", "discriminator",
};

uint32_t schema_fail(struct schema_compiler *c, int code, const char *fmt, ...)
{
    char message[200];
    va_list args;
    if (c->error == 0) {
        va_start(args, fmt);
        vsnprintf(message, sizeof message, fmt, args);
        va_end(args);
        struct str path = strbuf_str(&c->path);
        c->error =
            err_set_param(c->err, code, path.ptr ? path.ptr : "", "%.*s: %s", STR_ARG(str_take(path, 120)), message);
    }
    return NFA_FAILED;
}

bool schema_is_annotation(struct str keyword)
{
    for (size_t i = 0; i < sizeof(annotations) / sizeof(*annotations); i++) {
        if (str_eq(keyword, str_from(annotations[i]))) {
            return true;
        }
    }
    return str_starts_with(keyword, STR("x-")); // extensions of OpenAPI
}

uint32_t schema_count(struct schema_compiler *c, const struct json *schema, const char *key, uint32_t absent)
{
    const struct json *value = json_get(schema, str_from(key));
    int64_t n = 0;
    if (!value) {
        return absent;
    }
    if (value->type != JSON_NUMBER || json_get_i64(value, &n) < 0 || n < 0 || n > 1000000) {
        schema_fail(c, -EINVAL, "\"%s\" must be a whole number from 0 to 1000000", key);
        return 0;
    }
    return (uint32_t)n;
}

// ---- references ----------------------------------------------------------------------------------------------------

// One step of a JSON pointer: ~1 is /, ~0 is ~.
static const struct json *step_into(struct schema_compiler *c, const struct json *at, struct str step)
{
    char *name = arena_alloc(c->arena, step.len + 1);
    size_t n = 0;
    int64_t idx;
    for (size_t i = 0; name && i < step.len; i++) {
        bool is_escape = step.ptr[i] == '~' && i + 1 < step.len;
        i += is_escape;
        name[n++] = !is_escape ? step.ptr[i] : step.ptr[i] == '1' ? '/' : '~';
    }
    if (!name) {
        return NULL;
    }
    if (at->type == JSON_ARRAY) {
        return str_parse_i64((struct str){ name, n }, &idx) == 0 && idx >= 0 ? json_at(at, (size_t)idx) : NULL;
    }
    return json_get(at, (struct str){ name, n });
}

const struct json *schema_resolve(struct schema_compiler *c, struct str ref)
{
    const struct json *at = c->root;
    struct str rest = str_skip(ref, 1), step;
    if (ref.len == 0 || ref.ptr[0] != '#' || (rest.len > 0 && rest.ptr[0] != '/')) {
        schema_fail(c, -EOPNOTSUPP, "\"$ref\" \"%.*s\" is not supported (\"#\" and \"#/...\" are)",
                    STR_ARG(str_take(ref, 100)));
        return NULL;
    }
    rest = str_skip(rest, 1);
    while (at && rest.len > 0) {
        rest = str_cut(rest, '/', &step);
        at = step_into(c, at, step);
    }
    if (!at) {
        schema_fail(c, -EINVAL, "\"$ref\" \"%.*s\" leads nowhere", STR_ARG(str_take(ref, 100)));
    }
    return at;
}

static uint32_t write_ref(struct schema_compiler *c, const struct json *ref, uint32_t next)
{
    if (ref->type != JSON_STRING) {
        return schema_fail(c, -EINVAL, "\"$ref\" must be a string");
    }
    for (struct schema_ref *known = c->refs; known; known = known->next) {
        if (str_eq(known->ref, ref->text)) {
            return nfa_call(c->nfa, known->rule, next);
        }
    }
    struct schema_ref *made = arena_alloc(c->arena, sizeof(*made));
    if (!made) {
        return schema_fail(c, -E2BIG, "the schema is too large");
    }
    *made = (struct schema_ref){ ref->text, nfa_rule(c->nfa), c->refs, c->pending };
    c->refs = c->pending = made;
    return nfa_call(c->nfa, made->rule, next);
}

static void write_pending(struct schema_compiler *c)
{
    while (c->pending && c->error == 0 && c->nfa->error == 0) {
        struct schema_ref *ref = c->pending;
        c->pending = ref->next_pending;
        const struct json *schema = schema_resolve(c, ref->ref);
        if (schema) {
            strbuf_reset(&c->path);
            strbuf_append(&c->path, ref->ref);
            nfa_rule_set(c->nfa, ref->rule, schema_write(c, schema, NFA_ENDED));
        }
    }
}

// ---- keywords ------------------------------------------------------------------------------------------------------

static void check_keyword(struct schema_compiler *c, struct str name, unsigned *types)
{
    for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++) {
        if (str_eq(name, str_from(keywords[i].name))) {
            *types |= keywords[i].types;
            return;
        }
    }
    if (!schema_is_annotation(name)) {
        schema_fail(c, -EOPNOTSUPP, "the keyword \"%.*s\" is not supported", STR_ARG(str_take(name, 60)));
    }
}

static unsigned type_by_name(struct schema_compiler *c, const struct json *name)
{
    for (size_t i = 0; name->type == JSON_STRING && i < sizeof(type_names) / sizeof(*type_names); i++) {
        if (str_eq(name->text, str_from(type_names[i].name))) {
            return type_names[i].type;
        }
    }
    schema_fail(c, -EINVAL, "\"type\" \"%.*s\" is not one", STR_ARG(str_take(name->text, 40)));
    return 0;
}

// The types that a schema allows: those it names, or that its keywords imply, or all.
static unsigned types_of(struct schema_compiler *c, const struct json *schema, unsigned implied)
{
    const struct json *type = json_get(schema, STR("type"));
    unsigned types = 0;
    if (!type) {
        return implied != 0 ? implied : T_ALL;
    }
    if (type->type != JSON_ARRAY) {
        return type_by_name(c, type);
    }
    const struct json *item = json_first(type);
    for (size_t i = 0; i < type->n_children; i++, item = json_next(item)) {
        types |= type_by_name(c, item);
    }
    return types & T_NUMBER ? types & ~(unsigned)T_INTEGER : types;
}

static unsigned type_of_value(const struct json *value)
{
    int64_t whole;
    switch (value->type) {
    case JSON_NULL: return T_NULL;
    case JSON_BOOL: return T_BOOL;
    case JSON_NUMBER: return json_get_i64(value, &whole) == 0 ? T_NUMBER | T_INTEGER : T_NUMBER;
    case JSON_STRING: return T_STRING;
    case JSON_ARRAY: return T_ARRAY;
    default: return T_OBJECT;
    }
}

static uint32_t write_constant(struct schema_compiler *c, const struct json *value, uint32_t next)
{
    struct strbuf text;
    struct json_writer w;
    strbuf_init(&text, GRAMMAR_SOURCE_BYTES_MAX);
    json_writer_init(&w, &text);
    json_write_value(&w, value);
    uint32_t first = text.error == 0 ? nfa_literal(c->nfa, strbuf_str(&text), next)
                                     : schema_fail(c, -E2BIG, "a constant is too long");
    strbuf_deinit(&text);
    return first;
}

// "enum" and "const": the constants of the types that are allowed. Other rules beside them are refused: the constants
// would have to be checked against them.
static uint32_t write_constants(struct schema_compiler *c, const struct json *schema, unsigned types, unsigned implied,
                                uint32_t next)
{
    const struct json *list = json_get(schema, STR("enum")), *one = json_get(schema, STR("const"));
    uint32_t all = NFA_FAILED;
    if (implied != 0 || (list && one)) {
        return schema_fail(c, -EOPNOTSUPP,
                           "\"enum\" or \"const\" beside keywords other than \"type\" is not supported");
    }
    if (one) {
        return type_of_value(one) & types ? write_constant(c, one, next) : NFA_FAILED;
    }
    if (list->type != JSON_ARRAY) {
        return schema_fail(c, -EINVAL, "\"enum\" must be an array");
    }
    const struct json *value = json_first(list);
    for (size_t i = 0; i < list->n_children; i++, value = json_next(value)) {
        if (type_of_value(value) & types) {
            all = nfa_either(c->nfa, write_constant(c, value, next), all);
        }
    }
    return all;
}

// ---- schemas -------------------------------------------------------------------------------------------------------

static uint32_t write_types(struct schema_compiler *c, const struct json *schema, unsigned types, uint32_t next)
{
    uint32_t all = NFA_FAILED;
    struct nfa *nfa = c->nfa;
    if (types & T_NULL) {
        all = nfa_either(nfa, nfa_literal(nfa, STR("null"), next), all);
    }
    if (types & T_BOOL) {
        all = nfa_either(nfa, nfa_literal(nfa, STR("true"), next), all);
        all = nfa_either(nfa, nfa_literal(nfa, STR("false"), next), all);
    }
    if (types & (T_INTEGER | T_NUMBER)) {
        all = nfa_either(nfa, schema_write_number(c, schema, !(types & T_NUMBER), next), all);
    }
    if (types & T_STRING) {
        all = nfa_either(nfa, schema_write_string(c, schema, next), all);
    }
    if (types & T_ARRAY) {
        all = nfa_either(nfa, schema_write_array(c, schema, next), all);
    }
    if (types & T_OBJECT) {
        all = nfa_either(nfa, schema_write_object(c, schema, next), all);
    }
    return all;
}

// "allOf": one schema that says what all of them say.
static uint32_t write_all_of(struct schema_compiler *c, const struct json *schema, const struct json *list,
                             uint32_t next)
{
    if (list->type != JSON_ARRAY) {
        return schema_fail(c, -EINVAL, "\"allOf\" must be an array");
    }
    const struct json *merged = schema_without(c, schema, "allOf"), *item = json_first(list);
    for (size_t i = 0; merged && i < list->n_children; i++, item = json_next(item)) {
        merged = schema_merge(c, merged, item);
    }
    return merged ? schema_write(c, merged, next) : NFA_FAILED;
}

// "anyOf", "oneOf": each alternative together with what stands beside the list.
static uint32_t write_any_of(struct schema_compiler *c, const struct json *schema, const char *key, uint32_t next)
{
    const struct json *list = json_get(schema, str_from(key)), *beside = schema_without(c, schema, key);
    uint32_t all = NFA_FAILED;
    if (list->type != JSON_ARRAY || list->n_children == 0) {
        return schema_fail(c, -EINVAL, "\"%s\" must be an array with members", key);
    }
    const struct json *item = json_first(list);
    for (size_t i = 0; beside && c->error == 0 && i < list->n_children; i++, item = json_next(item)) {
        const struct json *both = beside->n_children > 0 ? schema_merge(c, beside, item) : item;
        all = both ? nfa_either(c->nfa, schema_write_at(c, both, key, (ptrdiff_t)i, next), all) : all;
    }
    return all;
}

static uint32_t write_keywords(struct schema_compiler *c, const struct json *schema, uint32_t next)
{
    unsigned implied = 0;
    const struct json *key = json_first(schema), *found;
    for (size_t i = 0; i < schema->n_children; i++, key = json_next(json_next(key))) {
        check_keyword(c, key->text, &implied);
    }
    if ((found = json_get(schema, STR("$ref")))) {
        const struct json *beside = schema_without(c, schema, "$ref");
        if (!beside || beside->n_children == 0) {
            return write_ref(c, found, next);
        }
        const struct json *merged = schema_merge(c, beside, schema_resolve(c, found->text));
        return merged ? schema_write(c, merged, next) : NFA_FAILED;
    }
    if ((found = json_get(schema, STR("allOf")))) {
        return write_all_of(c, schema, found, next);
    }
    if (json_get(schema, STR("anyOf"))) {
        return write_any_of(c, schema, "anyOf", next);
    }
    if (json_get(schema, STR("oneOf"))) {
        return write_any_of(c, schema, "oneOf", next);
    }
    unsigned types = types_of(c, schema, implied);
    if (json_get(schema, STR("enum")) || json_get(schema, STR("const"))) {
        return write_constants(c, schema, types, implied, next);
    }
    if (types == T_ALL && implied == 0) {
        return json_parts_value(&c->parts, next);
    }
    return write_types(c, schema, types, next);
}

uint32_t schema_write(struct schema_compiler *c, const struct json *schema, uint32_t next)
{
    if (c->error != 0 || next == NFA_FAILED) {
        return NFA_FAILED;
    }
    if (schema->type == JSON_BOOL) {
        return schema->boolean ? json_parts_value(&c->parts, next) : NFA_FAILED;
    }
    if (schema->type != JSON_OBJECT) {
        return schema_fail(c, -EINVAL, "a schema must be an object, true or false");
    }
    if (++c->depth > DEPTH_MAX) {
        return schema_fail(c, -E2BIG, "schemas are nested too deeply");
    }
    uint32_t first = write_keywords(c, schema, next);
    c->depth--;
    return first;
}

uint32_t schema_write_at(struct schema_compiler *c, const struct json *schema, const char *key, ptrdiff_t idx,
                         uint32_t next)
{
    size_t len = c->path.len;
    if (idx >= 0) {
        strbuf_printf(&c->path, ".%s[%td]", key, idx);
    } else {
        strbuf_printf(&c->path, ".%s", key);
    }
    uint32_t first = schema_write(c, schema, next);
    if (c->path.len > len) {
        c->path.len = len;
        c->path.ptr[len] = '\0';
    }
    return first;
}

int schema_add(struct nfa *nfa, struct arena *arena, const struct json *root, unsigned flags, const char *where,
               uint32_t *ret, struct err *err)
{
    struct schema_compiler c = { .nfa = nfa, .arena = arena, .root = root, .flags = flags, .err = err };
    strbuf_init(&c.path, 4096);
    strbuf_append(&c.path, str_from(where));
    json_parts_init(&c.parts, nfa, (flags & GRAMMAR_COMPACT) != 0);
    uint32_t first = schema_write(&c, root, NFA_ENDED);
    write_pending(&c);
    strbuf_deinit(&c.path);
    *ret = first;
    return c.error;
}
