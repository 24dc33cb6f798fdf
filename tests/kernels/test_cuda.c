// The kernels for the GPU, run on the host over a model of one (kernels/cuda/shim): every operation against the scalar
// CPU reference on random ragged batches; with `deterministic`, bit for bit whatever the batch; and the model itself
// against what it models.
#include "kernels/cuda/plan.h"
#include "tests/kernels/cuda_test.h"

// ---- products ------------------------------------------------------------------------------------------------------

struct product {
    enum dtype dtype;
    size_t n_out, n_in, n_rows;
};

static const struct product products[] = {
    { DTYPE_F32, 70, 40, 1 },  { DTYPE_F32, 66, 33, 70 },  { DTYPE_BF16, 70, 64, 1 },  { DTYPE_BF16, 33, 72, 5 },
    { DTYPE_BF16, 65, 33, 8 }, { DTYPE_F16, 130, 96, 3 },  { DTYPE_BF16, 70, 72, 66 }, { DTYPE_F16, 64, 31, 9 },
    { DTYPE_BF16, 1, 1, 1 },   { DTYPE_F16, 129, 64, 65 }, { DTYPE_F32, 1, 100, 2 },   { DTYPE_BF16, 64, 128, 7 },
};

struct linear_case {
    struct product p;
    void *w;
    float *bias, *x, *y;
    bool accumulate;
    size_t x_stride, y_stride;
};

static struct linear_case linear_case(uint64_t *rng, struct product p)
{
    struct linear_case c = { .p = p, .accumulate = rng_below(rng, 2) };
    c.x_stride = p.n_in + rng_below(rng, 2) * 4;
    c.y_stride = p.n_out + rng_below(rng, 3);
    c.w = random_elements(rng, p.dtype, p.n_out * p.n_in, NULL);
    c.bias = rng_below(rng, 2) ? random_floats(rng, p.n_out) : NULL;
    c.x = random_floats(rng, p.n_rows * c.x_stride);
    c.y = random_floats(rng, p.n_rows * c.y_stride);
    return c;
}

static void linear_case_free(struct linear_case *c)
{
    free(c->w);
    free(c->bias);
    free(c->x);
    free(c->y);
}

// Rows [first, first + n).
static void run_linear(struct backend *b, const struct linear_case *c, size_t first, size_t n, float *y)
{
    struct matrix *w = b->ops->matrix_new(b, c->p.dtype, c->p.n_out, c->p.n_in);
    size_t half = c->p.n_out / 2, row_bytes = c->p.n_in * dtype_bytes(c->p.dtype);
    b->ops->matrix_fill(b, w, half, c->p.n_out - half, (const char *)c->w + half * row_bytes);
    b->ops->matrix_fill(b, w, 0, half, c->w);
    size_t n_x = c->p.n_rows * c->x_stride, n_y = c->p.n_rows * c->y_stride;
    float *x = sent_floats(b, c->x, n_x), *dst = sent_floats(b, y, n_y), *bias = sent_floats(b, c->bias, c->p.n_out);
    const struct op_linear op = { .w = w,
                                  .bias = bias,
                                  .x = x + first * c->x_stride,
                                  .y = dst + first * c->y_stride,
                                  .x_stride = c->x_stride,
                                  .y_stride = c->y_stride,
                                  .n_rows = n,
                                  .accumulate = c->accumulate };
    b->ops->linear(b, &op);
    fetch(b, y, dst, n_y * sizeof(*y));
    b->ops->free(b, x);
    if (bias) {
        b->ops->free(b, bias);
    }
    b->ops->matrix_free(b, w);
}

static void test_linear_every_way_is_near_the_reference(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 1;
    for (size_t i = 0; i < sizeof(products) / sizeof(*products); i++) {
        struct linear_case c = linear_case(&rng, products[i]);
        size_t n = c.p.n_rows * c.y_stride;
        float *want = copy_of(c.y, n), *got = copy_of(c.y, n), *tiles = copy_of(c.y, n);
        run_linear(pair->cpu, &c, 0, c.p.n_rows, want);
        run_linear(pair->cuda, &c, 0, c.p.n_rows, got);
        run_linear(pair->deterministic, &c, 0, c.p.n_rows, tiles);
        // Tensor cores, and the reference in bf16, round their inputs to the weights' type.
        double rounding = c.p.dtype == DTYPE_F32 ? 1e-5 : c.p.dtype == DTYPE_BF16 ? 4e-2 : 5e-3;
        assert_all_near(got, want, n, c.p.dtype == DTYPE_F16 && c.p.n_rows <= 8 ? 1e-5 : rounding);
        assert_all_near(tiles, want, n, rounding);
        free(want);
        free(got);
        free(tiles);
        linear_case_free(&c);
    }
}

