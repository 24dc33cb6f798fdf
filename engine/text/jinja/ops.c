// Arithmetic and the other binary operators.
//
// Integers have 64 bits; where Python's would be longer the operation fails, and says so.
#include "engine/text/jinja/ops.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static const char *op_name(enum token_type op)
{
    return op == TOK_POW ? "** or pow()" : token_type_name(op);
}

static _Noreturn void fail_operands(struct rt *rt, enum token_type op, struct value a, struct value b)
{
    if (a.type == V_UNDEFINED || b.type == V_UNDEFINED) {
        rt_fail_undefined(rt, a.type == V_UNDEFINED ? a : b);
    }
    if (op == TOK_ADD && (a.type == V_STR || a.type == V_LIST || a.type == V_TUPLE)) {
        rt_fail(rt, "can only concatenate %s (not \"%s\") to %s", value_type_name(a), value_type_name(b),
                value_type_name(a));
    }
    rt_fail(rt, "unsupported operand type(s) for %s: '%s' and '%s'", op_name(op), value_type_name(a),
            value_type_name(b));
}

static _Noreturn void fail_overflow(struct rt *rt)
{
    rt_fail_code(rt, -EOPNOTSUPP, "an integer does not fit 64 bits");
}

static double as_double(struct rt *rt, struct value v)
{
    double x = 0;

    if (v.type == V_BIGINT && str_parse_double(value_str(v), &x) < 0) {
        rt_fail(rt, "int too large to convert to float");
    }
    return v.type == V_FLOAT ? v.f : v.type == V_BIGINT ? x : (double)v.i;
}

static struct value concat_lists(struct rt *rt, struct value a, struct value b)
{
    struct value *items = rt_alloc_values(rt, (size_t)a.len + b.len);

    rt_charge(rt, a.len + b.len);
    if (a.len > 0) {
        memcpy(items, a.items, a.len * sizeof(*items));
    }
    if (b.len > 0) {
        memcpy(items + a.len, b.items, b.len * sizeof(*items));
    }
    return (struct value){ .type = a.type, .len = a.len + b.len, .items = items };
}

static struct value add_strings(struct rt *rt, struct value a, struct value b)
{
    struct value sum;

    if (((a.flags | b.flags) & STR_MARKUP) != 0) {
        a = markup_escape(rt, a);
        b = markup_escape(rt, b);
    }
    sum = rt_concat(rt, value_str(a), value_str(b));
    sum.flags = a.flags & b.flags;
    return sum;
}

struct value op_add(struct rt *rt, struct value a, struct value b)
{
    int64_t sum;

    if (a.type == V_STR && b.type == V_STR) {
        return add_strings(rt, a, b);
    }
    if (value_is_intlike(a) && value_is_intlike(b)) {
        if (__builtin_add_overflow(a.i, b.i, &sum)) {
            fail_overflow(rt);
        }
        return VALUE_INT(sum);
    }
    if (value_is_number(a) && value_is_number(b)) {
        if (a.type != V_FLOAT && b.type != V_FLOAT) {
            fail_overflow(rt);
        }
        return VALUE_FLOAT(as_double(rt, a) + as_double(rt, b));
    }
    if (a.type == b.type && (a.type == V_LIST || a.type == V_TUPLE)) {
        return concat_lists(rt, a, b);
    }
    fail_operands(rt, TOK_ADD, a, b);
}

static struct value repeat(struct rt *rt, struct value v, int64_t n)
{
    uint64_t total;

    if (n < 0) {
        n = 0;
    }
    if (__builtin_mul_overflow((uint64_t)v.len, (uint64_t)n, &total) || total > RT_OUT_BYTES_MAX) {
        rt_fail_code(rt, -E2BIG, "a repeated %s is too long", value_type_name(v));
    }
    if (v.type == V_STR) {
        char *text;
        struct value result = rt_str_n(rt, total, &text);

        for (uint64_t at = 0; at < total; at += v.len) {
            memcpy(text + at, v.s, v.len);
        }
        result.flags = v.flags;
        return result;
    }
    struct value *items = rt_alloc_values(rt, total);

    rt_charge(rt, total);
    for (uint64_t at = 0; at < total; at += v.len) {
        memcpy(items + at, v.items, v.len * sizeof(*items));
    }
    return (struct value){ .type = v.type, .len = (uint32_t)total, .items = items };
}

static bool is_sequence(struct value v)
{
    return v.type == V_STR || v.type == V_LIST || v.type == V_TUPLE;
}

static struct value multiply(struct rt *rt, struct value a, struct value b)
{
    if (is_sequence(a) && value_is_intlike(b)) {
        return repeat(rt, a, b.i);
    }
    if (value_is_intlike(a) && is_sequence(b)) {
        return repeat(rt, b, a.i);
    }
    if (is_sequence(a) && b.type != V_UNDEFINED) {
        rt_fail(rt, "can't multiply sequence by non-int of type '%s'", value_type_name(b));
    }
    if (!value_is_number(a) || !value_is_number(b)) {
        fail_operands(rt, TOK_MUL, a, b);
    }
    if (a.type == V_FLOAT || b.type == V_FLOAT) {
        return VALUE_FLOAT(as_double(rt, a) * as_double(rt, b));
    }
    int64_t product;

    if (a.type == V_BIGINT || b.type == V_BIGINT || __builtin_mul_overflow(a.i, b.i, &product)) {
        fail_overflow(rt);
    }
    return VALUE_INT(product);
}

static double float_mod(double x, double y)
{
    double mod = fmod(x, y);

    if (mod != 0 && (y < 0) != (mod < 0)) {
        mod += y;
    }
    return mod != 0 ? mod : copysign(0, y);
}

