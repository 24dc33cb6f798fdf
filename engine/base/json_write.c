// The writer: compact JSON into a strbuf. It places commas and escapes text; matching begin with end and key with value
// is its caller's part. Errors stay in the strbuf. Text and numbers are spelled as Python's json does with ensure_ascii
// off, so that outputs can be compared byte for byte.
#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_writer_init(struct json_writer *w, struct strbuf *out)
{
    *w = (struct json_writer){ .out = out };
}

// ---- structure -----------------------------------------------------------------------------------------------------

static void begin_item(struct json_writer *w)
{
    if (w->need_comma) {
        strbuf_append_byte(w->out, ',');
    }
    w->need_comma = true;
}

static void open_container(struct json_writer *w, char bracket)
{
    begin_item(w);
    strbuf_append_byte(w->out, bracket);
    w->need_comma = false;
}

static void close_container(struct json_writer *w, char bracket)
{
    strbuf_append_byte(w->out, bracket);
    w->need_comma = true;
}

void json_write_object_begin(struct json_writer *w)
{
    open_container(w, '{');
}

void json_write_object_end(struct json_writer *w)
{
    close_container(w, '}');
}

void json_write_array_begin(struct json_writer *w)
{
    open_container(w, '[');
}

void json_write_array_end(struct json_writer *w)
{
    close_container(w, ']');
}

void json_write_raw(struct json_writer *w, struct str json)
{
    begin_item(w);
    strbuf_append(w->out, json);
}

// ---- strings -------------------------------------------------------------------------------------------------------

static void append_escape(struct strbuf *out, unsigned char c)
{
    static const char names[32] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };
    char letter = c < 32 ? names[c] : (char)c;
    if (letter) {
        strbuf_append(out, (struct str){ (const char[]){ '\\', letter }, 2 });
    } else {
        strbuf_printf(out, "\\u%04x", c);
    }
}

static void append_quoted(struct strbuf *out, struct str s)
{
    strbuf_append_byte(out, '"');
    size_t start = 0; // of the run not yet appended
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        utf8_append_lossy(out, (struct str){ s.ptr + start, i - start });
        append_escape(out, c);
        start = i + 1;
    }
    utf8_append_lossy(out, str_skip(s, start));
    strbuf_append_byte(out, '"');
}

void json_write_key_str(struct json_writer *w, struct str key)
{
    begin_item(w);
    append_quoted(w->out, key);
    strbuf_append_byte(w->out, ':');
    w->need_comma = false;
}

void json_write_key(struct json_writer *w, const char *key)
{
    json_write_key_str(w, str_from(key));
}

void json_write_str(struct json_writer *w, struct str s)
{
    begin_item(w);
    append_quoted(w->out, s);
}

void json_write_cstr(struct json_writer *w, const char *s)
{
    json_write_str(w, str_from(s));
}

// ---- scalars -------------------------------------------------------------------------------------------------------

void json_write_i64(struct json_writer *w, int64_t v)
{
    begin_item(w);
    strbuf_printf(w->out, "%lld", (long long)v);
}

void json_write_u64(struct json_writer *w, uint64_t v)
{
    begin_item(w);
    strbuf_printf(w->out, "%llu", (unsigned long long)v);
}

void json_write_bool(struct json_writer *w, bool v)
{
    json_write_raw(w, v ? STR("true") : STR("false"));
}

void json_write_null(struct json_writer *w)
{
    json_write_raw(w, STR("null"));
}

// A positive double as 0.d1d2d3... * 10^point: the fewest digits that read back to it.
struct shortest {
    char digits[18];
    int n_digits;
    int point;
};

// v rounded to n digits, trailing zeros taken away. %e is read digit by digit since a locale may change its point.
static void round_to_digits(double v, int n, struct shortest *s)
{
    char text[40];
    snprintf(text, sizeof(text), "%.*e", n - 1, v);
    const char *exponent = strchr(text, 'e');
    s->n_digits = 0;
    for (const char *p = text; p < exponent; p++) {
        if (*p >= '0' && *p <= '9') {
            s->digits[s->n_digits++] = *p;
        }
    }
    s->point = atoi(exponent + 1) + 1;
    while (s->n_digits > 1 && s->digits[s->n_digits - 1] == '0') {
        s->n_digits--;
    }
}

static bool reads_back_to(const struct shortest *s, double v)
{
    char text[40];
    double back = 0;
    int len = snprintf(text, sizeof(text), "%.*se%d", s->n_digits, s->digits, s->point - s->n_digits);
    return str_parse_double((struct str){ text, (size_t)len }, &back) == 0 && back == v;
}

