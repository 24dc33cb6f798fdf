#!/usr/bin/env python3
"""Grammars against Python's re and jsonschema:  check_grammar.py GRAMMAR-TOOL [SEED [ROUNDS]]

Patterns: random ones and random texts, compared with re.fullmatch. Schemas: random ones; documents made for them are
accepted exactly when jsonschema finds them valid (in the forms that grammar.h accepts), and every text of a random walk
through the masks parses and is valid. Skips without jsonschema.
"""

import json
import random
import re
import signal
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("skipped: no Python package jsonschema")
    sys.exit(77)

rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 150
tool = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
n_checks = {"texts": 0, "matched": 0, "documents": 0, "valid": 0, "walks": 0, "refused": 0}


def ask(line):
    tool.stdin.write(line + "\n")
    tool.stdin.flush()
    answer = tool.stdout.readline()
    if not answer:
        sys.exit(f"the tool has ended at: {line[:2000]}")
    return answer.rstrip("\n")


def schema_compile(schema, flags=0):
    return ask(f"S {flags} {json.dumps(schema).encode().hex()}")


def accepts(text):
    return ask("D " + text.encode().hex()) == "1"


def fail(*what):
    sys.exit("\n".join(str(w) for w in what))


# ---- patterns ----------------------------------------------------------------------------------------------------


def random_pattern(depth=0):
    kind = rng.randrange(9 if depth < 4 else 5)
    if kind < 2:
        return rng.choice(["a", "b", "c", "0", "é", "中", r"\.", r"\n", "x-", r"\x41", r"\u00e9"])
    if kind == 2:
        return rng.choice([".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S"])
    if kind in (3, 4):
        parts = rng.sample(["a-c", "0-9", "é", "_", r"\d", "中-龍", r"\]", "-", r"\s"], rng.randint(1, 3))
        parts.sort(key=lambda p: p == "-")
        return "[" + rng.choice(["", "^"]) + "".join(parts) + "]"
    if kind == 5:
        return random_pattern(depth + 1) + random_pattern(depth + 1)
    if kind == 6:
        return rng.choice(["(", "(?:"]) + random_pattern(depth + 1) + "|" + random_pattern(depth + 1) + ")"
    inner = "(?:" + random_pattern(depth + 1) + ")"
    return inner + rng.choice(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "{9,12}"])


def random_text(alphabet="abc0é中.\nx-A_ ]\t龍"):
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(0, 7)))


def out_of_time(*_):
    raise TimeoutError


signal.signal(signal.SIGALRM, out_of_time)


def re_matches(compiled, text):
    """None where re would search for ever."""
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        return compiled.fullmatch(text) is not None
    except TimeoutError:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def check_patterns():
    for _ in range(ROUNDS):
        pattern = random_pattern()
        while sum(pattern.count(c) for c in "*+{") > 2:  # re would search for ever
            pattern = random_pattern()
        if rng.random() < 0.2:
            pattern = "^" + pattern + "$"
        answer = ask("R " + pattern.encode().hex())
        if answer != "ok":
            fail("pattern", pattern, answer)
        compiled = re.compile(pattern.replace("$", r"\Z"), re.ASCII)
        texts = [random_text() for _ in range(30)]
        for seed in range(5):
            walked = ask(f"W {seed}")
            text = bytes.fromhex(walked).decode() if walked != "-" else ""
            if walked != "-" and len(text) < 60:
                n_checks["walks"] += 1
                if re_matches(compiled, text) is False:
                    fail("walk", pattern, repr(text))
                texts += [text, text[1:], text[:-1], text + "a"] if len(text) < 30 else []
        for text in texts:
            expected = re_matches(compiled, text)
            if expected is None:
                break
            n_checks["texts"] += 1
            n_checks["matched"] += expected
            if accepts(text) != expected:
                fail("pattern", repr(pattern), repr(text), f"re says {expected}")


# ---- schemas -----------------------------------------------------------------------------------------------------

