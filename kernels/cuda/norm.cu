// Root mean square norm (Zhang & Sennrich 2019): y[i] (+)= x[i] / sqrt(mean(x^2) + eps) * weight[i].
//
// Bytes: x once (twice from the caches), y once; at 4,096 floats and 4 TB/s a row takes 8 ns, so that a batch of few
// rows is all latency. Short rows (heads) get a warp each, long ones a CTA. The sum's order depends on `dim` alone.
#include "kernels/cuda/kernels.h"

#define WARPS        8
#define WARP_DIM_MAX 512

struct norm_rows {
    const float *x, *weight;
    float *y;
    size_t n_rows, dim, group, stride;
    float eps;
    bool accumulate;
};

static __device__ size_t row_offset(const struct norm_rows *rows, size_t r)
{
    return rows->group ? r / rows->group * rows->stride + r % rows->group * rows->dim : r * rows->dim;
}

static __device__ void write_row(const struct norm_rows *rows, size_t offset, float scale, unsigned thread,
                                 unsigned n_threads)
{
    for (size_t i = thread; i < rows->dim; i += n_threads) {
        float value = rows->x[offset + i] * scale * rows->weight[i];
        rows->y[offset + i] = rows->accumulate ? rows->y[offset + i] + value : value;
    }
}

static __device__ float sum_of_squares(const struct norm_rows *rows, size_t offset, unsigned thread, unsigned n_threads)
{
    float sum = 0.0f;
    for (size_t i = thread; i < rows->dim; i += n_threads) {
        sum = fmaf(rows->x[offset + i], rows->x[offset + i], sum);
    }
    return sum;
}

static __global__ void norm_by_warp(struct norm_rows rows)
{
    gpu_begin();
    size_t r = (size_t)blockIdx.x * WARPS + threadIdx.x / GPU_WARP;
    if (r >= rows.n_rows) {
        return;
    }
    unsigned lane = threadIdx.x % GPU_WARP;
    size_t offset = row_offset(&rows, r);
    float sum = gpu_warp_sum(sum_of_squares(&rows, offset, lane, GPU_WARP));
    write_row(&rows, offset, 1.0f / sqrtf(sum / (float)rows.dim + rows.eps), lane, GPU_WARP);
}

static __global__ void norm_by_cta(struct norm_rows rows)
{
    gpu_begin();
    GPU_SHARED(gpu_cta_scratch, scratch);
    size_t offset = row_offset(&rows, blockIdx.x);
    float sum = gpu_cta_sum(sum_of_squares(&rows, offset, threadIdx.x, blockDim.x), scratch);
    write_row(&rows, offset, 1.0f / sqrtf(sum / (float)rows.dim + rows.eps), threadIdx.x, blockDim.x);
}

void gpu_rms_norm(gpu_queue queue, const struct op_rms_norm *op)
{
    struct norm_rows rows = { op->x,     op->weight, op->y,   op->n_rows,    op->dim,
                              op->group, op->stride, op->eps, op->accumulate };
    if (op->dim <= WARP_DIM_MAX) {
        gpu_launch_early(queue, norm_by_warp, dim3((unsigned)((op->n_rows + WARPS - 1) / WARPS)), WARPS * GPU_WARP, 0,
                         rows);
    } else {
        gpu_launch_early(queue, norm_by_cta, dim3((unsigned)op->n_rows), op->dim <= 2048 ? 256 : 1024, 0, rows);
    }
}
