// Products with weights in block formats, kept as such (blocks.h), and products of several weights in one launch.
//
// The weights are the left operand of the tensor cores, 16 outputs by 16 inputs, and are made in registers: codes are
// small integers, which bf16 holds exactly; a group's sum is f32 and gets its scale there. The rows of x are the right
// operand, rounded to bf16: eight rows cost what one costs. A CTA has 16 outputs; its eight warps share out the chunks
// in runs, and their sums are added up in the order of the runs. So a row's bits depend on its x and the weights alone,
// not on how many rows there are: `deterministic` is served by the same kernels.
//
// Shapes: up to 8, 32 or 64 rows per CTA in y of the grid (8 read x as it is; more have it rounded by x_to_16 before),
//   or the parts of a group, which may have as many. n_in is whole groups of 32.
// Floor: bytes of the weights / bandwidth; at 4.5 bits and 4 TB/s 7,100 weights per ns, 32 per clock and processor.
//   For 16 x 32 of them a warp issues about 24 instructions that make operands, 2 mma (4 with minima) and 4 to 12 for
//   scales: half of what the schedulers have in that time. x: 4 bytes per row and 16 outputs, from L1. Not measured.
// Many rows by cuBLAS: `expand` makes rows of bf16, 2.5 bytes of traffic per weight against 2 * n_rows operations.
#include "kernels/cuda/blocks.h"
#include "kernels/cuda/glu.h"
#include "kernels/cuda/kernels.h"

#define WARPS   8
#define THREADS (WARPS * GPU_WARP)
#define GROUP   32

struct blocks_run {
    const unsigned char *w;
    const float *bias, *x;
    const uint32_t *x16; // [n_rows][n_chunks * BLOCKS_CHUNK / 2] pairs in the order of a format's lanes, or NULL
    float *y;
    size_t x_stride, y_stride, n_rows, n_out, n_in, n_chunks;
    bool accumulate, is_aligned; // x: in vectors of 16 bytes
    enum glu kind;               // of what ends in a gated unit
};

// ---- formats -------------------------------------------------------------------------------------------------------
//
// A format F has
//   raw: what a lane loads of a chunk; load(run, tile, chunk, lane)
//   pairs(raw, half, group, ret[4]): elements of output g + 8 * half as pairs of F::element, before scaling
//   scales(raw, half, group): of them
//   is_split: a lane's eight are 4t ... and 16 + 4t ..., as in blocks.h; else 8t ... 8t + 7
//   has_halves: the two runs of 16 of a group have scales of their own; has_min: something is subtracted
// and, where it is made of blocks of a file, pack_... below.

struct group_scale {
    float scale[2]; // of the runs of 16; without has_halves the first is that of both
    float min;
};

// Of `record` bytes each: codes and scales, as blocks.h says.
static __device__ __forceinline__ const unsigned char *record_of(const struct blocks_run *run, size_t record,
                                                                 size_t tile, size_t chunk)
{
    return run->w + (tile * run->n_chunks + chunk) * record;
}

static __device__ __forceinline__ uint4 load_16(const unsigned char *p)
{
    return __ldg(reinterpret_cast<const uint4 *>(p));
}

static __device__ __forceinline__ uint2 load_8(const unsigned char *p)
{
    return __ldg(reinterpret_cast<const uint2 *>(p));
}

