#!/usr/bin/env python3
"""What the bridge publishes of prefix caches, through Redis and ZeroMQ: who follows it holds what the mount holds, whatever
stops, restarts, is slow or comes late. Needs the Python packages msgpack, zmq and redis, and a redis-server."""
import errno
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from bridge import free_port
from mount import Mount, run_tests, skip, suspend, transact, until

try:
    import msgpack
    import redis
    import zmq
except ImportError as error:
    skip(f"the Python package {error.name} is missing")
if not shutil.which("redis-server"):
    skip("redis-server is missing")

from kv_consumer import Blocks, RedisReader, ZmqReader
from publish_parts import Bridge, Redis, held

IS_DEMO = os.environ["TOKFS_MODEL"] == "demo"


def ask(mount, text, **more):
    transact(mount, "v1/chat/completions", {"messages": [{"role": "user", "content": text}], "max_tokens": 24, **more})


def ask_many(mount, first, n):
    for i in range(first, first + n):
        ask(mount, f"Please say again what I say now: number {i * 7919} and {i * 104729}, and so on")


def agree(mount, *readers):
    """All readers hold what the mount holds."""
    def same():
        now = held(mount)
        assert now
        return all(reader.read() and reader.blocks == now for reader in readers)
    until(same, "the readers hold what the mount holds")


SMALL = ["--kv-mem", "1M", "--ctx", "256"]  # so little that blocks have to go


# ---- on the real mount ---------------------------------------------------------------------------------------------


def test_readers_hold_what_the_mount_holds():
    with Mount(*SMALL) as m, Redis() as r, Bridge(m, redis=r.url) as b:
        by_redis, by_zmq = RedisReader(r.client(), "n1"), ZmqReader(zmq, b.pub, b.replay)
        for i in range(4):
            ask_many(m, 10 * i, 4)
            agree(m, by_redis, by_zmq)
        ask(m, "A text that is longer than one block of the cache, surely so.", cache_salt="mine")
        late = RedisReader(r.client(), "n1"), ZmqReader(zmq, b.pub, b.replay)
        agree(m, by_redis, by_zmq, *late)
        assert by_redis.n_snapshots == 1 and by_zmq.topics == {b"kv@10.0.0.7:8000@" + model_of(m)}, by_zmq.topics
        node = until_node(r.client(), lambda node: node.get(b"block_size", b"0") != b"0")
        assert node[b"address"] == b"10.0.0.7:8000" and node[b"model"] == model_of(m) and int(node[b"epoch"]) == by_redis.epoch, node
        assert int(node[b"kv_pages"]) >= int(node[b"kv_pages_free"]) > 0 and node[b"requests_waiting"] == b"0", node
        assert [name for name, _ in r.client().zscan_iter("tokfs:nodes")] == [b"n1"]
        assert 0 < r.client().pttl("tokfs:n1:node") <= 10000 < r.client().pttl("tokfs:n1:events")
        by_zmq.close()
        late[1].close()


def model_of(mount):
    return json.loads(mount.read("v1/models"))["data"][0]["id"].encode()


def until_node(client, condition):
    until(lambda: condition(client.hgetall("tokfs:n1:node")), "the node is in the registry")
    return client.hgetall("tokfs:n1:node")


