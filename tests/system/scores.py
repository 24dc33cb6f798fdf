#!/usr/bin/env python3
"""Log probabilities of prompts through the mount, against the logits that transformers computed for the model fixtures
(tests/oracle/gen_models.py): echo with logprobs, prompt_logprobs and generate's logprob_start_len.
"""
import json
import math
import os
import shutil
import struct
import sys
import tempfile

from mount import Mount, run_tests, transact

FIXTURES = os.path.join(os.environ.get("TOKFS_SOURCE_ROOT", "."), "tests/fixtures/models")
CASES = [("gqa-f32", 2e-4), ("mistral-window", 2e-4), ("qwen3-moe", 2e-4), ("gemma2", 5e-4), ("gqa-bf16", 0.3)]

if os.environ.get("TOKFS_MODEL") == "null":
    print("skipped: the null model has no log probabilities")
    sys.exit(77)


def read_tensors(path):
    """A safetensors file of f32 matrices: name -> rows."""
    with open(path, "rb") as file:
        head = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    tensors = {}
    for name, info in head.items():
        if name != "__metadata__":
            n_rows, n_cols = info["shape"]
            flat = struct.unpack(f"<{n_rows * n_cols}f", data[slice(*info["data_offsets"])])
            tensors[name] = [flat[i * n_cols:(i + 1) * n_cols] for i in range(n_rows)]
    return tensors


def log_softmax(row):
    most = max(row)
    total = math.log(sum(math.exp(x - most) for x in row))
    return [x - most - total for x in row]


class Fixture:
    """A model directory with a tokenizer that has a letter for each id, and what transformers says of its prompts."""

    def __init__(self, name):
        self.source = os.path.join(FIXTURES, name)
        with open(self.source + "/expected/prompts.json") as file:
            self.prompts = [prompt for prompt in json.load(file) if len(prompt) > 2]
            file.seek(0)
            indices = [i for i, prompt in enumerate(json.load(file)) if len(prompt) > 2]
        logits = read_tensors(self.source + "/expected/model.safetensors")
        self.logprobs = [[log_softmax(row) for row in logits[f"logits.{i}"]] for i in indices]

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="tokfs-test.")
        for file in os.listdir(self.source):
            if file != "expected":
                shutil.copy(os.path.join(self.source, file), self.path)
        vocabulary = {chr(0x100 + i): i for i in range(61)}
        with open(self.path + "/tokenizer.json", "w") as file:
            json.dump({"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": vocabulary, "merges": []}}, file)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def check(told, wanted, tolerance, what):
    assert abs(told - wanted) <= tolerance, f"{what}: {told}, transformers says {wanted}"


def check_fixture(name, tolerance):
    with Fixture(name) as fixture, Mount(model=fixture.path) as m:
        for ids, logprobs in zip(fixture.prompts, fixture.logprobs):
            wanted = [None] + [logprobs[i][token] for i, token in enumerate(ids[1:])]
            answer = json.loads(transact(m, "v1/completions", {"prompt": ids, "echo": True, "logprobs": 2, "max_tokens": 0,
                                                               "prompt_logprobs": 3}))["choices"][0]
            told = answer["logprobs"]["token_logprobs"]
            assert len(told) == len(ids) and told[0] is None, answer
            assert answer["logprobs"]["top_logprobs"][0] is None and answer["prompt_logprobs"][0] is None, answer
            meta = json.loads(transact(m, "generate", {"input_ids": ids, "return_logprob": True, "logprob_start_len": 2,
                                                       "top_logprobs_num": 2, "sampling_params": {"max_new_tokens": 1}}))["meta_info"]
            told_from = meta["input_token_logprobs"]
            assert [entry[1] for entry in told_from] == ids[2:] and told_from[0][0] is None, meta
            assert len(meta["input_top_logprobs"]) == len(ids) - 2 and meta["input_top_logprobs"][0] is None, meta
            for i in range(1, len(ids)):
                what = f"{name}, token {i}"
                check(told[i], wanted[i], tolerance, what)
                entries = answer["prompt_logprobs"][i]
                check(entries[str(ids[i])]["logprob"], wanted[i], tolerance, what)
                n_above = sum(x > wanted[i] + tolerance for x in logprobs[i - 1])
                n_near = sum(x > wanted[i] - tolerance for x in logprobs[i - 1])
                assert n_above < entries[str(ids[i])]["rank"] <= n_near, (what, entries)
                for token, entry in entries.items():
                    check(entry["logprob"], logprobs[i - 1][int(token)], tolerance, what)
                if i > 2:
                    check(told_from[i - 2][0], wanted[i], tolerance, what)
                    best = sorted(logprobs[i - 1], reverse=True)
                    for k, entry in enumerate(meta["input_top_logprobs"][i - 2]):
                        check(entry[0], best[k], tolerance, what)


def test_log_probabilities_are_transformers():
    for name, tolerance in CASES:
        check_fixture(name, tolerance)


def test_streams_tell_the_prompt_first():
    with Mount() as m:
        request = {"prompt": "Once upon a time", "echo": True, "logprobs": 1, "max_tokens": 4, "temperature": 0}
        whole = json.loads(transact(m, "v1/completions", request))["choices"][0]
        lines = transact(m, "v1/completions", {**request, "stream": True}).split("\n\n")
        text, told = "", {}
        for line in lines[:-2]:
            choice = json.loads(line.removeprefix("data: "))["choices"][0]
            text += choice["text"]
            for name, values in (choice["logprobs"] or {}).items():
                told.setdefault(name, []).extend(values)
        assert (text, told) == (whole["text"], whole["logprobs"]), (told, whole)
        parts = [json.loads(line.removeprefix("data: ")) for line in transact(m, "generate", {
            "text": "Once upon a time", "return_logprob": True, "logprob_start_len": 0, "stream": True,
            "sampling_params": {"max_new_tokens": 4, "temperature": 0}}).split("\n\n")[:-2]]
        for part in parts:
            assert part["meta_info"]["input_token_logprobs"] == parts[0]["meta_info"]["input_token_logprobs"]
        assert all(entry[0] is not None for entry in parts[0]["meta_info"]["input_token_logprobs"][1:])


def test_several_prompts_and_choices():
    with Mount() as m:
        prompts = ["The sky is", "Two and two"]
        request = {"echo": True, "logprobs": 1, "max_tokens": 3, "temperature": 1, "seed": 3, "n": 2, "prompt_logprobs": 0}
        together = json.loads(transact(m, "v1/completions", {"prompt": prompts, **request}))["choices"]
        apart = [json.loads(transact(m, "v1/completions", {"prompt": prompt, **request}))["choices"] for prompt in prompts]
        for i, choice in enumerate(together):
            assert {**choice, "index": 0} == {**apart[i // 2][i % 2], "index": 0}, (i, choice, apart)


def test_a_chats_prompt():
    with Mount() as m:
        body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3, "prompt_logprobs": 1, "temperature": 0}
        answer = json.loads(transact(m, "v1/chat/completions", body))
        n = answer["usage"]["prompt_tokens"]
        assert len(answer["prompt_logprobs"]) == n and answer["prompt_logprobs"][0] is None, answer
        assert all(1 <= len(entries) <= 2 for entries in answer["prompt_logprobs"][1:]), answer
        os.mkdir(m.at("sessions/s"))
        m.write("sessions/s/input", json.dumps(body))
        assert json.loads(m.read("sessions/s/response.json"))["prompt_logprobs"] == answer["prompt_logprobs"]


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
