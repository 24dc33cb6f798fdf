"""Instructions of a thread by itself, but for memory: a table from the opcode to what it computes.

Each row is a function of the instruction, giving the types of its sources and a function of their values. Source: "Parallel Thread
Execution ISA", sections "Integer Arithmetic Instructions" to "Data Movement and Conversion Instructions".
"""

import operator

import numpy as np

from . import numbers
from .text import size_of

TABLE = {}


def opcode(*names):
    def add(f):
        for name in names:
            TABLE[name] = f
        return f
    return add


def is_float(kind):
    return kind in ("f32", "f64", "f16", "bf16", "f16x2", "bf16x2")


def narrow_float(kind):
    """bf16 of bf16 and bf16x2; None of other types."""
    kind = kind.removesuffix("x2")
    return kind if kind in numbers.OF_16 else None


def each_half(kind, f):
    """f of f32 values, giving f64 that are exact or rounded to odd, for registers of one or two elements of 16 bits."""
    name = narrow_float(kind)

    def one(*values):
        wide = f(*[numbers.OF_16[name](v) for v in values])
        return numbers.TO_16[name](numbers.f32_to_odd(wide))

    def two(*values):
        parts = [numbers.halves(np.asarray(v, np.uint32)) for v in values]
        return numbers.joined(*[one(*[p[i] for p in parts]) for i in range(2)])
    return two if kind.endswith("x2") else one


def with_mods(i, f):
    """Subnormal numbers and saturation."""
    ftz, sat = "ftz" in i.mods and i.kind == "f32", "sat" in i.mods

    def g(*values):
        x = f(*[numbers.flush(v) for v in values]) if ftz else f(*values)
        x = numbers.flush(x) if ftz else x
        return np.where(np.isnan(x), x.dtype.type(0), np.clip(x, 0, 1)).astype(x.dtype) if sat else x
    return g if ftz or sat else f


def binary(i, f, exact):
    kind = i.kind
    if narrow_float(kind):
        return [kind] * 2, each_half(kind, exact)
    if is_float(kind):
        return [kind] * 2, with_mods(i, f)
    assert set(i.mods) <= {kind}, i.text
    return [kind] * 2, f


def wide(f):
    return lambda a, b: f(a.astype(np.float64), b.astype(np.float64))


@opcode("add")
def add(i):
    return binary(i, np.add, wide(np.add))


@opcode("sub")
def sub(i):
    return binary(i, np.subtract, wide(np.subtract))


def doubled(kind):
    return kind[0] + str(2 * int(kind[1:]))


def high_product(a, b, kind):
    bits = int(kind[1:])
    if bits == 64:
        return np.array([(int(x) * int(y)) >> 64 & (2**64 - 1) for x, y in np.nditer([a, b])], np.uint64).astype(a.dtype)
    big = np.int64 if kind[0] == "s" else np.uint64
    return (a.astype(big) * b.astype(big) >> big(bits)).astype(a.dtype)


WIDE = {"u16": np.uint32, "s16": np.int32, "u32": np.uint64, "s32": np.int64}


def product(i):
    """Of integers."""
    if "wide" in i.mods:
        return lambda a, b: np.multiply(a, b, dtype=WIDE[i.kind])
    if "hi" in i.mods:
        return lambda a, b: high_product(*np.broadcast_arrays(a, b), i.kind)
    assert "lo" in i.mods, i.text
    return np.multiply


@opcode("mul")
def mul(i):
    return binary(i, np.multiply, wide(np.multiply)) if is_float(i.kind) else ([i.kind] * 2, product(i))


@opcode("mad")
def mad(i):
    if is_float(i.kind):
        return fma(i)
    f = product(i)
    return [i.kind] * 2 + [doubled(i.kind) if "wide" in i.mods else i.kind], lambda a, b, c: f(a, b) + c


@opcode("fma")
def fma(i):
    how = next(m for m in i.mods if m in ("rn", "rz", "rm", "rp"))
    if narrow_float(i.kind):
        assert how == "rn" and not {"relu", "sat"} & set(i.mods), i.text
        return [i.kind] * 3, each_half(i.kind, numbers.exact_fma)
    if i.kind == "f64":
        assert how == "rn", i.text
        return ["f64"] * 3, numbers.fma_f64
    return ["f32"] * 3, with_mods(i, lambda a, b, c: numbers.to_f32(numbers.exact_fma(*np.broadcast_arrays(a, b, c)), how))


