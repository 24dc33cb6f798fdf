// CUDA's model of execution on the host: every thread of a CTA is a fibre, CTAs run one after the other. Between two
// barriers the threads run in an order dealt anew each time, so that a missing barrier gives wrong results sooner or
// later; a barrier that not all threads reach, and a lane that is named in a mask but has left, end the program with a
// message.
//
// Shared memory: arrays and the launch's dynamic bytes, filled with NaN anew for each CTA and exactly as long as asked
// for, so that AddressSanitizer sees what lies beyond. Copies to shared memory that
// were not waited for have not happened. Matrix instructions are modelled by their documented layouts (gpu_nvcc.h says
// them). What only sm_90a has is in shim/hopper.h.
//
// Kernels that are launched early (gpu.h) are done later, in order: up to three wait for their turn, and of each that
// comes one CTA has run by then as far as it goes without waiting for earlier ones, that is with memory as it was
// before them. So what it reads or writes too early shows. A kernel none of whose threads waits ends the program. What
// it keeps from before the wait lies in registers or dynamic shared memory: static arrays are the others' meanwhile.
//
// One launching thread per process. Not modelled: time, caches, memory order between CTAs of a launch.
#ifndef TOKFS_KERNELS_CUDA_SHIM_GRID_H
#define TOKFS_KERNELS_CUDA_SHIM_GRID_H

#include "kernels/cpu/convert.h"
#include "kernels/cuda/queue.h"
#include "kernels/cuda/shim/trace.h"
#include <assert.h>
#include <functional>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __shared__   static_assert(false, "GPU_SHARED is what can be filled with NaN")
#define __align__(n) __attribute__((aligned(n)))

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

struct __align__(16) float4
{
    float x, y, z, w;
};
struct __align__(8) float2
{
    float x, y;
};
struct __align__(8) uint2
{
    uint32_t x, y;
};
struct __align__(16) uint4
{
    uint32_t x, y, z, w;
};

// ---- the running thread --------------------------------------------------------------------------------------------

struct shim_place {
    dim3 thread, block, block_dim, grid_dim;
    unsigned char *shared; // aligned to 128 and no more
    size_t shared_bytes;
};
extern struct shim_place shim_place;

