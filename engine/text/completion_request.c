// One table, beside those that all requests share. What differs from a chat: four forms of `prompt`, `logprobs` as a
// number, `max_tokens` of 16 where none is given.
#include "engine/text/completion_request.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define MAX_TOKENS_DEFAULT 16

struct parse {
    struct completion_request fields;
    struct request_parse shared;
    int64_t logprobs; // -1: not given
    int64_t best_of;  // 0: not given
};

#define AT(member)       offsetof(struct parse, member)
#define AT_FIELD(member) offsetof(struct parse, fields.member)

static int take_prompt(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct parse *parse = ctx->target;

    return prompts_take(ctx, PROMPT_TEXTS | PROMPT_IDS, value, path, &parse->fields.prompts);
}

static const struct field request_fields[] = {
    { "prompt", T_STRING | T_ARRAY, FIELD_TAKE, .take = take_prompt },
    { "add_special_tokens", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(add_special_tokens) },
    { "suffix", T_STRING, FIELD_REFUSE, .neutral = "\"\"" },
    { "echo", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(echo) },
    { "n", T_INTEGER, FIELD_TAKE_I64, 1, CHOICES_MAX, AT_FIELD(n) },
    { "best_of", T_INTEGER, FIELD_TAKE_I64, 1, CHOICES_MAX, AT(best_of) },
    { "prompt_logprobs", T_INTEGER, FIELD_TAKE_I64, 0, TOP_LOGPROBS_MAX, AT_FIELD(prompt_logprobs) },
    { "logprobs", T_INTEGER, FIELD_TAKE_I64, 0, TOP_LOGPROBS_MAX, AT(logprobs) },
};

int completion_request_check_choices(const struct completion_request *request, struct err *err)
{
    const char *name = request->prompt_name;

    if ((uint64_t)request->n * request->prompts.n <= COMPLETION_CHOICES_MAX) {
        return 0;
    }
    return err_set_param(err, -EINVAL, name, "Invalid '%s': %zu prompts of %lld choices are more than %d.", name,
                         request->prompts.n, (long long)request->n, COMPLETION_CHOICES_MAX);
}

static int check_together(const struct parse *parse, struct err *err)
{
    const struct completion_request *fields = &parse->fields;

    if (fields->prompts.value == NULL) {
        return field_missing(err, "prompt");
    }
    if (parse->best_of > 0 && parse->best_of != fields->n) {
        return err_set_param(err, -EOPNOTSUPP, "best_of",
                             "Unsupported value: 'best_of' does not support %lld. Only the value of 'n' is supported.",
                             (long long)parse->best_of);
    }
    if (fields->prompt_logprobs >= 0 && fields->common.stream) {
        return err_set_param(err, -EINVAL, "prompt_logprobs",
                             "Invalid 'prompt_logprobs': it is not available when 'stream' is enabled.");
    }
    return completion_request_check_choices(fields, err);
}

int completion_request_parse(struct arena *arena, struct str body, const struct sampling_params *defaults,
                             struct completion_request *ret, struct err *err)
{
    struct parse parse = { .fields = { .prompt_name = "prompt",
                                       .add_special_tokens = true,
                                       .n = 1,
                                       .prompt_logprobs = -1,
                                       .probs_from = -1 },
                           .logprobs = -1 };
    struct field_ctx ctx = { arena, err, &parse };
    const struct field_table own = { request_fields, COUNT(request_fields), &parse };
    const struct json *object;
    int r = field_parse_object(arena, body, &object, err);

    if (r < 0) {
        return r;
    }
    request_parse_init(&parse.shared, defaults);
    parse.shared.sampling.params.max_tokens = MAX_TOKENS_DEFAULT;
    r = request_apply(&ctx, &own, 1, object, &parse.shared);
    r = r == 0 ? request_parse_finish(&parse.shared, &parse.fields.sampling, &parse.fields.common, err) : r;
    parse.fields.logprobs = parse.logprobs >= 0;
    parse.fields.top_logprobs = parse.logprobs > 0 ? parse.logprobs : 0;
    r = r == 0 ? check_together(&parse, err) : r;
    if (r == 0) {
        *ret = parse.fields;
    }
    return r;
}
