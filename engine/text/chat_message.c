// Messages of a chat request: roles, content parts, tool calls.
#include "engine/text/chat_message.h"

#include "engine/text/chat_rewrite.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum role { ROLE_SYSTEM, ROLE_DEVELOPER, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL, ROLE_FUNCTION, N_ROLES };
static const char *const role_names[N_ROLES] = { "system", "developer", "user", "assistant", "tool", "function" };

// ---- content --------------------------------------------------------------------------------------------------------

static int check_part(struct field_ctx *ctx, const struct json *part, enum role role, const char *path)
{
    static const char *const media[] = { "image_url", "input_audio", "file",  "video_url",
                                         "audio_url", "image",       "audio", "video" };
    char type_path[FIELD_PATH_MAX], text_path[FIELD_PATH_MAX], got[48];
    const struct json *type, *text;
    int r = field_check_object(ctx, part, path);

    r = r == 0 ? field_member(ctx, part, path, "type", T_STRING, &type, type_path) : r;
    if (r < 0) {
        return r;
    }
    if (str_eq(type->text, STR("text"))) {
        return field_member(ctx, part, path, "text", T_STRING, &text, text_path);
    }
    if (role == ROLE_ASSISTANT && str_eq(type->text, STR("refusal"))) {
        return field_member(ctx, part, path, "refusal", T_STRING, &text, text_path);
    }
    for (size_t i = 0; i < COUNT(media); i++) {
        if (str_eq(type->text, str_from(media[i]))) {
            return err_set_param(ctx->err, -EOPNOTSUPP, type_path,
                                 "Unsupported value: content parts of type '%s' are not supported, only 'text'.",
                                 media[i]);
        }
    }
    field_quote(type->text, got);
    return err_set_param(ctx->err, -EINVAL, type_path, "Invalid value: '%s'. Supported values are: 'text'%s.", got,
                         role == ROLE_ASSISTANT ? " and 'refusal'" : "");
}

static int check_content(struct field_ctx *ctx, const struct json *content, enum role role, const char *path)
{
    const struct json *part;
    int r = field_check_type(ctx->err, content, T_STRING | T_ARRAY, path);

    if (r < 0 || content->type == JSON_STRING) {
        return r;
    }
    if (content->n_children == 0) {
        return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': empty array. Expected at least one content part.",
                             path);
    }
    part = json_first(content);
    for (size_t i = 0; i < content->n_children; i++, part = json_next(part)) {
        char part_path[FIELD_PATH_MAX];

        field_path(part_path, "%s[%zu]", path, i);
        r = check_part(ctx, part, role, part_path);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

// ---- tool calls -----------------------------------------------------------------------------------------------------

static int check_call_type(struct field_ctx *ctx, const struct json *call, const char *path)
{
    const struct json *type = json_get(call, STR("type"));
    bool is_text = type != NULL && type->type == JSON_STRING;
    char type_path[FIELD_PATH_MAX];

    if (type == NULL || (is_text && str_eq(type->text, STR("function")))) {
        return 0;
    }
    field_path(type_path, "%s.type", path);
    return err_set_param(ctx->err, is_text && str_eq(type->text, STR("custom")) ? -EOPNOTSUPP : -EINVAL, type_path,
                         "Invalid value of '%s'. Supported values are: 'function'.", type_path);
}

static int check_tool_call(struct field_ctx *ctx, const struct json *call, const char *path)
{
    char function_path[FIELD_PATH_MAX], member_path[FIELD_PATH_MAX];
    const struct json *function, *member;
    int r = field_check_object(ctx, call, path);

    r = r == 0 ? check_call_type(ctx, call, path) : r;
    if (r == 0 && json_get(call, STR("id")) != NULL) {
        r = field_member(ctx, call, path, "id", T_STRING, &member, member_path);
    }
    r = r == 0 ? field_member(ctx, call, path, "function", T_OBJECT, &function, function_path) : r;
    r = r == 0 ? field_member(ctx, function, function_path, "name", T_STRING, &member, member_path) : r;
    if (r == 0) {
        r = field_member(ctx, function, function_path, "arguments", T_STRING | T_OBJECT, &member, member_path);
    }
    return r;
}

static int check_tool_calls(struct field_ctx *ctx, const struct json *calls, const char *path)
{
    return fields_each(ctx, calls, path, check_tool_call);
}

// ---- messages -------------------------------------------------------------------------------------------------------

// Role and content have their own checks.
static const struct field message_fields[] = {
    { "role", T_ANY, FIELD_IGNORE },
    { "content", T_ANY, FIELD_IGNORE },
    { "name", T_STRING, FIELD_IGNORE },
    { "tool_call_id", T_STRING, FIELD_IGNORE },
    { "tool_calls", T_ARRAY, FIELD_TAKE, .take = check_tool_calls },
    { "refusal", T_STRING, FIELD_IGNORE },
    { "reasoning_content", T_STRING, FIELD_IGNORE },
    { "reasoning", T_STRING, FIELD_IGNORE },
    { "thinking", T_STRING, FIELD_IGNORE },
    { "annotations", T_ARRAY, FIELD_IGNORE },
    { "parsed", T_ANY, FIELD_IGNORE },                      // what the openai package has made of an answer, and
    { "provider_specific_fields", T_OBJECT, FIELD_IGNORE }, // what litellm has, who send it back
    { "function_call", T_OBJECT, FIELD_REFUSE },
    { "audio", T_OBJECT, FIELD_REFUSE },
};

static int find_role(struct field_ctx *ctx, const struct json *message, const char *path, enum role *ret)
{
    char role_path[FIELD_PATH_MAX], got[48];
    const struct json *role;
    int r = field_member(ctx, message, path, "role", T_STRING, &role, role_path);

    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < N_ROLES; i++) {
        if (str_eq(role->text, str_from(role_names[i]))) {
            *ret = (enum role)i;
            return 0;
        }
    }
    field_quote(role->text, got);
    return err_set_param(ctx->err, -EINVAL, role_path,
                         "Invalid value: '%s'. Supported values are: 'system', 'developer', 'user', 'assistant', "
                         "'tool', and 'function'.",
                         got);
}

