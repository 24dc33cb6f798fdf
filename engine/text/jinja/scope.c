// Names to slots: which variable a name means is decided here, once, by Jinja's rules of scope.
//
// A scope is the template, a macro's or call block's body, a loop's body (or else part, or filter), a set block, filter
// block or `with`. Each scope has its own slots; entering it loads them:
//
//   first seen as a load, unknown outside   -> from the context (LOAD_GLOBAL)
//   first seen as a store, unknown outside  -> unset (LOAD_UNDEFINED)
//   stored, known in an outer scope         -> a copy of the outer value (LOAD_ALIAS): the store does not reach
//   outwards stored only in branches of an `if`      -> a copy, or from the context parameters, loop targets -> set by
//   whoever enters (LOAD_PARAM)
//
// This follows jinja2's idtracking, since templates depend on its fine print (a set inside a loop ends with the
// iteration).
#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/call.h"
#include "engine/text/jinja/fold.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define SCOPE_NAMES_MAX 4000 // look-ups are linear; a template has some dozens

struct func {
    struct func *outer;
    struct function_info *info;
};

struct symbol {
    struct str name;
    enum load_kind load;
    uint32_t slot;
    bool is_stored, is_stored_in_branch;
};

struct scope {
    struct scope *outer;
    struct func *func;
    struct symbol *symbols;
    uint32_t n, cap;
};

struct resolver {
    struct jinja_template *tmpl;
    struct err *err;
    int error_code;
    struct folder folder;
    bool is_soft; // inside an if: an unknown filter only fails when it is reached
    uint32_t globals_cap;
    jmp_buf on_error;
};

static void resolve_body(struct resolver *rs, struct scope *scope, const struct node_list *body);
static void resolve_expr(struct resolver *rs, struct scope *scope, struct node *node);
static void analyze_body(struct resolver *rs, struct scope *scope, const struct node_list *body);

static _Noreturn void fail(struct resolver *rs, int code, uint32_t pos, const char *what, struct str name)
{
    unsigned line, column;

    lex_position(rs->tmpl->source, pos, &line, &column);
    rs->error_code = err_set(rs->err, code, "line %u, column %u: %s%.*s", line, column, what, STR_ARG(name));
    longjmp(rs->on_error, 1);
}

static void *alloc(struct resolver *rs, size_t n, size_t size)
{
    void *ptr = arena_alloc_array(&rs->tmpl->arena, n, size);

    if (ptr == NULL) {
        fail(rs, -ENOMEM, 0, "out of memory", STR(""));
    }
    return ptr;
}

// ---- is a name used undeclared?
// ---------------------------------------------------------------------------------------------

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

static bool uses_name(const struct node_list *body, const char *name)
{
    struct name_search s = { .name = str_from(name) };

    search_body(&s, body);
    return s.is_found;
}

// ---- symbols of one scope
// ------------------------------------------------------------------------------------------------

static struct symbol *find_own(const struct scope *scope, struct str name)
{
    for (uint32_t i = 0; i < scope->n; i++) {
        if (str_eq(scope->symbols[i].name, name)) {
            return &scope->symbols[i];
        }
    }
    return NULL;
}

static struct symbol *find_ref(const struct scope *scope, struct str name, const struct scope **ret_scope)
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

static bool is_known(const struct scope *scope, struct str name)
{
    const struct scope *unused;

    return find_ref(scope, name, &unused) != NULL;
}

static struct symbol *define(struct resolver *rs, struct scope *scope, struct str name, enum load_kind load)
{
    struct symbol *symbol = find_own(scope, name);

