// Rotation, KV pages and attention: against double precision; bit for bit between instruction sets, threads, and ways
// of cutting a prompt into batches.
#include "kernels/quant.h"
#include "tests/kernels/kernel_test.h"

struct config {
    enum dtype dtype;
    size_t n_heads, n_kv_heads, head_dim, page_tokens;
    size_t n_dims, window; // that turn (-1: all); 0: no window
    float softcap;
    bool has_sinks;
};

// Some sequences, run one after the other or together, on one layer (of three) of a pool whose pages are dealt at
// random.
#define ALL_DIMS SIZE_MAX
#define N_LAYERS 3
#define LAYER    1
#define N_SEQS   3

struct world {
    struct config c;
    struct kv_layout kv;
    size_t n_tokens[N_SEQS];
    uint32_t *pages[N_SEQS];
    float *inv_freq;    // [n_dims / 2]
    float *sinks;       // [n_heads] or NULL
    float *qkv[N_SEQS]; // [n_tokens][row_floats], before rotation
    size_t row_floats, out_floats;
    unsigned char *pool;
    size_t pool_bytes;
    float attn_scale, scale;
    bool is_rotated_only; // K and V are written, nothing is attended to
};

static size_t n_pages_of(const struct world *w, size_t s)
{
    return (w->n_tokens[s] - 1) / w->c.page_tokens + 1;
}

// Swaps pages between random places.
static void deal_pages(struct world *w, uint64_t *rng)
{
    for (int i = 0; i < 50; i++) {
        size_t a = rng_below(rng, N_SEQS), b = rng_below(rng, N_SEQS);
        uint32_t *page_a = &w->pages[a][rng_below(rng, n_pages_of(w, a))];
        uint32_t *page_b = &w->pages[b][rng_below(rng, n_pages_of(w, b))];
        uint32_t page = *page_a;
        *page_a = *page_b;
        *page_b = page;
    }
}

static struct world world_make(uint64_t *rng, struct config c, size_t n_tokens_max)
{
    c.n_dims = c.n_dims == ALL_DIMS ? c.head_dim : c.n_dims;
    struct world w = { .c = c, .attn_scale = 1.25f, .scale = 0.7f };
    w.kv = (struct kv_layout){ .dtype = c.dtype,
                               .page_tokens = c.page_tokens,
                               .n_layers = N_LAYERS,
                               .n_kv_heads = c.n_kv_heads,
                               .head_dim = c.head_dim };
    w.kv.page_bytes = N_LAYERS * 2 * c.n_kv_heads * c.page_tokens * dtype_row_bytes(c.dtype, c.head_dim) + 64;
    w.row_floats = (c.n_heads + 2 * c.n_kv_heads) * c.head_dim;
    w.out_floats = c.n_heads * c.head_dim;
    w.inv_freq = random_floats(rng, c.n_dims / 2);
    w.sinks = c.has_sinks ? random_floats(rng, c.n_heads) : NULL;
    for (size_t h = 0; w.sinks && h < c.n_heads; h++) {
        w.sinks[h] *= 4; // above and below the scores
    }
    uint32_t n_pages = 0;
    for (size_t s = 0; s < N_SEQS; s++) {
        w.n_tokens[s] = 1 + rng_below(rng, n_tokens_max);
        w.qkv[s] = random_floats(rng, w.n_tokens[s] * w.row_floats);
        w.pages[s] = malloc(n_pages_of(&w, s) * sizeof(*w.pages[s]));
        for (size_t i = 0; i < n_pages_of(&w, s); i++) {
            w.pages[s][i] = n_pages++;
        }
    }
    deal_pages(&w, rng);
    w.pool_bytes = n_pages * w.kv.page_bytes;
    w.pool = malloc(w.pool_bytes);
    return w;
}

static void world_free(struct world *w)
{
    for (size_t s = 0; s < N_SEQS; s++) {
        free(w->qkv[s]);
        free(w->pages[s]);
    }
    free(w->inv_freq);
    free(w->sinks);
    free(w->pool);
}

