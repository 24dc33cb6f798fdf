// Weights in block formats, from rows of a file and to rows of elements.
//
// Rows as the file has them are brought over whole, and put in place here: a thread per output and lane's share of a
// group. Read and written once, at the speed of memory or of the bus, whichever is less. For many rows of x `expand`
// makes rows of bf16 for cuBLAS: 2.5 bytes of traffic per weight against 2 * n_rows operations.
#include "kernels/cuda/block_formats.h"
#include "kernels/cuda/token.h"

#define WARPS   8
#define THREADS (WARPS * GPU_WARP)

struct pack_run {
    const unsigned char *rows; // [n_rows] as in the file
    unsigned char *w;
    size_t row_bytes, row, n_rows, n_in, n_chunks;
};

// The four bits of element i of a block of 32 whose second half is in the upper halves of the bytes.
static __device__ __forceinline__ unsigned nibble_32(const unsigned char *q, unsigned i)
{
    return q[i % 16] >> (i < 16 ? 0 : 4) & 15u;
}

// Where thread t of output `row` and group `group` writes.
struct pack_place {
    unsigned char *record;
    unsigned lane, row; // of the tile
    unsigned half, group, t;
};

static __device__ void put_nibbles(const struct pack_place *at, const unsigned code[8])
{
    uint32_t word = 0;
    for (unsigned e = 0; e < 8; e++) {
        word |= (code[e] & 15u) << (e / 2 * 4 + e % 2 * 16);
    }
    reinterpret_cast<uint32_t *>(at->record)[at->half * 128 + at->lane * 4 + at->group] = word;
}

static __device__ void put_half(unsigned char *p, const unsigned char *from)
{
    p[0] = from[0];
    p[1] = from[1];
}

// pack(block's row, k of the group in the row, place): codes by every thread, scales by t = 0.
static __device__ void pack_rows(fmt_q4_0, const unsigned char *row, size_t k, const struct pack_place *at)
{
    const unsigned char *block = row + k / 32 * 18;
    unsigned code[8];
    for (unsigned e = 0; e < 8; e++) {
        code[e] = nibble_32(block + 2, e / 4 * 16 + 4 * at->t + e % 4);
    }
    put_nibbles(at, code);
    if (at->t == 0) {
        put_half(at->record + 1024 + at->row * 8 + at->group * 2, block);
    }
}

static __device__ void pack_rows(fmt_mxfp4, const unsigned char *row, size_t k, const struct pack_place *at)
{
    const unsigned char *block = row + k / 32 * 17;
    unsigned code[8];
    for (unsigned e = 0; e < 8; e++) {
        code[e] = nibble_32(block + 1, e / 4 * 16 + 4 * at->t + e % 4);
    }
    put_nibbles(at, code);
    if (at->t == 0) {
        at->record[1024 + at->row * 4 + at->group] = block[0];
    }
}

// Codes of a byte: byte e / 2 + e % 2 * 2 of the words that each four make. `flip` is what is kept of them otherwise.
static __device__ void put_bytes(const struct pack_place *at, const unsigned char *q, unsigned flip)
{
    uint32_t *words = reinterpret_cast<uint32_t *>(at->record) + at->half * 256 + at->group / 2 * 128 + at->lane * 4 +
                      at->group % 2 * 2;
    for (unsigned w = 0; w < 2; w++) {
        uint32_t word = 0;
        for (unsigned e = 0; e < 4; e++) {
            word |= (q[w * 16 + 4 * at->t + e] ^ flip) << 8 * (e / 2 + e % 2 * 2);
        }
        words[w] = word;
    }
}

static __device__ void pack_rows(fmt_q8_0, const unsigned char *row, size_t k, const struct pack_place *at)
{
    const unsigned char *block = row + k / 32 * 34;
    put_bytes(at, block + 2, 0x80u);
    if (at->t == 0) {
        put_half(at->record + 2048 + at->row * 8 + at->group * 2, block);
    }
}

// A block is a chunk of its row, and begins at a multiple of 4 bytes.
static __device__ void pack_rows(fmt_f8, const unsigned char *row, size_t k, const struct pack_place *at)
{
    const unsigned char *block = row + k / 128 * 132;
    put_bytes(at, block + 4 + k % 128, 0);
    if (at->t == 0 && at->group == 0) {
        reinterpret_cast<float *>(at->record + 2048)[at->row] = *reinterpret_cast<const float *>(block);
    }
}

