// RMS norm, gated linear units, soft caps, gather and the conversions: against double precision, and bit for bit
// between instruction sets.
#include "kernels/routes.h"
#include "tests/kernels/kernel_test.h"

static const size_t dims[] = { 1, 3, 8, 15, 16, 17, 63, 64, 65, 100, 288, 2048, 9000 };
#define N_DIMS (sizeof(dims) / sizeof(*dims))
static const size_t row_counts[] = { 0, 1, 17, 100 };

static void check_rms_norm(const struct test_backends *all, uint64_t *rng, size_t n_rows, size_t dim)
{
    float *x = random_floats(rng, n_rows * dim), *weight = random_floats(rng, dim);
    float *want = malloc((n_rows * dim + 1) * sizeof(*want)), *y = malloc((n_rows * dim + 1) * sizeof(*y));
    const float eps = 1e-5f;
    for (size_t i = 0; i < all->n; i++) {
        struct backend *b = all->b[i];
        struct op_rms_norm op = {
            .x = x, .weight = weight, .y = i == 0 ? want : y, .n_rows = n_rows, .dim = dim, .eps = eps
        };
        if (i % 2 == 1) { // in place
            memcpy(y, x, n_rows * dim * sizeof(*x));
            op.x = y;
        }
        b->ops->rms_norm(b, &op);
        assert_same_bits(op.y, want, n_rows * dim, b);
    }
    for (size_t r = 0; r < n_rows; r++) {
        double sum = 0;
        for (size_t i = 0; i < dim; i++) {
            sum += (double)x[r * dim + i] * (double)x[r * dim + i];
        }
        for (size_t i = 0; i < dim; i++) {
            double exact = (double)x[r * dim + i] / sqrt(sum / (double)dim + (double)eps) * (double)weight[i];
            assert_near(want[r * dim + i], exact, 1e-6 * fabs(exact) + 1e-30);
        }
    }
    free(x);
    free(weight);
    free(want);
    free(y);
}

static void test_rms_norm_any_shape_equals_double_and_all_isas_agree(void **state)
{
    uint64_t rng = 10;
    for (size_t d = 0; d < N_DIMS; d++) {
        check_rms_norm(*state, &rng, row_counts[d % 4], dims[d]);
        check_rms_norm(*state, &rng, 2, dims[d]);
    }
}

// Heads of rows of something wider, and results that are added: what dense rows give, and nothing else is touched.
static void test_rms_norm_groups_and_accumulation_equal_dense_rows(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 15;
    enum { DIM = 24, GROUP = 3, N_GROUPS = 7, STRIDE = DIM * GROUP + 40, N = N_GROUPS * STRIDE };
    float *x = random_floats(&rng, N), *y = random_floats(&rng, N), *weight = random_floats(&rng, DIM);
    float *sum = random_floats(&rng, N), dense[GROUP * DIM], added[N];
    for (size_t i = 0; i < all->n; i++) {
        struct backend *b = all->b[i];
        memcpy(y, x, N * sizeof(*x));
        memcpy(added, sum, sizeof(added));
        struct op_rms_norm op = { .x = y, .weight = weight, .y = y, .dim = DIM, .eps = 1e-6f };
        op.n_rows = N_GROUPS * GROUP;
        op.group = GROUP;
        op.stride = STRIDE;
        b->ops->rms_norm(b, &op);
        op.x = x;
        op.y = added;
        op.accumulate = true;
        b->ops->rms_norm(b, &op);
        for (size_t g = 0; g < N_GROUPS; g++) {
            struct op_rms_norm want = {
                .x = x + g * STRIDE, .weight = weight, .y = dense, .n_rows = GROUP, .dim = DIM, .eps = 1e-6f
            };
            b->ops->rms_norm(b, &want);
            assert_same_bits(y + g * STRIDE, dense, GROUP * DIM, b);
            for (size_t j = 0; j < STRIDE; j++) {
                float term = j < GROUP * DIM ? dense[j] : 0;
                float before = sum[g * STRIDE + j], after = before + term;
                assert_same_bits(&added[g * STRIDE + j], j < GROUP * DIM ? &after : &before, 1, b);
            }
            assert_same_bits(y + g * STRIDE + GROUP * DIM, x + g * STRIDE + GROUP * DIM, STRIDE - GROUP * DIM, b);
        }
    }
    free(x);
    free(y);
    free(weight);
    free(sum);
}

