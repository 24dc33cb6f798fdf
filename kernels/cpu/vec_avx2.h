// struct vf on AVX2, FMA and F16C: two registers of eight lanes. Bits as vec_scalar.h.
#ifndef TOKFS_KERNELS_CPU_VEC_AVX2_H
#define TOKFS_KERNELS_CPU_VEC_AVX2_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VEC              static inline __attribute__((always_inline, unused))
#define VEC_PRAGMA(text) _Pragma(#text)
#define VEC_UNROLL(n)    VEC_PRAGMA(GCC unroll n)
#define VEC_LINEAR_ROWS  6
// Registers per vf, and how many of them the linear kernel may use for sums.
#define VEC_LINEAR_REGS    2
#define VEC_LINEAR_ACC     8
#define VEC_ATTENTION_ROWS 1
// Vectors of outputs that the kernel of blocks multiplies at once.
#define VEC_QUANT_VECTORS 1
#ifdef __AVXVNNI__
#define VEC_QUANT_ROWS   6
#define VEC_HAS_DOT_INT8 1
#else
#define VEC_QUANT_ROWS   3
#define VEC_HAS_DOT_INT8 0
#endif
#define VEC_HAS_DOT_BF16 0

typedef struct {
    __m256 lo, hi;
} vf;

VEC vf vf_set1(float x)
{
    return (vf){ _mm256_set1_ps(x), _mm256_set1_ps(x) };
}

VEC vf vf_zero(void)
{
    return (vf){ _mm256_setzero_ps(), _mm256_setzero_ps() };
}

VEC vf vf_load(const float *p)
{
    return (vf){ _mm256_loadu_ps(p), _mm256_loadu_ps(p + 8) };
}

VEC void vf_store(float *p, vf a)
{
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
}

VEC vf vf_add(vf a, vf b)
{
    return (vf){ _mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi) };
}

VEC vf vf_sub(vf a, vf b)
{
    return (vf){ _mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi) };
}

VEC vf vf_mul(vf a, vf b)
{
    return (vf){ _mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi) };
}

VEC vf vf_div(vf a, vf b)
{
    return (vf){ _mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi) };
}

VEC vf vf_fma(vf a, vf b, vf c)
{
    return (vf){ _mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi) };
}

VEC vf vf_max(vf a, vf b)
{
    return (vf){ _mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi) };
}

VEC vf vf_min(vf a, vf b)
{
    return (vf){ _mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi) };
}

VEC vf vf_keep(vf a, size_t n, float fill)
{
    const __m256i idx = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    int bound = n < 16 ? (int)n : 16;
    __m256i keep_lo = _mm256_cmpgt_epi32(_mm256_set1_epi32(bound), idx);
    __m256i keep_hi = _mm256_cmpgt_epi32(_mm256_set1_epi32(bound - 8), idx);
    __m256 fills = _mm256_set1_ps(fill);
    return (vf){ _mm256_blendv_ps(fills, a.lo, _mm256_castsi256_ps(keep_lo)),
                 _mm256_blendv_ps(fills, a.hi, _mm256_castsi256_ps(keep_hi)) };
}

VEC __m256 vec8_scale_pow2(__m256 p, __m256 t)
{
    const __m256i bias = _mm256_set1_epi32(127);
    __m256i n = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_set1_epi32(0x4b400000));
    __m256i half = _mm256_srai_epi32(n, 1);
    __m256i lo = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    __m256i hi = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(n, half), bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(lo)), _mm256_castsi256_ps(hi));
}

VEC vf vf_scale_pow2(vf p, vf t)
{
    return (vf){ vec8_scale_pow2(p.lo, t.lo), vec8_scale_pow2(p.hi, t.hi) };
}

VEC float vf_reduce_add(vf a)
{
    __m256 eight = _mm256_add_ps(a.lo, a.hi);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

VEC float vf_reduce_max(vf a)
{
    __m256 eight = _mm256_max_ps(a.lo, a.hi);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

VEC vf vf_load_f16(const uint16_t *p)
{
    return (vf){ _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                 _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8))) };
}

