#!/usr/bin/env python3
"""Differential fuzzer: random templates of a grammar, rendered by tokfs-model and by Python's jinja2.

usage: fuzz_jinja.py TOKFS_MODEL [--seconds N] [--seed N]      (needs the PyPI package jinja2 3.1.6)

Prints each difference and exits 1 if there was one. Not differences: what tokfs refuses by name (integers beyond 64 bits and the
like: "not supported", "does not fit 64 bits", its bounds), and addresses in the text of objects.
"""

import argparse
import json
import random
import re
import subprocess
import tempfile
import time

from jinja_env import render

CONTEXT = {
    "a": 1, "f": 2.5, "t": True, "n": None, "s": "Hello World", "u": "äß\n\"q\" '", "l": [3, 1, 2], "m": ["b", "A", "a", ""],
    "d": {"x": 1, "y": "z", "items": [1], "B": None}, "e": [], "o": {}, "z": "", "q": -3,
    "r": [{"k": "b", "v": 2, "w": [1]}, {"k": "a", "v": 1}, {"k": "B", "v": None}], "h": "<i>&amp;</i>", "w": " \t pad \n",
}
NAMES = list(CONTEXT) + ["missing", "i", "x"]
BINARY = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "in", "not in", "and", "or", "**"]
FILTERS = [
    "upper", "lower", "title", "capitalize", "trim", "trim('l')", "length", "count", "list", "first", "last", "join", "join(',')", "string", "int",
    "float", "abs", "round", "round(1)", "round(1, 'floor')", "tojson", "tojson(indent=2)", "tojson(ensure_ascii=true)",
    "tojson(separators=(',', ':'), sort_keys=true)", "default('D')", "default('D', true)", "reverse", "reverse | list", "sort", "sort(reverse=true)",
    "sort(attribute='k')", "sort(case_sensitive=true)", "unique | list", "min", "max", "sum", "sum(attribute='v')", "map('upper') | list",
    "map(attribute='k') | list", "map(attribute='v', default=0) | list", "map(attribute='w.0') | list", "select | list", "reject | list",
    "select('string') | list", "reject('none') | list", "selectattr('v') | list", "rejectattr('v', 'none') | list",
    "selectattr('k', 'equalto', 'a') | list", "dictsort", "dictsort(true)", "dictsort(by='value')", "items | list", "replace('l', 'L')",
    "replace('', '-', 2)", "indent", "indent(2, true)", "indent(1, blank=true)", "truncate(5)", "truncate(7, true)", "wordcount", "center(11)", "e",
    "safe", "forceescape", "batch(2) | list", "batch(2, 'F') | list", "slice(2) | list", "groupby('k')", "attr('k')", "format(1)", "urlencode",
    "filesizeformat", "striptags", "xmlattr", "int(5)", "int(1, 16)", "d", "map('tojson') | join",
]
TESTS = [
    "defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true", "false", "mapping", "sequence", "iterable", "callable",
    "odd", "even", "divisibleby(2)", "lower", "upper", "eq(1)", "ne('a')", "gt(0)", "le(2)", "in(l)", "in('Hello')", "sameas(n)", "sameas(t)", "escaped",
    "filter", "test", "equalto 1", "divisibleby 3",
]
METHODS = [
    ".upper()", ".lower()", ".strip()", ".lstrip('H')", ".rstrip()", ".split()", ".split('l')", ".split(' ', 1)", ".rsplit('o', 1)", ".splitlines()",
    ".replace('o', '0')", ".replace('l', '', 1)", ".startswith('H')", ".endswith(('d', 'x'))", ".find('o')", ".rfind('o')", ".index('o')", ".count('l')",
    ".title()", ".capitalize()", ".swapcase()", ".zfill(9)", ".center(15, '*')", ".ljust(3)", ".rjust(14)", ".join(m)", ".partition('o')",
    ".rpartition('o')", ".removeprefix('He')", ".removesuffix('ld')", ".isdigit()", ".isalpha()", ".isalnum()", ".isspace()", ".isupper()", ".islower()",
    ".istitle()", ".format(1, x=2)", ".items()", ".items() | list", ".keys() | list", ".values()", ".get('x')", ".get('q', 5)", ".append(1)", ".pop()",
    ".x", ".k", "[0]", "[-1]", "[1:]", "[:-1]", "[::2]", "[::-1]", "[5]", "['x']", "['items']", "[1:3]", ".index(1)", ".count(1)", ".copy()", "[-2:9]",
    ".update({})", ".nosuch", ".nosuch()", ".expandtabs", ".casefold()",
]
STRINGS = ["''", "'a'", '"b c"', r"'\n'", "'äß'", "'%s'", "'%d-%5.1f'", "'{}'", "'{x:>5}'", "'<'", "'l'", "'Hello'", "'%(k)s'"]


