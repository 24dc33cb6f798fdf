// What works on each element or row by itself: embedding rows, gated units, soft caps, gathering and page tables. All
// are bound by memory: bytes read and written once, no reuse.
#include "kernels/cuda/glu.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/token.h"

#define THREADS 256

static dim3 ctas_for(size_t n)
{
    return dim3((unsigned)((n + THREADS - 1) / THREADS));
}

// ---- embed: y[r][:] = table[token_ids[r]][:] * scale ---------------------------------------------------------------

template <class T>
static __global__ void embed(const T *table, const int32_t *token_ids, const struct sample_result *drawn, float *y,
                             size_t dim, float scale)
{
    gpu_begin();
    const T *from = table + (size_t)gpu_token_of(token_ids[blockIdx.x], drawn) * dim;
    float *to = y + (size_t)blockIdx.x * dim;
    for (size_t i = threadIdx.x; i < dim; i += blockDim.x) {
        to[i] = gpu_f32(from[i]) * scale;
    }
}

void gpu_embed(gpu_queue queue, const struct op_embed *op, const struct gpu_matrix *table, const int32_t *token_ids,
               const struct sample_result *drawn)
{
    dim3 grid((unsigned)op->n_rows);
    switch (table->dtype) {
    case DTYPE_F32:
        gpu_launch_early(queue, embed<float>, grid, THREADS, 0, (const float *)table->data, token_ids, drawn, op->y,
                         table->n_in, op->scale);
        return;
    case DTYPE_F16:
        gpu_launch_early(queue, embed<struct gpu_f16>, grid, THREADS, 0, (const struct gpu_f16 *)table->data, token_ids,
                         drawn, op->y, table->n_in, op->scale);
        return;
    case DTYPE_BF16:
        gpu_launch_early(queue, embed<struct gpu_bf16>, grid, THREADS, 0, (const struct gpu_bf16 *)table->data,
                         token_ids, drawn, op->y, table->n_in, op->scale);
        return;
    default: gpu_embed_blocks(queue, op, table, token_ids, drawn);
    }
}

// ---- glu, softcap --------------------------------------------------------------------------------------------------

static __global__ void glu(const float *x, float *y, size_t n, size_t dim, enum glu kind)
{
    gpu_begin();
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        const float *row = x + i / dim * 2 * dim;
        y[i] = gpu_gated(kind, row[i % dim], row[dim + i % dim]);
    }
}

void gpu_glu(gpu_queue queue, const struct op_glu *op)
{
    size_t n = op->n_rows * op->dim;
    gpu_launch_early(queue, glu, ctas_for(n), THREADS, 0, op->x, op->y, n, op->dim, op->kind);
}

static __global__ void softcap(float *x, size_t n, float cap)
{
    gpu_begin();
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        x[i] = cap * tanhf(x[i] / cap);
    }
}

void gpu_softcap(gpu_queue queue, const struct op_softcap *op)
{
    gpu_launch_early(queue, softcap, ctas_for(op->n), THREADS, 0, op->x, op->n, op->cap);
}

// ---- gather --------------------------------------------------------------------------------------------------------

static __global__ void gather(const float *x, const uint32_t *rows, float *y, size_t dim)
{
    gpu_begin();
    for (size_t i = threadIdx.x; i < dim; i += blockDim.x) {
        y[(size_t)blockIdx.x * dim + i] = x[(size_t)rows[blockIdx.x] * dim + i];
    }
}

void gpu_gather(gpu_queue queue, const struct op_gather *op, const uint32_t *rows)
{
    gpu_launch_early(queue, gather, dim3((unsigned)op->n_rows), THREADS, 0, op->x, rows, op->y, op->dim);
}

// ---- page tables ---------------------------------------------------------------------------------------------------

static __global__ void change_pages(uint32_t *tables, const struct gpu_page_change *changes, size_t n)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        tables[changes[i].at] = changes[i].page;
    }
}

void gpu_change_pages(gpu_queue queue, uint32_t *tables, const struct gpu_page_change *changes, size_t n_changes)
{
    gpu_launch(queue, change_pages, ctas_for(n_changes), THREADS, 0, tables, changes, n_changes);
}
