#!/usr/bin/env python3
"""tokfs-bridge on the real mount: answers and errors as through the files, streams, clients that leave, keys, several mounts, ends."""
import concurrent.futures
import hashlib
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from mount import ENDLESS, LONG_TOKENS, Mount, run_tests, suspend, until

BRIDGE = os.environ.get("TOKFS_BRIDGE", "")
IS_NULL = os.environ.get("TOKFS_MODEL") == "null"
POSTS = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/tokenize", "/detokenize", "/apply-template", "/generate", "/retrieve_from_text"]
CHAT = {"messages": [{"role": "user", "content": "What is 12 + 30?"}], "temperature": 0}
SLOW = {"TOKFS_FAKE_TOKEN_US": "2000"} if IS_NULL else {}
LONG = {"messages": [{"role": "user", "content": "count 5000"}], "temperature": 0, "max_tokens": LONG_TOKENS, "ignore_eos": True}


PORTS = []  # kept bound by sockets that do not listen: who says SO_REUSEADDR, as servers do, may have theirs, and nobody is given it


def free_port():
    """Of all addresses: another test's connections from 127.0.0.2 may have a port that is free at 127.0.0.1."""
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("", 0))
    PORTS.append(keeper)
    return keeper.getsockname()[1]


class Bridge:
    """Serves mounts while entered. `options` are put before them."""

    def __init__(self, *mounts, options=(), listen=None):
        self.port = free_port()
        self.listen = listen or f"127.0.0.1:{self.port}"
        self.command = [BRIDGE, "--listen", self.listen, *options, *[m if isinstance(m, str) else m.path for m in mounts]]
        self.stderr = tempfile.TemporaryFile("w+")

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stderr=self.stderr)
        try:
            until(self.answers, "the bridge answers")
        except BaseException:  # leave nothing behind
            self.process.kill()
            raise
        return self

    def __exit__(self, kind, value, trace):
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            self.process.kill()  # has an effect where it did not end
        if kind is None and self.process.returncode not in (0, -signal.SIGKILL):
            raise AssertionError(f"the bridge ended with {self.process.returncode}: {self.messages()}")

    def answers(self):
        assert self.process.poll() is None, self.messages()
        try:
            self.connect().close()
            return True
        except OSError:
            return False

    def messages(self):
        self.stderr.seek(0)
        return self.stderr.read()

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        return self.process.wait(300)

    def connect(self):
        if self.listen.startswith("unix:"):
            s = socket.socket(socket.AF_UNIX)
            s.connect(self.listen.removeprefix("unix:"))
        else:
            s = socket.create_connection(("127.0.0.1", self.port), 300)
        s.settimeout(300)
        return s

    def http(self):
        connection = http.client.HTTPConnection("bridge", timeout=300)
        connection.sock = self.connect()
        return connection

    def ask(self, method, path, body=None, headers=None):
        """Status, headers and body."""
        connection = self.http()
        try:
            data = json.dumps(body) if isinstance(body, dict) else body
            connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})},
                               encode_chunked="Transfer-Encoding" in (headers or {}))
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def get(self, path, headers=None):
        """What all mounts are asked for: again where one took longer than the 1.5 s that the bridge waits for it."""
        got = []

        def is_answered():
            got[:] = self.ask("GET", path, headers=headers)
            return got[0] != 503
        until(is_answered, f"{path} is answered")
        return got

    def raw(self, data):
        """What comes back for these bytes, until the bridge closes."""
        with self.connect() as s:
            s.sendall(data)
            got = b""
            while piece := s.recv(65536):
                got += piece
            return got


def said(answer):
    return json.loads(answer)["choices"][0]["message"]["content"]


def transact(mount, path, body):
    """The same request through the file: what is read."""
    fd = os.open(mount.at(path), os.O_RDWR)
    try:
        try:
            os.write(fd, body)
        except OSError:
            pass
        answer = b""
        try:
            while piece := os.read(fd, 65536):
                answer += piece
        except OSError:
            pass
        return answer.decode()
    finally:
        os.close(fd)


