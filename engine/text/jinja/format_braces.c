// "...".format(arguments).
#include "engine/text/jinja/format.h"

#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/strings.h"

#include <errno.h>
#include <string.h>

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
        if (n > FORMAT_WIDTH_MAX) {
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
static struct format_spec parse_spec(struct rt *rt, struct str s, bool is_text)
{
    struct format_spec spec = { .precision = -1 };
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

static struct value format_text(struct rt *rt, struct value v, const struct format_spec *spec)
{
    if (spec->sign != 0 || spec->is_alternate || spec->align == '=' || (spec->type != 0 && spec->type != 's')) {
        rt_fail(rt, "Unknown format code '%c' for object of type 'str'", spec->type != 0 ? spec->type : '=');
    }
    if (spec->precision >= 0) {
        v = get_slice(rt, v, VALUE_NONE, VALUE_INT(spec->precision), VALUE_NONE);
    }
    return format_pad(rt, v, spec, '<');
}

static struct value format_value(struct rt *rt, struct value v, struct str text)
{
    struct format_spec spec;

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
        return format_double(rt, v.type == V_FLOAT ? v.f : (double)v.i, spec.type, &spec);
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
        return format_pad(rt, format_char(rt, v.i), &spec, '>');
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
        v = format_convert(b->rt, v, conversion);
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
        format_add(b->rt, &out, str_take(format, len));
        format = str_skip(format, len);
        if (format.len == 0) {
            break;
        }
        c = format.ptr[0];
        format = str_skip(format, 1);
        if (format.len > 0 && format.ptr[0] == c) {
            format_add(b->rt, &out, str_take(format, 1));
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
        format_add(b->rt, &out, value_str(expand_field(b, str_take(format, field_len - 1), depth)));
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
