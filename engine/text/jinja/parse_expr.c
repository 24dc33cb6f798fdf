// Expressions: Jinja's grammar, precedence and all, into trees.
//
//   cond > or > and > not > comparison > + - > ~ > * / // % > ** > unary > postfix and filters
//
// Chains of + become one n-ary node: templates build their text with them, and a long chain must not nest deeply.
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/parser.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct node *parse_or(struct parser *p);
static struct node *parse_unary(struct parser *p, bool with_filter);
static struct node *parse_primary(struct parser *p, bool with_namespace);

static struct node *node2(struct parser *p, enum node_kind kind, uint32_t pos, struct node *a, struct node *b)
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

static struct node *node_list(struct parser *p, enum node_kind kind, uint32_t pos, const struct node_builder *items)
{
    struct node *node = parse_node(p, kind, pos);

    node->list = parse_list_end(p, items);
    for (uint32_t i = 0; i < items->n; i++) {
        parse_set_depth(p, node, items->items[i]);
    }
    return node;
}

static struct node *node_const(struct parser *p, uint32_t pos, struct value v)
{
    struct node *node = parse_node(p, N_CONST, pos);

    node->constant = v;
    return node;
}

// ---- operators ------------------------------------------------------------------------------------------------------

static struct node *parse_pow(struct parser *p)
{
    struct node *left = parse_unary(p, true);

    while (tok_is(p, TOK_POW)) {
        uint32_t pos = p->tok->pos;

        p->tok++;
        left = node2(p, N_BINARY, pos, left, parse_unary(p, true));
        left->op = TOK_POW;
    }
    return left;
}

static struct node *parse_product(struct parser *p)
{
    struct node *left = parse_pow(p);

    while (tok_is(p, TOK_MUL) || tok_is(p, TOK_DIV) || tok_is(p, TOK_FLOORDIV) || tok_is(p, TOK_MOD)) {
        const struct token *op = p->tok++;

        left = node2(p, N_BINARY, op->pos, left, parse_pow(p));
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
    return node_list(p, N_CONCAT, pos, &items);
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
            left = node2(p, N_BINARY, op_pos, left, parse_concat(p));
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
        left = node_list(p, N_ADD, pos, &items);
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
    node = node2(p, N_NOT, pos, parse_not(p), NULL);
    parse_leave(p);
    return node;
}

static struct node *parse_and(struct parser *p)
{
    struct node *left = parse_not(p);

    while (tok_is_name(p->tok, "and")) {
        uint32_t pos = p->tok->pos;

        p->tok++;
        left = node2(p, N_AND, pos, left, parse_not(p));
    }
    return left;
}

static struct node *parse_or(struct parser *p)
{
    struct node *left = parse_and(p);

    while (tok_is_name(p->tok, "or")) {
        uint32_t pos = p->tok->pos;

        p->tok++;
        left = node2(p, N_OR, pos, left, parse_and(p));
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
        struct node *node = node2(p, N_COND, pos, test, value);

        node->c = otherwise;
        if (otherwise != NULL) {
            parse_set_depth(p, node, otherwise);
        }
        value = node;
    }
    parse_leave(p);
    return value;
}

// ---- literals
// ---------------------------------------------------------------------------------------------------------

static struct node *parse_number(struct parser *p)
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
    return node_list(p, N_LIST, pos, &items);
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
    return node_list(p, N_DICT, pos, &items);
}

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
    return node_list(p, N_TUPLE, pos, &items);
}

struct node *parse_tuple(struct parser *p, bool with_cond, enum tuple_end end, bool parenthesised)
{
    return parse_tuple_of(p, with_cond ? ITEMS_EXPRESSION : ITEMS_NO_COND, end, parenthesised);
}

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

static struct node *parse_primary(struct parser *p, bool with_namespace)
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

// ---- postfix: subscripts, calls, filters, tests
// -------------------------------------------------------------------------

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
        return node2(p, N_GETITEM, pos, object, parse_number(p));
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
    key = items.n == 1 ? items.items[0] : node_list(p, N_TUPLE, tok->pos, &items);
    if (key->kind == N_CONST && key->constant.type == V_STR) {
        return node_attribute(p, N_GETITEM_STR, tok->pos, object, value_str(key->constant));
    }
    return node2(p, N_GETITEM, tok->pos, object, key);
}

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
    return is_negated ? node2(p, N_NOT, pos, node, NULL) : node;
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

static struct node *parse_unary(struct parser *p, bool with_filter)
{
    const struct token *tok = p->tok;
    struct node *node;

    if (tok->type == TOK_SUB || tok->type == TOK_ADD) {
        p->tok++;
        parse_enter(p);
        node = node2(p, tok->type == TOK_SUB ? N_NEG : N_POS, tok->pos, parse_unary(p, false), NULL);
        parse_leave(p);
    } else {
        node = parse_primary(p, false);
    }
    node = parse_postfix(p, node);
    return with_filter ? parse_filter_expr(p, node) : node;
}

// ---- targets of assignments
// -----------------------------------------------------------------------------------------------

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
