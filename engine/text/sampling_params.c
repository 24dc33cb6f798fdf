// Sampling parameters: one row per field, for every request that samples, for a session's `params`, and for a model's
// defaults.
//
// Owns nothing. Refuses what would change the answer and cannot be honoured (-EOPNOTSUPP) and what has the wrong type
// or range (-EINVAL), each with its path. A field that only tunes a method which is refused is ignored: without the
// method it means nothing.
#include "engine/text/sampling_params.h"

#include "engine/text/answer_rule.h"

#include <errno.h>
#include <float.h>
#include <math.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define AT(member)       offsetof(struct sampling_parse, member)
#define AT_PARAM(member) offsetof(struct sampling_parse, params.member)

#define REPEAT_LAST_N 64 // llama-server's window when a request names none

void sampling_params_default(struct sampling_params *params)
{
    *params = (struct sampling_params){
        .temperature = 1, .top_p = 1, .typical_p = 1, .repetition_penalty = 1, .max_tokens = -1
    };
}

static struct sampling_params *params_of(struct field_ctx *ctx)
{
    return &((struct sampling_parse *)ctx->target)->params;
}

static int out_of_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "Out of memory.");
}

// ---- numbers --------------------------------------------------------------------------------------------------------

static int take_seed(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct sampling_params *params = params_of(ctx);
    int64_t seed;

    if (json_get_i64(value, &seed) < 0) {
        return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': the seed does not fit a 64-bit integer.", path);
    }
    params->has_seed = true;
    params->seed = (uint64_t)seed;
    return 0;
}

static int take_top_k(struct field_ctx *ctx, const struct json *value, const char *path)
{
    int64_t top_k;

    if (json_get_i64(value, &top_k) < 0) {
        return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': the number does not fit a 64-bit integer.", path);
    }
    params_of(ctx)->top_k = top_k < 0 ? 0 : top_k;
    return 0;
}

// OpenAI allows 0, which leaves the most likely token only; the sampler wants a positive mass.
static int take_top_p(struct field_ctx *ctx, const struct json *value, const char *path)
{
    double top_p = json_get_double(value);

    (void)path;
    params_of(ctx)->top_p = top_p > 0 ? top_p : DBL_MIN;
    return 0;
}

// ---- stops ----------------------------------------------------------------------------------------------------------

static int add_stop(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct sampling_params *params = params_of(ctx);
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
    params->stop[params->n_stop++] = value->text;
    return 0;
}

