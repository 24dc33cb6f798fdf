// Rotates Q and K by position and writes K and V into their pages (backend.h, op_rope_kv), after the norms of heads
// where a model has them. One CTA per row: a warp norms a head, a thread turns pairs of heads that share cosine and
// sine. Bytes: the row of qkv twice, K and V once.
#include "kernels/cuda/kernels.h"

#define THREADS 256

struct rope_run {
    float *qkv;
    const float *inv_freq, *q_norm, *k_norm;
    float norm_eps;
    size_t n_dims, n_heads, n_kv_heads, head_dim, page_tokens, page_bytes, layer;
    float attn_scale;
    unsigned char *pool;
    struct gpu_map map;
};

// Where element 0 of a KV head of this position is kept. `is_v`: 0 for K, 1 for V.
template <class T>
static __device__ T *kv_place(const struct rope_run *run, size_t seq, size_t pos, size_t is_v, size_t kv_head)
{
    uint32_t page = run->map.pages[run->map.seq_page[seq] + pos / run->page_tokens];
    size_t head = (run->layer * 2 + is_v) * run->n_kv_heads + kv_head;
    return (T *)(run->pool + page * run->page_bytes) +
           (head * run->page_tokens + pos % run->page_tokens) * run->head_dim;
}

static __device__ void rotate_head(float *x, size_t j, size_t half, float c, float s)
{
    float first = x[j], second = x[j + half];
    x[j] = first * c - second * s;
    x[j + half] = second * c + first * s;
}

// As norm.cu does short rows.
static __device__ void norm_head(const struct rope_run *run, float *x, const float *weight, unsigned lane)
{
    float sum = 0.0f;
    for (size_t i = lane; i < run->head_dim; i += GPU_WARP) {
        sum = fmaf(x[i], x[i], sum);
    }
    float scale = 1.0f / sqrtf(gpu_warp_sum(sum) / (float)run->head_dim + run->norm_eps);
    for (size_t i = lane; i < run->head_dim; i += GPU_WARP) {
        x[i] = x[i] * scale * weight[i];
    }
}

template <class T> static __global__ void rope_kv(struct rope_run run)
{
    gpu_begin();
    size_t row = blockIdx.x, half = run.n_dims / 2, n_turning = run.n_heads + run.n_kv_heads;
    size_t seq = (size_t)run.map.row_seq[row], pos = (size_t)run.map.row_pos[row];
    float *qkv = run.qkv + row * (run.n_heads + 2 * run.n_kv_heads) * run.head_dim;
    if (run.map.row_seq[row] == NO_SEQUENCE) {
        return;
    }
    if (run.q_norm) {
        for (size_t head = threadIdx.x / GPU_WARP; head < n_turning; head += THREADS / GPU_WARP) {
            norm_head(&run, qkv + head * run.head_dim, head < run.n_heads ? run.q_norm : run.k_norm,
                      threadIdx.x % GPU_WARP);
        }
        __syncthreads();
    }
    size_t n_columns =
        half < blockDim.x ? half : blockDim.x; // threads side by side over the pairs of a head, the rest over heads
    size_t head_step = n_columns ? blockDim.x / n_columns : 0;
    for (size_t j = n_columns ? threadIdx.x % n_columns : half; j < half; j += n_columns) {
        float angle = (float)pos * run.inv_freq[j];
        float c = cosf(angle) * run.attn_scale, s = sinf(angle) * run.attn_scale;
        for (size_t head = threadIdx.x / n_columns; head < n_turning && threadIdx.x < n_columns * head_step;
             head += head_step) {
            rotate_head(qkv + head * run.head_dim, j, half, c, s);
        }
    }
    __syncthreads();
    const float *k = qkv + run.n_heads * run.head_dim;
    for (size_t i = threadIdx.x; i < 2 * run.n_kv_heads * run.head_dim; i += blockDim.x) {
        size_t head = i / run.head_dim, is_v = head / run.n_kv_heads;
        kv_place<T>(&run, seq, pos, is_v, head % run.n_kv_heads)[i % run.head_dim] = gpu_element<T>(k[i]);
    }
}

void gpu_rope_kv(gpu_queue queue, const struct op_rope_kv *op, const struct gpu_map *map)
{
    struct rope_run run = { op->qkv,
                            op->inv_freq,
                            op->q_norm,
                            op->k_norm,
                            op->norm_eps,
                            op->n_dims,
                            op->n_heads,
                            op->kv->n_kv_heads,
                            op->kv->head_dim,
                            op->kv->page_tokens,
                            op->kv->page_bytes,
                            op->layer,
                            op->attn_scale,
                            (unsigned char *)op->pool,
                            *map };
    dim3 grid((unsigned)map->n_rows);
    switch (op->kv->dtype) {
    case DTYPE_F32: gpu_launch_early(queue, rope_kv<float>, grid, THREADS, 0, run); return;
    case DTYPE_F16: gpu_launch_early(queue, rope_kv<struct gpu_f16>, grid, THREADS, 0, run); return;
    case DTYPE_BF16: gpu_launch_early(queue, rope_kv<struct gpu_bf16>, grid, THREADS, 0, run); return;
    default: assert(0 && "a type that K and V are stored in");
    }
}
