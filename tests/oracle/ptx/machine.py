"""Runs an entry with all threads of some CTAs at once: registers are arrays over the threads, and an instruction acts on those
whose program counter is at it. The lowest counter always goes first, so that lanes come together again; threads that wait for
others stand aside. Nothing that can run: what runs behind the threads' backs (copies.py) happens; nothing is left of that either:
the launch hangs, which is an error.

Shared memory, registers and local memory begin as 0xff, which is no number.
"""

import re

import numpy as np

from . import arithmetic, copies, matrices, warp
from .memory import SHARED_FIRST, WINDOW, Fault, Global, Params, PerOwner
from .text import size_of

SHARED_MOST = {"sm_80": 163 << 10, "sm_90a": 227 << 10}  # bytes of a CTA
RUNS, WAITS, ENDED = range(3)
FAR = np.int32(2**31 - 1)

DTYPES = {"pred": np.bool_, "f32": np.float32, "f64": np.float64, "f16": np.uint16, "bf16": np.uint16, "f16x2": np.uint32,
          "bf16x2": np.uint32}


def dtype_of(kind):
    return np.dtype(DTYPES.get(kind) or f"{'int' if kind[0] == 's' else 'uint'}{kind[1:]}")


def constant(operand, dtype):
    kind, value = operand
    if kind in ("f32", "f64"):
        bits = np.array([value], np.uint32 if kind == "f32" else np.uint64)
        return bits.view(dtype)[0] if bits.dtype.itemsize == dtype.itemsize else bits.view(kind.replace("f", "float")).astype(dtype)[0]
    if dtype == np.bool_:
        return np.bool_(value)
    return np.array([value % (1 << 8 * dtype.itemsize)], f"uint{8 * dtype.itemsize}").view(dtype)[0]


