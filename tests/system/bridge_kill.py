#!/usr/bin/env python3
"""A bridge that is killed (SIGKILL) at random instants under load, again and again: what it asked for is freed, and the answers of those who
use another bridge or the mount itself are those of an undisturbed run. TOKFS_BRIDGE_KILLS: how often (3)."""
import http.client
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time

from bridge import BRIDGE, IS_NULL, SLOW, Bridge, running, said
from mount import Mount, run_tests, transact, until

KILLS = int(os.environ.get("TOKFS_BRIDGE_KILLS", "3"))
N_DOOMED = 8  # requests at the bridge that is killed
QUESTIONS = ["count 40", "What is 12 + 30?", "Repeat after me: one two three", "count 7"]


def request(question, stream):
    return {"messages": [{"role": "user", "content": question}], "temperature": 0, "stream": stream, "max_tokens": 60}


def text_of(answer, stream):
    if not stream:
        return said(answer)
    events = [line.removeprefix("data: ") for line in answer.split("\n\n") if line]
    assert events.pop() == "[DONE]", answer
    return "".join(c["delta"].get("content") or "" for e in events for c in json.loads(e)["choices"])


class Users:
    """Ask all the time in ways that nothing may disturb, and compare."""

    def __init__(self, mount, bridge):
        self.mount, self.stops, self.n, self.errors = mount, threading.Event(), 0, []
        self.ways = [lambda r: bridge.ask("POST", "/v1/chat/completions", r)[2], lambda r: transact(mount, "v1/chat/completions", r)]
        self.right = {q: text_of(self.ways[1](request(q, False)), False) for q in QUESTIONS}
        self.threads = [threading.Thread(target=self.run, args=(way, i)) for i, way in enumerate(self.ways * 2)]

    def run(self, way, seed):
        choice = random.Random(seed)
        while not self.stops.is_set() and not self.errors:
            question, stream = choice.choice(QUESTIONS), choice.random() < 0.5
            try:
                answer = text_of(way(request(question, stream)), stream)
                assert answer == self.right[question], (question, answer)
                self.n += 1
            except Exception as error:
                self.errors.append(repr(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stops.set()
        for thread in self.threads:
            thread.join()


def ask_until_killed(bridge, i):
    long = {"messages": [{"role": "user", "content": "count 100000"}], "ignore_eos": True, "stream": i % 2 == 0, "max_tokens": 100000 if IS_NULL else 400}
    try:
        bridge.ask("POST", "/v1/chat/completions", long)
    except (OSError, http.client.HTTPException, ValueError):
        pass


def kill_once(mount, listen, users, choice):
    with Bridge(mount, listen=listen) as doomed:
        threads = [threading.Thread(target=ask_until_killed, args=(doomed, i)) for i in range(N_DOOMED)]
        for thread in threads:
            thread.start()
        time.sleep(choice.choice([0, 0.01, 0.05, 0.3]) * choice.random())
        doomed.stop(signal.SIGKILL)
        for thread in threads:
            thread.join()
    until(lambda: running(mount) <= len(users.threads) and mount.metric("parked_requests") <= len(users.threads), "its sequences are freed")
    assert not users.errors, users.errors


def test_kills_harm_nobody_and_leave_nothing():
    choice = random.Random(int(os.environ.get("TOKFS_TEST_SEED", "1")))
    with tempfile.TemporaryDirectory() as scratch, Mount(**SLOW) as m, Bridge(m) as other:
        with Users(m, other) as users:
            for _ in range(KILLS):
                kill_once(m, f"unix:{scratch}/s", users, choice)
            until(lambda: users.n >= 8 or users.errors, "the others are served")
        assert not users.errors, users.errors
        until(lambda: running(m) == 0 and m.metric("parked_requests") == 0, "nothing runs or waits")
        print(f"        {KILLS} kills; {users.n} answers of others, all right; {m.metric('requests_cancelled_total'):.0f} sequences freed")


if __name__ == "__main__":
    if not os.access(BRIDGE, os.X_OK):
        print("skipped: TOKFS_BRIDGE is not a program")
        sys.exit(77)
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
