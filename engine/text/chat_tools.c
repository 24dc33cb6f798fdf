// Tools: functions with a name and, perhaps, a schema of their arguments, which is passed on as it is.
#include "engine/text/chat_tools.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define TOOLS_MAX     128 // as in OpenAI's API
#define TOOL_NAME_MAX 64

static bool tool_name_is_valid(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
              c == '.')) {
            return false;
        }
    }
    return name.len > 0 && name.len <= TOOL_NAME_MAX;
}

static int check_tool_name(struct field_ctx *ctx, const struct json *value, const char *path)
{
    char got[48];

    if (tool_name_is_valid(value->text)) {
        return 0;
    }
    field_quote(value->text, got);
    return err_set_param(ctx->err, -EINVAL, path,
                         "Invalid '%s': '%s' is not a function name (1 to %d of letters, digits, '_', '-' and '.').",
                         path, got, TOOL_NAME_MAX);
}

static const struct field function_fields[] = {
    { "name", T_STRING, FIELD_TAKE, .take = check_tool_name },
    { "description", T_STRING, FIELD_IGNORE },
    { "parameters", T_OBJECT, FIELD_IGNORE },
    { "strict", T_BOOL, FIELD_IGNORE },   // tool_grammar.h
    { "return", T_OBJECT, FIELD_IGNORE }, // transformers' get_json_schema writes it
};

static int check_tool(struct field_ctx *ctx, const struct json *tool, const char *path)
{
    char type_path[FIELD_PATH_MAX], function_path[FIELD_PATH_MAX], name_path[FIELD_PATH_MAX], got[48];
    const struct json *type, *function, *name;
    int r = field_check_object(ctx, tool, path);

    r = r == 0 ? field_member(ctx, tool, path, "type", T_STRING, &type, type_path) : r;
    if (r == 0 && !str_eq(type->text, STR("function"))) {
        field_quote(type->text, got);
        return err_set_param(ctx->err, str_eq(type->text, STR("custom")) ? -EOPNOTSUPP : -EINVAL, type_path,
                             "Invalid value: '%s'. Supported values are: 'function'.", got);
    }
    r = r == 0 ? field_member(ctx, tool, path, "function", T_OBJECT, &function, function_path) : r;
    r = r == 0 ? field_member(ctx, function, function_path, "name", T_STRING, &name, name_path) : r;
    if (r == 0) {
        r = fields_apply(ctx, function_fields, COUNT(function_fields), function, function_path,
                         "Unrecognized tool field supplied");
    }
    return r;
}

int chat_tools_check(struct field_ctx *ctx, const struct json *tools, const char *path)
{
    if (tools->n_children > TOOLS_MAX) {
        return err_set_param(ctx->err, -EINVAL, path,
                             "Invalid '%s': array too long. Expected at most %d tools, but got %u instead.", path,
                             TOOLS_MAX, (unsigned)tools->n_children);
    }
    return fields_each(ctx, tools, path, check_tool);
}

int chat_tools_parse(struct arena *arena, struct str text, const struct json **ret, struct err *err)
{
    struct field_ctx ctx = { arena, err, NULL };
    const struct json *tools;
    int r = field_check_utf8(text, err);

    if (r == 0) {
        r = json_parse(arena, text, &tools, err);
    }
    if (r < 0) {
        return r;
    }
    if (tools->type == JSON_OBJECT) { // one tool: the array around it
        struct str list = arena_printf(arena, "[%.*s]", STR_ARG(tools->text));

        if (list.ptr == NULL) {
            return err_set(err, -ENOMEM, "Out of memory.");
        }
        r = json_parse(arena, list, &tools, err);
    }
    if (r == 0) {
        r = field_check_type(err, tools, T_ARRAY, "tools");
    }
    if (r == 0) {
        r = chat_tools_check(&ctx, tools, "tools");
    }
    if (r == 0) {
        *ret = tools;
    }
    return r;
}
