// Borrowed text, number parsers and the growing buffer.
//
// A struct strbuf is owned by one caller at a time; nothing here locks. An append either happens whole or not at all,
// and the first failure stays in buf->error. The number parsers take exact spellings only: no surrounding space, no
// plus sign, no hexadecimal, and they give the same answer in every locale.
#include "engine/base/str.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- struct str ----------------------------------------------------------------------------------------------------

struct str str_from(const char *cstr)
{
    return (struct str){ cstr ? cstr : "", cstr ? strlen(cstr) : 0 };
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq(str_take(s, prefix.len), prefix);
}

bool str_ends_with(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_skip(s, s.len - suffix.len), suffix);
}

struct str str_skip(struct str s, size_t n)
{
    if (n > s.len) {
        n = s.len;
    }
    return n == 0 ? s : (struct str){ s.ptr + n, s.len - n };
}

struct str str_take(struct str s, size_t n)
{
    return (struct str){ s.ptr, n < s.len ? n : s.len };
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_space(s.ptr[0])) {
        s = str_skip(s, 1);
    }
    while (s.len > 0 && is_space(s.ptr[s.len - 1])) {
        s.len--;
    }
    return s;
}

ptrdiff_t str_find(struct str s, struct str needle)
{
    if (needle.len == 0) {
        return 0;
    }
    if (s.len < needle.len) {
        return -1;
    }
    const char *at = memmem(s.ptr, s.len, needle.ptr, needle.len);
    return at ? at - s.ptr : -1;
}

struct str str_cut(struct str s, char sep, struct str *ret_head)
{
    const char *at = s.len > 0 ? memchr(s.ptr, sep, s.len) : NULL;
    if (!at) {
        *ret_head = s;
        return str_skip(s, s.len);
    }
    size_t head_len = (size_t)(at - s.ptr);
    *ret_head = str_take(s, head_len);
    return str_skip(s, head_len + 1);
}

char *str_dup(struct str s)
{
    char *copy = s.len < SIZE_MAX ? malloc(s.len + 1) : NULL;
    if (!copy) {
        return NULL;
    }
    if (s.len > 0) {
        memcpy(copy, s.ptr, s.len);
    }
    copy[s.len] = '\0';
    return copy;
}

// ---- numbers -------------------------------------------------------------------------------------------------------

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// All of s as a decimal number.
static int parse_u64(struct str s, uint64_t *ret)
{
    if (s.len == 0) {
        return -EINVAL;
    }
    uint64_t value = 0;
    bool is_over = false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i])) {
            return -EINVAL;
        }
        is_over |= __builtin_mul_overflow(value, 10, &value);
        is_over |= __builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value);
    }
    if (is_over) {
        return -ERANGE;
    }
    *ret = value;
    return 0;
}

int str_parse_i64(struct str s, int64_t *ret)
{
    bool is_negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t magnitude;
    int rc = parse_u64(str_skip(s, is_negative), &magnitude);
    if (rc < 0) {
        return rc;
    }
    if (magnitude > (uint64_t)INT64_MAX + is_negative) {
        return -ERANGE;
    }
    *ret = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return 0;
}

// A double's value, and every midpoint between two doubles, has at most 767 significant decimal digits. Digits past
// that matter only by being zero or not, so one sticky digit stands for all of them and a number of any length fits.
#define SIGNIFICANT_MAX 768

struct decimal {
    char digits[SIGNIFICANT_MAX + 1 + 32]; // significant digits, a sticky one, room for "e-9223372036854775808" and NUL
    size_t n_digits;
    bool is_negative;
    bool is_sticky;   // a digit other than zero was dropped
    int64_t exponent; // value = digits * 10^exponent
};

static void decimal_push(struct decimal *d, char digit, bool is_fraction)
{
    if (d->n_digits == 0 && digit == '0') {
        d->exponent -= is_fraction;
        return;
    }
    if (d->n_digits < SIGNIFICANT_MAX) {
        d->digits[d->n_digits++] = digit;
        d->exponent -= is_fraction;
    } else {
        d->is_sticky |= digit != '0';
        d->exponent += !is_fraction;
    }
}

// "e", a sign perhaps, digits: the rest of s. Saturates far outside what a double can hold.
static int decimal_parse_exponent(struct decimal *d, struct str s)
{
    bool is_negative = s.len > 1 && s.ptr[1] == '-';
    s = str_skip(s, s.len > 1 && (s.ptr[1] == '-' || s.ptr[1] == '+') ? 2 : 1);
    uint64_t magnitude = 0;
    int rc = parse_u64(s, &magnitude);
    if (rc == -EINVAL) {
        return rc;
    }
    const int64_t far = INT64_C(1) << 60;
    int64_t exponent = rc == -ERANGE || magnitude > (uint64_t)far ? far : (int64_t)magnitude;
    d->exponent += is_negative ? -exponent : exponent;
    return 0;
}

static int decimal_parse(struct str s, struct decimal *d)
{
    d->n_digits = 0;
    d->is_sticky = false;
    d->exponent = 0;
    d->is_negative = s.len > 0 && s.ptr[0] == '-';
    bool is_fraction = false, has_digit = false;
    for (size_t i = d->is_negative; i < s.len; i++) {
        char c = s.ptr[i];
        if (is_digit(c)) {
            decimal_push(d, c, is_fraction);
            has_digit = true;
        } else if (c == '.' && !is_fraction) {
            is_fraction = true;
        } else if ((c == 'e' || c == 'E') && has_digit) {
            return decimal_parse_exponent(d, str_skip(s, i));
        } else {
            return -EINVAL;
        }
    }
    return has_digit ? 0 : -EINVAL;
}

