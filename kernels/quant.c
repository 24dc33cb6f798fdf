// One function per format and direction, a block at a time, and a table of them. Blocks are copied out of the file's
// bytes, which need not be aligned.
#include "kernels/quant.h"
#include "kernels/cpu/convert.h"
#include <math.h>
#include <string.h>

static_assert(sizeof(struct block_q8_0) == 34 && sizeof(struct block_q4_0) == 18 && sizeof(struct block_q4_k) == 144 &&
                  sizeof(struct block_q5_k) == 176 && sizeof(struct block_q6_k) == 210 &&
                  sizeof(struct block_q4_1) == 20 && sizeof(struct block_q5_0) == 22 &&
                  sizeof(struct block_q5_1) == 24 && sizeof(struct block_mxfp4) == 17 && sizeof(struct block_f8) == 132,
              "blocks are without padding, as in the file");

// ---- to f32 --------------------------------------------------------------------------------------------------------

static void expand_f32(const void *src, float *dst)
{
    memcpy(dst, src, sizeof(*dst));
}

static void expand_f16(const void *src, float *dst)
{
    uint16_t half;
    memcpy(&half, src, sizeof(half));
    *dst = f32_from_f16(half);
}

static void expand_bf16(const void *src, float *dst)
{
    uint16_t half;
    memcpy(&half, src, sizeof(half));
    *dst = f32_from_bf16(half);
}

static void expand_q8_0(const void *src, float *dst)
{
    struct block_q8_0 block;
    memcpy(&block, src, sizeof(block));
    float d = f32_from_f16(block.d);
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        dst[i] = d * (float)block.q[i];
    }
}

static void expand_q4_0(const void *src, float *dst)
{
    struct block_q4_0 block;
    memcpy(&block, src, sizeof(block));
    float d = f32_from_f16(block.d);
    for (size_t i = 0; i < QUANT_BLOCK / 2; i++) {
        dst[i] = d * (float)((block.q[i] & 15) - 8);
        dst[i + QUANT_BLOCK / 2] = d * (float)((block.q[i] >> 4) - 8);
    }
}

// Values of five bits of q5_0 and q5_1.
static unsigned five_bits(const uint8_t *q, const uint8_t *high, size_t i)
{
    unsigned low = i < QUANT_BLOCK / 2 ? q[i] & 15u : q[i - QUANT_BLOCK / 2] >> 4;
    return low | (high[i / 8] >> i % 8 & 1u) << 4;
}

static void expand_q4_1(const void *src, float *dst)
{
    struct block_q4_1 block;
    memcpy(&block, src, sizeof(block));
    float d = f32_from_f16(block.d), min = f32_from_f16(block.min);
    for (size_t i = 0; i < QUANT_BLOCK / 2; i++) {
        dst[i] = d * (float)(block.q[i] & 15) + min;
        dst[i + QUANT_BLOCK / 2] = d * (float)(block.q[i] >> 4) + min;
    }
}

static void expand_q5_0(const void *src, float *dst)
{
    struct block_q5_0 block;
    memcpy(&block, src, sizeof(block));
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        dst[i] = f32_from_f16(block.d) * (float)((int)five_bits(block.q, block.high, i) - 16);
    }
}

static void expand_q5_1(const void *src, float *dst)
{
    struct block_q5_1 block;
    memcpy(&block, src, sizeof(block));
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        dst[i] = f32_from_f16(block.d) * (float)five_bits(block.q, block.high, i) + f32_from_f16(block.min);
    }
}

// A scale of 255 is not a number.
static void expand_mxfp4(const void *src, float *dst)
{
    static const float values[16] = { 0, 0.5f, 1, 1.5f, 2, 3, 4, 6, 0, -0.5f, -1, -1.5f, -2, -3, -4, -6 };
    struct block_mxfp4 block;
    memcpy(&block, src, sizeof(block));
    float power = block.scale == 0 ? 0x1p-127f : f32_from_bits((uint32_t)block.scale << 23);
    power = block.scale == 255 ? NAN : power;
    for (size_t i = 0; i < QUANT_BLOCK / 2; i++) {
        dst[i] = power * values[block.q[i] & 15];
        dst[i + QUANT_BLOCK / 2] = power * values[block.q[i] >> 4];
    }
}

static void expand_f8(const void *src, float *dst)
{
    struct block_f8 block;
    memcpy(&block, src, sizeof(block));
    for (size_t i = 0; i < QUANT_F8_BLOCK; i++) {
        dst[i] = block.d * f32_from_f8(block.q[i]);
    }
}

