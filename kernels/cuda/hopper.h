// What only sm_90a has, beside gpu.h: matrix products of a warpgroup (wgmma), copies of boxes of a tensor (TMA),
// barriers that count threads and bytes (mbarrier), barriers of some warps, and registers that move between warpgroups.
// PTX is wrapped here for nvcc (hopper_nvcc.h) and modelled for the host (shim/hopper.h); what both must keep to is
// said here. Sources: "Parallel Thread Execution ISA", sections on wgmma (matrix descriptor, shared memory matrix
// layout, strides, register fragments), cp.async.bulk.tensor, mbarrier, setmaxnreg, proxies; the CUDA driver API's
// tensor maps; and as a second witness of layouts CUTLASS, include/cute/arch/mma_sm90_desc.hpp and
// include/cute/atom/mma_traits_sm90_gmma.hpp.
//
// Matrices in shared memory: rows of a swizzle's width (128, 64, 32 or 16 bytes), eight of which are an atom of
// consecutive bytes, at multiples of its size. Within an atom the chunks of 16 bytes of row r are exchanged: bits 4-6
// of an address are xored with bits 7-9 (128 bytes), bits 4-5 with 7-8 (64), bit 4 with bit 7 (32). TMA writes boxes
// so, and wgmma reads matrices so, both by the bits of the address in shared memory.
//
//   K-major, [n][k]: an atom is 8 n; `stride` bytes from one 8 n to the next. A product takes 16 k, that is 32 bytes of
//     each row: the next 16 k begin 32 bytes on. `leading`: the next 8 k, without a swizzle only.
//   MN-major, [k][n]: an atom is 8 k of as many n as the row holds (64 for 128 bytes); `stride` bytes from one 8 k to
//   the
//     next, `leading` bytes from one row's width of n to the next (without a swizzle the two change places). The next
//     16 k begin two strides on.
//
// Two worlds of accesses: products and boxes go by the asynchronous proxy. What threads store for a product to read is
// stored by gpu_store_16 and followed by gpu_async_fence in each thread that stored, and a barrier.
//
// Products run behind the warps' backs: between the first and the wait for its group nobody touches its accumulators
// and its operands in registers. A fence (gpu_wgmma_fence) stands between what threads did with those and the products.
#ifndef TOKFS_KERNELS_CUDA_HOPPER_H
#define TOKFS_KERNELS_CUDA_HOPPER_H

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/runtime.h"

#define GPU_WARPGROUP 128

enum gpu_swizzle { GPU_SWIZZLE_NONE = 0, GPU_SWIZZLE_128 = 1, GPU_SWIZZLE_64 = 2, GPU_SWIZZLE_32 = 3 }; // of bytes

// A matrix operand in shared memory: bits 0-13 its address, 16-29 and 32-45 its strides, all in units of 16 bytes;
// 49-51 where in an atom it begins, 0 at multiples of an atom; 62-63 the swizzle.
static __device__ __forceinline__ uint64_t gpu_wgmma_matrix(uint32_t shared_address, enum gpu_swizzle swizzle,
                                                            uint32_t leading, uint32_t stride)
{
    return (uint64_t)((shared_address & 0x3ffffu) >> 4) | (uint64_t)(leading >> 4) << 16 |
           (uint64_t)(stride >> 4) << 32 | (uint64_t)swizzle << 62;
}

// The same, so many bytes further on.
static __device__ __forceinline__ uint64_t gpu_wgmma_advance(uint64_t matrix, uint32_t bytes)
{
    return matrix + (bytes >> 4);
}

#ifdef __CUDACC__
#include "kernels/cuda/hopper_nvcc.h"
#else
#include "kernels/cuda/shim/hopper.h"
#endif

// ---- what both have ------------------------------------------------------------------------------------------------
//
// uint32_t gpu_shared_address(const void *shared)
// float gpu_exp2(float x), float gpu_reciprocal(float x): the machine's own approximations
//
// Barriers in shared memory (mbarrier), uint64_t at multiples of 8. A phase ends when `n` arrivals have come and as
// many bytes as were expected; then the next begins. Phases count from 0; waiting for parity p ends when the phase that
// runs is not of parity p, so that wait(p) waits for the end of phase p, p + 2, ...; wait(1) on a fresh one passes.
//   void gpu_barrier_init(uint64_t *b, unsigned n)
//   void gpu_barrier_init_done()                     by the thread that initialised, before a __syncthreads
//   void gpu_barrier_arrive(uint64_t *b)
//   void gpu_barrier_arrive_expect(uint64_t *b, uint32_t bytes)
//   void gpu_barrier_wait(uint64_t *b, unsigned parity)
//
// void gpu_tensor_prefetch(const struct gpu_tensor_map *map)
// The box at (x, y, z, w), x being the innermost; what lies outside the tensor is zeros, and counts as bytes too.
// `shared`: at a multiple of 128 bytes.
//   void gpu_tensor_load(void *shared, const struct gpu_tensor_map *map, uint64_t *b, int x, int y, int z, int w)
//
// void gpu_store_16(void *shared, uint4 x)
// void gpu_async_fence()
//
// Of n threads, whole warps, by number (1-15; 0 is __syncthreads): sync waits for the others, arrive does not.
//   void gpu_named_sync(unsigned id, unsigned n_threads)
//   void gpu_named_arrive(unsigned id, unsigned n_threads)
//
// Registers per thread from here on, by all warps of a warpgroup; a multiple of 8. take waits until they are free.
//   template <unsigned N> void gpu_registers_give()
//   template <unsigned N> void gpu_registers_take()
//
// d[64][N] (+)= a[64][16] b[16][N], f32 sums. Warp w of the group holds rows 16w ... 16w + 15 of d as gpu_mma holds its
// 16: d[4j ... 4j + 3] are columns 8j ... 8j + 7. Without `accumulate` d is not read.
//   template <class T, int N> void gpu_wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate)
//       a and b K-major in shared memory
//   template <class T, int N> void gpu_wgmma_values(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool
//   accumulate)
//       a in registers as gpu_mma has it, b MN-major in shared memory
//   void gpu_wgmma_fence()
//   void gpu_wgmma_commit()                        what was issued is a group
//   template <int LEFT> void gpu_wgmma_wait()                       all groups but the last LEFT are done
//   template <int LEFT, int N> void gpu_wgmma_wait(float (&d)[N])   the same, and d is theirs

#endif
