"""OpenAI's description of its API (TOKFS_TEST_DATA), as validators of the objects in it."""
import functools
import json
import os

PATH = os.path.join(os.environ.get("TOKFS_TEST_DATA", ""), "api", "openapi.chat-completions-models-embeddings.json")


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


@functools.lru_cache(maxsize=None)
def api():
    with open(PATH, encoding="utf-8") as file:
        return nullable(json.load(file))


@functools.lru_cache(maxsize=None)
def validator(name):
    import jsonschema  # may be missing
    return jsonschema.Draft7Validator({**api(), "$ref": f"#/components/schemas/{name}"})


def errors(name, value):
    """What is wrong with a value: an empty list, or errors. One that lacks its main part must not pass."""
    found = [error.message for error in validator(name).iter_errors(value)]
    broken = {key: item for key, item in value.items() if key not in ("choices", "data", "object", "error")}
    return found + (["a broken object passes as well"] if validator(name).is_valid(broken) else [])
