#!/usr/bin/env python3
"""retrieve_from_text: tokens of texts, how far they are cached, and log probabilities that the cache holds of them."""
import errno
import json
import os

from mount import Mount, run_tests, transact

IS_NULL = os.environ.get("TOKFS_MODEL") == "null"


def retrieve(mount, **body):
    answer = json.loads(transact(mount, "retrieve_from_text", body))
    for one in answer if isinstance(answer, list) else [answer]:
        n = len(one["tokens"])
        assert one["token_length"] == one["loss_mask_length"] == len(one["loss_mask"]) == len(one["rollout_logp"]) == n, one
        assert 0 <= one["cached"] <= n and set(one["loss_mask"]) <= {0, 1}, one
        assert all(logprob is None or logprob <= 0 for logprob in one["rollout_logp"]), one
        assert all(logprob is not None for logprob, is_said in zip(one["rollout_logp"], one["loss_mask"]) if is_said), one
    return answer


def generate(mount, sampling=None, **body):
    return json.loads(transact(mount, "generate", {"sampling_params": {"temperature": 0.8, "sampling_seed": 3, "ignore_eos": True,
                                                                       "max_new_tokens": 9, **(sampling or {})}, **body}))


def test_the_answers_form():
    with Mount() as m:
        one = retrieve(m, text="Once upon a time")
        assert list(one) == ["tokens", "response", "loss_mask", "token_length", "loss_mask_length", "rollout_logp", "cached"], one
        assert one["response"] == "Once upon a time" and one["cached"] == 0 and set(one["rollout_logp"]) == {None}, one
        assert one["tokens"] == json.loads(transact(m, "tokenize", {"prompt": "Once upon a time"}))["tokens"]
        assert retrieve(m, input_ids=one["tokens"])["tokens"] == one["tokens"]
        assert [item["response"] for item in retrieve(m, text=["a", "b"])] == ["a", "b"]
        assert isinstance(retrieve(m, text=["a"]), list)


def test_what_was_said_is_held():
    if IS_NULL:
        return
    with Mount() as m:
        prompt = retrieve(m, text="Once upon a time")["tokens"]
        answer = generate(m, input_ids=prompt, return_logprob=True)
        said, logprobs = answer["output_ids"], [entry[0] for entry in answer["meta_info"]["output_token_logprobs"]]
        held = retrieve(m, input_ids=prompt + said)
        assert held["cached"] == len(prompt) + len(said) - 1, held  # the last token was not computed
        assert held["rollout_logp"] == [None] * len(prompt) + logprobs, (held, logprobs)
        assert held["loss_mask"] == [0] * len(prompt) + [1] * len(said), held
        other = retrieve(m, input_ids=prompt + said[:4] + [said[4] + 1] + said[5:])
        assert other["cached"] == len(prompt) + 4 and other["rollout_logp"][len(prompt):] == logprobs[:4] + [None] * 5, other
        again = retrieve(m, input_ids=prompt + said)
        assert again == held, "looking changes nothing"
        # The next turn reads what was said, and more is said.
        turn = prompt + said + prompt
        more = generate(m, input_ids=turn, return_logprob=True, logprob_start_len=0)
        held = retrieve(m, input_ids=turn + more["output_ids"])
        assert held["loss_mask"] == [0] * len(prompt) + [1] * len(said) + [0] * len(prompt) + [1] * len(more["output_ids"]), held
        assert held["rollout_logp"][len(prompt):len(prompt) + len(said)] == logprobs, held
        assert held["rollout_logp"][1:len(turn)] == [entry[0] for entry in more["meta_info"]["input_token_logprobs"][1:]], held


def test_a_text_is_found_in_the_tokens_it_was_said_in():
    """Random drawing says words in other tokens than the tokenizer would cut them into."""
    if IS_NULL:
        return
    n_other = 0
    with Mount() as m:
        for seed in range(12):
            answer = generate(m, text="Once upon a time", return_logprob=True,
                              sampling={"temperature": 2, "max_new_tokens": 12, "sampling_seed": seed,
                                        "logit_bias": {"2": -100, "0": -100, "1": -100}})
            if "\ufffd" in answer["text"]:
                continue  # half a character cannot be written
            prompt, text = retrieve(m, text="Once upon a time")["tokens"], "Once upon a time" + answer["text"]
            held = retrieve(m, text=text)
            assert held["response"] == text
            cut = json.loads(transact(m, "tokenize", {"prompt": text}))["tokens"]
            n_other += cut != prompt + answer["output_ids"]
            assert held["tokens"] == prompt + answer["output_ids"], (text, held, answer)
            assert held["rollout_logp"][len(prompt):] == [entry[0] for entry in answer["meta_info"]["output_token_logprobs"]]
        assert n_other > 0
        # Text that was not said to its end is cut as always.
        longer = retrieve(m, text=text + " and on")
        assert longer["tokens"] == json.loads(transact(m, "tokenize", {"prompt": text + " and on"}))["tokens"]


