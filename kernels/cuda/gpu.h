// The dialect in which the kernels are written: CUDA C++ when nvcc compiles them; any other compiler gets the same
// source to run on the host (shim/grid.h). What is PTX or differs between the two is wrapped here, and only here.
#ifndef TOKFS_KERNELS_CUDA_GPU_H
#define TOKFS_KERNELS_CUDA_GPU_H

#include <stddef.h>
#include <stdint.h>

#define GPU_WARP 32

typedef struct CUstream_st *gpu_queue; // cudaStream_t

// Elements as they are stored. Arithmetic is done in f32.
struct gpu_bf16 {
    uint16_t bits;
};
struct gpu_f16 {
    uint16_t bits;
};

#ifdef __CUDACC__
#include "kernels/cuda/gpu_nvcc.h"
#else
#include "kernels/cuda/shim/grid.h"
#endif

// ---- elements ------------------------------------------------------------------------------------------------------

static __device__ __forceinline__ float gpu_f32(float x)
{
    return x;
}

static __device__ __forceinline__ float gpu_f32(struct gpu_bf16 x)
{
    return __uint_as_float((uint32_t)x.bits << 16);
}

static __device__ __forceinline__ float gpu_f32(struct gpu_f16 x)
{
    return gpu_f32_from_f16(x.bits);
}

// Rounded to nearest even.
template <class T> static __device__ __forceinline__ T gpu_element(float x);
template <> __device__ __forceinline__ float gpu_element<float>(float x)
{
    return x;
}
template <> __device__ __forceinline__ struct gpu_bf16 gpu_element<struct gpu_bf16>(float x) {
    return gpu_bf16{ gpu_bf16_bits(x) };
} template <> __device__ __forceinline__ struct gpu_f16 gpu_element<struct gpu_f16>(float x) {
    return gpu_f16{ gpu_f16_bits(x) };
}

// Two elements of 16 bits as a register of a matrix fragment holds them: the first in the lower half.
template <class T>
static __device__ __forceinline__ uint32_t gpu_pair(float first, float second);
template <> __device__ __forceinline__ uint32_t gpu_pair<struct gpu_bf16>(float first, float second)
{
    return gpu_bf16_pair(first, second);
}
template <> __device__ __forceinline__ uint32_t gpu_pair<struct gpu_f16>(float first, float second)
{
    return gpu_f16_pair(first, second);
}

// ---- reductions ----------------------------------------------------------------------------------------------------

// Over the 32 lanes, in a fixed order (halves, quarters, ...); every lane gets the result.
static __device__ __forceinline__ float gpu_warp_sum(float x)
{
    for (int distance = GPU_WARP / 2; distance > 0; distance /= 2) {
        x += __shfl_xor_sync(0xffffffffu, x, distance);
    }
    return x;
}

static __device__ __forceinline__ float gpu_warp_max(float x)
{
    for (int distance = GPU_WARP / 2; distance > 0; distance /= 2) {
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
    }
    return x;
}

// Over a CTA of whole warps, at most 32 of them; every thread gets the result. `scratch`: [32] in shared memory.
static __device__ __forceinline__ float gpu_cta_sum(float x, float *scratch)
{
    unsigned lane = threadIdx.x % GPU_WARP, warp = threadIdx.x / GPU_WARP, n_warps = blockDim.x / GPU_WARP;
    x = gpu_warp_sum(x);
    if (lane == 0) {
        scratch[warp] = x;
    }
    __syncthreads();
    x = gpu_warp_sum(lane < n_warps ? scratch[lane] : 0.0f);
    __syncthreads(); // scratch is free again
    return x;
}

#endif