// There is a kernel for each number of rows, for inputs that are whole vectors and for others.
static void test_linear_of_few_rows_is_near_the_reference(void **state)
{
    const struct pair *pair = *state;
    const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16 };
    uint64_t rng = 15;
    for (size_t i = 0; i < 3 * 8 * 2; i++) {
        struct product p = { dtypes[i / 16], 7, i % 2 ? 264 : 131, 1 + i / 2 % 8 };
        struct linear_case c = linear_case(&rng, p);
        size_t n = p.n_rows * c.y_stride;
        float *want = copy_of(c.y, n), *got = copy_of(c.y, n);
        run_linear(pair->cpu, &c, 0, p.n_rows, want);
        run_linear(pair->cuda, &c, 0, p.n_rows, got);
        assert_all_near(got, want, n, p.dtype == DTYPE_BF16 ? 4e-2 : 1e-5);
        free(want);
        free(got);
        linear_case_free(&c);
    }
}

static void test_linear_deterministic_rows_do_not_depend_on_the_batch(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 2;
    for (size_t i = 0; i < sizeof(products) / sizeof(*products); i++) {
        struct linear_case c = linear_case(&rng, products[i]);
        size_t n = c.p.n_rows * c.y_stride, cut = rng_below(&rng, c.p.n_rows + 1);
        float *whole = copy_of(c.y, n), *parts = copy_of(c.y, n);
        run_linear(pair->deterministic, &c, 0, c.p.n_rows, whole);
        run_linear(pair->deterministic, &c, cut, c.p.n_rows - cut, parts);
        run_linear(pair->deterministic, &c, 0, cut, parts);
        assert_same_bits(parts, whole, n, pair->deterministic);
        free(whole);
        free(parts);
        linear_case_free(&c);
    }
}

// Of linear_hopper.cu all shapes, a stage's ring that goes round, CTAs with one and several tiles; and outputs, inputs
// and rows that fill no tile. On other devices than an sm_90 these are tiles of mma.sync.
static const struct product wide_products[] = {
    { DTYPE_BF16, 129, 8, 1 },    { DTYPE_F16, 70, 1000, 16 }, { DTYPE_BF16, 500, 200, 40 },
    { DTYPE_F16, 130, 776, 64 },  { DTYPE_BF16, 70, 72, 300 }, { DTYPE_F16, 300, 328, 200 },
    { DTYPE_BF16, 520, 64, 129 }, { DTYPE_F16, 513, 24, 300 }, { DTYPE_BF16, 200, 456, 65 },
};

// The first `n` rows and the others each for themselves.
static void check_wide(struct backend *b, const struct linear_case *c, const float *want, size_t n)
{
    size_t n_y = c->p.n_rows * c->y_stride;
    float *whole = copy_of(c->y, n_y), *parts = copy_of(c->y, n_y);
    run_linear(b, c, 0, c->p.n_rows, whole);
    assert_all_near(whole, want, n_y, c->p.dtype == DTYPE_BF16 ? 1e-1 : 1e-2);
    run_linear(b, c, n, c->p.n_rows - n, parts);
    run_linear(b, c, 0, n, parts);
    assert_same_bits(parts, whole, n_y, b);
    free(whole);
    free(parts);
}

static void test_linear_of_any_rows_is_near_the_reference_both_ways(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 14;
    struct backend *mma = open_cuda_products("mma", true);
#ifdef __SANITIZE_ADDRESS__
    const size_t step = 3;
#else
    const size_t step = 1;
#endif
    for (size_t i = 0; i < sizeof(wide_products) / sizeof(*wide_products); i += step) {
        struct linear_case c = linear_case(&rng, wide_products[i]);
        size_t n = c.p.n_rows * c.y_stride;
        float *want = copy_of(c.y, n);
        run_linear(pair->cpu, &c, 0, c.p.n_rows, want);
        check_wide(pair->deterministic, &c, want, rng_below(&rng, c.p.n_rows + 1));
        if (i % 4 == 0) {
            check_wide(mma, &c, want, rng_below(&rng, c.p.n_rows + 1));
        }
        free(want);
        linear_case_free(&c);
    }
    mma->ops->close(mma);
}

static void test_products_of_another_name_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *way;
        bool is_deterministic;
        const char *msg;
    } cases[] = { { "tiles", false, "TOKFS_CUDA_PRODUCTS: tiles: not cublas, wgmma or mma" },
                  { "cublas", true, "TOKFS_CUDA_PRODUCTS: cublas: not with deterministic" } };
    for (size_t i = 0; i < 2; i++) {
        struct backend *b = NULL;
        struct err err = { 0 };
        const struct backend_options options = { .n_threads = 1, .deterministic = cases[i].is_deterministic };
        setenv("TOKFS_CUDA_PRODUCTS", cases[i].way, 1);
        assert_int_equal(cuda_backend_open(&options, &b, &err), -EINVAL);
        unsetenv("TOKFS_CUDA_PRODUCTS");
        assert_string_equal(err.msg, cases[i].msg);
    }
}

// ---- rows and elements ---------------------------------------------------------------------------------------------

