// Speed of the CUDA backend's operations beside the bandwidth of a copy, measured in the same run: `bench_cuda
// [small]`. `small`: shapes that a model of a GPU on the host can do, whose times mean nothing.
//
// Each case is issued often enough to last about 50 ms and is timed to the end of the queue, five times; the median
// counts. Weights are dealt over several matrices, 256 MiB in all, so that no cache keeps them; K and V likewise.
#include "kernels/cuda/cuda.h"
#include "kernels/quant.h"
#include "kernels/routes.h"
#include "tests/kernels/bench_cuda_layers.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PASSES       5
#define PASS_SECONDS 0.05
#define N_MATRICES   64
#define N_EXPERTS    128
#define N_ROUTINGS   64 // that a layer of experts is measured with, in turn

// A layer of experts: w[0] gives gate and up, w[1] what comes back.
struct layer {
    struct matrix *w[2][N_EXPERTS];
    struct expert_matrices *tables[2];
    float *logits; // [N_ROUTINGS + n_rows][n_experts]
    float *slots, *gate_up, *act;
    void *routes;
    double bytes[N_ROUTINGS]; // of the experts that have rows
};

// The backend as it is; with products by wgmma even where there is cuBLAS; all by mma.sync.
enum way { WAY_BEST, WAY_WGMMA, WAY_MMA, N_WAYS };

struct bench {
    struct backend *b;
    struct backend *ways[N_WAYS]; // NULL: not on this device
    bool is_small;
    double copy_rate; // bytes read and written per second
    size_t n_seqs_max, n_ctx;
    struct matrix *matrices[N_MATRICES];
    size_t n_matrices;
    struct layer layer;
    float *x, *y;
    unsigned char *pool;
    struct kv_layout kv;
    struct batch_seq *seqs;
    uint32_t *pages; // [n_pages], those of a sequence after another's
    size_t n_pages;
};

struct bench_case {
    const char *name;
    enum dtype dtype;           // of weights
    size_t n_out, n_in, n_rows; // of a product
    size_t n_seqs, ctx, shared; // of attention: sequences, positions before each, how many of them in common
    size_t n_experts, n_used;   // of a layer: n_in is the model's width, n_out the experts' own
    enum way way;
    double goal; // percent of a copy's rate, or TFLOP/s; 0: none
};

#define LAYER(label, type, ff, width, experts, used, rows)                                                             \
    {                                                                                                                  \
        .name = label, .dtype = type, .n_out = ff, .n_in = width, .n_rows = rows, .n_experts = experts, .n_used = used \
    }