def quotient(a, b):
    """Of integers, toward zero; of a division by zero, which PTX leaves open, all ones."""
    zero = b == 0
    b = np.where(zero, b.dtype.type(1), b)
    q = a // b
    if np.issubdtype(a.dtype, np.signedinteger):
        q = q + ((q < 0) & (q * b != a)).astype(a.dtype)
    return np.where(zero, ~a.dtype.type(0), q)


@opcode("div")
def div(i):
    assert i.kind[0] != "f" or "rn" in i.mods or "full" in i.mods or "approx" in i.mods, i.text
    return [i.kind] * 2, with_mods(i, np.divide) if is_float(i.kind) else quotient


@opcode("rem")
def rem(i):
    return [i.kind] * 2, lambda a, b: a - quotient(a, b) * b


@opcode("neg")
def neg(i):
    return [i.kind], with_mods(i, np.negative)


@opcode("abs")
def absolute(i):
    return [i.kind], with_mods(i, np.abs)


@opcode("min")
def least(i):
    assert "NaN" not in i.mods
    return [i.kind] * 2, with_mods(i, np.fmin)


@opcode("max")
def greatest(i):
    assert "NaN" not in i.mods
    return [i.kind] * 2, with_mods(i, np.fmax)


@opcode("copysign")
def copysign(i):
    """The sign of a, the value of b."""
    return [i.kind] * 2, lambda a, b: np.copysign(b, a)


# ---- functions of one number: the approximations are computed in f64, and compared with a tolerance

def exact_or_near(f):
    def of(i):
        dtype = {"f32": np.float32, "f64": np.float64}[i.kind]
        return [i.kind], with_mods(i, lambda a: f(a.astype(np.float64)).astype(dtype))
    return of


def shortened(x):
    """What approximations of f64 give: the upper 32 bits."""
    return (x.view(np.uint64) & np.uint64(0xffffffff00000000)).view(np.float64)


@opcode("rcp")
def rcp(i):
    return (["f64"], lambda a: shortened(1 / a)) if i.kind == "f64" and "approx" in i.mods else exact_or_near(lambda a: 1 / a)(i)


TABLE["sqrt"] = exact_or_near(np.sqrt)
TABLE["rsqrt"] = exact_or_near(lambda a: 1 / np.sqrt(a))
TABLE["ex2"] = exact_or_near(np.exp2)
TABLE["lg2"] = exact_or_near(np.log2)
TABLE["sin"] = exact_or_near(np.sin)
TABLE["cos"] = exact_or_near(np.cos)
TABLE["tanh"] = exact_or_near(np.tanh)


# ---- bits

def logic(f):
    return lambda i: ([i.kind] * 2, f)


TABLE["and"], TABLE["or"], TABLE["xor"] = logic(np.bitwise_and), logic(np.bitwise_or), logic(np.bitwise_xor)


@opcode("not")
def invert(i):
    return [i.kind], np.invert


def shift(i, f, over):
    """By more than there are bits: `over`."""
    bits = 8 * size_of(i.kind)

    def g(a, n):
        return np.where(n >= bits, over(a), f(a, np.minimum(n, bits - 1).astype(a.dtype)))
    return [i.kind, "u32"], g


@opcode("shl")
def shl(i):
    return shift(i, np.left_shift, np.zeros_like)


@opcode("shr")
def shr(i):
    return shift(i, np.right_shift, (lambda a: a >> a.dtype.type(8 * a.dtype.itemsize - 1)) if i.kind[0] == "s" else np.zeros_like)


@opcode("shf")
def shf(i):
    left, wraps = "l" in i.mods, "wrap" in i.mods

    def f(a, b, c):
        n = (c & np.uint32(31) if wraps else np.minimum(c, np.uint32(32))).astype(np.uint64)
        both = b.astype(np.uint64) << np.uint64(32) | a.astype(np.uint64)
        return ((both << n) >> np.uint64(32) if left else both >> n).astype(np.uint32)
    return ["u32"] * 3, f