static void test_embed_and_gather_rows_are_exact(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 3;
    const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16 };
    for (size_t d = 0; d < 3; d++) {
        void *table = random_elements(&rng, dtypes[d], 40 * 19, NULL);
        int32_t ids[] = { 39, 0, 7, 7, 12 };
        uint32_t rows[] = { 4, 4, 0 };
        float y[2][5 * 19] = { 0 }, picked[2][3 * 19] = { 0 };
        struct backend *both[] = { pair->cpu, pair->cuda };
        for (size_t i = 0; i < 2; i++) {
            struct backend *b = both[i];
            struct matrix *m = b->ops->matrix_new(b, dtypes[d], 40, 19);
            b->ops->matrix_fill(b, m, 0, 40, table);
            const struct op_embed embed = {
                .table = m, .token_ids = ids, .y = sent(b, y[i], sizeof(y[i])), .n_rows = 5, .scale = 1.5f
            };
            const struct op_gather gather = {
                .x = embed.y, .rows = rows, .y = sent(b, picked[i], sizeof(picked[i])), .n_rows = 3, .dim = 19
            };
            b->ops->embed(b, &embed);
            b->ops->gather(b, &gather);
            fetch(b, y[i], embed.y, sizeof(y[i]));
            fetch(b, picked[i], gather.y, sizeof(picked[i]));
            b->ops->matrix_free(b, m);
        }
        assert_same_bits(y[1], y[0], 5 * 19, pair->cuda);
        assert_same_bits(picked[1], picked[0], 3 * 19, pair->cuda);
        free(table);
    }
}

static void test_norm_of_rows_and_heads_is_near_the_reference(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 4;
    // dim, rows, group, stride
    const size_t shapes[][4] = {
        { 40, 5, 0, 0 }, { 700, 3, 0, 0 }, { 2100, 2, 0, 0 }, { 16, 12, 3, 70 }, { 600, 4, 2, 1300 }
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        size_t dim = shapes[i][0], n_rows = shapes[i][1], group = shapes[i][2], stride = shapes[i][3];
        size_t n = group ? n_rows / group * stride : n_rows * dim;
        float *x = random_floats(&rng, n), *weight = random_floats(&rng, dim), *y = random_floats(&rng, n);
        float *want = copy_of(y, n), *got = copy_of(y, n);
        float *results[] = { want, got };
        for (size_t j = 0; j < 2; j++) {
            struct backend *b = j == 0 ? pair->cpu : pair->cuda;
            const struct op_rms_norm op = { .x = sent_floats(b, x, n),
                                            .weight = sent_floats(b, weight, dim),
                                            .y = sent_floats(b, y, n),
                                            .n_rows = n_rows,
                                            .dim = dim,
                                            .group = group,
                                            .stride = stride,
                                            .eps = 1e-5f,
                                            .accumulate = i % 2 };
            b->ops->rms_norm(b, &op);
            fetch(b, results[j], op.y, n * sizeof(*y));
            b->ops->free(b, (float *)op.x);
            b->ops->free(b, (float *)op.weight);
        }
        assert_all_near(got, want, n, 1e-5);
        free(x);
        free(weight);
        free(y);
        free(want);
        free(got);
    }
}

static void test_units_and_caps_are_near_the_reference(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 5;
    for (enum glu kind = GLU_SILU; kind <= GLU_SILU_CLAMPED; kind++) {
        float *x = random_floats(&rng, 7 * 2 * 50), y[2][7 * 50] = { { 0 } };
        for (size_t i = 0; i < 7 * 2 * 50; i++) {
            x[i] *= 12;
        }
        for (size_t j = 0; j < 2; j++) {
            struct backend *b = j == 0 ? pair->cpu : pair->cuda;
            const struct op_glu op = { .x = sent_floats(b, x, 7 * 2 * 50),
                                       .y = sent(b, y[j], sizeof(y[j])),
                                       .n_rows = 7,
                                       .dim = 50,
                                       .kind = kind };
            const struct op_softcap cap = { .x = op.y, .n = 3 * 50, .cap = 3 };
            b->ops->glu(b, &op);
            b->ops->softcap(b, &cap);
            fetch(b, y[j], op.y, sizeof(y[j]));
            b->ops->free(b, (float *)op.x);
        }
        assert_all_near(y[1], y[0], 7 * 50, 1e-5);
        free(x);
    }
}

// ---- attention -----------------------------------------------------------------------------------------------------

struct heads {
    enum dtype dtype;
    size_t n_heads, n_kv_heads, head_dim, page_tokens, window;
    float softcap;
    bool has_sinks;
};

static const struct heads heads[] = {
    { DTYPE_F32, 4, 2, 8, 16, 0, 0, false },      { DTYPE_BF16, 4, 2, 64, 16, 0, 0, false },
    { DTYPE_F16, 6, 1, 128, 32, 0, 0, true },     { DTYPE_BF16, 2, 2, 80, 16, 20, 0, false },
    { DTYPE_F16, 8, 1, 64, 16, 0, 20.0f, false }, { DTYPE_BF16, 2, 1, 256, 64, 90, 0, true },
    { DTYPE_F32, 2, 1, 72, 16, 11, 5.0f, true },  { DTYPE_BF16, 20, 1, 16, 16, 0, 0, false },
};

