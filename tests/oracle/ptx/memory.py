"""The memories of a launch, for all its threads at once: addresses are arrays, and what is outside of an allocation, or not
aligned to what is accessed, is an error.

Source: "Parallel Thread Execution ISA", sections "State Spaces" and "Generic Addressing". Where in generic addresses the windows
of the other spaces lie is this machine's own choice.
"""

import numpy as np

WINDOW = {"shared": 1 << 40, "local": 2 << 40, "param": 3 << 40}
SHARED_FIRST = 1024  # addresses below are the system's, as on an sm_90
UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


class Fault(Exception):
    pass


class Space:
    """Bytes, and where in them an address of a thread lies."""

    def __init__(self, buffer):
        self.buffer = buffer  # uint8, a multiple of 16 long
        self.views = {n: buffer.view(kind) for n, kind in UNSIGNED.items()}

    def check(self, bad, address, size, what):
        if np.any(bad):
            first = np.broadcast_to(address, np.shape(bad))[bad].flat[0]
            raise Fault(f"{what} of {size} bytes at {int(first):#x}, by {int(np.sum(bad))} threads")

    def load(self, at, size):
        return self.views[size][at // np.uint64(size)]

    def store(self, at, size, values):
        self.views[size][at // np.uint64(size)] = values


class Global(Space):
    """Allocations, at the addresses that they had."""

    def __init__(self, allocations):
        self.allocations = sorted(allocations, key=lambda a: a[0])  # (address, bytes)
        self.bases = np.array([a for a, _ in self.allocations], np.uint64)
        self.sizes = np.array([len(b) for _, b in self.allocations], np.uint64)
        rounded = (self.sizes + np.uint64(511)) // np.uint64(256) * np.uint64(256)
        self.starts = np.concatenate([[0], np.cumsum(rounded)]).astype(np.uint64)
        super().__init__(np.zeros(int(self.starts[-1]) + 256, np.uint8))
        for (_, b), start in zip(self.allocations, self.starts):
            self.buffer[int(start):int(start) + len(b)] = np.frombuffer(b, np.uint8)
        self.stored_as = np.zeros(len(self.buffer), np.uint8)  # index into KINDS + 1 of the last store

    def locate(self, address, size, threads):
        address = np.broadcast_to(np.asarray(address, np.uint64), np.shape(threads))
        i = np.searchsorted(self.bases, address, side="right").astype(np.int64) - 1
        self.check(i < 0, address, size, "access outside of global memory")
        offset = address - self.bases[i]
        self.check(offset + np.uint64(size) > self.sizes[i], address, size, "access outside of an allocation")
        self.check(address % np.uint64(size) != 0, address, size, "access that is not aligned")
        return self.starts[i] + offset

    def bytes_of(self, i):
        start = int(self.starts[i])
        return self.buffer[start:start + int(self.sizes[i])], self.stored_as[start:start + int(self.sizes[i])]


class PerOwner(Space):
    """As many bytes for each owner (a CTA, a thread), filled with 0xff."""

    def __init__(self, owner_of, n_owners, size, first=0):
        self.owner_of, self.size, self.first = owner_of, size, first
        self.stride = (size + 31) // 16 * 16
        super().__init__(np.full(n_owners * self.stride, 0xff, np.uint8))

    def locate(self, address, size, threads):
        address = np.broadcast_to(np.asarray(address, np.uint64), np.shape(threads))
        self.check((address < np.uint64(self.first)) | (address + np.uint64(size) > np.uint64(self.size)), address, size,
                   "access outside of shared or local memory")
        self.check(address % np.uint64(size) != 0, address, size, "access that is not aligned")
        return self.owner_of[threads].astype(np.uint64) * np.uint64(self.stride) + address


class Params(Space):
    def __init__(self, params):
        self.size = len(params)
        super().__init__(np.frombuffer(params + bytes(-len(params) % 16 + 16), np.uint8).copy())

    def locate(self, address, size, threads):
        address = np.broadcast_to(np.asarray(address, np.uint64), np.shape(threads))
        self.check(address + np.uint64(size) > np.uint64(self.size), address, size, "access outside of parameters")
        return address
