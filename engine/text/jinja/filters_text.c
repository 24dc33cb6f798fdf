// Filters on text.
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/strings.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define FILTER(name)                                                                                                   \
    static struct value name(struct rt *rt, struct value v, const struct value *a, const struct args *args)
#define UNUSED ((void)rt, (void)a, (void)args)

FILTER(f_upper)
{
    UNUSED;
    return str_map_case(rt, to_str(rt, v), CASE_UPPER);
}

FILTER(f_lower)
{
    UNUSED;
    return str_map_case(rt, to_str(rt, v), CASE_LOWER);
}

FILTER(f_capitalize)
{
    UNUSED;
    return str_capitalize(rt, to_str(rt, v));
}

static bool begins_word(uint32_t c)
{
    return char_is_space(c) || (c < 128 && c != 0 && strchr("-({[<", (int)c) != NULL);
}

// Words as this filter sees them: after a run of white space or opening brackets.
FILTER(f_title)
{
    struct str text = value_str(to_str(rt, v));
    struct value out = VALUE_LIT("");

    UNUSED;
    for (size_t i = 0; i < text.len;) {
        size_t end = i, len;
        uint32_t c;
        bool is_gap;
        struct str part;
        struct value piece;

        len = char_decode(str_skip(text, i), &c);
        is_gap = begins_word(c);
        for (end = i + len; end < text.len; end += len) {
            len = char_decode(str_skip(text, end), &c);
            if (begins_word(c) != is_gap) {
                break;
            }
        }
        part = str_take(str_skip(text, i), end - i);
        len = char_decode(part, &c);
        piece = is_gap ? value_from_str(part) : str_map_case(rt, value_from_str(str_take(part, len)), CASE_UPPER);
        out = rt_concat(rt, value_str(out), value_str(piece));
        if (!is_gap) {
            piece = str_map_case(rt, value_from_str(str_skip(part, len)), CASE_LOWER);
            out = rt_concat(rt, value_str(out), value_str(piece));
        }
        i = end;
    }
    return out;
}

FILTER(f_trim)
{
    UNUSED;
    return str_strip(rt, to_str(rt, v), a[0], true, true);
}

FILTER(f_string)
{
    UNUSED;
    return to_str(rt, v);
}

FILTER(f_safe)
{
    UNUSED;
    return mark_safe(to_str(rt, v));
}

FILTER(f_escape)
{
    UNUSED;
    return markup_escape(rt, v);
}

FILTER(f_forceescape)
{
    UNUSED;
    return markup_escape(rt, to_plain_str(rt, v));
}

FILTER(f_replace)
{
    struct value s = to_plain_str(rt, v), old = to_plain_str(rt, a[0]), by = to_plain_str(rt, a[1]);

    UNUSED;
    return str_replace(rt, s, value_str(old), value_str(by),
                       str_arg_is_given(a[2]) ? index_arg(rt, a[2], "count") : -1);
}

FILTER(f_format)
{
    struct value s = to_str(rt, v);
    struct dict *dict;

    (void)a;
    if (args->n > 0 && args->n_kw > 0) {
        rt_fail(rt, "can't handle positional and keyword arguments at the same time");
    }
    if (args->n_kw == 0) {
        return format_percent(rt, s, rt_list(rt, V_TUPLE, args->pos, args->n));
    }
    dict = dict_new(rt, args->n_kw);
    for (uint32_t i = 0; i < args->n_kw; i++) {
        dict_set(rt, dict, value_from_str(args->kw[i].name), args->kw[i].value);
    }
    return format_percent(rt, s, (struct value){ .type = V_DICT, .dict = dict });
}

static bool is_given_and_true(struct rt *rt, struct value v)
{
    return v.type != V_MISSING && value_truth(rt, v);
}

static struct value spaces(struct rt *rt, int64_t n)
{
    return op_binary(rt, TOK_MUL, VALUE_LIT(" "), VALUE_INT(n));
}

