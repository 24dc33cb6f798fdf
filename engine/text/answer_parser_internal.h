// What the states of the answer parser share: answer_parser.c has those of text, answer_call.c those of calls,
// answer_literals.c those of calls whose arguments are literals, answer_channels.c those of messages with headers.
#ifndef TOKFS_TEXT_ANSWER_PARSER_INTERNAL_H
#define TOKFS_TEXT_ANSWER_PARSER_INTERNAL_H

#include "engine/text/answer_parser.h"

#define ANSWER_NAME_MAX 256 // bytes of a name, an argument's key or a header: longer ones are content

enum answer_step { ANSWER_MORE, ANSWER_ON }; // waits for more text; or something was decided

static inline const struct call_syntax *answer_calls(const struct answer_parser *p)
{
    return p->request ? p->request->format.calls : NULL;
}

struct str answer_rest(const struct answer_parser *p); // what is not decided
void answer_consume(struct answer_parser *p, size_t n);
void answer_emit(struct answer_parser *p, enum answer_part_kind kind, struct str text);
enum answer_step answer_go(struct answer_parser *p, enum answer_state state);
// Content up to and with the mark that seemed to begin a call.
enum answer_step answer_fall_back(struct answer_parser *p);

size_t answer_space_len(struct str s); // white space at its beginning
// How `s` begins with `mark`: 1 it does, 0 it does not, -1 it may when more comes. An empty mark is never there.
int answer_match(const struct answer_parser *p, struct str s, struct str mark);
// Offset of `mark` in `s`, or -1; *ret_safe is then how much of `s` cannot be part of it.
ptrdiff_t answer_find(const struct answer_parser *p, struct str s, struct str mark, size_t *ret_safe);
// Offset of `mark`, or -1, in a text that only grows while it is looked for: each byte is looked at once.
ptrdiff_t answer_find_on(struct answer_parser *p, struct str s, struct str mark);

const struct json *answer_function(const struct answer_parser *p, struct str name); // of the request; NULL: none
void answer_begin_call(struct answer_parser *p, struct str name, struct str id);    // id empty: a new one
void answer_emit_arguments(struct answer_parser *p, struct str text);
void answer_end_call(struct answer_parser *p);

// A call of `name` whose arguments begin `at` bytes on and are written member by member; then `next`.
enum answer_step answer_begin_values(struct answer_parser *p, size_t at, struct str name, struct str id,
                                     enum answer_state next);
enum answer_step answer_end_values(struct answer_parser *p, enum answer_state next);
// A member of the arguments, whose value is JSON in the making: with its comma, key and colon.
void answer_emit_member(struct answer_parser *p, struct str key, struct str value_json);
struct str answer_type_of(const struct answer_parser *p, struct str key); // as the function's schema has it, or ""

// Puts *at behind a line ``` where the syntax has them, and behind a bracket that opens a list. False: more text will
// tell.
bool answer_open_list(struct answer_parser *p, size_t *at);

enum answer_step answer_step_head(struct answer_parser *p);
enum answer_step answer_head_of_literals(struct answer_parser *p);
enum answer_step answer_step_arguments(struct answer_parser *p);
enum answer_step answer_step_broken(struct answer_parser *p);
enum answer_step answer_step_tail(struct answer_parser *p);
enum answer_step answer_step_values(struct answer_parser *p);
enum answer_step answer_step_literals(struct answer_parser *p);
enum answer_step answer_step_header(struct answer_parser *p);
enum answer_step answer_step_body(struct answer_parser *p);

#endif
