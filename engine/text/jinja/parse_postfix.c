// What follows a primary expression: subscripts, calls, filters, tests; and the signs before it.
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/parser.h"

#include <errno.h>
#include <string.h>

// ---- subscripts ----------------------------------------------------------------------------------------------------

static struct node *parse_subscribed(struct parser *p)
{
    uint32_t pos = p->tok->pos;
    struct node *parts[3] = { 0 }, *node;

    if (!tok_is(p, TOK_COLON)) {
        parts[0] = parse_expression(p);
        if (!tok_is(p, TOK_COLON)) {
            return parts[0];
        }
    }
    p->tok++;
    if (!tok_is(p, TOK_COLON) && !tok_is(p, TOK_RBRACKET) && !tok_is(p, TOK_COMMA)) {
        parts[1] = parse_expression(p);
    }
    if (tok_skip(p, TOK_COLON) && !tok_is(p, TOK_RBRACKET) && !tok_is(p, TOK_COMMA)) {
        parts[2] = parse_expression(p);
    }
    node = parse_node(p, N_SLICE, pos);
    node->a = parts[0];
    node->b = parts[1];
    node->c = parts[2];
    for (size_t i = 0; i < 3; i++) {
        if (parts[i] != NULL) {
            parse_set_depth(p, node, parts[i]);
        }
    }
    return node;
}

static struct node *node_attribute(struct parser *p, enum node_kind kind, uint32_t pos, struct node *object,
                                   struct str name)
{
    struct node *node = parse_node(p, kind, pos);

    node->attr = parse_alloc(p, sizeof(*node->attr));
    node->attr->object = object;
    node->attr->name = name;
    for (unsigned i = 0; i < N_METHOD_TYPES; i++) {
        node->attr->methods[i] = method_find((enum method_type)i, name);
    }
    parse_set_depth(p, node, object);
    return node;
}

static struct node *parse_attribute(struct parser *p, struct node *object, uint32_t pos)
{
    if (tok_is(p, TOK_INTEGER)) {
        return parse_node2(p, N_GETITEM, pos, object, parse_number(p));
    }
    if (!tok_is(p, TOK_NAME)) {
        parse_fail(p, p->tok->pos, "expected name or number");
    }
    return node_attribute(p, N_GETATTR, pos, object, p->tok++->text);
}

static struct node *parse_subscript(struct parser *p, struct node *object)
{
    const struct token *tok = p->tok++;
    struct node_builder items = { 0 };
    struct node *key;

    if (tok->type == TOK_DOT) {
        return parse_attribute(p, object, tok->pos);
    }
    while (!tok_is(p, TOK_RBRACKET)) {
        if (items.n > 0) {
            tok_expect(p, TOK_COMMA);
        }
        parse_add(p, &items, parse_subscribed(p));
    }
    tok_expect(p, TOK_RBRACKET);
    key = items.n == 1 ? items.items[0] : parse_node_list(p, N_TUPLE, tok->pos, &items);
    if (key->kind == N_CONST && key->constant.type == V_STR) {
        return node_attribute(p, N_GETITEM_STR, tok->pos, object, value_str(key->constant));
    }
    return parse_node2(p, N_GETITEM, tok->pos, object, key);
}

// ---- calls ---------------------------------------------------------------------------------------------------------

static void add_keyword(struct parser *p, struct call_args *args, uint32_t *cap)
{
    struct str name = p->tok->text;

    for (uint32_t i = 0; i < args->n_keywords; i++) {
        if (str_eq(args->keywords[i].name, name)) {
            parse_fail(p, p->tok->pos, "keyword argument repeated: %.*s", STR_ARG(name));
        }
    }
    if (args->n_keywords == *cap) {
        uint32_t grown = *cap == 0 ? 4 : *cap * 2;
        struct keyword *keywords = parse_alloc(p, grown * sizeof(*keywords));

        if (args->n_keywords > 0) {
            memcpy(keywords, args->keywords, args->n_keywords * sizeof(*keywords));
        }
        args->keywords = keywords;
        *cap = grown;
    }
    p->tok += 2;
    args->keywords[args->n_keywords++] = (struct keyword){ name, parse_expression(p) };
}

static void parse_argument(struct parser *p, struct call_args *args, struct node_builder *positional,
                           uint32_t *keyword_cap)
{
    const struct token *tok = p->tok;
    bool is_ok;

    if (tok_skip(p, TOK_MUL)) {
        is_ok = args->dyn_args == NULL && args->dyn_keywords == NULL;
        args->dyn_args = parse_expression(p);
    } else if (tok_skip(p, TOK_POW)) {
        is_ok = args->dyn_keywords == NULL;
        args->dyn_keywords = parse_expression(p);
    } else if (tok->type == TOK_NAME && tok[1].type == TOK_ASSIGN) {
        is_ok = args->dyn_keywords == NULL;
        add_keyword(p, args, keyword_cap);
    } else {
        is_ok = args->dyn_args == NULL && args->dyn_keywords == NULL && args->n_keywords == 0;
        parse_add(p, positional, parse_expression(p));
    }
    if (!is_ok) {
        parse_fail(p, tok->pos, "invalid syntax for function call expression");
    }
}

static struct call_args parse_call_args(struct parser *p)
{
    struct call_args args = { 0 };
    struct node_builder positional = { 0 };
    uint32_t keyword_cap = 0;
    bool is_first = true;