    if (symbol != NULL) {
        symbol->load = load;
        return symbol;
    }
    if (scope->n == SCOPE_NAMES_MAX) {
        fail(rs, -E2BIG, 0, "too many variables, at ", name);
    }
    if (scope->n == scope->cap) {
        uint32_t cap = scope->cap == 0 ? 16 : scope->cap * 2;
        struct symbol *grown = alloc(rs, cap, sizeof(*grown));

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
    if (!is_known(scope, name)) {
        define(rs, scope, name, LOAD_GLOBAL);
    }
}

static void note_store(struct resolver *rs, struct scope *scope, struct str name)
{
    struct symbol *symbol = find_own(scope, name);

    if (symbol == NULL) {
        symbol = define(rs, scope, name, is_known(scope->outer, name) ? LOAD_ALIAS : LOAD_UNDEFINED);
    }
    symbol->is_stored = true;
}

static void note_param(struct resolver *rs, struct scope *scope, struct str name)
{
    define(rs, scope, name, LOAD_PARAM)->is_stored = true;
}

static void note_target_params(struct resolver *rs, struct scope *scope, const struct node *target)
{
    if (target->kind == N_NAME) {
        note_param(rs, scope, target->name->name);
    } else if (target->kind == N_TUPLE) {
        for (uint32_t i = 0; i < target->list.n; i++) {
            note_target_params(rs, scope, target->list.items[i]);
        }
    }
}

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
            symbol->load = is_known(scope->outer, symbol->name) ? LOAD_ALIAS : LOAD_GLOBAL;
        }
    }
    for (uint32_t i = 0; i < extra->n; i++) {
        struct symbol *from = &extra->symbols[i];
        struct symbol *symbol = define(rs, scope, from->name, from->load);

        if (from->is_stored) {
            symbol->is_stored = true;
            symbol->load = is_known(scope->outer, symbol->name) ? LOAD_ALIAS : LOAD_GLOBAL;
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
    was_stored = alloc(rs, n0 + 1, sizeof(bool));
    for (uint32_t i = 0; i < n0; i++) {
        was_stored[i] = scope->symbols[i].is_stored;
    }
    for (uint32_t i = 0; i < stmt->n; i++) {
        if (i > 0 && stmt->branches[i].test != NULL) {
            ast_visit(stmt->branches[i].test, analyze_expr, &a);
        }
        analyze_body(rs, scope, &stmt->branches[i].body);
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

static void analyze_body(struct resolver *rs, struct scope *scope, const struct node_list *body)
{
    for (uint32_t i = 0; i < body->n; i++) {
        analyze_statement(rs, scope, body->items[i]);
    }
}

// ---- slots
// ------------------------------------------------------------------------------------------------------------------

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
        struct global_name *grown = alloc(rs, cap, sizeof(*grown));

        if (tmpl->n_globals > 0) {
            memcpy(grown, tmpl->globals, tmpl->n_globals * sizeof(*grown));
        }
        tmpl->globals = grown;
        rs->globals_cap = cap;
    }
    if (tmpl->n_globals == SCOPE_NAMES_MAX) {
        fail(rs, -E2BIG, 0, "too many variables, at ", name);
    }
    tmpl->globals[tmpl->n_globals] = (struct global_name){ name, function_find(name) };
    return tmpl->n_globals++;
}

static struct slot_ref ref_of(struct resolver *rs, const struct scope *from, struct str name, uint32_t pos)
{
    const struct scope *owner = NULL;
    struct symbol *symbol = find_ref(from, name, &owner);
    struct slot_ref ref = { 0, 0 };

    if (symbol == NULL) {
        // The analysis has seen every name, save those in the filters of a set block, which Jinja forgets about.
        fail(rs, -EINVAL, pos, "a set block's filter uses a name that is not known here: ", name);
    }
    ref.slot = symbol->slot;
    for (const struct func *f = from->func; f != owner->func; f = f->outer) {
        ref.hops++;
    }
    return ref;
}

// The scope is completely analysed: gives out slots and says how they are loaded.
static void finish_scope(struct resolver *rs, struct scope *scope, struct scope_entry *ret)
{
    ret->loads = alloc(rs, scope->n + 1, sizeof(*ret->loads));
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

            load.alias = ref_of(rs, &outer, symbol->name, 0);
        } else if (load.kind == LOAD_GLOBAL) {
            load.global = global_index(rs, symbol->name);
        }
        ret->loads[ret->n_loads++] = load;
    }
}

