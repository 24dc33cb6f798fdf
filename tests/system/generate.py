#!/usr/bin/env python3
"""generate: SGLang's native request and answer, whole and streamed, of one prompt and of lists; what is refused.

The null model answers with the words of the first prompt. The built-in model is compared with itself through v1/completions
and tokenize.
"""
import errno
import json
import os

from mount import Mount, run_tests, transact

IS_NULL = os.environ.get("TOKFS_MODEL") == "null"


def generate(mount, wants_error=0, sampling=None, **body):
    sampling_params = {"temperature": 0, "max_new_tokens": 6, **(sampling or {})}
    return transact(mount, "generate", {"sampling_params": sampling_params, **body}, wants_error=wants_error)


def whole(mount, **arguments):
    answer = json.loads(generate(mount, **arguments))
    for one in answer if isinstance(answer, list) else [answer]:
        check_object(one, is_last=True)
    return answer


def streamed(mount, **arguments):
    """The objects of a stream, in their order."""
    lines = generate(mount, stream=True, **arguments).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""], lines
    parts = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    for part in parts:
        check_object(part)
    return parts


def check_object(answer, is_last=False):
    meta = answer["meta_info"]
    assert isinstance(answer["text"], str) and all(isinstance(i, int) for i in answer["output_ids"]), answer
    assert meta["completion_tokens"] == len(answer["output_ids"]) and meta["prompt_tokens"] > 0, answer
    assert meta["id"] and 0 <= meta["cached_tokens"] < meta["prompt_tokens"] + IS_NULL, answer
    reason = meta["finish_reason"]
    if reason is None:
        assert not is_last and "e2e_latency" not in meta, answer
    else:
        assert reason["type"] in ("stop", "length") and meta["e2e_latency"] > 0, answer
        assert reason["type"] != "length" or reason["length"] == len(answer["output_ids"]), answer


def ids_of(mount, text):
    return json.loads(transact(mount, "tokenize", {"prompt": text}))["tokens"]


def test_answers_have_sglangs_form():
    with Mount() as m:
        answer = whole(m, text="Once upon a time")
        assert list(answer) == ["text", "output_ids", "meta_info"], answer
        assert answer["text"] and answer["meta_info"]["id"].startswith("gen-"), answer
        assert len(whole(m, text="Once", sampling={"max_new_tokens": 300, "ignore_eos": True})["output_ids"]) <= 300
        assert whole(m, text="Once", rid="mine")["meta_info"]["id"] == "mine"
        if not IS_NULL:
            ids = ids_of(m, "Once upon a time")
            assert answer["meta_info"]["prompt_tokens"] == len(ids)
            assert answer["output_ids"] == whole(m, input_ids=ids)["output_ids"]
            plain = json.loads(transact(m, "v1/completions", {"prompt": ids, "temperature": 0, "max_tokens": 6}))
            assert plain["choices"][0]["text"] == answer["text"], (plain, answer)
            assert len(whole(m, text="One, two,", sampling={"max_new_tokens": None})["output_ids"]) <= 128


def test_lists_are_answered_by_lists():
    prompts = ["The sky", "Two and two is", "A"]
    with Mount() as m:
        together = whole(m, text=prompts, rid="r")
        assert [one["meta_info"]["id"] for one in together] == ["r_0", "r_1", "r_2"] or IS_NULL, together
        named = whole(m, text=prompts, rid=["a", "b", "c"])
        assert [one["meta_info"]["id"] for one in named] == ["a", "b", "c"], named
        assert isinstance(whole(m, text=["One"]), list)
        assert len(whole(m, text="One", sampling={"n": 3})) == 3
        if not IS_NULL:
            assert [one["text"] for one in together] == [whole(m, text=prompt)["text"] for prompt in prompts]
            as_ids = whole(m, input_ids=[ids_of(m, prompt) for prompt in prompts])
            assert [one["output_ids"] for one in as_ids] == [one["output_ids"] for one in together]
            drawn = whole(m, text=prompts[:2], sampling={"n": 2, "temperature": 1, "sampling_seed": 7})
            apart = [whole(m, text=prompt, sampling={"n": 2, "temperature": 1, "sampling_seed": 7}) for prompt in prompts[:2]]
            assert [one["text"] for one in drawn] == [one["text"] for two in apart for one in two], (drawn, apart)


