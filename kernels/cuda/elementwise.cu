// What works on each element or row by itself: embedding rows, gated units, soft caps, gathering, page tables, and the
// routing of mixtures of experts. All are bound by memory: bytes read and written once, no reuse.
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
        gpu_launch(queue, embed<float>, grid, THREADS, 0, (const float *)table->data, token_ids, drawn, op->y,
                   table->n_in, op->scale);
        return;
    case DTYPE_F16:
        gpu_launch(queue, embed<struct gpu_f16>, grid, THREADS, 0, (const struct gpu_f16 *)table->data, token_ids,
                   drawn, op->y, table->n_in, op->scale);
        return;
    case DTYPE_BF16:
        gpu_launch(queue, embed<struct gpu_bf16>, grid, THREADS, 0, (const struct gpu_bf16 *)table->data, token_ids,
                   drawn, op->y, table->n_in, op->scale);
        return;
    default: gpu_embed_blocks(queue, op, table, token_ids, drawn);
    }
}

// ---- glu, softcap --------------------------------------------------------------------------------------------------

static __global__ void glu(const float *x, float *y, size_t n, size_t dim, enum glu kind)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        const float *row = x + i / dim * 2 * dim;
        y[i] = gpu_gated(kind, row[i % dim], row[dim + i % dim]);
    }
}

void gpu_glu(gpu_queue queue, const struct op_glu *op)
{
    size_t n = op->n_rows * op->dim;
    gpu_launch(queue, glu, ctas_for(n), THREADS, 0, op->x, op->y, n, op->dim, op->kind);
}

static __global__ void softcap(float *x, size_t n, float cap)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        x[i] = cap * tanhf(x[i] / cap);
    }
}

void gpu_softcap(gpu_queue queue, const struct op_softcap *op)
{
    gpu_launch(queue, softcap, ctas_for(op->n), THREADS, 0, op->x, op->n, op->cap);
}

// ---- gather, combine -----------------------------------------------------------------------------------------------

static __global__ void gather(const float *x, const uint32_t *rows, float *y, size_t dim)
{
    for (size_t i = threadIdx.x; i < dim; i += blockDim.x) {
        y[(size_t)blockIdx.x * dim + i] = x[(size_t)rows[blockIdx.x] * dim + i];
    }
}

void gpu_gather(gpu_queue queue, const struct op_gather *op, const uint32_t *rows)
{
    gpu_launch(queue, gather, dim3((unsigned)op->n_rows), THREADS, 0, op->x, rows, op->y, op->dim);
}

static __global__ void combine(const float *x, const uint32_t *rows, const float *weights, float *y, size_t n_used,
                               size_t dim)
{
    rows += (size_t)blockIdx.x * n_used;
    weights += (size_t)blockIdx.x * n_used;
    for (size_t i = threadIdx.x; i < dim; i += blockDim.x) {
        float sum = y[(size_t)blockIdx.x * dim + i];
        for (size_t k = 0; k < n_used; k++) {
            sum += weights[k] * x[(size_t)rows[k] * dim + i];
        }
        y[(size_t)blockIdx.x * dim + i] = sum;
    }
}

void gpu_combine(gpu_queue queue, const struct op_combine *op, const uint32_t *rows, const float *weights)
{
    gpu_launch(queue, combine, dim3((unsigned)op->n_rows), THREADS, 0, op->x, rows, weights, op->y, op->n_used,
               op->dim);
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

// ---- route ---------------------------------------------------------------------------------------------------------

// Larger first, of equal ones the lower index; what is not a number comes last.
static __device__ bool comes_before(float a, uint32_t a_index, float b, uint32_t b_index)
{
    return a > b || (a == b && a_index < b_index) || (b != b && (a == a || a_index < b_index));
}

// The best of a lane's experts that come after the one taken last (`last`, at `last_index`; none yet: UINT32_MAX).
static __device__ void best_of_lane(const float *logits, size_t n_experts, float last, uint32_t last_index, float *ret,
                                    uint32_t *ret_index)
{
    *ret = 0.0f;
    *ret_index = UINT32_MAX;
    for (uint32_t e = threadIdx.x; e < n_experts; e += GPU_WARP) {
        bool is_free = last_index == UINT32_MAX || comes_before(last, last_index, logits[e], e);
        if (is_free && (*ret_index == UINT32_MAX || comes_before(logits[e], e, *ret, *ret_index))) {
            *ret = logits[e];
            *ret_index = e;
        }
    }
}

// One warp per row: n_used rounds, each takes the best that is left.
static __global__ void route(const float *logits, uint32_t *experts, float *weights, size_t n_experts, size_t n_used,
                             bool is_normalized)
{
    logits += (size_t)blockIdx.x * n_experts;
    experts += (size_t)blockIdx.x * n_used;
    weights += (size_t)blockIdx.x * n_used;
    float last = 0.0f, largest = 0.0f, sum = 0.0f;
    uint32_t last_index = UINT32_MAX;
    for (size_t k = 0; k < n_used; k++) {
        float best;
        uint32_t best_index;
        best_of_lane(logits, n_experts, last, last_index, &best, &best_index);
        for (int distance = GPU_WARP / 2; distance > 0; distance /= 2) {
            float other = __shfl_xor_sync(0xffffffffu, best, distance);
            uint32_t other_index = __shfl_xor_sync(0xffffffffu, best_index, distance);
            if (other_index != UINT32_MAX &&
                (best_index == UINT32_MAX || comes_before(other, other_index, best, best_index))) {
                best = other;
                best_index = other_index;
            }
        }
        last = best;
        last_index = best_index;
        largest = k == 0 ? best : largest;
        sum += expf(best - largest);
        if (threadIdx.x == 0) {
            experts[k] = best_index;
            weights[k] = expf(best - largest);
        }
    }
    if (!is_normalized) {
        sum = 0.0f;
        for (size_t e = threadIdx.x; e < n_experts; e += GPU_WARP) {
            sum += expf(logits[e] - largest);
        }
        sum = gpu_warp_sum(sum);
    }
    __syncwarp();
    for (size_t k = threadIdx.x; k < n_used; k += GPU_WARP) {
        weights[k] /= sum;
    }
}

void gpu_route(gpu_queue queue, const struct op_route *op, uint32_t *experts, float *weights)
{
    assert(op->n_used <= op->n_experts);
    gpu_launch(queue, route, dim3((unsigned)op->n_rows), GPU_WARP, 0, op->logits, experts, weights, op->n_experts,
               op->n_used, op->is_normalized);
}
