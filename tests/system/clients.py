#!/usr/bin/env python3
"""The openai package, unmodified but for base_url, against the bridge on the real mount; its answers are checked with OpenAI's schema."""
import asyncio
import enum
import os
import sys
import threading
import typing

from wire import Wire, need, serving

need("openai", "pydantic")

import openai
from pydantic import BaseModel, Field

from bridge import BRIDGE, Bridge
from mount import LONG_TOKENS, Mount, run_tests, until

IS_NULL = os.environ.get("TOKFS_MODEL") == "null"
MODEL = "fake" if IS_NULL else "demo"
ASK = [{"role": "user", "content": "What is 12 + 30?"}]
LONG = [{"role": "user", "content": "count 5000"}]
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Weather of a place.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
IN_PARIS = [{"role": "user", "content": "What is the weather in Paris?"}]


def client(wire, kind=openai.OpenAI, **options):
    return kind(base_url=wire.base_url, api_key="none", **{"max_retries": 0, "timeout": 300, **options})


def raised(wanted, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except wanted as error:
        return error
    raise AssertionError(f"no {wanted}")


def test_chat_whole_and_streamed_agree():
    with serving() as (_, wire), client(wire) as c:
        whole = c.chat.completions.create(model=MODEL, messages=ASK, temperature=0)
        assert whole.choices[0].finish_reason == "stop" and whole.usage.total_tokens > 0
        parts = list(c.chat.completions.create(model=MODEL, messages=ASK, temperature=0, stream=True,
                                               stream_options={"include_usage": True}))
        text = "".join(p.choices[0].delta.content or "" for p in parts if p.choices)
        assert text == whole.choices[0].message.content, (text, whole)
        assert parts[-1].usage.completion_tokens == whole.usage.completion_tokens
        with c.chat.completions.stream(model=MODEL, messages=ASK, temperature=0) as stream:
            assert "".join(event.delta for event in stream if event.type == "content.delta") == text
            assert stream.get_final_completion().choices[0].message.content == text
        with c.chat.completions.with_streaming_response.create(model=MODEL, messages=ASK, temperature=0) as response:
            assert response.parse().choices[0].message.content == text and response.request_id.startswith("req-")


def test_models():
    with serving("--served-name", "org/a model") as (_, wire), client(wire) as c:
        name = c.models.list().data[0].id
        assert name == "org/a model", name
        assert c.models.retrieve(name).id == name
        error = raised(openai.NotFoundError, c.models.retrieve, "nobody")
        assert (error.code, error.param) == ("model_not_found", "model"), error


def test_messages_of_every_form():
    with serving() as (_, wire), client(wire) as c:
        answer = c.chat.completions.create(model=MODEL, messages=ASK, temperature=0).choices[0].message
        for messages in (
            [{"role": "developer", "content": "Answer in one word."}, *ASK],
            [{"role": "system", "content": [{"type": "text", "text": "Answer in "}, {"type": "text", "text": "one word."}]}, *ASK],
            [{"role": "user", "name": "bob", "content": [{"type": "text", "text": "What is 12 + 30?"}]}],
            [*ASK, answer, *ASK],
            [*ASK, answer.to_dict(), {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, *ASK],
            [*ASK, {"role": "assistant", "content": None, "refusal": "No."}, *ASK],
        ):
            assert c.chat.completions.create(model=MODEL, messages=messages, temperature=0).choices[0].message.content


def test_fields_that_programs_send():
    with serving() as (_, wire), client(wire) as c:
        plain = c.chat.completions.create(model=MODEL, messages=ASK, temperature=0).choices[0].message.content
        for field in (
            {"store": True}, {"metadata": {"a": "b"}}, {"user": "u"}, {"safety_identifier": "u"}, {"service_tier": "flex"},
            {"prompt_cache_key": "k"}, {"reasoning_effort": "low"}, {"modalities": ["text"]}, {"verbosity": "medium"},
            {"prediction": {"type": "content", "content": plain}}, {"response_format": {"type": "text"}}, {"logprobs": False},
            {"parallel_tool_calls": True}, {"tools": [WEATHER], "tool_choice": "none"}, {"tools": []}, {"stop": None, "tools": None},
            {"extra_headers": {"OpenAI-Organization": "o", "OpenAI-Beta": "x=1"}, "extra_query": {"api-version": "1"}},
        ):
            answer = c.chat.completions.create(model=MODEL, messages=ASK, temperature=0, **field).choices[0].message.content
            assert answer == plain, (field, answer)
        for name in ("max_tokens", "max_completion_tokens"):
            answer = c.chat.completions.create(model=MODEL, messages=ASK, temperature=0, **{name: 2})
            assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 2
        for field in ({"audio": {"voice": "alloy", "format": "wav"}}, {"verbosity": "low"}, {"web_search_options": {}},
                      {"functions": [WEATHER["function"]]}, {"modalities": ["text", "audio"]}):
            error = raised(openai.BadRequestError, c.chat.completions.create, model=MODEL, messages=ASK, **field)
            assert error.param == list(field)[0] and error.code.startswith("unsupported_"), error.body


def test_logprobs_and_choices():
    with serving() as (_, wire), client(wire) as c:
        ask = {"model": MODEL, "messages": ASK, "n": 3, "logprobs": True, "top_logprobs": 2, "seed": 1, "max_tokens": 5}
        answer = c.chat.completions.create(**ask)
        assert [choice.index for choice in answer.choices] == [0, 1, 2]
        for choice in answer.choices:
            assert choice.logprobs.content and all(len(t.top_logprobs) == 2 for t in choice.logprobs.content)
        streamed = {0: [], 1: [], 2: []}
        for part in c.chat.completions.create(**ask, stream=True):
            for choice in part.choices:
                streamed[choice.index] += choice.logprobs.content if choice.logprobs else []
        for choice in answer.choices:
            assert [t.token for t in choice.logprobs.content] == [t.token for t in streamed[choice.index]]


def test_errors_have_their_classes():
    with serving() as (m, wire), client(wire) as c:
        for wanted, arguments, code, param in (
            (openai.NotFoundError, {"model": "nobody"}, "model_not_found", "model"),
            (openai.BadRequestError, {"temperature": 9}, "decimal_above_max_value", "temperature"),
            (openai.BadRequestError, {"messages": [{"role": "nobody", "content": "x"}]}, "invalid_value", "messages[0].role"),
            (openai.BadRequestError, {"extra_body": {"frobnicate": 1}}, None, "frobnicate"),
            (openai.BadRequestError, {"response_format": {"type": "xml"}}, "invalid_value", "response_format.type"),
        ):
            error = raised(wanted, c.chat.completions.create, **{"model": MODEL, "messages": ASK, **arguments})
            assert (error.code, error.param, error.type) == (code, param, "invalid_request_error"), error.body
            assert error.body["message"] and error.request_id.startswith("req-"), error
        error = raised(openai.BadRequestError, c.embeddings.create, model=MODEL, input="x")
        assert "embeddings" in error.body["message"], error.body
        assert raised(openai.NotFoundError, c.responses.create, model=MODEL, input="x").code == "unknown_url"
        error = raised(openai.InternalServerError, c.chat.completions.create, model=MODEL, messages=LONG, max_tokens=LONG_TOKENS,
                       extra_body={"ignore_eos": True, "timeout": 0.001})
        assert (error.status_code, error.code) == (504, "deadline_exceeded"), error.body
    with Mount() as m, Bridge(m, options=["--api-keys", key_file(m)]) as b, Wire(b) as wire, client(wire) as c:
        assert raised(openai.AuthenticationError, c.models.list).code == "invalid_api_key"
        assert c.with_options(api_key="right").models.list().data


def key_file(mount):
    """A file with the key `right`."""
    import hashlib
    path = os.path.join(mount.scratch, "keys")
    with open(path, "w") as file:
        file.write(hashlib.sha256(b"right").hexdigest() + " -\n")
    return path


def test_full_mount_is_a_rate_limit_and_is_asked_again():
    with serving("--max-bytes", "1M") as (m, wire), client(wire) as c:
        ask = {"model": MODEL, "messages": ASK, "metadata": {"filler": "x" * 60000}}
        sessions = [m.session(f"full{i}") for i in range(4)]
        for session in sessions:
            with open(m.at(session + "/system"), "w") as file:
                file.write("x" * 250000)
        error = raised(openai.RateLimitError, c.chat.completions.create, **ask)
        assert (error.code, error.type, error.response.headers["retry-after"]) == ("queue_full", "rate_limit_error", "1"), error.body
        threading.Timer(0.3, lambda: [os.rmdir(m.at(session)) for session in sessions]).start()
        assert c.with_options(max_retries=20).chat.completions.create(**ask).choices[0].message.content


def test_mount_that_is_away_is_asked_again():
    with serving() as (m, wire), client(wire, max_retries=0) as c:
        m.stop()
        error = raised(openai.InternalServerError, c.chat.completions.create, model=MODEL, messages=ASK)
        assert (error.status_code, error.code, error.type) == (503, "mount_unavailable", "server_error"), error.body
        threading.Timer(0.3, m.start).start()
        assert c.with_options(max_retries=20).chat.completions.create(model=MODEL, messages=ASK).choices[0].message.content


def test_failure_in_mid_stream_is_raised():
    if not IS_NULL:
        return  # the null model fails when told to
    with serving() as (_, wire), client(wire) as c:
        stream = c.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "fail now"}], stream=True)
        assert raised(openai.APIError, list, stream).message


