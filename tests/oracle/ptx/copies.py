"""What runs behind the threads' backs: copies to shared memory (cp.async, and boxes of tensors, TMA) and the barriers in shared
memory that count them; and the fences between the two ways of access.

Written from the "Parallel Thread Execution ISA" alone, not from the model of a GPU: sections "cp.async", "cp.async.bulk.tensor",
"Tensors" with its "Swizzling Modes", "mbarrier", "Proxies". A tensor map is opaque and made by the driver: here it is the
`struct gpu_tensor` (kernels/cuda/runtime.h) that the model of a GPU puts in its place.
"""

import struct

import numpy as np

from .memory import Fault

TENSOR = struct.Struct("<Q4Q3Q4II?")


class Tensor:
    def __init__(self, data):
        values = TENSOR.unpack(data[:TENSOR.size])
        self.base, self.dims, self.strides, self.box, self.swizzle_bytes = values[0], values[1:5], (2, *values[5:8]), values[8:12], values[12]


class Barrier:
    """An mbarrier: the phase that runs, arrivals that it still waits for, and bytes."""

    def __init__(self, n):
        self.n = self.n_pending = n
        self.phase = self.n_bytes = 0

    def is_complete(self):
        return self.n_pending == 0 and self.n_bytes == 0

    def begin_next(self):
        self.phase, self.n_pending = self.phase + 1, self.n


class AsyncCopies:
    """cp.async of one instruction, for all threads that executed it together."""

    def __init__(self, threads, group, to, size, data):
        self.threads, self.group, self.to, self.size, self.data = threads, group, to, size, data
        self.is_done = np.zeros(len(threads), bool)


class Copies:
    def __init__(self, m):
        self.m = m
        self.barriers = {}  # by CTA and address
        self.waits_for = np.full(m.n, -1, np.int64)  # addresses
        self.boxes = []  # that are under way
        self.copies, self.group_of = [], np.zeros(m.n, np.int64)
        self.unfenced = None  # by byte of shared memory the thread + 1 that has written it
        if any(i.op == "wgmma" or "bulk" in i.mods for i in m.entry.code):
            self.unfenced = np.zeros(len(m.spaces["shared"].buffer), np.int32)

    # ---- proxies

    def written(self, at, size, threads):
        if self.unfenced is not None:
            for n in range(size):
                self.unfenced[at + np.uint64(n)] = threads + 1

    def fence(self, threads):
        if self.unfenced is not None and self.unfenced.any():
            self.unfenced[np.isin(self.unfenced, threads + 1)] = 0

    def check_fenced(self, at):
        """Elements of two bytes."""
        if self.unfenced[at].any() or self.unfenced[at + np.uint64(1)].any():
            raise Fault("reads or writes by the asynchronous proxy what a thread has stored without a fence")

    # ---- barriers

    def barrier(self, cta, address):
        if (cta, address) not in self.barriers:
            raise Fault(f"no barrier at {address:#x}")
        return self.barriers[cta, address]

    def change(self, cta, address, n_arrivals=0, n_bytes=0):
        b = self.barrier(cta, address)
        b.n_bytes += n_bytes
        b.n_pending -= n_arrivals
        if b.n_pending < 0 or not abs(b.n_bytes) < 1 << 20:
            raise Fault(f"the barrier at {address:#x} waits for {b.n_pending} arrivals and {b.n_bytes} bytes")
        if b.is_complete():
            b.begin_next()
            woken = (self.waits_for == address) & (self.m.cta_of == cta)
            self.waits_for[woken] = -1
            self.m.release(woken)

    # ---- what is under way

    def happen(self):
        if not self.boxes:
            return False
        self.bring_box(*self.boxes.pop(0))
        return True

    def tensor(self, address, thread):
        window = address >> 40
        space, offset = (self.m.spaces["param"], address & (1 << 40) - 1) if window == 3 else (self.m.spaces["global"], address)
        if offset % 64:
            raise Fault("a tensor map at no multiple of 64")
        at = int(space.locate(np.array([offset], np.uint64), 64, np.array([thread]))[0])
        return Tensor(space.buffer[at:at + 128].tobytes())

    def bring_box(self, thread, to, tensor, coordinates, barrier):
        shared, memory, cta = self.m.spaces["shared"], self.m.spaces["global"], int(self.m.cta_of[thread])
        if to % 128:
            raise Fault(f"a box to {to:#x}, which is no multiple of 128")
        places = np.meshgrid(*[np.arange(n) for n in reversed(tensor.box)], indexing="ij")[::-1]
        inside, source, offset, step = True, np.uint64(tensor.base), 0, 2
        for place, begin, dim, stride, n in zip(places, coordinates, tensor.dims, tensor.strides, tensor.box):
            x = place + begin
            inside = inside & (x >= 0) & (x < dim)
            source = source + (x * stride).astype(np.uint64)
            offset, step = offset + place * step, step * n
        address = to + offset
        bits = {0: 0, 32: 1, 64: 2, 128: 3}[tensor.swizzle_bytes]
        address = address ^ (address >> 7 & (1 << bits) - 1) << 4
        at = shared.locate(address, 2, np.full(address.shape, thread))
        self.check_fenced(at)
        values = np.zeros(address.shape, np.uint16)
        values[inside] = memory.load(memory.locate(source[inside], 2, source[inside]), 2)
        shared.store(at, 2, values)
        self.change(cta, barrier, n_bytes=-step)

    def finish(self, threads, n_left):
        """All but the last groups of these threads."""
        last = np.full(self.m.n, -1)
        last[threads] = self.group_of[threads] - 1 - n_left
        for c in self.copies:
            now = ~c.is_done & (c.group <= last[c.threads])
            for n in range(c.size):
                self.m.spaces["shared"].buffer[c.to[now] + np.uint64(n)] = c.data[now, n]
            c.is_done |= now
        self.copies = [c for c in self.copies if not c.is_done.all()]