VEC __m256 vec8_load_bf16(const uint16_t *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

VEC vf vf_load_bf16(const uint16_t *p)
{
    return (vf){ vec8_load_bf16(p), vec8_load_bf16(p + 8) };
}

VEC vf vf_bf16_even(vf pairs)
{
    __m256i lo = _mm256_slli_epi32(_mm256_castps_si256(pairs.lo), 16);
    __m256i hi = _mm256_slli_epi32(_mm256_castps_si256(pairs.hi), 16);
    return (vf){ _mm256_castsi256_ps(lo), _mm256_castsi256_ps(hi) };
}

VEC vf vf_bf16_odd(vf pairs)
{
    const __m256 upper = _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000));
    return (vf){ _mm256_and_ps(pairs.lo, upper), _mm256_and_ps(pairs.hi, upper) };
}

VEC vf vf_load_bf16_even(const uint16_t *p)
{
    return vf_bf16_even(vf_load((const float *)p));
}

VEC vf vf_load_bf16_odd(const uint16_t *p)
{
    return vf_bf16_odd(vf_load((const float *)p));
}

VEC void vf_store_f16(uint16_t *p, vf a)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a.lo, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(a.hi, _MM_FROUND_TO_NEAREST_INT));
}

VEC __m256i vec8_bf16_rounded(__m256 a)
{
    __m256i bits = _mm256_castps_si256(a);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    __m256 is_nan = _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
    __m256i chosen = _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(is_nan));
    return _mm256_srli_epi32(chosen, 16);
}

VEC void vf_store_bf16(uint16_t *p, vf a)
{
    __m256i packed = _mm256_packus_epi32(vec8_bf16_rounded(a.lo), vec8_bf16_rounded(a.hi));
    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(packed, 0xd8));
}

VEC void vec8_transpose(__m256 r[8])
{
    __m256 a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        b[4 * i] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0x44);
        b[4 * i + 1] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0xee);
        b[4 * i + 2] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0x44);
        b[4 * i + 3] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}

VEC void vf_transpose(vf r[16])
{
    __m256 q[4][8]; // quadrants: rows 0-7 lo, rows 0-7 hi, rows 8-15 lo, rows 8-15 hi
    for (int i = 0; i < 8; i++) {
        q[0][i] = r[i].lo;
        q[1][i] = r[i].hi;
        q[2][i] = r[i + 8].lo;
        q[3][i] = r[i + 8].hi;
    }
    for (int i = 0; i < 4; i++) {
        vec8_transpose(q[i]);
    }
    for (int i = 0; i < 8; i++) {
        r[i] = (vf){ q[0][i], q[2][i] };
        r[i + 8] = (vf){ q[1][i], q[3][i] };
    }
}

typedef struct {
    __m256i lo, hi;
} vi;

VEC vi vi_load(const void *p)
{
    return (vi){ _mm256_loadu_si256(p), _mm256_loadu_si256((const __m256i *)p + 1) };
}

VEC void vi_store(void *p, vi a)
{
    _mm256_storeu_si256(p, a.lo);
    _mm256_storeu_si256((__m256i *)p + 1, a.hi);
}

VEC vi vi_set1(int32_t x)
{
    return (vi){ _mm256_set1_epi32(x), _mm256_set1_epi32(x) };
}

VEC vi vi_and(vi a, vi b)
{
    return (vi){ _mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi) };
}

VEC vi vi_or(vi a, vi b)
{
    return (vi){ _mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi) };
}

VEC vi vi_sll(vi a, int n)
{
    return (vi){ _mm256_slli_epi32(a.lo, n), _mm256_slli_epi32(a.hi, n) };
}

VEC vi vi_srl(vi a, int n)
{
    return (vi){ _mm256_srli_epi32(a.lo, n), _mm256_srli_epi32(a.hi, n) };
}

VEC vi vi_sub_bytes(vi a, uint8_t x)
{
    return (vi){ _mm256_sub_epi8(a.lo, _mm256_set1_epi8((char)x)), _mm256_sub_epi8(a.hi, _mm256_set1_epi8((char)x)) };
}

