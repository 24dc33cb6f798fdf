// Products with dense weights of 16 bits on sm_90a, y[r][o] (+)= sum_i x[r][i] * w[o][i] + bias[o]: by wgmma, fed by
// TMA (hopper.h). x is rounded to the weights' type before.
//
// Weights are always the left operand of m64nNk16, 64 outputs of them, and N rows of x are the right one: few rows need
// a small N and the weights still pass once, many rows a large one. CTAs of GROUPS warpgroups with 64 outputs each,
// times N rows:
//
//   producer, one thread: for each 64 inputs waits until the stage is free and issues a box of x and one of weights for
//     each group; a barrier counts their bytes. What lies outside of x and w is zeros.
//   consumers: four products of 16 inputs each, rising, whose end is waited for when the next four have been issued;
//   then
//     the stage is free again. Behind the last inputs they write their sums, while the producer is ahead at the next
//     tile.
//
// CTAs stay, and take every gridDim-th tile: eight tiles of rows beside as many outputs as go round, then the next
// outputs, so that what runs at one time shares x and weights in the L2 cache.
//
// Shared memory: stages of w [GROUPS][64 outputs] and x [N rows] of 64 inputs (128 bytes, swizzled by 128; K-major).
// Registers: 128 sums for N = 256; 40 for the producer's warpgroup and 232 for the consumers' where there are two.
//
// Floors: 2 * rows * outputs * inputs operations at 990 TFLOP/s dense on an H100 SXM; outputs * inputs * 2 bytes. A
// tile of 128 outputs and 256 rows fetches 48 KiB for 1,024 cycles of products, one of 64 and 16 10 KiB for 8 KiB of
// weights.
//
// A sum is that of n_in / 16 products in rising order, whatever N and wherever in a tile it stands: a row's bits do not
// depend on the batch, as far as the instruction's own sum of 16 does not depend on N (docs/cuda.md).
#include "kernels/cuda/hopper.h"
#include "kernels/cuda/kernels.h"

#include <assert.h>

#define ROW_BYTES    128 // of 64 inputs in shared memory
#define ATOM         (8 * ROW_BYTES)
#define INPUTS       64 // of a stage
#define BAND         8  // tiles of rows that run beside each other
#define STAGES_BYTES (192 * 1024)

struct dense_run {
    struct gpu_tensor_map w, x; // boxes of 64 inputs of 64 outputs, and of N rows
    const float *bias;          // [n_out], or NULL
    float *y;                   // [n_rows][y_stride]
    size_t y_stride;
    int n_rows, n_out, n_in, n_tiles;
    bool accumulate;
};

template <int GROUPS, int N> struct dense_shape {
    static const int outputs = GROUPS * 64, threads = (1 + GROUPS) * GPU_WARPGROUP;
    static const int per_processor = GROUPS == 1 ? 2 : 1; // CTAs
    static const int stage_bytes = (outputs + N) * ROW_BYTES;
    static const int n_stages = STAGES_BYTES / per_processor / stage_bytes;
};

template <int GROUPS, int N> struct dense_memory { // at a multiple of ATOM
    static const int n_stages = dense_shape<GROUPS, N>::n_stages;
    struct {
        unsigned char w[GROUPS][64][ROW_BYTES], x[N][ROW_BYTES];
    } stages[n_stages];
    uint64_t full[n_stages], free[n_stages];
};

// The stage that is filled or read next, and the parity of the phase of its barriers that ends with it.
struct dense_place {
    int stage;
    unsigned parity;
};

template <int N_STAGES> static __device__ __forceinline__ void advance(struct dense_place *place)
{
    place->stage++;
    if (place->stage == N_STAGES) {
        place->stage = 0;
        place->parity ^= 1;
    }
}

struct dense_tile {
    int row, out;
};

template <int GROUPS, int N>
static __device__ __forceinline__ struct dense_tile tile_of(const struct dense_run *run, int tile)
{
    const int outputs = dense_shape<GROUPS, N>::outputs;
    int n_across = (run->n_out + outputs - 1) / outputs, n_down = (run->n_rows + N - 1) / N;
    int band = tile / (BAND * n_across) * BAND, within = tile % (BAND * n_across);
    int height = n_down - band < BAND ? n_down - band : BAND;
    return { (band + within % height) * N, within / height * outputs };
}

