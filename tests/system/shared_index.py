#!/usr/bin/env python3
"""An index that lies in Redis, shared by routers that keep none: in tokfs's form and in llm-d's, both read and written here by what
docs/kv-events.md says of them. Needs a redis-server and the Python package redis."""
import json
import os
import signal
import subprocess
import time

from bridge import Bridge
from mount import Mount, run_tests, suspend, until
from publish_parts import DEMO_MODEL, Redis, held, need_blocks

need_blocks()

TOPIC = ("I have a question about a country, and it is the same one for each country that there is, so listen well, please. "
         "What is the capital of {}, and how far away from the sea is that city? I want to know that now, please.")
TIERS = {"gpu": 1, "cpu": 0.8, "disk": 0.25}


# ---- llm-d's form, from its description ----------------------------------------------------------------------------

def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return value


def cbor(item):
    if item is None:
        return b"\xf6"
    major, n = (0, item) if isinstance(item, int) else (4, len(item)) if isinstance(item, (list, tuple)) else (3, len(item.encode()))
    size = next(i for i, bits in enumerate((0, 8, 16, 32, 64)) if n < (24 if bits == 0 else 1 << bits))
    head = bytes([major << 5 | (n if size == 0 else 23 + size)]) + (n.to_bytes(1 << size - 1, "big") if size else b"")
    return head + (b"".join(map(cbor, item)) if major == 4 else item.encode() if major == 3 else b"")


def request_keys(model, blocks):
    key, keys = fnv(cbor([fnv(b""), None, model])), []
    for tokens in blocks:
        key = fnv(cbor([key, list(tokens), None]))
        keys.append(key)
    return keys


def pod_field(pod, tier="gpu"):
    return json.dumps({"PodIdentifier": pod, "DeviceTier": tier, "Speculative": False, "HasGroup": False, "GroupIdx": 0},
                      separators=(",", ":"))


def llmd_lookup(client, keys):
    """The weights of the longest prefix of each pod, as llm-d finds them."""
    scores, alive = {}, None
    for key in keys:
        best = {}
        for field in client.hkeys(str(key)):
            entry = json.loads(field)
            best[entry["PodIdentifier"]] = max(best.get(entry["PodIdentifier"], 0), TIERS[entry["DeviceTier"]])
        alive = set(best) if alive is None else alive & set(best)
        if not alive:
            break
        for pod in alive:
            scores[pod] = scores.get(pod, 0) + best[pod]
    return scores


def chains(mount):
    """Of each block that a mount holds: its name and all tokens until its end, in blocks."""
    blocks = held(mount)

    def chain(name):
        parent, tokens = blocks[name]
        return (chain(parent) if parent is not None else []) + [tokens]
    return {name: chain(name) for name in blocks}


def llmd_state(client):
    """What is there for llm-d: request key -> fields, engine key -> request keys."""
    keys = [key.decode() for key in client.keys()]
    return ({int(key): {field.decode() for field in client.hkeys(key)} for key in keys if key.isdigit()},
            {int(key[7:]): {int(member) for member in client.zrange(key, 0, -1)} for key in keys
             if key.startswith("engine:") and key[7:].isdigit()})


def llmd_expected(*mounts):
    fields, engines = {}, {}
    for pod, mount in mounts:
        for name, blocks in chains(mount).items():
            key = request_keys("demo", blocks)[-1]
            fields.setdefault(key, set()).add(pod_field(pod))
            engines.setdefault(name, set()).add(key)
    return fields, engines


# ---- tokfs's form --------------------------------------------------------------------------------------------------

def tokfs_state(client):
    """node -> the blocks whose bit of its slot is set."""
    keys = list(client.scan_iter("tokfs:index:b:*"))  # before what they refer to, which is written first
    slots = {int(slot): name.decode() for slot, name in client.hgetall("tokfs:index:slots").items()}
    alive = {name.decode(): int(client.hget(b"tokfs:index:node:" + name, "slot") or -1) for name in client.zrange("tokfs:index:nodes", 0, -1)}
    group = int(client.hget("tokfs:index:groups", "16 gpu demo") or -1)
    state = {name: set() for name, slot in alive.items() if slot >= 0 and slots.get(slot) == name}
    for key in keys:
        number, name = key.decode().rsplit(":", 2)[1:]
        assert int(number) == group, key
        bits = client.get(key) or b""
        for node in state:
            slot = alive[node]
            if slot // 8 < len(bits) and bits[slot // 8] >> (7 - slot % 8) & 1:
                state[node].add(int(name, 16))
    return state