class Grammar:
    def __init__(self, rng):
        self.rng = rng

    def pick(self, *options):
        return self.rng.choice(options)

    def literal(self):
        return self.pick(
            str(self.rng.randint(-3, 12)), self.pick("0.5", "1.0", "-2.25", "1e20", "1e-7", "3.14159"), self.rng.choice(STRINGS), "true", "false",
            "none", "[]", "{}", "()", "[1, 'a']", "(1, 2)", "{'k': 1}", "[[1, 2], [3, 4]]", "range(3)", "{'a': [1], 2: none}")

    def expr(self, depth=3):
        if depth <= 0 or self.rng.random() < 0.2:
            return self.rng.choice(NAMES) if self.rng.random() < 0.6 else self.literal()
        e = lambda: self.expr(depth - 1)
        kind = self.rng.random()
        if kind < 0.22:
            return f"{e()} {self.rng.choice(BINARY)} {e()}"
        if kind < 0.45:
            return f"{e()} | {self.rng.choice(FILTERS)}"
        if kind < 0.65:
            return f"({e()}){self.rng.choice(METHODS)}" if self.rng.random() < 0.5 else f"{self.rng.choice(NAMES)}{self.rng.choice(METHODS)}"
        if kind < 0.75:
            return f"{e()} is {self.pick('', 'not ')}{self.rng.choice(TESTS)}"
        if kind < 0.80:
            return f"({e()} if {e()}{self.pick(' else ' + e(), '')})"
        if kind < 0.84:
            return f"not {e()}"
        if kind < 0.86:
            return f"-{e()}"
        if kind < 0.90:
            return f"[{e()}, {e()}]"
        if kind < 0.93:
            return f"{{'k': {e()}, {self.literal()}: {e()}}}"
        if kind < 0.95:
            return f"({e()})[{self.pick(e(), '1:', ':-1', '::-1', e() + ':' + e())}]"
        if kind < 0.97:
            return f"{e()} < {e()} <= {e()}"
        return f"({e()})"

    def space(self):
        return self.pick("", "", " ", "\n", "  \n", "\n  ", "x", "x\n", " y ")

    def open(self):
        return "{%" + self.pick("", "", "-", "+") + " "

    def close(self):
        return " " + self.pick("", "", "-", "+") + "%}"

    def tag(self, text):
        return self.open() + text + self.close()

    def output(self, text):
        return "{{" + self.pick("", "", "-") + " " + text + " " + self.pick("", "", "-") + "}}"

    def body(self, depth):
        return "".join(self.space() + self.statement(depth - 1) for _ in range(self.rng.randint(0, 3))) + self.space()

    def statement(self, depth, in_loop=False):
        if depth <= 0 or self.rng.random() < 0.35:
            return self.output(self.expr(self.rng.randint(0, 3)))
        kind = self.rng.random()
        if kind < 0.2:
            other = self.tag("elif " + self.expr(2)) + self.body(depth) if self.rng.random() < 0.3 else ""
            other += self.tag("else") + self.body(depth) if self.rng.random() < 0.5 else ""
            return self.tag("if " + self.expr(2)) + self.body(depth) + other + self.tag("endif")
        if kind < 0.45:
            target = self.pick("i", "i", "x", "i, x")
            source = self.pick("l", "m", "d", "r", "s", "d.items()", "range(4)", "e", "[[1, 2], [3, 4]]", "r | map(attribute='k')", self.expr(2))
            loop = self.pick("", "loop.index", "loop.last", "loop.length", "loop.revindex", "loop.previtem", "loop.nextitem", "loop.first", "loop.index0",
                             "loop.cycle('a', 'b')", "loop.changed(i)", "loop", "loop.depth")
            test = " if " + self.pick("i", "x", "i is string", "loop", self.expr(1)) if self.rng.random() < 0.2 else ""
            jump = self.tag("if " + self.expr(1)) + self.tag(self.pick("break", "continue")) + self.tag("endif") if self.rng.random() < 0.2 else ""
            other = self.tag("else") + self.body(depth) if self.rng.random() < 0.3 else ""
            return (self.tag(f"for {target} in {source}{test}") + (self.output(loop) if loop else "") + jump + self.body(depth) +
                    other + self.tag("endfor"))
        if kind < 0.62:
            return self.tag(f"set {self.pick('x', 'i', 'a', 'x, i', 'ns.x', 'd')} = {self.expr(2)}")
        if kind < 0.68:
            return self.tag(f"set {self.pick('x', 'a')}{self.pick('', ' | upper', ' | trim')}") + self.body(depth) + self.tag("endset")
        if kind < 0.74:
            return self.tag("filter " + self.pick("upper", "trim", "replace('a', 'b')", "length", "indent")) + self.body(depth) + self.tag("endfilter")
        if kind < 0.84:
            args = self.pick("", "i", "i, x=2", "x=a", "caller='c'")
            call = self.pick("g()", "g(1)", "g(1, 2)", "g(x=3)", "g(1, 2, 3)", "g(i=1, y=2)", "g(*l)", "g(**d)")
            inner = self.pick("{{ varargs }}", "{{ kwargs }}", "{{ caller() }}", "{{ caller(1) }}", "", "{{ g.name }}")
            use = self.output(call) if self.rng.random() < 0.6 else self.tag(f"call{self.pick('', '(i)')} {call}") + self.body(depth) + self.tag("endcall")
            return self.tag(f"macro g({args})") + inner + self.body(depth) + self.tag("endmacro") + use
        if kind < 0.90:
            return self.tag(f"with x = {self.expr(1)}, i = {self.expr(1)}") + self.body(depth) + self.tag("endwith")
        if kind < 0.93:
            return self.tag("generation") + self.body(depth) + self.tag("endgeneration")
        if kind < 0.96:
            return "{#" + self.pick("", "-") + " comment " + self.pick("", "-") + "#}"
        return self.tag("raw") + "{{ raw }}" + self.tag("endraw")

    def template(self):
        prefix = "{% set ns = namespace(x=1) %}" if self.rng.random() < 0.3 else ""
        return prefix + self.body(4)


