// The chat-completions request: one table says for every field what it may be and whether it is taken, ignored or
// refused.
//
// Owns nothing: the result borrows from the body and lives in the caller's arena. Refuses what would change the answer
// and cannot be honoured (-EOPNOTSUPP), what is not a parameter at all, and what has the wrong type or range (-EINVAL),
// each with its path. Fields and ranges: OpenAI's CreateChatCompletionRequest; extensions as vLLM, SGLang and
// llama-server name them.
#include "engine/text/chat_request.h"

#include "engine/base/utf8.h"
#include "engine/text/chat_fields.h"
#include "engine/text/chat_message.h"

#include <errno.h>
#include <float.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

// What the table fills in: the request, and what needs a second look once all fields are known.
struct parse {
    struct chat_request fields;
    const struct json *stream_options;
    int64_t max_completion_tokens;
    bool has_messages;
};

#define AT(member)       offsetof(struct parse, member)
#define AT_FIELD(member) offsetof(struct parse, fields.member)

void sampling_params_default(struct sampling_params *params)
{
    *params = (struct sampling_params){ .temperature = 1, .top_p = 1, .max_tokens = -1 };
}

static int take_messages(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct parse *parse = ctx->target;

    parse->has_messages = true;
    return chat_messages_take(ctx, value, path, &parse->fields.messages);
}

static int take_seed(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct parse *parse = ctx->target;
    int64_t seed;

    if (json_get_i64(value, &seed) < 0) {
        return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': the seed does not fit a 64-bit integer.", path);
    }
    parse->fields.sampling.has_seed = true;
    parse->fields.sampling.seed = (uint64_t)seed;
    return 0;
}

static int take_top_k(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct parse *parse = ctx->target;
    int64_t top_k;

    if (json_get_i64(value, &top_k) < 0) {
        return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': the number does not fit a 64-bit integer.", path);
    }
    parse->fields.sampling.top_k = top_k < 0 ? 0 : top_k;
    return 0;
}

// OpenAI allows 0, which leaves the most likely token only; the sampler wants a positive mass.
static int take_top_p(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct parse *parse = ctx->target;
    double top_p = json_get_double(value);

    (void)path;
    parse->fields.sampling.top_p = top_p > 0 ? top_p : DBL_MIN;
    return 0;
}

static int add_stop(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct sampling_params *sampling = &((struct parse *)ctx->target)->fields.sampling;
    int r = field_check_type(ctx->err, value, T_STRING, path);

    if (r < 0) {
        return r;
    }
    if (value->text.len == 0) {
        return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': a stop string must not be empty.", path);
    }
    if (value->text.len > STOP_STRING_BYTES_MAX) {
        return err_set_param(ctx->err, -EINVAL, path,
                             "Invalid '%s': string too long. Expected at most %d bytes, but got %zu instead.", path,
                             STOP_STRING_BYTES_MAX, value->text.len);
    }
    if (sampling->n_stop == STOP_STRINGS_MAX) {
        return err_set_param(ctx->err, -EINVAL, "stop", "Invalid 'stop': array too long. Expected at most %d strings.",
                             STOP_STRINGS_MAX);
    }
    sampling->stop[sampling->n_stop++] = value->text;
    return 0;
}

