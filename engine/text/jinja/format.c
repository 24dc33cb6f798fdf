// "..." % arguments, and "...".format(arguments).
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/strings.h"

#include "engine/base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define WIDTH_MAX 100000

struct spec {
    struct str fill;
    char align; // '<', '>', '^', '=' or 0
    char sign;  // '+', ' ', or 0
    bool is_alternate, is_zero;
    char grouping;        // ',' or '_' or 0
    int width, precision; // -1: not given
    char type;            // 0: not given
};

static void add(struct rt *rt, struct value *out, struct str s)
{
    *out = rt_concat(rt, value_str(*out), s);
}

static struct value pad(struct rt *rt, struct value s, const struct spec *spec, char default_align)
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
static struct value pad_number(struct rt *rt, struct str sign, struct str digits, const struct spec *spec)
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
    return fills_inside ? text : pad(rt, text, spec, '>');
}

static struct str sign_of(bool is_negative, const struct spec *spec)
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

static struct value format_int(struct rt *rt, int64_t i, char type, const struct spec *spec)
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

static struct value format_float_spec(struct rt *rt, double x, char type, const struct spec *spec)
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

static struct value char_of(struct rt *rt, int64_t code)
{
    char bytes[4];
    size_t len = code >= 0 && code <= 0x10ffff ? utf8_encode((uint32_t)code, bytes) : 0;

    if (len == 0) {
        rt_fail(rt, "%%c arg not in range(0x110000)");
    }
    return rt_str(rt, (struct str){ bytes, len });
}

static struct value convert(struct rt *rt, struct value v, char conversion)
{
    return conversion == 's' ? to_str(rt, v) : conversion == 'r' ? to_repr(rt, v) : to_ascii(rt, v);
}

// ---- % -------------------------------------------------------------------------------------------------------------

struct percent {
    struct rt *rt;
    struct str rest;      // of the format
    struct value args;    // a tuple of them, or the only one; after a key the value found
    struct value mapping; // where keys are looked up
    bool is_tuple, is_markup;
    uint32_t n_used;
};

static struct value next_arg(struct percent *p)
{
    if (!p->is_tuple) {
        if (p->n_used++ > 0) {
            rt_fail(p->rt, "not enough arguments for format string");
        }
        return p->args;
    }
    if (p->n_used >= p->args.len) {
        rt_fail(p->rt, "not enough arguments for format string");
    }
    return p->args.items[p->n_used++];
}

static char take_char(struct percent *p)
{
    char c;

    if (p->rest.len == 0) {
        rt_fail(p->rt, "incomplete format");
    }
    c = p->rest.ptr[0];
    p->rest = str_skip(p->rest, 1);
    return c;
}

static int take_number(struct percent *p)
{
    int n = 0;

    if (p->rest.len > 0 && p->rest.ptr[0] == '*') {
        p->rest = str_skip(p->rest, 1);
        int64_t given = index_arg(p->rt, next_arg(p), "width");

        return given > WIDTH_MAX || given < -WIDTH_MAX ? WIDTH_MAX : (int)given;
    }
    while (p->rest.len > 0 && p->rest.ptr[0] >= '0' && p->rest.ptr[0] <= '9') {
        n = n * 10 + (take_char(p) - '0');
        if (n > WIDTH_MAX) {
            rt_fail(p->rt, "width too big");
        }
    }
    return n;
}

// %(key): what is found is the only argument from here on.
static void take_key(struct percent *p)
{
    size_t len = 0;
    unsigned depth = 1;
    const struct value *found;
    struct str key;

    if (p->mapping.type != V_DICT) {
        rt_fail(p->rt, "format requires a mapping");
    }
    while (len < p->rest.len && depth > 0) {
        depth += p->rest.ptr[len] == '(';
        depth -= p->rest.ptr[len] == ')';
        len++;
    }
    if (depth > 0) {
        rt_fail(p->rt, "incomplete format key");
    }
    key = str_take(p->rest, len - 1);
    p->rest = str_skip(p->rest, len);
    found = dict_get_str(p->rt, p->mapping.dict, key);
    if (found == NULL) {
        rt_fail(p->rt, "'%.*s'", STR_ARG(key));
    }
    p->args = *found;
    p->is_tuple = false;
    p->n_used = 0;
}