// Groups of q4_k, and of q5_k where `high` is given.
static void expand_groups(uint16_t d, uint16_t dmin, const uint8_t *scales, const uint8_t *q, const uint8_t *high,
                          float *dst)
{
    for (unsigned g = 0; g < 8; g++) {
        unsigned scale, min;
        quant_k_scale(scales, g, &scale, &min);
        float step = f32_from_f16(d) * (float)scale, offset = f32_from_f16(dmin) * (float)min;
        for (size_t i = 0; i < 32; i++) {
            unsigned value = q[g / 2 * 32 + i] >> 4 * (g % 2) & 15u;
            value |= high ? (high[i] >> g & 1u) << 4 : 0;
            dst[g * 32 + i] = step * (float)value - offset;
        }
    }
}

static void expand_q4_k(const void *src, float *dst)
{
    struct block_q4_k block;
    memcpy(&block, src, sizeof(block));
    expand_groups(block.d, block.dmin, block.scales, block.q, NULL, dst);
}

static void expand_q5_k(const void *src, float *dst)
{
    struct block_q5_k block;
    memcpy(&block, src, sizeof(block));
    expand_groups(block.d, block.dmin, block.scales, block.q, block.high, dst);
}

static void expand_q6_k(const void *src, float *dst)
{
    struct block_q6_k block;
    memcpy(&block, src, sizeof(block));
    float d = f32_from_f16(block.d);
    for (size_t i = 0; i < QUANT_SUPERBLOCK; i++) {
        size_t half = i / 128, run = i % 128 / 32, at = i % 32;
        unsigned low = block.low[half * 64 + run % 2 * 32 + at] >> (run < 2 ? 0 : 4) & 15u;
        unsigned high = block.high[half * 32 + at] >> 2 * run & 3u;
        dst[i] = d * (float)block.scales[i / 16] * (float)((int)(low | high << 4) - 32);
    }
}

// ---- from f32 ------------------------------------------------------------------------------------------------------

static void pack_f32(const float *src, void *dst)
{
    memcpy(dst, src, sizeof(*src));
}

static void pack_f16(const float *src, void *dst)
{
    memcpy(dst, &(uint16_t){ f16_from_f32(*src) }, sizeof(uint16_t));
}

static void pack_bf16(const float *src, void *dst)
{
    memcpy(dst, &(uint16_t){ bf16_from_f32(*src) }, sizeof(uint16_t));
}

// The first of the elements that are furthest from zero, with its sign.
static float furthest(const float *x, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) {
        most = fabsf(x[i]) > fabsf(most) ? x[i] : most;
    }
    return most;
}

// 1 / d, and 0 where the block is zero (or so near it that its reciprocal is none).
static float reciprocal(float d)
{
    float r = d != 0 ? 1.0f / d : 0;
    return isinf(r) ? 0 : r;
}

static void pack_q8_0(const float *src, void *dst)
{
    struct block_q8_0 block;
    float d = fabsf(furthest(src, QUANT_BLOCK)) / 127.0f, inverse = reciprocal(d);
    block.d = f16_from_f32(d);
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        block.q[i] = (int8_t)roundf(src[i] * inverse);
    }
    memcpy(dst, &block, sizeof(block));
}

static uint8_t q4_0_value(float scaled)
{
    int value = (int)(scaled + 8.5f);
    return (uint8_t)(value > 15 ? 15 : value);
}

// The element that is furthest from zero gets -8, which has no counterpart.
static void pack_q4_0(const float *src, void *dst)
{
    struct block_q4_0 block;
    float d = furthest(src, QUANT_BLOCK) / -8.0f, inverse = reciprocal(d);
    block.d = f16_from_f32(d);
    for (size_t i = 0; i < QUANT_BLOCK / 2; i++) {
        unsigned low = q4_0_value(src[i] * inverse), high = q4_0_value(src[i + QUANT_BLOCK / 2] * inverse);
        block.q[i] = (uint8_t)(low | high << 4);
    }
    memcpy(dst, &block, sizeof(block));
}

// The scale whose values are nearest to the block: of several ways to round it, each with the d that suits it best
// (least squares), the one that leaves least. A sum over q_i x_i and one over q_i^2 tell: what is left of sum x_i^2 is
// its size less (sum q_i x_i)^2 / sum q_i^2.
#define Q4_0_TRIES 9

