// The methods of str.
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/strings.h"

#include "engine/base/utf8.h"

#include <string.h>

#define METHOD(name)                                                                                                   \
    static struct value name(struct rt *rt, struct value s, const struct value *a, const struct args *args)
#define UNUSED ((void)rt, (void)a, (void)args)

// A method that is one expression.
#define METHOD_IS(name, expression)                                                                                    \
    METHOD(name)                                                                                                       \
    {                                                                                                                  \
        UNUSED;                                                                                                        \
        return expression;                                                                                             \
    }

static int64_t int_or(struct rt *rt, struct value v, int64_t otherwise)
{
    return str_arg_is_given(v) ? index_arg(rt, v, "argument") : otherwise;
}

METHOD_IS(str_m_upper, str_map_case(rt, s, CASE_UPPER))
METHOD_IS(str_m_lower, str_map_case(rt, s, CASE_LOWER))
METHOD_IS(str_m_casefold, str_map_case(rt, s, CASE_FOLD))
METHOD_IS(str_m_title, str_title(rt, s))
METHOD_IS(str_m_capitalize, str_capitalize(rt, s))

METHOD(str_m_swapcase)
{
    struct str text = value_str(s);
    size_t n = 0;
    char *out;
    struct value v = rt_str_n(rt, text.len * 3, &out);

    UNUSED;
    while (text.len > 0) {
        uint32_t c, mapped[3];
        size_t len = char_decode(text, &c);
        bool is_swapped = char_is_upper(c) || char_is_lower(c); // a letter in title case stays
        size_t n_mapped = char_map_case(c, char_is_upper(c) ? CASE_LOWER : CASE_UPPER, mapped);

        for (size_t i = 0; i < (is_swapped ? n_mapped : 1); i++) {
            char bytes[4];
            size_t k = utf8_encode(is_swapped ? mapped[i] : c, bytes);

            memcpy(out + n, bytes, k);
            n += k;
        }
        text = str_skip(text, len);
    }
    v.len = (uint32_t)n;
    return mark_like(v, s);
}

METHOD_IS(str_m_strip, str_strip(rt, s, a[0], true, true))
METHOD_IS(str_m_lstrip, str_strip(rt, s, a[0], true, false))
METHOD_IS(str_m_rstrip, str_strip(rt, s, a[0], false, true))
METHOD_IS(str_m_split, str_split(rt, s, a[0], int_or(rt, a[1], -1)))
METHOD_IS(str_m_rsplit, str_rsplit(rt, s, a[0], int_or(rt, a[1], -1)))
METHOD_IS(str_m_splitlines, str_splitlines(rt, s, a[0].type != V_MISSING && value_truth(rt, a[0])))

METHOD(str_m_replace)
{
    struct value by = value_is_markup(s) ? markup_escape(rt, a[1]) : a[1];

    UNUSED;
    return str_replace(rt, s, str_arg(rt, a[0], "replace"), str_arg(rt, by, "replace"), int_or(rt, a[2], -1));
}

METHOD_IS(str_m_join, str_join(rt, s, a[0], true))

// The part of s that start and end (in characters, as a slice takes them) leave; false when start lies behind the end.
static bool take_part(struct rt *rt, struct value s, struct value start, struct value end, struct str *ret,
                      int64_t *ret_start)
{
    int64_t n = value_len(rt, s), from = int_or(rt, start, 0), to = int_or(rt, end, n);
    size_t offset;

    from = from < 0 ? (from + n < 0 ? 0 : from + n) : from;
    to = to < 0 ? (to + n < 0 ? 0 : to + n) : to > n ? n : to;
    if (from > to) {
        return false;
    }
    offset = text_offset(value_str(s), (size_t)from);
    *ret = str_take(str_skip(value_str(s), offset), text_offset(str_skip(value_str(s), offset), (size_t)(to - from)));
    *ret_start = from;
    return true;
}

static bool matches_end(struct str text, struct str part, bool at_start)
{
    return at_start ? str_starts_with(text, part) : str_ends_with(text, part);
}

static struct value starts_or_ends(struct rt *rt, struct value s, const struct value *a, bool at_start)
{
    struct str text;
    int64_t unused;