static const struct bench_case cases[] = {
    { .name = "linear bf16", .dtype = DTYPE_BF16, .n_out = 4096, .n_in = 4096, .n_rows = 1, .goal = 85 },
    { .name = "linear bf16", .dtype = DTYPE_BF16, .n_out = 28672, .n_in = 4096, .n_rows = 1, .goal = 85 },
    { .name = "linear bf16", .dtype = DTYPE_BF16, .n_out = 16384, .n_in = 2048, .n_rows = 1, .goal = 85 },
    { .name = "linear bf16", .dtype = DTYPE_BF16, .n_out = 128256, .n_in = 2048, .n_rows = 1, .goal = 85 },
    { .name = "linear bf16", .dtype = DTYPE_BF16, .n_out = 28672, .n_in = 4096, .n_rows = 8 },
    { .name = "linear bf16", .dtype = DTYPE_BF16, .n_out = 4096, .n_in = 4096, .n_rows = 16 },
    { .name = "linear bf16", .dtype = DTYPE_BF16, .n_out = 28672, .n_in = 4096, .n_rows = 16 },
    { .name = "linear bf16", .dtype = DTYPE_BF16, .n_out = 28672, .n_in = 4096, .n_rows = 64 },
    { .name = "linear bf16", .dtype = DTYPE_BF16, .n_out = 4096, .n_in = 4096, .n_rows = 256 },
    { .name = "linear bf16", .dtype = DTYPE_BF16, .n_out = 28672, .n_in = 4096, .n_rows = 256 },
    { .name = "linear bf16", .dtype = DTYPE_BF16, .n_out = 28672, .n_in = 4096, .n_rows = 2048 },
    { .name = "linear bf16", .dtype = DTYPE_BF16, .n_out = 4096, .n_in = 4096, .n_rows = 8192 },
    { .name = "linear bf16, wgmma", .dtype = DTYPE_BF16, .n_out = 4096, .n_in = 4096, .n_rows = 16, .way = WAY_WGMMA },
    { .name = "linear bf16, wgmma", .dtype = DTYPE_BF16, .n_out = 28672, .n_in = 4096, .n_rows = 16, .way = WAY_WGMMA },
    { .name = "linear bf16, wgmma", .dtype = DTYPE_BF16, .n_out = 28672, .n_in = 4096, .n_rows = 64, .way = WAY_WGMMA },
    { .name = "linear bf16, wgmma", .dtype = DTYPE_BF16, .n_out = 4096, .n_in = 4096, .n_rows = 256, .way = WAY_WGMMA },
    { .name = "linear bf16, wgmma",
      .dtype = DTYPE_BF16,
      .n_out = 28672,
      .n_in = 4096,
      .n_rows = 256,
      .way = WAY_WGMMA },
    { .name = "linear bf16, wgmma",
      .dtype = DTYPE_BF16,
      .n_out = 28672,
      .n_in = 4096,
      .n_rows = 2048,
      .way = WAY_WGMMA },
    { .name = "linear bf16, wgmma",
      .dtype = DTYPE_BF16,
      .n_out = 4096,
      .n_in = 4096,
      .n_rows = 8192,
      .way = WAY_WGMMA },
    { .name = "linear bf16, mma", .dtype = DTYPE_BF16, .n_out = 4096, .n_in = 4096, .n_rows = 16, .way = WAY_MMA },
    { .name = "linear bf16, mma", .dtype = DTYPE_BF16, .n_out = 28672, .n_in = 4096, .n_rows = 16, .way = WAY_MMA },
    { .name = "linear bf16, mma", .dtype = DTYPE_BF16, .n_out = 28672, .n_in = 4096, .n_rows = 64, .way = WAY_MMA },
    { .name = "linear bf16, mma", .dtype = DTYPE_BF16, .n_out = 4096, .n_in = 4096, .n_rows = 256, .way = WAY_MMA },
    { .name = "linear bf16, mma", .dtype = DTYPE_BF16, .n_out = 28672, .n_in = 4096, .n_rows = 256, .way = WAY_MMA },
    { .name = "linear bf16, mma", .dtype = DTYPE_BF16, .n_out = 28672, .n_in = 4096, .n_rows = 2048, .way = WAY_MMA },
    { .name = "linear bf16, mma", .dtype = DTYPE_BF16, .n_out = 4096, .n_in = 4096, .n_rows = 8192, .way = WAY_MMA },
    { .name = "linear q8_0", .dtype = DTYPE_Q8_0, .n_out = 28672, .n_in = 4096, .n_rows = 1, .goal = 85 },
    { .name = "linear q4_0", .dtype = DTYPE_Q4_0, .n_out = 28672, .n_in = 4096, .n_rows = 1 },
    { .name = "linear q4_k", .dtype = DTYPE_Q4_K, .n_out = 4096, .n_in = 4096, .n_rows = 1 },
    { .name = "linear q4_k", .dtype = DTYPE_Q4_K, .n_out = 28672, .n_in = 4096, .n_rows = 1, .goal = 85 },
    { .name = "linear q4_k", .dtype = DTYPE_Q4_K, .n_out = 28672, .n_in = 4096, .n_rows = 8 },
    { .name = "linear q4_k", .dtype = DTYPE_Q4_K, .n_out = 28672, .n_in = 4096, .n_rows = 32 },
    { .name = "linear q4_k", .dtype = DTYPE_Q4_K, .n_out = 28672, .n_in = 4096, .n_rows = 64 },
    { .name = "linear q4_k", .dtype = DTYPE_Q4_K, .n_out = 28672, .n_in = 4096, .n_rows = 2048 },
    { .name = "linear q5_k", .dtype = DTYPE_Q5_K, .n_out = 28672, .n_in = 4096, .n_rows = 1 },
    { .name = "linear q6_k", .dtype = DTYPE_Q6_K, .n_out = 28672, .n_in = 4096, .n_rows = 1 },
    { .name = "linear f8", .dtype = DTYPE_F8, .n_out = 28672, .n_in = 4096, .n_rows = 1 },
    { .name = "linear f8", .dtype = DTYPE_F8, .n_out = 28672, .n_in = 4096, .n_rows = 64 },
    { .name = "linear f8", .dtype = DTYPE_F8, .n_out = 28672, .n_in = 4096, .n_rows = 2048 },
    { .name = "linear mxfp4", .dtype = DTYPE_MXFP4, .n_out = 5760, .n_in = 2880, .n_rows = 1 },
    LAYER("experts mxfp4, layer", DTYPE_MXFP4, 2880, 2880, 32, 4, 1),
    LAYER("experts mxfp4, layer", DTYPE_MXFP4, 2880, 2880, 32, 4, 64),
    LAYER("experts mxfp4, layer", DTYPE_MXFP4, 2880, 2880, 32, 4, 512),
    LAYER("experts mxfp4, layer", DTYPE_MXFP4, 2880, 2880, 32, 4, 2048),
    LAYER("experts f8, layer", DTYPE_F8, 768, 2048, 128, 8, 1),
    LAYER("experts f8, layer", DTYPE_F8, 768, 2048, 128, 8, 64),
    LAYER("experts f8, layer", DTYPE_F8, 768, 2048, 128, 8, 512),
    LAYER("experts f8, layer", DTYPE_F8, 768, 2048, 128, 8, 2048),
    LAYER("experts bf16, layer", DTYPE_BF16, 768, 2048, 128, 8, 1),
    LAYER("experts bf16, layer", DTYPE_BF16, 768, 2048, 128, 8, 64),
    LAYER("experts bf16, layer", DTYPE_BF16, 768, 2048, 128, 8, 512),
    LAYER("experts bf16, layer", DTYPE_BF16, 768, 2048, 128, 8, 2048),
    { .name = "attention, decode", .n_rows = 1, .n_seqs = 1, .ctx = 8192 },
    { .name = "attention, decode", .n_rows = 1, .n_seqs = 64, .ctx = 8192, .goal = 85 },
    { .name = "attention, decode", .n_rows = 1, .n_seqs = 256, .ctx = 1024, .goal = 85 },
    { .name = "attention, decode, shared", .n_rows = 1, .n_seqs = 64, .ctx = 8192, .shared = 7680 },
    { .name = "attention, decode, shared, mma",
      .n_rows = 1,
      .n_seqs = 64,
      .ctx = 8192,
      .shared = 7680,
      .way = WAY_MMA },
    { .name = "attention, prefill", .n_rows = 2048, .n_seqs = 1, .ctx = 0 },
    { .name = "attention, prefill", .n_rows = 8192, .n_seqs = 1, .ctx = 0, .goal = 550 },
    { .name = "attention, prefill, mma", .n_rows = 2048, .n_seqs = 1, .ctx = 0, .way = WAY_MMA },
    { .name = "attention, prefill, mma", .n_rows = 8192, .n_seqs = 1, .ctx = 0, .way = WAY_MMA, .goal = 335 },
};
#define N_CASES (sizeof(cases) / sizeof(*cases))

