// The normalizers of tokenizer.json: rewrite a section of text before it is split.
#ifndef TOKFS_TEXT_NORMALIZER_H
#define TOKFS_TEXT_NORMALIZER_H

#include "engine/base/json.h"
#include "engine/text/regex.h"

struct normalizer_step;

// A flat list of steps; Sequences are unfolded at load.
struct normalizer {
    struct normalizer_step *steps;
    size_t n_steps;
    const struct unicode_table *table; // outlives the normalizer
};

// From the "normalizer" member, which may be NULL or null. Errors as tokenizer_from_json.
int normalizer_init(struct normalizer *norm, const struct json *spec, const struct unicode_table *table,
                    struct err *err);
void normalizer_deinit(struct normalizer *norm);

struct normalizer_scratch {
    struct strbuf buffers[2];
    struct regex_scratch *regex; // borrowed
};
void normalizer_scratch_deinit(struct normalizer_scratch *scratch);

// Normalises one section of well-formed UTF-8. *ret borrows from `text` or from the scratch, until the next call.
// *keeps_start turns false when characters at the start were removed. 0, -ENOMEM, -EFBIG (it grew out of bounds) or
// regex_find's errors.
int normalizer_run(const struct normalizer *norm, struct normalizer_scratch *scratch, struct str text, struct str *ret,
                   bool *keeps_start);

#endif
