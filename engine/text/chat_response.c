// Writes OpenAI's chat.completion and chat.completion.chunk. The order of members is fixed.
//
// Owns nothing; the caller's buffer carries a failed allocation as its sticky error.
// Format: the schemas CreateChatCompletionResponse and CreateChatCompletionStreamResponse of OpenAI's API description.
#include "engine/text/response_parts.h"

// ---- messages ------------------------------------------------------------------------------------------------------

static bool has_kind(const struct chat_answer *answer, enum answer_part_kind kind)
{
    size_t i = 0;

    while (i < answer->n_parts && answer->parts[i].kind != kind) {
        i++;
    }
    return i < answer->n_parts;
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
    response_write_joined(w, answer, ANSWER_ARGUMENTS, call->call_idx);
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
        response_write_joined(w, answer, ANSWER_CONTENT, 0);
    }
    if (has_kind(answer, ANSWER_REASONING)) {
        json_write_key(w, "reasoning_content");
        response_write_joined(w, answer, ANSWER_REASONING, 0);
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

static void write_prob(struct json_writer *w, const struct chat_prob *prob)
{
    json_write_key(w, "token");
    json_write_str(w, prob->bytes);
    json_write_key(w, "logprob");
    response_write_logprob(w, prob->logprob);
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

static void write_choice(struct json_writer *w, const struct chat_choice *choice)
{
    json_write_object_begin(w);
    json_write_key(w, "index");
    json_write_u64(w, choice->index);
    json_write_key(w, "message");
    write_message(w, &choice->answer, false);
    write_logprobs(w, choice->tokens, choice->n_tokens);
    response_write_finish_reason(w, choice->finish_reason);
    json_write_object_end(w);
}

void chat_response_write(struct strbuf *out, const struct chat_response_head *head, const struct chat_choice *choices,
                         size_t n_choices, const struct chat_usage *usage)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_write_object_begin(&w);
    response_write_head(&w, head, "chat.completion");
    json_write_key(&w, "choices");
    json_write_array_begin(&w);
    for (size_t i = 0; i < n_choices; i++) {
        write_choice(&w, &choices[i]);
    }
    json_write_array_end(&w);
    if (usage != NULL) {
        response_write_usage(&w, usage);
    }
    response_write_prompt_logprobs(&w, head->prompt_logprobs);
    response_write_timings(&w, head->timings, 0);
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
    response_write_finish_reason(w, chunk->finish_reason);
    json_write_object_end(w);
}

void chat_chunk_write(struct strbuf *out, const struct chat_response_head *head, const struct chat_chunk *chunk)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_write_object_begin(&w);
    response_write_head(&w, head, "chat.completion.chunk");
    json_write_key(&w, "choices");
    json_write_array_begin(&w);
    if (!chunk->no_choices) {
        write_chunk_choice(&w, chunk);
    }
    json_write_array_end(&w);
    if (chunk->usage != NULL) {
        response_write_usage(&w, chunk->usage);
    }
    response_write_timings(&w, head->timings, chunk->sampled_ns);
    json_write_object_end(&w);
}
