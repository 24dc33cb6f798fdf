// Layers of one sequence's next token, recorded and repeated as steps are: microseconds of a layer, and the bytes of
// its weights and of K and V per second beside a copy's. Each layer has weights of its own, more in all than caches
// hold.
#include "tests/kernels/bench_cuda_layers.h"
#include "kernels/cuda/cuda.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define N_LAYERS_MAX 16
#define N_KV_HEADS   8
#define PAGE_TOKENS  16
#define N_PASSES     5
#define PASS_SECONDS 0.05
#define FILL_ROWS    256

struct shape {
    const char *name;
    size_t n_layers, n_embd, n_heads, head_dim, n_ff, ctx;
};

static const struct shape shapes[] = { { "llama-1b layer", 16, 2048, 32, 64, 8192, 1024 },
                                       { "llama-8b layer", 6, 4096, 32, 128, 14336, 1024 } };
static const struct shape small = { "small layer", 2, 64, 8, 16, 128, 20 };

enum { QKV, O, GATE_UP, DOWN, N_WEIGHTS };

struct run {
    const struct shape *shape;
    struct backend *b;
    struct matrix *w[N_LAYERS_MAX][N_WEIGHTS];
    float *x, *normed, *qkv, *attn, *act, *norm, *inv_freq;
    unsigned char *pool;
    struct kv_layout kv;
    uint32_t *pages;
    struct batch_seq seq;
    struct batch_map map;
};

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

// ---- what there is -------------------------------------------------------------------------------------------------

static float *floats(struct run *r, size_t n, float value)
{
    float *host = malloc(n * sizeof(*host)), *x = r->b->ops->alloc(r->b, n * sizeof(*x));
    assert(host && x);
    for (size_t i = 0; i < n; i++) {
        host[i] = value;
    }
    r->b->ops->upload(r->b, x, host, n * sizeof(*x));
    free(host);
    return x;
}

// Of about 0.01, with signs.
static struct matrix *weights(struct run *r, size_t n_out, size_t n_in)
{
    struct matrix *m = r->b->ops->matrix_new(r->b, DTYPE_BF16, n_out, n_in);
    uint16_t *rows = malloc(FILL_ROWS * n_in * sizeof(*rows));
    assert(m && rows);
    for (size_t i = 0; i < FILL_ROWS * n_in; i++) {
        uint32_t random = (uint32_t)i * 2654435761u >> 12;
        rows[i] = (uint16_t)(0x3c00u | (random & 0x80ffu));
    }
    for (size_t row = 0; row < n_out; row += FILL_ROWS) {
        r->b->ops->matrix_fill(r->b, m, row, n_out - row < FILL_ROWS ? n_out - row : FILL_ROWS, rows);
    }
    r->b->ops->sync(r->b); // what fills it is ours again
    free(rows);
    return m;
}

static size_t n_qkv(const struct shape *s)
{
    return (s->n_heads + 2 * N_KV_HEADS) * s->head_dim;
}

static void make(struct run *r)
{
    const struct shape *s = r->shape;
    size_t n_pages = s->ctx / PAGE_TOKENS + 1;
    for (size_t i = 0; i < s->n_layers; i++) {
        r->w[i][QKV] = weights(r, n_qkv(s), s->n_embd);
        r->w[i][O] = weights(r, s->n_embd, s->n_heads * s->head_dim);
        r->w[i][GATE_UP] = weights(r, 2 * s->n_ff, s->n_embd);
        r->w[i][DOWN] = weights(r, s->n_embd, s->n_ff);
    }
    r->x = floats(r, s->n_embd, 1.0f);
    r->normed = floats(r, s->n_embd, 0.0f);
    r->qkv = floats(r, n_qkv(s), 0.0f);
    r->attn = floats(r, s->n_heads * s->head_dim, 0.0f);
    r->act = floats(r, s->n_ff, 0.0f);
    r->norm = floats(r, s->n_embd, 1.0f);
    r->inv_freq = floats(r, s->head_dim / 2, 0.01f);
    r->kv = (struct kv_layout){ .dtype = DTYPE_BF16,
                                .page_tokens = PAGE_TOKENS,
                                .page_bytes = s->n_layers * 2 * N_KV_HEADS * PAGE_TOKENS * s->head_dim * 2,
                                .n_layers = s->n_layers,
                                .n_kv_heads = N_KV_HEADS,
                                .head_dim = s->head_dim };
    r->pool = r->b->ops->alloc(r->b, n_pages * r->kv.page_bytes);
    r->pages = malloc(n_pages * sizeof(*r->pages));
    assert(r->pool && r->pages);
    for (size_t i = 0; i < n_pages; i++) {
        r->pages[i] = (uint32_t)i;
    }
    r->seq = (struct batch_seq){ .n_rows = 1, .pos = s->ctx, .pages = r->pages };
    r->map = (struct batch_map){ .seqs = &r->seq, .n_seqs = 1, .n_rows = 1 };
}

static void unmake(struct run *r)
{
    void *const memory[] = { r->x, r->normed, r->qkv, r->attn, r->act, r->norm, r->inv_freq, r->pool };
    for (size_t i = 0; i < sizeof(memory) / sizeof(*memory); i++) {
        r->b->ops->free(r->b, memory[i]);
    }
    for (size_t i = 0; i < r->shape->n_layers * N_WEIGHTS; i++) {
        r->b->ops->matrix_free(r->b, r->w[i / N_WEIGHTS][i % N_WEIGHTS]);
    }
    free(r->pages);
}