def tokfs_expected(*mounts):
    return {f"{address}@demo": set(held(mount)) for address, mount in mounts}


# ---- what both are asked -------------------------------------------------------------------------------------------

def chat(country):
    return {"messages": [{"role": "user", "content": TOPIC.format(country)}], "max_tokens": 1}


def ask(bridge, country):
    status, _, answer = bridge.ask("POST", "/v1/chat/completions", chat(country))
    assert status == 200, answer


def scores(bridge, country):
    status, headers, answer = bridge.ask("POST", "/score_chat_completions", chat(country))
    if status == 400 and "known: none" in answer:
        return {}, None  # it has not opened the mount's model yet
    assert status == 200, answer
    return json.loads(answer)["pod_scores"], headers.get("X-Shared-Index")


def scored(bridge, country, **expected):
    """Waits until the scores are these; a score of True is any but 0."""
    def same():
        got, _ = scores(bridge, country)
        return set(got) == set(expected) and all((got[name] > 0) == bool(expected[name]) for name in got)
    try:
        until(same, "")
    except AssertionError:
        raise AssertionError(f"scores of {country}: {scores(bridge, country)}, wanted {expected}; {bridge.messages()}")


def figure(bridge, name):
    return next(float(line.split()[1]) for line in bridge.ask("GET", "/metrics")[2].splitlines() if line.startswith(f"tokfs_bridge_{name} "))


def sharer(mount, name, redis_, schema):
    return Bridge(mount, options=["--address", name, "--share-index", redis_.url, "--share-schema", schema])


def reader(redis_, schema, *options):
    return Bridge(options=["--model", f"demo={DEMO_MODEL}", "--use-index", redis_.url, "--share-schema", schema, "--index-timeout", "2000", *options])


def listed(redis_, schema):
    run = subprocess.run([os.environ["TOKFS_BRIDGE"], "--list-index", redis_.url, "--share-schema", schema], capture_output=True, text=True,
                         timeout=300)
    assert run.returncode == 0, run
    return sorted((line["peer"], line["model"], line["block_size"], *line["tiers"], int(line["hash"], 16))
                  for line in map(json.loads, run.stdout.splitlines()))


def list_expected(schema, *mounts):
    names = {"tokfs": lambda mount: held(mount), "llm-d": lambda mount: [request_keys("demo", c)[-1] for c in chains(mount).values()]}
    return sorted((address, "demo", 16, "gpu", name) for address, mount in mounts for name in names[schema](mount))


def restart(mount):
    mount.stop()
    mount.start()


FORMS = {"tokfs": (tokfs_state, tokfs_expected), "llm-d": (llmd_state, llmd_expected)}


def holds(client, schema, *mounts):
    state, expected = FORMS[schema]
    wanted = None

    def same():
        nonlocal wanted
        wanted = expected(*mounts)
        return state(client) == wanted
    try:
        until(same, "")
    except AssertionError:
        raise AssertionError(f"{schema}: {state(client)}, wanted {wanted}")