NAMES = ["a", "ab", "b", "name", "ä", 'q"t', "x y", "中"]


def random_schema(depth=0):
    kind = rng.randrange(12 if depth < 3 else 7)
    if kind == 0:
        return rng.choice([{"type": "null"}, {"type": "boolean"}, {"type": ["string", "null"]}, {"type": ["integer", "boolean"]}])
    if kind == 1:
        schema = {"type": "integer"}
        lo = rng.randint(-1200, 1200)
        if rng.random() < 0.6:
            schema[rng.choice(["minimum", "exclusiveMinimum"])] = lo
        if rng.random() < 0.6:
            schema[rng.choice(["maximum", "exclusiveMaximum"])] = lo + rng.choice([2, 5, 100, 3000])
        return schema
    if kind == 2:
        schema = {"type": "number"}
        lo = rng.choice([rng.randint(-30, 30), rng.randint(-300, 300) / 8, round(rng.uniform(-3, 3), rng.randint(1, 3)), 0])
        if rng.random() < 0.6:
            schema[rng.choice(["minimum", "exclusiveMinimum"])] = lo
        if rng.random() < 0.6:
            schema[rng.choice(["maximum", "exclusiveMaximum"])] = round(lo + rng.choice([1, 5, 100, 0.5, 0.125, 0.001]), 6)
        return schema
    if kind == 3:
        schema = {"type": "string"}
        if rng.random() < 0.5:
            schema["minLength"] = rng.randint(0, 3)
        if rng.random() < 0.5:
            schema["maxLength"] = rng.randint(3, 40)
        return schema
    if kind == 4:
        schema = {"type": "string", "pattern": rng.choice(["^[a-c]+$", "b", r"^\d{2}", "x$", "^(a|é)*$", r"^\w+ \w+$", "", "a{2,3}|b+"])}
        if rng.random() < 0.3:
            schema["minLength"] = rng.randint(0, 4)
        if rng.random() < 0.3:
            schema["maxLength"] = rng.randint(3, 12)
        return schema
    if kind == 5:
        return {"enum": rng.sample(["a", "b\n", 1, 2.5, None, True, [1], {"k": "v"}], rng.randint(1, 4))}
    if kind == 6:
        return rng.choice([{"const": "x"}, {}, True, {"type": "string", "format": rng.choice(["date", "uuid", "ipv4", "email"])}])
    if kind in (7, 8, 9):
        names = rng.sample(NAMES, rng.randint(0, 4))
        schema = {"type": "object", "properties": {n: random_schema(depth + 1) for n in names}}
        schema["required"] = [n for n in names if rng.random() < 0.5]
        extra = rng.randrange(4)
        schema["additionalProperties"] = random_schema(depth + 1) if extra == 0 else extra == 1
        if rng.random() < 0.2:
            schema["maxProperties"] = rng.randint(len(schema["required"]), 4)
        if rng.random() < 0.2 and (extra > 1 or rng.random() < 0.2):
            schema["minProperties"] = rng.randint(0, len(names)) if extra > 1 else 1
        if rng.random() < 0.1:
            del schema["properties"], schema["required"]
            schema.pop("minProperties", None)
            schema["patternProperties"] = {rng.choice(["^a", "^[a-z]+$", "m|z"]): random_schema(depth + 1)}
            schema["additionalProperties"] = False
        elif rng.random() < 0.1:
            del schema["properties"], schema["required"]
            schema.pop("minProperties", None)
            schema["propertyNames"] = rng.choice([{"maxLength": 2}, {"enum": ["a", "zz", 5]}, {"pattern": "^[a-z]+$"}])
        return schema
    if kind == 10:
        schema = {"type": "array", "items": random_schema(depth + 1)}
        if rng.random() < 0.3:
            schema["prefixItems"] = [random_schema(depth + 1) for _ in range(rng.randint(1, 2))]
        if rng.random() < 0.5:
            schema["minItems"] = rng.randint(0, 3)
        if rng.random() < 0.5:
            schema["maxItems"] = rng.randint(3, 5)
        return schema
    return {rng.choice(["anyOf", "oneOf"]): [random_schema(depth + 1) for _ in range(rng.randint(1, 3))]}


