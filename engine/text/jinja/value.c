// What Python's built-in types do whoever uses them: truth, equality, order, containment (dict.c has
// dicts, iter.c iteration).
//
// Failing operations leave through rt_fail. Work proportional to a value's size is charged, so that no template runs
// for ever.
#include "engine/text/jinja/value.h"

#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/text.h"

#include <math.h>
#include <string.h>

const char *value_type_name(struct value v)
{
    switch ((enum value_type)v.type) {
    case V_MISSING:
    case V_UNDEFINED: return "Undefined";
    case V_NONE: return "NoneType";
    case V_BOOL: return "bool";
    case V_INT:
    case V_BIGINT: return "int";
    case V_FLOAT: return "float";
    case V_STR: return value_is_markup(v) ? "Markup" : "str";
    case V_LIST: return "list";
    case V_TUPLE: return "tuple";
    case V_DICT: return "dict";
    case V_RANGE: return "range";
    case V_VIEW: return v.flags == VIEW_KEYS ? "dict_keys" : v.flags == VIEW_VALUES ? "dict_values" : "dict_items";
    case V_ITER: return "generator";
    case V_NAMESPACE: return "Namespace";
    case V_MACRO: return "Macro";
    case V_LOOP: return "LoopContext";
    case V_METHOD: return "builtin_function_or_method";
    case V_FUNCTION: return "function";
    case V_OBJECT: return v.object->type_name;
    case N_VALUE_TYPES: break;
    }
    return "object";
}

bool value_truth_of_object(struct rt *rt, struct value v)
{
    (void)rt;
    switch ((enum value_type)v.type) {
    case V_MISSING:
    case V_UNDEFINED:
    case V_NONE: return false;
    case V_BOOL:
    case V_INT: return v.i != 0;
    case V_FLOAT: return v.f != 0;
    case V_STR:
    case V_LIST:
    case V_TUPLE: return v.len != 0;
    case V_DICT:
    case V_VIEW: return v.dict->n != 0;
    case V_RANGE: return v.range->n != 0;
    case V_LOOP: return true; // it has iterated at least once
    default: return true;
    }
}

// ---- equality and order --------------------------------------------------------------------------------------------

double value_as_double(struct value v)
{
    double x = 0;

    if (v.type == V_FLOAT) {
        return v.f;
    }
    if (v.type == V_BIGINT) {
        return str_parse_double(value_str(v), &x) == 0 ? x : v.s[0] == '-' ? -HUGE_VAL : HUGE_VAL;
    }
    return (double)v.i;
}

static int compare_int_double(int64_t i, double x)
{
    double whole;

    if (x >= 9223372036854775808.0) {
        return -1;
    }
    if (x < -9223372036854775808.0) {
        return 1;
    }
    whole = floor(x);
    if (i != (int64_t)whole) {
        return i < (int64_t)whole ? -1 : 1;
    }
    return x > whole ? -1 : 0;
}

// -1, 0, 1; 2 when one is not a number.
static int compare_numbers(struct value a, struct value b)
{
    double x, y;

    if (value_is_intlike(a) && value_is_intlike(b)) {
        return a.i < b.i ? -1 : a.i > b.i;
    }
    if ((a.type == V_FLOAT && isnan(a.f)) || (b.type == V_FLOAT && isnan(b.f))) {
        return 2;
    }
    if (value_is_intlike(a) && b.type == V_FLOAT) {
        return compare_int_double(a.i, b.f);
    }
    if (a.type == V_FLOAT && value_is_intlike(b)) {
        return -compare_int_double(b.i, a.f);
    }
    if (a.type == V_BIGINT && b.type == V_BIGINT && str_eq(value_str(a), value_str(b))) {
        return 0;
    }
    x = value_as_double(a);
    y = value_as_double(b);
    return x < y ? -1 : x > y;
}

static bool items_equal(struct rt *rt, const struct value *a, const struct value *b, uint32_t n)
{
    rt_charge(rt, n / 4);
    for (uint32_t i = 0; i < n; i++) {
        if (!value_is_same(a[i], b[i]) && !value_equal(rt, a[i], b[i])) {
            return false;
        }
    }
    return true;
}

static bool dicts_equal(struct rt *rt, struct dict *a, struct dict *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (uint32_t i = 0; i < a->n; i++) {
        const struct value *other = dict_get(rt, b, a->entries[i].key);

        if (other == NULL || !value_equal(rt, a->entries[i].value, *other)) {
            return false;
        }
    }
    return true;
}

static bool containers_equal(struct rt *rt, struct value a, struct value b)
{
    bool is_equal = false;

    rt_charge(rt, 1);
    rt_enter(rt);
    if (a.type == V_DICT) {
        is_equal = dicts_equal(rt, a.dict, b.dict);
    } else {
        is_equal = a.len == b.len && items_equal(rt, a.items, b.items, a.len);
    }
    rt_leave(rt);
    return is_equal;
}

