// Products, embedding rows and the packed form: against double precision, then bit for bit between instruction sets,
// numbers of threads, batches and ways of filling.
#include "tests/kernels/linear_problem.h"

static const struct shape shapes[] = {
    { 1, 1 }, { 5, 3 }, { 32, 8 }, { 33, 64 }, { 33, 511 }, { 32, 512 }, { 47, 513 }, { 33, 1200 }, { 16, 1025 },
};
#define N_SHAPES (sizeof(shapes) / sizeof(*shapes))
static const size_t row_counts[] = { 0, 1, 2, 3, 4, 5, 13, 14, 15, 17, 29, 40 };
#define N_ROW_COUNTS (sizeof(row_counts) / sizeof(*row_counts))

static void check_problem(const struct test_backends *all, uint64_t *rng, struct problem p)
{
    float *want = NULL;
    for (size_t i = 0; i < all->n; i++) {
        struct backend *b = all->b[i];
        struct matrix *m = matrix_make(b, &p, rng);
        assert_true(b->ops->matrix_bytes(m) >= dtype_row_bytes(p.dtype, p.n_out * p.n_in));
        float *y = problem_run(b, &p, m, 0, p.n_rows);
        if (want == NULL) {
            check_against_double(&p, y);
            want = y;
        } else {
            assert_same_bits(y, want, p.n_rows * p.y_stride, b);
            free(y);
        }
        b->ops->matrix_free(b, m);
    }
    free(want);
    problem_free(&p);
}

static void check_shape(const struct test_backends *all, uint64_t *rng, enum dtype dtype, struct shape shape,
                        size_t n_rows)
{
    check_problem(all, rng, problem_make(rng, dtype, shape, n_rows));
}

static void test_linear_any_shape_equals_double_and_all_isas_agree(void **state)
{
    uint64_t rng = 2;
    for (size_t s = 0; s < N_SHAPES; s++) {
        for (size_t dtype = 0; dtype < 3; dtype++) {
            // Every shape with every row count for some type, and with every type.
            for (size_t r = (dtype + s) % 3; r < N_ROW_COUNTS; r += 3) {
                check_shape(*state, &rng, (enum dtype)dtype, shapes[s], row_counts[r]);
            }
        }
    }
}

static void test_linear_blocks_of_any_format_equal_double_and_all_isas_agree(void **state)
{
    static const struct shape sizes[] = { { 1, 1 }, { 33, 2 }, { 47, 3 }, { 32, 16 }, { 70, 17 }, { 16, 21 } };
    uint64_t rng = 12;
    for (int dtype = DTYPE_Q8_0; dtype < N_CPU_DTYPES; dtype++) {
        size_t block_len = dtype_format((enum dtype)dtype).block_len;
        for (size_t i = 0; i < 6; i++) {
            size_t n_blocks = block_len == QUANT_BLOCK ? sizes[i % 6].n_in : sizes[i % 6].n_in % 4 + 1;
            struct shape shape = { sizes[i % 6].n_out, n_blocks * block_len };
            check_shape(*state, &rng, (enum dtype)dtype, shape, row_counts[(2 * i + (size_t)dtype) % N_ROW_COUNTS]);
        }
    }
}

// Where blocks have the bits of their values.
static const struct {
    enum dtype dtype;
    size_t begin, end;
} value_bytes[] = { { DTYPE_Q8_0, 2, 34 },   { DTYPE_Q4_0, 2, 18 },   { DTYPE_Q4_1, 4, 20 },
                    { DTYPE_Q5_0, 2, 22 },   { DTYPE_Q5_1, 4, 24 },   { DTYPE_MXFP4, 1, 17 },
                    { DTYPE_Q4_K, 16, 144 }, { DTYPE_Q5_K, 16, 176 }, { DTYPE_Q6_K, 0, 192 } };

