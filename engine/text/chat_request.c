// The chat-completions request: one table says for every field what it may be and whether it is taken, ignored or
// refused.
//
// Owns nothing: the result borrows from the body and lives in the caller's arena. Refuses what would change the answer
// and cannot be honoured (-EOPNOTSUPP), what is not a parameter at all, and what has the wrong type or range (-EINVAL),
// each with its path. Fields and ranges: OpenAI's CreateChatCompletionRequest; extensions as vLLM, SGLang and
// llama-server name them.
#include "engine/text/chat_request.h"

#include "engine/text/chat_message.h"
#include "engine/text/chat_tools.h"
#include "engine/text/json_fields.h"

#include <errno.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

// What the table fills in: the request, and what needs a second look once all fields are known.
struct parse {
    struct chat_request fields;
    struct request_parse shared;
    struct str reasoning_effort;
    bool has_messages;
};

#define AT_FIELD(member) offsetof(struct parse, fields.member)

static int take_messages(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct parse *parse = ctx->target;

    parse->has_messages = true;
    return chat_messages_take(ctx, value, path, &parse->fields.messages);
}

static int take_tools(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct parse *parse = ctx->target;
    int r = chat_tools_check(ctx, value, path);

    parse->fields.tools = value->n_children > 0 ? value : NULL;
    return r;
}

// {"type": "function", "function": {"name": NAME}}
static int take_named_tool(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct parse *parse = ctx->target;
    const struct json *type = json_get(value, STR("type")), *function = json_get(value, STR("function"));
    const struct json *name = function != NULL ? json_get(function, STR("name")) : NULL;
    char member_path[FIELD_PATH_MAX], got[48];

    field_path(member_path, "%s.type", path);
    if (type == NULL) {
        return field_missing(ctx->err, member_path);
    }
    if (!str_eq(type->text, STR("function"))) {
        field_quote(type->text, got);
        return err_set_param(ctx->err, -EOPNOTSUPP, member_path,
                             "Unsupported value: '%s' does not support '%s'. Only 'function' is supported.",
                             member_path, got);
    }
    field_path(member_path, "%s.function.name", path);
    if (name == NULL) {
        return field_missing(ctx->err, member_path);
    }
    parse->fields.tool_choice_forced = true;
    parse->fields.forced_tool = name->text;
    return field_check_type(ctx->err, name, T_STRING, member_path);
}

static int take_tool_choice(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct parse *parse = ctx->target;
    char got[48];

    if (value->type == JSON_OBJECT) {
        return take_named_tool(ctx, value, path);
    }
    parse->fields.tool_choice_none = str_eq(value->text, STR("none"));
    parse->fields.tool_choice_forced = str_eq(value->text, STR("required"));
    if (parse->fields.tool_choice_none || parse->fields.tool_choice_forced || str_eq(value->text, STR("auto"))) {
        return 0;
    }
    field_quote(value->text, got);
    return err_set_param(ctx->err, -EINVAL, path,
                         "Invalid value: '%s'. Supported values are: 'none', 'auto', and 'required'.", got);
}

static int take_documents(struct field_ctx *ctx, const struct json *value, const char *path)
{
    ((struct parse *)ctx->target)->fields.documents = value->n_children > 0 ? value : NULL;
    return fields_each(ctx, value, path, field_check_object);
}

static int take_reasoning_effort(struct field_ctx *ctx, const struct json *value, const char *path)
{
    static const char *const levels[] = { "none", "minimal", "low", "medium", "high", "xhigh" };
    char got[48];

    for (size_t i = 0; i < COUNT(levels); i++) {
        if (str_eq(value->text, str_from(levels[i]))) {
            ((struct parse *)ctx->target)->reasoning_effort = value->text;
            return 0;
        }
    }
    field_quote(value->text, got);
    return err_set_param(ctx->err, -EINVAL, path,
                         "Invalid value: '%s'. Supported values are: 'none', 'minimal', 'low', 'medium', 'high', and "
                         "'xhigh'.",
                         got);
}