static void run_ops(struct backend *b, struct world *w, float *qkv, float *out, const struct batch_map *map)
{
    struct op_rope_kv rope = { .qkv = qkv,
                               .inv_freq = w->inv_freq,
                               .n_dims = w->c.n_dims,
                               .attn_scale = w->attn_scale,
                               .n_heads = w->c.n_heads,
                               .kv = &w->kv,
                               .pool = w->pool,
                               .layer = LAYER,
                               .map = map };
    struct op_attention attention = { .qkv = qkv,
                                      .out = out,
                                      .scale = w->scale,
                                      .softcap = w->c.softcap,
                                      .window = w->c.window,
                                      .sinks = w->sinks,
                                      .n_heads = w->c.n_heads,
                                      .kv = &w->kv,
                                      .pool = w->pool,
                                      .layer = LAYER,
                                      .map = map };
    b->ops->rope_kv(b, &rope);
    if (!w->is_rotated_only) {
        b->ops->attention(b, &attention);
    }
    b->ops->sync(b);
}

struct result {
    float *qkv[N_SEQS]; // [n_tokens][row_floats], Q and K rotated
    float *out[N_SEQS]; // [n_tokens][out_floats]
    unsigned char *pool;
};

// One batch: tokens [pos[s], pos[s] + n[s]) of each sequence.
static void run_batch(struct backend *b, struct world *w, const size_t *pos, const size_t *n, struct result *r)
{
    struct batch_seq seqs[N_SEQS];
    struct batch_map map = { .seqs = seqs };
    for (size_t s = 0; s < N_SEQS; s++) {
        if (n[s] > 0) {
            seqs[map.n_seqs++] =
                (struct batch_seq){ .row = map.n_rows, .n_rows = n[s], .pos = pos[s], .pages = w->pages[s] };
            map.n_rows += n[s];
        }
    }
    float *qkv = malloc((map.n_rows * w->row_floats + 1) * sizeof(*qkv));
    float *out = malloc((map.n_rows * w->out_floats + 1) * sizeof(*out));
    for (size_t s = 0, row = 0; s < N_SEQS; row += n[s++]) {
        memcpy(qkv + row * w->row_floats, w->qkv[s] + pos[s] * w->row_floats, n[s] * w->row_floats * sizeof(*qkv));
    }
    run_ops(b, w, qkv, out, &map);
    for (size_t s = 0, row = 0; s < N_SEQS; row += n[s++]) {
        memcpy(r->qkv[s] + pos[s] * w->row_floats, qkv + row * w->row_floats, n[s] * w->row_floats * sizeof(*qkv));
        memcpy(r->out[s] + pos[s] * w->out_floats, out + row * w->out_floats, n[s] * w->out_floats * sizeof(*out));
    }
    free(qkv);
    free(out);
}

static struct result result_make(struct world *w)
{
    struct result r = { .pool = NULL };
    for (size_t s = 0; s < N_SEQS; s++) {
        r.qkv[s] = malloc(w->n_tokens[s] * w->row_floats * sizeof(float));
        r.out[s] = malloc(w->n_tokens[s] * w->out_floats * sizeof(float));
    }
    memset(w->pool, 0xff, w->pool_bytes);
    return r;
}

// All tokens of all sequences in batches of up to chunk_max tokens per sequence (random sizes when is_random). The pool
// starts full of NaN, so that a value that was never written shows.
static struct result run_all(struct backend *b, struct world *w, size_t chunk_max, bool is_random, uint64_t *rng)
{
    struct result r = result_make(w);
    size_t pos[N_SEQS] = { 0 }, n[N_SEQS];
    for (bool is_done = false; !is_done;) {
        is_done = true;
        for (size_t s = 0; s < N_SEQS; s++) {
            size_t left = w->n_tokens[s] - pos[s];
            n[s] = left < chunk_max ? left : chunk_max;
            n[s] = is_random ? rng_below(rng, n[s] + 1) : n[s];
        }
        run_batch(b, w, pos, n, &r);
        for (size_t s = 0; s < N_SEQS; s++) {
            pos[s] += n[s];
            is_done = is_done && pos[s] == w->n_tokens[s];
        }
    }
    r.pool = malloc(w->pool_bytes);
    memcpy(r.pool, w->pool, w->pool_bytes);
    return r;
}

