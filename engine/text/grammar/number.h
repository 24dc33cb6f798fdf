// JSON numbers within bounds, as pieces of a grammar.
#ifndef TOKFS_TEXT_GRAMMAR_NUMBER_H
#define TOKFS_TEXT_GRAMMAR_NUMBER_H

#include "engine/text/grammar/nfa.h"

#define NUMBER_BOUND_MAX INT64_C(1000000000000000000) // of either sign

struct number_bounds {
    bool has_min, has_max;
    bool is_min_excluded, is_max_excluded; // of numbers with a fraction; whole ones have their bounds moved
    int64_t min, max;
};

// Whole numbers without fraction and exponent.
uint32_t number_write_integer(struct nfa *nfa, const struct number_bounds *bounds, uint32_t next);
// Any number: with a fraction and, when there is no bound, an exponent of up to two digits (what fits a double).
uint32_t number_write_real(struct nfa *nfa, const struct number_bounds *bounds, uint32_t next);

#endif
