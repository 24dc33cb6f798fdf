// str() and repr() of values, as Python writes them.
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/text.h"

#include "engine/base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// Above a power of two doubles lie twice as far apart as below it, so the nearest decimal of some length may read back
// as the one below while the next decimal up still reads back as x.
static bool next_up_reads_back(char *digits, double x)
{
    char *last = strchr(digits, 'e') - 1;
    char old = *last;

    if (old == '9' || old == '.') {
        return false; // the carry would make it a shorter one, which was tried
    }
    ++*last;
    if (strtod(digits, NULL) == x) {
        return true;
    }
    *last = old;
    return false;
}

// The shortest digits that read back to the same double, laid out as Python does: exponents from 1e16 and below 1e-4.
size_t format_float(double x, char out[static 40])
{
    char digits[40];
    int exponent, n_digits, precision, len = 0;
    const char *e;

    if (isnan(x) || isinf(x)) {
        return (size_t)snprintf(out, 40, "%s", isnan(x) ? "nan" : x < 0 ? "-inf" : "inf");
    }
    // Up to 15 digits always read back, so a shorter form has zeros at its end there; not so below the normal numbers.
    for (precision = isnormal(x) || x == 0 ? 14 : 0; precision < 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*e", precision, x);
        if (strtod(digits, NULL) == x || next_up_reads_back(digits, x)) {
            break;
        }
    }
    if (x < 0 || signbit(x)) {
        out[len++] = '-';
    }
    e = strchr(digits, 'e');
    exponent = atoi(e + 1);
    n_digits = 0;
    for (const char *d = digits; d < e; d++) {
        if (*d >= '0' && *d <= '9') {
            digits[n_digits++] = *d; // the mantissa's digits alone, in place
        }
    }
    while (n_digits > 1 && digits[n_digits - 1] == '0') {
        n_digits--;
    }
    if (exponent < -4 || exponent >= 16) {
        len += snprintf(out + len, (size_t)(40 - len), "%c%s%.*se%c%02d", digits[0], n_digits > 1 ? "." : "",
                        n_digits - 1, digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
        return (size_t)len;
    }
    for (int i = exponent < 0 ? exponent : 0; i < n_digits || i <= exponent + 1; i++) {
        if (i == exponent + 1) {
            out[len++] = '.';
        }
        if (i > exponent + 1 && i >= n_digits) {
            break;
        }
        out[len++] = i >= 0 && i < n_digits ? digits[i] : '0';
    }
    return (size_t)len;
}

static size_t format_int(int64_t i, char out[static 24])
{
    char digits[24];
    size_t n = 0, len = 0;
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;

    do {
        digits[n++] = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    if (i < 0) {
        out[len++] = '-';
    }
    while (n > 0) {
        out[len++] = digits[--n];
    }
    return len;
}

static void out_printf(struct rt *rt, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void out_printf(struct rt *rt, const char *fmt, ...)
{
    char text[128];
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    rt_out(rt, (struct str){ text, len < 0 ? 0 : (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1 });
}

static void out_escape(struct rt *rt, uint32_t code)
{
    out_printf(rt, code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
}

static void out_char_repr(struct rt *rt, struct str c, uint32_t code, char quote)
{
    if (code == (uint32_t)quote || code == '\\') {
        rt_out(rt, STR("\\"));
        rt_out(rt, c);
    } else if (code == '\n' || code == '\r' || code == '\t') {
        rt_out(rt, code == '\n' ? STR("\\n") : code == '\r' ? STR("\\r") : STR("\\t"));
    } else if (char_is_printable(code)) {
        rt_out(rt, c);
    } else {
        out_escape(rt, code);
    }
}

static void out_str_repr(struct rt *rt, struct str s)
{
    char quote = memchr(s.ptr, '\'', s.len) != NULL && memchr(s.ptr, '"', s.len) == NULL ? '"' : '\'';

    rt_charge_bytes(rt, s.len);
    rt_out(rt, (struct str){ &quote, 1 });
    while (s.len > 0) {
        uint32_t code;
        size_t len = char_decode(s, &code);

        out_char_repr(rt, str_take(s, len), code, quote);
        s = str_skip(s, len);
    }
    rt_out(rt, (struct str){ &quote, 1 });
}

static void out_items(struct rt *rt, struct value v, unsigned depth)
{
    rt_out(rt, v.type == V_LIST ? STR("[") : STR("("));
    for (uint32_t i = 0; i < v.len; i++) {
        if (i > 0) {
            rt_out(rt, STR(", "));
        }
        out_repr(rt, v.items[i], depth + 1);
    }
    if (v.type == V_TUPLE && v.len == 1) {
        rt_out(rt, STR(","));
    }
    rt_out(rt, v.type == V_LIST ? STR("]") : STR(")"));
}

static void out_dict(struct rt *rt, const struct dict *dict, unsigned depth)
{
    rt_out(rt, STR("{"));
    for (uint32_t i = 0; i < dict->n; i++) {
        if (i > 0) {
            rt_out(rt, STR(", "));
        }
        out_repr(rt, dict->entries[i].key, depth + 1);
        rt_out(rt, STR(": "));
        out_repr(rt, dict->entries[i].value, depth + 1);
    }
    rt_out(rt, STR("}"));
}

static void out_view(struct rt *rt, struct value view, unsigned depth)
{
    struct iter it = { .source = view };
    struct value item;
    bool is_first = true;

    out_printf(rt, "%s([", value_type_name(view));
    while (iter_next(rt, &it, &item)) {
        if (!is_first) {
            rt_out(rt, STR(", "));
        }
        is_first = false;
        out_repr(rt, item, depth + 1);
    }
    rt_out(rt, STR("])"));
}

static void out_range(struct rt *rt, const struct range *range)
{
    if (range->step == 1) {
        out_printf(rt, "range(%lld, %lld)", (long long)range->start, (long long)range->stop);
    } else {
        out_printf(rt, "range(%lld, %lld, %lld)", (long long)range->start, (long long)range->stop,
                   (long long)range->step);
    }
}

// Objects whose repr is an address in Python: the address is left out.
static void out_object(struct rt *rt, struct value v)
{
    switch ((enum value_type)v.type) {
    case V_MACRO:
        rt_out(rt, STR("<Macro "));
        if (v.macro->def->name.len > 0) {
            out_str_repr(rt, v.macro->def->name);
        } else {
            rt_out(rt, STR("anonymous"));
        }
        rt_out(rt, STR(">"));
        break;
    case V_LOOP:
        out_printf(rt, "<LoopContext %lld/%lld>", (long long)v.loop->index0 + 1, (long long)value_len(rt, v));
        break;
    case V_ITER: out_printf(rt, "<%s>", v.iter->repr); break;
    case V_FUNCTION: out_printf(rt, "<function %s>", v.function->name); break;
    default: out_printf(rt, "<%s object>", value_type_name(v)); break;
    }
}

void out_repr(struct rt *rt, struct value v, unsigned depth)
{
    if (depth > RT_VALUE_DEPTH) {
        rt_fail_code(rt, -E2BIG, "a value is nested too deeply");
    }
    rt_charge(rt, 1);
    switch ((enum value_type)v.type) {
    case V_UNDEFINED: rt_out(rt, STR("Undefined")); break;
    case V_STR:
        if (value_is_markup(v)) {
            rt_out(rt, STR("Markup("));
        }
        out_str_repr(rt, value_str(v));
        if (value_is_markup(v)) {
            rt_out(rt, STR(")"));
        }
        break;
    case V_LIST:
    case V_TUPLE: out_items(rt, v, depth); break;
    case V_DICT: out_dict(rt, v.dict, depth); break;
    case V_VIEW: out_view(rt, v, depth); break;
    case V_NAMESPACE: // the one value that may contain itself
        rt_out(rt, STR("<Namespace "));
        out_dict(rt, v.ns->attrs, depth);
        rt_out(rt, STR(">"));
        break;
    default: out_value(rt, v); break;
    }
}

void out_value(struct rt *rt, struct value v)
{
    char text[40];

    switch ((enum value_type)v.type) {
    case V_STR: rt_out(rt, value_str(v)); break;
    case V_MISSING:
    case V_UNDEFINED: break;
    case V_NONE: rt_out(rt, STR("None")); break;
    case V_BOOL: rt_out(rt, v.i != 0 ? STR("True") : STR("False")); break;
    case V_INT: rt_out(rt, (struct str){ text, format_int(v.i, text) }); break;
    case V_FLOAT: rt_out(rt, (struct str){ text, format_float(v.f, text) }); break;
    case V_BIGINT: rt_out(rt, value_str(v)); break;
    case V_LIST:
    case V_TUPLE:
    case V_DICT:
    case V_NAMESPACE:
    case V_VIEW: out_repr(rt, v, 0); break;
    case V_RANGE: out_range(rt, v.range); break;
    default: out_object(rt, v); break;
    }
}

struct value to_str(struct rt *rt, struct value v)
{
    size_t mark = rt->out->len;

    if (v.type == V_STR) {
        return v;
    }
    if (v.type == V_UNDEFINED) {
        return VALUE_LIT("");
    }
    out_value(rt, v);
    return rt_capture(rt, mark);
}

struct value to_plain_str(struct rt *rt, struct value v)
{
    v = to_str(rt, v);
    v.flags &= (uint8_t)~STR_MARKUP;
    return v;
}

struct value to_repr(struct rt *rt, struct value v)
{
    size_t mark = rt->out->len;

    out_repr(rt, v, 0);
    return rt_capture(rt, mark);
}

struct value to_ascii(struct rt *rt, struct value v)
{
    struct str rest = value_str(to_repr(rt, v));
    size_t mark = rt->out->len;

    while (rest.len > 0) {
        uint32_t code;
        size_t len = char_decode(rest, &code);

        if (code < 128) {
            rt_out(rt, str_take(rest, len));
        } else {
            out_escape(rt, code);
        }
        rest = str_skip(rest, len);
    }
    return rt_capture(rt, mark);
}