def test_restarts_heal():
    with Mount(*SMALL) as m, Redis("--appendonly", "yes", "--appendfsync", "always") as r, Bridge(m, redis=r.url) as b:
        by_redis, by_zmq = RedisReader(r.client(), "n1"), ZmqReader(zmq, b.pub, b.replay)
        ask_many(m, 0, 3)
        agree(m, by_redis, by_zmq)
        for has_kept in (True, False):  # Redis, and what it had
            r.stop(signal.SIGKILL)
            ask_many(m, 100 + 10 * has_kept, 3)
            if not has_kept:
                shutil.rmtree(os.path.join(r.dir, "appendonlydir"))
            r.start()
            epoch = by_redis.epoch
            until(lambda: by_redis.read() and by_redis.epoch > epoch, "an epoch begins")
            agree(m, by_redis, by_zmq, RedisReader(r.client(), "n1"))
        for sig in (signal.SIGTERM, signal.SIGKILL):  # the bridge
            b.stop(sig)
            ask_many(m, 200 + sig, 3)
            b.start()
            epoch = by_redis.epoch
            until(lambda: by_redis.read() and by_redis.epoch > epoch, "an epoch begins")
            fresh = ZmqReader(zmq, b.pub, b.replay)
            agree(m, by_redis, fresh)
            fresh.close()
        by_zmq.close()
        by_zmq = ZmqReader(zmq, b.pub, b.replay)
        agree(m, by_zmq)
        m.stop(signal.SIGKILL)  # the engine
        subprocess.run(["fusermount3", "-u", "-q", "-z", m.path])
        m.start()
        ask_many(m, 300, 2)
        until(lambda: by_redis.read() and len(by_redis.blocks) == len(held(m)), "the old engine's blocks are forgotten")
        agree(m, by_redis, by_zmq)
        by_zmq.close()


def test_slow_redis_loses_and_is_healed():
    with Mount(*SMALL) as m, Redis() as r, Bridge(m, redis=r.url, options=["--redis-buffer", "4K"]) as b:
        reader = RedisReader(r.client(), "n1")
        ask_many(m, 0, 2)
        agree(m, reader)
        epoch = reader.epoch
        suspend(r.process)
        for i in range(60):
            ask_many(m, 10 + 3 * i, 3)
            if "too slowly" in b.messages():
                break
        else:
            raise AssertionError("nothing was dropped")
        r.process.send_signal(signal.SIGCONT)
        until(lambda: reader.read() and reader.epoch > epoch, "an epoch begins")
        agree(m, reader)


def test_mount_without_a_prefix_cache_is_told_once():
    with Mount(*([] if not IS_DEMO else ["--no-prefix-cache"])) as m, Bridge(m) as b:
        until(lambda: os.strerror(errno.EOPNOTSUPP) in b.messages(), "the bridge says so")
        time.sleep(2.5)
        assert b.messages().count(os.strerror(errno.EOPNOTSUPP)) == 1, b.messages()


# ---- on files that tell what the test wants ------------------------------------------------------------------------


class FakeMount:
    """The files that the bridge reads: kv/events is a pipe."""

    def __init__(self, model="fake"):
        self.path = tempfile.mkdtemp(prefix="tokfs-fake.")
        for name in ("v1", "kv"):
            os.mkdir(os.path.join(self.path, name))
        self.put("v1/models", json.dumps({"object": "list", "data": [{"id": model, "object": "model"}]}))
        self.put("metrics", "tokfs_requests_running 3\ntokfs_requests_queued 4\ntokfs_kv_pages 10\ntokfs_kv_pages_free 2\n")
        os.mkfifo(os.path.join(self.path, "kv/events"))
        self.blocks, self.seq = Blocks(), 1
        self.snapshot()

    def put(self, name, text):
        """At once: who reads it meanwhile reads the old one."""
        with open(os.path.join(self.path, "new"), "w") as file:
            file.write(text)
        os.rename(os.path.join(self.path, "new"), os.path.join(self.path, name))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if hasattr(self, "pipe"):
            self.pipe.close()
        shutil.rmtree(self.path)

    def open(self):
        self.pipe = open(os.path.join(self.path, "kv/events"), "w")  # waits for the bridge
        return self

    def line(self, type, **more):
        return json.dumps({"seq": self.seq, "epoch": 7, "type": type, "tier": "cpu", **more}) + "\n"

    def tokens(self, name):
        return (name % 100, name % 1000, name % 100000, 2**31 - 1)

    def told(self, name):
        parent, tokens = self.blocks[name]
        return {"hash": f"{name:016x}", "parent": None if parent is None else f"{parent:016x}", "tokens": tokens}

    def snapshot(self):
        blocks = [self.told(name) for name in reversed(list(self.blocks))]  # children first
        lines = [self.line("stored", block_size=4, blocks=blocks[i:i + 64]) for i in range(0, len(blocks), 64)]
        self.put("kv/snapshot", self.line("snapshot", block_size=4) + "".join(lines) + self.line("end", blocks=len(blocks)))

    def add(self, *names):
        """A step: blocks, each the child of the one before."""
        self.seq += 1
        for before, name in zip((None, *names), names):
            self.blocks[name] = before, self.tokens(name)
        return self.line("stored", block_size=4, blocks=[self.told(name) for name in names])

    def remove(self, *names):
        self.seq += 1
        for name in names:
            del self.blocks[name]
        return self.line("removed", blocks=[f"{name:016x}" for name in names])

    def tell(self, *lines):
        self.snapshot()
        self.pipe.write("".join(lines))
        self.pipe.flush()

    def read(self, name):
        with open(os.path.join(self.path, name), "rb") as file:
            return file.read()


