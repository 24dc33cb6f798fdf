// Products of the CUDA backend with weights in block formats, against sums in double of what the blocks stand for and
// of x as the kernels round it.
#include "tests/kernels/cuda_test.h"

struct product {
    enum dtype dtype;
    size_t n_out, n_in, n_rows;
};

// Every format with 1 to 8, to 32, to 64 and more rows; outputs and inputs that fill no tile and no chunk.
static const struct product products[] = {
    { DTYPE_Q8_0, 21, 96, 1 },   { DTYPE_Q8_0, 64, 1120, 8 }, { DTYPE_Q8_0, 5, 160, 40 },  { DTYPE_Q8_0, 33, 128, 70 },
    { DTYPE_Q4_0, 16, 32, 3 },   { DTYPE_Q4_0, 50, 1216, 9 }, { DTYPE_Q4_0, 17, 288, 64 }, { DTYPE_Q4_0, 8, 256, 67 },
    { DTYPE_Q4_K, 19, 256, 1 },  { DTYPE_Q4_K, 9, 2304, 5 },  { DTYPE_Q4_K, 40, 512, 33 }, { DTYPE_Q4_K, 16, 256, 65 },
    { DTYPE_Q6_K, 31, 256, 2 },  { DTYPE_Q6_K, 10, 1280, 7 }, { DTYPE_Q6_K, 8, 512, 12 },  { DTYPE_Q6_K, 18, 256, 66 },
    { DTYPE_MXFP4, 24, 160, 1 }, { DTYPE_MXFP4, 7, 1056, 6 }, { DTYPE_MXFP4, 49, 64, 63 }, { DTYPE_MXFP4, 3, 96, 129 },
    { DTYPE_Q5_K, 20, 256, 1 },  { DTYPE_Q5_K, 7, 1536, 8 },  { DTYPE_Q5_K, 33, 512, 17 }, { DTYPE_Q5_K, 9, 256, 68 },
    { DTYPE_F8, 22, 128, 1 },    { DTYPE_F8, 70, 1152, 8 },   { DTYPE_F8, 37, 384, 41 },   { DTYPE_F8, 9, 256, 71 },
    { DTYPE_F8, 16, 2176, 3 },   { DTYPE_F8, 3, 128, 64 },    { DTYPE_Q5_0, 4, 256, 2 },   { DTYPE_Q5_1, 3, 64, 9 },
};
#define N_PRODUCTS (sizeof(products) / sizeof(*products))

struct scene {
    struct product p;
    void *blocks;
    float *values, *bias, *x, *y; // y: before
    size_t x_stride, y_stride;
    bool accumulate;
};

// Rounded, as the tensor cores read it; for what is expanded, the weights too.
static float bf16_of(float x)
{
    return f32_from_bf16(bf16_from_f32(x));
}

static struct scene scene_new(uint64_t *rng, struct product p)
{
    struct scene s = { .p = p, .accumulate = rng_below(rng, 2) };
    s.x_stride = p.n_in + rng_below(rng, 3) * 2;
    s.y_stride = p.n_out + rng_below(rng, 3);
    s.blocks = random_elements(rng, p.dtype, p.n_out * p.n_in, &s.values);
    s.bias = rng_below(rng, 2) ? random_floats(rng, p.n_out) : NULL;
    s.x = random_floats(rng, p.n_rows * s.x_stride);
    s.y = random_floats(rng, p.n_rows * s.y_stride);
    return s;
}

static void scene_free(struct scene *s)
{
    free(s->blocks);
    free(s->values);
    free(s->bias);
    free(s->x);
    free(s->y);
}

// In uneven runs of rows, the last first.
static struct matrix *matrix_of(struct backend *b, const struct scene *s)
{
    struct matrix *w = b->ops->matrix_new(b, s->p.dtype, s->p.n_out, s->p.n_in);
    size_t cut = s->p.n_out * 2 / 3, row_bytes = dtype_row_bytes(s->p.dtype, s->p.n_in);
    b->ops->matrix_fill(b, w, cut, s->p.n_out - cut, (const char *)s->blocks + cut * row_bytes);
    b->ops->matrix_fill(b, w, 0, cut, s->blocks);
    return w;
}

