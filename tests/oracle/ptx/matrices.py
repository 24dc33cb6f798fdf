"""Instructions on matrices: ldmatrix, mma.sync, and wgmma with its descriptors of matrices in shared memory.

Written from the "Parallel Thread Execution ISA" alone, not from the model of a GPU: sections "Matrix Fragments for mma.m16n8k16",
"ldmatrix", "Register Fragments and Shared Memory Matrix Layouts" of wgmma with its "Canonical Layouts" (in elements of 16 bytes,
CuTe's notation), "Strides" and "Matrix Descriptor Format". Products are summed in f64 and rounded once: how the machine sums is
not said, so results are compared with a tolerance.
"""

import re

import numpy as np

from . import numbers
from .memory import Fault
from .warp import whole_warps

LANE = np.arange(32)
GROUP, IN_GROUP = LANE // 4, LANE % 4


def fragment(n_registers, place):
    """place(lane's group, lane in it, register, half) gives row and column: arrays [32][registers][2]."""
    r, h = np.arange(n_registers)[None, :, None], np.arange(2)[None, None, :]
    rows, columns = place(GROUP[:, None, None], IN_GROUP[:, None, None], r, h)
    shape = (32, n_registers, 2)
    return np.broadcast_to(rows, shape), np.broadcast_to(columns, shape)