def subscribe(b):
    sub = zmq.Context.instance().socket(zmq.SUB)
    sub.connect(b.pub)
    sub.subscribe("")
    return sub


def hear(sub, what):
    """Batches up to the one that has `what` in it."""
    batches = []
    while not batches or what not in batches[-1][2]:
        assert sub.poll(300000), what
        batches.append(sub.recv_multipart())
    return batches


def test_bytes_are_those_of_vllm():
    big = 2**64 - 1
    for options in ([], ["--zmq-map-events"]):
        with FakeMount() as m, Bridge(m, options=options) as b:
            m.open()
            sub = subscribe(b)
            hear(sub, b"AllBlocksCleared")  # for who has subscribed
            m.tell(m.add(5, big), m.remove(big))
            batches = hear(sub, b"BlockRemoved")
            sub.close(0)
            assert all(len(frames) == 3 and frames[0] == b"kv@10.0.0.7:8000@fake" for frames in batches), batches
            numbers = [struct.unpack(">Q", frames[1])[0] for frames in batches]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
            stored, removed = batches[-2][2], batches[-1][2]
            time_s, (event,), rank = msgpack.unpackb(stored)
            assert abs(time.time() - time_s) < 60 and rank is None
            tokens = [*m.tokens(5), *m.tokens(big)]
            if options:
                assert event == {"type": "BlockStored", "block_hashes": [5, big], "parent_block_hash": None, "token_ids": tokens,
                                 "block_size": 4, "lora_id": None, "medium": "gpu", "lora_name": None}, event
                assert msgpack.unpackb(removed)[1] == [{"type": "BlockRemoved", "block_hashes": [big], "medium": "gpu"}]
            else:
                assert event == ["BlockStored", [5, big], None, tokens, 4, None, "gpu", None], event
                assert msgpack.unpackb(removed)[1] == [["BlockRemoved", [big], "gpu"]]
            assert b"\x92\xcf\0\0\0\0\0\0\0\x05\xcf" + b"\xff" * 8 in stored, stored


def test_tiers_are_told_as_routers_call_them():
    with FakeMount() as m, Bridge(m) as b:
        m.open()
        sub = subscribe(b)
        hear(sub, b"AllBlocksCleared")
        there = m.add(5).replace('"cpu"', '"gpu"')
        on_host = m.line("stored", tier="host", block_size=4, blocks=[m.told(5)])
        m.tell(there, on_host, m.line("removed", tier="gpu", blocks=[f"{5:016x}"]))
        batches = hear(sub, b"BlockRemoved")
        sub.close(0)
        events = [event for frames in batches for event in msgpack.unpackb(frames[2])[1]]
        media = [(event[0], event[6] if event[0] == "BlockStored" else event[2]) for event in events if len(event) > 1]
        assert media == [("BlockStored", "gpu"), ("BlockStored", "cpu"), ("BlockRemoved", "gpu")], media