#define N_SEQS     3
#define TOKENS     140 // of a sequence at most
#define TOKENS_MAX 640 // of a long one
#define N_LAYERS   2

// Some rows each; few rows each; many rows, one of them behind a long past, which goes round the kernels' stages.
enum deal { DEAL_SOME, DEAL_FEW, DEAL_LONG };

// Sequences of some tokens before the batch, and some in it.
struct scene {
    struct heads h;
    struct kv_layout kv;
    struct batch_seq seqs[N_SEQS];
    struct batch_map map;
    uint32_t pages[N_SEQS][TOKENS_MAX];
    unsigned char *pool;
    size_t pool_bytes, row_floats, out_floats;
    float *qkv, inv_freq[128], sinks[32];
    float *before; // [positions of the pool][row_floats]: what is in the pages before; NULL: what is in the pool
};

static void deal_tokens(struct scene *s, uint64_t *rng, enum deal deal)
{
    uint32_t n_pages = 0;
    for (size_t i = 0; i < N_SEQS; i++) {
        size_t n_rows = deal == DEAL_FEW || i == 0 ? 1 + rng_below(rng, 2) : 1 + rng_below(rng, 50);
        size_t pos = rng_below(rng, deal == DEAL_FEW ? TOKENS - 2 : TOKENS - 60);
        bool is_long = deal == DEAL_LONG && i == 1;
        if (is_long) {
            n_rows = 70 + rng_below(rng, 20);
            pos = TOKENS_MAX - 100 - rng_below(rng, 60);
        }
        s->seqs[i] = (struct batch_seq){ .row = s->map.n_rows, .n_rows = n_rows, .pos = pos, .pages = s->pages[i] };
        s->map.n_rows += n_rows;
        for (size_t page = 0; page * s->h.page_tokens < (is_long ? TOKENS_MAX : TOKENS); page++) {
            s->pages[i][page] = n_pages++;
        }
    }
    s->pool_bytes = n_pages * s->kv.page_bytes;
    s->pool = malloc(s->pool_bytes);
}

static struct scene *scene_new(uint64_t *rng, struct heads h, enum deal deal)
{
    struct scene *s = calloc(1, sizeof(*s));
    s->h = h;
    s->kv = (struct kv_layout){ .dtype = h.dtype,
                                .page_tokens = h.page_tokens,
                                .n_layers = N_LAYERS,
                                .n_kv_heads = h.n_kv_heads,
                                .head_dim = h.head_dim };
    s->kv.page_bytes = N_LAYERS * 2 * h.n_kv_heads * h.page_tokens * h.head_dim * dtype_bytes(h.dtype);
    s->row_floats = (h.n_heads + 2 * h.n_kv_heads) * h.head_dim;
    s->out_floats = h.n_heads * h.head_dim;
    s->map = (struct batch_map){ .seqs = s->seqs, .n_seqs = N_SEQS };
    deal_tokens(s, rng, deal);
    memset(s->pool, 0, s->pool_bytes);
    s->qkv = random_floats(rng, s->map.n_rows * s->row_floats);
    s->before = random_floats(rng, s->pool_bytes / s->kv.page_bytes * h.page_tokens * s->row_floats);
    for (size_t i = 0; i < N_SEQS && deal == DEAL_LONG; i++) { // behind the end: what is no number
        size_t end = s->seqs[i].pos + s->seqs[i].n_rows;
        float *rows = s->before + s->pages[i][end / h.page_tokens] * h.page_tokens * s->row_floats;
        for (size_t j = end % h.page_tokens * s->row_floats; j < h.page_tokens * s->row_floats; j++) {
            rows[j] = NAN;
        }
    }
    for (size_t i = 0; i < h.head_dim / 2; i++) {
        s->inv_freq[i] = 0.5f / (float)(i + 1);
    }
    for (size_t i = 0; i < h.n_heads; i++) {
        s->sinks[i] = 3 * rng_float(rng);
    }
    return s;
}

static void scene_free(struct scene *s)
{
    free(s->pool);
    free(s->qkv);
    free(s->before);
    free(s);
}

struct played {
    float *qkv, *out;
    unsigned char *pool;
};

// Writes K and V of all positions of all pages, in the backend's own order.
static void play_before(struct backend *b, const struct scene *s, unsigned char *pool)
{
    size_t n_pages = s->pool_bytes / s->kv.page_bytes, n_rows = n_pages * s->kv.page_tokens;
    float *qkv = sent(b, s->before, n_rows * s->row_floats * sizeof(float));
    uint32_t *pages = malloc(n_pages * sizeof(*pages));
    for (uint32_t i = 0; i < n_pages; i++) {
        pages[i] = i;
    }
    const struct batch_seq seq = { .n_rows = n_rows, .pages = pages };
    const struct batch_map map = { .seqs = &seq, .n_seqs = 1, .n_rows = n_rows };
    const struct op_rope_kv op = {
        .qkv = qkv, .n_heads = s->h.n_heads, .kv = &s->kv, .pool = pool, .layer = 1, .map = &map, .attn_scale = 1
    };
    b->ops->rope_kv(b, &op);
    b->ops->sync(b);
    b->ops->free(b, qkv);
    free(pages);
}

