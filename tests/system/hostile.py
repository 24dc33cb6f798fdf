#!/usr/bin/env python3
"""tokfs-bridge under clients that mean harm: each attack runs beside a well-behaved client, whose answers must stay right, and within
bounded memory. TOKFS_HOSTILE=1: at full size (10,000 connections, bodies of 1 GB, the bridge's time limits waited for)."""
import contextlib
import json
import os
import re
import resource
import socket
import sys
import tempfile
import threading
import time

from bridge import BRIDGE, CHAT, IS_NULL, Bridge, running, said
from mount import Mount, run_tests, until

FULL = os.environ.get("TOKFS_HOSTILE", "") not in ("", "0")
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
BODY = json.dumps(CHAT).encode()
MIB = 1 << 20
ANSWERED = {200, 503}  # to who asks for the health of a mount; it may take longer than the bridge waits for it


def request(body=BODY, path=b"/v1/chat/completions", extra=b""):
    return b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s" % (path, extra, len(body), body)


def memory(pid, field="VmRSS"):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(field + r":\s+(\d+) kB", file.read()).group(1)) * 1024


def is_sanitized(pid):
    with open(f"/proc/{pid}/maps") as file:
        return re.search(r"lib[atu]b?san", file.read()) is not None


class Witness:
    """Asks all the time, streams and not, and compares."""

    def __init__(self, bridge):
        self.bridge, self.errors, self.n, self.longest, self.stops = bridge, [], 0, 0, threading.Event()
        self.right = said(bridge.ask("POST", "/v1/chat/completions", CHAT)[2])

    def ask(self, stream):
        status, _, answer = self.bridge.ask("POST", "/v1/chat/completions", {**CHAT, "stream": stream})
        assert status == 200, (status, answer)
        if not stream:
            return said(answer)
        events = [line.removeprefix("data: ") for line in answer.split("\n\n") if line]
        assert events.pop() == "[DONE]", answer
        return "".join(c["delta"].get("content") or "" for e in events for c in json.loads(e)["choices"])

    def run(self):
        while not self.stops.is_set() or self.n < 4:
            begin = time.monotonic()
            try:
                answer = self.ask(self.n % 2 == 1)
                assert answer == self.right, answer
            except Exception as error:
                self.errors.append(repr(error))
                return
            self.n += 1
            self.longest = max(self.longest, time.monotonic() - begin)


@contextlib.contextmanager
def beside(bridge, name, bytes_max=32 * MIB):
    """An attack inside of it: afterwards the witness has been served, and memory has not grown by more than bytes_max."""
    witness = Witness(bridge)
    pid = bridge.process.pid
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")  # VmHWM begins anew
    before = memory(pid)
    thread = threading.Thread(target=witness.run)
    thread.start()
    try:
        yield
    finally:
        witness.stops.set()
        thread.join()
    grown = memory(pid, "VmHWM") - before
    print(f"        {name}: beside it {witness.n} right answers, the slowest {witness.longest * 1000:.0f} ms; "
          f"memory +{grown / MIB:.1f} MiB at most")
    assert not witness.errors, (name, witness.errors)
    assert is_sanitized(pid) or grown <= bytes_max, f"{name}: {grown} bytes"


@contextlib.contextmanager
def many(bridge, n, addresses=1):
    sockets = []
    try:
        for i in range(n):
            if bridge.listen.startswith("unix:"):
                sockets.append(bridge.connect())
            else:
                s = socket.socket()
                s.bind((f"127.0.0.{2 + i % addresses}", 0))
                s.settimeout(300)
                s.connect(("127.0.0.1", bridge.port))
                sockets.append(s)
        yield sockets
    finally:
        for s in sockets:
            s.close()


def received(s, seconds=300):
    """All that comes until the other side closes."""
    got = b""
    s.settimeout(seconds)
    try:
        while piece := s.recv(65536):
            got += piece
    except ConnectionError:
        pass
    return got


