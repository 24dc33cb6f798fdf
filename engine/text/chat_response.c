// Writes OpenAI's answer objects: chat.completion, chat.completion.chunk and error. The order of members is fixed.
//
// Owns nothing; the caller's buffer carries a failed allocation as its sticky error.
// Format: the schemas CreateChatCompletionResponse, CreateChatCompletionStreamResponse and ErrorResponse of OpenAI's
// API description.
#include "engine/text/chat_response.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static void write_head(struct json_writer *w, const struct chat_response_head *head, const char *object)
{
    json_write_key(w, "id");
    json_write_str(w, head->id);
    json_write_key(w, "object");
    json_write_cstr(w, object);
    json_write_key(w, "created");
    json_write_i64(w, head->created);
    json_write_key(w, "model");
    json_write_str(w, head->model);
    if (head->system_fingerprint.len > 0) {
        json_write_key(w, "system_fingerprint");
        json_write_str(w, head->system_fingerprint);
    }
}

static void write_usage(struct json_writer *w, const struct chat_usage *usage)
{
    json_write_key(w, "usage");
    json_write_object_begin(w);
    json_write_key(w, "prompt_tokens");
    json_write_u64(w, usage->prompt_tokens);
    json_write_key(w, "completion_tokens");
    json_write_u64(w, usage->completion_tokens);
    json_write_key(w, "total_tokens");
    json_write_u64(w, usage->prompt_tokens + usage->completion_tokens);
    json_write_key(w, "prompt_tokens_details");
    json_write_object_begin(w);
    json_write_key(w, "cached_tokens");
    json_write_u64(w, usage->cached_tokens);
    json_write_object_end(w);
    json_write_object_end(w);
}

static void write_finish_reason(struct json_writer *w, struct str reason)
{
    json_write_key(w, "finish_reason");
    if (reason.len > 0) {
        json_write_str(w, reason);
    } else {
        json_write_null(w);
    }
}

// ---- messages ------------------------------------------------------------------------------------------------------

static bool has_kind(const struct chat_answer *answer, enum answer_part_kind kind)
{
    size_t i = 0;

    while (i < answer->n_parts && answer->parts[i].kind != kind) {
        i++;
    }
    return i < answer->n_parts;
}

// All text of one kind (and, of arguments, one call) as one string.
static void write_joined(struct json_writer *w, const struct chat_answer *answer, enum answer_part_kind kind,
                         unsigned call_idx)
{
    struct strbuf text;

    strbuf_init(&text, 0);
    for (size_t i = 0; i < answer->n_parts; i++) {
        const struct answer_part *part = &answer->parts[i];

        if (part->kind == kind && (kind != ANSWER_ARGUMENTS || part->call_idx == call_idx)) {
            strbuf_append(&text, part->text);
        }
    }
    if (text.error != 0) {
        w->out->error = text.error;
    } else {
        json_write_str(w, strbuf_str(&text));
    }
    strbuf_deinit(&text);
}

// The beginning of a call, up to its arguments' value.
static void write_call_head(struct json_writer *w, const struct answer_part *call)
{
    json_write_key(w, "id");
    json_write_str(w, call->id);
    json_write_key(w, "type");
    json_write_cstr(w, "function");
    json_write_key(w, "function");
    json_write_object_begin(w);
    json_write_key(w, "name");
    json_write_str(w, call->text);
    json_write_key(w, "arguments");
}

static void write_call(struct json_writer *w, const struct chat_answer *answer, const struct answer_part *call)
{
    json_write_object_begin(w);
    write_call_head(w, call);
    write_joined(w, answer, ANSWER_ARGUMENTS, call->call_idx);
    json_write_object_end(w);
    json_write_object_end(w);
}

void chat_call_write(struct strbuf *out, const struct chat_answer *answer, unsigned call_idx)
{
    struct json_writer w;

    json_writer_init(&w, out);
    for (size_t i = 0; i < answer->n_parts; i++) {
        if (answer->parts[i].kind == ANSWER_CALL && answer->parts[i].call_idx == call_idx) {
            write_call(&w, answer, &answer->parts[i]);
            return;
        }
    }
}

