// The other way of gguf_config.h: a model's configuration as the keys of a GGUF file.
#ifndef TOKFS_MODEL_GGUF_KEYS_H
#define TOKFS_MODEL_GGUF_KEYS_H

#include "engine/base/gguf_write.h"
#include "engine/model/config.h"

struct gguf_factors { // tensors that belong to the rope settings
    const char *name;
    float values[ROPE_FACTORS_MAX];
    uint32_t n;
};
#define GGUF_FACTORS_MAX 2

// general.architecture and the architecture's keys; *ret_n tensors of factors. -EOPNOTSUPP names what such a file
// cannot say.
int gguf_keys_write(const struct model_config *config, struct gguf_writer *w, struct gguf_factors ret[GGUF_FACTORS_MAX],
                    size_t *ret_n, struct err *err);
// Does a file of this architecture have the rows of q and k in pairs?
bool gguf_is_permuted(const struct model_config *config);

#endif
