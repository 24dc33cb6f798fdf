// Products with weights in block formats, kept as such (blocks.h), and products of several weights in one launch.
//
// The weights are the left operand of the tensor cores, 16 outputs by 16 inputs, and are made in registers: codes are
// small integers, which bf16 holds exactly; a group's sum is f32 and gets its scale there. The rows of x are the right
// operand, rounded to bf16: eight rows cost what one costs. A CTA has 16 outputs; its eight warps share out the chunks
// in runs, and their sums are added up in the order of the runs. So a row's bits depend on its x and the weights alone,
// not on how many rows there are: `deterministic` is served by the same kernels.
//
// Shapes: up to 8, 32 or 64 rows per CTA in y of the grid (8 read x as it is; more have it rounded by x_to_16 before),
//   or a part of what experts multiply (experts.cu), which may have as many. n_in is whole groups of 32.
// Floor: bytes of the weights / bandwidth; at 4.5 bits and 4 TB/s 7,100 weights per ns, 32 per clock and processor.
//   For 16 x 32 of them a warp issues about 24 instructions that make operands, 2 mma (4 with minima) and 4 to 12 for
//   scales: half of what the schedulers have in that time. x: 4 bytes per row and 16 outputs, from L1. Not measured.
#include "kernels/cuda/block_formats.h"
#include "kernels/cuda/glu.h"

#define WARPS   8
#define THREADS (WARPS * GPU_WARP)

// ---- rows of x -----------------------------------------------------------------------------------------------------

// Eight inputs of a row, those of the lane in the group at k, as pairs. Zeros beyond n_in.
template <class F>
static __device__ __forceinline__ void pairs_of_x(const struct blocks_run *run, size_t row, size_t k, unsigned t,
                                                  uint32_t ret[4])
{
    const float *first = run->x + row * run->x_stride + k + (F::is_split ? 4 : 8) * t;
    const float *second = first + (F::is_split ? 16 : 4);
    float4 a = { 0, 0, 0, 0 }, b = { 0, 0, 0, 0 };
    if (k < run->n_in && run->is_aligned) {
        a = *reinterpret_cast<const float4 *>(first);
        b = *reinterpret_cast<const float4 *>(second);
    } else if (k < run->n_in) {
        a = float4{ first[0], first[1], first[2], first[3] };
        b = float4{ second[0], second[1], second[2], second[3] };
    }
    ret[0] = gpu_pair<typename F::element>(a.x, a.y);
    ret[1] = gpu_pair<typename F::element>(a.z, a.w);
    ret[2] = gpu_pair<typename F::element>(b.x, b.y);
    ret[3] = gpu_pair<typename F::element>(b.z, b.w);
}

// One CTA per row, a thread per eight inputs.
template <class F> static __global__ void x_to_16(struct blocks_run run, uint32_t *x16)
{
    gpu_begin();
    for (size_t i = threadIdx.x; i < run.n_chunks * BLOCKS_CHUNK / 8; i += blockDim.x) {
        uint32_t pairs[4];
        pairs_of_x<F>(&run, blockIdx.x, i / 4 * GROUP, (unsigned)(i % 4), pairs);
        reinterpret_cast<uint4 *>(x16)[blockIdx.x * run.n_chunks * BLOCKS_CHUNK / 8 + i] =
            uint4{ pairs[0], pairs[1], pairs[2], pairs[3] };
    }
}

template <class F, bool IS_ROUNDED>
static __device__ __forceinline__ void load_x(const struct blocks_run *run, size_t row, size_t end, size_t k,
                                              unsigned t, uint32_t ret[4])
{
    ret[0] = ret[1] = ret[2] = ret[3] = 0;
    if (row >= end) {
        return;
    }
    if (IS_ROUNDED) {
        uint32_t at = (uint32_t)row * (uint32_t)run->n_chunks * (BLOCKS_CHUNK / 8) + (uint32_t)k / 8 + t;
        uint4 v = reinterpret_cast<const uint4 *>(run->x16)[at];
        ret[0] = v.x;
        ret[1] = v.y;
        ret[2] = v.z;
        ret[3] = v.w;
    } else {
        pairs_of_x<F>(run, row, k, t, ret);
    }
}

