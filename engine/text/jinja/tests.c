// Tests: what may follow `is`.
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/ops.h"

#define TEST(name) static bool name(struct rt *rt, struct value v, struct value arg)
#define UNUSED     ((void)rt, (void)arg)

static int64_t modulo(struct rt *rt, struct value v, struct value by)
{
    struct value rest = op_binary(rt, TOK_MOD, v, by);

    return rest.type == V_FLOAT ? (rest.f == 0 ? 0 : rest.f == 1 ? 1 : 2) : value_is_intlike(rest) ? rest.i : 2;
}

TEST(is_odd)
{
    UNUSED;
    return modulo(rt, v, VALUE_INT(2)) == 1;
}

TEST(is_even)
{
    UNUSED;
    return modulo(rt, v, VALUE_INT(2)) == 0;
}

TEST(is_divisibleby)
{
    return modulo(rt, v, arg) == 0;
}

TEST(is_defined)
{
    UNUSED;
    return v.type != V_UNDEFINED;
}

TEST(is_undefined)
{
    UNUSED;
    return v.type == V_UNDEFINED;
}

static void check_hashable(struct rt *rt, struct value v)
{
    if (v.type == V_LIST || v.type == V_DICT) {
        rt_fail(rt, "unhashable type: '%s'", value_type_name(v));
    }
}

TEST(is_filter)
{
    UNUSED;
    check_hashable(rt, v);
    return v.type == V_STR && filter_find(value_str(v)) != NULL;
}

TEST(is_test)
{
    UNUSED;
    check_hashable(rt, v);
    return v.type == V_STR && test_find(value_str(v)) != NULL;
}

TEST(is_none)
{
    UNUSED;
    return v.type == V_NONE;
}

TEST(is_boolean)
{
    UNUSED;
    return v.type == V_BOOL;
}

TEST(is_false)
{
    UNUSED;
    return v.type == V_BOOL && v.i == 0;
}

TEST(is_true)
{
    UNUSED;
    return v.type == V_BOOL && v.i != 0;
}

TEST(is_integer)
{
    UNUSED;
    return v.type == V_INT || v.type == V_BIGINT;
}

TEST(is_float)
{
    UNUSED;
    return v.type == V_FLOAT;
}

static bool has_case(struct rt *rt, struct value v, struct str method)
{
    struct value s = to_plain_str(rt, v);
    const struct builtin_method *m = method_find(METHOD_STR, method);

    return m->fn(rt, s, NULL, NULL).i != 0;
}

TEST(is_lower)
{
    UNUSED;
    return has_case(rt, v, STR("islower"));
}

TEST(is_upper)
{
    UNUSED;
    return has_case(rt, v, STR("isupper"));
}

TEST(is_string)
{
    UNUSED;
    return v.type == V_STR;
}

TEST(is_mapping)
{
    UNUSED;
    return v.type == V_DICT;
}

TEST(is_number)
{
    UNUSED;
    return value_is_number(v);
}

TEST(is_sequence)
{
    UNUSED;
    return v.type == V_STR || v.type == V_LIST || v.type == V_TUPLE || v.type == V_DICT || v.type == V_RANGE ||
           v.type == V_UNDEFINED;
}

TEST(is_iterable)
{
    UNUSED;
    return value_is_iterable(v);
}

TEST(is_callable)
{
    UNUSED;
    return value_is_callable(v);
}

TEST(is_sameas)
{
    UNUSED;
    return value_is_same(v, arg);
}

TEST(is_escaped)
{
    UNUSED;
    return value_is_markup(v);
}

TEST(is_in)
{
    return value_contains(rt, arg, v);
}

TEST(is_eq)
{
    return value_equal(rt, v, arg);
}

TEST(is_ne)
{
    return !value_equal(rt, v, arg);
}

TEST(is_gt)
{
    return value_less(rt, arg, v, ">");
}

TEST(is_ge)
{
    return value_less(rt, arg, v, ">=") || value_equal(rt, v, arg);
}

TEST(is_lt)
{
    return value_less(rt, v, arg, "<");
}

TEST(is_le)
{
    return value_less(rt, v, arg, "<=") || value_equal(rt, v, arg);
}

static const struct test tests[] = {
    { "defined", is_defined, false },
    { "undefined", is_undefined, false },
    { "none", is_none, false },
    { "string", is_string, false },
    { "mapping", is_mapping, false },
    { "iterable", is_iterable, false },
    { "sequence", is_sequence, false },
    { "boolean", is_boolean, false },
    { "true", is_true, false },
    { "false", is_false, false },
    { "number", is_number, false },
    { "integer", is_integer, false },
    { "float", is_float, false },
    { "odd", is_odd, false },
    { "even", is_even, false },
    { "divisibleby", is_divisibleby, true },
    { "filter", is_filter, false },
    { "test", is_test, false },
    { "lower", is_lower, false },
    { "upper", is_upper, false },
    { "callable", is_callable, false },
    { "sameas", is_sameas, true },
    { "escaped", is_escaped, false },
    { "in", is_in, true },
    { "==", is_eq, true },
    { "eq", is_eq, true },
    { "equalto", is_eq, true },
    { "!=", is_ne, true },
    { "ne", is_ne, true },
    { ">", is_gt, true },
    { "gt", is_gt, true },
    { "greaterthan", is_gt, true },
    { "ge", is_ge, true },
    { ">=", is_ge, true },
    { "<", is_lt, true },
    { "lt", is_lt, true },
    { "lessthan", is_lt, true },
    { "<=", is_le, true },
    { "le", is_le, true },
};

const struct test *test_find(struct str name)
{
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        if (str_eq(str_from(tests[i].name), name)) {
            return &tests[i];
        }
    }
    return NULL;
}

bool test_run(struct rt *rt, const struct test *test, struct value v, const struct args *args)
{
    static const struct signature with_arg = { .n_required = 1, .params = { "other" } };
    struct value bound[PARAMS_MAX];

    if (!test->has_arg) {
        if (args->n + args->n_kw > 0) {
            rt_fail(rt, "test '%s' takes no argument", test->name);
        }
        return test->fn(rt, v, VALUE_NONE);
    }
    if (args->n == 1 && args->n_kw == 0) {
        return test->fn(rt, v, args->pos[0]);
    }
    args_bind(rt, test->name, &with_arg, args, bound);
    return test->fn(rt, v, bound[0]);
}