def running(mount):
    for line in mount.read("metrics").decode().splitlines():
        if line.startswith("vllm:num_requests_running"):
            return float(line.split()[-1])
    raise AssertionError("no such metric")


def test_answers_are_those_of_the_file():
    with Mount() as m, Bridge(m) as b:
        status, headers, answer = b.ask("POST", "/v1/chat/completions", CHAT)
        assert status == 200 and headers["Content-Type"] == "application/json", (status, answer)
        assert headers["X-Request-Id"].startswith("req-")
        assert said(answer) == said(transact(m, "v1/chat/completions", json.dumps(CHAT).encode()))
        assert json.loads(b.get("/v1/models")[2])["data"][0]["id"] == json.loads(m.read("v1/models"))["data"][0]["id"]
        assert b.get("/health")[2] == "ok\n"
        until(lambda: "vllm:num_requests_running" in b.ask("GET", "/metrics")[2], "the mount's figures are there")
        assert "tokfs_bridge_requests_total" in b.ask("GET", "/metrics")[2]
        assert "<html" in b.ask("GET", "/")[2]


def test_tree_of_the_cache_has_its_shape_and_no_words():
    if IS_NULL:
        return  # has no cache to show
    with Mount() as m, Bridge(m) as b:
        for i in range(4):
            b.ask("POST", "/v1/chat/completions", {**CHAT, "messages": [{"role": "user", "content": f"What is 12 + {30 + i // 2}? " * (4 + i)}]})
        status, _, answer = b.ask("GET", "/kv/tree")
        lines = [json.loads(line) for line in m.read("kv/snapshot").decode().splitlines()]
        blocks = [block["hash"] for line in lines if line["type"] == "stored" for block in line["blocks"]]
        tree = json.loads(answer)
        assert status == 200 and set(tree) == {"parents", "block_size", "is_whole"} and tree["is_whole"], answer
        assert len(tree["parents"]) == len(blocks) and max(tree["parents"]) > -1, answer
        assert all(-1 <= parent < i for i, parent in enumerate(tree["parents"])), answer


def test_what_is_no_request_to_a_file_is_refused():  # those that are: same_errors.py
    with Mount() as m, Bridge(m) as b:
        assert b.ask("POST", "/v1/chat/completions", b'{"model":"other","messages":[{"role":"user","content":"x"}]}')[0] == 404
        for path in POSTS:
            for body in b"", b" ", b" \r\n\t" * 30000:
                status, _, answer = b.ask("POST", path, body)
                assert status == 400 and json.loads(answer)["error"]["code"] == "empty_body", (path, body[:10], status, answer)
        for path in "/health%00", "/health%00x", "/%00", "/v1/models/x%00y", "/health?x=%00", "http://somewhere/health%00":
            status, _, answer = b.ask("GET", path)
            assert status == 400 and json.loads(answer)["error"]["code"] == "bad_request", (path, status, answer)
        assert b.ask("GET", "/health%2500")[0] == 404
        assert b.ask("GET", "/nothing")[0] == 404
        assert b.ask("GET", "/v1/models/nobody")[0] == 404
        assert b.ask("DELETE", "/v1/models")[0] == 405
        assert b.ask("GET", "/v1/chat/completions")[0] == 405
        assert said(b.ask("POST", "/v1/chat/completions", CHAT)[2])


def test_status_is_that_of_the_error_number_that_ends_an_answer():
    with Mount(TOKFS_FAKE_TOKEN_US="2000") as m, Bridge(m) as b:
        late = {"messages": [{"role": "user", "content": "count 100000"}], "ignore_eos": True, "timeout": 0.001}
        for _ in range(3):
            status, _, answer = b.ask("POST", "/v1/chat/completions", late)
            assert status == 504 and json.loads(answer)["error"]["code"] == "deadline_exceeded", (status, answer)
            assert said(b.ask("POST", "/v1/chat/completions", CHAT)[2])