static void write_calls(struct json_writer *w, const struct chat_answer *answer)
{
    json_write_key(w, "tool_calls");
    json_write_array_begin(w);
    for (size_t i = 0; i < answer->n_parts; i++) {
        if (answer->parts[i].kind == ANSWER_CALL) {
            write_call(w, answer, &answer->parts[i]);
        }
    }
    json_write_array_end(w);
}

static void write_message(struct json_writer *w, const struct chat_answer *answer, bool for_request)
{
    bool has_calls = has_kind(answer, ANSWER_CALL);

    json_write_object_begin(w);
    json_write_key(w, "role");
    json_write_cstr(w, "assistant");
    json_write_key(w, "content");
    if (has_calls && !has_kind(answer, ANSWER_CONTENT)) {
        json_write_null(w);
    } else {
        write_joined(w, answer, ANSWER_CONTENT, 0);
    }
    if (has_kind(answer, ANSWER_REASONING)) {
        json_write_key(w, "reasoning_content");
        write_joined(w, answer, ANSWER_REASONING, 0);
    }
    if (!for_request) {
        json_write_key(w, "refusal");
        json_write_null(w);
    }
    if (has_calls) {
        write_calls(w, answer);
    }
    json_write_object_end(w);
}

void chat_message_write(struct strbuf *out, const struct chat_answer *answer, bool for_request)
{
    struct json_writer w;

    json_writer_init(&w, out);
    write_message(&w, answer, for_request);
}

// ---- answers and chunks --------------------------------------------------------------------------------------------

// Ten millionths say all that a float knows, in few digits.
static void write_logprob(struct json_writer *w, float logprob)
{
    json_write_double(w, round((double)logprob * 1e7) / 1e7 + 0.0);
}

static void write_prob(struct json_writer *w, const struct chat_prob *prob)
{
    json_write_key(w, "token");
    json_write_str(w, prob->bytes);
    json_write_key(w, "logprob");
    write_logprob(w, prob->logprob);
    json_write_key(w, "bytes");
    json_write_array_begin(w);
    for (size_t i = 0; i < prob->bytes.len; i++) {
        json_write_u64(w, (unsigned char)prob->bytes.ptr[i]);
    }
    json_write_array_end(w);
}

