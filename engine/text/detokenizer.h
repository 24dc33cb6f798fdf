// Streaming decoding: ids in one by one, text out as soon as it is certain.
//
// The pieces, concatenated, equal tokenizer_decode of all ids; a piece never ends inside a UTF-8 character. Bytes that
// begin a character are held back until it is complete, or until an id shows that it never will be. A run of
// byte-fallback tokens is held until it ends, because one ill-formed byte turns every byte of its run into U+FFFD;
// hence the growable buffers.
#ifndef TOKFS_TEXT_DETOKENIZER_H
#define TOKFS_TEXT_DETOKENIZER_H

#include "engine/text/tokenizer.h"

#define DETOKENIZER_STEPS_MAX 8 // longest decoder chain of a tokenizer.json; a longer one is refused at load

struct detokenizer {
    const struct tokenizer *tok;
    bool skip_special;
    const int32_t *kept; // [n_kept] special tokens that are text all the same; borrowed
    size_t n_kept;
    struct decoder_state {
        struct strbuf held;  // what this step cannot decide yet
        struct strbuf text;  // what it hands on, rewritten
        bool is_past_start;  // the first token is behind, or leading-space rules do not apply at all
        bool has_held;       // held is a token (it may be an empty one)
        uint32_t n_stripped; // characters taken from the start
    } steps[DETOKENIZER_STEPS_MAX];
};

// The first init of a detokenizer, or one after detokenizer_deinit, takes no memory; it cannot fail.
void detokenizer_init(struct detokenizer *d, const struct tokenizer *tok, bool skip_special);
// For an answer that follows a prompt: decoding goes on in the middle of a text, so no leading space is stripped.
void detokenizer_init_continued(struct detokenizer *d, const struct tokenizer *tok, bool skip_special);
void detokenizer_deinit(struct detokenizer *d);
// Appends what became certain; an id that does not exist adds nothing. No allocation other than the buffers' growth. 0
// or the buffer's error (-ENOMEM, -EFBIG).
int detokenizer_push(struct detokenizer *d, int32_t id, struct strbuf *out);
// Appends what was held back, ill-formed bytes as U+FFFD. Call once, at the end; only deinit may follow.
int detokenizer_finish(struct detokenizer *d, struct strbuf *out);

#endif
