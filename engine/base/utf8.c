// UTF-8 by the table of well-formed byte sequences (Unicode 15, table 3-7; the same set as RFC 3629).
//
// Everything rests on one question: how many leading bytes of s follow a row of that table (utf8_match). The pure
// functions here keep no state and take any bytes, NUL included.
#include "engine/base/utf8.h"

// How many bytes at the start of s follow a row of the table, and how many the row wants: equal for a whole character,
// fewer for a broken or cut one; *ret_want 0 when no row starts with this byte. A maximal ill-formed part has the
// length returned, or 1 where that is 0.
static size_t utf8_match(const unsigned char *s, size_t len, size_t *ret_want)
{
    unsigned char lead = s[0];
    unsigned char low = 0x80, high = 0xbf; // bounds of the second byte: no overlong forms, surrogates, or above 10FFFF
    if (lead < 0x80) {
        *ret_want = 1;
        return 1;
    }
    if (lead < 0xc2 || lead > 0xf4) {
        *ret_want = 0;
        return 0;
    }
    size_t want = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : low;
    high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : high;
    size_t n = 1;
    while (n < want && n < len && s[n] >= low && s[n] <= high) {
        low = 0x80;
        high = 0xbf;
        n++;
    }
    *ret_want = want;
    return n;
}

size_t utf8_valid_len(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t i = 0;
    while (i < s.len) {
        if (p[i] < 0x80) {
            i++;
            continue;
        }
        size_t want;
        if (utf8_match(p + i, s.len - i, &want) != want || want == 0) {
            break;
        }
        i += want;
    }
    return i;
}

size_t utf8_decode(struct str s, uint32_t *ret_codepoint)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t want;
    if (s.len == 0 || utf8_match(p, s.len, &want) != want || want == 0) {
        return 0;
    }
    static const unsigned char lead_mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    uint32_t codepoint = p[0] & lead_mask[want];
    for (size_t i = 1; i < want; i++) {
        codepoint = codepoint << 6 | (p[i] & 0x3f);
    }
    *ret_codepoint = codepoint;
    return want;
}

size_t utf8_encode(uint32_t codepoint, char out[4])
{
    if (codepoint > 0x10ffff || (codepoint >= 0xd800 && codepoint <= 0xdfff)) {
        return 0;
    }
    if (codepoint < 0x80) {
        out[0] = (char)codepoint;
        return 1;
    }
    static const unsigned char lead_bits[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    size_t len = codepoint < 0x800 ? 2 : codepoint < 0x10000 ? 3 : 4;
    for (size_t i = len; i-- > 1; codepoint >>= 6) {
        out[i] = (char)(0x80 | (codepoint & 0x3f));
    }
    out[0] = (char)(lead_bits[len] | codepoint);
    return len;
}

size_t utf8_incomplete_tail(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    for (size_t n = 1; n <= 3 && n <= s.len; n++) {
        size_t want;
        if (utf8_match(p + s.len - n, n, &want) == n && want > n) {
            return n;
        }
    }
    return 0;
}

int utf8_append_lossy(struct strbuf *out, struct str s)
{
    while (s.len > 0) {
        size_t n_valid = utf8_valid_len(s);
        strbuf_append(out, str_take(s, n_valid));
        s = str_skip(s, n_valid);
        if (s.len > 0) {
            size_t want, n_bad = utf8_match((const unsigned char *)s.ptr, s.len, &want);
            strbuf_append(out, STR("\xef\xbf\xbd"));
            s = str_skip(s, n_bad > 0 ? n_bad : 1);
        }
    }
    return out->error;
}

void utf8_make_printable(char *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        uint32_t codepoint = 0;
        size_t n = utf8_decode((struct str){ text + i, len - i }, &codepoint);
        bool is_control = codepoint < 0x20 || (codepoint >= 0x7f && codepoint < 0xa0);
        if (n == 0 || is_control) {
            text[i] = '?';
            for (size_t k = 1; k < n; k++) {
                text[i + k] = '?';
            }
        }
        i += n > 0 ? n : 1;
    }
}