// Rows [first, first + n) of y.
static void run_linear(struct backend *b, const struct scene *s, size_t first, size_t n, float *y)
{
    struct matrix *w = matrix_of(b, s);
    size_t n_x = s->p.n_rows * s->x_stride, n_y = s->p.n_rows * s->y_stride;
    float *x = sent_floats(b, s->x, n_x), *dst = sent_floats(b, y, n_y), *bias = sent_floats(b, s->bias, s->p.n_out);
    const struct op_linear op = { .w = w,
                                  .bias = bias,
                                  .x = x + first * s->x_stride,
                                  .y = dst + first * s->y_stride,
                                  .x_stride = s->x_stride,
                                  .y_stride = s->y_stride,
                                  .n_rows = n,
                                  .accumulate = s->accumulate };
    b->ops->linear(b, &op);
    fetch(b, y, dst, n_y * sizeof(*y));
    b->ops->free(b, x);
    b->ops->free(b, bias);
    b->ops->matrix_free(b, w);
}

// `is_expanded`: the weights are bf16 too, as in what has no kernels of its own and where a library multiplies.
static void assert_is_product(const struct scene *s, const float *y, bool is_expanded)
{
    for (size_t i = 0; i < s->p.n_rows * s->p.n_out; i++) {
        size_t row = i / s->p.n_out, out = i % s->p.n_out;
        double want = s->bias ? (double)s->bias[out] : 0, magnitude = 1;
        want += s->accumulate ? (double)s->y[row * s->y_stride + out] : 0;
        for (size_t k = 0; k < s->p.n_in; k++) {
            float w = s->values[out * s->p.n_in + k];
            double term = (double)(is_expanded ? bf16_of(w) : w) * (double)bf16_of(s->x[row * s->x_stride + k]);
            want += term;
            magnitude += fabs(term);
        }
        assert_near(y[row * s->y_stride + out], want, 2e-6 * magnitude);
    }
}

static void test_products_are_those_of_the_blocks(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 1;
    for (size_t i = 0; i < N_PRODUCTS; i++) {
        struct scene s = scene_new(&rng, products[i]);
        size_t n = s.p.n_rows * s.y_stride;
        float *got = copy_of(s.y, n), *fixed = copy_of(s.y, n);
        bool is_expanded = s.p.dtype == DTYPE_Q5_0 || s.p.dtype == DTYPE_Q5_1;
        run_linear(pair->cuda, &s, 0, s.p.n_rows, got);
        run_linear(pair->deterministic, &s, 0, s.p.n_rows, fixed);
        if (!is_expanded || s.p.n_rows > 8) { // plain weights and few rows: x is not rounded
            assert_is_product(&s, got, is_expanded || s.p.n_rows > 64);
        }
        assert_is_product(&s, fixed, is_expanded);
        for (size_t at = 0; at < n; at++) { // nothing is written between the rows
            assert_true(at % s.y_stride < s.p.n_out || (got[at] == s.y[at] && fixed[at] == s.y[at]));
        }
        free(got);
        free(fixed);
        scene_free(&s);
    }
}

// Where there is no cuBLAS: weights expanded to bf16 and wgmma, or the kernels of few rows.
static void test_many_rows_without_the_library_are_right_both_ways(void **state)
{
    static const char *const ways[] = { "wgmma", "mma" };
    (void)state;
    uint64_t rng = 9;
    for (size_t i = 0; i < 2 * N_PRODUCTS; i++) {
        if (products[i / 2].n_rows <= 64) {
            continue;
        }
        struct backend *b = open_cuda_products(ways[i % 2], false);
        struct scene s = scene_new(&rng, products[i / 2]);
        float *got = copy_of(s.y, s.p.n_rows * s.y_stride);
        if (b) {
            run_linear(b, &s, 0, s.p.n_rows, got);
            assert_is_product(&s, got, i % 2 == 0);
            b->ops->close(b);
        }
        free(got);
        scene_free(&s);
    }
}

static void test_rows_do_not_depend_on_the_batch(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 2;
    for (size_t i = 0; i < N_PRODUCTS; i++) {
        struct scene s = scene_new(&rng, products[i]);
        size_t n = s.p.n_rows * s.y_stride, cut = rng_below(&rng, s.p.n_rows + 1);
        float *whole = copy_of(s.y, n), *parts = copy_of(s.y, n);
        run_linear(pair->deterministic, &s, 0, s.p.n_rows, whole);
        run_linear(pair->deterministic, &s, cut, s.p.n_rows - cut, parts);
        run_linear(pair->deterministic, &s, 0, cut, parts);
        assert_same_bits(parts, whole, n, pair->deterministic);
        free(whole);
        free(parts);
        scene_free(&s);
    }
}

