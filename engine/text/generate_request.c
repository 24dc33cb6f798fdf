// Two tables of its own, one for the body and one for `sampling_params`, each beside those that all requests share.
// Only one set of sampling parameters holds for all prompts of a request: a list of them is refused.
#include "engine/text/generate_request.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define MAX_NEW_TOKENS_DEFAULT 128

struct parse {
    struct completion_request fields;
    struct request_parse shared;
    struct prompts_parse prompts;
    bool return_logprob;
    int64_t top_logprobs;
    int64_t logprob_start; // -1: of the answer's tokens only
};

#define AT(member)       offsetof(struct parse, member)
#define AT_FIELD(member) offsetof(struct parse, fields.member)

static const struct field sampling_fields[] = {
    { "n", T_INTEGER, FIELD_TAKE_I64, 1, CHOICES_MAX, AT_FIELD(n) },
    { "beam_width", T_INTEGER, FIELD_REFUSE, .neutral = "1" },
    { "custom_params", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "stream_interval", T_INTEGER, FIELD_IGNORE }, // how many tokens a chunk has at least: its text is the same
};

static int take_sampling_params(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct parse *parse = ctx->target;
    const struct field_table own = { sampling_fields, COUNT(sampling_fields), parse };

    if (value->type == JSON_ARRAY) {
        return err_set_param(ctx->err, -EOPNOTSUPP, path,
                             "Unsupported value: '%s' must be one object, which holds for all prompts.", path);
    }
    return request_apply_sampling(ctx, own, value, path, &parse->shared);
}

static int take_request_ids(struct field_ctx *ctx, const struct json *value, const char *path)
{
    ((struct parse *)ctx->target)->fields.request_ids = value;
    return value->type == JSON_ARRAY ? fields_each(ctx, value, path, field_check_string) : 0;
}

static const struct field request_fields[] = {
    { "sampling_params", T_OBJECT | T_ARRAY, FIELD_TAKE, .take = take_sampling_params },
    { "rid", T_STRING | T_ARRAY, FIELD_TAKE, .take = take_request_ids },
    { "return_logprob", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(return_logprob) },
    { "logprob_start_len", T_INTEGER, FIELD_TAKE_I64, -1, 1e9, AT(logprob_start) },
    { "top_logprobs_num", T_INTEGER, FIELD_TAKE_I64, 0, TOP_LOGPROBS_MAX, AT(top_logprobs) },
    { "return_text_in_logprobs", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_FIELD(texts_in_logprobs) },
    // what would change the answer
    { "input_embeds", T_ANY, FIELD_REFUSE },
    { "image_data", T_ANY, FIELD_REFUSE },
    { "video_data", T_ANY, FIELD_REFUSE },
    { "audio_data", T_ANY, FIELD_REFUSE },
    { "mm_hashes", T_ANY, FIELD_REFUSE },
    { "mm_content_hashes", T_ANY, FIELD_REFUSE },
    { "video_config", T_OBJECT, FIELD_REFUSE },
    { "use_audio_in_video", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "token_ids_logprob", T_ARRAY, FIELD_REFUSE, .neutral = "[]" },
    { "return_sampling_mask", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_flat_raw_top_logprobs", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_flat_raw_top_logprobs_b64", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_routed_experts", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "routed_experts_start_len", T_INTEGER, FIELD_REFUSE, .neutral = "0" },
    { "return_indexer_topk", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_entropy", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_bytes", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_prompt_token_ids", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "require_reasoning", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "max_thinking_tokens", T_INTEGER, FIELD_REFUSE },
    { "background", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "lora_id", T_ANY, FIELD_REFUSE },
    { "positional_embed_overrides", T_ANY, FIELD_REFUSE },
    { "multi_item_delimiter_indices", T_ARRAY, FIELD_REFUSE },
    { "bootstrap_pair_key", T_ANY, FIELD_REFUSE },
    { "decode_tp_size", T_ANY, FIELD_REFUSE },
    { "routed_dp_rank", T_INTEGER, FIELD_REFUSE },
    { "disagg_prefill_dp_rank", T_INTEGER, FIELD_REFUSE },
    // without effect on it
    { "session_id", T_STRING, FIELD_IGNORE },
    { "conversation_id", T_STRING, FIELD_IGNORE },
    { "routing_key", T_STRING, FIELD_IGNORE },
    { "kv_router_hint", T_OBJECT, FIELD_IGNORE },
    { "log_metrics", T_BOOL, FIELD_IGNORE },
    { "no_logs", T_BOOL, FIELD_IGNORE },
    { "custom_labels", T_OBJECT, FIELD_IGNORE },
    { "external_trace_header", T_OBJECT, FIELD_IGNORE },
    { "received_time", T_NUMBER, FIELD_IGNORE },
};

static int check_request_ids(const struct completion_request *fields, struct err *err)
{
    const struct json *ids = fields->request_ids;

    if (ids == NULL || ids->type == JSON_STRING || (fields->prompts.is_list && ids->n_children == fields->prompts.n)) {
        return 0;
    }
    return err_set_param(err, -EINVAL, "rid", "Invalid 'rid': %u names for %zu prompts.", (unsigned)ids->n_children,
                         fields->prompts.n);
}

static int check_together(struct parse *parse, struct err *err)
{
    struct completion_request *fields = &parse->fields;
    int r = prompts_parse_finish(&parse->prompts, &fields->prompts, &fields->prompt_name, err);

    r = r == 0 ? completion_request_check_choices(fields, err) : r;
    return r == 0 ? check_request_ids(fields, err) : r;
}

int generate_request_parse(struct arena *arena, struct str body, const struct sampling_params *defaults,
                           struct completion_request *ret, struct err *err)
{
    struct parse parse = { .fields = { .add_special_tokens = true, .n = 1, .prompt_logprobs = -1 },
                           .logprob_start = -1 };
    struct field_ctx ctx = { arena, err, &parse };
    const struct field_table own[] = {
        prompts_parse_table(&parse.prompts),
        { request_fields, COUNT(request_fields), &parse },
    };
    const struct json *object;
    int r = field_parse_object(arena, body, &object, err);

    if (r < 0) {
        return r;
    }
    request_parse_init(&parse.shared, defaults);
    parse.shared.sampling.params.max_tokens = MAX_NEW_TOKENS_DEFAULT;
    parse.shared.sampling_is_inside = true;
    r = request_apply(&ctx, own, COUNT(own), object, &parse.shared);
    r = r == 0 ? request_parse_finish(&parse.shared, &parse.fields.sampling, &parse.fields.common, err) : r;
    r = r == 0 ? check_together(&parse, err) : r;
    if (r == 0) {
        parse.fields.logprobs = parse.return_logprob;
        parse.fields.probs_from = parse.return_logprob ? parse.logprob_start : -1;
        parse.fields.top_logprobs = parse.return_logprob ? parse.top_logprobs : 0;
        *ret = parse.fields;
    }
    return r;
}
