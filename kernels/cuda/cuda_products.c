// Products of rows and weights, and which kernel does which: by the number of rows, the type of the weights, and
// whether there is cuBLAS, or wgmma.
#include "kernels/cuda/blocks.h"
#include "kernels/cuda/cuda_backend.h"

#include <assert.h>

#define EXPANDED_BYTES ((size_t)64 << 20) // of weights in block formats, for one product of rounded rows

// Outputs whose weights are made 16 bits for one product; all where they are.
static size_t n_slab_outputs(const struct gpu_matrix *w)
{
    size_t n = EXPANDED_BYTES / (w->n_in * 2) / BLOCKS_TILE * BLOCKS_TILE;
    return !blocks_has(w->dtype) || n >= w->n_out ? w->n_out : n > 0 ? n : BLOCKS_TILE;
}

// Of rounded rows: by cuBLAS or wgmma. With `deterministic` a matrix has one way, whatever the rows.
static bool is_by_rounded(const struct cuda_backend *cuda, const struct matrix *m)
{
    if (blocks_has(m->gpu.dtype)) {
        return !cuda->is_deterministic && gemm_has_any(&cuda->gemm);
    }
    return m->gpu.dtype != DTYPE_F32 && (cuda->gemm.has_cublas || m->has_map);
}

// All of op's rows, rounded at rows_16, and behind them weights of block formats as far as they are expanded at a time.
static bool multiply_rounded(struct cuda_backend *cuda, const struct op_linear *op, size_t x_bytes)
{
    const struct gpu_matrix *w = &op->w->gpu;
    void *expanded = (unsigned char *)cuda->rows_16 + x_bytes;
    size_t n_outputs = n_slab_outputs(w);
    struct gpu_gemm gemm = { .w = w->data,
                             .x = cuda->rows_16,
                             .n_rows = op->n_rows,
                             .n_in = w->n_in,
                             .y_stride = op->y_stride,
                             .is_f16 = w->dtype == DTYPE_F16,
                             .accumulate = op->accumulate };
    gpu_rows_to_16(queue_of(cuda), op, w->n_in, gemm.is_f16, cuda->rows_16);
    for (size_t out = 0; out < w->n_out; out += n_outputs) {
        gemm.y = op->y + out;
        gemm.n_out = w->n_out - out < n_outputs ? w->n_out - out : n_outputs;
        if (blocks_has(w->dtype)) {
            gemm.w = expanded;
            gpu_blocks_expand(queue_of(cuda), w, out, gemm.n_out, expanded);
        }
        if (!gemm_multiply(&cuda->gemm, &gemm, op->bias ? op->bias + out : NULL, op->w->has_map ? &op->w->map : NULL)) {
            assert(out == 0); // all of one shape go or none
            return false;
        }
    }
    return true;
}

// As many rows at a time as there is memory for. False: not of this matrix, or not one of them.
static bool linear_by_rounded(struct cuda_backend *cuda, const struct op_linear *op)
{
    const struct gpu_matrix *w = &op->w->gpu;
    if (!is_by_rounded(cuda, op->w)) {
        return false;
    }
    size_t w_bytes = blocks_has(w->dtype) ? n_slab_outputs(w) * w->n_in * 2 : 0, n_step = op->n_rows;
    size_t x_bytes = (n_step * w->n_in * 2 + 255) / 256 * 256;
    if (!cuda_grow_rows_16(cuda, x_bytes + w_bytes)) {
        n_step = cuda->rows_16_bytes > w_bytes ? (cuda->rows_16_bytes - w_bytes) / 256 * 256 / (w->n_in * 2) : 0;
        x_bytes = (n_step * w->n_in * 2 + 255) / 256 * 256;
    }
    for (size_t row = 0; n_step > 0 && row < op->n_rows; row += n_step) {
        struct op_linear some = *op;
        some.x += row * op->x_stride;
        some.y += row * op->y_stride;
        some.n_rows = op->n_rows - row < n_step ? op->n_rows - row : n_step;
        if (!multiply_rounded(cuda, &some, x_bytes)) {
            assert(row == 0);
            return false;
        }
    }
    return n_step > 0;
}

// Rows of x rounded for the kernels of linear_blocks.cu; NULL: they read x as it is.
static void *rounded_rows(struct cuda_backend *cuda, size_t n_rows, size_t n_in)
{
    bool is_wanted = n_rows > GEMV_ROWS_MAX && cuda_grow_rows_16(cuda, gpu_blocks_x16_bytes(n_rows, n_in));
    return is_wanted ? cuda->rows_16 : NULL;
}

void cuda_linear(struct backend *b, const struct op_linear *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    const struct gpu_matrix *w = &op->w->gpu;
    assert(!op->maxima); // the host finds them where it reads the outputs
    if (op->n_rows == 0) {
        return;
    }
    bool is_block = blocks_has(w->dtype);
    size_t n_few = is_block ? PART_ROWS_MAX : cuda->is_deterministic ? 0 : GEMV_ROWS_MAX;
    if (op->n_rows > n_few && linear_by_rounded(cuda, op)) {
        return;
    }
    if (is_block) {
        gpu_linear_blocks(queue_of(cuda), op, w, rounded_rows(cuda, op->n_rows, w->n_in));
    } else if (op->n_rows <= n_few) {
        gpu_gemv(queue_of(cuda), op, w);
    } else {
        gpu_linear_tiles(queue_of(cuda), op, w);
    }
}

// Of few rows. With `deterministic` plain weights have one way only, that of many rows.
bool cuda_linear_glu(struct backend *b, const struct op_linear *op, enum glu kind)
{
    struct cuda_backend *cuda = cuda_of(b);
    const struct gpu_matrix *w = &op->w->gpu;
    if (op->n_rows == 0 || op->n_rows > GEMV_ROWS_MAX) {
        return false;
    }
    if (blocks_has(w->dtype)) {
        return gpu_blocks_glu(queue_of(cuda), op, w, kind);
    }
    return !cuda->is_deterministic && gpu_gemv_glu(queue_of(cuda), op, w, kind);
}
