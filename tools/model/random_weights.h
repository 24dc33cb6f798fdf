// Random weights in safetensors files, for models of which only the shape matters.
#ifndef TOKFS_TOOLS_MODEL_RANDOM_WEIGHTS_H
#define TOKFS_TOOLS_MODEL_RANDOM_WEIGHTS_H

#include "engine/model/config.h"

#define RANDOM_SHARD_BYTES_MAX UINT64_C(5000000000) // as transformers' save_pretrained

// Writes DIR/model.safetensors, or shards of at most shard_bytes_max (or one tensor) and their index, with every tensor
// that `config` asks for in config->dtype. A tensor's bytes depend on config and seed alone. 0 or -errno; a file that
// could not be finished is removed.
int random_weights_write(const char *dir, const struct model_config *config, uint64_t seed, uint64_t shard_bytes_max,
                         struct err *err);

#endif
