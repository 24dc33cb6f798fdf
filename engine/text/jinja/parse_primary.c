// What expressions are made of: literals, names, tuples; and the targets of assignments, which are written alike.
#include "engine/text/jinja/parser.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- literals ------------------------------------------------------------------------------------------------------

static struct node *node_const(struct parser *p, uint32_t pos, struct value v)
{
    struct node *node = parse_node(p, N_CONST, pos);

    node->constant = v;
    return node;
}

struct node *parse_number(struct parser *p)
{
    const struct token *tok = p->tok++;
    int base = 10;
    struct str digits = tok->text;
    struct node *node;
    unsigned long long n;
    char *end;

    if (tok->type == TOK_FLOAT) {
        double x = 0;

        if (str_parse_double(digits, &x) < 0) {
            x = HUGE_VAL;
        }
        node = node_const(p, tok->pos, VALUE_FLOAT(x));
        if (!isfinite(x)) {
            node->kind = N_CONST_INFINITE;
        }
        return node;
    }
    if (digits.len > 2 && digits.ptr[0] == '0' && (digits.ptr[1] | 32) >= 'b') {
        base = (digits.ptr[1] | 32) == 'x' ? 16 : (digits.ptr[1] | 32) == 'o' ? 8 : 2;
        digits = str_skip(digits, 2);
    }
    errno = 0;
    n = strtoull(digits.ptr, &end, base); // NUL-terminated: the arena clears and the token's buffer has one byte more
    if (errno != 0 || n > INT64_MAX) {
        if (base != 10) {
            parse_fail(p, tok->pos, "integers beyond 64 bits must be decimal");
        }
        return node_const(p, tok->pos,
                          (struct value){ .type = V_BIGINT, .len = (uint32_t)digits.len, .s = digits.ptr });
    }
    return node_const(p, tok->pos, VALUE_INT((int64_t)n));
}

static struct node *parse_string(struct parser *p)
{
    const struct token *tok = p->tok++;
    struct str text = tok->text;

    while (tok_is(p, TOK_STRING)) { // adjacent literals are one
        char *joined = parse_alloc(p, text.len + p->tok->text.len + 1);

        memcpy(joined, text.ptr, text.len);
        memcpy(joined + text.len, p->tok->text.ptr, p->tok->text.len);
        text = (struct str){ joined, text.len + p->tok->text.len };
        p->tok++;
    }
    return node_const(p, tok->pos, ((struct value){ .type = V_STR, .len = (uint32_t)text.len, .s = text.ptr }));
}

static struct node *parse_list_literal(struct parser *p)
{
    uint32_t pos = p->tok++->pos;
    struct node_builder items = { 0 };

    while (!tok_is(p, TOK_RBRACKET)) {
        if (items.n > 0) {
            tok_expect(p, TOK_COMMA);
        }
        if (tok_is(p, TOK_RBRACKET)) {
            break;
        }
        parse_add(p, &items, parse_expression(p));
    }
    tok_expect(p, TOK_RBRACKET);
    return parse_node_list(p, N_LIST, pos, &items);
}

static struct node *parse_dict_literal(struct parser *p)
{
    uint32_t pos = p->tok++->pos;
    struct node_builder items = { 0 };

    while (!tok_is(p, TOK_RBRACE)) {
        if (items.n > 0) {
            tok_expect(p, TOK_COMMA);
        }
        if (tok_is(p, TOK_RBRACE)) {
            break;
        }
        parse_add(p, &items, parse_expression(p));
        tok_expect(p, TOK_COLON);
        parse_add(p, &items, parse_expression(p));
    }
    tok_expect(p, TOK_RBRACE);
    return parse_node_list(p, N_DICT, pos, &items);
}

// ---- tuples --------------------------------------------------------------------------------------------------------

static bool is_tuple_end(struct parser *p, enum tuple_end end)
{
    return tok_is(p, TOK_VAR_END) || tok_is(p, TOK_BLOCK_END) || tok_is(p, TOK_RPAREN) ||
           (end == TUPLE_END_IN && tok_is_name(p->tok, "in")) ||
           (end == TUPLE_END_RECURSIVE && tok_is_name(p->tok, "recursive"));
}

enum tuple_items { ITEMS_EXPRESSION, ITEMS_NO_COND, ITEMS_PRIMARY, ITEMS_PRIMARY_NAMESPACE };

static struct node *parse_tuple_of(struct parser *p, enum tuple_items kind, enum tuple_end end, bool parenthesised)
{
    uint32_t pos = p->tok->pos;
    struct node_builder items = { 0 };
    bool is_tuple = false;