def test_stream_is_the_file_s():
    with Mount() as m, Bridge(m) as b:
        request = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
        status, headers, answer = b.ask("POST", "/v1/chat/completions", request)
        assert status == 200 and headers["Content-Type"].startswith("text/event-stream")
        events = [line.removeprefix("data: ") for line in answer.split("\n\n") if line]
        assert events[-1] == "[DONE]" and "usage" in json.loads(events[-2])
        text = "".join(c["delta"].get("content") or "" for e in events[:-1] for c in json.loads(e)["choices"])
        assert text == said(b.ask("POST", "/v1/chat/completions", CHAT)[2]), text


def test_connection_is_kept_and_requests_may_be_pipelined():
    with Mount() as m, Bridge(m) as b:
        connection = b.http()
        for _ in range(3):
            connection.request("POST", "/v1/chat/completions", json.dumps(CHAT))
            assert said(connection.getresponse().read())
        connection.close()
        one = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        got = b.raw(one * 3 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert got.count(b"HTTP/1.1 200 OK") + got.count(b"HTTP/1.1 503") == 4, got
        body = json.dumps(CHAT).encode()
        chunked = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7]) for i in range(0, len(body), 7)) + b"0\r\n\r\n"
        got = b.raw(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked)
        assert b" 200 OK" in got and b"chat.completion" in got, got


def test_ambiguous_lengths_are_refused():
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
    bad = [
        head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        head + b"Content-Length: -5\r\n\r\nhello",
        head + b"Content-Length: +5\r\n\r\nhello",
        head + b"Content-Length: 99999999999999999999\r\n\r\nhello",
        head + b"Transfer-Encoding: gzip\r\n\r\nhello",
        head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello",
        head + b"Host: y\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not TLS\r\n\r\n",
    ]
    with Mount() as m, Bridge(m) as b:
        for data in bad:
            try:
                got = b.raw(data)
            except ConnectionResetError:
                got = b""
            assert b" 200 " not in got, (data[:80], got)
        assert b.get("/health")[0] == 200


def test_absolute_urls_are_those_of_their_paths():
    with Mount() as m, Bridge(m) as b:
        for url in "http://somewhere/health", "HTTP://somewhere:81/health?x=http://y/z", "https://[::1]:8/health":
            assert b.get(url)[0::2] == [200, "ok\n"], url
        assert "<html" in b.ask("GET", "http://somewhere")[2]
        body = json.dumps(CHAT)
        assert said(b.ask("POST", "http://somewhere/v1/chat/completions", body)[2])
        for url in "http://", "http:///health", "http://user@somewhere/health", "ftp://somewhere/health", "http:/health":
            status, _, answer = b.ask("GET", url)
            assert status == 404 and json.loads(answer)["error"]["code"] == "unknown_url", (url, status, answer)


def test_encoded_bodies_are_refused():
    with Mount() as m, Bridge(m) as b:
        for encoding in "gzip", "identity, gzip", "deflate", "x":
            status, headers, answer = b.ask("POST", "/v1/chat/completions", CHAT, {"Content-Encoding": encoding})
            assert status == 415 and json.loads(answer)["error"]["code"] == "unsupported_content_encoding", (encoding, status, answer)
            assert headers["Accept-Encoding"] == "identity"
        for encoding in "identity", "Identity", "":
            assert said(b.ask("POST", "/v1/chat/completions", CHAT, {"Content-Encoding": encoding})[2])


def test_long_head_is_refused():
    with Mount() as m, Bridge(m) as b:
        assert b.get("/health", {"X": "y" * 7900})[0] == 200
        for n in (8192, 9000, 11000):
            status, _, answer = b.ask("GET", "/health", headers={"X": "y" * n})
            assert status == 431 and json.loads(answer)["error"]["code"] == "request_head_too_large", (n, status, answer)