    if (!take_part(rt, s, a[1], a[2], &text, &unused)) {
        return VALUE_BOOL(false);
    }
    if (a[0].type != V_TUPLE) {
        if (a[0].type != V_STR) {
            rt_fail(rt, "%s first arg must be str or a tuple of str, not %s", at_start ? "startswith" : "endswith",
                    value_type_name(a[0]));
        }
        return VALUE_BOOL(matches_end(text, value_str(a[0]), at_start));
    }
    for (uint32_t i = 0; i < a[0].len; i++) {
        if (matches_end(text, str_arg(rt, a[0].items[i], "startswith"), at_start)) {
            return VALUE_BOOL(true);
        }
    }
    return VALUE_BOOL(false);
}

METHOD_IS(str_m_startswith, starts_or_ends(rt, s, a, true))
METHOD_IS(str_m_endswith, starts_or_ends(rt, s, a, false))

static int64_t find(struct rt *rt, struct value s, const struct value *a, bool from_right)
{
    struct str needle = str_arg(rt, a[0], "find"), text;
    int64_t start;
    ptrdiff_t at;

    rt_charge_bytes(rt, s.len);
    if (!take_part(rt, s, a[1], a[2], &text, &start)) {
        return -1;
    }
    at = from_right ? str_find_last(rt, text, needle) : str_find(text, needle);
    return at < 0 ? -1 : start + (int64_t)text_n_chars(str_take(text, (size_t)at));
}

static struct value index_of(struct rt *rt, struct value s, const struct value *a, bool from_right)
{
    int64_t i = find(rt, s, a, from_right);

    if (i < 0) {
        rt_fail(rt, "substring not found");
    }
    return VALUE_INT(i);
}

METHOD_IS(str_m_find, VALUE_INT(find(rt, s, a, false)))
METHOD_IS(str_m_rfind, VALUE_INT(find(rt, s, a, true)))
METHOD_IS(str_m_index, index_of(rt, s, a, false))
METHOD_IS(str_m_rindex, index_of(rt, s, a, true))

METHOD(str_m_count)
{
    struct str needle = str_arg(rt, a[0], "count"), text;
    int64_t n = 0, unused;
    ptrdiff_t at;

    UNUSED;
    rt_charge_bytes(rt, s.len);
    if (!take_part(rt, s, a[1], a[2], &text, &unused)) {
        return VALUE_INT(0);
    }
    if (needle.len == 0) {
        return VALUE_INT((int64_t)text_n_chars(text) + 1);
    }
    while ((at = str_find(text, needle)) >= 0) {
        text = str_skip(text, (size_t)at + needle.len);
        n++;
    }
    return VALUE_INT(n);
}

static struct value triple(struct rt *rt, struct value s, struct str x, struct str y, struct str z)
{
    const struct value items[] = { mark_like(value_from_str(x), s), mark_like(value_from_str(y), s),
                                   mark_like(value_from_str(z), s) };

    return rt_list(rt, V_TUPLE, items, 3);
}

static struct value partition(struct rt *rt, struct value s, struct value sep, bool from_right)
{
    struct str text = value_str(s), by = str_arg(rt, sep, "partition");
    ptrdiff_t at;

    if (by.len == 0) {
        rt_fail(rt, "empty separator");
    }
    rt_charge_bytes(rt, text.len);
    at = from_right ? str_find_last(rt, text, by) : str_find(text, by);
    if (at < 0) {
        return from_right ? triple(rt, s, STR(""), STR(""), text) : triple(rt, s, text, STR(""), STR(""));
    }
    return triple(rt, s, str_take(text, (size_t)at), by, str_skip(text, (size_t)at + by.len));
}

METHOD_IS(str_m_partition, partition(rt, s, a[0], false))
METHOD_IS(str_m_rpartition, partition(rt, s, a[0], true))

METHOD(str_m_removeprefix)
{
    struct str prefix = str_arg(rt, a[0], "removeprefix"), text = value_str(s);

    UNUSED;
    return mark_like(value_from_str(str_starts_with(text, prefix) ? str_skip(text, prefix.len) : text), s);
}

METHOD(str_m_removesuffix)
{
    struct str suffix = str_arg(rt, a[0], "removesuffix"), text = value_str(s);

    UNUSED;
    return mark_like(value_from_str(str_ends_with(text, suffix) ? str_take(text, text.len - suffix.len) : text), s);
}

