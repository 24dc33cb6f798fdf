// Evaluation of expressions.
#include "engine/text/jinja/eval.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/ops.h"

#include <errno.h>

#define ARGS_INLINE 8
// Kept out of eval, whose stack frame is paid for at every level.
#define NOINLINE __attribute__((noinline))

// Arguments of one call, evaluated: few of them on the C stack, many in the heap.
struct arg_space {
    struct value pos[ARGS_INLINE];
    struct kwarg kw[ARGS_INLINE];
};

static struct value undefined_name(struct rt *rt, const struct name_use *name)
{
    if (rt->is_folding) {
        rt_fail(rt, "a name is no constant");
    }
    return (struct value){ .type = V_UNDEFINED, .undefined = &name->undefined };
}

static void add_dynamic_args(struct rt *rt, const struct node *node, struct list_builder *list)
{
    struct iter it;
    struct value v;

    iter_begin(rt, &it, eval(rt, node));
    while (iter_next(rt, &it, &v)) {
        list_add(rt, list, v);
    }
}

static struct kwarg *add_dynamic_keywords(struct rt *rt, const struct node *node, const struct kwarg *kw, uint32_t *n)
{
    struct value v = eval(rt, node);
    struct kwarg *all;

    if (v.type != V_DICT) {
        rt_fail(rt, "argument after ** must be a mapping, not %s", value_type_name(v));
    }
    all = rt_alloc(rt, (size_t)(*n + v.dict->n) * sizeof(*all));
    if (*n > 0) {
        memcpy(all, kw, *n * sizeof(*all));
    }
    for (uint32_t i = 0; i < v.dict->n; i++) {
        struct value key = v.dict->entries[i].key;

        if (key.type != V_STR) {
            rt_fail(rt, "keywords must be strings");
        }
        for (uint32_t k = 0; k < *n; k++) {
            if (str_eq(all[k].name, value_str(key))) {
                rt_fail(rt, "got multiple values for keyword argument '%.*s'", STR_ARG(value_str(key)));
            }
        }
        all[*n] = (struct kwarg){ value_str(key), v.dict->entries[i].value };
        ++*n;
    }
    return all;
}

static struct args eval_args_slow(struct rt *rt, const struct call_args *call)
{
    struct list_builder list = { 0 };
    struct kwarg *kw = rt_alloc(rt, call->n_keywords * sizeof(*kw));
    uint32_t n_kw = call->n_keywords;

    for (uint32_t i = 0; i < call->args.n; i++) {
        list_add(rt, &list, eval(rt, call->args.items[i]));
    }
    if (call->dyn_args != NULL) {
        add_dynamic_args(rt, call->dyn_args, &list);
    }
    for (uint32_t i = 0; i < n_kw; i++) {
        kw[i] = (struct kwarg){ call->keywords[i].name, eval(rt, call->keywords[i].value) };
    }
    if (call->dyn_keywords != NULL) {
        kw = add_dynamic_keywords(rt, call->dyn_keywords, kw, &n_kw);
    }
    return (struct args){ list.items, list.n, kw, n_kw };
}

static inline struct args eval_args(struct rt *rt, const struct call_args *call, struct arg_space *space)
{
    if (call->args.n > ARGS_INLINE || call->n_keywords > ARGS_INLINE || call->dyn_args != NULL ||
        call->dyn_keywords != NULL) {
        return eval_args_slow(rt, call);
    }
    for (uint32_t i = 0; i < call->args.n; i++) {
        space->pos[i] = eval(rt, call->args.items[i]);
    }
    for (uint32_t i = 0; i < call->n_keywords; i++) {
        space->kw[i] = (struct kwarg){ call->keywords[i].name, eval(rt, call->keywords[i].value) };
    }
    return (struct args){ space->pos, call->args.n, space->kw, call->n_keywords };
}

