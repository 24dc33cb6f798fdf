#!/usr/bin/env python3
"""Random work on two mounts, and who holds what heard of in four ways: over Redis, over ZeroMQ, from a snapshot after all has happened, and
looked up in an index that lies in Redis. All give the same scores for random requests. By hand: TOKFS_TEST_ROUNDS=100, TOKFS_TEST_SEED=N."""
import contextlib
import json
import os
import random

from bridge import Bridge, free_port
from mount import Mount, run_tests, until
from publish_parts import DEMO_MODEL, Redis, need_blocks

need_blocks()

MODEL = ["--model", f"demo={DEMO_MODEL}"]
ROUNDS = int(os.environ.get("TOKFS_TEST_ROUNDS", "2"))
SEED = int(os.environ.get("TOKFS_TEST_SEED", "1"))
HEADS = ["You are a guide to all cities of this world, and answer in one word. Be polite. " * 2, "Answer as a poet would, of old times. " * 3, ""]
WORDS = "river stone house garden letter winter silver morning paper window yellow music table little seven".split()


def node(name, mount, redis, ports):
    return Bridge(mount, options=["--node", name, "--address", name, "--redis", redis.url, "--redis-entries", "20", "--zmq", f"tcp://*:{ports[0]}",
                                  "--zmq-replay", f"tcp://*:{ports[1]}"])


def make_chat(rng):
    messages = [{"role": "user", "content": rng.choice(HEADS) + " ".join(rng.choices(WORDS, k=rng.choice((4, 30, 60))))}]
    return {"messages": messages, "max_tokens": rng.choice((1, 20)), "temperature": 0}


def scores(bridge, chat):
    status, headers, answer = bridge.ask("POST", "/score_chat_completions", chat)
    return json.loads(answer)["pod_scores"] if status == 200 and "X-Shared-Index" not in headers else None


def agree(ways, chats, n_peers):
    """All ways come to the same scores of all requests."""
    seen = {}

    def same():
        for chat in chats:
            seen.update({name: scores(bridge, chat) for name, bridge in ways.items()})
            first = next(iter(seen.values()))
            if first is None or len(first) != n_peers or any(other != first for other in seen.values()):
                return False
        return True
    try:
        until(same, "")
    except AssertionError:
        raise AssertionError(f"seed {SEED}: {seen}")


def test_four_ways_give_the_same_scores():
    rng = random.Random(SEED)
    ports = [(free_port(), free_port()) for _ in range(2)]
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(Redis())
        mounts = [stack.enter_context(Mount("--kv-mem", "1M", "--ctx", "256")) for _ in range(2)]
        nodes = [stack.enter_context(node(f"n{i}", mounts[i], redis, ports[i])) for i in range(2)]
        by_zmq = [word for pub, replay in ports for word in ("--follow", f"tcp://127.0.0.1:{pub},replay=tcp://127.0.0.1:{replay}")]
        ways = {"Redis": ["--follow", redis.url, "--share-index", redis.url], "ZeroMQ": by_zmq,
                "shared index": ["--use-index", redis.url, "--index-timeout", "5000"]}
        ways = {name: stack.enter_context(Bridge(options=MODEL + options)) for name, options in ways.items()}
        asked = []
        for n in range(ROUNDS):
            for _ in range(30):
                chat = rng.choice(asked) if asked and rng.random() < 0.3 else make_chat(rng)
                asked.append(chat)
                status, _, answer = rng.choice(nodes).ask("POST", "/v1/chat/completions", chat)
                assert status == 200, answer
            if n == 1:  # it holds nothing now
                mounts[0].stop()
                mounts[0].start()
                until(lambda: nodes[0].ask("POST", "/v1/chat/completions", asked[0])[0] == 200, "the mount answers again")
            chats = rng.sample(asked, 10) + [make_chat(rng) for _ in range(3)]
            with Bridge(options=MODEL + ["--follow", redis.url]) as late:
                agree({**ways, "snapshot": late}, chats, 2)


if __name__ == "__main__":
    run_tests([test_four_ways_give_the_same_scores])