// By a shuffle, so that the compiler knows that all threads of a warp take the same way.
static __device__ __forceinline__ unsigned warpgroup()
{
    return __shfl_sync(0xffffffffu, threadIdx.x / GPU_WARPGROUP, 0);
}

// ---- the producer --------------------------------------------------------------------------------------------------

template <int GROUPS, int N>
static __device__ void produce(const struct dense_run *run, struct dense_memory<GROUPS, N> *memory)
{
    struct dense_place place = { 0, 0 };
    gpu_tensor_prefetch(&run->w);
    gpu_tensor_prefetch(&run->x);
    for (int i = (int)blockIdx.x; i < run->n_tiles; i += (int)gridDim.x) {
        const struct dense_tile tile = tile_of<GROUPS, N>(run, i);
        for (int k = 0; k < run->n_in; k += INPUTS) {
            auto *stage = &memory->stages[place.stage];
            uint64_t *full = &memory->full[place.stage];
            gpu_barrier_wait(&memory->free[place.stage], place.parity ^ 1); // the first round of stages is free
            gpu_barrier_arrive_expect(full, (uint32_t)dense_shape<GROUPS, N>::stage_bytes);
#pragma unroll
            for (int group = 0; group < GROUPS; group++) {
                gpu_tensor_load(stage->w[group], &run->w, full, k, tile.out + group * 64, 0, 0);
            }
            gpu_tensor_load(stage->x, &run->x, full, k, tile.row, 0, 0);
            advance<dense_memory<GROUPS, N>::n_stages>(&place);
        }
    }
}

// ---- consumers -----------------------------------------------------------------------------------------------------

// sums[64 outputs][N rows] += 64 inputs; the first of all begin them
template <class T, int GROUPS, int N>
static __device__ __forceinline__ void multiply(const struct dense_memory<GROUPS, N> *memory, int stage, unsigned group,
                                                bool is_first, float (&sums)[N / 2])
{
    uint64_t w = gpu_wgmma_matrix(gpu_shared_address(memory->stages[stage].w[group]), GPU_SWIZZLE_128, 16, ATOM);
    uint64_t x = gpu_wgmma_matrix(gpu_shared_address(memory->stages[stage].x), GPU_SWIZZLE_128, 16, ATOM);
#pragma unroll
    for (int k = 0; k < INPUTS; k += 16) {
        gpu_wgmma<T, N>(sums, gpu_wgmma_advance(w, (uint32_t)k * 2), gpu_wgmma_advance(x, (uint32_t)k * 2),
                        k > 0 || !is_first);
    }
    gpu_wgmma_commit();
}

// A warp has read a stage.
static __device__ __forceinline__ void release(uint64_t *free)
{
    if (threadIdx.x % GPU_WARP == 0) {
        gpu_barrier_arrive(free);
    }
}

// Row i of a thread's rows, counted from the first of them.
static __device__ __forceinline__ constexpr int row_of(int i)
{
    return i / 2 * 8 + i % 2;
}

// A thread's sums of one output, sums[i / 2 * 4 + half * 2 + i % 2], to rows row_of(i) of y, of which n are there. What
// is there already is read some rows ahead of what is written.
template <int N>
static __device__ __forceinline__ void put_output(float *y, size_t y_stride, int n, bool accumulate, float bias,
                                                  const float (&sums)[N / 2], int half)
{
    const int n_ahead = N / 4 < 16 ? N / 4 : 16;
#pragma unroll
    for (int first = 0; first < N / 4; first += n_ahead, y += row_of(n_ahead) * y_stride) {
        float before[n_ahead] = {}, *from = y, *to = y;
        if (accumulate) {
#pragma unroll
            for (int i = 0; i < n_ahead; i++, from += (row_of(i) - row_of(i - 1)) * y_stride) {
                before[i] = row_of(first + i) < n ? *from : 0.0f;
            }
        }
#pragma unroll
        for (int i = 0; i < n_ahead; i++, to += (row_of(i) - row_of(i - 1)) * y_stride) {
            if (row_of(first + i) < n) {
                *to = before[i] + (sums[(first + i) / 2 * 4 + half * 2 + i % 2] + bias);
            }
        }
    }
}

