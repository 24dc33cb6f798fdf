#!/usr/bin/env python3
"""vLLM's own publisher and types of KV events against tokfs-bridge, in both directions: what vLLM publishes is followed, with each kind of hash, with
batches that were missed, with a publisher that begins anew; and what tokfs-bridge publishes is what vLLM's types decode. Not a part of the test suite.

  pip download --no-deps vllm; unzip vllm-*.whl vllm/distributed/kv_events.py -d DIR   (needs msgspec and zmq, nothing else of vLLM)
  TOKFS_BIN=... TOKFS_BRIDGE=... TOKFS_MODEL=demo TOKFS_SOURCE_ROOT=. python3 tests/oracle/check_vllm_events.py DIR
"""
import dataclasses
import hashlib
import importlib.util
import json
import logging
import os
import struct
import sys
import time
import types
from typing import Any

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
import msgspec
import zmq
from bridge import Bridge, free_port
from following import MODEL, ask, follower, held, node
from mount import Mount, until

TOKENS = [(7 * i + 3) % 500 for i in range(160)]


def load(path):
    """kv_events.py with what it takes from the rest of vLLM replaced: its configuration's fields, a logger, addresses, a type."""
    fields = ["enable_kv_cache_events", "publisher", "endpoint", "replay_endpoint", "buffer_steps", "hwm", "max_queue_size", "topic"]
    config = dataclasses.make_dataclass("KVEventsConfig", [(name, Any, None) for name in fields])
    names = {"vllm": {}, "vllm.config": {}, "vllm.config.kv_events": {"KVEventsConfig": config}, "vllm.utils": {}, "vllm.v1": {}, "vllm.v1.core": {},
             "vllm.logger": {"init_logger": logging.getLogger},
             "vllm.utils.network_utils": dict.fromkeys(["get_ip", "get_tcp_uri", "is_valid_ipv6_address", "split_zmq_path"]),
             "vllm.v1.core.kv_cache_utils": {"ExternalBlockHash": bytes | int}}
    for name, members in names.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)
    spec = importlib.util.spec_from_file_location("vllm_kv_events", os.path.join(path, "vllm/distributed/kv_events.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Engine:
    """Blocks of a timeline, named as vLLM does: whole hashes, or their low 64 bits."""

    def __init__(self, kv, port, replay, as_bytes, seed):
        self.kv = kv
        self.publisher = kv.ZmqEventPublisher(0, endpoint=f"tcp://*:{port}", replay_endpoint=f"tcp://*:{replay}", topic="kv@10.0.0.9:8000@demo")
        names, self.names = hashlib.sha256(seed).digest(), []
        for i in range(10):
            names = hashlib.sha256(names + repr(TOKENS[16 * i:16 * i + 16]).encode()).digest()
            self.names.append(names if as_bytes else int.from_bytes(names[-8:], "big"))

    def tell(self, *events):
        self.publisher.publish(self.kv.KVEventBatch(ts=1.0, events=list(events)))

    def stored(self, first, end, **more):
        return self.kv.BlockStored(block_hashes=self.names[first:end], parent_block_hash=self.names[first - 1] if first else None,
                                   token_ids=TOKENS[16 * first:16 * end], block_size=16, lora_id=None, medium="GPU", lora_name=None, **more)

    def removed(self, first, end):
        return self.kv.BlockRemoved(block_hashes=self.names[first:end], medium="GPU")


def score(bridge):
    status, _, answer = bridge.ask("POST", "/score_completions", {"prompt": TOKENS, "model": "demo"})
    return json.loads(answer).get("10.0.0.9:8000") if status == 200 else None


def check_following(kv, as_bytes):
    port, replay = free_port(), free_port()
    engine = Engine(kv, port, replay, as_bytes, b"42")
    engine.tell(engine.stored(0, 3), engine.stored(3, 4))
    with follower(f"tcp://127.0.0.1:{port},replay=tcp://127.0.0.1:{replay}") as f:
        def scored(n, *events):
            until(lambda: engine.tell(*events) or score(f) == n, f"{n} blocks are known, not {score(f)}; {f.messages()}", 20)
        scored(4)  # batches of nothing: what was before is replayed
        engine.tell(engine.stored(4, 7, group_idx=0, kv_cache_spec_kind="full_attention"))
        scored(7)
        engine.tell(engine.removed(5, 7))
        scored(5)
        engine.tell(engine.stored(5, 10, extra_keys=[None] * 5))
        scored(10)
        engine.publisher.shutdown()
        time.sleep(1)  # until its ports are free
        engine = Engine(kv, port, replay, as_bytes, b"43")  # another life, with another seed
        engine.tell(engine.stored(0, 2))
        scored(2)
        engine.tell(kv.AllBlocksCleared())
        scored(0)
        engine.publisher.shutdown()


def check_publishing(kv):
    """tokfs' batches, by vLLM's decoder."""
    port, replay = free_port(), free_port()
    decoder = msgspec.msgpack.Decoder(type=kv.KVEventBatch)
    options = ["--zmq", f"tcp://*:{port}", "--zmq-replay", f"tcp://*:{replay}", "--zmq-map-events"]
    with Mount("--kv-mem", "1M", "--ctx", "256") as mount, node("n1", mount, None, *options) as b:
        sub = zmq.Context.instance().socket(zmq.SUB)
        sub.connect(f"tcp://127.0.0.1:{port}")
        sub.subscribe("kv@")
        for i in range(12):
            ask(b, f"{i * 7919}")
        blocks, following = {}, None

        def apply(payload):
            for event in decoder.decode(payload).events:
                if isinstance(event, kv.BlockStored):
                    assert event.parent_block_hash is None or event.parent_block_hash in blocks
                    assert len(event.token_ids) == event.block_size * len(event.block_hashes)
                    blocks.update(dict.fromkeys(event.block_hashes))
                elif isinstance(event, kv.BlockRemoved):
                    for name in event.block_hashes:
                        blocks.pop(name, None)
                else:
                    blocks.clear()

        def heard():
            nonlocal following
            while sub.poll(0):
                _, seq, payload = sub.recv_multipart()
                assert following is None or struct.unpack(">Q", seq)[0] == following
                following = struct.unpack(">Q", seq)[0] + 1
                apply(payload)
            return {f"{name:016x}" for name in blocks} == held(mount)
        until(heard, "vLLM's types hold what the mount holds", 20)
        dealer = zmq.Context.instance().socket(zmq.DEALER)
        dealer.connect(f"tcp://127.0.0.1:{replay}")
        dealer.send_multipart([b"", struct.pack(">Q", 0)])
        blocks.clear()
        while (frames := dealer.recv_multipart())[2] != kv.ZmqEventPublisher.END_SEQ:
            apply(frames[3])
        assert {f"{name:016x}" for name in blocks} == held(mount)
        sub.close(0), dealer.close(0)


def main():
    kv = load(sys.argv[1])
    for as_bytes in False, True:
        check_following(kv, as_bytes)
        print("followed, hashes as", "bytes" if as_bytes else "integers")
    check_publishing(kv)
    print("published")


if __name__ == "__main__":
    main()