static double float_floordiv(double x, double y)
{
    double div = (x - float_mod(x, y)) / y, whole;

    if (div == 0) {
        return copysign(0, x / y);
    }
    whole = floor(div);
    return div - whole > 0.5 ? whole + 1 : whole;
}

static struct value divide_ints(struct rt *rt, enum token_type op, int64_t a, int64_t b)
{
    int64_t quotient, rest;

    if (b == 0) {
        rt_fail(rt, op == TOK_DIV ? "division by zero" : "integer division or modulo by zero");
    }
    if (op == TOK_DIV) {
        return VALUE_FLOAT((double)a / (double)b);
    }
    if (b == -1) { // also keeps INT64_MIN / -1 out of the hardware
        if (op == TOK_FLOORDIV && a == INT64_MIN) {
            fail_overflow(rt);
        }
        return VALUE_INT(op == TOK_MOD ? 0 : -a);
    }
    quotient = a / b;
    rest = a % b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
        rest += b;
        quotient--;
    }
    return VALUE_INT(op == TOK_MOD ? rest : quotient);
}

static struct value divide(struct rt *rt, enum token_type op, struct value a, struct value b)
{
    double x, y;

    if (!value_is_number(a) || !value_is_number(b)) {
        fail_operands(rt, op, a, b);
    }
    if (value_is_intlike(a) && value_is_intlike(b)) {
        return divide_ints(rt, op, a.i, b.i);
    }
    if (op != TOK_DIV && a.type != V_FLOAT && b.type != V_FLOAT) {
        fail_overflow(rt);
    }
    x = as_double(rt, a);
    y = as_double(rt, b);
    if (y == 0) {
        rt_fail(rt, op == TOK_DIV   ? "float division by zero"
                    : op == TOK_MOD ? "float modulo"
                                    : "float floor division by zero");
    }
    return VALUE_FLOAT(op == TOK_DIV ? x / y : op == TOK_MOD ? float_mod(x, y) : float_floordiv(x, y));
}

static struct value int_power(struct rt *rt, int64_t base, int64_t exponent)
{
    int64_t result = 1;

    if (base == 0 || base == 1 || base == -1) {
        return VALUE_INT(exponent == 0 ? 1 : base == -1 && exponent % 2 == 0 ? 1 : base);
    }
    for (int64_t i = 0; i < exponent; i++) {
        if (__builtin_mul_overflow(result, base, &result)) {
            fail_overflow(rt);
        }
    }
    return VALUE_INT(result);
}

static struct value power(struct rt *rt, struct value a, struct value b)
{
    double x, y, result;

    if (!value_is_number(a) || !value_is_number(b)) {
        fail_operands(rt, TOK_POW, a, b);
    }
    if (value_is_intlike(a) && value_is_intlike(b) && b.i >= 0) {
        return int_power(rt, a.i, b.i);
    }
    x = as_double(rt, a);
    y = as_double(rt, b);
    if (x == 0 && y < 0) {
        rt_fail(rt, "0.0 cannot be raised to a negative power");
    }
    if (x < 0 && floor(y) != y && isfinite(y)) {
        rt_fail_code(rt, -EOPNOTSUPP, "complex numbers are not supported");
    }
    result = pow(x, y);
    if (isinf(result) && isfinite(x) && isfinite(y)) {
        rt_fail(rt, "Numerical result out of range");
    }
    return VALUE_FLOAT(result);
}

static struct value subtract(struct rt *rt, struct value a, struct value b)
{
    int64_t difference;

    if (!value_is_number(a) || !value_is_number(b)) {
        fail_operands(rt, TOK_SUB, a, b);
    }
    if (a.type == V_FLOAT || b.type == V_FLOAT) {
        return VALUE_FLOAT(as_double(rt, a) - as_double(rt, b));
    }
    if (a.type == V_BIGINT || b.type == V_BIGINT || __builtin_sub_overflow(a.i, b.i, &difference)) {
        fail_overflow(rt);
    }
    return VALUE_INT(difference);
}

struct value op_binary(struct rt *rt, enum token_type op, struct value a, struct value b)
{
    switch (op) {
    case TOK_SUB: return subtract(rt, a, b);
    case TOK_MUL: return multiply(rt, a, b);
    case TOK_MOD:
        if (a.type == V_STR) {
            return format_percent(rt, a, b);
        }
        return divide(rt, op, a, b);
    case TOK_DIV:
    case TOK_FLOORDIV: return divide(rt, op, a, b);
    case TOK_POW: return power(rt, a, b);
    default: return op_add(rt, a, b);
    }
}

static struct value negate_bigint(struct rt *rt, struct value v)
{
    struct value negated;

    if (v.s[0] == '-') {
        return (struct value){ .type = V_BIGINT, .len = v.len - 1, .s = v.s + 1 };
    }
    if (str_eq(value_str(v), STR("9223372036854775808"))) {
        return VALUE_INT(INT64_MIN);
    }
    negated = rt_concat(rt, value_str(rt_str(rt, STR("-"))), value_str(v));
    return (struct value){ .type = V_BIGINT, .len = negated.len, .s = negated.s };
}

struct value op_negate(struct rt *rt, struct value v)
{
    if (v.type == V_FLOAT) {
        return VALUE_FLOAT(-v.f);
    }
    if (v.type == V_BIGINT) {
        return negate_bigint(rt, v);
    }
    if (v.type == V_UNDEFINED) {
        rt_fail_undefined(rt, v);
    }
    if (!value_is_intlike(v)) {
        rt_fail(rt, "bad operand type for unary -: '%s'", value_type_name(v));
    }
    if (v.i == INT64_MIN) {
        return (struct value){ .type = V_BIGINT, .len = 19, .s = "9223372036854775808" };
    }
    return VALUE_INT(-v.i);
}
