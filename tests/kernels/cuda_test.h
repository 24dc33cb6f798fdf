// What the tests of the CUDA backend share: the backend in both its forms beside the scalar reference, and its memory.
#ifndef TOKFS_TESTS_KERNELS_CUDA_TEST_H
#define TOKFS_TESTS_KERNELS_CUDA_TEST_H

#include "kernels/cuda/cuda.h"
#include "tests/kernels/kernel_test.h"

static inline struct backend *open_cuda(bool is_deterministic)
{
    struct backend *b = NULL;
    const struct backend_options options = { .n_threads = 1, .deterministic = is_deterministic };
    struct err err = { 0 };
    int r = cuda_backend_open(&options, &b, &err);
    if (r < 0) {
        fprintf(stderr, "%s\n", err.msg);
        exit(r == -EOPNOTSUPP ? TEST_EXIT_SKIP : 1);
    }
    return b;
}

// With products by "mma" or "wgmma" (TOKFS_CUDA_PRODUCTS); NULL: this device has no wgmma.
static inline struct backend *open_cuda_products(const char *way, bool is_deterministic)
{
    struct backend *b = NULL;
    const struct backend_options options = { .n_threads = 1, .deterministic = is_deterministic };
    setenv("TOKFS_CUDA_PRODUCTS", way, 1);
    int r = cuda_backend_open(&options, &b, NULL);
    unsetenv("TOKFS_CUDA_PRODUCTS");
    assert_true(r == 0 || (r == -EINVAL && strcmp(way, "wgmma") == 0));
    return r == 0 ? b : NULL;
}

struct pair {
    struct backend *cpu, *cuda, *deterministic;
};

static inline int open_pair(void **state)
{
    struct pair *p = malloc(sizeof(*p));
    *p = (struct pair){ open_or_null("scalar", 1), open_cuda(false), open_cuda(true) };
    *state = p;
    return 0;
}

static inline int close_pair(void **state)
{
    struct pair *p = *state;
    p->cpu->ops->close(p->cpu);
    p->cuda->ops->close(p->cuda);
    p->deterministic->ops->close(p->deterministic);
    free(p);
    return 0;
}

// Within `tolerance` of the larger of 1 and the wanted magnitude.
static inline void assert_all_near(const float *got, const float *want, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++) {
        double scale = fabs((double)want[i]) > 1 ? fabs((double)want[i]) : 1;
        if (!(fabs((double)got[i] - (double)want[i]) <= tolerance * scale)) {
            fail_msg("element %zu of %zu is %.9g, not %.9g", i, n, (double)got[i], (double)want[i]);
        }
    }
}

static inline float *copy_of(const float *x, size_t n)
{
    float *copy = malloc((n + 1) * sizeof(*copy));
    memcpy(copy, x, n * sizeof(*copy));
    return copy;
}

// On the device of a backend; NULL for NULL.
static inline void *sent(struct backend *b, const void *host, size_t bytes)
{
    void *mem = host ? b->ops->alloc(b, bytes + 1) : NULL;
    if (mem) {
        b->ops->upload(b, mem, host, bytes);
    }
    return mem;
}

static inline float *sent_floats(struct backend *b, const float *host, size_t n)
{
    return sent(b, host, n * sizeof(*host));
}

static inline void fetch(struct backend *b, void *host, void *mem, size_t bytes)
{
    b->ops->download(b, host, mem, bytes);
    b->ops->free(b, mem);
}

#endif
