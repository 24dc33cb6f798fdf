"""Instructions that lanes of a warp, or warps of a CTA, execute together.

Source: "Parallel Thread Execution ISA", sections "shfl.sync", "vote.sync", "match.sync", "redux.sync", "bar.warp.sync", "bar" and
"setmaxnreg". An instruction gets the threads that have come to it, and gives back those that go on.
"""

import numpy as np

from .memory import Fault

WAITS = 1
ALL = np.uint32(0xffffffff)
BIT = np.uint32(1) << np.arange(32, dtype=np.uint32)


def complete(m, t, mask):
    """Of the threads that have come, those all of whose `mask` has; and which lanes have, by warp."""
    here = np.zeros((m.n // 32, 32), bool)
    here[t // 32, t % 32] = True
    if not (mask >> (t % 32).astype(np.uint32) & np.uint32(1)).all():
        raise Fault("a lane is not in its own mask")
    arrived = (here * BIT).sum(axis=1, dtype=np.uint32)
    return t[arrived[t // 32] & mask == mask]


def mask_of(m, operand, t):
    return np.broadcast_to(m.reader(operand, "u32")(t), t.shape)


def whole_warps(m, t):
    """For instructions that are .aligned: all 32 lanes."""
    return complete(m, t, np.full(t.shape, ALL))


def shfl(m, i):
    """Lanes of a segment exchange; who would read beyond its end gets its own."""
    how = i.mods[1]
    put, put_valid = (m.writer(i.args[0][1], "b32"), m.writer(i.args[0][2], "pred")) if i.args[0][0] == "pair" else (
        m.writer(i.args[0], "b32"), lambda t, p: None)
    value, b, c = (m.reader(i.args[n], "u32") for n in (1, 2, 3))

    def act(t):
        mask = mask_of(m, i.args[4], t)
        go = complete(m, t, mask)
        if len(go) == 0:
            return go
        mask, lane = mask[np.isin(t, go)], go % 32
        by, clamp = (np.broadcast_to(r(go), go.shape).astype(np.int64) for r in (b, c))
        by, segment, clamp = by & 31, clamp >> 8 & 31, clamp & 31
        first, last = lane & segment, lane & segment | clamp & ~segment
        source = {"up": lane - by, "down": lane + by, "bfly": lane ^ by, "idx": first | by & ~segment}[how]
        valid = source >= last if how == "up" else source <= last
        source = np.where(valid, source, lane)
        if not (mask >> source.astype(np.uint32) & np.uint32(1)).all():
            raise Fault("a lane reads from one outside of its mask")
        put(go, np.broadcast_to(value(np.arange(m.n)), m.n)[go // 32 * 32 + source])
        put_valid(go, valid)
        return go
    return act


def by_warp(m, i, mask_at, compute):
    """compute(values of the warp's lanes [32], which take part [32]) gives the lanes' results [32], for each mask of a warp."""
    def act(t):
        mask = mask_of(m, i.args[mask_at], t)
        go = complete(m, t, mask)
        mask = mask[np.isin(t, go)]
        for w, lanes in set(zip((go // 32).tolist(), mask.tolist())):
            in_mask = (lanes >> np.arange(32) & 1).astype(bool)
            compute(w * 32 + np.flatnonzero(in_mask))
        return go
    return act


def vote(m, i):
    how = i.mods[1]
    p, put = m.reader(i.args[1], "pred"), m.writer(i.args[0], i.kind)
    of = {"ballot": lambda x, t: np.uint32((x * BIT[t % 32]).sum()), "all": lambda x, t: x.all(), "any": lambda x, t: x.any(),
          "uni": lambda x, t: x.all() or not x.any()}[how]

    def compute(t):
        put(t, of(np.broadcast_to(p(t), t.shape), t))
    return by_warp(m, i, 2, compute)


def match(m, i):
    assert i.mods[1] == "any", i.text
    value, put = m.reader(i.args[1], i.kind), m.writer(i.args[0], "u32")

    def compute(t):
        x = value(t)
        put(t, ((x[:, None] == x[None, :]) * BIT[t % 32]).sum(axis=1, dtype=np.uint32))
    return by_warp(m, i, 2, compute)


REDUCE = {"add": np.sum, "min": np.min, "max": np.max, "and": np.bitwise_and.reduce, "or": np.bitwise_or.reduce,
          "xor": np.bitwise_xor.reduce}


def redux(m, i):
    value, put = m.reader(i.args[1], i.kind), m.writer(i.args[0], i.kind)

    def compute(t):
        x = np.broadcast_to(value(t), t.shape)
        put(t, REDUCE[i.mods[1]](x).astype(x.dtype))
    return by_warp(m, i, 2, compute)


def elect(m, i):
    """The lowest lane of the mask."""
    put, put_is = m.writer(i.args[0][1], "b32"), m.writer(i.args[0][2], "pred")

    def compute(t):
        put(t, np.uint32(t[0] % 32))
        put_is(t, t == t[0])
    return by_warp(m, i, 1, compute)


def setmaxnreg(m, i):
    n = i.args[0][1]
    if n % 8 or not 24 <= n <= 256:
        raise Fault(f"{n} registers")

    def act(t):
        go = whole_warps(m, t)
        return go
    return act


class Barriers:
    """Of CTAs: how many threads have come to each of 16, and of how many."""

    def __init__(self, m):
        self.m = m
        self.n_come = np.zeros((m.n_ctas, 16), np.int64)
        self.n_wanted = np.zeros((m.n_ctas, 16), np.int64)
        self.waits_at = np.full(m.n, -1)

    def come(self, t, number, n_wanted):
        """Threads of a CTA come to a barrier; those that waited there go on when it is full."""
        m = self.m
        for cta in np.unique(m.cta_of[t]):
            wanted = self.n_wanted[cta, number]
            if self.n_come[cta, number] and wanted != n_wanted:
                raise Fault(f"barrier {number} is of {wanted} threads, and of {n_wanted}")
            self.n_wanted[cta, number] = n_wanted
            self.n_come[cta, number] += np.sum(m.cta_of[t] == cta)
            if self.n_come[cta, number] > n_wanted:
                raise Fault(f"barrier {number} is of {n_wanted} threads, and {self.n_come[cta, number]} have come")
            if self.n_come[cta, number] == n_wanted:
                self.n_come[cta, number] = 0
                opened = (m.cta_of == cta) & (self.waits_at == number)
                self.waits_at[opened] = -1
                m.pc[opened] += 1
                m.release(opened)


def bar(m, i):
    """bar.sync and bar.arrive. Moves threads on itself."""
    assert not i.guard and i.mods[0] in ("sync", "arrive"), i.text
    number = m.reader(i.args[0], "u32")
    n_wanted = m.reader(i.args[1], "u32") if len(i.args) > 1 else lambda t: np.uint32(m.n_cta_threads)
    barriers, does_wait = m.barriers, i.mods[0] == "sync"

    def go(at, t):
        t = m.arrived(at)
        t = t[barriers.waits_at[t] < 0]
        m.state[t] = WAITS
        t = whole_warps(m, t)
        if not does_wait:
            m.pc[t] = at + 1
            m.release(t)
        numbers, wanted = np.broadcast_to(number(t), t.shape), np.broadcast_to(n_wanted(t), t.shape)
        if does_wait:
            barriers.waits_at[t] = numbers
        for n, w in sorted(set(zip(numbers.tolist(), wanted.tolist()))):
            if n > 15 or w % 32:
                raise Fault(f"barrier {n} of {w} threads")
            barriers.come(t[(numbers == n) & (wanted == w)], n, w)
    return go


def bar_warp(m, i):
    return lambda t: complete(m, t, mask_of(m, i.args[0], t))


TABLE = {"shfl": shfl, "vote": vote, "match": match, "redux": redux, "elect": elect, "setmaxnreg": setmaxnreg}
