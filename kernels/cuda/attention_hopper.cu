// Attention of many rows over paged K and V on sm_90a: by wgmma, fed by TMA (hopper.h), as in FlashAttention-3 (Shah et
// al. 2024) but with pages. A CTA does a piece of 128 packed rows of one KV head (attention.cu says how they are
// packed) in three warpgroups:
//
//   producer, one warp: for each tile of `keys` positions waits until the stage is free and issues a box per page and
//   64
//     dimensions, K and V; barriers count the bytes. A box of an absent page is one outside of the tensor: zeros.
//   consumers, two groups of 64 rows: Q K^T of the next tile and, behind it, the last tile's weights times V run while
//     the softmax of this tile is computed; the groups take turns in issuing, so that the softmax of one is beside the
//     products of the other. Weights stay in registers, as the left operand.
//
// Shared memory, rows of 64 dimensions (128 bytes, swizzled by 128):
//   q [dim / 64][128 rows]; k, v [2 stages][dim / 64][keys]
//   Q and K are K-major (dimensions are summed over), V is MN-major (positions are).
// Registers: 40 for the producer's threads, 232 for the consumers': 64 x keys scores, 64 x dim values and 64 x keys
// weights of 16 bits make up to 176 of them.
//
// Floor: 4 * rows * positions / 2 * heads * head_dim operations, at 990 TFLOP/s dense on an H100 SXM; exponentials (4
// per processor and cycle each quarter) take half as long as products at head_dim 128, which is why they must overlap.
//
// Pieces are of a sequence's rows and all positions that they see; or of rows of several decoded sequences and a part
// of the positions that those share, whose sums stay unfinished (attention.cu merges them).
//
// Tiles begin at multiples of `keys` whatever the piece, and a tile of which a row sees nothing leaves its sums as they
// are: a row's result depends on its position and its window alone. Positions at and after the end of the sequence have
// weight 0; V is zeroed there, since what a page holds behind its last token may be no number.
#include "kernels/cuda/attention.h"
#include "kernels/cuda/hopper.h"

#define THREADS   (3 * GPU_WARPGROUP)
#define CONSUMERS 2
#define ROWS      (CONSUMERS * 64)
#define ROW_BYTES 128 // of 64 dimensions in shared memory
#define ATOM      (8 * ROW_BYTES)
#define STAGES    2

static_assert(ROWS == ATTENTION_HOPPER_ROWS, "a piece");

// Named barriers: of a consumer group by itself, and its turn.
enum { BARRIER_GROUP = 1, BARRIER_TURN = BARRIER_GROUP + CONSUMERS };

struct hopper_run {
    struct gpu_tensor_map kv; // boxes of [64 dimensions][box_tokens positions][1 of K or V of a head][1 page]
    struct attention_run run;
    int box_tokens;
};

template <int DIM> struct hopper_tile { // at a multiple of ATOM
    static const int keys = DIM <= 128 ? 128 : 64;
    unsigned char q[DIM / 64][ROWS][ROW_BYTES];
    unsigned char k[STAGES][DIM / 64][keys][ROW_BYTES], v[STAGES][DIM / 64][keys][ROW_BYTES];
    uint64_t k_full[STAGES], v_full[STAGES], k_free[STAGES], v_free[STAGES];
};

// What a CTA does.
struct hopper_piece {
    struct gpu_work work;
    size_t kv_head;
    int first, n_tiles; // position of the first tile
    int n_tokens;       // of the sequence; or where the part ends
    bool is_part;       // of the positions, which several sequences share: unfinished sums
};

// Stage and parity of a tile's barriers: each stage is filled once in STAGES tiles.
static __device__ __forceinline__ int stage_of(int tile)
{
    return tile % STAGES;
}

static __device__ __forceinline__ unsigned parity_of(int tile)
{
    return (unsigned)(tile / STAGES) & 1;
}

// By a shuffle, so that the compiler knows that all threads of a warp take the same way.
static __device__ __forceinline__ unsigned warpgroup()
{
    return __shfl_sync(0xffffffffu, threadIdx.x / GPU_WARPGROUP, 0);
}

// The longest pieces, which come last, begin first.
static __device__ __forceinline__ const struct gpu_work *work_of(const struct attention_run *run)
{
    return &run->work[(gridDim.x - 1 - blockIdx.x) / (unsigned)run->n_kv_heads];
}

