#!/usr/bin/env python3
"""Scores of the bridge: the forms of a prompt, what they are answered, what is refused. And a bridge that sends requests to peers."""
import concurrent.futures
import contextlib
import http.server
import json
import os
import shutil
import signal
import sys
import threading

from bridge import POSTS, Bridge, free_port
from following import MODEL, Redis, chat, figure, holds, node
from mount import Mount, run_tests, skip, suspend, until

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
        refused(b, "/score_completions", {"messages": MESSAGES}, 400, "argument supplied: messages")
        refused(b, "/score_chat_completions", {"prompt": "a"}, 400, "argument supplied: prompt")
        refused(b, "/score_chat_completions", {"messages": MESSAGES, "chat_template": "{% if %}"}, 400, "Expected an expression")
        refused(b, "/score", {"prompt": 7}, 400, "prompt")
        refused(b, "/score", "[]", 400, "object")
        refused(b, "/score", "{", 400, "line 1")
        assert b.ask("GET", "/score")[0] == 405
        for cost in "x", "-1", "1e999", "":
            refused(b, f"/score?load_cost={cost}", {"prompt": "a"}, 400, "load_cost")
        assert b.ask("POST", "/score?load_cost=0.5", {"prompt": "a"})[0] == 200
    with Mount() as m, Bridge(m) as b:
        refused(b, "/score", {"prompt": "a"}, 501, "--score")


def test_scores_refuse_what_the_engine_refuses():
    """With the same status, words and parameter; but for what is no object, which the file refuses before the engine sees it."""
    pairs = {"/score_completions": ("/v1/completions", [
                 "{}", {"prompt": 7}, {"prompt": []}, {"prompt": [99999999]}, {"prompt": [1, -1]}, {"prompt": ["a", 7]},
                 {"prompt": ["a", "b " * 20000]}, {"prompt": "a", "model": 7}, {"prompt": "a", "temperature": "hot"}, {"prompt": "a", "frobnicate": 1},
                 {"messages": MESSAGES}, {"prompt": [[1], [99999999]]}, {"prompt": [1] * 20000}]),
             "/score_chat_completions": ("/v1/chat/completions", [
                 "{}", {"messages": []}, {"messages": 7}, {"messages": MESSAGES, "model": 7}, {"prompt": "a"},
                 {"messages": [{"role": "user", "content": "x " * 20000}]}])}
    with Mount() as m, Bridge(m, options=["--score"]) as b:
        until(lambda: knows_models(b), "the model is known")
        for path, (twin, bodies) in pairs.items():
            for body in bodies:
                got, wanted = (b.ask("POST", each, body) for each in (path, twin))
                assert got[0] == wanted[0] >= 400 and json.loads(got[2]) == json.loads(wanted[2]), (path, str(body)[:100], got, wanted)


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
    told = []

    def is_told():  # not where its mount took longer than the bridge waits for it
        told[:] = [line for line in bridge.ask("GET", "/metrics")[2].splitlines() if line.startswith(("tokfs_requests_total ", "tokfs_requests_total{"))]
        return told
    until(is_told, "its mount tells")
    return float(told[0].split()[-1])


def knows(bridge, n):
    return len([line for line in bridge.ask("GET", "/metrics")[2].splitlines() if line.startswith("tokfs_bridge_peer_requests{")]) == n


def ready(bridge):
    until(lambda: asked(bridge, "Nowhere")[0] == 200, "the router has peers")


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
        assert [m["id"] for m in json.loads(r.get("/v1/models")[2])["data"]] == ["demo"]
        for body in '{"messages":', {"messages": 7}, {"messages": [], "model": "demo"}:
            assert r.ask("POST", "/v1/chat/completions", body)[0] == a.ask("POST", "/v1/chat/completions", body)[0]
        status, _, answer = asked(r, "France", model="other")
        assert status == 404 and "other" in answer, answer
        assert json.loads(answer)["error"]["param"] == "model", answer
        assert json.loads(r.get("/v1/models/demo")[2])["id"] == "demo"
        assert r.ask("GET", "/v1/models/other")[0] == 404
        for path in POSTS:
            status, _, answer = r.ask("POST", path, " \n")
            assert status == 400 and json.loads(answer)["error"]["code"] == "empty_body", (path, status, answer)
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
        until(lambda: [asked(r, "France")[0] for _ in range(2)] == [200, 200] and answered(a) > 0, "both answer")
        own = figure(r, "routed_own_total")
        for _ in range(4):
            assert asked(r, "France")[0] == 200
        assert figure(r, "routed_own_total") == own + 2


def models(bridge, **headers):
    status, _, answer = bridge.ask("GET", "/v1/models", headers={name.replace("_", "-"): value for name, value in headers.items()})
    return [m["id"] for m in json.loads(answer)["data"]] if status == 200 else None