#define N_HEADS     32
#define N_KV_HEADS  8
#define HEAD_DIM    128
#define PAGE_TOKENS 16

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// ---- what is measured ----------------------------------------------------------------------------------------------

static struct bench_case shape_of(const struct bench *bench, const struct bench_case *c)
{
    struct bench_case s = *c;
    if (bench->is_small) { // k-quants have blocks of 256
        s.n_out = s.n_out / 512;
        s.n_in = s.n_in > 0 ? 256 : 0;
        s.n_rows = s.n_rows > 64 ? 66 : s.n_rows;
        s.n_seqs = s.n_seqs > 3 ? 3 : s.n_seqs;
        s.ctx = s.ctx / 16;
        s.shared = s.shared / 16;
        s.n_out = s.n_experts > 0 ? 128 : s.n_out;
        s.n_experts = s.n_experts > 0 ? 6 : 0;
        s.n_used = s.n_used > 0 ? 2 : 0;
    }
    return s;
}

// Of both signs, with all bits of the mantissa: what products of zeros save in power makes them faster.
static void fill_bf16(uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = (uint16_t)(0x3f00u | (i * 2654435761u >> 13 & 0x807fu));
    }
}

// Random floats, so that no power is saved on zeros.
static float *random_rows(struct bench *bench, size_t n)
{
    float *host = malloc(n * sizeof(*host)), *x = bench->b->ops->alloc(bench->b, n * sizeof(*x));
    assert(host && x);
    for (size_t i = 0; i < n; i++) {
        host[i] = (float)(i * 2654435761u >> 8 & 0xffffu) / 32768.0f - 1.0f;
    }
    bench->b->ops->upload(bench->b, x, host, n * sizeof(*x));
    free(host);
    return x;
}

