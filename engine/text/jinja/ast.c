// Walking expressions, for the passes over the tree.
#include "engine/text/jinja/ast.h"

void ast_visit(struct node *node, ast_visit_fn fn, void *ctx)
{
    if (node != NULL) {
        fn(ctx, node);
    }
}

void ast_visit_list(const struct node_list *list, ast_visit_fn fn, void *ctx)
{
    for (uint32_t i = 0; i < list->n; i++) {
        fn(ctx, list->items[i]);
    }
}

static void visit_args(const struct call_args *args, ast_visit_fn fn, void *ctx)
{
    ast_visit_list(&args->args, fn, ctx);
    for (uint32_t i = 0; i < args->n_keywords; i++) {
        fn(ctx, args->keywords[i].value);
    }
    ast_visit(args->dyn_args, fn, ctx);
    ast_visit(args->dyn_keywords, fn, ctx);
}

void ast_visit_children(struct node *node, ast_visit_fn fn, void *ctx)
{
    switch ((enum node_kind)node->kind) {
    case N_LIST:
    case N_TUPLE:
    case N_DICT:
    case N_ADD:
    case N_CONCAT: ast_visit_list(&node->list, fn, ctx); break;
    case N_BINARY:
    case N_NOT:
    case N_NEG:
    case N_POS:
    case N_AND:
    case N_OR:
    case N_COND:
    case N_GETITEM:
    case N_SLICE:
        ast_visit(node->a, fn, ctx);
        ast_visit(node->b, fn, ctx);
        ast_visit(node->c, fn, ctx);
        break;
    case N_OUTPUT: ast_visit(node->a, fn, ctx); break;
    case N_COMPARE:
        ast_visit(node->compare->first, fn, ctx);
        for (uint32_t i = 0; i < node->compare->n; i++) {
            fn(ctx, node->compare->items[i].expr);
        }
        break;
    case N_GETATTR:
    case N_GETITEM_STR: fn(ctx, node->attr->object); break;
    case N_CALL:
        fn(ctx, node->call->callee);
        visit_args(&node->call->args, fn, ctx);
        break;
    case N_FILTER:
        ast_visit(node->filter->input, fn, ctx);
        visit_args(&node->filter->args, fn, ctx);
        break;
    case N_TEST:
        fn(ctx, node->test->input);
        visit_args(&node->test->args, fn, ctx);
        break;
    default: break;
    }
}