bool value_equal(struct rt *rt, struct value a, struct value b)
{
    if (value_is_number(a) && value_is_number(b)) {
        return compare_numbers(a, b) == 0;
    }
    if (a.type != b.type) {
        return false;
    }
    switch ((enum value_type)a.type) {
    case V_STR:
        if (a.len != b.len) {
            return false;
        }
        rt_charge_bytes(rt, a.len);
        return memcmp(a.s, b.s, a.len) == 0;
    case V_LIST:
    case V_TUPLE:
    case V_DICT: return containers_equal(rt, a, b);
    case V_UNDEFINED:
    case V_NONE: return true;
    case V_RANGE:
        return a.range->n == b.range->n && (a.range->n == 0 || (a.range->start == b.range->start &&
                                                                (a.range->n == 1 || a.range->step == b.range->step)));
    default: return value_is_same(a, b);
    }
}

static bool less_sequences(struct rt *rt, struct value a, struct value b, const char *op)
{
    bool is_less;

    rt_charge(rt, 1 + (a.len < b.len ? a.len : b.len) / 4);
    rt_enter(rt);
    for (uint32_t i = 0;; i++) {
        if (i >= a.len || i >= b.len) {
            is_less = a.len < b.len;
            break;
        }
        if (!value_equal(rt, a.items[i], b.items[i])) {
            is_less = value_less(rt, a.items[i], b.items[i], op);
            break;
        }
    }
    rt_leave(rt);
    return is_less;
}

bool value_less(struct rt *rt, struct value a, struct value b, const char *op)
{
    if (value_is_number(a) && value_is_number(b)) {
        return compare_numbers(a, b) == -1;
    }
    if (a.type == V_STR && b.type == V_STR) {
        size_t n = a.len < b.len ? a.len : b.len;
        int order;

        rt_charge_bytes(rt, n);
        order = memcmp(a.s, b.s, n); // UTF-8 sorts as its code points do
        return order < 0 || (order == 0 && a.len < b.len);
    }
    if (a.type == b.type && (a.type == V_LIST || a.type == V_TUPLE)) {
        return less_sequences(rt, a, b, op);
    }
    if (a.type == V_UNDEFINED || b.type == V_UNDEFINED) {
        rt_fail_undefined(rt, a.type == V_UNDEFINED ? a : b);
    }
    rt_fail(rt, "'%s' not supported between instances of '%s' and '%s'", op, value_type_name(a), value_type_name(b));
}

bool value_is_same(struct value a, struct value b)
{
    if (a.type != b.type) {
        return false;
    }
    switch ((enum value_type)a.type) {
    case V_NONE: return true;
    case V_BOOL:
    case V_INT: return a.i == b.i;
    case V_FLOAT: return a.f == b.f && memcmp(&a.f, &b.f, sizeof(a.f)) == 0;
    case V_STR:
        return a.len == b.len && a.flags == b.flags && (a.s == b.s || a.len <= 1) && memcmp(a.s, b.s, a.len) == 0;
    case V_LIST: return a.items == b.items && a.len == b.len && a.len > 0;
    case V_TUPLE: return (a.items == b.items && a.len == b.len) || (a.len == 0 && b.len == 0);
    case V_VIEW:
    case V_METHOD: return false;
    default: return a.dict == b.dict;
    }
}

bool value_contains(struct rt *rt, struct value container, struct value item)
{
    struct iter it;
    struct value v;

    switch ((enum value_type)container.type) {
    case V_STR:
        if (item.type != V_STR) {
            rt_fail(rt, "'in <string>' requires string as left operand, not %s", value_type_name(item));
        }
        rt_charge_bytes(rt, container.len);
        return str_find(value_str(container), value_str(item)) >= 0;
    case V_DICT: return dict_get(rt, container.dict, item) != NULL;
    case V_VIEW:
        if (container.flags == VIEW_KEYS) {
            return dict_get(rt, container.dict, item) != NULL;
        }
        break;
    default: break;
    }
    if (!value_is_iterable(container)) {
        rt_fail(rt, "argument of type '%s' is not iterable", value_type_name(container));
    }
    iter_begin(rt, &it, container);
    while (iter_next(rt, &it, &v)) {
        if (value_is_same(v, item) || value_equal(rt, v, item)) {
            return true;
        }
    }
    return false;
}

bool value_has_len(struct value v)
{
    switch ((enum value_type)v.type) {
    case V_STR:
    case V_LIST:
    case V_TUPLE:
    case V_DICT:
    case V_VIEW:
    case V_RANGE:
    case V_UNDEFINED:
    case V_LOOP: return true;
    default: return false;
    }
}

int64_t value_len(struct rt *rt, struct value v)
{
    switch ((enum value_type)v.type) {
    case V_STR:
        if ((v.flags & STR_ASCII) != 0) {
            return v.len;
        }
        rt_charge_bytes(rt, v.len);
        return (int64_t)text_n_chars(value_str(v));
    case V_LIST:
    case V_TUPLE: return v.len;
    case V_DICT:
    case V_VIEW: return v.dict->n;
    case V_RANGE: return v.range->n;
    case V_UNDEFINED: return 0;
    case V_LOOP: return get_attr_name(rt, v, STR("length")).i;
    default: rt_fail(rt, "object of type '%s' has no len()", value_type_name(v));
    }
}