static __device__ __forceinline__ uint32_t word_of(uint4 v, int i)
{
    return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

static __device__ __forceinline__ float f16_of(uint2 four, int i)
{
    uint32_t pair = i < 2 ? four.x : four.y;
    return gpu_f32_from_f16((uint16_t)(pair >> i % 2 * 16));
}

#define TIMES_1    0x3f803f80u // pairs of bf16
#define TIMES_16   0x41804180u
#define MINUS_128  0xc300c300u
#define MINUS_136  0xc308c308u
#define MINUS_138  0xc30ac30au
#define MINUS_144  0xc310c310u
#define TIMES_2126 0x7e807e80u // 2^126

// 128 + the four bits at the bottom of each half: in bf16 the mantissa of 128 counts ones.
static __device__ __forceinline__ uint32_t nibbles_128(uint32_t word)
{
    return (word & 0x000f000fu) | 0x43004300u;
}

struct fmt_q4_0 {
    typedef struct gpu_bf16 element;
    static const enum dtype dtype = DTYPE_Q4_0;
    static const size_t record = 1024 + 128;
    static const bool is_split = true, has_halves = false, has_min = false;
    struct raw {
        uint4 codes[2];
        uint2 scales[2];
    };

    static __device__ __forceinline__ void load(const struct blocks_run *run, size_t tile, size_t chunk, unsigned lane,
                                                struct raw *ret)
    {
        const unsigned char *at = record_of(run, record, tile, chunk);
#pragma unroll
        for (unsigned half = 0; half < 2; half++) {
            ret->codes[half] = load_16(at + half * 512 + lane * 16);
            ret->scales[half] = load_8(at + 1024 + (lane / 4 + 8 * half) * 8);
        }
    }

    static __device__ __forceinline__ void pairs(const struct raw *raw, int half, int group, uint32_t ret[4])
    {
        uint32_t word = word_of(raw->codes[half], group);
#pragma unroll
        for (int p = 0; p < 4; p++) {
            ret[p] = gpu_bf16x2_fma(nibbles_128(word >> 4 * p), TIMES_1, MINUS_136);
        }
    }

    static __device__ __forceinline__ struct group_scale scales(const struct raw *raw, int half, int group)
    {
        return group_scale{ { f16_of(raw->scales[half], group), 0.0f }, 0.0f };
    }
};

struct fmt_q8_0 {
    typedef struct gpu_bf16 element;
    static const enum dtype dtype = DTYPE_Q8_0;
    static const size_t record = 2048 + 128;
    static const bool is_split = true, has_halves = false, has_min = false;
    struct raw {
        uint4 codes[2][2];
        uint2 scales[2];
    };

    static __device__ __forceinline__ void load(const struct blocks_run *run, size_t tile, size_t chunk, unsigned lane,
                                                struct raw *ret)
    {
        const unsigned char *at = record_of(run, record, tile, chunk);
#pragma unroll
        for (unsigned half = 0; half < 2; half++) {
            ret->codes[half][0] = load_16(at + half * 1024 + lane * 16);
            ret->codes[half][1] = load_16(at + half * 1024 + 512 + lane * 16);
            ret->scales[half] = load_8(at + 2048 + (lane / 4 + 8 * half) * 8);
        }
    }

    // A code is kept as 16 * h + l = q + 128: 16 * (h - 16) + 128 + l, each step exact in bf16.
    static __device__ __forceinline__ void pairs(const struct raw *raw, int half, int group, uint32_t ret[4])
    {
#pragma unroll
        for (int p = 0; p < 4; p++) {
            uint32_t word = word_of(raw->codes[half][group / 2], group % 2 * 2 + p / 2) >> 8 * (p % 2);
            uint32_t high = gpu_bf16x2_fma(nibbles_128(word >> 4), TIMES_1, MINUS_144);
            ret[p] = gpu_bf16x2_fma(high, TIMES_16, nibbles_128(word));
        }
    }

    static __device__ __forceinline__ struct group_scale scales(const struct raw *raw, int half, int group)
    {
        return group_scale{ { f16_of(raw->scales[half], group), 0.0f }, 0.0f };
    }
};

// The 16 bytes that a block begins with (d, dmin, 12 of scales) are kept whole: those of outputs 0 ... 7 with its first
// chunk, of 8 ... 15 with its second. q5_k has fifth bits after them.
template <bool HAS_FIFTH> struct fmt_k {
    typedef struct gpu_bf16 element;
    static const enum dtype dtype = HAS_FIFTH ? DTYPE_Q5_K : DTYPE_Q4_K;
    static const size_t record = 1024 + 128 + (HAS_FIFTH ? 256 : 0);
    static const bool is_split = true, has_halves = false, has_min = true;
    struct raw {
        uint4 codes[2];
        uint32_t fifth[2];
        float d[2], dmin[2];
        uint32_t scales[2], mins[2]; // of the chunk's four groups, a byte each
    };

    static __device__ __forceinline__ void load(const struct blocks_run *run, size_t tile, size_t chunk, unsigned lane,
                                                struct raw *ret)
    {
        const unsigned char *at = record_of(run, record, tile, chunk);
        const unsigned char *heads = record_of(run, record, tile, chunk / 2 * 2) + 1024 + lane / 4 * 16;
#pragma unroll
        for (unsigned half = 0; half < 2; half++) {
            ret->codes[half] = load_16(at + half * 512 + lane * 16);
            const uint32_t *fifth = reinterpret_cast<const uint32_t *>(at + 1024 + 128 + half * 128);
            ret->fifth[half] = HAS_FIFTH ? __ldg(fifth + lane) : 0;
            uint4 head = load_16(heads + half * record);
            ret->d[half] = gpu_f32_from_f16((uint16_t)head.x);
            ret->dmin[half] = gpu_f32_from_f16((uint16_t)(head.x >> 16));
            bool is_first = chunk % 2 == 0; // see quant_k_scale
            ret->scales[half] = is_first ? head.y & 0x3f3f3f3fu : (head.w & 0x0f0f0f0fu) | (head.y >> 2 & 0x30303030u);
            ret->mins[half] =
                is_first ? head.z & 0x3f3f3f3fu : (head.w >> 4 & 0x0f0f0f0fu) | (head.z >> 2 & 0x30303030u);
        }
    }

    static __device__ __forceinline__ void pairs(const struct raw *raw, int half, int group, uint32_t ret[4])
    {
        uint32_t word = word_of(raw->codes[half], group);
#pragma unroll
        for (int p = 0; p < 4; p++) {
            uint32_t low = nibbles_128(word >> 4 * p);
            if (HAS_FIFTH) { // 16 * (h - 8) + 128 + l
                uint32_t high = (raw->fifth[half] >> (4 * group + p) & 0x00010001u) | 0x43004300u;
                ret[p] = gpu_bf16x2_fma(gpu_bf16x2_fma(high, TIMES_1, MINUS_136), TIMES_16, low);
            } else {
                ret[p] = gpu_bf16x2_fma(low, TIMES_1, MINUS_128);
            }
        }
    }

    static __device__ __forceinline__ struct group_scale scales(const struct raw *raw, int half, int group)
    {
        return group_scale{ { raw->d[half] * (float)(raw->scales[half] >> 8 * group & 0xffu), 0.0f },
                            raw->dmin[half] * (float)(raw->mins[half] >> 8 * group & 0xffu) };
    }
};

typedef struct fmt_k<false> fmt_q4_k;
typedef struct fmt_k<true> fmt_q5_k;

struct fmt_q6_k {
    typedef struct gpu_bf16 element;
    static const enum dtype dtype = DTYPE_Q6_K;
    static const size_t record = 1536 + 160;
    static const bool is_split = true, has_halves = true, has_min = false;
    struct raw {
        uint4 low[2];
        uint2 high[2], scales[2];
        float d[2];
    };

    static __device__ __forceinline__ void load(const struct blocks_run *run, size_t tile, size_t chunk, unsigned lane,
                                                struct raw *ret)
    {
        const unsigned char *at = record_of(run, record, tile, chunk);
#pragma unroll
        for (unsigned half = 0; half < 2; half++) {
            unsigned row = lane / 4 + 8 * half;
            ret->low[half] = load_16(at + half * 512 + lane * 16);
            ret->high[half] = load_8(at + 1024 + half * 256 + lane * 8);
            ret->scales[half] = load_8(at + 1536 + row * 8);
            ret->d[half] = gpu_f32_from_f16(__ldg(reinterpret_cast<const uint16_t *>(at + 1536 + 128) + row));
        }
    }

    // 16 * h + l - 32 = 16 * (h - 10) + 128 + l
    static __device__ __forceinline__ void pairs(const struct raw *raw, int half, int group, uint32_t ret[4])
    {
        uint32_t low = word_of(raw->low[half], group);
        uint32_t high = (group < 2 ? raw->high[half].x : raw->high[half].y) >> group % 2 * 8;
#pragma unroll
        for (int p = 0; p < 4; p++) {
            uint32_t two = (high >> 2 * p & 0x00030003u) | 0x43004300u;
            two = gpu_bf16x2_fma(two, TIMES_1, MINUS_138);
            ret[p] = gpu_bf16x2_fma(two, TIMES_16, nibbles_128(low >> 4 * p));
        }
    }

    static __device__ __forceinline__ struct group_scale scales(const struct raw *raw, int half, int group)
    {
        uint32_t four = group < 2 ? raw->scales[half].x : raw->scales[half].y;
        float first = (float)(int8_t)(four >> group % 2 * 16), second = (float)(int8_t)(four >> (group % 2 * 16 + 8));
        return group_scale{ { raw->d[half] * first, raw->d[half] * second }, 0.0f };
    }
};

struct fmt_mxfp4 {
    typedef struct gpu_bf16 element;
    static const enum dtype dtype = DTYPE_MXFP4;
    static const size_t record = 1024 + 64;
    static const bool is_split = true, has_halves = false, has_min = false;
    struct raw {
        uint4 codes[2];
        uint32_t scales[2];
    };

    static __device__ __forceinline__ void load(const struct blocks_run *run, size_t tile, size_t chunk, unsigned lane,
                                                struct raw *ret)
    {
        const unsigned char *at = record_of(run, record, tile, chunk);
#pragma unroll
        for (unsigned half = 0; half < 2; half++) {
            ret->codes[half] = load_16(at + half * 512 + lane * 16);
            ret->scales[half] = __ldg(reinterpret_cast<const uint32_t *>(at + 1024 + (lane / 4 + 8 * half) * 4));
        }
    }

    // Sign, exponent (2 bits) and mantissa (1) go where bf16 has them; its exponent is 126 more, for zero too.
    static __device__ __forceinline__ void pairs(const struct raw *raw, int half, int group, uint32_t ret[4])
    {
        uint32_t word = word_of(raw->codes[half], group);
#pragma unroll
        for (int p = 0; p < 4; p++) {
            uint32_t top = word << (12 - 4 * p);
            ret[p] = gpu_bf16x2_fma((top & 0x80008000u) | (top >> 6 & 0x01c001c0u), TIMES_2126, 0x80008000u);
        }
    }

    static __device__ __forceinline__ struct group_scale scales(const struct raw *raw, int half, int group)
    {
        uint32_t scale = raw->scales[half] >> 8 * group & 0xffu, bits = scale << 23;
        bits = scale == 0 ? 0x00400000u : scale == 255 ? 0x7fc00000u : bits;
        return group_scale{ { __uint_as_float(bits), 0.0f }, 0.0f };
    }
};

// Rows of 16-bit elements as they are: for groups of products.
template <class T> struct fmt_plain {
    typedef T element;
    static const bool is_split = false, has_halves = false, has_min = false;
    struct raw {
        uint4 elements[2][4];
    };

    static __device__ __forceinline__ void load(const struct blocks_run *run, size_t tile, size_t chunk, unsigned lane,
                                                struct raw *ret)
    {
#pragma unroll
        for (unsigned half = 0; half < 2; half++) {
            size_t out = tile * BLOCKS_TILE + lane / 4 + 8 * half;
            const T *row = reinterpret_cast<const T *>(run->w) + out * run->n_in;
#pragma unroll
            for (unsigned group = 0; group < 4; group++) {
                size_t k = chunk * BLOCKS_CHUNK + group * GROUP + lane % 4 * 8;
                bool is_there = out < run->n_out && k < run->n_in;
                ret->elements[half][group] =
                    is_there ? load_16(reinterpret_cast<const unsigned char *>(row + k)) : uint4{ 0, 0, 0, 0 };
            }
        }
    }

    static __device__ __forceinline__ void pairs(const struct raw *raw, int half, int group, uint32_t ret[4])
    {
#pragma unroll
        for (int p = 0; p < 4; p++) {
            ret[p] = word_of(raw->elements[half][group], p);
        }
    }

    static __device__ __forceinline__ struct group_scale scales(const struct raw *, int, int)
    {
        return group_scale{ { 1.0f, 1.0f }, 0.0f };
    }
};

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
        a = __ldg(reinterpret_cast<const float4 *>(first));
        b = __ldg(reinterpret_cast<const float4 *>(second));
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
        uint4 v = __ldg(reinterpret_cast<const uint4 *>(run->x16) + at);
        ret[0] = v.x;
        ret[1] = v.y;
        ret[2] = v.z;
        ret[3] = v.w;
    } else {
        pairs_of_x<F>(run, row, k, t, ret);
    }
}

