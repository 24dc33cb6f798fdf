// Properties of the JSON modules on any bytes: the checker answers alike whatever the pieces, and as a second reading
// of the grammar does (recursive descent, below); the reader takes what the checker takes, or runs out of memory;
// writing what was read gives the second reading's compact form, which reads back and is written the same again.
#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct str fuzz_seeds[] = {
    STR("{\"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9llo "
        "\\ud83d\\ude00\\n\"}],\"temperature\":0.7,\"n\":1e0,\"stream\":true}"),
    STR("[0,-0,1.5,-1.25e-3,1E+22,123456789012345678901234567890,9223372036854775807,1e400,5e-324]"),
    STR("{\"a\":{\"a\":{\"a\":[[],{},[{}],\"\",null,false]}},\"a\":[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\"]}"),
    STR(" \"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\" "),
    STR("-12.50e-7\n"),
    STR("[[[[[[[[[[[[[[[[1],2],3],4],5],6],7],8]]]]]]]]"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("null"),   STR("true"), STR("false"),   STR("\"k\":"),  STR("{\"k\":"),          STR("[["),
    STR("]]"),     STR("}}"),   STR("\\ud83d"), STR("\\ude00"), STR("\\u0000"),          STR("\\\\"),
    STR("\"\""),   STR("1e9"),  STR(".5"),      STR("-0"),      STR("\xf0\x9f\x98\x80"), STR("\xed\xa0\x80"),
    STR(",\"\","), STR("[],"),  { NULL, 0 },
};

// ---- second reading ------------------------------------------------------------------------------------------------

// Reads what it knows off the front of `in` and appends its compact form to `out`: false when it is not there.
struct reference {
    struct str in;
    struct strbuf out;
    int depth;
};

static int peek(const struct reference *r)
{
    return r->in.len > 0 ? (unsigned char)r->in.ptr[0] : -1;
}

static void copy_bytes(struct reference *r, size_t n)
{
    strbuf_append(&r->out, str_take(r->in, n));
    r->in = str_skip(r->in, n);
}

static void skip_space(struct reference *r)
{
    while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\n' || peek(r) == '\r') {
        r->in = str_skip(r->in, 1);
    }
}

static bool copy_digits(struct reference *r)
{
    size_t n = 0;
    while (n < r->in.len && r->in.ptr[n] >= '0' && r->in.ptr[n] <= '9') {
        n++;
    }
    copy_bytes(r, n);
    return n > 0;
}

static bool ref_number(struct reference *r)
{
    copy_bytes(r, peek(r) == '-');
    if (peek(r) == '0') {
        copy_bytes(r, 1);
    } else if (!copy_digits(r)) {
        return false;
    }
    if (peek(r) == '.') {
        copy_bytes(r, 1);
        if (!copy_digits(r)) {
            return false;
        }
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        copy_bytes(r, 1);
        copy_bytes(r, peek(r) == '+' || peek(r) == '-');
        return copy_digits(r);
    }
    return true;
}

// "\uXXXX" at the front: its code unit, or -1.
static long ref_unit(struct reference *r)
{
    char digits[5] = "";
    if (r->in.len < 6 || r->in.ptr[0] != '\\' || r->in.ptr[1] != 'u') {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        digits[i] = r->in.ptr[2 + i];
        if (!isxdigit((unsigned char)digits[i])) {
            return -1;
        }
    }
    r->in = str_skip(r->in, 6);
    return strtol(digits, NULL, 16);
}

static bool ref_escape(struct reference *r, uint32_t *ret)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *name = r->in.len > 1 && r->in.ptr[1] ? strchr(names, r->in.ptr[1]) : NULL;
    if (name) {
        *ret = (unsigned char)values[name - names];
        r->in = str_skip(r->in, 2);
        return true;
    }
    long unit = ref_unit(r);
    if (unit >= 0xd800 && unit <= 0xdbff) {
        long low = ref_unit(r);
        *ret = (uint32_t)((unit - 0xd800) * 0x400 + (low - 0xdc00) + 0x10000);
        return low >= 0xdc00 && low <= 0xdfff;
    }
    *ret = (uint32_t)unit;
    return unit >= 0 && !(unit >= 0xdc00 && unit <= 0xdfff);
}