// Exact whenever digits and power of ten are both doubles without rounding: one operation then rounds once (Clinger
// 1990).
static bool decimal_to_double_exactly(const struct decimal *d, double *ret)
{
    static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    if (d->n_digits > 15 || d->exponent < -22 || d->exponent > 22) {
        return false;
    }
    uint64_t whole = 0;
    for (size_t i = 0; i < d->n_digits; i++) {
        whole = whole * 10 + (uint64_t)(d->digits[i] - '0');
    }
    double value = (double)whole;
    *ret = d->exponent < 0 ? value / powers[-d->exponent] : value * powers[d->exponent];
    return true;
}

int str_parse_double(struct str s, double *ret)
{
    struct decimal d;
    int rc = decimal_parse(s, &d);
    if (rc < 0) {
        return rc;
    }
    double value;
    if (d.n_digits == 0) {
        value = 0;
    } else if (!decimal_to_double_exactly(&d, &value)) {
        if (d.is_sticky) {
            d.digits[d.n_digits++] = '1';
            d.exponent--;
        }
        // Without a decimal point in it, strtod reads the text alike in every locale.
        snprintf(d.digits + d.n_digits, sizeof(d.digits) - d.n_digits, "e%lld", (long long)d.exponent);
        value = strtod(d.digits, NULL);
    }
    if (value > 1.7976931348623157e308) {
        return -ERANGE;
    }
    *ret = d.is_negative ? -value : value;
    return 0;
}

int str_parse_bytes(struct str s, uint64_t *ret)
{
    static const char units[] = "KMGT";
    unsigned shift = 0;
    if (s.len > 0 && !is_digit(s.ptr[s.len - 1])) {
        char c = s.ptr[s.len - 1];
        const char *unit = c ? strchr(units, c >= 'a' && c <= 'z' ? c - 32 : c) : NULL;
        if (!unit) {
            return -EINVAL;
        }
        shift = 10 * (unsigned)(unit - units + 1);
        s.len--;
    }
    uint64_t n;
    int rc = parse_u64(s, &n);
    if (rc < 0) {
        return rc;
    }
    if (n > UINT64_MAX >> shift) {
        return -ERANGE;
    }
    *ret = n << shift;
    return 0;
}

// ---- struct strbuf -------------------------------------------------------------------------------------------------

void strbuf_init(struct strbuf *buf, size_t len_max)
{
    *buf = (struct strbuf){ .len_max = len_max };
}

void strbuf_deinit(struct strbuf *buf)
{
    if (buf) {
        free(buf->ptr);
        strbuf_init(buf, buf->len_max);
    }
}

void strbuf_reset(struct strbuf *buf)
{
    buf->len = 0;
    buf->error = 0;
    if (buf->ptr) {
        buf->ptr[0] = '\0';
    }
}

void strbuf_clear(struct strbuf *buf, size_t keep)
{
    if (buf->cap > keep) {
        size_t len_max = buf->len_max;
        strbuf_deinit(buf);
        strbuf_init(buf, len_max);
    } else {
        strbuf_reset(buf);
    }
}

void strbuf_cut(struct strbuf *buf, size_t len)
{
    if (len < buf->len) {
        buf->len = len;
        buf->ptr[len] = '\0';
    }
}

int strbuf_reserve(struct strbuf *buf, size_t n_more)
{
    if (buf->error) {
        return buf->error;
    }
    size_t need;
    bool is_over = __builtin_add_overflow(buf->len, n_more, &need);
    if (buf->len_max > 0 && (is_over || need > buf->len_max)) {
        return buf->error = -EFBIG;
    }
    if (is_over || need >= PTRDIFF_MAX / 2) {
        return buf->error = -ENOMEM;
    }
    if (buf->ptr && need <= buf->cap) {
        return 0;
    }
    size_t cap = need > buf->cap * 2 ? need : buf->cap * 2;
    cap = cap < 31 ? 31 : cap;
    char *ptr = realloc(buf->ptr, cap + 1); // cap leaves out the NUL
    if (!ptr) {
        return buf->error = -ENOMEM;
    }
    ptr[buf->len] = '\0';
    buf->ptr = ptr;
    buf->cap = cap;
    return 0;
}

int strbuf_append(struct strbuf *buf, struct str s)
{
    int rc = strbuf_reserve(buf, s.len);
    if (rc < 0) {
        return rc;
    }
    if (s.len > 0) {
        memcpy(buf->ptr + buf->len, s.ptr, s.len);
    }
    buf->len += s.len;
    buf->ptr[buf->len] = '\0';
    return 0;
}

int strbuf_append_byte(struct strbuf *buf, char byte)
{
    return strbuf_append(buf, (struct str){ &byte, 1 });
}

int strbuf_printf(struct strbuf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    assert(len >= 0); // only a broken format or a wide character can fail
    int rc = strbuf_reserve(buf, (size_t)len);
    if (rc < 0) {
        return rc;
    }
    va_start(args, fmt);
    vsnprintf(buf->ptr + buf->len, (size_t)len + 1, fmt, args);
    va_end(args);
    buf->len += (size_t)len;
    return 0;
}

struct str strbuf_str(const struct strbuf *buf)
{
    return (struct str){ buf->ptr ? buf->ptr : "", buf->len };
}

char *strbuf_steal(struct strbuf *buf)
{
    if (strbuf_reserve(buf, 0) < 0) {
        return NULL;
    }
    char *ptr = buf->ptr;
    strbuf_init(buf, buf->len_max);
    return ptr;
}
