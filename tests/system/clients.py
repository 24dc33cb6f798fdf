#!/usr/bin/env python3
"""The openai package, unmodified but for base_url, against the bridge on the real mount. Skipped where it is not installed."""
import asyncio
import os
import sys

try:
    import openai
    from pydantic import BaseModel
except ImportError:
    print("skipped: no openai package")
    sys.exit(77)

from bridge import BRIDGE, Bridge
from mount import LONG_TOKENS, Mount, run_tests, until

IS_NULL = os.environ.get("TOKFS_MODEL") == "null"
MODEL = "demo"
ASK = [{"role": "user", "content": "What is 12 + 30?"}]
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Weather of a place.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


def client(bridge, kind=openai.OpenAI, **options):
    return kind(base_url=f"http://127.0.0.1:{bridge.port}/v1", api_key="none", **{"max_retries": 0, "timeout": 30, **options})


def model(c):
    return c.models.list().data[0].id


def test_chat_whole_and_streamed_agree():
    with Mount() as m, Bridge(m) as b, client(b) as c:
        whole = c.chat.completions.create(model=model(c), messages=ASK, temperature=0)
        assert whole.choices[0].finish_reason == "stop" and whole.usage.total_tokens > 0
        parts = list(c.chat.completions.create(model=model(c), messages=ASK, temperature=0, stream=True,
                                               stream_options={"include_usage": True}))
        text = "".join(p.choices[0].delta.content or "" for p in parts if p.choices)
        assert text == whole.choices[0].message.content, (text, whole)
        assert parts[-1].usage.completion_tokens == whole.usage.completion_tokens
        assert c.models.retrieve(model(c)).id == model(c)


def test_logprobs_and_choices():
    with Mount() as m, Bridge(m) as b, client(b) as c:
        answer = c.chat.completions.create(model=model(c), messages=ASK, n=3, logprobs=True, top_logprobs=2, seed=1, max_tokens=5)
        assert [choice.index for choice in answer.choices] == [0, 1, 2]
        for choice in answer.choices:
            assert choice.logprobs.content and all(len(t.top_logprobs) == 2 for t in choice.logprobs.content)


def test_errors_have_their_classes():
    with Mount() as m, Bridge(m) as b, client(b) as c:
        for wanted, arguments in ((openai.NotFoundError, {"model": "nobody"}), (openai.BadRequestError, {"temperature": 9}),
                                  (openai.BadRequestError, {"messages": [{"role": "nobody", "content": "x"}]})):
            try:
                c.chat.completions.create(**{"model": model(c), "messages": ASK, **arguments})
            except wanted as error:
                assert error.body["message"] and error.request_id.startswith("req-"), error
            else:
                raise AssertionError(f"no {wanted}")


def test_time_out_cancels():
    with Mount(**({"TOKFS_FAKE_TOKEN_US": "5000"} if IS_NULL else {})) as m, Bridge(m) as b, client(b, timeout=0.1) as c:
        name = model(client(b))
        try:
            c.chat.completions.create(model=name, messages=[{"role": "user", "content": "count 5000"}], max_tokens=LONG_TOKENS,
                                      extra_body={"ignore_eos": True})
        except openai.APITimeoutError:
            pass
        until(lambda: m.metric("requests_running") == 0, "it is cancelled", 5)


def test_text_completions():
    with Mount() as m, Bridge(m) as b, client(b) as c:
        answer = c.completions.create(model=model(c), prompt="one two", max_tokens=4, temperature=0, echo=True)
        assert answer.choices[0].text.startswith("one two")


def test_async_clients_at_once():
    async def all_of(bridge):
        async with client(bridge, openai.AsyncOpenAI) as c:
            name = (await c.models.list()).data[0].id
            answers = await asyncio.gather(*[c.chat.completions.create(model=name, messages=ASK, temperature=0) for _ in range(32)])
            assert len({a.choices[0].message.content for a in answers}) == 1
            stream = await c.chat.completions.create(model=name, messages=ASK, temperature=0, stream=True)
            assert [part async for part in stream]

    with Mount() as m, Bridge(m) as b:
        asyncio.run(all_of(b))


def test_tools_are_called():
    if IS_NULL:
        return
    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    with Mount() as m, Bridge(m) as b, client(b) as c:
        answer = c.chat.completions.create(model=MODEL, messages=question, tools=[WEATHER], temperature=0).choices[0]
        assert answer.finish_reason == "tool_calls" and answer.message.tool_calls[0].function.name == "get_weather", answer
        call = answer.message.tool_calls[0]
        again = c.chat.completions.create(model=MODEL, tools=[WEATHER], temperature=0, messages=[
            *question, answer.message, {"role": "tool", "tool_call_id": call.id, "content": "sunny, 20 degrees"}])
        assert again.choices[0].message.content, again
        with c.chat.completions.stream(model=MODEL, messages=question, tools=[WEATHER], temperature=0) as stream:
            for _ in stream:
                pass
            assert stream.get_final_completion().choices[0].message.tool_calls[0].function.name == "get_weather"


def test_structured_outputs_are_parsed():
    if IS_NULL:
        return  # has no grammars

    class Sum(BaseModel):
        left: int
        right: int

    with Mount() as m, Bridge(m) as b, client(b) as c:
        try:
            answer = c.chat.completions.parse(model=MODEL, messages=ASK, response_format=Sum, temperature=0, max_tokens=64)
            assert isinstance(answer.choices[0].message.parsed, Sum), answer
        except openai.LengthFinishReasonError:
            pass  # a small model may not find the end


if __name__ == "__main__":
    if not os.access(BRIDGE, os.X_OK):
        print("skipped: TOKFS_BRIDGE is not a program")
        sys.exit(77)
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
