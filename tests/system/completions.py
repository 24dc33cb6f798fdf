#!/usr/bin/env python3
"""v1/completions: the forms of a prompt, several of them, echo, log probabilities, whole and streamed; what is refused.

The null model answers with the words of the first prompt. The built-in model is compared with itself.
"""
import errno
import json
import os

from mount import Mount, run_tests, transact

try:
    from openai.types import Completion
except ImportError:
    Completion = None

IS_NULL = os.environ.get("TOKFS_MODEL") == "null"


def whole(mount, prompt, **fields):
    answer = json.loads(transact(mount, "v1/completions", {"prompt": prompt, "temperature": 0, **fields}))
    assert answer["object"] == "text_completion" and answer["id"].startswith("cmpl-"), answer
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(answer["choices"])))
    if Completion:
        Completion.model_validate(answer)
    return answer


def streamed(mount, prompt, **fields):
    """The choices as the chunks give them, and the last chunk's usage."""
    text = transact(mount, "v1/completions", {"prompt": prompt, "temperature": 0, "stream": True, **fields})
    lines = [line for line in text.split("\n") if line]
    assert lines[-1] == "data: [DONE]", lines[-1]
    choices, usage = {}, None
    for line in lines[:-1]:
        chunk = json.loads(line.removeprefix("data: "))
        assert chunk["object"] == "text_completion", chunk
        usage = chunk.get("usage", usage)
        for part in chunk["choices"]:
            choice = choices.setdefault(part["index"], {"text": "", "finish_reason": None, "logprobs": {}})
            assert choice["finish_reason"] is None, chunk
            choice["text"] += part["text"]
            choice["finish_reason"] = part["finish_reason"]
            for name, values in (part["logprobs"] or {}).items():
                choice["logprobs"].setdefault(name, []).extend(values)
    return [choices[index] for index in sorted(choices)], usage


def texts(answer):
    return [choice["text"] for choice in answer["choices"]]


def ids_of(mount, text):
    return json.loads(transact(mount, "tokenize", {"prompt": text}))["tokens"]


