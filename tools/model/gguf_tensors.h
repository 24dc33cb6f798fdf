// The weights of a model, on a memory backend, as the tensors of a GGUF file.
#ifndef TOKFS_TOOLS_MODEL_GGUF_TENSORS_H
#define TOKFS_TOOLS_MODEL_GGUF_TENSORS_H

#include "engine/base/gguf_write.h"
#include "engine/model/gguf_keys.h"
#include "engine/model/weights.h"
#include <stdio.h>

struct gguf_tensors {
    struct weights *weights;
    const struct model_config *config;
    const struct gguf_factors *factors;
    size_t n_factors;
    bool is_permuted; // rows of q and k are written in pairs
};

// Both go over the tensors in the same order: names to the writer, bytes to the file. 0, or -EIO (errno tells).
void gguf_tensors_describe(const struct gguf_tensors *tensors, struct gguf_writer *w);
int gguf_tensors_write(const struct gguf_tensors *tensors, FILE *out);

#endif
