// An answer's parts as one line of text, for tests: kinds are C R T A (content, reasoning, call, arguments).
//
//     C<Hello>T0<get_w>A0<{"city":"Paris"}>
#ifndef TOKFS_TESTS_TEXT_ANSWER_DUMP_H
#define TOKFS_TESTS_TEXT_ANSWER_DUMP_H

#include "engine/text/answer_parser.h"

// Takes all parts out of the queue; text of one kind is joined however it came.
static inline void answer_dump(struct answer_parts *parts, struct strbuf *out, char *ret_last, unsigned *last_idx)
{
    struct answer_part part;
    while (answer_parts_first(parts, &part)) {
        char kind = "CRTA"[part.kind];
        if (kind != *ret_last || part.call_idx != *last_idx || kind == 'T') {
            strbuf_printf(out, "%s%c", *ret_last ? ">" : "", kind);
            if (kind == 'T' || kind == 'A') {
                strbuf_printf(out, "%u", part.call_idx);
            }
            strbuf_append_byte(out, '<');
        }
        strbuf_append(out, part.text);
        *ret_last = kind;
        *last_idx = part.call_idx;
        answer_parts_take(parts, part.text.len);
    }
}

// Feeds `text` in pieces whose lengths `next_len` gives, and dumps what came out.
static inline int answer_dump_pieces(struct answer_parser *parser, const struct answer_request *request,
                                     struct str text, size_t (*next_len)(void *ctx), void *ctx, struct strbuf *out)
{
    struct answer_parts parts;
    char last = 0;
    unsigned last_idx = 0;
    answer_parts_init(&parts);
    answer_parser_begin(parser, request, &parts);
    int r = 0;
    while (text.len > 0 && r == 0) {
        struct str piece = str_take(text, next_len(ctx));
        r = answer_parser_feed(parser, piece);
        answer_dump(&parts, out, &last, &last_idx);
        text = str_skip(text, piece.len);
    }
    if (r == 0) {
        r = answer_parser_finish(parser);
    }
    answer_dump(&parts, out, &last, &last_idx);
    strbuf_append(out, last ? STR(">") : STR(""));
    answer_parts_deinit(&parts);
    return r;
}

#endif