// Sums of products that are as large as can be, of either sign: no path may cut them off.
static void test_linear_blocks_of_extreme_values_equal_double_and_all_isas_agree(void **state)
{
    uint64_t rng = 13;
    const unsigned char fills[] = { 0x00, 0x7f, 0x80, 0xff };
    for (size_t i = 0; i < 4 * sizeof(value_bytes) / sizeof(*value_bytes); i++) {
        enum dtype dtype = value_bytes[i / 4].dtype;
        const struct dtype_format format = dtype_format(dtype);
        struct problem p = problem_make(&rng, dtype, (struct shape){ 33, 512 }, 7);
        for (size_t block = 0; block < p.n_out * p.n_in / format.block_len; block++) {
            unsigned char *at = (unsigned char *)p.w + block * format.block_bytes;
            memset(at + value_bytes[i / 4].begin, fills[i % 4], value_bytes[i / 4].end - value_bytes[i / 4].begin);
        }
        quant_expand(dtype, p.w, p.n_out * p.n_in, p.w_f32);
        for (size_t k = 0; k < p.n_rows * p.x_stride; k++) {
            p.x[k] = k / p.x_stride % 2 ? -1.0f : 1.0f;
        }
        check_problem(*state, &rng, p);
    }
}

static void test_linear_row_alone_equals_row_in_batch(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 3;
    for (int dtype = 0; dtype < N_CPU_DTYPES; dtype++) {
        size_t n_in = dtype_is_plain((enum dtype)dtype) ? 530 : 768;
        struct problem p = problem_make(&rng, (enum dtype)dtype, (struct shape){ 40, n_in }, 45);
        for (size_t i = 0; i < all->n; i++) {
            struct matrix *m = matrix_make(all->b[i], &p, &rng);
            float *want = problem_run(all->b[i], &p, m, 0, p.n_rows);
            for (size_t first = 0; first < p.n_rows;) {
                size_t left = p.n_rows - first, n = 1 + rng_below(&rng, left < 20 ? left : 20);
                float *y = problem_run(all->b[i], &p, m, first, n);
                assert_same_bits(y + first * p.y_stride, want + first * p.y_stride, n * p.y_stride, all->b[i]);
                free(y);
                first += n;
            }
            free(want);
            all->b[i]->ops->matrix_free(all->b[i], m);
        }
        problem_free(&p);
    }
}

static void test_linear_more_rows_than_one_pass_equal_single_rows(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 4;
    struct problem problems[] = { problem_make(&rng, DTYPE_BF16, (struct shape){ 40, 70 }, 600),
                                  problem_make(&rng, DTYPE_Q4_0, (struct shape){ 40, 64 }, 600) };
    for (size_t i = 0; i < 2 * all->n; i++) {
        const struct problem *p = &problems[i % 2];
        struct backend *b = all->b[i / 2];
        struct matrix *m = matrix_make(b, p, &rng);
        float *want = problem_run(b, p, m, 0, p->n_rows);
        for (size_t row = 0; row < p->n_rows; row += 37) {
            float *y = problem_run(b, p, m, row, 1);
            assert_same_bits(y + row * p->y_stride, want + row * p->y_stride, p->n_out, b);
            free(y);
        }
        free(want);
        b->ops->matrix_free(b, m);
    }
    problem_free(&problems[0]);
    problem_free(&problems[1]);
}

static void test_linear_other_rows_nan_leave_a_row_alone(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 5;
    for (size_t i = 0; i < 2 * all->n; i++) {
        struct backend *b = all->b[i / 2];
        struct problem p = problem_make(&rng, i % 2 ? DTYPE_Q4_K : DTYPE_BF16, (struct shape){ 33, 256 }, 9);
        struct matrix *m = matrix_make(b, &p, &rng);
        p.x[4 * p.x_stride] = 0.5f;
        float *want = problem_run(b, &p, m, 0, p.n_rows);
        p.x[4 * p.x_stride] = NAN;
        float *y = problem_run(b, &p, m, 0, p.n_rows);
        assert_same_bits(y, want, 4 * p.y_stride, b);
        assert_same_bits(y + 5 * p.y_stride, want + 5 * p.y_stride, 4 * p.y_stride, b);
        assert_true(isnan(y[4 * p.y_stride])); // the control: the NaN does reach its own row
        free(y);
        free(want);
        b->ops->matrix_free(b, m);
        problem_free(&p);
    }
}

