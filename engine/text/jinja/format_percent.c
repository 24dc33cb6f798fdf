// "..." % arguments.
#include "engine/text/jinja/format.h"

#include "engine/text/jinja/ops.h"

#include <errno.h>
#include <math.h>
#include <string.h>

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

        return given > FORMAT_WIDTH_MAX || given < -FORMAT_WIDTH_MAX ? FORMAT_WIDTH_MAX : (int)given;
    }
    while (p->rest.len > 0 && p->rest.ptr[0] >= '0' && p->rest.ptr[0] <= '9') {
        n = n * 10 + (take_char(p) - '0');
        if (n > FORMAT_WIDTH_MAX) {
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

static struct format_spec take_flags(struct percent *p)
{
    struct format_spec spec = { .precision = -1 };

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

static struct value percent_number(struct percent *p, struct value v, char type, const struct format_spec *spec)
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
        return format_double(p->rt, v.type == V_FLOAT ? v.f : (double)v.i, type, spec);
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
    return format_char(p->rt, v.i);
}

static struct value percent_item(struct percent *p)
{
    struct value v;
    struct format_spec spec;
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
        v = format_convert(p->rt, v, type);
        v = p->is_markup ? markup_escape(p->rt, v) : v;
        if (spec.precision >= 0) {
            v = get_slice(p->rt, v, VALUE_NONE, VALUE_INT(spec.precision), VALUE_NONE);
        }
        spec.is_zero = false;
        return format_pad(p->rt, v, &spec, '>');
    }
    if (type == 'c') {
        return format_pad(p->rt, percent_char(p, v), &spec, '>');
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

        format_add(rt, &out, str_take(p.rest, len));
        p.rest = str_skip(p.rest, len + (at != NULL));
        if (at != NULL) {
            format_add(rt, &out, value_str(percent_item(&p)));
        }
    }
    // A mapping need not be used; anything else must.
    if (!is_mapping(args) && p.n_used < (p.is_tuple ? args.len : 1)) {
        rt_fail(rt, "not all arguments converted during string formatting");
    }
    out.flags = 0;
    return p.is_markup ? mark_safe(out) : out;
}
