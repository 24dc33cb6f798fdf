// What gpu.h wraps, on a GPU. PTX: "Parallel Thread Execution ISA", sections cp.async, ldmatrix and mma.
#ifndef TOKFS_KERNELS_CUDA_GPU_NVCC_H
#define TOKFS_KERNELS_CUDA_GPU_NVCC_H

#include <assert.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>

// Dynamic shared memory of the launch, as an array of `type`.
#define GPU_SHARED_DYNAMIC(type, name)                                                                                 \
    extern __shared__ __align__(128) unsigned char gpu_dynamic_shared[];                                               \
    type *name = reinterpret_cast<type *>(gpu_dynamic_shared)

// A variable of the CTA's shared memory; an array by a name for its type.
#define GPU_SHARED(type, name) __shared__ __align__(16) type name

template <class... Params> static inline void gpu_allow_shared(void (*kernel)(Params...), size_t shared_bytes)
{
    if (shared_bytes > 48 * 1024) {
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes);
    }
}

// Never synchronises. An error of the launch stays in the runtime until gpu_sync asks for it.
template <class... Params, class... Args>
static inline void gpu_launch(gpu_queue queue, void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes,
                              Args... args)
{
    queue->is_after_plain = true;
    gpu_allow_shared(kernel, shared_bytes);
    kernel<<<grid, block, shared_bytes, queue->stream>>>(args...);
}

// Programmatic dependent launch. A runtime that refuses it is asked no more; an error that has another reason comes
// again.
template <class... Params, class... Args>
static inline void gpu_launch_early(gpu_queue queue, void (*kernel)(Params...), dim3 grid, dim3 block,
                                    size_t shared_bytes, Args... args)
{
    if (queue->overlaps && !queue->is_after_plain) {
        cudaLaunchAttribute attribute = {};
        attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attribute.val.programmaticStreamSerializationAllowed = 1;
        cudaLaunchConfig_t config = {};
        config.gridDim = grid;
        config.blockDim = block;
        config.dynamicSmemBytes = shared_bytes;
        config.stream = queue->stream;
        config.attrs = &attribute;
        config.numAttrs = 1;
        gpu_allow_shared(kernel, shared_bytes);
        if (cudaLaunchKernelEx(&config, kernel, Params(args)...) == cudaSuccess) {
            return;
        }
        cudaGetLastError();
        queue->overlaps = false;
    }
    gpu_launch(queue, kernel, grid, block, shared_bytes, args...);
    queue->is_after_plain = false;
}

// gpu.h, kernels that overlap. Code for devices before 9.0 has neither: they are not launched so there.
static __device__ __forceinline__ void gpu_wait_for_earlier()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

static __device__ __forceinline__ void gpu_release_next()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

static __device__ __forceinline__ float gpu_f32_from_f16(uint16_t bits)
{
    return __half2float(__ushort_as_half(bits));
}

static __device__ __forceinline__ uint16_t gpu_f16_bits(float x)
{
    return __half_as_ushort(__float2half_rn(x));
}

static __device__ __forceinline__ uint16_t gpu_bf16_bits(float x)
{
    uint32_t bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)(bits >> 16 | 0x40u);
    }
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static __device__ __forceinline__ void gpu_atomic_or(uint32_t *word, uint32_t bits)
{
    atomicOr(word, bits);
}

// Two floats rounded to elements, the first in the lower half.
static __device__ __forceinline__ uint32_t gpu_bf16_pair(float first, float second)
{
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
}

static __device__ __forceinline__ uint32_t gpu_f16_pair(float first, float second)
{
    uint32_t pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
}

// a * b + c of each half, rounded once.
static __device__ __forceinline__ uint32_t gpu_bf16x2_fma(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t d;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
    return d;
}

// Each rounded by itself: never contracted.
static __device__ __forceinline__ float gpu_mul(float a, float b)
{
    return __fmul_rn(a, b);
}

static __device__ __forceinline__ float gpu_add(float a, float b)
{
    return __fadd_rn(a, b);
}

static __device__ __forceinline__ double gpu_mul(double a, double b)
{
    return __dmul_rn(a, b);
}

static __device__ __forceinline__ double gpu_add(double a, double b)
{
    return __dadd_rn(a, b);
}

static __device__ __forceinline__ uint64_t gpu_mul_high(uint64_t a, uint64_t b)
{
    return __umul64hi(a, b);
}

static __device__ __forceinline__ double gpu_double(uint64_t bits)
{
    return __longlong_as_double((long long)bits);
}

static __device__ __forceinline__ uint64_t gpu_double_bits(double x)
{
    return (uint64_t)__double_as_longlong(x);
}

static __device__ __forceinline__ void gpu_atomic_add(uint64_t *sum, uint64_t x)
{
    atomicAdd(reinterpret_cast<unsigned long long *>(sum), (unsigned long long)x);
}

// The number of the lowest and of the highest bit that is set.
static __device__ __forceinline__ int gpu_first_bit(uint32_t bits)
{
    return __ffs((int)bits) - 1;
}

static __device__ __forceinline__ int gpu_last_bit(uint32_t bits)
{
    return 31 - __clz((int)bits);
}

// 16 bytes that nobody writes, and nobody needs again; they are asked for here and not later.
static __device__ __forceinline__ uint4 gpu_load_once(const void *p)
{
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p));
    return v;
}

// Asks for bytes to be in the L2 cache soon; p and bytes in multiples of 16.
static __device__ __forceinline__ void gpu_prefetch(const void *p, uint32_t bytes)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(__cvta_generic_to_global(p)), "r"(bytes));
#else
    (void)p;
    (void)bytes;
#endif
}

// 16 bytes from global to shared memory, zeros when not `is_there` (then src is not read). Both aligned to 16.
static __device__ __forceinline__ void gpu_copy_async_16(void *shared, const void *src, bool is_there)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"((uint32_t)__cvta_generic_to_shared(shared)),
                 "l"(src), "r"(is_there ? 16 : 0)
                 : "memory");
}

static __device__ __forceinline__ void gpu_copy_async_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// All groups of this thread but the last N are there; others see them after a barrier.
template <int N> static __device__ __forceinline__ void gpu_copy_async_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// Four 8 x 8 matrices of 16-bit elements: lane l gives the address of row l % 8 of matrix l / 8 and gets of each matrix
// i, in r[i], the elements 2 * (l % 4) and the next of row l / 4.
static __device__ __forceinline__ void gpu_load_matrices(uint32_t r[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}

// The same of the transposed matrices.
static __device__ __forceinline__ void gpu_load_matrices_transposed(uint32_t r[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}

// d[16][8] += a[16][16] b[16][8], f32 sums. With g = lane / 4 and t = lane % 4: d = rows g, g, g + 8, g + 8 at columns
// 2t, 2t + 1, 2t, 2t + 1; a = rows g, g + 8, g, g + 8 at columns 2t, 2t, 2t + 8, 2t + 8 (and the next each); b = rows
// 2t, 2t + 8 (and the next each) of column g.
template <class T>
static __device__ __forceinline__ void gpu_mma(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1);

template <>
__device__ __forceinline__ void gpu_mma<struct gpu_bf16>(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

template <>
__device__ __forceinline__ void gpu_mma<struct gpu_f16>(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, "
                 "%1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#endif
