// The vocabulary of a tokenizer.json, written as a GGUF file has it (tokenizer.ggml.*).
#ifndef TOKFS_TEXT_GGUF_VOCAB_H
#define TOKFS_TEXT_GGUF_VOCAB_H

#include "engine/base/gguf_write.h"

struct gguf_vocab_options {
    size_t n_vocab;                                        // of the model: ids without a token are told as unused
    struct str bos_token, eos_token, unk_token, pad_token; // as written; ptr NULL: none
    bool add_bos, add_eos;
    struct str chat_template, tool_template; // ptr NULL: none
};

// -EOPNOTSUPP names what GGUF cannot say of it; -EINVAL, -ENOMEM.
int gguf_vocab_write(struct str tokenizer_json, const struct gguf_vocab_options *options, struct gguf_writer *w,
                     struct err *err);

#endif
