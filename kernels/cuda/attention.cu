// Causal attention over paged K and V (backend.h, op_attention), two ways:
//
// tiles: K and V of 16 bits, by tensor cores, with the running softmax of Milakov & Gimelshein 2018 as in
// FlashAttention-2 (Dao 2023). The
//   query heads of a KV head are packed into the rows of a tile, so that K and V are read once for all of them. A CTA
//   of four warps does a piece of work (kernels.h): prefill pieces have 64 packed rows, 16 per warp, and the warps
//   share tiles of 64 positions; decode pieces have 16 packed rows, and each warp takes a quarter of the tile's
//   positions. Pieces that hold a part of the positions leave their unfinished sums (maximum, sum, weighted values) in
//   `partials`, which merge adds up in the order of positions. Positions that several decoded sequences share
//   (cascade.h) are pieces of 64 packed rows of all of them (on an sm_90 of 128, by attention_hopper.cu): K and V are
//   read once for the group, and merged with what each has of its own. Floor of decode: bytes of K and V, the shared
//   ones once / bandwidth; of prefill: 4 * rows * positions / 2 * heads * head_dim operations.
// rows: any type and head, a warp per row and head, 32 positions at a time. For f32, and what tiles cannot take.
//
// A row's result depends on where its pieces begin and end, nothing else: with pieces that hold all positions, on its
// position alone. Positions at and after the end of the sequence read as zeros, whatever is in the page.
#include "kernels/cuda/attention.h"

#define WARPS   4
#define THREADS (WARPS * GPU_WARP)

// ---- tiles ---------------------------------------------------------------------------------------------------------

// Rows are padded by 16 bytes, so that the eight rows of a matrix lie in different banks.
template <class T, int DIM, bool IS_DECODE> struct attention_tile {
    static const int rows = IS_DECODE ? ATTENTION_DECODE_ROWS : ATTENTION_PREFILL_ROWS;
    static const int keys = IS_DECODE ? ATTENTION_TILE / WARPS : ATTENTION_TILE; // of a warp
    T q[rows][DIM + 8];
    T k[ATTENTION_TILE][DIM + 8], v[ATTENTION_TILE][DIM + 8];
};

// A warp's unfinished sums of its 16 rows: lane l holds rows l / 4 and l / 4 + 8.
template <int DIM> struct attention_sums {
    float max[2], sum[2];
    float values[DIM / 8][4]; // fragments of 16 rows x 8 dimensions
};

template <class T, int DIM, bool IS_DECODE>
static __device__ void load_q(struct attention_tile<T, DIM, IS_DECODE> *tile, const struct attention_run *run,
                              const struct gpu_work *work)
{
    size_t row_floats = (run->n_heads + 2 * run->n_kv_heads) * run->head_dim;
    for (int i = (int)threadIdx.x; i < tile->rows * DIM; i += THREADS) {
        struct packed_row p = unpack_work(run, work, blockIdx.y, i / DIM);
        size_t d = (size_t)(i % DIM);
        bool is_there = p.is_there && d < run->head_dim;
        tile->q[i / DIM][d] =
            gpu_element<T>(is_there ? run->qkv[p.row * row_floats + p.head * run->head_dim + d] : 0.0f);
    }
}

template <class T, int DIM, bool IS_DECODE>
static __device__ void load_kv(struct attention_tile<T, DIM, IS_DECODE> *tile, const struct attention_run *run,
                               const struct gpu_work *work, int begin, int n_tokens)
{
    const int vectors = DIM / 8; // of 16 bytes in a row
    for (int i = (int)threadIdx.x; i < 2 * ATTENTION_TILE * vectors; i += THREADS) {
        int is_v = i / (ATTENTION_TILE * vectors), key = i / vectors % ATTENTION_TILE, d = i % vectors * 8;
        bool is_there = begin + key < n_tokens && d < (int)run->head_dim;
        const unsigned char *from = run->pool;
        if (is_there) {
            from = kv_head_of(run, (size_t)work->seq, (size_t)(begin + key), (size_t)is_v, blockIdx.y, 2) + 2 * d;
        }
        gpu_copy_async_16(is_v ? &tile->v[key][d] : &tile->k[key][d], from, is_there);
    }
    gpu_copy_async_commit();
}

