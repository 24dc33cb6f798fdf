#!/usr/bin/env python3
"""Validates what test_chat_response expects (--print) against OpenAI's schema. Skips without jsonschema or the reference data."""

import json
import os
import subprocess
import sys

try:
    import jsonschema  # noqa: F401
except ImportError:
    print("skipped: no Python package jsonschema")
    sys.exit(77)

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import openai_schema

if not os.path.exists(openai_schema.PATH):
    print(f"skipped: {openai_schema.PATH} is not there")
    sys.exit(77)

lines = subprocess.run([sys.argv[1], "--print"], capture_output=True, text=True, check=True).stdout.splitlines()
n_failed = 0
for line in lines:
    name, text = line.split("\t", 1)
    for error in openai_schema.errors(name, json.loads(text)):
        print(f"{name}: {error}\n  {text}")
        n_failed += 1
print(f"{len(lines)} objects, {n_failed} errors")
sys.exit(n_failed != 0 or len(lines) == 0)
