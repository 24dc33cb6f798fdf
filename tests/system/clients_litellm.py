#!/usr/bin/env python3
"""litellm against the bridge on the real mount. It takes a minute to install, and so is no part of tools/packages.sh: TOKFS_TEST_LITELLM
names the Python of an environment that has it (and jsonschema)."""
import asyncio
import os
import sys

from wire import need, serving

os.environ["TOKFS_TEST_PYTHON"] = os.environ.get("TOKFS_TEST_LITELLM", "")
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # asks nobody
need("litellm")

import litellm
from pydantic import BaseModel, Field

from bridge import BRIDGE
from mount import run_tests

ASK = [{"role": "user", "content": "What is 12 + 30?"}]
IN_PARIS = [{"role": "user", "content": "What is the weather in Paris?"}]
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Weather of a place.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


class Sum(BaseModel):
    left: int = Field(ge=0, le=99)
    right: int = Field(ge=0, le=99)


def options(wire, provider="openai", **more):
    return {"model": provider + "/demo", "api_base": wire.base_url, "api_key": "none", "num_retries": 0, **more}


def test_completion():
    with serving() as (_, wire):
        whole = litellm.completion(messages=ASK, temperature=0, **options(wire)).choices[0].message.content
        assert whole == "12 + 30 = 42."
        parts = litellm.completion(messages=ASK, temperature=0, stream=True, stream_options={"include_usage": True}, **options(wire))
        assert "".join(part.choices[0].delta.content or "" for part in parts) == whole
        assert litellm.completion(messages=ASK, temperature=0, **options(wire, "hosted_vllm")).choices[0].message.content == whole
        assert litellm.text_completion(prompt="one two", max_tokens=4, **options(wire, "text-completion-openai")).choices

        async def many():
            return await asyncio.gather(*[litellm.acompletion(messages=ASK, temperature=0, **options(wire)) for _ in range(8)])

        assert {answer.choices[0].message.content for answer in asyncio.run(many())} == {whole}


def test_tools_and_forms():
    with serving() as (_, wire):
        ask = {"tools": [WEATHER], "temperature": 0, **options(wire)}
        message = litellm.completion(messages=IN_PARIS, **ask).choices[0].message
        result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "name": "get_weather", "content": "sunny"}
        assert "sunny" in litellm.completion(messages=[*IN_PARIS, message, result], **ask).choices[0].message.content
        said = litellm.completion(messages=ASK, response_format=Sum, temperature=0, **options(wire)).choices[0].message.content
        Sum.model_validate_json(said)


def test_errors_have_their_classes():
    with serving() as (_, wire):
        for wanted, call in ((litellm.BadRequestError, lambda: litellm.completion(messages=ASK, temperature=9, **options(wire))),
                             (litellm.NotFoundError, lambda: litellm.completion(messages=ASK, **{**options(wire), "model": "openai/nobody"})),
                             (litellm.BadRequestError, lambda: litellm.embedding(input=["x"], **options(wire)))):
            try:
                call()
            except wanted:
                continue
            raise AssertionError(f"no {wanted}")


if __name__ == "__main__":
    if not os.access(BRIDGE, os.X_OK):
        print("skipped: TOKFS_BRIDGE is not a program")
        sys.exit(77)
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