static int take_stop(struct field_ctx *ctx, const struct json *value, const char *path)
{
    const struct json *item = json_first(value);

    ((struct parse *)ctx->target)->fields.sampling.n_stop = 0; // of duplicate keys the last one counts
    if (value->type == JSON_STRING) {
        return add_stop(ctx, value, path);
    }
    for (size_t i = 0; i < value->n_children; i++, item = json_next(item)) {
        char item_path[FIELD_PATH_MAX];
        int r;

        field_path(item_path, "%s[%zu]", path, i);
        r = add_stop(ctx, item, item_path);
        if (r < 0) {
            return r;
        }
    }
    return 0;
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
    { "documents", T_ARRAY, FIELD_TAKE, .take = take_documents },
    { "chat_template_kwargs", T_OBJECT, FIELD_TAKE_JSON, .offset = AT_FIELD(template_kwargs) },
    { "add_generation_prompt", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(add_generation_prompt) },
    { "continue_final_message", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(continue_final_message) },
    // how it is delivered
    { "stream", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(stream) },
    { "stream_options", T_OBJECT, FIELD_TAKE, .take = take_stream_options },
    { "timings_per_token", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(timings_per_token) },
    // how it is sampled
    { "temperature", T_NUMBER, FIELD_TAKE_DOUBLE, 0, 2, AT_FIELD(sampling.temperature), .is_sampling = true },
    { "top_p", T_NUMBER, FIELD_TAKE, 0, 1, .take = take_top_p, .is_sampling = true },
    { "top_k", T_INTEGER, FIELD_TAKE, -1, 1e9, .take = take_top_k, .is_sampling = true },
    { "min_p", T_NUMBER, FIELD_TAKE_DOUBLE, 0, 1, AT_FIELD(sampling.min_p), .is_sampling = true },
    { "seed", T_INTEGER, FIELD_TAKE, .take = take_seed, .is_sampling = true },
    { "max_tokens", T_INTEGER, FIELD_TAKE_I64, 1, 1e15, AT_FIELD(sampling.max_tokens), .is_sampling = true },
    { "max_completion_tokens", T_INTEGER, FIELD_TAKE_I64, 1, 1e15, AT(max_completion_tokens), .is_sampling = true },
    { "min_tokens", T_INTEGER, FIELD_TAKE_I64, 0, 1e15, AT_FIELD(sampling.min_tokens), .is_sampling = true },
    { "ignore_eos", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(sampling.ignore_eos), .is_sampling = true },
    { "stop", T_STRING | T_ARRAY, FIELD_TAKE, .take = take_stop, .is_sampling = true },
    { "frequency_penalty", T_NUMBER, FIELD_REFUSE, -2, 2, .neutral = "0", .is_sampling = true },
    { "presence_penalty", T_NUMBER, FIELD_REFUSE, -2, 2, .neutral = "0", .is_sampling = true },
    { "repetition_penalty", T_NUMBER, FIELD_REFUSE, DBL_MIN, 1e9, .neutral = "1", .is_sampling = true },
    { "repeat_penalty", T_NUMBER, FIELD_REFUSE, DBL_MIN, 1e9, .neutral = "1", .is_sampling = true },
    { "length_penalty", T_NUMBER, FIELD_REFUSE, .neutral = "1", .is_sampling = true },
    { "typical_p", T_NUMBER, FIELD_REFUSE, .neutral = "1", .is_sampling = true },
    { "mirostat", T_INTEGER, FIELD_REFUSE, .neutral = "0", .is_sampling = true },
    { "dry_multiplier", T_NUMBER, FIELD_REFUSE, .neutral = "0", .is_sampling = true },
    { "xtc_probability", T_NUMBER, FIELD_REFUSE, .neutral = "0", .is_sampling = true },
    { "dynatemp_range", T_NUMBER, FIELD_REFUSE, .neutral = "0", .is_sampling = true },
    { "logit_bias", T_OBJECT | T_ARRAY, FIELD_REFUSE, .neutral = "{}", .is_sampling = true },
    { "stop_token_ids", T_ARRAY, FIELD_REFUSE, .neutral = "[]", .is_sampling = true },
    { "bad_words", T_ARRAY, FIELD_REFUSE, .neutral = "[]", .is_sampling = true },
    { "allowed_token_ids", T_ARRAY, FIELD_REFUSE, .is_sampling = true },
    { "use_beam_search", T_BOOL, FIELD_REFUSE, .neutral = "false", .is_sampling = true },
    { "include_stop_str_in_output", T_BOOL, FIELD_REFUSE, .neutral = "false", .is_sampling = true },
    { "skip_special_tokens", T_BOOL, FIELD_REFUSE, .neutral = "true", .is_sampling = true },
    { "spaces_between_special_tokens", T_BOOL, FIELD_IGNORE, .is_sampling = true },
    // how many and in what form
    { "n", T_INTEGER, FIELD_REFUSE, 1, 128, .neutral = "1" },
    { "best_of", T_INTEGER, FIELD_REFUSE, 1, 128, .neutral = "1" },
    { "logprobs", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "top_logprobs", T_INTEGER, FIELD_REFUSE, 0, 20, .neutral = "0" },
    { "prompt_logprobs", T_INTEGER, FIELD_REFUSE },
    { "n_probs", T_INTEGER, FIELD_REFUSE, .neutral = "0" },
    { "echo", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_token_ids", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_tokens_as_token_ids", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "add_special_tokens", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "truncate_prompt_tokens", T_INTEGER, FIELD_REFUSE },
    { "response_format", T_OBJECT, FIELD_REFUSE, .neutral = "{\"type\":\"text\"}" },
    { "modalities", T_ARRAY, FIELD_REFUSE, .neutral = "[\"text\"]" },
    { "verbosity", T_STRING, FIELD_REFUSE, .neutral = "\"medium\"" },
    { "audio", T_OBJECT, FIELD_REFUSE },
    { "prediction", T_OBJECT, FIELD_REFUSE },
    { "reasoning_effort", T_STRING, FIELD_REFUSE },
    { "web_search_options", T_OBJECT, FIELD_REFUSE },
    { "moderation", T_ANY, FIELD_REFUSE },
    { "functions", T_ARRAY, FIELD_REFUSE, .neutral = "[]" },
    { "function_call", T_STRING | T_OBJECT, FIELD_REFUSE, .neutral = "\"none\"" },
    { "parallel_tool_calls", T_BOOL, FIELD_REFUSE, .neutral = "true" },
    { "chat_template", T_STRING, FIELD_REFUSE },
    { "mm_processor_kwargs", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "guided_json", T_ANY, FIELD_REFUSE },
    { "guided_regex", T_STRING, FIELD_REFUSE },
    { "guided_choice", T_ARRAY, FIELD_REFUSE },
    { "guided_grammar", T_STRING, FIELD_REFUSE },
    { "structured_outputs", T_OBJECT, FIELD_REFUSE },
    { "json_schema", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "grammar", T_STRING, FIELD_REFUSE, .neutral = "\"\"" },
    { "regex", T_STRING, FIELD_REFUSE },
    { "ebnf", T_STRING, FIELD_REFUSE },
    { "logits_processors", T_ARRAY, FIELD_REFUSE, .neutral = "[]" },
    { "lora", T_ANY, FIELD_REFUSE, .neutral = "[]" },
    // A salt promises that nobody else's requests can see this one's cache entries; it cannot be ignored.
    { "cache_salt", T_STRING, FIELD_REFUSE },
    // without effect on the answer
    { "user", T_STRING, FIELD_IGNORE },
    { "safety_identifier", T_STRING, FIELD_IGNORE },
    { "metadata", T_OBJECT, FIELD_IGNORE },
    { "store", T_BOOL, FIELD_IGNORE },
    { "service_tier", T_STRING, FIELD_IGNORE },
    { "prompt_cache_key", T_STRING, FIELD_IGNORE },
    { "prompt_cache_retention", T_STRING, FIELD_IGNORE },
    { "prompt_cache_options", T_OBJECT, FIELD_IGNORE },
    { "cache_prompt", T_BOOL, FIELD_IGNORE },
    { "priority", T_INTEGER, FIELD_IGNORE },
    { "request_id", T_STRING, FIELD_IGNORE },
    { "timings_per_token", T_BOOL, FIELD_IGNORE },
    { "id_slot", T_INTEGER, FIELD_IGNORE },
};

