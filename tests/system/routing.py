#!/usr/bin/env python3
"""Scores of the bridge: the forms of a prompt, what they are answered, what is refused. And a bridge that sends requests to peers."""
import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import sys

from bridge import Bridge
from following import MODEL, Redis, chat, figure, holds, node
from mount import Mount, run_tests, skip, until

QUESTION = "What is the capital of France? " * 8
MESSAGES = [{"role": "user", "content": QUESTION}]


def scored(bridge, path, body):
    status, _, answer = bridge.ask("POST", path, body)
    assert status == 200, (path, status, answer)
    return json.loads(answer)


def knows_models(bridge):
    return bridge.ask("POST", "/score", {"prompt": "a"})[0] == 200


def refused(bridge, path, body, status, words):
    got, _, answer = bridge.ask("POST", path, body)
    assert got == status and words in json.loads(answer)["error"]["message"], (path, got, answer)


def test_forms_of_a_prompt_are_told_apart():
    with Mount() as m, Bridge(m, options=["--score"]) as b:
        until(lambda: knows_models(b), "the model is known")
        chat = scored(b, "/score_chat_completions", {"messages": MESSAGES})
        assert set(chat) == {"pod_scores", "model", "rendered_template", "original_messages"}
        assert chat["original_messages"] == MESSAGES and QUESTION.strip() in chat["rendered_template"]
        conversation = {"conversations": [MESSAGES], "add_generation_prompt": True}
        assert scored(b, "/score_chat_completions", conversation)["rendered_template"] == chat["rendered_template"]
        assert scored(b, "/score", {"messages": MESSAGES}) == chat
        two = scored(b, "/score_chat_completions", {"conversations": [MESSAGES, MESSAGES]})
        assert len(two["rendered_template"]) == 2
        tokens = json.loads(b.ask("POST", "/tokenize", {"prompt": QUESTION})[2])["tokens"]
        model = chat["model"]
        for body in {"prompt": QUESTION}, {"prompt": tokens}, {"prompt": QUESTION, "model": model}, {"prompt": [QUESTION, "a"]}:
            assert scored(b, "/score", body) == scored(b, "/score_completions", body)


def test_what_cannot_be_scored_is_an_error():
    with Mount() as m, Bridge(m, options=["--score"]) as b:
        until(lambda: knows_models(b), "the model is known")
        refused(b, "/score", {"prompt": "a", "model": "other"}, 404, "'other'")
        refused(b, "/score_completions", {"messages": MESSAGES}, 400, "prompt")
        refused(b, "/score_chat_completions", {"prompt": "a"}, 400, "messages")
        refused(b, "/score_chat_completions", {"messages": MESSAGES, "chat_template": "{% if %}"}, 400, "Expected an expression")
        refused(b, "/score", {"prompt": 7}, 400, "prompt")
        refused(b, "/score", "[]", 400, "object")
        refused(b, "/score", "{", 400, "line 1")
        assert b.ask("GET", "/score")[0] == 405
    with Mount() as m, Bridge(m) as b:
        refused(b, "/score", {"prompt": "a"}, 501, "--score")


# ---- routing ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def nodes(n, redis=None):
    """Mounts with a bridge each, whose names are their addresses."""
    with contextlib.ExitStack() as stack:
        bridges = []
        for i in range(n):
            bridge = Bridge(stack.enter_context(Mount()))
            if redis:
                bridge.command[1:1] = ["--node", f"n{i}", "--redis", redis.url]
            bridges.append(stack.enter_context(bridge))
        yield bridges


def router(policy, *options):
    return Bridge(options=["--route", policy, "--model", f"demo={MODEL}", *options])


def named(bridges):
    return [word for b in bridges for word in ("--peer", f"http://{b.listen}")]


def asked(bridge, country, **more):
    return bridge.ask("POST", "/v1/chat/completions", {**chat(country), "temperature": 0, "max_tokens": 8, **more})


def answered(bridge):
    """Requests that the node's engine has had."""
    for line in bridge.ask("GET", "/metrics")[2].splitlines():
        if line.startswith("tokfs_requests_total ") or line.startswith("tokfs_requests_total{"):
            return float(line.split()[-1])
    raise AssertionError("no tokfs_requests_total")


def knows(bridge, n):
    return len([line for line in bridge.ask("GET", "/metrics")[2].splitlines() if line.startswith("tokfs_bridge_peer_requests{")]) == n


def ready(bridge):
    until(lambda: asked(bridge, "Nowhere")[0] == 200, "the router has peers", seconds=20)


