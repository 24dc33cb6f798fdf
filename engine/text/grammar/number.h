// JSON numbers within bounds, as pieces of a grammar.
#ifndef TOKFS_TEXT_GRAMMAR_NUMBER_H
#define TOKFS_TEXT_GRAMMAR_NUMBER_H

#include "engine/text/grammar/nfa.h"

#define NUMBER_BOUND_MAX INT64_C(1000000000000000000) // of either sign

struct number_bounds {
    bool has_min, has_max;
    int64_t min, max;
};

// Whole numbers without fraction and exponent.
uint32_t number_write_integer(struct nfa *nfa, const struct number_bounds *bounds, uint32_t next);

// A decimal number as a bound.
#define NUMBER_FRACTION_MAX 32
struct number_limit {
    bool is_excluded, is_negative; // a negative one is below 0
    uint64_t whole;                // at most NUMBER_BOUND_MAX
    char fraction[NUMBER_FRACTION_MAX];
    size_t n_fraction; // digits
};
// Any number; a NULL limit is none. With a fraction and, when there is no limit, an exponent of up to two digits (what
// fits a double).
uint32_t number_write_real(struct nfa *nfa, const struct number_limit *min, const struct number_limit *max,
                           uint32_t next);

#endif
