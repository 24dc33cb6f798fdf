// The reader. json_scan decides whether the text is JSON at all; jsmn then cuts it into tokens, which become values in
// place.
//
// One arena array serves both: jsmn fills it from the front with its tokens (20 bytes each), and a pass from the last
// value to the first turns token i into value i (32 bytes). Value i ends up at or behind token i and past every token
// before it, so nothing unread is overwritten; and as children come after their parents, each subtree's length is known
// when its parent is reached. Only strings with escapes are copied.
//
// jsmn's time is linear: with parent links its one search (for the container that a bracket closes) climbs at most two
// tokens per open level, and the scan has bounded the levels.
#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>
#pragma GCC diagnostic pop

static_assert(sizeof(jsmntok_t) <= sizeof(struct json), "tokens become values in place, from the last to the first");

// ---- parsing -------------------------------------------------------------------------------------------------------

static unsigned hex4(const char *p)
{
    unsigned unit = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)p[i];
        unit = unit << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return unit;
}

// Writes the character of the escape at p (after its backslash) to *out: the position after the escape.
static const char *decode_escape(const char *p, char **out)
{
    static const char plain[] = {
        ['b' - 'a'] = '\b', ['f' - 'a'] = '\f', ['n' - 'a'] = '\n', ['r' - 'a'] = '\r', ['t' - 'a'] = '\t'
    };
    if (*p != 'u') {
        *(*out)++ = *p >= 'a' ? plain[*p - 'a'] : *p;
        return p + 1;
    }
    uint32_t codepoint = hex4(p + 1);
    p += 5;
    if (codepoint >= 0xd800 && codepoint < 0xdc00) {
        codepoint = 0x10000 + ((codepoint - 0xd800) << 10) + (hex4(p + 2) - 0xdc00);
        p += 6;
    }
    *out += utf8_encode(codepoint, *out);
    return p;
}

// What stands between the quotes, escapes resolved. The text was checked; decoding never makes it longer.
static int decode_string(struct arena *arena, struct str raw, struct str *ret)
{
    const char *p = raw.ptr, *end = raw.ptr + raw.len;
    const char *escape = raw.len > 0 ? memchr(p, '\\', raw.len) : NULL;
    if (!escape) {
        *ret = raw;
        return 0;
    }
    char *text = arena_alloc(arena, raw.len);
    if (!text) {
        return -ENOMEM;
    }
    char *out = text;
    while (escape) {
        memcpy(out, p, (size_t)(escape - p));
        out += escape - p;
        p = decode_escape(escape + 1, &out);
        escape = memchr(p, '\\', (size_t)(end - p));
    }
    memcpy(out, p, (size_t)(end - p));
    out += end - p;
    *ret = (struct str){ text, (size_t)(out - text) };
    return 0;
}

static struct json primitive(struct str text)
{
    char c = text.ptr[0];
    enum json_type type = c == 'n' ? JSON_NULL : c == 't' || c == 'f' ? JSON_BOOL : JSON_NUMBER;
    return (struct json){ .type = type, .next = 1, .boolean = c == 't', .text = text };
}

// Slots from container `at` to the one after its subtree; its children are values already.
static uint32_t subtree_len(const struct json *at, uint32_t n_slots)
{
    const struct json *child = at + 1;
    for (uint32_t i = 0; i < n_slots; i++) {
        child += child->next;
    }
    return (uint32_t)(child - at);
}

// Turns the tokens at the front of `values` into the values themselves.
static int convert(struct arena *arena, struct str text, struct json *values, size_t n)
{
    for (size_t i = n; i-- > 0;) {
        jsmntok_t token;
        memcpy(&token, (const char *)values + i * sizeof(token), sizeof(token));
        struct str source = { text.ptr + token.start, (size_t)(token.end - token.start) };
        uint32_t size = (uint32_t)token.size;
        if (token.type == JSMN_PRIMITIVE) {
            values[i] = primitive(source);
        } else if (token.type == JSMN_STRING) {
            values[i] = (struct json){ .type = JSON_STRING, .next = 1 };
            int rc = decode_string(arena, source, &values[i].text);
            if (rc < 0) {
                return rc;
            }
        } else {
            bool is_object = token.type == JSMN_OBJECT;
            uint32_t len = subtree_len(&values[i], is_object ? 2 * size : size);
            values[i] = (struct json){
                .type = is_object ? JSON_OBJECT : JSON_ARRAY, .n_children = size, .next = len, .text = source
            };
        }
    }
    return 0;
}

// A top-level number, literal or string: jsmn's strict mode does not take it.
static int convert_scalar(struct arena *arena, struct str text, struct json *value)
{
    text = str_trim(text);
    if (text.ptr[0] != '"') {
        *value = primitive(text);
        return 0;
    }
    *value = (struct json){ .type = JSON_STRING, .next = 1 };
    return decode_string(arena, str_take(str_skip(text, 1), text.len - 2), &value->text);
}

// The scan, which may be fed in pieces, counts bytes ("byte 20: ..."); who has all of the text is told line and column.
static void name_place(struct str text, size_t pos, struct err *err)
{
    char msg[sizeof(err->msg)];
    unsigned line = 1, column = 1;
    for (size_t i = 0; i < pos; i++) {
        bool is_newline = text.ptr[i] == '\n';
        line += is_newline;
        column = is_newline ? 1 : column + ((text.ptr[i] & 0xc0) != 0x80);
    }
    const char *reason = strstr(err->msg, ": ");
    memcpy(msg, err->msg, sizeof(msg));
    err_set(err, err->code, "line %u, column %u%s", line, column, reason ? msg + (reason - err->msg) : "");
}