// Read by each part of the kernel for itself, and again at the end: what is kept costs registers.
template <int DIM> static __device__ __forceinline__ struct hopper_piece piece_of(const struct attention_run *run)
{
    const int keys = hopper_tile<DIM>::keys;
    struct hopper_piece piece;
    piece.work = *work_of(run);
    piece.kv_head = blockIdx.x % (unsigned)run->n_kv_heads;
    piece.first = piece.work.begin / keys * keys;
    piece.n_tiles = (piece.work.end - piece.first + keys - 1) / keys;
    piece.is_part = piece.work.partial >= 0;
    piece.n_tokens =
        piece.is_part ? piece.work.end : run->map.seq_pos[piece.work.seq] + run->map.seq_n_rows[piece.work.seq];
    return piece;
}

// ---- the producer --------------------------------------------------------------------------------------------------

// K or V of a tile; lane i knows the page of box i, -1: none.
template <int DIM>
static __device__ __forceinline__ void
bring(const struct hopper_run *args, const struct hopper_piece *piece, int first, int page, bool is_v,
      unsigned char (*to)[hopper_tile<DIM>::keys][ROW_BYTES], uint64_t *full, uint64_t *free, unsigned parity)
{
    const int keys = hopper_tile<DIM>::keys, offset = first % (int)args->run.page_tokens;
    const int head = (int)((args->run.layer * 2 + is_v) * args->run.n_kv_heads + piece->kv_head);
    const bool is_first = threadIdx.x == 0;
    gpu_barrier_wait(free, parity ^ 1); // the first round of stages is free
    if (is_first) {
        gpu_barrier_arrive_expect(full, (uint32_t)(keys * DIM * 2));
    }
    for (int box = 0; box * args->box_tokens < keys; box++) {
        int page_of_box = __shfl_sync(0xffffffffu, page, (unsigned)box);
#pragma unroll
        for (int d = 0; d < DIM / 64 && is_first; d++) {
            gpu_tensor_load(to[d][box * args->box_tokens], &args->kv, full, d * 64, offset, head, page_of_box);
        }
    }
}

template <int DIM> static __device__ void produce(const struct hopper_run *args, struct hopper_tile<DIM> *tile)
{
    const struct hopper_piece piece = piece_of<DIM>(&args->run);
    const int keys = hopper_tile<DIM>::keys, lane = (int)threadIdx.x;
    const uint32_t *pages = args->run.map.pages + args->run.map.seq_page[piece.work.seq];
    if (lane == 0) {
        gpu_tensor_prefetch(&args->kv);
    }
    for (int i = 0; i < piece.n_tiles; i++) {
        int first = piece.first + i * keys, position = first + lane * args->box_tokens, page = -1;
        if (lane * args->box_tokens < keys && position < piece.n_tokens) {
            page = (int)pages[position / (int)args->run.page_tokens];
        }
        int stage = stage_of(i);
        unsigned parity = parity_of(i);
        bring<DIM>(args, &piece, first, page, false, tile->k[stage], &tile->k_full[stage], &tile->k_free[stage],
                   parity);
        bring<DIM>(args, &piece, first, page, true, tile->v[stage], &tile->v_full[stage], &tile->v_free[stage], parity);
    }
}

// ---- consumers -----------------------------------------------------------------------------------------------------

// A thread's part of its group's 64 rows: rows g = lane / 4 and g + 8 of its warp's 16.
struct hopper_rows {
    unsigned group, warp, lane; // group of consumers; warp of the group
    int pos[2], below[2];       // of a row, and the last position that its window hides
    int pos_first, pos_last;    // of the group's rows
};

static __device__ __forceinline__ int row_of(const struct hopper_rows *rows, int half)
{
    return (int)(rows->group * 64 + rows->warp * 16 + rows->lane / 4) + half * 8;
}

static __device__ __forceinline__ struct hopper_rows rows_of(const struct attention_run *run,
                                                             const struct hopper_piece *piece)
{
    struct hopper_rows rows;
    rows.group = warpgroup() - 1;
    rows.warp = threadIdx.x / GPU_WARP % 4;
    rows.lane = threadIdx.x % GPU_WARP;
    int group = (int)(run->n_heads / run->n_kv_heads), packed = piece->work.packed_row;
    if (piece->is_part) { // rows see all of it
        rows.pos[0] = rows.pos[1] = rows.pos_first = rows.pos_last = piece->n_tokens - 1;
        rows.below[0] = rows.below[1] = -1;
        return rows;
    }
    for (int half = 0; half < 2; half++) {
        rows.pos[half] = run->map.seq_pos[piece->work.seq] + (packed + row_of(&rows, half)) / group;
        rows.below[half] = run->window > 0 ? rows.pos[half] - (int)run->window : -1;
    }
    rows.pos_first = run->map.seq_pos[piece->work.seq] + (packed + (int)rows.group * 64) / group;
    rows.pos_last = run->map.seq_pos[piece->work.seq] + (packed + (int)rows.group * 64 + 63) / group;
    return rows;
}

