#!/usr/bin/env python3
"""Every node of the tree, as the manual lists them, and what holds for all of one kind."""
import errno
import json
import os
import signal
import stat
import subprocess
import tempfile
import threading
import time

from mount import ENDLESS, LONG_TOKENS, Mount, raises, run_tests, until


def body(text, **fields):
    return json.dumps({"messages": [{"role": "user", "content": text}], "temperature": 0, **fields})


LONG = body("count 5000", ignore_eos=True, max_tokens=LONG_TOKENS)
FOREVER = json.dumps(ENDLESS)

DIRS = {"": 0o555, "v1": 0o555, "v1/chat": 0o555, "models": 0o555, "kv": 0o500, "sessions": 0o1777, "sessions/bob": 0o700}
FILES = {
    "README": 0o444, "health": 0o444, "metrics": 0o444, "ask": 0o666, "v1/models": 0o444, "v1/chat/completions": 0o666,
    "v1/completions": 0o666, "v1/embeddings": 0o666, "tokenize": 0o666, "detokenize": 0o666, "apply-template": 0o666,
    "generate": 0o666, "sessions/new": 0o666, "sessions/error": 0o444, "kv/stats": 0o400,
    **{"sessions/bob/" + name: 0o200 for name in ("input", "ctl")},
    **{"sessions/bob/" + name: 0o600 for name in ("system", "params", "tools")},
    **{"sessions/bob/" + name: 0o400 for name in ("output", "text", "events", "response.json", "messages", "status", "usage",
                                                  "error", "wait", "reasoning")},
}
TRANSACTIONS = ["v1/chat/completions", "v1/completions", "v1/embeddings", "tokenize", "detokenize", "apply-template", "generate"]


def test_every_node_is_there():
    with Mount() as m:
        m.session("bob")
        found = {}
        for directory, names, files in os.walk(m.path):
            for name in [*names, *files]:
                path = os.path.relpath(os.path.join(directory, name), m.path)
                found[path] = os.lstat(os.path.join(m.path, path))
        for path, mode in DIRS.items():
            found_mode = os.stat(m.at(path)).st_mode
            assert stat.S_ISDIR(found_mode) and stat.S_IMODE(found_mode) == mode, path
        for path, mode in FILES.items():
            assert path in found and stat.S_ISREG(found[path].st_mode) and stat.S_IMODE(found[path].st_mode) == mode, path
            assert (found[path].st_uid, found[path].st_nlink) == (os.getuid(), 1), path
        assert stat.S_ISLNK(found["sessions/last"].st_mode)
        assert len({st.st_ino for st in found.values()}) == len(found), "two nodes have one number"
        names = [path for path in found if path.startswith("sessions/bob/")]
        assert len(names) == 15, names
        model = json.loads(m.read("v1/models"))["data"][0]["id"]
        assert json.loads(m.read(f"models/{model}/info.json"))["id"] == model


def test_what_only_tells_is_read_again_and_again():
    with Mount() as m:
        m.write(m.session("bob") + "/input", body("hello", max_tokens=3))
        m.read("sessions/bob/text")
        for path, mode in FILES.items():
            if mode & 0o400 and not mode & 0o222 and path not in ("sessions/bob/output", "sessions/bob/events", "sessions/bob/reasoning"):
                with open(m.at(path), "rb", buffering=0) as file:
                    first = file.read()
                    file.seek(0)
                    assert file.read() == first, path


def test_lines_of_states():
    with Mount(endless=True) as m:
        name = m.session("bob")
        assert m.read(name + "/status").decode().split()[0] == "idle"
        m.write(name + "/input", FOREVER)
        while (word := m.read(name + "/status").decode().split()[0]) != "decode":
            assert word in ("queued", "prefill"), word
        m.write(name + "/ctl", "cancel\n")
        assert m.read(name + "/wait").split()[0] == b"cancelled" and m.read(name + "/error") == b"cancelled\n"
        m.write(name + "/ctl", "reset\n")
        m.write(name + "/input", LONG)
        while (word := m.read(name + "/status").decode().split()[0]) != "done":
            assert word in ("queued", "prefill", "decode"), word
        last = m.read(name + "/status").decode()
        assert m.read(name + "/wait").decode() == last and last.endswith(" finish_reason=length\n")
        counts = dict(pair.split("=") for pair in last.split()[1:])
        assert list(counts) == ["prompt_tokens", "cached_tokens", "completion_tokens", "finish_reason"]
        usage = dict(line.split() for line in m.read(name + "/usage").decode().splitlines())
        assert set(usage) >= {"prompt_tokens", "cached_tokens", "completion_tokens", "queue_ns", "prefill_ns", "ttft_ns",
                              "decode_ns"}
        assert usage["completion_tokens"] == counts["completion_tokens"] == str(LONG_TOKENS)
        assert int(usage["decode_ns"]) > 0 and m.read(name + "/error") == b""
        response = json.loads(m.read(name + "/response.json"))
        assert response["object"] == "chat.completion" and response["usage"]["completion_tokens"] == LONG_TOKENS
        assert response["choices"][0]["message"]["content"].encode() == m.read(name + "/text")


