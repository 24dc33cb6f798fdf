// struct vf on AVX-512 (F, BW, DQ, VL): one register of sixteen lanes. Bits as vec_scalar.h.
#ifndef TOKFS_KERNELS_CPU_VEC_AVX512_H
#define TOKFS_KERNELS_CPU_VEC_AVX512_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VEC              static inline __attribute__((always_inline, unused))
#define VEC_PRAGMA(text) _Pragma(#text)
#define VEC_UNROLL(n)    VEC_PRAGMA(GCC unroll n)
#define VEC_LINEAR_ROWS  13
// Registers per vf, and how many of them the linear kernel may use for sums.
#define VEC_LINEAR_REGS    1
#define VEC_LINEAR_ACC     26
#define VEC_QUANT_VECTORS  2
#define VEC_ATTENTION_ROWS 6
#ifdef __AVX512VNNI__
#define VEC_QUANT_ROWS 6
#else
#define VEC_QUANT_ROWS 4
#endif
#ifdef __AVX512BF16__
#define VEC_HAS_DOT_BF16 1
#else
#define VEC_HAS_DOT_BF16 0
#endif

typedef __m512 vf;

VEC vf vf_set1(float x)
{
    return _mm512_set1_ps(x);
}

VEC vf vf_zero(void)
{
    return _mm512_setzero_ps();
}

VEC vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

VEC void vf_store(float *p, vf a)
{
    _mm512_storeu_ps(p, a);
}

VEC vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}

VEC vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}

VEC vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}

VEC vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}

VEC vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

VEC vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

VEC vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

VEC vf vf_keep(vf a, size_t n, float fill)
{
    __mmask16 keep = (__mmask16)(n < 16 ? (1u << n) - 1u : 0xffffu);
    return _mm512_mask_mov_ps(_mm512_set1_ps(fill), keep, a);
}

VEC vf vf_scale_pow2(vf p, vf t)
{
    return _mm512_scalef_ps(p, _mm512_sub_ps(t, _mm512_set1_ps(0x1.8p23f)));
}

VEC float vf_reduce_add(vf a)
{
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

VEC float vf_reduce_max(vf a)
{
    __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

VEC vf vf_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

VEC vf vf_load_bf16(const uint16_t *p)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

VEC vf vf_bf16_even(vf pairs)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16));
}

VEC vf vf_bf16_odd(vf pairs)
{
    return _mm512_and_ps(pairs, _mm512_castsi512_ps(_mm512_set1_epi32((int)0xffff0000)));
}

VEC vf vf_load_bf16_even(const uint16_t *p)
{
    return vf_bf16_even(_mm512_loadu_ps(p));
}

VEC vf vf_load_bf16_odd(const uint16_t *p)
{
    return vf_bf16_odd(_mm512_loadu_ps(p));
}

#if VEC_HAS_DOT_BF16
VEC void vf_store_factors(uint16_t *p, vf a)
{
    _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh(a));
}

// sum + odd a * odd b, and to that even a * even b, each rounded once.
VEC vf vf_dot_bf16(vf a, vf b, vf sum)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}
#endif

VEC void vf_store_f16(uint16_t *p, vf a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

VEC void vf_store_bf16(uint16_t *p, vf a)
{
    __m512i bits = _mm512_castps_si512(a);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    __mmask16 is_nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    __m512i chosen = _mm512_mask_or_epi32(rounded, is_nan, bits, _mm512_set1_epi32(0x400000));
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(chosen, 16)));
}

// Within 128-bit lanes first (4 x 4 blocks of floats), then blocks of 128 bits.
VEC void vf_transpose(vf r[16])
{
    vf a[16], b[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        a[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        b[i] = _mm512_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm512_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        vf even_lo = _mm512_shuffle_f32x4(b[i], b[i + 4], 0x88), odd_lo = _mm512_shuffle_f32x4(b[i], b[i + 4], 0xdd);
        vf even_hi = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0x88);
        vf odd_hi = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0xdd);
        r[i] = _mm512_shuffle_f32x4(even_lo, even_hi, 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(even_lo, even_hi, 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(odd_lo, odd_hi, 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(odd_lo, odd_hi, 0xdd);
    }
}

typedef __m512i vi;

VEC vi vi_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

VEC void vi_store(void *p, vi a)
{
    _mm512_storeu_si512(p, a);
}

VEC vi vi_set1(int32_t x)
{
    return _mm512_set1_epi32(x);
}

VEC vi vi_and(vi a, vi b)
{
    return _mm512_and_si512(a, b);
}

VEC vi vi_or(vi a, vi b)
{
    return _mm512_or_si512(a, b);
}

VEC vi vi_sll(vi a, int n)
{
    return _mm512_slli_epi32(a, (unsigned)n);
}

VEC vi vi_srl(vi a, int n)
{
    return _mm512_srli_epi32(a, (unsigned)n);
}

VEC vi vi_sub_bytes(vi a, uint8_t x)
{
    return _mm512_sub_epi8(a, _mm512_set1_epi8((char)x));
}

VEC vi vi_lookup(const uint8_t table[16], vi a)
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)table)), a);
}

VEC vi vi_dot(vi sum, vi a, vi b, bool is_small)
{
#ifdef __AVX512VNNI__
    (void)is_small;
    return _mm512_dpbusd_epi32(sum, a, b);
#else
    if (is_small) {
        return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(a, b), _mm512_set1_epi16(1)));
    }
    vi even =
        _mm512_madd_epi16(_mm512_and_si512(a, _mm512_set1_epi16(0xff)), _mm512_srai_epi16(_mm512_slli_epi16(b, 8), 8));
    vi odd = _mm512_madd_epi16(_mm512_srli_epi16(a, 8), _mm512_srai_epi16(b, 8));
    return _mm512_add_epi32(sum, _mm512_add_epi32(even, odd));
#endif
}

VEC vf vf_from_vi(vi a)
{
    return _mm512_cvtepi32_ps(a);
}

VEC vf vf_load_u8(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

VEC vf vf_load_i8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

VEC vf vf_and(vf a, uint32_t mask)
{
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32((int)mask)));
}

VEC vf vf_pairs_exact(vf even, vf odd)
{
    return _mm512_castsi512_ps(
        _mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(even), 16), _mm512_castps_si512(odd)));
}

VEC void vec_prefetch(const void *p)
{
    _mm_prefetch(p, _MM_HINT_T0);
}

#endif