template <bool HAS_FIFTH>
static __device__ void pack_rows(fmt_k<HAS_FIFTH>, const unsigned char *row, size_t k, const struct pack_place *at)
{
    const unsigned char *block = row + k / 256 * (HAS_FIFTH ? 176 : 144), *q = block + (HAS_FIFTH ? 48 : 16);
    unsigned group = (unsigned)(k % 256 / 32), code[8]; // of the block
    uint32_t fifth = 0;
    for (unsigned e = 0; e < 8; e++) {
        unsigned i = e / 4 * 16 + 4 * at->t + e % 4;
        code[e] = q[group / 2 * 32 + i] >> 4 * (group % 2) & 15u;
        fifth |= HAS_FIFTH ? (uint32_t)(block[16 + i] >> group & 1u) << (e / 2 + e % 2 * 16) : 0;
    }
    put_nibbles(at, code);
    if (HAS_FIFTH) { // four groups share a word
        gpu_atomic_or(reinterpret_cast<uint32_t *>(at->record + 1024 + 128) + at->half * 32 + at->lane,
                      fifth << 4 * at->group);
    }
    if (at->t == 0 && group == at->half * 4) { // the group that lies in the record that has this output's head
        for (unsigned i = 0; i < 16; i++) {
            at->record[1024 + at->row % 8 * 16 + i] = block[i];
        }
    }
}

static __device__ void pack_rows(fmt_q6_k, const unsigned char *row, size_t k, const struct pack_place *at)
{
    const unsigned char *block = row + k / 256 * 210, *half = block + k % 256 / 128 * 64;
    const unsigned char *high = block + 128 + k % 256 / 128 * 32;
    unsigned run = (unsigned)(k % 128 / 32), code[8];
    uint32_t upper = 0;
    for (unsigned e = 0; e < 8; e++) {
        unsigned i = e / 4 * 16 + 4 * at->t + e % 4;
        code[e] = half[run % 2 * 32 + i] >> (run < 2 ? 0 : 4) & 15u;
        upper |= (uint32_t)(high[i] >> 2 * run & 3u) << (e / 2 * 2 + e % 2 * 16);
    }
    put_nibbles(at, code);
    // Two groups share a word; each has bytes of its own.
    unsigned char *bytes = at->record + 1024 + at->half * 256 + at->lane * 8 + at->group / 2 * 4 + at->group % 2;
    bytes[0] = (unsigned char)upper;
    bytes[2] = (unsigned char)(upper >> 16);
    if (at->t == 0) {
        const unsigned char *scales = block + 192 + k % 256 / 16;
        put_half(at->record + 1536 + at->row * 8 + at->group * 2, scales);
        if (at->group == 0) {
            put_half(at->record + 1536 + 128 + at->row * 2, block + 208);
        }
    }
}

template <class F> static __global__ void pack(struct pack_run run)
{
    size_t n_groups = run.n_in / GROUP, i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    size_t group = i / 4 % n_groups, r = i / 4 / n_groups, out = run.row + r, chunk = group * GROUP / BLOCKS_CHUNK;
    if (r >= run.n_rows) {
        return;
    }
    struct pack_place at;
    at.record = run.w + (out / BLOCKS_TILE * run.n_chunks + chunk) * F::record;
    at.t = (unsigned)(i % 4);
    at.row = (unsigned)(out % BLOCKS_TILE);
    at.lane = at.row % 8 * 4 + at.t;
    at.half = at.row / 8;
    at.group = (unsigned)(group % (BLOCKS_CHUNK / GROUP));
    pack_rows(F(), run.rows + r * run.row_bytes, group * GROUP, &at);
}

