// Names to slots: which variable a name means is decided once, while the template is compiled, by Jinja's rules of
// scope.
//
// A scope is the template, a macro's or call block's body, a loop's body (or else part, or filter), a set block, filter
// block or `with`. Each scope has its own slots; entering it loads them:
//
//   first seen as a load, unknown outside         -> from the context (LOAD_GLOBAL)
//   first seen as a store, unknown outside        -> unset (LOAD_UNDEFINED)
//   stored, known in an outer scope               -> a copy of the outer value (LOAD_ALIAS): the store does not reach
//                                                    outwards
//   stored only in branches of an `if`            -> a copy, or from the context
//   parameters, loop targets                      -> set by whoever enters (LOAD_PARAM)
//
// This follows jinja2's idtracking, since templates depend on its fine print (a set inside a loop ends with the
// iteration).
#include "engine/text/jinja/scope.h"

#include "engine/text/jinja/call.h"

#include <errno.h>
#include <string.h>

#define SCOPE_NAMES_MAX 4000 // look-ups are linear; a template has some dozens

// ---- symbols of one scope ------------------------------------------------------------------------------------------

static struct symbol *find_own(const struct scope *scope, struct str name)
{
    for (uint32_t i = 0; i < scope->n; i++) {
        if (str_eq(scope->symbols[i].name, name)) {
            return &scope->symbols[i];
        }
    }
    return NULL;
}

static struct symbol *scope_find(const struct scope *scope, struct str name, const struct scope **ret_scope)
{
    for (; scope != NULL; scope = scope->outer) {
        struct symbol *symbol = find_own(scope, name);

        if (symbol != NULL) {
            *ret_scope = scope;
            return symbol;
        }
    }
    return NULL;
}

static bool scope_knows(const struct scope *scope, struct str name)
{
    const struct scope *unused;

    return scope_find(scope, name, &unused) != NULL;
}

static struct symbol *define(struct resolver *rs, struct scope *scope, struct str name, enum load_kind load)
{
    struct symbol *symbol = find_own(scope, name);

    if (symbol != NULL) {
        symbol->load = load;
        return symbol;
    }
    if (scope->n == SCOPE_NAMES_MAX) {
        resolve_fail(rs, -E2BIG, 0, "too many variables, at ", name);
    }
    if (scope->n == scope->cap) {
        uint32_t cap = scope->cap == 0 ? 16 : scope->cap * 2;
        struct symbol *grown = resolve_alloc(rs, cap, sizeof(*grown));

        if (scope->n > 0) {
            memcpy(grown, scope->symbols, scope->n * sizeof(*grown));
        }
        scope->symbols = grown;
        scope->cap = cap;
    }
    scope->symbols[scope->n] = (struct symbol){ .name = name, .load = load };
    return &scope->symbols[scope->n++];
}

static void note_load(struct resolver *rs, struct scope *scope, struct str name)
{
    if (!scope_knows(scope, name)) {
        define(rs, scope, name, LOAD_GLOBAL);
    }
}

static void note_store(struct resolver *rs, struct scope *scope, struct str name)
{
    struct symbol *symbol = find_own(scope, name);

    if (symbol == NULL) {
        symbol = define(rs, scope, name, scope_knows(scope->outer, name) ? LOAD_ALIAS : LOAD_UNDEFINED);
    }
    symbol->is_stored = true;
}

void scope_note_param(struct resolver *rs, struct scope *scope, struct str name)
{
    define(rs, scope, name, LOAD_PARAM)->is_stored = true;
}

void scope_note_targets(struct resolver *rs, struct scope *scope, const struct node *target)
{
    if (target->kind == N_NAME) {
        scope_note_param(rs, scope, target->name->name);
    } else if (target->kind == N_TUPLE) {
        for (uint32_t i = 0; i < target->list.n; i++) {
            scope_note_targets(rs, scope, target->list.items[i]);
        }
    }
}

// ---- what brings them -----------------------------------------------------------------------------------------------

struct analysis {
    struct resolver *rs;
    struct scope *scope;
};

static void analyze_expr(void *ctx, struct node *node)
{
    struct analysis *a = ctx;

    if (node->kind == N_NAME) {
        if (node->name->is_store) {
            note_store(a->rs, a->scope, node->name->name);
        } else {
            note_load(a->rs, a->scope, node->name->name);
        }
    } else if (node->kind == N_NSREF) {
        note_load(a->rs, a->scope, node->ns->name);
    }
    ast_visit_children(node, analyze_expr, a);
}

void scope_analyze_expr(struct resolver *rs, struct scope *scope, struct node *node)
{
    struct analysis a = { rs, scope };

    analyze_expr(&a, node);
}

// What a branch added to the scope (symbols from n0 on, stores to older ones) is moved aside into `extra`.
static void end_branch(struct resolver *rs, struct scope *scope, uint32_t n0, const bool *was_stored,
                       struct scope *extra)
{
    for (uint32_t i = 0; i < n0; i++) {
        if (scope->symbols[i].is_stored && !was_stored[i]) {
            scope->symbols[i].is_stored_in_branch = true;
            scope->symbols[i].is_stored = false;
        }
    }
    for (uint32_t i = n0; i < scope->n; i++) {
        struct symbol *symbol = define(rs, extra, scope->symbols[i].name, scope->symbols[i].load);

        symbol->is_stored |= scope->symbols[i].is_stored;
    }
    scope->n = n0;
}