// What one role must have, and what one alone may have.
static int check_role(struct field_ctx *ctx, const struct json *message, enum role role, const char *path)
{
    char member_path[FIELD_PATH_MAX];

    if (role != ROLE_ASSISTANT && json_is_given(message, "tool_calls")) {
        field_path(member_path, "%s.tool_calls", path);
        return err_set_param(ctx->err, -EINVAL, member_path, "Invalid '%s': only an assistant message has tool calls.",
                             member_path);
    }
    if (role == ROLE_TOOL && !json_is_given(message, "tool_call_id")) {
        field_path(member_path, "%s.tool_call_id", path);
        return field_missing(ctx->err, member_path);
    }
    if (role == ROLE_FUNCTION && !json_is_given(message, "name")) {
        field_path(member_path, "%s.name", path);
        return field_missing(ctx->err, member_path);
    }
    return 0;
}

static int check_message_content(struct field_ctx *ctx, const struct json *message, enum role role, const char *path)
{
    const struct json *content = json_get(message, STR("content"));
    char content_path[FIELD_PATH_MAX];

    field_path(content_path, "%s.content", path);
    if (json_is_given(message, "content")) {
        return check_content(ctx, content, role, content_path);
    }
    if (role == ROLE_ASSISTANT && (json_is_given(message, "tool_calls") || json_is_given(message, "refusal"))) {
        return 0;
    }
    if (role == ROLE_FUNCTION && content != NULL) { // it returned nothing
        return 0;
    }
    return content != NULL ? field_type_error(ctx->err, content_path, "a string or an array", content)
                           : field_missing(ctx->err, content_path);
}

static int check_message(struct field_ctx *ctx, const struct json *message, const char *path)
{
    enum role role = ROLE_USER;
    int r = field_check_object(ctx, message, path);

    r = r == 0 ? find_role(ctx, message, path, &role) : r;
    if (r == 0) {
        r = fields_apply(ctx, message_fields, COUNT(message_fields), message, path,
                         "Unrecognized message field supplied");
    }
    r = r == 0 ? check_role(ctx, message, role, path) : r;
    return r == 0 ? check_message_content(ctx, message, role, path) : r;
}

int chat_messages_take(struct field_ctx *ctx, const struct json *messages, const char *path, const struct json **ret)
{
    int r = field_check_type(ctx->err, messages, T_ARRAY, path);

    if (r < 0) {
        return r;
    }
    if (messages->n_children == 0) {
        return err_set_param(
            ctx->err, -EINVAL, path,
            "Invalid '%s': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            path);
    }
    r = fields_each(ctx, messages, path, check_message);
    return r == 0 ? chat_messages_rewrite(ctx, messages, ret) : r;
}
