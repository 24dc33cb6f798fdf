#!/usr/bin/env python3
"""Several choices and log probabilities through the mount: whole and streamed, in a transaction and in a conversation."""
import errno
import json
import math
import os

from mount import ENDLESS, Mount, raises, run_tests, until

try:
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
except ImportError:
    ChatCompletion = ChatCompletionChunk = None

IS_NULL = os.environ.get("TOKFS_MODEL") == "null"
QUESTION = [{"role": "user", "content": "count 7" if IS_NULL else "Hi!"}]


def body(**fields):
    return json.dumps({"messages": QUESTION, "temperature": 0.9, "seed": 5, "max_tokens": 12, **fields})


def exchange(fd, request):
    os.write(fd, request.encode())
    answer = b""
    while piece := os.read(fd, 65536):
        answer += piece
    return answer


def whole(fd, **fields):
    answer = json.loads(exchange(fd, body(**fields)))
    if ChatCompletion:
        ChatCompletion.model_validate(answer, strict=True)
    return answer


def streamed(fd, **fields):
    """The chunks, put together as clients do it: {index: [content, finish_reason, logprobs entries]}, usage."""
    choices, usage = {}, None
    lines = exchange(fd, body(stream=True, stream_options={"include_usage": True}, **fields)).decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""], lines[-2:]
    for line in lines[:-2]:
        chunk = json.loads(line.removeprefix("data: "))
        if ChatCompletionChunk:
            ChatCompletionChunk.model_validate(chunk, strict=True)
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            mine = choices.setdefault(choice["index"], ["", None, []])
            assert mine[1] is None, "a choice goes on after its end"
            mine[0] += choice["delta"].get("content") or ""
            mine[1] = choice["finish_reason"]
            mine[2] += (choice["logprobs"] or {}).get("content", [])
    return choices, usage


def check_logprobs(entries, n_top):
    for entry in entries:
        assert sorted(entry) == ["bytes", "logprob", "token", "top_logprobs"], entry
        assert len(entry["top_logprobs"]) == n_top, entry
        for one in [entry, *entry["top_logprobs"]]:
            assert one["logprob"] <= 0
            assert bytes(one["bytes"]).decode(errors="replace") == one["token"], one
        if not IS_NULL:
            best = [one["logprob"] for one in entry["top_logprobs"]]
            assert best == sorted(best, reverse=True) and sum(map(math.exp, best)) < 1.00001, best
            assert n_top == 0 or best[0] >= entry["logprob"]


def test_choices_whole_and_streamed_are_the_same():
    with Mount() as m, open(m.at("v1/chat/completions"), "r+b", buffering=0) as file:
        fd = file.fileno()
        answer = whole(fd, n=3)
        assert [c["index"] for c in answer["choices"]] == [0, 1, 2], answer
        single = [whole(fd, seed=5 + i) for i in range(3)]
        for i, choice in enumerate(answer["choices"]):
            assert choice["message"] == single[i]["choices"][0]["message"], (i, choice)
            assert choice["finish_reason"] == single[i]["choices"][0]["finish_reason"]
        tokens = [one["usage"]["completion_tokens"] for one in single]
        assert answer["usage"]["completion_tokens"] == sum(tokens), answer["usage"]
        assert answer["usage"]["prompt_tokens"] == single[0]["usage"]["prompt_tokens"]
        choices, usage = streamed(fd, n=3)
        for choice in answer["choices"]:
            assert choices[choice["index"]][:2] == [choice["message"]["content"], choice["finish_reason"]], choices
        assert usage["completion_tokens"] == sum(tokens)


def test_logprobs_come_once_per_token():
    with Mount() as m, open(m.at("v1/chat/completions"), "r+b", buffering=0) as file:
        fd = file.fileno()
        plain = whole(fd)
        assert plain["choices"][0]["logprobs"] is None
        for n_top in (0, 2):
            answer = whole(fd, logprobs=True, top_logprobs=n_top, n=2)
            choices, usage = streamed(fd, logprobs=True, top_logprobs=n_top, n=2)
            assert answer["choices"][0]["message"] == plain["choices"][0]["message"]
            n_tokens = 0
            for choice in answer["choices"]:
                entries = choice["logprobs"]["content"]
                assert choices[choice["index"]][2] == entries
                check_logprobs(entries, n_top)
                n_tokens += len(entries)
            assert usage["completion_tokens"] == n_tokens
            if not IS_NULL:  # the tokens spell the answer, but for the one that ended it
                entries = answer["choices"][0]["logprobs"]["content"]
                text = b"".join(bytes(entry["bytes"]) for entry in entries).decode()
                assert text.lstrip().startswith(answer["choices"][0]["message"]["content"]), text


def test_a_stop_string_keeps_its_tokens_logprobs():
    with Mount() as m, open(m.at("v1/chat/completions"), "r+b", buffering=0) as file:
        fd = file.fileno()
        if IS_NULL:  # which knows no stop strings
            return
        plain = whole(fd, logprobs=True)["choices"][0]
        stop = plain["message"]["content"][4:6]
        stopped = whole(fd, logprobs=True, stop=[stop])
        choice = stopped["choices"][0]
        assert choice["message"]["content"] == plain["message"]["content"].split(stop)[0]
        entries = choice["logprobs"]["content"]
        assert entries == plain["logprobs"]["content"][:len(entries)]
        assert stopped["usage"]["completion_tokens"] == len(entries)


def test_a_conversation_has_one_answer():
    with Mount() as m:
        name = m.session("bob")
        with raises(errno.EOPNOTSUPP):
            m.write(name + "/input", body(n=2))
        assert m.read(name + "/error").startswith(b"n: ") or b"'n'" in m.read(name + "/error")
        with raises(errno.EOPNOTSUPP):
            m.write("sessions/new", body(n=2))
        with raises(errno.EINVAL):
            m.write(name + "/params", "n 2\n")
        m.write(name + "/input", body(logprobs=True, top_logprobs=1))
        answer = json.loads(m.read(name + "/response.json"))
        check_logprobs(answer["choices"][0]["logprobs"]["content"], 1)
        entries = []
        for line in m.read(name + "/events").splitlines():
            for choice in json.loads(line)["choices"]:
                entries += (choice["logprobs"] or {}).get("content", [])
        assert entries == answer["choices"][0]["logprobs"]["content"]
        assert m.read(name + "/text").decode() == answer["choices"][0]["message"]["content"]


def test_all_choices_end_when_the_client_goes():
    with Mount(endless=True) as m:
        with open(m.at("v1/chat/completions"), "r+b", buffering=0) as file:
            os.write(file.fileno(), json.dumps({**ENDLESS, "n": 4, "stream": True}).encode())
            assert os.read(file.fileno(), 100)
            until(lambda: m.metric("requests_running") > 0, "it runs")
        until(lambda: m.metric("requests_running") == 0, "nothing runs")


def test_what_is_refused_has_its_reason():
    with Mount() as m, open(m.at("v1/chat/completions"), "r+b", buffering=0) as file:
        cases = [({"n": 0}, "n"), ({"n": 129}, "n"), ({"top_logprobs": 2}, "top_logprobs"),
                 ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
                 ({"logit_bias": {"5": 101}}, "logit_bias.5"), ({"presence_penalty": 3}, "presence_penalty")]
        for fields, param in cases:
            with raises(errno.EINVAL):
                os.write(file.fileno(), body(**fields).encode())
            error = json.loads(os.read(file.fileno(), 65536))["error"]
            assert error["param"] == param and error["type"] == "invalid_request_error", error


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
