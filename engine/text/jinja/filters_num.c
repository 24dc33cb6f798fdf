// Filters on numbers.
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/strings.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILTER(name)                                                                                                   \
    static struct value name(struct rt *rt, struct value v, const struct value *a, const struct args *args)
#define UNUSED ((void)rt, (void)a, (void)args)

FILTER(f_abs)
{
    UNUSED;
    if (v.type == V_UNDEFINED) {
        rt_fail(rt, "bad operand type for abs(): 'Undefined'");
    }
    if (v.type == V_FLOAT) {
        return VALUE_FLOAT(fabs(v.f));
    }
    if (v.type == V_BIGINT) {
        return v.s[0] == '-' ? op_negate(rt, v) : v;
    }
    if (!value_is_intlike(v)) {
        rt_fail(rt, "bad operand type for abs(): '%s'", value_type_name(v));
    }
    return v.i < 0 ? op_negate(rt, v) : VALUE_INT(v.i);
}

// The digits of a number without the underscores that Python allows between them; false for a misplaced one.
static bool without_underscores(struct str s, char out[static 512], size_t *ret_len)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        bool is_between = i > 0 && i + 1 < s.len && char_is_word((unsigned char)s.ptr[i - 1]) && s.ptr[i - 1] != '_' &&
                          char_is_word((unsigned char)s.ptr[i + 1]) && s.ptr[i + 1] != '_';

        if (s.ptr[i] == '_') {
            if (!is_between) {
                return false;
            }
            continue;
        }
        if (n + 1 >= 512) {
            return false;
        }
        out[n++] = s.ptr[i];
    }
    out[n] = 0;
    *ret_len = n;
    return n > 0;
}

// Digits that strtoull has read to their end, and that are too many for 64 bits.
static struct value long_int(struct rt *rt, const char *digits, bool is_negative, int64_t base)
{
    if (base != 10) {
        rt_fail_code(rt, -EOPNOTSUPP, "an integer does not fit 64 bits");
    }
    digits += strspn(digits, "0");
    struct value v = rt_printf(rt, "%s%s", is_negative ? "-" : "", digits);

    v.type = V_BIGINT;
    v.flags = 0;
    return v;
}

// int(text, base)
static bool parse_int(struct rt *rt, struct str s, int64_t base, struct value *ret)
{
    char text[512], *end;
    size_t len, at = 0;
    bool is_negative;
    unsigned long long u;

    if (!without_underscores(text_strip(s, true, true), text, &len)) {
        return false;
    }
    is_negative = text[0] == '-';
    at = is_negative || text[0] == '+';
    if (text[at] == '0' && (base == 0 || base == 16 || base == 8 || base == 2)) {
        char kind = (char)(text[at + 1] | 32);
        int64_t named = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;

        if (named != 0 && (base == 0 || base == named)) {
            base = named;
            at += 2;
        }
    }
    if (base == 0) {
        base = 10;
    }
    if (base < 2 || base > 36 || text[at] == 0 || text[at] == '-' || text[at] == '+' ||
        char_is_space((unsigned char)text[at])) {
        return false;
    }
    errno = 0;
    u = strtoull(text + at, &end, (int)base);
    if (*end != 0) {
        return false;
    }
    if (errno != 0 || u > (unsigned long long)INT64_MAX + is_negative) {
        *ret = long_int(rt, text + at, is_negative, base);
    } else {
        *ret = VALUE_INT(is_negative ? (int64_t)(0 - u) : (int64_t)u);
    }
    return true;
}