def statuses(got):
    """Without interim ones."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([2-5]\d\d) ", got)]


def is_closed(s):
    """Without waiting; what came is thrown away."""
    s.setblocking(False)
    try:
        while s.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def drip(sockets, text, seconds):
    """A byte to each, every tenth of a second, until all are closed or that was so often. How many are closed."""
    left = list(sockets)
    for at in range(10 * seconds):
        left = [s for s in left if not is_closed(s)]
        for s in left:
            with contextlib.suppress(OSError):
                s.send(text[at % len(text):][:1])
        if not left:
            break
        time.sleep(0.1)
    return len(sockets) - len(left)


# ---- slow ones -----------------------------------------------------------------------------------------------------

def test_heads_byte_by_byte_are_given_up():
    n = 1000 if FULL else 40
    with Mount() as m, Bridge(m) as b, beside(b, f"{n} heads, byte by byte", 40 * MIB), many(b, n) as sockets:
        text = b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X-%d: y\r\n" * 1000
        n_closed = drip(sockets, text, 100 if FULL else 1)
        assert n_closed == (n if FULL else 0), n_closed


def test_bodies_byte_by_byte_are_given_up():
    n = 1000 if FULL else 40
    with Mount() as m, Bridge(m) as b, beside(b, f"{n} bodies, byte by byte", 40 * MIB), many(b, n) as sockets:
        for s in sockets:
            s.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n{")
        n_closed = drip(sockets, b" ", 60 if FULL else 1)
        assert n_closed == (n if FULL else 0), n_closed


def test_clients_that_leave_in_the_middle_leave_nothing():
    ends = [b"", b"P", HEAD, HEAD + b"Content-Length: 10\r\n\r\n", HEAD + b"Content-Length: 10\r\n\r\n{", HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"]
    with Mount() as m, Bridge(m) as b, beside(b, "half requests and half-closed sockets"):
        for _ in range(20 if FULL else 2):
            for end in ends:
                with b.connect() as s:
                    s.sendall(end)
                    s.shutdown(socket.SHUT_WR)
                    assert 200 not in statuses(received(s)), end
                with b.connect() as s:  # with a reset
                    s.sendall(end)
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        until(lambda: "tokfs_bridge_body_bytes 0\n" in b.ask("GET", "/metrics")[2], "no body is held")
        until(lambda: running(m) <= 1, "nothing runs but what the witness asks")


# ---- long ones -----------------------------------------------------------------------------------------------------

def test_long_bodies_are_refused():
    size = 1000 * MIB if FULL else 80 * MIB
    block = b"x" * MIB
    with Mount() as m, Bridge(m, options=["--max-body", "1M"]) as b, beside(b, f"bodies of {size // MIB} MiB"):
        with b.connect() as s:  # declared: refused before a byte of it is read
            s.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % size)
            assert statuses(s.recv(65536)) == [413]
        with b.connect() as s:
            sent, got = 0, b""
            s.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            try:
                while sent < size:
                    s.sendall(b"%x\r\n%s\r\n" % (len(block), block))
                    sent += len(block)
                s.sendall(b"0\r\n\r\n")
                got = received(s)
            except OSError:
                got = got or b"closed"
            assert 200 not in statuses(got) and sent <= 80 * MIB, (sent, got[:200])
        with b.connect() as s:  # a little too long: hears why
            s.sendall(HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + b"%x\r\n%s\r\n" % (len(block), block) * 2 + b"0\r\n\r\n")
            assert statuses(received(s)) == [413]


def test_bodies_of_all_together_are_bounded():
    n, size = (120, 8 * MIB) if FULL else (4, 8 * MIB)
    with Mount() as m, Bridge(m) as b, beside(b, f"{n} bodies of 8 MiB, never complete", 640 * MIB), many(b, n) as sockets:
        block = b" " * MIB
        for s in sockets:
            s.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(7):
            for s in sockets:
                try:
                    s.sendall(block)
                except OSError:
                    pass
        held = gauge(b, "body_bytes")
        assert held <= 512 * MIB, held


def test_header_floods_are_refused():
    line = b"GET /health HTTP/1.1\r\nHost: x\r\n"
    floods = [
        line + b"X: y\r\n" * 100000, line + b"X: " + b"y" * MIB + b"\r\n\r\n", line + b"X" * MIB + b": y\r\n\r\n",
        b"GET /" + b"a" * MIB + b" HTTP/1.1\r\n\r\n", b"G" * MIB, line + b"Cookie: " + b"a=b; " * 100000 + b"\r\n\r\n",
        b"GET /health?" + b"a&" * 50000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", line + b" folded\r\n" * 50000, b"\r\n" * 500000,
    ]
    with Mount() as m, Bridge(m) as b, beside(b, "floods of headers"):
        for _ in range(20 if FULL else 1):
            for flood in floods:
                with b.connect() as s:
                    try:
                        s.sendall(flood)
                        s.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass
                    assert 200 not in statuses(received(s)), flood[:60]


# ---- ill formed ones -----------------------------------------------------------------------------------------------

MARK = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


def is_refusal(got):
    """One answer with an error object."""
    head, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: (\d+)", head)
    return (len(statuses(got)) == 1 and statuses(got)[0] >= 400 and length and int(length[1]) == len(body)
            and set(json.loads(body)["error"]) == {"message", "type", "param", "code"})


def refusals(b, cases):
    """Each is answered at most once, with an error object, and its connection closed: what follows it is nobody's request."""
    wrong = []
    for case in cases:
        with b.connect() as s:
            try:
                s.sendall(case + MARK)
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            got = received(s)
        if got and not is_refusal(got) or b"smuggled" in got:
            wrong.append((case, got))
    assert not wrong, wrong