// ---- the product ---------------------------------------------------------------------------------------------------

// acc[r / 8] (+)= the group's part of 16 outputs and 8 rows, in fragments of the matrix instruction: lane 4g + t holds
// outputs g, g, g + 8, g + 8 at rows 2t, 2t + 1, 2t, 2t + 1.
template <class F>
static __device__ __forceinline__ void add_group(const uint32_t a[2][4], const uint32_t x[4],
                                                 const struct group_scale scales[2], float acc[4])
{
    typedef typename F::element T;
    float sum[2][4] = {};
    gpu_mma<T>(sum[0], a[0], x[0], x[1]);
    gpu_mma<T>(sum[F::has_halves], a[1], x[2], x[3]);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        acc[i] = fmaf(scales[i / 2].scale[0], sum[0][i], acc[i]);
        if (F::has_halves) {
            acc[i] = fmaf(scales[i / 2].scale[1], sum[1][i], acc[i]);
        }
    }
    if (F::has_min) { // times the sum of the row, which a matrix of ones gives to every output
        const uint32_t ones[4] = { TIMES_1, TIMES_1, TIMES_1, TIMES_1 };
        float of_row[4] = {};
        gpu_mma<T>(of_row, ones, x[0], x[1]);
        gpu_mma<T>(of_row, ones, x[2], x[3]);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            acc[i] = fmaf(-scales[i / 2].min, of_row[i], acc[i]);
        }
    }
}

