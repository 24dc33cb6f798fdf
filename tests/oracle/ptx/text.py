"""PTX as text: entries, their variables and instructions, as `nvcc -ptx` writes them.

Source: "Parallel Thread Execution ISA", sections "Syntax", "State Spaces, Types, and Variables" and "Instruction Operands".
"""

import re

SIZES = {"pred": 1, "8": 1, "16": 2, "32": 4, "64": 8, "128": 16}


def size_of(kind):
    """Bytes of a type such as u32 or pred; pairs (f16x2) are registers of 32 bits."""
    if kind in ("f16x2", "bf16x2"):
        return 4
    if kind in ("bf16", "tf32"):
        return {"bf16": 2, "tf32": 4}[kind]
    return SIZES[kind if kind == "pred" else kind[1:]]


class Instruction:
    """`op` with its dotted `mods`, `args` as parse_operand gives them, and `guard`: (predicate, whether it is negated) or None."""

    def __init__(self, text):
        self.text = " ".join(text.split())
        self.guard = None
        rest = self.text
        if rest.startswith("@"):
            guard, rest = rest[1:].split(None, 1)
            self.guard = (guard.lstrip("!"), guard.startswith("!"))
        name, _, operands = rest.partition(" ")
        self.op, *self.mods = re.sub(r"::", "__", name).split(".")
        self.mods = [m.replace("__", "::") for m in self.mods]
        self.args = [parse_operand(x) for x in split_operands(operands)]

    @property
    def kind(self):
        return self.mods[-1]


class Variable:
    def __init__(self, name, space, align, size, values=b""):
        self.name, self.space, self.align, self.size, self.values = name, space, align, size, values


class Entry:
    def __init__(self, name):
        self.name = name
        self.params = []  # of Variable, in order
        self.threads_max = 1024
        self.variables = []  # .shared and .local
        self.registers = {}  # name -> bytes; "%r" stands for %r1, %r2 ...
        self.code = []
        self.labels = {}  # name -> index into code


class Module:
    """`only`: the one entry that is read; `change`: what is done to the text of a body first."""

    def __init__(self, text, only=None, change=lambda body: body):
        self.entries, self.variables, self.target, self.is_changed = {}, [], None, False
        self.only, self.change = only, change
        parse_module(self, re.sub(r"//[^\n]*", "", text))

    def add(self, name, params, directives, body):
        if self.only in (None, name):
            entry, changed = Entry(name), self.change(body)
            threads = re.search(r"\.maxntid\s+(\d+)", directives)
            entry.threads_max = int(threads.group(1)) if threads else 1024
            self.is_changed |= changed != body
            entry.params = [parse_variable(p) for p in split_operands(params)]
            parse_body(entry, changed)
            self.entries[name] = entry


def split_operands(text):
    """At commas outside of braces and brackets."""
    parts, depth, part = [], 0, ""
    for c in text:
        depth += (c in "{[") - (c in "}]")
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    return [p.strip() for p in parts + [part] if p.strip()]


def parse_number(text):
    if re.fullmatch(r"0[fF][0-9a-fA-F]{8}", text):
        return ("f32", int(text[2:], 16))
    if re.fullmatch(r"0[dD][0-9a-fA-F]{16}", text):
        return ("f64", int(text[2:], 16))
    if re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|[0-9]+)U?", text):
        return ("int", int(text.rstrip("U"), 0))
    return None


def parse_operand(text):
    """("reg", name), ("f32" | "f64" | "int", bits or value), ("vec", [operand]), ("mem", base, offset), ("box", [map, coordinates])
    or ("pair", first, second) for `d|p`."""
    if text.startswith("{"):
        return ("vec", [parse_operand(x) for x in split_operands(text[1:-1])])
    if text.startswith("["):
        inside = split_operands(text[1:-1])
        if len(inside) > 1:
            return ("box", [parse_operand(x) for x in inside])
        base, _, offset = inside[0].partition("+")
        return ("mem", parse_operand(base.strip()), int(offset or "0", 0))
    if "|" in text:
        first, second = text.split("|")
        return ("pair", parse_operand(first.strip()), parse_operand(second.strip()))
    return parse_number(text) or ("reg", text)


VARIABLE = re.compile(
    r"\.(shared|local|global|const|param)\s*(?:\.align\s+(\d+)\s*)?\.([a-z]+\d+)\s+([\w$%.]+)\s*(?:\[(\d*)\])?\s*(?:=\s*\{(.*?)\})?",
    re.S)


def parse_variable(text):
    space, align, kind, name, n, values = VARIABLE.search(text).groups()
    size = size_of(kind)
    numbers = b"".join((int(v, 0) % (1 << 8 * size)).to_bytes(size, "little") for v in (values or "").split(",") if v.strip())
    return Variable(name, space, int(align or size), size * (1 if n is None else int(n or 0)), numbers)


def parse_registers(entry, text):
    kind, names = re.match(r"\.reg\s+\.(\w+)\s+(.*)", text, re.S).groups()
    for name in names.split(","):
        name = name.strip().split("<")[0]
        if entry.registers.setdefault(name, size_of(kind)) != size_of(kind):
            raise ValueError(f"{entry.name}: {name} is declared with two sizes")


STATEMENT = re.compile(r"\s*(?:[{}]|(?P<label>[\w$]+):(?!:)|(?P<text>[^;{}]*(?:\{[^}]*\}[^;{}]*)*);)")


def parse_body(entry, body):
    """A brace between statements opens or closes a scope of inline assembly. Scopes are not told apart: the names declared in them
    are always written before they are read."""
    at = 0
    while (m := STATEMENT.match(body, at)) is not None:
        at = m.end()
        text = (m["text"] or "").strip()
        if m["label"]:
            entry.labels[m["label"]] = len(entry.code)
        elif text.startswith(".reg"):
            parse_registers(entry, text)
        elif text.startswith((".shared", ".local")):
            entry.variables.append(parse_variable(text))
        elif text and not text.startswith("."):
            entry.code.append(Instruction(text))
    if body[at:].strip():
        raise ValueError(f"{entry.name}: cannot be read: {body[at:at + 80]!r}")


def closing_brace(text, opening):
    depth = 0
    for i in range(opening, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return i
    raise ValueError("a brace is not closed")


def parse_module(module, text):
    module.target = re.search(r"\.target\s+(\w+)", text).group(1)
    at = 0
    entry = re.compile(r"\.entry\s+([\w$]+)\s*\(([^)]*)\)([^{]*)\{")
    while (m := entry.search(text, at)) is not None:
        parse_outside(module, text[at:m.start()])
        end = closing_brace(text, m.end() - 1)
        module.add(m.group(1), m.group(2), m.group(3), text[m.end():end])
        at = end + 1
    parse_outside(module, text[at:])


def parse_outside(module, text):
    for statement in text.split(";"):
        if re.search(r"\.(shared|global|const)\b", statement):
            module.variables.append(parse_variable(statement[re.search(r"\.(shared|global|const)\b", statement).start():]))