#define threadIdx                      (shim_place.thread)
#define blockIdx                       (shim_place.block)
#define blockDim                       (shim_place.block_dim)
#define gridDim                        (shim_place.grid_dim)
#define GPU_SHARED_DYNAMIC(type, name) type *name = reinterpret_cast<type *>(shim_place.shared)
#define GPU_SHARED(type, name)                                                                                         \
    static const char name##_here = 0;                                                                                 \
    type &name = *static_cast<type *>(shim_shared_array(&name##_here, sizeof(type)))

// Set by the test (faults.h) and by grid.cpp.
struct shim_state {
    uint64_t n_syncs, n_launches, fails_at, fails_after; // fails_at 0: never
    unsigned n_faults_left;
    bool has_failed;
    std::vector<std::function<void()>> *recording; // what is issued goes there; NULL: it is run
};
extern struct shim_state shim_state;

void shim_run_grid(const struct shim_call &call, bool is_early, dim3 grid, dim3 block, size_t shared_bytes,
                   const std::function<void()> &thread);
void shim_finish();                                      // all that was launched is done
void *shim_shared_array(const void *name, size_t bytes); // of the CTA: made when a thread first asks for it

template <class... Params, class... Args>
static inline void gpu_launch(gpu_queue queue, void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes,
                              Args... args)
{
    static_assert((sizeof(Params) + ... + 0) <= 4096, "what a kernel's parameters may take");
    (void)queue;
    shim_run_grid(shim_call_of<Params...>(kernel, args...), false, grid, block, shared_bytes, [=] { kernel(args...); });
}

template <class... Params, class... Args>
static inline void gpu_launch_early(gpu_queue queue, void (*kernel)(Params...), dim3 grid, dim3 block,
                                    size_t shared_bytes, Args... args)
{
    shim_run_grid(shim_call_of<Params...>(kernel, args...), !queue || queue->overlaps, grid, block, shared_bytes,
                  [=] { kernel(args...); });
}

void gpu_wait_for_earlier();

static inline void gpu_release_next()
{
}

// ---- threads together ----------------------------------------------------------------------------------------------

void __syncthreads();

// What the lanes of a warp do together: when all lanes of the mask are here `act` runs once, args[lane] being what each
// gave (NULL outside the mask).
typedef void shim_warp_fn(void *const args[32]);
void shim_warp(uint32_t mask, shim_warp_fn *act, void *arg);

void __syncwarp(uint32_t mask = 0xffffffffu);

struct shim_shuffle {
    uint32_t bits;
    unsigned source;
    uint32_t result;
};
uint32_t shim_shuffle(uint32_t mask, uint32_t bits, unsigned source);
unsigned shim_lane();

template <class T> static inline T __shfl_sync(uint32_t mask, T x, unsigned source)
{
    static_assert(sizeof(T) == 4, "one register");
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits = shim_shuffle(mask, bits, source % 32);
    memcpy(&x, &bits, 4);
    return x;
}

template <class T> static inline T __shfl_xor_sync(uint32_t mask, T x, unsigned lane_mask)
{
    return __shfl_sync(mask, x, shim_lane() ^ lane_mask);
}

template <class T> static inline T __shfl_down_sync(uint32_t mask, T x, unsigned distance)
{
    unsigned source = shim_lane() + distance;
    return __shfl_sync(mask, x, source < 32 ? source : shim_lane());
}

uint32_t __ballot_sync(uint32_t mask, bool predicate);

static inline int __popc(uint32_t x)
{
    return __builtin_popcount(x);
}

// ---- memory --------------------------------------------------------------------------------------------------------

void gpu_copy_async_16(void *shared, const void *src, bool is_there);
void gpu_copy_async_commit();
void shim_copy_async_wait(unsigned n_left);

template <int N> static inline void gpu_copy_async_wait()
{
    shim_copy_async_wait(N);
}

template <class T> static inline T __ldg(const T *p)
{
    assert((uintptr_t)p % alignof(T) == 0);
    return *p;
}

static inline uint4 gpu_load_once(const void *p)
{
    assert((uintptr_t)p % 16 == 0);
    return *static_cast<const uint4 *>(p);
}

void gpu_prefetch(const void *p, uint32_t bytes); // is seen to lie in memory that there is

static inline void gpu_atomic_or(uint32_t *word, uint32_t bits)
{
    *word |= bits;
}

// ---- matrices ------------------------------------------------------------------------------------------------------

void gpu_load_matrices(uint32_t r[4], const void *row);
void gpu_load_matrices_transposed(uint32_t r[4], const void *row);
void shim_mma(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1, float (*f32)(uint16_t));

struct gpu_bf16;
struct gpu_f16;
template <class T> static inline void gpu_mma(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1);
template <> inline void gpu_mma<struct gpu_bf16>(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1)
{
    shim_mma(d, a, b0, b1, f32_from_bf16);
}
template <> inline void gpu_mma<struct gpu_f16>(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1)
{
    shim_mma(d, a, b0, b1, f32_from_f16);
}

// ---- arithmetic ----------------------------------------------------------------------------------------------------

static inline float __uint_as_float(uint32_t bits)
{
    return f32_from_bits(bits);
}

static inline uint32_t __float_as_uint(float x)
{
    return f32_bits(x);
}

static inline float gpu_f32_from_f16(uint16_t bits)
{
    return f32_from_f16(bits);
}

static inline uint16_t gpu_f16_bits(float x)
{
    return f16_from_f32(x);
}

static inline uint16_t gpu_bf16_bits(float x)
{
    return bf16_from_f32(x);
}

static inline uint32_t gpu_bf16_pair(float first, float second)
{
    return (uint32_t)bf16_from_f32(first) | (uint32_t)bf16_from_f32(second) << 16;
}

static inline uint32_t gpu_f16_pair(float first, float second)
{
    return (uint32_t)f16_from_f32(first) | (uint32_t)f16_from_f32(second) << 16;
}

// Exact where f32 holds the product and the sum, as with the small integers that it is for.
static inline uint32_t gpu_bf16x2_fma(uint32_t a, uint32_t b, uint32_t c)
{
    float low = fmaf(f32_from_bf16((uint16_t)a), f32_from_bf16((uint16_t)b), f32_from_bf16((uint16_t)c));
    float high = fmaf(f32_from_bf16((uint16_t)(a >> 16)), f32_from_bf16((uint16_t)(b >> 16)),
                      f32_from_bf16((uint16_t)(c >> 16)));
    return gpu_bf16_pair(low, high);
}

// Each rounded by itself: the host is compiled without fused multiply-add.
static inline float gpu_mul(float a, float b)
{
    return a * b;
}

static inline float gpu_add(float a, float b)
{
    return a + b;
}

static inline double gpu_mul(double a, double b)
{
    return a * b;
}

static inline double gpu_add(double a, double b)
{
    return a + b;
}

static inline uint64_t gpu_mul_high(uint64_t a, uint64_t b)
{
    return (uint64_t)((unsigned __int128)a * b >> 64);
}

static inline double gpu_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static inline uint64_t gpu_double_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

// Threads give way at barriers and shuffles only, so that plain additions are atomic.
static inline uint32_t atomicAdd(uint32_t *sum, uint32_t x)
{
    uint32_t before = *sum;
    *sum += x;
    return before;
}

static inline void gpu_atomic_add(uint64_t *sum, uint64_t x)
{
    *sum += x;
}

static inline int gpu_first_bit(uint32_t bits)
{
    return __builtin_ctz(bits);
}

static inline int gpu_last_bit(uint32_t bits)
{
    return 31 - __builtin_clz(bits);
}

static inline float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}

#endif
