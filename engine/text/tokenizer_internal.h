// What a tokenizer is made of; for tokenizer.c, tokenizer_load.c and detokenizer.c.
#ifndef TOKFS_TEXT_TOKENIZER_INTERNAL_H
#define TOKFS_TEXT_TOKENIZER_INTERNAL_H

#include "engine/text/added_tokens.h"
#include "engine/text/bpe.h"
#include "engine/text/decoder.h"
#include "engine/text/normalizer.h"
#include "engine/text/post_processor.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/spm.h"
#include "engine/text/tokenizer.h"

// Immutable once loaded. The way of a text: added tokens are cut out of it; what lies between is normalised, normalised
// added tokens are cut out of that; the rest is cut into pieces (pre-tokenizer), which the model turns into ids; the
// post-processor adds ids around. The way back: ids to written tokens, through the decoder's steps.
struct tokenizer {
    struct unicode_table table;
    struct normalizer normalizer;
    struct pretokenizer pretokenizer;
    struct bpe bpe;
    struct spm spm; // of a GGUF file with scores: merges instead of bpe, whose vocabulary it uses
    struct added_tokens added;
    struct post_processor post_processor;
    struct decoder decoder;

    size_t n_ids;
    uint32_t *added_of_id;          // [n_ids] index into added.tokens plus one; 0: not an added token
    struct vocab_table token_bytes; // by id; absent ones are those of bpe.bytes
};

// From the values of a tokenizer.json. model: instead of the root's member of that name; NULL: that member. config: a
// tokenizer_config.json's, or NULL. None is needed afterwards. Errors as tokenizer_from_json.
int tokenizer_from_parts(const struct json *root, const struct json *model, const struct json *config,
                         struct tokenizer **ret, struct err *err);

// The written form that the decoder sees, and whether skipping special tokens skips it. False: no such id.
bool tokenizer_token_form(const struct tokenizer *tok, int32_t id, struct str *ret_form, bool *ret_is_skippable);

#endif