// ---- resolving
// ----------------------------------------------------------------------------------------------------------------

struct resolution {
    struct resolver *rs;
    struct scope *scope;
};

static void resolve_filter(struct resolver *rs, struct node *node)
{
    if (node->filter->filter == NULL && !rs->is_soft) {
        fail(rs, -EINVAL, node->pos, "No filter named ", node->filter->name);
    }
}

static void resolve_test(struct resolver *rs, struct node *node)
{
    if (node->test->test == NULL && !rs->is_soft) {
        fail(rs, -EINVAL, node->pos, "No test named ", node->test->name);
    }
}

// A slice is written where it stands, and Python takes one only as the whole subscript.
static void check_slices(struct resolver *rs, const struct node *tuple)
{
    for (uint32_t i = 0; i < tuple->list.n; i++) {
        if (tuple->list.items[i]->kind == N_SLICE) {
            fail(rs, -EINVAL, tuple->pos, "a slice can only be the whole subscript", STR(""));
        }
    }
}

static void resolve_node(struct resolver *rs, struct scope *scope, struct node *node);

static void resolve_visit(void *ctx, struct node *node)
{
    struct resolution *r = ctx;

    resolve_node(r->rs, r->scope, node);
}

static void resolve_node(struct resolver *rs, struct scope *scope, struct node *node)
{
    struct resolution r = { rs, scope };
    bool was_soft = rs->is_soft;

    switch ((enum node_kind)node->kind) {
    case N_NAME: node->name->ref = ref_of(rs, scope, node->name->name, node->pos); break;
    case N_NSREF: node->ns->ref = ref_of(rs, scope, node->ns->name, node->pos); break;
    case N_FILTER: resolve_filter(rs, node); break;
    case N_TEST: resolve_test(rs, node); break;
    case N_COND: rs->is_soft = true; break;
    case N_TUPLE: check_slices(rs, node); break;
    default: break;
    }
    ast_visit_children(node, resolve_visit, &r);
    rs->is_soft = was_soft;
}

static void check_folded(struct resolver *rs)
{
    if (rs->folder.unhashable != NULL) {
        fail(rs, -EINVAL, rs->folder.unhashable->pos, "a dict's key is not hashable", STR(""));
    }
}

// An expression as a statement has it: folded, then resolved.
static void resolve_expr(struct resolver *rs, struct scope *scope, struct node *node)
{
    fold_expr(&rs->folder, node);
    check_folded(rs);
    resolve_node(rs, scope, node);
}

static void resolve_output(struct resolver *rs, struct scope *scope, struct node *node)
{
    fold_output(&rs->folder, node);
    check_folded(rs);
    if (node->kind == N_OUTPUT) {
        resolve_node(rs, scope, node->a);
    }
}

// A scope inside `scope`, in the same frame.
static struct scope inner_scope(const struct scope *scope)
{
    return (struct scope){ .outer = (struct scope *)scope, .func = scope->func };
}

static void resolve_for(struct resolver *rs, struct scope *scope, struct node *node)
{
    struct for_stmt *loop = node->loop;
    struct name_search search = { .name = STR("loop") };
    struct scope body = inner_scope(scope), other = inner_scope(scope), test = inner_scope(scope);
    struct analysis a = { rs, &test };

    search_node(&search, node);
    if (search.is_stored) {
        fail(rs, -EINVAL, node->pos, "Can't assign to special loop variable in for-loop", STR(""));
    }
    resolve_expr(rs, scope, loop->iter);
    rs->is_soft = false; // a new frame, in Jinja's words
    loop->uses_loop = uses_name(&loop->body, "loop");
    if (loop->uses_loop) {
        note_param(rs, &body, STR("loop"));
    }
    note_target_params(rs, &body, loop->target);
    analyze_body(rs, &body, &loop->body);
    finish_scope(rs, &body, &loop->entry);
    if (loop->uses_loop) {
        loop->loop_slot = ref_of(rs, &body, STR("loop"), node->pos);
    }
    resolve_expr(rs, &body, loop->target);
    resolve_body(rs, &body, &loop->body);
    if (loop->test != NULL) {
        note_target_params(rs, &test, loop->test_target);
        analyze_expr(&a, loop->test);
        finish_scope(rs, &test, &loop->test_entry);
        resolve_expr(rs, &test, loop->test_target);
        resolve_expr(rs, &test, loop->test);
    }
    if (loop->has_else) {
        analyze_body(rs, &other, &loop->else_body);
        finish_scope(rs, &other, &loop->else_entry);
        resolve_body(rs, &other, &loop->else_body);
    }
}