// Which an embedding may then call -1.
static void draw_token(struct backend *b, int32_t id)
{
    float logits[64] = { 0 };
    logits[id] = 1;
    const struct sample_row row = { .top_p = 1 };
    const struct op_sample op = { .logits = sent(b, logits, sizeof(logits)), .rows = &row, .n_rows = 1, .n_vocab = 64 };
    b->ops->sample(b, &op);
    assert_int_equal(b->ops->drawn(b, 0).rows[0].id, id);
    b->ops->free(b, op.logits);
}

static void test_embeddings_are_what_the_blocks_stand_for(void **state)
{
    const struct pair *pair = *state;
    const enum dtype dtypes[] = { DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K, DTYPE_MXFP4, DTYPE_F8 };
    uint64_t rng = 3;
    enum { N = 512, ROWS = 37, IDS = 5 };
    draw_token(pair->cuda, 17);
    for (size_t d = 0; d < sizeof(dtypes) / sizeof(*dtypes); d++) {
        struct scene s = scene_new(&rng, (struct product){ dtypes[d], ROWS, N, 1 });
        struct backend *b = pair->cuda;
        const int32_t ids[IDS] = { 36, 0, 9, 9, 17 }, named[IDS] = { 36, 0, 9, 9, -1 };
        float y[IDS * N] = { 0 };
        struct matrix *table = matrix_of(b, &s);
        const struct op_embed op = {
            .table = table, .token_ids = named, .y = sent(b, y, sizeof(y)), .n_rows = IDS, .scale = 3
        };
        b->ops->embed(b, &op);
        fetch(b, y, op.y, sizeof(y));
        for (size_t i = 0; i < IDS * N; i++) {
            double want = 3 * (double)s.values[(size_t)ids[i / N] * N + i % N];
            assert_near(y[i], want, 1e-6 * (1 + fabs(want)));
        }
        assert_true(b->ops->matrix_bytes(table) <=
                    38 * dtype_row_bytes(dtypes[d], N) * 4 / 3); // as in the file, and a tile
        b->ops->matrix_free(b, table);
        scene_free(&s);
    }
}

// Every code of f8 under several scales, to the sign of zero; and what is no number makes its output none.
static void test_codes_of_f8_are_exact(void **state)
{
    const struct pair *pair = *state;
    struct backend *b = pair->cuda;
    enum { N = 256, ROWS = 5, N_BLOCKS = ROWS * N / QUANT_F8_BLOCK };
    static const float scales[N_BLOCKS] = { 1, 1, 0x1p-12f, 0x1p60f, -3, 0.1f, 0x1p-130f, 0, 1, NAN };
    struct block_f8 blocks[N_BLOCKS];
    float values[ROWS * N], x[N], y[ROWS * N] = { 0 }, sums[ROWS] = { 0 };
    const int32_t ids[ROWS] = { 0, 1, 2, 3, 4 };
    for (size_t i = 0; i < ROWS * N; i++) {
        uint8_t code = (uint8_t)i;
        blocks[i / QUANT_F8_BLOCK].d = scales[i / QUANT_F8_BLOCK];
        blocks[i / QUANT_F8_BLOCK].q[i % QUANT_F8_BLOCK] = f8_is_nan(code) && i < (ROWS - 1) * N ? 0 : code;
        x[i % N] = 1;
    }
    blocks[N_BLOCKS - 2].q[127] = 0; // and those of the block whose scale is NaN stay
    quant_expand(DTYPE_F8, blocks, ROWS * N, values);
    struct matrix *w = b->ops->matrix_new(b, DTYPE_F8, ROWS, N);
    b->ops->matrix_fill(b, w, 0, ROWS, blocks);
    const struct op_embed embed = {
        .table = w, .token_ids = ids, .y = sent(b, y, sizeof(y)), .n_rows = ROWS, .scale = 1
    };
    b->ops->embed(b, &embed);
    fetch(b, y, embed.y, sizeof(y));
    for (size_t i = 0; i < ROWS * N; i++) {
        assert_true(isnan(values[i]) ? isnan(y[i]) : f32_bits(y[i]) == f32_bits(values[i]));
    }
    float *device_x = sent_floats(b, x, N), *device_y = sent_floats(b, sums, ROWS);
    const struct op_linear linear = {
        .w = w, .x = device_x, .y = device_y, .x_stride = N, .y_stride = ROWS, .n_rows = 1
    };
    b->ops->linear(b, &linear);
    fetch(b, sums, device_y, sizeof(sums));
    b->ops->free(b, device_x);
    b->ops->matrix_free(b, w);
    for (size_t row = 0; row < ROWS; row++) {
        assert_int_equal(isnan(sums[row]), row == ROWS - 1);
    }
}

