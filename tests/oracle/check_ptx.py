#!/usr/bin/env python3
"""Runs the PTX that nvcc makes of kernels/cuda, on the launches that the model of a GPU wrote, and compares what both leave in memory.

    mkdir /tmp/launches
    TOKFS_SHIM_TRACE=/tmp/launches build/tests/test-kernels-cuda
    python3 tests/oracle/check_ptx.py /tmp/launches

Needs nvcc (in PATH or /usr/local/cuda/bin), nm and numpy. Differences end it with status 1; a missing tool with 77.
"""

import argparse
import collections
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIP = 77


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


try:
    from ptx import compare, text, trace
except ModuleNotFoundError as missing:
    skip(str(missing))


def nvcc():
    found = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
    return found or skip("no nvcc")


def compiled(source, to, architecture=None):
    """The PTX of a kernel file as the build has it: of compute_80, of Hopper's own files compute_90a."""
    architecture = architecture or ("compute_90a" if source.endswith("_hopper.cu") else "compute_80")
    path = os.path.join(to, f"{os.path.basename(source)}.{architecture}.ptx")
    if not os.path.exists(path):
        subprocess.run([nvcc(), "-std=c++17", "-O3", "-I", ROOT, f"-arch={architecture}", "-ptx", source, "-o", path], check=True)
    with open(path) as f:
        return text.Module(f.read())


def modules(to, architecture):
    folder = os.path.join(ROOT, "kernels/cuda")
    sources = sorted(f for f in os.listdir(folder) if f.endswith(".cu") and f != "runtime_nvidia.cu")
    return {s: compiled(os.path.join(folder, s), to, architecture) for s in sources}


def check(args, to):
    by_kernel = {name: module for module in modules(to, args.architecture).values() for name in module.entries}
    paths = sorted(os.path.join(folder, f) for folder in args.folders for f in os.listdir(folder) if f.endswith(".launch"))
    kernels, n_bad, n_left = collections.defaultdict(list), 0, 0
    for path in paths:
        launch = trace.Launch(path)
        if args.kernel not in launch.kernel:
            continue
        if launch.n_threads > args.threads or len(kernels[launch.kernel]) >= args.most:
            n_left += 1
            continue
        begin = time.monotonic()
        result = compare.run(by_kernel[launch.kernel], launch, not args.early)
        kernels[launch.kernel].append(result)
        n_bad += bool(result.problems)
        if result.problems or args.verbose:
            print(f"{os.path.basename(path)} {launch.kernel} grid {launch.grid} block {launch.block}: {result.n_steps} steps, "
                  f"{time.monotonic() - begin:.2f} s, {result.n_bytes} bytes, largest difference {result.largest:.2g}", flush=True)
        for problem in result.problems:
            print(f"    {problem}", flush=True)
    return report(kernels, by_kernel, n_bad, n_left)


def report(kernels, by_kernel, n_bad, n_left):
    results = [r for of_kernel in kernels.values() for r in of_kernel]
    n_run = sum(bool(r) for r in kernels.values())
    print(f"{len(results)} launches of {n_run} kernels of {len(by_kernel)}, {sum(r.n_steps for r in results)} steps, "
          f"{sum(r.n_bytes for r in results)} bytes stored; {n_left} launches left out; {n_bad} launches differ; "
          f"largest difference of floats {max((r.largest for r in results), default=0):.2g} of the largest")
    print("not run: " + " ".join(sorted(k for k in by_kernel if not kernels.get(k))))
    return 1 if n_bad or not results else 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folders", nargs="+", help="of launches")
    p.add_argument("--kernel", default="", help="only those that have this in their name")
    p.add_argument("--threads", type=int, default=1 << 20, help="leave out launches of more")
    p.add_argument("--most", type=int, default=1 << 30, help="launches of a kernel")
    p.add_argument("--early", action="store_true", help="what is asynchronous happens at once, instead of as late as it may")
    p.add_argument("--architecture", help="such as compute_90a, of all files")
    p.add_argument("--ptx", help="keep the PTX there")
    p.add_argument("-v", "--verbose", action="store_true")
    args = p.parse_args()
    if args.ptx:
        os.makedirs(args.ptx, exist_ok=True)
        return check(args, args.ptx)
    with tempfile.TemporaryDirectory() as to:
        return check(args, to)


sys.exit(main())
