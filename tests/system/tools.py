#!/usr/bin/env python3
"""Tool calls and reasoning through the mount: as a conversation, as a transaction whole and streamed, cut short.

The null model says what it is told: there the question is the call itself. The built-in model is asked.
"""
import errno
import json
import os

from mount import Mount, raises, run_tests, until

try:
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
except ImportError:
    ChatCompletion = ChatCompletionChunk = None

IS_NULL = os.environ.get("TOKFS_MODEL") == "null"
TOOL = {"type": "function", "function": {
    "name": "get_weather", "description": "Get the weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "%s"}}\n</tool_call>'
QUESTION = CALL % "Paris" if IS_NULL else "What is the weather in Paris?"
QUESTION_OF_TWO = CALL % "Paris" + "\n" + CALL % "Berlin" if IS_NULL else "What is the weather in Paris and Berlin?"


def body(text, **fields):
    return json.dumps({"messages": [{"role": "user", "content": text}], "temperature": 0, "tools": [TOOL], **fields})


def exchange(mount, request):
    """The bytes that v1/chat/completions answers."""
    fd = os.open(mount.at("v1/chat/completions"), os.O_RDWR)
    try:
        os.write(fd, request.encode())
        answer = b""
        while piece := os.read(fd, 65536):
            answer += piece
        return answer
    finally:
        os.close(fd)


def arguments_of(call):
    assert call["type"] == "function" and call["function"]["name"] == "get_weather", call
    assert len(call["id"]) >= 9, call
    return json.loads(call["function"]["arguments"])


def test_a_conversation_with_a_tool():
    with Mount() as m:
        name = m.session("bob")
        m.write(name + "/tools", json.dumps([TOOL]))
        m.write(name + "/input", QUESTION + "\n")
        lines = m.read(name + "/output").decode()
        call = json.loads(lines)
        assert lines.endswith("}\n") and lines.count("\n") == 1, lines
        assert arguments_of(call) == {"city": "Paris"}
        assert m.read(name + "/text").decode() == lines
        assert os.stat(m.at(name + "/text")).st_size == len(lines)
        choice = json.loads(m.read(name + "/response.json"))["choices"][0]
        assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None, choice
        assert choice["message"]["tool_calls"] == [call]
        assert b"finish_reason=tool_calls" in m.read(name + "/status")
        messages = json.loads(m.read(name + "/messages"))
        assert messages[1] == {"role": "assistant", "content": None, "tool_calls": [call]}, messages
        m.write(name + "/input", json.dumps({
            "role": "tool", "tool_call_id": call["id"], "content": '{"temperature": 18, "condition": "sunny"}'}))
        answer = m.read(name + "/text").decode()
        assert "18" in answer and "sunny" in answer, answer
        assert [x["role"] for x in json.loads(m.read(name + "/messages"))] == ["user", "assistant", "tool", "assistant"]


def test_a_transaction_streams_what_it_answers_whole():
    with Mount() as m:
        whole = json.loads(exchange(m, body(QUESTION_OF_TWO)))
        chunks = [json.loads(line[6:]) for line in exchange(m, body(QUESTION_OF_TWO, stream=True)).decode().split("\n\n")
                  if line.startswith("data: {")]
        calls = []
        for chunk in chunks:
            delta = chunk["choices"][0]["delta"]
            assert not delta.get("content"), delta
            for piece in delta.get("tool_calls", []):
                if "id" in piece:
                    assert piece["index"] == len(calls)
                    calls.append({"id": piece["id"], "type": piece["type"], "function": dict(piece["function"])})
                else:
                    assert piece["index"] == len(calls) - 1
                    calls[-1]["function"]["arguments"] += piece["function"]["arguments"]
        assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
        message = whole["choices"][0]["message"]
        assert [arguments_of(call) for call in calls] == [{"city": "Paris"}, {"city": "Berlin"}], calls
        assert [call["function"] for call in calls] == [call["function"] for call in message["tool_calls"]]
        assert len({call["id"] for call in calls + message["tool_calls"]}) == 4, "ids are unique"
        assert whole["system_fingerprint"] == chunks[0]["system_fingerprint"]
        if ChatCompletion:
            parsed = ChatCompletion.model_validate(whole, strict=True)
            assert parsed.choices[0].message.tool_calls[1].function.name == "get_weather"
            for chunk in chunks:
                ChatCompletionChunk.model_validate(chunk, strict=True)


def test_what_a_request_says_of_calls_is_done():
    with Mount() as m:
        one = json.loads(exchange(m, body(QUESTION_OF_TWO, parallel_tool_calls=False)))["choices"][0]
        assert [arguments_of(call) for call in one["message"]["tool_calls"]] == [{"city": "Paris"}], one
        assert one["finish_reason"] == "tool_calls"
        none = json.loads(exchange(m, body(QUESTION, tool_choice="none")))["choices"][0]
        assert none["finish_reason"] == "stop" and "tool_calls" not in none["message"], none
        assert none["message"]["content"]


def test_a_demanded_call_is_made():
    if IS_NULL:
        return
    with Mount() as m:
        for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
            answer = json.loads(exchange(m, body("Good morning!", tool_choice=choice, parallel_tool_calls=False)))["choices"][0]
            (call,) = answer["message"]["tool_calls"]
            assert answer["finish_reason"] == "tool_calls" and call["function"]["name"] == "get_weather", answer
            assert isinstance(arguments_of(call)["city"], str), answer


def test_answers_have_the_form_that_is_asked_for():
    if IS_NULL:
        return
    with Mount() as m:
        name = m.session("s")
        m.write(name + "/params", "regex (red|green|blue)( and (red|green|blue))?")
        m.write(name + "/input", "Which colours do you like?")
        assert all(word in ("red", "green", "blue", "and") for word in m.read(name + "/output").decode().split())
        schema = {"type": "object", "properties": {"answer": {"enum": [42, None]}}, "required": ["answer"], "additionalProperties": False}
        request = {"messages": [{"role": "user", "content": "What?"}], "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}}
        answer = json.loads(exchange(m, json.dumps(request)))["choices"][0]
        assert json.loads(answer["message"]["content"])["answer"] in (42, None) and answer["finish_reason"] == "stop", answer
        request["response_format"]["json_schema"]["schema"] = {"not": {}}
        with raises(errno.EOPNOTSUPP):
            m.write(m.session("t") + "/input", json.dumps(request))
        assert b"response_format.json_schema.schema" in m.read("sessions/error") + m.read("sessions/t/error")
        with raises(errno.EINVAL):
            m.write("sessions/t/input", body("What?", guided_json="{"))
        assert m.read("sessions/t/error").startswith(b"guided_json: "), m.read("sessions/t/error")
        for regex in ("(a{1000}){1000}", "a{,3}"):
            with raises(errno.EOPNOTSUPP):
                m.write("sessions/t/input", body("What?", regex=regex))
            assert m.read("sessions/t/error").startswith(b"regex: "), m.read("sessions/t/error")


def test_a_forced_call_is_written_as_the_model_would():
    if IS_NULL:
        return
    with Mount() as m:
        free, *forced = [json.loads(exchange(m, body(QUESTION, logprobs=True, **choice)))["choices"][0] for choice in (
            {}, {"tool_choice": "required"}, {"tool_choice": "required", "parallel_tool_calls": False},
            {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}})]
        tokens = [token["token"] for token in free["logprobs"]["content"]]
        assert tokens[0] == "<tool_call>", tokens
        for choice in forced:
            assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None, choice
            assert [arguments_of(call) for call in choice["message"]["tool_calls"]] == [{"city": "Paris"}], choice
            of_choice = [token["token"] for token in choice["logprobs"]["content"]]
            assert of_choice == tokens[:len(of_choice)], of_choice


def test_events_of_a_session_tell_the_call():
    with Mount() as m:
        name = m.session("s")
        m.write(name + "/input", body(QUESTION))
        chunks = [json.loads(line) for line in m.read(name + "/events").splitlines()]
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        names = [delta["tool_calls"][0]["function"].get("name") for delta in deltas if "tool_calls" in delta]
        assert names[0] == "get_weather" and not any(names[1:]), names
        assert len(names) > 2, "the arguments did not come in pieces"


def test_reasoning_is_no_part_of_the_text():
    if not IS_NULL:
        return
    with Mount() as m:
        name = m.session("s")
        m.write(name + "/input", "<think>\nHm, so.\n</think>\n\nHi there")
        assert m.read(name + "/output") == b"Hi there"
        message = json.loads(m.read(name + "/response.json"))["choices"][0]["message"]
        assert message["content"] == "Hi there" and message["reasoning_content"] == "Hm, so.", message
        assert json.loads(m.read(name + "/messages"))[1]["reasoning_content"] == "Hm, so."


def test_a_call_that_is_cut_is_not_kept():
    if not IS_NULL:
        return
    with Mount() as m:
        name = m.session("s")
        m.write(name + "/input", body("Look: " + CALL % ("Par " * 50), max_tokens=10))
        choice = json.loads(m.read(name + "/response.json"))["choices"][0]
        assert choice["finish_reason"] == "length" and choice["message"]["content"] == "Look:", choice
        arguments = choice["message"]["tool_calls"][0]["function"]["arguments"]
        assert arguments.startswith('{"city": "Par Par'), arguments
        assert json.loads(m.read(name + "/messages"))[1] == {"role": "assistant", "content": "Look:"}
        text = m.read(name + "/text").decode()
        assert text.startswith("Look:\n{") and json.loads(text.splitlines()[1])["function"]["arguments"] == arguments
    with Mount(TOKFS_FAKE_TOKEN_US="2000") as m:
        name = m.session("s")
        m.write(name + "/input", body("Look: " + CALL % ("Par " * 5000)))
        until(lambda: int(m.read(name + "/status").split(b"completion_tokens=")[1].split()[0]) > 8, "the call began")
        m.write(name + "/ctl", "cancel\n")
        until(lambda: b"cancelled" in m.read(name + "/status"), "it was cancelled")
        assert json.loads(m.read(name + "/messages"))[1] == {"role": "assistant", "content": "Look:"}


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
