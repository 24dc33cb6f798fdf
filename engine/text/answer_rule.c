// One table for all the ways to ask, one for the members of response_format, one for those of structured_outputs. Pure.
//
// A schema is enforced with and without "strict"; with it, schemas that OpenAI's strict mode refuses are refused here
// too.
#include "engine/text/answer_rule.h"

#include "engine/text/tool_grammar.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int set(struct field_ctx *ctx, enum answer_rule_kind kind, struct str source, const char *path)
{
    struct answer_rule *rule = ctx->target;
    struct str where = arena_copy(ctx->arena, str_from(path));

    if (rule->kind != ANSWER_RULE_NONE) {
        return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': '%s' rules the form of the answer already.", path,
                             rule->where);
    }
    if (where.ptr == NULL) {
        return err_set(ctx->err, -ENOMEM, "Out of memory.");
    }
    *rule = (struct answer_rule){ kind, rule->flags, source, where.ptr };
    return 0;
}

static int take_schema(struct field_ctx *ctx, const struct json *value, const char *path) // itself, or its text
{
    return set(ctx, ANSWER_RULE_SCHEMA, value->text, path);
}

static int take_regex(struct field_ctx *ctx, const struct json *value, const char *path)
{
    return set(ctx, ANSWER_RULE_REGEX, value->text, path);
}

static int take_choice(struct field_ctx *ctx, const struct json *value, const char *path)
{
    return set(ctx, ANSWER_RULE_CHOICE, value->text, path);
}

static int take_object(struct field_ctx *ctx, const struct json *value, const char *path)
{
    return value->boolean ? set(ctx, ANSWER_RULE_OBJECT, STR(""), path) : 0;
}

// llama-server's: an empty one asks for nothing.
static int take_json_schema(struct field_ctx *ctx, const struct json *value, const char *path)
{
    bool is_empty = value->type == JSON_STRING ? value->text.len == 0 : value->n_children == 0;

    return is_empty ? 0 : take_schema(ctx, value, path);
}

// ---- response_format -----------------------------------------------------------------------------------------------

struct format {
    struct str type;
    const struct json *json_schema, *schema;
};

struct format_schema {
    const struct json *schema;
    bool is_strict;
    struct str name;
};

static const struct field format_fields[] = {
    { "type", T_STRING, FIELD_TAKE_STR, .offset = offsetof(struct format, type) },
    { "json_schema", T_OBJECT, FIELD_TAKE_JSON, .offset = offsetof(struct format, json_schema) },
    { "schema", T_OBJECT, FIELD_TAKE_JSON, .offset = offsetof(struct format, schema) },
};

static const struct field format_schema_fields[] = {
    { "name", T_STRING, FIELD_TAKE_STR, .offset = offsetof(struct format_schema, name) },
    { "description", T_STRING, FIELD_IGNORE },
    { "schema", T_OBJECT, FIELD_TAKE_JSON, .offset = offsetof(struct format_schema, schema) },
    { "strict", T_BOOL, FIELD_TAKE_BOOL, .offset = offsetof(struct format_schema, is_strict) },
};

static int take_format_schema(struct field_ctx *ctx, const struct json *object, const char *path)
{
    struct format_schema got = { 0 };
    struct field_ctx inner = { ctx->arena, ctx->err, &got };
    char schema_path[FIELD_PATH_MAX];
    int r;

    field_path(schema_path, "%s.json_schema", path);
    if (object == NULL) {
        return field_missing(ctx->err, schema_path);
    }
    r = fields_apply(&inner, format_schema_fields, COUNT(format_schema_fields), object, schema_path,
                     "Unknown parameter");
    if (r < 0) {
        return r;
    }
    if (got.schema == NULL) { // as OpenAI has it, any object
        return set(ctx, ANSWER_RULE_OBJECT, STR(""), path);
    }
    field_path(schema_path, "%s.json_schema.schema", path);
    r = take_schema(ctx, got.schema, schema_path);
    ((struct answer_rule *)ctx->target)->flags |= got.is_strict ? GRAMMAR_STRICT : 0;
    return r;
}