// A thread has outputs g and g + 8 of its warp's 16 (g = lane / 4), and rows 2t and 2t + 1 of each eight (t = lane %
// 4).
template <int N>
static __device__ __forceinline__ void put(const struct dense_run *run, int row, int out, const float (&sums)[N / 2])
{
    const int lane = (int)(threadIdx.x % GPU_WARP);
    row += lane % 4 * 2;
    out += (int)(threadIdx.x % GPU_WARPGROUP / GPU_WARP) * 16 + lane / 4;
    float *y = run->y + (size_t)row * run->y_stride + (size_t)out;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        if (out + half * 8 < run->n_out) {
            put_output<N>(y + half * 8, run->y_stride, run->n_rows - row, run->accumulate,
                          run->bias ? run->bias[out + half * 8] : 0.0f, sums, half);
        }
    }
}

template <class T, int GROUPS, int N>
static __device__ void consume(const struct dense_run *run, struct dense_memory<GROUPS, N> *memory)
{
    const unsigned group = warpgroup() - 1;
    struct dense_place place = { 0, 0 };
    for (int i = (int)blockIdx.x; i < run->n_tiles; i += (int)gridDim.x) {
        const struct dense_tile tile = tile_of<GROUPS, N>(run, i);
        float sums[N / 2];
        int last = 0; // the stage whose products may still run
        for (int k = 0; k < run->n_in; k += INPUTS) {
            gpu_barrier_wait(&memory->full[place.stage], place.parity);
            gpu_wgmma_fence();
            multiply<T, GROUPS, N>(memory, place.stage, group, k == 0, sums);
            gpu_wgmma_wait<1>();
            if (k > 0) {
                release(&memory->free[last]);
            }
            last = place.stage;
            advance<dense_memory<GROUPS, N>::n_stages>(&place);
        }
        gpu_wgmma_wait<0>(sums);
        release(&memory->free[last]);
        put<N>(run, tile.row, tile.out + (int)group * 64, sums);
    }
}

// ---- both ----------------------------------------------------------------------------------------------------------

template <class T, int GROUPS, int N>
static __global__ void __launch_bounds__(dense_shape<GROUPS, N>::threads, dense_shape<GROUPS, N>::per_processor)
    linear_hopper(const __grid_constant__ struct dense_run run)
{
    GPU_SHARED_DYNAMIC(unsigned char, shared);
    struct dense_memory<GROUPS, N> *memory =
        reinterpret_cast<struct dense_memory<GROUPS, N> *>(shared + (-gpu_shared_address(shared) & (ATOM - 1)));
    if (threadIdx.x == 0) {
        for (int i = 0; i < dense_memory<GROUPS, N>::n_stages; i++) {
            gpu_barrier_init(&memory->full[i], 1);
            gpu_barrier_init(&memory->free[i], GROUPS * 4); // a lane of each warp
        }
        gpu_barrier_init_done();
    }
    __syncthreads();
    if (warpgroup() == 0) {
        if (GROUPS > 1) {
            gpu_registers_give<40>();
        }
        if (threadIdx.x == 0) {
            produce<GROUPS, N>(&run, memory);
        }
    } else {
        if (GROUPS > 1) {
            gpu_registers_take<232>();
        }
        consume<T, GROUPS, N>(&run, memory);
    }
}

// ---- launching -----------------------------------------------------------------------------------------------------

// [n][n_in], in boxes of n_box.
static struct gpu_tensor tensor_of(const void *base, size_t n, size_t n_in, size_t n_box, bool is_f16)
{
    uint64_t bytes = n * n_in * 2;
    return {
        base, { n_in, n, 1, 1 }, { n_in * 2, bytes, bytes }, { INPUTS, (uint32_t)n_box, 1, 1 }, ROW_BYTES, is_f16
    };
}