// Just below a power of two doubles lie twice as dense as above it: the nearest 16 digits may read back to the
// neighbour below while the next larger ones are right.
static bool next_larger_reads_back(double v, struct shortest *s)
{
    struct shortest up = *s;
    while (up.n_digits < 16) {
        up.digits[up.n_digits++] = '0';
    }
    while (up.n_digits > 1 && up.digits[up.n_digits - 1] == '9') {
        up.n_digits--;
    }
    if (up.digits[up.n_digits - 1] == '9') {
        return false;
    }
    up.digits[up.n_digits - 1]++;
    if (!reads_back_to(&up, v)) {
        return false;
    }
    *s = up;
    return true;
}

static void find_shortest(double v, struct shortest *s)
{
    // Every decimal of 15 digits is told apart by a normal double, so fewer digits show as trailing zeros.
    int n_first = v < 0x1p-1022 ? 1 : 15;
    for (int n = n_first; n <= 17; n++) {
        round_to_digits(v, n, s);
        if (reads_back_to(s, v) || (n == 16 && next_larger_reads_back(v, s))) {
            return;
        }
    }
    assert(false); // 17 digits always read back
}

static void append_zeros(struct strbuf *out, int n)
{
    for (int i = 0; i < n; i++) {
        strbuf_append_byte(out, '0');
    }
}

static void append_digits(struct strbuf *out, const struct shortest *s, int from, int to)
{
    to = to < s->n_digits ? to : s->n_digits;
    if (from < to) {
        strbuf_append(out, (struct str){ s->digits + from, (size_t)(to - from) });
    }
}

// Python's repr: positional from 0.0001 to below 1e16, with ".0" on whole numbers; else d.ddde+XX.
static void append_shortest(struct strbuf *out, const struct shortest *s)
{
    if (s->point < -3 || s->point > 16) {
        append_digits(out, s, 0, 1);
        strbuf_append(out, s->n_digits > 1 ? STR(".") : STR(""));
        append_digits(out, s, 1, s->n_digits);
        strbuf_printf(out, "e%c%02d", s->point > 0 ? '+' : '-', abs(s->point - 1));
        return;
    }
    int n_whole = s->point > 0 ? s->point : 0;
    append_digits(out, s, 0, n_whole);
    append_zeros(out, n_whole > 0 ? n_whole - s->n_digits : 1);
    strbuf_append_byte(out, '.');
    append_zeros(out, -s->point);
    append_digits(out, s, n_whole, s->n_digits);
    append_zeros(out, n_whole >= s->n_digits);
}

void json_write_double(struct json_writer *w, double v)
{
    if (!isfinite(v)) {
        json_write_null(w);
        return;
    }
    struct shortest s = { .digits = "0", .n_digits = 1, .point = 1 };
    begin_item(w);
    if (signbit(v)) {
        strbuf_append_byte(w->out, '-');
    }
    if (v != 0) {
        find_shortest(fabs(v), &s);
    }
    append_shortest(w->out, &s);
}

// ---- parsed values -------------------------------------------------------------------------------------------------

// Recursion is as deep as the value, so at most JSON_DEPTH_MAX.
void json_write_value(struct json_writer *w, const struct json *value)
{
    if (value->type == JSON_STRING) {
        json_write_str(w, value->text);
        return;
    }
    if (value->type != JSON_OBJECT && value->type != JSON_ARRAY) {
        json_write_raw(w, value->text);
        return;
    }
    bool is_object = value->type == JSON_OBJECT;
    open_container(w, is_object ? '{' : '[');
    const struct json *child = json_first(value);
    for (uint32_t i = 0; i < value->n_children; i++) {
        if (is_object) {
            json_write_key_str(w, child->text);
            child = json_next(child);
        }
        json_write_value(w, child);
        child = json_next(child);
    }
    close_container(w, is_object ? '}' : ']');
}

void json_write_member_u64(struct json_writer *w, const char *key, uint64_t v)
{
    json_write_key(w, key);
    json_write_u64(w, v);
}

void json_write_member_bool(struct json_writer *w, const char *key, bool v)
{
    json_write_key(w, key);
    json_write_bool(w, v);
}

void json_write_member_cstr(struct json_writer *w, const char *key, const char *v)
{
    json_write_key(w, key);
    json_write_cstr(w, v);
}
