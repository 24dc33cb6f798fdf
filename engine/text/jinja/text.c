// Characters as Python 3 classifies them, by utf8proc's tables; ASCII is decided without them.
#include "engine/text/jinja/text.h"

#include "engine/base/utf8.h"

#include <string.h>
#include <utf8proc.h>

bool char_is_space(uint32_t c)
{
    if (c < 128) {
        return c == ' ' || (c >= 9 && c <= 13) || (c >= 28 && c <= 31);
    }
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

bool char_is_line_end(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static utf8proc_category_t category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

static bool is_letter(uint32_t c)
{
    utf8proc_category_t k = category(c);

    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

bool char_is_alpha(uint32_t c)
{
    return c < 128 ? (c | 32) >= 'a' && (c | 32) <= 'z' : is_letter(c);
}

bool char_is_word(uint32_t c)
{
    utf8proc_category_t k;

    if (c < 128) {
        return ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') || c == '_';
    }
    k = category(c);
    return is_letter(c) || k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ND ||
           k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_PC;
}

bool char_is_printable(uint32_t c)
{
    if (c < 128) {
        return c >= 32 && c < 127;
    }
    switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO: return false;
    default: return true;
    }
}

bool char_is_upper(uint32_t c)
{
    return c < 128 ? c >= 'A' && c <= 'Z' : utf8proc_isupper((utf8proc_int32_t)c) != 0;
}

bool char_is_lower(uint32_t c)
{
    return c < 128 ? c >= 'a' && c <= 'z' : utf8proc_islower((utf8proc_int32_t)c) != 0;
}

bool char_is_cased(uint32_t c)
{
    return char_is_upper(c) || char_is_lower(c) || (c >= 128 && category(c) == UTF8PROC_CATEGORY_LT);
}

bool char_is_decimal(uint32_t c)
{
    return c < 128 ? c >= '0' && c <= '9' : category(c) == UTF8PROC_CATEGORY_ND;
}

bool char_is_digit(uint32_t c)
{
    static const uint32_t superscripts[] = { 0xb2, 0xb3, 0xb9, 0x2070 };

    for (size_t i = 0; i < sizeof(superscripts) / sizeof(superscripts[0]); i++) {
        if (c == superscripts[i]) {
            return true;
        }
    }
    return char_is_decimal(c) || (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089) ||
           (c >= 0x2460 && c <= 0x2468);
}

bool char_is_numeric(uint32_t c)
{
    return char_is_digit(c) ||
           (c >= 128 && (category(c) == UTF8PROC_CATEGORY_NL || category(c) == UTF8PROC_CATEGORY_NO));
}

size_t char_decode(struct str s, uint32_t *ret)
{
    unsigned char first;
    size_t len;

    if (s.len == 0) {
        *ret = 0;
        return 0;
    }
    first = (unsigned char)s.ptr[0];
    if (first < 128) {
        *ret = first;
        return 1;
    }
    len = utf8_decode(s, ret);
    if (len == 0) { // ill formed: callers check their text, this keeps a loop going
        *ret = 0xfffd;
        return 1;
    }
    return len;
}

size_t char_before(struct str s, uint32_t *ret)
{
    size_t start = s.len;

    if (s.len == 0) {
        *ret = 0;
        return 0;
    }
    do {
        start--;
    } while (start > 0 && s.len - start < 4 && ((unsigned char)s.ptr[start] & 0xc0) == 0x80);
    char_decode(str_skip(s, start), ret);
    return s.len - start;
}

bool text_is_ascii(struct str s)
{
    size_t i = 0;
    uint64_t word;

    for (; i + 8 <= s.len; i += 8) {
        memcpy(&word, s.ptr + i, 8);
        if ((word & 0x8080808080808080u) != 0) {
            return false;
        }
    }
    for (; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] >= 128) {
            return false;
        }
    }
    return true;
}

size_t text_n_chars(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    }
    return n;
}

