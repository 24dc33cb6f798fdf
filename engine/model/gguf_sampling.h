// How a model's authors want it to be sampled: generation_config.json, or the keys general.sampling.* of a GGUF file.
#ifndef TOKFS_MODEL_GGUF_SAMPLING_H
#define TOKFS_MODEL_GGUF_SAMPLING_H

#include "engine/base/gguf.h"
#include "engine/base/gguf_write.h"

// Appends what the file says as a generation_config.json. -ENOENT: it says nothing; -EINVAL names the key.
int gguf_sampling_read(const struct gguf *g, struct strbuf *out, struct err *err);
// The keys of what a generation_config.json says; do_sample false is a temperature of 0. -EINVAL, -ENOMEM.
int gguf_sampling_write(struct str generation_json, struct gguf_writer *w, struct err *err);

#endif