def test_streams_tell_all_so_far():
    with Mount() as m:
        last = whole(m, text="count 6", sampling={"max_new_tokens": 20})
        parts = streamed(m, text="count 6", sampling={"max_new_tokens": 20})
        for before, after in zip(parts, parts[1:]):
            assert after["text"].startswith(before["text"]), parts
            assert after["output_ids"][:len(before["output_ids"])] == before["output_ids"], parts
            assert before["meta_info"]["finish_reason"] is None, parts
        assert (parts[-1]["text"], parts[-1]["output_ids"]) == (last["text"], last["output_ids"])
        assert parts[-1]["meta_info"]["finish_reason"] == last["meta_info"]["finish_reason"]
        assert len({part["meta_info"]["id"] for part in parts}) == 1
        ends = {}
        for part in streamed(m, text=["The sky", "A"], sampling={"n": 2}):
            assert part["index"] not in ends, "nothing follows the end"
            if part["meta_info"]["finish_reason"]:
                ends[part["index"]] = part["text"]
        assert [ends[i] for i in range(4)] == [one["text"] for one in whole(m, text=["The sky", "A"], sampling={"n": 2})]


def test_what_ended_it_is_told():
    with Mount() as m:
        reason = whole(m, text="One", sampling={"max_new_tokens": 1, "ignore_eos": True})["meta_info"]["finish_reason"]
        assert reason == {"type": "length", "length": 1} or IS_NULL, reason
        if IS_NULL:
            return
        answer = whole(m, text="Once upon a time", sampling={"max_new_tokens": 8, "ignore_eos": True})
        word = answer["text"].split()[-1]
        stopped = whole(m, text="Once upon a time", sampling={"max_new_tokens": 8, "ignore_eos": True, "stop": ["\x01", word]})
        assert stopped["meta_info"]["finish_reason"] == {"type": "stop", "matched": word}, stopped
        assert stopped["text"] == answer["text"][:answer["text"].index(word)]
        kept = whole(m, text="Once upon a time",
                     sampling={"max_new_tokens": 8, "ignore_eos": True, "stop": word, "no_stop_trim": True})
        assert kept["text"] == answer["text"][:answer["text"].index(word)] + word, kept
        token = answer["output_ids"][3]
        stopped = whole(m, text="Once upon a time",
                        sampling={"max_new_tokens": 8, "ignore_eos": True, "stop_token_ids": [token]})
        first = answer["output_ids"].index(token)
        assert stopped["meta_info"]["finish_reason"] == {"type": "stop", "matched": token}, stopped
        assert stopped["output_ids"] == answer["output_ids"][:first + 1], stopped
        nothing = whole(m, text="Once", sampling={"max_new_tokens": 0})
        assert nothing["output_ids"] == [] and nothing["meta_info"]["finish_reason"] == {"type": "length", "length": 0}


def test_log_probabilities_of_the_answer():
    with Mount() as m:
        answer = whole(m, text="Once upon a time", return_logprob=True)
        meta = answer["meta_info"]
        assert [probs[1] for probs in meta["output_token_logprobs"]] == answer["output_ids"] or IS_NULL, meta
        assert all(probs[0] <= 0 and probs[2] is None for probs in meta["output_token_logprobs"]), meta
        assert "output_top_logprobs" not in meta
        meta = whole(m, text="Once upon a time", return_logprob=True, top_logprobs_num=2,
                     return_text_in_logprobs=True)["meta_info"]
        assert len(meta["output_top_logprobs"]) == len(meta["output_token_logprobs"]), meta
        for (logprob, token, text), top in zip(meta["output_token_logprobs"], meta["output_top_logprobs"]):
            assert isinstance(text, str) and len(top) == 2 and top[0][0] >= top[1][0], meta
            assert top[0][:2] == [logprob, token] or IS_NULL, "greedy takes the most probable"
        parts = streamed(m, text="Once upon a time", return_logprob=True)
        assert len(parts[-1]["meta_info"]["output_token_logprobs"]) == len(parts[-1]["output_ids"])
        if not IS_NULL:
            assert parts[-1]["meta_info"]["output_token_logprobs"] == answer["meta_info"]["output_token_logprobs"]


def check_times(timings, stamps):
    assert timings["queue_ns"] + timings["prefill_ns"] <= timings["ttft_ns"] <= timings["total_ns"], timings
    assert timings["decode_ns"] == stamps[-1] - stamps[0] and stamps == sorted(stamps), (timings, stamps)
    assert timings["ttft_ns"] + timings["decode_ns"] <= timings["total_ns"], timings