static int check_text(struct str text, struct json_scan *scan, struct err *err)
{
    json_scan_init(scan);
    int rc = json_scan_feed(scan, text, err);
    rc = rc < 0 ? rc : json_scan_end(scan, err);
    if (rc < 0 && err) {
        name_place(text, scan->n_bytes, err);
    }
    return rc;
}

int json_parse(struct arena *arena, struct str text, const struct json **ret, struct err *err)
{
    if (text.len > INT32_MAX) {
        return err_set(err, -EINVAL, "a JSON text of %zu bytes: the limit is %d", text.len, INT32_MAX);
    }
    struct json_scan scan;
    int rc = check_text(text, &scan, err);
    if (rc < 0) {
        return rc;
    }
    size_t n = scan.n_values;
    struct json *values = arena_alloc_array(arena, n, sizeof(*values));
    if (!values) {
        rc = -ENOMEM;
    } else if (!scan.is_container) {
        rc = convert_scalar(arena, text, values);
    } else {
        jsmn_parser parser;
        jsmn_init(&parser);
        int n_tokens = jsmn_parse(&parser, text.ptr, text.len, (jsmntok_t *)(void *)values, (unsigned)n);
        assert(n_tokens >= 0 && (size_t)n_tokens == n);
        rc = convert(arena, text, values, n);
    }
    if (rc < 0) {
        return err_set(err, rc, "JSON of %zu bytes with %zu values needs more memory than its limit", text.len, n);
    }
    *ret = values;
    return 0;
}

// ---- access --------------------------------------------------------------------------------------------------------

const struct json *json_get(const struct json *object, struct str key)
{
    if (!object || object->type != JSON_OBJECT) {
        return NULL;
    }
    const struct json *found = NULL, *member = json_first(object);
    for (uint32_t i = 0; i < object->n_children; i++) {
        const struct json *value = json_next(member);
        found = str_eq(member->text, key) ? value : found;
        member = json_next(value);
    }
    return found;
}

const struct json *json_at(const struct json *array, size_t idx)
{
    if (!array || array->type != JSON_ARRAY || idx >= array->n_children) {
        return NULL;
    }
    const struct json *value = array + 1;
    while (idx-- > 0) {
        value = json_next(value);
    }
    return value;
}

const struct json *json_first(const struct json *container)
{
    return container->n_children > 0 ? container + 1 : NULL;
}

const struct json *json_next(const struct json *value)
{
    return value + value->next;
}

// The number d[0]d[1]... * 10^exponent, zeros at both ends taken away, from the text of a JSON number.
struct whole {
    char digits[20];  // the first ones
    size_t n_digits;  // of all of them
    int64_t exponent; // saturated
};

// Exponent part "e-12" or nothing. Its saturation is far past any text's length.
static int64_t parse_exponent(struct str s)
{
    const int64_t far = INT64_C(1) << 40;
    int64_t value = 0;
    s = str_skip(s, str_starts_with(s, STR("e+")) || str_starts_with(s, STR("E+")) ? 2 : 1);
    if (s.len > 0 && str_parse_i64(s, &value) < 0) {
        return s.ptr[0] == '-' ? -far : far;
    }
    return value > far ? far : value < -far ? -far : value;
}

static struct whole parse_whole(struct str magnitude)
{
    struct whole w = { 0 };
    bool is_fraction = false;
    size_t n_zeros = 0; // not yet known to lie between two other digits
    size_t i = 0;
    for (; i < magnitude.len && (magnitude.ptr[i] | 0x20) != 'e'; i++) {
        char c = magnitude.ptr[i];
        if (c == '.') {
            is_fraction = true;
            continue;
        }
        w.exponent -= is_fraction;
        if (c == '0') {
            n_zeros += w.n_digits > 0;
            continue;
        }
        for (; n_zeros > 0; n_zeros--, w.n_digits++) {
            if (w.n_digits < sizeof(w.digits)) {
                w.digits[w.n_digits] = '0';
            }
        }
        if (w.n_digits < sizeof(w.digits)) {
            w.digits[w.n_digits] = c;
        }
        w.n_digits++;
    }
    w.exponent += (int64_t)n_zeros + parse_exponent(str_skip(magnitude, i));
    return w;
}

int json_get_i64(const struct json *number, int64_t *ret)
{
    if (!number || number->type != JSON_NUMBER) {
        return -EINVAL;
    }
    int rc = str_parse_i64(number->text, ret); // the usual spelling
    if (rc != -EINVAL) {
        return rc;
    }
    bool is_negative = number->text.ptr[0] == '-';
    struct whole w = parse_whole(str_skip(number->text, is_negative));
    if (w.n_digits == 0) {
        *ret = 0;
        return 0;
    }
    if (w.exponent < 0) {
        return -EINVAL;
    }
    if (w.n_digits > 19 || w.exponent > 19 - (int64_t)w.n_digits) {
        return -ERANGE;
    }
    char text[1 + 19] = "-";
    size_t len = is_negative;
    memcpy(text + len, w.digits, w.n_digits);
    memset(text + len + w.n_digits, '0', (size_t)w.exponent);
    return str_parse_i64((struct str){ text, len + w.n_digits + (size_t)w.exponent }, ret);
}

double json_get_double(const struct json *number)
{
    assert(number->type == JSON_NUMBER);
    double value = 0;
    if (str_parse_double(number->text, &value) == -ERANGE) {
        value = number->text.ptr[0] == '-' ? -INFINITY : INFINITY;
    }
    return value;
}

const char *json_type_name(enum json_type type)
{
    static const char *const names[] = { "null", "boolean", "number", "string", "array", "object" };
    return names[type];
}