REFUSED = re.compile(r"not supported|does not fit 64 bits|too long|too deeply|too many steps|too much memory|takes more than|64 bits must be")
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
# Objects whose text is an address or a Python internal.
INTERNAL = re.compile(r"<(generator|built-in|function|bound|list_reverseiterator|method|jinja2|Macro|class|_?[A-Za-z.]+ object|Cycler|Joiner|dict_reverse"
                      r"|reversed|str_|range_|builtin|Namespace|<?LoopContext)")


def same(expected, got):
    if expected["ok"] != got["ok"]:
        return not got["ok"] and REFUSED.search(got["error"]) is not None
    if not expected["ok"] or expected["output"] == got["output"]:
        return True
    return INTERNAL.search(ADDRESS.sub("", expected["output"])) is not None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    rng = random.Random(args.seed)
    grammar = Grammar(rng)
    end = time.monotonic() + args.seconds
    n = n_ok = n_different = 0
    print(f"seed {args.seed}")
    with tempfile.NamedTemporaryFile("w", suffix=".jinja", newline="") as file:
        while time.monotonic() < end:
            template = grammar.template()
            file.seek(0)
            file.truncate()
            file.write(template)
            file.flush()
            expected = render(template, json.loads(json.dumps(CONTEXT)))
            run = subprocess.run([args.program, "render", "--now", "2025-07-10 12:34:56", file.name], input=json.dumps(CONTEXT) + "\n",
                                 capture_output=True, text=True)
            try:
                got = json.loads(run.stdout)
            except json.JSONDecodeError:
                got = {"ok": None, "error": f"status {run.returncode}: {run.stderr[-2000:]}"}
            n += 1
            n_ok += expected["ok"]
            if not same(expected, got):
                n_different += 1
                print(f"template: {template!r}\n  python: {expected}\n  tokfs:  {got}")
    print(f"{n} templates, {n_ok} of them render, {n_different} differences")
    raise SystemExit(n_different > 0)


main()
