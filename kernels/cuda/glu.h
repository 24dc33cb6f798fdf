// The gate of a gated linear unit (backend.h, enum glu), for the kernels that end in one.
#ifndef TOKFS_KERNELS_CUDA_GLU_H
#define TOKFS_KERNELS_CUDA_GLU_H

#include "kernels/cuda/kernels.h"

static __device__ __forceinline__ float gpu_silu(float x)
{
    return x / (1.0f + expf(-x));
}

static __device__ __forceinline__ float gpu_gelu_tanh(float x)
{
    return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}

static __device__ __forceinline__ float gpu_gated(enum glu kind, float gate, float up)
{
    switch (kind) {
    case GLU_SILU: return gpu_silu(gate) * up;
    case GLU_GELU_TANH: return gpu_gelu_tanh(gate) * up;
    case GLU_SILU_CLAMPED: {
        float g = fminf(gate, 7.0f), u = fminf(fmaxf(up, -7.0f), 7.0f);
        return g / (1.0f + expf(-1.702f * g)) * (u + 1.0f);
    }
    }
    return 0.0f;
}

#endif