def field_mask(bits, position, length, dtype):
    ones = np.where(length >= bits, ~dtype(0), (dtype(1) << np.minimum(length, bits - 1).astype(dtype)) - dtype(1))
    return np.where(position >= bits, dtype(0), ones << np.minimum(position, bits - 1).astype(dtype)).astype(dtype)


@opcode("bfi")
def bfi(i):
    """a, `length` bits of it, put into b at `position`."""
    bits = 8 * size_of(i.kind)

    def f(a, b, position, length):
        position, length = position & np.uint32(255), length & np.uint32(255)
        mask = field_mask(bits, position, length, a.dtype.type)
        return b & ~mask | (a << np.minimum(position, bits - 1).astype(a.dtype)) & mask
    return [i.kind, i.kind, "u32", "u32"], f


@opcode("bfe")
def bfe(i):
    assert i.kind[0] == "u", i.text
    bits = 8 * size_of(i.kind)

    def f(a, position, length):
        mask = field_mask(bits, np.uint32(0), length & np.uint32(255), a.dtype.type)
        position = position & np.uint32(255)
        return np.where(position >= bits, a.dtype.type(0), a >> np.minimum(position, bits - 1).astype(a.dtype)) & mask
    return [i.kind, "u32", "u32"], f


def highest_bit(a):
    """-1: none."""
    n = np.full(np.shape(a), -1, np.int64)
    for bit in range(8 * a.dtype.itemsize):
        n = np.where(a >> a.dtype.type(bit) & a.dtype.type(1), bit, n)
    return n


@opcode("bfind")
def bfind(i):
    bits = 8 * size_of(i.kind)
    assert i.kind[0] == "u", i.text

    def f(a):
        n = highest_bit(a)
        n = np.where(n < 0, -1, bits - 1 - n) if "shiftamt" in i.mods else n
        return n.astype(np.uint32)
    return [i.kind], f


@opcode("clz")
def clz(i):
    bits = 8 * size_of(i.kind)
    return [i.kind], lambda a: (bits - 1 - highest_bit(a)).astype(np.uint32)


@opcode("popc")
def popc(i):
    def f(a):
        return sum((a >> a.dtype.type(b) & a.dtype.type(1) for b in range(8 * a.dtype.itemsize)), np.zeros_like(a)).astype(np.uint32)
    return [i.kind], f


@opcode("brev")
def brev(i):
    def f(a):
        bits, one = 8 * a.dtype.itemsize, a.dtype.type(1)
        return sum(((a >> a.dtype.type(b) & one) << a.dtype.type(bits - 1 - b) for b in range(bits)), np.zeros_like(a))
    return [i.kind], f


@opcode("prmt")
def prmt(i):
    """Each nibble of c picks a byte of b:a; with its fourth bit, that byte's sign eight times."""
    assert i.mods == ["b32"], i.text

    def f(a, b, c):
        a, b, c = np.broadcast_arrays(a, b, c)
        both, result = b.astype(np.uint64) << np.uint64(32) | a.astype(np.uint64), np.zeros(a.shape, np.uint64)
        for n in range(4):
            pick = c.astype(np.uint64) >> np.uint64(4 * n) & np.uint64(15)
            byte = both >> (pick & np.uint64(7)) * np.uint64(8) & np.uint64(255)
            sign = np.where(byte >> np.uint64(7) != 0, np.uint64(255), np.uint64(0))
            result = result | np.where(pick & np.uint64(8) != 0, sign, byte) << np.uint64(8 * n)
        return result.astype(np.uint32)
    return ["b32"] * 3, f


LUT_INPUTS = (0xf0, 0xcc, 0xaa)


@opcode("lop3")
def lop3(i):
    table = i.args[4][1]

    def f(a, b, c, _):
        result = np.zeros(np.shape(a), np.uint32)
        for row in range(8):
            if table >> row & 1:
                x, y, z = (v if row >> (2 - n) & 1 else ~v for n, v in enumerate((a, b, c)))
                result = result | (x & y & z)
        return result
    return ["b32"] * 4, f


# ---- choices and comparisons

@opcode("selp")
def selp(i):
    return [i.kind, i.kind, "pred"], lambda a, b, p: np.where(p, a, b)


ORDERED = {"eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
           "lo": operator.lt, "ls": operator.le, "hi": operator.gt, "hs": operator.ge}
