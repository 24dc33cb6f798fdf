#!/usr/bin/env python3
"""Records tests/fixtures/chat_templates/cases.json: templates, contexts, and what Python's jinja2 makes of them.

usage: gen_chat_templates.py   (needs the PyPI package jinja2 3.1.6)
"""

import json
import pathlib

from jinja_env import render

HERE = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "chat_templates"

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city in °C, <now>",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "tags": {"type": "array", "elements": {"type": "string"}}},
            "required": ["city"],
        },
    },
}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": {"city": "Zürich", "days": 2}}}
SYSTEM = {"role": "system", "content": " Be brief. "}
USER = {"role": "user", "content": "Hi <b>there</b> & \"you\"\n ünï 🙂 "}
CHATS = {
    "user": [USER],
    "system": [SYSTEM, USER],
    "turns": [SYSTEM, USER, {"role": "assistant", "content": " 4 "}, {"role": "user", "content": "and?\n"}],
    "call": [USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c1", "content": "{\"t\": 1}"}],
    "calls": [USER, {"role": "assistant", "content": "x", "tool_calls": [CALL, CALL]}, {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}, USER],
    "none": [USER, {"role": "assistant", "content": None}],
    "parts": [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
    "developer": [{"role": "developer", "content": "d"}, USER],
    "empty": [],
}

D = {"a": 1, "b": [1, 2.5, None, True], "c": {"x": "é", "y": "\"q\"\n"}, "items": "I", "s": " Hello, World ", "n": -7,
     "rows": [{"k": "b", "v": 2}, {"k": "a", "v": 1}, {"k": "B", "v": 3}], "html": "<a href='x'>&</a>", "e": [], "big": 1e22}

SNIPPETS = r"""
{{ a }} {{ b }} {{ c }} {{ s }}
{{ a.b.c }}
{{ missing }}|{{ missing is defined }}|{{ c.missing is undefined }}|{{ missing | default('d') }}
{{ missing.x }}
{{ missing + 1 }}
{{ c.items is callable }} {{ c['items'] is defined }} {{ c.x }}
{{ 1 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7.5 % -2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 1e16 }} {{ 1e15 }} {{ 1.5e-7 }} {{ 0.1 + 0.2 }}
{{ 10 / 0 }}
{{ '%05.2f|%-5s|%+d|%x|%%' % (3.14159, 'ab', 3, 255) }}
{{ '%(x)s and %(y)r' | format(x=1, y='q') }}
{{ '{} {1} {x}'.format(1, 2, x=3) }}
{{ '{0} {1!r:>6} {x:.3f} {x:,} {0:04d}'.format(5, 'q', x=12345.678) }}
{{ 'abc'[0] }}{{ 'abc'[-1] }}{{ 'abc'[::-1] }}{{ 'äöü'[1:] }}{{ 'abc'[5] }}{{ b[1:3] }}{{ b[::-2] }}
{{ 1 < 2 < 3 }} {{ 1 < 2 > 5 }} {{ 'a' in 'cat' }} {{ 1 not in b }} {{ [1, 'a'] == [1.0, 'a'] }} {{ 'a' < 'B' }}
{{ 'a' < 1 }}
{{ true and 'x' or 'y' }} {{ not '' }} {{ none or 0 or [] }} {{ 'x' if false }}|
{{ ('x' if false) + 'y' }}
{{ 'a' ~ 1 ~ none ~ true ~ 1.0 }}
{{ 'a' + 1 }}
{{ [1] + [2] }} {{ (1,) + (2,) }} {{ 'ab' * 2 }} {{ [0] * 3 }}
{% for k, v in c.items() %}{{ loop.index }}{{ k }}={{ v }};{% endfor %}
{% for x in b %}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.previtem }}{{ loop.nextitem }}|{% endfor %}
{% for x in b if x %}{{ loop.index }}:{{ x }}/{{ loop.length }} {% else %}none{% endfor %}
{% for x in [] %}x{% else %}empty{% endfor %}
{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x > 4 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in [1, 2] %}{% continue %}{% else %}else{% endfor %}
{% for a, b in [[1, 2], [3, 4]] %}{{ a + b }} {% endfor %}{{ a }}
{% for a, b in [[1, 2, 3]] %}{{ a }}{% endfor %}
{% for x in 5 %}{% endfor %}
{% set x = 1 %}{% for i in range(3) %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}
{% set ns = namespace(x=1) %}{% for i in range(3) %}{% set ns.x = ns.x + 1 %}{% endfor %}{{ ns.x }}{{ ns }}
{% set ns = {'x': 1} %}{% set ns.x = 2 %}
{% if a == 1 %}{% set y = 'in' %}{% endif %}{{ y }}
{% for i in [1, 2] %}{% if i == 1 %}{% set z = i %}{% endif %}[{{ z }}]{% endfor %}
{% set x %}block {{ a }}{% endset %}[{{ x }}]
{% set x | upper | replace('B', 'x') %}block{% endset %}[{{ x }}]
{% filter upper %}abc {{ s }}{% endfilter %}
{% macro m(x, y='d', *z) %}{% endmacro %}
{% macro m(x, y='d') %}<{{ x }},{{ y }},{{ varargs }},{{ kwargs }}>{% endmacro %}{{ m(1) }}{{ m(1, 2, 3, q=4) }}{{ m(y=5) }}{{ m.name }}
{% macro m(x) %}{{ x }}{% endmacro %}{{ m(1, 2) }}
{% macro m(x) %}{{ x }}{% endmacro %}{{ m(y=2) }}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}
{% macro wrap() %}<{{ caller('x') }}>{% endmacro %}{% call(v) wrap() %}{{ v }}{{ a }}{% endcall %}
{% macro outer() %}{% set q = 7 %}{% macro inner() %}{{ q }}{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}
{% with x = 1, y = a + 1 %}{{ x }}{{ y }}{% endwith %}{{ x }}
{% generation %}gen {{ a }}{% endgeneration %}
{% raw %}{{ not }} {% if %}{% endraw %}
a {#- comment -#} b
  {%- if true -%}  x  {%- endif -%}  y
{{ s | trim }}|{{ s | upper }}|{{ s | lower }}|{{ 'heLLo wORLD' | capitalize }}|{{ 'heLLo-wORLD it(s)' | title }}|{{ "it's a dog".title() }}
{{ 'ß ŉ ǆ İ Σας ΣΑΣ' | upper }} {{ 'ß İ ΣΑΣ' | lower }}
{{ ' a b  c '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ 'a\nb\r\nc'.splitlines() }} {{ 'abc'.partition('b') }}
{{ 'a'.split('') }}
{{ 'abcabc'.replace('b', 'X', 1) }} {{ 'xxabxx'.strip('x') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abcb'.find('b', 2) }} {{ 'abcb'.count('b') }}
{{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} {{ 'ab'.center(5, '*') }} {{ 'ab'.ljust(4, '.') }}| {{ 'ab'.rjust(4) }}
{{ 'abc'.isalpha() }} {{ '12'.isdigit() }} {{ 'Ab'.islower() }} {{ ' '.isspace() }} {{ 'aB1ǅß'.swapcase() }}
{{ '-'.join(['a', 'b']) }} {{ '-'.join([1]) }}
{{ b | join(',') }} {{ rows | join(', ', attribute='k') }} {{ rows | map(attribute='v') | sum }}
{{ rows | sort(attribute='k') | map(attribute='k') | join }} {{ rows | sort(attribute='k,v', reverse=true) | map(attribute='v') | list }}
{{ rows | selectattr('v', 'gt', 1) | map(attribute='k') | list }} {{ rows | rejectattr('k', 'in', ['a']) | list | length }}
{{ [1, 2, 3] | select('odd') | list }} {{ [0, 1, ''] | reject | list }} {{ ['a', 'A', 'b'] | unique | list }}
{{ rows | groupby('k') }} {% for g in rows | groupby('k') %}{{ g.grouper }}{{ g.list | length }}{% endfor %}
{{ {'b': 1, 'A': 2} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(true) }} {{ {'b': 1, 'A': 2} | dictsort(by='value', reverse=true) }}
{{ [3, 1, 2] | min }} {{ [3, 1, 2] | max }} {{ [3, 1, 2] | sort }} {{ [3, 1, 2] | reverse | list }} {{ 'abc' | reverse }} {{ [] | first }} {{ [1, 2] | last }}
{{ [1, 2, 3, 4, 5] | batch(2, 0) | list }} {{ [1, 2, 3, 4, 5] | slice(2) | list }}
{{ '3.7' | int }} {{ 'x' | int(9) }} {{ '0x1f' | int(0, 16) }} {{ '1e3' | float }} {{ 'x' | float }} {{ 3.14159 | round(2) }} {{ 2.5 | round }} {{ 2.1 | round(0, 'ceil') }} {{ -3 | abs }}
{{ c | tojson }} {{ c | tojson(indent=2) }} {{ b | tojson(separators=(',', ':')) }} {{ c | tojson(ensure_ascii=true, sort_keys=true) }} {{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }}
{{ missing | tojson }}
{{ (1, 2) | tojson }} {{ big | tojson }} {{ [] | tojson(indent=1) }} {{ {} | tojson }}
{{ html | e }} {{ html | safe }} {{ (html | safe) + '<' }} {{ '<' + (html | safe) }} {{ (html | safe) ~ '<' }} {{ 'a' | safe | string is escaped }}
{{ 'foo bar baz' | truncate(9) }} {{ 'foo bar baz qux' | truncate(9, true, '.') }} {{ 'a\nb\n' | indent }} {{ 'a\n\nb' | indent(2, true, true) }} {{ 'a b-c' | wordcount }}
{{ 123456789 | filesizeformat }} {{ 'a b&c=/é' | urlencode }} {{ {'a': 1, 'b': 'x y'} | urlencode }} {{ '<b>x</b>  y' | striptags }}
{{ a is number }} {{ s is string }} {{ c is mapping }} {{ b is sequence }} {{ b is iterable }} {{ 4 is divisibleby 2 }} {{ 3 is odd }} {{ none is none }} {{ true is boolean }} {{ 1 is sameas 1 }} {{ 1.0 is float }} {{ 'x' is in 'xy' }}
{{ x is nosuchtest }}
{% if false %}{{ x | nosuchfilter }}{% endif %}ok
{{ x | nosuchfilter }}
{{ b.append(1) }}
{{ b.append is defined }} {{ c.__class__ is defined }} {{ ''.__class__ }}
{{ c.__class__.__name__ }}
{{ c.get('x') }} {{ c.get('z') }} {{ c.get('z', 1) }} {{ c.keys() | list }} {{ c.values() }} {{ c.items() }}
{{ dict(a=1, b=2) }} {{ dict([('a', 1)]) }} {{ range(5, 0, -2) | list }} {{ range(3) }} {{ range(1000000) }}
{{ raise_exception('no ' ~ a) }}
{{ strftime_now('%Y-%m-%d %H:%M:%S %j %A %B %f') }}
{{ namespace(_x=1) }}
{{ "\u00e9\x41\t\\ \d" }} {{ 'a' 'b' }} {{ 0x1F + 0b11 + 0o17 + 1_000 }}
{{ [1, 2, 3][1:][0] }} {{ (1, 2)[0] }} {{ {'a': {'b': [5]}}.a.b[0] }} {{ {'a': 1}.b is defined }}
{{ 'a' if 'a' == 'b' else 'c' if true else 'd' }}
{{ -2 ** 2 }} {{ -a | abs }} {{ not a == 1 }} {{ 1 + 2 * 3 - 4 }} {{ 'a' ~ 'b' + 'c' }}
{{ [x for x in b] }}
{% if %}{% endif %}
{% for x in b %}
{{ a }
{% endif %}
{{ 'unterminated }}
{% unknown %}
{{ a | }}
{{ loop }}
{% for x in b %}{% for y in b %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}
{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{{ loop.cycle('a', 'b') }}{% endfor %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = 1, %}{{ c }}
{% print 1, 2 %}
{% set j = joiner(', ') %}{% for x in [1, 2] %}{{ j() }}{{ x }}{% endfor %}{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.current }}
{% include 'x' %}
{{ e | first is undefined }} {{ e | join }} {{ [[1, 2], [3]] | sum(start=[]) }} {{ b | map('string') | list }} {{ [] | map('nosuch') | list }}
{{ rows | map(attribute='zz', default='-') | join }} {{ rows | map('nosuch') | list }}
{{ (3)[1:] }}|{{ (3)[1:] is undefined }}|{{ [1][:'a'] | default('d') }}|{{ 'abc'[1:2, 3] }}|{{ {}[([], 1)] }}
{{ a[1:] }}
{% set x = (3)[1:] %}
{{ s[1:2, 3] }}
{{ true or 'x' | nosuch }}{{ 'y' if true else ('x' is nosuch) }}{{ false and 'x' | nosuch }}
{{ a or 'x' | nosuch }}
{% if false %}{{ {[1]: 2}.x }}{% endif %}
{% if false %}{{ {a: 1, [1]: 2}.x }}{% endif %}ok{% if false %}{% set x = {[1]: 2} %}{% endif %}
{{ -2 ** 2 }} {{ -2 ** (a + 1) }} {{ (-2.5) ** (a + 1) }} {{ (-a) ** 2 }}
{{ 1e400 }} {{ -1e400 | abs }} {{ [1e400] }}
{% set x = 1e400 %}{{ x }}
{% set x = [1e308 * 10] | list %}{{ x }}
{% set x = 1e400 + a %}{{ x }}
{{ (true)[1:] | default('d') if (true)[1:] else 'e' }} {{ 'f' if (true)[1:] }}
{% print (3)[1:], a %}{% print a[1:], a %}
{{ 'a' ~ (3)[:1] ~ none }}{{ 1 < 2 < 'a' }}
{{ 2 < 1 < 'a' }} {{ [3, 1, 2] | sort | first }} {{ [1, 2] | map('string') | list }}{{ {'a': [1]} | tojson | upper }}
{% set x | replace('b', zz) %}b{% endset %}
{% set zz = 'c' %}{% set x | replace('b', zz) %}b{% endset %}{{ x }}
{% for x in b %}{% for y in loop %}{{ y[0] }}{{ loop.length }}{% endfor %}{% endfor %}
{{ 'x' % missing }} {{ '%s' % missing }}| {{ 'x' % [1] }} {{ '%(x)s %(y)r' % c }} {{ '%a' % s }} {{ '{!a}'.format(html) }}
{{ '%(x)s %s' % c }}
{{ a.bit_length() }} {{ n.conjugate() }} {{ 1.5.is_integer() }} {{ range(3).index(1) }} {{ 12345678901234567890.real }}
{{ 5e-324 }} {{ 2.0 ** 89 }} {{ 2.0 ** -44 }} {{ 1.7976931348623157e308 }} {{ 2.2250738585072014e-308 }} {{ 1e23 }} {{ 0.1 + 0.7 }}
{% macro m() %}{{ caller() }}{% endmacro %}{% call m(caller=1) %}{% endcall %}
{{ '{0.real} {}'.format(1) }} {{ '{0[1]}'.format('ab') }}
{{ '{0} {}'.format(1) }}
{{ -12345678901234567890 }} {{ 12345678901234567890 | abs }} {{ -9223372036854775808 | abs }} {{ 1e22 | int }} {{ '-0012345678901234567890' | int }}
{{ '{:,}|{:_x}|{:c}'.format(1234567, 70000, 65) }}
{{ '{:,x}'.format(1) }}
{{ '{:.2d}'.format(1) }}
{{ '{:,}'.format('x') }}
{{ 1e300 ** 2 }}
{{ '%5%' % a }}
{{ s['upper']() }} {{ c['items'] is defined }} {{ b['x'] is defined }} {{ a['real'] }} {{ s['zz'] }}|
{{ missing['x'] }}
{{ '{:^4}|{:*^5}|{:^ 03,.0f}|{:^+6}'.format('a', 'ab', 1.0, 7) }} {{ 'ab'.center(5, '*') }}
{% if e %}{% with x = a | nosuch %}{% endwith %}{% for x in a | nosuch %}{% endfor %}{% endif %}ok
{{ {'a': none, 'b': 1} | xmlattr }}
{{ {1: 'x'} | xmlattr }}
{{ 'hello'[1::9223372036854775807] }}{{ [1, 2][1::9223372036854775807] }}{{ 'hello'[3::-9223372036854775807] }}
{% if e %}{% with x = 1 %}{{ x | nosuch }}{% endwith %}{% endif %}
{% if e %}{% for x in b %}{{ x | nosuch }}{% endfor %}{% endif %}
{% for i, j in [[1, 2], [3, 4]] if i %}{{ loop.previtem }}{{ loop.nextitem }}{% endfor %}
""".strip("\n").split("\n")


def main():
    cases = []
    for style in ("chatml", "llama3", "hermes"):
        for name, messages in CHATS.items():
            for extra in ({"add_generation_prompt": True}, {"tools": [WEATHER], "add_generation_prompt": False, "count": True}):
                context = {"bos_token": "<s>", "messages": messages, **extra}
                source = (HERE / f"{style}.jinja").read_text()
                cases.append({"name": f"{style} {name}", "file": f"{style}.jinja", "context": context, **render(source, context)})
    for snippet in SNIPPETS:
        result = render(snippet, D)
        cases.append({"name": snippet, "template": snippet, "context": "D", **result})
    with open(HERE / "cases.json", "w") as out:
        json.dump({"D": D, "cases": cases}, out, ensure_ascii=False, indent=1)
        out.write("\n")
    print(f"{len(cases)} cases, {sum(c['ok'] for c in cases)} of them render")


main()