static struct value pad(struct rt *rt, struct value s, const struct value *a, int where)
{
    struct str fill = a[1].type == V_MISSING ? STR(" ") : str_arg(rt, a[1], "fill character");

    return str_pad(rt, s, index_arg(rt, a[0], "width"), fill, where);
}

METHOD_IS(str_m_center, pad(rt, s, a, 0))
METHOD_IS(str_m_ljust, pad(rt, s, a, -1))
METHOD_IS(str_m_rjust, pad(rt, s, a, 1))

METHOD(str_m_zfill)
{
    struct str text = value_str(s);
    bool has_sign = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+');
    int64_t width = index_arg(rt, a[0], "width");
    struct value digits, sign;

    UNUSED;
    if (!has_sign) {
        return str_pad(rt, s, width, STR("0"), 1);
    }
    digits = str_pad(rt, value_from_str(str_skip(text, 1)), width - 1, STR("0"), 1);
    sign = rt_str(rt, str_take(text, 1));
    return mark_like(rt_concat(rt, value_str(sign), value_str(digits)), s);
}

METHOD_IS(str_m_format, format_braces(rt, s, args))

METHOD(str_m_format_map)
{
    struct kwarg *kw;

    UNUSED;
    if (a[0].type != V_DICT) {
        rt_fail(rt, "format_map() argument must be a mapping");
    }
    kw = rt_alloc(rt, a[0].dict->n * sizeof(*kw));
    for (uint32_t i = 0; i < a[0].dict->n; i++) {
        kw[i] = (struct kwarg){ value_str(to_str(rt, a[0].dict->entries[i].key)), a[0].dict->entries[i].value };
    }
    return format_braces(rt, s, &(struct args){ NULL, 0, kw, a[0].dict->n });
}

// ---- questions about characters ------------------------------------------------------------------------------------

static struct value all_chars(struct rt *rt, struct value s, bool (*is)(uint32_t c))
{
    struct str text = value_str(s);

    rt_charge_bytes(rt, text.len);
    while (text.len > 0) {
        uint32_t c;
        size_t len = char_decode(text, &c);

        if (!is(c)) {
            return VALUE_BOOL(false);
        }
        text = str_skip(text, len);
    }
    return VALUE_BOOL(s.len > 0);
}

static bool is_alnum(uint32_t c)
{
    return char_is_alpha(c) || char_is_numeric(c);
}

static bool is_ascii(uint32_t c)
{
    return c < 128;
}

METHOD_IS(str_m_isspace, all_chars(rt, s, char_is_space))
METHOD_IS(str_m_isalpha, all_chars(rt, s, char_is_alpha))
METHOD_IS(str_m_isalnum, all_chars(rt, s, is_alnum))
METHOD_IS(str_m_isdigit, all_chars(rt, s, char_is_digit))
METHOD_IS(str_m_isdecimal, all_chars(rt, s, char_is_decimal))
METHOD_IS(str_m_isnumeric, all_chars(rt, s, char_is_numeric))
METHOD_IS(str_m_isprintable, s.len == 0 ? VALUE_BOOL(true) : all_chars(rt, s, char_is_printable))
METHOD_IS(str_m_isascii, s.len == 0 ? VALUE_BOOL(true) : all_chars(rt, s, is_ascii))
METHOD_IS(str_m_isidentifier,
          s.len > 0 && s.s[0] >= '0' && s.s[0] <= '9' ? VALUE_BOOL(false) : all_chars(rt, s, char_is_word))
static bool has_case(struct rt *rt, struct value s, bool is_upper)
{
    struct str text = value_str(s);
    bool has_cased = false;

    rt_charge_bytes(rt, text.len);
    while (text.len > 0) {
        uint32_t c;
        size_t len = char_decode(text, &c);

        if (char_is_cased(c)) {
            has_cased = true;
            if (is_upper ? !char_is_upper(c) : !char_is_lower(c)) {
                return false;
            }
        }
        text = str_skip(text, len);
    }
    return has_cased;
}

METHOD_IS(str_m_isupper, VALUE_BOOL(has_case(rt, s, true)))
METHOD_IS(str_m_islower, VALUE_BOOL(has_case(rt, s, false)))

