#!/usr/bin/env python3
"""Runs the PTX that nvcc makes of kernels/cuda, on the launches that the model of a GPU wrote, and compares what both leave in memory.

    python3 tests/oracle/check_ptx.py [OPTION]... --run build/tests/test-kernels-cuda [ARGUMENT]...

or, of launches that are kept (each folder of one or more programs),

    mkdir /tmp/launches
    TOKFS_SHIM_TRACE=/tmp/launches TOKFS_SHIM_TRACE_MOST=1 build/tests/test-kernels-cuda
    python3 tests/oracle/check_ptx.py [OPTION]... /tmp/launches

Needs nvcc (in PATH or /usr/local/cuda/bin), nm and numpy. Differences end it with status 1; a missing tool with 77.
"""

import argparse
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIP = 77
KERNEL = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(")


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


try:
    from ptx import compare, controls, text, trace
except ModuleNotFoundError as missing:
    skip(str(missing))


def nvcc():
    found = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
    return found or skip("no nvcc")


class Kernels:
    """The kernels of the source files; a file is compiled when one of its own is asked for."""

    def __init__(self, to, architecture):
        self.to, self.architecture, self.texts, self.modules, self.files = to, architecture, {}, {}, {}
        folder = os.path.join(ROOT, "kernels/cuda")
        for source in sorted(os.listdir(folder)):
            if source.endswith(".cu") and source != "runtime_nvidia.cu":
                with open(os.path.join(folder, source), encoding="utf-8") as f:
                    for name in KERNEL.findall(f.read()):
                        self.files[name] = os.path.join(folder, source)

    def file_of(self, kernel):
        length = re.match(r"_Z(\d+)", kernel)
        name = kernel[length.end():][:int(length.group(1))]
        return self.files[name]

    def text_of(self, source):
        """The PTX as the build has it: of compute_80, of Hopper's own files compute_90a."""
        if source not in self.texts:
            architecture = self.architecture or ("compute_90a" if source.endswith("_hopper.cu") else "compute_80")
            path = os.path.join(self.to, f"{os.path.basename(source)}.{architecture}.ptx")
            if not os.path.exists(path):
                subprocess.run([nvcc(), "-std=c++17", "-O3", "-I", ROOT, f"-arch={architecture}", "-ptx", source, "-o", path], check=True)
            with open(path, encoding="utf-8") as f:
                self.texts[source] = f.read()
        return self.texts[source]

    def module_of(self, kernel):
        source = self.file_of(kernel)
        if source not in self.modules:
            self.modules[source] = text.Module(self.text_of(source))
        return self.modules[source]

    def all_names(self):
        """Of all files that were compiled."""
        return {name for module in self.modules.values() for name in module.entries}


def launches_of(args):
    """Those asked for; and how many of others there are."""
    of_kernel = collections.Counter()
    for folder in args.folders:
        for name in sorted(n for n in os.listdir(folder) if n.endswith(".launch")):
            launch = trace.Launch(os.path.join(folder, name))
            if args.kernel in launch.kernel and launch.n_threads <= args.threads and of_kernel[launch.kernel] < args.most:
                of_kernel[launch.kernel] += 1
                yield launch


def run_one(args, module, launch):
    begin = time.monotonic()
    result = compare.run(module, launch, not args.early, args.seed)
    if result.problems or args.verbose:
        print(f"{os.path.basename(launch.path)} {launch.kernel} grid {launch.grid} block {launch.block}: {result.n_steps} steps, "
              f"{time.monotonic() - begin:.2f} s, {result.n_bytes} bytes, largest difference {result.largest:.2g}", flush=True)
    for problem in result.problems:
        print(f"    {problem}", flush=True)
    return result


def check(args, kernels):
    results = [run_one(args, kernels.module_of(launch.kernel), launch) for launch in launches_of(args)]
    run, n_bad = {r.kernel for r in results}, sum(bool(r.problems) for r in results)
    print(f"{len(results)} launches of {len(run)} kernels, {sum(r.n_steps for r in results)} steps, "
          f"{sum(r.n_bytes for r in results)} bytes stored; {n_bad} launches differ; largest difference of floats "
          f"{max((r.largest for r in results), default=0):.2g} of the largest")
    print("without a launch: " + (" ".join(sorted(kernels.all_names() - run)) or "none"))
    return 1 if n_bad or not results else 0


def check_controls(args, kernels):
    """Each error must be found in the first launch of a kernel that has room for it."""
    launches, n_missed = sorted(launches_of(args), key=lambda launch: launch.n_threads), 0
    for part, pattern, instead, what in controls.CONTROLS:
        found = "no launch of it"
        for launch in (x for x in launches if part in x.kernel):
            entry = text.Module(kernels.text_of(kernels.file_of(launch.kernel)), launch.kernel, lambda body: re.sub(pattern, instead, body))
            if not entry.is_changed:
                found = "nothing to break"
                continue
            problems = compare.run(entry, launch, not args.early, args.seed).problems
            found = f"found in {launch.kernel}: {problems[0]}" if problems else f"NOT FOUND in {launch.kernel}"
            if problems:
                break
        n_missed += not found.startswith("found")
        print(f"{part}: {what}: {found}"[:240], flush=True)
    print(f"{len(controls.CONTROLS) - n_missed} of {len(controls.CONTROLS)} errors found")
    return 1 if n_missed else 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folders", nargs="*", help="of launches")
    p.add_argument("--run", nargs=argparse.REMAINDER, metavar="PROGRAM", help="its launches, one of each shape")
    p.add_argument("--kernel", default="", help="only those that have this in their name")
    p.add_argument("--threads", type=int, default=1 << 20, help="leave out launches of more")
    p.add_argument("--most", type=int, default=1 << 30, help="launches of a kernel")
    p.add_argument("--early", action="store_true", help="what is asynchronous happens at once, instead of as late as it may")
    p.add_argument("--seed", type=int, help="warps take turns at random")
    p.add_argument("--architecture", help="such as compute_90a, of all files")
    p.add_argument("--controls", action="store_true", help="put errors into the PTX: each must be found")
    p.add_argument("--ptx", help="keep the PTX there")
    p.add_argument("-v", "--verbose", action="store_true")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if args.ptx:
            os.makedirs(args.ptx, exist_ok=True)
        if args.run:
            subprocess.run(args.run, check=True, env=os.environ | {"TOKFS_SHIM_TRACE": scratch, "TOKFS_SHIM_TRACE_MOST": "1"})
            args.folders.append(scratch)
        kernels = Kernels(args.ptx or scratch, args.architecture)
        return check_controls(args, kernels) if args.controls else check(args, kernels)


sys.exit(main())