static struct spec take_flags(struct percent *p)
{
    struct spec spec = { .precision = -1 };

    for (; p->rest.len > 0; p->rest = str_skip(p->rest, 1)) {
        switch (p->rest.ptr[0]) {
        case '-': spec.align = '<'; continue;
        case '+': spec.sign = '+'; continue;
        case ' ': spec.sign = spec.sign == 0 ? ' ' : spec.sign; continue;
        case '#': spec.is_alternate = true; continue;
        case '0': spec.is_zero = true; continue;
        default: break;
        }
        break;
    }
    return spec;
}

static struct value percent_number(struct percent *p, struct value v, char type, const struct spec *spec)
{
    bool wants_float = strchr("eEfFgG", type) != NULL;

    if (v.type == V_UNDEFINED) {
        rt_fail_undefined(p->rt, v);
    }
    if (v.type == V_BIGINT) {
        rt_fail_code(p->rt, -EOPNOTSUPP, "an integer does not fit 64 bits");
    }
    if (!value_is_number(v)) {
        rt_fail(p->rt, wants_float ? "must be real number, not %s" : "a number is required, not %s",
                value_type_name(v));
    }
    if (wants_float) {
        return format_float_spec(p->rt, v.type == V_FLOAT ? v.f : (double)v.i, type, spec);
    }
    if (v.type == V_FLOAT && strchr("xXo", type) != NULL) {
        rt_fail(p->rt, "%%%c format: an integer is required, not float", type);
    }
    if (v.type == V_FLOAT && !(fabs(v.f) < 9e18)) {
        rt_fail_code(p->rt, -EOPNOTSUPP, "an integer does not fit 64 bits");
    }
    return format_int(p->rt, v.type == V_FLOAT ? (int64_t)v.f : v.i, type, spec);
}

static struct value percent_char(struct percent *p, struct value v)
{
    if (v.type == V_STR && value_len(p->rt, v) == 1) {
        return v;
    }
    if (!value_is_intlike(v)) {
        rt_fail(p->rt, "%%c requires int or char");
    }
    return char_of(p->rt, v.i);
}

static struct value percent_item(struct percent *p)
{
    struct value v;
    struct spec spec;
    char type;

    if (p->rest.len > 0 && p->rest.ptr[0] == '%') { // only where nothing stands between
        take_char(p);
        return VALUE_LIT("%");
    }
    if (p->rest.len > 0 && p->rest.ptr[0] == '(') {
        p->rest = str_skip(p->rest, 1);
        take_key(p);
    }
    spec = take_flags(p);
    spec.width = take_number(p);
    if (spec.width < 0) {
        spec.align = '<';
        spec.width = -spec.width;
    }
    if (p->rest.len > 0 && p->rest.ptr[0] == '.') {
        p->rest = str_skip(p->rest, 1);
        spec.precision = take_number(p);
    }
    while (p->rest.len > 0 && strchr("hlL", p->rest.ptr[0]) != NULL) {
        p->rest = str_skip(p->rest, 1);
    }
    type = take_char(p);
    if (strchr("sradiuxXoeEfFgGc", type) == NULL) {
        rt_fail(p->rt, "unsupported format character '%c'", type);
    }
    v = next_arg(p);
    if (strchr("sra", type) != NULL) {
        v = convert(p->rt, v, type);
        v = p->is_markup ? markup_escape(p->rt, v) : v;
        if (spec.precision >= 0) {
            v = get_slice(p->rt, v, VALUE_NONE, VALUE_INT(spec.precision), VALUE_NONE);
        }
        spec.is_zero = false;
        return pad(p->rt, v, &spec, '>');
    }
    if (type == 'c') {
        return pad(p->rt, percent_char(p, v), &spec, '>');
    }
    return percent_number(p, v, type == 'i' || type == 'u' ? 'd' : type, &spec);
}

