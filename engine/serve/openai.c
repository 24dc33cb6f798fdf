// include/tokfs/openai.h over the text library: request checks and answer objects for front ends, which see no internal
// type. Each call has its own memory; nothing is kept.
#include "engine/serve/error.h"
#include "engine/text/chat_request.h"
#include "engine/text/chat_response.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <tokfs/openai.h>

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
        *ret = (struct tokfs_request_info){ .stream = request.stream, .include_usage = request.include_usage };
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

static struct chat_response_head response_head(const struct tokfs_answer_head *head)
{
    return (struct chat_response_head){ .id = str_from(head->id),
                                        .created = head->created,
                                        .model = str_from(head->model),
                                        .system_fingerprint = str_from(head->system_fingerprint) };
}

static struct chat_usage response_usage(const struct tokfs_usage *usage)
{
    return (struct chat_usage){ usage->prompt_tokens, usage->cached_tokens, usage->completion_tokens };
}

static struct answer_part part_of(const struct tokfs_piece *piece)
{
    return (struct answer_part){ .kind = (enum answer_part_kind)piece->part,
                                 .call_idx = piece->call_idx,
                                 .id = str_from(piece->call_id),
                                 .text = { piece->text, piece->text_len } };
}

// A new array of parts, which borrows from the pieces; NULL when out of memory.
static struct answer_part *parts_of(const struct tokfs_piece *pieces, size_t n_pieces)
{
    struct answer_part *parts = calloc(n_pieces + 1, sizeof(*parts));
    for (size_t i = 0; parts && i < n_pieces; i++) {
        parts[i] = part_of(&pieces[i]);
    }
    return parts;
}

int tokfs_write_chunk(const struct tokfs_answer_head *head, const struct tokfs_chunk *chunk, struct tokfs_buffer *ret)
{
    struct chat_response_head top = response_head(head);
    struct chat_usage usage;
    struct chat_chunk out = { .role = chunk->role, .no_choices = chunk->no_choices, .sampled_ns = chunk->sampled_ns };
    struct strbuf text;
    struct answer_part part;
    if (chunk->piece) {
        part = part_of(chunk->piece);
        out.part = &part;
    }
    out.finish_reason = str_from(chunk->finish_reason);
    if (chunk->usage) {
        usage = response_usage(chunk->usage);
        out.usage = &usage;
    }
    strbuf_init(&text, 0);
    chat_chunk_write(&text, &top, &out);
    return take_buffer(&text, ret);
}

int tokfs_write_answer(const struct tokfs_answer_head *head, const struct tokfs_piece *pieces, size_t n_pieces,
                       const char *finish_reason, const struct tokfs_usage *usage, struct tokfs_buffer *ret)
{
    struct answer_part *parts = parts_of(pieces, n_pieces);
    if (!parts) {
        return -ENOMEM;
    }
    struct chat_response_head top = response_head(head);
    struct chat_usage counts = response_usage(usage);
    struct strbuf text;
    strbuf_init(&text, 0);
    chat_response_write(&text, &top, &(struct chat_answer){ parts, n_pieces }, str_from(finish_reason), &counts);
    free(parts);
    return take_buffer(&text, ret);
}

int tokfs_write_message(const struct tokfs_piece *pieces, size_t n_pieces, struct tokfs_buffer *ret)
{
    struct answer_part *parts = parts_of(pieces, n_pieces);
    struct strbuf text;
    if (!parts) {
        return -ENOMEM;
    }
    strbuf_init(&text, 0);
    chat_message_write(&text, &(struct chat_answer){ parts, n_pieces }, true);
    free(parts);
    return take_buffer(&text, ret);
}

int tokfs_write_call(const struct tokfs_piece *pieces, size_t n_pieces, unsigned call_idx, struct tokfs_buffer *ret)
{
    struct answer_part *parts = parts_of(pieces, n_pieces);
    struct strbuf text;
    if (!parts) {
        return -ENOMEM;
    }
    strbuf_init(&text, 0);
    strbuf_reserve(&text, 1); // so that none at all is an empty text
    chat_call_write(&text, &(struct chat_answer){ parts, n_pieces }, call_idx);
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