// Of every run of outputs the largest, against a loop over what the product gave; among them what is not a number.
static void test_linear_maxima_are_those_of_the_outputs(void **state)
{
    const struct test_backends *all = *state;
    static const struct shape sizes[] = { { 1, 4 }, { 31, 6 }, { 32, 7 }, { 65, 40 }, { 500, 130 } };
    static const size_t rows[] = { 1, 4, 5, 40, 300 };
    uint64_t rng = 7;
    for (size_t c = 0; c < 25; c++) {
        struct problem p = problem_make(&rng, (enum dtype)(c % 3), sizes[c % 5], rows[c / 5]);
        size_t n_runs = (p.n_out + MAXIMA_OUTPUTS - 1) / MAXIMA_OUTPUTS;
        p.accumulate = true;
        p.y[rng_below(&rng, p.n_out)] = NAN;
        for (size_t i = 0; i < p.n_out && i < 2 * MAXIMA_OUTPUTS; i++) { // of the last row nothing is one, in some runs
            p.y[(p.n_rows - 1) * p.y_stride + i] = NAN;
        }
        for (size_t b = 0; b < all->n; b++) {
            struct matrix *m = matrix_make(all->b[b], &p, &rng);
            float *y = malloc(p.n_rows * p.y_stride * sizeof(*y));
            float *maxima = random_floats(&rng, p.n_rows * n_runs + 1), guard = maxima[p.n_rows * n_runs];
            memcpy(y, p.y, p.n_rows * p.y_stride * sizeof(*y));
            const struct op_linear op = { .w = m,
                                          .bias = p.bias,
                                          .x = p.x,
                                          .y = y,
                                          .maxima = maxima,
                                          .x_stride = p.x_stride,
                                          .y_stride = p.y_stride,
                                          .n_rows = p.n_rows,
                                          .accumulate = true };
            all->b[b]->ops->linear(all->b[b], &op);
            for (size_t i = 0; i < p.n_rows * n_runs; i++) {
                size_t first = i % n_runs * MAXIMA_OUTPUTS;
                float want = -INFINITY;
                for (size_t o = first; o < p.n_out && o < first + MAXIMA_OUTPUTS; o++) {
                    float v = y[i / n_runs * p.y_stride + o];
                    want = v > want ? v : want;
                }
                assert_true(maxima[i] == want);
            }
            assert_true(maxima[p.n_rows * n_runs] == guard);
            free(maxima);
            free(y);
            all->b[b]->ops->matrix_free(all->b[b], m);
        }
        problem_free(&p);
    }
}

static void test_embed_rows_are_exact(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 6;
    const size_t n_vocab = 77, dim = 51, n_rows = 40;
    for (size_t i = 0; i < all->n * 3; i++) {
        struct backend *b = all->b[i / 3];
        struct problem p = problem_make(&rng, (enum dtype)(i % 3), (struct shape){ n_vocab, dim }, 0);
        struct matrix *m = matrix_make(b, &p, &rng);
        int32_t ids[40];
        float *y = random_floats(&rng, n_rows * dim);
        for (size_t r = 0; r < n_rows; r++) {
            ids[r] = (int32_t)rng_below(&rng, n_vocab);
        }
        ids[0] = 0;
        ids[1] = (int32_t)n_vocab - 1;
        struct op_embed op = { .table = m, .token_ids = ids, .y = y, .n_rows = n_rows, .scale = 1.7f };
        b->ops->embed(b, &op);
        for (size_t r = 0; r < n_rows; r++) {
            for (size_t k = 0; k < dim; k++) {
                assert_true(y[r * dim + k] == p.w_f32[(size_t)ids[r] * dim + k] * 1.7f);
            }
        }
        op.n_rows = 0;
        b->ops->embed(b, &op);
        free(y);
        b->ops->matrix_free(b, m);
        problem_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_any_shape_equals_double_and_all_isas_agree),
        cmocka_unit_test(test_linear_blocks_of_any_format_equal_double_and_all_isas_agree),
        cmocka_unit_test(test_linear_blocks_of_extreme_values_equal_double_and_all_isas_agree),
        cmocka_unit_test(test_linear_row_alone_equals_row_in_batch),
        cmocka_unit_test(test_linear_more_rows_than_one_pass_equal_single_rows),
        cmocka_unit_test(test_linear_other_rows_nan_leave_a_row_alone),
        cmocka_unit_test(test_linear_maxima_are_those_of_the_outputs),
        cmocka_unit_test(test_embed_rows_are_exact),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