def test_losses_and_nonsense_are_healed():
    with FakeMount() as m, Redis() as r, Bridge(m, redis=r.url) as b:
        by_redis, by_zmq = RedisReader(r.client(), "n1"), ZmqReader(zmq, b.pub, b.replay)
        m.open()
        m.tell(m.add(*range(1, 2000)), m.remove(*range(1990, 2000)))  # several batches, several parts of a snapshot
        agree_fake(m, by_redis, by_zmq)
        for what in ("lost", "nonsense"):
            epoch = by_redis.epoch
            m.add(5000, 5001), m.remove(*range(1950, 1990) if what == "lost" else range(1900, 1950))  # which the bridge does not hear
            m.tell(m.line("lost") if what == "lost" else "nonsense\n", m.add(5002 + epoch % 1000))
            if what == "nonsense":
                m.pipe.close()
                m.open()
            until(lambda: by_redis.read() and by_redis.epoch > epoch, "an epoch begins")
            agree_fake(m, by_redis, by_zmq)
        epoch = by_redis.epoch
        r.client().flushall()
        agree_fake(m, RedisReader(r.client(), "n1"))
        m.tell(m.add(7000))
        agree_fake(m, by_redis, RedisReader(r.client(), "n1"))
        assert by_redis.epoch == epoch, "nothing was lost"
        by_zmq.close()


def agree_fake(m, *readers):
    def same():
        return all(reader.read() and reader.blocks == m.blocks for reader in readers)
    until(same, "the readers hold what the mount holds")


def test_follower_of_the_manual_follows():
    with open(os.path.join(os.environ["TOKFS_SOURCE_ROOT"], "docs/kv-events.md")) as file:
        manual = {}
        exec(file.read().split("```python\n")[1].split("```")[0], manual)
    with FakeMount() as m, Redis() as r, Bridge(m, redis=r.url) as b:
        m.open()
        states = manual["follow"](r.client(), "n1")
        for first in (100, 200, 300):
            m.tell(m.add(*range(first, first + 30)), m.remove(first + 29), m.line("lost"), m.add(first + 50))
            until(lambda: {name: (parent, tuple(tokens)) for (name, _), (parent, tokens) in next(states).items()} == m.blocks,
                  "it holds what the mount holds", 20)


def test_trimmed_stream_is_healed():
    with FakeMount() as m, Redis() as r, Bridge(m, redis=r.url, options=["--redis-entries", "100"]) as b:
        early, n_steps = RedisReader(r.client(), "n1"), 600
        m.open()
        m.tell(m.add(1))
        agree_fake(m, early)
        for i in range(n_steps):  # one after the other, as the refreshed snapshots must keep up
            m.tell(m.add(10 + i))
            if i % 20 == 19:
                until(lambda: r.client().xinfo_stream("tokfs:n1:events")["entries-added"] >= i, "they are told")
        until(lambda: r.client().xlen("tokfs:n1:events") < n_steps, "the stream is trimmed")
        agree_fake(m, early, RedisReader(r.client(), "n1"))
        assert early.n_snapshots > 1


def test_slow_subscriber_asks_for_what_was_dropped():
    with FakeMount() as m, Bridge(m, options=["--zmq-hwm", "5"]) as b:
        m.open()
        reader = ZmqReader(zmq, b.pub, b.replay, hwm=5)
        m.tell(m.add(1))
        agree_fake(m, reader)
        n = reader.next
        for i in range(800):  # more than the sockets hold
            m.pipe.write(m.add(*range(100 * i + 10, 100 * i + 110)))
        m.tell()
        until(lambda: int(figure(b, "zmq_batches_total")) >= n + 800, "all is published")
        # What was dropped last shows by the next one, which comes after a while.
        waited = 0

        def caught_up():
            nonlocal waited
            waited += 1
            if waited % 100 == 0:
                m.tell(m.add(1))
            return reader.read() and reader.blocks == m.blocks

        until(caught_up, "the reader holds what the mount holds")
        assert reader.n_replayed > 0
        reader.close()