static double bytes_of(const struct run *r)
{
    double bytes = (double)((r->shape->ctx + 1) * r->shape->n_layers * 2 * N_KV_HEADS * r->shape->head_dim * 2);
    for (size_t i = 0; i < r->shape->n_layers * N_WEIGHTS; i++) {
        bytes += (double)r->b->ops->matrix_bytes(r->w[i / N_WEIGHTS][i % N_WEIGHTS]);
    }
    return bytes;
}

// ---- a step --------------------------------------------------------------------------------------------------------

static void norm(struct run *r)
{
    const struct op_rms_norm op = {
        .x = r->x, .weight = r->norm, .y = r->normed, .n_rows = 1, .dim = r->shape->n_embd, .eps = 1e-5f
    };
    r->b->ops->rms_norm(r->b, &op);
}

static void linear(struct run *r, const struct matrix *w, const float *x, float *y, bool accumulate)
{
    const struct op_linear op = { .w = w, .x = x, .y = y, .n_rows = 1, .accumulate = accumulate };
    r->b->ops->linear(r->b, &op);
}

static void run_layer(struct run *r, size_t layer)
{
    const struct shape *s = r->shape;
    norm(r);
    linear(r, r->w[layer][QKV], r->normed, r->qkv, false);
    const struct op_rope_kv rope = { .qkv = r->qkv,
                                     .inv_freq = r->inv_freq,
                                     .n_dims = s->head_dim,
                                     .attn_scale = 1.0f,
                                     .n_heads = s->n_heads,
                                     .kv = &r->kv,
                                     .pool = r->pool,
                                     .layer = layer,
                                     .map = &r->map };
    r->b->ops->rope_kv(r->b, &rope);
    const struct op_attention attention = { .qkv = r->qkv,
                                            .out = r->attn,
                                            .scale = 0.1f,
                                            .n_heads = s->n_heads,
                                            .kv = &r->kv,
                                            .pool = r->pool,
                                            .layer = layer,
                                            .map = &r->map };
    r->b->ops->attention(r->b, &attention);
    linear(r, r->w[layer][O], r->attn, r->x, true);
    norm(r);
    const struct op_linear both = { .w = r->w[layer][GATE_UP], .x = r->normed, .y = r->act, .n_rows = 1 };
    bool is_done = r->b->ops->linear_glu(r->b, &both, GLU_SILU);
    assert(is_done);
    linear(r, r->w[layer][DOWN], r->act, r->x, true);
}

static void issue(void *ctx, size_t n_rows, size_t n_logit_rows)
{
    struct run *r = ctx;
    assert(n_rows == 1 && n_logit_rows <= 1);
    for (size_t layer = 0; layer < r->shape->n_layers; layer++) {
        run_layer(r, layer);
    }
}

static double seconds_of(struct run *r, size_t n_steps)
{
    const int32_t id = 0;
    const uint32_t logit_row = 0;
    const struct op_step op = { .model = r,
                                .token_ids = &id,
                                .map = r->map,
                                .logit_rows = &logit_row,
                                .n_logit_rows = 1,
                                .n_vocab = 1,
                                .kv = &r->kv,
                                .n_heads = r->shape->n_heads,
                                .n_windows = 1,
                                .n_rows_max = 1,
                                .n_logit_rows_max = 1 };
    double start = now();
    for (size_t i = 0; i < n_steps; i++) {
        r->b->ops->step(r->b, &op, issue, r);
    }
    r->b->ops->sync(r->b);
    return now() - start;
}

static void measure(const struct shape *shape, bool is_early, double copy_rate, bool is_small)
{
    const struct backend_options options = { .n_threads = 1 };
    struct run r = { .shape = shape };
    double seconds[N_PASSES];
    if (!is_early) {
        setenv("TOKFS_CUDA_PDL", "off", 1);
    }
    int rc = cuda_backend_open(&options, &r.b, NULL);
    unsetenv("TOKFS_CUDA_PDL");
    assert(rc == 0);
    make(&r);
    seconds_of(&r, 3); // launched, recorded, repeated
    size_t n = is_small ? 1 : 1 + (size_t)(PASS_SECONDS / seconds_of(&r, 1));
    for (size_t i = 0; i < N_PASSES; i++) {
        seconds[i] = seconds_of(&r, n) / (double)n;
    }
    qsort(seconds, N_PASSES, sizeof(*seconds), compare_doubles);
    double median = seconds[N_PASSES / 2], rate = bytes_of(&r) / median;
    printf("%-18s %-11s %6zu positions %9.1f us %9.1f GB/s %5.0f %% (goal 85 %%)\n", shape->name,
           is_early ? "" : "without PDL", shape->ctx, median * 1e6 / (double)shape->n_layers, rate * 1e-9,
           100 * rate / copy_rate);
    fflush(stdout);
    unmake(&r);
    r.b->ops->close(r.b);
}

void bench_cuda_layers(double copy_rate, bool is_small)
{
    for (size_t i = 0; i < (is_small ? 1 : sizeof(shapes) / sizeof(*shapes)); i++) {
        measure(is_small ? &small : &shapes[i], true, copy_rate, is_small);
        measure(is_small ? &small : &shapes[i], false, copy_rate, is_small);
    }
}
