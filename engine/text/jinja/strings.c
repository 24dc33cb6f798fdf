// Python's str operations on UTF-8 text.
#include "engine/text/jinja/strings.h"

#include "engine/base/utf8.h"
#include "engine/text/jinja/ops.h"

#include <errno.h>
#include <string.h>

struct str str_arg(struct rt *rt, struct value v, const char *method)
{
    if (v.type != V_STR) {
        if (v.type == V_UNDEFINED) {
            rt_fail(rt, "%s: argument must be str, not Undefined", method);
        }
        rt_fail(rt, "%s: argument must be str, not %s", method, value_type_name(v));
    }
    return value_str(v);
}

bool str_arg_is_given(struct value v)
{
    return v.type != V_MISSING && v.type != V_NONE;
}

// ---- case ----------------------------------------------------------------------------------------------------------

// A character maps to at most 3 of at most 4 bytes; no mapping makes text more than 3 times as long.
static size_t put_mapped(uint32_t c, enum text_case to, char *out)
{
    uint32_t mapped[3];
    size_t n = char_map_case(c, to, mapped), len = 0;

    for (size_t i = 0; i < n; i++) {
        char bytes[4];
        size_t k = utf8_encode(mapped[i], bytes);

        memcpy(out + len, bytes, k);
        len += k;
    }
    return len;
}

static struct value map_ascii(struct rt *rt, struct value s, enum text_case to)
{
    char *out;
    struct value v = rt_str_n(rt, s.len, &out);

    for (uint32_t i = 0; i < s.len; i++) {
        char c = s.s[i];

        out[i] = to == CASE_UPPER ? (c >= 'a' && c <= 'z' ? (char)(c - 32) : c)
                                  : (c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
    }
    return mark_like(v, s);
}

// A capital sigma at the end of a word becomes the final form.
static bool is_final_sigma(struct str before, struct str after)
{
    uint32_t c = 0;

    char_before(before, &c);
    if (before.len == 0 || !char_is_alpha(c)) {
        return false;
    }
    char_decode(after, &c);
    return after.len == 0 || !char_is_alpha(c);
}

static size_t put_lower(struct str text, size_t i, size_t len, uint32_t c, char *out)
{
    if (c == 0x3a3 && is_final_sigma(str_take(text, i), str_skip(text, i + len))) {
        return utf8_encode(0x3c2, out);
    }
    return put_mapped(c, CASE_LOWER, out);
}

struct value str_map_case(struct rt *rt, struct value s, enum text_case to)
{
    struct str text = value_str(s);
    size_t n = 0;
    char *out;
    struct value v;

    if (text_is_ascii(text)) {
        return map_ascii(rt, s, to);
    }
    v = rt_str_n(rt, text.len * 3, &out);
    for (size_t i = 0; i < text.len;) {
        uint32_t c;
        size_t len = char_decode(str_skip(text, i), &c);

        n += to == CASE_LOWER ? put_lower(text, i, len, c, out + n) : put_mapped(c, to, out + n);
        i += len;
    }
    v.len = (uint32_t)n;
    return mark_like(v, s);
}

struct value str_capitalize(struct rt *rt, struct value s)
{
    struct str text = value_str(s);
    size_t n = 0;
    char *out;
    struct value v = rt_str_n(rt, text.len * 3, &out);

    for (size_t i = 0; i < text.len;) {
        uint32_t c;
        size_t len = char_decode(str_skip(text, i), &c);

        n += i == 0 ? put_mapped(c, CASE_TITLE, out + n) : put_lower(text, i, len, c, out + n);
        i += len;
    }
    v.len = (uint32_t)n;
    return mark_like(v, s);
}

struct value str_title(struct rt *rt, struct value s)
{
    struct str text = value_str(s);
    size_t n = 0;
    char *out;
    struct value v = rt_str_n(rt, text.len * 3, &out);
    bool was_cased = false;

    for (size_t i = 0; i < text.len;) {
        uint32_t c;
        size_t len = char_decode(str_skip(text, i), &c);

        n += was_cased ? put_lower(text, i, len, c, out + n) : put_mapped(c, CASE_TITLE, out + n);
        was_cased = char_is_cased(c);
        i += len;
    }
    v.len = (uint32_t)n;
    return mark_like(v, s);
}

// ---- strip, replace ------------------------------------------------------------------------------------------------

// Without the characters of `chars` at its ends. Each look into them is charged for: they may be as long as the text.
static struct str strip_chars(struct rt *rt, struct str text, struct str chars, bool left, bool right)
{
    uint32_t unused;
    size_t len;