def test_long_body_is_refused():
    with Mount() as m, Bridge(m, options=["--max-body", "64K"]) as b:
        with b.connect() as s:
            s.sendall(b"POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
            assert b" 413 " in s.recv(65536).split(b"\r\n")[0]
        status, _, answer = b.ask("POST", "/tokenize", iter([b"x" * 10000] * 20), {"Transfer-Encoding": "chunked"})
        assert status == 413 and "error" in json.loads(answer), (status, answer)
        assert json.loads(b.ask("GET", "/metrics")[2].split("tokfs_bridge_body_bytes ")[-1].split("\n")[0]) == 0


def test_client_that_leaves_cancels():
    with Mount(endless=True) as m, Bridge(m) as b:
        for stream in (False, True):
            with b.connect() as s:
                body = json.dumps({**ENDLESS, "stream": stream}).encode()
                s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                until(lambda: running(m) > 0, "it runs")
            until(lambda: running(m) == 0, "it is cancelled")
        assert m.metric("requests_cancelled_total") == 2


def test_client_that_only_listens_gets_its_answer():
    def head(body, *lines):
        return "\r\n".join(["POST /v1/chat/completions HTTP/1.1", "Host: x", *lines, f"Content-Length: {len(body)}", "", ""]).encode()

    with Mount(**SLOW) as m, tempfile.TemporaryDirectory() as scratch:
        for listen in (None, f"unix:{scratch}/s"):
            with Bridge(m, listen=listen) as b:
                for stream in (False, True):
                    body = json.dumps({**LONG, "stream": stream}).encode()
                    with b.connect() as s:
                        s.sendall(head(body) + body)
                        s.shutdown(socket.SHUT_WR)
                        got = b""
                        while piece := s.recv(65536):
                            got += piece
                    assert got.count(b"HTTP/1.1 200 OK\r\n") == 1 and b"finish_reason" in got, got[:300]
                    assert got.count(b" 102 Processing") <= 1, got[:300]
                    assert stream == got.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"), got[-100:]
        assert m.metric("requests_cancelled_total") == 0


def test_clients_that_only_listen_get_their_answers_from_a_busy_bridge():
    def one(b, body):
        with b.connect() as s:
            s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            s.shutdown(socket.SHUT_WR)
            got = b""
            while piece := s.recv(65536):
                got += piece
        return got.count(b"HTTP/1.1 200 OK\r\n") == 1 and b"finish_reason" in got

    with Mount(TOKFS_FAKE_TOKEN_US="500") as m, Bridge(m) as b, concurrent.futures.ThreadPoolExecutor(48) as pool:
        for stream in False, True:
            body = json.dumps({**CHAT, "stream": stream}).encode()
            assert all(pool.map(lambda _: one(b, body), range(200)))


def test_many_at_once_get_their_own_answers():
    def one(b, i):
        request = {"messages": [{"role": "user", "content": f"Repeat after me: number {i}"}], "temperature": 0, "stream": i % 2 == 0}
        answer = b.ask("POST", "/v1/chat/completions", request)[2]
        if i % 2:
            return said(answer)
        events = [line.removeprefix("data: ") for line in answer.split("\n\n") if line][:-1]
        return "".join(c["delta"].get("content") or "" for e in events for c in json.loads(e)["choices"])

    with Mount() as m, Bridge(m) as b, concurrent.futures.ThreadPoolExecutor(32) as pool:
        alone = [one(b, i) for i in range(8)]
        together = list(pool.map(lambda i: one(b, i % 8), range(64)))
        assert together == alone * 8


def test_mount_that_goes_is_told_and_taken_up_again():
    with Mount() as m, Bridge(m) as b:
        assert b.get("/health")[0::2] == [200, "ok\n"]
        m.stop(signal.SIGKILL)
        status, headers, answer = b.ask("POST", "/v1/chat/completions", CHAT)
        assert status == 503 and json.loads(answer)["error"]["code"] == "mount_unavailable", (status, answer)
        assert headers["Retry-After"] == "1"
        assert b.ask("GET", "/health")[0] == 503
        subprocess.run(["fusermount3", "-u", "-q", "-z", m.path])
        assert b.ask("POST", "/v1/chat/completions", CHAT)[0] == 503
        m.start()
        assert said(b.ask("POST", "/v1/chat/completions", CHAT)[2])


def test_health_does_not_wait_for_a_mount_that_hangs():
    with Mount() as m, Bridge(m) as b:
        assert b.get("/health")[0] == 200
        suspend(m.daemon)
        try:
            for known in False, True:
                status, _, answer = b.ask("GET", "/health")
                assert (status, answer) == (503, f"{m.path}: does not answer\n"), (status, answer)
                if not known:
                    until(lambda: f"mount {m.path} does not answer" in b.messages(), "it is noticed")
            status, _, answer = b.ask("GET", "/v1/models")
            assert status == 503 and json.loads(answer)["error"]["code"] == "mount_unavailable", (status, answer)
        finally:
            m.daemon.send_signal(signal.SIGCONT)
        until(lambda: b.ask("GET", "/health")[0::2] == (200, "ok\n"), "it answers again")
        assert f"mount {m.path} answers" in b.messages()


def test_mount_can_be_unmounted_while_nothing_is_asked():
    with Mount() as m, Bridge(m) as b:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: b.ask("POST", "/v1/chat/completions", CHAT), range(16)))
        unmount = ["fusermount3", "-u", m.path]  # busy while the bridge asks for the models, every two seconds
        until(lambda: subprocess.run(unmount, capture_output=True).returncode == 0, "it is not busy")
        assert b.ask("POST", "/v1/chat/completions", CHAT)[0] == 503
        m.daemon.wait(300)
        m.start()
        assert said(b.ask("POST", "/v1/chat/completions", CHAT)[2])