def test_late_subscriber_asks_for_the_beginning():
    with FakeMount() as m, Bridge(m) as b:
        m.open()
        m.tell(m.add(1, 2, 3), m.add(7), m.remove(3))
        until(lambda: int(figure(b, "zmq_batches_total")) >= 4, "all is published")
        late = ZmqReader(zmq, b.pub, b.replay, topic="nothing")  # that is told would reach it
        late.replay()
        assert late.blocks == m.blocks and late.next >= 4 and late.topics == {b"kv@10.0.0.7:8000@fake"}
        late.next = 0
        late.dealer.send_multipart([b"", b"short"])  # no answer
        late.dealer.send_multipart([b"", struct.pack(">Q", 2**63)])
        assert late.dealer.recv_multipart()[2] == b"\xff" * 8
        late.close()


def figure(b, name):
    """Of the bridge's own metrics."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(b.scratch + "/http")
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
        text = b""
        while piece := s.recv(1 << 16):
            text += piece
    return next(line.split()[-1] for line in text.decode().splitlines() if line.startswith(f"tokfs_bridge_{name}{{"))


def test_token_ids_can_be_kept_back():
    with FakeMount() as m, Redis() as r, Bridge(m, redis=r.url, options=["--no-event-tokens"]) as b:
        reader = RedisReader(r.client(), "n1")
        m.open()
        m.tell(m.add(1, 2, 3))
        until(lambda: reader.read() and len(reader.blocks) == 3, "the blocks are known")
        assert set(reader.blocks.values()) == {(None, ()), (1, ()), (2, ())}, reader.blocks
        by_zmq = ZmqReader(zmq, b.pub, b.replay)
        until(lambda: by_zmq.read() and by_zmq.blocks == reader.blocks, "the blocks are known")
        by_zmq.close()


def test_several_mounts_are_several_nodes():
    port = free_port()
    with FakeMount("one") as one, FakeMount("two") as two, Redis("--requirepass", "a b", port=port) as r, \
            Bridge(one, two, redis=f"redis://:a%20b@localhost:{port}/3") as b:
        client = redis.Redis(port=port, password="a b", db=3)
        for i, m in enumerate((one, two)):
            m.open()
            m.tell(m.add(i + 1))
            reader = RedisReader(client, f"n1.{i}"), ZmqReader(zmq, b.pub + "_dp1" * i, b.replay + "_dp1" * i)
            agree_fake(m, *reader)
            assert reader[1].topics == {b"kv@10.0.0.7:8000@" + (b"one", b"two")[i]}
            until(lambda: client.hget(f"tokfs:n1.{i}:node", "model") == (b"one", b"two")[i], "it is in the registry")
            until(lambda: client.hget(f"tokfs:n1.{i}:node", "requests_waiting") == b"4", "its load too")
            reader[1].close()


def test_what_cannot_be_is_said():
    port = free_port()
    with FakeMount("a@b") as m, Redis("--requirepass", "right", port=port) as r, \
            Bridge(m, redis=f"redis://:secret@127.0.0.1:{port}") as b:
        until(lambda: "WRONGPASS" in b.messages() and "a@b" in b.messages(), "both are said")
        assert "secret" not in b.messages()
        assert b.stop() == 0
    with FakeMount() as m:
        for options, wanted in ((["--zmq", "tcp://nowhere"], "--zmq tcp://nowhere"), (["--zmq-replay", "tcp://*:0x"], "--zmq-replay"),
                                (["--redis", "http://x"], "--redis"), (["--node", "a@b"], "--node a@b")):
            with tempfile.TemporaryDirectory() as scratch:
                command = [os.environ["TOKFS_BRIDGE"], "--listen", f"unix:{scratch}/s", *options, m.path]
                done = subprocess.run(command, capture_output=True, text=True, timeout=300)
                assert done.returncode == 2 and wanted in done.stderr, (done.returncode, done.stderr)


# Those on the real mount need its prefix cache, which the null model has not; the others are the same for every model.
tests = [value for name, value in list(globals().items()) if name.startswith("test_")]
n_real = tests.index(test_mount_without_a_prefix_cache_is_told_once)
run_tests(tests[:n_real + 1] if IS_DEMO else tests[n_real:])
