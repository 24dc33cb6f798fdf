// Statements.
//
// Used by jinja_compile. Refuses unknown tags, missing end tags, nesting beyond PARSE_DEPTH_MAX (parser.c), and by name
// the constructs that a chat template has no use for (recursive loops, autoescape, blocks inside loops); templates that
// include others parse, as in Jinja, and fail when that statement runs.
#include "engine/text/jinja/parser.h"

#include <errno.h>
#include <string.h>

// ---- bodies --------------------------------------------------------------------------------------------------------

static struct node *parse_statement(struct parser *p);

static void add_text(struct parser *p, struct node_builder *body)
{
    struct node *node = parse_node(p, N_TEXT, p->tok->pos);

    node->text = p->tok++->text;
    parse_add(p, body, node);
}

static void add_output(struct parser *p, struct node_builder *body)
{
    struct node *node = parse_node(p, N_OUTPUT, p->tok->pos);

    p->tok++;
    node->a = parse_tuple(p, true, TUPLE_END_TAG, false);
    parse_set_depth(p, node, node->a);
    tok_expect(p, TOK_VAR_END);
    parse_add(p, body, node);
}

static bool at_end_tag(struct parser *p, const char *const *ends)
{
    for (; *ends != NULL; ends++) {
        if (tok_is_name(p->tok, *ends)) {
            return true;
        }
    }
    return false;
}

// Up to a tag whose name is one of `ends` (NULL-terminated); it is then the current token. Without ends: the whole
// template.
static struct node_list parse_body(struct parser *p, const char *const *ends)
{
    struct node_builder body = { 0 };
    uint32_t pos = p->tok->pos;

    parse_enter(p);
    while (!tok_is(p, TOK_EOF)) {
        struct node *node;

        if (tok_is(p, TOK_DATA)) {
            add_text(p, &body);
            continue;
        }
        if (tok_is(p, TOK_VAR_BEGIN)) {
            add_output(p, &body);
            continue;
        }
        tok_expect(p, TOK_BLOCK_BEGIN);
        if (ends != NULL && at_end_tag(p, ends)) {
            parse_leave(p);
            return parse_list_end(p, &body);
        }
        node = parse_statement(p);
        if (node != NULL) {
            parse_add(p, &body, node);
        }
        tok_expect(p, TOK_BLOCK_END);
    }
    if (ends != NULL) {
        parse_fail(p, pos, "Unexpected end of template: '%s' is missing for the block that begins here.", ends[0]);
    }
    parse_leave(p);
    return parse_list_end(p, &body);
}

static struct node_list parse_statements(struct parser *p, const char *const *ends)
{
    tok_skip(p, TOK_COLON);
    tok_expect(p, TOK_BLOCK_END);
    return parse_body(p, ends);
}

// The body up to its end tag, which is consumed.
static struct node_list parse_block_body(struct parser *p, const char *end)
{
    const char *const ends[] = { end, NULL };
    struct node_list body = parse_statements(p, ends);

    p->tok++;
    return body;
}

static void set_body_depth(struct parser *p, struct node *node, const struct node_list *body)
{
    for (uint32_t i = 0; i < body->n; i++) {
        parse_set_depth(p, node, body->items[i]);
    }
}

// ---- statements ----------------------------------------------------------------------------------------------------

static struct node *parse_for(struct parser *p)
{
    static const char *const ends[] = { "endfor", "else", NULL };
    struct node *node = parse_node(p, N_FOR, p->tok->pos);
    struct for_stmt *loop = parse_alloc(p, sizeof(*loop));
    const struct token *target_start;