def test_time_out_cancels():
    with serving(endless=True) as (m, wire), client(wire) as c:
        raised(openai.APITimeoutError, c.with_options(timeout=0.1).chat.completions.create, model=MODEL, messages=LONG,
               extra_body={"ignore_eos": True})
        until(lambda: m.metric("requests_running") + m.metric("requests_queued") == 0, "it is cancelled")
        stream = c.chat.completions.create(model=MODEL, messages=LONG, stream=True, extra_body={"ignore_eos": True})
        next(stream)
        stream.close()
        until(lambda: m.metric("requests_running") + m.metric("requests_queued") == 0, "it is cancelled")


def test_text_completions():
    with serving() as (_, wire), client(wire) as c:
        ask = {"model": MODEL, "prompt": "one two", "max_tokens": 4, "temperature": 0}
        answer = c.completions.create(**ask, echo=True, logprobs=2)
        assert answer.choices[0].text.startswith("one two") and answer.choices[0].logprobs.tokens
        parts = list(c.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
        assert "one two" + "".join(p.choices[0].text for p in parts if p.choices) == answer.choices[0].text
        answer = c.completions.create(**{**ask, "prompt": ["one", "two"]}, n=2)
        assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
        assert raised(openai.BadRequestError, c.completions.create, **ask, suffix="x").param == "suffix"


def test_async_clients_at_once():
    async def all_of(wire):
        async with client(wire, openai.AsyncOpenAI) as c:
            answers = await asyncio.gather(*[c.chat.completions.create(model=MODEL, messages=ASK, temperature=0) for _ in range(32)])
            assert len({a.choices[0].message.content for a in answers}) == 1
            stream = await c.chat.completions.create(model=MODEL, messages=ASK, temperature=0, stream=True)
            assert [part async for part in stream]

    with serving() as (_, wire):
        asyncio.run(all_of(wire))


def test_tools_are_called():
    if IS_NULL:
        return
    with serving() as (_, wire), client(wire) as c:
        ask = {"model": MODEL, "messages": IN_PARIS, "tools": [WEATHER], "temperature": 0}
        answer = c.chat.completions.create(**ask).choices[0]
        assert answer.finish_reason == "tool_calls" and answer.message.tool_calls[0].function.name == "get_weather", answer
        result = {"role": "tool", "tool_call_id": answer.message.tool_calls[0].id, "content": "sunny, 20 degrees"}
        for call in (answer.message, answer.message.to_dict(), {**answer.message.to_dict(), "content": ""}):
            again = c.chat.completions.create(**{**ask, "messages": [*IN_PARIS, call, result]})
            assert again.choices[0].message.content, again
        with c.chat.completions.stream(**ask) as stream:
            for _ in stream:
                pass
            assert stream.get_final_completion().choices[0].message.tool_calls[0].function.name == "get_weather"
        for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
            forced = c.chat.completions.create(**{**ask, "messages": ASK}, tool_choice=choice, max_tokens=60).choices[0]
            assert forced.message.tool_calls, forced
        both = [{"role": "user", "content": "What is the weather in Paris and in Oslo?"}]
        calls = c.chat.completions.create(**{**ask, "messages": both}).choices[0].message.tool_calls
        assert [call.function.arguments for call in calls] == ['{"city": "Paris"}', '{"city": "Oslo"}'], calls
        one = c.chat.completions.create(**{**ask, "messages": both}, parallel_tool_calls=False).choices[0]
        assert len(one.message.tool_calls) == 1, one


def test_tools_of_pydantic_models():
    if IS_NULL:
        return

    class get_weather(BaseModel):
        """Weather of a place."""
        city: str

    with serving() as (_, wire), client(wire) as c:
        tool = openai.pydantic_function_tool(get_weather)
        message = c.chat.completions.parse(model=MODEL, messages=IN_PARIS, tools=[tool], temperature=0).choices[0].message
        assert isinstance(message.tool_calls[0].function.parsed_arguments, get_weather), message
        result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
        answer = c.chat.completions.create(model=MODEL, messages=[*IN_PARIS, message, result], tools=[tool], temperature=0)
        assert answer.choices[0].message.content, answer


class Unit(str, enum.Enum):
    metre = "metre"
    inch = "inch"


class Side(BaseModel):
    length: int = Field(ge=0, le=99)
    unit: Unit


class Box(BaseModel):
    """A box."""
    kind: typing.Literal["open", "closed"]
    sides: list[Side] = Field(min_length=1, max_length=2)
    is_red: bool
    weight: typing.Optional[typing.Literal[1, 2]]


def test_structured_outputs_are_parsed():
    if IS_NULL:
        return  # has no grammars
    with serving() as (_, wire), client(wire) as c:
        ask = {"model": MODEL, "messages": ASK, "response_format": Box, "temperature": 0}
        message = c.chat.completions.parse(**ask).choices[0].message
        assert isinstance(message.parsed, Box), message
        with c.chat.completions.stream(**ask) as stream:
            for _ in stream:
                pass
            assert stream.get_final_completion().choices[0].message.parsed == message.parsed
        answer = c.chat.completions.create(model=MODEL, messages=[*ASK, message, *ASK], temperature=0)  # sent back with what was parsed
        assert answer.choices[0].message.content
        raised(openai.LengthFinishReasonError, c.chat.completions.parse, **ask, max_tokens=3)


if __name__ == "__main__":
    if not os.access(BRIDGE, os.X_OK):
        print("skipped: TOKFS_BRIDGE is not a program")
        sys.exit(77)
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