JOINED = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def comparison(name, kind):
    """Of floats: false where one is not a number; with u at its end true."""
    if name in ("num", "nan"):
        return lambda a, b: (np.isnan(a) | np.isnan(b)) == (name == "nan")
    if is_float(kind) and name.endswith("u") and name != "eu":
        return lambda a, b: ORDERED[name[:-1]](a, b) | np.isnan(a) | np.isnan(b)
    if is_float(kind) and name == "ne":
        return lambda a, b: (a != b) & ~np.isnan(a) & ~np.isnan(b)
    return ORDERED[name]


@opcode("setp")
def setp(i):
    compare = comparison(i.mods[0], i.kind)
    join = next((JOINED[m] for m in i.mods[1:] if m in JOINED), None)
    if i.kind == "f32" and "ftz" in i.mods:
        plain = compare
        compare = lambda a, b: plain(numbers.flush(a), numbers.flush(b))
    if join:
        return [i.kind, i.kind, "pred"], lambda a, b, c: join(compare(a, b), c)
    return [i.kind, i.kind], compare


# ---- conversions

ROUND = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil,
         "rn": np.rint, "rz": np.trunc, "rm": np.floor, "rp": np.ceil}  # rp of f64 to f64 is rpi


def to_integer(x, kind, how):
    """Beyond its range: its end. No number: 0, but from f64 or to 64 bits the highest bit alone."""
    info = np.iinfo({"u": f"uint{kind[1:]}", "s": f"int{kind[1:]}"}[kind[0]])
    highest = np.array([1 << info.bits - 1], f"uint{info.bits}").view(info.dtype)[0]
    no_number = info.dtype.type(0) if info.bits < 64 and x.dtype != np.float64 else highest
    rounded = how(x.astype(np.float64))
    beyond = rounded >= float(info.max) + (1 if info.bits < 64 else 0)
    inside = np.where(np.isnan(rounded) | beyond, 0, np.maximum(rounded, float(info.min)))
    return np.where(np.isnan(rounded), no_number, np.where(beyond, info.dtype.type(info.max), inside.astype(info.dtype)))


def to_narrow(x, kind, how):
    assert how == "rn"
    return numbers.TO_16[kind](x if x.dtype == np.float32 else numbers.f32_to_odd(x.astype(np.float64)))


def convert(x, to, from_kind, mods):
    how = next((m for m in mods if m in ROUND), None)
    if from_kind in numbers.OF_16:
        x = numbers.OF_16[from_kind](x)
    if to[0] in "us":
        return to_integer(x, to, ROUND[how]) if is_float(from_kind) else x.astype({"u": f"uint{to[1:]}", "s": f"int{to[1:]}"}[to[0]])
    if to in numbers.OF_16:
        return to_narrow(x, to, how or "rn")
    if how and how.endswith("i") or (how and to == from_kind):
        return ROUND[how](x)
    if to == "f32" and x.dtype == np.float64:
        return numbers.to_f32(x, how)
    assert how in (None, "rn"), mods
    return x.astype({"f32": np.float32, "f64": np.float64}[to])


@opcode("cvt")
def cvt(i):
    to, from_kind = i.mods[-2:]
    if to in ("bf16x2", "f16x2") and from_kind == "f32":
        assert i.mods[:-2] == ["rn"], i.text
        narrow = numbers.TO_16[to.removesuffix("x2")]
        return ["f32", "f32"], lambda high, low: numbers.joined(narrow(low), narrow(high))  # the first source is the upper half
    assert not ("sat" in i.mods and not is_float(to)), i.text
    f = lambda x: convert(x, to, from_kind, i.mods[:-2])
    if "ftz" in i.mods and from_kind == "f32":
        plain = f
        f = lambda x: plain(numbers.flush(x))
    if "sat" in i.mods:
        unclamped = f
        f = lambda x: np.where(np.isnan(x), np.float32(0), np.clip(unclamped(x), np.float32(0), np.float32(1)))
    return [from_kind], f


def result_kind(i):
    """The type of what an instruction of the table gives."""
    if i.op == "setp":
        return "pred"
    if i.op == "cvt":
        return i.mods[-2]
    if i.op in ("mul", "mad") and "wide" in i.mods:
        return doubled(i.kind)
    if i.op in ("clz", "popc", "bfind"):
        return "u32"
    return i.kind