    rt_charge_bytes(rt, chars.len);
    while (left && text.len > 0 && str_find(chars, str_take(text, len = char_decode(text, &unused))) >= 0) {
        text = str_skip(text, len);
        rt_charge_bytes(rt, chars.len);
    }
    while (right && text.len > 0) {
        len = char_before(text, &unused);
        if (str_find(chars, str_skip(text, text.len - len)) < 0) {
            break;
        }
        text = str_take(text, text.len - len);
        rt_charge_bytes(rt, chars.len);
    }
    return text;
}

struct value str_strip(struct rt *rt, struct value s, struct value chars, bool left, bool right)
{
    struct str text = value_str(s);

    if (str_arg_is_given(chars)) {
        text = strip_chars(rt, text, str_arg(rt, chars, "strip"), left, right);
    } else {
        text = text_strip(text, left, right);
    }
    rt_charge_bytes(rt, s.len - text.len);
    return mark_like(value_from_str(text), s);
}

static size_t count_matches(struct str text, struct str old, int64_t max)
{
    size_t n = 0;
    ptrdiff_t at;

    if (old.len == 0) {
        n = text_n_chars(text) + 1;
        return max >= 0 && (uint64_t)max < n ? (size_t)max : n;
    }
    while ((max < 0 || n < (uint64_t)max) && (at = str_find(text, old)) >= 0) {
        text = str_skip(text, (size_t)at + old.len);
        n++;
    }
    return n;
}

static size_t put(char *out, size_t at, struct str s)
{
    if (s.len > 0) {
        memcpy(out + at, s.ptr, s.len);
    }
    return at + s.len;
}

struct value str_replace(struct rt *rt, struct value s, struct str old, struct str by, int64_t max)
{
    struct str text = value_str(s);
    size_t n, len = 0, size;
    char *out;
    struct value v;

    rt_charge_bytes(rt, text.len);
    n = count_matches(text, old, max);
    if (n == 0) {
        return s;
    }
    if (by.len > 0 && n > RT_OUT_BYTES_MAX / by.len) {
        rt_fail_code(rt, -E2BIG, "a string is too long");
    }
    size = text.len + n * by.len - n * old.len;
    v = rt_str_n(rt, size, &out);
    for (size_t i = 0; i < n; i++) {
        uint32_t c;
        size_t at = old.len > 0 ? (size_t)str_find(text, old) : i == 0 ? 0 : char_decode(text, &c);

        len = put(out, len, str_take(text, at));
        len = put(out, len, by);
        text = str_skip(text, at + old.len);
    }
    put(out, len, text);
    return mark_like(v, s);
}

// ---- split, join ---------------------------------------------------------------------------------------------------

static void add_piece(struct rt *rt, struct list_builder *list, struct value s, struct str piece)
{
    list_add(rt, list, mark_like(value_from_str(piece), s));
}

static struct value split_space(struct rt *rt, struct value s, int64_t max)
{
    struct list_builder list = { 0 };
    struct str rest = text_strip(value_str(s), true, false);

    while (rest.len > 0) {
        size_t len = 0;
        uint32_t c = 0;

        if (max >= 0 && list.n >= (uint64_t)max) {
            add_piece(rt, &list, s, text_strip(rest, false, true));
            break;
        }
        while (len < rest.len) {
            size_t k = char_decode(str_skip(rest, len), &c);

            if (char_is_space(c)) {
                break;
            }
            len += k;
        }
        add_piece(rt, &list, s, str_take(rest, len));
        rest = text_strip(str_skip(rest, len), true, false);
    }
    return list_end(&list);
}

static struct value rsplit_space(struct rt *rt, struct value s, int64_t max)
{
    struct list_builder list = { 0 };
    struct str rest = text_strip(value_str(s), false, true);

    while (rest.len > 0) {
        size_t start = rest.len;

        if (max >= 0 && list.n >= (uint64_t)max) {
            add_piece(rt, &list, s, text_strip(rest, true, false));
            break;
        }
        while (start > 0) {
            uint32_t c;
            size_t k = char_before(str_take(rest, start), &c);

            if (char_is_space(c)) {
                break;
            }
            start -= k;
        }
        add_piece(rt, &list, s, str_skip(rest, start));
        rest = text_strip(str_take(rest, start), false, true);
    }
    return list_end(&list);
}

static void reverse(struct value list)
{
    struct value *items = (struct value *)list.items; // just built by the caller

    for (uint32_t i = 0, k = list.len; i + 1 < k; i++) {
        struct value v = items[i];

        items[i] = items[--k];
        items[k] = v;
    }
}

static struct str separator(struct rt *rt, struct value sep)
{
    struct str text = str_arg(rt, sep, "split");

    if (text.len == 0) {
        rt_fail(rt, "empty separator");
    }
    return text;
}

struct value str_split(struct rt *rt, struct value s, struct value sep, int64_t max)
{
    struct list_builder list = { 0 };
    struct str rest = value_str(s), by;
    ptrdiff_t at;