static unsigned char *random_rows_of(enum dtype dtype, size_t bytes)
{
    unsigned char *rows = malloc(bytes);
    assert(rows);
    for (size_t i = 0; i < bytes && dtype != DTYPE_BF16; i++) { // but for the upper halves of what may be an f16
        rows[i] = (unsigned char)(i * 2654435761u >> 13 & 0x2fu);
    }
    if (dtype == DTYPE_BF16) {
        fill_bf16((uint16_t *)(void *)rows, bytes / 2);
    }
    return rows;
}

static void make_matrices(struct bench *bench, const struct bench_case *s)
{
    size_t bytes = dtype_row_bytes(s->dtype, s->n_out * s->n_in), total = (size_t)256 << 20;
    size_t n = bench->is_small ? 2 : 1 + total / bytes;
    unsigned char *rows = random_rows_of(s->dtype, bytes);
    for (bench->n_matrices = 0; bench->n_matrices < n && bench->n_matrices < N_MATRICES; bench->n_matrices++) {
        struct matrix *m = bench->b->ops->matrix_new(bench->b, s->dtype, s->n_out, s->n_in);
        assert(m);
        bench->b->ops->matrix_fill(bench->b, m, 0, s->n_out, rows);
        bench->matrices[bench->n_matrices] = m;
    }
    free(rows);
}

// One product; returns the bytes of weights.
static double run_linear(struct bench *bench, const struct bench_case *s, size_t i)
{
    struct matrix *w = bench->matrices[i % bench->n_matrices];
    const struct op_linear op = {
        .w = w, .x = bench->x, .y = bench->y, .x_stride = s->n_in, .y_stride = s->n_out, .n_rows = s->n_rows
    };
    bench->b->ops->linear(bench->b, &op);
    return (double)bench->b->ops->matrix_bytes(w);
}

static struct batch_map map_of(struct bench *bench, const struct bench_case *s)
{
    size_t n_seq_pages = (s->ctx + s->n_rows) / PAGE_TOKENS + 1, n_rows = 0;
    for (size_t i = 0; i < s->n_seqs; i++) {
        uint32_t *pages = bench->pages + i * n_seq_pages;
        for (size_t page = 0; page < n_seq_pages; page++) { // 7919 is prime
            size_t seq = page < s->shared / PAGE_TOKENS ? 0 : i;
            pages[page] = (uint32_t)((seq * n_seq_pages + page) * 7919 % bench->n_pages);
        }
        bench->seqs[i] = (struct batch_seq){ .row = n_rows, .n_rows = s->n_rows, .pos = s->ctx, .pages = pages };
        n_rows += s->n_rows;
    }
    return (struct batch_map){ .seqs = bench->seqs, .n_seqs = s->n_seqs, .n_rows = n_rows };
}

static void route(struct bench *bench, const struct bench_case *s, const struct routes *routes, size_t i)
{
    const struct op_route op = { .logits = bench->layer.logits + i % N_ROUTINGS * s->n_experts,
                                 .routes = routes,
                                 .is_normalized = true };
    bench->b->ops->route(bench->b, &op);
}

static void multiply_experts(struct bench *bench, const struct routes *routes, size_t product, const float *x,
                             size_t n_in, float *y, size_t n_out)
{
    const struct op_linear_experts op = {
        .w = bench->layer.tables[product], .routes = routes, .x = x, .y = y, .x_stride = n_in, .y_stride = n_out
    };
    bench->b->ops->linear_experts(bench->b, &op);
}

// All that a layer does with its rows after the router; returns the bytes of weights.
static double run_layer(struct bench *bench, const struct bench_case *s, size_t i)
{
    const struct layer *l = &bench->layer;
    const struct routes routes = routes_in(l->routes, s->n_rows, s->n_experts, s->n_used);
    const struct op_dispatch dispatch = { .x = bench->x, .routes = &routes, .y = l->slots, .dim = s->n_in };
    const struct op_glu glu = { .x = l->gate_up, .y = l->act, .n_rows = s->n_rows * s->n_used, .dim = s->n_out };
    const struct op_combine combine = { .x = l->slots, .routes = &routes, .y = bench->y, .dim = s->n_in };
    route(bench, s, &routes, i);
    bench->b->ops->dispatch(bench->b, &dispatch);
    multiply_experts(bench, &routes, 0, l->slots, s->n_in, l->gate_up, 2 * s->n_out);
    bench->b->ops->glu(bench->b, &glu);
    multiply_experts(bench, &routes, 1, l->act, s->n_out, l->slots, s->n_in);
    bench->b->ops->combine(bench->b, &combine);
    return l->bytes[i % N_ROUTINGS];
}

