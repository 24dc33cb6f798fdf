// Regular expressions as pieces of a grammar.
//
// Taken: literals, ., classes with ranges and negation, \d \w \s \D \W \S (ASCII, as in ECMAScript without flags but
// for \s), \t \n \r \f \v \0, \xHH, \uHHHH, \u{H...}, escaped punctuation, groups (named ones too, all the same to a
// language),
// |, * + ? {n} {n,} {n,m} (a following ? changes nothing here), ^ and $ at the borders of the whole. Refused by name:
// references, look-around, possessive and atomic forms, flags, {,n}, \b \B \p and other escapes of letters, ^ and $
// elsewhere.
#ifndef TOKFS_TEXT_GRAMMAR_PATTERN_H
#define TOKFS_TEXT_GRAMMAR_PATTERN_H

#include "engine/text/grammar/nfa.h"

enum pattern_flags {
    PATTERN_IN_JSON =
        1 << 0, // characters are written as inside a JSON string, and . leaves out what it does in ECMAScript
    PATTERN_SEARCH = 1 << 1, // it need only match somewhere: where no ^ or $ holds it, anything may stand around it
};

// Adds what the pattern matches, followed by `next`. 0, -EINVAL (not a pattern), -EOPNOTSUPP (err names the construct),
// -E2BIG, -ENOMEM.
int pattern_add(struct nfa *nfa, struct str pattern, unsigned flags, uint32_t next, uint32_t *ret, struct err *err);
// The texts among them that have min to max characters.
#define PATTERN_ANY_SIZE UINT32_MAX
struct pattern_size {
    uint32_t min, max;
};
int pattern_add_sized(struct nfa *nfa, struct str pattern, unsigned flags, struct pattern_size size, uint32_t next,
                      uint32_t *ret, struct err *err);

#endif