def check_sharing(schema):
    with Redis() as r, Mount("--kv-mem", "1M", "--ctx", "256") as m1, Mount() as m2, sharer(m1, "n1", r, schema) as b1, \
            sharer(m2, "n2", r, schema) as b2, reader(r, schema) as stateless:
        client = r.client()
        ask(b1, "France")
        scored(stateless, "France", n1=True, n2=False)  # the other one is there, too
        ask(b2, "France")
        ask(b2, "Spain")
        scored(stateless, "France", n1=True, n2=True)
        scored(stateless, "Spain", n1=True, n2=True)  # the head of the prompt is everybody's
        until(lambda: scores(stateless, "Spain")[0]["n2"] > scores(stateless, "Spain")[0]["n1"], "all of n2's blocks are seen")
        assert scores(stateless, "Spain")[1] is None
        for i in range(40):  # the first one drops blocks
            ask(b1, f"the country number {i * 7919}")
        holds(client, schema, ("n1", m1), ("n2", m2))
        assert listed(r, schema) == list_expected(schema, ("n1", m1), ("n2", m2))
        until(lambda: scores(stateless, "Spain")[0].get("n2") == scores(b2, "Spain")[0].get("n2", 0), "the scores are those of the node's own bridge")
        if schema == "llm-d":
            longest = max(chains(m2).values(), key=len)
            assert llmd_lookup(client, request_keys("demo", longest))["n2"] == len(longest)
        restart(m1)  # holds nothing: what it held goes, what others hold stays
        holds(client, schema, *([("n2", m2)] if schema == "llm-d" else []), *([] if schema == "llm-d" else [("n1", m1), ("n2", m2)]))
        ask(b1, "Italy")
        scored(stateless, "Italy", n1=True, n2=True)
        until(lambda: scores(stateless, "Italy")[0]["n1"] > scores(stateless, "Italy")[0]["n2"], "all of n1's blocks are seen")
        r.stop(signal.SIGKILL)  # and what it knew is lost
        until(lambda: scores(stateless, "Italy")[1] == "unavailable", "the router says that it does without")
        r.start()
        holds(r.client(), schema, ("n1", m1), ("n2", m2))
        until(lambda: scores(stateless, "Italy") == ({"n1": scores(b1, "Italy")[0].get("n1", 0), "n2": scores(b2, "Italy")[0].get("n2", 0)}, None),
              "the router's scores are right again")
        assert figure(stateless, "use_failed_total") > 0 and "without it" in stateless.messages()
        b1.stop(signal.SIGKILL)
        scored(stateless, "Italy", n2=True)  # it leaves with its heartbeat
        holds(r.client(), schema, ("n2", m2))  # and the other one sweeps up
        if schema == "tokfs":
            until(lambda: len(r.client().hgetall("tokfs:index:slots")) == 1, "the slots are given back")
            assert not [key for key in r.client().keys("tokfs:index:held:*")
                        if key != b"tokfs:index:held:" + r.client().hget("tokfs:index:node:n2@demo", "slot")]


def test_tokfs_form_is_true_and_heals():
    check_sharing("tokfs")


def test_llm_d_form_is_true_and_heals():
    check_sharing("llm-d")


def test_llm_d_writers_are_heard():
    """A pod that llm-d itself has written: nothing of tokfs knows of it."""
    with Redis() as r, Mount() as m, sharer(m, "n1", r, "llm-d") as b, reader(r, "llm-d") as stateless:
        client = r.client()
        ask(b, "France")
        scored(stateless, "France", n1=True)
        holds(client, "llm-d", ("n1", m))
        blocks = max(chains(m).values(), key=len)
        mine = scores(stateless, "France")[0]["n1"]
        for key in request_keys("demo", blocks)[:2]:
            client.hset(str(key), pod_field("10.9.9.9:8000", "cpu"), "")
        until(lambda: "10.9.9.9:8000" in scores(stateless, "France")[0], "the pod is seen")
        got = scores(stateless, "France")[0]
        assert abs(got["10.9.9.9:8000"] - 1.6) < 1e-9 and got["n1"] == mine, got
        for key in client.keys():  # as llm-d clears a pod: every key that is not an engine's is a hash
            assert key.startswith(b"engine:") or client.type(key) == b"hash", key


def test_a_follower_shares_what_it_hears_and_another_takes_over():
    with Redis() as r, Mount() as m, Bridge(m, options=["--node", "n1", "--address", "n1", "--redis", r.url]) as b:
        options = ["--follow", r.url, "--share-index", r.url]
        with Bridge(options=options) as first, Bridge(options=options) as second, reader(r, "tokfs") as stateless:
            ask(b, "France")
            scored(stateless, "France", n1=True)
            holds(r.client(), "tokfs", ("n1", m))
            owner = first if figure(first, "share_stored_total") > 0 else second
            other = second if owner is first else first
            assert figure(other, "share_stored_total") == 0
            owner.stop(signal.SIGKILL)
            ask(b, "Spain")
            holds(r.client(), "tokfs", ("n1", m))
            assert figure(other, "share_refills_total") == 1