static struct played play(struct backend *b, const struct scene *s, const struct batch_map *map)
{
    size_t qkv_bytes = s->map.n_rows * s->row_floats * sizeof(float),
           out_bytes = s->map.n_rows * s->out_floats * sizeof(float);
    struct played p = { .qkv = malloc(qkv_bytes), .out = calloc(1, out_bytes), .pool = malloc(s->pool_bytes) };
    float *qkv = sent(b, s->qkv, qkv_bytes), *out = sent(b, p.out, out_bytes);
    float *inv_freq = sent(b, s->inv_freq, sizeof(s->inv_freq)), *sinks = sent(b, s->sinks, sizeof(s->sinks));
    unsigned char *pool = sent(b, s->pool, s->pool_bytes);
    const struct op_rope_kv rope = { .qkv = qkv,
                                     .inv_freq = inv_freq,
                                     .n_dims = s->h.head_dim / 4 * 2,
                                     .attn_scale = 1.1f,
                                     .n_heads = s->h.n_heads,
                                     .kv = &s->kv,
                                     .pool = pool,
                                     .layer = 1,
                                     .map = map };
    const struct op_attention attention = { .qkv = qkv,
                                            .out = out,
                                            .scale = 0.6f,
                                            .softcap = s->h.softcap,
                                            .window = s->h.window,
                                            .sinks = s->h.has_sinks ? sinks : NULL,
                                            .n_heads = s->h.n_heads,
                                            .kv = &s->kv,
                                            .pool = pool,
                                            .layer = 1,
                                            .map = map };
    if (s->before) {
        play_before(b, s, pool);
    }
    b->ops->rope_kv(b, &rope);
    b->ops->attention(b, &attention);
    b->ops->sync(b);
    fetch(b, p.qkv, qkv, qkv_bytes);
    fetch(b, p.out, out, out_bytes);
    fetch(b, p.pool, pool, s->pool_bytes);
    b->ops->free(b, inv_freq);
    b->ops->free(b, sinks);
    return p;
}

static void played_free(struct played *p)
{
    free(p->qkv);
    free(p->out);
    free(p->pool);
}

// Q and the weights of the softmax are rounded to the type of K and V.
static double rounding_of(enum dtype dtype)
{
    return dtype == DTYPE_F32 ? 1e-5 : dtype == DTYPE_BF16 ? 4e-2 : 5e-3;
}

static void check_scene(const struct pair *pair, const struct scene *s)
{
    struct played want = play(pair->cpu, s, &s->map), got = play(pair->cuda, s, &s->map),
                  fixed = play(pair->deterministic, s, &s->map);
    double rounding = rounding_of(s->h.dtype);
    assert_all_near(got.qkv, want.qkv, s->map.n_rows * s->row_floats, 1e-5);
    assert_all_near(got.out, want.out, s->map.n_rows * s->out_floats, rounding);
    assert_all_near(fixed.out, want.out, s->map.n_rows * s->out_floats, rounding);
    played_free(&want);
    played_free(&got);
    played_free(&fixed);
}

static void test_attention_of_ragged_batches_is_near_the_reference(void **state)
{
    uint64_t rng = 7;
    for (size_t i = 0; i < 2 * sizeof(heads) / sizeof(*heads); i++) {
        struct scene *s = scene_new(&rng, heads[i / 2], i % 2 ? DEAL_FEW : DEAL_SOME);
        check_scene(*state, s);
        scene_free(s);
    }
}

// As on devices other than an sm_90.
static struct backend *open_mma_attention(bool is_deterministic)
{
    setenv("TOKFS_CUDA_ATTENTION", "mma", 1);
    struct backend *b = open_cuda(is_deterministic);
    unsetenv("TOKFS_CUDA_ATTENTION");
    return b;
}