// Q of the group's rows, eight dimensions at a time; zeros past head_dim and for rows that are not there.
template <class T, int DIM>
static __device__ void load_q(const struct attention_run *run, const struct hopper_piece *piece,
                              const struct hopper_rows *rows, struct hopper_tile<DIM> *tile)
{
    size_t row_floats = (run->n_heads + 2 * run->n_kv_heads) * run->head_dim;
    for (int i = (int)(threadIdx.x % GPU_WARPGROUP); i < 64 * DIM / 8; i += GPU_WARPGROUP) {
        int row = (int)rows->group * 64 + i / (DIM / 8), d = i % (DIM / 8) * 8;
        struct packed_row p = unpack_work(run, &piece->work, piece->kv_head, row);
        float4 low = {}, high = {};
        if (p.is_there && d < (int)run->head_dim) {
            const float *q = run->qkv + p.row * row_floats + p.head * run->head_dim + d;
            low = *reinterpret_cast<const float4 *>(q);
            high = *reinterpret_cast<const float4 *>(q + 4);
        }
        uint4 chunk;
        chunk.x = gpu_pair<T>(low.x, low.y);
        chunk.y = gpu_pair<T>(low.z, low.w);
        chunk.z = gpu_pair<T>(high.x, high.y);
        chunk.w = gpu_pair<T>(high.z, high.w);
        gpu_store_16(&tile->q[d / 64][row][(d % 64 / 8 ^ row % 8) * 16], chunk);
    }
    gpu_async_fence();
    gpu_named_sync(BARRIER_GROUP + rows->group, GPU_WARPGROUP);
}

// scores = Q K^T
template <class T, int DIM>
static __device__ __forceinline__ void multiply_keys(const struct hopper_tile<DIM> *tile,
                                                     const struct hopper_rows *rows, int stage,
                                                     float (&scores)[hopper_tile<DIM>::keys / 2])
{
    const int keys = hopper_tile<DIM>::keys;
    uint64_t q = gpu_wgmma_matrix(gpu_shared_address(tile->q[0][rows->group * 64]), GPU_SWIZZLE_128, 16, ATOM);
    uint64_t k = gpu_wgmma_matrix(gpu_shared_address(tile->k[stage]), GPU_SWIZZLE_128, 16, ATOM);
#pragma unroll
    for (int d = 0; d < DIM; d += 16) {
        gpu_wgmma<T, keys>(scores, gpu_wgmma_advance(q, (uint32_t)(d / 64 * ROWS * ROW_BYTES + d % 64 * 2)),
                           gpu_wgmma_advance(k, (uint32_t)(d / 64 * keys * ROW_BYTES + d % 64 * 2)), d > 0);
    }
    gpu_wgmma_commit();
}

// values += weights V
template <class T, int DIM>
static __device__ __forceinline__ void add_values(const struct hopper_tile<DIM> *tile, int stage,
                                                  const uint32_t (&weights)[hopper_tile<DIM>::keys / 16][4],
                                                  float (&values)[DIM / 2])
{
    const int keys = hopper_tile<DIM>::keys;
    uint64_t v = gpu_wgmma_matrix(gpu_shared_address(tile->v[stage]), GPU_SWIZZLE_128, keys * ROW_BYTES, ATOM);
#pragma unroll
    for (int key = 0; key < keys; key += 16) {
        gpu_wgmma_values<T, DIM>(values, weights[key / 16], gpu_wgmma_advance(v, (uint32_t)(key * ROW_BYTES)), true);
    }
    gpu_wgmma_commit();
}

// softcap * tanh(x / softcap), from exponentials: right to 1e-7 of softcap
template <int N> static __device__ __forceinline__ void cap(const struct attention_run *run, float (&scores)[N])
{
    const float factor = run->scale / run->softcap * 2.0f * LOG2E;
#pragma unroll
    for (int i = 0; i < N; i++) {
        scores[i] = run->softcap - 2.0f * run->softcap * gpu_reciprocal(1.0f + gpu_exp2(scores[i] * factor));
    }
}