size_t text_offset(struct str s, size_t n_chars)
{
    size_t i = 0;

    while (i < s.len) {
        if (((unsigned char)s.ptr[i] & 0xc0) != 0x80 && n_chars-- == 0) {
            break;
        }
        i++;
    }
    return i;
}

struct str text_strip(struct str s, bool left, bool right)
{
    uint32_t c;

    while (left && s.len > 0) {
        size_t len = char_decode(s, &c);

        if (!char_is_space(c)) {
            break;
        }
        s = str_skip(s, len);
    }
    while (right && s.len > 0) {
        size_t len = char_before(s, &c);

        if (!char_is_space(c)) {
            break;
        }
        s.len -= len;
    }
    return s;
}

// Characters whose full case mapping is longer than one character (Unicode SpecialCasing, the unconditional ones).
static const struct {
    uint32_t c;
    uint32_t upper[3], title[3], fold[3];
} special_cases[] = {
    { 0xdf, { 'S', 'S' }, { 'S', 's' }, { 's', 's' } },
    { 0x149, { 0x2bc, 'N' }, { 0x2bc, 'N' }, { 0x2bc, 'n' } },
    { 0x1f0, { 'J', 0x30c }, { 'J', 0x30c }, { 'j', 0x30c } },
    { 0x390, { 0x399, 0x308, 0x301 }, { 0x399, 0x308, 0x301 }, { 0x3b9, 0x308, 0x301 } },
    { 0x3b0, { 0x3a5, 0x308, 0x301 }, { 0x3a5, 0x308, 0x301 }, { 0x3c5, 0x308, 0x301 } },
    { 0x587, { 0x535, 0x552 }, { 0x535, 0x582 }, { 0x565, 0x582 } },
    { 0x1e96, { 'H', 0x331 }, { 'H', 0x331 }, { 'h', 0x331 } },
    { 0xfb00, { 'F', 'F' }, { 'F', 'f' }, { 'f', 'f' } },
    { 0xfb01, { 'F', 'I' }, { 'F', 'i' }, { 'f', 'i' } },
    { 0xfb02, { 'F', 'L' }, { 'F', 'l' }, { 'f', 'l' } },
    { 0xfb03, { 'F', 'F', 'I' }, { 'F', 'f', 'i' }, { 'f', 'f', 'i' } },
    { 0xfb04, { 'F', 'F', 'L' }, { 'F', 'f', 'l' }, { 'f', 'f', 'l' } },
    { 0xfb05, { 'S', 'T' }, { 'S', 't' }, { 's', 't' } },
    { 0xfb06, { 'S', 'T' }, { 'S', 't' }, { 's', 't' } },
};

static size_t copy_mapping(const uint32_t from[3], uint32_t out[3])
{
    size_t n = 0;

    while (n < 3 && from[n] != 0) {
        out[n] = from[n];
        n++;
    }
    return n;
}

size_t char_map_case(uint32_t c, enum text_case to, uint32_t out[3])
{
    utf8proc_int32_t code = (utf8proc_int32_t)c;

    if (c < 128) {
        bool is_letter_ascii = (c | 32) >= 'a' && (c | 32) <= 'z';

        out[0] = !is_letter_ascii ? c : to == CASE_LOWER || to == CASE_FOLD ? (c | 32) : (c & ~(uint32_t)32);
        return 1;
    }
    if (to == CASE_LOWER && c == 0x130) {
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    for (size_t i = 0; to != CASE_LOWER && i < sizeof(special_cases) / sizeof(special_cases[0]); i++) {
        if (special_cases[i].c == c) {
            return copy_mapping(to == CASE_UPPER   ? special_cases[i].upper
                                : to == CASE_TITLE ? special_cases[i].title
                                                   : special_cases[i].fold,
                                out);
        }
    }
    out[0] = (uint32_t)(to == CASE_UPPER   ? utf8proc_toupper(code)
                        : to == CASE_TITLE ? utf8proc_totitle(code)
                                           : utf8proc_tolower(code));
    return 1;
}
