// The pre-tokenizers that GGUF files name (tokenizer.ggml.pre).
#ifndef TOKFS_TEXT_GGUF_PRE_H
#define TOKFS_TEXT_GGUF_PRE_H

#include "engine/base/json.h"

#define GGUF_PRE_NAMES_MAX 12
#define GGUF_PRE_STEPS_MAX 7

enum gguf_pre_kind {
    GGUF_PRE_END,
    GGUF_PRE_SPLIT,       // Split, isolated
    GGUF_PRE_DIGITS,      // Digits: runs of them
    GGUF_PRE_DIGITS_EACH, // Digits: one by one
    GGUF_PRE_PUNCTUATION, // Punctuation: runs of it
    GGUF_PRE_WORDS,       // ByteLevel with its own pattern
    GGUF_PRE_BYTES,       // ByteLevel without one
};

// What the tokenizer.json says from which files of that name were made.
struct gguf_pre {
    const char *names[GGUF_PRE_NAMES_MAX];
    struct gguf_pre_step {
        enum gguf_pre_kind kind;
        const char *pattern; // of a split
    } steps[GGUF_PRE_STEPS_MAX];
    bool is_composed;   // text is brought into NFC first
    bool ignore_merges; // a piece that is a token is not taken apart
    bool adds_bos;      // unless the file says otherwise
};

const struct gguf_pre *gguf_pre_find(struct str name); // NULL: not known
// The other way: of a tokenizer.json's "pre_tokenizer", with what its normalizer and model say. NULL: it has no name.
const struct gguf_pre *gguf_pre_match(const struct json *pre_tokenizer, bool is_composed, bool ignore_merges);

#endif