class Machine:
    """One run of an entry. `is_late`: what is asynchronous happens as late as it may, else at once."""

    def __init__(self, module, entry, grid, block, shared_bytes, params, memory, ctas, is_late=True, seed=None):
        self.entry, self.block, self.grid, self.memory, self.is_late = entry, block, grid, memory, is_late
        self.n_cta_threads = block[0] * block[1] * block[2]
        if self.n_cta_threads % 32:
            raise Fault("CTAs of parts of warps are not done here")
        self.n_ctas, self.n = len(ctas), len(ctas) * self.n_cta_threads
        if self.n_cta_threads > entry.threads_max or max(grid[1:]) > 65535:
            raise Fault(f"a grid of {grid} CTAs of {self.n_cta_threads} threads, {entry.threads_max} of which are allowed")
        self.cta_of = np.arange(self.n) // self.n_cta_threads
        self.registers = self.special(np.asarray(ctas))
        self.addresses = self.place(module, shared_bytes, len(params))
        self.spaces = {"global": memory, "const": memory, "param": Params(params),
                       "shared": PerOwner(self.cta_of, self.n_ctas, self.shared_end, SHARED_FIRST),
                       "local": PerOwner(np.arange(self.n), self.n, self.local_end)}
        self.pc, self.state = np.zeros(self.n, np.int32), np.full(self.n, RUNS, np.int8)
        self.copies = copies.Copies(self)
        self.products = matrices.Products(self)
        self.barriers = warp.Barriers(self)
        self.n_steps = 0
        self.random = None if seed is None else np.random.default_rng(seed)
        self.code = [compile_instruction(self, i) for i in entry.code]
        self.stops = self.find_stops()

    def special(self, ctas):
        """The special registers of all threads."""
        thread = np.arange(self.n) % self.n_cta_threads
        values = {"%laneid": thread % 32, "%warpid": thread // 32, "%ntid.x": self.block[0] + 0 * thread}
        x, y, z = self.block
        values |= {"%tid.x": thread % x, "%tid.y": thread // x % y, "%tid.z": thread // x // y}
        x, y, z = self.grid
        cta = ctas[self.cta_of]
        values |= {"%ctaid.x": cta % x, "%ctaid.y": cta // x % y, "%ctaid.z": cta // x // y}
        for name, n in zip("xyz", self.block):
            values[f"%ntid.{name}"] = n + 0 * thread
        for name, n in zip("xyz", self.grid):
            values[f"%nctaid.{name}"] = n + 0 * thread
        lanes = np.uint64(1) << (thread % 32).astype(np.uint64)
        values |= {"%lanemask_eq": lanes, "%lanemask_lt": lanes - np.uint64(1), "%lanemask_le": 2 * lanes - np.uint64(1),
                   "%lanemask_gt": ~(2 * lanes - np.uint64(1)), "%lanemask_ge": ~(lanes - np.uint64(1))}
        return {name: (v.astype(np.uint64) & np.uint64(0xffffffff)).astype(np.uint32) for name, v in values.items()}

    def place(self, module, shared_bytes, n_param_bytes):
        """Addresses of variables and parameters; what is dynamic lies last, at no more than its alignment."""
        addresses, ends = {}, {"shared": SHARED_FIRST, "local": 0, "param": 0}
        for v in self.entry.variables + [v for v in module.variables if v.space == "shared"] + self.entry.params:
            at = (ends[v.space] + v.align - 1) // v.align * v.align
            if v.space == "shared" and v.size == 0:
                at += v.align if at % 1024 == 0 else 0
                addresses[v.name], ends["dynamic"] = at, at + shared_bytes
            else:
                addresses[v.name], ends[v.space] = at, at + v.size
        if ends["param"] != n_param_bytes:
            raise Fault(f"{self.entry.name}: its parameters have {ends['param']} bytes, not {n_param_bytes}")
        self.shared_end, self.local_end = max(ends["shared"], ends.get("dynamic", 0)), ends["local"]
        if ends["shared"] - SHARED_FIRST > 48 << 10 or self.shared_end - SHARED_FIRST > SHARED_MOST[module.target]:
            raise Fault(f"{self.shared_end - SHARED_FIRST} bytes of shared memory, {ends['shared'] - SHARED_FIRST} of them not dynamic")
        return addresses | module.addresses

    def find_stops(self):
        """Where a run of instructions must end, so that others can join or all can be looked at."""
        stops = np.zeros(len(self.code) + 1, bool)
        stops[list(self.entry.labels.values()) + [len(self.code)]] = True
        for at, (kind, _) in enumerate(self.code):
            if kind != "plain":
                stops[at] = stops[at + 1] = True
        return stops

    # ---- operands

    def register(self, name):
        """Its bits over all threads."""
        if name not in self.registers:
            size = self.entry.registers.get(re.sub(r"\d+$", "", name)) or self.entry.registers[name]
            self.registers[name] = np.zeros(self.n, bool) if size == 1 else np.full(self.n, -1, f"int{8 * size}").view(f"uint{8 * size}")
        return self.registers[name]

    def reader(self, operand, kind):
        """A function of threads, giving the operand's values of this type."""
        dtype = dtype_of(kind)
        if operand[0] == "vec":  # registers as the parts of a wider one
            parts = [self.reader(o, f"b{8 * dtype.itemsize // len(operand[1])}") for o in operand[1]]
            return lambda t: np.stack([p(t) for p in parts], axis=-1).view(dtype)[..., 0]
        if operand[0] != "reg":
            value = constant(operand, dtype)
            return lambda t: value
        if operand[1] in self.addresses:
            value = dtype.type(self.addresses[operand[1]])
            return lambda t: value
        bits = self.register(operand[1])
        if dtype == np.bool_ or bits.dtype.itemsize == dtype.itemsize:
            view = bits if dtype == np.bool_ else bits.view(dtype)
            return self.products.watched(operand[1], lambda t: view[t])
        return lambda t: bits[t].astype(f"uint{8 * dtype.itemsize}").view(dtype)

    def writer(self, operand, kind):
        """A function of threads and values of this type. A wider register gets them with their sign, or zeros."""
        dtype = dtype_of(kind)
        if operand == ("reg", "_"):
            return lambda t, values: None
        if operand[0] == "vec":
            parts = [self.writer(o, f"b{8 * dtype.itemsize // len(operand[1])}") for o in operand[1]]

            def put_parts(t, values):
                values = np.ascontiguousarray(np.broadcast_to(values, np.shape(self.pc[t])))
                columns = values.view(f"uint{8 * dtype.itemsize // len(parts)}").reshape(len(values), -1)
                for n, p in enumerate(parts):
                    p(t, columns[:, n])
            return put_parts
        bits = self.register(operand[1])
        if dtype == np.bool_:
            view = bits
        elif bits.dtype.itemsize == dtype.itemsize:
            view = bits.view(dtype)
        else:
            view = bits.view(f"int{8 * bits.dtype.itemsize}") if kind[0] == "s" else bits

        def put(t, values):
            view[t] = values
        return self.products.watched(operand[1], put)

    def address_reader(self, operand):
        """Of [base + offset]: a function of threads, giving uint64."""
        _, base, offset = operand
        if base[0] == "reg" and base[1] not in self.addresses and self.register(base[1]).dtype.itemsize == 4:
            read = self.reader(base, "u32")
            return lambda t: read(t).astype(np.int64).astype(np.uint64) + np.uint64(offset % (1 << 64))
        read = self.reader(base, "u64")
        return lambda t: read(t) + np.uint64(offset % (1 << 64)) if offset else read(t)

    # ---- running

    def release(self, threads):
        self.state[threads] = RUNS

    def arrived(self, at):
        """Threads at an instruction, those that wait there for others too."""
        return np.flatnonzero((self.pc == at) & (self.state != ENDED))

    def run(self):
        with np.errstate(all="ignore"):
            while self.step():
                pass

    def forget(self):
        """Its instructions and it name each other, and it is large."""
        self.code, self.registers, self.spaces = None, None, None

    def step(self):
        at = np.where(self.state == RUNS, self.pc, FAR)
        first = int(at.min())
        if first == FAR:
            return self.step_behind()
        if self.random:
            at = self.some_warps(at)
            first = int(at.min())
        t = np.flatnonzero(at == first)
        self.advance(first, t)
        return True

    def some_warps(self, at):
        """Counters, of at least one warp that can run."""
        can_run = at.reshape(-1, 32).min(axis=1) != FAR
        chosen = can_run & (self.random.random(len(can_run)) < self.random.choice([0.1, 0.5, 0.9]))
        if not chosen.any():
            chosen[self.random.choice(np.flatnonzero(can_run))] = True
        if self.random.random() < 0.1:
            self.copies.happen()
        return np.where(np.repeat(chosen, 32), at, FAR)

    def step_behind(self):
        if (self.state == ENDED).all():
            return False
        if not self.copies.happen():
            waiting = np.flatnonzero(self.state == WAITS)
            where = {self.entry.code[i].text: int(n) for i, n in zip(*np.unique(self.pc[waiting], return_counts=True))}
            raise Fault(f"all wait: {where} threads, of {self.n}")
        return True

    def advance(self, at, t):
        everyone = len(t) == self.n
        while True:
            if at == len(self.code):
                self.state[t] = ENDED
                return
            kind, act = self.code[at]
            self.n_steps += 1
            try:
                if kind != "plain":
                    act(at, t)
                    return
                act(slice(None) if everyone else t)
            except Fault as fault:
                raise Fault(f"{self.entry.code[at].text}: {fault}") from None
            at += 1
            if self.stops[at]:
                self.pc[t] = at
                return


# ---- instructions -------------------------------------------------------------------------------------------------------------

def compile_instruction(m, i):
    """("plain", function of threads), or ("control", function of the counter and threads) which moves them on itself."""
    if i.op in CONTROL:
        return "control", CONTROL[i.op](m, i)
    if i.op in ("bar", "barrier"):
        return "control", together(m, i, warp.bar_warp(m, i)) if "warp" in i.mods else warp.bar(m, i)
    if i.op in warp.TABLE:
        return "control", together(m, i, warp.TABLE[i.op](m, i))
    if i.op in matrices.TABLE:
        return "control", together(m, i, matrices.TABLE[i.op](m, i))
    if i.op in copies.WAITING and set(i.mods) & copies.WAITING[i.op]:
        return "control", copies.waiting(m, i)
    for table in (MEMORY, copies.TABLE):
        if i.op in table:
            return "plain", guarded(m, i, table[i.op](m, i))
    if i.op not in arithmetic.TABLE:
        raise Fault(f"{i.text}: no such instruction here")
    return "plain", guarded(m, i, compile_arithmetic(m, i))


def compile_arithmetic(m, i):
    kinds, f = arithmetic.TABLE[i.op](i)
    reads = [m.reader(a, kind) for a, kind in zip(i.args[1:], kinds, strict=True)]
    first = i.args[0]
    if first[0] == "pair":
        put, put_not = m.writer(first[1], "pred"), m.writer(first[2], "pred")

        def both(t):
            p = f(*[r(t) for r in reads])
            put(t, p)
            put_not(t, ~p)
        return both
    put = m.writer(first, arithmetic.result_kind(i))
    return lambda t: put(t, f(*[r(t) for r in reads]))


def guarded(m, i, act):
    if not i.guard:
        return act
    name, is_not = i.guard
    p = m.register(name)

    def act_where(t):
        t = np.arange(m.n)[t]
        t = t[p[t] != is_not]
        if len(t):
            act(t)
    return act_where


def branch(m, i):
    target = m.entry.labels[i.args[0][1]]
    if not i.guard:
        def go(at, t):
            m.pc[t] = target
        return go
    name, is_not = i.guard
    p = m.register(name)

    def choose(at, t):
        m.pc[t] = np.where(p[t] != is_not, target, at + 1)
    return choose


def leave(m, i):
    assert not i.guard, i.text

    def end(at, t):
        m.state[t] = ENDED
    return end


def together(m, i, act):
    """For instructions of a warp: `act` gets threads and says which of them have gone on; others wait for their lanes."""
    assert not i.guard, i.text

    def go(at, t):
        t = m.arrived(at)
        gone = act(t)
        m.state[t] = WAITS
        m.state[gone] = RUNS
        m.pc[gone] = at + 1
    return go


def copy_bits(m, i):
    kind = i.kind
    read, put = m.reader(i.args[1], kind), m.writer(i.args[0], kind)
    return lambda t: put(t, read(t))


def change_space(m, i):
    """cvta: of the address of a space the generic one, with `to` the other way round."""
    space = next(x for x in i.mods if x != "to").split("::")[0]
    window = np.uint64(WINDOW.get(space, 0))
    read, put = m.reader(i.args[1], i.kind), m.writer(i.args[0], i.kind)
    return lambda t: put(t, read(t) - window if "to" in i.mods else read(t) + window)


def space_of(i):
    names = [x.split("::")[0] for x in i.mods]
    return next((x for x in names if x in ("global", "shared", "local", "param", "const")), None)


def parts_of(operand):
    return operand[1] if operand[0] == "vec" else [operand]


def each_space(m, i, act):
    """act(space, address, threads); of generic addresses by their windows."""
    space, address = space_of(i), m.address_reader(i.args[0] if i.op in ("st", "red") else i.args[1])
    if space:
        return lambda t: act(space, m.spaces[space], address(t), t)

    def generic(t):
        t = np.arange(m.n)[t]
        a = np.broadcast_to(address(t), t.shape)
        window = a >> np.uint64(40)
        for name, w in [("global", None), *WINDOW.items()]:
            mine = ~np.isin(window, [x >> 40 for x in WINDOW.values()]) if w is None else window == np.uint64(w >> 40)
            if mine.any():
                act(name, m.spaces[name], a[mine] - np.uint64(w or 0), t[mine])
    return generic


def load(m, i):
    size, parts = size_of(i.kind), parts_of(i.args[0])
    puts = [m.writer(p, i.kind) for p in parts]
    dtype = dtype_of(i.kind)

    def act(_, space, address, t):
        at = space.locate(address, size * len(parts), np.arange(m.n)[t])
        for n, put in enumerate(puts):
            put(t, space.load(at + np.uint64(n * size), size).view(dtype))
    return each_space(m, i, act)


STORED_AS = {"f32": 2, "f64": 3}  # else 1: see compare.py


def store(m, i):
    size, parts = size_of(i.kind), parts_of(i.args[1])
    reads = [m.reader(p, f"b{8 * size}") for p in parts]
    stored_as = STORED_AS.get(i.kind, 1)

    def act(name, space, address, t):
        threads = np.arange(m.n)[t]
        at = space.locate(address, size * len(parts), threads)
        for n, read in enumerate(reads):
            space.store(at + np.uint64(n * size), size, read(t))
        if name == "global":
            for n in range(size * len(parts)):
                space.stored_as[at + np.uint64(n)] = stored_as
        elif name == "shared":
            m.copies.written(at, size * len(parts), threads)
    return each_space(m, i, act)


ATOMIC = {"add": lambda a, b: a + b, "or": lambda a, b: a | b, "and": lambda a, b: a & b, "xor": lambda a, b: a ^ b,
          "min": min, "max": max, "exch": lambda a, b: b}


def atomic(m, i):
    """One thread after the other, by their numbers."""
    is_red = i.op == "red"
    put = (lambda t, x: None) if is_red else m.writer(i.args[0], i.kind)
    read, dtype = m.reader(i.args[1 if is_red else 2], i.kind), dtype_of(i.kind)
    name = next(x for x in i.mods if x in ATOMIC)

    def act(space_name, space, address, t):
        threads = np.arange(m.n)[t]
        at = space.locate(address, dtype.itemsize, threads) // np.uint64(dtype.itemsize)
        view, before = space.views[dtype.itemsize].view(dtype), np.zeros(len(threads), dtype)
        operands = np.broadcast_to(read(t), threads.shape)
        for n, (where, x) in enumerate(zip(at.tolist(), operands)):
            before[n] = view[where]
            view[where] = ATOMIC[name](view[where], x)
        put(t, before)
    return each_space(m, i, act)


def nothing(m, i):
    return lambda t: None


CONTROL = {"bra": branch, "ret": leave, "exit": leave}
MEMORY = {"mov": copy_bits, "cvta": change_space, "ld": load, "st": store, "atom": atomic, "red": atomic, "ldu": load,
          "membar": nothing, "prefetch": nothing, "pragma": nothing, "griddepcontrol": nothing, "trap": nothing}
