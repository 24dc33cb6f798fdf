// The decoders of tokenizer.json: from written tokens to text, as a stream.
#ifndef TOKFS_TEXT_DECODER_H
#define TOKFS_TEXT_DECODER_H

#include "engine/base/json.h"
#include "engine/text/detokenizer.h"
#include "engine/text/regex.h"

struct decoder_step;

// A flat list of steps; Sequences are unfolded at load. Without a decoder the steps are one that joins with spaces.
struct decoder {
    struct decoder_step *steps;
    size_t n_steps;
    const struct unicode_table *table; // outlives the decoder
};

// From the "decoder" member, which may be NULL or null. Errors as tokenizer_from_json.
int decoder_init(struct decoder *dec, const struct json *spec, const struct unicode_table *table, struct err *err);
void decoder_deinit(struct decoder *dec);

// One token in its written form; then, once, the end. states: one per step, DETOKENIZER_STEPS_MAX at most, zero at the
// start (strbufs initialised). Appends what is certain. 0 or an errno of the buffers or of regex_find.
int decoder_push(const struct decoder *dec, struct decoder_state *states, struct str token, struct strbuf *out);
int decoder_finish(const struct decoder *dec, struct decoder_state *states, struct strbuf *out);

// One ByteLevel step and nothing else: a token's bytes are what it spells.
bool decoder_is_byte_level(const struct decoder *dec);
// Appends the bytes that a token adds in the middle of a text, without any repair of UTF-8. `turns` is working memory.
int decoder_append_bytes(const struct decoder *dec, struct str token, struct strbuf turns[2], struct strbuf *out);

#endif