static int take_response_format(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct format got = { 0 };
    struct field_ctx inner = { ctx->arena, ctx->err, &got };
    char type_path[FIELD_PATH_MAX], schema_path[FIELD_PATH_MAX], quoted[48];
    int r = fields_apply(&inner, format_fields, COUNT(format_fields), value, path, "Unknown parameter");

    field_path(type_path, "%s.type", path);
    if (r < 0) {
        return r;
    }
    if (got.type.ptr == NULL) {
        return field_missing(ctx->err, type_path);
    }
    if (str_eq(got.type, STR("text"))) {
        return 0;
    }
    if (str_eq(got.type, STR("json_schema"))) {
        return take_format_schema(ctx, got.json_schema, path);
    }
    if (str_eq(got.type, STR("json_object"))) {
        field_path(schema_path, "%s.schema", path);
        return got.schema != NULL ? take_schema(ctx, got.schema, schema_path)
                                  : set(ctx, ANSWER_RULE_OBJECT, STR(""), path);
    }
    field_quote(got.type, quoted);
    return err_set_param(
        ctx->err, str_eq(got.type, STR("structural_tag")) || str_eq(got.type, STR("grammar")) ? -EOPNOTSUPP : -EINVAL,
        type_path, "Invalid value: '%s'. Supported values are: 'text', 'json_object', and 'json_schema'.", quoted);
}

// ---- structured_outputs --------------------------------------------------------------------------------------------

static int take_compact(struct field_ctx *ctx, const struct json *value, const char *path)
{
    (void)path;
    ((struct answer_rule *)ctx->target)->flags |= value->boolean ? GRAMMAR_COMPACT : 0;
    return 0;
}

static const struct field outputs_fields[] = {
    { "json", T_OBJECT | T_STRING, FIELD_TAKE, .take = take_schema },
    { "regex", T_STRING, FIELD_TAKE, .take = take_regex },
    { "choice", T_ARRAY, FIELD_TAKE, .take = take_choice },
    { "json_object", T_BOOL, FIELD_TAKE, .take = take_object },
    { "disable_any_whitespace", T_BOOL, FIELD_TAKE, .take = take_compact },
    { "disable_additional_properties", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "disable_fallback", T_BOOL, FIELD_IGNORE },
    { "grammar", T_STRING, FIELD_REFUSE },
    { "whitespace_pattern", T_STRING, FIELD_REFUSE },
    { "structural_tag", T_STRING, FIELD_REFUSE },
};

static int take_structured_outputs(struct field_ctx *ctx, const struct json *value, const char *path)
{
    return fields_apply(ctx, outputs_fields, COUNT(outputs_fields), value, path, "Unknown parameter");
}

// ---- the request ---------------------------------------------------------------------------------------------------

static const struct field rule_fields[] = {
    { "response_format", T_OBJECT, FIELD_TAKE, .take = take_response_format },
    { "structured_outputs", T_OBJECT, FIELD_TAKE, .take = take_structured_outputs },
    { "guided_json", T_OBJECT | T_STRING, FIELD_TAKE, .take = take_schema },
    { "guided_regex", T_STRING, FIELD_TAKE, .take = take_regex },
    { "guided_choice", T_ARRAY, FIELD_TAKE, .take = take_choice },
    { "json_schema", T_OBJECT | T_STRING, FIELD_TAKE, .take = take_json_schema },
    { "regex", T_STRING, FIELD_TAKE, .take = take_regex },
    { "guided_grammar", T_STRING, FIELD_REFUSE },
    { "guided_whitespace_pattern", T_STRING, FIELD_REFUSE },
    { "guided_decoding_backend", T_STRING, FIELD_IGNORE },
    { "structural_tag", T_STRING, FIELD_REFUSE },
    { "grammar", T_STRING, FIELD_REFUSE, .neutral = "\"\"" },
    { "ebnf", T_STRING, FIELD_REFUSE },
};

struct field_table answer_rule_table(struct answer_rule *rule)
{
    return (struct field_table){ rule_fields, COUNT(rule_fields), rule };
}

int answer_rule_compile(const struct answer_rule *rule, struct grammar **ret, struct err *err)
{
    switch (rule->kind) {
    case ANSWER_RULE_OBJECT: return grammar_from_any_object(rule->flags, ret, err);
    case ANSWER_RULE_SCHEMA: return grammar_from_schema(rule->source, rule->flags, rule->where, ret, err);
    case ANSWER_RULE_REGEX: return grammar_from_regex(rule->source, rule->flags, rule->where, ret, err);
    case ANSWER_RULE_CHOICE: return grammar_from_choices(rule->source, rule->flags, rule->where, ret, err);
    case ANSWER_RULE_CALLS: return tool_grammar_compile(rule->source, rule->flags, ret, err);
    case ANSWER_RULE_NONE: break;
    }
    return err_set(err, -EINVAL, "there is nothing to compile");
}
