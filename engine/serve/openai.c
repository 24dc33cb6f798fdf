// include/tokfs/openai.h over the text library: request checks and answer objects for front ends, which see no internal
// type. Each call has its own memory; nothing is kept.
#include "engine/base/json.h"
#include "engine/serve/error.h"
#include "engine/text/chat_request.h"
#include "engine/text/chat_response.h"
#include "engine/text/chat_tools.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tokfs/openai.h>

#define PROBS_MAX (1 + TOP_LOGPROBS_MAX) // of one token

static int take_buffer(struct strbuf *text, struct tokfs_buffer *ret)
{
    size_t len = text->len;
    char *ptr = strbuf_steal(text);
    if (!ptr) {
        int r = text->error ? text->error : -ENOMEM;
        strbuf_deinit(text);
        return r;
    }
    *ret = (struct tokfs_buffer){ ptr, len };
    return 0;
}

int tokfs_request_check(const char *json, size_t len, struct tokfs_request_info *ret, struct tokfs_error *error)
{
    struct chat_request request;
    struct err err = { 0 };
    struct arena arena;
    arena_init(&arena, 0);
    int r = chat_request_parse(&arena, (struct str){ json, len }, NULL, &request, &err);
    if (r == 0) {
        *ret = (struct tokfs_request_info){ .stream = request.common.stream,
                                            .include_usage = request.common.include_usage,
                                            .n = (unsigned)request.n };
    } else {
        error_export(error, &err);
    }
    arena_deinit(&arena);
    return r;
}

int tokfs_params_check(const char *text, size_t len, struct tokfs_buffer *ret, struct tokfs_error *error)
{
    struct err err = { 0 };
    struct arena arena;
    struct strbuf out;
    arena_init(&arena, 0);
    strbuf_init(&out, 0);
    int r = sampling_params_parse(&arena, (struct str){ text, len }, &out, &err);
    if (r < 0) {
        error_export(error, &err);
        strbuf_deinit(&out);
    } else {
        r = take_buffer(&out, ret);
    }
    arena_deinit(&arena);
    return r;
}

int tokfs_tools_check(const char *text, size_t len, struct tokfs_buffer *ret, struct tokfs_error *error)
{
    const struct json *tools;
    struct err err = { 0 };
    struct json_writer w;
    struct arena arena;
    struct strbuf out;
    arena_init(&arena, 0);
    strbuf_init(&out, 0);
    int r = chat_tools_parse(&arena, (struct str){ text, len }, &tools, &err);
    if (r < 0) {
        error_export(error, &err);
        strbuf_deinit(&out);
    } else {
        bool is_array = tools->type == JSON_ARRAY;
        json_writer_init(&w, &out);
        strbuf_append(&out, is_array ? STR("") : STR("["));
        json_write_value(&w, tools);
        strbuf_append(&out, is_array ? STR("") : STR("]"));
        r = take_buffer(&out, ret);
    }
    arena_deinit(&arena);
    return r;
}

static struct chat_usage response_usage(const struct tokfs_usage *usage)
{
    return (struct chat_usage){ usage->prompt_tokens, usage->cached_tokens, usage->completion_tokens };
}

static struct chat_timings response_timings(const struct tokfs_usage *usage)
{
    return (struct chat_timings){ .queue_ns = usage->queue_ns,
                                  .prefill_ns = usage->prefill_ns,
                                  .ttft_ns = usage->ttft_ns,
                                  .decode_ns = usage->decode_ns,
                                  .total_ns = usage->total_ns,
                                  .usage = response_usage(usage) };
}

// `timings` is where its timings are put, if there are any.
static struct chat_response_head response_head(const struct tokfs_answer_head *head, struct chat_timings *timings)
{
    if (head->timings) {
        *timings = response_timings(head->timings);
    }
    return (struct chat_response_head){ .id = str_from(head->id),
                                        .created = head->created,
                                        .model = str_from(head->model),
                                        .system_fingerprint = str_from(head->system_fingerprint),
                                        .timings = head->timings ? timings : NULL };
}

static struct answer_part part_of(const struct tokfs_piece *piece)
{
    return (struct answer_part){ .kind = (enum answer_part_kind)piece->part,
                                 .call_idx = piece->call_idx,
                                 .id = str_from(piece->call_id),
                                 .text = { piece->text, piece->text_len } };
}

