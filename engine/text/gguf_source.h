// What a GGUF file says of its vocabulary; for tokenizer_gguf.c, which reads it, and gguf_document.c.
#ifndef TOKFS_TEXT_GGUF_SOURCE_H
#define TOKFS_TEXT_GGUF_SOURCE_H

#include "engine/base/gguf.h"
#include "engine/base/json.h"
#include "engine/text/gguf_pre.h"

enum gguf_model { GGUF_MODEL_GPT2, GGUF_MODEL_GEMMA4, GGUF_MODEL_LLAMA, GGUF_N_MODELS };

struct gguf_source {
    const struct gguf *g;
    struct err *err;
    enum gguf_model model;
    const struct gguf_pre *pre;
    const struct gguf_entry *tokens, *types, *scores, *merges; // all but tokens may be NULL
    bool add_bos, add_eos, add_space_prefix;
    int64_t bos_id, eos_id, unk_id; // -1: none
    bool strips_right;              // special tokens take the white space behind them
};

// Appends the tokenizer.json that such a vocabulary was made from, all but its model. out->error tells of failure.
void gguf_write_document(const struct gguf_source *s, struct strbuf *out);

#endif
