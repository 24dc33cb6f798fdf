#!/usr/bin/env python3
"""Differential fuzzer: random templates of a grammar, rendered by tokfs-model and by Python's jinja2.

usage: fuzz_jinja.py TOKFS_MODEL [--seconds N] [--templates N] [--seed N]      (needs the PyPI package jinja2 3.1.6)

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
import warnings

from jinja_env import render

CONTEXT = {
    "a": 1, "f": 2.5, "t": True, "n": None, "s": "Hello World", "u": "äß\n\"q\" '", "l": [3, 1, 2], "m": ["b", "A", "a", ""],
    "d": {"x": 1, "y": "z", "items": [1], "B": None}, "e": [], "o": {}, "z": "", "q": -3,
    "r": [{"k": "b", "v": 2, "w": [1]}, {"k": "a", "v": 1}, {"k": "B", "v": None}], "h": "<i>&amp;</i>", "w": " \t pad \n",
    "c": "日本\u0301 ǆ İı ﬁ 😀\u200d ½²", "g": 12345678901234567890123, "j": [[1, [2, {"k": [3.0, None]}]], "\u0007\u2028\u007f</x>"], "p": 1e22,
}
NAMES = list(CONTEXT) + ["missing", "i", "x"]
BINARY = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "in", "not in", "and", "or", "**"]
FILTERS = [
    "upper", "lower", "title", "capitalize", "trim", "trim('l')", "trim(chars=' H')", "length", "count", "list", "first", "last", "join", "join(',')",
    "join(d='-')", "join(', ', attribute='k')", "string", "int", "float", "abs", "round", "round(1)", "round(1, 'floor')", "round(0, 'ceil')",
    "round(-1)", "round(method='ceil', precision=2)", "default('D')", "default('D', true)", "default(boolean=true)", "d(1, boolean=t)", "reverse",
    "reverse | list", "sort", "sort(reverse=true)", "sort(attribute='k')", "sort(case_sensitive=true)", "sort(true, true, 'k')", "sort(attribute='v,k')",
    "unique | list", "unique(true) | list", "unique(attribute='k') | list", "min", "max", "min(attribute='v')", "max(case_sensitive=true)", "sum",
    "sum(attribute='v')", "sum(start=10)", "map('upper') | list", "map(attribute='k') | list", "map(attribute='v', default=0) | list",
    "map(attribute='w.0') | list", "map('default', 'D') | join('|')", "map('replace', 'l', 'L') | list", "map('int', base=8) | list", "map('nosuch') | list",
    "select | list", "reject | list", "select('string') | list", "reject('none') | list", "select('gt', 1) | list", "selectattr('v') | list",
    "rejectattr('v', 'none') | list", "selectattr('k', 'equalto', 'a') | list", "selectattr('k', 'in', ['a', 'b']) | first", "rejectattr('w') | length",
    "dictsort", "dictsort(true)", "dictsort(by='value')", "dictsort(reverse=true)", "items | list", "replace('l', 'L')", "replace('', '-', 2)",
    "replace('o', '', count=1)", "replace(1, 2)", "indent", "indent(2, true)", "indent(1, blank=true)", "indent('> ', first=true)", "truncate(5)",
    "truncate(7, true)", "truncate(4, true, '…', 0)", "truncate(length=6, leeway=1)", "wordcount", "center(11)", "center(width=4)", "e", "escape", "safe",
    "forceescape", "batch(2) | list", "batch(2, 'F') | list", "slice(2) | list", "slice(3, 'F') | list", "groupby('k')", "groupby('v', default=0)",
    "groupby('k') | map(attribute='list') | list", "groupby('k') | map('first') | list", "attr('k')", "format(1)", "format('a', 2)", "format(x=1)",
    "urlencode", "filesizeformat", "filesizeformat(true)", "striptags", "xmlattr", "xmlattr(false)", "int(5)", "int(1, 16)", "int(base=2)", "float(1.5)", "d",
    "map('tojson') | join", "list | length", "first | default('none')", "string | length", "nosuch", "e | e", "upper | lower | title", "tojson | length",
    "tojson | safe", "string | list | join('.')", "wordcount(1)", "abs(1)", "last | upper",
]
TESTS = [
    "defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true", "false", "mapping", "sequence", "iterable", "callable",
    "odd", "even", "divisibleby(2)", "lower", "upper", "eq(1)", "ne('a')", "gt(0)", "le(2)", "in(l)", "in('Hello')", "sameas(n)", "sameas(t)", "escaped",
    "filter", "test", "equalto 1", "divisibleby 3", "greaterthan 0", "lessthan(3)", "ge 2", "lt 5.5", "in [1, 2]", "in d", "sameas none", "eq 'a'", "==(1)",
    "nosuch", "defined()", "eq a", "gt -1", "divisibleby(0)", "eq([3, 1, 2])", "odd or t", "none and t",
]
METHODS = [
    ".upper()", ".lower()", ".strip()", ".lstrip('H')", ".rstrip()", ".strip(' o\\n')", ".split()", ".split('l')", ".split(' ', 1)", ".split(none, 1)",
    ".split(sep='o', maxsplit=1)", ".rsplit('o', 1)", ".rsplit(none, 1)", ".rsplit()", ".splitlines()", ".splitlines(true)", ".splitlines(keepends=true)",
    ".replace('o', '0')", ".replace('l', '', 1)", ".replace('', '.')", ".replace('l', 'L', -1)", ".startswith('H')", ".startswith(('x', 'He'))",
    ".startswith('e', 1)", ".startswith('l', 2, 3)", ".endswith(('d', 'x'))", ".endswith('o', 0, 5)", ".endswith(())", ".find('o')", ".find('o', 5)",
    ".find('l', -3, -1)", ".find('')", ".rfind('o')", ".rfind('l', 0, 4)", ".index('o')", ".rindex('o')", ".index('o', 5)", ".count('l')", ".count('')",
    ".count('l', 3)", ".title()", ".capitalize()", ".swapcase()", ".zfill(9)", ".zfill(14)", ".center(15, '*')", ".center(16)", ".ljust(3)", ".ljust(14, '.')",
    ".rjust(14)", ".join(m)", ".join('abc')", ".join([1])", ".partition('o')", ".rpartition('o')", ".partition('zz')", ".rpartition('zz')",
    ".removeprefix('He')", ".removesuffix('ld')", ".isdigit()", ".isalpha()", ".isalnum()", ".isspace()", ".isupper()", ".islower()", ".istitle()",
    ".isdecimal()", ".isnumeric()", ".isprintable()", ".isascii()", ".isidentifier()", ".casefold()", ".format(1, x=2)", ".format(s, a)", ".format(*l)",
    ".format(**d)", ".items()", ".items() | list", ".items() | first", ".keys() | list", ".values() | list", ".keys()", ".values()", ".get('x')",
    ".get('q', 5)", ".get('nosuch')", ".get('nosuch', 'D').x", ".get()", ".append(1)", ".pop()", ".x", ".k", ".y.z", "[0]", "[-1]", "[1:]", "[:-1]", "[::2]",
    "[::-1]", "[5]", "['x']", "['items']", "[1:3]", "[-2:9]", "[3:1:-1]", "[:0:-2]", "[a:]", "[:a]", "[::a]", "[::0]", "[n:n:n]", "[q:]", "[1.5]", "[true]",
    "[false:true]", "[none]", "['0']", "[0, 1]", "[0][0]", "[-1][-1]", "[:2][1:]", ".0", ".1", ".0.k", ".index(1)", ".index(1, 1)", ".count(1)", ".copy()",
    ".update({})", ".clear", ".nosuch", ".nosuch()", ".expandtabs", ".__class__", ".__len__()", ".real", ".imag", ".numerator", ".is_integer()", ".bit_length()",
    ".x()", "()", "(1)", ".start", ".name",
]
STRINGS = [
    "''", "'a'", '"b c"', r"'\n'", "'äß'", "'%s'", "'%d-%5.1f'", "'{}'", "'{x:>5}'", "'<'", "'l'", "'Hello'", "'%(k)s'", r"'\t\x41\u00e9\U0001F600\101'",
    r"'\\ \' \" \q'", '"it\'s"', "'日本語'", "'😀'", "'a' 'b'", '"{{ }} {% %} {# #}"', r"'\0\177'", "'İ'", "'ß'", "'12'", "'-1.5e3'", "' 7 '", "'0x1F'", "'1_000'",
    "'nan'", "'a,b,,c'", "'line one\nline two\r\n'", r"'a\
b'", "'&lt;&amp;'", "'<b>x</b> y'",
]
NUMBERS = [
    "0", "00", "7", "1_000", "0x1F", "0o17", "0b101", "9007199254740993", "9223372036854775807", "0.1", "0.5", "1.0", "2.675", "1e3", "1e16", "1e15", "123456789.0",
    "1e-5", "0.0001", "1.5e-7", "1E5", "3.14159", "1_0.5", "1e300", "5e-324", "0.30000000000000004", "100.0", "1e22", "1e23",
]
STRFTIME = ["%d %b %Y", "%Y-%m-%d", "%H:%M:%S", "%A, %B %d, %Y", "%j %U %w %y %p %I", "%%", "", "%c", "%x %X", "%d %B %Y, %a", "%-d %-m", "%e %D %F %T", "%Z|%z|%f", "äöü %Y"]


class Grammar:
    def __init__(self, rng):
        self.rng = rng
        self.n_macros = 0

    def pick(self, *options):
        return self.rng.choice(options)

    def chance(self, p):
        return self.rng.random() < p

    def literal(self):
        kind = self.rng.random()
        if kind < 0.25:
            return str(self.rng.randint(-3, 12))
        if kind < 0.4:
            return self.rng.choice(NUMBERS)
        if kind < 0.65:
            return self.rng.choice(STRINGS)
        return self.pick(
            "true", "false", "none", "True", "False", "None", "[]", "{}", "()", "(1,)", "[1, 'a']", "(1, 2)", "{'k': 1}", "[[1, 2], [3, 4]]", "range(3)",
            "{'a': [1], 2: none}", "range(5, 0, -2)", "dict(a=1, b='x')", "dict([['a', 1]])", "{1: 'i', 1.0: 'f', true: 'b'}", "[none, false, 0, '', []]",
            "{'b': 1, 'a': {'y': [], 'x': {}}}", "range(2, 9)[1:4]", "'a' ~ 1 ~ none", "namespace(k=1)", "cycler('a', 'b').next()", "{(1, 2): 3}", "['a', 'b',]")

    def tojson(self):
        options = [o for o in (
            "indent=" + self.pick("0", "1", "2", "4", "none", "'\\t'", "'--'"), "ensure_ascii=" + self.pick("true", "false"),
            "sort_keys=" + self.pick("true", "false"), "separators=" + self.pick("(',', ':')", "(', ', ': ')", "[';', '=']", "none")) if self.chance(0.4)]
        self.rng.shuffle(options)
        return "tojson" + (f"({', '.join(options)})" if options else self.pick("", "", "()", "(true)", "(false, 2)"))

    def percent(self):
        spec = "%" + self.pick("", "", "", "(x)", "(y)") + "".join(self.rng.sample("-+ #0", self.rng.randint(0, 2))) + self.pick("", "", "5", "12", "*")
        spec += self.pick("", "", ".2", ".0", ".", ".5") + self.rng.choice("ssdddiuxXoeEfFgGrac%z")
        args = self.pick("a", "f", "s", "q", "(a,)", "(a, f)", "(f, s, q)", "d", "u", "none", "true", "'é'", "1e22", "-0.0", "[1]", "(3, 1.5)", "255", "(5, 'x')")
        return f"'{self.pick('', 'x ')}{spec}{self.pick('', ' y', '%%', ' %s')}' % {args}"

    def braces(self):
        field = self.pick("", "", "0", "1", "x", "y.k", "x[0]", "0[k]", "0.real") + self.pick("", "", "", "!r", "!s", "!a")
        spec = self.pick("", "", ":", ":" + self.pick("", "*<", ">", "^", "=", "é^") + self.pick("", "+", "-", " ") + self.pick("", "#") + self.pick("", "0") +
                         self.pick("", "8", "3", "{x}") + self.pick("", ",", "_") + self.pick("", ".2", ".0") + self.pick("", "d", "f", "s", "x", "X", "b", "o", "e", "g", "%", "n", "c", "E", "G"))
        args = self.pick("a", "s", "f, q", "12345678.9", "a, x=5", "x=s, y=d", "d, x=l", "true", "-255, f", "1e22", "none", "u")
        return f"'{self.pick('', '{{', 'a')}{{{field}{spec}}}{self.pick('', '}}', ' {}', ' {1}')}'.format({args})"

    def filter(self):
        return self.tojson() if self.chance(0.15) else self.rng.choice(FILTERS)

    def expr(self, depth=3):
        if depth <= 0 or self.chance(0.15):
            return self.rng.choice(NAMES) if self.chance(0.6) else self.literal()
        e = lambda: self.expr(depth - 1)
        kind = self.rng.random()
        if kind < 0.18:
            return f"{e()} {self.rng.choice(BINARY)} {e()}"
        if kind < 0.38:
            return f"{e()} | {self.filter()}"
        if kind < 0.58:
            return f"({e()}){self.rng.choice(METHODS)}" if self.chance(0.5) else f"{self.rng.choice(NAMES)}{self.rng.choice(METHODS)}"
        if kind < 0.66:
            return f"{e()} is {self.pick('', '', 'not ')}{self.rng.choice(TESTS)}"
        if kind < 0.71:
            return f"({e()} if {e()}{self.pick(' else ' + e(), '')})"
        if kind < 0.74:
            return f"not {e()}"
        if kind < 0.77:
            return self.pick("-", "+", "--", "- ") + e()
        if kind < 0.80:
            return f"[{e()}, {e()}]"
        if kind < 0.82:
            return f"({e()}, {e()}{self.pick('', ',')})"
        if kind < 0.85:
            return f"{{'k': {e()}, {self.literal()}: {e()}}}"
        if kind < 0.89:
            part = lambda: e() if self.chance(0.6) else ""
            return f"({e()})[{self.pick(e(), part() + ':' + part(), part() + ':' + part() + ':' + part())}]"
        if kind < 0.91:
            return f"{e()} {self.pick('<', '<=', '==', 'in')} {e()} {self.pick('<=', '>', '!=', 'not in')} {e()}"
        if kind < 0.93:
            return self.percent()
        if kind < 0.95:
            return self.braces()
        if kind < 0.96:
            return f"strftime_now('{self.rng.choice(STRFTIME)}')"
        if kind < 0.97:
            return f"({e()}, {e()}, 'x') {self.pick('==', '<', '+', 'in')} ({e()}, {e()})"
        if kind < 0.98:
            return f"{e()} ~ {e()} ~ {e()}"
        return f"({e()})"

    def space(self):
        return self.pick("", "", " ", "\n", "  \n", "\n  ", "x", "x\n", " y ", "\n\n", "\t", "\r\n", " \r\n ", "ä\n\t", "}}", "%}", "{", "{ {", "#}", "\n# c\n", "-")

    def open(self):
        return "{%" + self.pick("", "", "-", "+") + self.pick(" ", " ", " ", "", "\n", "  ")

    def close(self):
        return self.pick(" ", " ", " ", "\n") + self.pick("", "", "-", "+") + "%}"

    def tag(self, text):
        return self.open() + text + self.close()

    def output(self, text):
        return "{{" + self.pick("", "", "-", "+") + " " + text + " " + self.pick("", "", "-") + "}}"

    def body(self, depth, in_loop=False):
        return "".join(self.space() + self.statement(depth - 1, in_loop) for _ in range(self.rng.randint(0, 3))) + self.space()

    def for_loop(self, depth):
        target = self.pick("i", "i", "x", "i, x", "(i, x)", "i, (x, a)", "_")
        source = self.pick("l", "m", "d", "r", "s", "d.items()", "range(4)", "e", "[[1, 2], [3, 4]]", "r | map(attribute='k')", "d | dictsort", "d.values()",
                           "missing", "c", "l[::-1]", "r | selectattr('v')", "m | unique", "[1, 2, 3] | batch(2)", "r | groupby('k')", "loop", "(1, 'a')", self.expr(2))
        loops = ["loop.index", "loop.last", "loop.length", "loop.revindex", "loop.revindex0", "loop.previtem", "loop.nextitem", "loop.first", "loop.index0",
                 "loop.cycle('a', 'b')", "loop.changed(i)", "loop.changed(i, loop.first)", "loop", "loop.depth", "loop.depth0", "loop.nextitem is defined",
                 "loop.previtem is undefined", "loop.cycle(*l)", "loop.nosuch", "loop['index']", "loop.previtem ~ loop.nextitem", "not loop.last",
                 "', ' if not loop.last", "loop.length > 2", "loop(l)", "loop | length", "loop.cycle()"]
        loop = "".join(self.output(self.rng.choice(loops)) for _ in range(self.pick(0, 0, 1, 2)))
        test = " if " + self.pick("i", "x", "i is string", "loop", "loop.first", "not i", self.expr(1)) if self.chance(0.2) else ""
        jump = self.tag("if " + self.pick("loop.last", "i", self.expr(1))) + self.tag(self.pick("break", "continue")) + self.tag("endif") if self.chance(0.2) else ""
        other = self.tag("else") + self.body(depth) if self.chance(0.3) else ""
        return self.tag(f"for {target} in {source}{test}") + loop + jump + self.body(depth, True) + other + self.tag("endfor")

    def macro(self, depth):
        name = self.pick("g", "g", "h")
        args = self.pick("", "i", "i, x=2", "x=a", "caller='c'", "i, x", "i, x=i", "kwargs", "varargs", "i=[], x={}", "i, i", "x=1, i", "caller")
        call = name + self.pick("()", "(1)", "(1, 2)", "(x=3)", "(1, 2, 3)", "(i=1, y=2)", "(*l)", "(**d)", "(x, *e)", "('a', x='b')", "(1, i=2)", "(caller=1)", "(i=i)")
        inner = self.pick("{{ varargs }}", "{{ kwargs }}", "{{ caller() }}", "{{ caller(1) }}", "{{ caller(i, 2) }}", "", "{{ g.name }}", "{{ x }}{{ i }}",
                          "{{ caller is defined }}", "{{ varargs | length }}{{ kwargs | dictsort }}", "{{ g.arguments }}{{ g.catch_kwargs }}{{ g.caller }}",
                          "{% if i is number and i > 0 %}{{ g(i - 1) }}{% endif %}", "{{ loop is defined }}")
        if self.chance(0.6):
            use = self.output(self.pick(call, call + " | upper", call + " ~ " + call, call + " | length"))
        else:
            use = self.tag(f"call{self.pick('', '(i)', '(i, x=1)')} {call}") + self.body(depth) + self.pick("", "{{ i }}", "{{ varargs }}") + self.tag("endcall")
        return self.tag(f"macro {name}({args})") + inner + self.body(depth) + self.tag("endmacro") + use

    def statement(self, depth, in_loop=False):
        if depth <= 0 or self.chance(0.33):
            return self.output(self.expr(self.rng.randint(0, 3)))
        if in_loop and self.chance(0.05):
            return self.tag(self.pick("break", "continue"))
        kind = self.rng.random()
        if kind < 0.2:
            other = "".join(self.tag("elif " + self.expr(2)) + self.body(depth, in_loop) for _ in range(self.pick(0, 0, 1, 2)))
            other += self.tag("else") + self.body(depth, in_loop) if self.chance(0.5) else ""
            return self.tag("if " + self.expr(2)) + self.body(depth, in_loop) + other + self.tag("endif")
        if kind < 0.42:
            return self.for_loop(depth)
        if kind < 0.60:
            return self.tag(f"set {self.pick('x', 'i', 'a', 'x, i', 'ns.x', 'd', 'ns.y', '(x, i)', 'x, ns.x', 'l', 'ns', 'loop', 'ns._p', 'i, (x, a)')} = " +
                            self.pick(self.expr(2), self.expr(2), self.expr(1) + ", " + self.expr(1), "ns.x + 1", "namespace(" + self.pick("", "x=1", "d", "d, y=2") + ")"))
        if kind < 0.67:
            return (self.tag(f"set {self.pick('x', 'a', 'ns.x', 'i')}{self.pick('', ' | upper', ' | trim', ' | replace(x, i) | length', ' | indent(2) | trim')}") +
                    self.body(depth, in_loop) + self.tag("endset"))
        if kind < 0.73:
            return (self.tag("filter " + self.pick("upper", "trim", "replace('a', 'b')", "length", "indent", "upper | trim", "e | e", "nosuch", "list", "tojson", "title")) +
                    self.body(depth, in_loop) + self.tag("endfilter"))
        if kind < 0.85:
            return self.macro(depth)
        if kind < 0.90:
            values = self.pick(f"x = {self.expr(1)}, i = {self.expr(1)}", f"x = {self.expr(2)}", "", "x, i = (1, 2)", "a = a, x = a")
            return self.tag(f"with {values}") + self.body(depth, in_loop) + self.tag("endwith")
        if kind < 0.92:
            return self.tag("generation") + self.body(depth) + self.tag("endgeneration")
        if kind < 0.95:
            return "{#" + self.pick("", "-", "+") + self.pick(" comment ", "", "\n{{ x }}\n", " {% if %} ", "#", " #") + self.pick("", "-", "+") + "#}"
        if kind < 0.96:
            return self.tag("print " + self.expr(2) + self.pick("", ", " + self.expr(1)))
        if kind < 0.965:
            return self.pick("{% if %}", "{% nosuch %}", "{{", "{% endif %}", "{{ 'x }}", "{{ a b }}", "{% for i in %}", "{{ }}", "{% set = 1 %}", "{# x", "{{ a. }}", "{{ [1 }}",
                             "{% set true = 1 %}", "{{ a | }}", "{{ a is }}", "{{ not }}", "{% macro %}", "{{ 1x }}", "{{ a ? b }}", "{{ raise_exception('r') }}", "{{ {1, 2} }}", "{{ a := 1 }}")
        return self.tag("raw") + self.pick("{{ raw }}", " {% x %}\n", "\n  {# #}", "") + self.tag("endraw")

    def template(self):
        prefix = "{% set ns = namespace(x=1) %}" if self.chance(0.4) else ""
        return prefix + self.body(self.pick(2, 3, 4, 4, 6))


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
    parser.add_argument("--templates", type=int, default=10**9, help="stop after so many")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # of Python about the source that jinja2 makes
    rng = random.Random(args.seed)
    grammar = Grammar(rng)
    end = time.monotonic() + args.seconds
    n = n_ok = n_different = 0
    print(f"seed {args.seed}")
    with tempfile.NamedTemporaryFile("w", suffix=".jinja", newline="") as file:
        while time.monotonic() < end and n < args.templates:
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