static int check_body_utf8(struct str body, struct err *err)
{
    size_t valid = utf8_valid_len(body);

    if (valid == body.len) {
        return 0;
    }
    return err_set(err, -EINVAL, "Invalid body: byte %zu is not valid UTF-8.", valid);
}

static int parse_object(struct arena *arena, struct str body, const struct json **ret, struct err *err)
{
    int r = check_body_utf8(body, err);

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
    if (fields->sampling.max_tokens >= 0 && fields->sampling.min_tokens > fields->sampling.max_tokens) {
        return err_set_param(err, -EINVAL, "min_tokens", "Invalid 'min_tokens': it exceeds the maximum of %lld tokens.",
                             (long long)fields->sampling.max_tokens);
    }
    return 0;
}

static void parse_init(struct parse *parse, const struct sampling_params *defaults)
{
    *parse = (struct parse){ .fields = { .add_generation_prompt = true }, .max_completion_tokens = -1 };
    if (defaults) {
        parse->fields.sampling = *defaults;
    } else {
        sampling_params_default(&parse->fields.sampling);
    }
}

int chat_request_parse(struct arena *arena, struct str body, const struct sampling_params *defaults,
                       struct chat_request *ret, struct err *err)
{
    const struct json *object;
    struct parse parse;
    struct field_ctx ctx = { arena, err, &parse };
    int r;

    parse_init(&parse, defaults);
    r = parse_object(arena, body, &object, err);
    if (r < 0) {
        return r;
    }
    // With continue_final_message the generation prompt is off unless asked for.
    if (json_get(object, STR("continue_final_message")) != NULL &&
        json_get(object, STR("continue_final_message"))->boolean) {
        parse.fields.add_generation_prompt = false;
    }
    r = fields_apply(&ctx, request_fields, COUNT(request_fields), object, "", "Unrecognized request argument supplied");
    if (r < 0) {
        return r;
    }
    if (parse.max_completion_tokens >= 0) {
        parse.fields.sampling.max_tokens = parse.max_completion_tokens;
    }
    r = check_together(&parse, err);
    if (r < 0) {
        return r;
    }
    *ret = parse.fields;
    return 0;
}

int sampling_defaults_parse(struct arena *arena, struct str generation_json, struct sampling_params *ret,
                            struct err *err)
{
    static const char *const names[] = { "temperature", "top_p", "top_k", "min_p" };
    struct parse parse;
    struct field_ctx ctx = { arena, err, &parse };
    const struct json *object;

