// What the metadata of GGUF files says, in the words of a Hugging Face directory: config.json and
// tokenizer_config.json.
#ifndef TOKFS_MODEL_GGUF_CONFIG_H
#define TOKFS_MODEL_GGUF_CONFIG_H

#include "engine/model/config.h"
#include "engine/model/gguf_set.h"

// The model. -EINVAL, -EOPNOTSUPP (an architecture, or a setting that is not implemented): err names file and key.
int gguf_config_read(const struct gguf_set *set, struct model_config *ret, struct err *err);
// Append the text of such a file. Errors likewise.
int gguf_config_write(const struct gguf_set *set, struct strbuf *out, struct err *err);
int gguf_tokenizer_config_write(const struct gguf_set *set, struct strbuf *out, struct err *err);

#endif