static void append_codepoint(struct strbuf *out, uint32_t c)
{
    static const char specials[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    char bytes[4];
    const char *special = c > 0 && c < 0x80 ? strchr(specials, (int)c) : NULL;
    if (special) {
        strbuf_printf(out, "\\%c", names[special - specials]);
    } else if (c < 0x20) {
        strbuf_printf(out, "\\u%04x", c);
    } else {
        strbuf_append(out, (struct str){ bytes, utf8_encode(c, bytes) });
    }
}

static bool ref_string(struct reference *r)
{
    if (peek(r) != '"') {
        return false;
    }
    copy_bytes(r, 1);
    while (peek(r) != '"') {
        uint32_t c;
        if (peek(r) == '\\') {
            if (!ref_escape(r, &c)) {
                return false;
            }
        } else {
            size_t n = utf8_decode(r->in, &c);
            if (n == 0 || c < 0x20) {
                return false;
            }
            r->in = str_skip(r->in, n);
        }
        append_codepoint(&r->out, c);
    }
    copy_bytes(r, 1);
    return true;
}

static bool ref_value(struct reference *r);

// From the opening bracket to the closing one.
static bool ref_container(struct reference *r, bool is_object)
{
    int close = is_object ? '}' : ']';
    copy_bytes(r, 1);
    skip_space(r);
    for (bool is_first = true; peek(r) != close || !is_first; is_first = false) {
        if (is_object) {
            skip_space(r);
            if (!ref_string(r)) {
                return false;
            }
            skip_space(r);
            if (peek(r) != ':') {
                return false;
            }
            copy_bytes(r, 1);
        }
        if (!ref_value(r)) {
            return false;
        }
        if (peek(r) == close) {
            break;
        }
        if (peek(r) != ',') {
            return false;
        }
        copy_bytes(r, 1);
    }
    copy_bytes(r, 1);
    return true;
}

// A value with the white space around it.
static bool ref_value(struct reference *r)
{
    static const struct str literals[] = { STR("null"), STR("true"), STR("false") };
    skip_space(r);
    bool is_good = false;
    int c = peek(r);
    if (c == '{' || c == '[') {
        is_good = r->depth++ < JSON_DEPTH_MAX && ref_container(r, c == '{');
        r->depth--;
    } else if (c == '"') {
        is_good = ref_string(r);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        is_good = ref_number(r);
    } else {
        for (size_t i = 0; i < 3 && !is_good; i++) {
            is_good = str_starts_with(r->in, literals[i]);
            copy_bytes(r, is_good ? literals[i].len : 0);
        }
    }
    skip_space(r);
    return is_good;
}

// ---- properties ----------------------------------------------------------------------------------------------------

struct verdict {
    int feed, end;
};

static struct verdict scan_in_pieces(struct str text, size_t piece)
{
    struct json_scan scan;
    struct verdict v = { 0 };
    json_scan_init(&scan);
    while (text.len > 0 && v.feed >= 0) {
        v.feed = json_scan_feed(&scan, str_take(text, piece), NULL);
        text = str_skip(text, piece);
    }
    v.end = json_scan_end(&scan, NULL);
    assert(v.feed >= 0 || v.end < 0);
    return v;
}

static void check_number(const struct json *value)
{
    int64_t whole;
    double v = json_get_double(value);
    int rc = json_get_i64(value, &whole);
    assert(rc == 0 || rc == -EINVAL || rc == -ERANGE);
    assert(rc != 0 || v == (double)whole);
    if (isfinite(v)) {
        struct strbuf out;
        struct json_writer w;
        double back;
        strbuf_init(&out, 0);
        json_writer_init(&w, &out);
        json_write_double(&w, v);
        assert(str_parse_double(strbuf_str(&out), &back) == 0 && back == v && signbit(back) == signbit(v));
        strbuf_deinit(&out);
    }
}

// Every value of the subtree, reached as a caller would.
static void walk(const struct json *value)
{
    if (value->type == JSON_NUMBER) {
        check_number(value);
    }
    assert(value->type != JSON_STRING || utf8_valid_len(value->text) == value->text.len);
    const struct json *child = json_first(value);
    for (uint32_t i = 0; i < value->n_children; i++) {
        if (value->type == JSON_OBJECT) {
            assert(child->type == JSON_STRING && json_get(value, child->text));
            child = json_next(child);
        } else {
            assert(i > 0 || json_at(value, i) == child);
        }
        walk(child);
        child = json_next(child);
    }
    assert(value->n_children == 0 || child == json_next(value));
}

static void write_value(struct strbuf *out, const struct json *value)
{
    struct json_writer w;
    strbuf_init(out, 0);
    json_writer_init(&w, out);
    json_write_value(&w, value);
    assert(out->error == 0);
}

// `compact` is what the second reading made of the same text.
static void check_round_trip(const struct json *value, struct str compact)
{
    struct arena arena;
    struct strbuf first, second;
    const struct json *again;
    arena_init(&arena, 0);
    write_value(&first, value);
    assert(str_eq(strbuf_str(&first), compact));
    int rc = json_parse(&arena, strbuf_str(&first), &again, NULL);
    assert(rc == 0);
    write_value(&second, again);
    assert(str_eq(strbuf_str(&first), strbuf_str(&second)));
    strbuf_deinit(&second);
    strbuf_deinit(&first);
    arena_deinit(&arena);
}

static void check_reader(struct str text, const struct verdict *scanned, struct str compact)
{
    struct arena arena;
    struct err err = { 0 };
    const struct json *value = NULL;
    arena_init(&arena, 64 * text.len + 64); // sometimes too little
    int rc = json_parse(&arena, text, &value, &err);
    assert(rc == (scanned->end == 0 ? 0 : -EINVAL) || (rc == -ENOMEM && scanned->end == 0));
    assert((rc == 0) == (value != NULL) && err.code == rc);
    if (rc == 0) {
        walk(value);
        check_round_trip(value, compact);
    }
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = { (const char *)data, size };
    struct verdict whole = scan_in_pieces(text, SIZE_MAX);
    for (size_t piece = 1; piece <= 7; piece += 3) {
        struct verdict cut = scan_in_pieces(text, piece);
        assert(cut.feed == whole.feed && cut.end == whole.end);
    }
    struct reference r = { .in = text };
    strbuf_init(&r.out, 0);
    bool is_json = ref_value(&r) && r.in.len == 0;
    assert(is_json == (whole.end == 0));
    check_reader(text, &whole, strbuf_str(&r.out));
    strbuf_deinit(&r.out);
    return 0;
}