static void write_token(struct json_writer *w, const struct chat_token *token)
{
    json_write_object_begin(w);
    write_prob(w, &token->probs[0]);
    json_write_key(w, "top_logprobs");
    json_write_array_begin(w);
    for (size_t i = 1; i < token->n_probs; i++) {
        json_write_object_begin(w);
        write_prob(w, &token->probs[i]);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_logprobs(struct json_writer *w, const struct chat_token *tokens, size_t n_tokens)
{
    json_write_key(w, "logprobs");
    if (n_tokens == 0) {
        json_write_null(w);
        return;
    }
    json_write_object_begin(w);
    json_write_key(w, "content");
    json_write_array_begin(w);
    for (size_t i = 0; i < n_tokens; i++) {
        write_token(w, &tokens[i]);
    }
    json_write_array_end(w);
    json_write_key(w, "refusal");
    json_write_null(w);
    json_write_object_end(w);
}

static void write_count(struct json_writer *w, const char *key, uint64_t n)
{
    json_write_key(w, key);
    json_write_u64(w, n);
}

static void write_ms(struct json_writer *w, const char *key, uint64_t ns)
{
    json_write_key(w, key);
    json_write_double(w, (double)ns / 1e6);
}

void chat_timings_write(struct json_writer *w, const struct chat_timings *timings)
{
    const struct chat_usage *usage = &timings->usage;

    write_count(w, "queue_ns", timings->queue_ns);
    write_count(w, "prefill_ns", timings->prefill_ns);
    write_count(w, "ttft_ns", timings->ttft_ns);
    write_count(w, "decode_ns", timings->decode_ns);
    write_count(w, "total_ns", timings->total_ns);
    write_count(w, "cache_n", usage->cached_tokens);
    write_count(w, "prompt_n", usage->prompt_tokens - usage->cached_tokens);
    write_ms(w, "prompt_ms", timings->prefill_ns);
    write_count(w, "predicted_n", usage->completion_tokens);
    write_ms(w, "predicted_ms", timings->decode_ns);
}

// Of the whole, and of the token of a chunk (0: none).
static void write_timings(struct json_writer *w, const struct chat_timings *timings, uint64_t sampled_ns)
{
    if (timings == NULL && sampled_ns == 0) {
        return;
    }
    json_write_key(w, "timings");
    json_write_object_begin(w);
    if (sampled_ns != 0) {
        write_count(w, "sampled_ns", sampled_ns);
    }
    if (timings != NULL) {
        chat_timings_write(w, timings);
    }
    json_write_object_end(w);
}

static void write_prompt_logprobs(struct json_writer *w, struct str json)
{
    if (json.len > 0) {
        json_write_key(w, "prompt_logprobs");
        json_write_raw(w, json);
    }
}

static void write_choice(struct json_writer *w, const struct chat_choice *choice)
{
    json_write_object_begin(w);
    json_write_key(w, "index");
    json_write_u64(w, choice->index);
    json_write_key(w, "message");
    write_message(w, &choice->answer, false);
    write_logprobs(w, choice->tokens, choice->n_tokens);
    write_finish_reason(w, choice->finish_reason);
    json_write_object_end(w);
}

void chat_response_write(struct strbuf *out, const struct chat_response_head *head, const struct chat_choice *choices,
                         size_t n_choices, const struct chat_usage *usage)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_write_object_begin(&w);
    write_head(&w, head, "chat.completion");
    json_write_key(&w, "choices");
    json_write_array_begin(&w);
    for (size_t i = 0; i < n_choices; i++) {
        write_choice(&w, &choices[i]);
    }
    json_write_array_end(&w);
    if (usage != NULL) {
        write_usage(&w, usage);
    }
    write_prompt_logprobs(&w, head->prompt_logprobs);
    write_timings(&w, head->timings, 0);
    json_write_object_end(&w);
}

static void write_call_delta(struct json_writer *w, const struct answer_part *part)
{
    json_write_key(w, "tool_calls");
    json_write_array_begin(w);
    json_write_object_begin(w);
    json_write_key(w, "index");
    json_write_u64(w, part->call_idx);
    if (part->kind == ANSWER_CALL) {
        write_call_head(w, part);
        json_write_cstr(w, "");
    } else {
        json_write_key(w, "function");
        json_write_object_begin(w);
        json_write_key(w, "arguments");
        json_write_str(w, part->text);
    }
    json_write_object_end(w);
    json_write_object_end(w);
    json_write_array_end(w);
}

static void write_delta(struct json_writer *w, const struct answer_part *part)
{
    if (part->kind == ANSWER_CALL || part->kind == ANSWER_ARGUMENTS) {
        write_call_delta(w, part);
        return;
    }
    json_write_key(w, part->kind == ANSWER_REASONING ? "reasoning_content" : "content");
    json_write_str(w, part->text);
}

static void write_chunk_choice(struct json_writer *w, const struct chat_chunk *chunk)
{
    json_write_object_begin(w);
    json_write_key(w, "index");
    json_write_u64(w, chunk->index);
    json_write_key(w, "delta");
    json_write_object_begin(w);
    if (chunk->role) {
        json_write_key(w, "role");
        json_write_cstr(w, "assistant");
        json_write_key(w, "content");
        json_write_cstr(w, "");
    }
    if (chunk->part != NULL) {
        write_delta(w, chunk->part);
    }
    json_write_object_end(w);
    write_logprobs(w, &chunk->token, chunk->token.n_probs > 0);
    write_finish_reason(w, chunk->finish_reason);
    json_write_object_end(w);
}

void chat_chunk_write(struct strbuf *out, const struct chat_response_head *head, const struct chat_chunk *chunk)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_write_object_begin(&w);
    write_head(&w, head, "chat.completion.chunk");
    json_write_key(&w, "choices");
    json_write_array_begin(&w);
    if (!chunk->no_choices) {
        write_chunk_choice(&w, chunk);
    }
    json_write_array_end(&w);
    if (chunk->usage != NULL) {
        write_usage(&w, chunk->usage);
    }
    write_timings(&w, head->timings, chunk->sampled_ns);
    json_write_object_end(&w);
}

