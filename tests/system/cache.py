#!/usr/bin/env python3
"""What the mount tells of its prefix cache: kv/stats, and tokens that it saved."""
import json
import os
import re
import stat

from mount import Mount, run_tests

IS_DEMO = os.environ["TOKFS_MODEL"] == "demo"


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


def test_kv_is_for_the_owner():
    with Mount() as m:
        assert stat.S_IMODE(os.stat(m.at("kv")).st_mode) == 0o500
        assert stat.S_IMODE(os.stat(m.at("kv/stats")).st_mode) == 0o400


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