def test_mount_that_goes_ends_its_streams():
    with Mount(endless=True) as m, Bridge(m) as b:
        connection = b.http()
        connection.request("POST", "/v1/chat/completions", json.dumps({**ENDLESS, "stream": True}))
        response = connection.getresponse()
        assert response.read(100)
        m.stop(signal.SIGKILL)
        rest = b""
        try:
            rest = response.read()
        except (http.client.IncompleteRead, ConnectionError) as error:
            rest = getattr(error, "partial", b"")
        assert b"[DONE]" not in rest and b"mount_unavailable" in rest, rest[-300:]
        connection.close()


def test_several_mounts_are_told_apart_by_model():
    with Mount("--served-name", "first") as m1, Mount("--served-name", "second") as m2, Bridge(m1, m2) as b:
        names = ["first", "second"]
        until(lambda: [model["id"] for model in json.loads(b.get("/v1/models")[2])["data"]] == names, "both are listed")
        for name in names:
            assert json.loads(b.ask("POST", "/v1/chat/completions", {**CHAT, "model": name})[2])["model"] == name
            assert json.loads(b.get(f"/v1/models/%{ord(name[0]):x}{name[1:]}?x=y")[2])["id"] == name
        status, _, answer = b.ask("POST", "/v1/chat/completions", {**CHAT, "model": "third"})
        assert status == 404 and json.loads(answer)["error"]["code"] == "model_not_found", answer
        until(lambda: b.ask("GET", "/metrics")[2].count("\nvllm:num_requests_running{") == 2, "both mounts' figures are there")
        assert b.ask("GET", "/metrics")[2].count("# TYPE vllm:num_requests_running ") == 1
        m2.stop()
        until(lambda: 'tokfs_bridge_mount_up{mount="%s"} 0' % m2.path in b.ask("GET", "/metrics")[2], "it is missed")
        assert b.ask("POST", "/v1/chat/completions", {**CHAT, "model": "second"})[0] == 503
        assert b.ask("POST", "/v1/chat/completions", {**CHAT, "model": "first"})[0] == 200
        status, _, answer = b.get("/health")  # something can be served, and what cannot is named
        assert status == 200 and answer == f"ok\n{m2.path}: does not answer\n", answer