// ---- fused units ---------------------------------------------------------------------------------------------------

static const struct product gated[] = {
    { DTYPE_Q4_K, 64, 512, 1 }, { DTYPE_Q8_0, 96, 96, 8 }, { DTYPE_MXFP4, 32, 160, 3 }, { DTYPE_BF16, 22, 72, 1 },
    { DTYPE_F16, 40, 64, 8 },   { DTYPE_F32, 6, 40, 5 },   { DTYPE_Q6_K, 32, 256, 2 },  { DTYPE_Q5_K, 32, 256, 4 },
    { DTYPE_Q4_0, 64, 64, 6 },  { DTYPE_F8, 96, 256, 7 },
};

// y[n_rows][n_out / 2] by one operation (false: there is none) or by two.
static bool run_gated(struct backend *b, const struct scene *s, bool is_fused, enum glu kind, float *y)
{
    struct matrix *w = matrix_of(b, s);
    size_t n_both = s->p.n_rows * s->p.n_out;
    float *x = sent_floats(b, s->x, s->p.n_rows * s->x_stride), *bias = sent_floats(b, s->bias, s->p.n_out);
    float *dst = sent_floats(b, y, n_both / 2), *both = b->ops->alloc(b, n_both * sizeof(*y));
    struct op_linear op = { .w = w,
                            .bias = bias,
                            .x = x,
                            .y = is_fused ? dst : both,
                            .x_stride = s->x_stride,
                            .y_stride = is_fused ? s->p.n_out / 2 : s->p.n_out,
                            .n_rows = s->p.n_rows };
    bool is_done = !is_fused || b->ops->linear_glu(b, &op, kind);
    if (!is_fused) {
        const struct op_glu glu = { .x = both, .y = dst, .n_rows = s->p.n_rows, .dim = s->p.n_out / 2, .kind = kind };
        b->ops->linear(b, &op);
        b->ops->glu(b, &glu);
    }
    fetch(b, y, dst, n_both / 2 * sizeof(*y));
    b->ops->free(b, x);
    b->ops->free(b, bias);
    b->ops->free(b, both);
    b->ops->matrix_free(b, w);
    return is_done;
}

static void check_gated(struct backend *b, uint64_t *rng, struct product p, enum glu kind, bool is_done_in_one)
{
    struct scene s = scene_new(rng, p);
    s.x_stride = s.p.n_in; // aligned
    size_t n = s.p.n_rows * s.p.n_out / 2;
    float *one = calloc(n, sizeof(*one)), *two = calloc(n, sizeof(*two));
    run_gated(b, &s, false, kind, two);
    assert_int_equal(run_gated(b, &s, true, kind, one), is_done_in_one);
    if (is_done_in_one) {
        assert_same_bits(one, two, n, b);
    }
    free(one);
    free(two);
    scene_free(&s);
}

static void test_a_product_that_ends_in_a_unit_is_the_two_in_one(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 5;
    for (size_t i = 0; i < sizeof(gated) / sizeof(*gated); i++) {
        check_gated(pair->cuda, &rng, gated[i], (enum glu)(i % 3), true);
        check_gated(pair->deterministic, &rng, gated[i], (enum glu)(i % 3), !dtype_is_plain(gated[i].dtype));
    }
    const enum dtype plain[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16 };
    for (size_t i = 0; i < 3 * 8; i++) { // a kernel for each number of rows
        check_gated(pair->cuda, &rng, (struct product){ plain[i / 8], 10, 264, 1 + i % 8 }, (enum glu)(i % 3), true);
    }
    struct scene many = scene_new(&rng, (struct product){ DTYPE_Q8_0, 32, 64, 9 });
    float y[9 * 16] = { 0 };
    assert_false(run_gated(pair->cuda, &many, true, GLU_SILU, y));
    scene_free(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_are_those_of_the_blocks),
        cmocka_unit_test(test_many_rows_without_the_library_are_right_both_ways),
        cmocka_unit_test(test_rows_do_not_depend_on_the_batch),
        cmocka_unit_test(test_embeddings_are_what_the_blocks_stand_for),
        cmocka_unit_test(test_codes_of_f8_are_exact),
        cmocka_unit_test(test_a_product_that_ends_in_a_unit_is_the_two_in_one),
    };
    return cmocka_run_group_tests(tests, open_pair, close_pair);
}