// What Python takes for a mapping here: all that has subscripts, except for strings and tuples.
static bool is_mapping(struct value v)
{
    return v.type == V_DICT || v.type == V_LIST || v.type == V_RANGE || v.type == V_UNDEFINED;
}

struct value format_percent(struct rt *rt, struct value format, struct value args)
{
    struct percent p = { rt, value_str(format), args, args, args.type == V_TUPLE, value_is_markup(format), 0 };
    struct value out = VALUE_LIT("");

    while (p.rest.len > 0) {
        const char *at = memchr(p.rest.ptr, '%', p.rest.len);
        size_t len = at != NULL ? (size_t)(at - p.rest.ptr) : p.rest.len;

        add(rt, &out, str_take(p.rest, len));
        p.rest = str_skip(p.rest, len + (at != NULL));
        if (at != NULL) {
            add(rt, &out, value_str(percent_item(&p)));
        }
    }
    // A mapping need not be used; anything else must.
    if (!is_mapping(args) && p.n_used < (p.is_tuple ? args.len : 1)) {
        rt_fail(rt, "not all arguments converted during string formatting");
    }
    out.flags = 0;
    return p.is_markup ? mark_safe(out) : out;
}

// ---- {} ------------------------------------------------------------------------------------------------------------

struct braces {
    struct rt *rt;
    const struct args *args;
    bool is_markup;
    uint32_t n_auto;
    bool has_auto, has_manual;
};

static struct value expand(struct braces *b, struct str format, unsigned depth);

static bool is_align(char c)
{
    return c == '<' || c == '>' || c == '^' || c == '=';
}

static int spec_number(struct rt *rt, struct str *s)
{
    int n = 0;

    while (s->len > 0 && s->ptr[0] >= '0' && s->ptr[0] <= '9') {
        n = n * 10 + (s->ptr[0] - '0');
        if (n > WIDTH_MAX) {
            rt_fail(rt, "Too many decimal digits in format string");
        }
        *s = str_skip(*s, 1);
    }
    return n;
}

static bool spec_flag(struct str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c) {
        return false;
    }
    *s = str_skip(*s, 1);
    return true;
}

// [[fill]align][sign][#][0][width][grouping][.precision][type]
static struct spec parse_spec(struct rt *rt, struct str s, bool is_text)
{
    struct spec spec = { .precision = -1 };
    uint32_t c;
    size_t len = char_decode(s, &c);

    if (s.len > len && is_align(s.ptr[len])) {
        spec.fill = str_take(s, len);
        spec.align = s.ptr[len];
        s = str_skip(s, len + 1);
    } else if (s.len > 0 && is_align(s.ptr[0])) {
        spec.align = s.ptr[0];
        s = str_skip(s, 1);
    }
    if (spec_flag(&s, '+')) {
        spec.sign = '+';
    } else if (spec_flag(&s, ' ')) {
        spec.sign = ' ';
    } else {
        spec_flag(&s, '-');
    }
    spec.is_alternate = spec_flag(&s, '#');
    if (spec_flag(&s, '0')) {
        spec.is_zero = true;
        spec.fill = spec.fill.len == 0 ? STR("0") : spec.fill;
    }
    spec.width = spec_number(rt, &s);
    spec.grouping = spec_flag(&s, ',') ? ',' : spec_flag(&s, '_') ? '_' : 0;
    if (spec_flag(&s, '.')) {
        if (s.len == 0 || s.ptr[0] < '0' || s.ptr[0] > '9') {
            rt_fail(rt, "Format specifier missing precision");
        }
        spec.precision = spec_number(rt, &s);
    }
    if (s.len > 1) {
        rt_fail(rt, "Invalid format specifier");
    }
    spec.type = s.len == 1 ? s.ptr[0] : is_text ? 's' : 0;
    if (spec.grouping != 0 && spec.type != 0 &&
        strchr(spec.grouping == ',' ? "deEfFgG%" : "deEfFgG%boxX", spec.type) == NULL) {
        rt_fail(rt, "Cannot specify '%c' with '%c'.", spec.grouping, spec.type);
    }
    return spec;
}