static float *floats_of(struct bench *bench, size_t n)
{
    float *mem = bench->b->ops->alloc(bench->b, n * sizeof(*mem));
    assert(mem);
    return mem;
}

static void make_experts(struct bench *bench, const struct bench_case *s, size_t product, size_t n_out, size_t n_in)
{
    static const float *const no_bias[N_EXPERTS];
    struct layer *l = &bench->layer;
    unsigned char *rows = random_rows_of(s->dtype, dtype_row_bytes(s->dtype, n_out * n_in));
    for (size_t e = 0; e < s->n_experts; e++) {
        l->w[product][e] = bench->b->ops->matrix_new(bench->b, s->dtype, n_out, n_in);
        assert(l->w[product][e]);
        bench->b->ops->matrix_fill(bench->b, l->w[product][e], 0, n_out, rows);
    }
    l->tables[product] = bench->b->ops->expert_matrices_new(bench->b, (const struct matrix *const *)l->w[product],
                                                            no_bias, s->n_experts, s->n_rows * s->n_used);
    assert(l->tables[product]);
    free(rows);
}

// How many bytes each routing reads is asked beforehand.
static void make_layer(struct bench *bench, const struct bench_case *s)
{
    struct layer *l = &bench->layer;
    size_t n_slots = s->n_rows * s->n_used;
    make_experts(bench, s, 0, 2 * s->n_out, s->n_in);
    make_experts(bench, s, 1, s->n_in, s->n_out);
    l->logits = random_rows(bench, (N_ROUTINGS + s->n_rows) * s->n_experts);
    l->slots = floats_of(bench, n_slots * s->n_in);
    l->gate_up = floats_of(bench, n_slots * 2 * s->n_out);
    l->act = floats_of(bench, n_slots * s->n_out);
    l->routes = floats_of(bench, routes_n_words(s->n_rows, s->n_experts, s->n_used));
    const struct routes routes = routes_in(l->routes, s->n_rows, s->n_experts, s->n_used);
    for (size_t i = 0; i < N_ROUTINGS; i++) {
        uint32_t first[N_EXPERTS + 1];
        route(bench, s, &routes, i);
        bench->b->ops->download(bench->b, first, routes.first, (s->n_experts + 1) * sizeof(*first));
        l->bytes[i] = 0;
        for (size_t e = 0; e < s->n_experts; e++) {
            double bytes = (double)(bench->b->ops->matrix_bytes(l->w[0][e]) + bench->b->ops->matrix_bytes(l->w[1][e]));
            l->bytes[i] += first[e + 1] > first[e] ? bytes : 0;
        }
    }
}

static void free_layer(struct bench *bench, const struct bench_case *s)
{
    struct layer *l = &bench->layer;
    void *const mem[] = { l->logits, l->slots, l->gate_up, l->act, l->routes };
    for (size_t i = 0; i < sizeof(mem) / sizeof(*mem); i++) {
        bench->b->ops->free(bench->b, mem[i]);
    }
    for (size_t i = 0; i < 2 * s->n_experts; i++) {
        bench->b->ops->matrix_free(bench->b, l->w[i % 2][i / 2]);
    }
    bench->b->ops->expert_matrices_free(bench->b, l->tables[0]);
    bench->b->ops->expert_matrices_free(bench->b, l->tables[1]);
}

static void run_attention(struct bench *bench, const struct batch_map *map)
{
    const struct op_attention op = { .qkv = bench->x,
                                     .out = bench->y,
                                     .scale = 0.088f,
                                     .n_heads = N_HEADS,
                                     .kv = &bench->kv,
                                     .pool = bench->pool,
                                     .map = map };
    bench->b->ops->attention(bench->b, &op);
}