    p->tok++;
    node->loop = loop;
    target_start = p->tok;
    loop->target = parse_target(p, TUPLE_END_IN, false);
    if (!tok_skip_name(p, "in")) {
        parse_fail(p, p->tok->pos, "expected token 'in', got '%.*s'", STR_ARG(tok_describe(p->tok)));
    }
    loop->iter = parse_tuple(p, false, TUPLE_END_RECURSIVE, false);
    if (tok_skip_name(p, "if")) {
        const struct token *after_if = p->tok;

        // The filter has its own scope, so its own copy of the target.
        p->tok = target_start;
        loop->test_target = parse_target(p, TUPLE_END_IN, false);
        p->tok = after_if;
        loop->test = parse_expression(p);
        parse_set_depth(p, node, loop->test);
    }
    if (tok_is_name(p->tok, "recursive")) {
        parse_fail_code(p, -EOPNOTSUPP, p->tok->pos, "recursive loops are not supported");
    }
    p->loop_depth++;
    loop->body = parse_statements(p, ends);
    p->loop_depth--;
    if (tok_skip_name(p, "else")) {
        loop->has_else = true;
        loop->else_body = parse_block_body(p, "endfor");
    } else {
        p->tok++;
    }
    parse_set_depth(p, node, loop->iter);
    set_body_depth(p, node, &loop->body);
    set_body_depth(p, node, &loop->else_body);
    return node;
}

static void add_branch(struct parser *p, struct if_stmt *stmt, uint32_t *cap, struct if_branch branch)
{
    if (stmt->n == *cap) {
        uint32_t grown = *cap == 0 ? 2 : *cap * 2;
        struct if_branch *branches = parse_alloc(p, grown * sizeof(*branches));

        if (stmt->n > 0) {
            memcpy(branches, stmt->branches, stmt->n * sizeof(*branches));
        }
        stmt->branches = branches;
        *cap = grown;
    }
    stmt->branches[stmt->n++] = branch;
}

static struct node *parse_if(struct parser *p)
{
    static const char *const ends[] = { "endif", "elif", "else", NULL };
    struct node *node = parse_node(p, N_IF, p->tok->pos);
    uint32_t cap = 0;
    bool is_else = false;

    node->branch = parse_alloc(p, sizeof(*node->branch));
    p->tok++;
    do {
        struct if_branch branch = { 0 };

        branch.test = parse_tuple(p, false, TUPLE_END_TAG, false);
        branch.body = parse_statements(p, ends);
        add_branch(p, node->branch, &cap, branch);
        parse_set_depth(p, node, branch.test);
        set_body_depth(p, node, &branch.body);
        is_else = tok_is_name(p->tok, "else");
    } while (tok_skip_name(p, "elif"));
    p->tok++;
    if (is_else) {
        struct if_branch branch = { .body = parse_block_body(p, "endif") };

        add_branch(p, node->branch, &cap, branch);
        set_body_depth(p, node, &branch.body);
    }
    return node;
}

static struct node *parse_set(struct parser *p)
{
    struct node *node = parse_node(p, N_SET, p->tok->pos);
    struct set_stmt *set = parse_alloc(p, sizeof(*set));

    p->tok++;
    node->set = set;
    set->target = parse_target(p, TUPLE_END_TAG, true);
    if (tok_skip(p, TOK_ASSIGN)) {
        set->value = parse_tuple(p, true, TUPLE_END_TAG, false);
        parse_set_depth(p, node, set->value);
        return node;
    }
    node->kind = N_SET_BLOCK;
    set->filter_chain = parse_filters(p, NULL, false);
    set->body = parse_block_body(p, "endset");
    if (set->filter_chain != NULL) {
        parse_set_depth(p, node, set->filter_chain);
    }
    set_body_depth(p, node, &set->body);
    return node;
}

static void parse_signature(struct parser *p, struct macro_def *def)
{
    struct node_builder params = { 0 }, defaults = { 0 };

    tok_expect(p, TOK_LPAREN);
    while (!tok_is(p, TOK_RPAREN)) {
        if (params.n > 0) {
            tok_expect(p, TOK_COMMA);
        }
        parse_add(p, &params, parse_target_name(p));
        if (tok_skip(p, TOK_ASSIGN)) {
            parse_add(p, &defaults, parse_expression(p));
        } else if (defaults.n > 0) {
            parse_fail(p, p->tok->pos, "non-default argument follows default argument");
        }
        for (uint32_t i = 0; i + 1 < params.n; i++) {
            if (str_eq(params.items[i]->name->name, params.items[params.n - 1]->name->name)) {
                parse_fail(p, params.items[params.n - 1]->pos, "duplicate argument '%.*s'",
                           STR_ARG(params.items[i]->name->name));
            }
        }
    }
    tok_expect(p, TOK_RPAREN);
    def->params = params.items;
    def->n_params = params.n;
    def->defaults = defaults.items;
    def->n_defaults = defaults.n;
}