// ---- the product ---------------------------------------------------------------------------------------------------

template <class F, int TILES, bool IS_ROUNDED>
static __device__ __forceinline__ void add_chunk(const struct blocks_run *run, const typename F::raw *raw, size_t chunk,
                                                 size_t first, size_t end, unsigned lane, float acc[TILES][4])
{
#pragma unroll
    for (int group = 0; group < BLOCKS_CHUNK / GROUP; group++) {
        uint32_t a[2][4];
        struct group_scale scales[2];
        group_operands<F>(raw, group, a, scales);
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
            uint32_t x[4];
            load_x<F, IS_ROUNDED>(run, first + (size_t)tile * 8 + lane / 4, end,
                                  chunk * BLOCKS_CHUNK + (size_t)group * GROUP, lane % 4, x);
            add_group<F>(a, x, scales, acc[tile]);
        }
    }
}

template <int TILES> struct warp_sums {
    float of[WARPS][TILES][4][GPU_WARP];
};

// What the warps have of an output, added up in their order, and its bias.
template <int TILES>
static __device__ __forceinline__ float sum_of(const struct blocks_run *run, const struct warp_sums<TILES> *sums,
                                               unsigned row, unsigned out, size_t o)
{
    unsigned lane = out % 8 * 4 + row % 8 / 2, reg = out / 8 * 2 + row % 2;
    float sum = 0.0f;
    for (int warp = 0; warp < WARPS; warp++) {
        sum += sums->of[warp][row / 8][reg][lane];
    }
    return run->bias && o < run->n_out ? sum + run->bias[o] : sum;
}

// Threads side by side have outputs side by side. IS_GATED: sums[1] are of the outputs n_out / 2 further on.
template <int TILES, bool IS_GATED>
static __device__ void finish(const struct blocks_run *run, const struct warp_sums<TILES> *sums, size_t first,
                              size_t end)
{
    size_t n_written = IS_GATED ? run->n_out / 2 : run->n_out;
    for (unsigned i = threadIdx.x; i < TILES * 8 * BLOCKS_TILE; i += THREADS) {
        unsigned out = i % BLOCKS_TILE, row = i / BLOCKS_TILE;
        size_t o = (size_t)blockIdx.x * BLOCKS_TILE + out, r = first + row;
        float sum = sum_of<TILES>(run, &sums[0], row, out, o);
        if (IS_GATED) {
            sum = gpu_gated(run->kind, sum, sum_of<TILES>(run, &sums[IS_GATED], row, out, n_written + o));
        }
        if (o < n_written && r < end) {
            float *y = run->y + r * run->y_stride + o;
            *y = run->accumulate ? *y + sum : sum;
        }
    }
}

// A tile of 16 outputs: each warp's share of the inputs, into `sums`.
template <class F, int TILES, bool IS_ROUNDED>
static __device__ __forceinline__ void run_tile(const struct blocks_run *run, size_t tile, size_t first, size_t end,
                                                struct warp_sums<TILES> *sums)
{
    const unsigned warp = threadIdx.x / GPU_WARP, lane = threadIdx.x % GPU_WARP;
    float acc[TILES][4] = {};
    size_t chunk = run->n_chunks * warp / WARPS, n = run->n_chunks * (warp + 1) / WARPS;
    typename F::raw raw, next;
    if (chunk < n) {
        F::load(run, tile, chunk, lane, &next);
    }
    gpu_wait_for_earlier(); // weights are under way, whatever runs before
    for (; chunk < n; chunk++) {
        raw = next;
        if (chunk + 1 < n) { // on its way while this one is multiplied
            F::load(run, tile, chunk + 1, lane, &next);
        }
        add_chunk<F, TILES, IS_ROUNDED>(run, &raw, chunk, first, end, lane, acc);
    }
#pragma unroll
    for (int i = 0; i < 4 * TILES; i++) {
        sums->of[warp][i / 4][i % 4][lane] = acc[i / 4][i % 4];
    }
}