static void test_rms_norm_row_alone_equals_row_in_batch(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 11;
    const size_t dim = 1000, n_rows = 50;
    float *x = random_floats(&rng, n_rows * dim), *weight = random_floats(&rng, dim);
    float *batch = random_floats(&rng, n_rows * dim), *alone = random_floats(&rng, dim);
    for (size_t i = 0; i < all->n; i++) {
        struct backend *b = all->b[i];
        struct op_rms_norm op = { .x = x, .weight = weight, .y = batch, .n_rows = n_rows, .dim = dim, .eps = 1e-6f };
        b->ops->rms_norm(b, &op);
        op.y = alone;
        op.n_rows = 1;
        for (size_t r = 0; r < n_rows; r++) {
            op.x = x + r * dim;
            b->ops->rms_norm(b, &op);
            assert_same_bits(alone, batch + r * dim, dim, b);
        }
    }
    free(x);
    free(weight);
    free(batch);
    free(alone);
}

static double glu_exact(enum glu kind, double gate, double up)
{
    switch (kind) {
    case GLU_SILU: return gate / (1 + exp(-gate)) * up;
    case GLU_GELU_TANH: return gate / 2 * (1 + tanh(sqrt(2 / M_PI) * (gate + 0.044715 * gate * gate * gate))) * up;
    case GLU_SILU_CLAMPED:
        gate = gate < 7 ? gate : 7;
        up = up < -7 ? -7 : up > 7 ? 7 : up;
        return gate / (1 + exp(-1.702 * gate)) * (up + 1);
    }
    return NAN;
}

static void check_glu(const struct test_backends *all, uint64_t *rng, enum glu kind, size_t n_rows, size_t dim)
{
    float *x = random_floats(rng, n_rows * 2 * dim);
    float *want = malloc((n_rows * dim + 1) * sizeof(*want)), *y = malloc((n_rows * dim + 1) * sizeof(*y));
    for (size_t i = 0; i < n_rows * 2 * dim; i++) {
        x[i] *= 20;
    }
    for (size_t i = 0; i < all->n; i++) {
        struct op_glu op = { .x = x, .y = i == 0 ? want : y, .n_rows = n_rows, .dim = dim, .kind = kind };
        all->b[i]->ops->glu(all->b[i], &op);
        assert_same_bits(op.y, want, n_rows * dim, all->b[i]);
    }
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t i = 0; i < dim; i++) {
            double gate = (double)x[r * 2 * dim + i], up = (double)x[r * 2 * dim + dim + i];
            double exact = glu_exact(kind, gate, up);
            // The exponent of an e^x is rounded, which an argument of a hundred makes 1e-5 of tiny results.
            double tolerance = kind == GLU_SILU ? 5e-7 * fabs(exact) + 1e-30 : 1e-6 * fabs(exact) + 2e-6;
            assert_near(want[r * dim + i], exact, tolerance);
        }
    }
    free(x);
    free(want);
    free(y);
}

static void test_glu_any_shape_equals_double_and_all_isas_agree(void **state)
{
    uint64_t rng = 12;
    for (size_t d = 0; d < N_DIMS; d++) {
        for (enum glu kind = GLU_SILU; kind <= GLU_SILU_CLAMPED; kind++) {
            check_glu(*state, &rng, kind, row_counts[d % 4], dims[d]);
            check_glu(*state, &rng, kind, 1, dims[d]);
        }
    }
}

static void test_glu_extreme_gates_stay_finite_or_become_nan(void **state)
{
    const struct test_backends *all = *state;
    const float x[14] = { -INFINITY, -1000, -100, 0, 100, 1000, NAN, 1, 1, 1, 1, 1, 1, 1 };
    for (size_t i = 0; i < all->n; i++) {
        float y[7];
        struct op_glu op = { .x = x, .y = y, .n_rows = 1, .dim = 7 };
        all->b[i]->ops->glu(all->b[i], &op);
        assert_true(isnan(y[0])); // -inf / inf, as the formula has it
        assert_true(y[1] == 0 && fabsf(y[2]) < 1e-35f && y[3] == 0 && y[4] == 100 && y[5] == 1000);
        assert_true(isnan(y[6]));
    }
}

