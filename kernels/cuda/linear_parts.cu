// Products of experts that have many rows each: as linear_blocks.cu, with the same bits, but for operations instead of
// bytes. A CTA has a part of up to 64 rows and 128 outputs, 16 of them each warp's, whose weights it makes of codes in
// registers once for all rows; the rows of x, rounded, come in chunks of 128 inputs by asynchronous copies, three
// stages of which two are on their way, and are read by all warps.
//
// Bits: linear_blocks.cu adds up what its eight warps have of their runs of chunks. Here a warp does one run after the
// other, and adds its sum to the total at the run's end.
//
// Shapes: parts with x16, of up to PART_ROWS_MAX rows; tiles of 8 rows that a part does not have are left out.
// Floor: operations / those of mma.sync. From L2 a chunk brings 64 * 256 bytes of x and 128 * 128 weights, for
// 2 * 64 * 128 * 128 operations: 64 per byte with weights of a byte, four times what linear_blocks.cu has. Not
// measured.
#include "kernels/cuda/block_formats.h"

#define WARPS     8
#define THREADS   (WARPS * GPU_WARP)
#define ROW_TILES (PART_ROWS_MAX / 8)
#define STAGES    3
#define X_VECTORS (BLOCKS_CHUNK / 8)
#define X_STRIDE  (X_VECTORS + 4) // rows of a fragment lie in different banks

struct x_stage {
    uint4 rows[PART_ROWS_MAX][X_STRIDE]; // 8 inputs each, in the order of x16
};

// A chunk of rows [first, end); zeros beyond.
static __device__ __forceinline__ void fill_stage(struct x_stage *stage, const struct blocks_run *run, size_t first,
                                                  size_t end, size_t chunk)
{
    const uint4 *x = reinterpret_cast<const uint4 *>(run->x16);
    for (unsigned i = threadIdx.x; chunk < run->n_chunks && i < PART_ROWS_MAX * X_VECTORS; i += THREADS) {
        size_t row = first + i / X_VECTORS;
        bool is_there = row < end;
        const uint4 *from = x + ((is_there ? row : first) * run->n_chunks + chunk) * X_VECTORS + i % X_VECTORS;
        gpu_copy_async_16(&stage->rows[i / X_VECTORS][i % X_VECTORS], from, is_there);
    }
    gpu_copy_async_commit();
}

template <class F>
static __device__ __forceinline__ void add_chunk(const struct x_stage *stage, const typename F::raw *raw,
                                                 unsigned n_tiles, unsigned lane, float acc[ROW_TILES][4])
{
#pragma unroll
    for (int group = 0; group < BLOCKS_CHUNK / GROUP; group++) {
        uint32_t a[2][4];
        struct group_scale scales[2];
        group_operands<F>(raw, group, a, scales);
#pragma unroll
        for (unsigned tile = 0; tile < ROW_TILES; tile++) {
            if (tile < n_tiles) {
                uint4 v = stage->rows[tile * 8 + lane / 4][group * 4 + lane % 4];
                const uint32_t x[4] = { v.x, v.y, v.z, v.w };
                add_group<F>(a, x, scales, acc[tile]);
            }
        }
    }
}

// The end of a run.
static __device__ __forceinline__ void add_up(float total[ROW_TILES][4], float acc[ROW_TILES][4])
{
#pragma unroll
    for (int i = 0; i < 4 * ROW_TILES; i++) {
        total[i / 4][i % 4] += acc[i / 4][i % 4];
        acc[i / 4][i % 4] = 0.0f;
    }
}

static __device__ __forceinline__ void put(const struct blocks_run *run, size_t tile, size_t first, size_t end,
                                           unsigned lane, const float total[ROW_TILES][4])
{
#pragma unroll
    for (int i = 0; i < 4 * ROW_TILES; i++) {
        size_t row = first + i / 4 * 8 + lane % 4 * 2 + i % 2, out = tile * BLOCKS_TILE + lane / 4 + i % 4 / 2 * 8;
        if (row < end && out < run->n_out) {
            float sum = total[i / 4][i % 4];
            run->y[row * run->y_stride + out] = run->bias ? sum + run->bias[out] : sum;
        }
    }
}