// scores[n] = Q K^T of a warp's 16 rows and its keys, in fragments of 8 keys
template <class T, int DIM, bool IS_DECODE>
static __device__ __forceinline__ void multiply_keys(const struct attention_tile<T, DIM, IS_DECODE> *tile,
                                                     int first_row, int first_key, unsigned lane, float scores[][4])
{
    for (int n = 0; n < tile->keys / 8; n++) {
        scores[n][0] = scores[n][1] = scores[n][2] = scores[n][3] = 0.0f;
    }
#pragma unroll
    for (int d = 0; d < DIM; d += 16) {
        uint32_t a[4], b[4];
        gpu_load_matrices(a, &tile->q[first_row + lane % 16][d + lane / 16 * 8]);
#pragma unroll
        for (int n = 0; n < tile->keys / 16; n++) {
            gpu_load_matrices(b, &tile->k[first_key + n * 16 + lane / 16 * 8 + lane % 8][d + lane / 8 % 2 * 8]);
            gpu_mma<T>(scores[2 * n], a, b[0], b[1]);
            gpu_mma<T>(scores[2 * n + 1], a, b[2], b[3]);
        }
    }
}

// Masks, takes the new maximum into account and turns scores into weights.
template <int DIM, int KEYS>
static __device__ __forceinline__ void soften(const struct attention_run *run, const int pos[2], int first_key, int end,
                                              unsigned lane, float scores[][4], struct attention_sums<DIM> *sums)
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float max = sums->max[half];
        for (int n = 0; n < KEYS / 8; n++) {
            for (int i = 0; i < 2; i++) {
                int key = first_key + n * 8 + (int)(lane % 4) * 2 + i;
                float *score = &scores[n][2 * half + i];
                *score = key < end && is_seen(run, pos[half], key) ? score_of(run, *score) : -INFINITY;
                max = fmaxf(max, *score);
            }
        }
        max = fmaxf(max, __shfl_xor_sync(0xffffffffu, max, 1));
        max = fmaxf(max, __shfl_xor_sync(0xffffffffu, max, 2));
        float shrink = weight_of(sums->max[half], max), sum = 0.0f;
        for (int n = 0; n < KEYS / 8; n++) {
            for (int i = 0; i < 2; i++) {
                float *score = &scores[n][2 * half + i];
                *score = weight_of(*score, max);
                sum += *score;
            }
        }
        sums->max[half] = max;
        sums->sum[half] =
            sums->sum[half] * shrink + sum; // of this lane's keys; the four lanes of a row add up at the end
        for (int d = 0; d < DIM / 8; d++) {
            sums->values[d][2 * half] *= shrink;
            sums->values[d][2 * half + 1] *= shrink;
        }
    }
}

template <class T, int DIM, bool IS_DECODE>
static __device__ __forceinline__ void add_values(const struct attention_tile<T, DIM, IS_DECODE> *tile, int first_key,
                                                  unsigned lane, const float weights[][4],
                                                  struct attention_sums<DIM> *sums)
{
#pragma unroll
    for (int n = 0; n < tile->keys / 16; n++) {
        const float *low = weights[2 * n], *high = weights[2 * n + 1];
        uint32_t a[4] = { gpu_pair<T>(low[0], low[1]), gpu_pair<T>(low[2], low[3]), gpu_pair<T>(high[0], high[1]),
                          gpu_pair<T>(high[2], high[3]) };
#pragma unroll
        for (int d = 0; d < DIM; d += 16) {
            uint32_t b[4];
            gpu_load_matrices_transposed(b,
                                         &tile->v[first_key + n * 16 + lane / 8 % 2 * 8 + lane % 8][d + lane / 16 * 8]);
            gpu_mma<T>(sums->values[d / 8], a, b[0], b[1]);
            gpu_mma<T>(sums->values[d / 8 + 1], a, b[2], b[3]);
        }
    }
}

// Where a packed row's finished values go, or NULL.
static __device__ __forceinline__ float *output_of(const struct attention_run *run, const struct packed_row *p)
{
    return p->is_there ? run->out + (p->row * run->n_heads + p->head) * run->head_dim : NULL;
}

