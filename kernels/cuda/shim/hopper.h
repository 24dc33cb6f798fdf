// hopper.h on the host. A copy of a box is done, and a product summed, at some moment between where it is issued and
// where it is waited for, drawn at random: whoever reads earlier, or lets go of what they read too early, gets wrong
// numbers sooner or later. The program ends with a message where the rules of hopper.h are broken: a product without a
// fence since the last wait; accumulators or operands in registers that change while products run; warps of a warpgroup
// that do different things; matrices that begin where no atom does, or lie outside the shared memory; barriers that
// nobody initialised, or initialised without saying so, or at which more arrive than they were made for; a wait that
// nothing can end; what is left undone at the end of a CTA.
//
// The asynchronous proxy has a memory of its own, which a thread's stores reach when it fences. Dynamic shared memory
// begins where it is aligned to 128 bytes and no more. The registers of accumulators are poisoned until they are waited
// for. Not modelled: clusters, base offsets of matrices, more than 4 dimensions.
#ifndef TOKFS_KERNELS_CUDA_SHIM_HOPPER_H
#define TOKFS_KERNELS_CUDA_SHIM_HOPPER_H

#define __grid_constant__

uint32_t gpu_shared_address(const void *shared);

static inline float gpu_exp2(float x)
{
    return exp2f(x);
}
static inline float gpu_reciprocal(float x)
{
    return 1.0f / x;
}

void gpu_barrier_init(uint64_t *b, unsigned n);
void gpu_barrier_init_done();
void gpu_barrier_arrive(uint64_t *b);
void gpu_barrier_arrive_expect(uint64_t *b, uint32_t bytes);
void gpu_barrier_wait(uint64_t *b, unsigned parity);

void gpu_named_sync(unsigned id, unsigned n_threads);
void gpu_named_arrive(unsigned id, unsigned n_threads);

void shim_registers(unsigned n, bool is_take);
template <unsigned N> static inline void gpu_registers_give()
{
    static_assert(N % 8 == 0 && N >= 24 && N <= 256, "what setmaxnreg takes");
    shim_registers(N, false);
}
template <unsigned N> static inline void gpu_registers_take()
{
    static_assert(N % 8 == 0 && N >= 24 && N <= 256, "what setmaxnreg takes");
    shim_registers(N, true);
}

static inline void gpu_tensor_prefetch(const struct gpu_tensor_map *map)
{
    (void)map;
}
void gpu_tensor_load(void *shared, const struct gpu_tensor_map *map, uint64_t *b, int x, int y, int z, int w);
void gpu_store_16(void *shared, uint4 x);
void gpu_async_fence();

struct shim_product {
    float *d; // [n / 2]
    int n;
    const uint32_t *values; // a: [4], or NULL
    uint64_t a, b;
    bool accumulate;
    float (*f32)(uint16_t);
};
void shim_wgmma(struct shim_product product);
void gpu_wgmma_fence();
void gpu_wgmma_commit();
void shim_wgmma_wait(unsigned n_left);

static inline float (*shim_f32_of(struct gpu_bf16))(uint16_t)
{
    return f32_from_bf16;
}
static inline float (*shim_f32_of(struct gpu_f16))(uint16_t)
{
    return f32_from_f16;
}

template <class T, int N> static inline void gpu_wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate)
{
    shim_wgmma({ d, N, NULL, a, b, accumulate, shim_f32_of(T()) });
}
template <class T, int N>
static inline void gpu_wgmma_values(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate)
{
    shim_wgmma({ d, N, a, 0, b, accumulate, shim_f32_of(T()) });
}
template <int LEFT> static inline void gpu_wgmma_wait()
{
    shim_wgmma_wait(LEFT);
}
template <int LEFT, int N> static inline void gpu_wgmma_wait(float (&d)[N])
{
    (void)d;
    shim_wgmma_wait(LEFT);
}

#endif