FILTER(f_indent)
{
    struct value indention =
        a[0].type == V_STR ? a[0] : spaces(rt, a[0].type == V_MISSING ? 4 : index_arg(rt, a[0], "width"));
    bool first = is_given_and_true(rt, a[1]), blank = is_given_and_true(rt, a[2]), is_markup = value_is_markup(v);
    struct value lines, out = VALUE_LIT("");

    UNUSED;
    if (v.type != V_STR) {
        op_add(rt, v, VALUE_LIT("\n")); // fails as Python does
        rt_fail(rt, "'%s' object has no attribute 'splitlines'", value_type_name(v));
    }
    // One newline more makes a final newline of the text its own, empty line.
    lines = str_splitlines(rt, rt_concat(rt, value_str(rt_str(rt, value_str(v))), STR("\n")), false);
    for (uint32_t i = 0; i < lines.len; i++) {
        struct str line = value_str(lines.items[i]);

        if (i > 0) {
            out = rt_concat(rt, value_str(out), STR("\n"));
        }
        if (i == 0 ? first : blank || line.len > 0) {
            out = rt_concat(rt, value_str(out), value_str(indention));
        }
        out = rt_concat(rt, value_str(out), line);
    }
    return is_markup ? mark_safe(out) : out;
}

FILTER(f_truncate)
{
    int64_t length = a[0].type == V_MISSING ? 255 : index_arg(rt, a[0], "length");
    bool killwords = is_given_and_true(rt, a[1]);
    struct value end = a[2].type == V_MISSING ? VALUE_LIT("...") : a[2], cut;
    int64_t leeway = str_arg_is_given(a[3]) ? index_arg(rt, a[3], "leeway") : 5, end_len;

    UNUSED;
    end_len = value_len(rt, end);
    if (length < end_len || leeway < 0) {
        rt_fail(rt, "expected length >= %lld, got %lld", (long long)end_len, (long long)length);
    }
    if (value_len(rt, v) <= length + leeway) {
        return v;
    }
    cut = get_slice(rt, v, VALUE_NONE, VALUE_INT(length - end_len), VALUE_NONE);
    if (!killwords) {
        cut = str_rsplit(rt, cut, VALUE_LIT(" "), 1).items[0];
    }
    return op_add(rt, cut, end);
}

FILTER(f_wordcount)
{
    struct str text = value_str(to_str(rt, v));
    int64_t n = 0;
    bool in_word = false;

    UNUSED;
    rt_charge_bytes(rt, text.len);
    while (text.len > 0) {
        uint32_t c;
        size_t len = char_decode(text, &c);
        bool is_word = c == '_' || char_is_alpha(c) || char_is_numeric(c);

        n += is_word && !in_word;
        in_word = is_word;
        text = str_skip(text, len);
    }
    return VALUE_INT(n);
}

FILTER(f_center)
{
    UNUSED;
    return str_pad(rt, to_str(rt, v), a[0].type == V_MISSING ? 80 : index_arg(rt, a[0], "width"), STR(" "), 0);
}

FILTER(f_striptags)
{
    struct str text = value_str(to_str(rt, v));
    struct value out = VALUE_LIT(""), words;
    ptrdiff_t start, end;

    UNUSED;
    while ((start = str_find(text, STR("<"))) >= 0) {
        struct str tag = str_skip(text, (size_t)start);
        bool is_comment = str_starts_with(tag, STR("<!--"));

        end = is_comment ? str_find(str_skip(tag, 4), STR("-->")) : str_find(tag, STR(">"));
        if (end < 0) {
            break;
        }
        out = rt_concat(rt, value_str(out), str_take(text, (size_t)start));
        text = str_skip(tag, (size_t)end + (is_comment ? 7 : 1));
    }
    out = rt_concat(rt, value_str(out), text);
    words = str_join(rt, VALUE_LIT(" "), str_split(rt, out, VALUE_NONE, -1), true);
    if (memchr(words.s, '&', words.len) != NULL) {
        rt_fail_code(rt, -EOPNOTSUPP, "striptags of text with HTML entities is not supported");
    }
    return words;
}

// ---- URLs and attributes -------------------------------------------------------------------------------------------

static struct value quote(struct rt *rt, struct str text, bool for_query)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    char *out;
    struct value v = rt_str_n(rt, text.len * 3, &out);

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c < 128 && (char_is_word(c) || strchr("-.~", c) != NULL || (c == '/' && !for_query)) && c != 0) {
            out[n++] = (char)c;
        } else if (c == ' ' && for_query) {
            out[n++] = '+';
        } else {
            out[n++] = '%';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    v.len = (uint32_t)n;
    return v;
}

