// The chat-completions request: one table says for every field what it may be and whether it is taken, ignored or
// refused.
//
// Owns nothing: the result borrows from the body and lives in the caller's arena. Refuses what would change the answer
// and cannot be honoured (-EOPNOTSUPP), what is not a parameter at all, and what has the wrong type or range (-EINVAL),
// each with its path. Fields and ranges: OpenAI's CreateChatCompletionRequest; extensions as vLLM, SGLang and
// llama-server name them.
#include "engine/text/chat_request.h"

#include "engine/text/chat_fields.h"
#include "engine/text/chat_message.h"

#include <errno.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

// What the table fills in: the request, and what needs a second look once all fields are known.
struct parse {
    struct chat_request fields;
    struct sampling_parse sampling;
    const struct json *stream_options;
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

static int take_tool_choice(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct parse *parse = ctx->target;
    char got[48];

    if (value->type == JSON_OBJECT) {
        return err_set_param(ctx->err, -EOPNOTSUPP, path,
                             "Unsupported value: '%s' must be 'auto' or 'none'; a forced function is not supported.",
                             path);
    }
    field_quote(value->text, got);
    if (str_eq(value->text, STR("required"))) {
        return err_set_param(ctx->err, -EOPNOTSUPP, path, "Unsupported value: '%s' does not support 'required'.", path);
    }
    if (!str_eq(value->text, STR("none")) && !str_eq(value->text, STR("auto"))) {
        return err_set_param(ctx->err, -EINVAL, path, "Invalid value: '%s'. Supported values are: 'none' and 'auto'.",
                             got);
    }
    parse->fields.tool_choice_none = str_eq(value->text, STR("none"));
    return 0;
}

static int take_documents(struct field_ctx *ctx, const struct json *value, const char *path)
{
    const struct json *document = json_first(value);

    for (size_t i = 0; i < value->n_children; i++, document = json_next(document)) {
        char item_path[FIELD_PATH_MAX];
        int r;

        field_path(item_path, "%s[%zu]", path, i);
        r = field_check_type(ctx->err, document, T_OBJECT, item_path);
        if (r < 0) {
            return r;
        }
    }
    ((struct parse *)ctx->target)->fields.documents = value->n_children > 0 ? value : NULL;
    return 0;
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

static int take_cache_salt(struct field_ctx *ctx, const struct json *value, const char *path)
{
    if (value->text.len == 0 || value->text.len > CACHE_SALT_BYTES_MAX) {
        return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': expected a string of 1 to %d bytes.", path,
                             CACHE_SALT_BYTES_MAX);
    }
    ((struct parse *)ctx->target)->fields.cache_salt = value->text;
    return 0;
}

static const struct field stream_option_fields[] = {
    { "include_usage", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(include_usage) },
    { "include_obfuscation", T_BOOL, FIELD_IGNORE }, // padding against traffic analysis of a network that is not there
    { "continuous_usage_stats", T_BOOL, FIELD_REFUSE, .neutral = "false" },
};

static int take_stream_options(struct field_ctx *ctx, const struct json *value, const char *path)
{
    ((struct parse *)ctx->target)->stream_options = value;
    return fields_apply(ctx, stream_option_fields, COUNT(stream_option_fields), value, path,
                        "Unrecognized request argument supplied");
}

static const struct field request_fields[] = {
    // what is asked
    { "messages", T_ARRAY, FIELD_TAKE, .take = take_messages },
    { "model", T_STRING, FIELD_TAKE_STR, .offset = AT_FIELD(model) },
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
    // when it runs
    { "priority", T_INTEGER, FIELD_TAKE_I64, -1e9, 1e9, AT_FIELD(priority) },
    { "cache_salt", T_STRING, FIELD_TAKE, .take = take_cache_salt },
    // how it is delivered
    { "stream", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(stream) },
    { "stream_options", T_OBJECT, FIELD_TAKE, .take = take_stream_options },
    { "timings_per_token", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(timings_per_token) },
    // how many and in what form
    { "n", T_INTEGER, FIELD_TAKE_I64, 1, CHOICES_MAX, AT_FIELD(n) },
    { "best_of", T_INTEGER, FIELD_REFUSE, 1, 128, .neutral = "1" },
    { "logprobs", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(logprobs) },
    { "top_logprobs", T_INTEGER, FIELD_TAKE_I64, 0, TOP_LOGPROBS_MAX, AT_FIELD(top_logprobs) },
    { "prompt_logprobs", T_INTEGER, FIELD_REFUSE },
    { "n_probs", T_INTEGER, FIELD_REFUSE, .neutral = "0" },
    { "echo", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_token_ids", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_tokens_as_token_ids", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "truncate_prompt_tokens", T_INTEGER, FIELD_REFUSE },
    { "response_format", T_OBJECT, FIELD_REFUSE, .neutral = "{\"type\":\"text\"}" },
    { "modalities", T_ARRAY, FIELD_REFUSE, .neutral = "[\"text\"]" },
    { "verbosity", T_STRING, FIELD_REFUSE, .neutral = "\"medium\"" },
    { "audio", T_OBJECT, FIELD_REFUSE },
    { "web_search_options", T_OBJECT, FIELD_REFUSE },
    { "moderation", T_ANY, FIELD_REFUSE },
    { "functions", T_ARRAY, FIELD_REFUSE, .neutral = "[]" },
    { "function_call", T_STRING | T_OBJECT, FIELD_REFUSE, .neutral = "\"none\"" },
    { "mm_processor_kwargs", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "media_io_kwargs", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "include_reasoning", T_BOOL, FIELD_REFUSE, .neutral = "true" },
    { "separate_reasoning", T_BOOL, FIELD_REFUSE, .neutral = "true" },
    { "stream_reasoning", T_BOOL, FIELD_REFUSE, .neutral = "true" },
    { "reasoning_format", T_STRING, FIELD_REFUSE, .neutral = "\"auto\"" },
    { "thinking_forced_open", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "parse_tool_calls", T_BOOL, FIELD_REFUSE, .neutral = "true" },
    { "data_parallel_rank", T_INTEGER, FIELD_REFUSE },
    { "bootstrap_host", T_ANY, FIELD_REFUSE },
    { "bootstrap_port", T_ANY, FIELD_REFUSE },
    { "bootstrap_room", T_ANY, FIELD_REFUSE },
    { "guided_json", T_ANY, FIELD_REFUSE },
    { "guided_regex", T_STRING, FIELD_REFUSE },
    { "guided_choice", T_ARRAY, FIELD_REFUSE },
    { "guided_grammar", T_STRING, FIELD_REFUSE },
    { "structured_outputs", T_OBJECT, FIELD_REFUSE },
    { "structural_tag", T_STRING, FIELD_REFUSE },
    { "json_schema", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "grammar", T_STRING, FIELD_REFUSE, .neutral = "\"\"" },
    { "regex", T_STRING, FIELD_REFUSE },
    { "ebnf", T_STRING, FIELD_REFUSE },
    { "logits_processors", T_ARRAY, FIELD_REFUSE, .neutral = "[]" },
    { "lora", T_ANY, FIELD_REFUSE, .neutral = "[]" },
    { "lora_path", T_ANY, FIELD_REFUSE },
    { "vllm_xargs", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "kv_transfer_params", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "custom_logit_processor", T_STRING, FIELD_REFUSE },
    { "custom_params", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "session_params", T_OBJECT, FIELD_REFUSE },
    { "extra_key", T_ANY, FIELD_REFUSE }, // SGLang's salt: it promises what cache_salt does, and cannot be ignored
    { "input_ids", T_ARRAY, FIELD_REFUSE },
    { "return_hidden_states", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_tokens", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_progress", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "post_sampling_probs", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "response_fields", T_ARRAY, FIELD_REFUSE, .neutral = "[]" },
    // without effect on the answer
    { "user", T_STRING, FIELD_IGNORE },
    { "safety_identifier", T_STRING, FIELD_IGNORE },
    { "metadata", T_OBJECT, FIELD_IGNORE },
    { "store", T_BOOL, FIELD_IGNORE },
    { "service_tier", T_STRING, FIELD_IGNORE },
    { "prompt_cache_key", T_STRING, FIELD_IGNORE },
    { "prompt_cache_retention", T_STRING, FIELD_IGNORE },
    { "prompt_cache_options", T_OBJECT, FIELD_IGNORE },
    { "prediction", T_OBJECT, FIELD_IGNORE }, // a guess of the answer, which could only make it faster
    { "cache_prompt", T_BOOL, FIELD_IGNORE },
    { "n_keep", T_INTEGER, FIELD_IGNORE },    // of a context that shifts; this one ends with finish_reason "length"
    { "n_discard", T_INTEGER, FIELD_IGNORE }, // likewise
    { "guided_decoding_backend", T_STRING, FIELD_IGNORE },
    { "guided_whitespace_pattern", T_STRING, FIELD_IGNORE },
    { "rid", T_STRING, FIELD_IGNORE },
    { "request_id", T_STRING, FIELD_IGNORE },
    { "id_slot", T_INTEGER, FIELD_IGNORE },
};

// What can only be judged when all fields are known.
static int check_together(const struct parse *parse, struct err *err)
{
    const struct chat_request *fields = &parse->fields;

    if (!parse->has_messages) {
        return field_missing(err, "messages");
    }
    if (parse->stream_options != NULL && !fields->stream) {
        return err_set_param(err, -EINVAL, "stream_options",
                             "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    }
    if (fields->continue_final_message && fields->add_generation_prompt) {
        return err_set_param(err, -EINVAL, "continue_final_message",
                             "Invalid 'continue_final_message': it excludes 'add_generation_prompt'.");
    }
    if (fields->top_logprobs > 0 && !fields->logprobs) {
        return err_set_param(err, -EINVAL, "top_logprobs",
                             "Invalid 'top_logprobs': 'logprobs' must be true when it is set.");
    }
    return 0;
}

static void parse_init(struct parse *parse, const struct sampling_params *defaults)
{
    *parse = (struct parse){ .fields = { .add_generation_prompt = true, .parallel_tool_calls = true, .n = 1 } };
    sampling_parse_init(&parse->sampling, defaults);
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
    const struct field_table tables[] = {
        { request_fields, COUNT(request_fields), parse },
        sampling_parse_table(&parse->sampling),
    };
    int r = fields_apply_tables(&ctx, tables, COUNT(tables), object, "", "Unrecognized request argument supplied");

    r = r == 0 ? sampling_parse_finish(&parse->sampling, &parse->fields.sampling, err) : r;
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

// ---- parts of a request on their own --------------------------------------------------------------------------------

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