// float(text)
static bool parse_float(struct str s, double *ret)
{
    char text[512];
    size_t len, at;
    struct str digits;

    if (!without_underscores(text_strip(s, true, true), text, &len)) {
        return false;
    }
    at = text[0] == '+' || text[0] == '-';
    digits = (struct str){ text + at, len - at };
    for (size_t i = at; i < len; i++) {
        text[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
    }
    if (str_eq(digits, STR("inf")) || str_eq(digits, STR("infinity"))) {
        *ret = HUGE_VAL;
    } else if (str_eq(digits, STR("nan"))) {
        *ret = (double)NAN;
    } else {
        // "5." is a float in Python
        int r = digits.len > 1 && digits.ptr[digits.len - 1] == '.'
                    ? str_parse_double(str_take(digits, digits.len - 1), ret)
                    : str_parse_double(digits, ret);

        if (r == -EINVAL || digits.len == 0 || digits.ptr[0] == '-') {
            return false;
        }
        if (r < 0) {
            *ret = HUGE_VAL;
        }
    }
    *ret = text[0] == '-' ? -*ret : *ret;
    return true;
}

static bool float_to_int(struct rt *rt, double x, struct value *ret)
{
    char digits[400];

    if (!isfinite(x)) {
        return false;
    }
    if (x >= 9223372036854775808.0 || x < -9223372036854775808.0) {
        snprintf(digits, sizeof(digits), "%.0f", fabs(x));
        *ret = long_int(rt, digits, x < 0, 10);
    } else {
        *ret = VALUE_INT((int64_t)x);
    }
    return true;
}

FILTER(f_int)
{
    struct value otherwise = a[0].type == V_MISSING ? VALUE_INT(0) : a[0];
    int64_t base = a[1].type == V_MISSING ? 10 : index_arg(rt, a[1], "base");
    struct value i;
    double x;

    UNUSED;
    switch ((enum value_type)v.type) {
    case V_BOOL:
    case V_INT: return VALUE_INT(v.i);
    case V_BIGINT: return v;
    case V_FLOAT: return float_to_int(rt, v.f, &i) ? i : otherwise;
    case V_STR:
        rt_charge_bytes(rt, v.len);
        if (parse_int(rt, value_str(v), base, &i) || (parse_float(value_str(v), &x) && float_to_int(rt, x, &i))) {
            return i;
        }
        return otherwise;
    case V_UNDEFINED: rt_fail_undefined(rt, v);
    default: return otherwise;
    }
}

FILTER(f_float)
{
    struct value otherwise = a[0].type == V_MISSING ? VALUE_FLOAT(0) : a[0];
    double x;

    UNUSED;
    switch ((enum value_type)v.type) {
    case V_BOOL:
    case V_INT: return VALUE_FLOAT((double)v.i);
    case V_FLOAT: return v;
    case V_BIGINT:
    case V_STR: rt_charge_bytes(rt, v.len); return parse_float(value_str(v), &x) ? VALUE_FLOAT(x) : otherwise;
    case V_UNDEFINED: rt_fail_undefined(rt, v);
    default: return otherwise;
    }
}

static struct value round_common(struct rt *rt, struct value v, int64_t precision)
{
    char text[400];

    if (v.type != V_FLOAT) {
        if (precision < 0) {
            rt_fail_code(rt, -EOPNOTSUPP, "rounding an integer to tens is not supported");
        }
        return v.type == V_BOOL ? VALUE_INT(v.i) : v;
    }
    if (precision > 50 || !isfinite(v.f)) {
        return v;
    }
    if (precision < 0) {
        double scale = pow(10, (double)-precision);

        return VALUE_FLOAT(nearbyint(v.f / scale) * scale);
    }
    // printf rounds the exact value half to even, as Python's round does.
    snprintf(text, sizeof(text), "%.*f", (int)precision, v.f);
    return VALUE_FLOAT(strtod(text, NULL));
}

FILTER(f_round)
{
    int64_t precision = a[0].type == V_MISSING ? 0 : index_arg(rt, a[0], "precision");
    struct str method = a[1].type == V_MISSING ? STR("common") : str_arg(rt, a[1], "method");
    double scale, x;

    UNUSED;
    if (v.type == V_UNDEFINED) {
        rt_fail(rt, "type Undefined doesn't define __round__ method");
    }
    if (!value_is_number(v)) {
        rt_fail(rt, "type %s doesn't define __round__ method", value_type_name(v));
    }
    if (str_eq(method, STR("common"))) {
        return round_common(rt, v, precision);
    }
    if (!str_eq(method, STR("ceil")) && !str_eq(method, STR("floor"))) {
        rt_fail(rt, "method must be common, ceil or floor");
    }
    scale = pow(10, (double)precision);
    x = value_as_double(v) * scale;
    return VALUE_FLOAT((method.ptr[0] == 'c' ? ceil(x) : floor(x)) / scale);
}

FILTER(f_filesizeformat)
{
    static const char *const decimal[] = { "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB" };
    static const char *const binary[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB" };
    bool is_binary = a[0].type != V_MISSING && value_truth(rt, a[0]);
    double base = is_binary ? 1024 : 1000, bytes, unit = base;
    const struct value no_default[] = { VALUE_NONE, VALUE_MISSING };
    struct value number = f_float(rt, v, no_default, args);

    if (number.type != V_FLOAT) {
        rt_fail(rt, "could not convert to float");
    }
    bytes = number.f;
    if (bytes == 1) {
        return VALUE_LIT("1 Byte");
    }
    if (bytes < base) {
        return rt_printf(rt, "%lld Bytes", (long long)bytes);
    }
    for (size_t i = 0; i < 8; i++) {
        unit *= base;
        if (bytes < unit || i == 7) {
            return rt_printf(rt, "%.1f %s", base * bytes / unit, is_binary ? binary[i] : decimal[i]);
        }
    }
    return VALUE_NONE;
}

const struct filter num_filters[] = {
    { "abs", f_abs, { 0 } },
    { "int", f_int, { .params = { "default", "base" } } },
    { "float", f_float, { .params = { "default" } } },
    { "round", f_round, { .params = { "precision", "method" } } },
    { "filesizeformat", f_filesizeformat, { .params = { "binary" } } },
    { 0 },
};