static void result_free(struct result *r)
{
    for (size_t s = 0; s < N_SEQS; s++) {
        free(r->qkv[s]);
        free(r->out[s]);
    }
    free(r->pool);
}

static void assert_same_result(const struct world *w, const struct result *got, const struct result *want,
                               const struct backend *b)
{
    for (size_t s = 0; s < N_SEQS; s++) {
        assert_same_bits(got->qkv[s], want->qkv[s], w->n_tokens[s] * w->row_floats, b);
        assert_same_bits(got->out[s], want->out[s], w->n_tokens[s] * w->out_floats, b);
    }
    assert_memory_equal(got->pool, want->pool, w->pool_bytes);
}

// Element d of the row of a head, as it is stored.
static double stored(const struct world *w, const float *row, size_t d)
{
    struct block_q8_0 block;
    switch (w->c.dtype) {
    case DTYPE_F16: return (double)f32_from_f16(f16_from_f32(row[d]));
    case DTYPE_BF16: return (double)f32_from_bf16(bf16_from_f32(row[d]));
    case DTYPE_Q8_0:
        quant_pack(DTYPE_Q8_0, row + d / QUANT_BLOCK * QUANT_BLOCK, QUANT_BLOCK, &block);
        return (double)f32_from_f16(block.d) * block.q[d % QUANT_BLOCK];
    default: return (double)row[d];
    }
    return NAN;
}

// Element d of a rotated head of token t, from the unrotated ones.
static double rotated(const struct world *w, size_t s, size_t t, size_t head, size_t d)
{
    const float *x = w->qkv[s] + t * w->row_floats + head * w->c.head_dim;
    if (d >= w->c.n_dims) {
        return (double)x[d];
    }
    size_t half = w->c.n_dims / 2, j = d % half;
    double angle = (double)((float)t * w->inv_freq[j]), scale = (double)w->attn_scale;
    double c = cos(angle) * scale, sn = sin(angle) * scale, a = (double)x[j], b = (double)x[j + half];
    return d < half ? a * c - b * sn : b * c + a * sn;
}

// One row of one head in double precision, from the rotated values that the backend stored.
static void check_row(const struct world *w, const struct result *r, size_t s, size_t t, size_t head)
{
    const struct config *c = &w->c;
    size_t k_head = c->n_heads + head / (c->n_heads / c->n_kv_heads), v_head = k_head + c->n_kv_heads;
    double *weight = malloc((t + 1) * sizeof(*weight)), max = w->sinks ? (double)w->sinks[head] : -INFINITY, sum = 0;
    size_t first = c->window > 0 && t + 1 > c->window ? t + 1 - c->window : 0;
    const float *q = r->qkv[s] + t * w->row_floats + head * c->head_dim;
    // q is rounded too; and weights, which are 1 at most, by half of 2^-8; with the scale of a block by 2^-8 of
    // themselves
    bool is_half = c->dtype == DTYPE_BF16 || c->dtype == DTYPE_Q8_0;
    double tolerance = c->dtype == DTYPE_Q8_0 ? 0x1p-8 + 2e-5 : is_half ? 0x1p-9 + 2e-5 : 2e-5;
    for (size_t p = first; p <= t; p++) {
        const float *k = r->qkv[s] + p * w->row_floats + k_head * c->head_dim;
        weight[p] = 0;
        for (size_t d = 0; d < c->head_dim; d++) {
            weight[p] +=
                (double)w->scale * (double)(is_half ? f32_from_bf16(bf16_from_f32(q[d])) : q[d]) * stored(w, k, d);
        }
        if (c->softcap > 0) {
            weight[p] = (double)c->softcap * tanh(weight[p] / (double)c->softcap);
        }
        max = weight[p] > max ? weight[p] : max;
    }
    sum = w->sinks ? exp((double)w->sinks[head] - max) : 0;
    for (size_t p = first; p <= t; p++) {
        weight[p] = exp(weight[p] - max);
        sum += weight[p];
    }
    for (size_t d = 0; d < c->head_dim; d++) {
        double exact = 0;
        for (size_t p = first; p <= t; p++) {
            exact += weight[p] / sum * stored(w, w->qkv[s] + p * w->row_floats + v_head * c->head_dim, d);
        }
        assert_near(r->out[s][t * w->out_floats + head * c->head_dim + d], exact, tolerance);
    }
    free(weight);
}