METHOD(str_m_istitle)
{
    struct str text = value_str(s);
    bool was_cased = false, has_cased = false;

    UNUSED;
    rt_charge_bytes(rt, s.len);
    while (text.len > 0) {
        uint32_t c;
        size_t len = char_decode(text, &c);

        if (char_is_cased(c)) {
            if (char_is_lower(c) != was_cased) {
                return VALUE_BOOL(false);
            }
            has_cased = true;
        }
        was_cased = char_is_cased(c);
        text = str_skip(text, len);
    }
    return VALUE_BOOL(has_cased);
}

#define NONE                                                                                                           \
    {                                                                                                                  \
        0                                                                                                              \
    }
#define POS(n, ...)                                                                                                    \
    {                                                                                                                  \
        .n_required = (n), .is_positional = true, .params = { __VA_ARGS__ }                                            \
    }
#define KEY(n, ...)                                                                                                    \
    {                                                                                                                  \
        .n_required = (n), .params = { __VA_ARGS__ }                                                                   \
    }

const struct builtin_method str_methods[] = {
    { "capitalize", str_m_capitalize, NONE, false },
    { "casefold", str_m_casefold, NONE, false },
    { "center", str_m_center, POS(1, "width", "fillchar"), false },
    { "count", str_m_count, POS(1, "sub", "start", "end"), false },
    { "encode", NULL, NONE, false },
    { "endswith", str_m_endswith, POS(1, "suffix", "start", "end"), false },
    { "expandtabs", NULL, NONE, false },
    { "find", str_m_find, POS(1, "sub", "start", "end"), false },
    { "format", str_m_format, { .is_variadic = true }, false },
    { "format_map", str_m_format_map, POS(1, "mapping"), false },
    { "index", str_m_index, POS(1, "sub", "start", "end"), false },
    { "isalnum", str_m_isalnum, NONE, false },
    { "isalpha", str_m_isalpha, NONE, false },
    { "isascii", str_m_isascii, NONE, false },
    { "isdecimal", str_m_isdecimal, NONE, false },
    { "isdigit", str_m_isdigit, NONE, false },
    { "isidentifier", str_m_isidentifier, NONE, false },
    { "islower", str_m_islower, NONE, false },
    { "isnumeric", str_m_isnumeric, NONE, false },
    { "isprintable", str_m_isprintable, NONE, false },
    { "isspace", str_m_isspace, NONE, false },
    { "istitle", str_m_istitle, NONE, false },
    { "isupper", str_m_isupper, NONE, false },
    { "join", str_m_join, POS(1, "iterable"), false },
    { "ljust", str_m_ljust, POS(1, "width", "fillchar"), false },
    { "lower", str_m_lower, NONE, false },
    { "lstrip", str_m_lstrip, POS(0, "chars"), false },
    { "maketrans", NULL, NONE, false },
    { "partition", str_m_partition, POS(1, "sep"), false },
    { "removeprefix", str_m_removeprefix, POS(1, "prefix"), false },
    { "removesuffix", str_m_removesuffix, POS(1, "suffix"), false },
    { "replace", str_m_replace, POS(2, "old", "new", "count"), false },
    { "rfind", str_m_rfind, POS(1, "sub", "start", "end"), false },
    { "rindex", str_m_rindex, POS(1, "sub", "start", "end"), false },
    { "rjust", str_m_rjust, POS(1, "width", "fillchar"), false },
    { "rpartition", str_m_rpartition, POS(1, "sep"), false },
    { "rsplit", str_m_rsplit, KEY(0, "sep", "maxsplit"), false },
    { "rstrip", str_m_rstrip, POS(0, "chars"), false },
    { "split", str_m_split, KEY(0, "sep", "maxsplit"), false },
    { "splitlines", str_m_splitlines, KEY(0, "keepends"), false },
    { "startswith", str_m_startswith, POS(1, "prefix", "start", "end"), false },
    { "strip", str_m_strip, POS(0, "chars"), false },
    { "swapcase", str_m_swapcase, NONE, false },
    { "title", str_m_title, NONE, false },
    { "translate", NULL, NONE, false },
    { "upper", str_m_upper, NONE, false },
    { "zfill", str_m_zfill, POS(1, "width"), false },
    { 0 },
};