def random_string():
    return rng.choice(["", "a", "abc", "ab12", "é中", "12", "x", "a b", "b\n", 'q"\\', "2024-01-31", "10.0.0.1", "a@b.cc",
                       "00000000-0000-0000-0000-00000000abcd", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\U0001f600"])


def random_value(depth=0):
    kind = rng.randrange(8 if depth < 3 else 6)
    if kind == 6:
        return [random_value(depth + 1) for _ in range(rng.randint(0, 4))]
    if kind == 7:
        return {rng.choice(NAMES + ["zz"]): random_value(depth + 1) for _ in range(rng.randint(0, 3))}
    return rng.choice([None, True, False, rng.randint(-1500, 1500), rng.randint(-40, 40), rng.randint(-300, 300) / 8,
                       random_string(), random_string()])


def document_for(schema, depth=0):
    """A document that is often valid, its members in the order of the schema."""
    if isinstance(schema, bool) or not schema or depth > 12 or rng.random() < 0.03:
        return random_value()
    if "anyOf" in schema or "oneOf" in schema:
        return document_for(rng.choice(schema.get("anyOf") or schema.get("oneOf")), depth + 1)
    if "$ref" in schema:
        return document_for(ROOT["$defs"][schema["$ref"].split("/")[-1]], depth + 1)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    kind = rng.choice(kind) if isinstance(kind, list) else kind
    if kind == "object":
        value = {}
        for name, inner in schema.get("properties", {}).items():
            if name in schema.get("required", []) or rng.random() < 0.5:
                value[name] = document_for(inner, depth + 1)
        extra = schema.get("additionalProperties", "properties" not in schema)
        while extra is not False and rng.random() < 0.4:
            name = rng.choice(NAMES + ["zz", "a\n", "nam", "namee"])
            if name not in schema.get("properties", {}):
                value[name] = document_for(extra, depth + 1)
        return value
    if kind == "array":
        n = rng.randint(schema.get("minItems", 0), schema.get("maxItems", 4))
        first = schema.get("prefixItems", [])
        return [document_for(first[i] if i < len(first) else schema["items"], depth + 1) for i in range(n)]
    if kind == "string":
        return random_string() if rng.random() < 0.7 else "a" * rng.randint(0, 42)
    if kind in ("integer", "number"):
        lo = schema.get("minimum", schema.get("exclusiveMinimum", -50))
        hi = schema.get("maximum", schema.get("exclusiveMaximum", lo + 99))
        value = rng.choice([lo - 1, lo, lo + 1, hi - 1, hi, hi + 1, (lo + hi) / 2, rng.uniform(lo, hi)])
        return round(value) if kind == "integer" else round(rng.choice([value, value, value + 0.5, value - 0.125, value + 0.001]), 6)
    return {"null": None, "boolean": rng.random() < 0.5}.get(kind)


CHECKER = jsonschema.FormatChecker(["date", "uuid", "ipv4", "email"])


def in_order(schema, value):
    """Are the members in the order that a grammar writes them (unordered ones elsewhere are jsonschema's alone)?"""
    if isinstance(schema, bool) or not schema:
        return True
    if "$ref" in schema:
        return in_order(ROOT["$defs"][schema["$ref"].split("/")[-1]], value)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return any(valid(s, value) and in_order(s, value) for s in schema[key])
    if isinstance(value, dict) and "enum" not in schema and "const" not in schema:
        names, properties = list(value), schema.get("properties", {})
        wanted = [n for n in properties if n in value] + [n for n in names if n not in properties]
        if names != wanted:
            return False
        return all(in_order(properties.get(n, schema.get("additionalProperties", True)), v) for n, v in value.items())
    if isinstance(value, list) and "enum" not in schema and "const" not in schema:
        first = schema.get("prefixItems", [])
        return all(in_order(first[i] if i < len(first) else schema.get("items", True), v) for i, v in enumerate(value))
    return True


def relaxed(schema):
    """oneOf as anyOf; $ is the end, not also what is before a last line feed."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            schema = {**schema, "pattern": schema["pattern"].replace("$", r"\Z")}
        return {("anyOf" if k == "oneOf" else k): relaxed(v) for k, v in schema.items()}
    return [relaxed(s) for s in schema] if isinstance(schema, list) else schema


def valid(schema, value):
    document = {"allOf": [relaxed(schema)], "$defs": relaxed(ROOT.get("$defs", {}))} if isinstance(ROOT, dict) else schema
    return jsonschema.Draft202012Validator(document, format_checker=CHECKER).is_valid(value)


def has_float_whole(value):
    if isinstance(value, float):
        return value == int(value)
    if isinstance(value, (list, dict)):
        return any(has_float_whole(v) for v in (value.values() if isinstance(value, dict) else value))
    return False


def has_constant_container(schema):
    """Constants of several parts have one spelling."""
    return any(isinstance(v, (list, dict)) for v in constants(schema))


def constants(schema):
    if isinstance(schema, dict):
        yield from schema.get("enum", [])
        for v in schema.values():
            yield from constants(v)
    elif isinstance(schema, list):
        for v in schema:
            yield from constants(v)


FORMS = [dict(), dict(ensure_ascii=False), dict(indent=2, ensure_ascii=False), dict(separators=(",", ":"), ensure_ascii=False)]


def check_document(schema, value):
    expected = valid(schema, value) and in_order(schema, value)
    for form in FORMS:
        if form in (FORMS[0], FORMS[2]) and (expected and json.dumps(value) != json.dumps(value, ensure_ascii=False)):
            continue  # escapes where one spelling holds
        if form is not FORMS[3] and expected and has_constant_container(schema):
            continue
        text = json.dumps(value, **form)
        n_checks["documents"] += 1
        n_checks["valid"] += expected
        if accepts(text) != expected:
            fail("schema", json.dumps(schema, ensure_ascii=False), text, f"jsonschema says {expected}")


ROOT = {}


def check_schema(schema):
    global ROOT
    ROOT = schema
    answer = schema_compile(schema)
    if answer != "ok":
        if "nothing can satisfy" not in answer:
            fail("schema", json.dumps(schema), answer)
        n_checks["refused"] += 1
        return
    for _ in range(12):
        value = document_for(schema)
        if not has_float_whole(value):
            check_document(schema, value)
    for seed in range(3):
        walked = ask(f"W {seed}")
        if walked != "-":
            text = bytes.fromhex(walked).decode()
            n_checks["walks"] += 1
            if not valid(schema, json.loads(text)):
                fail("walk", json.dumps(schema, ensure_ascii=False), text)


TREE = {"$defs": {"node": {"type": "object", "properties": {"v": {"type": "integer"}, "left": {"anyOf": [{"$ref": "#/$defs/node"},
        {"type": "null"}]}, "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}}, "required": ["v"],
        "additionalProperties": False}}, "$ref": "#/$defs/node"}

REFUSED = [
    ({"type": "object", "patternProperties": {"a": {}, "b": True}}, "patternProperties"),
    ({"type": "object", "properties": {"a": {}}, "patternProperties": {"a": {}}}, "patternProperties"),
    ({"type": "object", "minProperties": 2}, "minProperties"),
    ({"type": "string", "pattern": "a", "format": "date"}, "together"),
    ({"type": "object", "properties": {"a": {"not": {}}}}, "schema.properties.a: the keyword \"not\""),
    ({"type": "array", "uniqueItems": True}, "uniqueItems"),
    ({"type": "string", "format": "regex"}, "format"),
    ({"type": "string", "pattern": "(?=a)"}, "look-around"),
    ({"type": "string", "pattern": r"(a)\1"}, "references"),
    ({"type": "string", "pattern": "a{,3}"}, "{0,n}"),
    ({"type": "number", "multipleOf": 0.1}, "multipleOf"),
    ({"type": "number", "minimum": 1e-7}, "exponents"),
    ({"$ref": "http://x/y"}, "$ref"),
    ({"$ref": "#/$defs/none"}, "leads nowhere"),
    ({"$ref": "#"}, "refers to itself"),
    ({"$defs": {"a": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}}, "$ref": "#/$defs/a"},
     "nothing can satisfy"),
    ({"type": "integer", "minimum": 5, "maximum": 4}, "nothing can satisfy"),
    ({"type": "string", "maxLength": 1000000}, "too large"),
    ({"allOf": [{"type": "string"}, {"type": "null"}]}, "both have \"type\""),
    ({"type": 5}, "type"),
    (7, "must be an object"),
]


def check_fixed():
    for schema, word in REFUSED:
        answer = schema_compile(schema)
        if not answer.startswith("error") or word not in answer:
            fail("should be refused for", word, json.dumps(schema), answer)
    merged = {"$defs": {"b": {"properties": {"x": {"type": "integer"}}, "required": ["x"]}},
              "allOf": [{"$ref": "#/$defs/b"}, {"properties": {"y": {"type": "string"}, "x": {"minimum": 3, "type": "number"}}}], "type": "object"}
    assert schema_compile(merged) == "ok", schema_compile(merged)
    assert accepts('{"x":3,"y":"a"}') and accepts('{"x": 4}') and not accepts('{"x":2}') and not accepts('{"y":"a"}')
    assert schema_compile({"type": "object", "properties": {"answer": {"enum": ["yes", "yet"]}}, "required": ["answer"],
                           "additionalProperties": False}, 1) == "ok"
    assert bytes.fromhex(ask("F")) == b'{"answer":"ye', ask("F")
    assert accepts('{"answer":"yes"}') and not accepts('{"answer": "yes"}')
    assert "strict" in schema_compile({"type": "object", "properties": {"a": {}}}, 2)
    assert schema_compile({"type": "object"}) == "ok"
    assert accepts('{"a":' + "[" * 40 + "1" + "]" * 40 + "}") and not accepts("[]") and not accepts('{"a":1,}') and not accepts(' {}')
    assert accepts(r'{"\u0041\ud83d\ude00":1e5}') and not accepts(r'{"\ud83d":1}') and not accepts('{"a":01}')


def check_extremes():
    """Deep recursion ends where it can still be closed; sets of thousands of nodes and loops of nothing do no harm."""
    nodes = {"a": {"type": "object", "properties": {"b": {"$ref": "#/$defs/b"}}, "required": ["b"]},
             "b": {"type": "object", "properties": {"c": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}}, "required": ["c"]}}
    assert schema_compile({"$defs": nodes, "$ref": "#/$defs/a"}) == "ok"
    deep = [accepts('{"b":{"c":' * n + "null" + "}}" * n) for n in range(1, 60)]
    assert deep[:40] == [True] * 40 and not deep[-1] and sorted(deep, reverse=True) == deep, deep
    for pattern in ("(|a){10000}", "((a*)*)*b", "(((x{0}){10000}){10000}){10000}", "[ab]*a[ab]{1000}", "(.*é.{0,300}){2}"):
        assert ask("R " + pattern.encode().hex()) == "ok", pattern
        ask("W 3")
    assert "too large" in ask("R " + "((a{0,100}){0,100}){0,100}".encode().hex())


check_fixed()
check_extremes()
check_patterns()
check_schema(TREE)
for _ in range(ROUNDS):
    check_schema(random_schema())
tool.stdin.close()
if tool.wait() != 0:
    sys.exit("the tool has failed")
print(n_checks)
for name in n_checks:
    if n_checks[name] == 0 and name != "refused":
        sys.exit(f"nothing was checked: {name}")
