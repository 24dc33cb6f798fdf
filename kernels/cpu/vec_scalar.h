// struct vf, sixteen floats, in portable C: the definition of every operation that vec_avx2.h and vec_avx512.h speed
// up. Lane by lane all three give the same bits (fmaf is exact everywhere), so whatever is written with vf does too.
#ifndef TOKFS_KERNELS_CPU_VEC_SCALAR_H
#define TOKFS_KERNELS_CPU_VEC_SCALAR_H

#include "kernels/cpu/convert.h"
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Inlining is left to the compiler, which would otherwise spend minutes on sixteen-fold copies of every kernel under
// sanitizers; and lanes are not checked one by one (the addresses are the same that the other headers load from,
// checked).
#define VEC       static inline __attribute__((unused))
#define VEC_LANES static inline __attribute__((unused, no_sanitize_address, no_sanitize("undefined")))
#define VEC_UNROLL(n)
#define VEC_ISA_NAME "scalar"
// Register budget: rows that one pass of the linear kernel and of the attention kernel keeps in registers.
#define VEC_LINEAR_ROWS 4
// Registers per vf, and how many of them the linear kernel may use for sums.
#define VEC_LINEAR_REGS    16
#define VEC_LINEAR_ACC     999
#define VEC_QUANT_VECTORS  2
#define VEC_ATTENTION_ROWS 1
#define VEC_QUANT_ROWS     4
#define VEC_HAS_DOT_BF16   0

typedef struct {
    float f[16];
} vf;

#define VEC_MAP(expr)                                                                                                  \
    vf out;                                                                                                            \
    for (int i = 0; i < 16; i++) {                                                                                     \
        out.f[i] = (expr);                                                                                             \
    }                                                                                                                  \
    return out

VEC_LANES vf vf_set1(float x)
{
    VEC_MAP(x);
}

VEC_LANES vf vf_zero(void)
{
    return vf_set1(0.0f);
}

VEC_LANES vf vf_load(const float *p)
{
    vf out;
    memcpy(out.f, p, sizeof(out.f));
    return out;
}

VEC_LANES void vf_store(float *p, vf a)
{
    memcpy(p, a.f, sizeof(a.f));
}

VEC_LANES vf vf_add(vf a, vf b)
{
    VEC_MAP(a.f[i] + b.f[i]);
}

VEC_LANES vf vf_sub(vf a, vf b)
{
    VEC_MAP(a.f[i] - b.f[i]);
}

VEC_LANES vf vf_mul(vf a, vf b)
{
    VEC_MAP(a.f[i] * b.f[i]);
}

VEC_LANES vf vf_div(vf a, vf b)
{
    VEC_MAP(a.f[i] / b.f[i]);
}

// a * b + c, rounded once
VEC_LANES vf vf_fma(vf a, vf b, vf c)
{
    VEC_MAP(fmaf(a.f[i], b.f[i], c.f[i]));
}

// When either is NaN the second operand comes back, as maxps and minps do.
VEC_LANES vf vf_max(vf a, vf b)
{
    VEC_MAP(a.f[i] > b.f[i] ? a.f[i] : b.f[i]);
}

VEC_LANES vf vf_min(vf a, vf b)
{
    VEC_MAP(a.f[i] < b.f[i] ? a.f[i] : b.f[i]);
}

// Lanes below n from a, the others `fill`.
VEC_LANES vf vf_keep(vf a, size_t n, float fill)
{
    VEC_MAP((size_t)i < n ? a.f[i] : fill);
}

// p * 2^n, where t = n + 1.5 * 2^23 (so that the low bits of t are n). Two factors, so that results may be denormal.
VEC_LANES vf vf_scale_pow2(vf p, vf t)
{
    vf out;
    for (int i = 0; i < 16; i++) {
        int32_t n = (int32_t)(f32_bits(t.f[i]) - 0x4b400000u);
        int32_t half = n >> 1;
        float lo = f32_from_bits((uint32_t)(half + 127) << 23);
        float hi = f32_from_bits((uint32_t)(n - half + 127) << 23);
        out.f[i] = p.f[i] * lo * hi;
    }
    return out;
}

// Fixed tree: lanes 8 apart, then 4, 2, 1.
VEC_LANES float vf_reduce_add(vf a)
{
    for (int step = 8; step > 0; step /= 2) {
        for (int i = 0; i < step; i++) {
            a.f[i] = a.f[i] + a.f[i + step];
        }
    }
    return a.f[0];
}

VEC_LANES float vf_reduce_max(vf a)
{
    for (int step = 8; step > 0; step /= 2) {
        for (int i = 0; i < step; i++) {
            a.f[i] = a.f[i] > a.f[i + step] ? a.f[i] : a.f[i + step];
        }
    }
    return a.f[0];
}

VEC_LANES vf vf_load_f16(const uint16_t *p)
{
    VEC_MAP(f32_from_f16(p[i]));
}

VEC_LANES vf vf_load_bf16(const uint16_t *p)
{
    VEC_MAP(f32_from_bf16(p[i]));
}

