// The pre-tokenizers of tokenizer.json: split a section of text into the pieces that the model encodes one by one.
#ifndef TOKFS_TEXT_PRETOKENIZER_H
#define TOKFS_TEXT_PRETOKENIZER_H

#include "engine/base/json.h"
#include "engine/text/regex.h"

struct pretokenizer_step;

// A flat list of steps; Sequences are unfolded at load.
struct pretokenizer {
    struct pretokenizer_step *steps;
    size_t n_steps;
    bool is_byte_level; // pieces come out as bytes, each standing for its character of the byte-level alphabet
    const struct unicode_table *table; // outlives the pre-tokenizer
};

// From the "pre_tokenizer" member, which may be NULL or null. Errors as tokenizer_from_json.
int pretokenizer_init(struct pretokenizer *pre, const struct json *spec, const struct unicode_table *table,
                      struct err *err);
void pretokenizer_deinit(struct pretokenizer *pre);

#define PRETOKENIZER_STEPS_MAX 16

struct pretokenizer_scratch {
    struct strbuf text[PRETOKENIZER_STEPS_MAX];    // what a step rewrote, valid while its pieces are worked on
    struct strbuf spelled[PRETOKENIZER_STEPS_MAX]; // byte-level piece written out for a regex
    struct regex_scratch *regex;                   // borrowed
};
void pretokenizer_scratch_deinit(struct pretokenizer_scratch *scratch);

// Receives each piece, in order; a result other than 0 ends the run and is returned. Pieces are never empty.
typedef int (*pretokenizer_piece_fn)(void *ctx, struct str piece);

// Splits one section of well-formed UTF-8. is_start: the section begins where the whole text does. 0, -ENOMEM,
// regex_find's errors or fn's result.
int pretokenizer_run(const struct pretokenizer *pre, struct pretokenizer_scratch *scratch, struct str text,
                     bool is_start, pretokenizer_piece_fn fn, void *ctx);

#endif
