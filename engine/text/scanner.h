// Published pre-tokenizer regexes as hand-written scanners, recognised by their exact text.
//
// The general way is engine/text/regex.h; a scanner exists where a regex engine would cost most of the tokenizer's time
// or, for `\s+$`, time that is quadratic in the length of the text. Tests compare each scanner with the regex.
#ifndef TOKFS_TEXT_SCANNER_H
#define TOKFS_TEXT_SCANNER_H

#include "engine/text/unicode_class.h"

enum scanner_kind {
    SCANNER_NONE,
    SCANNER_GPT2,
    SCANNER_LLAMA3, // also GPT-4's cl100k
    SCANNER_QWEN2,  // Llama 3's with single digits
    SCANNER_TRAILING_SPACE,
};

// The pattern that ByteLevel with use_regex stands for.
extern const char scanner_gpt2_pattern[];

enum scanner_kind scanner_for_pattern(struct str pattern);
// The next match at or after `from`: true and its bounds, false when there is none. `text` is well-formed UTF-8 and
// `from` a character border. All but SCANNER_TRAILING_SPACE match everywhere, without gaps.
bool scanner_next(enum scanner_kind kind, const struct unicode_table *table, struct str text, size_t from,
                  size_t *ret_start, size_t *ret_end);

#endif