// A method called where it is named needs no bound object.
static bool call_method(struct rt *rt, const struct node *node, struct value *ret)
{
    const struct call *call = node->call;
    const struct builtin_method *method;
    struct arg_space space;
    struct value object;
    struct args args;

    if (call->callee->kind != N_GETATTR) {
        return false;
    }
    rt->pos = call->callee->pos;
    object = eval(rt, call->callee->attr->object);
    method = call->callee->attr->methods[method_type_of(object)];
    if (method == NULL || method->fn == NULL || method->is_unsafe) {
        struct value callee = get_attr(rt, object, call->callee->attr);

        args = eval_args(rt, &call->args, &space);
        rt->pos = node->pos;
        *ret = call_value(rt, callee, &args);
        return true;
    }
    args = eval_args(rt, &call->args, &space);
    rt->pos = node->pos;
    *ret = builtin_call(rt, method->name, &method->sig, method->fn, object, &args);
    return true;
}

static NOINLINE struct value eval_call(struct rt *rt, const struct node *node)
{
    struct arg_space space;
    struct value callee, result;
    struct args args;

    if (rt->is_folding) {
        rt_fail(rt, "a call is no constant");
    }
    if (call_method(rt, node, &result)) {
        return result;
    }
    callee = eval(rt, node->call->callee);
    args = eval_args(rt, &node->call->args, &space);
    rt->pos = node->pos;
    return call_value(rt, callee, &args);
}

struct value eval_call_with_caller(struct rt *rt, const struct node *node, struct value caller)
{
    struct value callee = eval(rt, node->call->callee);
    struct args args = eval_args_slow(rt, &node->call->args);
    struct kwarg *kw = rt_alloc(rt, (args.n_kw + 1u) * sizeof(*kw));

    if (args.n_kw > 0) {
        memcpy(kw, args.kw, args.n_kw * sizeof(*kw));
    }
    kw[args.n_kw] = (struct kwarg){ STR("caller"), caller };
    rt->pos = node->pos;
    return call_value(rt, callee, &(struct args){ args.pos, args.n, kw, args.n_kw + 1 });
}

static NOINLINE struct value apply_filter(struct rt *rt, const struct node *node, struct value input)
{
    const struct filter_use *use = node->filter;
    struct arg_space space;
    struct args args = eval_args(rt, &use->args, &space);

    rt->pos = node->pos;
    if (use->filter == NULL) {
        rt_fail(rt, "No filter named '%.*s' found.", STR_ARG(use->name));
    }
    return builtin_call(rt, use->filter->name, &use->filter->sig, use->filter->fn, input, &args);
}

static NOINLINE struct value eval_filter(struct rt *rt, const struct node *node)
{
    const struct filter_use *use = node->filter;

    if (rt->is_folding && (use->input == NULL || use->filter == NULL || use->filter->needs_context)) {
        rt_fail(rt, "this filter gives no constant");
    }
    return apply_filter(rt, node, eval(rt, use->input));
}

struct value eval_filters(struct rt *rt, const struct node *chain, struct value body)
{
    if (chain->filter->input != NULL) {
        body = eval_filters(rt, chain->filter->input, body);
    }
    return apply_filter(rt, chain, body);
}

static NOINLINE struct value eval_test(struct rt *rt, const struct node *node)
{
    const struct test_use *use = node->test;
    struct arg_space space;
    struct value input = eval(rt, use->input);
    struct args args = eval_args(rt, &use->args, &space);

    rt->pos = node->pos;
    if (use->test == NULL) {
        rt_fail(rt, "No test named '%.*s' found.", STR_ARG(use->name));
    }
    return VALUE_BOOL(test_run(rt, use->test, input, &args));
}

static bool compare(struct rt *rt, enum compare_op op, struct value a, struct value b)
{
    switch (op) {
    case CMP_EQ:
        if (a.type == V_STR && b.type == V_STR) { // by far the most common
            return a.len == b.len && bytes_equal(a.s, b.s, a.len);
        }
        return value_equal(rt, a, b);
    case CMP_NE: return !value_equal(rt, a, b);
    case CMP_LT: return value_less(rt, a, b, "<");
    case CMP_LE: return value_less(rt, a, b, "<=") || value_equal(rt, a, b);
    case CMP_GT: return value_less(rt, b, a, ">");
    case CMP_GE: return value_less(rt, b, a, ">=") || value_equal(rt, a, b);
    case CMP_IN: return value_contains(rt, b, a);
    case CMP_NOT_IN: return !value_contains(rt, b, a);
    }
    return false;
}

