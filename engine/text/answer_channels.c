// The answer parser's states of gpt-oss ("harmony"): an answer is a list of messages
//
//     [<|start|>assistant]HEADER<|message|>TEXT(<|end|> | <|call|> | <|return|> | the answer's end)
//
// where HEADER names a channel ("analysis" is reasoning) and, for a call, its function ("to=functions.NAME"), in either
// order. A header that does not end is content, and so is, header included, what is said to an unknown recipient.
//
// Where the syntax has messages with headers and calls between marks (Glimmer), "to=self" is reasoning; what is said to
// anybody else is text in which calls are looked for.
#include "engine/text/answer_parser_internal.h"

static struct str recipient(struct str header)
{
    ptrdiff_t at = str_find(header, STR("to="));
    struct str name = at >= 0 ? str_skip(header, (size_t)at + 3) : STR("");
    size_t len = 0;
    while (len < name.len && name.ptr[len] != '<' && name.ptr[len] != ' ') {
        len++;
    }
    name = str_take(name, len);
    return str_skip(name, str_starts_with(name, STR("functions.")) ? STR("functions.").len : 0);
}

static bool has_marked_calls(const struct answer_parser *p)
{
    return answer_calls(p)->header_end.len > 0;
}

enum answer_step answer_step_header(struct answer_parser *p)
{
    struct str in = answer_rest(p),
               mark = has_marked_calls(p) ? answer_calls(p)->header_end : answer_calls(p)->name_end;
    size_t safe;
    ptrdiff_t at = answer_find(p, in, mark, &safe);
    bool is_header = at >= 0 && at < ANSWER_NAME_MAX;
    if (in.len == 0 || (at < 0 && !p->is_final && in.len < ANSWER_NAME_MAX + mark.len)) {
        return ANSWER_MORE;
    }
    p->body_kind = ANSWER_CONTENT;
    p->n_values = 0;
    if (!is_header) {
        return answer_go(p, has_marked_calls(p) ? ANSWER_STATE_TEXT : ANSWER_STATE_BODY);
    }
    struct str header = str_take(in, (size_t)at), name = recipient(header);
    if (has_marked_calls(p)) {
        bool is_thought = str_eq(name, STR("self"));
        answer_consume(p, (size_t)at + mark.len);
        p->body_kind = ANSWER_REASONING;
        return answer_go(p, is_thought ? ANSWER_STATE_BODY : ANSWER_STATE_TEXT);
    }
    if (answer_function(p, name)) {
        answer_begin_call(p, name, (struct str){ 0 });
        p->body_kind = ANSWER_ARGUMENTS;
    } else if (name.len > 0) {
        answer_emit(p, ANSWER_CONTENT, str_take(in, (size_t)at + mark.len));
    } else if (str_find(header, STR("analysis")) >= 0) {
        p->body_kind = ANSWER_REASONING;
    }
    answer_consume(p, (size_t)at + mark.len);
    return answer_go(p, ANSWER_STATE_BODY);
}

enum answer_step answer_step_body(struct answer_parser *p)
{
    const struct call_syntax *calls = answer_calls(p);
    const struct str of_channels[] = { calls->end, calls->begin, STR("<|end|>"), STR("<|return|>") };
    const struct str *marks = has_marked_calls(p) ? &calls->message_end : of_channels;
    size_t n_marks = has_marked_calls(p) ? 1 : sizeof(of_channels) / sizeof(of_channels[0]);
    struct str in = answer_rest(p), mark = { 0 };
    size_t len = in.len;
    for (size_t i = 0; i < n_marks; i++) {
        size_t safe;
        ptrdiff_t at = answer_find(p, in, marks[i], &safe);
        size_t limit = at >= 0 ? (size_t)at : safe;
        if (limit < len || (limit == len && at >= 0)) {
            len = limit;
            mark = at >= 0 ? marks[i] : (struct str){ 0 };
        }
    }
    answer_emit(p, p->body_kind, str_take(in, len));
    p->n_values += len > 0;
    answer_consume(p, len);
    if (mark.len == 0) {
        return ANSWER_MORE;
    }
    if (p->body_kind == ANSWER_ARGUMENTS) {
        answer_emit_arguments(p, p->n_values == 0 ? STR("{}") : STR(""));
        answer_end_call(p);
    }
    answer_consume(p, mark.len);
    return answer_go(p, ANSWER_STATE_HEADER);
}
