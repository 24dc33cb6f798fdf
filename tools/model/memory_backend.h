// A backend that keeps matrices as they are filled and computes nothing: for those who only want a model's weights.
#ifndef TOKFS_TOOLS_MODEL_MEMORY_BACKEND_H
#define TOKFS_TOOLS_MODEL_MEMORY_BACKEND_H

#include "kernels/backend.h"

// Work is spread over the workers of `cpu`, which outlives it. NULL: no memory.
struct backend *memory_backend_new(struct backend *cpu);
// Row `row` of a matrix, of its type.
const void *memory_matrix_row(const struct matrix *m, size_t row);

#endif
