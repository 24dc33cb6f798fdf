// Conversions between f32 and the stored formats of 16 and 8 bits, bit for bit what F16C and AVX-512 do: round to
// nearest even, denormals kept. Formats: IEEE 754-2008 binary16; bf16 is the upper half of a binary32; F8_E4M3 has 1
// sign, 4 exponent and 3 mantissa bits, no infinities, and NaN at 0x7f and 0xff (https://arxiv.org/abs/2209.05433).
#ifndef TOKFS_KERNELS_CPU_CONVERT_H
#define TOKFS_KERNELS_CPU_CONVERT_H

#include <stdint.h>
#include <string.h>

static inline uint32_t f32_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static inline float f32_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static inline float f32_from_bf16(uint16_t x)
{
    return f32_from_bits((uint32_t)x << 16);
}

static inline uint16_t bf16_from_f32(float x)
{
    uint32_t bits = f32_bits(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)(bits >> 16 | 0x40u); // a NaN stays one: quiet, its upper payload kept
    }
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static inline int f8_is_nan(uint8_t x)
{
    return (x & 0x7fu) == 0x7fu;
}

// Exponents 1 ... 15 are 2^-6 ... 2^8, exponent 0 counts multiples of 2^-9.
static inline float f32_from_f8(uint8_t x)
{
    uint32_t sign = (uint32_t)(x & 0x80u) << 24, exponent = x >> 3 & 15u, mantissa = x & 7u;
    if (f8_is_nan(x)) {
        return f32_from_bits(sign | 0x7fc00000u);
    }
    if (exponent == 0) {
        return f32_from_bits(sign | f32_bits((float)mantissa * 0x1p-9f));
    }
    return f32_from_bits(sign | (exponent + 120u) << 23 | mantissa << 20);
}

static inline float f32_from_f16(uint16_t x)
{
    uint32_t sign = (uint32_t)(x & 0x8000u) << 16, exponent = x >> 10 & 0x1fu, mantissa = x & 0x3ffu;
    if (exponent == 0x1fu) {
        uint32_t quiet = mantissa != 0 ? 0x400000u : 0;
        return f32_from_bits(sign | 0x7f800000u | quiet | mantissa << 13);
    }
    if (exponent != 0) {
        return f32_from_bits(sign | (exponent + 112u) << 23 | mantissa << 13);
    }
    float magnitude = (float)mantissa * 0x1p-24f; // zero or denormal: exact in f32
    return f32_from_bits(sign | f32_bits(magnitude));
}

static inline uint16_t f16_from_f32(float x)
{
    uint32_t bits = f32_bits(x), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    }
    if (magnitude >= 0x477ff000u) { // 65520 and above round to infinity
        return (uint16_t)(sign | 0x7c00u);
    }
    if (magnitude < 0x38800000u) { // below 2^-14: adding 0.5 leaves the rounded multiple of 2^-24 in the low bits
        float shifted = f32_from_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (f32_bits(shifted) - 0x3f000000u));
    }
    uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}

#endif
