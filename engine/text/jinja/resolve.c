// Walks a template and gives its names their places: each scope is analysed as a whole, then its expressions are folded
// and their names resolved. Filters and tests that do not exist are refused here, but where they may not be reached.
#include "engine/text/jinja/name_search.h"
#include "engine/text/jinja/scope.h"

#include <errno.h>

static void resolve_body(struct resolver *rs, struct scope *scope, const struct node_list *body);

_Noreturn void resolve_fail(struct resolver *rs, int code, uint32_t pos, const char *what, struct str name)
{
    unsigned line, column;

    lex_position(rs->tmpl->source, pos, &line, &column);
    rs->error_code = err_set(rs->err, code, "line %u, column %u: %s%.*s", line, column, what, STR_ARG(name));
    longjmp(rs->on_error, 1);
}

void *resolve_alloc(struct resolver *rs, size_t n, size_t size)
{
    void *ptr = arena_alloc_array(&rs->tmpl->arena, n, size);

    if (ptr == NULL) {
        resolve_fail(rs, -ENOMEM, 0, "out of memory", STR(""));
    }
    return ptr;
}

// ---- expressions ---------------------------------------------------------------------------------------------------

struct resolution {
    struct resolver *rs;
    struct scope *scope;
};

static void resolve_filter(struct resolver *rs, struct node *node)
{
    if (node->filter->filter == NULL && !rs->is_soft) {
        resolve_fail(rs, -EINVAL, node->pos, "No filter named ", node->filter->name);
    }
}

static void resolve_test(struct resolver *rs, struct node *node)
{
    if (node->test->test == NULL && !rs->is_soft) {
        resolve_fail(rs, -EINVAL, node->pos, "No test named ", node->test->name);
    }
}

