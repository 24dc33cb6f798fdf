#!/usr/bin/env python3
"""langchain-openai, unmodified but for base_url, against the bridge on the real mount; its answers are checked with OpenAI's schema."""
import asyncio
import os
import sys

from wire import need, serving

os.environ["LANGSMITH_TRACING"] = "false"
need("langchain_openai", "pydantic")

import openai
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field

from bridge import BRIDGE
from mount import run_tests

QUESTIONS = ["What is 12 + 30?", "Spell cat.", "What day comes after Monday?"]


class Sum(BaseModel):
    """A sum."""
    left: int = Field(ge=0, le=99)
    right: int = Field(ge=0, le=99)


@tool
def get_weather(city: str) -> str:
    """Weather of a place."""
    return "sunny"


def chat(wire, **options):
    return ChatOpenAI(model="demo", base_url=wire.base_url, api_key="none", temperature=0, max_retries=0, timeout=300, **options)


def test_invoke_and_stream_agree():
    with serving() as (_, wire):
        whole = chat(wire).invoke(QUESTIONS[0])
        assert whole.content and whole.usage_metadata["total_tokens"] > 0 and whole.response_metadata["finish_reason"] == "stop"
        assert "".join(part.content for part in chat(wire).stream(QUESTIONS[0])) == whole.content
        parts = list(chat(wire, stream_usage=True).stream(QUESTIONS[0]))
        assert sum(part.usage_metadata["output_tokens"] for part in parts if part.usage_metadata) == whole.usage_metadata["output_tokens"]
        history = [SystemMessage("Be kind."), HumanMessage("Hi, my name is Bob.", name="bob")]
        answer = chat(wire).invoke(history)
        assert chat(wire).invoke([*history, answer, HumanMessage([{"type": "text", "text": "What is my name?"}])]).content
        logprobs = chat(wire).bind(logprobs=True, top_logprobs=2).invoke(QUESTIONS[0]).response_metadata["logprobs"]["content"]
        assert logprobs and all(len(entry["top_logprobs"]) == 2 for entry in logprobs)


def test_tools_are_bound():
    with serving() as (_, wire):
        bound = chat(wire).bind_tools([get_weather])
        history = [HumanMessage("What is the weather in Paris?")]
        history.append(bound.invoke(history))
        assert [(call["name"], call["args"]) for call in history[-1].tool_calls] == [("get_weather", {"city": "Paris"})], history[-1]
        history += [get_weather.invoke(call) for call in history[-1].tool_calls]
        assert "sunny" in bound.invoke(history).content
        streamed = None
        for part in bound.stream(history[:1]):
            streamed = part if streamed is None else streamed + part
        assert [call["args"] for call in streamed.tool_calls] == [{"city": "Paris"}], streamed
        for choice in ("any", "get_weather"):
            forced = chat(wire).bind_tools([get_weather], tool_choice=choice, strict=True, parallel_tool_calls=False)
            assert [call["name"] for call in forced.invoke("hello").tool_calls] == ["get_weather"]


def test_structured_output():
    with serving() as (_, wire):
        for method in ("json_schema", "function_calling"):
            assert isinstance(chat(wire).with_structured_output(Sum, method=method).invoke(QUESTIONS[0]), Sum), method
        said = chat(wire).with_structured_output(Sum, include_raw=True).invoke(QUESTIONS[0])
        assert isinstance(said["parsed"], Sum) and said["parsing_error"] is None
        assert list(chat(wire).with_structured_output(Sum).stream(QUESTIONS[0]))[-1] == said["parsed"]
        schema = {"title": "digit", "type": "object", "properties": {"n": {"enum": [1, 2, 3]}}, "required": ["n"]}
        assert chat(wire).with_structured_output(schema).invoke(QUESTIONS[0])["n"] in (1, 2, 3)


def test_async_batch():
    async def all_of(model):
        streamed = "".join([part.content async for part in model.astream(QUESTIONS[0])])
        return streamed, [answer.content for answer in await model.abatch(QUESTIONS * 3)]

    with serving() as (_, wire):
        alone = [chat(wire).invoke(question).content for question in QUESTIONS]
        assert asyncio.run(all_of(chat(wire))) == (alone[0], alone * 3)
        assert [answer.content for answer in chat(wire).batch(QUESTIONS)] == alone


def test_completions_embeddings_and_errors():
    with serving() as (_, wire):
        options = {"model": "demo", "base_url": wire.base_url, "api_key": "none", "max_retries": 0}
        completions = OpenAI(**options, temperature=0, max_tokens=5)
        assert "".join(completions.stream("one two")) == completions.invoke("one two")
        for call, wanted in ((lambda: OpenAIEmbeddings(**options, check_embedding_ctx_length=False).embed_query("x"), openai.BadRequestError),
                             (lambda: chat(wire).bind(model="nobody").invoke("x"), openai.NotFoundError)):
            try:
                call()
            except wanted as error:
                assert error.body["message"], error
            else:
                raise AssertionError(f"no {wanted}")


if __name__ == "__main__":
    if not os.access(BRIDGE, os.X_OK):
        print("skipped: TOKFS_BRIDGE is not a program")
        sys.exit(77)
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