// ---- text completions ----------------------------------------------------------------------------------------------

static size_t count_chars(struct str text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        n += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    }
    return n;
}

// The most probable tokens and the one that was sampled, each once.
static void write_top(struct json_writer *w, const struct chat_token *token)
{
    bool has_sampled = false;

    if (isnan(token->probs[0].logprob)) { // the first token of a prompt
        json_write_null(w);
        return;
    }
    json_write_object_begin(w);
    for (size_t i = 1; i < token->n_probs; i++) {
        json_write_key_str(w, token->probs[i].bytes);
        write_logprob(w, token->probs[i].logprob);
        has_sampled |= str_eq(token->probs[i].bytes, token->probs[0].bytes);
    }
    if (!has_sampled) {
        json_write_key_str(w, token->probs[0].bytes);
        write_logprob(w, token->probs[0].logprob);
    }
    json_write_object_end(w);
}

static void write_text_logprobs(struct json_writer *w, const struct chat_choice *choice)
{
    const struct chat_token *tokens = choice->tokens;
    size_t offset = choice->text_offset;

    json_write_key(w, "logprobs");
    if (choice->n_tokens == 0) {
        json_write_null(w);
        return;
    }
    json_write_object_begin(w);
    json_write_key(w, "tokens");
    json_write_array_begin(w);
    for (size_t i = 0; i < choice->n_tokens; i++) {
        json_write_str(w, tokens[i].probs[0].bytes);
    }
    json_write_array_end(w);
    json_write_key(w, "token_logprobs");
    json_write_array_begin(w);
    for (size_t i = 0; i < choice->n_tokens; i++) {
        write_logprob(w, tokens[i].probs[0].logprob);
    }
    json_write_array_end(w);
    json_write_key(w, "top_logprobs");
    json_write_array_begin(w);
    for (size_t i = 0; i < choice->n_tokens; i++) {
        write_top(w, &tokens[i]);
    }
    json_write_array_end(w);
    json_write_key(w, "text_offset");
    json_write_array_begin(w);
    for (size_t i = 0; i < choice->n_tokens; i++) {
        json_write_u64(w, offset);
        offset += count_chars(tokens[i].probs[0].bytes);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_text_object(struct json_writer *w, const struct chat_response_head *head,
                              const struct chat_choice *choices, size_t n_choices, const struct chat_usage *usage)
{
    write_head(w, head, "text_completion");
    json_write_key(w, "choices");
    json_write_array_begin(w);
    for (size_t i = 0; i < n_choices; i++) {
        json_write_object_begin(w);
        json_write_key(w, "index");
        json_write_u64(w, choices[i].index);
        json_write_key(w, "text");
        write_joined(w, &choices[i].answer, ANSWER_CONTENT, 0);
        write_text_logprobs(w, &choices[i]);
        write_finish_reason(w, choices[i].finish_reason);
        write_prompt_logprobs(w, choices[i].prompt_logprobs);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    if (usage != NULL) {
        write_usage(w, usage);
    }
}

void text_completion_write(struct strbuf *out, const struct chat_response_head *head, const struct chat_choice *choices,
                           size_t n_choices, const struct chat_usage *usage)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_write_object_begin(&w);
    write_text_object(&w, head, choices, n_choices, usage);
    write_timings(&w, head->timings, 0);
    json_write_object_end(&w);
}

void text_chunk_write(struct strbuf *out, const struct chat_response_head *head, const struct chat_choice *choice,
                      const struct chat_usage *usage, uint64_t sampled_ns)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_write_object_begin(&w);
    write_text_object(&w, head, choice, choice != NULL, usage);
    write_timings(&w, head->timings, sampled_ns);
    json_write_object_end(&w);
}

// ---- errors --------------------------------------------------------------------------------------------------------

// How each errno looks over HTTP. `code` is OpenAI's machine-readable reason, NULL where it has none.
static const struct {
    int code;
    int http_status;
    const char *type;
    const char *reason;
} error_forms[] = {
    { -EINVAL, 400, "invalid_request_error", NULL },
    { -EOPNOTSUPP, 400, "invalid_request_error", "unsupported_parameter" },
    { -E2BIG, 400, "invalid_request_error", "context_length_exceeded" },
    { -ENOENT, 404, "invalid_request_error", "model_not_found" },
    { -EACCES, 403, "invalid_request_error", "permission_denied" },
    { -EPERM, 403, "invalid_request_error", "permission_denied" },
    { -EFBIG, 413, "invalid_request_error", "request_too_large" },
    { -EBUSY, 409, "invalid_request_error", "conflict" },
    { -EAGAIN, 429, "rate_limit_error", "queue_full" },
    { -EDQUOT, 429, "rate_limit_error", "rate_limit_exceeded" },
    { -ETIMEDOUT, 504, "server_error", "deadline_exceeded" },
    { -ECANCELED, 499, "server_error", "request_cancelled" },
    { -ESHUTDOWN, 503, "server_error", "shutting_down" },
    { -ENOMEM, 503, "server_error", "out_of_memory" },
};
static const size_t n_error_forms = sizeof(error_forms) / sizeof(error_forms[0]);

int chat_error_http_status(int code)
{
    for (size_t i = 0; i < n_error_forms; i++) {
        if (error_forms[i].code == code) {
            return error_forms[i].http_status;
        }
    }
    return 500;
}

// OpenAI's codes of what can be wrong with a value, by the words that its API and ours begin or go on with.
static const struct {
    const char *words;
    const char *reason;
} value_errors[] = {
    { "Missing required parameter", "missing_required_parameter" },
    { "Invalid type for", "invalid_type" },
    { "Invalid value", "invalid_value" },
    { "Unsupported value", "unsupported_value" },
    { ": integer above maximum value", "integer_above_max_value" },
    { ": integer below minimum value", "integer_below_min_value" },
    { ": decimal above maximum value", "decimal_above_max_value" },
    { ": decimal below minimum value", "decimal_below_min_value" },
    { ": string too long", "string_above_max_length" },
    { ": array too long", "array_above_max_length" },
    { ": empty array", "empty_array" },
};

static const char *find_reason(const char *msg, const char *otherwise)
{
    for (size_t i = 0; i < sizeof(value_errors) / sizeof(value_errors[0]); i++) {
        const char *at = strstr(msg, value_errors[i].words);

        if (at != NULL && (at == msg || *at == ':')) {
            return value_errors[i].reason;
        }
    }
    return otherwise;
}

void chat_error_write(struct strbuf *out, const struct err *err)
{
    const char *type = "server_error", *reason = "internal_error";
    struct json_writer w;

    for (size_t i = 0; i < n_error_forms; i++) {
        if (error_forms[i].code == err->code) {
            type = error_forms[i].type;
            reason = error_forms[i].reason;
        }
    }
    if (err->code == -EINVAL || err->code == -EOPNOTSUPP) {
        reason = find_reason(err->msg, reason);
    }
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    json_write_key(&w, "error");
    json_write_object_begin(&w);
    json_write_key(&w, "message");
    json_write_cstr(&w, err->msg);
    json_write_key(&w, "type");
    json_write_cstr(&w, type);
    json_write_key(&w, "param");
    if (err->param[0] != 0) {
        json_write_cstr(&w, err->param);
    } else {
        json_write_null(&w);
    }
    json_write_key(&w, "code");
    if (reason != NULL) {
        json_write_cstr(&w, reason);
    } else {
        json_write_null(&w);
    }
    json_write_object_end(&w);
    json_write_object_end(&w);
}