# Of m16n8k16: A [16][16] and B [16][8] by registers of two elements, C and D [16][8] by pairs of registers.
A = fragment(4, lambda g, t, r, h: (g + 8 * (r % 2), 2 * t + h + 8 * (r // 2)))
B = fragment(2, lambda g, t, r, h: (2 * t + h + 8 * r, g))
C = fragment(2, lambda g, t, r, h: (g + 8 * r, 2 * t + h))


def elements(registers, kind):
    """Registers [..., n] of two elements of 16 bits as f64 [..., n, 2]."""
    return np.stack([numbers.OF_16[kind](x) for x in numbers.halves(registers)], axis=-1).astype(np.float64)


def ldmatrix(m, i):
    n = {"x1": 1, "x2": 2, "x4": 4}[next(x for x in i.mods if x in ("x1", "x2", "x4"))]
    assert "m8n8" in i.mods and i.kind == "b16", i.text
    address, shared = m.address_reader(i.args[1]), m.spaces["shared"]
    puts = [m.writer(p, "b32") for p in (i.args[0][1] if i.args[0][0] == "vec" else [i.args[0]])]

    def act(t):
        go = whole_warps(m, t)
        if len(go) == 0:
            return go
        rows = np.broadcast_to(address(go), go.shape).reshape(-1, 32)[:, :8 * n]
        at = shared.locate(rows, 16, go.reshape(-1, 32)[:, :8 * n])
        matrices = shared.load(at[:, :, None] + 2 * np.arange(8, dtype=np.uint64), 2).reshape(-1, n, 8, 8)
        if "trans" in i.mods:
            matrices = matrices.swapaxes(2, 3)
        for matrix, put in enumerate(puts):
            pairs = [matrices[:, matrix, GROUP, 2 * IN_GROUP + h].reshape(-1) for h in range(2)]
            put(go, numbers.joined(*pairs))
        return go
    return act


def mma(m, i):
    shape, d_kind, a_kind, b_kind, c_kind = i.mods[2], *i.mods[-4:]
    if (shape, i.mods[3:5], d_kind, c_kind) != ("m16n8k16", ["row", "col"], "f32", "f32") or a_kind != b_kind:
        raise Fault(f"{i.text}: no such product here")
    puts = [m.writer(x, "f32") for x in i.args[0][1]]
    read_a, read_b = ([m.reader(x, "u32") for x in i.args[n][1]] for n in (1, 2))
    read_c = [m.reader(x, "f32") for x in i.args[3][1]]

    def act(t):
        go = whole_warps(m, t)
        n = len(go) // 32
        if n == 0:
            return go
        a, b, sums = np.zeros((n, 16, 16)), np.zeros((n, 16, 8)), np.zeros((n, 16, 8))
        a[:, *A] = elements(np.stack([r(go) for r in read_a], axis=-1), a_kind).reshape(n, 32, 4, 2)
        b[:, *B] = elements(np.stack([r(go) for r in read_b], axis=-1), a_kind).reshape(n, 32, 2, 2)
        c = [np.broadcast_to(r(go), go.shape) for r in read_c]
        sums[:, *C] = np.stack(c, axis=-1).reshape(n, 32, 2, 2)
        d = (a @ b + sums).astype(np.float32)[:, *C].reshape(-1, 4)
        for n_put, put in enumerate(puts):
            put(go, d[:, n_put])
        return go
    return act


# ---- wgmma

def operand_addresses(descriptor, n, is_mn_major):
    """Where in shared memory the 16-bit elements [n rows of M or N][16 of K] lie."""
    start, leading, stride = ((descriptor >> shift & 0x3fff) << 4 for shift in (0, 16, 32))
    mode = descriptor >> 62
    bits = {0: 0, 1: 3, 2: 2, 3: 1}[mode]  # none, 128, 64 and 32 bytes
    if descriptor >> 49 & 7:
        raise Fault("a matrix that does not begin where its swizzle does")
    width = 16 << bits  # bytes of a row
    r, k = np.arange(n)[:, None], np.arange(16)[None, :]
    if is_mn_major and mode == 0:
        offset = r % 8 * 2 + r // 8 * stride + k % 8 * 16 + k // 8 * leading
    elif is_mn_major:
        row = width // 2
        offset = r % row * 2 + r // row * leading + k % 8 * width + k // 8 * stride
    elif mode == 0:
        offset = r % 8 * 16 + r // 8 * stride + k % 8 * 2 + k // 8 * leading
    else:
        offset = r % 8 * width + r // 8 * stride + k * 2
    address = start + offset
    return address ^ (address >> 7 & (1 << bits) - 1) << 4


class Product:
    """A wgmma as it is written; `issue` gives what is to be done for a warpgroup's threads."""

    def __init__(self, m, i):
        m_, n, k = map(int, re.fullmatch(r"m(\d+)n(\d+)k(\d+)", i.mods[3]).groups())
        d_kind, self.kind, b_kind = i.mods[4:7]
        if (m_, k, d_kind) != (64, 16, "f32") or self.kind != b_kind or n % 8 or not 8 <= n <= 256:
            raise Fault(f"{i.text}: no such product here")
        self.m, self.n = m, n
        d, a, b, scale_d, *rest = i.args
        self.names = product_registers(i)
        rest = [x[1] for x in rest]
        self.has_registers = a[0] == "vec"
        if rest[:2] != [1, 1] or len(rest) != (3 if self.has_registers else 4) or len(d[1]) != n // 2:
            raise Fault(f"{i.text}: operands")
        self.is_a_m_major, self.is_b_n_major = (0 if self.has_registers else rest[2]), rest[-1]
        m.products.is_watching = False
        self.reads_d, self.puts = [m.reader(x, "f32") for x in d[1]], [m.writer(x, "f32") for x in d[1]]
        self.reads_a = [m.reader(x, "u32") for x in a[1]] if self.has_registers else m.reader(a, "u64")
        m.products.is_watching = True
        self.read_b, self.read_scale = m.reader(b, "u64"), m.reader(scale_d, "pred")

    def uniform(self, read, t):
        values = np.unique(np.broadcast_to(read(t), t.shape))
        if len(values) != 1:
            raise Fault("threads of a warpgroup differ in an operand of wgmma")
        return int(values[0])

    def issue(self, t):
        """What is not in registers that the machine reads later is read here."""
        self.m.products.check_fenced(self.names, t)
        b, accumulates = self.uniform(self.read_b, t), self.uniform(self.read_scale, t)
        a = None if self.has_registers else self.uniform(self.reads_a, t)
        return lambda: self.compute(t, a, b, accumulates)

    def from_shared(self, descriptor, n, is_mn_major, t):
        shared = self.m.spaces["shared"]
        at = shared.locate(operand_addresses(descriptor, n, is_mn_major), 2, np.broadcast_to(t[0], (n, 16)))
        self.m.copies.check_fenced(at)
        return numbers.OF_16[self.kind](shared.load(at, 2)).astype(np.float64)

    def compute(self, t, a, b, accumulates):
        by_warp = t.reshape(4, 32)
        if self.has_registers:
            left = np.zeros((4, 16, 16))
            left[:, *A] = elements(np.stack([r(t) for r in self.reads_a], axis=-1), self.kind).reshape(4, 32, 4, 2)
            left = left.reshape(64, 16)
        else:
            left = self.from_shared(a, 64, self.is_a_m_major, t)
        sums = left @ self.from_shared(b, self.n, self.is_b_n_major, t).T
        # warp w has rows 16w ..., and of each 8 columns two pairs as mma's C
        of_warps = sums.reshape(4, 16, self.n // 8, 8)
        for j in range(self.n // 8):
            for pair in range(2):
                for h in range(2):
                    x = of_warps[:, GROUP + 8 * pair, j, 2 * IN_GROUP + h].reshape(-1)
                    at = 4 * j + 2 * pair + h
                    old = self.reads_d[at](by_warp.reshape(-1)).astype(np.float64) if accumulates else 0.0
                    self.puts[at](by_warp.reshape(-1), (x + old).astype(np.float32))


def product_registers(i):
    """Those that the machine reads and writes by itself: accumulators, and a left operand."""
    return [x[1] for operand in i.args[:2] if operand[0] == "vec" for x in operand[1]]


class Products:
    """Of each warpgroup those that were issued, the open group last; and when a thread last touched a register of theirs, and
    executed the fence that has to stand between the two."""

    def __init__(self, m):
        self.m, self.groups, self.is_watching = m, {}, True
        names = {name for i in m.entry.code if i.mods[:1] == ["mma_async"] for name in product_registers(i)}
        self.touched_at = {name: np.full(m.n, -1) for name in names}
        self.fenced_at = np.full(m.n, -1)

    def watched(self, name, act):
        """What reads or writes a register, noting when."""
        if not self.is_watching or name not in self.touched_at:
            return act
        touched_at = self.touched_at[name]

        def noting(t, *values):
            touched_at[t] = self.m.n_steps
            return act(t, *values)
        return noting

    def check_fenced(self, names, t):
        if any((self.touched_at[name][t] >= self.fenced_at[t]).any() for name in names):
            raise Fault("no fence between what a thread did with a register of a product and the product")

    def of(self, warpgroup):
        return self.groups.setdefault(warpgroup, [[]])

    def finish(self, warpgroup, n_left):
        groups = self.of(warpgroup)
        while len(groups) > n_left + 1:
            for work in groups.pop(0):
                work()


def warpgroups(m, t):
    """Of the threads that have come, whole warpgroups [n][128] of their CTA."""
    go = whole_warps(m, t)
    n_come = np.bincount(go // 128, minlength=m.n // 128 + 1)
    if m.n_cta_threads % 128:
        raise Fault("a CTA that is no whole number of warpgroups")
    return go[n_come[go // 128] == 128]


def wgmma(m, i):
    what, products = i.mods[0], m.products
    product = Product(m, i) if what == "mma_async" else None

    def act(t):
        go = warpgroups(m, t)
        for threads in go.reshape(-1, 128):
            number = int(threads[0]) // 128
            if what == "mma_async":
                work = product.issue(threads)
                products.of(number)[-1].append(work) if m.is_late else work()
            elif what == "fence":
                products.fenced_at[threads] = m.n_steps
            elif what == "commit_group":
                products.of(number).append([])
            elif what == "wait_group":
                products.finish(number, i.args[0][1])
        return go
    return act


TABLE = {"ldmatrix": ldmatrix, "mma": mma, "wgmma": wgmma}
