#!/usr/bin/env python3
"""A bridge that follows what others hold: its own mount, Redis, ZeroMQ. Needs a redis-server; no Python package."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from bridge import Bridge, free_port
from mount import Mount, run_tests, skip, until

MODEL = os.path.join(os.environ.get("TOKFS_SOURCE_ROOT", "."), "tools/demo/model")
TOPIC = "What is the capital of {}, and how far away from the sea is that city? I want to know that now, please."


class Redis:
    """A server of its own, on a Unix socket."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="tokfs-redis.")
        self.path = os.path.join(self.dir, "s")
        self.url = f"unix://{self.path}"
        self.start()
        return self

    def start(self):
        self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", self.dir, "--save", ""],
                                        stdout=subprocess.DEVNULL)
        until(lambda: os.path.exists(self.path), "Redis answers")

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        if os.path.exists(self.path):
            os.unlink(self.path)

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


def chat(country):
    return {"messages": [{"role": "user", "content": TOPIC.format(country)}], "max_tokens": 1}


def ask(bridge, country):
    status, _, answer = bridge.ask("POST", "/v1/chat/completions", chat(country))
    assert status == 200, answer


def scores(bridge, country):
    status, _, answer = bridge.ask("POST", "/score_chat_completions", chat(country))
    return json.loads(answer)["pod_scores"] if status == 200 else None


def holds(bridge, country, **expected):
    """Waits until the scores are these, by the names of the bridges; a score of True is any but 0."""
    def same():
        got = scores(bridge, country)
        return got is not None and set(got) == set(expected) and all((got[name] > 0) == bool(expected[name]) for name in got)
    try:
        until(same, "", seconds=30)
    except AssertionError:
        raise AssertionError(f"scores of {country}: {scores(bridge, country)}, wanted {expected}; {bridge.ask('GET', '/metrics')[2]}")


def figure(bridge, name):
    for line in bridge.ask("GET", "/metrics")[2].splitlines():
        if line.startswith(f"tokfs_bridge_{name} "):
            return float(line.split()[1])
    raise AssertionError(name)


def node(name, mount, redis=None, *options):
    publishing = ["--redis", redis.url] if redis else []
    return Bridge(mount, options=["--node", name, "--address", name, *publishing, *options])


def follower(*urls):
    return Bridge(options=["--model", f"demo={MODEL}", *[word for url in urls for word in ("--follow", url)]])


def test_own_mount_is_a_peer():
    with Mount() as m, Bridge(m, options=["--score", "--address", "me"]) as b:
        holds(b, "France", me=False)
        ask(b, "France")
        holds(b, "France", me=True)
        holds(b, "Spain", me=False)


def test_own_mount_that_restarts_holds_nothing():
    with Mount() as m, Bridge(m, options=["--score", "--address", "me"]) as b:
        ask(b, "France")
        holds(b, "France", me=True)
        restart(m)
        holds(b, "France", me=False)
        ask(b, "France")
        holds(b, "France", me=True)


def test_redis_tells_of_all_nodes():
    with Redis() as redis, Mount() as m1, Mount() as m2, node("n1", m1, redis) as b1, node("n2", m2, redis) as b2:
        ask(b1, "France")
        with follower(redis.url) as f:
            holds(f, "France", n1=True, n2=False)
            listed = [json.loads(line) for line in f.ask("GET", "/kv/index")[2].splitlines()]
            assert len(listed) == figure(f, "index_placements") > 0
            assert all(set(e) == {"hash", "peer", "model", "block_size", "tiers"} for e in listed)
            assert {(e["peer"], e["model"], e["block_size"], *e["tiers"]) for e in listed} == {("n1", "demo", 16, "gpu")}, listed
            ask(b2, "Spain")
            ask(b2, "France")
            holds(f, "Spain", n1=False, n2=True)
            holds(f, "France", n1=True, n2=True)
            assert figure(f, "followed_snapshots_total") >= 2 and figure(f, "followed_bad_total") == 0
            redis.stop()  # and what it knew is lost
            redis.start()
            ask(b1, "Italy")
            holds(f, "Italy", n1=True, n2=False)
            holds(f, "France", n1=True, n2=True)
            restart(m1)
            holds(f, "France", n1=False, n2=True)


def test_redis_node_that_is_killed_leaves_with_its_heartbeat():
    with Redis() as redis, Mount() as m1, Mount() as m2, node("n1", m1, redis) as b1, node("n2", m2, redis) as b2, \
            follower(redis.url) as f:
        ask(b1, "France")
        ask(b2, "France")
        holds(f, "France", n1=True, n2=True)
        placements = figure(f, "index_placements")
        b1.stop(signal.SIGKILL)
        holds(f, "France", n2=True)  # the other one is no peer any more
        assert figure(f, "index_placements") == placements / 2


def restart(mount):
    mount.stop()
    mount.start()


def zmq_options(port, replay):
    return "--zmq", f"tcp://*:{port}", "--zmq-replay", f"tcp://*:{replay}"


def test_zmq_tells_what_was_missed():
    port, replay = free_port(), free_port()
    with Mount() as m, node("n1", m, None, *zmq_options(port, replay)) as b:
        ask(b, "France")
        with follower(f"tcp://127.0.0.1:{port},replay=tcp://127.0.0.1:{replay}") as f:
            ask(b, "Spain")  # so that there is something to hear of
            holds(f, "Spain", n1=True)
            holds(f, "France", n1=True)
            restart(m)
            ask(b, "Italy")
            holds(f, "Italy", n1=True)
            holds(f, "France", n1=False)
            assert figure(f, "followed_bad_total") == 0


def test_zmq_publisher_that_restarts_is_taken_up():
    port, replay = free_port(), free_port()
    with Mount() as m, follower(f"tcp://127.0.0.1:{port},replay=tcp://127.0.0.1:{replay},peer=p,model=demo") as f:
        for country in "France", "Spain":
            with node("n1", m, None, *zmq_options(port, replay)) as b:
                until(lambda: b.ask("GET", "/health")[0] == 200, "the mount answers")
                ask(b, country)
                holds(f, country, p=True)
        holds(f, "France", p=True)


def test_bad_urls_are_refused():
    for url, words in ("tcp://127.0.0.1:1,peer", "peer="), ("redis://h:99999", "port"), ("nothing", "nothing"), ("tcp://h:1,x=1", "x=1"):
        run = subprocess.run([os.environ["TOKFS_BRIDGE"], "--listen", f"127.0.0.1:{free_port()}", "--follow", url], capture_output=True,
                             text=True, timeout=30)
        assert run.returncode == 2 and "--follow" in run.stderr and words in run.stderr, (url, run)


if __name__ == "__main__":
    if os.environ.get("TOKFS_MODEL") == "null":
        sys.exit(77)
    if not shutil.which("redis-server"):
        skip("redis-server is missing")
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
