// Products to check: random weights, rows and what they are added to; against sums in double precision.
#ifndef TOKFS_TESTS_KERNELS_LINEAR_PROBLEM_H
#define TOKFS_TESTS_KERNELS_LINEAR_PROBLEM_H

#include "tests/kernels/kernel_test.h"

struct shape {
    size_t n_out, n_in;
};

struct problem {
    enum dtype dtype;
    size_t n_out, n_in, n_rows, x_stride, y_stride;
    void *w;      // [n_out][n_in] dtype
    float *w_f32; // the same
    float *bias;  // [n_out] or NULL
    float *x;     // [n_rows][x_stride]
    float *y;     // [n_rows][y_stride]: before the operation
    bool accumulate;
};

static inline struct problem problem_make(uint64_t *rng, enum dtype dtype, struct shape shape, size_t n_rows)
{
    struct problem p = { .dtype = dtype, .n_out = shape.n_out, .n_in = shape.n_in, .n_rows = n_rows };
    p.x_stride = shape.n_in + rng_below(rng, 3);
    p.y_stride = shape.n_out + rng_below(rng, 3);
    p.w = random_elements(rng, dtype, shape.n_out * shape.n_in, &p.w_f32);
    p.bias = rng_below(rng, 2) ? random_floats(rng, shape.n_out) : NULL;
    p.x = random_floats(rng, n_rows * p.x_stride);
    p.y = random_floats(rng, n_rows * p.y_stride);
    p.accumulate = rng_below(rng, 2);
    return p;
}

static inline void problem_free(struct problem *p)
{
    free(p->w);
    free(p->w_f32);
    free(p->bias);
    free(p->x);
    free(p->y);
}

// Rows in runs of random length, the last run first.
static inline struct matrix *matrix_make(struct backend *b, const struct problem *p, uint64_t *rng)
{
    struct matrix *m = b->ops->matrix_new(b, p->dtype, p->n_out, p->n_in);
    assert_non_null(m);
    for (size_t end = p->n_out; end > 0;) {
        size_t n = 1 + rng_below(rng, end);
        const char *rows = (const char *)p->w + dtype_row_bytes(p->dtype, (end - n) * p->n_in);
        b->ops->matrix_fill(b, m, end - n, n, rows);
        end -= n;
    }
    b->ops->matrix_fill(b, m, 0, 0, NULL);
    return m;
}

// Rows [first, first + n) of the problem, on a copy of y. The caller frees.
static inline float *problem_run(struct backend *b, const struct problem *p, const struct matrix *m, size_t first,
                                 size_t n)
{
    float *y = malloc((p->n_rows * p->y_stride + 1) * sizeof(*y));
    memcpy(y, p->y, p->n_rows * p->y_stride * sizeof(*y));
    struct op_linear op = { .w = m,
                            .bias = p->bias,
                            .x = p->x + first * p->x_stride,
                            .y = y + first * p->y_stride,
                            .x_stride = p->x_stride,
                            .y_stride = p->y_stride,
                            .n_rows = n,
                            .accumulate = p->accumulate };
    b->ops->linear(b, &op);
    b->ops->sync(b);
    return y;
}

// As the product takes it: weights in bf16 are multiplied with inputs in bf16, those in blocks with inputs rounded to
// 127 steps on both sides in groups.
static inline double input(const struct problem *p, size_t row, size_t i)
{
    const float *x = p->x + row * p->x_stride;
    if (p->dtype == DTYPE_BF16) {
        return (double)f32_from_bf16(bf16_from_f32(x[i]));
    }
    if (dtype_is_plain(p->dtype)) {
        return (double)x[i];
    }
    float most = 0;
    for (size_t k = i / QUANT_BLOCK * QUANT_BLOCK; k < (i / QUANT_BLOCK + 1) * QUANT_BLOCK; k++) {
        most = fmaxf(most, fabsf(x[k]));
    }
    return (double)rintf(x[i] * (127.0f / most)) * (double)(most / 127.0f);
}

static inline void check_against_double(const struct problem *p, const float *y)
{
    for (size_t r = 0; r < p->n_rows; r++) {
        for (size_t o = 0; o < p->n_out; o++) {
            double sum = p->bias != NULL ? (double)p->bias[o] : 0;
            sum += p->accumulate ? (double)p->y[r * p->y_stride + o] : 0;
            double terms = fabs(sum);
            for (size_t i = 0; i < p->n_in; i++) {
                double term = input(p, r, i) * (double)p->w_f32[o * p->n_in + i];
                sum += term;
                terms += fabs(term);
            }
            assert_near(y[r * p->y_stride + o], sum, (dtype_is_plain(p->dtype) ? 1e-6 : 4e-6) * terms + 1e-12);
        }
        for (size_t o = p->n_out; o < p->y_stride; o++) {
            assert_true(f32_bits(y[r * p->y_stride + o]) == f32_bits(p->y[r * p->y_stride + o]));
        }
    }
}

#endif