// Each warp has all keys of its own 16 rows, or all that the piece has: then they are rows of the partials from the
// work's on.
template <int DIM>
static __device__ void finish_prefill(const struct attention_run *run, const struct gpu_work *work, int first_row,
                                      unsigned lane, const struct attention_sums<DIM> *sums)
{
    for (int half = 0; half < 2; half++) {
        int row = first_row + (int)lane / 4 + half * 8;
        struct packed_row p = unpack_work(run, work, blockIdx.y, row);
        float *out = output_of(run, &p);
        if (!out) {
            continue;
        }
        bool is_part = work->partial >= 0;
        float factor = is_part ? 1.0f : completion(run, p.head, sums->max[half], sums->sum[half]);
        if (is_part) {
            float *partial = partial_of(run, blockIdx.y, work->partial, row);
            partial[0] = sums->max[half];
            partial[1] = sums->sum[half];
            out = partial + 2;
        }
        for (int d = 0; d < DIM / 8; d++) {
            for (int i = 0; i < 2; i++) {
                size_t dim = (size_t)(d * 8) + lane % 4 * 2 + (size_t)i;
                if (dim < run->head_dim) {
                    out[dim] = sums->values[d][2 * half + i] * factor;
                }
            }
        }
    }
}

// What the four warps of a decode piece hold of the same 16 rows, each of other keys.
template <int DIM> struct decode_sums {
    float max[WARPS][ATTENTION_DECODE_ROWS], sum[WARPS][ATTENTION_DECODE_ROWS];
    float values[WARPS][ATTENTION_DECODE_ROWS][DIM];
};

template <int DIM>
static __device__ void finish_decode(const struct attention_run *run, const struct gpu_work *work, unsigned warp,
                                     unsigned lane, const struct attention_sums<DIM> *sums,
                                     struct decode_sums<DIM> *all)
{
    __syncthreads(); // `all` lies where K and V were
    for (int half = 0; half < 2; half++) {
        int row = (int)lane / 4 + half * 8;
        all->max[warp][row] = sums->max[half];
        all->sum[warp][row] = sums->sum[half];
        for (int d = 0; d < DIM / 8; d++) {
            all->values[warp][row][d * 8 + (int)(lane % 4) * 2] = sums->values[d][2 * half];
            all->values[warp][row][d * 8 + (int)(lane % 4) * 2 + 1] = sums->values[d][2 * half + 1];
        }
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < ATTENTION_DECODE_ROWS * DIM; i += THREADS) {
        int row = i / DIM, d = i % DIM;
        struct packed_row p = unpack_work(run, work, blockIdx.y, row);
        float *out = output_of(run, &p), max = -INFINITY, sum = 0.0f, value = 0.0f;
        if (!out || d >= (int)run->head_dim) {
            continue;
        }
        for (int w = 0; w < WARPS; w++) {
            max = fmaxf(max, all->max[w][row]);
        }
        for (int w = 0; w < WARPS; w++) {
            float weight = weight_of(all->max[w][row], max);
            sum += all->sum[w][row] * weight;
            value += all->values[w][row][d] * weight;
        }
        if (work->partial < 0) {
            out[d] = value * completion(run, p.head, max, sum);
            continue;
        }
        float *partial = partial_of(run, blockIdx.y, work->partial, row);
        partial[0] = max;
        partial[1] = sum;
        partial[2 + d] = value;
    }
}

template <class T, int DIM, bool IS_DECODE>
static __global__ void __launch_bounds__(THREADS) attention_tiles(struct attention_run run)
{
    gpu_begin();
    typedef struct attention_tile<T, DIM, IS_DECODE> tile_type;
    GPU_SHARED_DYNAMIC(tile_type, tile);
    const struct gpu_work work = run.work[blockIdx.x];
    if (work.begin >= work.end) {
        return;
    }
    const unsigned warp = threadIdx.x / GPU_WARP, lane = threadIdx.x % GPU_WARP;
    const int first_row = IS_DECODE ? 0 : (int)warp * 16, first_key = IS_DECODE ? (int)warp * tile_type::keys : 0;
    int pos[2], n_tokens = run.map.seq_pos[work.seq] + run.map.seq_n_rows[work.seq];
    for (int half = 0; half < 2; half++) {
        pos[half] = unpack_work(&run, &work, blockIdx.y, first_row + (int)lane / 4 + half * 8).pos;
    }
    struct attention_sums<DIM> sums = {
        { -INFINITY, -INFINITY }, { 0.0f, 0.0f },
        {
        }
    };
    load_q(tile, &run, &work);
    for (int begin = work.begin; begin < work.end; begin += ATTENTION_TILE) {
        load_kv(tile, &run, &work, begin, n_tokens);
        gpu_copy_async_wait<0>();
        __syncthreads();
        float scores[tile_type::keys / 8][4];
        multiply_keys(tile, first_row, first_key, lane, scores);
        soften<DIM, tile_type::keys>(&run, pos, begin + first_key, work.end, lane, scores, &sums);
        add_values(tile, first_key, lane, scores, &sums);
        __syncthreads();
    }
    for (int half = 0; half < 2; half++) {
        sums.sum[half] += __shfl_xor_sync(0xffffffffu, sums.sum[half], 1);
        sums.sum[half] += __shfl_xor_sync(0xffffffffu, sums.sum[half], 2);
    }
    if (IS_DECODE) {
        static_assert(!IS_DECODE || sizeof(struct decode_sums<DIM>) <= sizeof(tile->k) + sizeof(tile->v),
                      "fits where K and V were");
        finish_decode(&run, &work, warp, lane, &sums, reinterpret_cast<struct decode_sums<DIM> *>(&tile->k));
    } else {
        finish_prefill(&run, &work, first_row, lane, &sums);
    }
}