def test_router_answers_as_the_peers_do():
    with nodes(2) as (a, b), router("round-robin", *named([a, b])) as r:
        ready(r)
        direct = json.loads(asked(a, "France")[2])["choices"]
        for _ in range(4):
            status, headers, answer = asked(r, "France")
            assert status == 200 and headers["Content-Type"] == "application/json" and json.loads(answer)["choices"] == direct
        status, headers, answer = asked(r, "France", stream=True)
        assert status == 200 and headers["Content-Type"].startswith("text/event-stream") and answer.endswith("data: [DONE]\n\n")
        said = "".join(json.loads(line[6:])["choices"][0]["delta"].get("content") or "" for line in answer.splitlines()
                       if line.startswith("data: {") and json.loads(line[6:])["choices"])
        assert said == direct[0]["message"]["content"]
        assert answered(a) > 2 and answered(b) > 2
        assert [m["id"] for m in json.loads(r.ask("GET", "/v1/models")[2])["data"]] == ["demo"]
        for body in '{"messages":', {"messages": 7}, {"messages": [], "model": "demo"}:
            assert r.ask("POST", "/v1/chat/completions", body)[0] == a.ask("POST", "/v1/chat/completions", body)[0]
        status, _, answer = asked(r, "France", model="other")
        assert status == 404 and "other" in answer, answer
        assert json.loads(answer)["error"]["param"] == "model", answer
        assert json.loads(r.ask("GET", "/v1/models/demo")[2])["id"] == "demo"
        assert r.ask("GET", "/v1/models/other")[0] == 404
        status, _, answer = r.ask("POST", "/v1/completions", {"prompt": "a", "max_tokens": 1})
        assert status == 200 and json.loads(answer)["object"] == "text_completion"


def test_router_goes_where_the_prefix_is():
    with Redis() as redis, nodes(3, redis) as bridges, router("prefix", "--follow", redis.url) as r:
        ready(r)
        # Long enough to outweigh a request that the last heartbeat told of.
        countries = [f"{name} " * 80 for name in ("France", "Spain", "Italy", "Greece", "Poland", "Norway")]
        for country in countries:
            assert asked(r, country)[0] == 200
        addresses = [b.listen for b in bridges]
        for country in countries:
            until(lambda: max(json.loads(r.ask("POST", "/score_chat_completions", chat(country))[2])["pod_scores"].values()) >= 2,
                  f"the prefix of {country} is told")
        before = {name: figure(r, f"routed_{name}_tokens_total") for name in ("predicted", "cached", "prompt")}
        for country in countries:
            scores = json.loads(r.ask("POST", "/score_chat_completions", chat(country))[2])["pod_scores"]
            best = bridges[addresses.index(max(scores, key=scores.get))]
            had = answered(best)
            assert asked(r, country)[0] == 200
            assert answered(best) == had + 1, (country, scores)
        now = {name: figure(r, f"routed_{name}_tokens_total") - before[name] for name in before}
        assert now["predicted"] > now["prompt"] / 2 and now["cached"] >= now["predicted"], now


def test_router_loses_no_request_when_a_peer_dies():
    with nodes(2) as (a, b), router("round-robin", *named([a, b])) as r:
        ready(r)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(asked, r, f"country {i}") for i in range(60)]
            until(lambda: sum(f.done() for f in answers) > 10, "some are answered")
            a.stop(signal.SIGKILL)
            got = [f.result() for f in answers]
        assert [status for status, _, _ in got] == [200] * 60, got
        assert all(json.loads(answer)["choices"] for _, _, answer in got)


def test_router_takes_a_killed_node_out_with_its_heartbeat():
    with Redis() as redis, nodes(2, redis) as bridges, router("prefix", "--follow", redis.url) as r:
        ready(r)
        for bridge in bridges:
            assert asked(bridge, "France")[0] == 200
        holds(r, "France", **{b.listen: True for b in bridges})
        bridges[0].stop(signal.SIGKILL)
        for i in range(10):
            assert asked(r, f"country {i}")[0] == 200
        holds(r, "France", **{bridges[1].listen: True})
        bridges[1].stop(signal.SIGKILL)
        status, _, answer = asked(r, "France")
        assert status in (502, 503) and "peer" in answer, (status, answer)


def test_router_includes_its_own_mount():
    with nodes(1) as (a,), Mount() as m, Bridge(m, options=["--route", "round-robin", "--peer", f"http://{a.listen}"]) as r:
        until(lambda: [asked(r, "France")[0] for _ in range(2)] == [200, 200] and answered(a) > 0, "both answer", seconds=20)
        own = figure(r, "routed_own_total")
        for _ in range(4):
            assert asked(r, "France")[0] == 200
        assert figure(r, "routed_own_total") == own + 2


def test_router_without_peers_says_so():
    with router("prefix", "--peer", "http://127.0.0.1:9") as r:
        status, _, answer = asked(r, "France")
        assert status == 404 and "demo" in answer, (status, answer)


def test_router_refuses_at_once():
    with router("round-robin", "--peer", "http://127.0.0.1:9") as r:
        for _ in range(1000):  # each would wait for the next tick, a second: beyond what the suite is given
            assert asked(r, "France", model="other")[0] == 404


if __name__ == "__main__":
    if os.environ.get("TOKFS_MODEL") == "null":
        sys.exit(77)
    if not shutil.which("redis-server"):
        skip("redis-server is missing")
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
