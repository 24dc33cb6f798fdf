#!/usr/bin/env python3
"""A bridge that follows what others hold: its own mount, Redis, ZeroMQ. Needs a redis-server; no Python package."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from bridge import Bridge, free_port
from mount import Mount, run_tests, skip, suspend, until

MODEL = os.path.join(os.environ.get("TOKFS_SOURCE_ROOT", "."), "tools/demo/model")
TOPIC = "What is the capital of {}, and how far away from the sea is that city? I want to know that now, please."


class Redis:
    """A server of its own, on a Unix socket."""

    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="tokfs-redis.")
        self.path = os.path.join(self.dir, "s")
        self.url = f"unix://{self.path}"
        self.start()
        return self

    def start(self):
        self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", self.dir, "--save", "",
                                         *self.options], stdout=subprocess.DEVNULL)
        until(lambda: os.path.exists(self.path), "Redis answers")

    def command(self, *words):
        """Its answer, whole, as it comes."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path)
            s.sendall(" ".join(words).encode() + b"\r\n")
            return s.recv(1 << 16).decode(errors="replace")

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(300)
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
        until(same, "")
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
            with f.connect() as s:  # a head alone, after which the connection goes on
                s.sendall(b"HEAD /kv/index HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                _, rest = b"".join(iter(lambda: s.recv(4096), b"")).split(b"\r\n\r\n", 1)
                assert rest.startswith(b"HTTP/1.1 "), rest
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


# ---- the index is what the mounts hold, whatever happens -----------------------------------------------------------

SMALL = ["--kv-mem", "1M", "--ctx", "256"]  # so little that blocks have to go


def held(mount):
    """Names of blocks, by the mount's own word."""
    lines = map(json.loads, mount.read("kv/snapshot").splitlines())
    return {block["hash"] for line in lines if line["type"] == "stored" for block in line["blocks"]}


def indexed(bridge, peer):
    """Asked for a few times a second while it is waited for."""
    time.sleep(0.05)
    lines = map(json.loads, bridge.ask("GET", "/kv/index")[2].splitlines())
    return {line["hash"] for line in lines if line["peer"] == peer}


def agree(followers, **mounts):
    """The index of each follower is what the mounts hold."""
    def same():
        now = {name: held(mount) for name, mount in mounts.items()}
        return all(now.values()) and all(indexed(f, name) == now[name] for f in followers for name in now)
    try:
        until(same, "", 30)  # each look takes ten times as long
    except AssertionError:
        sizes = {name: (len(held(m)), [len(indexed(f, name)) for f in followers]) for name, m in mounts.items()}
        raise AssertionError(f"the index is another one: held, indexed: {sizes}; {followers[0].messages()}")


class Cluster:
    """Two nodes that tell Redis and ZeroMQ; a follower of each kind."""

    def __init__(self, stack, *redis_options):
        self.redis = stack.enter_context(Redis(*redis_options))
        self.mounts = [stack.enter_context(Mount(*SMALL)) for _ in range(2)]
        self.bridges, urls = [], []
        for i, mount in enumerate(self.mounts):
            events, replay = [f"ipc://{mount.scratch}/{name}" for name in ("events", "replay")]
            urls.append(f"{events},replay={replay},peer=n{i},model=demo")
            self.bridges.append(stack.enter_context(
                node(f"n{i}", mount, self.redis, "--zmq", events, "--zmq-replay", replay, "--redis-buffer", "16K")))
        self.by_redis = stack.enter_context(follower(self.redis.url))
        self.by_zmq = stack.enter_context(follower(*urls))
        self.n = 0

    def work(self, n=4):
        for _ in range(n):
            self.n += 1
            for bridge in self.bridges:
                ask(bridge, f"{self.n * 7919} and {self.n * 104729}")

    def agree(self):
        agree([self.by_redis, self.by_zmq], n0=self.mounts[0], n1=self.mounts[1])

    # What happens.

    def nothing(self):
        self.work()

    def trimmed(self, command, *options):
        """What a follower has not read yet is cut off, and the node's snapshot is older."""
        names = "n0", "n1"
        suspend(self.by_redis.process)
        before = [self.redis.command("XLEN", f"tokfs:{name}:events") for name in names]
        self.work()
        for name, n in zip(names, before):
            until(lambda: self.redis.command("XLEN", f"tokfs:{name}:events") != n, "it is told")
        for name in names:
            self.redis.command(command, f"tokfs:{name}:events", *options)
        self.by_redis.process.send_signal(signal.SIGCONT)
        self.work(1)

    def trimmed_to_the_last(self):
        self.trimmed("XTRIM", "MAXLEN", "1")

    def trimmed_to_nothing(self):
        self.trimmed("XTRIM", "MAXLEN", "0")

    def deleted(self):
        self.trimmed("DEL")

    def slow_redis(self):
        suspend(self.redis.process)
        self.work(12)
        self.redis.process.send_signal(signal.SIGCONT)
        self.work(1)

    def restarted_redis(self):
        self.redis.stop()
        self.work(1)
        self.redis.start()
        self.work(1)

    def emptied_redis(self):
        self.redis.stop()
        shutil.rmtree(os.path.join(self.redis.dir, "appendonlydir"), ignore_errors=True)
        self.redis.start()
        self.work(1)

    def restarted_bridge(self, sig=signal.SIGKILL):
        self.bridges[0].stop(sig)
        self.bridges[0].__enter__()
        until(lambda: self.bridges[0].ask("GET", "/health")[0] == 200, "the mount answers")
        self.work(1)

    def ended_bridge(self):
        self.restarted_bridge(signal.SIGTERM)

    def restarted_engine(self):
        self.mounts[0].stop(signal.SIGKILL)
        subprocess.run(["fusermount3", "-u", "-q", "-z", self.mounts[0].path])
        self.mounts[0].start()
        until(lambda: self.bridges[0].ask("GET", "/health")[0] == 200, "the mount answers")
        self.work(1)


HAPPENINGS = ["nothing", "trimmed_to_the_last", "trimmed_to_nothing", "deleted", "slow_redis", "restarted_redis", "emptied_redis",
              "restarted_bridge", "ended_bridge", "restarted_engine"]


def test_index_is_what_the_mounts_hold_whatever_happens():
    with contextlib.ExitStack() as stack:
        cluster = Cluster(stack, "--appendonly", "yes", "--appendfsync", "always")
        cluster.work()
        cluster.agree()
        for name in HAPPENINGS:
            getattr(cluster, name)()
            start = time.monotonic()
            cluster.agree()
            print(f"        {name}: {time.monotonic() - start:.1f} s")
        assert figure(cluster.by_redis, "followed_bad_total") == figure(cluster.by_zmq, "followed_bad_total") == 0


def test_own_snapshot_is_applied_as_it_is_read():
    """Files of the test's own, whose reading it holds up."""
    with tempfile.TemporaryDirectory(prefix="tokfs-fake.") as path:
        os.mkdir(path + "/v1"), os.mkdir(path + "/kv")
        for name, text in ("v1/models", '{"object":"list","data":[{"id":"fake"}]}'), ("metrics", "tokfs_requests_running 0\n"):
            with open(f"{path}/{name}", "w") as file:
                file.write(text)
        os.mkfifo(path + "/kv/events"), os.mkfifo(path + "/kv/snapshot")
        head = {"seq": 1, "epoch": 7, "tier": "cpu"}
        lines = [json.dumps({**head, "type": "snapshot", "block_size": 1})]
        for first in range(1, 6401, 64):
            blocks = [{"hash": f"{i:016x}", "parent": f"{i - 1:016x}" if i > 1 else None, "tokens": [i]} for i in range(first, first + 64)]
            blocks[0] = {**blocks[0], "parent": None} if first == 1 else blocks[0]
            lines.append(json.dumps({**head, "type": "stored", "block_size": 1, "blocks": blocks}))
        with Bridge(path, options=["--score"]) as b, open(path + "/kv/events", "w") as events, open(path + "/kv/snapshot", "w") as snapshot:
            snapshot.write("\n".join(lines[:51]) + "\n")
            snapshot.flush()
            events.write(json.dumps({**head, "seq": 2, "type": "removed", "blocks": [f"{6400:016x}"]}) + "\n")
            events.flush()  # which waits until it is over
            until(lambda: figure(b, "index_placements") == 3200, "what was read is in the index")
            assert len(indexed(b, b.listen)) == 3200
            snapshot.write("\n".join(lines[51:] + [json.dumps({**head, "type": "end", "blocks": 6400})]) + "\n")
            snapshot.close()
            until(lambda: figure(b, "index_placements") == 6399, "all is in the index, and what went since is not")


def test_bad_urls_are_refused():
    for url, words in ("tcp://127.0.0.1:1,peer", "peer="), ("redis://h:99999", "port"), ("nothing", "nothing"), ("tcp://h:1,x=1", "x=1"):
        run = subprocess.run([os.environ["TOKFS_BRIDGE"], "--listen", f"127.0.0.1:{free_port()}", "--follow", url], capture_output=True,
                             text=True, timeout=300)
        assert run.returncode == 2 and "--follow" in run.stderr and words in run.stderr, (url, run)


if __name__ == "__main__":
    if os.environ.get("TOKFS_MODEL") == "null":
        sys.exit(77)
    if not shutil.which("redis-server"):
        skip("redis-server is missing")
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