template <int N>
static __device__ __forceinline__ void hide(const struct hopper_rows *rows, int first, float (&scores)[N])
{
    const int lane_first = first + (int)(rows->lane % 4) * 2;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int last = rows->pos[half] - lane_first, below = rows->below[half] - lane_first;
#pragma unroll
        for (int i = 0; i < N / 2; i++) {
            float *score = &scores[i / 2 * 4 + half * 2 + i % 2];
            int key = i / 2 * 8 + i % 2;
            *score = key > last || key <= below ? -INFINITY : *score;
        }
    }
}

// The running softmax of a thread's two rows. `unit`: scores are multiples of it in powers of two.
struct hopper_softmax {
    float max[2], sum[2], shrink[2];
    float unit;
};

// Turns scores into weights; `shrink` is what the sums so far are to be multiplied by.
template <int N>
static __device__ __forceinline__ void soften(const struct attention_run *run, const struct hopper_rows *rows,
                                              int first, float (&scores)[N], struct hopper_softmax *s)
{
    const int keys = 2 * N;
    if (run->softcap > 0.0f) {
        cap(run, scores);
    }
    bool is_hidden = run->window > 0 && first <= rows->pos_last - (int)run->window;
    if (is_hidden || first + keys - 1 > rows->pos_first) {
        hide(rows, first, scores);
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float max = s->max[half], sum = 0.0f;
#pragma unroll
        for (int i = 0; i < N / 2; i++) {
            max = fmaxf(max, scores[i / 2 * 4 + half * 2 + i % 2]);
        }
        max = fmaxf(max, __shfl_xor_sync(0xffffffffu, max, 1));
        max = fmaxf(max, __shfl_xor_sync(0xffffffffu, max, 2));
        float base = max == -INFINITY ? 0.0f : max * s->unit; // nothing seen yet: weights of 0
        s->shrink[half] = gpu_exp2(s->max[half] * s->unit - base);
#pragma unroll
        for (int i = 0; i < N / 2; i++) {
            float *score = &scores[i / 2 * 4 + half * 2 + i % 2];
            *score = gpu_exp2(fmaf(*score, s->unit, -base));
            sum += *score;
        }
        s->max[half] = max;
        s->sum[half] = s->sum[half] * s->shrink[half] + sum; // of this lane's keys
    }
}

// Between softmax and products: the last ones are waited for here and not before, that they run beside the softmax;
// their sums are brought to its maximum, and its weights become the left operand of the next. (The wait stands behind a
// wait for a barrier, which the compiler does not move it past.)
template <class T, int N, int M>
static __device__ __forceinline__ void settle(const struct hopper_softmax *s, float (&values)[M],
                                              const float (&scores)[N], uint32_t (&weights)[N / 8][4])
{
    gpu_wgmma_wait<0>(values);
#pragma unroll
    for (int i = 0; i < M; i++) {
        values[i] *= s->shrink[i / 2 % 2];
    }
#pragma unroll
    for (int i = 0; i < N / 2; i++) {
        weights[i / 4][i % 4] = gpu_pair<T>(scores[2 * i], scores[2 * i + 1]);
    }
}

// A warp has read a stage.
static __device__ __forceinline__ void release(const struct hopper_rows *rows, uint64_t *free)
{
    if (rows->lane == 0) {
        gpu_barrier_arrive(free);
    }
}

// Turn i of n: the other group has issued its products of turn i (the second group: i, the first: i - 1).
static __device__ __forceinline__ void take_turn(const struct hopper_rows *rows, int i)
{
    if (rows->group > 0 || i > 0) {
        gpu_named_sync(BARRIER_TURN + rows->group, CONSUMERS * GPU_WARPGROUP);
    }
}

static __device__ __forceinline__ void pass_turn(const struct hopper_rows *rows, int i, int n)
{
    if (rows->group == 0 || i + 1 < n) {
        gpu_named_arrive(BARRIER_TURN + (rows->group ^ 1), CONSUMERS * GPU_WARPGROUP);
    }
}

// What the last box holds behind the end of the sequence: weights of 0, but 0 times what is no number is none. Both
// groups write the same.
template <int DIM>
static __device__ void clear_tail(const struct hopper_run *args, const struct hopper_piece *piece,
                                  const struct hopper_rows *rows, struct hopper_tile<DIM> *tile)
{
    const int keys = hopper_tile<DIM>::keys, last = piece->n_tiles - 1, first = piece->first + last * keys;
    int begin = piece->n_tokens - first, end = (begin + args->box_tokens - 1) / args->box_tokens * args->box_tokens;
    if (begin >= keys || begin == end) {
        return;
    }
    const int chunks = DIM / 8;
    for (int i = (int)(threadIdx.x % GPU_WARPGROUP); i < (end - begin) * chunks; i += GPU_WARPGROUP) {
        gpu_store_16(&tile->v[stage_of(last)][i % chunks / 8][begin + i / chunks][i % 8 * 16], uint4{});
    }
    gpu_async_fence();
    gpu_named_sync(BARRIER_GROUP + rows->group, GPU_WARPGROUP);
}