    rt_charge_bytes(rt, s.len);
    if (!str_arg_is_given(sep)) {
        return split_space(rt, s, max);
    }
    by = separator(rt, sep);
    while ((max < 0 || list.n < (uint64_t)max) && (at = str_find(rest, by)) >= 0) {
        add_piece(rt, &list, s, str_take(rest, (size_t)at));
        rest = str_skip(rest, (size_t)at + by.len);
    }
    add_piece(rt, &list, s, rest);
    return list_end(&list);
}

ptrdiff_t str_find_last(struct rt *rt, struct str text, struct str needle)
{
    if (needle.len == 0 || needle.len > text.len) {
        return needle.len == 0 ? (ptrdiff_t)text.len : -1;
    }
    for (size_t i = text.len - needle.len + 1; i-- > 0;) {
        if (text.ptr[i] != needle.ptr[0] || text.ptr[i + needle.len - 1] != needle.ptr[needle.len - 1]) {
            continue;
        }
        rt_charge(rt, 1 + needle.len / 16);
        if (memcmp(text.ptr + i, needle.ptr, needle.len) == 0) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

struct value str_rsplit(struct rt *rt, struct value s, struct value sep, int64_t max)
{
    struct list_builder list = { 0 };
    struct str rest = value_str(s), by;
    ptrdiff_t at;
    struct value pieces;

    rt_charge_bytes(rt, s.len);
    if (!str_arg_is_given(sep)) {
        pieces = rsplit_space(rt, s, max);
    } else {
        by = separator(rt, sep);
        while ((max < 0 || list.n < (uint64_t)max) && (at = str_find_last(rt, rest, by)) >= 0) {
            add_piece(rt, &list, s, str_skip(rest, (size_t)at + by.len));
            rest = str_take(rest, (size_t)at);
        }
        add_piece(rt, &list, s, rest);
        pieces = list_end(&list);
    }
    reverse(pieces);
    return pieces;
}

struct value str_splitlines(struct rt *rt, struct value s, bool keep_ends)
{
    struct list_builder list = { 0 };
    struct str rest = value_str(s);

    rt_charge_bytes(rt, s.len);
    while (rest.len > 0) {
        size_t len = 0, end_len = 0;

        while (len < rest.len && end_len == 0) {
            uint32_t c;
            size_t k = char_decode(str_skip(rest, len), &c);

            if (char_is_line_end(c)) {
                end_len = k + (c == '\r' && len + 1 < rest.len && rest.ptr[len + 1] == '\n');
            } else {
                len += k;
            }
        }
        add_piece(rt, &list, s, str_take(rest, keep_ends ? len + end_len : len));
        rest = str_skip(rest, len + end_len);
    }
    return list_end(&list);
}

struct value str_join(struct rt *rt, struct value sep, struct value items, bool is_method)
{
    struct iter it;
    struct value item, text = VALUE_LIT("");
    uint32_t n = 0;
    bool is_markup = is_method && value_is_markup(sep);

    iter_begin(rt, &it, items);
    while (iter_next(rt, &it, &item)) {
        if (is_markup) {
            item = markup_escape(rt, item);
        } else if (is_method && item.type != V_STR) {
            rt_fail(rt, "sequence item %u: expected str instance, %s found", n, value_type_name(item));
        }
        item = to_plain_str(rt, item);
        if (n > 0) {
            text = rt_concat(rt, value_str(text), value_str(sep));
        }
        text = n == 0 ? item : rt_concat(rt, value_str(text), value_str(item));
        n++;
    }
    text.flags = 0;
    return is_markup ? mark_safe(text) : text;
}

struct value str_pad(struct rt *rt, struct value s, int64_t width, struct str fill, int where)
{
    int64_t n_chars = (int64_t)text_n_chars(value_str(s)), n_fill = width > n_chars ? width - n_chars : 0, n_left;
    size_t len = 0;
    char *out;
    struct value v;

    if (text_n_chars(fill) != 1) {
        rt_fail(rt, "The fill character must be exactly one character long");
    }
    if (n_fill == 0) {
        return s;
    }
    if (n_fill > (int64_t)(RT_OUT_BYTES_MAX / fill.len)) {
        rt_fail_code(rt, -E2BIG, "a string is too long");
    }
    // In the centre the odd one goes left when the width is odd (CPython's rule).
    n_left = where < 0 ? 0 : where > 0 ? n_fill : n_fill / 2 + (n_fill & width & 1);
    v = rt_str_n(rt, s.len + (size_t)n_fill * fill.len, &out);
    for (int64_t i = 0; i < n_fill; i++) {
        if (i == n_left) {
            len = put(out, len, value_str(s));
        }
        len = put(out, len, fill);
    }
    if (n_left == n_fill) {
        put(out, len, value_str(s));
    }
    return mark_like(v, s);
}