static void test_softcap_any_length_equals_double_and_all_isas_agree(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 14;
    for (size_t d = 0; d < N_DIMS; d++) {
        size_t n = dims[d] * 3;
        float *x = random_floats(&rng, n), *want = random_floats(&rng, n), *y = random_floats(&rng, n);
        float cap = d % 2 ? 30.0f : 50.0f;
        for (size_t i = 0; i < n; i++) {
            x[i] *= i % 3 == 0 ? 1e-3f : i % 3 == 1 ? 40 : 1000; // where it is linear, where it bends, where it is flat
        }
        for (size_t i = 0; i < all->n; i++) {
            struct op_softcap op = { .x = i == 0 ? want : y, .n = n, .cap = cap };
            memcpy(op.x, x, n * sizeof(*x));
            all->b[i]->ops->softcap(all->b[i], &op);
            assert_same_bits(op.x, want, n, all->b[i]);
        }
        for (size_t i = 0; i < n; i++) {
            double exact = (double)cap * tanh((double)x[i] / (double)cap);
            assert_near(want[i], exact, 4e-7 * fabs(exact));
        }
        free(x);
        free(want);
        free(y);
    }
}

// Those of an expert side by side, in the order of rows.
static void expect_slots(const struct routes *routes)
{
    size_t n = routes->n_rows * routes->n_used;
    assert_int_equal(routes->first[0], 0);
    assert_int_equal(routes->first[routes->n_experts], n);
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = routes->slots[i], expert = routes->experts[i];
        assert_true(slot >= routes->first[expert] && slot < routes->first[expert + 1]);
        assert_int_equal(routes->rows[slot], i / routes->n_used);
        assert_true(slot == routes->first[expert] || routes->rows[slot - 1] < routes->rows[slot]);
    }
}

static void test_route_and_combine_equal_double_and_all_isas_agree(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 16;
    enum { N_ROWS = 37, N_EXPERTS = 11, N_USED = 3, DIM = 100 };
    float *logits = random_floats(&rng, N_ROWS * N_EXPERTS), *x = random_floats(&rng, N_ROWS * N_USED * DIM);
    float *y = random_floats(&rng, N_ROWS * DIM), want[N_ROWS * DIM], got[N_ROWS * DIM];
    uint32_t *mem = malloc(routes_n_words(N_ROWS, N_EXPERTS, N_USED) * sizeof(*mem));
    const struct routes routes = routes_in(mem, N_ROWS, N_EXPERTS, N_USED);
    const uint32_t *experts = routes.experts;
    const float *weights = routes.weights;
    logits[2] = logits[7] = 5; // a tie
    for (size_t i = 0; i < 2 * all->n; i++) {
        struct backend *b = all->b[i / 2];
        const struct op_route route = { .logits = logits, .routes = &routes, .is_normalized = i % 2 == 0 };
        b->ops->route(b, &route);
        expect_slots(&routes);
        assert_int_equal(experts[0], 2);
        assert_int_equal(experts[1], 7);
        for (size_t r = 0; r < N_ROWS; r++) {
            double sum = 0, chosen = 0;
            for (size_t e = 0; e < N_EXPERTS; e++) {
                bool is_chosen = false;
                for (size_t k = 0; k < N_USED; k++) {
                    is_chosen = is_chosen || experts[r * N_USED + k] == e;
                }
                sum += exp((double)logits[r * N_EXPERTS + e]);
                chosen += is_chosen ? exp((double)logits[r * N_EXPERTS + e]) : 0;
                assert_true(is_chosen ||
                            logits[r * N_EXPERTS + e] <= logits[r * N_EXPERTS + experts[r * N_USED + N_USED - 1]]);
            }
            for (size_t k = 0; k < N_USED; k++) {
                double exact = exp((double)logits[r * N_EXPERTS + experts[r * N_USED + k]]) / (i % 2 ? sum : chosen);
                assert_near(weights[r * N_USED + k], exact, 1e-7);
            }
        }
        struct op_combine combine = { .x = x, .routes = &routes, .y = i < 2 ? want : got, .dim = DIM };
        memcpy(combine.y, y, sizeof(want));
        b->ops->combine(b, &combine);
        for (size_t r = 0; i == 0 && r < N_ROWS; r++) {
            for (size_t d = 0; d < DIM; d++) {
                double exact = (double)y[r * DIM + d];
                for (size_t k = 0; k < N_USED; k++) {
                    exact += (double)weights[r * N_USED + k] * (double)x[routes.slots[r * N_USED + k] * DIM + d];
                }
                assert_near(want[r * DIM + d], exact, 1e-6);
            }
        }
        if (i % 2 == 1) { // `want` is of the second kind of weights now
            assert_same_bits(combine.y, want, N_ROWS * DIM, b);
        }
    }
    free(mem);
    free(logits);
    free(x);
    free(y);
}