def test_ambiguous_requests_are_refused():
    five = b"\r\n\r\nhello"
    with Mount() as m, Bridge(m) as b, beside(b, "smuggling"):
        refusals(b, [
            HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            HEAD + b"Content-Length: 5\r\nContent-Length: 5" + five, HEAD + b"Content-Length: 5\r\nContent-Length: 6" + five,
            HEAD + b"Content-Length: 5\r\ncontent-length: 0" + five, HEAD + b"Content-Length: 5, 5" + five, HEAD + b"Content-Length: 0x5" + five,
            HEAD + b"Content-Length: 5 5" + five, HEAD + b"Content-Length: +5" + five, HEAD + b"Content-Length: -5" + five,
            HEAD + b"Content-Length: 5.0" + five, HEAD + b"Content-Length: " + five, HEAD + b"Content-Length: 99999999999999999999" + five,
            HEAD + b"Content-Length: 18446744073709551621" + five, HEAD + b"Content-Length : 5" + five, HEAD + b"Content-Length\t: 5" + five,
            HEAD + b" Content-Length: 5" + five, HEAD + b"X: y\r\n Content-Length: 5" + five, HEAD + b"Content-Length:\r\n 5" + five,
            HEAD + b"Content-Length: 5\r\n 6" + five, HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
            HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            HEAD + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
            HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
            HEAD + b"Transfer-Encoding: 'chunked'\r\n\r\n0\r\n\r\n", HEAD + b"Transfer-Encoding: identity\r\nContent-Length: 5" + five,
            HEAD + b"Host: y\r\nContent-Length: 5" + five, b"POST /tokenize HTTP/1.1\r\nContent-Length: 5" + five,
            HEAD + b"Content-Length: 5\rX: y" + five,
            HEAD + b"X\0: y\r\nContent-Length: 5" + five,
            HEAD + b": y\r\nContent-Length: 5" + five, HEAD + b"no colon\r\nContent-Length: 5" + five, HEAD + b"X(: y\r\nContent-Length: 5" + five,
            HEAD.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HEAD.replace(b"1.1", b"2.0") + b"Content-Length: 5" + five,
            HEAD.replace(b"HTTP/1.1", b"") + b"Content-Length: 5" + five, HEAD.replace(b"HTTP/1.1", b"ICAP/1.1") + b"Content-Length: 5" + five,
            HEAD.replace(b" HTTP", b"  HTTP") + b"Content-Length: 5" + five, HEAD.replace(b" HTTP", b" x HTTP") + b"Content-Length: 5" + five,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"P\xc3\x96ST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 5" + five,
        ])


