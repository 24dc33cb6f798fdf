#!/usr/bin/env python3
"""Nodes behind a router are killed (SIGKILL: a mount, a bridge, or both) under load, again and again. No request is lost of which nothing had been
sent: those that are not streamed, and streams before their first byte, are answered as by an undisturbed node. A stream that is cut ends with an
event of an error, behind the beginning of the right answer. The dead node's blocks leave the index with its heartbeat, and come back with it.
TOKFS_ROUTER_KILLS: how often (3). TOKFS_TEST_SEED."""
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

from bridge import Bridge
from following import MODEL, Redis, figure, indexed
from mount import Mount, run_tests, skip, until

KILLS = int(os.environ.get("TOKFS_ROUTER_KILLS", "3"))
N_CLIENTS = 8
QUESTIONS = ["What is 12 + 30?", "Repeat after me: one two three", "Tell me of dragons.", "What is the capital of France?"]
PREFIXES = ["", "Be brief, please. " * 20, "Once upon a time there was a king. " * 12]


def request(i, stream):
    return {"messages": [{"role": "user", "content": PREFIXES[i % 3] + QUESTIONS[i // 3 % 4]}], "temperature": 0, "stream": stream,
            "max_tokens": 40, "ignore_eos": True}


def events_of(answer):
    return [line.removeprefix("data: ") for line in answer.split("\n\n") if line and not line.startswith(":")]


def text_of(events):
    return "".join(choice["delta"].get("content") or "" for event in map(json.loads, events) for choice in event["choices"])


class Node:
    """A mount and its bridge, or (`bridge` given) the router's own mount."""

    def __init__(self, stack, name, redis, bridge=None):
        self.name = name
        self.mount = stack.enter_context(Mount())
        self.is_own, self.bridge = bridge is not None, bridge or Bridge(self.mount)
        self.bridge.command[1:1] = ["--node", name, "--address", self.bridge.listen, "--redis", redis.url]
        if not self.is_own:
            stack.enter_context(self.bridge)

    def kill(self, what):
        if what != "bridge" or self.is_own:
            self.mount.daemon.kill()
        if what != "mount" and not self.is_own:
            self.bridge.process.kill()

    def come_back(self):
        if self.mount.daemon.poll() is not None:
            subprocess.run(["fusermount3", "-u", "-q", "-z", self.mount.path], check=False)
            self.mount.start()
        if self.bridge.process.poll() is not None:
            self.bridge.__enter__()
        until(lambda: self.bridge.ask("GET", "/health")[0] == 200, "the node is back")


class Clients:
    """Ask all the time, while entered, and look at every answer."""

    def __init__(self, router, right, choice):
        self.router, self.right = router, right
        self.seeds = [choice.random() for _ in range(N_CLIENTS)]
        self.n, self.n_cut, self.errors, self.is_over = [0] * N_CLIENTS, 0, [], False

    def check(self, i, stream):
        status, _, answer = self.router.ask("POST", "/v1/chat/completions", request(i, stream))
        assert status == 200, (status, answer)
        if not stream:
            assert json.loads(answer)["choices"][0]["message"]["content"] == self.right[i], answer
            return
        events = events_of(answer)
        last = events.pop()
        if last == "[DONE]":
            assert text_of(events) == self.right[i], answer
        else:
            assert "error" in json.loads(last) and events and self.right[i].startswith(text_of(events)), answer
            self.n_cut += 1

    def run(self, client):
        choice = random.Random(self.seeds[client])
        while not self.is_over and not self.errors:
            try:
                self.check(choice.randrange(12), choice.random() < 0.5)
                self.n[client] += 1
            except Exception as error:  # of whatever kind: a request is lost
                self.errors.append(repr(error))

    def have_done(self, n):
        done = list(self.n)
        until(lambda: self.errors or all(now >= before + n for now, before in zip(self.n, done)), "the clients are answered")

    def __enter__(self):
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(N_CLIENTS)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        for thread in self.threads:
            thread.join()


def kill_one(router, redis, node, what, right, choice):
    with Clients(router, right, choice) as clients:
        clients.have_done(1)
        time.sleep(0.1 * choice.random())
        node.kill(what)
        clients.have_done(2)
    assert not clients.errors, (what, node.is_own, clients.errors)
    node.mount.daemon.poll()
    try:
        until(lambda: not indexed(router, node.bridge.listen), "", 30)  # each look takes ten times as long
    except AssertionError:
        raise AssertionError(f"the {'own ' * node.is_own}node's blocks stay after its {what} was killed: {len(indexed(router, node.bridge.listen))} of them; "
                             f"{redis.command('PTTL', f'tokfs:{node.name}:node')}; {router.messages()}; {router.ask('GET', '/metrics')[2]}")
    node.come_back()
    node.bridge.ask("POST", "/v1/chat/completions", request(1, False), {"Via": "1.1 tokfs-0"})
    until(lambda: indexed(router, node.bridge.listen), "it is in the index again", 30)
    return sum(clients.n), clients.n_cut


def test_kills_lose_no_request_that_had_no_byte():
    choice = random.Random(int(os.environ.get("TOKFS_TEST_SEED", "1")))
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(Redis())
        nodes = [Node(stack, f"n{i}", redis) for i in range(3)]
        router = Bridge(options=["--route", "prefix", "--model", f"demo={MODEL}", "--follow", redis.url])
        nodes.append(Node(stack, "own", redis, router))
        router.command.append(nodes[-1].mount.path)
        stack.enter_context(router)
        right = [json.loads(nodes[0].bridge.ask("POST", "/v1/chat/completions", request(i, False))[2])["choices"][0]["message"]["content"]
                 for i in range(12)]
        until(lambda: all(f'peer="{n.bridge.listen}"' in router.ask("GET", "/metrics")[2] for n in nodes) or
              router.ask("POST", "/v1/chat/completions", request(0, False))[0] != 200, "the router knows all", 30)
        n, n_cut = 0, 0
        for i in range(KILLS):
            done, cut = kill_one(router, redis, choice.choice(nodes), ("mount", "bridge", "both")[i % 3], right, choice)
            n, n_cut = n + done, n_cut + cut
        print(f"        {KILLS} kills; {n} answers, none lost; {n_cut} streams cut; "
              f"{figure(router, 'routed_retries_total'):.0f} requests sent to another peer")


if __name__ == "__main__":
    if os.environ.get("TOKFS_MODEL") == "null":
        sys.exit(77)
    if not shutil.which("redis-server"):
        skip("redis-server is missing")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    run_tests([test_kills_lose_no_request_that_had_no_byte])