def test_a_router_without_an_index_routes_by_the_shared_one():
    with Redis() as r, Mount() as m1, Mount() as m2, Bridge(m1) as b1, Bridge(m2) as b2:
        names = [f"127.0.0.1:{b.port}" for b in (b1, b2)]
        for b, name in zip((b1, b2), names):
            b.stop()
            b.command[1:] = ["--listen", name, "--address", name, "--share-index", r.url, b.command[-1]]
            b.__enter__()
        with reader(r, "tokfs", "--route", "prefix") as router:
            ask(b2, "Norway")
            until(lambda: scores(router, "Norway")[0].get(names[1], 0) > 0, "the router knows who holds it")
            ask(b1, "Chad")
            until(lambda: names[0] in scores(router, "Norway")[0], "the router knows both")
            for _ in range(4):
                status, _, answer = router.ask("POST", "/v1/chat/completions", chat("Norway"))
                assert status == 200 and json.loads(answer)["usage"]["prompt_tokens_details"]["cached_tokens"] > 32, answer
            r.stop(signal.SIGKILL)
            for _ in range(4):  # by load alone
                status, _, answer = router.ask("POST", "/v1/chat/completions", chat("Norway"))
                assert status == 200, answer


def check_fresh(schema):
    """Nodes that hold nothing yet: a router can send them requests from the first one on."""
    with Redis() as told, Redis() as r, Mount() as m1, Mount() as m2, Bridge(m1) as b1, Bridge(m2) as b2:
        prefix = "tokfs:index:" if schema == "tokfs" else "engine:tokfs:"
        names = [f"127.0.0.1:{b.port}" for b in (b1, b2)]
        share = ["--share-index", r.url, "--share-schema", schema]
        for b, name, options in ((b1, names[0], ["--node", "c", "--redis", told.url]), (b2, names[1], share)):
            b.stop()
            b.command[1:] = ["--listen", name, "--address", name, *options, b.command[-1]]
            b.__enter__()
        with Bridge(options=["--follow", told.url, *share]) as follower, reader(r, schema, "--route", "prefix") as router:
            client = r.client()

            def registered():
                nodes = {name.decode() for name in client.zrange(f"{prefix}nodes", 0, -1)}
                return sorted(name for name in nodes if client.hget(f"{prefix}node:{name}", "is_whole") == b"1")
            until(lambda: registered() == sorted(f"{name}@demo" for name in names), "both nodes are there")
            assert figure(follower, "share_stored_total") == figure(b2, "share_stored_total") == 0
            scored(router, "France", **dict.fromkeys(names, False))
            assert router.get("/health")[0] == 200
            ask(router, "France")
            until(lambda: sum(score > 0 for score in scores(router, "France")[0].values()) == 1, "one has answered, and its blocks are seen")
            holds(client, schema, *((name, m) for name, m in zip(names, (m1, m2)) if schema == "tokfs" or held(m)))
            m2.stop()
            until(lambda: registered() == [f"{names[0]}@demo"], "a mount that has gone is no node")
            m2.start()
            until(lambda: registered() == sorted(f"{name}@demo" for name in names), "it is one again")


def test_nodes_without_blocks_are_there():
    check_fresh("tokfs")


def test_nodes_without_blocks_are_there_in_llm_d_form():
    check_fresh("llm-d")


def test_a_redis_that_hangs_is_waited_for_once():
    with Redis() as r, Mount() as m, sharer(m, "n1", r, "tokfs") as b, reader(r, "tokfs") as stateless:
        ask(b, "France")
        scored(stateless, "France", n1=True)
        suspend(r.process)
        until(lambda: scores(stateless, "France")[1] == "unavailable", "the router says that it does without")
        assert figure(stateless, "use_up") == 0
        n_asked, n_failed = figure(stateless, "use_blocks_total"), figure(stateless, "use_failed_total")
        for _ in range(3):
            assert scores(stateless, "France")[1] == "unavailable"
        assert (figure(stateless, "use_blocks_total"), figure(stateless, "use_failed_total")) == (n_asked, n_failed + 3)
        r.process.send_signal(signal.SIGCONT)
        scored(stateless, "France", n1=True)
        until(lambda: scores(stateless, "France")[1] is None and figure(stateless, "use_up") == 1, "it is asked again")


def test_many_nodes_are_followed():
    """More than fit into the arguments of a usual command."""
    with Redis() as r, Bridge(options=["--follow", r.url, "--score", "--model", f"demo={DEMO_MODEL}"]) as follower:
        client, n = r.client(), 100
        for i in range(n):
            client.hset(f"tokfs:n{i}:node", mapping={"address": f"n{i}", "model": "demo", "block_size": 16, "requests_running": 0,
                                                     "requests_waiting": 0})
            client.zadd("tokfs:nodes", {f"n{i}": time.time() * 1000})
        until(lambda: len(scores(follower, "France")[0]) == n, "all nodes are peers")


if __name__ == "__main__":
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