static void check_against_double(const struct world *w, const struct result *r)
{
    const struct config *c = &w->c;
    for (size_t s = 0; s < N_SEQS; s++) {
        for (size_t t = 0; t < w->n_tokens[s]; t += 1 + t / 3) {
            for (size_t head = 0; head < c->n_heads; head++) {
                check_row(w, r, s, t, head);
            }
            for (size_t i = 0; i < w->row_floats; i++) {
                size_t head = i / c->head_dim;
                bool is_v = head >= c->n_heads + c->n_kv_heads;
                double x = (double)w->qkv[s][t * w->row_floats + i];
                assert_near(r->qkv[s][t * w->row_floats + i], is_v ? x : rotated(w, s, t, head, i % c->head_dim), 5e-7);
            }
        }
    }
}

// An element of V of a row that was written, and a neighbouring layer that was not.
static void check_pages(const struct world *w, const struct result *r)
{
    const struct config *c = &w->c;
    size_t row_bytes = dtype_row_bytes(c->dtype, c->head_dim), head_bytes = c->page_tokens * row_bytes;
    for (size_t s = 0; s < N_SEQS; s++) {
        size_t t = w->n_tokens[s] - 1, h = 2 * c->n_kv_heads - 1;
        const unsigned char *page = r->pool + w->pages[s][t / c->page_tokens] * w->kv.page_bytes;
        size_t in_page = t % c->page_tokens, in_head = in_page * row_bytes;
        if (c->dtype == DTYPE_BF16) { // pairs of positions
            in_head = in_page / 2 * 2 * row_bytes + in_page % 2 * 2;
        }
        const unsigned char *at = page + (LAYER * 2 * c->n_kv_heads + h) * head_bytes + in_head;
        const float *x = w->qkv[s] + t * w->row_floats + (c->n_heads + h) * c->head_dim;
        if (c->dtype == DTYPE_F32) {
            assert_memory_equal(at, x, sizeof(*x));
        } else if (c->dtype == DTYPE_Q8_0) { // runs of 16 positions, pairs of positions in vectors of 16 dimensions
            at += (in_page / 16 * 16 - in_page) * row_bytes;
            float d = f32_from_f16(*(const uint16_t *)(const void *)(at + 16 * c->head_dim + in_page % 16 * 2));
            double q = (double)(int8_t)at[(in_page % 16 / 2 * c->head_dim / 16 * 2 + in_page % 2) * 16];
            assert_true((double)d * q == stored(w, x, 0));
        } else {
            uint16_t half = c->dtype == DTYPE_F16 ? f16_from_f32(*x) : bf16_from_f32(*x);
            assert_memory_equal(at, &half, sizeof(half));
        }
        size_t n_touched = 0;
        for (size_t i = 0; i < LAYER * 2 * c->n_kv_heads * head_bytes; i++) {
            n_touched += page[i] != 0xff;
        }
        assert_int_equal(n_touched, 0);
    }
}