// A new array of the parts that have text, which borrows from the pieces; NULL when out of memory.
static struct answer_part *parts_of(const struct tokfs_piece *pieces, size_t n_pieces, size_t *ret_n)
{
    struct answer_part *parts = calloc(n_pieces + 1, sizeof(*parts));
    *ret_n = 0;
    for (size_t i = 0; parts && i < n_pieces; i++) {
        if (pieces[i].text_len > 0) {
            parts[(*ret_n)++] = part_of(&pieces[i]);
        }
    }
    return parts;
}

static struct chat_prob prob_of(const struct tokfs_logprob *prob)
{
    return (struct chat_prob){ { prob->bytes, prob->n_bytes }, prob->logprob };
}

int tokfs_write_chunk(const struct tokfs_answer_head *head, const struct tokfs_chunk *chunk, struct tokfs_buffer *ret)
{
    const struct tokfs_piece *piece = chunk->piece;
    struct chat_timings timings;
    struct chat_response_head top = response_head(head, &timings);
    struct chat_usage usage;
    struct chat_chunk out = {
        .index = piece ? piece->index : chunk->index,
        .role = chunk->role,
        .no_choices = chunk->no_choices,
        .sampled_ns = chunk->sampled_ns,
        .finish_reason = str_from(piece && piece->finish_reason ? piece->finish_reason : chunk->finish_reason),
    };
    struct strbuf text;
    struct answer_part part;
    struct chat_prob probs[PROBS_MAX];
    if (piece && !piece->finish_reason) {
        part = part_of(piece);
        out.part = &part;
        out.token = (struct chat_token){ probs, piece->n_probs < PROBS_MAX ? piece->n_probs : PROBS_MAX };
        for (size_t i = 0; i < out.token.n_probs; i++) {
            probs[i] = prob_of(&piece->probs[i]);
        }
    }
    if (chunk->usage) {
        usage = response_usage(chunk->usage);
        out.usage = &usage;
    }
    strbuf_init(&text, 0);
    chat_chunk_write(&text, &top, &out);
    return take_buffer(&text, ret);
}

// An answer taken apart by choices: choice i has places [first_part, ...) of parts and [first_token, ...) of tokens.
struct sorted {
    struct chat_choice *choices; // [n_choices]
    size_t n_choices;
    struct answer_part *parts;
    struct chat_token *tokens;
    struct chat_prob *probs;
    struct strbuf *prompts; // [n_choices] JSON
};

static void sorted_deinit(struct sorted *sorted)
{
    for (size_t i = 0; sorted->prompts && i < sorted->n_choices; i++) {
        strbuf_deinit(&sorted->prompts[i]);
    }
    free(sorted->prompts);
    free(sorted->choices);
    free(sorted->parts);
    free(sorted->tokens);
    free(sorted->probs);
}

static int sorted_init(struct sorted *sorted, const struct tokfs_piece *pieces, size_t n_pieces)
{
    size_t n_choices = 1, n_tokens = 0, n_probs = 0;
    for (size_t i = 0; i < n_pieces; i++) {
        n_choices = pieces[i].index >= n_choices ? pieces[i].index + 1 : n_choices;
        n_tokens += pieces[i].n_probs > 0;
        n_probs += pieces[i].n_probs;
    }
    *sorted = (struct sorted){
        .choices = calloc(n_choices, sizeof(*sorted->choices)),
        .n_choices = n_choices,
        .parts = calloc(n_pieces + 1, sizeof(*sorted->parts)),
        .tokens = calloc(n_tokens + 1, sizeof(*sorted->tokens)),
        .probs = calloc(n_probs + 1, sizeof(*sorted->probs)),
        .prompts = calloc(n_choices, sizeof(*sorted->prompts)),
    };
    return sorted->prompts && sorted->choices && sorted->parts && sorted->tokens && sorted->probs ? 0 : -ENOMEM;
}

// Gives every choice as many places as it has pieces; they are counted again while they are filled.
static void sorted_divide(struct sorted *sorted, const struct tokfs_piece *pieces, size_t n_pieces)
{
    size_t n_parts = 0, n_tokens = 0;
    for (size_t i = 0; i < n_pieces; i++) {
        struct chat_choice *choice = &sorted->choices[pieces[i].index];
        choice->answer.n_parts += pieces[i].text_len > 0;
        choice->n_tokens += pieces[i].n_probs > 0;
    }
    for (size_t i = 0; i < sorted->n_choices; i++) {
        struct chat_choice *choice = &sorted->choices[i];
        choice->answer.parts = &sorted->parts[n_parts];
        choice->tokens = &sorted->tokens[n_tokens];
        n_parts += choice->answer.n_parts;
        n_tokens += choice->n_tokens;
        choice->answer.n_parts = choice->n_tokens = 0;
    }
}