VEC vi vi_lookup(const uint8_t table[16], vi a)
{
    __m256i both = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
    return (vi){ _mm256_shuffle_epi8(both, a.lo), _mm256_shuffle_epi8(both, a.hi) };
}

#if VEC_HAS_DOT_INT8
VEC vi vi_dot(vi sum, vi a, vi b, bool is_small)
{
    (void)is_small;
    return (vi){ _mm256_dpbusd_avx_epi32(sum.lo, a.lo, b.lo), _mm256_dpbusd_avx_epi32(sum.hi, a.hi, b.hi) };
}
#else
VEC __m256i vec8_dot(__m256i sum, __m256i a, __m256i b, bool is_small)
{
    if (is_small) {
        return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1)));
    }
    __m256i even =
        _mm256_madd_epi16(_mm256_and_si256(a, _mm256_set1_epi16(0xff)), _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8));
    __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(a, 8), _mm256_srai_epi16(b, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}

VEC vi vi_dot(vi sum, vi a, vi b, bool is_small)
{
    return (vi){ vec8_dot(sum.lo, a.lo, b.lo, is_small), vec8_dot(sum.hi, a.hi, b.hi, is_small) };
}

// Per pair of bytes the sum of the products of unsigned ones of a and signed ones of b, in 16 bits, where it fits.
VEC vi vi_pairs(vi a, vi b)
{
    return (vi){ _mm256_maddubs_epi16(a.lo, b.lo), _mm256_maddubs_epi16(a.hi, b.hi) };
}

VEC __m256i vec8_pairs_offset(__m256i a, __m256i b)
{
    __m256i weights = _mm256_xor_si256(a, _mm256_set1_epi8(-128));
    return _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(b, weights));
}

// The same of a - 128; b not -128.
VEC vi vi_pairs_offset(vi a, vi b)
{
    return (vi){ vec8_pairs_offset(a.lo, b.lo), vec8_pairs_offset(a.hi, b.hi) };
}

// The value is used here: the compiler would rather add many in a tree, for which there are not enough registers.
#define vec_hold(a) __asm__("" : "+x"(a))

VEC vi vi_add_shorts(vi a, vi b)
{
    vi sum = { _mm256_add_epi16(a.lo, b.lo), _mm256_add_epi16(a.hi, b.hi) };
    vec_hold(sum.lo);
    vec_hold(sum.hi);
    return sum;
}

// sum + both halves of each lane of a.
VEC vi vi_add_pairs(vi sum, vi a)
{
    const __m256i one = _mm256_set1_epi16(1);
    sum.lo = _mm256_add_epi32(sum.lo, _mm256_madd_epi16(a.lo, one));
    sum.hi = _mm256_add_epi32(sum.hi, _mm256_madd_epi16(a.hi, one));
    vec_hold(sum.lo);
    vec_hold(sum.hi);
    return sum;
}
#endif

VEC vf vf_from_vi(vi a)
{
    return (vf){ _mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi) };
}

VEC vf vf_load_u8(const uint8_t *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    return vf_from_vi((vi){ _mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)) });
}

VEC vf vf_load_i8(const int8_t *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    return vf_from_vi((vi){ _mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)) });
}

VEC vf vf_and(vf a, uint32_t mask)
{
    __m256 bits = _mm256_castsi256_ps(_mm256_set1_epi32((int)mask));
    return (vf){ _mm256_and_ps(a.lo, bits), _mm256_and_ps(a.hi, bits) };
}

VEC __m256 vec8_pairs_exact(__m256 even, __m256 odd)
{
    __m256i low = _mm256_srli_epi32(_mm256_castps_si256(even), 16);
    return _mm256_or_ps(_mm256_castsi256_ps(low), odd);
}

VEC vf vf_pairs_exact(vf even, vf odd)
{
    return (vf){ vec8_pairs_exact(even.lo, odd.lo), vec8_pairs_exact(even.hi, odd.hi) };
}

// Keeps the compiler from knowing how p was made, which otherwise keeps a register (or a place in memory) for each of
// many distances that an instruction could name.
#define vec_hide(p) __asm__("" : "+r"(p))

VEC void vec_prefetch(const void *p)
{
    _mm_prefetch(p, _MM_HINT_T0);
}

#endif
