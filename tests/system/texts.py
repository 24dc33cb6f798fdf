#!/usr/bin/env python3
"""What the model reads, without running it: tokenize, detokenize, apply-template; models/; embeddings, which it has not.

The null model's tokens are the bytes, and its template is one line per message.
"""
import errno
import json
import os
import shutil
import threading
import time

from mount import Mount, run_tests

IS_NULL = os.environ.get("TOKFS_MODEL") == "null"
NAME = "fake" if IS_NULL else "demo"


def ask(mount, path, request, wants_error=None):
    """The object that `path` answers to one request; `wants_error`: the errno of the write that completes it."""
    data = request if isinstance(request, bytes) else json.dumps(request).encode()
    fd = os.open(mount.at(path), os.O_RDWR)
    try:
        code = 0
        try:
            for at in range(0, len(data), 100000):
                os.write(fd, data[at:at + 100000])
        except OSError as error:
            code = error.errno
        assert code == (wants_error or 0), (path, data[:200], os.strerror(code), os.read(fd, 4096))
        answer = b""
        while piece := os.read(fd, 1 << 17):
            answer += piece
        assert answer.endswith(b"}\n"), answer[-80:]
        return json.loads(answer)
    finally:
        os.close(fd)


def refuse(mount, path, request, code, param, words):
    error = ask(mount, path, request, code)["error"]
    assert error["param"] == param and words in error["message"], error


def test_tokens_there_and_back():
    text = "Hello, wörld 🙂\n"
    with Mount() as m:
        answer = ask(m, "tokenize", {"prompt": text, "add_special_tokens": False, "return_token_strs": True})
        assert answer["count"] == len(answer["tokens"]) == len(answer["token_strs"]) > 3, answer
        assert answer["max_model_len"] == json.loads(m.read("v1/models"))["data"][0]["max_model_len"]
        back = ask(m, "detokenize", {"model": NAME, "tokens": answer["tokens"]})
        assert back == {"prompt": text, "content": text}, back
        assert ask(m, "tokenize", {"content": text})["tokens"] == answer["tokens"]
        pieces = ask(m, "tokenize", {"content": text, "with_pieces": True})["tokens"]
        assert [piece["id"] for piece in pieces] == answer["tokens"]
        as_bytes = [p["piece"].encode() if isinstance(p["piece"], str) else bytes(p["piece"]) for p in pieces]
        assert b"".join(as_bytes).decode() == text, pieces
        if IS_NULL:
            assert ask(m, "tokenize", {"prompt": "a"})["tokens"] == [256, 97]


def test_the_prompt_of_a_chat():
    chat = [{"role": "user", "content": "Grüße 🙂"}]
    with Mount() as m:
        prompt = ask(m, "apply-template", {"messages": chat})["prompt"]
        assert "Grüße 🙂" in prompt
        rendered = ask(m, "apply-template", {"conversations": [chat], "add_generation_prompt": True})
        assert rendered == {"rendered_chats": [prompt], "generation_indices": []}, rendered
        ids = ask(m, "tokenize", {"messages": chat})["tokens"]
        assert ask(m, "tokenize", {"prompt": prompt, "add_special_tokens": False})["tokens"] == ids
        if not IS_NULL:  # the same tokens as the model reads
            whole = ask(m, "v1/chat/completions", {"messages": chat, "max_tokens": 1})
            assert whole["usage"]["prompt_tokens"] == len(ids)
        marked = ask(m, "apply-template", {
            "conversations": [chat, chat * 2], "return_assistant_tokens_mask": True, "template_vars": {"x": "é"},
            "chat_template": "{% for m in messages %}{{ x }}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"})
        assert marked["rendered_chats"] == ["éGrüße 🙂", "éGrüße 🙂éGrüße 🙂"]
        assert marked["generation_indices"] == [[[1, 8]], [[1, 8], [9, 16]]], marked


