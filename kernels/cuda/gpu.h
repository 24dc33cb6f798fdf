// The dialect in which the kernels are written: CUDA C++ when nvcc compiles them; any other compiler gets the same
// source to run on the host (shim/grid.h). What is PTX or differs between the two is wrapped here, and only here.
#ifndef TOKFS_KERNELS_CUDA_GPU_H
#define TOKFS_KERNELS_CUDA_GPU_H

#include "kernels/cuda/queue.h"
#include <stddef.h>
#include <stdint.h>

#define GPU_WARP 32

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

// ---- kernels that overlap ------------------------------------------------------------------------------------------
//
// gpu_launch_early(queue, kernel, ...) is gpu_launch, but where the queue overlaps the kernel may begin while those
// before it run: when each of their CTAs has called gpu_release_next or ended. Such a kernel calls gpu_wait_for_earlier
// in every thread that goes on, before it reads what any kernel writes, and before it writes anything. The wait ends
// when the kernel before has ended and what it wrote can be seen, and, as that one has waited likewise, all before it.
// So before the wait a kernel may look at its parameters and at weights, and ask for them. (Kernels that make weights
// are launched by gpu_launch; what comes next begins when they have ended, and so does all that follows.) What it reads
// afterwards of what kernels write it reads by plain loads: __ldg is for memory that nobody writes while the kernel is
// there, and may be moved before the wait.
//
// After gpu_launch both do nothing.

// For kernels that have nothing to do before.
static __device__ __forceinline__ void gpu_begin()
{
    gpu_release_next();
    gpu_wait_for_earlier();
}

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

// An element of 16 bits by them.
template <class T>
static __device__ __forceinline__ T gpu_16_bits(uint16_t bits)
{
    return T{ bits };
}
template <> __device__ __forceinline__ float gpu_16_bits<float>(uint16_t bits)
{
    return __uint_as_float(bits); // never asked for
}

// Two elements of 16 bits as a register of a matrix fragment holds them: the first in the lower half.
template <class T> static __device__ __forceinline__ uint32_t gpu_pair(float first, float second);
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

// The rest of gpu_warp_sums: N values are left, of lanes DISTANCE apart and nearer.
template <int N, int DISTANCE> static __device__ __forceinline__ float gpu_warp_sums_from(float *x)
{
    if constexpr (N > 1) {
        bool is_upper = threadIdx.x & DISTANCE;
#pragma unroll
        for (int i = 0; i < N / 2; i++) {
            float given = is_upper ? x[i] : x[i + N / 2], kept = is_upper ? x[i + N / 2] : x[i];
            x[i] = kept + __shfl_xor_sync(0xffffffffu, given, DISTANCE);
        }
        return gpu_warp_sums_from<N / 2, DISTANCE / 2>(x);
    } else if constexpr (DISTANCE > 0) {
        x[0] += __shfl_xor_sync(0xffffffffu, x[0], DISTANCE);
        return gpu_warp_sums_from<1, DISTANCE / 2>(x);
    } else {
        return x[0];
    }
}

// Of N values at once, N a power of two: lane l gets the sum of value l / (32 / N), the same as by gpu_warp_sum. x is
// used up.
template <int N> static __device__ __forceinline__ float gpu_warp_sums(float *x)
{
    static_assert(N > 0 && N <= GPU_WARP && (N & (N - 1)) == 0, "a share of the values for each lane");
    return gpu_warp_sums_from<N, GPU_WARP / 2>(x);
}

typedef float gpu_cta_scratch[32]; // in shared memory

// Over a CTA of whole warps, at most 32 of them; every thread gets the result.
static __device__ __forceinline__ float gpu_cta_sum(float x, gpu_cta_scratch &scratch)
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