static const struct field request_fields[] = {
    // what is asked
    { "messages", T_ARRAY, FIELD_TAKE, .take = take_messages },
    { "tools", T_ARRAY, FIELD_TAKE, .take = take_tools },
    { "tool_choice", T_STRING | T_OBJECT, FIELD_TAKE, .take = take_tool_choice },
    { "parallel_tool_calls", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(parallel_tool_calls) },
    { "documents", T_ARRAY, FIELD_TAKE, .take = take_documents },
    { "chat_template_kwargs", T_OBJECT, FIELD_TAKE_JSON, .offset = AT_FIELD(template_kwargs) },
    { "add_generation_prompt", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(add_generation_prompt) },
    { "continue_final_message", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(continue_final_message) },
    { "add_special_tokens", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(add_special_tokens) },
    { "chat_template", T_STRING, FIELD_TAKE_STR, .offset = AT_FIELD(chat_template) },
    { "reasoning_effort", T_STRING, FIELD_TAKE, .take = take_reasoning_effort },
    // how many and in what form
    { "n", T_INTEGER, FIELD_TAKE_I64, 1, CHOICES_MAX, AT_FIELD(n) },
    { "prompt_logprobs", T_INTEGER, FIELD_TAKE_I64, 0, TOP_LOGPROBS_MAX, AT_FIELD(prompt_logprobs) },
    { "logprobs", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(logprobs) },
    { "top_logprobs", T_INTEGER, FIELD_TAKE_I64, 0, TOP_LOGPROBS_MAX, AT_FIELD(top_logprobs) },
    { "verbosity", T_STRING, FIELD_REFUSE, .neutral = "\"medium\"" },
    { "audio", T_OBJECT, FIELD_REFUSE },
    { "web_search_options", T_OBJECT, FIELD_REFUSE },
    { "moderation", T_ANY, FIELD_REFUSE },
    { "functions", T_ARRAY, FIELD_REFUSE, .neutral = "[]" },
    { "function_call", T_STRING | T_OBJECT, FIELD_REFUSE, .neutral = "\"none\"" },
    { "include_reasoning", T_BOOL, FIELD_REFUSE, .neutral = "true" },
    { "separate_reasoning", T_BOOL, FIELD_REFUSE, .neutral = "true" },
    { "stream_reasoning", T_BOOL, FIELD_REFUSE, .neutral = "true" },
    { "reasoning_format", T_STRING, FIELD_REFUSE, .neutral = "\"auto\"" },
    { "thinking_forced_open", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "parse_tool_calls", T_BOOL, FIELD_REFUSE, .neutral = "true" },
    { "prediction", T_OBJECT, FIELD_IGNORE }, // a guess of the answer, which could only make it faster
};

static bool has_tool(const struct json *tools, struct str name)
{
    const struct json *tool = json_first(tools);

    for (size_t i = 0; i < tools->n_children; i++, tool = json_next(tool)) {
        if (str_eq(json_get(json_get(tool, STR("function")), STR("name"))->text, name)) {
            return true;
        }
    }
    return false;
}

static int check_forced_tool(const struct chat_request *fields, const struct answer_rule *rule, struct err *err)
{
    char got[48];

    if (!fields->tool_choice_forced) {
        return 0;
    }
    if (fields->tools == NULL) {
        return err_set_param(err, -EINVAL, "tool_choice",
                             "Invalid 'tool_choice': it is only allowed when 'tools' are specified.");
    }
    if (fields->forced_tool.ptr != NULL && !has_tool(fields->tools, fields->forced_tool)) {
        field_quote(fields->forced_tool, got);
        return err_set_param(err, -EINVAL, "tool_choice.function.name",
                             "Invalid value: 'tool_choice.function.name': '%s' is not among 'tools'.", got);
    }
    if (rule->kind != ANSWER_RULE_NONE) {
        return err_set_param(err, -EINVAL, "tool_choice",
                             "Invalid 'tool_choice': a forced call excludes '%s', which rules the form of the answer.",
                             rule->where);
    }
    return 0;
}