// On an sm_90 prefill has a way of its own; here it goes the way of all others too.
static void test_attention_of_long_prompts_is_near_the_reference_both_ways(void **state)
{
    static const struct heads long_heads[] = {
        { DTYPE_BF16, 4, 2, 64, 16, 0, 0, false },    { DTYPE_F16, 3, 1, 128, 16, 0, 0, true },
        { DTYPE_BF16, 2, 1, 256, 32, 300, 0, false }, { DTYPE_F16, 2, 2, 96, 256, 0, 30.0f, true },
        { DTYPE_BF16, 5, 1, 128, 128, 150, 0, true }, { DTYPE_F16, 4, 4, 72, 64, 1, 0, false },
        { DTYPE_BF16, 3, 3, 8, 32, 0, 0, true },      { DTYPE_F16, 2, 1, 200, 16, 77, 9.0f, true },
    };
    const struct pair *pair = *state;
    uint64_t rng = 13;
    struct backend *mma = open_mma_attention(true);
#ifdef __SANITIZE_ADDRESS__ // thirty times as long
    const size_t step = 3;
#else
    const size_t step = 1;
#endif
    for (size_t i = 0; i < sizeof(long_heads) / sizeof(*long_heads); i += step) {
        struct scene *s = scene_new(&rng, long_heads[i], DEAL_LONG);
        struct played want = play(pair->cpu, s, &s->map);
        struct backend *ways[] = { pair->deterministic, i % 4 == 0 ? mma : NULL };
        for (size_t j = 0; j < 2 && ways[j]; j++) {
            struct played got = play(ways[j], s, &s->map);
            assert_all_near(got.out, want.out, s->map.n_rows * s->out_floats, rounding_of(s->h.dtype));
            played_free(&got);
        }
        played_free(&want);
        scene_free(s);
    }
    mma->ops->close(mma);
}

static void test_attention_of_another_name_is_refused(void **state)
{
    (void)state;
    struct backend *b = NULL;
    struct err err = { 0 };
    const struct backend_options options = { .n_threads = 1 };
    setenv("TOKFS_CUDA_ATTENTION", "wgmma", 1);
    assert_int_equal(cuda_backend_open(&options, &b, &err), -EINVAL);
    unsetenv("TOKFS_CUDA_ATTENTION");
    assert_string_equal(err.msg, "TOKFS_CUDA_ATTENTION: wgmma: not mma");
}

// One sequence with a long past is cut into pieces whose sums are merged.
static void test_attention_of_a_long_context_is_merged(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 8;
    enum { N = 1300 };
    struct heads h = { DTYPE_F16, 4, 1, 32, 16, 0, 0, true };
    struct scene *s = scene_new(&rng, h, DEAL_FEW);
    uint32_t pages[N / 16 + 1];
    s->map.n_seqs = 1;
    s->map.n_rows = 1;
    s->seqs[0] = (struct batch_seq){ .n_rows = 1, .pos = N - 1, .pages = pages };
    for (uint32_t i = 0; i < N / 16 + 1; i++) {
        pages[i] = (uint32_t)(i * 7 % (s->pool_bytes / s->kv.page_bytes)); // the same page in many places is as good
    }
    check_scene(pair, s);
    scene_free(s);
}

// Norms of heads of Q and K before they are turned: with the rotation, and by themselves.
static void test_heads_are_normed_and_turned_in_one(void **state)
{
    struct backend *b = ((const struct pair *)*state)->cuda;
    uint64_t rng = 10;
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
        struct scene *s = scene_new(&rng, heads[i], DEAL_SOME);
        size_t n = s->map.n_rows * s->row_floats, dim = s->h.head_dim, n_q = s->h.n_heads, n_k = s->h.n_kv_heads;
        float *weights[2] = { random_floats(&rng, dim), random_floats(&rng, dim) }, *results[2];
        float *q_norm = sent_floats(b, weights[0], dim), *k_norm = sent_floats(b, weights[1], dim);
        float *inv_freq = sent(b, s->inv_freq, sizeof(s->inv_freq));
        unsigned char *pools[2] = { malloc(s->pool_bytes), malloc(s->pool_bytes) };
        for (size_t j = 0; j < 2; j++) {
            float *qkv = sent_floats(b, s->qkv, n);
            struct op_rope_kv rope = { .qkv = qkv,
                                       .inv_freq = inv_freq,
                                       .n_dims = dim / 2,
                                       .attn_scale = 1,
                                       .q_norm = j == 0 ? q_norm : NULL,
                                       .k_norm = j == 0 ? k_norm : NULL,
                                       .norm_eps = 1e-5f,
                                       .n_heads = n_q,
                                       .kv = &s->kv,
                                       .pool = sent(b, s->pool, s->pool_bytes),
                                       .map = &s->map };
            for (size_t part = 0; part < 2 && j == 1; part++) {
                float *first = qkv + (part == 0 ? 0 : n_q * dim);
                const struct op_rms_norm norm = { .x = first,
                                                  .weight = part == 0 ? q_norm : k_norm,
                                                  .y = first,
                                                  .n_rows = s->map.n_rows * (part == 0 ? n_q : n_k),
                                                  .dim = dim,
                                                  .group = part == 0 ? n_q : n_k,
                                                  .stride = s->row_floats,
                                                  .eps = 1e-5f };
                b->ops->rms_norm(b, &norm);
            }
            b->ops->rope_kv(b, &rope);
            b->ops->sync(b);
            results[j] = malloc(n * sizeof(float));
            fetch(b, results[j], qkv, n * sizeof(float));
            fetch(b, pools[j], rope.pool, s->pool_bytes);
        }
        assert_same_bits(results[0], results[1], n, b);
        assert_memory_equal(pools[0], pools[1], s->pool_bytes);
        b->ops->free(b, q_norm);
        b->ops->free(b, k_norm);
        b->ops->free(b, inv_freq);
        for (size_t j = 0; j < 2; j++) {
            free(weights[j]);
            free(results[j]);
            free(pools[j]);
        }
        scene_free(s);
    }
}