static const struct config configs[] = {
    { DTYPE_F32, 8, 4, 8, 16, ALL_DIMS, 0, 0, false },
    { DTYPE_BF16, 4, 1, 64, 16, ALL_DIMS, 0, 0, false },
    { DTYPE_F16, 6, 6, 24, 16, ALL_DIMS, 0, 0, false },
    { DTYPE_BF16, 7, 1, 40, 16, ALL_DIMS, 0, 0, false },
    { DTYPE_F32, 5, 1, 128, 32, ALL_DIMS, 0, 0, false },
    { DTYPE_F16, 1, 1, 256, 64, ALL_DIMS, 0, 0, false },
    { DTYPE_BF16, 66, 1, 16, 64, ALL_DIMS, 0, 0, false },
    { DTYPE_F32, 3, 3, 72, 128, ALL_DIMS, 0, 0, false },
    { DTYPE_F32, 8, 2, 16, 32, ALL_DIMS, 1, 0, false },
    { DTYPE_BF16, 6, 2, 24, 16, ALL_DIMS, 7, 0, false },
    { DTYPE_F32, 4, 4, 32, 16, 0, 32, 0, false },
    { DTYPE_F16, 12, 1, 40, 16, 10, 33, 0.5f, false },
    { DTYPE_F32, 4, 2, 64, 16, 48, 0, 2, true },
    { DTYPE_BF16, 9, 3, 16, 32, ALL_DIMS, 13, 0, true },
    { DTYPE_BF16, 10, 2, 104, 128, ALL_DIMS, 21, 3, true },
    { DTYPE_Q8_0, 14, 2, 64, 16, ALL_DIMS, 0, 0, false },
    { DTYPE_Q8_0, 5, 1, 32, 64, ALL_DIMS, 11, 0, true },
    { DTYPE_Q8_0, 4, 2, 96, 32, 48, 0, 2, false },
};
#define N_CONFIGS (sizeof(configs) / sizeof(*configs))

static void test_attention_any_shape_equals_double_and_all_isas_agree(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 20;
    for (size_t i = 0; i < N_CONFIGS; i++) {
        struct world w = world_make(&rng, configs[i], 60);
        struct result want = run_all(all->b[0], &w, SIZE_MAX, false, &rng);
        check_against_double(&w, &want);
        check_pages(&w, &want);
        for (size_t j = 1; j < all->n; j++) {
            struct result got = run_all(all->b[j], &w, SIZE_MAX, false, &rng);
            assert_same_result(&w, &got, &want, all->b[j]);
            result_free(&got);
        }
        result_free(&want);
        world_free(&w);
    }
}

static void test_attention_chunked_prompt_equals_whole_prompt(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 21;
    for (size_t i = 0; i < N_CONFIGS; i++) {
        struct world w = world_make(&rng, configs[i], 40);
        for (size_t j = i % 3; j < all->n; j += 3) {
            struct result want = run_all(all->b[j], &w, SIZE_MAX, false, &rng);
            struct result chunks = run_all(all->b[j], &w, 30, true, &rng);
            struct result tokens = run_all(all->b[j], &w, 1, false, &rng);
            assert_same_result(&w, &chunks, &want, all->b[j]);
            assert_same_result(&w, &tokens, &want, all->b[j]);
            result_free(&want);
            result_free(&chunks);
            result_free(&tokens);
        }
        world_free(&w);
    }
}