template <class F, int TILES, bool IS_ROUNDED, bool IS_GATED>
static __global__ void __launch_bounds__(THREADS, TILES == 1 ? 2 : 0) linear_blocks(struct blocks_run run)
{
    typedef struct warp_sums<TILES> all_sums[1 + IS_GATED];
    GPU_SHARED(all_sums, sums);
    size_t first = (size_t)blockIdx.y * 8 * TILES;
    gpu_release_next();
    run_tile<F, TILES, IS_ROUNDED>(&run, blockIdx.x, first, run.n_rows, &sums[0]);
    if (IS_GATED) {
        run_tile<F, TILES, IS_ROUNDED>(&run, gridDim.x + blockIdx.x, first, run.n_rows, &sums[IS_GATED]);
    }
    __syncthreads();
    finish<TILES, IS_GATED>(&run, sums, first, run.n_rows);
}

// One of the parts that blockIdx.y names, if there is such a one; by the smallest of the products above that does.
template <class F, int TILES, bool IS_ROUNDED>
static __global__ void __launch_bounds__(THREADS, TILES == 1 ? 2 : 0)
    linear_parts(struct blocks_run run, const struct gpu_part *parts, const struct gpu_expert *experts)
{
    GPU_SHARED(struct warp_sums<TILES>, sums);
    const uint4 part = __ldg(reinterpret_cast<const uint4 *>(parts) + blockIdx.y); // expert, row, n_rows
    const size_t first = part.y, end = first + part.z;
    if (part.z == 0 || !experts[part.x].w) {
        return;
    }
    run.w = static_cast<const unsigned char *>(experts[part.x].w);
    run.bias = experts[part.x].bias;
    if (TILES > 1 && part.z <= 8) {
        struct warp_sums<1> *few = reinterpret_cast<struct warp_sums<1> *>(&sums);
        run_tile<F, 1, IS_ROUNDED>(&run, blockIdx.x, first, end, few);
        __syncthreads();
        finish<1, false>(&run, few, first, end);
    } else if (TILES > 4 && part.z <= 32) {
        struct warp_sums<4> *some = reinterpret_cast<struct warp_sums<4> *>(&sums);
        run_tile<F, 4, IS_ROUNDED>(&run, blockIdx.x, first, end, some);
        __syncthreads();
        finish<4, false>(&run, some, first, end);
    } else {
        run_tile<F, TILES, IS_ROUNDED>(&run, blockIdx.x, first, end, &sums);
        __syncthreads();
        finish<TILES, false>(&run, &sums, first, end);
    }
}

// ---- launching -----------------------------------------------------------------------------------------------------

static struct blocks_run run_of(const struct op_linear *op, const struct gpu_matrix *w)
{
    struct blocks_run run = {};
    run.dtype = w->dtype;
    run.w = static_cast<const unsigned char *>(w->data);
    run.bias = op->bias;
    run.x = op->x;
    run.y = op->y;
    run.x_stride = op->x_stride;
    run.y_stride = op->y_stride;
    run.n_rows = op->n_rows;
    run.n_out = w->n_out;
    run.n_in = w->n_in;
    run.n_chunks = blocks_n_chunks(w->n_in);
    run.accumulate = op->accumulate;
    run.is_aligned = op->x_stride % 4 == 0 && (uintptr_t)op->x % 16 == 0;
    return run;
}

// Rows of a CTA: 8 without x16, which is read as it is.
template <class F>
static void launch(gpu_queue queue, struct blocks_run *run, const struct gpu_parts *parts, uint32_t *x16)
{
    const size_t rows = !x16 ? 8 : parts || run->n_rows > 32 ? 64 : 32;
    const dim3 grid((unsigned)blocks_n_tiles(run->n_out),
                    (unsigned)(parts ? parts->n_max : (run->n_rows + rows - 1) / rows));
    if (x16) {
        gpu_launch_early(queue, x_to_16<F>, dim3((unsigned)run->n_rows), THREADS, 0, *run, x16);
        run->x16 = x16;
    }
    if (parts && parts->are_full) {
        blocks_parts_wide(queue, run, parts);
    } else if (parts && rows == 8) {
        gpu_launch(queue, linear_parts<F, 1, false>, grid, THREADS, 0, *run, parts->parts, parts->experts);
    } else if (parts) {
        gpu_launch(queue, linear_parts<F, 8, true>, grid, THREADS, 0, *run, parts->parts, parts->experts);
    } else if (rows == 8) {
        gpu_launch_early(queue, linear_blocks<F, 1, false, false>, grid, THREADS, 0, *run);
    } else if (rows == 32) {
        gpu_launch_early(queue, linear_blocks<F, 4, true, false>, grid, THREADS, 0, *run);
    } else {
        gpu_launch_early(queue, linear_blocks<F, 8, true, false>, grid, THREADS, 0, *run);
    }
}

