// Replace, a step of normalizers and of decoders in tokenizer.json: each match of a text or of a regular expression
// becomes another text.
#ifndef TOKFS_TEXT_REPLACE_H
#define TOKFS_TEXT_REPLACE_H

#include "engine/base/err.h"
#include "engine/base/json.h"
#include "engine/text/regex.h"

// Its fields. The texts are heap copies; *ret_regex is NULL where the pattern is a text.
int replace_load(const struct json *spec, const char *where, const struct unicode_table *table, struct str *ret_pattern,
                 struct str *ret_content, struct regex **ret_regex, struct err *err);
// Append the text with its matches replaced; an empty pattern matches nothing.
int replace_text(struct str text, struct str pattern, struct str content, struct strbuf *out);
int replace_matches(struct str text, const struct regex *regex, struct regex_scratch *scratch, struct str content,
                    struct strbuf *out);

#endif