static struct value format_text(struct rt *rt, struct value v, const struct spec *spec)
{
    if (spec->sign != 0 || spec->is_alternate || spec->align == '=' || (spec->type != 0 && spec->type != 's')) {
        rt_fail(rt, "Unknown format code '%c' for object of type 'str'", spec->type != 0 ? spec->type : '=');
    }
    if (spec->precision >= 0) {
        v = get_slice(rt, v, VALUE_NONE, VALUE_INT(spec->precision), VALUE_NONE);
    }
    return pad(rt, v, spec, '<');
}

static struct value format_value(struct rt *rt, struct value v, struct str text)
{
    struct spec spec;

    if (text.len == 0) {
        return to_str(rt, v);
    }
    if (v.type != V_STR && !value_is_number(v)) {
        rt_fail(rt, "unsupported format string passed to %s.__format__", value_type_name(v));
    }
    spec = parse_spec(rt, text, v.type == V_STR);
    if (v.type == V_STR) {
        return format_text(rt, v, &spec);
    }
    if (v.type == V_BIGINT) {
        rt_fail_code(rt, -EOPNOTSUPP, "an integer does not fit 64 bits");
    }
    if (v.type == V_FLOAT || (spec.type != 0 && strchr("eEfFgG%", spec.type) != NULL)) {
        if (spec.type != 0 && strchr("eEfFgGn%", spec.type) == NULL) {
            rt_fail(rt, "Unknown format code '%c' for object of type 'float'", spec.type);
        }
        return format_float_spec(rt, v.type == V_FLOAT ? v.f : (double)v.i, spec.type, &spec);
    }
    if (spec.type != 0 && strchr("bcdnoxX", spec.type) == NULL) {
        rt_fail(rt, "Unknown format code '%c' for object of type 'int'", spec.type);
    }
    if (spec.precision >= 0) {
        rt_fail(rt, "Precision not allowed in integer format specifier");
    }
    if (spec.type == 'c') {
        if (spec.sign != 0 || spec.is_alternate) {
            rt_fail(rt, "neither sign nor # is allowed with integer format specifier 'c'");
        }
        return pad(rt, char_of(rt, v.i), &spec, '>');
    }
    return format_int(rt, v.i, spec.type == 0 || spec.type == 'n' ? 'd' : spec.type, &spec);
}

// `is_whole`: nothing follows the name. Only then does Python's formatter take it for a number that was given, or left
// out.
static struct value field_base(struct braces *b, struct str name, bool is_whole)
{
    bool is_index = true;
    int64_t i = 0;

    for (size_t k = 0; k < name.len; k++) {
        is_index = is_index && name.ptr[k] >= '0' && name.ptr[k] <= '9';
    }
    if (!is_index || (name.len == 0 && !is_whole)) {
        for (uint32_t k = 0; k < b->args->n_kw; k++) {
            if (str_eq(b->args->kw[k].name, name)) {
                return b->args->kw[k].value;
            }
        }
        rt_fail(b->rt, "'%.*s'", STR_ARG(name));
    }
    b->has_auto |= name.len == 0;
    b->has_manual |= name.len > 0 && is_whole;
    if (is_whole && b->has_auto && b->has_manual) {
        rt_fail(b->rt, "cannot switch between automatic field numbering and manual field specification");
    }
    if (name.len == 0) {
        i = b->n_auto++;
    } else if (str_parse_i64(name, &i) < 0) {
        i = INT64_MAX;
    }
    if (i >= b->args->n) {
        rt_fail(b->rt, "Replacement index %lld out of range for positional args tuple", (long long)i);
    }
    return b->args->pos[i];
}

// "name.attr[key]"
static struct value field_value(struct braces *b, struct str path)
{
    size_t len = 0;
    struct value v;