void gpu_blocks_pack(gpu_queue queue, const struct gpu_matrix *w, size_t row, size_t n_rows, const void *rows)
{
    struct pack_run run = { static_cast<const unsigned char *>(rows),
                            static_cast<unsigned char *>(w->data),
                            dtype_row_bytes(w->dtype, w->n_in),
                            row,
                            n_rows,
                            w->n_in,
                            blocks_n_chunks(w->n_in) };
    dim3 grid((unsigned)((n_rows * w->n_in / 8 + THREADS - 1) / THREADS));
    switch (w->dtype) {
    case DTYPE_Q8_0: gpu_launch(queue, pack<fmt_q8_0>, grid, THREADS, 0, run); return;
    case DTYPE_Q4_0: gpu_launch(queue, pack<fmt_q4_0>, grid, THREADS, 0, run); return;
    case DTYPE_Q4_K: gpu_launch(queue, pack<fmt_q4_k>, grid, THREADS, 0, run); return;
    case DTYPE_Q5_K: gpu_launch(queue, pack<fmt_q5_k>, grid, THREADS, 0, run); return;
    case DTYPE_Q6_K: gpu_launch(queue, pack<fmt_q6_k>, grid, THREADS, 0, run); return;
    case DTYPE_MXFP4: gpu_launch(queue, pack<fmt_mxfp4>, grid, THREADS, 0, run); return;
    case DTYPE_F8: gpu_launch(queue, pack<fmt_f8>, grid, THREADS, 0, run); return;
    default: assert(0 && "a block format");
    }
}

// The eight values of a lane in a group: code * scale - min.
template <class F>
static __device__ __forceinline__ void values_of(const typename F::raw *raw, int half, int group, float ret[8])
{
    uint32_t pairs[4];
    F::pairs(raw, half, group, pairs);
    struct group_scale scales = F::scales(raw, half, group);
#pragma unroll
    for (int e = 0; e < 8; e++) {
        float code = gpu_f32(gpu_bf16{ (uint16_t)(pairs[e / 2] >> e % 2 * 16) });
        ret[e] = scales.scale[F::has_halves ? e / 4 : 0] * code;
        if (F::has_min) {
            ret[e] -= scales.min;
        }
    }
}

// Rows of outputs to rows of elements: output tile blockIdx.y (a warp per chunk) at rows from 0 on.
template <class F, class T> static __global__ void expand(struct blocks_run run, size_t first_tile, T *rows)
{
    size_t chunk = (size_t)blockIdx.x * WARPS + threadIdx.x / GPU_WARP;
    unsigned lane = threadIdx.x % GPU_WARP;
    if (chunk >= run.n_chunks) {
        return;
    }
    typename F::raw raw;
    F::load(&run, first_tile + blockIdx.y, chunk, lane, &raw);
#pragma unroll
    for (int i = 0; i < 2 * BLOCKS_CHUNK / GROUP; i++) {
        int half = i % 2, group = i / 2;
        size_t out = (size_t)blockIdx.y * BLOCKS_TILE + lane / 4 + 8 * (size_t)half;
        size_t k = chunk * BLOCKS_CHUNK + (size_t)group * GROUP;
        if (first_tile * BLOCKS_TILE + out >= run.n_out || k >= run.n_in) {
            continue;
        }
        float values[8];
        values_of<F>(&raw, half, group, values);
        T *to = rows + out * run.n_in + k + 4 * (lane % 4);
        for (int e = 0; e < 8; e++) {
            to[e / 4 * 16 + e % 4] = gpu_element<T>(values[e]);
        }
    }
}

template <class F>
static void launch_expand(gpu_queue queue, const struct blocks_run *run, size_t tile, size_t n_tiles, void *rows)
{
    dim3 grid((unsigned)((run->n_chunks + WARPS - 1) / WARPS), (unsigned)n_tiles);
    gpu_launch(queue, expand<F, struct gpu_bf16>, grid, THREADS, 0, *run, tile, static_cast<struct gpu_bf16 *>(rows));
}

