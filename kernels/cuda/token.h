// Whose embedding a row takes: a token's id, or what was drawn for a row of the step before (backend.h, op_embed).
#ifndef TOKFS_KERNELS_CUDA_TOKEN_H
#define TOKFS_KERNELS_CUDA_TOKEN_H

#include "kernels/cuda/kernels.h"

static __device__ __forceinline__ int32_t gpu_token_of(int32_t id, const struct sample_result *drawn)
{
    if (id >= 0) {
        return id;
    }
    int32_t token = drawn[-1 - id].id;
    return token < 0 ? 0 : token; // nothing was drawn: the row means nothing
}

#endif