    while (len < path.len && path.ptr[len] != '.' && path.ptr[len] != '[') {
        len++;
    }
    v = field_base(b, str_take(path, len), len == path.len);
    path = str_skip(path, len);
    while (path.len > 0) {
        bool is_attr = path.ptr[0] == '.';
        struct str part;
        int64_t i;

        path = str_skip(path, 1);
        len = 0;
        while (len < path.len && (is_attr ? path.ptr[len] != '.' && path.ptr[len] != '[' : path.ptr[len] != ']')) {
            len++;
        }
        part = str_take(path, len);
        path = str_skip(path, len + !is_attr);
        if (is_attr) {
            v = get_attr_name(b->rt, v, part);
        } else {
            v = get_item(b->rt, v, str_parse_i64(part, &i) == 0 && i >= 0 ? VALUE_INT(i) : value_from_str(part));
        }
    }
    return v;
}

static struct value expand_field(struct braces *b, struct str field, unsigned depth)
{
    size_t path_len = 0;
    struct str spec = STR("");
    char conversion = 0;
    struct value v;

    while (path_len < field.len && field.ptr[path_len] != '!' && field.ptr[path_len] != ':') {
        path_len += field.ptr[path_len] == '[' && memchr(field.ptr + path_len, ']', field.len - path_len) != NULL
                        ? (size_t)((const char *)memchr(field.ptr + path_len, ']', field.len - path_len) -
                                   (field.ptr + path_len))
                        : 1;
    }
    v = field_value(b, str_take(field, path_len));
    field = str_skip(field, path_len);
    if (field.len > 0 && field.ptr[0] == '!') {
        conversion = field.len > 1 ? field.ptr[1] : 0;
        field = str_skip(field, 2);
        if (conversion == 0 || strchr("rsa", conversion) == NULL || (field.len > 0 && field.ptr[0] != ':')) {
            rt_fail(b->rt, "Unknown conversion specifier");
        }
        v = convert(b->rt, v, conversion);
    }
    if (field.len > 0) {
        spec = value_str(expand(b, str_skip(field, 1), depth + 1));
    }
    v = format_value(b->rt, v, spec);
    return b->is_markup ? markup_escape(b->rt, v) : v;
}

static struct value expand(struct braces *b, struct str format, unsigned depth)
{
    struct value out = VALUE_LIT("");

    if (depth > 2) {
        rt_fail(b->rt, "Max string recursion exceeded");
    }
    while (format.len > 0) {
        size_t len = 0, field_len = 0;
        unsigned open = 1;
        char c;

        while (len < format.len && format.ptr[len] != '{' && format.ptr[len] != '}') {
            len++;
        }
        add(b->rt, &out, str_take(format, len));
        format = str_skip(format, len);
        if (format.len == 0) {
            break;
        }
        c = format.ptr[0];
        format = str_skip(format, 1);
        if (format.len > 0 && format.ptr[0] == c) {
            add(b->rt, &out, str_take(format, 1));
            format = str_skip(format, 1);
            continue;
        }
        if (c == '}') {
            rt_fail(b->rt, "Single '}' encountered in format string");
        }
        while (field_len < format.len && open > 0) {
            open += format.ptr[field_len] == '{';
            open -= format.ptr[field_len] == '}';
            field_len++;
        }
        if (open > 0) {
            rt_fail(b->rt,
                    format.len == 0 ? "Single '{' encountered in format string" : "expected '}' before end of string");
        }
        add(b->rt, &out, value_str(expand_field(b, str_take(format, field_len - 1), depth)));
        format = str_skip(format, field_len);
    }
    return out;
}

struct value format_braces(struct rt *rt, struct value format, const struct args *args)
{
    struct braces b = { .rt = rt, .args = args, .is_markup = value_is_markup(format) };
    struct value out = expand(&b, value_str(format), 0);

    out.flags = 0;
    return b.is_markup ? mark_safe(out) : out;
}
