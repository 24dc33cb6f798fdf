#!/usr/bin/env python3
"""Figures, not a test: what publishing to a Redis that has stopped costs decoding, and how soon after its return its state is true.

    TOKFS_BIN=build/fs/tokfs TOKFS_BRIDGE=build/tools/bridge/tokfs-bridge TOKFS_MODEL=MODEL python3 publish_cost.py [SECONDS]

Two mounts of one model, one of them published; turns alternate between them while Redis is stopped for SECONDS (60)."""
import concurrent.futures
import os
import signal
import statistics
import sys
import time

import redis

from kv_consumer import RedisReader
from mount import Mount, transact, until
from publish_parts import Bridge, Redis, held

SEQUENCES, TOKENS = 8, int(os.environ.get("TOKENS", "256"))
OPTIONS = os.environ.get("TOKFS_OPTIONS", "--kv-mem 64M").split()


def turn(mount, n):
    """Seconds of decoding that eight answers of the same length take together."""
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(SEQUENCES) as pool:
        list(pool.map(lambda i: transact(mount, "v1/completions", {
            "prompt": f"Turn {n}, answer {i}:", "max_tokens": TOKENS, "ignore_eos": True, "temperature": 1, "seed": 1000 * n + i}),
            range(SEQUENCES)))
    return time.monotonic() - begin


def cpu_s(pid, threads=None):
    """Processor time of a process, or of its first thread only: in a mount the loop's."""
    total = 0
    for thread in threads or os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
            total += int(file.read().split()[0]) / 1e9
    return total


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    with Mount(*OPTIONS) as plain, Mount(*OPTIONS) as told, Redis() as r, Bridge(told, redis=r.url, options=["--redis-buffer", "64K"]) as b:
        reader = RedisReader(r.client(), "n1")
        for n in range(2):
            turn(plain, n), turn(told, n)
        until(lambda: reader.read() and reader.blocks == held(told), "the reader holds what the mount holds", 20)
        r.process.send_signal(signal.SIGSTOP)
        pids = [m.daemon.pid for m in (plain, told)]
        cpu = [cpu_s(pid, [pid]) for pid in pids] + [cpu_s(b.process.pid)]
        begin, taken, n = time.monotonic(), ([], []), 2
        while time.monotonic() - begin < seconds:
            for k in ((0, 1), (1, 0))[n % 2]:
                taken[k].append(turn((plain, told)[k], n))
            n += 1
        cpu = [now - before for now, before in zip([cpu_s(pid, [pid]) for pid in pids] + [cpu_s(b.process.pid)], cpu)]
        r.process.send_signal(signal.SIGCONT)
        back = time.monotonic()
        until(lambda: reader.read() and reader.blocks == held(told), "the reader holds what the mount holds", 20)
        healed = time.monotonic() - back
        rates = [SEQUENCES * TOKENS / statistics.median(times) for times in taken]
        pairs = [b / a for a, b in zip(*taken)]
        print(f"turns of each: {len(taken[0])}; tokens/s, median: {rates[0]:.0f} not published, {rates[1]:.0f} published to a stopped Redis")
        print(f"published / not published, time of a turn: median {statistics.median(pairs):.4f}, "
              f"mean {statistics.mean(pairs):.4f} +- {statistics.stdev(pairs) / len(pairs) ** 0.5:.4f}")
        decoded = sum(taken[1])
        print(f"processor time for each second of decoding: bridge {1000 * cpu[2] / decoded:.1f} ms; loop of the mount "
              f"{1000 * cpu[1] / decoded:.1f} ms, of the one that is not published {1000 * cpu[0] / sum(taken[0]):.1f} ms")
        print(f"true {healed:.3f} s after Redis went on; {len(reader.blocks)} blocks; dropped: {'too slowly' in b.messages()}")


main()
