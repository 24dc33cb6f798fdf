// The small files of a model: those of a directory, or what a GGUF file says in their words.
#ifndef TOKFS_MODEL_MODEL_TEXT_H
#define TOKFS_MODEL_MODEL_TEXT_H

#include "engine/base/err.h"
#include "engine/base/str.h"

bool model_is_file(const char *path); // a GGUF file, that is, not a directory
// Appends DIR/NAME, or for a GGUF file what corresponds to it (config.json, tokenizer_config.json,
// generation_config.json; tokenizer.gguf: what it says of its vocabulary, as a file of its own). -ENOENT: there is
// none; else as file_read and gguf_config.h.
int model_text_read(const char *path, const char *name, size_t bytes_max, struct strbuf *out, struct err *err);

// Of what makes text into tokens: the bytes of tokenizer.json, or all that a GGUF file says of its vocabulary. Errors
// of reading them.
int model_text_hash_tokenizer(const char *path, uint64_t *ret, struct err *err);

#endif
