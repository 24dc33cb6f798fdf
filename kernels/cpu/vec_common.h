// What is built on struct vf in the same way for every instruction set. Included after one of vec_*.h.
#ifndef TOKFS_KERNELS_CPU_VEC_COMMON_H
#define TOKFS_KERNELS_CPU_VEC_COMMON_H

#include "kernels/dtype.h"

// The first n (<= 16) of p, the other lanes 0. Reads nothing past p[n - 1].
VEC vf vf_load_n(const float *p, size_t n)
{
    if (n >= 16) {
        return vf_load(p);
    }
    float lanes[16] = { 0 };
    memcpy(lanes, p, n * sizeof(*p));
    return vf_load(lanes);
}

VEC void vf_store_n(float *p, vf a, size_t n)
{
    if (n >= 16) {
        vf_store(p, a);
        return;
    }
    float lanes[16];
    vf_store(lanes, a);
    memcpy(p, lanes, n * sizeof(*p));
}

// n (<= 16) elements at p of a stored type, the other lanes 0.
VEC vf vf_load_dtype(enum dtype dtype, const void *p, size_t n)
{
    if (dtype == DTYPE_F32) {
        return vf_load_n(p, n);
    }
    uint16_t lanes[16] = { 0 };
    if (n < 16) {
        memcpy(lanes, p, n * sizeof(*lanes));
        p = lanes;
    }
    return dtype == DTYPE_F16 ? vf_load_f16(p) : vf_load_bf16(p);
}

VEC void vf_store_dtype(enum dtype dtype, void *p, vf a, size_t n)
{
    if (dtype == DTYPE_F32) {
        vf_store_n(p, a, n);
        return;
    }
    uint16_t lanes[16];
    uint16_t *dst = n < 16 ? lanes : p;
    if (dtype == DTYPE_F16) {
        vf_store_f16(dst, a);
    } else {
        vf_store_bf16(dst, a);
    }
    if (n < 16) {
        memcpy(p, lanes, n * sizeof(*lanes));
    }
}

// The 32 bits at p in all lanes.
VEC vi vi_broadcast(const void *p)
{
    int32_t x;
    memcpy(&x, p, sizeof(x));
    return vi_set1(x);
}

VEC vf vf_broadcast(const void *p)
{
    float x;
    memcpy(&x, p, sizeof(x));
    return vf_set1(x);
}

VEC vf vf_round_bf16(vf a)
{
    uint16_t lanes[16];
    vf_store_bf16(lanes, a);
    return vf_load_bf16(lanes);
}

// vf_store_factors rounds to bf16 what vf_dot_bf16 multiplies, which may take numbers below 2^-126 for zero.
#if !VEC_HAS_DOT_BF16
VEC void vf_store_factors(uint16_t *p, vf a)
{
    vf_store_bf16(p, a);
}

VEC vf vf_dot_bf16(vf a, vf b, vf sum)
{
    return vf_fma(vf_bf16_even(a), vf_bf16_even(b), vf_fma(vf_bf16_odd(a), vf_bf16_odd(b), sum));
}
#endif

// x = n ln 2 + r with |r| <= ln(2) / 2; gives n + 1.5 * 2^23 and e^r - 1 = r + r^2 q(r), q of degree 4 fitted for least
// relative error (3e-9). |x| at most 105.
VEC vf vf_exp_reduced(vf x, vf *ret_t)
{
    const vf magic = vf_set1(0x1.8p23f);
    vf t = vf_fma(x, vf_set1(0x1.715476p+0f), magic);
    vf n = vf_sub(t, magic);
    vf r = vf_fma(n, vf_set1(-0x1.62e4p-1f), x);
    r = vf_fma(n, vf_set1(-0x1.7f7d1cp-20f), r);
    vf q = vf_set1(0x1.6a23dp-10f);
    q = vf_fma(q, r, vf_set1(0x1.123a2p-7f));
    q = vf_fma(q, r, vf_set1(0x1.5558f2p-5f));
    q = vf_fma(q, r, vf_set1(0x1.555492p-3f));
    q = vf_fma(q, r, vf_set1(0x1.fffffcp-2f));
    *ret_t = t;
    return vf_fma(vf_mul(r, r), q, r);
}

// e^x within 1 ulp for normal results; 0 below -104, infinity above 88.73, NaN for NaN.
VEC vf vf_exp(vf x)
{
    x = vf_max(vf_set1(-105.0f), x);
    x = vf_min(vf_set1(89.0f), x);
    vf t, p = vf_exp_reduced(x, &t);
    return vf_scale_pow2(vf_add(p, vf_set1(1.0f)), t);
}

// tanh(x) = m / (m + 2) with m = e^2x - 1 = 2^n (e^r - 1) + (2^n - 1), which keeps its precision near 0.
VEC vf vf_tanh(vf x)
{
    x = vf_add(x, x);
    x = vf_max(vf_set1(-40.0f), x); // 1 in f32 from there on
    x = vf_min(vf_set1(40.0f), x);
    vf t, p = vf_exp_reduced(x, &t), power = vf_scale_pow2(vf_set1(1.0f), t);
    vf m = vf_fma(power, p, vf_sub(power, vf_set1(1.0f)));
    return vf_div(m, vf_add(m, vf_set1(2.0f)));
}

VEC vf vf_softcap(vf x, float cap)
{
    return vf_mul(vf_tanh(vf_div(x, vf_set1(cap))), vf_set1(cap));
}

#endif
