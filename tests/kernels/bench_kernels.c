// Speed of the CPU kernels beside the limits of the machine, all measured in the same run: `bench_kernels [ROUNDS
// [THREADS [NAME [ISA]]]]`, where only kernels whose names contain NAME are measured.
//
// A round measures the limits (read bandwidth, multiply-adds of f32, bf16 and int8), then every kernel once, then its
// limit again; a kernel's share is its rate by the mean of the limits around it. The table has the medians of the
// rounds. Weights and KV pages are dealt over more than WORKING_SET bytes, so that no cache keeps them from one use to
// the next.
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/pool.h"
#ifdef TOKFS_CPU_X86
#include "kernels/cpu/tile_amx.h"
#endif

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKING_SET ((size_t)512 << 20)
#define ROUNDS_MAX  99
#define N_MATRICES  64
#define PEAK_PASSES 40000
#define CTX         8192
#define PAGE_TOKENS 16

enum limit { LIMIT_READ, LIMIT_F32, LIMIT_BF16, LIMIT_INT8, N_LIMITS };

struct bench {
    struct backend *b;
    struct pool *pool; // for the multiply-add limit
    struct matrix *matrices[N_MATRICES];
    size_t n_matrices;
    float *x, *y; // [512][16384]
    unsigned char *kv_pool;
    struct kv_layout kv;
    uint32_t *pages; // [n_pages] in random order
    size_t n_pages;
};