// The body of a macro or call block: its own function, so no loop reaches into it.
static void parse_macro_body(struct parser *p, struct node *node, struct macro_def *def, const char *end)
{
    unsigned loop_depth = p->loop_depth;

    p->loop_depth = 0;
    def->body = parse_block_body(p, end);
    p->loop_depth = loop_depth;
    for (uint32_t i = 0; i < def->n_defaults; i++) {
        parse_set_depth(p, node, def->defaults[i]);
    }
    set_body_depth(p, node, &def->body);
    def->depth = node->depth;
}

static struct node *parse_macro(struct parser *p)
{
    struct node *node = parse_node(p, N_MACRO, p->tok->pos);

    p->tok++;
    node->macro = parse_alloc(p, sizeof(*node->macro));
    node->macro->name = parse_target_name(p)->name->name;
    node->macro->target_name = node->macro->name;
    parse_signature(p, node->macro);
    parse_macro_body(p, node, node->macro, "endmacro");
    return node;
}

static struct node *parse_call_block(struct parser *p)
{
    struct node *node = parse_node(p, N_CALL_BLOCK, p->tok->pos);

    p->tok++;
    node->call_block = parse_alloc(p, sizeof(*node->call_block));
    node->call_block->body = parse_alloc(p, sizeof(*node->call_block->body));
    if (tok_is(p, TOK_LPAREN)) {
        parse_signature(p, node->call_block->body);
    }
    node->call_block->call = parse_expression(p);
    if (node->call_block->call->kind != N_CALL) {
        parse_fail(p, node->pos, "expected call");
    }
    for (uint32_t i = 0; i < node->call_block->call->call->args.n_keywords; i++) {
        if (str_eq(node->call_block->call->call->args.keywords[i].name, STR("caller"))) {
            parse_fail(p, node->pos, "keyword argument repeated: caller");
        }
    }
    parse_set_depth(p, node, node->call_block->call);
    parse_macro_body(p, node, node->call_block->body, "endcall");
    return node;
}

static struct node *parse_filter_block(struct parser *p)
{
    struct node *node = parse_node(p, N_FILTER_BLOCK, p->tok->pos);

    p->tok++;
    node->scope = parse_alloc(p, sizeof(*node->scope));
    node->scope->filter_chain = parse_filters(p, NULL, true);
    node->scope->body = parse_block_body(p, "endfilter");
    parse_set_depth(p, node, node->scope->filter_chain);
    set_body_depth(p, node, &node->scope->body);
    return node;
}

static struct node *parse_with(struct parser *p)
{
    struct node *node = parse_node(p, N_SCOPE, p->tok->pos);
    struct node_builder targets = { 0 }, values = { 0 };

    p->tok++;
    node->scope = parse_alloc(p, sizeof(*node->scope));
    while (!tok_is(p, TOK_BLOCK_END)) {
        if (targets.n > 0) {
            tok_expect(p, TOK_COMMA);
        }
        parse_add(p, &targets, parse_target(p, TUPLE_END_TAG, false));
        tok_expect(p, TOK_ASSIGN);
        parse_add(p, &values, parse_expression(p));
        parse_set_depth(p, node, values.items[values.n - 1]);
    }
    node->scope->targets = targets.items;
    node->scope->values = values.items;
    node->scope->n_targets = targets.n;
    node->scope->body = parse_block_body(p, "endwith");
    set_body_depth(p, node, &node->scope->body);
    return node;
}

static struct node *parse_generation(struct parser *p)
{
    struct node *node = parse_node(p, N_SCOPE, p->tok->pos);
    unsigned loop_depth = p->loop_depth;

    p->tok++;
    p->loop_depth = 0; // transformers makes it a call block: a function of its own
    node->scope = parse_alloc(p, sizeof(*node->scope));
    node->scope->is_generation = true;
    node->scope->body = parse_block_body(p, "endgeneration");
    p->loop_depth = loop_depth;
    set_body_depth(p, node, &node->scope->body);
    return node;
}

