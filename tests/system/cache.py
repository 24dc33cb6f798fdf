#!/usr/bin/env python3
"""What the mount tells of itself: metrics, kv/stats, and tokens that the prefix cache saved."""
import json
import os
import re
import stat

from mount import Mount, run_tests

IS_DEMO = os.environ["TOKFS_MODEL"] == "demo"
SAMPLE = re.compile(r'([a-z_:]+)(\{[a-z_]+="(?:[^"\\\n]|\\.)*"(?:,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? (\d+(?:\.\d+)?)$')


def turn(m, name, text):
    m.write(name + "/input", text + "\n")
    answer = m.read(name + "/text")
    status = m.read(name + "/status").decode()
    return answer, int(re.search(r"cached_tokens=(\d+)", status)[1]), int(re.search(r"prompt_tokens=(\d+)", status)[1])


def test_second_turn_is_taken_from_the_cache():
    answers = {}
    for options in ([], ["--no-prefix-cache"]):
        with Mount(*options) as m:
            name = m.session("s")
            turns = [turn(m, name, text) for text in ("Hi, my name is Ada.", "What is 3 plus 4?", "What is my name?")]
            answers[len(options)] = [answer for answer, _, _ in turns]
            if not IS_DEMO or options:
                assert [cached for _, cached, _ in turns] == [0, 0, 0], turns
                continue
            for (_, _, before), (_, cached, prompt) in zip(turns, turns[1:]):
                assert before - 1 <= cached < prompt, turns  # at least what was asked before
            stats = json.loads(m.read("kv/stats"))
            assert stats["cached_tokens"] == sum(cached for _, cached, _ in turns)
            assert 0 < stats["hit_rate"] < 1 and stats["pages_free"] == stats["pages"], stats
            assert stats["pages_cached"] > 0, stats
    assert answers[0] == answers[1]


def test_metrics_are_well_formed():
    """One HELP and one TYPE before each name, values that are numbers, labels quoted whatever the model is called."""
    served = 'a "b" \\c' if IS_DEMO else "fake"
    with Mount(*(["--served-name", served] if IS_DEMO else [])) as m:
        turn(m, m.session("s"), "hi")
        text = m.read("metrics").decode()
    assert text.endswith("\n")
    typed, seen = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name not in typed and kind in ("counter", "gauge"), line
            assert name.endswith("_total") or kind == "gauge", line
            typed[name] = kind
        elif not line.startswith("# HELP "):
            sample = SAMPLE.match(line)
            assert sample and sample[1] in typed and sample[1] not in seen, line
            seen.add(sample[1])
            if sample[1].startswith("vllm:"):
                label = re.search(r'model_name="((?:[^"\\]|\\.)*)"', sample[2])[1]
                assert label.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\") == served, line
    assert seen == set(typed)
    for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "cache_config_info"):
        assert "vllm:" + name in seen, name


def test_kv_is_for_the_owner():
    with Mount() as m:
        assert stat.S_IMODE(os.stat(m.at("kv")).st_mode) == 0o500
        assert stat.S_IMODE(os.stat(m.at("kv/stats")).st_mode) == 0o400


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