static void test_gather_rows_are_copied(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 13;
    const size_t dim = 300, n_rows = 90;
    float *x = random_floats(&rng, 50 * dim), *y = random_floats(&rng, n_rows * dim);
    uint32_t rows[90];
    for (size_t r = 0; r < n_rows; r++) {
        rows[r] = (uint32_t)rng_below(&rng, 50);
    }
    for (size_t i = 0; i < all->n; i++) {
        memset(y, 0, n_rows * dim * sizeof(*y));
        struct op_gather op = { .x = x, .rows = rows, .y = y, .n_rows = n_rows, .dim = dim };
        all->b[i]->ops->gather(all->b[i], &op);
        for (size_t r = 0; r < n_rows; r++) {
            assert_memory_equal(y + r * dim, x + rows[r] * dim, dim * sizeof(*y));
        }
        op.n_rows = 0;
        all->b[i]->ops->gather(all->b[i], &op);
    }
    free(x);
    free(y);
}

static void test_convert_every_half_survives_a_round_trip(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float as_f16 = f32_from_f16((uint16_t)h), as_bf16 = f32_from_bf16((uint16_t)h);
        if (isnan(as_f16)) {
            assert_true(isnan(f32_from_f16(f16_from_f32(as_f16))));
        } else {
            assert_true(f16_from_f32(as_f16) == h);
        }
        if (isnan(as_bf16)) {
            assert_true(isnan(f32_from_bf16(bf16_from_f32(as_bf16))));
        } else {
            assert_true(bf16_from_f32(as_bf16) == h);
        }
    }
    assert_true(f32_from_f16(0x3c00) == 1.0f && f32_from_f16(0x0001) == 0x1p-24f && f32_from_f16(0xfbff) == -65504.0f);
}

// Half way between two neighbours goes to the even one; a little beside it to the nearer.
static void test_convert_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7bff; h++) {
        float lo = f32_from_f16((uint16_t)h), hi = f32_from_f16((uint16_t)(h + 1)), mid = lo + (hi - lo) / 2;
        assert_int_equal(f16_from_f32(mid), h + (h & 1));
        assert_int_equal(f16_from_f32(nextafterf(mid, INFINITY)), h + 1);
        assert_int_equal(f16_from_f32(nextafterf(mid, 0)), h);
        assert_int_equal(f16_from_f32(-mid), 0x8000 | (h + (h & 1)));
    }
    for (uint32_t h = 0; h < 0x7f7f; h++) {
        assert_int_equal(bf16_from_f32(f32_from_bits(h << 16 | 0x8000)), h + (h & 1));
        assert_int_equal(bf16_from_f32(f32_from_bits(h << 16 | 0x8001)), h + 1);
        assert_int_equal(bf16_from_f32(f32_from_bits(h << 16 | 0x7fff)), h);
    }
    assert_int_equal(f16_from_f32(65520.0f), 0x7c00);
    assert_int_equal(f16_from_f32(65519.0f), 0x7bff);
    assert_int_equal(f16_from_f32(INFINITY), 0x7c00);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rms_norm_any_shape_equals_double_and_all_isas_agree),
        cmocka_unit_test(test_rms_norm_groups_and_accumulation_equal_dense_rows),
        cmocka_unit_test(test_rms_norm_row_alone_equals_row_in_batch),
        cmocka_unit_test(test_glu_any_shape_equals_double_and_all_isas_agree),
        cmocka_unit_test(test_glu_extreme_gates_stay_finite_or_become_nan),
        cmocka_unit_test(test_softcap_any_length_equals_double_and_all_isas_agree),
        cmocka_unit_test(test_route_and_combine_equal_double_and_all_isas_agree),
        cmocka_unit_test(test_gather_rows_are_copied),
        cmocka_unit_test(test_convert_every_half_survives_a_round_trip),
        cmocka_unit_test(test_convert_rounds_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
