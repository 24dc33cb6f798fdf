// Bounds become digits: numbers of one length are compared digit by digit, and lengths are taken apart first.
//
// A number with a fraction lies within whole bounds when its whole part does; the bounds themselves are looked at
// apart. Negative numbers mirror positive ones; a bounded zero has no sign.
#include "engine/text/grammar/number.h"
#include <stdio.h>
#include <string.h>

#define DIGITS_MAX 20

static uint32_t write_any(struct nfa *nfa, size_t n, uint32_t next)
{
    for (; n > 0; n--) {
        next = nfa_bytes(nfa, '0', '9', next);
    }
    return next;
}

// digit lo+1..9 (or from..to) and then any n digits.
static uint32_t write_above(struct nfa *nfa, int from, int to, size_t n, uint32_t next)
{
    return from <= to ? nfa_bytes(nfa, (uint8_t)from, (uint8_t)to, write_any(nfa, n, next)) : NFA_FAILED;
}

// Numbers of n digits that are at least / at most the digits.
static uint32_t write_bounded(struct nfa *nfa, const char *digits, size_t n, bool is_least, uint32_t next)
{
    uint32_t all = next;
    for (size_t i = n; i > 0; i--) {
        int digit = digits[i - 1];
        uint32_t equal = nfa_bytes(nfa, (uint8_t)digit, (uint8_t)digit, all);
        uint32_t other =
            is_least ? write_above(nfa, digit + 1, '9', n - i, next) : write_above(nfa, '0', digit - 1, n - i, next);
        all = nfa_either(nfa, equal, other);
    }
    return all;
}

// Numbers of n digits, lo..hi.
static uint32_t write_between(struct nfa *nfa, const char *lo, const char *hi, size_t n, uint32_t next)
{
    size_t same = 0;
    while (same < n && lo[same] == hi[same]) {
        same++;
    }
    uint32_t all = next;
    if (same < n) {
        size_t rest = n - same - 1;
        uint32_t low = write_bounded(nfa, lo + same + 1, rest, true, next);
        uint32_t high = write_bounded(nfa, hi + same + 1, rest, false, next);
        all = nfa_either(nfa, nfa_bytes(nfa, (uint8_t)lo[same], (uint8_t)lo[same], low),
                         nfa_bytes(nfa, (uint8_t)hi[same], (uint8_t)hi[same], high));
        all = nfa_either(nfa, all, write_above(nfa, lo[same] + 1, hi[same] - 1, rest, next));
    }
    return nfa_literal(nfa, (struct str){ lo, same }, all);
}

// Numbers of more than n digits.
static uint32_t write_longer(struct nfa *nfa, size_t n, uint32_t next)
{
    uint32_t loop = nfa_loop(nfa);
    nfa_loop_set(nfa, loop, nfa_bytes(nfa, '0', '9', loop), next);
    return nfa_bytes(nfa, '1', '9', write_any(nfa, n - (n > 0), n > 0 ? nfa_bytes(nfa, '0', '9', loop) : loop));
}

// Natural numbers from lo on, up to hi if there is one.
static uint32_t write_natural(struct nfa *nfa, uint64_t lo, bool has_hi, uint64_t hi, uint32_t next)
{
    char from[DIGITS_MAX + 2], to[DIGITS_MAX + 2], low[DIGITS_MAX + 2], high[DIGITS_MAX + 2];
    if (has_hi && hi < lo) {
        return NFA_FAILED;
    }
    size_t n_lo = (size_t)snprintf(from, sizeof from, "%llu", (unsigned long long)lo);
    size_t n_hi = has_hi ? (size_t)snprintf(to, sizeof to, "%llu", (unsigned long long)hi) : n_lo;
    uint32_t all = has_hi ? NFA_FAILED : write_longer(nfa, n_lo, next);
    for (size_t n = n_lo; n <= n_hi; n++) {
        memset(low, '0', n);
        low[0] = n == 1 ? '0' : '1';
        memset(high, '9', n);
        all =
            nfa_either(nfa, all, write_between(nfa, n == n_lo ? from : low, has_hi && n == n_hi ? to : high, n, next));
    }
    return all;
}

static uint32_t write_sign(struct nfa *nfa, uint32_t next)
{
    return nfa_bytes(nfa, '-', '-', next);
}

