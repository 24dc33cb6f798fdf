// Weights in the form that linear_body.h streams; struct matrix (kernels.h) draws it.
//
// Filling is a transposition: each of a tile's LINEAR_TILE rows goes to its lane. It is split by tiles, so no two
// workers write one cache line. matrix_quant.c has that of block formats.
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/quant_tile.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TOUCH_BYTES 4096
#define FILL_BLOCK  64 // inputs

struct fill_job {
    struct matrix *m;
    size_t row, n_rows;
    const unsigned char *src; // [n_rows][n_in] as in a file
};

static void touch_tiles(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    struct matrix *m = ctx;
    volatile unsigned char *data = m->data;
    for (size_t i = begin * m->tile_bytes; i < end * m->tile_bytes; i += TOUCH_BYTES) {
        data[i] = 0;
    }
}

static bool grow_packed(struct cpu_backend *cpu, size_t n_in)
{
    size_t bytes = LINEAR_ROWS_MAX * ((n_in - 1) / LINEAR_K_BLOCK + 1) * LINEAR_PACKED_BYTES;
    if (bytes <= cpu->packed_bytes) {
        return true;
    }
    unsigned char *packed = memory_new(bytes);
    if (packed == NULL) {
        return false;
    }
    memory_free(cpu->packed);
    cpu->packed = packed;
    cpu->packed_bytes = bytes;
    return true;
}

struct matrix *cpu_matrix_new(struct backend *b, enum dtype dtype, size_t n_out, size_t n_in)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    assert(n_in % dtype_format(dtype).block_len == 0);
    assert(n_out > 0 && n_in > 0 && n_in <= (size_t)1 << 32 && n_out <= (size_t)1 << 32);
    struct matrix *m = calloc(1, sizeof(*m));
    if (m == NULL || !grow_packed(cpu, n_in)) {
        free(m);
        return NULL;
    }
    m->dtype = dtype;
    m->n_out = n_out;
    m->n_in = n_in;
    m->n_tiles = (n_out + LINEAR_TILE - 1) / LINEAR_TILE;
    if (dtype_is_plain(dtype)) {
        size_t step = dtype == DTYPE_BF16 ? 32 : 2;
        m->tile_bytes = (n_in + step - 1) / step * step * LINEAR_TILE * dtype_bytes(dtype);
    } else {
        m->tile_bytes = quant_tile_bytes(quant_tile(dtype), n_in);
    }
    if (__builtin_mul_overflow(m->n_tiles, m->tile_bytes, &m->bytes)) {
        free(m);
        return NULL;
    }
    m->data = memory_new(m->bytes);
    if (m->data == NULL) {
        free(m);
        return NULL;
    }
    // Split as linear.c splits the product, so that each worker's pages are near it.
    pool_run(cpu->pool, m->n_tiles, 1, touch_tiles, m);
    return m;
}

void cpu_matrix_free(struct backend *b, struct matrix *m)
{
    (void)b;
    if (m != NULL) {
        memory_free(m->data);
        free(m);
    }
}

size_t cpu_matrix_bytes(const struct matrix *m)
{
    return m->bytes;
}

unsigned char *cpu_matrix_packed(struct matrix *m)
{
    return m->data;
}

// n elements of a row to its lane, one element of T per input.
#define SCATTER(T, dst, src, n, step)                                                                                  \
    for (size_t i = 0; i < (n); i++) {                                                                                 \
        T value;                                                                                                       \
        memcpy(&value, (src) + i * sizeof(T), sizeof(T));                                                              \
        memcpy((dst) + i * (step) * sizeof(T), &value, sizeof(T));                                                     \
    }

// Inputs [k, k + n) of one row; k is even. bf16 moves pairs, as 32-bit elements.
static void scatter(const struct matrix *m, unsigned char *tile, size_t lane, size_t k, const unsigned char *src,
                    size_t n)
{
    size_t element = dtype_bytes(m->dtype);
    unsigned char *at = tile + k * LINEAR_TILE * element;
    if (m->dtype == DTYPE_F32) {
        SCATTER(uint32_t, at + lane * 4, src, n, LINEAR_TILE);
    } else if (m->dtype == DTYPE_F16) {
        SCATTER(uint16_t, at + lane * 2, src, n, LINEAR_TILE);
    } else {
        SCATTER(uint32_t, at + lane * 4, src, n / 2, LINEAR_TILE);
        if (n % 2 != 0) {
            memcpy(at + (n / 2) * LINEAR_TILE * 4 + lane * 4, src + (n - 1) * 2, 2);
        }
    }
}

// Rows [first, last) of a tile, a block of inputs of all of them at a time, which keeps the target in the cache.
static void fill_plain(const struct fill_job *job, size_t tile, size_t first, size_t last)
{
    struct matrix *m = job->m;
    for (size_t k = 0; k < m->n_in; k += FILL_BLOCK) {
        size_t n = m->n_in - k < FILL_BLOCK ? m->n_in - k : FILL_BLOCK;
        for (size_t row = first; row < last; row++) {
            const unsigned char *src = job->src + ((row - job->row) * m->n_in + k) * dtype_bytes(m->dtype);
            scatter(m, m->data + tile * m->tile_bytes, row % LINEAR_TILE, k, src, n);
        }
    }
}

// Tiles counted from the one that holds job->row.
static void fill_tiles(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    const struct fill_job *job = ctx;
    struct matrix *m = job->m;
    for (size_t tile = job->row / LINEAR_TILE + begin; tile < job->row / LINEAR_TILE + end; tile++) {
        size_t first = tile * LINEAR_TILE > job->row ? tile * LINEAR_TILE : job->row;
        size_t last =
            (tile + 1) * LINEAR_TILE < job->row + job->n_rows ? (tile + 1) * LINEAR_TILE : job->row + job->n_rows;
        if (dtype_is_plain(m->dtype)) {
            fill_plain(job, tile, first, last);
            continue;
        }
        for (size_t row = first; row < last; row++) {
            matrix_quant_fill_row(m, row, job->src + dtype_row_bytes(m->dtype, (row - job->row) * m->n_in));
        }
    }
}

void cpu_matrix_fill(struct backend *b, struct matrix *m, size_t row, size_t n_rows, const void *host_rows)
{
    assert(row <= m->n_out && n_rows <= m->n_out - row);
    if (n_rows == 0) {
        return;
    }
    struct fill_job job = { .m = m, .row = row, .n_rows = n_rows, .src = host_rows };
    size_t n_tiles = (row + n_rows - 1) / LINEAR_TILE - row / LINEAR_TILE + 1;
    pool_run(cpu_backend_of(b)->pool, n_tiles, 1, fill_tiles, &job);
}