// A later position that went wrong cannot reach an earlier row, not even as 0 * NaN.
static void test_attention_later_nan_leaves_earlier_rows_alone(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 22;
    for (size_t test = 0; test < 2 * all->n; test++) {
        size_t j = test / 2;
        struct world w = world_make(&rng, configs[test % 2 ? N_CONFIGS - 3 : 1], 100);
        size_t bad = w.n_tokens[0] / 2;
        struct result want = run_all(all->b[j], &w, SIZE_MAX, false, &rng);
        for (size_t i = 0; i < w.row_floats; i++) {
            w.qkv[0][bad * w.row_floats + i] = NAN;
        }
        struct result got = run_all(all->b[j], &w, SIZE_MAX, false, &rng);
        assert_same_bits(got.out[0], want.out[0], bad * w.out_floats, all->b[j]);
        assert_same_bits(got.out[1], want.out[1], w.n_tokens[1] * w.out_floats, all->b[j]);
        assert_true(isnan(got.out[0][bad * w.out_floats])); // the control
        result_free(&want);
        result_free(&got);
        world_free(&w);
    }
}

// Nor can a position that the window has left behind, though its tile is read.
static void test_attention_nan_before_the_window_leaves_rows_alone(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 24;
    for (size_t test = 0; test < 2 * all->n; test++) {
        size_t j = test / 2;
        const struct config c = { test % 2 ? DTYPE_Q8_0 : DTYPE_F32, 4, 2, 32, 16, ALL_DIMS, 9, 0, false };
        struct world w = world_make(&rng, c, 50);
        struct result want = run_all(all->b[j], &w, SIZE_MAX, false, &rng);
        for (size_t i = 0; i < w.row_floats; i++) {
            w.qkv[0][i] = NAN;
        }
        struct result got = run_all(all->b[j], &w, SIZE_MAX, false, &rng);
        for (size_t t = 0; t < w.n_tokens[0]; t++) {
            const float *row = got.out[0] + t * w.out_floats;
            if (t >= c.window) {
                assert_same_bits(row, want.out[0] + t * w.out_floats, w.out_floats, all->b[j]);
            } else if (t == 0 || c.dtype == DTYPE_F32) {
                assert_true(isnan(row[0])); // the control; blocks hold no NaN
            }
        }
        result_free(&want);
        result_free(&got);
        world_free(&w);
    }
}

// Only the last N_TAIL tokens of sequences of at least as many are attended for, `step` of each at a time.
#define N_TAIL 4

static struct result run_tail(struct backend *b, struct world *w, size_t step)
{
    struct result r = result_make(w);
    size_t pos[N_SEQS] = { 0 }, n[N_SEQS];
    for (size_t s = 0; s < N_SEQS; s++) {
        n[s] = w->n_tokens[s] - N_TAIL;
    }
    w->is_rotated_only = true;
    run_batch(b, w, pos, n, &r);
    w->is_rotated_only = false;
    for (size_t done = 0; done < N_TAIL; done += step) {
        for (size_t s = 0; s < N_SEQS; s++) {
            pos[s] = w->n_tokens[s] - N_TAIL + done;
            n[s] = step;
        }
        run_batch(b, w, pos, n, &r);
    }
    return r;
}

// Contexts of several segments, which workers share where sequences are few.
static void test_attention_long_contexts_equal_double_however_they_are_shared_out(void **state)
{
    const struct test_backends *all = *state;
    static const struct config long_configs[] = {
        { DTYPE_BF16, 8, 1, 32, 16, ALL_DIMS, 0, 0, false },
        { DTYPE_F32, 16, 2, 8, 32, ALL_DIMS, 1500, 0, true },
        { DTYPE_Q8_0, 8, 2, 32, 16, ALL_DIMS, 0, 0, false },
    };
    uint64_t rng = 25;
    for (size_t i = 0; i < 3; i++) {
        struct world w = world_make(&rng, long_configs[i], 3000);
        assert_true(w.n_tokens[0] > 1024 || w.n_tokens[1] > 1024); // the seed's
        struct result want = run_tail(all->b[0], &w, 1);
        for (size_t s = 0; s < N_SEQS; s++) {
            check_row(&w, &want, s, w.n_tokens[s] - 1, 0);
            check_row(&w, &want, s, w.n_tokens[s] - N_TAIL, w.c.n_heads - 1);
        }
        for (size_t j = 0; j < all->n; j++) {
            struct result got = run_tail(all->b[j], &w, j % 2 ? 1 : N_TAIL);
            for (size_t s = 0; s < N_SEQS; s++) {
                size_t at = (w.n_tokens[s] - N_TAIL) * w.out_floats;
                assert_same_bits(got.out[s] + at, want.out[s] + at, N_TAIL * w.out_floats, all->b[j]);
            }
            result_free(&got);
        }
        result_free(&want);
        world_free(&w);
    }
}