static NOINLINE struct value eval_compare(struct rt *rt, const struct node *node)
{
    const struct compare *chain = node->compare;
    struct value left = eval(rt, chain->first);

    for (uint32_t i = 0; i < chain->n; i++) {
        struct value right = eval(rt, chain->items[i].expr);

        rt->pos = node->pos;
        if (!compare(rt, chain->items[i].op, left, right)) {
            return VALUE_BOOL(false);
        }
        left = right;
    }
    return VALUE_BOOL(true);
}

static NOINLINE struct value eval_items(struct rt *rt, const struct node *node)
{
    struct value *items = rt_alloc_values(rt, node->list.n);

    for (uint32_t i = 0; i < node->list.n; i++) {
        items[i] = eval(rt, node->list.items[i]);
    }
    return (struct value){ .type = node->kind == N_LIST ? V_LIST : V_TUPLE, .len = node->list.n, .items = items };
}

static NOINLINE struct value eval_dict(struct rt *rt, const struct node *node)
{
    struct dict *dict = dict_new(rt, node->list.n / 2);

    for (uint32_t i = 0; i < node->list.n; i += 2) {
        struct value key = eval(rt, node->list.items[i]);
        struct value value = eval(rt, node->list.items[i + 1]);

        rt->pos = node->pos;
        dict_set(rt, dict, key, value);
    }
    return (struct value){ .type = V_DICT, .dict = dict };
}

static NOINLINE struct value eval_sum(struct rt *rt, const struct node *node)
{
    struct value sum = eval(rt, node->list.items[0]);

    for (uint32_t i = 1; i < node->list.n; i++) {
        struct value v = eval(rt, node->list.items[i]);

        rt->pos = node->pos;
        sum = op_add(rt, sum, v);
    }
    return sum;
}

// Values to text, joined: gathered behind the output, so that evaluating an operand may itself capture output.
static NOINLINE struct value eval_concat(struct rt *rt, const struct node *node)
{
    struct value text = VALUE_LIT("");

    for (uint32_t i = 0; i < node->list.n; i++) {
        struct value v = to_plain_str(rt, eval(rt, node->list.items[i]));

        text = i == 0 ? v : rt_concat(rt, value_str(text), value_str(v));
    }
    text.flags = 0;
    return text;
}

static NOINLINE struct value eval_cond(struct rt *rt, const struct node *node)
{
    if (value_truth(rt, eval(rt, node->a))) {
        return eval(rt, node->b);
    }
    if (node->c != NULL) {
        return eval(rt, node->c);
    }
    if (rt->is_folding) {
        rt_fail(rt, "what has no value is no constant");
    }
    return rt_undefined(rt, STR("the inline if-expression evaluated to false and no else section was defined."));
}

static struct value eval_optional(struct rt *rt, const struct node *node)
{
    return node != NULL ? eval(rt, node) : VALUE_NONE;
}

static NOINLINE struct value eval_getitem(struct rt *rt, const struct node *node)
{
    struct value object = eval(rt, node->a), key, start, stop, step;

    if (node->b->kind == N_SLICE) {
        start = eval_optional(rt, node->b->a);
        stop = eval_optional(rt, node->b->b);
        step = eval_optional(rt, node->b->c);
        rt->pos = node->pos;
        return get_slice(rt, object, start, stop, step);
    }
    key = eval(rt, node->b);
    rt->pos = node->pos;
    if (object.type == V_DICT && key.type == V_STR) { // by far the most common
        const struct value *item = dict_get_str(rt, object.dict, value_str(key));

        if (item != NULL) {
            return *item;
        }
    }
    return get_item(rt, object, key);
}

// A slice among other subscripts, x[1:2, 3], is met only while folding. No type takes it.
static NOINLINE struct value eval_slice(struct rt *rt, const struct node *node)
{
    eval_optional(rt, node->a);
    eval_optional(rt, node->b);
    eval_optional(rt, node->c);
    return (struct value){ .type = V_VIEW, .dict = dict_new(rt, 0) }; // neither an index, nor a key, nor a constant
}

static NOINLINE struct value eval_infinite(struct rt *rt, const struct node *node)
{
    if (rt->is_folding) {
        return node->constant;
    }
    rt->pos = node->pos;
    rt_fail(rt, "name 'inf' or 'nan' is not defined: a constant that is not finite");
}

