#!/usr/bin/env python3
"""Figures, not a test: what publishing to a Redis that has stopped costs decoding, and how soon after its return its state is true.

    TOKFS_BIN=build/fs/tokfs TOKFS_BRIDGE=build/tools/bridge/tokfs-bridge TOKFS_MODEL=MODEL python3 publish_cost.py [SECONDS [FILE]]

Two mounts of one model, one of them published, the other one in the second half; turns alternate between them while Redis is stopped, for SECONDS
(60) in all. Each pair of turns gives the ratio of their times, and of the processor time (user and system, of all threads) of the mount and the bridge against that of the
mount that is not published; what the bridge does during both turns counts. FILE gathers the pairs of several runs."""
import concurrent.futures
import json
import math
import os
import signal
import statistics
import sys
import time

import redis

from kv_consumer import RedisReader
from mount import Mount, suspend, transact, until
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


def cpu_s(process):
    """Processor time of a process that lives, user and system, of all its threads."""
    total = 0
    for thread in os.listdir(f"/proc/{process.pid}/task"):
        with open(f"/proc/{process.pid}/task/{thread}/schedstat") as file:
            total += int(file.read().split()[0]) / 1e9
    return total


def measure_pair(plain, told, bridge, n):
    """Seconds of the turn and of the processor, not published and published; of the bridge's processor during both."""
    seconds, cpu, before = [0, 0], [0, 0], cpu_s(bridge)
    for k in ((0, 1), (1, 0))[n % 2]:
        mount = (plain, told)[k]
        begin = cpu_s(mount.daemon)
        seconds[k] = turn(mount, n)
        cpu[k] = cpu_s(mount.daemon) - begin
    return [*seconds, *cpu, cpu_s(bridge) - before]


def show(what, ratios):
    """The geometric mean with its 95 % interval, and the median."""
    logs = [math.log(ratio) for ratio in ratios]
    mean, half = statistics.mean(logs), 1.96 * statistics.stdev(logs) / len(logs) ** 0.5
    print(f"{what}: {math.exp(mean):.4f} ({math.exp(mean - half):.4f} to {math.exp(mean + half):.4f}), median {statistics.median(ratios):.4f}")


def show_all(pairs):
    print(f"{len(pairs)} pairs of turns of {SEQUENCES * TOKENS} tokens; not published: {statistics.median(p[0] for p in pairs):.3f} s, "
          f"{1e6 * statistics.median(p[2] for p in pairs) / SEQUENCES / TOKENS:.1f} us of processor time a token")
    show("time of a turn, published / not", [p[1] / p[0] for p in pairs])
    show("processor time of the mount, published / not", [p[3] / p[2] for p in pairs])
    show("processor time of mount and bridge / of the mount that is not published", [(p[3] + p[4]) / p[2] for p in pairs])
    print(f"processor time of the bridge: {1e6 * statistics.mean(p[4] for p in pairs) / SEQUENCES / TOKENS:.2f} us a token, "
          f"{1000 * sum(p[4] for p in pairs) / sum(p[0] + p[1] for p in pairs):.1f} ms a second")


def measure(plain, told, seconds, side):
    """Pairs of turns while Redis is stopped for so long."""
    pairs = []
    with Redis() as r, Bridge(told, redis=r.url, options=["--redis-buffer", "64K"]) as b:
        reader = RedisReader(r.client(), "n1")
        for n in range(2):
            turn(plain, n), turn(told, n)
        until(lambda: reader.read() and reader.blocks == held(told), "the reader holds what the mount holds", 20)
        suspend(r.process)
        begin, n = time.monotonic(), 2
        while time.monotonic() - begin < seconds:
            pairs.append([side, *measure_pair(plain, told, b.process, n)])
            n += 1
        r.process.send_signal(signal.SIGCONT)
        back = time.monotonic()
        until(lambda: reader.read() and reader.blocks == held(told), "the reader holds what the mount holds", 20)
        print(f"true {time.monotonic() - back:.3f} s after Redis went on; {len(reader.blocks)} blocks; dropped: {'too slowly' in b.messages()}")
    return pairs


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    pairs = []
    if len(sys.argv) > 2 and os.path.exists(sys.argv[2]):
        with open(sys.argv[2]) as file:
            pairs = [json.loads(line) for line in file]
    with Mount(*OPTIONS) as one, Mount(*OPTIONS) as other:
        sides = [measure(one, other, seconds / 2, 0), measure(other, one, seconds / 2, 1)]
    n = min(map(len, sides))  # as many of each side: what is one mount's own cancels out
    pairs += sides[0][:n] + sides[1][:n]
    show_all([pair[1:] for pair in pairs])
    if len(sys.argv) > 2:
        with open(sys.argv[2], "w") as file:
            file.writelines(json.dumps(pair) + "\n" for pair in pairs)


main()