static void launch_dtype(gpu_queue queue, enum dtype dtype, struct blocks_run *run, const struct gpu_parts *parts,
                         void *x16)
{
    uint32_t *pairs = static_cast<uint32_t *>(x16);
    switch (dtype) {
    case DTYPE_Q8_0: launch<fmt_q8_0>(queue, run, parts, pairs); return;
    case DTYPE_Q4_0: launch<fmt_q4_0>(queue, run, parts, pairs); return;
    case DTYPE_Q4_K: launch<fmt_q4_k>(queue, run, parts, pairs); return;
    case DTYPE_Q5_K: launch<fmt_q5_k>(queue, run, parts, pairs); return;
    case DTYPE_Q6_K: launch<fmt_q6_k>(queue, run, parts, pairs); return;
    case DTYPE_MXFP4: launch<fmt_mxfp4>(queue, run, parts, pairs); return;
    case DTYPE_F8: launch<fmt_f8>(queue, run, parts, pairs); return;
    case DTYPE_F16: launch<fmt_plain<struct gpu_f16>>(queue, run, parts, pairs); return;
    case DTYPE_BF16: launch<fmt_plain<struct gpu_bf16>>(queue, run, parts, pairs); return;
    default: assert(0 && "a type that gpu_blocks_has");
    }
}

bool gpu_blocks_has(enum dtype dtype, size_t n_in)
{
    return blocks_has(dtype) || ((dtype == DTYPE_F16 || dtype == DTYPE_BF16) && n_in % GROUP == 0);
}

size_t gpu_blocks_x16_bytes(size_t n_rows, size_t n_in)
{
    return n_rows * blocks_n_chunks(n_in) * BLOCKS_CHUNK * 2;
}

void gpu_linear_blocks(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *w, void *x16)
{
    struct blocks_run run = run_of(op, w);
    launch_dtype(queue, w->dtype, &run, NULL, x16);
}

template <class F> static void launch_glu(gpu_queue queue, const struct blocks_run *run)
{
    dim3 grid((unsigned)(run->n_out / 2 / BLOCKS_TILE), (unsigned)((run->n_rows + 7) / 8));
    gpu_launch_early(queue, linear_blocks<F, 1, false, true>, grid, THREADS, 0, *run);
}

bool gpu_blocks_glu(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *w, enum glu kind)
{
    struct blocks_run run = run_of(op, w);
    run.kind = kind;
    assert(!op->accumulate && op->n_rows <= GEMV_ROWS_MAX);
    if (w->n_out % (2 * BLOCKS_TILE) != 0) {
        return false;
    }
    switch (w->dtype) {
    case DTYPE_Q8_0: launch_glu<fmt_q8_0>(queue, &run); return true;
    case DTYPE_Q4_0: launch_glu<fmt_q4_0>(queue, &run); return true;
    case DTYPE_Q4_K: launch_glu<fmt_q4_k>(queue, &run); return true;
    case DTYPE_Q5_K: launch_glu<fmt_q5_k>(queue, &run); return true;
    case DTYPE_Q6_K: launch_glu<fmt_q6_k>(queue, &run); return true;
    case DTYPE_MXFP4: launch_glu<fmt_mxfp4>(queue, &run); return true;
    case DTYPE_F8: launch_glu<fmt_f8>(queue, &run); return true;
    default: return false;
    }
}

void gpu_linear_parts(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *like,
                      const struct gpu_parts *parts, void *x16)
{
    struct blocks_run run = run_of(op, like);
    assert(parts->rows <= (x16 ? PART_ROWS_MAX : GEMV_ROWS_MAX));
    launch_dtype(queue, like->dtype, &run, parts, x16);
}