def test_mount_that_goes_leaves_its_requests_to_the_next_with_its_model():
    with Mount("--served-name", "one") as m1, Mount("--served-name", "other") as m2, Mount("--served-name", "one") as m3, \
            Bridge(m1, m2, m3) as b:
        chat = {**CHAT, "model": "one"}
        direct = said(b.ask("POST", "/v1/chat/completions", chat)[2])
        unmount = ["fusermount3", "-u", m1.path]
        for go in lambda: until(lambda: subprocess.run(unmount, capture_output=True).returncode == 0, "it is not busy"), \
                lambda: m1.stop(signal.SIGKILL):
            n_before = b.messages().count(f"mount {m1.path} does not answer\n")
            go()
            for stream in False, True:
                status, _, answer = b.ask("POST", "/v1/chat/completions", {**chat, "stream": stream})
                assert status == 200 and (stream or said(answer) == direct), (status, answer)
            until(lambda: b.messages().count(f"mount {m1.path} does not answer\n") == n_before + 1, "its loss is told")
            m1.daemon.wait(300)
            m1.start()
            until(lambda: b.messages().count(f"mount {m1.path} answers\n") == n_before + 1, "its return is told")
        for m in m1, m3:
            m.stop()
        status, _, answer = b.ask("POST", "/v1/chat/completions", chat)
        assert status == 503 and json.loads(answer)["error"]["code"] == "mount_unavailable", (status, answer)


def test_keys_let_in_and_are_read_again():
    hashed = subprocess.run([BRIDGE, "--hash-key"], input="secret\n", capture_output=True, text=True, check=True).stdout.strip()
    assert hashed == hashlib.sha256(b"secret").hexdigest()
    with tempfile.NamedTemporaryFile("w+") as keys, Mount() as m:
        keys.write(f"# ours\n{hashed} -\n")
        keys.flush()
        with Bridge(m, options=["--api-keys", keys.name]) as b:
            assert b.ask("GET", "/v1/models")[0] == 401
            assert b.ask("GET", "/v1/models", headers={"Authorization": "Bearer nope"})[0] == 401
            assert b.get("/v1/models", {"Authorization": "Bearer secret"})[0] == 200
            assert b.get("/v1/models", {"x-api-key": "secret"})[0] == 200
            assert b.get("/health")[0] == 200
            keys.write("no hash\n")
            keys.flush()
            b.process.send_signal(signal.SIGHUP)
            until(lambda: "line 3" in b.messages(), "the bad line is named")
            with open(keys.name, "w") as file:
                file.write(f"{hashed} -\n{hashed} nobody\n")
            b.process.send_signal(signal.SIGHUP)
            until(lambda: "line 2: this key is -'s and nobody's" in b.messages() or os.geteuid() != 0, "a key has one user")
            assert b.get("/v1/models", {"Authorization": "Bearer secret"})[0] == 200
            with open(keys.name, "w") as file:
                file.write(hashlib.sha256(b"other").hexdigest() + " -\n")
            b.process.send_signal(signal.SIGHUP)
            until(lambda: b.ask("GET", "/v1/models", headers={"Authorization": "Bearer other"})[0] == 200, "the new key counts")
            assert b.ask("GET", "/v1/models", headers={"Authorization": "Bearer secret"})[0] == 401


