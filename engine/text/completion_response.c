// Writes text_completion, whole and in chunks: the schema CreateCompletionResponse of OpenAI's API description.
#include "engine/text/response_parts.h"

#include <math.h>

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
        response_write_logprob(w, token->probs[i].logprob);
        has_sampled |= str_eq(token->probs[i].bytes, token->probs[0].bytes);
    }
    if (!has_sampled) {
        json_write_key_str(w, token->probs[0].bytes);
        response_write_logprob(w, token->probs[0].logprob);
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
        response_write_logprob(w, tokens[i].probs[0].logprob);
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
    response_write_head(w, head, "text_completion");
    json_write_key(w, "choices");
    json_write_array_begin(w);
    for (size_t i = 0; i < n_choices; i++) {
        json_write_object_begin(w);
        json_write_key(w, "index");
        json_write_u64(w, choices[i].index);
        json_write_key(w, "text");
        response_write_joined(w, &choices[i].answer, ANSWER_CONTENT, 0);
        write_text_logprobs(w, &choices[i]);
        response_write_finish_reason(w, choices[i].finish_reason);
        response_write_prompt_logprobs(w, choices[i].prompt_logprobs);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    if (usage != NULL) {
        response_write_usage(w, usage);
    }
}

void text_completion_write(struct strbuf *out, const struct chat_response_head *head, const struct chat_choice *choices,
                           size_t n_choices, const struct chat_usage *usage)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_write_object_begin(&w);
    write_text_object(&w, head, choices, n_choices, usage);
    response_write_timings(&w, head->timings, 0);
    json_write_object_end(&w);
}

void text_chunk_write(struct strbuf *out, const struct chat_response_head *head, const struct chat_choice *choice,
                      const struct chat_usage *usage, uint64_t sampled_ns)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_write_object_begin(&w);
    write_text_object(&w, head, choice, choice != NULL, usage);
    response_write_timings(&w, head->timings, sampled_ns);
    json_write_object_end(&w);
}