    parse_init(&parse, ret);
    int r = parse_object(arena, generation_json, &object, err);
    for (size_t i = 0; r == 0 && i < COUNT(names); i++) {
        const struct json *value = json_get(object, str_from(names[i]));

        if (value && value->type != JSON_NULL) {
            const struct field *field = field_find(request_fields, COUNT(request_fields), str_from(names[i]));
            r = field_apply(&ctx, field, value, names[i]);
        }
    }
    if (r < 0) {
        return r;
    }
    const struct json *do_sample = json_get(object, STR("do_sample"));
    if (do_sample && do_sample->type == JSON_BOOL && !do_sample->boolean) {
        parse.fields.sampling.temperature = 0;
    }
    *ret = parse.fields.sampling;
    return 0;
}

// ---- parts of a request on their own --------------------------------------------------------------------------------

static int apply_sampling_member(struct field_ctx *ctx, struct str name, const struct json *value,
                                 struct json_writer *w)
{
    const struct field *field = field_find(request_fields, COUNT(request_fields), name);
    char path[FIELD_PATH_MAX], quoted[48];
    int r;

    field_quote(name, quoted);
    field_path(path, "%s", quoted);
    if (field == NULL || !field->is_sampling) {
        return err_set_param(ctx->err, -EINVAL, path, "Unrecognized sampling parameter: %s", path);
    }
    r = field_apply(ctx, field, value, path);
    if (r < 0) {
        return r;
    }
    json_write_key(w, field->name);
    json_write_value(w, value);
    return 0;
}

static int apply_sampling_object(struct field_ctx *ctx, struct str text, struct json_writer *w)
{
    const struct json *object, *key;
    int r = parse_object(ctx->arena, text, &object, ctx->err);

    if (r < 0) {
        return r;
    }
    key = json_first(object);
    for (size_t i = 0; i < object->n_children; i++) {
        const struct json *value = json_next(key);

        r = apply_sampling_member(ctx, key->text, value, w);
        if (r < 0) {
            return r;
        }
        key = json_next(value);
    }
    return 0;
}

// "temperature 0.2", "stop END": a value that is not JSON is a string.
static int apply_sampling_line(struct field_ctx *ctx, struct str line, struct json_writer *w)
{
    size_t name_len = 0;
    const struct json *value;
    struct json as_string = { .type = JSON_STRING, .next = 1 };
    struct str text;

    while (name_len < line.len && line.ptr[name_len] != ' ' && line.ptr[name_len] != '\t' &&
           line.ptr[name_len] != '=') {
        name_len++;
    }
    text = str_trim(str_skip(line, name_len));
    if (text.len > 0 && text.ptr[0] == '=') {
        text = str_trim(str_skip(text, 1));
    }
    if (text.len == 0) {
        char name[48];

        field_quote(line, name);
        return err_set_param(ctx->err, -EINVAL, name, "Missing value: '%s'. Expected a line \"name value\".", name);
    }
    if (json_parse(ctx->arena, text, &value, NULL) < 0) {
        as_string.text = text;
        value = &as_string;
    }
    return apply_sampling_member(ctx, str_take(line, name_len), value, w);
}

static int apply_sampling_lines(struct field_ctx *ctx, struct str text, struct json_writer *w)
{
    int r = check_body_utf8(text, ctx->err);

    while (r == 0 && text.len > 0) {
        struct str line;

        text = str_cut(text, '\n', &line);
        line = str_trim(line);
        if (line.len > 0 && line.ptr[0] != '#') {
            r = apply_sampling_line(ctx, line, w);
        }
    }
    return r;
}

int sampling_params_parse(struct arena *arena, struct str text, struct strbuf *out, struct err *err)
{
    struct parse parse;
    struct field_ctx ctx = { arena, err, &parse };
    struct json_writer w;
    struct str trimmed = str_trim(text);
    size_t len_before = out->len;
    int r;

    parse_init(&parse, NULL);
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    r = trimmed.len > 0 && trimmed.ptr[0] == '{' ? apply_sampling_object(&ctx, text, &w)
                                                 : apply_sampling_lines(&ctx, text, &w);
    json_write_object_end(&w);
    if (r == 0 && out->error != 0) {
        r = err_set(err, out->error, "Out of memory.");
    }
    if (r < 0) {
        out->len = len_before;
    }
    return r;
}

int chat_tools_parse(struct arena *arena, struct str text, const struct json **ret, struct err *err)
{
    struct field_ctx ctx = { arena, err, NULL };
    const struct json *tools;
    int r = check_body_utf8(text, err);

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