static void merge_branches(struct resolver *rs, struct scope *scope, uint32_t n0, const struct scope *extra)
{
    for (uint32_t i = 0; i < n0; i++) {
        struct symbol *symbol = &scope->symbols[i];

        if (symbol->is_stored_in_branch) {
            symbol->is_stored_in_branch = false;
            symbol->is_stored = true;
            symbol->load = scope_knows(scope->outer, symbol->name) ? LOAD_ALIAS : LOAD_GLOBAL;
        }
    }
    for (uint32_t i = 0; i < extra->n; i++) {
        struct symbol *from = &extra->symbols[i];
        struct symbol *symbol = define(rs, scope, from->name, from->load);

        if (from->is_stored) {
            symbol->is_stored = true;
            symbol->load = scope_knows(scope->outer, symbol->name) ? LOAD_ALIAS : LOAD_GLOBAL;
        }
    }
}

static void analyze_if(struct resolver *rs, struct scope *scope, const struct if_stmt *stmt)
{
    struct analysis a = { rs, scope };
    struct scope extra = { 0 };
    uint32_t n0;
    bool *was_stored;

    ast_visit(stmt->branches[0].test, analyze_expr, &a);
    n0 = scope->n;
    was_stored = resolve_alloc(rs, n0 + 1, sizeof(bool));
    for (uint32_t i = 0; i < n0; i++) {
        was_stored[i] = scope->symbols[i].is_stored;
    }
    for (uint32_t i = 0; i < stmt->n; i++) {
        if (i > 0 && stmt->branches[i].test != NULL) {
            ast_visit(stmt->branches[i].test, analyze_expr, &a);
        }
        scope_analyze_body(rs, scope, &stmt->branches[i].body);
        end_branch(rs, scope, n0, was_stored, &extra);
    }
    merge_branches(rs, scope, n0, &extra);
}

// Symbols that a statement brings into the scope it stands in; scopes inside it are analysed on their own.
static void analyze_statement(struct resolver *rs, struct scope *scope, struct node *node)
{
    struct analysis a = { rs, scope };

    switch ((enum node_kind)node->kind) {
    case N_IF: analyze_if(rs, scope, node->branch); break;
    case N_FOR: analyze_expr(&a, node->loop->iter); break;
    case N_SET:
        analyze_expr(&a, node->set->value);
        analyze_expr(&a, node->set->target);
        break;
    case N_SET_BLOCK: analyze_expr(&a, node->set->target); break;
    case N_MACRO: note_store(rs, scope, node->macro->target_name); break;
    case N_CALL_BLOCK: analyze_expr(&a, node->call_block->call); break;
    case N_FILTER_BLOCK: analyze_expr(&a, node->scope->filter_chain); break;
    case N_SCOPE:
        for (uint32_t i = 0; i < node->scope->n_targets; i++) {
            analyze_expr(&a, node->scope->values[i]);
        }
        break;
    default: ast_visit_children(node, analyze_expr, &a); break;
    }
}

void scope_analyze_body(struct resolver *rs, struct scope *scope, const struct node_list *body)
{
    for (uint32_t i = 0; i < body->n; i++) {
        analyze_statement(rs, scope, body->items[i]);
    }
}

// ---- slots ---------------------------------------------------------------------------------------------------------

static uint32_t global_index(struct resolver *rs, struct str name)
{
    struct jinja_template *tmpl = rs->tmpl;

    for (uint32_t i = 0; i < tmpl->n_globals; i++) {
        if (str_eq(tmpl->globals[i].name, name)) {
            return i;
        }
    }
    if (tmpl->n_globals == rs->globals_cap) {
        uint32_t cap = rs->globals_cap == 0 ? 16 : rs->globals_cap * 2;
        struct global_name *grown = resolve_alloc(rs, cap, sizeof(*grown));

        if (tmpl->n_globals > 0) {
            memcpy(grown, tmpl->globals, tmpl->n_globals * sizeof(*grown));
        }
        tmpl->globals = grown;
        rs->globals_cap = cap;
    }
    if (tmpl->n_globals == SCOPE_NAMES_MAX) {
        resolve_fail(rs, -E2BIG, 0, "too many variables, at ", name);
    }
    tmpl->globals[tmpl->n_globals] = (struct global_name){ name, function_find(name) };
    return tmpl->n_globals++;
}

struct slot_ref scope_ref(struct resolver *rs, const struct scope *from, struct str name, uint32_t pos)
{
    const struct scope *owner = NULL;
    struct symbol *symbol = scope_find(from, name, &owner);
    struct slot_ref ref = { 0, 0 };

    if (symbol == NULL) {
        // The analysis has seen every name, save those in the filters of a set block, which Jinja forgets about.
        resolve_fail(rs, -EINVAL, pos, "a set block's filter uses a name that is not known here: ", name);
    }
    ref.slot = symbol->slot;
    for (const struct func *f = from->func; f != owner->func; f = f->outer) {
        ref.hops++;
    }
    return ref;
}

void scope_finish(struct resolver *rs, struct scope *scope, struct scope_entry *ret)
{
    ret->loads = resolve_alloc(rs, scope->n + 1, sizeof(*ret->loads));
    ret->n_loads = 0;
    for (uint32_t i = 0; i < scope->n; i++) {
        struct symbol *symbol = &scope->symbols[i];
        struct scope_load load = { .kind = symbol->load };

        symbol->slot = load.slot = scope->func->info->n_slots++;
        if (load.kind == LOAD_PARAM) {
            continue;
        }
        if (load.kind == LOAD_ALIAS) {
            const struct scope outer = { .outer = scope->outer, .func = scope->func };

            load.alias = scope_ref(rs, &outer, symbol->name, 0);
        } else if (load.kind == LOAD_GLOBAL) {
            load.global = global_index(rs, symbol->name);
        }
        ret->loads[ret->n_loads++] = load;
    }
}