// Work of one: bytes where few rows are bound by them (of K and V each read as often as sequences have it), else
// operations.
static double work_of(const struct bench_case *s, bool *ret_is_bytes)
{
    double rows = (double)s->n_rows, ctx = (double)s->ctx;
    *ret_is_bytes = s->n_rows <= 64;
    if (s->n_seqs == 0) {
        double n_products = s->n_experts > 0 ? (double)(3 * s->n_used) : 1;
        return *ret_is_bytes ? 0 : 2 * rows * (double)(s->n_out * s->n_in) * n_products;
    }
    double pairs = (double)s->n_seqs * (rows * (rows + 1) / 2 + rows * ctx);
    return *ret_is_bytes ? (double)s->n_seqs * (ctx + 1) * 2 * N_KV_HEADS * HEAD_DIM * 2
                         : pairs * 4 * N_HEADS * HEAD_DIM;
}

// Seconds of n, and in *ret_work what they did.
static double time_of(struct bench *bench, const struct bench_case *s, const struct batch_map *map, size_t n,
                      double *ret_work)
{
    bool is_bytes;
    double work = 0, start = now();
    for (size_t i = 0; i < n; i++) {
        double bytes = 0;
        if (s->n_seqs > 0) {
            run_attention(bench, map);
        } else {
            bytes = s->n_experts > 0 ? run_layer(bench, s, i) : run_linear(bench, s, i);
        }
        double of_one = work_of(s, &is_bytes);
        work += is_bytes && s->n_seqs == 0 ? bytes : of_one;
    }
    bench->b->ops->sync(bench->b);
    *ret_work = work;
    return now() - start;
}

static void measure(struct bench *bench, const struct bench_case *c)
{
    struct bench_case s = shape_of(bench, c);
    struct batch_map map = { 0 };
    bool is_bytes;
    double rates[PASSES], work;
    bench->b = bench->ways[c->way];
    if (!bench->b) {
        printf("%-30s not on this device\n", c->name);
        return;
    }
    if (s.n_seqs > 0) {
        map = map_of(bench, &s);
    } else if (s.n_experts > 0) {
        make_layer(bench, &s);
    } else {
        make_matrices(bench, &s);
    }
    double once = time_of(bench, &s, &map, 1, &work); // and what is made at first use
    once = time_of(bench, &s, &map, 1, &work);
    size_t n = bench->is_small ? 1 : 1 + (size_t)(PASS_SECONDS / once);
    for (size_t i = 0; i < PASSES; i++) {
        double seconds = time_of(bench, &s, &map, n, &work);
        rates[i] = work / seconds;
    }
    qsort(rates, PASSES, sizeof(*rates), compare_doubles);
    work_of(&s, &is_bytes);
    double rate = rates[PASSES / 2];
    printf("%-30s %6zu %6zu %6zu %6zu %6zu %9.1f %-7s", c->name, s.n_out, s.n_in, s.n_rows, s.n_seqs, s.ctx,
           rate * (is_bytes ? 1e-9 : 1e-12), is_bytes ? "GB/s" : "TFLOP/s");
    if (is_bytes) {
        printf(" %5.0f %%", 100 * rate / bench->copy_rate);
    }
    if (c->goal > 0) {
        printf(" (goal %.0f %s)", c->goal, is_bytes ? "%" : "TFLOP/s");
    }
    printf("\n");
    fflush(stdout); // who is stopped has told what it had
    if (s.n_experts > 0) {
        free_layer(bench, &s);
    }
    for (; bench->n_matrices > 0; bench->n_matrices--) {
        bench->b->ops->matrix_free(bench->b, bench->matrices[bench->n_matrices - 1]);
    }
}

// ---- around it -----------------------------------------------------------------------------------------------------

static double measure_copy(struct bench *bench)
{
    size_t bytes = bench->is_small ? 1 << 20 : (size_t)1 << 30, n = bench->is_small ? 1 : 20;
    void *from = bench->b->ops->alloc(bench->b, bytes), *to = bench->b->ops->alloc(bench->b, bytes);
    assert(from && to);
    bench->b->ops->copy(bench->b, to, from, bytes);
    bench->b->ops->sync(bench->b);
    double start = now();
    for (size_t i = 0; i < n; i++) {
        bench->b->ops->copy(bench->b, to, from, bytes);
    }
    bench->b->ops->sync(bench->b);
    double rate = 2.0 * (double)(bytes * n) / (now() - start);
    bench->b->ops->free(bench->b, from);
    bench->b->ops->free(bench->b, to);
    return rate;
}