// The j-th partial of a row: the shared ones, then its own.
static __device__ __forceinline__ const float *merge_source(const struct attention_run *run,
                                                            const struct gpu_merge *merge, int j, int row)
{
    return j < merge->n_shared
               ? partial_of(run, blockIdx.y, merge->shared_partial + j * merge->shared_step, merge->shared_row + row)
               : partial_of(run, blockIdx.y, merge->partial + j - merge->n_shared, row);
}

// One CTA per merge and KV head: partial sums of the same rows, in the order of positions.
static __global__ void attention_merge(struct attention_run run)
{
    gpu_begin();
    const struct gpu_merge merge = run.merges[blockIdx.x];
    const int n = merge.n_shared + merge.n_partials;
    if (n == 0) {
        return;
    }
    for (int i = (int)threadIdx.x; i < ATTENTION_DECODE_ROWS * (int)run.head_dim; i += THREADS) {
        int row = i / (int)run.head_dim, d = i % (int)run.head_dim;
        struct packed_row p = unpack(&run, blockIdx.y, merge.seq, merge.packed_row + row);
        float *out = output_of(&run, &p), max = -INFINITY, sum = 0.0f, value = 0.0f;
        if (!out) {
            continue;
        }
        for (int j = 0; j < n; j++) {
            max = fmaxf(max, merge_source(&run, &merge, j, row)[0]);
        }
        for (int j = 0; j < n; j++) {
            const float *partial = merge_source(&run, &merge, j, row);
            float weight = weight_of(partial[0], max);
            sum += partial[1] * weight;
            value += partial[2 + d] * weight;
        }
        out[d] = value * completion(&run, p.head, max, sum);
    }
}

template <class T, int DIM>
static void launch_tiles(gpu_queue queue, const struct attention_run *run, const struct gpu_attention_plan *plan)
{
    dim3 grid((unsigned)plan->n_work, (unsigned)run->n_kv_heads);
    if (plan->is_decode) {
        gpu_launch_early(queue, attention_tiles<T, DIM, true>, grid, THREADS,
                         sizeof(struct attention_tile<T, DIM, true>), *run);
    } else {
        gpu_launch_early(queue, attention_tiles<T, DIM, false>, grid, THREADS,
                         sizeof(struct attention_tile<T, DIM, false>), *run);
    }
}

template <class T>
static void launch_dims(gpu_queue queue, const struct attention_run *run, const struct gpu_attention_plan *plan)
{
    if (run->head_dim <= 64) {
        launch_tiles<T, 64>(queue, run, plan);
    } else if (run->head_dim <= 128) {
        launch_tiles<T, 128>(queue, run, plan);
    } else {
        launch_tiles<T, 256>(queue, run, plan);
    }
}

bool gpu_attention_has_tiles(const struct op_attention *op)
{
    const struct kv_layout *kv = op->kv;
    return (kv->dtype == DTYPE_F16 || kv->dtype == DTYPE_BF16) && kv->head_dim % 8 == 0 &&
           kv->head_dim <= ATTENTION_HEAD_DIM_MAX_GPU && kv->page_bytes % 16 == 0 && (uintptr_t)op->pool % 16 == 0;
}

size_t gpu_attention_partial_floats(const struct op_attention *op)
{
    return ATTENTION_DECODE_ROWS * (2 + op->kv->head_dim);
}