// Positions that share a slot of the rotation table, and frequencies that come and go.
static void test_rope_far_positions_and_changing_frequencies_are_exact(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 23;
    const size_t far[] = { 0, 4096, 8192 + 5, 5, 131071 };
    struct kv_layout kv = {
        .dtype = DTYPE_F32, .page_tokens = (size_t)1 << 17, .n_layers = 1, .n_kv_heads = 1, .head_dim = 8
    };
    float *pool = malloc(2 * kv.page_tokens * kv.head_dim * sizeof(*pool));
    uint32_t page = 0;
    for (size_t round = 0; round < 9 * all->n; round++) {
        struct backend *b = all->b[round / 9];
        float inv_freq[4] = { 1, 0.1f, 0.01f * (float)(1 + round % 3), 0.001f }, qkv[5][24], before[5][24];
        struct batch_seq seqs[5];
        for (size_t s = 0; s < 5; s++) {
            seqs[s] = (struct batch_seq){ .row = s, .n_rows = 1, .pos = far[s], .pages = &page };
            for (size_t i = 0; i < 24; i++) {
                before[s][i] = qkv[s][i] = rng_float(&rng);
            }
        }
        struct batch_map map = { .seqs = seqs, .n_seqs = 5, .n_rows = 5 };
        struct op_rope_kv op = { .qkv = qkv[0],
                                 .inv_freq = inv_freq,
                                 .n_dims = 8,
                                 .attn_scale = 1,
                                 .n_heads = 1,
                                 .kv = &kv,
                                 .pool = pool,
                                 .map = &map };
        b->ops->rope_kv(b, &op);
        for (size_t s = 0; s < 5; s++) {
            for (size_t i = 0; i < 4; i++) {
                double angle = (double)((float)far[s] * inv_freq[i]);
                double exact = (double)before[s][i] * cos(angle) - (double)before[s][i + 4] * sin(angle);
                assert_near(qkv[s][i], exact, 3e-7);
            }
        }
    }
    free(pool);
}

static void test_attention_empty_batch_does_nothing(void **state)
{
    const struct test_backends *all = *state;
    struct kv_layout kv = { .dtype = DTYPE_F32, .page_tokens = 16, .n_layers = 1, .n_kv_heads = 1, .head_dim = 8 };
    struct batch_map map = { 0 };
    float inv_freq[4] = { 1, 1, 1, 1 };
    for (size_t i = 0; i < all->n; i++) {
        struct op_rope_kv rope = {
            .inv_freq = inv_freq, .n_dims = 8, .attn_scale = 1, .n_heads = 1, .kv = &kv, .map = &map
        };
        struct op_attention attention = { .scale = 1, .n_heads = 1, .kv = &kv, .map = &map };
        all->b[i]->ops->rope_kv(all->b[i], &rope);
        all->b[i]->ops->attention(all->b[i], &attention);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention_any_shape_equals_double_and_all_isas_agree),
        cmocka_unit_test(test_attention_chunked_prompt_equals_whole_prompt),
        cmocka_unit_test(test_attention_later_nan_leaves_earlier_rows_alone),
        cmocka_unit_test(test_attention_nan_before_the_window_leaves_rows_alone),
        cmocka_unit_test(test_attention_long_contexts_equal_double_however_they_are_shared_out),
        cmocka_unit_test(test_rope_far_positions_and_changing_frequencies_are_exact),
        cmocka_unit_test(test_attention_empty_batch_does_nothing),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