def test_timings_of_each_token_and_of_the_whole():
    if IS_NULL:
        return
    request = {"temperature": 0, "max_tokens": 7, "ignore_eos": True, "timings_per_token": True}
    with Mount() as m:
        meta = whole(m, text="Once upon", timings_per_token=True)["meta_info"]
        assert len(meta["timings"]["sampled_ns"]) == meta["completion_tokens"], meta
        check_times(meta["timings"], meta["timings"]["sampled_ns"])
        assert "timings" not in whole(m, text="Once upon")["meta_info"]
        for path, more in (("v1/completions", {"prompt": "Once"}),
                           ("v1/chat/completions", {"messages": [{"role": "user", "content": "count"}]})):
            timings = json.loads(transact(m, path, {**request, **more}))["timings"]
            assert timings["predicted_n"] == 7 and timings["cache_n"] + timings["prompt_n"] > 0, timings
            assert timings["predicted_ms"] == timings["decode_ns"] / 1e6, timings
            assert "timings" not in json.loads(transact(m, path, {**request, **more, "timings_per_token": False}))
            chunks = [json.loads(line.removeprefix("data: "))
                      for line in transact(m, path, {**request, **more, "stream": True}).split("\n\n")[:-2]]
            stamps = [chunk["timings"]["sampled_ns"] for chunk in chunks if "sampled_ns" in chunk.get("timings", {})]
            assert len(stamps) <= 7 and stamps == sorted(stamps), chunks
            timings = chunks[-1]["timings"]
            assert timings["total_ns"] >= timings["ttft_ns"] + timings["decode_ns"] > 0, timings
        os.mkdir(m.at("sessions/s"))
        m.write("sessions/s/input", json.dumps({**request, "messages": [{"role": "user", "content": "count"}]}))
        events = [json.loads(line) for line in m.read("sessions/s/events").decode().splitlines()]
        assert any("sampled_ns" in event.get("timings", {}) for event in events) and events[-1]["timings"]["total_ns"] > 0
        usage = dict(line.split() for line in m.read("sessions/s/usage").decode().splitlines())
        assert int(usage["total_ns"]) == events[-1]["timings"]["total_ns"], usage


def test_refusals_are_objects():
    cases = [
        ({}, errno.EINVAL, "text"),
        ({"text": "a", "input_ids": [1]}, errno.EINVAL, "input_ids"),
        ({"text": []}, errno.EINVAL, "text"),
        ({"text": [1]}, errno.EINVAL, "text[0]"),
        ({"text": ["a", 1]}, errno.EINVAL, "text[1]"),
        ({"input_ids": "a"}, errno.EINVAL, "input_ids"),
        ({"input_ids": ["a"]}, errno.EINVAL, "input_ids[0]"),
        ({"input_ids": [[1], [-1]]}, errno.EINVAL, "input_ids[1][0]"),
        ({"text": "a", "sampling_params": {"temperature": "hot"}}, errno.EINVAL, "sampling_params.temperature"),
        ({"text": "a", "sampling_params": {"no_such": 1}}, errno.EINVAL, "sampling_params.no_such"),
        ({"text": "a", "sampling_params": {"n": 0}}, errno.EINVAL, "sampling_params.n"),
        ({"text": "a", "sampling_params": [{}]}, errno.EOPNOTSUPP, "sampling_params"),
        ({"text": "a", "sampling_params": {"beam_width": 4}}, errno.EOPNOTSUPP, "sampling_params.beam_width"),
        ({"text": "a", "temperature": 0}, errno.EINVAL, "temperature"),
        ({"text": "a", "image_data": "x"}, errno.EOPNOTSUPP, "image_data"),
        ({"text": "a", "token_ids_logprob": [1]}, errno.EOPNOTSUPP, "token_ids_logprob"),
        ({"text": "a", "return_hidden_states": True}, errno.EOPNOTSUPP, "return_hidden_states"),
        ({"text": "a", "top_logprobs_num": 21}, errno.EINVAL, "top_logprobs_num"),
        ({"text": ["a", "b"], "rid": ["x"]}, errno.EINVAL, "rid"),
        ({"text": "a", "model": "no-such"}, errno.ENOENT, "model"),
    ]
    if not IS_NULL:
        cases += [
            ({"input_ids": [1 << 30]}, errno.EINVAL, "input_ids"),
            ({"input_ids": [[1], []]}, errno.EINVAL, "input_ids[1]"),
            ({"text": ["a", "word " * 100000]}, errno.E2BIG, "text[1]"),
        ]
    with Mount() as m:
        for body, code, param in cases:
            error = json.loads(transact(m, "generate", body, wants_error=code))["error"]
            assert error["param"] == param and error["message"], (body, error)
        assert whole(m, text="Still here")["output_ids"]


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
