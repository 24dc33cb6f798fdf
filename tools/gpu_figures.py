#!/usr/bin/env python3
"""Figures of tools/gpu-check beside their goals, a line NAME<TAB>RESULT each.

gpu_figures.py SHAPE FILE OPERATIONS: what tokfs-bench decode or prefill printed to FILE, as shares of what bench-cuda-device measured, and printed to OPERATIONS

A step of decoding takes at least the time of its bytes (weights once, K and V of all sequences) at the rate of a copy, or of its operations at the rate of
the largest product; a prompt that of its operations, of which the embedding has none, and the output one row's.
"""
import json
import re
import sys

DENSE_PEAK = 989e12  # of an H100 or H200 SXM in bf16, by its data sheet

# Parameters of all layers, those of the output, bytes of an embedding that is not the output; layers, heads * head_dim.
SHAPES = {
    "llama-1b": (973.1e6, 262.7e6, 0, 16, 2048),
    "llama-8b": (6979.6e6, 525.3e6, 2 * 525.3e6, 32, 4096),
    "tiny": (74e3, 64e3, 0, 2, 64),
}


def rows_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def rates(path):
    """Bytes and operations per second that were measured: of a copy, and of the best product."""
    copy = gemm = 0.0
    for line in rows_of(path):
        if found := re.search(r"; copy (\d+) GB/s", line):
            copy = float(found[1]) * 1e9
        if line.startswith("linear ") and (found := re.search(r"([\d.]+) TFLOP/s", line)):
            gemm = max(gemm, float(found[1]) * 1e12)
    return copy, gemm


def decode(figures, shape, copy, gemm):
    rate, n = figures["decode_tokens_per_s"], figures["sequences"]
    goal = 85 if n == 1 else 65
    told = f"{rate:.1f} tokens/s, {1e3 * n / rate:.3f} ms a step"
    if shape and copy:
        layers, output, unread, _, _ = shape
        floor = (figures["weight_bytes"] - unread + figures["kv_bytes"]) / copy
        floor = max(floor, 2 * (layers + output) * n / gemm if gemm else 0)
        told += f": {100 * floor * rate / n:.0f} % of what the device can (goal {goal} %)"
    print(f"  figures\t{told}")
    print(f"  host, beside the device\t{figures['outside_us']:.1f} us a step (goal 50 at 256 sequences), {100 * figures['ahead_share']:.0f} % of steps issued ahead")


def prefill(figures, shape, gemm):
    rate, n = figures["prefill_tokens_per_s"], figures["prompt_tokens"]
    told = f"{rate:.0f} tokens/s"
    if shape:
        layers, output, _, n_layers, width = shape
        flops = (2 * layers * n + 2 * output + 2 * n_layers * n * n * width) * rate / n
        told += f", {flops * 1e-12:.1f} TFLOP/s: {100 * flops / DENSE_PEAK:.0f} % of an H100's peak (goal 70 %)"
        told += f", {100 * flops / gemm:.0f} % of the largest product's rate" if gemm else ""
    print(f"  figures\t{told}")


def engine(shape_name, path, operations_path):
    lines = [line for line in rows_of(path) if line.startswith("{")]
    if not lines:
        print("  figures\tnone")
        return
    figures, shape = json.loads(lines[-1]), SHAPES.get(shape_name)
    try:
        copy, gemm = rates(operations_path)
    except OSError:
        copy = gemm = 0.0
    if "decode_tokens_per_s" in figures:
        decode(figures, shape, copy, gemm)
    else:
        prefill(figures, shape, gemm)


engine(*sys.argv[1:4])