template <class F, int TILES, bool IS_ROUNDED>
static __device__ __forceinline__ void add_chunk(const struct blocks_run *run, const typename F::raw *raw, size_t chunk,
                                                 size_t first, size_t end, unsigned lane, float acc[TILES][4])
{
#pragma unroll
    for (int group = 0; group < BLOCKS_CHUNK / GROUP; group++) {
        uint32_t a[2][4], pairs[4];
        struct group_scale scales[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            F::pairs(raw, half, group, pairs);
            scales[half] = F::scales(raw, half, group);
#pragma unroll
            for (int p = 0; p < 4; p++) {
                a[p / 2][half + p % 2 * 2] = pairs[p];
            }
        }
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

// `parts`: blockIdx.y names one; NULL: it names 8 * TILES rows of the run.
template <class F, int TILES, bool IS_ROUNDED, bool IS_GATED>
static __global__ void __launch_bounds__(THREADS, TILES == 1 ? 2 : 0)
    linear_blocks(struct blocks_run run, const struct gpu_part *parts)
{
    __shared__ struct warp_sums<TILES> sums[1 + IS_GATED];
    size_t first = (size_t)blockIdx.y * 8 * TILES, end = run.n_rows;
    if (parts) {
        const struct gpu_part part = parts[blockIdx.y];
        run.w = static_cast<const unsigned char *>(part.w);
        run.bias = part.bias;
        first = part.row;
        end = first + part.n_rows;
    }
    run_tile<F, TILES, IS_ROUNDED>(&run, blockIdx.x, first, end, &sums[0]);
    if (IS_GATED) {
        run_tile<F, TILES, IS_ROUNDED>(&run, gridDim.x + blockIdx.x, first, end, &sums[IS_GATED]);
    }
    __syncthreads();
    finish<TILES, IS_GATED>(&run, sums, first, end);
}

// ---- launching -----------------------------------------------------------------------------------------------------

static struct blocks_run run_of(const struct op_linear *op, const struct gpu_matrix *w)
{
    struct blocks_run run = {};
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

// Rows of a CTA: 8 without x16, which is read as it is; else as many as the largest part has.
template <class F>
static void launch(gpu_queue queue, struct blocks_run *run, size_t rows_max, const struct gpu_part *parts,
                   size_t n_parts, uint32_t *x16)
{
    size_t rows = !x16 ? 8 : rows_max <= 32 ? 32 : 64;
    dim3 grid((unsigned)blocks_n_tiles(run->n_out), (unsigned)(parts ? n_parts : (run->n_rows + rows - 1) / rows));
    assert(!parts || rows_max <= rows);
    if (x16) {
        gpu_launch(queue, x_to_16<F>, dim3((unsigned)run->n_rows), THREADS, 0, *run, x16);
        run->x16 = x16;
    }
    if (rows == 8) {
        gpu_launch(queue, linear_blocks<F, 1, false, false>, grid, THREADS, 0, *run, parts);
    } else if (rows == 32) {
        gpu_launch(queue, linear_blocks<F, 4, true, false>, grid, THREADS, 0, *run, parts);
    } else {
        gpu_launch(queue, linear_blocks<F, 8, true, false>, grid, THREADS, 0, *run, parts);
    }
}

static void launch_dtype(gpu_queue queue, enum dtype dtype, struct blocks_run *run, size_t rows_max,
                         const struct gpu_part *parts, size_t n_parts, void *x16)
{
    uint32_t *pairs = static_cast<uint32_t *>(x16);
    switch (dtype) {
    case DTYPE_Q8_0: launch<fmt_q8_0>(queue, run, rows_max, parts, n_parts, pairs); return;
    case DTYPE_Q4_0: launch<fmt_q4_0>(queue, run, rows_max, parts, n_parts, pairs); return;
    case DTYPE_Q4_K: launch<fmt_q4_k>(queue, run, rows_max, parts, n_parts, pairs); return;
    case DTYPE_Q5_K: launch<fmt_q5_k>(queue, run, rows_max, parts, n_parts, pairs); return;
    case DTYPE_Q6_K: launch<fmt_q6_k>(queue, run, rows_max, parts, n_parts, pairs); return;
    case DTYPE_MXFP4: launch<fmt_mxfp4>(queue, run, rows_max, parts, n_parts, pairs); return;
    case DTYPE_F16: launch<fmt_plain<struct gpu_f16>>(queue, run, rows_max, parts, n_parts, pairs); return;
    case DTYPE_BF16: launch<fmt_plain<struct gpu_bf16>>(queue, run, rows_max, parts, n_parts, pairs); return;
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
    launch_dtype(queue, w->dtype, &run, op->n_rows, NULL, 0, x16);
}

template <class F> static void launch_glu(gpu_queue queue, const struct blocks_run *run)
{
    dim3 grid((unsigned)(run->n_out / 2 / BLOCKS_TILE), (unsigned)((run->n_rows + 7) / 8));
    gpu_launch(queue, linear_blocks<F, 1, false, true>, grid, THREADS, 0, *run, (const struct gpu_part *)NULL);
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
    default: return false;
    }
}

void gpu_linear_parts(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *like,
                      const struct gpu_part *parts, size_t n_parts, size_t rows_max, void *x16)
{
    struct blocks_run run = run_of(op, like);
    launch_dtype(queue, like->dtype, &run, rows_max, parts, n_parts, x16);
}

// ---- from and to rows ----------------------------------------------------------------------------------------------
//
// Rows as the file has them are brought over whole, and put in place here: a thread per output and lane's share of a
// group. Read and written once, at the speed of memory or of the bus, whichever is less.

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

static __device__ void pack_rows(fmt_q8_0, const unsigned char *row, size_t k, const struct pack_place *at)
{
    const unsigned char *block = row + k / 32 * 34;
    uint32_t *words = reinterpret_cast<uint32_t *>(at->record) + at->half * 256 + at->group / 2 * 128 + at->lane * 4 +
                      at->group % 2 * 2;
    for (unsigned w = 0; w < 2; w++) {
        uint32_t word = 0;
        for (unsigned e = 0; e < 4; e++) { // byte e / 2 + e % 2 * 2
            unsigned code = block[2 + w * 16 + 4 * at->t + e] ^ 0x80u;
            word |= code << 8 * (e / 2 + e % 2 * 2);
        }
        words[w] = word;
    }
    if (at->t == 0) {
        put_half(at->record + 2048 + at->row * 8 + at->group * 2, block);
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
    default: assert(0 && "a block format");
    }
}

// y[r][:] = row token_ids[r] * scale: a thread per eight inputs of a group.
template <class F>
static __global__ void embed_blocks(struct blocks_run run, const int32_t *token_ids, float *y, float scale)
{
    size_t row = (size_t)token_ids[blockIdx.x];
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
                         const int32_t *token_ids)
{
    gpu_launch(queue, embed_blocks<F>, dim3((unsigned)op->n_rows), THREADS, 0, *run, token_ids, op->y, op->scale);
}

void gpu_embed_blocks(gpu_queue queue, const struct op_embed *op, const struct gpu_matrix *table,
                      const int32_t *token_ids)
{
    struct blocks_run run = {};
    run.w = static_cast<const unsigned char *>(table->data);
    run.n_out = table->n_out;
    run.n_in = table->n_in;
    run.n_chunks = blocks_n_chunks(table->n_in);
    switch (table->dtype) {
    case DTYPE_Q8_0: launch_embed<fmt_q8_0>(queue, op, &run, token_ids); return;
    case DTYPE_Q4_0: launch_embed<fmt_q4_0>(queue, op, &run, token_ids); return;
    case DTYPE_Q4_K: launch_embed<fmt_q4_k>(queue, op, &run, token_ids); return;
    case DTYPE_Q5_K: launch_embed<fmt_q5_k>(queue, op, &run, token_ids); return;
    case DTYPE_Q6_K: launch_embed<fmt_q6_k>(queue, op, &run, token_ids); return;
    case DTYPE_MXFP4: launch_embed<fmt_mxfp4>(queue, op, &run, token_ids); return;
    default: assert(0 && "a block format");
    }
}