    for (;;) {
        if (items.n > 0) {
            tok_expect(p, TOK_COMMA);
        }
        if (is_tuple_end(p, end)) {
            break;
        }
        parse_add(p, &items,
                  kind == ITEMS_EXPRESSION ? parse_expression(p)
                  : kind == ITEMS_NO_COND  ? parse_expression_no_cond(p)
                                           : parse_primary(p, kind == ITEMS_PRIMARY_NAMESPACE));
        if (!tok_is(p, TOK_COMMA)) {
            break;
        }
        is_tuple = true;
    }
    if (!is_tuple && items.n > 0) {
        return items.items[0];
    }
    if (!is_tuple && !parenthesised) {
        parse_fail(p, pos, "Expected an expression, got '%s'", token_type_name(p->tok->type));
    }
    return parse_node_list(p, N_TUPLE, pos, &items);
}

struct node *parse_tuple(struct parser *p, bool with_cond, enum tuple_end end, bool parenthesised)
{
    return parse_tuple_of(p, with_cond ? ITEMS_EXPRESSION : ITEMS_NO_COND, end, parenthesised);
}

// ---- names ---------------------------------------------------------------------------------------------------------

static struct node *parse_name(struct parser *p, const struct token *tok)
{
    struct node *node = parse_node(p, N_NAME, tok->pos);

    node->name = parse_alloc(p, sizeof(*node->name));
    node->name->name = tok->text;
    node->name->undefined.name = tok->text;
    return node;
}

static struct node *parse_name_or_literal(struct parser *p, bool with_namespace)
{
    const struct token *tok = p->tok++;
    struct node *node;

    if (tok_is_name(tok, "true") || tok_is_name(tok, "True")) {
        return node_const(p, tok->pos, VALUE_BOOL(true));
    }
    if (tok_is_name(tok, "false") || tok_is_name(tok, "False")) {
        return node_const(p, tok->pos, VALUE_BOOL(false));
    }
    if (tok_is_name(tok, "none") || tok_is_name(tok, "None")) {
        return node_const(p, tok->pos, VALUE_NONE);
    }
    if (!with_namespace || !tok_is(p, TOK_DOT)) {
        return parse_name(p, tok);
    }
    p->tok++;
    node = parse_node(p, N_NSREF, tok->pos);
    node->ns = parse_name(p, tok)->name;
    node->ns_attr = tok_expect_name(p);
    return node;
}

struct node *parse_primary(struct parser *p, bool with_namespace)
{
    struct node *node;

    parse_enter(p);
    switch (p->tok->type) {
    case TOK_NAME: node = parse_name_or_literal(p, with_namespace); break;
    case TOK_STRING: node = parse_string(p); break;
    case TOK_INTEGER:
    case TOK_FLOAT: node = parse_number(p); break;
    case TOK_LPAREN:
        p->tok++;
        node = parse_tuple(p, true, TUPLE_END_TAG, true);
        tok_expect(p, TOK_RPAREN);
        break;
    case TOK_LBRACKET: node = parse_list_literal(p); break;
    case TOK_LBRACE: node = parse_dict_literal(p); break;
    default: parse_fail(p, p->tok->pos, "unexpected '%s'", token_type_name(p->tok->type));
    }
    parse_leave(p);
    return node;
}

// ---- targets of assignments ----------------------------------------------------------------------------------------

static void check_target(struct parser *p, struct node *target)
{
    static const char *const reserved[] = { "true", "false", "none", "True", "False", "None" };

    switch (target->kind) {
    case N_NAME:
        for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
            if (str_eq(target->name->name, str_from(reserved[i]))) {
                parse_fail(p, target->pos, "can't assign to '%s'", reserved[i]);
            }
        }
        target->name->is_store = true;
        break;
    case N_NSREF: break;
    case N_TUPLE:
        for (uint32_t i = 0; i < target->list.n; i++) {
            check_target(p, target->list.items[i]);
        }
        break;
    default: parse_fail(p, target->pos, "can't assign to this expression");
    }
}

struct node *parse_target(struct parser *p, enum tuple_end end, bool with_namespace)
{
    struct node *target = parse_tuple_of(p, with_namespace ? ITEMS_PRIMARY_NAMESPACE : ITEMS_PRIMARY, end, false);

    check_target(p, target);
    return target;
}

struct node *parse_target_name(struct parser *p)
{
    struct node *target;

    if (!tok_is(p, TOK_NAME)) {
        tok_expect(p, TOK_NAME);
    }
    target = parse_name(p, p->tok++);
    check_target(p, target);
    return target;
}