// What can only be judged when all fields are known.
static int check_together(const struct parse *parse, struct err *err)
{
    const struct chat_request *fields = &parse->fields;

    if (!parse->has_messages) {
        return field_missing(err, "messages");
    }
    if (fields->continue_final_message && fields->add_generation_prompt) {
        return err_set_param(err, -EINVAL, "continue_final_message",
                             "Invalid 'continue_final_message': it excludes 'add_generation_prompt'.");
    }
    if (fields->prompt_logprobs >= 0 && fields->common.stream) {
        return err_set_param(err, -EINVAL, "prompt_logprobs",
                             "Invalid 'prompt_logprobs': it is not available when 'stream' is enabled.");
    }
    if (fields->top_logprobs > 0 && !fields->logprobs) {
        return err_set_param(err, -EINVAL, "top_logprobs",
                             "Invalid 'top_logprobs': 'logprobs' must be true when it is set.");
    }
    return check_forced_tool(fields, &parse->shared.common.common.rule, err);
}

static void parse_init(struct parse *parse, const struct sampling_params *defaults)
{
    *parse = (struct parse){
        .fields = { .add_generation_prompt = true, .parallel_tool_calls = true, .n = 1, .prompt_logprobs = -1 }
    };
    request_parse_init(&parse->shared, defaults);
}

// Templates that know levels of effort read them as a variable; chat_template_kwargs come before it.
static int add_effort(struct parse *parse, struct arena *arena, struct err *err)
{
    const struct json *kwargs = parse->fields.template_kwargs;
    struct str effort = parse->reasoning_effort, text;

    if (effort.len == 0 || (kwargs != NULL && json_get(kwargs, STR("reasoning_effort")) != NULL)) {
        return 0;
    }
    if (kwargs != NULL && kwargs->n_children > 0) {
        text = arena_printf(arena, "{\"reasoning_effort\":\"%.*s\",%.*s", STR_ARG(effort),
                            STR_ARG(str_skip(kwargs->text, 1)));
    } else {
        text = arena_printf(arena, "{\"reasoning_effort\":\"%.*s\"}", STR_ARG(effort));
    }
    if (text.ptr == NULL) {
        return err_set(err, -ENOMEM, "Out of memory.");
    }
    return json_parse(arena, text, &parse->fields.template_kwargs, err);
}

static int parse_fields(struct parse *parse, struct arena *arena, const struct json *object, struct err *err)
{
    struct field_ctx ctx = { arena, err, parse };
    const struct field_table own = { request_fields, COUNT(request_fields), parse };
    int r = request_apply(&ctx, &own, 1, object, &parse->shared);

    r = r == 0 ? request_parse_finish(&parse->shared, &parse->fields.sampling, &parse->fields.common, err) : r;
    r = r == 0 ? add_effort(parse, arena, err) : r;
    return r == 0 ? check_together(parse, err) : r;
}

int chat_request_parse(struct arena *arena, struct str body, const struct sampling_params *defaults,
                       struct chat_request *ret, struct err *err)
{
    const struct json *object;
    struct parse parse;
    int r;

    parse_init(&parse, defaults);
    r = field_parse_object(arena, body, &object, err);
    if (r < 0) {
        return r;
    }
    // With continue_final_message the generation prompt is off unless asked for.
    if (json_get(object, STR("continue_final_message")) != NULL &&
        json_get(object, STR("continue_final_message"))->boolean) {
        parse.fields.add_generation_prompt = false;
    }
    r = parse_fields(&parse, arena, object, err);
    if (r == 0) {
        *ret = parse.fields;
    }
    return r;
}
