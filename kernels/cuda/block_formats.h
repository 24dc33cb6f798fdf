// Weights in block formats as device code reads them (blocks.h has their places in memory).
#ifndef TOKFS_KERNELS_CUDA_BLOCK_FORMATS_H
#define TOKFS_KERNELS_CUDA_BLOCK_FORMATS_H

#include "kernels/cuda/blocks.h"
#include "kernels/cuda/kernels.h"

#define GROUP 32

struct blocks_run {
    const unsigned char *w;
    const float *bias, *x;
    const uint32_t *x16; // [n_rows][n_chunks * BLOCKS_CHUNK / 2] pairs in the order of a format's lanes, or NULL
    float *y;
    size_t x_stride, y_stride, n_rows, n_out, n_in, n_chunks;
    bool accumulate, is_aligned; // x: in vectors of 16 bytes
    enum glu kind;               // of what ends in a gated unit
    enum dtype dtype;            // of w
};

// ---- formats -------------------------------------------------------------------------------------------------------
//
// A format F has
//   raw: what a lane loads of a chunk; load(run, tile, chunk, lane)
//   pairs(raw, half, group, ret[4]): elements of output g + 8 * half as pairs of F::element, before scaling
//   scales(raw, half, group): of them
//   is_split: a lane's eight are 4t ... and 16 + 4t ..., as in blocks.h; else 8t ... 8t + 7
//   has_halves: the two runs of 16 of a group have scales of their own; has_min: something is subtracted
// and, where it is made of blocks of a file, pack_rows in blocks_rows.cu.

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
#define TIMES_2120 0x7b807b80u // 2^120
#define TIMES_2126 0x7e807e80u

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

struct fmt_f8 {
    typedef struct gpu_bf16 element;
    static const enum dtype dtype = DTYPE_F8;
    static const size_t record = 2048 + 64;
    static const bool is_split = true, has_halves = false, has_min = false;
    struct raw {
        uint4 codes[2][2];
        float scale[2]; // of the chunk's groups
    };

    static __device__ __forceinline__ void load(const struct blocks_run *run, size_t tile, size_t chunk, unsigned lane,
                                                struct raw *ret)
    {
        const unsigned char *at = record_of(run, record, tile, chunk);
#pragma unroll
        for (unsigned half = 0; half < 2; half++) {
            ret->codes[half][0] = load_16(at + half * 1024 + lane * 16);
            ret->codes[half][1] = load_16(at + half * 1024 + 512 + lane * 16);
            ret->scale[half] = __ldg(reinterpret_cast<const float *>(at + 2048) + lane / 4 + 8 * half);
        }
    }

    // Sign, exponent (4 bits) and mantissa (3) go where bf16 has them; its exponent is 120 more, for denormals too.
    static __device__ __forceinline__ void pairs(const struct raw *raw, int half, int group, uint32_t ret[4])
    {
#pragma unroll
        for (int p = 0; p < 4; p++) {
            uint32_t word = word_of(raw->codes[half][group / 2], group % 2 * 2 + p / 2), top = word << 8 * (1 - p % 2);
            ret[p] = gpu_bf16x2_fma((top & 0x80008000u) | (top >> 4 & 0x07f007f0u), TIMES_2120, 0x80008000u);
        }
    }

    static __device__ __forceinline__ struct group_scale scales(const struct raw *raw, int half, int)
    {
        return group_scale{ { raw->scale[half], 0.0f }, 0.0f };
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

// ---- products of a group ------------------------------------------------------------------------------------------

// 16 outputs by 32 inputs as the left operand of two matrix instructions.
template <class F>
static __device__ __forceinline__ void group_operands(const typename F::raw *raw, int group, uint32_t a[2][4],
                                                      struct group_scale scales[2])
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        uint32_t pairs[4];
        F::pairs(raw, half, group, pairs);
        scales[half] = F::scales(raw, half, group);
#pragma unroll
        for (int p = 0; p < 4; p++) {
            a[p / 2][half + p % 2 * 2] = pairs[p];
        }
    }
}

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

// linear_parts.cu: products of parts of many rows, of which run has x16.
void blocks_parts_wide(gpu_queue queue, const struct blocks_run *run, const struct gpu_parts *parts);

#endif