template <class F>
static __global__ void __launch_bounds__(THREADS, 1)
    linear_parts_wide(struct blocks_run run, const struct gpu_part *parts, const struct gpu_expert *experts)
{
    GPU_SHARED_DYNAMIC(struct x_stage, stages);
    const unsigned warp = threadIdx.x / GPU_WARP, lane = threadIdx.x % GPU_WARP;
    const uint4 part = __ldg(reinterpret_cast<const uint4 *>(parts) + blockIdx.y); // expert, row, n_rows
    const size_t first = part.y, end = first + part.z, tile = (size_t)blockIdx.x * WARPS + warp;
    if (part.z == 0 || !experts[part.x].w) {
        return;
    }
    run.w = static_cast<const unsigned char *>(experts[part.x].w);
    run.bias = experts[part.x].bias;
    const unsigned n_tiles = tile * BLOCKS_TILE < run.n_out ? (part.z + 7) / 8 : 0; // 0: it only copies
    float acc[ROW_TILES][4] = {}, total[ROW_TILES][4] = {};
    typename F::raw raw, next = {};
    size_t n_runs = 0;
    if (n_tiles > 0) {
        F::load(&run, tile, 0, lane, &next);
    }
    for (size_t chunk = 0; chunk < STAGES - 1; chunk++) {
        fill_stage(&stages[chunk], &run, first, end, chunk);
    }
    for (size_t chunk = 0; chunk < run.n_chunks; chunk++) {
        gpu_copy_async_wait<STAGES - 2>();
        __syncthreads(); // the chunk is there for all, and the stage of the one before is free
        fill_stage(&stages[(chunk + STAGES - 1) % STAGES], &run, first, end, chunk + STAGES - 1);
        for (; n_runs < WARPS && run.n_chunks * (n_runs + 1) / WARPS <= chunk; n_runs++) {
            add_up(total, acc);
        }
        raw = next;
        if (n_tiles > 0 && chunk + 1 < run.n_chunks) {
            F::load(&run, tile, chunk + 1, lane, &next);
        }
        add_chunk<F>(&stages[chunk % STAGES], &raw, n_tiles, lane, acc);
    }
    add_up(total, acc);
    put(&run, tile, first, end, lane, total);
}

template <class F> static void launch(gpu_queue queue, const struct blocks_run *run, const struct gpu_parts *parts)
{
    const size_t n_out = WARPS * BLOCKS_TILE;
    const dim3 grid((unsigned)((run->n_out + n_out - 1) / n_out), (unsigned)parts->n_max);
    gpu_launch(queue, linear_parts_wide<F>, grid, THREADS, STAGES * sizeof(struct x_stage), *run, parts->parts,
               parts->experts);
}

void blocks_parts_wide(gpu_queue queue, const struct blocks_run *run, const struct gpu_parts *parts)
{
    switch (run->dtype) {
    case DTYPE_Q8_0: launch<fmt_q8_0>(queue, run, parts); return;
    case DTYPE_Q4_0: launch<fmt_q4_0>(queue, run, parts); return;
    case DTYPE_Q4_K: launch<fmt_q4_k>(queue, run, parts); return;
    case DTYPE_Q5_K: launch<fmt_q5_k>(queue, run, parts); return;
    case DTYPE_Q6_K: launch<fmt_q6_k>(queue, run, parts); return;
    case DTYPE_MXFP4: launch<fmt_mxfp4>(queue, run, parts); return;
    case DTYPE_F8: launch<fmt_f8>(queue, run, parts); return;
    case DTYPE_F16: launch<fmt_plain<struct gpu_f16>>(queue, run, parts); return;
    case DTYPE_BF16: launch<fmt_plain<struct gpu_bf16>>(queue, run, parts); return;
    default: assert(0 && "a type that gpu_blocks_has");
    }
}