def addresses(read, m, t):
    return np.broadcast_to(read(t), np.shape(m.pc[t])), np.arange(m.n)[t]


def cp(m, i):
    if i.mods[:3] == ["async", "bulk", "tensor"]:
        return cp_tensor(m, i)
    if i.mods == ["async", "bulk", "prefetch", "L2", "global"]:
        return cp_prefetch(m, i)
    if "commit_group" in i.mods:
        def commit(t):
            m.copies.group_of[t] += 1
        return commit
    if "wait_group" in i.mods:
        n_left = i.args[0][1]
        return lambda t: m.copies.finish(np.arange(m.n)[t], n_left)
    if i.mods == ["async", "wait_all"]:
        def wait_all(t):
            m.copies.group_of[t] += 1
            m.copies.finish(np.arange(m.n)[t], 0)
        return wait_all
    assert i.mods[0] == "async" and set(i.mods[1:]) <= {"cg", "ca", "shared", "shared::cta", "global", "L2::128B"}, i.text
    return cp_async(m, i)


def cp_async(m, i):
    """Of `size` bytes the first from memory, the others zeros."""
    to, source, size = m.address_reader(i.args[0]), m.address_reader(i.args[1]), i.args[2][1]
    n_read = m.reader(i.args[3], "u32") if len(i.args) > 3 else lambda t: np.uint32(size)

    def act(t):
        (a, threads), (b, _) = addresses(to, m, t), addresses(source, m, t)
        n = np.broadcast_to(n_read(t), threads.shape)
        data = np.zeros((len(threads), size), np.uint8)
        reads = n > 0
        if reads.any():
            at = m.memory.locate(b[reads], size, threads[reads])
            data[reads] = m.memory.buffer[at[:, None] + np.arange(size, dtype=np.uint64)]
        data[np.arange(size) >= n[:, None]] = 0
        copies = m.copies
        copies.copies.append(AsyncCopies(threads, copies.group_of[threads].copy(), m.spaces["shared"].locate(a, size, threads), size, data))
        if not m.is_late:
            now = copies.copies.pop()
            for byte in range(size):
                m.spaces["shared"].buffer[now.to + np.uint64(byte)] = data[:, byte]
    return act


