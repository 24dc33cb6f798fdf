#!/usr/bin/env python3
"""Writes tests/kernels/tiles.txt: what TDPBF16PS and TDPBSSD give, by the pseudo code of Intel's Software Developer's Manual,
volume 2, computed with exact fractions and numpy.

    python3 tests/oracle/gen_tiles.py > tests/kernels/tiles.txt

A line: bf16 or int8, rows of the sum, its bytes a row, bytes a row of the first factor, then the first factor, the second one,
the sum before and the sum after, in hex.
"""

from fractions import Fraction

import numpy as np

TINY = Fraction(1, 2**126)


def round_f32(x, sign_of_zero):
    """An exact number to the nearest f32, ties to even; what is then below 2^-126 is a zero with its sign."""
    if x == 0:
        return np.float32(sign_of_zero)
    size, exponent = abs(x), -126
    while size >= Fraction(2) ** (exponent + 1):
        exponent += 1
    step = Fraction(2) ** (exponent - 23)
    whole, rest = divmod(size, step)
    whole = int(whole) + (1 if 2 * rest > step or (2 * rest == step and whole % 2 == 1) else 0)
    size = whole * step
    sign = -1.0 if x < 0 else 1.0
    if size < TINY:
        return np.float32(sign * 0.0)
    return np.float32(sign) * np.ldexp(np.float32(whole), exponent - 23).astype(np.float32)


def flush(x):
    return np.copysign(np.float32(0), x) if abs(Fraction(float(x))) < TINY else x


def fma(a, b, c):
    a, b, c = flush(a), flush(b), flush(c)
    with np.errstate(all="ignore"):
        zero = np.float32(a * b) + c if a == 0 or b == 0 or c == 0 else np.float32(0)  # only its sign is looked at
    return round_f32(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)), np.copysign(0.0, zero))


def bf16(x):
    return (x.astype(np.uint32) << 16).view(np.float32)


def dot_bf16(a, b, c):
    """a[m][2k], b[k][2n] in bf16 as uint16, c[m][n] f32."""
    a, b = bf16(a), bf16(b)
    out = c.copy()
    one = np.float32(1)
    for m in range(c.shape[0]):
        temp = np.zeros(2 * c.shape[1], np.float32)
        for k in range(a.shape[1] // 2):
            for n in range(c.shape[1]):
                temp[2 * n] = fma(a[m, 2 * k], b[k, 2 * n], temp[2 * n])
                temp[2 * n + 1] = fma(a[m, 2 * k + 1], b[k, 2 * n + 1], temp[2 * n + 1])
        for n in range(c.shape[1]):
            out[m, n] = fma(c[m, n], one, fma(temp[2 * n], one, temp[2 * n + 1]))
    return out


def dot_int8(a, b, c):
    """a[m][4k], b[k][4n] int8, c[m][n] int32."""
    quads = b.reshape(b.shape[0], -1, 4).astype(np.int64).transpose(0, 2, 1).reshape(-1, c.shape[1])
    return (c.astype(np.int64) + a.astype(np.int64) @ quads).astype(np.int32)


def line(name, a, b, c, want):
    fields = [name, c.shape[0], c.shape[1] * 4, a.shape[1] * a.itemsize]
    print(*fields, *(x.tobytes().hex() for x in (a, b, c, want)))


def main():
    rng = np.random.default_rng(1)
    for rows, n_k, n in ((1, 1, 1), (3, 5, 2), (16, 16, 16), (7, 16, 3), (2, 3, 16)):
        # Exponents far apart, then such that products and sums fall below 2^-126, then all alike.
        for low, high in ((90, 150), (50, 78), (126, 128)):
            exponents = rng.integers(low, high, (rows, 2 * n_k)), rng.integers(low, high, (n_k, 2 * n))
            a, b = (rng.integers(0, 2, e.shape) << 15 | e << 7 | rng.integers(0, 128, e.shape) for e in exponents)
            a[rng.random(a.shape) < 0.05] = 3  # below 2^-126
            b[rng.random(b.shape) < 0.05] = 0x8000  # -0
            c = (rng.standard_normal((rows, n)) * 2.0 ** (2 * (low - 127) + 4)).astype(np.float32)
            a, b = a.astype(np.uint16), b.astype(np.uint16)
            if rows * n_k * n > 1000 and low != 50:
                continue
            line("bf16", a, b, c, dot_bf16(a, b, c))
    for rows, n_k, n in ((1, 1, 1), (3, 5, 2), (16, 16, 16), (16, 8, 16), (5, 4, 7)):
        a, b = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((rows, 4 * n_k), (n_k, 4 * n)))
        c = rng.integers(-(2**31), 2**31, (rows, n)).astype(np.int32)
        line("int8", a, b, c, dot_int8(a, b, c))


main()