def test_key_s_user_opens_the_files():
    if os.geteuid() != 0:
        print("        skipped: not root")
        return
    user = pwd.getpwnam("nobody").pw_name
    with tempfile.NamedTemporaryFile("w+") as keys, Mount("-o", "allow_other") as m:
        os.chmod(m.scratch, 0o755)
        keys.write(hashlib.sha256(b"k").hexdigest() + f" {user}\n")
        keys.flush()
        with Bridge(m, options=["--api-keys", keys.name]) as b:
            key = {"Authorization": "Bearer k"}
            assert said(b.ask("POST", "/v1/chat/completions", CHAT, key)[2])
            for path in "/kv/stats", "/kv/tree":
                status, _, answer = b.ask("GET", path, headers=key)  # its owner's alone
                words = f"user {user} may not read {m.path}" + path.replace("tree", "snapshot")
                assert status == 403 and json.loads(answer)["error"]["message"] == words, (path, status, answer)
    with tempfile.NamedTemporaryFile("w+") as keys, Mount() as m:  # which nobody else may enter
        keys.write(hashlib.sha256(b"k").hexdigest() + f" {user}\n")
        keys.flush()
        with Bridge(m, options=["--api-keys", keys.name]) as b:
            status, _, answer = b.ask("POST", "/v1/chat/completions", CHAT, {"Authorization": "Bearer k"})
            assert status == 403 and f"user {user} may not use the mount" in answer, (status, answer)