void gpu_attention_tiles(gpu_queue queue, const struct op_attention *op, const struct gpu_map *map,
                         const struct gpu_attention_plan *plan, float *partials)
{
    assert(gpu_attention_has_tiles(op));
    struct attention_run run = run_of(op, map);
    run.work = plan->work;
    run.merges = plan->merges;
    run.rows = plan->rows;
    run.partials = partials;
    run.n_partials = plan->n_partials;
    if (op->kv->dtype == DTYPE_F16) {
        launch_dims<struct gpu_f16>(queue, &run, plan);
    } else {
        launch_dims<struct gpu_bf16>(queue, &run, plan);
    }
    if (plan->n_merges > 0) {
        gpu_launch_early(queue, attention_merge, dim3((unsigned)plan->n_merges, (unsigned)run.n_kv_heads), THREADS, 0,
                         run);
    }
}

// ---- rows ----------------------------------------------------------------------------------------------------------

#define ROW_DIMS (ATTENTION_HEAD_DIM_MAX_GPU / GPU_WARP) // of a lane

// weights[] of 32 keys from `begin` on, one per lane; the running maximum moves on.
template <class T>
static __device__ float row_weight(const struct attention_run *run, const float *q, size_t seq, int pos, int key,
                                   float *max, float *shrink)
{
    size_t kv_head = blockIdx.y / (run->n_heads / run->n_kv_heads);
    float score = -INFINITY;
    if (is_seen(run, pos, key)) {
        const T *k = (const T *)kv_head_of(run, seq, (size_t)key, 0, kv_head, sizeof(T));
        float dot = 0.0f;
        for (size_t d = 0; d < run->head_dim; d++) {
            dot = fmaf(q[d], gpu_f32(k[d]), dot);
        }
        score = score_of(run, dot);
    }
    float before = *max;
    *max = fmaxf(before, gpu_warp_max(score));
    *shrink = weight_of(before, *max);
    return weight_of(score, *max);
}

template <class T> static __global__ void attention_rows(struct attention_run run)
{
    gpu_begin();
    size_t row = blockIdx.x, head = blockIdx.y, lane = threadIdx.x, kv_head = head / (run.n_heads / run.n_kv_heads);
    if (run.map.row_seq[row] == NO_SEQUENCE) {
        return;
    }
    size_t seq = (size_t)run.map.row_seq[row], row_floats = (run.n_heads + 2 * run.n_kv_heads) * run.head_dim;
    int pos = run.map.row_pos[row], first = run.window && pos >= (int)run.window ? pos - (int)run.window + 1 : 0;
    const float *q = run.qkv + row * row_floats + head * run.head_dim;
    float max = -INFINITY, sum = 0.0f, values[ROW_DIMS] = {};
    for (int begin = first / GPU_WARP * GPU_WARP; begin <= pos; begin += GPU_WARP) {
        float shrink, weight = row_weight<T>(&run, q, seq, pos, begin + (int)lane, &max, &shrink);
        sum = sum * shrink + weight;
        for (int i = 0; i < ROW_DIMS; i++) {
            values[i] *= shrink;
        }
        for (int j = begin < first ? first - begin : 0; j < GPU_WARP && begin + j <= pos; j++) {
            float w = __shfl_sync(0xffffffffu, weight, (unsigned)j);
            const T *v = (const T *)kv_head_of(&run, seq, (size_t)(begin + j), 1, kv_head, sizeof(T));
            for (size_t i = 0; i < ROW_DIMS && i * GPU_WARP + lane < run.head_dim; i++) {
                values[i] = fmaf(w, gpu_f32(v[i * GPU_WARP + lane]), values[i]);
            }
        }
    }
    float factor = completion(&run, head, max, gpu_warp_sum(sum));
    for (size_t i = 0; i < ROW_DIMS && i * GPU_WARP + lane < run.head_dim; i++) {
        run.out[(row * run.n_heads + head) * run.head_dim + i * GPU_WARP + lane] = values[i] * factor;
    }
}

void gpu_attention_rows(gpu_queue queue, const struct op_attention *op, const struct gpu_map *map)
{
    struct attention_run run = run_of(op, map);
    assert(run.head_dim <= ATTENTION_HEAD_DIM_MAX_GPU);
    dim3 grid((unsigned)map->n_rows, (unsigned)run.n_heads);
    switch (op->kv->dtype) {
    case DTYPE_F32: gpu_launch_early(queue, attention_rows<float>, grid, GPU_WARP, 0, run); return;
    case DTYPE_F16: gpu_launch_early(queue, attention_rows<struct gpu_f16>, grid, GPU_WARP, 0, run); return;
    case DTYPE_BF16: gpu_launch_early(queue, attention_rows<struct gpu_bf16>, grid, GPU_WARP, 0, run); return;
    default: assert(0 && "a type that K and V are stored in");
    }
}