static int take_stop(struct field_ctx *ctx, const struct json *value, const char *path)
{
    const struct json *item = json_first(value);

    params_of(ctx)->n_stop = 0; // of duplicate keys the last one counts
    if (value->type == JSON_STRING) {
        return add_stop(ctx, value, path);
    }
    for (size_t i = 0; i < value->n_children; i++, item = json_next(item)) {
        char item_path[FIELD_PATH_MAX];
        int r;

        if (params_of(ctx)->n_stop == STOP_STRINGS_MAX) {
            return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': array too long. Expected at most %d strings.",
                                 path, STOP_STRINGS_MAX);
        }
        field_path(item_path, "%s[%zu]", path, i);
        r = add_stop(ctx, item, item_path);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int check_count(struct err *err, const struct json *value, size_t n_max, const char *path)
{
    if (value->n_children <= n_max) {
        return 0;
    }
    return err_set_param(err, -EINVAL, path,
                         "Invalid '%s': array too long. Expected at most %zu items, but got %u instead.", path, n_max,
                         (unsigned)value->n_children);
}

static int token_id_error(struct err *err, struct str text, const char *path)
{
    char got[48];

    field_quote(text, got);
    return err_set_param(err, -EINVAL, path, "Invalid '%s': '%s' is not a token id.", path, got);
}

// Whether the model has such a token is told where the vocabulary is known.
static int take_token_id(struct field_ctx *ctx, const struct json *value, const char *path, int32_t *ret)
{
    int64_t id;
    int r = field_check_type(ctx->err, value, T_INTEGER, path);

    if (r < 0) {
        return r;
    }
    if (json_get_i64(value, &id) < 0 || id < 0 || id > INT32_MAX) {
        return token_id_error(ctx->err, value->text, path);
    }
    *ret = (int32_t)id;
    return 0;
}

static int take_stop_ids(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct sampling_params *params = params_of(ctx);
    const struct json *item = json_first(value);
    int r = check_count(ctx->err, value, STOP_IDS_MAX, path);
    int32_t *ids = r == 0 ? arena_alloc_array(ctx->arena, (size_t)value->n_children + 1, sizeof(*ids)) : NULL;

    if (ids == NULL) {
        return r < 0 ? r : out_of_memory(ctx->err);
    }
    for (size_t i = 0; i < value->n_children; i++, item = json_next(item)) {
        char item_path[FIELD_PATH_MAX];

        field_path(item_path, "%s[%zu]", path, i);
        r = take_token_id(ctx, item, item_path, &ids[i]);
        if (r < 0) {
            return r;
        }
    }
    params->stop_ids = ids;
    params->n_stop_ids = value->n_children;
    return 0;
}

// ---- logit_bias -----------------------------------------------------------------------------------------------------

// A number, or llama-server's false: never.
static int take_bias_value(struct field_ctx *ctx, const struct json *value, const char *path, float *ret)
{
    char got[48];
    int r = field_check_type(ctx->err, value, T_NUMBER | T_BOOL, path);

    if (r < 0) {
        return r;
    }
    if (value->type == JSON_BOOL) {
        *ret = -INFINITY;
        return value->boolean ? err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': true is no bias.", path) : 0;
    }
    double bias = json_get_double(value);
    if (!(bias >= -100 && bias <= 100)) {
        field_quote(value->text, got);
        return err_set_param(ctx->err, -EINVAL, path,
                             "Invalid '%s': expected a number from -100 to 100, but got %s instead.", path, got);
    }
    *ret = (float)bias;
    return 0;
}

// Of two biases for one token the last one counts.
static void add_bias(struct logit_bias *list, size_t *n, struct logit_bias bias)
{
    size_t i = 0;

    while (i < *n && list[i].id != bias.id) {
        i++;
    }
    list[i] = bias;
    *n += i == *n;
}

static int take_bias_member(struct field_ctx *ctx, const struct json *key, const char *path, struct logit_bias *ret)
{
    char member_path[FIELD_PATH_MAX], name[48];
    int64_t id;

    field_quote(key->text, name);
    field_path(member_path, "%s.%s", path, name);
    if (str_parse_i64(key->text, &id) < 0 || id < 0 || id > INT32_MAX) {
        return token_id_error(ctx->err, key->text, member_path);
    }
    ret->id = (int32_t)id;
    return take_bias_value(ctx, json_next(key), member_path, &ret->bias);
}

// llama-server's form: [id, bias].
static int take_bias_pair(struct field_ctx *ctx, const struct json *pair, const char *path, struct logit_bias *ret)
{
    char item_path[FIELD_PATH_MAX];
    int r = field_check_type(ctx->err, pair, T_ARRAY, path);

    if (r == 0 && pair->n_children != 2) {
        return err_set_param(ctx->err, -EINVAL, path, "Invalid '%s': expected a pair of a token id and a bias.", path);
    }
    field_path(item_path, "%s[0]", path);
    if (r == 0 && json_at(pair, 0)->type == JSON_STRING) {
        return err_set_param(ctx->err, -EOPNOTSUPP, item_path,
                             "Unsupported value: '%s' must be a token id; text is not supported.", item_path);
    }
    r = r == 0 ? take_token_id(ctx, json_at(pair, 0), item_path, &ret->id) : r;
    field_path(item_path, "%s[1]", path);
    return r == 0 ? take_bias_value(ctx, json_at(pair, 1), item_path, &ret->bias) : r;
}

static int take_logit_bias(struct field_ctx *ctx, const struct json *value, const char *path)
{
    struct sampling_params *params = params_of(ctx);
    const struct json *item = json_first(value);
    int r = check_count(ctx->err, value, LOGIT_BIAS_MAX, path);
    struct logit_bias *list =
        r == 0 ? arena_alloc_array(ctx->arena, (size_t)value->n_children + 1, sizeof(*list)) : NULL;

    if (list == NULL) {
        return r < 0 ? r : out_of_memory(ctx->err);
    }
    params->n_bias = 0;
    params->bias = list;
    for (size_t i = 0; i < value->n_children; i++) {
        struct logit_bias bias = { 0 };
        char item_path[FIELD_PATH_MAX];

        field_path(item_path, "%s[%zu]", path, i);
        r = value->type == JSON_OBJECT ? take_bias_member(ctx, item, path, &bias)
                                       : take_bias_pair(ctx, item, item_path, &bias);
        if (r < 0) {
            return r;
        }
        add_bias(list, &params->n_bias, bias);
        item = json_next(value->type == JSON_OBJECT ? json_next(item) : item);
    }
    return 0;
}

// ---- the table ------------------------------------------------------------------------------------------------------

static const struct field sampling_fields[] = {
    { "temperature", T_NUMBER, FIELD_TAKE_DOUBLE, 0, 2, AT_PARAM(temperature) },
    { "top_p", T_NUMBER, FIELD_TAKE, 0, 1, .take = take_top_p },
    { "top_k", T_INTEGER, FIELD_TAKE, -1, 1e9, .take = take_top_k },
    { "min_p", T_NUMBER, FIELD_TAKE_DOUBLE, 0, 1, AT_PARAM(min_p) },
    { "typical_p", T_NUMBER, FIELD_TAKE_DOUBLE, 0, 1, AT_PARAM(typical_p) },
    { "repetition_penalty", T_NUMBER, FIELD_TAKE_DOUBLE, 0.01, 100, AT_PARAM(repetition_penalty) },
    { "repeat_penalty", T_NUMBER, FIELD_TAKE_DOUBLE, 0.01, 100, AT(repeat_penalty) },
    { "repeat_last_n", T_INTEGER, FIELD_TAKE_I64, -1, 1e9, AT(repeat_last_n) },
    { "frequency_penalty", T_NUMBER, FIELD_TAKE_DOUBLE, -2, 2, AT_PARAM(frequency_penalty) },
    { "presence_penalty", T_NUMBER, FIELD_TAKE_DOUBLE, -2, 2, AT_PARAM(presence_penalty) },
    { "logit_bias", T_OBJECT | T_ARRAY, FIELD_TAKE, .take = take_logit_bias },
    { "seed", T_INTEGER, FIELD_TAKE, .take = take_seed },
    { "max_tokens", T_INTEGER, FIELD_TAKE_I64, 0, 1e15, AT_PARAM(max_tokens) },
    { "max_completion_tokens", T_INTEGER, FIELD_TAKE_I64, 0, 1e15, AT(max_completion_tokens) },
    { "max_new_tokens", T_INTEGER, FIELD_TAKE_I64, 0, 1e15, AT_PARAM(max_tokens) }, // SGLang's, as the next two
    { "min_new_tokens", T_INTEGER, FIELD_TAKE_I64, 0, 1e15, AT_PARAM(min_tokens) },
    { "sampling_seed", T_INTEGER, FIELD_TAKE, .take = take_seed },
    { "n_predict", T_INTEGER, FIELD_TAKE_I64, -1, 1e15, AT_PARAM(max_tokens) },
    { "min_tokens", T_INTEGER, FIELD_TAKE_I64, 0, 1e15, AT_PARAM(min_tokens) },
    { "timeout", T_NUMBER, FIELD_TAKE_DOUBLE, 0.001, TIMEOUT_S_MAX, AT_PARAM(timeout_s) },
    { "ignore_eos", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_PARAM(ignore_eos) },
    { "stop", T_STRING | T_ARRAY, FIELD_TAKE, .take = take_stop },
    { "stop_token_ids", T_ARRAY, FIELD_TAKE, .take = take_stop_ids },
    { "include_stop_str_in_output", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_PARAM(include_stop) },
    { "no_stop_trim", T_BOOL, FIELD_TAKE_BOOL, .offset = AT_PARAM(include_stop) }, // SGLang's name for it
    { "skip_special_tokens", T_BOOL, FIELD_TAKE_BOOL_NOT, .offset = AT_PARAM(shows_special) },
    // other methods
    { "length_penalty", T_NUMBER, FIELD_REFUSE, .neutral = "1" },
    { "use_beam_search", T_BOOL, FIELD_REFUSE, .neutral = "false" },
    { "mirostat", T_INTEGER, FIELD_REFUSE, .neutral = "0" },
    { "dry_multiplier", T_NUMBER, FIELD_REFUSE, .neutral = "0" },
    { "xtc_probability", T_NUMBER, FIELD_REFUSE, .neutral = "0" },
    { "dynatemp_range", T_NUMBER, FIELD_REFUSE, .neutral = "0" },
    { "top_n_sigma", T_NUMBER, FIELD_REFUSE, .neutral = "-1" },
    { "top_a", T_NUMBER, FIELD_REFUSE, .neutral = "0" },
    { "min_keep", T_INTEGER, FIELD_REFUSE, .neutral = "0" },
    { "samplers", T_ARRAY | T_STRING, FIELD_REFUSE },
    { "bad_words", T_ARRAY, FIELD_REFUSE, .neutral = "[]" },
    { "allowed_token_ids", T_ARRAY, FIELD_REFUSE },
    { "stop_regex", T_STRING | T_ARRAY, FIELD_REFUSE, .neutral = "[]" },
    { "t_max_predict_ms", T_INTEGER, FIELD_REFUSE, .neutral = "-1" },
    { "n_indent", T_INTEGER, FIELD_REFUSE, .neutral = "0" },
    { "thinking_token_budget", T_INTEGER, FIELD_REFUSE },
    // settings of methods that are off
    { "mirostat_tau", T_NUMBER, FIELD_IGNORE },
    { "mirostat_eta", T_NUMBER, FIELD_IGNORE },
    { "dry_base", T_NUMBER, FIELD_IGNORE },
    { "dry_allowed_length", T_INTEGER, FIELD_IGNORE },
    { "dry_penalty_last_n", T_INTEGER, FIELD_IGNORE },
    { "dry_sequence_breakers", T_ARRAY, FIELD_IGNORE },
    { "xtc_threshold", T_NUMBER, FIELD_IGNORE },
    { "dynatemp_exponent", T_NUMBER, FIELD_IGNORE },
    // only slow tokenizers, which write tokens one by one, know the difference
    { "spaces_between_special_tokens", T_BOOL, FIELD_IGNORE },
};

void sampling_parse_init(struct sampling_parse *parse, const struct sampling_params *defaults)
{
    *parse = (struct sampling_parse){ .max_completion_tokens = -1, .repeat_last_n = -2 };
    if (defaults != NULL) {
        parse->params = *defaults;
    } else {
        sampling_params_default(&parse->params);
    }
}

struct field_table sampling_parse_table(struct sampling_parse *parse)
{
    return (struct field_table){ sampling_fields, COUNT(sampling_fields), parse };
}

// repeat_penalty sees a window where repetition_penalty sees all; repeat_last_n sets it for both.
static void settle_repetition(const struct sampling_parse *parse, struct sampling_params *params)
{
    if (parse->repeat_penalty > 0) {
        params->repetition_penalty = parse->repeat_penalty;
        params->repetition_window = REPEAT_LAST_N;
    }
    if (parse->repeat_last_n == 0) {
        params->repetition_penalty = 1;
    } else if (parse->repeat_last_n >= -1) {
        params->repetition_window = parse->repeat_last_n > 0 ? parse->repeat_last_n : 0;
    }
}

int sampling_parse_finish(struct sampling_parse *parse, struct sampling_params *ret, struct err *err)
{
    struct sampling_params params = parse->params;

    if (parse->max_completion_tokens >= 0) {
        params.max_tokens = parse->max_completion_tokens;
    }
    settle_repetition(parse, &params);
    if (params.max_tokens >= 0 && params.min_tokens > params.max_tokens) {
        return err_set_param(err, -EINVAL, "min_tokens", "Invalid 'min_tokens': it exceeds the maximum of %lld tokens.",
                             (long long)params.max_tokens);
    }
    *ret = params;
    return 0;
}

// ---- on their own ---------------------------------------------------------------------------------------------------

int sampling_defaults_parse(struct arena *arena, struct str generation_json, struct sampling_params *ret,
                            struct err *err)
{
    static const char *const names[] = { "temperature", "top_p", "top_k", "min_p", "repetition_penalty" };
    struct sampling_parse parse;
    struct field_ctx ctx = { arena, err, &parse };
    const struct json *object, *do_sample;
    int r;

    sampling_parse_init(&parse, ret);
    r = field_parse_object(arena, generation_json, &object, err);
    for (size_t i = 0; r == 0 && i < COUNT(names); i++) {
        const struct json *value = json_get(object, str_from(names[i]));

        if (value != NULL && value->type != JSON_NULL) {
            r = field_apply(&ctx, field_find(sampling_fields, COUNT(sampling_fields), str_from(names[i])), value,
                            names[i]);
        }
    }
    if (r < 0) {
        return r;
    }
    do_sample = json_get(object, STR("do_sample"));
    if (do_sample != NULL && do_sample->type == JSON_BOOL && !do_sample->boolean) {
        parse.params.temperature = 0;
    }
    *ret = parse.params;
    return 0;
}

// What a session keeps for its turns.
struct kept_parse {
    struct sampling_parse sampling;
    struct answer_rule rule;
};

static int apply_member(struct field_ctx *ctx, struct str name, const struct json *value, struct json_writer *w)
{
    struct kept_parse *kept = ctx->target;
    struct field_ctx member_ctx = { ctx->arena, ctx->err, &kept->sampling };
    const struct field *field = field_find(sampling_fields, COUNT(sampling_fields), name);
    char path[FIELD_PATH_MAX], quoted[48];
    int r;

    if (field == NULL) {
        const struct field_table form = answer_rule_table(&kept->rule);

        member_ctx.target = form.target;
        field = field_find(form.rows, form.n_rows, name);
    }

    field_quote(name, quoted);
    field_path(path, "%s", quoted);
    if (field == NULL) {
        return err_set_param(ctx->err, -EINVAL, path, "Unrecognized sampling parameter: %s", path);
    }
    r = field_apply(&member_ctx, field, value, path);
    if (r < 0) {
        return r;
    }
    json_write_key(w, field->name);
    json_write_value(w, value);
    return 0;
}

static int apply_object(struct field_ctx *ctx, struct str text, struct json_writer *w)
{
    const struct json *object, *key;
    int r = field_parse_object(ctx->arena, text, &object, ctx->err);

    if (r < 0) {
        return r;
    }
    key = json_first(object);
    for (size_t i = 0; i < object->n_children; i++) {
        const struct json *value = json_next(key);

        r = apply_member(ctx, key->text, value, w);
        if (r < 0) {
            return r;
        }
        key = json_next(value);
    }
    return 0;
}

// "temperature 0.2", "stop END": a value that is not JSON is a string.
static int apply_line(struct field_ctx *ctx, struct str line, struct json_writer *w)
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
    return apply_member(ctx, str_take(line, name_len), value, w);
}

static int apply_lines(struct field_ctx *ctx, struct str text, struct json_writer *w)
{
    int r = field_check_utf8(text, ctx->err);

    while (r == 0 && text.len > 0) {
        struct str line;

        text = str_cut(text, '\n', &line);
        line = str_trim(line);
        if (line.len > 0 && line.ptr[0] != '#') {
            r = apply_line(ctx, line, w);
        }
    }
    return r;
}

int sampling_params_parse(struct arena *arena, struct str text, struct strbuf *out, struct err *err)
{
    struct kept_parse parse = { 0 };
    struct field_ctx ctx = { arena, err, &parse };
    struct json_writer w;
    struct str trimmed = str_trim(text);
    size_t len_before = out->len;
    int r;

    sampling_parse_init(&parse.sampling, NULL);
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    r = trimmed.len > 0 && trimmed.ptr[0] == '{' ? apply_object(&ctx, text, &w) : apply_lines(&ctx, text, &w);
    json_write_object_end(&w);
    if (r == 0 && out->error != 0) {
        r = err_set(err, out->error, "Out of memory.");
    }
    if (r < 0) {
        out->len = len_before;
    }
    return r;
}