template <int DIM>
static __device__ void finish(const struct attention_run *run, const struct hopper_rows *rows,
                              const struct hopper_softmax *s, const float (&values)[DIM / 2])
{
    const struct hopper_piece piece = piece_of<DIM>(run);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float sum = s->sum[half];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        struct packed_row p = unpack_work(run, &piece.work, piece.kv_head, row_of(rows, half));
        if (!p.is_there) {
            continue;
        }
        float *out, factor = 1.0f;
        if (piece.is_part) {
            float *partial = partial_of(run, piece.kv_head, piece.work.partial, row_of(rows, half));
            partial[0] = s->max[half] * s->unit * (1.0f / LOG2E); // as attention.cu has it
            partial[1] = sum;
            out = partial + 2;
        } else {
            float sink = run->sinks ? gpu_exp2(run->sinks[p.head] * LOG2E - s->max[half] * s->unit) : 0.0f;
            factor = 1.0f / (sum + sink);
            out = run->out + (p.row * run->n_heads + p.head) * run->head_dim;
        }
#pragma unroll
        for (int d = 0; d < DIM / 8; d++) {
            int dim = d * 8 + (int)(rows->lane % 4) * 2;
            if (dim < (int)run->head_dim) {
                float2 pair = { values[4 * d + 2 * half] * factor, values[4 * d + 2 * half + 1] * factor };
                *reinterpret_cast<float2 *>(out + dim) = pair;
            }
        }
    }
}

template <class T, int DIM> static __device__ void consume(const struct hopper_run *args, struct hopper_tile<DIM> *tile)
{
    const struct hopper_piece piece = piece_of<DIM>(&args->run);
    const int keys = hopper_tile<DIM>::keys, n = piece.n_tiles;
    const struct attention_run *run = &args->run;
    const struct hopper_rows rows = rows_of(run, &piece);
    struct hopper_softmax s = {
        { -INFINITY, -INFINITY }, { 0.0f, 0.0f }, { 0.0f, 0.0f }, run->softcap > 0.0f ? LOG2E : run->scale * LOG2E
    };
    float scores[keys / 2], values[DIM / 2];
    uint32_t weights[keys / 16][4];
#pragma unroll
    for (int i = 0; i < DIM / 2; i++) {
        values[i] = 0.0f;
    }
    load_q<T, DIM>(run, &piece, &rows, tile);
    gpu_barrier_wait(&tile->k_full[0], 0);
    take_turn(&rows, 0);
    gpu_wgmma_fence();
    multiply_keys<T, DIM>(tile, &rows, 0, scores);
    pass_turn(&rows, 0, n);
    gpu_wgmma_wait<0>(scores);
    release(&rows, &tile->k_free[0]);
    soften(run, &rows, piece.first, scores, &s);
    for (int i = 1; i < n; i++) {
        gpu_barrier_wait(&tile->k_full[stage_of(i)], parity_of(i));
        settle<T>(&s, values, scores, weights);
        if (i > 1) {
            release(&rows, &tile->v_free[stage_of(i - 2)]);
        }
        take_turn(&rows, i);
        gpu_wgmma_fence();
        multiply_keys<T, DIM>(tile, &rows, stage_of(i), scores);
        gpu_barrier_wait(&tile->v_full[stage_of(i - 1)], parity_of(i - 1));
        gpu_wgmma_fence();
        add_values<T, DIM>(tile, stage_of(i - 1), weights, values);
        pass_turn(&rows, i, n);
        gpu_wgmma_wait<1>(scores);
        release(&rows, &tile->k_free[stage_of(i)]);
        soften(run, &rows, piece.first + i * keys, scores, &s);
    }
    gpu_barrier_wait(&tile->v_full[stage_of(n - 1)], parity_of(n - 1));
    settle<T>(&s, values, scores, weights);
    clear_tail<DIM>(args, &piece, &rows, tile);
    gpu_wgmma_fence();
    add_values<T, DIM>(tile, stage_of(n - 1), weights, values);
    gpu_wgmma_wait<0>(values);
    finish<DIM>(run, &rows, &s, values);
}