FILTER(f_urlencode)
{
    struct value out = VALUE_LIT(""), pair;
    struct iter it;

    UNUSED;
    if (v.type == V_STR || !value_is_iterable(v)) {
        return quote(rt, value_str(to_str(rt, v)), false);
    }
    iter_begin(rt, &it, v.type == V_DICT ? (struct value){ .type = V_VIEW, .flags = VIEW_ITEMS, .dict = v.dict } : v);
    while (iter_next(rt, &it, &pair)) {
        if ((pair.type != V_TUPLE && pair.type != V_LIST) || pair.len != 2) {
            rt_fail(rt, "urlencode wants pairs");
        }
        for (uint32_t i = 0; i < 2; i++) {
            struct value part = quote(rt, value_str(to_str(rt, pair.items[i])), true);

            if (i > 0 || out.len > 0) {
                out = rt_concat(rt, value_str(out), i > 0 ? STR("=") : STR("&"));
            }
            out = rt_concat(rt, value_str(out), value_str(part));
        }
    }
    return out;
}

FILTER(f_xmlattr)
{
    struct value out = VALUE_LIT("");
    bool autospace = a[0].type == V_MISSING || value_truth(rt, a[0]);

    UNUSED;
    if (v.type != V_DICT) {
        rt_fail(rt, "'%s' object has no attribute 'items'", value_type_name(v));
    }
    for (uint32_t i = 0; i < v.dict->n; i++) {
        struct value key = v.dict->entries[i].key, value = v.dict->entries[i].value;

        if (value.type == V_NONE || value.type == V_UNDEFINED) {
            continue;
        }
        if (key.type != V_STR) {
            rt_fail(rt, "expected string or bytes-like object, got '%s'", value_type_name(key));
        }
        for (uint32_t k = 0; k < key.len; k++) {
            if (key.s[k] != '\0' && strchr(" \t\n\r\f\v/>=", key.s[k]) != NULL) {
                rt_fail(rt, "Invalid character in attribute name: '%.*s'", STR_ARG(value_str(key)));
            }
        }
        if (out.len > 0 || autospace) {
            out = rt_concat(rt, value_str(out), STR(" "));
        }
        key = markup_escape(rt, key);
        value = markup_escape(rt, value);
        out = rt_concat(rt, value_str(out), value_str(key));
        out = rt_concat(rt, value_str(out), STR("=\""));
        out = rt_concat(rt, value_str(out), value_str(value));
        out = rt_concat(rt, value_str(out), STR("\""));
    }
    out.flags = 0;
    return out;
}

FILTER(f_unsupported)
{
    (void)v;
    UNUSED;
    rt_fail_code(rt, -EOPNOTSUPP, "this filter is not supported");
}

const struct filter text_filters[] = {
    { "trim", f_trim, { .params = { "chars" } } },
    { "upper", f_upper, { 0 } },
    { "lower", f_lower, { 0 } },
    { "capitalize", f_capitalize, { 0 } },
    { "title", f_title, { 0 } },
    { "string", f_string, { 0 } },
    { "safe", f_safe, { 0 } },
    { "e", f_escape, { 0 } },
    { "escape", f_escape, { 0 } },
    { "forceescape", f_forceescape, { 0 } },
    { "replace", f_replace, { .n_required = 2, .params = { "old", "new", "count" } } },
    { "format", f_format, { .is_variadic = true } },
    { "indent", f_indent, { .params = { "width", "first", "blank" } } },
    { "truncate", f_truncate, { .params = { "length", "killwords", "end", "leeway" } } },
    { "wordcount", f_wordcount, { 0 } },
    { "center", f_center, { .params = { "width" } } },
    { "striptags", f_striptags, { 0 } },
    { "urlencode", f_urlencode, { 0 } },
    { "xmlattr", f_xmlattr, { .params = { "autospace" } } },
    { "tojson", filter_tojson, { .params = { "ensure_ascii", "indent", "separators", "sort_keys" } } },
    { "pprint", f_unsupported, { .is_variadic = true } },
    { "urlize", f_unsupported, { .is_variadic = true } },
    { "wordwrap", f_unsupported, { .is_variadic = true } },
    { "random", f_unsupported, { .is_variadic = true } },
    { 0 },
};

const struct filter *filter_find(struct str name)
{
    static const struct filter *const tables[] = { text_filters, seq_filters, lazy_filters, num_filters };

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct filter *f = tables[i]; f->name != NULL; f++) {
            if (str_eq(str_from(f->name), name)) {
                return f;
            }
        }
    }
    return NULL;
}
