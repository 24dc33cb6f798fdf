#!/usr/bin/env python3
"""What the mount tells of its prefix cache: kv/stats, and tokens that it saved."""
import errno
import json
import os
import re
import stat

from mount import Mount, raises, run_tests, until

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
            until(lambda: m.metric("requests_running") == 0, "the last one is over in the figures, too")
            stats = json.loads(m.read("kv/stats"))
            assert stats["cached_tokens"] == sum(cached for _, cached, _ in turns)
            assert 0 < stats["hit_rate"] < 1 and stats["pages_free"] == stats["pages"], stats
            assert stats["pages_cached"] > 0, stats
    assert answers[0] == answers[1]


def test_kv_is_for_the_owner():
    with Mount() as m:
        assert stat.S_IMODE(os.stat(m.at("kv")).st_mode) == 0o500
        assert stat.S_IMODE(os.stat(m.at("kv/stats")).st_mode) == 0o400


class Listener:
    """Who only reads kv/events and kv/snapshot: the blocks that are cached, by hash."""

    def __init__(self, mount):
        self.mount = mount
        self.fd = os.open(mount.at("kv/events"), os.O_RDONLY | os.O_NONBLOCK)
        self.held, self.blocks, self.seq = b"", {}, 0

    def close(self):
        os.close(self.fd)

    def apply(self, line):
        if line["type"] == "stored":
            for block in line["blocks"]:
                assert len(block["tokens"]) == line["block_size"], block
                self.blocks[block["hash"]] = block
        elif line["type"] == "removed":
            for block in line["blocks"]:
                self.blocks.pop(block, None)
        self.seq = line["seq"]

    def hear(self):
        """All that there is. False: something was lost."""
        try:
            while piece := os.read(self.fd, 1 << 16):
                self.held += piece
        except BlockingIOError:
            pass
        *whole, self.held = self.held.split(b"\n")
        for line in map(json.loads, whole):
            if line["type"] == "lost":
                return False
            self.apply(line)
        return True


def snapshot(m):
    lines = [json.loads(line) for line in m.read("kv/snapshot").splitlines()]
    head, *rest, end = lines
    assert head["type"] == "snapshot" and end["type"] == "end" and all(line["type"] == "stored" for line in rest), lines
    blocks = {block["hash"]: block for line in rest for block in line["blocks"]}
    assert end["blocks"] == len(blocks) and {line["epoch"] for line in lines} == {head["epoch"]}
    return head, blocks


def test_events_and_snapshots_agree():
    if not IS_DEMO:
        with Mount() as m, raises(errno.EOPNOTSUPP):
            os.open(m.at("kv/events"), os.O_RDONLY)
        return
    with Mount("--kv-mem", "1M", "--ctx", "256") as m:  # so little that blocks have to go
        from_the_start = Listener(m)
        for i in range(40 if os.environ.get("TOKFS_LONG_TOKENS") == "1800" else 12):
            turn(m, m.session(f"s{i}"), f"Please say again what I say now: number {i * 7919} and {i * 104729}")
            assert from_the_start.hear()
        late = Listener(m)
        head, late.blocks = snapshot(m)
        for i in range(60, 70):
            turn(m, m.session(f"s{i}"), f"And now something else, {i * 7919}")
        until(lambda: from_the_start.hear() and late.hear() and from_the_start.seq == late.seq > head["seq"], "both have heard all")
        _, now = snapshot(m)
        assert from_the_start.blocks == now and late.blocks == now, (len(from_the_start.blocks), len(late.blocks), len(now))
        assert now and json.loads(m.read("kv/stats"))["pages_evicted"] > 0
        for block in now.values():
            assert block["parent"] is None or block["parent"] in now, block
        from_the_start.close()
        late.close()


def test_walkers_do_not_find_what_they_would_wait_in():
    with Mount() as m:
        assert sorted(os.listdir(m.at("kv"))) == ["snapshot", "stats"]
        assert os.stat(m.at("kv/events")).st_size == 0


def test_salted_blocks_have_a_salt():
    if not IS_DEMO:
        return
    request = {"messages": [{"role": "user", "content": "A text that is longer than one block of the cache, surely so."}]}
    with Mount() as m:
        for salt in (None, "mine"):
            with open(m.at("v1/chat/completions"), "r+b", buffering=0) as file:
                file.write(json.dumps({**request, **({"cache_salt": salt} if salt else {})}).encode())
                while file.read(65536):
                    pass
        first = [block for block in snapshot(m)[1].values() if block["parent"] is None]
        assert len(first) == 2 and first[0]["tokens"] == first[1]["tokens"] and first[0]["hash"] != first[1]["hash"], first
        assert sum("salt" in block for block in first) == 1, first


def test_reader_of_events_waits_and_is_told_the_end():
    if not IS_DEMO:
        return
    with Mount() as m:
        fd = os.open(m.at("kv/events"), os.O_RDONLY)
        turn(m, m.session("s"), "A text that is longer than one block of the cache, surely so.")
        assert json.loads(os.read(fd, 65536).split(b"\n")[0])["type"] == "stored"
        m.daemon.terminate()
        while os.read(fd, 65536):
            pass
        os.close(fd)


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