// K and V of random elements.
static unsigned char *random_pool(struct bench *bench)
{
    size_t page_bytes = bench->kv.page_bytes, bytes = bench->n_pages * page_bytes;
    unsigned char *pool = bench->b->ops->alloc(bench->b, bytes), *page = malloc(page_bytes);
    assert(pool && page);
    fill_bf16((uint16_t *)(void *)page, page_bytes / 2);
    bench->b->ops->upload(bench->b, pool, page, page_bytes);
    for (size_t n = page_bytes; n < bytes; n *= 2) {
        bench->b->ops->copy(bench->b, pool + n, pool, n < bytes - n ? n : bytes - n);
    }
    free(page);
    return pool;
}

// NULL: not on this device.
static struct backend *open_backend(enum way way)
{
    static const char *const products[N_WAYS] = { NULL, "wgmma", "mma" };
    struct err err = { 0 };
    struct backend *b = NULL;
    const struct backend_options options = { .n_threads = 1 };
    if (way != WAY_BEST) {
        setenv("TOKFS_CUDA_PRODUCTS", products[way], 1);
    }
    if (way == WAY_MMA) {
        setenv("TOKFS_CUDA_ATTENTION", "mma", 1);
    }
    int r = cuda_backend_open(&options, &b, &err);
    unsetenv("TOKFS_CUDA_PRODUCTS");
    unsetenv("TOKFS_CUDA_ATTENTION");
    if (r < 0 && (way != WAY_WGMMA || r != -EINVAL)) {
        fprintf(stderr, "bench_cuda: %s\n", err.msg);
        exit(r == -EOPNOTSUPP ? 77 : 1);
    }
    return b;
}

static void bench_init(struct bench *bench)
{
    for (enum way way = WAY_BEST; way < N_WAYS; way++) {
        bench->ways[way] = open_backend(way);
    }
    bench->b = bench->ways[WAY_BEST];
    bench->n_seqs_max = bench->is_small ? 3 : 256;
    bench->n_ctx = bench->is_small ? 1024 : 8192 + PAGE_TOKENS;
    bench->kv = (struct kv_layout){ .dtype = DTYPE_BF16,
                                    .page_tokens = PAGE_TOKENS,
                                    .page_bytes = (size_t)2 * N_KV_HEADS * PAGE_TOKENS * HEAD_DIM * 2,
                                    .n_layers = 1,
                                    .n_kv_heads = N_KV_HEADS,
                                    .head_dim = HEAD_DIM };
    bench->n_pages = (bench->is_small ? 3 : 64) * (bench->n_ctx / PAGE_TOKENS + 1);
    size_t n_floats = bench->is_small ? 1 << 20 : (size_t)1 << 26;
    bench->x = random_rows(bench, n_floats);
    bench->y = bench->b->ops->alloc(bench->b, n_floats * sizeof(float));
    bench->pool = random_pool(bench);
    bench->pages = calloc(bench->n_pages, sizeof(*bench->pages));
    bench->seqs = calloc(bench->n_seqs_max, sizeof(*bench->seqs));
    assert(bench->y && bench->pool && bench->pages && bench->seqs);
    bench->copy_rate = measure_copy(bench);
}

int main(int argc, char **argv)
{
    struct bench bench = { .is_small = argc > 1 && strcmp(argv[1], "small") == 0 };
    bench_init(&bench);
    printf("%s; copy %.0f GB/s\n", bench.b->ops->describe(bench.b), bench.copy_rate * 1e-9);
    printf("%-30s %6s %6s %6s %6s %6s %17s %7s\n", "operation", "out", "in", "rows", "seqs", "ctx", "rate", "of copy");
    for (size_t i = 0; i < N_CASES; i++) {
        measure(&bench, &cases[i]);
    }
    bench_cuda_layers(bench.copy_rate, bench.is_small);
    bench.b = bench.ways[WAY_BEST];
    bench.b->ops->free(bench.b, bench.x);
    bench.b->ops->free(bench.b, bench.y);
    bench.b->ops->free(bench.b, bench.pool);
    free(bench.pages);
    free(bench.seqs);
    for (enum way way = N_WAYS; way-- > 0;) {
        if (bench.ways[way]) {
            bench.ways[way]->ops->close(bench.ways[way]);
        }
    }
    return 0;
}
