// Execution of statements, and the state of loops.
#include "engine/text/jinja/eval.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/ops.h"

#include <errno.h>

static enum flow exec(struct rt *rt, const struct node *node);

enum flow exec_body(struct rt *rt, const struct node_list *body)
{
    for (uint32_t i = 0; i < body->n; i++) {
        const struct node *node = body->items[i];
        enum flow flow;

        if (node->kind == N_TEXT) {
            rt_out(rt, node->text);
            continue;
        }
        flow = exec(rt, node);
        if (flow != FLOW_NEXT) {
            return flow;
        }
    }
    return FLOW_NEXT;
}

void enter_scope(struct rt *rt, const struct scope_entry *entry)
{
    for (uint32_t i = 0; i < entry->n_loads; i++) {
        const struct scope_load *load = &entry->loads[i];
        struct value *slot = &rt->frame->slots[load->slot];

        switch (load->kind) {
        case LOAD_GLOBAL: *slot = rt_global(rt, load->global); break;
        case LOAD_ALIAS: *slot = *slot_at(rt, load->alias); break;
        case LOAD_UNDEFINED: *slot = VALUE_MISSING; break;
        case LOAD_PARAM: break;
        }
    }
}

// ---- loops ---------------------------------------------------------------------------------------------------------

bool loop_next(struct rt *rt, struct loop_state *loop, struct value *ret)
{
    if (loop->after.type != V_MISSING) {
        *ret = loop->after;
        loop->after = VALUE_MISSING;
    } else if (loop->is_exhausted || !iter_next(rt, &loop->iter, ret)) {
        return false;
    }
    loop->index0++;
    loop->before = loop->current;
    loop->current = *ret;
    return true;
}

// The item after the current one, looked at ahead; V_MISSING at the end.
static struct value peek_next(struct rt *rt, struct loop_state *loop)
{
    struct value v;

    if (loop->after.type == V_MISSING && !loop->is_exhausted) {
        if (iter_next(rt, &loop->iter, &v)) {
            loop->after = v;
        } else {
            loop->is_exhausted = true;
        }
    }
    return loop->after;
}

static int64_t loop_length(struct rt *rt, struct loop_state *loop)
{
    struct value rest;

    if (loop->length >= 0) {
        return loop->length;
    }
    if (value_has_len(loop->iter.source)) {
        loop->length = value_len(rt, loop->iter.source);
        return loop->length;
    }
    rest = value_to_list(rt, loop->iter.source);
    loop->iter = (struct iter){ .source = rest };
    loop->length = (int64_t)rest.len + loop->index0 + 1 + (loop->after.type != V_MISSING);
    return loop->length;
}

static struct value loop_cycle(struct rt *rt, struct value self, const struct value *a, const struct args *args)
{
    (void)a;
    if (args->n == 0) {
        rt_fail(rt, "no items for cycling given");
    }
    return args->pos[self.loop->index0 % args->n];
}

static struct value loop_changed(struct rt *rt, struct value self, const struct value *a, const struct args *args)
{
    struct value now = rt_list(rt, V_TUPLE, args->pos, args->n);

    (void)a;
    if (self.loop->last_changed.type != V_MISSING && value_equal(rt, self.loop->last_changed, now)) {
        return VALUE_BOOL(false);
    }
    self.loop->last_changed = now;
    return VALUE_BOOL(true);
}

static struct value loop_method(struct rt *rt, struct loop_state *loop, const char *name, builtin_fn fn)
{
    struct builtin_method *method = rt_alloc(rt, sizeof(*method));
    struct method_object *bound = rt_alloc(rt, sizeof(*bound));

    *method = (struct builtin_method){ .name = name, .fn = fn, .sig = { .is_variadic = true } };
    *bound = (struct method_object){ { .type = V_LOOP, .loop = loop }, method };
    return (struct value){ .type = V_METHOD, .method = bound };
}

enum loop_attribute {
    LOOP_INDEX,
    LOOP_INDEX0,
    LOOP_FIRST,
    LOOP_LAST,
    LOOP_LENGTH,
    LOOP_REVINDEX,
    LOOP_REVINDEX0,
    LOOP_PREV,
    LOOP_NEXT,
    LOOP_DEPTH,
    LOOP_DEPTH0,
    LOOP_CYCLE,
    LOOP_CHANGED,
    N_LOOP_ATTRIBUTES
};
static const char *const loop_attribute_names[N_LOOP_ATTRIBUTES] = { "index",    "index0",   "first",     "last",
                                                                     "length",   "revindex", "revindex0", "previtem",
                                                                     "nextitem", "depth",    "depth0",    "cycle",
                                                                     "changed" };

struct value loop_attr(struct rt *rt, struct loop_state *loop, struct str name, bool *ret_is_found)
{
    enum loop_attribute which = LOOP_INDEX;
    struct value v;