static void note_special_params(struct resolver *rs, struct scope *scope, struct macro_def *def, uint32_t pos)
{
    bool has_kwargs = false, has_varargs = false;
    uint32_t caller = UINT32_MAX;

    for (uint32_t i = 0; i < def->n_params; i++) {
        has_kwargs |= str_eq(def->params[i]->name->name, STR("kwargs"));
        has_varargs |= str_eq(def->params[i]->name->name, STR("varargs"));
        if (str_eq(def->params[i]->name->name, STR("caller"))) {
            caller = i;
        }
    }
    def->has_explicit_caller = caller != UINT32_MAX;
    if (uses_name(&def->body, "caller")) {
        if (def->has_explicit_caller && caller < def->n_params - def->n_defaults) {
            fail(rs, -EINVAL, pos,
                 "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a "
                 "default.",
                 STR(""));
        }
        def->uses_caller = true;
        if (!def->has_explicit_caller) {
            note_param(rs, scope, STR("caller"));
        }
    }
    def->uses_kwargs = !has_kwargs && uses_name(&def->body, "kwargs");
    def->uses_varargs = !has_varargs && uses_name(&def->body, "varargs");
    if (def->uses_kwargs) {
        note_param(rs, scope, STR("kwargs"));
    }
    if (def->uses_varargs) {
        note_param(rs, scope, STR("varargs"));
    }
}

static void resolve_macro(struct resolver *rs, struct scope *outer, struct macro_def *def, uint32_t pos)
{
    struct func func = { outer->func, &def->function };
    struct scope scope = { .outer = outer, .func = &func };
    struct analysis a = { rs, &scope };
    bool was_soft = rs->is_soft;

    rs->is_soft = false;
    for (uint32_t i = 0; i < def->n_params; i++) {
        note_param(rs, &scope, def->params[i]->name->name);
    }
    for (uint32_t i = 0; i < def->n_defaults; i++) {
        analyze_expr(&a, def->defaults[i]);
    }
    note_special_params(rs, &scope, def, pos);
    analyze_body(rs, &scope, &def->body);
    finish_scope(rs, &scope, &def->entry);
    def->param_slots = alloc(rs, def->n_params + 1, sizeof(*def->param_slots));
    for (uint32_t i = 0; i < def->n_params; i++) {
        def->param_slots[i] = ref_of(rs, &scope, def->params[i]->name->name, pos);
    }
    for (uint32_t i = 0; i < def->n_defaults; i++) {
        resolve_expr(rs, &scope, def->defaults[i]);
    }
    if (def->uses_caller) {
        def->caller_slot = ref_of(rs, &scope, STR("caller"), pos);
    }
    if (def->uses_kwargs) {
        def->kwargs_slot = ref_of(rs, &scope, STR("kwargs"), pos);
    }
    if (def->uses_varargs) {
        def->varargs_slot = ref_of(rs, &scope, STR("varargs"), pos);
    }
    resolve_body(rs, &scope, &def->body);
    rs->is_soft = was_soft;
}