static void sorted_fill(struct sorted *sorted, const struct tokfs_piece *pieces, size_t n_pieces)
{
    struct chat_prob *probs = sorted->probs;
    for (size_t i = 0; i < n_pieces; i++) {
        const struct tokfs_piece *piece = &pieces[i];
        struct chat_choice *choice = &sorted->choices[piece->index];
        if (piece->text_len > 0) {
            size_t at = (size_t)(choice->answer.parts - sorted->parts) + choice->answer.n_parts++;
            sorted->parts[at] = part_of(piece);
        }
        if (piece->n_probs > 0) {
            size_t at = (size_t)(choice->tokens - sorted->tokens) + choice->n_tokens++;
            sorted->tokens[at] = (struct chat_token){ probs, piece->n_probs };
            for (size_t p = 0; p < piece->n_probs; p++) {
                *probs++ = prob_of(&piece->probs[p]);
            }
        }
        if (piece->finish_reason) {
            choice->finish_reason = str_from(piece->finish_reason);
        }
    }
}

// {"ID":{"logprob":...,"rank":...,"decoded_token":...},...}: the token itself, then the most probable ones that it is
// not.
static void write_position(struct json_writer *w, const struct tokfs_logprob *probs, size_t n_probs, uint32_t rank)
{
    char id[16];
    json_write_object_begin(w);
    for (size_t i = 0; i < n_probs; i++) {
        if (i > 0 && probs[i].id == probs[0].id) {
            continue;
        }
        snprintf(id, sizeof(id), "%d", probs[i].id);
        json_write_key(w, id);
        json_write_object_begin(w);
        json_write_key(w, "logprob");
        json_write_double(w, (double)probs[i].logprob);
        json_write_key(w, "rank");
        json_write_u64(w, i == 0 ? rank : i);
        json_write_key(w, "decoded_token");
        json_write_str(w, (struct str){ probs[i].bytes, probs[i].n_bytes });
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

// vLLM's prompt_logprobs of one choice: null for the first token.
static void write_prompt_probs(struct strbuf *out, const struct tokfs_answer_head *head, unsigned index)
{
    struct tokfs_logprob probs[TOKFS_PROBS_MAX];
    struct json_writer w;
    size_t n_tokens, n_most = 1 + (size_t)head->prompt_logprobs;
    uint32_t rank = 0;
    tokfs_completion_prompt(head->prompts, index, &n_tokens);
    json_writer_init(&w, out);
    json_write_array_begin(&w);
    for (size_t pos = 0; pos < n_tokens && !out->error; pos++) {
        size_t n = tokfs_completion_prompt_probs(head->prompts, index, pos, probs, &rank);
        if (n == 0) {
            json_write_null(&w);
        } else {
            write_position(&w, probs, n < n_most ? n : n_most, rank);
        }
    }
    json_write_array_end(&w);
}

// Each choice has its own in a text completion; a chat has one prompt. What is written lies in `texts`, [n_choices].
static int add_prompt_probs(const struct tokfs_answer_head *head, struct sorted *sorted, struct chat_response_head *top,
                            bool is_chat, struct strbuf *texts)
{
    int r = 0;
    for (size_t i = 0; head->prompts && i < (is_chat ? 1 : sorted->n_choices) && r == 0; i++) {
        write_prompt_probs(&texts[i], head, (unsigned)i);
        *(is_chat ? &top->prompt_logprobs : &sorted->choices[i].prompt_logprobs) = strbuf_str(&texts[i]);
        r = texts[i].error;
    }
    return r;
}

// Either form of a whole answer.
typedef void (*answer_writer)(struct strbuf *out, const struct chat_response_head *head,
                              const struct chat_choice *choices, size_t n_choices, const struct chat_usage *usage);

static int write_whole(answer_writer write, const struct tokfs_answer_head *head, const struct tokfs_piece *pieces,
                       size_t n_pieces, const char *finish_reason, const struct tokfs_usage *usage,
                       struct tokfs_buffer *ret)
{
    struct chat_timings timings;
    struct chat_response_head top = response_head(head, &timings);
    struct chat_usage counts = response_usage(usage);
    struct sorted sorted;
    struct strbuf text;
    if (sorted_init(&sorted, pieces, n_pieces) < 0) {
        sorted_deinit(&sorted);
        return -ENOMEM;
    }
    int r = add_prompt_probs(head, &sorted, &top, write == chat_response_write, sorted.prompts);
    if (r < 0) {
        sorted_deinit(&sorted);
        return r;
    }
    sorted_divide(&sorted, pieces, n_pieces);
    sorted_fill(&sorted, pieces, n_pieces);
    for (size_t i = 0; i < sorted.n_choices; i++) {
        struct chat_choice *choice = &sorted.choices[i];
        choice->index = (unsigned)i;
        choice->finish_reason = choice->finish_reason.len > 0 ? choice->finish_reason : str_from(finish_reason);
    }
    strbuf_init(&text, 0);
    write(&text, &top, sorted.choices, sorted.n_choices, &counts);
    sorted_deinit(&sorted);
    return take_buffer(&text, ret);
}

int tokfs_write_answer(const struct tokfs_answer_head *head, const struct tokfs_piece *pieces, size_t n_pieces,
                       const char *finish_reason, const struct tokfs_usage *usage, struct tokfs_buffer *ret)
{
    return write_whole(chat_response_write, head, pieces, n_pieces, finish_reason, usage, ret);
}

int tokfs_write_text_completion(const struct tokfs_answer_head *head, const struct tokfs_piece *pieces, size_t n_pieces,
                                const char *finish_reason, const struct tokfs_usage *usage, struct tokfs_buffer *ret)
{
    return write_whole(text_completion_write, head, pieces, n_pieces, finish_reason, usage, ret);
}

int tokfs_write_text_chunk(const struct tokfs_answer_head *head, const struct tokfs_chunk *chunk,
                           struct tokfs_buffer *ret)
{
    const struct tokfs_piece *piece = chunk->piece;
    const char *reason = piece && piece->finish_reason ? piece->finish_reason : chunk->finish_reason;
    struct chat_timings timings;
    struct chat_response_head top = response_head(head, &timings);
    struct chat_choice choice = { .index = piece ? piece->index : chunk->index, .finish_reason = str_from(reason) };
    struct chat_prob probs[PROBS_MAX];
    struct chat_token token = { probs, 0 };
    struct chat_usage usage;
    struct answer_part part;
    struct strbuf text;
    if (piece && !piece->finish_reason) {
        part = part_of(piece);
        choice.answer = (struct chat_answer){ &part, 1 };
        choice.text_offset = piece->text_offset;
        token.n_probs = piece->n_probs < PROBS_MAX ? piece->n_probs : PROBS_MAX;
        for (size_t i = 0; i < token.n_probs; i++) {
            probs[i] = prob_of(&piece->probs[i]);
        }
        choice.tokens = &token;
        choice.n_tokens = token.n_probs > 0;
    }
    if (chunk->usage) {
        usage = response_usage(chunk->usage);
    }
    strbuf_init(&text, 0);
    text_chunk_write(&text, &top, chunk->no_choices ? NULL : &choice, chunk->usage ? &usage : NULL, chunk->sampled_ns);
    return take_buffer(&text, ret);
}

int tokfs_write_message(const struct tokfs_piece *pieces, size_t n_pieces, struct tokfs_buffer *ret)
{
    size_t n_parts;
    struct answer_part *parts = parts_of(pieces, n_pieces, &n_parts);
    struct strbuf text;
    if (!parts) {
        return -ENOMEM;
    }
    strbuf_init(&text, 0);
    chat_message_write(&text, &(struct chat_answer){ parts, n_parts }, true);
    free(parts);
    return take_buffer(&text, ret);
}

int tokfs_write_call(const struct tokfs_piece *pieces, size_t n_pieces, unsigned call_idx, struct tokfs_buffer *ret)
{
    size_t n_parts;
    struct answer_part *parts = parts_of(pieces, n_pieces, &n_parts);
    struct strbuf text;
    if (!parts) {
        return -ENOMEM;
    }
    strbuf_init(&text, 0);
    strbuf_reserve(&text, 1); // so that none at all is an empty text
    chat_call_write(&text, &(struct chat_answer){ parts, n_parts }, call_idx);
    free(parts);
    return take_buffer(&text, ret);
}

int tokfs_write_error(const struct tokfs_error *error, struct tokfs_buffer *ret)
{
    struct err err = { .code = error->code };
    struct strbuf text;
    _Static_assert(sizeof(err.param) == sizeof(error->param) && sizeof(err.msg) == sizeof(error->msg), "same fields");
    memcpy(err.param, error->param, sizeof(err.param));
    memcpy(err.msg, error->msg, sizeof(err.msg));
    strbuf_init(&text, 0);
    chat_error_write(&text, &err);
    return take_buffer(&text, ret);
}

int tokfs_error_http_status(int code)
{
    return chat_error_http_status(code);
}