    while (which < N_LOOP_ATTRIBUTES && !str_eq(name, str_from(loop_attribute_names[which]))) {
        which++;
    }
    *ret_is_found = which < N_LOOP_ATTRIBUTES;
    switch (which) {
    case LOOP_INDEX: return VALUE_INT(loop->index0 + 1);
    case LOOP_INDEX0: return VALUE_INT(loop->index0);
    case LOOP_FIRST: return VALUE_BOOL(loop->index0 == 0);
    case LOOP_LAST: return VALUE_BOOL(peek_next(rt, loop).type == V_MISSING);
    case LOOP_LENGTH: return VALUE_INT(loop_length(rt, loop));
    case LOOP_REVINDEX: return VALUE_INT(loop_length(rt, loop) - loop->index0);
    case LOOP_REVINDEX0: return VALUE_INT(loop_length(rt, loop) - loop->index0 - 1);
    case LOOP_PREV: return loop->index0 == 0 ? rt_undefined(rt, STR("there is no previous item")) : loop->before;
    case LOOP_NEXT:
        v = peek_next(rt, loop);
        return v.type == V_MISSING ? rt_undefined(rt, STR("there is no next item")) : v;
    case LOOP_DEPTH: return VALUE_INT(1);
    case LOOP_DEPTH0: return VALUE_INT(0);
    case LOOP_CYCLE: return loop_method(rt, loop, "cycle", loop_cycle);
    case LOOP_CHANGED: return loop_method(rt, loop, "changed", loop_changed);
    default: return VALUE_MISSING;
    }
}

struct loop_filter {
    const struct for_stmt *stmt;
    struct frame *frame;
};

// What was assigned to the target, put together again: a tuple where the target is one, whatever the item was.
static struct value target_value(struct rt *rt, const struct node *target)
{
    struct value *items;

    if (target->kind != N_TUPLE) {
        return *slot_at(rt, target->name->ref);
    }
    items = rt_alloc_values(rt, target->list.n);
    for (uint32_t i = 0; i < target->list.n; i++) {
        items[i] = target_value(rt, target->list.items[i]);
    }
    return (struct value){ .type = V_TUPLE, .len = target->list.n, .items = items };
}

// "for x in y if test": a generator over y, whose test runs when the next item is asked for.
static bool next_filtered(struct rt *rt, struct iter_object *self, struct value *ret)
{
    const struct loop_filter *filter = self->data;
    struct frame *frame = rt->frame;
    struct value item;

    if (!self->is_started) {
        self->is_started = true;
        iter_begin(rt, &self->source, self->input);
        rt->frame = filter->frame;
        enter_scope(rt, &filter->stmt->test_entry);
        rt->frame = frame;
    }
    while (iter_next(rt, &self->source, &item)) {
        bool is_kept;

        rt->frame = filter->frame;
        assign(rt, filter->stmt->test_target, item);
        is_kept = value_truth(rt, eval(rt, filter->stmt->test));
        if (is_kept) {
            *ret = target_value(rt, filter->stmt->test_target);
        }
        rt->frame = frame;
        if (is_kept) {
            return true;
        }
    }
    return false;
}

static struct value filter_items(struct rt *rt, const struct for_stmt *stmt, struct value items)
{
    struct loop_filter *filter = rt_alloc(rt, sizeof(*filter));
    struct value v = iter_object_new(rt, "generator object", next_filtered, items);

    *filter = (struct loop_filter){ stmt, rt->frame };
    v.iter->data = filter;
    return v;
}

static enum flow exec_for(struct rt *rt, const struct node *node)
{
    const struct for_stmt *stmt = node->loop;
    struct loop_state *loop = rt_alloc(rt, sizeof(*loop));
    struct value items = eval(rt, stmt->iter), item;
    bool is_else = true; // until one iteration came to its end

    rt->pos = node->pos;
    *loop = (struct loop_state){ .index0 = -1, .length = -1 };
    if (stmt->test != NULL) {
        items = filter_items(rt, stmt, items);
    }
    iter_begin(rt, &loop->iter, items);
    if (stmt->uses_loop) {
        *slot_at(rt, stmt->loop_slot) = (struct value){ .type = V_LOOP, .loop = loop };
    }
    while (loop_next(rt, loop, &item)) {
        enum flow flow;

        assign(rt, stmt->target, item);
        enter_scope(rt, &stmt->entry);
        flow = exec_body(rt, &stmt->body);
        if (flow == FLOW_BREAK) {
            break;
        }
        is_else = is_else && flow != FLOW_NEXT;
    }
    if (!stmt->has_else || !is_else) {
        return FLOW_NEXT;
    }
    enter_scope(rt, &stmt->else_entry);
    return exec_body(rt, &stmt->else_body);
}

// ---- other statements ----------------------------------------------------------------------------------------------

static enum flow exec_if(struct rt *rt, const struct if_stmt *stmt)
{
    for (uint32_t i = 0; i < stmt->n; i++) {
        if (stmt->branches[i].test == NULL || value_truth(rt, eval(rt, stmt->branches[i].test))) {
            return exec_body(rt, &stmt->branches[i].body);
        }
    }
    return FLOW_NEXT;
}

