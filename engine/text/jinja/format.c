// Numbers and texts after a specification.
#include "engine/text/jinja/format.h"

#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/strings.h"

#include "engine/base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void format_add(struct rt *rt, struct value *out, struct str s)
{
    *out = rt_concat(rt, value_str(*out), s);
}

struct value format_pad(struct rt *rt, struct value s, const struct format_spec *spec, char default_align)
{
    char align = spec->align != 0 ? spec->align : default_align;
    struct str fill = spec->fill.len > 0 ? spec->fill : STR(" ");

    if (align == '^') { // the odd one goes to the right, other than with str.center
        int64_t n = value_len(rt, s);

        s = spec->width > n ? str_pad(rt, s, n + (spec->width - n) / 2, fill, 1) : s;
    }
    return str_pad(rt, s, spec->width, fill, align == '<' || align == '^' ? -1 : 1);
}

// Sign and digits apart, so that zeros go between them.
static struct value pad_number(struct rt *rt, struct str sign, struct str digits, const struct format_spec *spec)
{
    bool fills_inside = spec->align == '=' || (spec->align == 0 && spec->is_zero);
    struct value text = rt_str(rt, digits);

    if (fills_inside) {
        text = str_pad(rt, text, spec->width - (int)sign.len,
                       spec->fill.len > 0 ? spec->fill
                       : spec->is_zero    ? STR("0")
                                          : STR(" "),
                       1);
    }
    text = sign.len > 0 ? rt_concat(rt, value_str(rt_str(rt, sign)), value_str(text)) : text;
    return fills_inside ? text : format_pad(rt, text, spec, '>');
}

static struct str sign_of(bool is_negative, const struct format_spec *spec)
{
    return is_negative ? STR("-") : spec->sign == '+' ? STR("+") : spec->sign == ' ' ? STR(" ") : STR("");
}

static size_t group_digits(const char *digits, size_t n, char separator, unsigned every, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (n - i) % every == 0) {
            out[len++] = separator;
        }
        out[len++] = digits[i];
    }
    return len;
}

struct value format_int(struct rt *rt, int64_t i, char type, const struct format_spec *spec)
{
    char digits[80], grouped[160], sign[4] = { 0 };
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    unsigned base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    size_t n = 0, at = sizeof(digits);
    struct str s = sign_of(i < 0, spec);

    do {
        digits[--at] = (type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[u % base];
        u /= base;
        n++;
    } while (u > 0);
    while ((int)n < spec->precision && at > 0) {
        digits[--at] = '0';
        n++;
    }
    snprintf(sign, sizeof(sign), "%.*s%s%c", STR_ARG(s), spec->is_alternate && base != 10 ? "0" : "",
             spec->is_alternate && base != 10 ? type : 0);
    if (spec->grouping != 0) {
        n = group_digits(digits + at, n, spec->grouping, base == 10 ? 3 : 4, grouped);
        return pad_number(rt, str_from(sign), (struct str){ grouped, n }, spec);
    }
    return pad_number(rt, str_from(sign), (struct str){ digits + at, n }, spec);
}

struct value format_double(struct rt *rt, double x, char type, const struct format_spec *spec)
{
    char text[1200], fmt[16];
    const char *digits = text;
    int precision = spec->precision < 0 ? 6 : spec->precision > 300 ? 300 : spec->precision;
    struct value grouped;

    if (type == 0 && spec->precision < 0) {
        text[format_float(fabs(x), text)] = 0;
    } else if (!isfinite(x)) {
        snprintf(text, sizeof(text), "%s", isnan(x) ? "nan" : "inf");
    } else if (type == '%') {
        snprintf(text, sizeof(text), "%.*f%%", precision, fabs(x) * 100);
    } else {
        snprintf(fmt, sizeof(fmt), "%%%s.*%c", spec->is_alternate ? "#" : "", type == 0 || type == 'n' ? 'g' : type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof(text), fmt, precision, fabs(x));
#pragma GCC diagnostic pop
    }
    if (spec->grouping != 0) {
        size_t n_int = strspn(digits, "0123456789");
        char *out;

        grouped = rt_str_n(rt, strlen(digits) + n_int, &out);
        grouped.len = (uint32_t)group_digits(digits, n_int, spec->grouping, 3, out);
        memcpy(out + grouped.len, digits + n_int, strlen(digits + n_int));
        grouped.len += (uint32_t)strlen(digits + n_int);
        return pad_number(rt, sign_of(signbit(x) && !isnan(x), spec), value_str(grouped), spec);
    }
    return pad_number(rt, sign_of(signbit(x) && !isnan(x), spec), str_from(digits), spec);
}

struct value format_char(struct rt *rt, int64_t code)
{
    char bytes[4];
    size_t len = code >= 0 && code <= 0x10ffff ? utf8_encode((uint32_t)code, bytes) : 0;

    if (len == 0) {
        rt_fail(rt, "%%c arg not in range(0x110000)");
    }
    return rt_str(rt, (struct str){ bytes, len });
}

struct value format_convert(struct rt *rt, struct value v, char conversion)
{
    return conversion == 's' ? to_str(rt, v) : conversion == 'r' ? to_repr(rt, v) : to_ascii(rt, v);
}
