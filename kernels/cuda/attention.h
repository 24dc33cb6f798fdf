// What the kernels of attention share: what they are told, and where rows, K and V are.
#ifndef TOKFS_KERNELS_CUDA_ATTENTION_H
#define TOKFS_KERNELS_CUDA_ATTENTION_H

#include "kernels/cuda/kernels.h"

#define LOG2E 1.4426950408889634f

struct attention_run {
    const float *qkv, *sinks;
    float *out;
    const unsigned char *pool;
    struct gpu_map map;
    const struct gpu_work *work;
    const struct gpu_merge *merges;
    const int32_t *rows;
    float *partials; // [kv_head][n_partials][ATTENTION_DECODE_ROWS][2 + head_dim]: maximum, sum, values
    size_t n_partials;
    size_t n_heads, n_kv_heads, head_dim, page_tokens, page_bytes, layer, window;
    float scale, softcap;
};

static __device__ __forceinline__ const unsigned char *
kv_head_of(const struct attention_run *run, size_t seq, size_t pos, size_t is_v, size_t kv_head, size_t element_bytes)
{
    uint32_t page = run->map.pages[run->map.seq_page[seq] + pos / run->page_tokens];
    size_t head = (run->layer * 2 + is_v) * run->n_kv_heads + kv_head;
    return run->pool + page * run->page_bytes +
           (head * run->page_tokens + pos % run->page_tokens) * run->head_dim * element_bytes;
}

static __device__ __forceinline__ float score_of(const struct attention_run *run, float dot)
{
    float score = dot * run->scale;
    return run->softcap > 0.0f ? run->softcap * tanhf(score / run->softcap) : score;
}

static __device__ __forceinline__ bool is_seen(const struct attention_run *run, int pos, int key)
{
    return key <= pos && (run->window == 0 || key > pos - (int)run->window);
}

// exp(x - max), 0 where nothing was seen yet
static __device__ __forceinline__ float weight_of(float x, float max)
{
    return x == -INFINITY ? 0.0f : exp2f((x - max) * LOG2E);
}

// The factor that completes a head's values: 1 / (sum + e^sink), where `values` and `sum` are scaled by e^-max.
static __device__ __forceinline__ float completion(const struct attention_run *run, size_t head, float max, float sum)
{
    return 1.0f / (run->sinks ? sum + exp2f((run->sinks[head] - max) * LOG2E) : sum);
}

// ---- a packed row --------------------------------------------------------------------------------------------------

struct packed_row {
    size_t row, head; // of the batch
    int pos;
    bool is_there;
};

static __device__ __forceinline__ struct packed_row unpack(const struct attention_run *run, size_t kv_head, int seq,
                                                           int packed)
{
    int group = (int)(run->n_heads / run->n_kv_heads), token = packed / group;
    struct packed_row p;
    p.is_there = token < run->map.seq_n_rows[seq];
    p.row = (size_t)(run->map.seq_row[seq] + token);
    p.head = kv_head * (size_t)group + (size_t)(packed % group);
    p.pos = run->map.seq_pos[seq] + token;
    return p;
}

// Of a piece, whose rows are its sequence's or those of its list.
static __device__ __forceinline__ struct packed_row unpack_work(const struct attention_run *run,
                                                                const struct gpu_work *work, size_t kv_head, int row)
{
    int packed = work->packed_row + row;
    if (work->n_listed == 0) {
        return unpack(run, kv_head, work->seq, packed);
    }
    int group = (int)(run->n_heads / run->n_kv_heads), token = packed / group;
    struct packed_row p;
    p.is_there = token < work->n_listed;
    p.row = (size_t)run->rows[work->list + (p.is_there ? token : 0)];
    p.head = kv_head * (size_t)group + (size_t)(packed % group);
    p.pos = run->map.row_pos[p.row];
    return p;
}

// Rows past the first 16 are those of the partials behind it.
static __device__ __forceinline__ float *partial_of(const struct attention_run *run, size_t kv_head, int partial,
                                                    int row)
{
    size_t index = (kv_head * run->n_partials + (size_t)partial) * ATTENTION_DECODE_ROWS + (size_t)row;
    return run->partials + index * (2 + run->head_dim);
}

static inline struct attention_run run_of(const struct op_attention *op, const struct gpu_map *map)
{
    struct attention_run run = {};
    run.qkv = op->qkv;
    run.sinks = op->sinks;
    run.out = op->out;
    run.pool = (const unsigned char *)op->pool;
    run.map = *map;
    run.n_heads = op->n_heads;
    run.n_kv_heads = op->kv->n_kv_heads;
    run.head_dim = op->kv->head_dim;
    run.page_tokens = op->kv->page_tokens;
    run.page_bytes = op->kv->page_bytes;
    run.layer = op->layer;
    run.window = op->window;
    run.scale = op->scale;
    run.softcap = op->softcap;
    return run;
}

#endif
