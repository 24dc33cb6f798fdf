// What the parts of the parser, statements (parse.c) and expressions (parse_expr.c, parse_postfix.c, parse_primary.c),
// share (parser.c).
//
// Errors leave by longjmp to jinja_parse: everything lives in the arena.
#ifndef TOKFS_TEXT_JINJA_PARSER_H
#define TOKFS_TEXT_JINJA_PARSER_H

#include "engine/text/jinja/ast.h"

#include <setjmp.h>

struct parser {
    struct arena *arena;
    struct str source;
    const struct token *tok; // the current one; the last is TOK_EOF
    struct err *err;
    int error_code;
    unsigned depth; // of statements and brackets
    unsigned loop_depth;
    jmp_buf on_error;
};

_Noreturn void parse_fail(struct parser *p, uint32_t pos, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
_Noreturn void parse_fail_code(struct parser *p, int code, uint32_t pos, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void *parse_alloc(struct parser *p, size_t size); // zeroed
struct node *parse_node(struct parser *p, enum node_kind kind, uint32_t pos);
// Its depth is one more than its deepest child's.
void parse_set_depth(struct parser *p, struct node *node, const struct node *child);
void parse_enter(struct parser *p);
void parse_leave(struct parser *p);

struct node_builder {
    struct node **items;
    uint32_t n, cap;
};
void parse_add(struct parser *p, struct node_builder *list, struct node *node);
struct node_list parse_list_end(struct parser *p, const struct node_builder *list);

static inline bool tok_is(const struct parser *p, enum token_type type)
{
    return p->tok->type == type;
}

bool tok_is_name(const struct token *tok, const char *name);
void tok_expect(struct parser *p, enum token_type type);
bool tok_skip_name(struct parser *p, const char *name);
bool tok_skip(struct parser *p, enum token_type type);
struct str tok_expect_name(struct parser *p);
struct str tok_describe(const struct token *tok); // for messages

// ---- expressions ---------------------------------------------------------------------------------------------------

struct node *parse_expression(struct parser *p);
struct node *parse_expression_no_cond(struct parser *p);
enum tuple_end { TUPLE_END_TAG, TUPLE_END_IN, TUPLE_END_RECURSIVE };
struct node *parse_tuple(struct parser *p, bool with_cond, enum tuple_end end, bool parenthesised);
struct node *parse_target(struct parser *p, enum tuple_end end, bool with_namespace);
struct node *parse_target_name(struct parser *p);
// A chain of filters applied to `input` (NULL: the body of a block); `inline_first`: the first one stands without "|".
struct node *parse_filters(struct parser *p, struct node *input, bool inline_first);

// Between their files:
struct node *parse_node2(struct parser *p, enum node_kind kind, uint32_t pos, struct node *a, struct node *b);
struct node *parse_node_list(struct parser *p, enum node_kind kind, uint32_t pos, const struct node_builder *items);
struct node *parse_unary(struct parser *p, bool with_filter);      // parse_postfix.c
struct node *parse_primary(struct parser *p, bool with_namespace); // parse_primary.c
struct node *parse_number(struct parser *p);

#endif
