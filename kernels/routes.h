// The arrays of struct routes in one piece of memory.
#ifndef TOKFS_KERNELS_ROUTES_H
#define TOKFS_KERNELS_ROUTES_H

#include "kernels/backend.h"

#define ROUTES_PART_WORDS 4

static inline size_t routes_n_words(size_t n_rows, size_t n_experts, size_t n_used)
{
    return n_rows * n_used * (ROUTES_PART_WORDS + 4) + n_experts + 1;
}

// `mem`: routes_n_words words, aligned to 16 bytes.
static inline struct routes routes_in(void *mem, size_t n_rows, size_t n_experts, size_t n_used)
{
    uint32_t *words = mem;
    size_t n = n_rows * n_used;
    return (struct routes){ .parts = words,
                            .experts = words + ROUTES_PART_WORDS * n,
                            .weights = (float *)(words + (ROUTES_PART_WORDS + 1) * n),
                            .slots = words + (ROUTES_PART_WORDS + 2) * n,
                            .rows = words + (ROUTES_PART_WORDS + 3) * n,
                            .first = words + (ROUTES_PART_WORDS + 4) * n,
                            .n_rows = n_rows,
                            .n_experts = n_experts,
                            .n_used = n_used };
}

#endif