def test_lines_that_others_may_read_otherwise_are_refused():
    """Bare LF, folded lines, NULs and spaces: where a proxy may see other headers than we do."""
    ask = b"GET /health HTTP/1.1\r\nHost: x\r\n"
    cases = [HEAD.replace(b"\r\n", b"\n") + b"Content-Length: 5\n\nhello", HEAD + b"Content-Length: 5\nX: y\r\n\r\nhello",
             HEAD + b"X: y\nContent-Length: 5\r\n\r\nhello", ask + b"\n", ask + b"X: y\n\r\n", ask.replace(b"1.1\r", b"1.1") + b"\r\n", ask + b"X:y\n\n",
             ask + b"Content-Lengt: 5\r\n h\r\n\r\nhello", ask + b"X: y\r\n\t\r\n\r\n", ask + b"X: y\r\n z\r\n w\r\n\r\n", ask + b"X: \r\n y\r\n\r\n",
             ask + b"X: y\0\r\n\r\n", ask + b"X: y\0z\r\n\r\n", ask + b"X\0: y\r\n\r\n", ask + b"X: \0\r\n\r\n", ask.replace(b"x", b"x\0"),
             ask.replace(b" /", b"  /") + b"\r\n", ask.replace(b"h ", b"h  ") + b"\r\n", ask.replace(b"h ", b"h x ") + b"\r\n", ask.replace(b"h ", b"h\0 ") + b"\r\n"]
    good = [ask, ask + b"X:y\r\n", ask + b"X:\r\nY: \r\nZ: \t y \t\r\n", b"\r\n" + ask, ask.replace(b"th ", b"th?a=b%20c&d+e=%41&f ") + b"Cookie: a=b; c=\"d\"\r\n",
            ask.replace(b"health", b"%68ealth"), ask + b"X: " + b"y" * 5000 + b"\r\n" + b"Y: z\r\n" * 40]
    with Mount() as m, Bridge(m) as b:
        for case in cases:
            got = received_for(b, case + MARK)
            assert is_refusal(got) and statuses(got) == [400] and b"smuggled" not in got, (case, got)
        for case in good:
            for text, n in (case + b"Connection: close\r\n\r\n", 1), (case + b"\r\n" + case + b"\r\n", 2):
                got = statuses(received_for(b, text))
                assert len(got) == n and set(got) <= ANSWERED, (text, got)
        # The lines of chunks are the library's to read: one with a bare LF ends where it does for others.
        got = received_for(b, HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n" + MARK)
        assert statuses(got) == [400, 404] and got.count(b"(GET /smuggled)") == 1, got


def test_library_s_own_refusals_are_error_objects():
    ask = b"GET /health HTTP/1.1\r\nHost: x\r\n"
    cases = {b"GET /health\r\n\r\n": 400, b"GET /health HTTP/1.x\r\n\r\n": 400, b"GET /health HTTP/2.0\r\n\r\n": 505, b"GET /health HTTP/1.1\r\n\r\n": 400,
             b"GET / HTTP/1.1\r\nno colon\r\n\r\n": 400, ask + b"no colon\r\n\r\n": 400, ask + b"X: " + b"y" * 20000 + b"\r\n\r\n": 431,
             ask + b"Content-Length: x\r\n\r\n": 400, ask + b"Content-Length: 99999999999999999999\r\n\r\n": 413, b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n": 414,
             HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n": 400, HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n": 400}
    with Mount() as m, tempfile.TemporaryDirectory() as scratch, Bridge(m, options=["--access-log", scratch + "/log", "--cors", "*"]) as b, many(b, 3):
        for case, status in cases.items():
            got = received_for(b, case)
            assert is_refusal(got) and statuses(got) == [status] and b"\r\nAccess-Control-Allow-Origin: *\r\n" in got, (case, got)
        until(lambda: gauge(b, "connections") <= 4, "their connections are given up")
        until(lambda: open(scratch + "/log").read().count('" 400 ') >= 5, "they are in the log")


def test_ill_formed_chunks_are_refused():
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    with Mount() as m, Bridge(m) as b, beside(b, "ill-formed chunks"):
        refusals(b, [head + chunks for chunks in [
            b"zz\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n",
            b"\r\n5\r\nhello\r\n0\r\n\r\n", b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", b"10000000000000005\r\nhello\r\n0\r\n\r\n",
            b"5\r\nhelloX\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\rhello\r0\r\r", b"5;" + b"x" * 1000 + b"\n\r\nhello\r\n0\r\n\r\n",
            b"5 5\r\nhello\r\n0\r\n\r\n", b"g\r\n", b"5\r\nhel", b"5" * 100000,
        ]])
        got = b.raw(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x;name=value\r\n%s\r\n0\r\nX-Trailer: y\r\n\r\n" % (len(BODY), BODY))
        assert statuses(got) == [200], got  # what is well formed is not


def test_bytes_that_are_no_utf8_are_told():
    with Mount() as m, Bridge(m) as b, beside(b, "bytes that are no UTF-8"):
        for bad in [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\0"]:
            got = b.raw(request(BODY.replace(b"What", b"What" + bad), extra=b"Connection: close\r\n"))
            assert statuses(got) == [400] and b'"error"' in got, (bad, got)
            got.split(b"\r\n\r\n", 1)[1].decode()  # and the answer is
            for case in [b"GET /" + bad + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                         b"GET /v1/models/" + bad + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                         b"GET /v1/models/%" + bad.hex()[:2].encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                         b"GET /health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + bad + b"\r\nConnection: close\r\n\r\n"]:
                got = received_for(b, case)
                assert len(statuses(got)) <= 1, (case, got)
                got.split(b"\r\n\r\n", 1)[-1].decode()


def received_for(b, data):
    with b.connect() as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        return received(s)


# ---- many at once --------------------------------------------------------------------------------------------------

def test_pipelined_requests_wait_for_their_reader():
    n = 20000 if FULL else 2000
    one = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with Mount() as m, Bridge(m) as b, beside(b, f"{n} requests in a row, nobody reading"):
        with b.connect() as s:
            s.setblocking(False)
            data, at = one * n, 0
            for _ in range(200):  # until the bridge takes no more
                with contextlib.suppress(BlockingIOError):
                    at += s.send(data[at:])
                time.sleep(0.005)
            s.setblocking(True)
            sender = threading.Thread(target=lambda: s.sendall(data[at:] + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))
            sender.start()
            got = received(s)
            sender.join()
            assert len(statuses(got)) == n + 1 and set(statuses(got)) <= ANSWERED, len(statuses(got))


def test_streams_that_nobody_reads_cost_little():
    n = 500 if FULL else 30  # each has a thread in the bridge, with a stack of 256 KiB
    body = json.dumps({**CHAT, "messages": [{"role": "user", "content": "count 100000"}], "stream": True, "max_tokens": 20000 if IS_NULL else 200}).encode()
    with Mount("--user-turns", "1000") as m, Bridge(m) as b:
        with beside(b, f"{n} streams that nobody reads", (64 + n // 4) * MIB), many(b, n) as sockets:
            for s in sockets:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                s.sendall(request(body))
            if FULL:  # 75 s after the last byte had room
                until(lambda: gauge(b, "connections") <= 3, "they are closed", 300)
            time.sleep(1)
        until(lambda: running(m) == 0, "what they asked for is cancelled")


def test_addresses_have_a_limit_of_their_own():
    with Mount() as m, Bridge(m, options=["--max-per-address", "20"]) as b, beside(b, "an address with too many connections"):
        with many(b, 60) as sockets:
            ask = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
            n_served = 0
            for s in sockets:
                with contextlib.suppress(OSError):
                    s.sendall(ask)
            for s in sockets:
                with contextlib.suppress(OSError):
                    n_served += s.recv(65536).startswith(b"HTTP/1.1 ")
            assert n_served == 20, n_served


def connections(n, unix):
    """Idle ones that have each asked once; what one costs."""
    with tempfile.TemporaryDirectory() as scratch, Mount() as m:
        listen = f"unix:{scratch}/s" if unix else None
        options = ["--max-connections", str(n + 50), *([] if unix else ["--max-per-address", str(n // 8 + 20)])]
        with Bridge(m, options=options, listen=listen) as b:
            kind = "unix socket" if unix else "TCP, 8 addresses"
            before = memory(b.process.pid)
            kernel = slab()
            with beside(b, f"{n} idle connections ({kind})", n * 16384 + 16 * MIB), many(b, n, addresses=8) as sockets:
                for s in sockets:
                    s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nUser-Agent: a client with a name\r\nAccept: */*\r\n\r\n")
                for s in sockets:
                    assert set(statuses(s.recv(65536))) <= ANSWERED
                each = (memory(b.process.pid) - before) / n
                print(f"        {each / 1024:.1f} KiB of the bridge for each connection, {(slab() - kernel) / n / 1024:.1f} KiB of the kernel's slabs for both ends")
                assert is_sanitized(b.process.pid) or n < 1000 or each < 16384, each
            until(lambda: gauge(b, "connections") < 5, "they are gone")


def n_connections():
    """The bridge wants two descriptors for each."""
    return min(10000, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 200) // 2) if FULL else 200


def gauge(bridge, name):
    return int(re.search(rf"tokfs_bridge_{name} (\d+)", bridge.ask("GET", "/metrics")[2]).group(1))


def slab():
    with open("/proc/meminfo") as file:
        return int(re.search(r"Slab:\s+(\d+)", file.read()).group(1)) * 1024


def test_connections_by_unix_socket():
    connections(n_connections(), unix=True)


def test_connections_by_tcp():
    connections(n_connections(), unix=False)


def test_more_connections_than_there_may_be():
    with Mount() as m, Bridge(m, options=["--max-connections", "40"]) as b:
        right = said(b.ask("POST", "/v1/chat/completions", CHAT)[2])
        first = b.http()
        first.request("GET", "/health")
        first.getresponse().read()
        with many(b, 200):
            for _ in range(3):  # who has a connection is served
                first.request("POST", "/v1/chat/completions", json.dumps(CHAT))
                assert said(first.getresponse().read()) == right
        first.close()
        until(lambda: b.ask("GET", "/health")[0] == 200, "there is room again")


if __name__ == "__main__":
    if not os.access(BRIDGE, os.X_OK):
        print("skipped: TOKFS_BRIDGE is not a program")
        sys.exit(77)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_") and re.search(os.environ.get("TOKFS_HOSTILE_ONLY", ""), name)])
