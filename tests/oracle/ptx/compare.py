"""Runs a launch by its PTX and compares the memory after it with what the model of a GPU left there.

Words that were stored as f32 or f64 may differ by a part of the largest in their allocation, and numbers of 16 bits that a kernel
computed by a unit in the last place: the host adds and multiplies apart where nvcc makes one fma, and sums products in order.
Attention rounds its weights to 16 bits, now and then to the other neighbour: some words may differ more. Everything else must be
the same bit for bit. What is no number on both sides is the same.
"""

import re

import numpy as np

from .machine import Machine
from .memory import Fault, Global

THREADS_MAX = 1 << 14  # that are run at once
VARIABLES_AT = 4 << 40
FLOATS_NEAR = 2e-5
# Of attention with weights of 16 bits: how many words may be beyond that, and how far.
ATTENTION = re.compile(r"_Z\d+(attention_tiles|attention_hopper)")
ATTENTION_PART, ATTENTION_NEAR = 0.05, 1e-3
# Kernels that round what they computed to 16 bits.
ROUNDING = re.compile(r"_Z\d+(rope_kv|expand)I.*(gpu_f16|gpu_bf16)")
INFINITY = {"gpu_f16": 0x7c00, "gpu_bf16": 0x7f80}


class Result:
    def __init__(self, launch):
        self.kernel, self.problems, self.n_steps, self.n_bytes, self.largest = launch.kernel, [], 0, 0, 0.0


def allocations_of(module, launch):
    at, found = VARIABLES_AT, [(address, bytes(before)) for address, before, _ in launch.memory]
    module.addresses = {}
    for v in module.variables:
        if v.space in ("global", "const"):
            module.addresses[v.name] = at
            found.append((at, v.values.ljust(v.size, b"\0")))
            at += (v.size + 511) // 256 * 256
    return found


def run(module, launch, is_late=True, seed=None):
    result = Result(launch)
    entry = module.entries[launch.kernel]
    memory = Global(allocations_of(module, launch))
    n_at_once = max(1, THREADS_MAX // (launch.n_threads // launch.n_ctas))
    try:
        for first in range(0, launch.n_ctas, n_at_once):
            ctas = range(first, min(first + n_at_once, launch.n_ctas))
            m = Machine(module, entry, launch.grid, launch.block, launch.shared_bytes, launch.params, memory, ctas, is_late,
                        seed)
            try:
                m.run()
            finally:
                result.n_steps += m.n_steps
                m.forget()
    except Fault as fault:
        result.problems.append(f"{fault}")
        return result
    compare(memory, launch, result)
    return result


def compare(memory, launch, result):
    by_address = {address: n for n, (address, _) in enumerate(memory.allocations)}
    for n, (address, _, _) in enumerate(launch.memory):
        got, stored_as = memory.bytes_of(by_address[address])
        want = np.frombuffer(launch.after(n), np.uint8)
        result.n_bytes += int((stored_as != 0).sum())
        different = got != want
        if different.any():
            compare_bytes(result, address, got, want, stored_as, different)


def compare_bytes(result, address, got, want, stored_as, different):
    left = different.copy()
    for code, kind in ((2, np.float32), (3, np.float64)):
        size = np.dtype(kind).itemsize
        n = len(got) // size * size
        words = (stored_as[:n:size] == code) & left[:n].reshape(-1, size).any(axis=1)
        a, b = got[:n].view(kind), want[:n].view(kind)
        stored = b[(stored_as[:n:size] == code) & np.isfinite(b)]
        error, is_near = near(a[words], b[words], stored, result.kernel)
        result.largest = max(result.largest, error)
        left[:n].reshape(-1, size)[np.flatnonzero(words)[is_near]] = False
    rounds = ROUNDING.match(result.kernel)
    if rounds:
        n = len(got) // 2 * 2
        a, b = (x[:n].view(np.uint16).astype(np.int32) for x in (got, want))
        no_numbers = (a & 0x7fff > INFINITY[rounds.group(2)]) & (b & 0x7fff > INFINITY[rounds.group(2)])
        left[:n].reshape(-1, 2)[(stored_as[:n:2] == 1) & (no_numbers | (abs(a - b) <= 1))] = False
    if left.any():
        first = int(np.flatnonzero(left)[0]) // 4 * 4
        result.problems.append(f"{int(left.sum())} bytes of {int((stored_as != 0).sum())} stored at {address:#x} differ, first at {first}: "
                               f"{describe(got, first)}, not {describe(want, first)}; stored as {stored_as[first]}")


def near(a, b, stored, kernel):
    """The largest error as a part of the largest number, and which are near enough."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    scale = float(np.abs(stored).max()) if len(stored) else 0.0
    with np.errstate(all="ignore"):
        error = np.where(same, 0.0, np.abs(a.astype(np.float64) - b.astype(np.float64)) / (scale or 1.0))
    error = np.where(np.isnan(error), np.inf, error)
    is_near = error <= FLOATS_NEAR
    if ATTENTION.match(kernel) and (~is_near).sum() <= ATTENTION_PART * len(stored):
        is_near = error <= ATTENTION_NEAR
    return float(error.max(initial=0.0)), is_near


def describe(data, at):
    word = data[at:at + 4].tobytes().ljust(4, b"\0")
    return f"{word.hex()} ({np.frombuffer(word, np.float32)[0]:.7g})"
