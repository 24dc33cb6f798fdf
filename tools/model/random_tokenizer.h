// A byte-level BPE tokenizer of any vocabulary size, made from nothing.
#ifndef TOKFS_TOOLS_MODEL_RANDOM_TOKENIZER_H
#define TOKFS_TOOLS_MODEL_RANDOM_TOKENIZER_H

#include "engine/base/err.h"
#include <stdint.h>

#define RANDOM_TOKENIZER_N_SPECIAL 3
#define RANDOM_TOKENIZER_N_MIN     (256 + RANDOM_TOKENIZER_N_SPECIAL) // bytes and special tokens

// The last ids of the vocabulary.
struct special_tokens {
    uint32_t end_of_text, im_start, im_end; // <|endoftext|> <|im_start|> <|im_end|>
};

struct special_tokens random_tokenizer_specials(uint32_t n_vocab);
// Writes DIR/tokenizer.json and DIR/tokenizer_config.json (ChatML template). n_vocab >= RANDOM_TOKENIZER_N_MIN; -EINVAL
// above what the merges can fill (about 493,000).
int random_tokenizer_write(const char *dir, uint32_t n_vocab, uint32_t n_ctx_max, struct err *err);

#endif