// ---- shared prefixes -----------------------------------------------------------------------------------------------

#define FAMILY_SEQS   9
#define FAMILY_TOKENS 528
#define FAMILY_PAGE   16

// Sequences that have 0, 290 or 448 tokens in common with others, and one 330 of 448; the last page, which the
// batch writes, is each one's own.
struct family {
    struct batch_seq seqs[FAMILY_SEQS];
    uint32_t pages[FAMILY_SEQS][FAMILY_TOKENS / FAMILY_PAGE + 1];
    struct batch_map map;
};

static void deal_family(struct family *f, uint64_t *rng, size_t n_rows_max)
{
    static const size_t prefix[FAMILY_SEQS] = { 448, 0, 290, 448, 290, 330, 448, 0, 290 }; // by length: which one
    *f = (struct family){ .map = { .seqs = f->seqs, .n_seqs = FAMILY_SEQS } };
    for (size_t s = 0; s < FAMILY_SEQS; s++) {
        size_t n_rows = 1 + rng_below(rng, n_rows_max), n_pages = FAMILY_TOKENS / FAMILY_PAGE - rng_below(rng, 4);
        size_t n_shared = prefix[s] / FAMILY_PAGE;
        for (size_t i = 0; i + 1 < n_pages; i++) {
            f->pages[s][i] =
                i < n_shared ? (uint32_t)(i * (prefix[s] == 290 ? 3 : 5) % 13) : (uint32_t)rng_below(rng, 16);
        }
        f->pages[s][n_pages - 1] = (uint32_t)(16 + s);
        f->seqs[s] = (struct batch_seq){ .row = f->map.n_rows,
                                         .n_rows = n_rows,
                                         .pos = (n_pages - 1) * FAMILY_PAGE + rng_below(rng, FAMILY_PAGE - n_rows_max),
                                         .pages = f->pages[s] };
        f->map.n_rows += n_rows;
    }
}

static void count_piece(const struct family *f, const struct gpu_work *work, const int32_t *rows, size_t n_tile_rows,
                        size_t group, unsigned char seen[][FAMILY_TOKENS])
{
    const struct batch_seq *seq = &f->seqs[work->seq];
    size_t n_rows = work->n_listed > 0 ? (size_t)work->n_listed : seq->n_rows;
    for (size_t packed = (size_t)work->packed_row; packed < (size_t)work->packed_row + n_tile_rows; packed++) {
        size_t token = packed / group;
        if (token >= n_rows || packed % group > 0) {
            continue;
        }
        size_t row = work->n_listed > 0 ? (size_t)rows[(size_t)work->list + token] : seq->row + token;
        for (int32_t pos = work->begin; pos < work->end; pos++) {
            seen[row][pos]++;
        }
    }
}

static void test_plan_has_every_position_of_a_row_once(void **state)
{
    (void)state;
    uint64_t rng = 11;
    for (size_t round = 0; round < 20; round++) {
        struct family f;
        deal_family(&f, &rng, 1 + round % 3);
        const struct plan_options options = { .group = 1 + round % 5,
                                              .n_kv_heads = 2,
                                              .page_tokens = FAMILY_PAGE,
                                              .prefill_rows =
                                                  round % 2 ? ATTENTION_PREFILL_ROWS : ATTENTION_HOPPER_ROWS,
                                              .n_processors = 1 + 20 * (round % 4),
                                              .n_partials_max = round < 15 ? 1000 : 12,
                                              .is_deterministic = round == 4 };
        struct plan_counts bounds = plan_bounds(&f.map, &options);
        const struct plan_arrays arrays = { .prefill = calloc(bounds.n_prefill + 1, sizeof(struct gpu_work)),
                                            .shared = calloc(bounds.n_shared + 1, sizeof(struct gpu_work)),
                                            .decode = calloc(bounds.n_decode + 1, sizeof(struct gpu_work)),
                                            .merges = calloc(bounds.n_merges + 1, sizeof(struct gpu_merge)),
                                            .rows = calloc(bounds.n_listed + 1, sizeof(int32_t)),
                                            .group_of = calloc(FAMILY_SEQS, sizeof(int32_t)) };
        struct plan_counts n = plan_make(&f.map, &options, &arrays);
        assert_true(n.n_prefill <= bounds.n_prefill && n.n_shared <= bounds.n_shared && n.n_decode <= bounds.n_decode);
        assert_true(n.n_merges <= bounds.n_merges && n.n_listed <= bounds.n_listed);
        assert_true(n.n_partials <= options.n_partials_max);
        assert_int_equal(n.n_shared > 0, !options.is_deterministic && round < 15);
        unsigned char(*seen)[FAMILY_TOKENS] = calloc(f.map.n_rows, FAMILY_TOKENS);
        for (size_t i = 0; i < n.n_prefill; i++) {
            count_piece(&f, &arrays.prefill[i], NULL, options.prefill_rows, options.group, seen);
        }
        for (size_t i = 0; i < n.n_shared; i++) {
            count_piece(&f, &arrays.shared[i], arrays.rows, options.prefill_rows, options.group, seen);
        }
        for (size_t i = 0; i < n.n_decode; i++) {
            count_piece(&f, &arrays.decode[i], NULL, ATTENTION_DECODE_ROWS, options.group, seen);
        }
        for (size_t s = 0; s < FAMILY_SEQS; s++) {
            for (size_t i = 0; i < f.seqs[s].n_rows * f.seqs[s].pos; i++) {
                assert_int_equal(seen[f.seqs[s].row + i / f.seqs[s].pos][i % f.seqs[s].pos], 1);
            }
        }
        free(seen);
        free(arrays.prefill);
        free(arrays.shared);
        free(arrays.decode);
        free(arrays.merges);
        free(arrays.rows);
        free(arrays.group_of);
    }
}