def test_router_lists_its_own_models_and_its_peers():
    with Mount("--served-name", "there") as m1, Bridge(m1) as a, Mount("--served-name", "here") as m2, \
            Bridge(m2, options=["--route", "round-robin", *named([a])]) as r:
        until(lambda: models(r) == ["here", "there"], "both are listed")
        assert json.loads(r.get("/v1/models/there")[2])["id"] == "there"
        until(lambda: models(r, Via="1.1 tokfs-0") == ["here"], "a router asks for its own")
        for model in "here", "there":
            status, _, answer = asked(r, "France", model=model)
            assert status == 200 and json.loads(answer)["model"] == model, answer
        m2.stop(signal.SIGKILL)
        until(lambda: models(r) == ["there"], "its own has gone")
        assert asked(r, "France", model="there")[0] == 200
        a.stop(signal.SIGKILL)
        until(lambda: models(r) == [], "the other has gone too")


def bridge_at(port, *mounts, options):
    bridge = Bridge(*mounts, options=options, listen=f"127.0.0.1:{port}")
    bridge.port = port
    return bridge


def test_routers_that_name_each_other_answer_and_forget():
    """Each with a mount of its own, and a third without one."""
    ports = [free_port() for _ in range(3)]
    peers = [word for port in ports for word in ("--peer", f"http://127.0.0.1:{port}")]
    options = ["--route", "round-robin", *peers]
    with Mount("--served-name", "one") as m1, Mount("--served-name", "two") as m2, \
            bridge_at(ports[0], m1, options=options) as a, bridge_at(ports[1], m2, options=options) as b, \
            bridge_at(ports[2], options=options) as c:
        for router_ in a, b, c:
            until(lambda: sorted(models(router_) or []) == ["one", "two"], "all models are known to all")
            for model in "one", "two":
                for _ in range(4):  # whichever peer has the turn, itself among them
                    status, _, answer = asked(router_, "France", model=model)
                    assert status == 200 and json.loads(answer)["model"] == model, (status, answer)
        n_served = answered(a) + answered(b)
        assert n_served == 24, n_served
        status, _, answer = c.ask("POST", "/v1/chat/completions", chat("France"), {"Via": "1.0 proxy (old, but well), 1.1 tokfs-0"})
        assert status == 508 and json.loads(answer)["error"]["code"] == "loop_detected", (status, answer)
        assert c.ask("POST", "/v1/chat/completions", chat("France"), {"Via": "1.1 proxy"})[0] == 200
        b.stop(signal.SIGKILL)
        for router_ in a, c:
            until(lambda: models(router_) == ["one"], "the dead one's model is forgotten")


def test_own_mount_that_fails_is_replaced():
    with nodes(1) as (a,), Mount() as m, Bridge(m, options=["--route", "round-robin", *named([a])]) as r:
        until(lambda: [asked(r, "France")[0] for _ in range(2)] == [200, 200] and answered(a) > 0, "both answer")
        direct = json.loads(asked(a, "France")[2])["choices"]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            long = {"max_tokens": 200, "ignore_eos": True}
            answers = [pool.submit(asked, r, f"country {i}", **long) for i in range(16)]
            until(lambda: m.metric("requests_running") > 0 or all(f.done() for f in answers), "the mount is at work")
            m.stop(signal.SIGKILL)
            got = [f.result() for f in answers]
        assert [status for status, _, _ in got] == [200] * 16, got
        assert all(json.loads(answer)["usage"]["completion_tokens"] == 200 for _, _, answer in got)
        for stream in False, True:
            status, _, answer = asked(r, "France", stream=stream)
            assert status == 200 and (stream or json.loads(answer)["choices"] == direct), answer
        a.stop(signal.SIGKILL)
        status, _, answer = asked(r, "France")
        assert status in (502, 503) and json.loads(answer)["error"]["code"] in ("mount_unavailable", "peer_unavailable"), answer


def test_router_does_not_wait_for_its_own_mount_that_hangs():
    with nodes(1) as (a,), Mount() as m, Bridge(m, options=["--route", "round-robin", *named([a])]) as r:
        until(lambda: [asked(r, "France")[0] for _ in range(2)] == [200, 200] and answered(a) > 0, "both answer")
        suspend(m.daemon)
        try:
            status, _, answer = r.ask("GET", "/health")
            assert (status, answer) == (200, f"ok\n{m.path}: does not answer\n"), (status, answer)
            until(lambda: f"mount {m.path} does not answer" in r.messages(), "it is noticed")
            for _ in range(4):
                assert asked(r, "France")[0] == 200
        finally:
            m.daemon.send_signal(signal.SIGCONT)
        until(lambda: r.ask("GET", "/health")[0::2] == (200, "ok\n"), "it answers again")


