#!/usr/bin/env python3
"""Answers of a random model under schemas as clients make them, against jsonschema:  check_structured.py TOKFS-MODEL

Every answer that is complete parses and is valid, whatever the model says at a high temperature. Skips without jsonschema.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("skipped: no Python package jsonschema")
    sys.exit(77)

TOOL = sys.argv[1]
SEEDS = int(sys.argv[2]) if len(sys.argv) > 2 else 2
SCHEMAS = json.loads((pathlib.Path(os.environ["TOKFS_SOURCE_ROOT"]) / "tests/fixtures/schemas.json").read_text())
PATTERNS = [r"\d{3}-\d{4}", r"(?:yes|no)(?: indeed)?", r"[A-Z][a-z]{1,8}(?: [A-Z][a-z]{1,8})?", r"#[0-9a-f]{6}", r"[^\x00-\x7f]{2}", r"-?\d+(?:\.\d{1,3})?"]
TEMPLATE = "{# <tool_call> #}{% for m in messages %}{{ m.content }}{% endfor %}"


def requests():
    """Each with what its answer is to be: a schema, a pattern, or the schema of a call's arguments."""
    base = {"messages": [{"role": "user", "content": "Go"}], "max_tokens": 700}
    for seed in range(SEEDS):
        some = {**base, "seed": seed, "temperature": [1.7, 0.8, 0][seed % 3], "n": 1}
        for s in SCHEMAS:
            yield {**some, "response_format": {"type": "json_schema", "json_schema": s}}, ("schema", s["schema"])
            yield {**some, "structured_outputs": {"json": s["schema"], "disable_any_whitespace": True}}, ("schema", s["schema"])
            tool = {"type": "function", "function": {"name": s["name"], "parameters": s["schema"]}}
            if s["schema"].get("type") == "object":
                yield {**some, "tools": [tool], "tool_choice": "required", "parallel_tool_calls": False, "chat_template": TEMPLATE}, ("call", s)
        for pattern in PATTERNS:
            yield {**some, "regex": pattern}, ("pattern", pattern)
        yield {**some, "response_format": {"type": "json_object"}}, ("schema", {"type": "object"})


def check(answer, expected):
    kind, what = expected
    choice = answer["choices"][0]
    if choice["finish_reason"] == "length":
        return False
    if kind == "pattern":
        assert re.fullmatch(what, choice["message"]["content"], re.ASCII if what[0] == "\\" else 0), (what, choice)
        return True
    if kind == "call":
        (call,) = choice["message"]["tool_calls"]
        assert choice["finish_reason"] == "tool_calls" and call["function"]["name"] == what["name"], choice
        text, schema = call["function"]["arguments"], what["schema"]
    else:
        text, schema = choice["message"]["content"], what
    checker = jsonschema.FormatChecker(["date", "uuid", "email", "ipv4"])
    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(json.loads(text))
    return True


with tempfile.TemporaryDirectory() as directory:
    model = directory + "/tiny"
    subprocess.run([TOOL, "random", "--shape", "tiny", "--dtype", "f32", "--seed", "9", model], check=True, stdout=subprocess.DEVNULL)
    asked = list(requests())
    lines = "".join(json.dumps(request) + "\n" for request, _ in asked)
    got = subprocess.run([TOOL, "generate", "--ctx", "1024", "--threads", "2", model], input=lines, capture_output=True, text=True)
answers = got.stdout.splitlines()
assert len(answers) == len(asked), got.stderr
n_whole = 0
for (request, expected), line in zip(asked, answers):
    answer = json.loads(line)
    if "error" in answer:
        sys.exit(f"{json.dumps(request)}: {line}")
    n_whole += check(answer, expected)
print(f"{len(asked)} answers, {n_whole} of them complete: all valid")
if n_whole < len(asked) / 2:
    sys.exit("too few were complete")
