// A walk in the order in which the template is written, into all scopes.
#include "engine/text/jinja/name_search.h"

struct name_search {
    struct str name;
    bool is_found, is_declared, is_stored;
};

static void search_body(struct name_search *s, const struct node_list *body);

static void search_macro(struct name_search *s, const struct macro_def *def);

static void search_node(void *ctx, struct node *node)
{
    struct name_search *s = ctx;

    if (node->kind == N_NAME && str_eq(node->name->name, s->name)) {
        s->is_stored |= node->name->is_store;
        if (node->name->is_store) {
            s->is_declared = true;
        } else if (!s->is_declared) {
            s->is_found = true;
        }
    }
    ast_visit_children(node, search_node, s);
    switch ((enum node_kind)node->kind) {
    case N_IF:
        for (uint32_t i = 0; i < node->branch->n; i++) {
            ast_visit(node->branch->branches[i].test, search_node, s);
            search_body(s, &node->branch->branches[i].body);
        }
        break;
    case N_FOR:
        search_node(s, node->loop->target);
        search_node(s, node->loop->iter);
        search_body(s, &node->loop->body);
        search_body(s, &node->loop->else_body);
        ast_visit(node->loop->test, search_node, s);
        break;
    case N_SET:
        search_node(s, node->set->target);
        search_node(s, node->set->value);
        break;
    case N_SET_BLOCK:
        search_node(s, node->set->target);
        ast_visit(node->set->filter_chain, search_node, s);
        search_body(s, &node->set->body);
        break;
    case N_MACRO: search_macro(s, node->macro); break;
    case N_CALL_BLOCK:
        search_node(s, node->call_block->call);
        search_macro(s, node->call_block->body);
        break;
    case N_FILTER_BLOCK:
    case N_SCOPE:
        for (uint32_t i = 0; i < node->scope->n_targets; i++) {
            search_node(s, node->scope->targets[i]);
            search_node(s, node->scope->values[i]);
        }
        search_body(s, &node->scope->body);
        ast_visit(node->scope->filter_chain, search_node, s);
        break;
    default: break;
    }
}

static void search_body(struct name_search *s, const struct node_list *body)
{
    ast_visit_list(body, search_node, s);
}

static void search_macro(struct name_search *s, const struct macro_def *def)
{
    for (uint32_t i = 0; i < def->n_params; i++) {
        search_node(s, def->params[i]);
    }
    for (uint32_t i = 0; i < def->n_defaults; i++) {
        search_node(s, def->defaults[i]);
    }
    search_body(s, &def->body);
}

bool name_is_used(const struct node_list *body, struct str name)
{
    struct name_search s = { .name = name };

    search_body(&s, body);
    return s.is_found;
}

bool name_is_stored(struct node *node, struct str name)
{
    struct name_search s = { .name = name };

    search_node(&s, node);
    return s.is_stored;
}