template <class T, int GROUPS, int N>
static void launch(struct gpu *gpu, const struct gpu_gemm *gemm, const float *bias, const struct gpu_tensor_map *w)
{
    const size_t outputs = dense_shape<GROUPS, N>::outputs;
    const struct gpu_tensor x = tensor_of(gemm->x, gemm->n_rows, gemm->n_in, N, gemm->is_f16);
    struct dense_run run = { *w,
                             {},
                             bias,
                             gemm->y,
                             gemm->y_stride,
                             (int)gemm->n_rows,
                             (int)gemm->n_out,
                             (int)gemm->n_in,
                             (int)((gemm->n_rows + N - 1) / N * ((gemm->n_out + outputs - 1) / outputs)),
                             gemm->accumulate };
    bool is_made = gpu_tensor_map_make(gpu, &x, &run.x); // its rows are as long as the weights'
    assert(is_made);
    (void)is_made;
    unsigned n_ctas = gpu_facts_of(gpu)->n_processors * dense_shape<GROUPS, N>::per_processor;
    gpu_launch(gpu_queue_of(gpu), linear_hopper<T, GROUPS, N>,
               dim3((unsigned)run.n_tiles < n_ctas ? (unsigned)run.n_tiles : n_ctas), dense_shape<GROUPS, N>::threads,
               sizeof(struct dense_memory<GROUPS, N>) + ATOM, run);
}

typedef void launch_fn(struct gpu *gpu, const struct gpu_gemm *gemm, const float *bias, const struct gpu_tensor_map *w);

static const struct {
    size_t outputs, rows;
    launch_fn *of_bf16, *of_f16;
} shapes[] = {
    // of the equally fast the first is taken
    { 64, 16, launch<struct gpu_bf16, 1, 16>, launch<struct gpu_f16, 1, 16> },
    { 64, 64, launch<struct gpu_bf16, 1, 64>, launch<struct gpu_f16, 1, 64> },
    { 128, 128, launch<struct gpu_bf16, 2, 128>, launch<struct gpu_f16, 2, 128> },
    { 128, 256, launch<struct gpu_bf16, 2, 256>, launch<struct gpu_f16, 2, 256> },
};
#define N_SHAPES (sizeof(shapes) / sizeof(*shapes))

// What a processor of an H100 does in a cycle, roughly: for estimates. Products at the best; bytes from the L2 cache,
// of which no figure is published; of memory, as its share.
#define CYCLE_PRODUCTS     2048
#define CYCLE_BYTES        32
#define CYCLE_MEMORY_BYTES 16

// Cycles of a step of 64 inputs, all tiles of a processor together.
static size_t cycles_of(size_t shape, const struct gpu_gemm *gemm, size_t n_processors)
{
    size_t outputs = shapes[shape].outputs, rows = shapes[shape].rows;
    size_t n_tiles = (gemm->n_rows + rows - 1) / rows * ((gemm->n_out + outputs - 1) / outputs);
    size_t n_rounds = (n_tiles + n_processors - 1) / n_processors;
    size_t products = outputs * rows * INPUTS / CYCLE_PRODUCTS;
    size_t fetched = (outputs + (gemm->n_rows < rows ? gemm->n_rows : rows)) * ROW_BYTES / CYCLE_BYTES;
    size_t of_tiles = n_rounds * (products > fetched ? products : fetched);
    size_t of_memory = gemm->n_out * ROW_BYTES / (CYCLE_MEMORY_BYTES * n_processors);
    return of_tiles > of_memory ? of_tiles : of_memory;
}

static size_t best_shape(const struct gpu_gemm *gemm, size_t n_processors)
{
    size_t best = 0;
    for (size_t i = 1; i < N_SHAPES; i++) {
        if (cycles_of(i, gemm, n_processors) < cycles_of(best, gemm, n_processors)) {
            best = i;
        }
    }
    return best;
}

bool gpu_linear_hopper_map(const struct gpu *gpu, const void *w, size_t n_out, size_t n_in, bool is_f16,
                           struct gpu_tensor_map *ret)
{
    const struct gpu_tensor tensor = tensor_of(w, n_out, n_in, 64, is_f16);
    return gpu_facts_of(gpu)->capability == 90 && n_in % 8 == 0 && n_in <= INT32_MAX - INPUTS &&
           n_out <= INT32_MAX - 256 && gpu_tensor_map_make(gpu, &tensor, ret);
}

void gpu_linear_hopper(struct gpu *gpu, const struct gpu_gemm *gemm, const float *bias, const struct gpu_tensor_map *w)
{
    size_t shape = best_shape(gemm, gpu_facts_of(gpu)->n_processors);
    (gemm->is_f16 ? shapes[shape].of_f16 : shapes[shape].of_bf16)(gpu, gemm, bias, w);
}
