// Expressions: Jinja's grammar, precedence and all, into trees.
//
//   cond > or > and > not > comparison > + - > ~ > * / // % > ** > unary > postfix and filters
//
// Chains of + become one n-ary node: templates build their text with them, and a long chain must not nest deeply.
// What stands below ** is in parse_postfix.c and parse_primary.c.
#include "engine/text/jinja/parser.h"

#include <string.h>

static struct node *parse_or(struct parser *p);

struct node *parse_node2(struct parser *p, enum node_kind kind, uint32_t pos, struct node *a, struct node *b)
{
    struct node *node = parse_node(p, kind, pos);

    node->a = a;
    node->b = b;
    parse_set_depth(p, node, a);
    if (b != NULL) {
        parse_set_depth(p, node, b);
    }
    return node;
}

struct node *parse_node_list(struct parser *p, enum node_kind kind, uint32_t pos, const struct node_builder *items)
{
    struct node *node = parse_node(p, kind, pos);

    node->list = parse_list_end(p, items);
    for (uint32_t i = 0; i < items->n; i++) {
        parse_set_depth(p, node, items->items[i]);
    }
    return node;
}

// ---- operators ------------------------------------------------------------------------------------------------------

static struct node *parse_pow(struct parser *p)
{
    struct node *left = parse_unary(p, true);

    while (tok_is(p, TOK_POW)) {
        uint32_t pos = p->tok->pos;

        p->tok++;
        left = parse_node2(p, N_BINARY, pos, left, parse_unary(p, true));
        left->op = TOK_POW;
    }
    return left;
}

static struct node *parse_product(struct parser *p)
{
    struct node *left = parse_pow(p);

    while (tok_is(p, TOK_MUL) || tok_is(p, TOK_DIV) || tok_is(p, TOK_FLOORDIV) || tok_is(p, TOK_MOD)) {
        const struct token *op = p->tok++;

        left = parse_node2(p, N_BINARY, op->pos, left, parse_pow(p));
        left->op = (uint8_t)op->type;
    }
    return left;
}

static struct node *parse_concat(struct parser *p)
{
    uint32_t pos = p->tok->pos;
    struct node *first = parse_product(p);
    struct node_builder items = { 0 };

    if (!tok_is(p, TOK_TILDE)) {
        return first;
    }
    parse_add(p, &items, first);
    while (tok_skip(p, TOK_TILDE)) {
        parse_add(p, &items, parse_product(p));
    }
    return parse_node_list(p, N_CONCAT, pos, &items);
}

static struct node *parse_sum(struct parser *p)
{
    uint32_t pos = p->tok->pos;
    struct node *left = parse_concat(p);

    for (;;) {
        struct node_builder items = { 0 };

        if (tok_is(p, TOK_SUB)) {
            uint32_t op_pos = p->tok->pos;

            p->tok++;
            left = parse_node2(p, N_BINARY, op_pos, left, parse_concat(p));
            left->op = TOK_SUB;
            continue;
        }
        if (!tok_is(p, TOK_ADD)) {
            return left;
        }
        parse_add(p, &items, left);
        while (tok_skip(p, TOK_ADD)) {
            parse_add(p, &items, parse_concat(p));
        }
        left = parse_node_list(p, N_ADD, pos, &items);
    }
}

static bool compare_operator(struct parser *p, enum compare_op *ret)
{
    static const struct {
        enum token_type type;
        enum compare_op op;
    } ops[] = { { TOK_EQ, CMP_EQ }, { TOK_NE, CMP_NE }, { TOK_LT, CMP_LT },
                { TOK_LE, CMP_LE }, { TOK_GT, CMP_GT }, { TOK_GE, CMP_GE } };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (tok_skip(p, ops[i].type)) {
            *ret = ops[i].op;
            return true;
        }
    }
    if (tok_skip_name(p, "in")) {
        *ret = CMP_IN;
        return true;
    }
    if (tok_is_name(p->tok, "not") && tok_is_name(p->tok + 1, "in")) {
        p->tok += 2;
        *ret = CMP_NOT_IN;
        return true;
    }
    return false;
}

static struct node *parse_compare(struct parser *p)
{
    uint32_t pos = p->tok->pos;
    struct node *first = parse_sum(p), *node;
    struct compare_item items[32];
    enum compare_op op;
    uint32_t n = 0;

    while (compare_operator(p, &op)) {
        if (n == sizeof(items) / sizeof(items[0])) {
            parse_fail(p, p->tok->pos, "a chain of more than %u comparisons", n);
        }
        items[n++] = (struct compare_item){ op, parse_sum(p) };
    }
    if (n == 0) {
        return first;
    }
    node = parse_node(p, N_COMPARE, pos);
    node->compare = parse_alloc(p, sizeof(*node->compare));
    node->compare->first = first;
    node->compare->items = parse_alloc(p, n * sizeof(items[0]));
    node->compare->n = n;
    memcpy(node->compare->items, items, n * sizeof(items[0]));
    parse_set_depth(p, node, first);
    for (uint32_t i = 0; i < n; i++) {
        parse_set_depth(p, node, items[i].expr);
    }
    return node;
}

static struct node *parse_not(struct parser *p)
{
    uint32_t pos = p->tok->pos;
    struct node *node;

    if (!tok_skip_name(p, "not")) {
        return parse_compare(p);
    }
    parse_enter(p);
    node = parse_node2(p, N_NOT, pos, parse_not(p), NULL);
    parse_leave(p);
    return node;
}

static struct node *parse_and(struct parser *p)
{
    struct node *left = parse_not(p);

    while (tok_is_name(p->tok, "and")) {
        uint32_t pos = p->tok->pos;

        p->tok++;
        left = parse_node2(p, N_AND, pos, left, parse_not(p));
    }
    return left;
}

static struct node *parse_or(struct parser *p)
{
    struct node *left = parse_and(p);

    while (tok_is_name(p->tok, "or")) {
        uint32_t pos = p->tok->pos;

        p->tok++;
        left = parse_node2(p, N_OR, pos, left, parse_and(p));
    }
    return left;
}

struct node *parse_expression_no_cond(struct parser *p)
{
    struct node *node;

    parse_enter(p);
    node = parse_or(p);
    parse_leave(p);
    return node;
}

struct node *parse_expression(struct parser *p)
{
    uint32_t pos = p->tok->pos;
    struct node *value;

    parse_enter(p);
    value = parse_or(p);
    while (tok_skip_name(p, "if")) {
        struct node *test = parse_or(p);
        struct node *otherwise = tok_skip_name(p, "else") ? parse_expression(p) : NULL;
        struct node *node = parse_node2(p, N_COND, pos, test, value);

        node->c = otherwise;
        if (otherwise != NULL) {
            parse_set_depth(p, node, otherwise);
        }
        value = node;
    }
    parse_leave(p);
    return value;
}