// ---- both ----------------------------------------------------------------------------------------------------------

template <class T, int DIM>
static __global__ void __launch_bounds__(THREADS, 1) attention_hopper(const __grid_constant__ struct hopper_run args)
{
    GPU_SHARED_DYNAMIC(unsigned char, shared);
    struct hopper_tile<DIM> *tile =
        reinterpret_cast<struct hopper_tile<DIM> *>(shared + (-gpu_shared_address(shared) & (ATOM - 1)));
    if (work_of(&args.run)->begin >= work_of(&args.run)->end) {
        return;
    }
    if (threadIdx.x == 0) {
        for (int i = 0; i < STAGES; i++) {
            gpu_barrier_init(&tile->k_full[i], 1);
            gpu_barrier_init(&tile->v_full[i], 1);
            gpu_barrier_init(&tile->k_free[i], CONSUMERS * 4); // a lane of each warp
            gpu_barrier_init(&tile->v_free[i], CONSUMERS * 4);
        }
        gpu_barrier_init_done();
    }
    __syncthreads();
    if (warpgroup() == 0) {
        gpu_registers_give<40>();
        if (threadIdx.x < GPU_WARP) {
            produce<DIM>(&args, tile);
        }
    } else {
        gpu_registers_take<232>();
        consume<T, DIM>(&args, tile);
    }
}

template <class T, int DIM>
static void launch(gpu_queue queue, const struct hopper_run *args, const struct gpu_attention_plan *plan)
{
    dim3 grid((unsigned)(plan->n_work * args->run.n_kv_heads));
    gpu_launch(queue, attention_hopper<T, DIM>, grid, THREADS, sizeof(struct hopper_tile<DIM>) + ATOM, *args);
}

template <class T>
static void launch_dims(gpu_queue queue, const struct hopper_run *args, const struct gpu_attention_plan *plan)
{
    if (args->run.head_dim <= 64) {
        launch<T, 64>(queue, args, plan);
    } else if (args->run.head_dim <= 128) {
        launch<T, 128>(queue, args, plan);
    } else {
        launch<T, 256>(queue, args, plan);
    }
}

static uint32_t box_tokens_of(const struct kv_layout *kv)
{
    size_t keys = kv->head_dim <= 128 ? 128 : 64;
    return (uint32_t)(kv->page_tokens < keys ? kv->page_tokens : keys);
}

bool gpu_attention_hopper_tensor(const struct kv_layout *kv, const void *pool, uint64_t pool_bytes_max,
                                 struct gpu_tensor *ret)
{
    bool is_16_bit = kv->dtype == DTYPE_F16 || kv->dtype == DTYPE_BF16;
    bool is_power = kv->page_tokens >= 8 && (kv->page_tokens & (kv->page_tokens - 1)) == 0;
    if (!is_16_bit || !is_power || kv->head_dim % 8 || kv->head_dim > ATTENTION_HEAD_DIM_MAX_GPU) {
        return false;
    }
    uint64_t head_bytes = kv->page_tokens * kv->head_dim * 2, n_pages = pool_bytes_max / kv->page_bytes;
    *ret = (struct gpu_tensor){ pool,
                                { kv->head_dim, kv->page_tokens, kv->n_layers * 2 * kv->n_kv_heads,
                                  n_pages < INT32_MAX ? n_pages : INT32_MAX },
                                { kv->head_dim * 2, head_bytes, kv->page_bytes },
                                { 64, box_tokens_of(kv), 1, 1 },
                                ROW_BYTES,
                                kv->dtype == DTYPE_F16 };
    return n_pages > 0;
}

void gpu_attention_hopper(gpu_queue queue, const struct op_attention *op, const struct gpu_map *map,
                          const struct gpu_attention_plan *plan, const struct gpu_tensor_map *kv, float *partials)
{
    assert(op->scale > 0.0f && (uintptr_t)op->qkv % 16 == 0 && (uintptr_t)op->out % 8 == 0);
    struct hopper_run args = { *kv, run_of(op, map), (int)box_tokens_of(op->kv) };
    args.run.work = plan->work;
    args.run.rows = plan->rows;
    args.run.partials = partials;
    args.run.n_partials = plan->n_partials;
    if (op->kv->dtype == DTYPE_F16) {
        launch_dims<struct gpu_f16>(queue, &args, plan);
    } else {
        launch_dims<struct gpu_bf16>(queue, &args, plan);
    }
}