def test_keys_users_need_no_root_but_two_capabilities():
    """As the unit runs it: as nobody in particular, who may become others."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        print("        skipped: not root, or no setpriv")
        return
    with tempfile.NamedTemporaryFile("w+") as keys, Mount("-o", "allow_other") as m:
        os.chmod(m.scratch, 0o755)
        os.chmod(keys.name, 0o644)
        keys.write(hashlib.sha256(b"k").hexdigest() + " daemon\n" + hashlib.sha256(b"own").hexdigest() + " -\n")
        keys.flush()
        bridge = Bridge(m, options=["--api-keys", keys.name])
        caps = "+setuid,+setgid"
        bridge.command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=" + caps, "--ambient-caps=" + caps,
                          "--bounding-set=-all," + caps, "--no-new-privs", *bridge.command]
        bridge.command[:0] = ["env", "TSAN_OPTIONS=halt_on_error=1:exitcode=99"]  # nobody may not read the suppressions, under /root
        with bridge as b:
            for key in "k", "own":
                assert said(b.ask("POST", "/v1/chat/completions", CHAT, {"Authorization": "Bearer " + key})[2])
                assert b.ask("GET", "/kv/stats", headers={"Authorization": "Bearer " + key})[0] == 403


def test_service_manager_is_told():
    with tempfile.TemporaryDirectory() as scratch, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, Mount() as m:
        manager.bind(scratch + "/notify")
        manager.settimeout(300)
        os.environ["NOTIFY_SOCKET"] = scratch + "/notify"
        try:
            with Bridge(m) as b:
                told = manager.recv(4096).decode()
                assert told == f"READY=1\nSTATUS=serving {b.listen}", told
                b.stop()
                assert manager.recv(4096).decode().startswith("STOPPING=1\n")
        finally:
            del os.environ["NOTIFY_SOCKET"]


def test_unix_socket_and_ends():
    with Mount() as m, tempfile.TemporaryDirectory() as scratch:
        path = scratch + "/s"
        with Bridge(m, listen="unix:" + path) as b:
            assert b.get("/health")[0] == 200
            b.stop(signal.SIGKILL)
        with Bridge(m, listen="unix:" + path) as b:  # takes the place of the dead one
            assert b.get("/health")[0] == 200
        assert not os.path.exists(path)


def test_term_lets_running_answers_end():
    with Mount(**SLOW) as m, Bridge(m) as b:
        connection = b.http()
        connection.request("POST", "/v1/chat/completions", json.dumps(LONG))
        until(lambda: m.metric("requests_total") > 0, "it is asked")
        b.process.send_signal(signal.SIGTERM)
        assert said(connection.getresponse().read())
        assert b.process.wait(300) == 0


def test_killed_bridge_frees_its_sequences():
    with Mount(endless=True) as m:
        for _ in range(3):
            with Bridge(m) as b, concurrent.futures.ThreadPoolExecutor(4) as pool:
                def one():
                    try:
                        b.ask("POST", "/v1/chat/completions", ENDLESS)
                    except (OSError, http.client.HTTPException):
                        pass

                futures = [pool.submit(one) for _ in range(4)]
                until(lambda: running(m) > 0, "it runs")
                b.stop(signal.SIGKILL)
                concurrent.futures.wait(futures)
            until(lambda: running(m) == 0, "its sequences are freed")
        assert said(transact(m, "v1/chat/completions", json.dumps(CHAT).encode()))


def test_other_origins_and_methods():
    with Mount() as m, Bridge(m, options=["--cors", "https://page.example"]) as b:
        status, headers, _ = b.ask("OPTIONS", "/v1/chat/completions", headers={"Access-Control-Request-Headers": "authorization, x-stainless-os"})
        assert status == 204 and headers["Access-Control-Allow-Origin"] == "https://page.example"
        assert "x-stainless-os" in headers["Access-Control-Allow-Headers"] and "POST" in headers["Access-Control-Allow-Methods"]
        b.get("/v1/models")
        status, headers, body = b.ask("HEAD", "/v1/models")
        assert status in (200, 503) and body == "" and int(headers["Content-Length"]) > 0


def test_tls():
    if not shutil.which("openssl"):
        print("        skipped: no openssl")
        return
    import ssl
    with Mount() as m, tempfile.TemporaryDirectory() as scratch:
        cert, key = scratch + "/c.pem", scratch + "/k.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "1",
                        "-subj", "/CN=bridge"], check=True, capture_output=True)
        with Bridge(m, options=["--tls-cert", cert, "--tls-key", key]) as b:
            context = ssl.create_default_context(cafile=cert)
            context.check_hostname = False
            def answer(head):
                with context.wrap_socket(b.connect()) as s:
                    s.sendall(head)
                    got = b""
                    while piece := s.recv(4096):
                        got += piece
                    return got

            ask = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            until(lambda: answer(ask).endswith(b"ok\n"), "it answers")
            for head, status in (b"GET /health HTTP/2.0\r\n\r\n", b"505"), (b"GET /health HTTP/1.1\r\nHost: x\r\nX: y\n\r\n", b"400"):
                got = answer(head)  # the library's own, and the bridge's
                assert got.startswith(b"HTTP/1.1 " + status) and "error" in json.loads(got.split(b"\r\n\r\n")[1]), got


def test_start_that_cannot_succeed_says_why():
    cases = [
        (["--listen", "127.0.0.1:99999", "/tmp"], 2, "127.0.0.1:99999"),
        (["--listen", "nowhere.invalid:80", "/tmp"], 1, "nowhere.invalid"),
        (["--listen", "127.0.0.1:0", "--api-keys", "/nonexistent", "/tmp"], 1, "/nonexistent"),
        (["--listen", "127.0.0.1:0", "--user", "nobody-of-this-name", "/tmp"], 1, "nobody-of-this-name"),
        (["--listen", "127.0.0.1:0", "--tls-cert", "/dev/null", "--tls-key", "/dev/null", "/tmp"], 1, "--tls-cert"),
        (["/tmp"], 2, "--listen"),
        (["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:1", "/tmp"], 2, "--listen is given twice"),
        (["--listen", "127.0.0.1:0", "--cors", "x\r\nSet-Cookie: y", "/tmp"], 2, "--cors"),
        (["--listen", "127.0.0.1:0", "/tmp", "/tmp/"], 2, "/tmp/ is named twice"),
    ]
    for arguments, status, wanted in cases:
        done = subprocess.run([BRIDGE, *arguments], capture_output=True, text=True, timeout=300)
        assert done.returncode == status and wanted in done.stderr, (arguments, done)
        assert done.stderr.count("\n") == 1, done.stderr


if __name__ == "__main__":
    if not os.access(BRIDGE, os.X_OK):
        print("skipped: TOKFS_BRIDGE is not a program")
        sys.exit(77)
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
