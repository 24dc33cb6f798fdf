// Bounds become digits: numbers of one length are compared digit by digit, and lengths are taken apart first.
//
// A number with a fraction lies between two limits when its whole part lies between theirs; where it is one of theirs,
// the fractions are compared digit by digit too. Negative numbers mirror positive ones; a bounded zero has no sign.
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

static uint32_t write_digits(struct nfa *nfa, uint32_t next) // none or more
{
    uint32_t loop = nfa_loop(nfa);
    nfa_loop_set(nfa, loop, nfa_bytes(nfa, '0', '9', loop), next);
    return loop;
}

// Nothing, or a point and digits.
static uint32_t write_fraction(struct nfa *nfa, uint32_t next)
{
    uint32_t digits = nfa_bytes(nfa, '0', '9', write_digits(nfa, next));
    return nfa_either(nfa, next, nfa_bytes(nfa, '.', '.', digits));
}

// Digits after a point that has been compared up to here: `lo` and `hi` are the limits that the digits so far are equal
// to, NULL when they are past them or there is none.
struct tail {
    const struct number_limit *lo, *hi;
    size_t at;
};

static int digit_of(const struct number_limit *limit, size_t at)
{
    return at < limit->n_fraction ? limit->fraction[at] : '0';
}

static bool is_over(const struct number_limit *limit, size_t at)
{
    return !limit || at >= limit->n_fraction; // fractions do not end in 0
}

static bool may_end(const struct tail *t)
{
    bool is_above = !t->lo || (is_over(t->lo, t->at) && !t->lo->is_excluded);
    return is_above && (!t->hi || !is_over(t->hi, t->at) || !t->hi->is_excluded);
}

static uint32_t write_tail(struct nfa *nfa, struct tail t, uint32_t any, uint32_t next);

// One digit and what may follow it. `again`: the place of further zeros, once both limits are compared to their ends.
static uint32_t write_digit(struct nfa *nfa, const struct tail *t, uint32_t any, uint32_t again, uint32_t next)
{
    int lo = t->lo ? digit_of(t->lo, t->at) : '0', hi = t->hi ? digit_of(t->hi, t->at) : '9';
    uint32_t all = NFA_FAILED;
    for (int digit = lo; digit <= hi; digit++) {
        struct tail rest = { t->lo && digit == lo ? t->lo : NULL, t->hi && digit == hi ? t->hi : NULL, t->at + 1 };
        uint32_t after = !rest.lo && !rest.hi                  ? any
                         : again != NFA_FAILED && digit == '0' ? again
                                                               : write_tail(nfa, rest, any, next);
        all = nfa_either(nfa, all, nfa_bytes(nfa, (uint8_t)digit, (uint8_t)digit, after));
    }
    return all;
}

static uint32_t write_tail(struct nfa *nfa, struct tail t, uint32_t any, uint32_t next)
{
    uint32_t end = may_end(&t) ? next : NFA_FAILED;
    if (!is_over(t.lo, t.at) || !is_over(t.hi, t.at)) {
        return nfa_either(nfa, write_digit(nfa, &t, any, NFA_FAILED, next), end);
    }
    uint32_t zeros = nfa_loop(nfa);
    nfa_loop_set(nfa, zeros, write_digit(nfa, &t, any, zeros, next), end);
    return zeros;
}

// The fraction of a number whose whole part is that of the limits.
static uint32_t write_limited(struct nfa *nfa, const struct number_limit *lo, const struct number_limit *hi,
                              uint32_t next)
{
    struct tail t = { lo, hi, 0 };
    uint32_t any = write_digits(nfa, next), again = NFA_FAILED;
    if (is_over(lo, 0) && is_over(hi, 0)) {
        again = write_tail(nfa, t, any, next);
    }
    uint32_t digits = write_digit(nfa, &t, any, again, next);
    return nfa_either(nfa, may_end(&t) ? next : NFA_FAILED, nfa_bytes(nfa, '.', '.', digits));
}

// Numbers without a sign; both limits are taken for their sizes.
static uint32_t write_magnitude(struct nfa *nfa, const struct number_limit *lo, const struct number_limit *hi,
                                uint32_t next)
{
    uint64_t from = lo->whole;
    if (hi && hi->whole <= from) {
        return hi->whole < from ? NFA_FAILED : write_natural(nfa, from, true, from, write_limited(nfa, lo, hi, next));
    }
    uint32_t all = write_natural(nfa, from, true, from, write_limited(nfa, lo, NULL, next));
    if (hi) {
        all = nfa_either(nfa, all, write_natural(nfa, hi->whole, true, hi->whole, write_limited(nfa, NULL, hi, next)));
    }
    if (!hi || from + 1 < hi->whole) {
        uint32_t between = write_natural(nfa, from + 1, hi != NULL, hi ? hi->whole - 1 : 0, write_fraction(nfa, next));
        all = nfa_either(nfa, all, between);
    }
    return all;
}

static uint32_t write_unbounded(struct nfa *nfa, uint32_t next)
{
    uint32_t exponent = nfa_bytes(nfa, '0', '9', nfa_either(nfa, nfa_bytes(nfa, '0', '9', next), next));
    exponent = nfa_either(nfa, exponent,
                          nfa_either(nfa, nfa_bytes(nfa, '+', '+', exponent), nfa_bytes(nfa, '-', '-', exponent)));
    exponent = nfa_either(nfa, nfa_bytes(nfa, 'e', 'e', exponent), nfa_bytes(nfa, 'E', 'E', exponent));
    uint32_t natural = write_natural(nfa, 0, false, 0, write_fraction(nfa, nfa_either(nfa, exponent, next)));
    return nfa_either(nfa, natural, write_sign(nfa, natural));
}

uint32_t number_write_real(struct nfa *nfa, const struct number_limit *min, const struct number_limit *max,
                           uint32_t next)
{
    static const struct number_limit zero = { 0 }, above_zero = { .is_excluded = true };
    if (!min && !max) {
        return write_unbounded(nfa, next);
    }
    uint32_t all = NFA_FAILED;
    if (!max || !max->is_negative) {
        all = write_magnitude(nfa, min && !min->is_negative ? min : &zero, max, next);
    }
    if (!min || min->is_negative) {
        uint32_t magnitude = write_magnitude(nfa, max && max->is_negative ? max : &above_zero, min, next);
        all = nfa_either(nfa, all, write_sign(nfa, magnitude));
    }
    return all;
}