def test_usage_is_told_while_it_is_written():
    for options in [], ["--state"]:
        with tempfile.TemporaryDirectory() as state, Mount(*options, *[state + "/s" for _ in options], endless=True) as m:
            name = m.session("bob")
            m.write(name + "/input", FOREVER)

            def usage():
                return {key: int(value) for key, value in (line.split() for line in m.read(name + "/usage").decode().splitlines())}

            until(lambda: usage()["completion_tokens"] > 2, "some tokens are there")
            first = usage()
            assert m.read(name + "/status").startswith(b"decode"), "it has ended already"
            m.write(name + "/ctl", "cancel\n")
            m.read(name + "/wait")
            last = usage()
            assert 0 < first["ttft_ns"] <= first["total_ns"] and first["decode_ns"] > 0, first
            for key in "prompt_tokens", "cached_tokens", "queue_ns", "prefill_ns", "ttft_ns":
                assert first[key] == last[key], (key, first, last)
            for key in "completion_tokens", "decode_ns", "total_ns":
                assert first[key] <= last[key], (key, first, last)


def test_errors_at_write_are_the_same_for_all():
    """The errno of each kind of refusal, wherever a chat is written."""
    user = '"messages":[{"role":"user","content":"hi"}]'
    refusals = [(errno.EINVAL, '{"messages":[}'), (errno.EINVAL, '{%s,"temperature":9}' % user),
                (errno.EOPNOTSUPP, '{%s,"mirostat":2}' % user), (errno.ENOENT, '{%s,"model":"nobody"}' % user),
                (errno.E2BIG, body("word " * 200000)), (errno.EFBIG, body("x" * (9 << 20)))]
    with Mount() as m:
        for file in ("sessions/new", "ask", "v1/chat/completions", m.session("bob") + "/input"):
            for code, text in refusals:
                fd = os.open(m.at(file), os.O_RDWR if "input" not in file else os.O_WRONLY)
                rest = text.encode()
                with raises(code):
                    while rest:
                        rest = rest[os.write(fd, rest):]
                if file.startswith("v1"):
                    error = json.loads(os.read(fd, 65536))["error"]
                    assert error["message"] and error["type"], error
                else:
                    assert m.read("sessions/error" if "input" not in file else file.replace("input", "error"))
                os.close(fd)


def test_a_body_comes_in_any_pieces_at_any_offset():
    request = body("hello", max_tokens=5).encode()
    with Mount() as m:
        name = m.session("bob")
        m.write(name + "/input", request)
        wanted = m.read(name + "/text")
        for flags in (0, os.O_APPEND, os.O_TRUNC):
            for size in (1, 7, len(request)):
                m.write(name + "/ctl", "reset\n")
                fd = os.open(m.at(name + "/input"), os.O_WRONLY | flags)
                for i in range(0, len(request), size):
                    os.pwrite(fd, request[i:i + size], (i * 7919) % 100000)  # offsets mean nothing
                os.close(fd)
                assert m.read(name + "/text") == wanted, (flags, size)
        m.write(name + "/ctl", "reset\n")
        subprocess.run(["truncate", "-s", "0", m.at(name + "/input")], check=True)
        subprocess.run(["dd", "of=" + m.at(name + "/input"), "bs=1M", "status=none"], input=request, check=True)
        assert m.read(name + "/text") == wanted
        with open(m.at(name + "/input"), "ab", buffering=0) as file:  # >>
            m.write(name + "/ctl", "reset\n")
            file.write(request)
        assert m.read(name + "/text") == wanted