struct kernel {
    const char *name;
    enum limit limit;
    size_t n_out, n_in, n_rows; // of a product; or rows of the other operations
    enum dtype dtype;           // of a product's weights
    double (*run)(struct bench *bench, const struct kernel *k, double *ret_seconds); // bytes or operations done
    double rates[ROUNDS_MAX], shares[ROUNDS_MAX];
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// ---- limits --------------------------------------------------------------------------------------------------------

// One instruction of which the products of an instruction set are made.
struct peak {
    const char *isa; // its name, or how it begins
    enum limit limit;
    double n_products; // of a pass
    host_fn *run;      // items of PEAK_PASSES passes
};

#ifdef TOKFS_CPU_X86
// Chains of one instruction per pass. In assembly, so that it is this loop and no other.
#define CHAINS_12(one) one(0) one(1) one(2) one(3) one(4) one(5) one(6) one(7) one(8) one(9) one(10) one(11)
#define CHAINS_16(one) CHAINS_12(one) one(12) one(13) one(14) one(15)
#define CHAINS_4(one)  one(0) one(1) one(2) one(3)
#define VECTORS                                                                                                        \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",         \
        "xmm13", "xmm14", "xmm15"
#define FMA_512(i)    "vfmadd231ps %%zmm30, %%zmm31, %%zmm" #i "\n"
#define BF16_512(i)   "vdpbf16ps %%zmm30, %%zmm31, %%zmm" #i "\n"
#define INT8_512(i)   "vpdpbusd %%zmm30, %%zmm31, %%zmm" #i "\n"
#define FMA_256(i)    "vfmadd231ps %%ymm14, %%ymm15, %%ymm" #i "\n"
#define INT8_256(i)   "vpmaddubsw %%ymm14, %%ymm15, %%ymm" #i "\n"
#define INT8_VNNI(i)  "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" #i "\n"
#define BF16_TILES(i) "tdpbf16ps %%tmm7, %%tmm6, %%tmm" #i "\n"
#define INT8_TILES(i) "tdpbssd %%tmm7, %%tmm6, %%tmm" #i "\n"
#define PEAK(name, isa, begin_with, chains)                                                                            \
    __attribute__((target(isa))) static void name(void *ctx, size_t begin, size_t end, size_t worker)                  \
    {                                                                                                                  \
        (void)ctx, (void)worker;                                                                                       \
        begin_with;                                                                                                    \
        for (size_t pass = begin * PEAK_PASSES; pass < end * PEAK_PASSES; pass++) {                                    \
            __asm__ volatile(chains::: VECTORS);                                                                       \
        }                                                                                                              \
    }
#define ZERO_512                                                                                                       \
    __asm__ volatile("vpxord %%zmm30, %%zmm30, %%zmm30\nvpxord %%zmm31, %%zmm31, %%zmm31" ::: "xmm30", "xmm31")
#define ZERO_256 __asm__ volatile("vpxor %%ymm14, %%ymm14, %%ymm14\nvpxor %%ymm15, %%ymm15, %%ymm15" ::: VECTORS)
static const struct tile_config whole_tiles = {
    .palette = 1,
    .row_bytes = { 64, 64, 64, 64, 64, 64, 64, 64 },
    .rows = { 16, 16, 16, 16, 16, 16, 16, 16 },
};
#define ZERO_TILES TILE_CONFIG(&whole_tiles)
PEAK(peak_f32_512, "avx512f", ZERO_512, CHAINS_16(FMA_512))
PEAK(peak_bf16_512, "avx512f,avx512bf16", ZERO_512, CHAINS_16(BF16_512))
PEAK(peak_int8_512, "avx512f,avx512vnni", ZERO_512, CHAINS_16(INT8_512))
PEAK(peak_f32_256, "avx2,fma", ZERO_256, CHAINS_12(FMA_256))
PEAK(peak_int8_256, "avx2", ZERO_256, CHAINS_12(INT8_256))
PEAK(peak_int8_vnni, "avx2", ZERO_256, CHAINS_12(INT8_VNNI))
PEAK(peak_bf16_tiles, "avx512f", ZERO_TILES, CHAINS_4(BF16_TILES))
PEAK(peak_int8_tiles, "avx512f", ZERO_TILES, CHAINS_4(INT8_TILES))
#endif

// The first that fits counts. Without VDPBF16PS products of bf16 are multiply-adds of f32.
static const struct peak peaks[] = {
#ifdef TOKFS_CPU_X86
    { "amx", LIMIT_BF16, 4 * 16 * 16 * 32, peak_bf16_tiles },
    { "amx", LIMIT_INT8, 4 * 16 * 16 * 64, peak_int8_tiles },
    { "amx", LIMIT_F32, 16 * 16, peak_f32_512 },
    { "avx512bf16", LIMIT_BF16, 16 * 32, peak_bf16_512 },
    { "avx512bf16", LIMIT_INT8, 16 * 64, peak_int8_512 },
    { "avx512vnni", LIMIT_INT8, 16 * 64, peak_int8_512 },
    { "avx512", LIMIT_BF16, 16 * 16, peak_f32_512 },
    { "avx512", LIMIT_F32, 16 * 16, peak_f32_512 },
    { "avx2vnni", LIMIT_INT8, 12 * 32, peak_int8_vnni },
    { "avx2", LIMIT_INT8, 12 * 32, peak_int8_256 },
    { "avx2", LIMIT_BF16, 12 * 8, peak_f32_256 },
    { "avx2", LIMIT_F32, 12 * 8, peak_f32_256 },
#endif
    { "", N_LIMITS, 0, NULL },
};

static const struct peak *find_peak(const struct bench *bench, enum limit limit)
{
    const char *isa = bench->b->ops->describe(bench->b) + strlen("cpu ");
    for (size_t i = 0; i < sizeof(peaks) / sizeof(*peaks); i++) {
        if (peaks[i].limit == limit && strncmp(isa, peaks[i].isa, strlen(peaks[i].isa)) == 0) {
            return &peaks[i];
        }
    }
    return NULL;
}

// Operations per second of the limit's instruction on all threads; 0 where the instruction set has none.
static double measure_peak(struct bench *bench, enum limit limit)
{
    const struct peak *peak = find_peak(bench, limit);
    if (peak == NULL) {
        return 0;
    }
    size_t n_items = 8 * pool_n_threads(bench->pool);
    double start = now();
    pool_run(bench->pool, n_items, 1, peak->run, NULL);
    return (double)n_items * PEAK_PASSES * peak->n_products * 2 / (now() - start);
}

// ---- operations ----------------------------------------------------------------------------------------------------

static void free_matrices(struct bench *bench)
{
    for (size_t i = 0; i < bench->n_matrices; i++) {
        bench->b->ops->matrix_free(bench->b, bench->matrices[i]);
    }
    bench->n_matrices = 0;
}

// Enough matrices of the kernel's shape, each filled with the same few rows.
static void make_matrices(struct bench *bench, const struct kernel *k)
{
    const size_t n_rows = 64;
    size_t bytes = dtype_row_bytes(k->dtype, n_rows * k->n_in);
    unsigned char *rows = malloc(bytes);
    assert(rows != NULL);
    memset(rows, 0x3c, bytes); // a number of every format
    while (bench->n_matrices < N_MATRICES &&
           bench->n_matrices * dtype_row_bytes(k->dtype, k->n_out * k->n_in) < WORKING_SET) {
        struct matrix *m = bench->b->ops->matrix_new(bench->b, k->dtype, k->n_out, k->n_in);
        assert(m != NULL);
        for (size_t row = 0; row < k->n_out; row += n_rows) {
            bench->b->ops->matrix_fill(bench->b, m, row, k->n_out - row < n_rows ? k->n_out - row : n_rows, rows);
        }
        bench->matrices[bench->n_matrices++] = m;
    }
    free(rows);
}

static double run_linear(struct bench *bench, const struct kernel *k, double *ret_seconds)
{
    make_matrices(bench, k);
    size_t n =
        k->limit == LIMIT_READ ? bench->n_matrices : 2 + (size_t)(2e10 / (double)(k->n_rows * k->n_in * k->n_out));
    n = n < bench->n_matrices ? n : bench->n_matrices;
    double bytes = 0, start = now();
    for (size_t i = 0; i < n; i++) {
        struct op_linear op = { .w = bench->matrices[i],
                                .x = bench->x,
                                .y = bench->y,
                                .x_stride = k->n_in,
                                .y_stride = k->n_out,
                                .n_rows = k->n_rows };
        bench->b->ops->linear(bench->b, &op);
        bytes += (double)bench->b->ops->matrix_bytes(bench->matrices[i]);
    }
    *ret_seconds = now() - start;
    free_matrices(bench);
    return k->limit == LIMIT_READ ? bytes : (double)n * 2.0 * (double)(k->n_rows * k->n_in * k->n_out);
}

// n_heads = 32, 8 K/V heads of 64 (the llama-1b shape); K and V of `pos` earlier tokens.
static void attend(struct bench *bench, size_t pos, size_t n_rows, size_t first_page)
{
    struct batch_seq seq = { .n_rows = n_rows, .pos = pos, .pages = bench->pages + first_page };
    struct batch_map map = { .seqs = &seq, .n_seqs = 1, .n_rows = n_rows };
    struct op_attention op = { .qkv = bench->x,
                               .out = bench->y,
                               .scale = 0.125f,
                               .n_heads = 32,
                               .kv = &bench->kv,
                               .pool = bench->kv_pool,
                               .map = &map };
    bench->b->ops->attention(bench->b, &op);
}

static double run_decode_attention(struct bench *bench, const struct kernel *k, double *ret_seconds)
{
    (void)k;
    double bytes = 0, start = now();
    for (size_t page = 0; page + CTX / PAGE_TOKENS <= bench->n_pages; page += CTX / PAGE_TOKENS) {
        attend(bench, CTX - 1, 1, page);
        bytes += (double)CTX / PAGE_TOKENS * (double)bench->kv.page_bytes;
    }
    *ret_seconds = now() - start;
    return bytes;
}

static double run_prefill_attention(struct bench *bench, const struct kernel *k, double *ret_seconds)
{
    double start = now(), pairs = (double)k->n_rows * (double)(k->n_rows + 1) / 2 + (double)(k->n_rows * k->n_in);
    for (int i = 0; i < 4; i++) {
        attend(bench, k->n_in, k->n_rows, 0);
    }
    *ret_seconds = now() - start;
    return 4 * pairs * 32 * 64 * 4;
}

static double run_rms_norm(struct bench *bench, const struct kernel *k, double *ret_seconds)
{
    double start = now();
    for (int i = 0; i < 20; i++) {
        struct op_rms_norm op = {
            .x = bench->x, .weight = bench->x, .y = bench->y, .n_rows = k->n_rows, .dim = 2048, .eps = 1e-5f
        };
        bench->b->ops->rms_norm(bench->b, &op);
    }
    *ret_seconds = now() - start;
    return 20.0 * 8 * 2048 * (double)k->n_rows;
}

static double run_glu(struct bench *bench, const struct kernel *k, double *ret_seconds)
{
    double start = now();
    for (int i = 0; i < 20; i++) {
        struct op_glu op = { .x = bench->x, .y = bench->y, .n_rows = k->n_rows, .dim = 8192 };
        bench->b->ops->glu(bench->b, &op);
    }
    *ret_seconds = now() - start;
    return 20.0 * 12 * 8192 * (double)k->n_rows;
}

static double run_rope(struct bench *bench, const struct kernel *k, double *ret_seconds)
{
    float inv_freq[32];
    for (int i = 0; i < 32; i++) {
        inv_freq[i] = 1.0f / (float)(1 + i * i * i);
    }
    struct batch_seq seq = { .n_rows = k->n_rows, .pages = bench->pages };
    struct batch_map map = { .seqs = &seq, .n_seqs = 1, .n_rows = k->n_rows };
    struct op_rope_kv op = { .qkv = bench->y,
                             .inv_freq = inv_freq,
                             .attn_scale = 1,
                             .n_heads = 32,
                             .kv = &bench->kv,
                             .pool = bench->kv_pool,
                             .map = &map };
    double start = now();
    for (int i = 0; i < 20; i++) {
        bench->b->ops->rope_kv(bench->b, &op);
    }
    *ret_seconds = now() - start;
    return 20.0 * (double)k->n_rows * (40 * 64 * 8 + 8 * 64 * 4 + 16 * 64 * 2);
}

#define LINEAR(name, limit, n_out, n_in, n_rows, dtype)                                                                \
    {                                                                                                                  \
        name, limit, n_out, n_in, n_rows, dtype, run_linear, { 0 },                                                    \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }
#define OTHER(name, limit, n_in, n_rows, run)                                                                          \
    {                                                                                                                  \
        name, limit, 0, n_in, n_rows, DTYPE_F32, run, { 0 },                                                           \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }
static struct kernel kernels[] = {
    LINEAR("linear bf16, 1 row", LIMIT_READ, 2048, 8192, 1, DTYPE_BF16),
    LINEAR("linear bf16, 1 row", LIMIT_READ, 8192, 2048, 1, DTYPE_BF16),
    LINEAR("linear bf16, 1 row", LIMIT_READ, 2048, 2048, 1, DTYPE_BF16),
    LINEAR("linear bf16, 4 rows", LIMIT_READ, 8192, 2048, 4, DTYPE_BF16),
    LINEAR("linear bf16, 8 rows", LIMIT_READ, 8192, 2048, 8, DTYPE_BF16),
    LINEAR("linear bf16, 32 rows", LIMIT_BF16, 8192, 2048, 32, DTYPE_BF16),
    LINEAR("linear bf16, 512 rows", LIMIT_BF16, 8192, 2048, 512, DTYPE_BF16),
    LINEAR("linear bf16, 512 rows", LIMIT_BF16, 2048, 8192, 512, DTYPE_BF16),
    LINEAR("linear f32, 512 rows", LIMIT_F32, 8192, 2048, 512, DTYPE_F32),
    LINEAR("linear q8_0, 1 row", LIMIT_READ, 8192, 2048, 1, DTYPE_Q8_0),
    LINEAR("linear q4_0, 1 row", LIMIT_READ, 8192, 2048, 1, DTYPE_Q4_0),
    LINEAR("linear q4_k, 1 row", LIMIT_READ, 8192, 2048, 1, DTYPE_Q4_K),
    LINEAR("linear q5_k, 1 row", LIMIT_READ, 8192, 2048, 1, DTYPE_Q5_K),
    LINEAR("linear q6_k, 1 row", LIMIT_READ, 8192, 2048, 1, DTYPE_Q6_K),
    LINEAR("linear q8_0, 8 rows", LIMIT_READ, 8192, 2048, 8, DTYPE_Q8_0),
    LINEAR("linear q8_0, 32 rows", LIMIT_INT8, 8192, 2048, 32, DTYPE_Q8_0),
    LINEAR("linear q8_0, 512 rows", LIMIT_INT8, 8192, 2048, 512, DTYPE_Q8_0),
    LINEAR("linear q8_0, 512 rows", LIMIT_INT8, 2048, 8192, 512, DTYPE_Q8_0),
    LINEAR("linear q4_k, 512 rows", LIMIT_INT8, 8192, 2048, 512, DTYPE_Q4_K),
    LINEAR("linear q6_k, 512 rows", LIMIT_INT8, 8192, 2048, 512, DTYPE_Q6_K),
    OTHER("attention bf16, 1 row at 8191", LIMIT_READ, 0, 1, run_decode_attention),
    OTHER("attention bf16, 512 rows at 0", LIMIT_BF16, 0, 512, run_prefill_attention),
    OTHER("attention bf16, 512 rows at 7680", LIMIT_BF16, 7680, 512, run_prefill_attention),
    OTHER("rms_norm 2048, 512 rows", LIMIT_READ, 0, 512, run_rms_norm),
    OTHER("swiglu 8192, 512 rows", LIMIT_READ, 0, 512, run_glu),
    OTHER("rope_kv, 512 rows", LIMIT_READ, 0, 512, run_rope),
};
#define N_KERNELS (sizeof(kernels) / sizeof(*kernels))

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), compare_doubles);
    return values[n / 2];
}

