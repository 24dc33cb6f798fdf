"""Launches as the model of a GPU wrote them: kernels/cuda/shim/trace.cpp says how."""

import functools
import subprocess


class Launch:
    def __init__(self, path):
        self.path, self.memory = path, []  # of (address, bytes before, bytes after)
        with open(path, "rb") as f:
            if not self.read(f):
                raise ValueError(f"{path}: no end")

    def read(self, f):
        for line in f:
            what, *values = line.decode().split()
            if what == "end":
                return True
            self.line(what, values, f)
        return False

    def line(self, what, values, f):
        if what == "program":
            self.program = " ".join(values)
            return
        numbers = [int(v) for v in values]
        if what == "kernel":
            self.kernel = kernels_of(self.program)[numbers[0]]
        elif what in ("grid", "block"):
            setattr(self, what, numbers)
        elif what == "shared":
            self.shared_bytes = numbers[0]
        elif what == "params":
            self.params = f.read(numbers[0])
        elif what == "memory":
            self.memory.append((numbers[0], bytearray(numbers[1]), {}))
        elif what == "before":
            self.memory[-1][1][numbers[0]:sum(numbers)] = f.read(numbers[1])
        elif what == "after":
            self.memory[-1][2][numbers[0]] = f.read(numbers[1])
        else:
            raise ValueError(f"{self.path}: {what}")

    def after(self, n):
        data = bytearray(self.memory[n][1])
        for at, changed in self.memory[n][2].items():
            data[at:at + len(changed)] = changed
        return bytes(data)

    @property
    def n_ctas(self):
        return self.grid[0] * self.grid[1] * self.grid[2]

    @property
    def n_threads(self):
        return self.n_ctas * self.block[0] * self.block[1] * self.block[2]


@functools.cache
def kernels_of(program):
    """Names by address, as nvcc has them: what is local to a file is not marked as such."""
    lines = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout.splitlines()
    symbols = [line.split() for line in lines]
    return {int(s[0], 16): "_Z" + s[2][3:] if s[2].startswith("_ZL") else s[2] for s in symbols if len(s) == 3 and s[1] in "tTwW"}
