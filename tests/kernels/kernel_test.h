// What the kernel tests share: a seeded generator, backends of every instruction set, and bit-for-bit comparison.
#ifndef TOKFS_TESTS_KERNELS_KERNEL_TEST_H
#define TOKFS_TESTS_KERNELS_KERNEL_TEST_H

#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/quant.h"
#include "tests/unit.h"
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

// Those that give the same bits; test_amx.c has the other one.
static const char *const test_isas[] = { "scalar", "avx2", "avx2vnni", "avx512", "avx512vnni", "avx512bf16" };
#define N_TEST_ISAS 6

// splitmix64 (Steele, Lea, Flood 2014)
static inline uint64_t rng_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline size_t rng_below(uint64_t *state, size_t n)
{
    return (size_t)(rng_next(state) % n);
}

// In [-1, 1).
static inline float rng_float(uint64_t *state)
{
    return (float)((double)(int64_t)rng_next(state) * 0x1p-63);
}

static inline float *random_floats(uint64_t *state, size_t n)
{
    float *x = malloc((n + 1) * sizeof(*x));
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) {
        x[i] = rng_float(state);
    }
    return x;
}

#define N_CPU_DTYPES DTYPE_F8 // those that the CPU backend has come first

// Random codes, every value that they can have, and a scale of about 0.01.
static inline void random_f8(uint64_t *state, struct block_f8 *block)
{
    block->d = 0.01f * rng_float(state);
    for (size_t i = 0; i < QUANT_F8_BLOCK; i++) {
        block->q[i] = f8_is_nan(block->q[i]) ? 0x80u : block->q[i];
    }
}

// Rows of random blocks whose scales are about 0.01.
static inline void *random_blocks(uint64_t *state, enum dtype dtype, size_t n, float **ret_values)
{
    size_t bytes = dtype_row_bytes(dtype, n), block_bytes = dtype_format(dtype).block_bytes;
    unsigned char *blocks = malloc(bytes + 1);
    assert_non_null(blocks);
    for (size_t i = 0; i < bytes; i++) {
        blocks[i] = (unsigned char)rng_next(state);
    }
    for (size_t at = 0; at < bytes; at += block_bytes) {
        if (dtype == DTYPE_MXFP4) {
            blocks[at] = (unsigned char)(115 + rng_below(state, 8));
            continue;
        }
        if (dtype == DTYPE_F8) {
            random_f8(state, (struct block_f8 *)(blocks + at));
            continue;
        }
        uint16_t d = f16_from_f32(0.01f * rng_float(state)), dmin = f16_from_f32(0.01f * rng_float(state));
        memcpy(blocks + at + (dtype == DTYPE_Q6_K ? block_bytes - 2 : 0), &d, 2);
        if (dtype == DTYPE_Q4_K || dtype == DTYPE_Q5_K || dtype == DTYPE_Q4_1 || dtype == DTYPE_Q5_1) {
            memcpy(blocks + at + 2, &dmin, 2);
        }
    }
    *ret_values = malloc((n + 1) * sizeof(float));
    assert_non_null(*ret_values);
    quant_expand(dtype, blocks, n, *ret_values);
    return blocks;
}

// Random elements of a type; *ret_values, when wanted (always of block types), are what they stand for.
static inline void *random_elements(uint64_t *state, enum dtype dtype, size_t n, float **ret_values)
{
    if (!dtype_is_plain(dtype)) {
        return random_blocks(state, dtype, n, ret_values);
    }
    float *x = random_floats(state, n);
    unsigned char *elements = malloc((n + 1) * dtype_bytes(dtype));
    assert_non_null(elements);
    for (size_t i = 0; i < n && dtype != DTYPE_F32; i++) {
        uint16_t half = dtype == DTYPE_F16 ? f16_from_f32(x[i]) : bf16_from_f32(x[i]);
        x[i] = dtype == DTYPE_F16 ? f32_from_f16(half) : f32_from_bf16(half);
        memcpy(elements + 2 * i, &half, 2);
    }
    if (dtype == DTYPE_F32) {
        memcpy(elements, x, n * sizeof(*x));
    }
    if (ret_values != NULL) {
        *ret_values = x;
    } else {
        free(x);
    }
    return elements;
}

// NULL when this processor lacks the instruction set.
static inline struct backend *open_or_null(const char *isa, unsigned n_threads)
{
    struct backend *b = NULL;
    struct err err = { 0 };
    struct backend_options options = { .n_threads = n_threads, .isa = isa };
    int r = backend_open("cpu", &options, &b, &err);
    if (r == -EOPNOTSUPP) {
        return NULL;
    }
    assert_int_equal(r, 0);
    return b;
}

// Every instruction set of this processor with 1, 2 and 3 threads, scalar (slow) with 1, which is the first, and 3.
#define N_TEST_BACKENDS_MAX 18
struct test_backends {
    struct backend *b[N_TEST_BACKENDS_MAX];
    size_t n;
};

static inline int open_all(void **state)
{
    struct test_backends *all = calloc(1, sizeof(*all));
    for (unsigned i = 0; i < N_TEST_ISAS; i++) {
        for (unsigned n_threads = 1; n_threads <= 3; n_threads++) {
            struct backend *b = i == 0 && n_threads == 2 ? NULL : open_or_null(test_isas[i], n_threads);
            if (b != NULL) {
                all->b[all->n++] = b;
            }
        }
    }
    *state = all;
    return 0;
}

static inline int close_all(void **state)
{
    struct test_backends *all = *state;
    for (size_t i = 0; i < all->n; i++) {
        all->b[i]->ops->close(all->b[i]);
    }
    free(all);
    return 0;
}

static inline void assert_same_bits(const float *got, const float *want, size_t n, const struct backend *b)
{
    for (size_t i = 0; i < n; i++) {
        if (f32_bits(got[i]) != f32_bits(want[i])) {
            fail_msg("%s: element %zu of %zu is %.9g, not %.9g", b->ops->describe(b), i, n, (double)got[i],
                     (double)want[i]);
        }
    }
}

static inline void assert_near(float got, double want, double tolerance)
{
    if (!(fabs((double)got - want) <= tolerance)) {
        fail_msg("%.9g is further than %.3g from %.9g", (double)got, tolerance, want);
    }
}

#endif
