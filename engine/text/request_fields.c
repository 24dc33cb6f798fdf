// The tables. A row moves out of the refused ones, into the table of its kind, when the engine learns to honour it.
#include "engine/text/request_fields.h"

#include <assert.h>
#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define AT(member) offsetof(struct request_common_parse, common.member)
#define UNKNOWN    "Unrecognized request argument supplied"

static int take_cache_salt(struct field_ctx *ctx, const struct json *value, const char *path)
{
    if (value->text.len == 0 || value->text.len > CACHE_SALT_BYTES_MAX) {
        return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': expected a string of 1 to %d bytes.", path,
                             CACHE_SALT_BYTES_MAX);
    }
    ((struct request_common_parse *)ctx->target)->common.cache_salt = value->text;
    return 0;
}

static const struct field stream_option_fields[] = {
    { "include_usage", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(include_usage) },
    { "include_obfuscation", T_BOOL, FIELD_IGNORE }, // padding against traffic analysis of a network that is not there
    { "continuous_usage_stats", T_BOOL, FIELD_REFUSE, .neutral = "false" },
};

static int take_stream_options(struct field_ctx *ctx, const struct json *value, const char *path)
{
    ((struct request_common_parse *)ctx->target)->has_stream_options = true;
    return fields_apply(ctx, stream_option_fields, COUNT(stream_option_fields), value, path, UNKNOWN);
}

static const struct field common_fields[] = {
    { "model", T_STRING, FIELD_TAKE_STR, .offset = AT(model) },
    // when it runs
    { "priority", T_INTEGER, FIELD_TAKE_I64, -1e9, 1e9, AT(priority) },
    { "cache_salt", T_STRING, FIELD_TAKE, .take = take_cache_salt },
    // how it is delivered
    { "stream", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(stream) },
    { "stream_options", T_OBJECT, FIELD_TAKE, .take = take_stream_options },
    { "timings_per_token", T_BOOL, FIELD_TAKE_BOOL, .offset = AT(timings_per_token) },
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
    { "n_keep", T_INTEGER, FIELD_IGNORE },    // of a context that shifts; this one ends with finish_reason "length"
    { "n_discard", T_INTEGER, FIELD_IGNORE }, // likewise
    { "rid", T_STRING, FIELD_IGNORE },
    { "request_id", T_STRING, FIELD_IGNORE },
    { "id_slot", T_INTEGER, FIELD_IGNORE },
};

static const struct field refused_fields[] = {
    // other answers
    { "best_of", T_INTEGER, FIELD_REFUSE, 1, 128, .neutral = "1" },
    { "n_probs", T_INTEGER, FIELD_REFUSE, .neutral = "0" },
    { "echo", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_token_ids", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_tokens_as_token_ids", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_hidden_states", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_tokens", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "return_progress", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "post_sampling_probs", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "response_fields", T_ARRAY, FIELD_REFUSE, .neutral = "[]" },
    { "modalities", T_ARRAY, FIELD_REFUSE, .neutral = "[\"text\"]" },
    // other prompts and models
    { "truncate_prompt_tokens", T_INTEGER, FIELD_REFUSE },
    { "input_ids", T_ARRAY, FIELD_REFUSE },
    { "prompt_embeds", T_ANY, FIELD_REFUSE },
    { "mm_processor_kwargs", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "media_io_kwargs", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "lora", T_ANY, FIELD_REFUSE, .neutral = "[]" },
    { "lora_path", T_ANY, FIELD_REFUSE },
    // code and settings of other servers
    { "logits_processors", T_ARRAY, FIELD_REFUSE, .neutral = "[]" },
    { "custom_logit_processor", T_STRING, FIELD_REFUSE },
    { "custom_params", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "session_params", T_OBJECT, FIELD_REFUSE },
    { "extra_key", T_ANY, FIELD_REFUSE }, // SGLang's salt: it promises what cache_salt does, and cannot be ignored
    { "vllm_xargs", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "kv_transfer_params", T_OBJECT, FIELD_REFUSE, .neutral = "{}" },
    { "data_parallel_rank", T_INTEGER, FIELD_REFUSE },
    { "bootstrap_host", T_ANY, FIELD_REFUSE },
    { "bootstrap_port", T_ANY, FIELD_REFUSE },
    { "bootstrap_room", T_ANY, FIELD_REFUSE },
};

void request_parse_init(struct request_parse *parse, const struct sampling_params *defaults)
{
    *parse = (struct request_parse){ 0 };
    sampling_parse_init(&parse->sampling, defaults);
}

int request_apply(struct field_ctx *ctx, const struct field_table *own, size_t n_own, const struct json *object,
                  struct request_parse *parse)
{
    struct field_table tables[REQUEST_OWN_TABLES_MAX + 4];
    size_t n = 0;

    assert(n_own <= REQUEST_OWN_TABLES_MAX);
    while (n < n_own) {
        tables[n] = own[n];
        n++;
    }
    if (!parse->sampling_is_inside) {
        tables[n++] = sampling_parse_table(&parse->sampling);
    }
    tables[n++] = (struct field_table){ common_fields, COUNT(common_fields), &parse->common };
    tables[n++] = answer_rule_table(&parse->common.common.rule);
    tables[n++] = (struct field_table){ refused_fields, COUNT(refused_fields), &parse->common };
    return fields_apply_tables(ctx, tables, n, object, "", UNKNOWN);
}

int request_apply_sampling(struct field_ctx *ctx, struct field_table own, const struct json *object, const char *path,
                           struct request_parse *parse)
{
    const struct field_table tables[] = {
        own,
        sampling_parse_table(&parse->sampling),
        answer_rule_table(&parse->common.common.rule),
    };

    return fields_apply_tables(ctx, tables, COUNT(tables), object, path, UNKNOWN);
}

static int common_finish(const struct request_common_parse *parse, struct request_common *ret, struct err *err)
{
    if (parse->has_stream_options && !parse->common.stream) {
        return err_set_param(err, -EINVAL, "stream_options",
                             "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    }
    *ret = parse->common;
    return 0;
}

int request_parse_finish(struct request_parse *parse, struct sampling_params *ret_sampling,
                         struct request_common *ret_common, struct err *err)
{
    int r = sampling_parse_finish(&parse->sampling, ret_sampling, err);

    return r < 0 ? r : common_finish(&parse->common, ret_common, err);
}