def test_a_prompt_whole_and_streamed():
    with Mount() as m:
        answer = whole(m, "Once upon a time", max_tokens=8)
        choice = answer["choices"][0]
        assert choice["text"] and choice["logprobs"] is None and choice["finish_reason"] in ("stop", "length"), answer
        usage = answer["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 1, usage
        parts, no_usage = streamed(m, "Once upon a time", max_tokens=8)
        assert [parts[0]["text"], parts[0]["finish_reason"]] == [choice["text"], choice["finish_reason"]], parts
        assert no_usage is None
        _, told = streamed(m, "Once upon a time", max_tokens=8, stream_options={"include_usage": True})
        assert told["completion_tokens"] == usage["completion_tokens"], told


def test_several_prompts_and_choices():
    prompts = ["The sky", "Two and two is", "A"]
    with Mount() as m:
        together = whole(m, prompts, max_tokens=6)
        assert len(together["choices"]) == 3
        if not IS_NULL:
            alone = [whole(m, prompt, max_tokens=6) for prompt in prompts]
            assert texts(together) == [texts(answer)[0] for answer in alone], (together, alone)
            assert together["usage"]["prompt_tokens"] == sum(answer["usage"]["prompt_tokens"] for answer in alone)
            as_ids = [ids_of(m, prompt) for prompt in prompts]
            assert texts(whole(m, as_ids, max_tokens=6)) == texts(together)
            assert texts(whole(m, as_ids[0], max_tokens=6)) == texts(together)[:1]
            drawn = whole(m, prompts[:2], n=2, max_tokens=6, temperature=1, seed=7)
            apart = [whole(m, prompt, n=2, max_tokens=6, temperature=1, seed=7) for prompt in prompts[:2]]
            assert texts(drawn) == texts(apart[0]) + texts(apart[1]), (drawn, apart)
        parts, _ = streamed(m, prompts, max_tokens=6)
        assert [part["text"] for part in parts] == texts(together)
        assert len(whole(m, prompts, n=2, best_of=2, max_tokens=3)["choices"]) == 6


def test_echo_and_defaults():
    with Mount() as m:
        plain, echoed = whole(m, "Once upon"), whole(m, "Once upon", echo=True)
        assert texts(echoed) == ["Once upon" + texts(plain)[0]], echoed
        assert streamed(m, "Once upon", echo=True)[0][0]["text"] == texts(echoed)[0]
        assert plain["usage"]["completion_tokens"] <= 16
        nothing = whole(m, "Once upon", echo=True, max_tokens=0)
        assert texts(nothing) == ["Once upon"] and nothing["choices"][0]["finish_reason"] == "length", nothing
        if not IS_NULL:
            assert texts(whole(m, [ids_of(m, "Once"), ids_of(m, "upon a")], echo=True, max_tokens=0)) == ["Once", "upon a"]


def test_log_probabilities():
    with Mount() as m:
        choice = whole(m, "Once upon a time", max_tokens=5, logprobs=2)["choices"][0]
        told = choice["logprobs"]
        n = len(told["tokens"])
        assert n > 0 and all(len(told[name]) == n for name in ("token_logprobs", "top_logprobs", "text_offset")), told
        assert told["text_offset"][0] == 0 and all(1 <= len(top) <= 3 for top in told["top_logprobs"]), told
        for i in range(1, n):
            assert told["text_offset"][i] == told["text_offset"][i - 1] + len(told["tokens"][i - 1])
        if not IS_NULL:
            assert "".join(told["tokens"]).startswith(choice["text"])
        parts, _ = streamed(m, "Once upon a time", max_tokens=5, logprobs=2)
        assert parts[0]["logprobs"] == told, (parts[0], told)
        assert all(len(top) == 1 for top in whole(m, "Once", logprobs=0)["choices"][0]["logprobs"]["top_logprobs"])


def test_refusals_are_objects():
    cases = [
        ({}, errno.EINVAL, "prompt"),
        ({"prompt": []}, errno.EINVAL, "prompt"),
        ({"prompt": ["a", 1]}, errno.EINVAL, "prompt[1]"),
        ({"prompt": [1, "a"]}, errno.EINVAL, "prompt[1]"),
        ({"prompt": [[1], [-1]]}, errno.EINVAL, "prompt[1][0]"),
        ({"prompt": "a", "suffix": "b"}, errno.EOPNOTSUPP, "suffix"),
        ({"prompt": "a", "best_of": 3}, errno.EOPNOTSUPP, "best_of"),
        ({"prompt": "a", "logprobs": True}, errno.EINVAL, "logprobs"),
        ({"prompt": "a", "n": 129}, errno.EINVAL, "n"),
        ({"prompt": ["a"] * 300, "n": 2}, errno.EINVAL, "prompt"),
        ({"prompt": "a", "stream_options": {}}, errno.EINVAL, "stream_options"),
        ({"prompt": "a", "messages": []}, errno.EINVAL, "messages"),
        ({"prompt": "a", "temperature": 3}, errno.EINVAL, "temperature"),
        ({"prompt": "a", "model": "no-such"}, errno.ENOENT, "model"),
        ({"prompt": "a", "model": ""}, errno.ENOENT, "model"),
    ]
    if not IS_NULL:
        cases += [
            ({"prompt": [1 << 30]}, errno.EINVAL, "prompt"),
            ({"prompt": [[1], []]}, errno.EINVAL, "prompt[1]"),
            ({"prompt": ["a", "word " * 100000]}, errno.E2BIG, "prompt[1]"),
        ]
    with Mount() as m:
        for request, code, param in cases:
            error = json.loads(transact(m, "v1/completions", request, wants_error=code))["error"]
            assert error["param"] == param and error["message"], (request, error)
        assert texts(whole(m, "Still here", max_tokens=4))


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