static double measure_limit(struct bench *bench, enum limit limit)
{
    return limit == LIMIT_READ ? cpu_backend_measure_read(bench->b, WORKING_SET, 0.05) : measure_peak(bench, limit);
}

static void run_rounds(struct bench *bench, size_t n_rounds, const char *name, double limits[N_LIMITS][ROUNDS_MAX])
{
    for (size_t round = 0; round < n_rounds; round++) {
        double before[N_LIMITS];
        for (enum limit limit = 0; limit < N_LIMITS; limit++) {
            before[limit] = limits[limit][round] = measure_limit(bench, limit);
        }
        for (size_t i = 0; i < N_KERNELS; i++) {
            struct kernel *k = &kernels[i];
            if (strstr(k->name, name) == NULL) {
                continue;
            }
            double seconds, work = k->run(bench, k, &seconds), after = measure_limit(bench, k->limit);
            k->rates[round] = work / seconds;
            k->shares[round] = k->rates[round] * 2 / (before[k->limit] + after);
            before[k->limit] = after;
        }
    }
}

static void bench_init(struct bench *bench, unsigned n_threads, const char *isa)
{
    struct err err = { 0 };
    struct backend_options options = { .n_threads = n_threads, .isa = isa };
    if (backend_open("cpu", &options, &bench->b, &err) != 0 || pool_new(n_threads, &bench->pool, &err) != 0) {
        fprintf(stderr, "bench_kernels: %s\n", err.msg);
        exit(1);
    }
    bench->kv = (struct kv_layout){
        .dtype = DTYPE_BF16, .page_tokens = PAGE_TOKENS, .n_layers = 1, .n_kv_heads = 8, .head_dim = 64
    };
    bench->kv.page_bytes = (size_t)2 * 8 * PAGE_TOKENS * 64 * 2;
    bench->n_pages = WORKING_SET / bench->kv.page_bytes;
    bench->kv_pool = bench->b->ops->alloc(bench->b, bench->n_pages * bench->kv.page_bytes);
    bench->x = bench->b->ops->alloc(bench->b, (size_t)512 * 16384 * sizeof(float));
    bench->y = bench->b->ops->alloc(bench->b, (size_t)512 * 16384 * sizeof(float));
    bench->pages = malloc(bench->n_pages * sizeof(*bench->pages));
    assert(bench->kv_pool && bench->x && bench->y && bench->pages);
    for (size_t i = 0; i < bench->n_pages; i++) {
        bench->pages[i] = (uint32_t)(i * 7919 % bench->n_pages); // 7919 is prime, n_pages a power of two
    }
    for (size_t i = 0; i < (size_t)512 * 16384; i++) {
        bench->x[i] = (float)(i * 2654435761u % 1000) * 0.002f - 1.0f;
    }
    memset(bench->kv_pool, 0x3c, bench->n_pages * bench->kv.page_bytes);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    static double limits[N_LIMITS][ROUNDS_MAX];
    size_t n_rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 3;
    n_rounds = n_rounds < 1 ? 1 : n_rounds > ROUNDS_MAX ? ROUNDS_MAX : n_rounds;
    bench_init(&bench, argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0, argc > 4 ? argv[4] : NULL);
    const char *name = argc > 3 ? argv[3] : "";
    run_rounds(&bench, n_rounds, name, limits);
    printf("%s; read %.1f GB/s; GFLOP/s of f32 %.0f, bf16 %.0f, int8 %.0f\n", bench.b->ops->describe(bench.b),
           median(limits[LIMIT_READ], n_rounds) * 1e-9, median(limits[LIMIT_F32], n_rounds) * 1e-9,
           median(limits[LIMIT_BF16], n_rounds) * 1e-9, median(limits[LIMIT_INT8], n_rounds) * 1e-9);
    printf("%-34s %13s %20s %10s\n", "kernel", "outputs,inputs", "rate", "of limit");
    for (size_t i = 0; i < N_KERNELS; i++) {
        struct kernel *k = &kernels[i];
        if (strstr(k->name, name) == NULL) {
            continue;
        }
        printf("%-34s %6zu,%7zu %12.1f %s %8.0f %%\n", k->name, k->n_out, k->n_in, median(k->rates, n_rounds) * 1e-9,
               k->limit == LIMIT_READ ? "GB/s   " : "GFLOP/s", median(k->shares, n_rounds) * 100);
    }
    bench.b->ops->free(bench.b, bench.kv_pool);
    bench.b->ops->free(bench.b, bench.x);
    bench.b->ops->free(bench.b, bench.y);
    free(bench.pages);
    pool_free(bench.pool);
    bench.b->ops->close(bench.b);
    return 0;
}