static void resolve_set_block(struct resolver *rs, struct scope *scope, struct set_stmt *set)
{
    struct scope inner = inner_scope(scope);

    rs->is_soft = false;
    analyze_body(rs, &inner, &set->body);
    finish_scope(rs, &inner, &set->entry);
    resolve_expr(rs, scope, set->target);
    if (set->filter_chain != NULL) {
        resolve_expr(rs, &inner, set->filter_chain);
    }
    resolve_body(rs, &inner, &set->body);
}

static void resolve_scope_stmt(struct resolver *rs, struct scope *scope, struct scope_stmt *stmt)
{
    struct scope inner = inner_scope(scope);
    struct analysis a = { rs, &inner };

    for (uint32_t i = 0; i < stmt->n_targets; i++) {
        resolve_expr(rs, scope, stmt->values[i]);
        note_target_params(rs, &inner, stmt->targets[i]);
    }
    rs->is_soft = false;
    if (stmt->filter_chain != NULL) {
        analyze_expr(&a, stmt->filter_chain);
    }
    analyze_body(rs, &inner, &stmt->body);
    finish_scope(rs, &inner, &stmt->entry);
    for (uint32_t i = 0; i < stmt->n_targets; i++) {
        resolve_expr(rs, &inner, stmt->targets[i]);
    }
    if (stmt->filter_chain != NULL) {
        resolve_expr(rs, &inner, stmt->filter_chain);
    }
    rs->tmpl->has_generation |= stmt->is_generation;
    resolve_body(rs, &inner, &stmt->body);
}

static void resolve_if(struct resolver *rs, struct scope *scope, const struct if_stmt *stmt)
{
    bool was_soft = rs->is_soft;

    rs->is_soft = true;
    for (uint32_t i = 0; i < stmt->n; i++) {
        if (stmt->branches[i].test != NULL) {
            resolve_expr(rs, scope, stmt->branches[i].test);
        }
        resolve_body(rs, scope, &stmt->branches[i].body);
    }
    rs->is_soft = was_soft;
}

static void resolve_statement(struct resolver *rs, struct scope *scope, struct node *node)
{
    bool was_soft = rs->is_soft;

    switch ((enum node_kind)node->kind) {
    case N_IF: resolve_if(rs, scope, node->branch); break;
    case N_FOR: resolve_for(rs, scope, node); break;
    case N_SET:
        resolve_expr(rs, scope, node->set->value);
        resolve_expr(rs, scope, node->set->target);
        break;
    case N_SET_BLOCK: resolve_set_block(rs, scope, node->set); break;
    case N_MACRO:
        node->macro->target = ref_of(rs, scope, node->macro->target_name, node->pos);
        resolve_macro(rs, scope, node->macro, node->pos);
        break;
    case N_CALL_BLOCK:
        resolve_expr(rs, scope, node->call_block->call);
        resolve_macro(rs, scope, node->call_block->body, node->pos);
        break;
    case N_FILTER_BLOCK:
    case N_SCOPE: resolve_scope_stmt(rs, scope, node->scope); break;
    case N_OUTPUT: resolve_output(rs, scope, node); break;
    default: break;
    }
    rs->is_soft = was_soft;
}

static void resolve_body(struct resolver *rs, struct scope *scope, const struct node_list *body)
{
    for (uint32_t i = 0; i < body->n; i++) {
        resolve_statement(rs, scope, body->items[i]);
    }
}

int jinja_resolve(struct jinja_template *tmpl, struct err *err)
{
    struct resolver rs = { .tmpl = tmpl, .err = err };
    struct func func = { NULL, &tmpl->function };
    struct scope scope = { .func = &func };

    folder_init(&rs.folder, tmpl);
    if (setjmp(rs.on_error) != 0) {
        folder_deinit(&rs.folder);
        return rs.error_code;
    }
    analyze_body(&rs, &scope, &tmpl->body);
    finish_scope(&rs, &scope, &tmpl->entry);
    resolve_body(&rs, &scope, &tmpl->body);
    folder_deinit(&rs.folder);
    return 0;
}