def test_seek_and_read_anywhere():
    """SEEK_SET, SEEK_CUR and SEEK_END of answers, and read and pread beside one another."""
    with Mount() as m:
        name = m.session("bob")
        m.write(name + "/input", body("count 300", max_tokens=50, ignore_eos=True))
        whole = m.read(name + "/text")
        for file in "output", "text":
            fd = os.open(m.at(f"{name}/{file}"), os.O_RDONLY)
            assert os.lseek(fd, -10, os.SEEK_END) == len(whole) - 10
            assert os.read(fd, 100) == whole[-10:]
            assert os.lseek(fd, 5, os.SEEK_SET) == 5 and os.pread(fd, 3, 0) == whole[:3]
            assert os.read(fd, 4) == whole[5:9] and os.lseek(fd, 2, os.SEEK_CUR) == 11
            assert os.read(fd, 1 << 20) == whole[11:]
            with raises(errno.EINVAL):
                os.lseek(fd, -1, os.SEEK_SET)
            os.close(fd)


def test_last_is_each_shells_own():
    """Two shells, which take turns: each finds the session that it made itself."""
    with Mount() as m:
        script = 'read -r go; for i in 1 2 3; do echo "$BODY" >sessions/new; readlink sessions/last; read -r go; done; ' \
                 'readlink sessions/last; sh -c "readlink sessions/last; true"'
        shells = [subprocess.Popen(["bash", "-c", script], cwd=m.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   env={**os.environ, "BODY": body(f"hello {i}", max_tokens=1)}) for i in range(2)]
        names = [[], []]
        for _ in range(3):
            for i in (0, 1):
                shells[i].stdin.write("\n")
                shells[i].stdin.flush()
                names[i].append(shells[i].stdout.readline().strip())
        for i in (0, 1):
            out, _ = shells[i].communicate("\n", timeout=300)
            assert out.split() == [names[i][-1]] * 2, (out, names)
        assert len(set(names[0] + names[1])) == 6


def test_many_writers_at_once():
    """Each of them has a session of its own from `new`; of those who write to one `input` one at a time wins."""
    with Mount() as m:
        names, codes = [], []

        def create(i):
            fd = os.open(m.at("sessions/new"), os.O_RDWR)
            text = body(f"hello {i}", max_tokens=3).encode()
            os.write(fd, text[:20])
            os.write(fd, text[20:])
            names.append((i, os.read(fd, 100).decode().strip()))
            os.close(fd)

        def speak(i):
            try:
                m.write("sessions/bob/input", body(f"hello {i}", max_tokens=3))
                codes.append(0)
            except OSError as error:
                codes.append(error.errno)

        m.session("bob")
        for call in create, speak:
            threads = [threading.Thread(target=call, args=(i,)) for i in range(32)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len({name for _, name in names}) == 32
        for i, name in names:
            m.read(f"sessions/{name}/wait")
            assert json.loads(m.read(f"sessions/{name}/messages"))[0]["content"] == f"hello {i}"
        assert set(codes) <= {0, errno.EBUSY} and 0 in codes, codes
        m.read("sessions/bob/wait")
        assert len(json.loads(m.read("sessions/bob/messages"))) == 2 * codes.count(0)


def test_every_blocked_reader_is_interrupted():
    with Mount(endless=True, TOKFS_FAKE_TOKEN_US="20000") as m:
        name = m.session("bob")
        m.write(name + "/input", FOREVER)
        slowest = 0
        for file in ("wait", "text", "response.json", "output", "events"):
            reader = subprocess.Popen(["cat", m.at(f"{name}/{file}")], stdout=subprocess.DEVNULL)
            until(lambda: m.metric("parked_requests") >= 1 or reader.poll() is not None, f"{file} is read")
            start = time.monotonic()
            reader.send_signal(signal.SIGINT)
            status = reader.wait(300)
            slowest = max(slowest, time.monotonic() - start)
            assert status == -signal.SIGINT, (file, status)
        print(f"        at most {slowest * 1000:.1f} ms")
        m.write(name + "/ctl", "cancel\n")
        m.read(name + "/wait")
        assert m.metric("parked_requests") == 0


def test_readers_that_never_read_cost_nothing():
    with Mount() as m:
        name = m.session("bob")
        idle = [os.open(m.at(f"{name}/{file}"), os.O_RDONLY) for file in ("output", "events") for _ in range(200)]
        m.write(name + "/input", LONG)
        whole = m.read(name + "/text")
        one = m.metric("held_bytes")
        m.write(name + "/ctl", "reset\n")
        m.write(name + "/input", LONG)
        assert m.read(name + "/text") == whole
        assert m.metric("held_bytes") < 2 * one + 10000, "an answer is kept more than once"
        assert os.read(idle[0], 100) == b"" and os.read(idle[0], 100) == whole[:100]
        for fd in idle:
            os.close(fd)
        until(lambda: m.metric("held_bytes") <= one, "the first answer is gone")


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
