// Regular expressions of tokenizer.json (Oniguruma's Ruby syntax) on pcre2.
//
// The pattern is rewritten where the two engines differ: classes follow engine/text/unicode_class.h instead of the
// Unicode version of the installed pcre2, (?m) means dot-all, an interval is never possessive. What cannot be rewritten
// is refused.
#ifndef TOKFS_TEXT_REGEX_H
#define TOKFS_TEXT_REGEX_H

#include "engine/base/err.h"
#include "engine/text/unicode_class.h"

struct regex;

// `where` names the pattern in messages ("pre_tokenizer.pretokenizers[0].pattern"). -EINVAL (not a pattern),
// -EOPNOTSUPP (a construct that is not implemented; err names it), -ENOMEM.
int regex_new(struct str pattern, const struct unicode_table *table, const char *where, struct regex **ret,
              struct err *err);
void regex_free(struct regex *re);

// Search state, one per thread of execution; the regex itself is immutable. Zero-initialised by its owner; the first
// search allocates, so that tokenizers whose patterns are all scanners never do.
struct regex_scratch {
    void *match_data; // pcre2_match_data
    void *context;    // pcre2_match_context with its JIT stack
};
void regex_scratch_deinit(struct regex_scratch *scratch);

// The first match at or after `from` in well-formed UTF-8: 1 with its bounds, 0 none, -E2BIG when the search took more
// steps or memory than it may, -ENOMEM.
int regex_find(const struct regex *re, struct regex_scratch *scratch, struct str text, size_t from, size_t *ret_start,
               size_t *ret_end);

// All matches from left to right, as the reference finds them: an empty match is passed over where the last one ended.
struct regex_iter {
    const struct regex *re;
    struct regex_scratch *scratch;
    struct str text;
    size_t from;     // where the next search begins
    size_t last_end; // end of the last match
    bool has_last;
};
int regex_iter_next(struct regex_iter *iter, size_t *ret_start, size_t *ret_end); // as regex_find

#endif
