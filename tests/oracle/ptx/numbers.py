"""Floating point as PTX rounds it, on numpy arrays: what numpy does not have.

Source: "Parallel Thread Execution ISA", sections "Floating Point Instructions", "Half Precision Floating Point Instructions" and
"cvt"; IEEE 754-2008. Sums of products rounded once: Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums: proved
algorithms using rounding to odd", 2008.
"""

import numpy as np

SPLIT = np.float64(2**27 + 1)  # Dekker


def two_sum(a, b):
    """A sum and what its rounding left out."""
    s = a + b
    bb = s - a
    return s, (a - (s - bb)) + (b - bb)


def odd(nearest, rest, bits):
    """Of a sum given as its nearest number and what is left, the rounding to odd; `bits` is the integer type of its size."""
    raw = np.atleast_1d(nearest).view(bits).copy()
    rest = np.broadcast_to(rest, raw.shape)
    change = np.isfinite(nearest) & (rest != 0) & (raw & bits(1) == 0)
    away = (rest > 0) == (np.atleast_1d(nearest) > 0)
    raw = raw + np.where(change, np.where(away, 1, -1), 0).astype(bits)
    return raw.view(np.atleast_1d(nearest).dtype).reshape(np.shape(nearest))


def exact_fma(a, b, c):
    """a * b + c of f32, or narrower, as an f64 that is rounded to odd: rounding it again to f32 or narrower is rounding once."""
    p = a.astype(np.float64) * b.astype(np.float64)  # exact
    s, rest = two_sum(p, np.broadcast_to(c, p.shape).astype(np.float64))
    return odd(s, np.where(np.isfinite(s), rest, 0), np.int64)


def to_f32(x, how="rn"):
    """An f64 to f32: to nearest even, zero, minus or plus infinity."""
    y = x.astype(np.float32)
    wide = y.astype(np.float64)
    if how == "rm":
        return np.where(wide > x, np.nextafter(y, np.float32(-np.inf)), y)
    if how == "rp":
        return np.where(wide < x, np.nextafter(y, np.float32(np.inf)), y)
    if how == "rz":
        return np.where(abs(wide) > abs(x), np.nextafter(y, np.float32(0)), y)
    return y


def fma_f64(a, b, c):
    a, b, c = np.broadcast_arrays(np.asarray(a), b, c)
    high, low = [], []
    for x in (a, b):
        t = SPLIT * x
        high.append(t - (t - x))
        low.append(x - high[-1])
    p = a * b
    rest = ((high[0] * high[1] - p) + high[0] * low[1] + low[0] * high[1]) + low[0] * low[1]
    uh, ul = two_sum(c, rest)
    th, tl = two_sum(p, uh)
    result = th + odd(*two_sum(tl, ul), np.int64)
    return np.where(np.isfinite(p) & np.isfinite(rest), result, p + c)


def f32_to_odd(x):
    """An f64 (exact, or rounded to odd) to f32, so that rounding to 16 bits is rounding once."""
    y = x.astype(np.float32)
    return odd(y, np.where(np.isfinite(x), x - y.astype(np.float64), 0), np.int32)


def bf16_of_f32(x):
    """Bits, to nearest even; any NaN is 0x7fff."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7fff) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(x), np.uint32(0x7fff), rounded).astype(np.uint16)


def f32_of_bf16(bits):
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def f16_of_f32(x):
    return np.where(np.isnan(x), np.uint16(0x7fff), x.astype(np.float16).view(np.uint16))


def f32_of_f16(bits):
    return np.ascontiguousarray(bits, np.uint16).view(np.float16).astype(np.float32)


def flush(x):
    """Subnormal numbers are zeros of their sign (.ftz)."""
    tiny = np.finfo(x.dtype).tiny
    return np.where(np.abs(x) < tiny, np.copysign(np.zeros_like(x), x), x)


OF_16 = {"bf16": f32_of_bf16, "f16": f32_of_f16}
TO_16 = {"bf16": bf16_of_f32, "f16": f16_of_f32}


def halves(x):
    """The lower and the upper 16 bits."""
    return (x & np.uint32(0xffff)).astype(np.uint16), (x >> np.uint32(16)).astype(np.uint16)


def joined(low, high):
    return low.astype(np.uint32) | high.astype(np.uint32) << np.uint32(16)