def test_refusals_are_objects():
    with Mount() as m:
        refuse(m, "tokenize", {}, errno.EINVAL, "prompt", "Missing")
        refuse(m, "tokenize", {"prompt": "a", "frobnicate": 1}, errno.EINVAL, "frobnicate", "Unrecognized")
        refuse(m, "tokenize", {"prompt": "a", "model": "no-such"}, errno.ENOENT, "model", "no-such")
        refuse(m, "detokenize", {"tokens": [1 << 30]}, errno.EINVAL, "tokens[0]", "no token")
        refuse(m, "apply-template", {"conversations": [[{}]], "chat_template": "{{ 1 / 0 }}"}, errno.EINVAL, None,
               "line 1, column")
        refuse(m, "apply-template", b'{"conversations": [}', errno.EINVAL, None, "byte")
        refuse(m, "v1/embeddings", {"input": "a"}, errno.EOPNOTSUPP, "model", "no embeddings")
        one = os.open(m.at("tokenize"), os.O_RDWR)  # refused, and then not: on one descriptor
        try:
            os.write(one, b'{"prompt": 1}')
        except OSError as error:
            assert error.errno == errno.EINVAL
        assert json.loads(os.read(one, 4096))["error"]["param"] == "prompt"
        os.write(one, b'{"content": "a"}\n')
        assert json.loads(os.read(one, 4096))["count"] == 1
        os.close(one)


def test_a_megabyte():
    text = "All work and no play. " * 50000
    with Mount() as m:
        answer = ask(m, "tokenize", {"content": text})
        assert ask(m, "detokenize", {"tokens": answer["tokens"]})["content"] == text
        rendered = ask(m, "apply-template", {"conversations": [[{"role": "user", "content": text}]]})
        assert text.strip() in rendered["rendered_chats"][0]  # as a template may do


def test_hostile_templates_hold_up_nobody():
    """Every step of a hostile template is the text threads': the mount answers meanwhile, and the template ends."""
    template = "{% for i in range(100000) %}{% for j in range(100000) %}{% set x = i * j %}{% endfor %}{% endfor %}"
    request = {"conversations": [[], []], "chat_template": template}
    with Mount() as m:
        thread = threading.Thread(target=refuse, args=(m, "apply-template", request, errno.E2BIG, None, "too many steps"))
        thread.start()
        answers = 0
        while thread.is_alive():
            assert m.read("health") == b"ok\n"
            answers += 1
            time.sleep(0.01)
        thread.join()
        assert answers > 3, answers
        fd = os.open(m.at("apply-template"), os.O_RDWR)  # closed at once: nothing is left of it
        os.close(fd)
        assert ask(m, "tokenize", {"content": "a"})["count"] == 1


def test_the_models_directory():
    with Mount("--served-name", "org/name") as m:
        assert os.listdir(m.at("models")) == ["org--name"]
        where = m.at("models/org--name/")
        info = json.loads(m.read("models/org--name/info.json"))
        assert info["id"] == "org/name" and info["max_model_len"] > 0 and info["has_chat_template"], info
        assert "messages" in m.read("models/org--name/chat_template").decode()
        names = sorted(os.listdir(where))
        assert {"info.json", "chat_template", "config.json"} <= set(names), names
        for name in names:
            content = m.read("models/org--name/" + name)
            assert os.stat(where + name).st_size == len(content) > 0, name
            shutil.copyfile(where + name, m.scratch + "/copy")  # by sendfile
            with open(m.scratch + "/copy", "rb") as copy:
                assert copy.read() == content, name
            try:
                os.close(os.open(where + name, os.O_WRONLY))
                raise AssertionError(f"{name} was opened for writing")
            except OSError as error:
                assert error.errno == errno.EACCES, (name, error)
        if not IS_NULL:
            source = os.environ["TOKFS_SOURCE_ROOT"] + "/tools/demo/model/"
            for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
                with open(source + name, "rb") as file:
                    assert file.read() == m.read("models/org--name/" + name), name


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
