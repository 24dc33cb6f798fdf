// Ranges in a fixed array: a set that needs more is refused, which bounds what a class of a pattern can cost.
#include "engine/text/grammar/charset.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

int charset_add(struct charset *set, uint32_t lo, uint32_t hi)
{
    struct charset merged = { 0 };
    bool is_placed = false;
    if (set->n == CHARSET_RANGES_MAX) {
        return -E2BIG;
    }
    for (size_t i = 0; i < set->n; i++) {
        uint32_t a = set->ranges[i].lo, b = set->ranges[i].hi;
        if (b + 1 < lo || (is_placed && a > hi + 1)) {
            merged.ranges[merged.n].lo = a;
            merged.ranges[merged.n++].hi = b;
        } else if (a > hi + 1) {
            merged.ranges[merged.n].lo = lo;
            merged.ranges[merged.n++].hi = hi;
            is_placed = true;
            merged.ranges[merged.n].lo = a;
            merged.ranges[merged.n++].hi = b;
        } else {
            lo = a < lo ? a : lo;
            hi = b > hi ? b : hi;
        }
    }
    if (!is_placed) {
        merged.ranges[merged.n].lo = lo;
        merged.ranges[merged.n++].hi = hi;
    }
    *set = merged;
    return 0;
}

int charset_invert(struct charset *set)
{
    struct charset inverse = { 0 };
    uint32_t from = 0;
    for (size_t i = 0; i < set->n; i++) {
        if (set->ranges[i].lo > from && charset_add(&inverse, from, set->ranges[i].lo - 1) < 0) {
            return -E2BIG;
        }
        from = set->ranges[i].hi + 1;
    }
    if (from <= CODEPOINT_MAX && charset_add(&inverse, from, CODEPOINT_MAX) < 0) {
        return -E2BIG;
    }
    *set = inverse;
    return 0;
}

bool charset_has(const struct charset *set, uint32_t codepoint)
{
    for (size_t i = 0; i < set->n; i++) {
        if (set->ranges[i].lo <= codepoint && codepoint <= set->ranges[i].hi) {
            return true;
        }
    }
    return false;
}

bool charset_has_plain(const struct charset *set)
{
    static const uint32_t plain[][2] = {
        { 0x20, '"' - 1 }, { '"' + 1, '\\' - 1 }, { '\\' + 1, 0x2027 }, { 0x202a, CODEPOINT_MAX }
    };
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++) {
        for (size_t k = 0; k < 4; k++) {
            n += set->ranges[i].lo <= plain[k][0] && plain[k][1] <= set->ranges[i].hi;
        }
    }
    return n == 4;
}

// What of the set lies in lo..hi, as it is.
static uint32_t write_within(struct nfa *nfa, const struct charset *set, uint32_t lo, uint32_t hi, uint32_t next)
{
    uint32_t all = NFA_FAILED;
    for (size_t i = 0; i < set->n; i++) {
        uint32_t a = set->ranges[i].lo > lo ? set->ranges[i].lo : lo,
                 b = set->ranges[i].hi < hi ? set->ranges[i].hi : hi;
        if (a <= b) {
            all = nfa_either(nfa, nfa_codepoints(nfa, a, b, next), all);
        }
    }
    return all;
}

static uint32_t write_escape(struct nfa *nfa, uint32_t codepoint, uint32_t next)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *at = codepoint != 0 ? strchr(from, (int)codepoint) : NULL;
    char text[16];
    if (at) {
        snprintf(text, sizeof text, "\\%c", to[at - from]);
    } else {
        snprintf(text, sizeof text, "\\u%04x", (unsigned)codepoint);
    }
    return nfa_literal(nfa, str_from(text), next);
}

uint32_t charset_write_short(struct nfa *nfa, const struct charset *set, bool in_json, uint32_t next)
{
    if (!in_json) {
        return write_within(nfa, set, 0, 0x7f, next);
    }
    uint32_t all = write_within(nfa, set, 0x20, '"' - 1, next);
    all = nfa_either(nfa, write_within(nfa, set, '"' + 1, '\\' - 1, next), all);
    return nfa_either(nfa, write_within(nfa, set, '\\' + 1, 0x7f, next), all);
}

uint32_t charset_write_long(struct nfa *nfa, const struct charset *set, bool in_json, uint32_t next)
{
    uint32_t all = write_within(nfa, set, 0x80, CODEPOINT_MAX, next);
    for (uint32_t c = 0; in_json && c <= '\\'; c++) {
        if ((c < 0x20 || c == '"' || c == '\\') && charset_has(set, c)) {
            all = nfa_either(nfa, write_escape(nfa, c, next), all);
        }
    }
    return all;
}

uint32_t charset_write(struct nfa *nfa, const struct charset *set, bool in_json, uint32_t next)
{
    return nfa_either(nfa, charset_write_short(nfa, set, in_json, next), charset_write_long(nfa, set, in_json, next));
}