// A block of a template that nothing extends is its body in a scope. Inside a loop it would not see the loop's
// variables.
static struct node *parse_block(struct parser *p)
{
    struct node *node = parse_node(p, N_SCOPE, p->tok->pos);
    struct str name;

    p->tok++;
    if (p->depth > 1) {
        parse_fail_code(p, -EOPNOTSUPP, node->pos, "a 'block' inside another statement is not supported");
    }
    name = tok_expect_name(p);
    tok_skip_name(p, "scoped");
    tok_skip_name(p, "required");
    node->scope = parse_alloc(p, sizeof(*node->scope));
    node->scope->is_block = true;
    node->scope->body = parse_block_body(p, "endblock");
    if (tok_is(p, TOK_NAME) && str_eq(p->tok->text, name)) {
        p->tok++;
    }
    set_body_depth(p, node, &node->scope->body);
    return node;
}

static struct node *parse_print(struct parser *p)
{
    struct node *node = parse_node(p, N_CONCAT, p->tok->pos), *output;
    struct node_builder items = { 0 };

    p->tok++;
    while (!tok_is(p, TOK_BLOCK_END)) {
        if (items.n > 0) {
            tok_expect(p, TOK_COMMA);
        }
        parse_add(p, &items, parse_expression(p));
        parse_set_depth(p, node, items.items[items.n - 1]);
    }
    node->list = parse_list_end(p, &items);
    node->op = CONCAT_PRINT;
    output = parse_node(p, N_OUTPUT, node->pos);
    output->a = node;
    parse_set_depth(p, output, node);
    return output;
}

static struct node *parse_loop_control(struct parser *p)
{
    struct node *node = parse_node(p, tok_is_name(p->tok, "break") ? N_BREAK : N_CONTINUE, p->tok->pos);

    if (p->loop_depth == 0) {
        parse_fail(p, node->pos, "'%.*s' outside loop", STR_ARG(p->tok->text));
    }
    p->tok++;
    return node;
}

// include, import, from, extends: they need other templates, and there are none.
static struct node *parse_foreign(struct parser *p)
{
    struct node *node = parse_node(p, N_FAIL, p->tok->pos);

    while (!tok_is(p, TOK_BLOCK_END) && !tok_is(p, TOK_EOF)) {
        p->tok++;
    }
    node->text = STR("no loader for this environment specified");
    return node;
}

static struct node *parse_autoescape(struct parser *p)
{
    parse_fail_code(p, -EOPNOTSUPP, p->tok->pos, "'autoescape' is not supported");
}

static const struct {
    const char *name;
    struct node *(*parse)(struct parser *p);
} statements[] = {
    { "for", parse_for },
    { "if", parse_if },
    { "set", parse_set },
    { "macro", parse_macro },
    { "call", parse_call_block },
    { "filter", parse_filter_block },
    { "with", parse_with },
    { "generation", parse_generation },
    { "block", parse_block },
    { "print", parse_print },
    { "break", parse_loop_control },
    { "continue", parse_loop_control },
    { "include", parse_foreign },
    { "import", parse_foreign },
    { "from", parse_foreign },
    { "extends", parse_foreign },
    { "autoescape", parse_autoescape },
};

static struct node *parse_statement(struct parser *p)
{
    if (!tok_is(p, TOK_NAME)) {
        parse_fail(p, p->tok->pos, "tag name expected");
    }
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        if (tok_is_name(p->tok, statements[i].name)) {
            return statements[i].parse(p);
        }
    }
    parse_fail(p, p->tok->pos, "Encountered unknown tag '%.*s'.", STR_ARG(p->tok->text));
}

int jinja_parse(struct arena *arena, struct str source, const struct token_list *tokens, struct node_list *ret,
                struct err *err)
{
    struct parser p = { .arena = arena, .source = source, .tok = tokens->items, .err = err };

    if (setjmp(p.on_error) != 0) {
        return p.error_code;
    }
    *ret = parse_body(&p, NULL);
    return 0;
}