def test_what_nobody_asked_about_is_not_known():
    if IS_NULL:
        return
    with Mount() as m:
        prompt = retrieve(m, text="The sky is")["tokens"]
        answer = generate(m, input_ids=prompt)
        held = retrieve(m, input_ids=prompt + answer["output_ids"])
        assert held["cached"] > len(prompt) and set(held["rollout_logp"]) == {None} and set(held["loss_mask"]) == {0}, held


def test_salts_keep_apart():
    if IS_NULL:
        return
    with Mount() as m:
        prompt = retrieve(m, text="The sky is")["tokens"]
        answer = generate(m, input_ids=prompt, return_logprob=True, cache_salt="mine")
        timeline = prompt + answer["output_ids"]
        assert retrieve(m, input_ids=timeline)["cached"] == 0
        assert retrieve(m, input_ids=timeline, cache_salt="yours")["cached"] == 0
        held = retrieve(m, input_ids=timeline, cache_salt="mine")
        assert held["cached"] == len(timeline) - 1 and held["rollout_logp"][-1] is not None, held


def test_several_answers_to_a_prompt():
    if IS_NULL:
        return
    with Mount() as m:
        prompt = retrieve(m, text="Once upon a time")["tokens"]
        answers = generate(m, input_ids=prompt, return_logprob=True, sampling={"n": 6, "temperature": 1.2, "max_new_tokens": 40})
        held = retrieve(m, input_ids=[prompt + answer["output_ids"] for answer in answers])
        for answer, one in zip(answers, held):
            logprobs = [entry[0] for entry in answer["meta_info"]["output_token_logprobs"]]
            assert one["rollout_logp"][len(prompt):] == logprobs, (one, logprobs)


def test_eviction_forgets():
    if IS_NULL:
        return
    with Mount("--kv-mem", "800K") as m:
        prompt = retrieve(m, text="Once upon a time")["tokens"]
        answer = generate(m, input_ids=prompt, return_logprob=True)
        timeline = prompt + answer["output_ids"]
        assert retrieve(m, input_ids=timeline)["cached"] > 0
        for i in range(200):
            generate(m, text=f"number {i} " * 25, return_logprob=True, sampling={"max_new_tokens": 1})
            if retrieve(m, input_ids=timeline)["cached"] == 0:
                break
        held = retrieve(m, input_ids=timeline)
        assert held["cached"] == 0 and set(held["rollout_logp"]) == {None}, held
        renewed = generate(m, input_ids=prompt, return_logprob=True)
        assert renewed["output_ids"] == answer["output_ids"]
        logprobs = [entry[0] for entry in answer["meta_info"]["output_token_logprobs"]]
        assert retrieve(m, input_ids=timeline)["rollout_logp"][len(prompt):] == logprobs


def test_refusals_are_objects():
    cases = [
        ({}, errno.EINVAL, "text"),
        ({"text": "a", "input_ids": [1]}, errno.EINVAL, "input_ids"),
        ({"text": 1}, errno.EINVAL, "text"),
        ({"text": ["a", 1]}, errno.EINVAL, "text[1]"),
        ({"input_ids": [1, -1]}, errno.EINVAL, "input_ids[1]"),
        ({"input_ids": [[1], [1 << 30]]}, errno.EINVAL, "input_ids[1][0]"),
        ({"text": "a", "stream": True}, errno.EINVAL, "stream"),
        ({"text": ["a"] * 513}, errno.EINVAL, "text"),
        ({"text": "a", "model": "no-such"}, errno.ENOENT, "model"),
    ]
    with Mount() as m:
        for body, code, param in cases:
            error = json.loads(transact(m, "retrieve_from_text", body, wants_error=code))["error"]
            assert error["param"] == param and error["message"], (body, error)


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
