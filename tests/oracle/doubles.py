"""Writes doubles.txt: the bits of a double in hexadecimal and Python's repr of it, one per line.

Powers of two and of ten with their neighbours, where shortest spelling is hardest; borders of the positional form;
subnormals; random bits and random short decimals from a fixed seed. Run: python3 tests/oracle/doubles.py
"""

import math
import pathlib
import random
import struct


def values():
    for e in range(-1074, 1024, 3):
        v = math.ldexp(1.0, e)
        yield from (math.nextafter(v, 0.0), v, math.nextafter(v, math.inf))
    for e in range(-323, 309):
        v = float(f"1e{e}")
        yield from (v, math.nextafter(v, math.inf))
    for v in (0.0, 0.1, 0.3, 0.0001, 0.00001234, 123456.0, 1e15, 1e16, 1.5e16, 9999999999999998.0, 2.0**53, 1.7976931348623157e308):
        yield from (v, -v)
    rng = random.Random(20260101)
    for _ in range(1500):
        v = struct.unpack("<d", rng.randbytes(8))[0]
        if math.isfinite(v):
            yield v
        yield rng.randrange(10**6) / 10 ** rng.randrange(7)
        yield struct.unpack("<f", struct.pack("<f", rng.uniform(-10, 10)))[0]


out = pathlib.Path(__file__).with_name("doubles.txt")
with out.open("w") as f:
    for v in values():
        f.write(f"{struct.unpack('<Q', struct.pack('<d', v))[0]:016x} {v!r}\n")
