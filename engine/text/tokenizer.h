// Text to token ids and back, from a Hugging Face tokenizer.json with a BPE model or from a GGUF file.
//
// A tokenizer is immutable once loaded and may be used by any number of threads at once.
#ifndef TOKFS_TEXT_TOKENIZER_H
#define TOKFS_TEXT_TOKENIZER_H

#include "engine/base/err.h"
#include "engine/base/str.h"

struct gguf;
struct tokenizer;

// Growable array of ids. The caller zero-initialises it and frees it with token_ids_deinit.
struct token_ids {
    int32_t *ids;
    size_t len, cap;
};

int token_ids_append(struct token_ids *list, int32_t id); // 0 or -ENOMEM
void token_ids_deinit(struct token_ids *list);

enum tokenizer_flags {
    // Apply the post-processor (the beginning-of-text token and the like), as encode(add_special_tokens=True) does.
    TOKENIZER_ADD_SPECIAL = 1 << 0,
    // Treat the text of special tokens as plain text instead of matching it. Non-special added tokens always match.
    TOKENIZER_PLAIN_SPECIAL = 1 << 1,
};

// From the text of a tokenizer.json. -EINVAL (malformed; err names the entry), -EOPNOTSUPP (a model type or component
// that is not implemented; err names it), -ENOMEM.
int tokenizer_from_json(struct str json, struct tokenizer **ret, struct err *err);
// From the metadata of a GGUF file (tokenizer.ggml.*), which the tokenizer does not need afterwards. Errors likewise,
// naming the key.
int tokenizer_from_gguf(const struct gguf *g, struct tokenizer **ret, struct err *err);
// From a file of either kind, or from the tokenizer.json (or else tokenizer.gguf) inside a directory, with the tokens
// that a tokenizer_config.json beside it adds or changes (transformers heeds nothing else of it here: not
// add_bos_token, not add_eos_token). -errno of the file as well.
int tokenizer_open(const char *path, struct tokenizer **ret, struct err *err);
void tokenizer_free(struct tokenizer *tok);

// Appends the ids of `text` to *out. Ill-formed UTF-8 gives -EINVAL. -ENOMEM; for a tokenizer.json that is out of the
// ordinary also -EFBIG (the normalized text grows out of bounds), -E2BIG (a pattern takes too many steps). On failure
// *out keeps its old length.
int tokenizer_encode(const struct tokenizer *tok, struct str text, unsigned flags, struct token_ids *out,
                     struct err *err);
// The first token of what a short text in the middle of another is cut into, by a cutter that was made for it and is
// used by one thread at a time. -1: none, or a tokenizer that does not work on bytes. Does not allocate.
#define TOKENIZER_CUT_BYTES_MAX 32
struct tokenizer_cutter;
int tokenizer_cutter_new(const struct tokenizer *tok, struct tokenizer_cutter **ret); // 0 or -ENOMEM
void tokenizer_cutter_free(struct tokenizer_cutter *cutter);                          // NULL is accepted
int32_t tokenizer_cut_first(struct tokenizer_cutter *cutter, struct str text);

// Appends the decoding of n ids as one text (decoder steps that concern the beginning of a text apply to the first id).
// An id that does not exist decodes to nothing, as in Hugging Face's library. Ill-formed UTF-8 becomes U+FFFD.
int tokenizer_decode(const struct tokenizer *tok, const int32_t *ids, size_t n, bool skip_special, struct strbuf *out);

size_t tokenizer_n_vocab(const struct tokenizer *tok); // one more than the largest id
int32_t tokenizer_find(const struct tokenizer *tok,
                       struct str token); // id by its written form ("<|im_end|>"), -1 if none
bool tokenizer_is_special(const struct tokenizer *tok, int32_t id);
// The bytes that a token adds in the middle of a text, before any UTF-8 repair: a byte-level or byte-fallback token
// gives its raw bytes, a special token its written form. Borrowed from the tokenizer; empty for an id that does not
// exist.
struct str tokenizer_token_bytes(const struct tokenizer *tok, int32_t id);
// A token as the vocabulary writes it ("\u0120the"), what Hugging Face's id_to_token gives. Borrowed; ptr NULL for an
// id that does not exist.
struct str tokenizer_token_text(const struct tokenizer *tok, int32_t id);

#endif
