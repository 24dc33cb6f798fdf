// Messages of a chat request: roles, content parts, tool calls. Validates, then rewrites what templates cannot take as
// it is.
//
// Templates are written for string contents and for tool arguments that are objects (transformers documents both),
// while OpenAI's clients send parts and JSON inside a string; so those are rewritten, and everything else is passed as
// the client wrote it.
#include "engine/text/chat_message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum role { ROLE_SYSTEM, ROLE_DEVELOPER, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL, ROLE_FUNCTION, N_ROLES };
static const char *const role_names[N_ROLES] = { "system", "developer", "user", "assistant", "tool", "function" };

static int check_text_part(struct field_ctx *ctx, const struct json *part, const char *member, const char *path)
{
    char text_path[FIELD_PATH_MAX];
    const struct json *text = json_get(part, str_from(member));

    field_path(text_path, "%s.%s", path, member);
    if (text == NULL) {
        return field_missing(ctx->err, text_path);
    }
    return field_check_type(ctx->err, text, T_STRING, text_path);
}

static int check_part(struct field_ctx *ctx, const struct json *part, enum role role, const char *path)
{
    static const char *const media[] = { "image_url", "input_audio", "file",  "video_url",
                                         "audio_url", "image",       "audio", "video" };
    char type_path[FIELD_PATH_MAX], got[48];
    const struct json *type;
    int r = field_check_type(ctx->err, part, T_OBJECT, path);

    if (r < 0) {
        return r;
    }
    type = json_get(part, STR("type"));
    field_path(type_path, "%s.type", path);
    if (type == NULL) {
        return field_missing(ctx->err, type_path);
    }
    r = field_check_type(ctx->err, type, T_STRING, type_path);
    if (r < 0) {
        return r;
    }
    if (str_eq(type->text, STR("text"))) {
        return check_text_part(ctx, part, "text", path);
    }
    if (role == ROLE_ASSISTANT && str_eq(type->text, STR("refusal"))) {
        return check_text_part(ctx, part, "refusal", path);
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

static int required_string(struct field_ctx *ctx, const struct json *object, const char *name, const char *path)
{
    char member_path[FIELD_PATH_MAX];
    const struct json *value = json_get(object, str_from(name));

    field_path(member_path, "%s.%s", path, name);
    return value == NULL ? field_missing(ctx->err, member_path)
                         : field_check_type(ctx->err, value, T_STRING, member_path);
}

static int check_tool_call(struct field_ctx *ctx, const struct json *call, const char *path)
{
    char function_path[FIELD_PATH_MAX];
    const struct json *function, *type, *arguments;
    int r = field_check_type(ctx->err, call, T_OBJECT, path);

    if (r < 0) {
        return r;
    }
    type = json_get(call, STR("type"));
    if (type != NULL && !(type->type == JSON_STRING && str_eq(type->text, STR("function")))) {
        field_path(function_path, "%s.type", path);
        return err_set_param(ctx->err,
                             type->type == JSON_STRING && str_eq(type->text, STR("custom")) ? -EOPNOTSUPP : -EINVAL,
                             function_path, "Invalid value of '%s'. Supported values are: 'function'.", function_path);
    }
    if (json_get(call, STR("id")) != NULL) {
        r = required_string(ctx, call, "id", path);
    }
    function = json_get(call, STR("function"));
    field_path(function_path, "%s.function", path);
    if (r == 0 && function == NULL) {
        r = field_missing(ctx->err, function_path);
    }
    if (r == 0) {
        r = field_check_type(ctx->err, function, T_OBJECT, function_path);
    }
    if (r == 0) {
        r = required_string(ctx, function, "name", function_path);
    }
    if (r < 0) {
        return r;
    }
    arguments = json_get(function, STR("arguments"));
    field_path(function_path, "%s.function.arguments", path);
    if (arguments == NULL) {
        return field_missing(ctx->err, function_path);
    }
    return field_check_type(ctx->err, arguments, T_STRING | T_OBJECT, function_path);
}

static int check_tool_calls(struct field_ctx *ctx, const struct json *calls, const char *path)
{
    return fields_each(ctx, calls, path, check_tool_call);
}

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
    const struct json *role = json_get(message, STR("role"));
    char role_path[FIELD_PATH_MAX], got[48];
    int r;

    field_path(role_path, "%s.role", path);
    if (role == NULL) {
        return field_missing(ctx->err, role_path);
    }
    r = field_check_type(ctx->err, role, T_STRING, role_path);
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

static bool is_given(const struct json *object, const char *name)
{
    const struct json *value = json_get(object, str_from(name));

    return value != NULL && value->type != JSON_NULL;
}

static int check_message(struct field_ctx *ctx, const struct json *message, const char *path)
{
    char content_path[FIELD_PATH_MAX];
    enum role role = ROLE_USER;
    int r = field_check_type(ctx->err, message, T_OBJECT, path);

    if (r == 0) {
        r = find_role(ctx, message, path, &role);
    }
    if (r == 0) {
        r = fields_apply(ctx, message_fields, COUNT(message_fields), message, path,
                         "Unrecognized message field supplied");
    }
    if (r < 0) {
        return r;
    }
    if (role != ROLE_ASSISTANT && is_given(message, "tool_calls")) {
        field_path(content_path, "%s.tool_calls", path);
        return err_set_param(ctx->err, -EINVAL, content_path, "Invalid '%s': only an assistant message has tool calls.",
                             content_path);
    }
    if (role == ROLE_TOOL && !is_given(message, "tool_call_id")) {
        field_path(content_path, "%s.tool_call_id", path);
        return field_missing(ctx->err, content_path);
    }
    if (role == ROLE_FUNCTION && !is_given(message, "name")) {
        field_path(content_path, "%s.name", path);
        return field_missing(ctx->err, content_path);
    }
    field_path(content_path, "%s.content", path);
    if (is_given(message, "content")) {
        return check_content(ctx, json_get(message, STR("content")), role, content_path);
    }
    if (role == ROLE_ASSISTANT && (is_given(message, "tool_calls") || is_given(message, "refusal"))) {
        return 0;
    }
    if (role == ROLE_FUNCTION && json_get(message, STR("content")) != NULL) { // it returned nothing
        return 0;
    }
    if (json_get(message, STR("content")) != NULL) {
        return field_type_error(ctx->err, content_path, "a string or an array", json_get(message, STR("content")));
    }
    return field_missing(ctx->err, content_path);
}

// ---- the form that templates expect ---------------------------------------------------------------------------------

static bool message_is_plain(const struct json *message)
{
    const struct json *key = json_first(message);

    for (size_t i = 0; i < message->n_children; i++) {
        const struct json *value = json_next(key);

        if (value->type == JSON_NULL || value->type == JSON_ARRAY) {
            return false;
        }
        key = json_next(value);
    }
    return is_given(message, "content");
}

static void write_content(struct json_writer *w, struct strbuf *scratch, const struct json *content)
{
    const struct json *part = json_first(content);

    if (content->type == JSON_STRING) {
        json_write_str(w, content->text);
        return;
    }
    strbuf_reset(scratch);
    for (size_t i = 0; i < content->n_children; i++, part = json_next(part)) {
        const struct json *text = json_get(part, STR("text"));

        if (text == NULL) {
            text = json_get(part, STR("refusal"));
        }
        if (i > 0) {
            strbuf_append_byte(scratch, '\n');
        }
        strbuf_append(scratch, text->text);
    }
    if (scratch->error != 0) {
        w->out->error = scratch->error;
        return;
    }
    json_write_str(w, strbuf_str(scratch));
}

// JSON inside a string becomes the object that it spells; anything else stays what it was.
static void write_arguments(struct json_writer *w, struct arena *arena, const struct json *arguments)
{
    const struct json *parsed;

    if (arguments->type != JSON_STRING) {
        json_write_value(w, arguments);
    } else if (str_trim(arguments->text).len == 0) {
        json_write_raw(w, STR("{}"));
    } else if (json_parse(arena, arguments->text, &parsed, NULL) == 0 && parsed->type == JSON_OBJECT) {
        json_write_raw(w, parsed->text); // as it was written: chat_form may make it text again
    } else {
        json_write_str(w, arguments->text);
    }
}

// A key that need not be a C string.
static void write_key(struct json_writer *w, struct str key)
{
    json_write_str(w, key);
    strbuf_append_byte(w->out, ':');
    w->need_comma = false;
}

static void write_function(struct json_writer *w, struct arena *arena, const struct json *function)
{
    const struct json *key = json_first(function);

    json_write_object_begin(w);
    for (size_t i = 0; i < function->n_children; i++) {
        const struct json *value = json_next(key);

        write_key(w, key->text);
        if (str_eq(key->text, STR("arguments"))) {
            write_arguments(w, arena, value);
        } else {
            json_write_value(w, value);
        }
        key = json_next(value);
    }
    json_write_object_end(w);
}

static void write_tool_call(struct json_writer *w, struct arena *arena, const struct json *call)
{
    const struct json *key = json_first(call);

    json_write_object_begin(w);
    for (size_t i = 0; i < call->n_children; i++) {
        const struct json *value = json_next(key);

        write_key(w, key->text);
        if (str_eq(key->text, STR("function"))) {
            write_function(w, arena, value);
        } else {
            json_write_value(w, value);
        }
        key = json_next(value);
    }
    json_write_object_end(w);
}

static void write_member(struct json_writer *w, struct arena *arena, struct strbuf *scratch, struct str key,
                         const struct json *value)
{
    const struct json *call = json_first(value);

    write_key(w, key);
    if (str_eq(key, STR("content"))) {
        write_content(w, scratch, value);
    } else if (str_eq(key, STR("tool_calls"))) {
        json_write_array_begin(w);
        for (size_t i = 0; i < value->n_children; i++, call = json_next(call)) {
            write_tool_call(w, arena, call);
        }
        json_write_array_end(w);
    } else {
        json_write_value(w, value);
    }
}

static void write_message(struct json_writer *w, struct arena *arena, struct strbuf *scratch,
                          const struct json *message)
{
    const struct json *key = json_first(message);

    json_write_object_begin(w);
    for (size_t i = 0; i < message->n_children; i++) {
        const struct json *value = json_next(key);
        bool is_empty_list = value->type == JSON_ARRAY && value->n_children == 0;

        if (value->type != JSON_NULL && !is_empty_list) {
            write_member(w, arena, scratch, key->text, value);
        }
        key = json_next(value);
    }
    if (!is_given(message, "content")) {
        json_write_key(w, "content");
        json_write_cstr(w, "");
    }
    json_write_object_end(w);
}

static int rewrite_messages(struct field_ctx *ctx, const struct json *messages, const struct json **ret)
{
    struct strbuf text, scratch;
    struct json_writer w;
    const struct json *message = json_first(messages);
    struct str copy;
    int r;

    strbuf_init(&text, 0);
    strbuf_init(&scratch, 0);
    json_writer_init(&w, &text);
    json_write_array_begin(&w);
    for (size_t i = 0; i < messages->n_children; i++, message = json_next(message)) {
        write_message(&w, ctx->arena, &scratch, message);
    }
    json_write_array_end(&w);
    copy = text.error == 0 ? arena_copy(ctx->arena, strbuf_str(&text)) : (struct str){ 0 };
    strbuf_deinit(&scratch);
    strbuf_deinit(&text);
    if (copy.ptr == NULL) {
        return err_set(ctx->err, -ENOMEM, "Out of memory.");
    }
    r = json_parse(ctx->arena, copy, ret, ctx->err);
    return r == -EINVAL ? err_set_param(ctx->err, -EINVAL, "messages", "Invalid 'messages': nested too deeply.") : r;
}

int chat_messages_take(struct field_ctx *ctx, const struct json *messages, const char *path, const struct json **ret)
{
    const struct json *message;
    bool is_plain = true;
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
    message = json_first(messages);
    for (size_t i = 0; i < messages->n_children; i++, message = json_next(message)) {
        char message_path[FIELD_PATH_MAX];

        field_path(message_path, "%s[%zu]", path, i);
        r = check_message(ctx, message, message_path);
        if (r < 0) {
            return r;
        }
        is_plain = is_plain && message_is_plain(message);
    }
    if (!is_plain) {
        return rewrite_messages(ctx, messages, ret);
    }
    *ret = messages;
    return 0;
}

// ---- tools ----------------------------------------------------------------------------------------------------------

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
    char member_path[FIELD_PATH_MAX], got[48];
    const struct json *type, *function;
    int r = field_check_type(ctx->err, tool, T_OBJECT, path);

    if (r < 0) {
        return r;
    }
    type = json_get(tool, STR("type"));
    field_path(member_path, "%s.type", path);
    if (type == NULL) {
        return field_missing(ctx->err, member_path);
    }
    r = field_check_type(ctx->err, type, T_STRING, member_path);
    if (r < 0) {
        return r;
    }
    if (!str_eq(type->text, STR("function"))) {
        field_quote(type->text, got);
        return err_set_param(ctx->err, str_eq(type->text, STR("custom")) ? -EOPNOTSUPP : -EINVAL, member_path,
                             "Invalid value: '%s'. Supported values are: 'function'.", got);
    }
    function = json_get(tool, STR("function"));
    field_path(member_path, "%s.function", path);
    if (function == NULL) {
        return field_missing(ctx->err, member_path);
    }
    r = field_check_type(ctx->err, function, T_OBJECT, member_path);
    if (r == 0) {
        r = required_string(ctx, function, "name", member_path);
    }
    if (r < 0) {
        return r;
    }
    return fields_apply(ctx, function_fields, COUNT(function_fields), function, member_path,
                        "Unrecognized tool field supplied");
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