    tok_expect(p, TOK_LPAREN);
    while (!tok_is(p, TOK_RPAREN)) {
        if (!is_first) {
            tok_expect(p, TOK_COMMA);
            if (tok_is(p, TOK_RPAREN)) {
                break;
            }
        }
        is_first = false;
        parse_argument(p, &args, &positional, &keyword_cap);
    }
    tok_expect(p, TOK_RPAREN);
    args.args = parse_list_end(p, &positional);
    return args;
}

static void set_args_depth(struct parser *p, struct node *node, const struct call_args *args)
{
    for (uint32_t i = 0; i < args->args.n; i++) {
        parse_set_depth(p, node, args->args.items[i]);
    }
    for (uint32_t i = 0; i < args->n_keywords; i++) {
        parse_set_depth(p, node, args->keywords[i].value);
    }
    if (args->dyn_args != NULL) {
        parse_set_depth(p, node, args->dyn_args);
    }
    if (args->dyn_keywords != NULL) {
        parse_set_depth(p, node, args->dyn_keywords);
    }
}

static struct node *parse_call(struct parser *p, struct node *callee)
{
    struct node *node = parse_node(p, N_CALL, p->tok->pos);

    node->call = parse_alloc(p, sizeof(*node->call));
    node->call->callee = callee;
    node->call->args = parse_call_args(p);
    parse_set_depth(p, node, callee);
    set_args_depth(p, node, &node->call->args);
    return node;
}

static struct node *parse_postfix(struct parser *p, struct node *node)
{
    for (;;) {
        if (tok_is(p, TOK_DOT) || tok_is(p, TOK_LBRACKET)) {
            node = parse_subscript(p, node);
        } else if (tok_is(p, TOK_LPAREN)) {
            node = parse_call(p, node);
        } else {
            return node;
        }
    }
}

// ---- filters and tests ---------------------------------------------------------------------------------------------

// A name of filters and tests may have dots.
static struct str parse_dotted_name(struct parser *p)
{
    struct str name = tok_expect_name(p);

    while (tok_skip(p, TOK_DOT)) {
        name = arena_printf(p->arena, "%.*s.%.*s", STR_ARG(name), STR_ARG(p->tok->text));
        tok_expect_name(p);
        if (name.ptr == NULL) {
            parse_fail_code(p, -ENOMEM, p->tok->pos, "out of memory");
        }
    }
    return name;
}

static struct node *parse_one_filter(struct parser *p, struct node *input)
{
    struct node *node = parse_node(p, N_FILTER, p->tok->pos);

    node->filter = parse_alloc(p, sizeof(*node->filter));
    node->filter->input = input;
    node->filter->name = parse_dotted_name(p);
    node->filter->filter = filter_find(node->filter->name);
    if (tok_is(p, TOK_LPAREN)) {
        node->filter->args = parse_call_args(p);
    }
    if (input != NULL) {
        parse_set_depth(p, node, input);
    }
    set_args_depth(p, node, &node->filter->args);
    return node;
}

struct node *parse_filters(struct parser *p, struct node *input, bool inline_first)
{
    if (inline_first) {
        input = parse_one_filter(p, input);
    }
    while (tok_skip(p, TOK_PIPE)) {
        input = parse_one_filter(p, input);
    }
    return input;
}

static bool starts_test_argument(const struct parser *p)
{
    switch (p->tok->type) {
    case TOK_NAME: return !tok_is_name(p->tok, "else") && !tok_is_name(p->tok, "or") && !tok_is_name(p->tok, "and");
    case TOK_STRING:
    case TOK_INTEGER:
    case TOK_FLOAT:
    case TOK_LBRACKET:
    case TOK_LBRACE: return true;
    default: return false;
    }
}

static struct node *parse_test(struct parser *p, struct node *input)
{
    uint32_t pos = p->tok++->pos;
    bool is_negated = tok_skip_name(p, "not");
    struct node *node = parse_node(p, N_TEST, pos);
    struct node_builder args = { 0 };

    node->test = parse_alloc(p, sizeof(*node->test));
    node->test->input = input;
    node->test->name = parse_dotted_name(p);
    node->test->test = test_find(node->test->name);
    if (tok_is(p, TOK_LPAREN)) {
        node->test->args = parse_call_args(p);
    } else if (starts_test_argument(p)) {
        if (tok_is_name(p->tok, "is")) {
            parse_fail(p, p->tok->pos, "You cannot chain multiple tests with is");
        }
        parse_add(p, &args, parse_postfix(p, parse_primary(p, false)));
        node->test->args.args = parse_list_end(p, &args);
    }
    parse_set_depth(p, node, input);
    set_args_depth(p, node, &node->test->args);
    return is_negated ? parse_node2(p, N_NOT, pos, node, NULL) : node;
}

static struct node *parse_filter_expr(struct parser *p, struct node *node)
{
    for (;;) {
        if (tok_is(p, TOK_PIPE)) {
            node = parse_filters(p, node, false);
        } else if (tok_is_name(p->tok, "is")) {
            node = parse_test(p, node);
        } else if (tok_is(p, TOK_LPAREN)) {
            node = parse_call(p, node);
        } else {
            return node;
        }
    }
}

// ---- all together --------------------------------------------------------------------------------------------------

struct node *parse_unary(struct parser *p, bool with_filter)
{
    const struct token *tok = p->tok;
    struct node *node;

    if (tok->type == TOK_SUB || tok->type == TOK_ADD) {
        p->tok++;
        parse_enter(p);
        node = parse_node2(p, tok->type == TOK_SUB ? N_NEG : N_POS, tok->pos, parse_unary(p, false), NULL);
        parse_leave(p);
    } else {
        node = parse_primary(p, false);
    }
    node = parse_postfix(p, node);
    return with_filter ? parse_filter_expr(p, node) : node;
}