#define LANES 8 // sums side by side, which the compiler keeps in vectors

static float best_q4_0(const float *src, float inverse, float q[QUANT_BLOCK], float *ret_gain)
{
    float qx[LANES] = { 0 }, qq[LANES] = { 0 };
    for (size_t i = 0; i < QUANT_BLOCK; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            float scaled = src[i + k] * inverse;
            scaled = scaled < -8.0f ? -8.0f : scaled;
            scaled = scaled > 7.0f ? 7.0f : scaled;
            q[i + k] = (float)(int)(scaled + 8.5f) - 8.0f;
            qx[k] += q[i + k] * src[i + k];
            qq[k] += q[i + k] * q[i + k];
        }
    }
    float sum_qx = 0, sum_qq = 0;
    for (size_t k = 0; k < LANES; k++) {
        sum_qx += qx[k];
        sum_qq += qq[k];
    }
    *ret_gain = sum_qq > 0 ? sum_qx * sum_qx / sum_qq : 0;
    return sum_qq > 0 ? sum_qx / sum_qq : 0;
}

static void pack_best_q4_0(const float *src, void *dst)
{
    struct block_q4_0 block;
    float q[QUANT_BLOCK], best_q[QUANT_BLOCK] = { 0 };
    float most = furthest(src, QUANT_BLOCK), best_gain = -1, best_d = 0;
    for (int i = 0; i < Q4_0_TRIES; i++) {
        float gain, d = best_q4_0(src, -(7.0f + 0.25f * (float)i) * reciprocal(most), q, &gain);
        if (gain > best_gain) {
            best_gain = gain;
            best_d = d;
            memcpy(best_q, q, sizeof(q));
        }
    }
    block.d = f16_from_f32(best_d);
    for (size_t i = 0; i < QUANT_BLOCK / 2; i++) {
        unsigned low = (unsigned)(best_q[i] + 8.0f), high = (unsigned)(best_q[i + QUANT_BLOCK / 2] + 8.0f);
        block.q[i] = (uint8_t)(low | high << 4);
    }
    memcpy(dst, &block, sizeof(block));
}

// ---- rows ----------------------------------------------------------------------------------------------------------

static const struct format {
    void (*expand)(const void *src, float *dst);
    void (*pack)(const float *src, void *dst); // NULL: not offered
} formats[N_DTYPES] = {
    [DTYPE_F32] = { expand_f32, pack_f32 },    [DTYPE_F16] = { expand_f16, pack_f16 },
    [DTYPE_BF16] = { expand_bf16, pack_bf16 }, [DTYPE_Q8_0] = { expand_q8_0, pack_q8_0 },
    [DTYPE_Q4_0] = { expand_q4_0, pack_q4_0 }, [DTYPE_Q4_K] = { expand_q4_k, NULL },
    [DTYPE_Q5_K] = { expand_q5_k, NULL },      [DTYPE_Q6_K] = { expand_q6_k, NULL },
    [DTYPE_Q4_1] = { expand_q4_1, NULL },      [DTYPE_Q5_0] = { expand_q5_0, NULL },
    [DTYPE_Q5_1] = { expand_q5_1, NULL },      [DTYPE_MXFP4] = { expand_mxfp4, NULL },
    [DTYPE_F8] = { expand_f8, NULL },
};

void quant_expand(enum dtype dtype, const void *src, size_t n, float *dst)
{
    struct dtype_format format = dtype_format(dtype);
    assert(n % format.block_len == 0);
    for (size_t i = 0; i < n / format.block_len; i++) {
        formats[dtype].expand((const char *)src + i * format.block_bytes, dst + i * format.block_len);
    }
}

void quant_pack_best(enum dtype dtype, const float *src, size_t n, void *dst)
{
    if (dtype != DTYPE_Q4_0) {
        quant_pack(dtype, src, n, dst);
        return;
    }
    for (size_t i = 0; i < n / QUANT_BLOCK; i++) {
        pack_best_q4_0(src + i * QUANT_BLOCK, (char *)dst + i * sizeof(struct block_q4_0));
    }
}

void quant_pack(enum dtype dtype, const float *src, size_t n, void *dst)
{
    struct dtype_format format = dtype_format(dtype);
    assert(n % format.block_len == 0 && formats[dtype].pack);
    for (size_t i = 0; i < n / format.block_len; i++) {
        formats[dtype].pack(src + i * format.block_len, (char *)dst + i * format.block_bytes);
    }
}
