#!/usr/bin/env python3
"""A request that fails, fails over HTTP for the reason that it has through the file: the same table both ways."""
import errno
import json
import os
import sys

from bridge import BRIDGE, Bridge
from mount import Mount, run_tests

IS_NULL = os.environ.get("TOKFS_MODEL") == "null"
STATUS = {errno.EINVAL: 400, errno.EOPNOTSUPP: 400, errno.E2BIG: 400, errno.ENOENT: 404, errno.EPERM: 403, errno.EFBIG: 413,
          errno.EAGAIN: 429, errno.EDQUOT: 429, errno.ETIMEDOUT: 504}
X = [{"role": "user", "content": "x"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def chat(**fields):
    return {"messages": X, **fields}


CHATS = [
    {}, {"messages": []}, {"messages": 7}, {"messages": ["x"]}, {"messages": [{"content": "x"}]}, {"messages": [{"role": "user"}]},
    {"messages": [{"role": "nobody", "content": "x"}]}, {"messages": [{"role": "user", "content": []}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
    {"messages": [{"role": "user", "content": "x", "mood": "good"}]}, {"messages": [{"role": "tool", "content": "x"}]},
    chat(model="other"), chat(model=5), chat(frobnicate=1), chat(temperature=9), chat(temperature="hot"), chat(top_p=-1),
    chat(n=0), chat(n=1.5), chat(max_tokens=-1), chat(max_completion_tokens="x"), chat(stop=5), chat(stop=["x" * 300]), chat(seed="x"),
    chat(logit_bias={"x": 1}), chat(logit_bias={"5": 101}), chat(logprobs=1), chat(top_logprobs=2), chat(logprobs=True, top_logprobs=21),
    chat(stream="yes"), chat(stream_options={"include_usage": True}), chat(tools=[{}]), chat(tools=[TOOL], tool_choice="never"),
    chat(tool_choice="required"), chat(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "g"}}),
    chat(response_format={"type": "xml"}), chat(response_format={"type": "json_schema"}), chat(audio={}), chat(modalities=["audio"]),
    chat(functions=[TOOL["function"]]), chat(verbosity="low"), chat(web_search_options={}), chat(timeout=0), chat(priority="x"),
    chat(cache_salt=5),
]
ENGINE_CHATS = [  # what the null model does not know
    chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "frob"}}}), chat(regex="(?=x)"),
    chat(guided_json={"type": "object", "minProperties": 5}), chat(regex="x", guided_choice=["y"]), {"messages": [{"role": "user", "content": "x " * 9000}]},
    chat(prompt_logprobs=1, stream=True), chat(model=""), chat(chat_template="{{"),
]
TABLE = {
    "v1/chat/completions": CHATS + ([] if IS_NULL else ENGINE_CHATS),
    "v1/completions": [{}, {"prompt": 5}, {"prompt": []}, {"prompt": "x", "suffix": "y"}, {"prompt": "x", "best_of": 3}, {"prompt": "x", "logprobs": 99},
                       {"prompt": ["x"] * 2000}, {"prompt": "x", "model": "other"}, {"prompt": "x", "messages": X}],
    "v1/embeddings": [{}, {"input": "x"}, {"input": "x", "model": "other"}],
    "tokenize": [{}, {"prompt": 5}, {"messages": 5}, {"prompt": "x", "frobnicate": 1}, {"prompt": "x", "model": "other"}],
    "detokenize": [{}, {"tokens": "x"}, {"tokens": [-1]}, {"tokens": [99999999]}],
    "apply-template": [{}, {"messages": []}, {"conversations": 5}, {"conversations": [X], "chat_template": "{{ x"}],
    "generate": [{}, {"text": 5}, {"input_ids": ["x"]}, {"text": "x", "sampling_params": {"temperature": 9}}, {"text": "x", "input_ids": [1]},
                 {"text": "x", "sampling_params": {"frobnicate": 1}}],
    "retrieve_from_text": [{}, {"text": 5}, {"text": ["x"] * 600}, {"text": "x", "frobnicate": 1}],
}
BYTES = [b'{"messages":', b"[]", b"hello", b'"x"', b"{}}", b'{"messages":[{"role":"user","content":"\xff"}]}', b'{"a":' * 300, b'{"a":1,"a":2}', b"\0",
         b'{"messages":[{"role":"user","content":"\\ud800"}]}']


def through_the_file(mount, path, body):
    """(errno of the write, what is read)."""
    fd = os.open(mount.at(path), os.O_RDWR)
    code, answer = 0, b""
    try:
        try:
            os.write(fd, body)
        except OSError as error:
            code = error.errno
        try:
            while piece := os.read(fd, 65536):
                answer += piece
        except OSError as error:
            code = code or error.errno
        return code, answer.decode()
    finally:
        os.close(fd)


def test_table_of_bad_requests():
    n = 0
    with Mount() as m, Bridge(m) as b:
        for path, requests in TABLE.items():
            for body in [json.dumps(request).encode() for request in requests] + BYTES:
                code, said = through_the_file(m, path, body)
                status, _, answer = b.ask("POST", "/" + path, body)
                assert status >= 400, (path, body[:200], answer)
                wanted, got = json.loads(said)["error"], json.loads(answer)["error"]
                assert got == wanted and set(got) == {"message", "type", "param", "code"} and got["message"], (path, body[:200], wanted, got)
                assert status == STATUS.get(code, 400), (path, body[:200], os.strerror(code), status)  # 0: never complete, so no write failed
                n += 1
    print(f"        {n} requests, each both ways")


def test_streams_that_are_refused_are_no_streams():
    with Mount() as m, Bridge(m) as b:
        for request in (chat(stream=True, temperature=9), chat(stream=True, model="other")):
            status, headers, answer = b.ask("POST", "/v1/chat/completions", request)
            assert status in (400, 404) and headers["Content-Type"] == "application/json", (status, headers)
            assert answer == through_the_file(m, "v1/chat/completions", json.dumps(request).encode())[1]


if __name__ == "__main__":
    if not os.access(BRIDGE, os.X_OK):
        print("skipped: TOKFS_BRIDGE is not a program")
        sys.exit(77)
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