static void check_namespaces(struct rt *rt, const struct node *target)
{
    if (target->kind == N_TUPLE) {
        for (uint32_t i = 0; i < target->list.n; i++) {
            check_namespaces(rt, target->list.items[i]);
        }
    } else if (target->kind == N_NSREF && slot_at(rt, target->ns->ref)->type != V_NAMESPACE) {
        rt->pos = target->pos;
        rt_fail(rt, "cannot assign attribute on non-namespace object");
    }
}

static enum flow exec_set(struct rt *rt, const struct set_stmt *set)
{
    if (set->target->kind != N_NAME) {
        check_namespaces(rt, set->target);
    }
    assign(rt, set->target, eval(rt, set->value));
    return FLOW_NEXT;
}

static enum flow exec_set_block(struct rt *rt, const struct set_stmt *set)
{
    size_t mark = rt->out->len, outer_buffer = rt_buffer_begin(rt);
    struct value v;
    enum flow flow;

    enter_scope(rt, &set->entry);
    flow = exec_body(rt, &set->body);
    v = rt_capture(rt, mark);
    rt_buffer_end(rt, outer_buffer);
    if (flow != FLOW_NEXT) {
        return flow;
    }
    if (set->filter_chain != NULL) {
        v = eval_filters(rt, set->filter_chain, v);
    }
    check_namespaces(rt, set->target);
    assign(rt, set->target, v);
    return FLOW_NEXT;
}

static struct value make_macro(struct rt *rt, const struct macro_def *def)
{
    struct macro *macro = rt_alloc(rt, sizeof(*macro));

    *macro = (struct macro){ def, rt->frame };
    return (struct value){ .type = V_MACRO, .macro = macro };
}

// What a block gives is joined to the output as it is: Python refuses anything but a string there.
static void out_block(struct rt *rt, const struct node *node, struct value v)
{
    if (v.type != V_STR) {
        rt->pos = node->pos;
        rt_fail(rt, "sequence item 0: expected str instance, %s found", value_type_name(v));
    }
    rt_out(rt, value_str(v));
}

static enum flow exec_filter_block(struct rt *rt, const struct scope_stmt *stmt)
{
    size_t mark = rt->out->len, outer_buffer = rt_buffer_begin(rt);
    struct value v;
    enum flow flow;

    enter_scope(rt, &stmt->entry);
    flow = exec_body(rt, &stmt->body);
    v = rt_capture(rt, mark);
    rt_buffer_end(rt, outer_buffer);
    if (flow == FLOW_NEXT) {
        out_block(rt, stmt->filter_chain, eval_filters(rt, stmt->filter_chain, v));
    }
    return flow;
}

// transformers renders the block as the body of a macro, and notes it at its end.
static enum flow exec_generation(struct rt *rt, const struct scope_stmt *stmt)
{
    size_t mark = rt->out->len, outer_buffer = rt_buffer_begin(rt), start = rt->buffer_start;
    enum flow flow = exec_body(rt, &stmt->body);

    rt_buffer_end(rt, outer_buffer);
    rt_note_generation(rt, start, mark);
    return flow;
}

static enum flow exec_scope(struct rt *rt, const struct scope_stmt *stmt)
{
    // All values are evaluated in the outer scope, and the scope's slots are its own, so one after the other will do.
    enter_scope(rt, &stmt->entry);
    for (uint32_t i = 0; i < stmt->n_targets; i++) {
        assign(rt, stmt->targets[i], eval(rt, stmt->values[i]));
    }
    if (stmt->is_generation && rt->generation != NULL) {
        return exec_generation(rt, stmt);
    }
    return exec_body(rt, &stmt->body);
}

static enum flow exec(struct rt *rt, const struct node *node)
{
    rt_charge(rt, 1);
    switch ((enum node_kind)node->kind) {
    case N_OUTPUT: out_value(rt, eval(rt, node->a)); return FLOW_NEXT;
    case N_IF: return exec_if(rt, node->branch);
    case N_FOR: return exec_for(rt, node);
    case N_SET: return exec_set(rt, node->set);
    case N_SET_BLOCK: return exec_set_block(rt, node->set);
    case N_MACRO: *slot_at(rt, node->macro->target) = make_macro(rt, node->macro); return FLOW_NEXT;
    case N_CALL_BLOCK:
        out_block(rt, node, eval_call_with_caller(rt, node->call_block->call, make_macro(rt, node->call_block->body)));
        return FLOW_NEXT;
    case N_FILTER_BLOCK: return exec_filter_block(rt, node->scope);
    case N_SCOPE: return exec_scope(rt, node->scope);
    case N_BREAK: return FLOW_BREAK;
    case N_CONTINUE: return FLOW_CONTINUE;
    default: rt->pos = node->pos; rt_fail(rt, "%.*s", STR_ARG(node->text));
    }
}
