// Matrices are arrays of rows; vectors are memory. Operations are absent from the table.
#include "tools/model/memory_backend.h"
#include <stdlib.h>
#include <string.h>

struct memory_backend {
    struct backend backend; // first
    struct backend *cpu;
};

struct rows { // what a struct matrix is here
    size_t row_bytes, bytes;
    unsigned char data[];
};

static void close_backend(struct backend *b)
{
    free(b);
}

static void *alloc(struct backend *b, size_t bytes)
{
    (void)b;
    return calloc(1, bytes);
}

static void free_memory(struct backend *b, void *mem)
{
    (void)b;
    free(mem);
}

static void copy(struct backend *b, void *dst, const void *src, size_t bytes)
{
    (void)b;
    memcpy(dst, src, bytes);
}

static struct matrix *matrix_new(struct backend *b, enum dtype dtype, size_t n_out, size_t n_in)
{
    (void)b;
    size_t row_bytes = dtype_row_bytes(dtype, n_in), bytes;
    if (__builtin_mul_overflow(row_bytes, n_out, &bytes) || bytes > SIZE_MAX - sizeof(struct rows)) {
        return NULL;
    }
    struct rows *m = malloc(sizeof(*m) + bytes);
    if (m) {
        m->row_bytes = row_bytes;
        m->bytes = bytes;
    }
    return (struct matrix *)m;
}

static void matrix_fill(struct backend *b, struct matrix *m, size_t row, size_t n_rows, const void *host_rows)
{
    (void)b;
    struct rows *rows = (struct rows *)m;
    memcpy(rows->data + row * rows->row_bytes, host_rows, n_rows * rows->row_bytes);
}

static void matrix_free(struct backend *b, struct matrix *m)
{
    (void)b;
    free(m);
}

static size_t matrix_bytes(const struct matrix *m)
{
    return ((const struct rows *)m)->bytes;
}

static size_t n_workers(const struct backend *b)
{
    const struct backend *cpu = ((const struct memory_backend *)b)->cpu;
    return cpu->ops->n_workers(cpu);
}

static void spread(struct backend *b, size_t n_items, host_fn *fn, void *ctx)
{
    struct backend *cpu = ((struct memory_backend *)b)->cpu;
    cpu->ops->spread(cpu, n_items, fn, ctx);
}

static const struct backend_ops ops = {
    .name = "memory",
    .has_host_memory = true,
    .close = close_backend,
    .alloc = alloc,
    .free = free_memory,
    .upload = copy,
    .download = copy,
    .copy = copy,
    .matrix_new = matrix_new,
    .matrix_fill = matrix_fill,
    .matrix_free = matrix_free,
    .matrix_bytes = matrix_bytes,
    .n_workers = n_workers,
    .spread = spread,
};

struct backend *memory_backend_new(struct backend *cpu)
{
    struct memory_backend *b = calloc(1, sizeof(*b));
    if (!b) {
        return NULL;
    }
    b->backend.ops = &ops;
    b->cpu = cpu;
    return &b->backend;
}

const void *memory_matrix_row(const struct matrix *m, size_t row)
{
    const struct rows *rows = (const struct rows *)m;
    return rows->data + row * rows->row_bytes;
}