// A slice is written where it stands, and Python takes one only as the whole subscript.
static void check_slices(struct resolver *rs, const struct node *tuple)
{
    for (uint32_t i = 0; i < tuple->list.n; i++) {
        if (tuple->list.items[i]->kind == N_SLICE) {
            resolve_fail(rs, -EINVAL, tuple->pos, "a slice can only be the whole subscript", STR(""));
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
    case N_NAME: node->name->ref = scope_ref(rs, scope, node->name->name, node->pos); break;
    case N_NSREF: node->ns->ref = scope_ref(rs, scope, node->ns->name, node->pos); break;
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
        resolve_fail(rs, -EINVAL, rs->folder.unhashable->pos, "a dict's key is not hashable", STR(""));
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

// ---- statements that open a scope ----------------------------------------------------------------------------------

// A scope inside `scope`, in the same frame.
static struct scope inner_scope(const struct scope *scope)
{
    return (struct scope){ .outer = (struct scope *)scope, .func = scope->func };
}

static void resolve_for(struct resolver *rs, struct scope *scope, struct node *node)
{
    struct for_stmt *loop = node->loop;
    struct scope body = inner_scope(scope), other = inner_scope(scope), test = inner_scope(scope);

    if (name_is_stored(node, STR("loop"))) {
        resolve_fail(rs, -EINVAL, node->pos, "Can't assign to special loop variable in for-loop", STR(""));
    }
    resolve_expr(rs, scope, loop->iter);
    rs->is_soft = false; // a new frame, in Jinja's words
    loop->uses_loop = name_is_used(&loop->body, STR("loop"));
    if (loop->uses_loop) {
        scope_note_param(rs, &body, STR("loop"));
    }
    scope_note_targets(rs, &body, loop->target);
    scope_analyze_body(rs, &body, &loop->body);
    scope_finish(rs, &body, &loop->entry);
    if (loop->uses_loop) {
        loop->loop_slot = scope_ref(rs, &body, STR("loop"), node->pos);
    }
    resolve_expr(rs, &body, loop->target);
    resolve_body(rs, &body, &loop->body);
    if (loop->test != NULL) {
        scope_note_targets(rs, &test, loop->test_target);
        scope_analyze_expr(rs, &test, loop->test);
        scope_finish(rs, &test, &loop->test_entry);
        resolve_expr(rs, &test, loop->test_target);
        resolve_expr(rs, &test, loop->test);
    }
    if (loop->has_else) {
        scope_analyze_body(rs, &other, &loop->else_body);
        scope_finish(rs, &other, &loop->else_entry);
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
    if (name_is_used(&def->body, STR("caller"))) {
        if (def->has_explicit_caller && caller < def->n_params - def->n_defaults) {
            resolve_fail(
                rs, -EINVAL, pos,
                "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a "
                "default.",
                STR(""));
        }
        def->uses_caller = true;
        if (!def->has_explicit_caller) {
            scope_note_param(rs, scope, STR("caller"));
        }
    }
    def->uses_kwargs = !has_kwargs && name_is_used(&def->body, STR("kwargs"));
    def->uses_varargs = !has_varargs && name_is_used(&def->body, STR("varargs"));
    if (def->uses_kwargs) {
        scope_note_param(rs, scope, STR("kwargs"));
    }
    if (def->uses_varargs) {
        scope_note_param(rs, scope, STR("varargs"));
    }
}

static void resolve_macro(struct resolver *rs, struct scope *outer, struct macro_def *def, uint32_t pos)
{
    struct func func = { outer->func, &def->function };
    struct scope scope = { .outer = outer, .func = &func };
    bool was_soft = rs->is_soft;

    rs->is_soft = false;
    for (uint32_t i = 0; i < def->n_params; i++) {
        scope_note_param(rs, &scope, def->params[i]->name->name);
    }
    for (uint32_t i = 0; i < def->n_defaults; i++) {
        scope_analyze_expr(rs, &scope, def->defaults[i]);
    }
    note_special_params(rs, &scope, def, pos);
    scope_analyze_body(rs, &scope, &def->body);
    scope_finish(rs, &scope, &def->entry);
    def->param_slots = resolve_alloc(rs, def->n_params + 1, sizeof(*def->param_slots));
    for (uint32_t i = 0; i < def->n_params; i++) {
        def->param_slots[i] = scope_ref(rs, &scope, def->params[i]->name->name, pos);
    }
    for (uint32_t i = 0; i < def->n_defaults; i++) {
        resolve_expr(rs, &scope, def->defaults[i]);
    }
    if (def->uses_caller) {
        def->caller_slot = scope_ref(rs, &scope, STR("caller"), pos);
    }
    if (def->uses_kwargs) {
        def->kwargs_slot = scope_ref(rs, &scope, STR("kwargs"), pos);
    }
    if (def->uses_varargs) {
        def->varargs_slot = scope_ref(rs, &scope, STR("varargs"), pos);
    }
    resolve_body(rs, &scope, &def->body);
    rs->is_soft = was_soft;
}

static void resolve_set_block(struct resolver *rs, struct scope *scope, struct set_stmt *set)
{
    struct scope inner = inner_scope(scope);

    rs->is_soft = false;
    scope_analyze_body(rs, &inner, &set->body);
    scope_finish(rs, &inner, &set->entry);
    resolve_expr(rs, scope, set->target);
    if (set->filter_chain != NULL) {
        resolve_expr(rs, &inner, set->filter_chain);
    }
    resolve_body(rs, &inner, &set->body);
}

static void resolve_scope_stmt(struct resolver *rs, struct scope *scope, struct scope_stmt *stmt)
{
    struct scope inner = inner_scope(scope);

    for (uint32_t i = 0; i < stmt->n_targets; i++) {
        resolve_expr(rs, scope, stmt->values[i]);
        scope_note_targets(rs, &inner, stmt->targets[i]);
    }
    rs->is_soft = false;
    if (stmt->filter_chain != NULL) {
        scope_analyze_expr(rs, &inner, stmt->filter_chain);
    }
    scope_analyze_body(rs, &inner, &stmt->body);
    scope_finish(rs, &inner, &stmt->entry);
    for (uint32_t i = 0; i < stmt->n_targets; i++) {
        resolve_expr(rs, &inner, stmt->targets[i]);
    }
    if (stmt->filter_chain != NULL) {
        resolve_expr(rs, &inner, stmt->filter_chain);
    }
    rs->tmpl->has_generation |= stmt->is_generation;
    resolve_body(rs, &inner, &stmt->body);
}

// ---- statements ----------------------------------------------------------------------------------------------------

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
        node->macro->target = scope_ref(rs, scope, node->macro->target_name, node->pos);
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
    scope_analyze_body(&rs, &scope, &tmpl->body);
    scope_finish(&rs, &scope, &tmpl->entry);
    resolve_body(&rs, &scope, &tmpl->body);
    folder_deinit(&rs.folder);
    return 0;
}