uint32_t number_write_integer(struct nfa *nfa, const struct number_bounds *bounds, uint32_t next)
{
    if (!bounds->has_min && !bounds->has_max) {
        uint32_t natural = write_natural(nfa, 0, false, 0, next);
        return nfa_either(nfa, natural, write_sign(nfa, natural));
    }
    uint32_t all = NFA_FAILED;
    if (!bounds->has_max || bounds->max >= 0) {
        uint64_t lo = bounds->has_min && bounds->min > 0 ? (uint64_t)bounds->min : 0;
        all = write_natural(nfa, lo, bounds->has_max, (uint64_t)bounds->max, next);
    }
    if (!bounds->has_min || bounds->min < 0) {
        uint64_t lo = bounds->has_max && bounds->max < 0 ? (uint64_t)-bounds->max : 1;
        uint32_t natural = write_natural(nfa, lo, bounds->has_min, (uint64_t)-bounds->min, next);
        all = nfa_either(nfa, all, write_sign(nfa, natural));
    }
    return all;
}

// ---- with a fraction -----------------------------------------------------------------------------------------------

static uint32_t write_digits(struct nfa *nfa, uint8_t lo, uint8_t hi, uint32_t next) // none or more
{
    uint32_t loop = nfa_loop(nfa);
    nfa_loop_set(nfa, loop, nfa_bytes(nfa, lo, hi, loop), next);
    return loop;
}

// Nothing, or a point and digits lo..hi.
static uint32_t write_fraction(struct nfa *nfa, uint8_t hi, uint32_t next)
{
    uint32_t digits = nfa_bytes(nfa, '0', hi, write_digits(nfa, '0', hi, next));
    return nfa_either(nfa, next, nfa_bytes(nfa, '.', '.', digits));
}

// A point and digits that are not all 0.
static uint32_t write_more_than_zero(struct nfa *nfa, uint32_t next)
{
    uint32_t digits = nfa_bytes(nfa, '1', '9', write_digits(nfa, '0', '9', next));
    return nfa_bytes(nfa, '.', '.', write_digits(nfa, '0', '0', digits));
}

static uint32_t write_magnitude(struct nfa *nfa, uint64_t lo, bool is_lo_excluded, bool has_hi, uint64_t hi,
                                bool is_hi_excluded, uint32_t next)
{
    if (has_hi && (hi < lo || (hi == lo && (is_lo_excluded || is_hi_excluded)))) {
        return NFA_FAILED;
    }
    uint32_t all = NFA_FAILED;
    if (has_hi && !is_hi_excluded) {
        all = write_natural(nfa, hi, true, hi, write_fraction(nfa, '0', next));
    }
    if (is_lo_excluded) {
        all = nfa_either(nfa, all, write_natural(nfa, lo, true, lo, write_more_than_zero(nfa, next)));
        lo++;
    }
    if (!has_hi || lo < hi) {
        uint32_t whole = write_natural(nfa, lo, has_hi, hi - 1, write_fraction(nfa, '9', next));
        all = nfa_either(nfa, all, whole);
    }
    return all;
}

static uint32_t write_unbounded(struct nfa *nfa, uint32_t next)
{
    uint32_t exponent = nfa_bytes(nfa, '0', '9', nfa_either(nfa, nfa_bytes(nfa, '0', '9', next), next));
    exponent = nfa_either(nfa, exponent,
                          nfa_either(nfa, nfa_bytes(nfa, '+', '+', exponent), nfa_bytes(nfa, '-', '-', exponent)));
    exponent = nfa_either(nfa, nfa_bytes(nfa, 'e', 'e', exponent), nfa_bytes(nfa, 'E', 'E', exponent));
    uint32_t natural = write_natural(nfa, 0, false, 0, write_fraction(nfa, '9', nfa_either(nfa, exponent, next)));
    return nfa_either(nfa, natural, write_sign(nfa, natural));
}

uint32_t number_write_real(struct nfa *nfa, const struct number_bounds *b, uint32_t next)
{
    if (!b->has_min && !b->has_max) {
        return write_unbounded(nfa, next);
    }
    uint32_t all = NFA_FAILED;
    if (!b->has_max || b->max >= 0) {
        bool is_above = b->has_min && b->min >= 0;
        all = write_magnitude(nfa, is_above ? (uint64_t)b->min : 0, is_above && b->is_min_excluded, b->has_max,
                              (uint64_t)b->max, b->is_max_excluded, next);
    }
    if (!b->has_min || b->min < 0) {
        bool is_below = b->has_max && b->max < 0;
        uint32_t magnitude =
            write_magnitude(nfa, is_below ? (uint64_t)-b->max : 0, is_below ? b->is_max_excluded : true, b->has_min,
                            (uint64_t)-b->min, b->is_min_excluded, next);
        all = nfa_either(nfa, all, write_sign(nfa, magnitude));
    }
    return all;
}
