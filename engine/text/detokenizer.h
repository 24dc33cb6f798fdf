// Streaming decoding: ids in one by one, text out as soon as it is certain.
//
// The pieces, concatenated, equal tokenizer_decode of all ids; a piece never ends inside a UTF-8 character. Bytes that begin
// a character are held back until it is complete, or until an id shows that it never will be.
#ifndef TOKFS_TEXT_DETOKENIZER_H
#define TOKFS_TEXT_DETOKENIZER_H

#include "engine/text/tokenizer.h"

struct detokenizer {
    const struct tokenizer *tok;
    bool skip_special;
    bool at_start;       // nothing was decoded yet: leading-space rules apply
    uint8_t n_held;
    char held[16];       // bytes of an unfinished character (byte-fallback runs can hold more than three)
};

void detokenizer_init(struct detokenizer *d, const struct tokenizer *tok, bool skip_special);
// For an answer that follows a prompt: decoding goes on in the middle of a text, so no leading space is stripped.
void detokenizer_init_continued(struct detokenizer *d, const struct tokenizer *tok, bool skip_special);
// Appends what became certain. No allocation other than the buffer's growth.
int detokenizer_push(struct detokenizer *d, int32_t id, struct strbuf *out);
// Appends what was held back, ill-formed bytes as U+FFFD. Call once, at the end.
int detokenizer_finish(struct detokenizer *d, struct strbuf *out);

#endif
