#!/usr/bin/env python3
"""Validates what test_chat_response expects (--print) against OpenAI's schema. Skips without jsonschema or the reference data."""

import json
import os
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("skipped: no Python package jsonschema")
    sys.exit(77)

PATH = os.path.join(os.environ.get("TOKFS_TEST_DATA", ""), "api", "openapi.chat-completions-models-embeddings.json")
if not os.path.exists(PATH):
    print(f"skipped: {PATH} is not there")
    sys.exit(77)


def nullable(schema):
    """OpenAPI's "nullable" in the words of JSON schema."""
    if isinstance(schema, list):
        return [nullable(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {k: nullable(v) for k, v in schema.items()}
    if schema.get("nullable") is True:
        schema.pop("nullable")
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


api = nullable(json.load(open(PATH)))
lines = subprocess.run([sys.argv[1], "--print"], capture_output=True, text=True, check=True).stdout.splitlines()
n_failed = 0
for line in lines:
    name, text = line.split("\t", 1)
    validator = jsonschema.Draft7Validator({**api, "$ref": f"#/components/schemas/{name}"})
    errors = list(validator.iter_errors(json.loads(text)))
    broken = json.loads(text)
    broken.pop("choices" if "choices" in broken else "error")
    if validator.is_valid(broken):
        errors.append("a broken object passes as well")
    for error in errors:
        print(f"{name}: {error}\n  {text}")
        n_failed += 1
print(f"{len(lines)} objects, {n_failed} errors")
sys.exit(n_failed != 0 or len(lines) == 0)