// Even and odd elements of 32 interleaved bf16: [16][2].
VEC_LANES vf vf_load_bf16_even(const uint16_t *p)
{
    VEC_MAP(f32_from_bf16(p[2 * i]));
}

VEC_LANES vf vf_load_bf16_odd(const uint16_t *p)
{
    VEC_MAP(f32_from_bf16(p[2 * i + 1]));
}

// The same from a register that holds the pairs.
VEC_LANES vf vf_bf16_even(vf pairs)
{
    VEC_MAP(f32_from_bits(f32_bits(pairs.f[i]) << 16));
}

VEC_LANES vf vf_bf16_odd(vf pairs)
{
    VEC_MAP(f32_from_bits(f32_bits(pairs.f[i]) & 0xffff0000u));
}

VEC_LANES void vf_store_f16(uint16_t *p, vf a)
{
    for (int i = 0; i < 16; i++) {
        p[i] = f16_from_f32(a.f[i]);
    }
}

VEC_LANES void vf_store_bf16(uint16_t *p, vf a)
{
    for (int i = 0; i < 16; i++) {
        p[i] = bf16_from_f32(a.f[i]);
    }
}

// r[i].f[j] <-> r[j].f[i]
VEC_LANES void vf_transpose(vf r[16])
{
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < i; j++) {
            float t = r[i].f[j];
            r[i].f[j] = r[j].f[i];
            r[j].f[i] = t;
        }
    }
}

VEC_LANES vf vf_and(vf a, uint32_t mask)
{
    VEC_MAP(f32_from_bits(f32_bits(a.f[i]) & mask));
}

// Pairs of bf16 of numbers that bf16 holds.
VEC_LANES vf vf_pairs_exact(vf even, vf odd)
{
    VEC_MAP(f32_from_bits(f32_bits(even.f[i]) >> 16 | f32_bits(odd.f[i])));
}

// Sixteen 32-bit integers, or 64 bytes.
typedef struct {
    uint32_t u[16];
} vi;

#define VEC_MAP_INT(expr)                                                                                              \
    vi out;                                                                                                            \
    for (int i = 0; i < 16; i++) {                                                                                     \
        out.u[i] = (expr);                                                                                             \
    }                                                                                                                  \
    return out

VEC_LANES vi vi_load(const void *p)
{
    vi out;
    memcpy(out.u, p, sizeof(out.u));
    return out;
}

VEC_LANES void vi_store(void *p, vi a)
{
    memcpy(p, a.u, sizeof(a.u));
}

VEC_LANES vi vi_set1(int32_t x)
{
    VEC_MAP_INT((uint32_t)x);
}

VEC_LANES vi vi_and(vi a, vi b)
{
    VEC_MAP_INT(a.u[i] & b.u[i]);
}

VEC_LANES vi vi_or(vi a, vi b)
{
    VEC_MAP_INT(a.u[i] | b.u[i]);
}

VEC_LANES vi vi_sll(vi a, int n)
{
    VEC_MAP_INT(a.u[i] << n);
}

VEC_LANES vi vi_srl(vi a, int n)
{
    VEC_MAP_INT(a.u[i] >> n);
}

// x from each byte.
VEC_LANES vi vi_sub_bytes(vi a, uint8_t x)
{
    uint8_t bytes[64];
    memcpy(bytes, a.u, sizeof(bytes));
    for (int i = 0; i < 64; i++) {
        bytes[i] = (uint8_t)(bytes[i] - x);
    }
    return vi_load(bytes);
}

// Bytes of a table for bytes below 16.
VEC_LANES vi vi_lookup(const uint8_t table[16], vi a)
{
    VEC_MAP_INT((uint32_t)table[a.u[i] & 15] | (uint32_t)table[a.u[i] >> 8 & 15] << 8 |
                (uint32_t)table[a.u[i] >> 16 & 15] << 16 | (uint32_t)table[a.u[i] >> 24 & 15] << 24);
}

// Per lane: sum + the four products of an unsigned byte of a and a signed one of b. is_small: the bytes of a are below
// 64 and those of b not -128, so that two products fit into 16 bits.
VEC_LANES vi vi_dot(vi sum, vi a, vi b, bool is_small)
{
    (void)is_small;
    for (int i = 0; i < 16; i++) {
        for (int shift = 0; shift < 32; shift += 8) {
            int32_t x = (uint8_t)(a.u[i] >> shift), y = (int8_t)(b.u[i] >> shift);
            sum.u[i] += (uint32_t)(x * y);
        }
    }
    return sum;
}

VEC_LANES vf vf_from_vi(vi a)
{
    VEC_MAP((float)(int32_t)a.u[i]);
}

VEC_LANES vf vf_load_u8(const uint8_t *p)
{
    VEC_MAP((float)p[i]);
}

VEC_LANES vf vf_load_i8(const int8_t *p)
{
    VEC_MAP((float)p[i]);
}

VEC_LANES void vec_prefetch(const void *p)
{
    __builtin_prefetch(p, 0, 3);
}

#undef VEC_MAP
#endif