static NOINLINE struct value eval_positive(struct rt *rt, struct value v)
{
    if (v.type == V_UNDEFINED) {
        rt_fail_undefined(rt, v);
    }
    if (!value_is_number(v)) {
        rt_fail(rt, "bad operand type for unary +: '%s'", value_type_name(v));
    }
    return v.type == V_BOOL ? VALUE_INT(v.i) : v;
}

static NOINLINE struct value eval_binary(struct rt *rt, const struct node *node)
{
    struct value a = eval(rt, node->a), b = eval(rt, node->b);

    rt->pos = node->pos;
    return op_binary(rt, (enum token_type)node->op, a, b);
}

struct value eval_node(struct rt *rt, const struct node *node)
{
    struct value v;

    rt_charge(rt, 1);
    switch ((enum node_kind)node->kind) {
    case N_CONST: return node->constant;
    case N_NAME: v = *slot_at(rt, node->name->ref); return v.type != V_MISSING ? v : undefined_name(rt, node->name);
    case N_LIST:
    case N_TUPLE: return eval_items(rt, node);
    case N_DICT: return eval_dict(rt, node);
    case N_ADD: return eval_sum(rt, node);
    case N_BINARY: return eval_binary(rt, node);
    case N_CONCAT: return eval_concat(rt, node);
    case N_NOT: return VALUE_BOOL(!value_truth(rt, eval(rt, node->a)));
    case N_NEG:
        v = eval(rt, node->a);
        rt->pos = node->pos;
        return op_negate(rt, v);
    case N_POS:
        v = eval(rt, node->a);
        rt->pos = node->pos;
        return eval_positive(rt, v);
    case N_AND: v = eval(rt, node->a); return value_truth(rt, v) ? eval(rt, node->b) : v;
    case N_OR: v = eval(rt, node->a); return value_truth(rt, v) ? v : eval(rt, node->b);
    case N_COMPARE: return eval_compare(rt, node);
    case N_COND: return eval_cond(rt, node);
    case N_GETATTR:
        v = eval(rt, node->attr->object);
        rt->pos = node->pos;
        return get_attr(rt, v, node->attr);
    case N_GETITEM: return eval_getitem(rt, node);
    case N_GETITEM_STR:
        v = eval(rt, node->attr->object);
        rt->pos = node->pos;
        return get_item_str(rt, v, node->attr);
    case N_CALL: return eval_call(rt, node);
    case N_FILTER: return eval_filter(rt, node);
    case N_TEST: return eval_test(rt, node);
    case N_SLICE: return eval_slice(rt, node);
    case N_CONST_INFINITE: return eval_infinite(rt, node);
    default: return VALUE_NONE;
    }
}

static void assign_tuple(struct rt *rt, const struct node *target, struct value v)
{
    struct iter it;
    struct value item;
    uint32_t n = 0;

    rt->pos = target->pos;
    if (!value_is_iterable(v)) {
        rt_fail(rt, "cannot unpack non-iterable %s object", value_type_name(v));
    }
    iter_begin(rt, &it, v);
    while (iter_next(rt, &it, &item)) {
        if (n == target->list.n) {
            rt_fail(rt, "too many values to unpack (expected %u)", n);
        }
        assign(rt, target->list.items[n++], item);
    }
    if (n < target->list.n) {
        rt_fail(rt, "not enough values to unpack (expected %u, got %u)", target->list.n, n);
    }
}

void assign(struct rt *rt, const struct node *target, struct value v)
{
    switch ((enum node_kind)target->kind) {
    case N_NAME: *slot_at(rt, target->name->ref) = v; break;
    case N_TUPLE: assign_tuple(rt, target, v); break;
    default: { // N_NSREF; that it is a namespace was checked before the value was evaluated
        struct value ns = *slot_at(rt, target->ns->ref);

        rt->pos = target->pos;
        if (target->ns_attr.ptr[0] == '_') {
            rt_fail(rt, "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '%.*s'.",
                    STR_ARG(target->ns_attr));
        }
        dict_set(rt, ns.ns->attrs, value_from_str(target->ns_attr), v);
        break;
    }
    }
}
