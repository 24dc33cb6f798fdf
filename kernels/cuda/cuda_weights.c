// Weights: room on the device for a matrix, and its rows from the file's bytes into it. From pinned memory they go by
// themselves; rows of block formats are put in place by the device; those that have no kernels are expanded to bf16.
#include "kernels/cuda/blocks.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/quant.h"

#include <assert.h>
#include <stdlib.h>

#define FILL_BYTES ((size_t)16 << 20) // of rows in block formats, on their way into place

bool cuda_grow_rows_16(struct cuda_backend *cuda, size_t bytes)
{
    if (bytes <= cuda->rows_16_bytes) {
        return true;
    }
    void *larger = gpu_alloc(cuda->gpu, 2 * bytes);
    if (!larger) {
        return false;
    }
    if (cuda->rows_16) {
        graphs_forget(&cuda->graphs);
        gpu_free(cuda->gpu, cuda->rows_16);
    }
    cuda->rows_16 = larger;
    cuda->rows_16_bytes = 2 * bytes;
    return true;
}

// Rows that fit FILL_BYTES; one at least.
static size_t n_fill_rows(const struct matrix *m)
{
    size_t n = FILL_BYTES / dtype_row_bytes(m->source, m->gpu.n_in);
    return n > 0 ? n : 1;
}

static size_t matrix_bytes_of(const struct gpu_matrix *m)
{
    return blocks_has(m->dtype) ? blocks_bytes(m->dtype, m->n_out, m->n_in)
                                : m->n_out * m->n_in * dtype_bytes(m->dtype);
}

#define ROUNDED_ROWS_MIN 64 // rows of x that wgmma must be able to take at a time

// Memory of the matrix: false if there is none.
static bool matrix_alloc(struct cuda_backend *cuda, struct matrix *m)
{
    size_t n_rows = n_fill_rows(m) < m->gpu.n_out ? n_fill_rows(m) : m->gpu.n_out;
    if (blocks_has(m->gpu.dtype) && !cuda_grow_rows_16(cuda, n_rows * dtype_row_bytes(m->source, m->gpu.n_in))) {
        return false;
    }
    m->gpu.data = gpu_alloc(cuda->gpu, matrix_bytes_of(&m->gpu));
    m->has_map = m->gpu.data && gemm_map(&cuda->gemm, &m->gpu, &m->map);
    if (m->has_map && !cuda_grow_rows_16(cuda, ROUNDED_ROWS_MIN * m->gpu.n_in * 2)) {
        gpu_free(cuda->gpu, m->gpu.data);
        m->gpu.data = NULL;
    }
    return m->gpu.data;
}

// Rows of block types that have no kernels are expanded: see matrix_fill.
struct matrix *cuda_matrix_new(struct backend *b, enum dtype dtype, size_t n_out, size_t n_in)
{
    struct cuda_backend *cuda = cuda_of(b);
    assert(n_out > 0 && n_in > 0);
    struct matrix *m = aligned_alloc(_Alignof(struct matrix), sizeof(*m));
    if (!m) {
        return NULL;
    }
    *m = (struct matrix){ .source = dtype,
                          .gpu = { .dtype = dtype_is_plain(dtype) || blocks_has(dtype) ? dtype : DTYPE_BF16,
                                   .n_out = n_out,
                                   .n_in = n_in } };
    if (!matrix_alloc(cuda, m)) {
        free(m);
        return NULL;
    }
    return m;
}

// From the file's bytes to the device: from pinned memory they go by themselves.
static void send_rows(struct cuda_backend *cuda, void *dst, const void *rows, size_t bytes)
{
    uintptr_t offset = (uintptr_t)rows - (uintptr_t)cuda->pinned.mem;
    bool is_pinned = cuda->pinned.mem && offset < cuda->pinned.bytes && bytes <= cuda->pinned.bytes - offset;
    (is_pinned ? gpu_copy_in : gpu_upload)(cuda->gpu, dst, rows, bytes);
}

#define EXPAND_BLOCK (16 * QUANT_SUPERBLOCK)

static void fill_expanded(struct cuda_backend *cuda, struct matrix *m, size_t first, size_t n, const unsigned char *src)
{
    float values[EXPAND_BLOCK];
    uint16_t rounded[EXPAND_BLOCK];
    for (size_t i = 0; i < n; i += EXPAND_BLOCK) {
        size_t n_here = n - i < EXPAND_BLOCK ? n - i : EXPAND_BLOCK;
        quant_expand(m->source, src + dtype_row_bytes(m->source, i), n_here, values);
        quant_pack(DTYPE_BF16, values, n_here, rounded);
        gpu_upload(cuda->gpu, (uint16_t *)m->gpu.data + first + i, rounded, n_here * sizeof(*rounded));
    }
}

// The device puts them in place.
static void fill_blocks(struct cuda_backend *cuda, struct matrix *m, size_t row, size_t n_rows,
                        const unsigned char *rows)
{
    size_t row_bytes = dtype_row_bytes(m->source, m->gpu.n_in), step = n_fill_rows(m);
    for (size_t i = 0; i < n_rows; i += step) {
        size_t n = n_rows - i < step ? n_rows - i : step;
        send_rows(cuda, cuda->rows_16, rows + i * row_bytes, n * row_bytes);
        gpu_blocks_pack(queue_of(cuda), &m->gpu, row + i, n, cuda->rows_16);
    }
}

void cuda_matrix_fill(struct backend *b, struct matrix *m, size_t row, size_t n_rows, const void *host_rows)
{
    assert(row <= m->gpu.n_out && n_rows <= m->gpu.n_out - row);
    size_t n = n_rows * m->gpu.n_in, first = row * m->gpu.n_in;
    if (n == 0) {
        return;
    }
    if (blocks_has(m->gpu.dtype)) {
        fill_blocks(cuda_of(b), m, row, n_rows, host_rows);
    } else if (m->source != m->gpu.dtype) {
        fill_expanded(cuda_of(b), m, first, n, host_rows);
    } else {
        size_t element = dtype_bytes(m->gpu.dtype);
        send_rows(cuda_of(b), (unsigned char *)m->gpu.data + first * element, host_rows, n * element);
    }
}

void cuda_matrix_free(struct backend *b, struct matrix *m)
{
    if (m) {
        graphs_forget(&cuda_of(b)->graphs);
        gpu_free(cuda_of(b)->gpu, m->gpu.data);
        free(m);
    }
}

size_t cuda_matrix_bytes(const struct matrix *m)
{
    return matrix_bytes_of(&m->gpu);
}