def cp_prefetch(m, i):
    """Changes nothing, but must be of an allocation, in whole 16 bytes."""
    address, size = m.address_reader(i.args[0]), m.reader(i.args[1], "u32")

    def act(t):
        (a, threads), n = addresses(address, m, t), np.broadcast_to(size(t), np.shape(m.pc[t])).astype(np.uint64)
        if (n % np.uint64(16)).any():
            raise Fault("bytes that are no multiple of 16")
        some = n > 0
        m.memory.locate(a[some], 16, threads[some])
        m.memory.locate((a + n - np.uint64(16))[some], 16, threads[some])
    return act


def cp_tensor(m, i):
    assert i.mods[3:] == ["4d", "shared::cluster", "global", "mbarrier::complete_tx::bytes"], i.text
    to, barrier = m.address_reader(i.args[0]), m.address_reader(i.args[2])
    map_of, places = m.reader(i.args[1][1][0], "u64"), [m.reader(x, "s32") for x in i.args[1][1][1][1]]

    def act(t):
        (a, threads), (b, _), (at, _) = addresses(to, m, t), addresses(barrier, m, t), addresses(map_of, m, t)
        xs = [np.broadcast_to(p(t), threads.shape) for p in places]
        for n, thread in enumerate(threads):
            m.copies.barrier(int(m.cta_of[thread]), int(b[n]))
            box = thread, int(a[n]), m.copies.tensor(int(at[n]), thread), [int(x[n]) for x in xs], int(b[n])
            m.copies.boxes.append(box) if m.is_late else m.copies.bring_box(*box)
    return act


def mbarrier(m, i):
    what, copies = i.mods[0], m.copies
    address = m.address_reader(next(a for a in i.args if a[0] == "mem"))
    n = m.reader(i.args[-1], "u32") if i.args[-1][0] != "mem" else lambda t: np.uint32(1)
    if what not in ("init", "inval", "arrive", "expect_tx") or i.args[0][0] != "mem" and i.args[0] != ("reg", "_"):
        raise Fault(f"{i.text}: not here")

    def act(t):
        (a, threads), counts = addresses(address, m, t), np.broadcast_to(n(t), np.shape(m.pc[t]))
        for at, thread, count in zip(a.tolist(), threads, counts.tolist()):
            cta = int(m.cta_of[thread])
            m.spaces["shared"].locate(np.array([at], np.uint64), 8, np.array([thread]))
            if what == "init":
                copies.barriers[cta, at] = Barrier(count)
            elif what == "inval":
                del copies.barriers[cta, at]
            elif "expect_tx" in i.mods:
                copies.change(cta, at, 0, count) if what == "expect_tx" else copies.change(cta, at, 1, count)
            else:
                copies.change(cta, at, count)
    return act


def waiting(m, i):
    """mbarrier.try_wait.parity: who waits is not run again before the phase is over, so it is never answered with false."""
    assert "parity" in i.mods and not i.guard, i.text
    put, address, parity = m.writer(i.args[0], "pred"), m.address_reader(i.args[1]), m.reader(i.args[2], "u32")

    def go(at, t):
        a, parities = np.broadcast_to(address(t), t.shape).tolist(), np.broadcast_to(parity(t), t.shape).tolist()
        over = np.array([m.copies.barrier(int(m.cta_of[x]), a[n]).phase % 2 != parities[n] for n, x in enumerate(t)])
        put(t[over], True)
        m.pc[t] = np.where(over, at + 1, at)
        m.state[t[~over]] = 1
        m.copies.waits_for[t[~over]] = np.array(a, np.int64)[~over]
    return go


def fence(m, i):
    if "proxy" in i.mods and any(x.startswith("async") for x in i.mods):
        return lambda t: m.copies.fence(np.arange(m.n)[t])
    return lambda t: None


TABLE = {"cp": cp, "mbarrier": mbarrier, "fence": fence}
WAITING = {"mbarrier": {"try_wait", "test_wait"}}
