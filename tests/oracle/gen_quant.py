#!/usr/bin/env python3
"""Writes tests/kernels/quant.txt: blocks of GGUF's formats and what they stand for, by the Python package `gguf`.

    gen_quant.py > tests/kernels/quant.txt

Lines "expand TYPE BLOCKS VALUES" and "pack TYPE VALUES BLOCKS": bytes in hexadecimal, values as little-endian f32.
"""
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants

# Offsets of binary16 scales in a block, which are drawn from numbers; all other bytes are random.
SCALES = {
    Type.Q8_0: [0],
    Type.Q4_0: [0],
    Type.Q4_K: [0, 2],
    Type.Q5_K: [0, 2],
    Type.Q6_K: [208],
    Type.Q4_1: [0, 2],
    Type.Q5_0: [0],
    Type.Q5_1: [0, 2],
    Type.MXFP4: [],
}
N_BLOCKS = 3


def expansions(rng):
    for kind, offsets in SCALES.items():
        _, size = quants.GGML_QUANT_SIZES[kind]
        blocks = rng.integers(0, 256, (N_BLOCKS, size), dtype=np.uint8)
        if kind == Type.MXFP4:
            blocks[:, 0] = rng.integers(100, 140, N_BLOCKS)
        for block in blocks:
            for offset in offsets:
                scale = np.float16(rng.normal() * 10.0 ** rng.integers(-7, 2))  # some are denormal numbers
                block[offset : offset + 2] = np.frombuffer(scale.tobytes(), np.uint8)
        yield "expand", kind, blocks.tobytes(), quants.dequantize(blocks.reshape(-1), kind)


def packings(rng):
    for kind in (Type.Q8_0, Type.Q4_0, Type.BF16, Type.F16):
        x = (rng.normal(size=(8, 32)) * 10.0 ** rng.integers(-3, 3, (8, 1))).astype(np.float32)
        x[0] = 0
        x[1, 5:] = 0
        x[2] = rng.integers(-127, 128, 32)  # halves are rounded away from zero
        x[2, :3] = [127, 0.5, -1.5]
        x[3] = np.abs(x[3])
        yield "pack", kind, x, quants.quantize(x, kind)


def main():
    rng = np.random.default_rng(20261121)
    for what, kind, a, b in [*expansions(rng), *packings(rng)]:
        fields = [np.asarray(v).astype("<f4").tobytes() if getattr(v, "dtype", None) == np.float32 else bytes(v) for v in (a, b)]
        print(what, kind.name.lower(), fields[0].hex(), fields[1].hex())


if __name__ == "__main__":
    main()