void gpu_blocks_expand(gpu_queue queue, const struct gpu_matrix *w, size_t row, size_t n_rows, void *rows_bf16)
{
    assert(row % BLOCKS_TILE == 0 && (n_rows % BLOCKS_TILE == 0 || row + n_rows == w->n_out));
    struct blocks_run run = {};
    run.w = static_cast<const unsigned char *>(w->data);
    run.n_out = w->n_out;
    run.n_in = w->n_in;
    run.n_chunks = blocks_n_chunks(w->n_in);
    size_t tile = row / BLOCKS_TILE, n = blocks_n_tiles(n_rows);
    switch (w->dtype) {
    case DTYPE_Q8_0: launch_expand<fmt_q8_0>(queue, &run, tile, n, rows_bf16); return;
    case DTYPE_Q4_0: launch_expand<fmt_q4_0>(queue, &run, tile, n, rows_bf16); return;
    case DTYPE_Q4_K: launch_expand<fmt_q4_k>(queue, &run, tile, n, rows_bf16); return;
    case DTYPE_Q5_K: launch_expand<fmt_q5_k>(queue, &run, tile, n, rows_bf16); return;
    case DTYPE_Q6_K: launch_expand<fmt_q6_k>(queue, &run, tile, n, rows_bf16); return;
    case DTYPE_MXFP4: launch_expand<fmt_mxfp4>(queue, &run, tile, n, rows_bf16); return;
    case DTYPE_F8: launch_expand<fmt_f8>(queue, &run, tile, n, rows_bf16); return;
    default: assert(0 && "a block format");
    }
}

// y[r][:] = row token_ids[r] * scale: a thread per eight inputs of a group.
template <class F>
static __global__ void embed_blocks(struct blocks_run run, const int32_t *token_ids, const struct sample_result *drawn,
                                    float *y, float scale)
{
    gpu_begin();
    size_t row = (size_t)gpu_token_of(token_ids[blockIdx.x], drawn);
    unsigned in_tile = (unsigned)(row % BLOCKS_TILE);
    for (size_t i = threadIdx.x; i < run.n_chunks * 4; i += blockDim.x) {
        typename F::raw raw;
        unsigned t = (unsigned)(i % 4);
        F::load(&run, row / BLOCKS_TILE, i / 4, in_tile % 8 * 4 + t, &raw);
#pragma unroll
        for (int group = 0; group < BLOCKS_CHUNK / GROUP; group++) {
            size_t k = i / 4 * BLOCKS_CHUNK + (size_t)group * GROUP;
            float low[8], high[8];
            values_of<F>(&raw, 0, group, low);
            values_of<F>(&raw, 1, group, high);
            for (int e = 0; e < 8 && k < run.n_in; e++) {
                size_t at = k + (size_t)(e / 4 * 16 + e % 4) + 4 * t;
                y[(size_t)blockIdx.x * run.n_in + at] = (in_tile < 8 ? low[e] : high[e]) * scale;
            }
        }
    }
}

template <class F>
static void launch_embed(gpu_queue queue, const struct op_embed *op, const struct blocks_run *run,
                         const int32_t *token_ids, const struct sample_result *drawn)
{
    gpu_launch_early(queue, embed_blocks<F>, dim3((unsigned)op->n_rows), THREADS, 0, *run, token_ids, drawn, op->y,
                     op->scale);
}

void gpu_embed_blocks(gpu_queue queue, const struct op_embed *op, const struct gpu_matrix *table,
                      const int32_t *token_ids, const struct sample_result *drawn)
{
    struct blocks_run run = {};
    run.w = static_cast<const unsigned char *>(table->data);
    run.n_out = table->n_out;
    run.n_in = table->n_in;
    run.n_chunks = blocks_n_chunks(table->n_in);
    switch (table->dtype) {
    case DTYPE_Q8_0: launch_embed<fmt_q8_0>(queue, op, &run, token_ids, drawn); return;
    case DTYPE_Q4_0: launch_embed<fmt_q4_0>(queue, op, &run, token_ids, drawn); return;
    case DTYPE_Q4_K: launch_embed<fmt_q4_k>(queue, op, &run, token_ids, drawn); return;
    case DTYPE_Q5_K: launch_embed<fmt_q5_k>(queue, op, &run, token_ids, drawn); return;
    case DTYPE_Q6_K: launch_embed<fmt_q6_k>(queue, op, &run, token_ids, drawn); return;
    case DTYPE_MXFP4: launch_embed<fmt_mxfp4>(queue, op, &run, token_ids, drawn); return;
    case DTYPE_F8: launch_embed<fmt_f8>(queue, op, &run, token_ids, drawn); return;
    default: assert(0 && "a block format");
    }
}
