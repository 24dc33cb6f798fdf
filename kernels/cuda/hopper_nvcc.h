// What hopper.h wraps, on an sm_90a.
#ifndef TOKFS_KERNELS_CUDA_HOPPER_NVCC_H
#define TOKFS_KERNELS_CUDA_HOPPER_NVCC_H

static __device__ __forceinline__ uint32_t gpu_shared_address(const void *shared)
{
    return (uint32_t)__cvta_generic_to_shared(shared);
}

// 2^x to 2 units in the last place; 0 where that is below the normal numbers.
static __device__ __forceinline__ float gpu_exp2(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// 1 / x to a unit in the last place.
static __device__ __forceinline__ float gpu_reciprocal(float x)
{
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// ---- barriers ------------------------------------------------------------------------------------------------------

static __device__ __forceinline__ void gpu_barrier_init(uint64_t *b, unsigned n)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(gpu_shared_address(b)), "r"(n) : "memory");
}

static __device__ __forceinline__ void gpu_barrier_init_done()
{
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

static __device__ __forceinline__ void gpu_barrier_arrive(uint64_t *b)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(gpu_shared_address(b)) : "memory");
}

static __device__ __forceinline__ void gpu_barrier_arrive_expect(uint64_t *b, uint32_t bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(gpu_shared_address(b)), "r"(bytes)
                 : "memory");
}

// try_wait sleeps for a time that the machine limits.
static __device__ __forceinline__ void gpu_barrier_wait(uint64_t *b, unsigned parity)
{
    uint32_t is_over;
    do {
        asm volatile("{\n.reg .pred p;\n"
                     "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                     "selp.b32 %0, 1, 0, p;\n}"
                     : "=r"(is_over)
                     : "r"(gpu_shared_address(b)), "r"(parity)
                     : "memory");
    } while (!is_over);
}

static __device__ __forceinline__ void gpu_named_sync(unsigned id, unsigned n_threads)
{
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(n_threads) : "memory");
}

static __device__ __forceinline__ void gpu_named_arrive(unsigned id, unsigned n_threads)
{
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(n_threads) : "memory");
}

template <unsigned N> static __device__ __forceinline__ void gpu_registers_give()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}

template <unsigned N> static __device__ __forceinline__ void gpu_registers_take()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}

// ---- copies --------------------------------------------------------------------------------------------------------

static __device__ __forceinline__ void gpu_tensor_prefetch(const struct gpu_tensor_map *map)
{
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

static __device__ __forceinline__ void gpu_tensor_load(void *shared, const struct gpu_tensor_map *map, uint64_t *b,
                                                       int x, int y, int z, int w)
{
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, "
                 "%6}], [%2];" ::"r"(gpu_shared_address(shared)),
                 "l"(map), "r"(gpu_shared_address(b)), "r"(x), "r"(y), "r"(z), "r"(w)
                 : "memory");
}

static __device__ __forceinline__ void gpu_store_16(void *shared, uint4 x)
{
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(gpu_shared_address(shared)), "r"(x.x), "r"(x.y),
                 "r"(x.z), "r"(x.w)
                 : "memory");
}

static __device__ __forceinline__ void gpu_async_fence()
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// ---- products ------------------------------------------------------------------------------------------------------

static __device__ __forceinline__ void gpu_wgmma_fence()
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

static __device__ __forceinline__ void gpu_wgmma_commit()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

template <int LEFT> static __device__ __forceinline__ void gpu_wgmma_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
}

// The empty statements keep the compiler from reading d earlier.
template <int LEFT, int N> static __device__ __forceinline__ void gpu_wgmma_wait(float (&d)[N])
{
    gpu_wgmma_wait<LEFT>();
#pragma unroll
    for (int i = 0; i < N; i++) {
        asm volatile("" : "+f"(d[i])::"memory");
    }
}

template <class T, int N>
static __device__ __forceinline__ void gpu_wgmma(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate);
template <class T, int N>
static __device__ __forceinline__ void gpu_wgmma_values(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b,
                                                        bool accumulate);

// The registers of d by eights, as operands and by their numbers.
// clang-format off
#define WGMMA_D8(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#define WGMMA_D32(d, i) WGMMA_D8(d, i), WGMMA_D8(d, i + 8), WGMMA_D8(d, i + 16), WGMMA_D8(d, i + 24)
#define WGMMA_D_16(d) WGMMA_D8(d, 0)
#define WGMMA_D_64(d) WGMMA_D32(d, 0)
#define WGMMA_D_128(d) WGMMA_D32(d, 0), WGMMA_D32(d, 32)
#define WGMMA_D_256(d) WGMMA_D_128(d), WGMMA_D32(d, 64), WGMMA_D32(d, 96)
#define WGMMA_N_16 "%0,%1,%2,%3,%4,%5,%6,%7"
#define WGMMA_N_64 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define WGMMA_N_128 WGMMA_N_64 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define WGMMA_N_256 WGMMA_N_128 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95" \
    ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"

// After d come a, b and accumulate: `a0` ... are their numbers.
#define WGMMA_SHARED(type, name, n, a0, b0, p0)                                                                        \
    template <>                                                                                                        \
    __device__ __forceinline__ void gpu_wgmma<type, n>(float (&d)[n / 2], uint64_t a, uint64_t b, bool accumulate)     \
    {                                                                                                                  \
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " p0 ", 0;\n"                                                   \
                     "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." name "." name " {" WGMMA_N_##n "}, " a0 ", " b0  \
                     ", p, 1, 1, 0, 0;\n}"                                                                             \
                     : WGMMA_D_##n(d)                                                                                  \
                     : "l"(a), "l"(b), "r"((int)accumulate));                                                          \
    }
#define WGMMA_VALUES(type, name, n, a0, a1, a2, a3, b0, p0)                                                            \
    template <>                                                                                                        \
    __device__ __forceinline__ void gpu_wgmma_values<type, n>(float (&d)[n / 2], const uint32_t (&a)[4], uint64_t b,   \
                                                              bool accumulate)                                         \
    {                                                                                                                  \
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " p0 ", 0;\n"                                                   \
                     "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." name "." name " {" WGMMA_N_##n "}, {" a0 "," a1  \
                     "," a2 "," a3 "}, " b0 ", p, 1, 1, 1;\n}"                                                         \
                     : WGMMA_D_##n(d)                                                                                  \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"((int)accumulate));                      \
    }
#define WGMMA_BOTH(type, name)                                                                                         \
    WGMMA_SHARED(type, name, 16, "%8", "%9", "%10")                                                                    \
    WGMMA_SHARED(type, name, 64, "%32", "%33", "%34")                                                                  \
    WGMMA_SHARED(type, name, 128, "%64", "%65", "%66")                                                                 \
    WGMMA_SHARED(type, name, 256, "%128", "%129", "%130")                                                              \
    WGMMA_VALUES(type, name, 64, "%32", "%33", "%34", "%35", "%36", "%37")                                             \
    WGMMA_VALUES(type, name, 128, "%64", "%65", "%66", "%67", "%68", "%69")                                            \
    WGMMA_VALUES(type, name, 256, "%128", "%129", "%130", "%131", "%132", "%133")
WGMMA_BOTH(struct gpu_bf16, "bf16")
WGMMA_BOTH(struct gpu_f16, "f16")
// clang-format on

#endif
