// One table, beside that of the sampling parameters, as for the chat request. What differs from a chat: four forms of
// `prompt`, `logprobs` as a number, `max_tokens` of 16 where none is given.
#include "engine/text/completion_request.h"

#include "engine/text/chat_request.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define MAX_TOKENS_DEFAULT 16

struct parse {
    struct completion_request fields;
    struct sampling_parse sampling;
    const struct json *stream_options;
    int64_t logprobs; // -1: not given
    int64_t best_of;  // 0: not given
};

#define AT(member)       offsetof(struct parse, member)
#define AT_FIELD(member) offsetof(struct parse, fields.member)

static int check_id(struct field_ctx *ctx, const struct json *value, const char *path)
{
    char got[48];
    int64_t id;

    if (value->type == JSON_NUMBER && json_get_i64(value, &id) == 0 && id >= 0 && id <= INT32_MAX) {
        return 0;
    }
    if (value->type != JSON_NUMBER) {
        return field_type_error(ctx->err, path, "an integer", value);
    }
    field_quote(value->text, got);
    return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': %s is not a token id.", path, got);
}

static int check_ids(struct field_ctx *ctx, const struct json *ids, const char *path)
{
    const struct json *item = json_first(ids);

    for (size_t i = 0; i < ids->n_children; i++, item = json_next(item)) {
        char item_path[FIELD_PATH_MAX];
        int r;

        field_path(item_path, "%s[%zu]", path, i);
        r = check_id(ctx, item, item_path);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

// The array's first element says what it is an array of.
static int check_prompts(struct field_ctx *ctx, const struct json *prompts, const char *path)
{
    const struct json *item = json_first(prompts);
    enum json_type type = item->type;

    for (size_t i = 0; i < prompts->n_children; i++, item = json_next(item)) {
        char item_path[FIELD_PATH_MAX];
        int r;

        field_path(item_path, "%s[%zu]", path, i);
        r = field_check_type(ctx->err, item, type == JSON_STRING ? T_STRING : T_ARRAY, item_path);
        if (r == 0 && type == JSON_ARRAY) {
            r = check_ids(ctx, item, item_path);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int take_prompt(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct completion_request *fields = &((struct parse *)ctx->target)->fields;
    bool is_list = value->type == JSON_ARRAY;

    if (is_list && value->n_children == 0) {
        return err_set_param(ctx->err, -EINVAL, path,
                             "Invalid '%s': empty array. Expected an array with minimum length 1.", path);
    }
    fields->prompts = value;
    fields->n_prompts = 1;
    if (is_list && json_first(value)->type == JSON_NUMBER) {
        return check_ids(ctx, value, path);
    }
    if (is_list) {
        fields->n_prompts = value->n_children;
        return check_prompts(ctx, value, path);
    }
    return 0;
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
    { "include_obfuscation", T_BOOL, FIELD_IGNORE },
    { "continuous_usage_stats", T_BOOL, FIELD_REFUSE, .neutral = "false" },
};

static int take_stream_options(struct field_ctx *ctx, const struct json *value, const char *path)
{
    ((struct parse *)ctx->target)->stream_options = value;
    return fields_apply(ctx, stream_option_fields, COUNT(stream_option_fields), value, path,
                        "Unrecognized request argument supplied");
}

static const struct field request_fields[] = {
    { "prompt", T_STRING | T_ARRAY, FIELD_TAKE, .take = take_prompt },
    { "model", T_STRING, FIELD_TAKE_STR, .offset = AT_FIELD(model) },
    { "add_special_tokens", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(add_special_tokens) },
    { "suffix", T_STRING, FIELD_REFUSE, .neutral = "\"\"" },
    { "echo", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(echo) },
    { "n", T_INTEGER, FIELD_TAKE_I64, 1, CHOICES_MAX, AT_FIELD(n) },
    { "best_of", T_INTEGER, FIELD_TAKE_I64, 1, CHOICES_MAX, AT(best_of) },
    { "logprobs", T_INTEGER, FIELD_TAKE_I64, 0, TOP_LOGPROBS_MAX, AT(logprobs) },
    { "stream", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(stream) },
    { "stream_options", T_OBJECT, FIELD_TAKE, .take = take_stream_options },
    { "timings_per_token", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(timings_per_token) },
    { "priority", T_INTEGER, FIELD_TAKE_I64, -1e9, 1e9, AT_FIELD(priority) },
    { "cache_salt", T_STRING, FIELD_TAKE, .take = take_cache_salt },
    // what would change the answer
    { "prompt_logprobs", T_INTEGER, FIELD_REFUSE },
    { "return_token_ids", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_tokens_as_token_ids", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "truncate_prompt_tokens", T_INTEGER, FIELD_REFUSE },
    { "response_format", T_OBJECT, FIELD_REFUSE, .neutral = "{\"type\":\"text\"}" },
    { "guided_json", T_ANY, FIELD_REFUSE },
    { "guided_regex", T_STRING, FIELD_REFUSE },
    { "guided_choice", T_ARRAY, FIELD_REFUSE },
    { "guided_grammar", T_STRING, FIELD_REFUSE },
    { "structured_outputs", T_OBJECT, FIELD_REFUSE },
    { "json_schema", T_ANY, FIELD_REFUSE, .neutral = "{}" },
    { "grammar", T_STRING, FIELD_REFUSE, .neutral = "\"\"" },
    { "regex", T_STRING, FIELD_REFUSE },
    { "ebnf", T_STRING, FIELD_REFUSE },
    { "logits_processors", T_ARRAY, FIELD_REFUSE, .neutral = "[]" },
    { "lora", T_ANY, FIELD_REFUSE, .neutral = "[]" },
    { "lora_path", T_ANY, FIELD_REFUSE },
    { "prompt_embeds", T_ANY, FIELD_REFUSE },
    // without effect on it
    { "user", T_STRING, FIELD_IGNORE },
    { "cache_prompt", T_BOOL, FIELD_IGNORE },
    { "request_id", T_STRING, FIELD_IGNORE },
    { "rid", T_STRING, FIELD_IGNORE },
    { "id_slot", T_INTEGER, FIELD_IGNORE },
};

static int check_together(const struct parse *parse, struct err *err)
{
    const struct completion_request *fields = &parse->fields;

    if (fields->prompts == NULL) {
        return field_missing(err, "prompt");
    }
    if (parse->stream_options != NULL && !fields->stream) {
        return err_set_param(err, -EINVAL, "stream_options",
                             "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    }
    if (parse->best_of > 0 && parse->best_of != fields->n) {
        return err_set_param(err, -EOPNOTSUPP, "best_of",
                             "Unsupported value: 'best_of' does not support %lld. Only the value of 'n' is supported.",
                             (long long)parse->best_of);
    }
    if (fields->echo && fields->logprobs) {
        return err_set_param(err, -EOPNOTSUPP, "echo",
                             "Unsupported value: 'echo' does not support 'logprobs', which would be the prompt's too.");
    }
    if ((uint64_t)fields->n * fields->n_prompts > COMPLETION_CHOICES_MAX) {
        return err_set_param(err, -EINVAL, "prompt", "Invalid 'prompt': %zu prompts of %lld choices are more than %d.",
                             fields->n_prompts, (long long)fields->n, COMPLETION_CHOICES_MAX);
    }
    return 0;
}

int completion_request_parse(struct arena *arena, struct str body, const struct sampling_params *defaults,
                             struct completion_request *ret, struct err *err)
{
    struct parse parse = { .fields = { .add_special_tokens = true, .n = 1 }, .logprobs = -1 };
    struct field_ctx ctx = { arena, err, &parse };
    const struct json *object;
    int r = field_parse_object(arena, body, &object, err);

    if (r < 0) {
        return r;
    }
    sampling_parse_init(&parse.sampling, defaults);
    parse.sampling.params.max_tokens = MAX_TOKENS_DEFAULT;
    const struct field_table tables[] = {
        { request_fields, COUNT(request_fields), &parse },
        sampling_parse_table(&parse.sampling),
    };
    r = fields_apply_tables(&ctx, tables, COUNT(tables), object, "", "Unrecognized request argument supplied");
    r = r == 0 ? sampling_parse_finish(&parse.sampling, &parse.fields.sampling, err) : r;
    parse.fields.logprobs = parse.logprobs >= 0;
    parse.fields.top_logprobs = parse.logprobs > 0 ? parse.logprobs : 0;
    r = r == 0 ? check_together(&parse, err) : r;
    if (r == 0) {
        *ret = parse.fields;
    }
    return r;
}

const struct json *completion_request_next(const struct completion_request *request, const struct json *before)
{
    const struct json *prompts = request->prompts;
    bool is_one = prompts->type == JSON_STRING || json_first(prompts)->type == JSON_NUMBER;

    if (before == NULL) {
        return is_one ? prompts : json_first(prompts);
    }
    return json_next(before);
}