static void test_attention_of_shared_prefixes_is_merged(void **state)
{
    const struct pair *pair = *state;
    const struct pair mma = { pair->cpu, open_mma_attention(false), pair->deterministic };
    uint64_t rng = 12;
    const struct heads shared[] = { { DTYPE_BF16, 4, 1, 64, FAMILY_PAGE, 0, 0, false },
                                    { DTYPE_F16, 4, 2, 40, FAMILY_PAGE, 0, 9.0f, true },
                                    { DTYPE_BF16, 16, 1, 128, FAMILY_PAGE, 0, 0, true },
                                    { DTYPE_F16, 8, 1, 256, FAMILY_PAGE, 0, 0, false } };
    for (size_t i = 0; i < sizeof(shared) / sizeof(*shared); i++) {
        struct scene *s = scene_new(&rng, shared[i], DEAL_FEW);
        struct family f;
        deal_family(&f, &rng, 2);
        assert_true(s->pool_bytes / s->kv.page_bytes >= 16 + FAMILY_SEQS);
        s->map = f.map;
        free(s->qkv);
        s->qkv = random_floats(&rng, s->map.n_rows * s->row_floats);
        check_scene(pair, s);
        if (i % 2 == 0) {
            check_scene(&mma, s);
        }
        scene_free(s);
    }
    mma.cuda->ops->close(mma.cuda);
}

static void test_attention_deterministic_rows_do_not_depend_on_the_batch(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 9;
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
        struct scene *s = scene_new(&rng, heads[i], DEAL_SOME);
        struct played all = play(pair->deterministic, s, &s->map);
        for (size_t seq = 0; seq < N_SEQS; seq++) { // the last row alone: its K and V, and those before it, are there
            struct scene alone = *s;
            const struct batch_seq *whole = &s->seqs[seq];
            size_t last = whole->row + whole->n_rows - 1;
            struct batch_seq one = {
                .row = 0, .n_rows = 1, .pos = whole->pos + whole->n_rows - 1, .pages = whole->pages
            };
            alone.map = (struct batch_map){ .seqs = &one, .n_seqs = 1, .n_rows = 1 };
            alone.qkv = s->qkv + last * s->row_floats;
            alone.pool = all.pool;
            alone.before = NULL;
            struct played got = play(pair->deterministic, &alone, &alone.map);
            assert_same_bits(got.out, all.out + last * s->out_floats, s->out_floats, pair->deterministic);
            played_free(&got);
        }
        played_free(&all);
        scene_free(s);
    }
}

// An argument: only tests of such a name, with * and ?.
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_every_way_is_near_the_reference),
        cmocka_unit_test(test_linear_of_few_rows_is_near_the_reference),
        cmocka_unit_test(test_linear_deterministic_rows_do_not_depend_on_the_batch),
        cmocka_unit_test(test_linear_of_any_rows_is_near_the_reference_both_ways),
        cmocka_unit_test(test_products_of_another_name_are_refused),
        cmocka_unit_test(test_embed_and_gather_rows_are_exact),
        cmocka_unit_test(test_norm_of_rows_and_heads_is_near_the_reference),
        cmocka_unit_test(test_units_and_caps_are_near_the_reference),
        cmocka_unit_test(test_attention_of_ragged_batches_is_near_the_reference),
        cmocka_unit_test(test_attention_of_long_prompts_is_near_the_reference_both_ways),
        cmocka_unit_test(test_attention_of_another_name_is_refused),
        cmocka_unit_test(test_attention_of_a_long_context_is_merged),
        cmocka_unit_test(test_heads_are_normed_and_turned_in_one),
        cmocka_unit_test(test_plan_has_every_position_of_a_row_once),
        cmocka_unit_test(test_attention_of_shared_prefixes_is_merged),
        cmocka_unit_test(test_attention_deterministic_rows_do_not_depend_on_the_batch),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, open_pair, close_pair);
}
