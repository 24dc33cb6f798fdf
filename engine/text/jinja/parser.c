// What all parts of the parser stand on: errors, nodes, lists of them, and tokens.
#include "engine/text/jinja/parser.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PARSE_DEPTH_MAX 100

static void fail_v(struct parser *p, int code, uint32_t pos, const char *fmt, va_list args)
{
    char words[200];
    unsigned line, column;

    vsnprintf(words, sizeof(words), fmt, args);
    lex_position(p->source, pos, &line, &column);
    p->error_code = err_set(p->err, code, "line %u, column %u: %s", line, column, words);
}

_Noreturn void parse_fail(struct parser *p, uint32_t pos, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fail_v(p, -EINVAL, pos, fmt, args);
    va_end(args);
    longjmp(p->on_error, 1);
}

_Noreturn void parse_fail_code(struct parser *p, int code, uint32_t pos, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fail_v(p, code, pos, fmt, args);
    va_end(args);
    longjmp(p->on_error, 1);
}

void *parse_alloc(struct parser *p, size_t size)
{
    void *ptr = arena_alloc(p->arena, size);

    if (ptr == NULL) {
        parse_fail_code(p, -ENOMEM, p->tok->pos, "out of memory");
    }
    return ptr;
}

struct node *parse_node(struct parser *p, enum node_kind kind, uint32_t pos)
{
    struct node *node = parse_alloc(p, sizeof(*node));

    node->kind = (uint8_t)kind;
    node->pos = pos;
    node->depth = 1;
    return node;
}

void parse_set_depth(struct parser *p, struct node *node, const struct node *child)
{
    if (child->depth >= node->depth) {
        node->depth = (uint16_t)(child->depth + 1);
    }
    if (node->depth > AST_DEPTH_MAX) {
        parse_fail(p, node->pos, "nested too deeply");
    }
}

void parse_enter(struct parser *p)
{
    if (++p->depth > PARSE_DEPTH_MAX) {
        parse_fail(p, p->tok->pos, "nested too deeply");
    }
}

void parse_leave(struct parser *p)
{
    p->depth--;
}

void parse_add(struct parser *p, struct node_builder *list, struct node *node)
{
    if (list->n == list->cap) {
        uint32_t cap = list->cap == 0 ? 4 : list->cap * 2;
        struct node **items = parse_alloc(p, cap * sizeof(struct node *));

        if (list->n > 0) {
            memcpy(items, list->items, list->n * sizeof(struct node *));
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->n++] = node;
}

struct node_list parse_list_end(struct parser *p, const struct node_builder *list)
{
    (void)p;
    return (struct node_list){ list->items, list->n };
}

bool tok_is_name(const struct token *tok, const char *name)
{
    return tok->type == TOK_NAME && str_eq(tok->text, str_from(name));
}

struct str tok_describe(const struct token *tok)
{
    return tok->type == TOK_NAME ? tok->text : str_from(token_type_name(tok->type));
}

void tok_expect(struct parser *p, enum token_type type)
{
    if (p->tok->type == type) {
        p->tok++;
        return;
    }
    if (p->tok->type == TOK_EOF) {
        parse_fail(p, p->tok->pos, "unexpected end of template, expected '%s'.", token_type_name(type));
    }
    parse_fail(p, p->tok->pos, "expected token '%s', got '%.*s'", token_type_name(type), STR_ARG(tok_describe(p->tok)));
}

bool tok_skip(struct parser *p, enum token_type type)
{
    if (p->tok->type != type) {
        return false;
    }
    p->tok++;
    return true;
}

bool tok_skip_name(struct parser *p, const char *name)
{
    if (!tok_is_name(p->tok, name)) {
        return false;
    }
    p->tok++;
    return true;
}

struct str tok_expect_name(struct parser *p)
{
    struct str name = p->tok->text;

    tok_expect(p, TOK_NAME);
    return name;
}