def test_router_tells_what_a_peer_without_room_says():
    with Mount() as m, Bridge(m) as a, router("round-robin", *named([a])) as r:
        ready(r)
        m.stop(signal.SIGKILL)
        status, _, answer = asked(r, "France")
        assert status == 503 and json.loads(answer)["error"]["code"] == "mount_unavailable", answer


class BreaksOff(http.server.BaseHTTPRequestHandler):
    """A peer whose streams end without the last chunk, those of five tokens before their last event too."""
    protocol_version = "HTTP/1.1"
    CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'

    def do_GET(self):
        words = json.dumps({"object": "list", "data": [{"id": "demo", "object": "model"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        self.wfile.write(words)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in [self.CHUNK] + ([] if body["max_tokens"] == 5 else [b"data: [DO", b"NE]\n\n"]):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_):
        pass


def test_stream_that_has_its_last_event_is_whole():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), BreaksOff)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with router("round-robin", "--peer", f"http://127.0.0.1:{server.server_port}") as r:
            until(lambda: asked(r, "France", stream=True)[0] == 200, "the peer is known")
            whole = (BreaksOff.CHUNK + b"data: [DONE]\n\n").decode()
            cut = BreaksOff.CHUNK.decode()
            for _ in range(5):
                until(lambda: asked(r, "France", stream=True)[2] == whole, "it is passed on as it is")
            until(lambda: asked(r, "France", stream=True, max_tokens=5)[2].startswith(cut + 'data: {"error":'), "what is cut is told")
    finally:
        server.shutdown()
        server.server_close()


def test_burst_with_a_new_prefix_goes_to_one_peer():
    """Nobody tells what the peers hold: what the router has sent is all that it knows."""
    with nodes(3) as bridges, router("prefix", *named(bridges)) as r:
        ready(r)
        for first in "France", "Spain":
            before = [answered(b) for b in bridges]
            prefix = f"{first} " * 120
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                assert asked(r, prefix)[0] == 200
                assert [f.result()[0] for f in [pool.submit(asked, r, prefix + str(i)) for i in range(4)]] == [200] * 4
            now = [answered(b) - n for b, n in zip(bridges, before)]
            assert sorted(now) == [0, 0, 5], now
        before = [answered(b) for b in bridges]
        for i in range(6):
            assert asked(r, f"{i} " * 120)[0] == 200
        assert [answered(b) - n for b, n in zip(bridges, before)] == [2, 2, 2], "others take turns"
        assert figure(r, "routed_placed_total") >= 8


def test_prefix_is_found_in_caches_of_users():
    with Redis() as redis, contextlib.ExitStack() as stack:
        bridges = []
        for i in range(2):
            mount = stack.enter_context(Mount("-o", "allow_other"))
            bridge = Bridge(mount)
            bridge.command[1:1] = ["--node", f"n{i}", "--redis", redis.url]
            bridges.append(stack.enter_context(bridge))
        r = stack.enter_context(router("prefix", "--follow", redis.url))
        ready(r)
        assert asked(bridges[1], "Greece " * 80)[0] == 200
        holds(r, "Greece " * 80, **{bridges[0].listen: False, bridges[1].listen: True})
        had = answered(bridges[1])
        assert asked(r, "Greece " * 80)[0] == 200 and answered(bridges[1]) == had + 1


def test_router_without_peers_says_so():
    with router("prefix", "--peer", "http://127.0.0.1:9") as r:
        status, _, answer = r.ask("GET", "/health")
        assert status == 503 and answer == "peer 127.0.0.1:9: does not answer\n", (status, answer)
        status, _, answer = asked(r, "France")
        assert status == 404 and "demo" in answer, (status, answer)


def test_routers_without_mounts_do_not_vouch_for_each_other():
    ports = [free_port() for _ in range(2)]
    peers = [word for port in ports for word in ("--peer", f"http://127.0.0.1:{port}")]  # itself among them
    said = "".join(f"peer 127.0.0.1:{port}: has no model\n" for port in ports)
    with bridge_at(ports[0], options=["--route", "prefix", *peers]) as a:
        with bridge_at(ports[1], options=["--route", "prefix", *peers]) as b:
            for r in a, b:
                until(lambda: r.ask("GET", "/health")[2] == said, "both answer, and have nothing")
                assert r.ask("GET", "/health")[0] == 503
                status, _, answer = asked(r, "France")
                assert status == 404 and json.loads(answer)["error"]["message"] == "no peer has any model", (status, answer)
        with Mount() as m, bridge_at(ports[1], m, options=[]):
            until(lambda: a.ask("GET", "/health")[0] == 200, "one of them has a mount")
            assert a.get("/health")[2] == f"ok\npeer 127.0.0.1:{ports[0]}: has no model\n"


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
