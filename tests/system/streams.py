#!/usr/bin/env python3
"""Readers and writers of the real mount: many at once, at their own offsets, interrupted, polled, gone."""
import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import threading
import time

from mount import ENDLESS, LONG_TOKENS, Mount, raises, run_tests, transact, until


def body(text, **fields):
    return json.dumps({"messages": [{"role": "user", "content": text}], "temperature": 0, **fields})


LONG = body("count 5000", ignore_eos=True, max_tokens=LONG_TOKENS)  # is waited for to its end
FOREVER = json.dumps(ENDLESS)  # is caught in the act, and cancelled
# Only the null model looks at it.
SLOW = {"TOKFS_FAKE_TOKEN_US": "2000"}
IS_NULL = os.environ.get("TOKFS_MODEL") == "null"


def cat(mount, name, results, key):
    results[key] = subprocess.run(["cat", mount.at(name)], capture_output=True)


def read_to_cancel(mount, name):
    """What a cancelled turn had said."""
    fd, got = os.open(mount.at(name), os.O_RDONLY), b""
    try:
        with raises(errno.ECANCELED):
            while piece := os.read(fd, 65536):
                got += piece
    finally:
        os.close(fd)
    return got


def in_parallel(calls):
    threads = [threading.Thread(target=call[0], args=call[1:]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_64_sessions_stream_at_once_as_each_alone():
    with Mount() as m:
        requests = [body(f"Tell me about number {i} and count to ten, please.", max_tokens=20) for i in range(64)]
        alone = []
        for i, request in enumerate(requests):
            name = m.session(f"alone{i}")
            m.write(name + "/input", request)
            alone.append(m.read(name + "/text"))
        assert all(alone), "an answer is empty"
        results = {}
        names = [m.session(f"together{i}") for i in range(64)]
        for name, request in zip(names, requests):
            m.write(name + "/input", request)
        in_parallel([(cat, m, name + "/output", results, i) for i, name in enumerate(names)])
        for i in range(64):
            assert results[i].returncode == 0, results[i].stderr
            assert results[i].stdout == alone[i], f"session {i}: {results[i].stdout!r} is not {alone[i]!r}"


def test_8_readers_of_a_session_see_the_same():
    with Mount(**SLOW) as m:
        name = m.session("s")
        m.write(name + "/input", LONG)
        results = {}
        in_parallel([(cat, m, name + "/output", results, i) for i in range(8)]
                    + [(cat, m, name + "/events", results, 8 + i) for i in range(4)])
        answer = m.read(name + "/text")
        assert answer and all(results[i].stdout == answer for i in range(8))
        for i in range(8, 12):
            lines = [json.loads(line) for line in results[i].stdout.splitlines()]
            assert "".join(line["choices"][0]["delta"].get("content") or "" for line in lines) == answer.decode()
            assert lines[-1]["choices"][0]["finish_reason"] == "length" and lines[-1]["usage"]["completion_tokens"] == LONG_TOKENS
            assert results[i].stdout == results[8].stdout


def test_reasoning_is_read_as_it_grows():
    thought = " ".join(f"step {i}," for i in range(100))
    is_null = os.environ.get("TOKFS_MODEL") == "null"  # which says what it is told; the built-in model does not reason
    with Mount(TOKFS_FAKE_TOKEN_US="10000") as m:
        name = m.session("s")
        assert m.read(name + "/reasoning") == b""
        m.write(name + "/input", body(f"<think>{thought}</think>so it is") if is_null else LONG)
        fd = os.open(m.at(name + "/reasoning"), os.O_RDONLY)
        again = os.open(m.at(name + "/reasoning"), os.O_RDONLY | os.O_NONBLOCK)
        if not is_null:
            with contextlib.suppress(BlockingIOError):  # or it has been answered by now
                assert os.read(again, 5) == b""
        got = os.read(fd, 65536)
        if is_null:
            assert thought.encode().startswith(got) and len(got) < len(thought), "it came at once"
            assert m.read(name + "/status").startswith(b"decode") and os.stat(m.at(name + "/reasoning")).st_size == 0
            assert got.startswith(os.read(again, 5))
        while piece := os.read(fd, 17):
            got += piece
        assert got.decode() == (thought if is_null else ""), got
        assert os.pread(fd, 10, 5) == got[5:15] and os.stat(m.at(name + "/reasoning")).st_size == len(got)
        assert m.read(name + "/text") == b"so it is" or not is_null
        m.write(name + "/input", body(f"<think>{thought}</think>no") if is_null else LONG)
        if is_null:
            assert os.read(fd, 4) == b"step", "it does not follow the conversation"
        m.write(name + "/ctl", "cancel\n")
        with raises(errno.ECANCELED):
            while os.read(fd, 65536):
                pass
        os.close(fd)
        os.close(again)


def test_readers_at_offsets_get_the_same_bytes():
    with Mount() as m:
        name = m.session("s")
        m.write(name + "/input", body("count 300", max_tokens=100, ignore_eos=True))
        answer = m.read(name + "/text")
        for file in ("output", "text", "events"):
            whole = m.read(f"{name}/{file}")
            fd = os.open(m.at(f"{name}/{file}"), os.O_RDONLY)
            for offset in (len(whole) - 1, len(whole) // 2, 7, 0, len(whole) // 3):
                assert os.pread(fd, 10, offset) == whole[offset:offset + 10], (file, offset)
            assert os.pread(fd, 10, len(whole) + 5) == b""
            os.close(fd)
        for file in ("output", "text", "response.json", "messages", "status"):
            assert os.stat(m.at(f"{name}/{file}")).st_size == len(m.read(f"{name}/{file}")), file
        assert answer == m.read(name + "/output")


def test_sendfile_reader_that_waited_gets_all_of_text():
    with Mount(**SLOW) as m:
        name = m.session("s")
        m.write(name + "/input", body("count 300", max_tokens=100, ignore_eos=True))
        fd = os.open(m.at(name + "/text"), os.O_RDONLY)  # waits; no fstat between open and sendfile
        out = os.open("/tmp", os.O_TMPFILE | os.O_RDWR)
        while os.sendfile(out, fd, None, 1 << 20) > 0:
            pass
        answer = m.read(name + "/output")
        assert answer and os.pread(out, 1 << 20, 0) == answer
        os.close(fd)
        os.close(out)


def test_interrupt_returns_at_once_and_harms_nobody():
    with Mount(endless=True) as m:
        name = m.session("s")
        m.write(name + "/input", FOREVER)
        results = {}
        other = threading.Thread(target=cat, args=(m, name + "/output", results, 0))
        other.start()
        waiting = subprocess.Popen(["cat", m.at(name + "/wait")], stdout=subprocess.PIPE)
        until(lambda: m.metric("parked_requests") >= 1, "cat waits")
        start = time.monotonic()
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait() == -signal.SIGINT
        delay = time.monotonic() - start
        assert m.read(name + "/status").startswith((b"prefill", b"decode"))
        m.write(name + "/ctl", "cancel\n")
        other.join()
        assert results[0].stdout == read_to_cancel(m, name + "/output")
        print(f"        interrupted after {delay * 1000:.1f} ms")


def test_clients_of_one_user_get_their_own_answers():
    """They look the file up at the same time, and share what the kernel knows of it; not what they write and read."""
    if not IS_NULL:
        return
    with Mount(TOKFS_FAKE_TOKEN_US="0") as m:
        wrong = []

        def client(i):
            for k in range(20):
                text = f"client {i} request {k}"
                answer = json.loads(transact(m, "v1/chat/completions", json.loads(body(text))))
                if answer["choices"][0]["message"]["content"] != text:
                    wrong.append(answer)
        in_parallel([(client, i) for i in range(16)])
        assert not wrong, wrong[0]


def test_write_does_not_wait_for_one_that_is_checked():
    """Who looks the file up while a write waits to be checked has a node of his own: his write waits beside it."""
    if not IS_NULL:
        return
    with Mount(TOKFS_FAKE_TOKEN_US="500000") as m:  # between two requests that are checked

        def write():
            m.write("v1/chat/completions", body("hello"))

        def both_wait():
            write()  # checked at once, and then nothing for that time
            threads = [threading.Thread(target=write) for _ in range(2)]
            for i, thread in enumerate(threads):
                thread.start()
                until(lambda: m.metric("parked_requests") > i or not threads[0].is_alive(), "a write waits")
            has_waited = m.metric("parked_requests") == 2
            for thread in threads:
                thread.join()
            return has_waited
        assert any(both_wait() for _ in range(10))


def test_stop_and_continue_loses_nothing():
    with Mount(**SLOW) as m:
        name = m.session("s")
        m.write(name + "/input", LONG)
        reader = subprocess.Popen(["cat", m.at(name + "/output")], stdout=subprocess.PIPE)
        time.sleep(0.05)
        reader.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        reader.send_signal(signal.SIGCONT)
        out, _ = reader.communicate()
        assert reader.returncode == 0 and out == m.read(name + "/text")


def test_writer_in_pieces_may_be_stopped_at_any_instant():
    """What the kernel interrupts is written again: the latest piece, not the whole."""
    text = body("count 3", max_tokens=7).encode()
    with Mount(TOKFS_FAKE_TOKEN_US="500") as m:
        child = os.fork()
        if child == 0:
            for at in [*range(1, len(text)), *range(1, len(text))]:
                fd = os.open(m.at("v1/chat/completions"), os.O_RDWR)
                try:
                    os.write(fd, text[:at])
                    os.write(fd, text[at:])
                    while os.read(fd, 4096):
                        pass
                except OSError as error:
                    print(f"cut at {at}: {error}", flush=True)
                    os._exit(1)
                os.close(fd)
            os._exit(0)
        done = 0
        while not done:
            os.kill(child, signal.SIGSTOP)
            time.sleep(0.0005)
            os.kill(child, signal.SIGCONT)
            time.sleep(0.002)
            done, status = os.waitpid(child, os.WNOHANG)
        assert status == 0, status


def test_interrupted_writer_leaves_no_turn():
    with Mount() as m:
        name = m.session("s")
        for _ in range(20):
            writer = subprocess.Popen(["dd", "of=" + m.at(name + "/input"), "status=none"], stdin=subprocess.PIPE)
            writer.stdin.write(b'{"role":"user",')
            writer.stdin.flush()
            writer.send_signal(signal.SIGINT)
            writer.wait()
        until(lambda: m.metric("open_files") <= 1, "the writers are gone")
        m.write(name + "/input", body("hello"))
        assert m.read(name + "/text")
        assert len(json.loads(m.read(name + "/messages"))) == 2


def test_close_of_ask_and_transaction_cancels():
    with Mount(endless=True) as m:
        for file, request in ("ask", FOREVER), ("v1/chat/completions", FOREVER), ("v1/chat/completions", json.dumps({**ENDLESS, "stream": True})):
            fd = os.open(m.at(file), os.O_RDWR)
            os.write(fd, request.encode())
            until(lambda: m.metric("requests_running") == 1, f"{file} runs")
            n_cancelled = m.metric("requests_cancelled_total")
            os.close(fd)
            until(lambda: m.metric("requests_running") + m.metric("requests_queued") == 0, f"{file} is cancelled")
            assert m.metric("requests_cancelled_total") == n_cancelled + 1, f"{file} came to its end"


def test_poll_and_nonblock():
    with Mount(endless=True) as m:
        name = m.session("s")
        m.write(name + "/input", FOREVER)
        fd = os.open(m.at(name + "/output"), os.O_RDONLY | os.O_NONBLOCK)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        got, n_again = b"", 0
        with raises(errno.ECANCELED):
            while True:
                try:
                    got += os.read(fd, 4096)
                except BlockingIOError:
                    n_again += 1
                    if n_again == 20:
                        m.write(name + "/ctl", "cancel\n")
                    assert poll.poll(300000), "poll timed out"
        assert got == read_to_cancel(m, name + "/output") and n_again >= 20
        os.close(fd)
        waiting = os.open(m.at(name + "/wait"), os.O_RDONLY | os.O_NONBLOCK)
        m.write(name + "/input", FOREVER)
        with raises(errno.EAGAIN):
            os.read(waiting, 100)
        epoll = select.epoll()
        epoll.register(waiting, select.EPOLLIN)
        assert epoll.poll(0) == []
        m.write(name + "/ctl", "cancel\n")
        assert epoll.poll(300), "epoll did not wake"
        assert os.read(waiting, 100).startswith(b"cancelled")
        os.close(waiting)


def test_read_and_write_of_one_descriptor_at_once():
    with Mount(endless=True) as m:
        fd = os.open(m.at("ask"), os.O_RDWR)
        os.write(fd, FOREVER.encode())
        got = []
        reader = threading.Thread(target=lambda: got.append(os.read(fd, 100)))
        reader.start()
        with raises(errno.EBUSY):
            os.write(fd, b"hello?")
        reader.join()
        assert got[0]
        os.close(fd)


def test_failed_turn_ends_with_an_error_after_its_last_byte():
    with Mount(endless=True) as m:
        name = m.session("s")
        m.write(name + "/input", FOREVER)
        fd = os.open(m.at(name + "/output"), os.O_RDONLY)
        got = os.read(fd, 100)
        assert got
        m.write(name + "/ctl", "cancel\n")
        with raises(errno.ECANCELED):
            while piece := os.read(fd, 100):
                got += piece
        os.close(fd)
        messages = json.loads(m.read(name + "/messages"))
        assert messages[-1]["role"] == "assistant" and messages[-1]["content"].encode() == got
        with raises(errno.ECANCELED):
            os.open(m.at(name + "/text"), os.O_RDONLY)
        assert m.read(name + "/error") == b"cancelled\n"


def test_second_writer_is_busy_while_text_is_written():
    with Mount() as m:
        name = m.session("s")
        first = os.open(m.at(name + "/input"), os.O_WRONLY)
        os.write(first, b"one ")
        with raises(errno.EBUSY):
            m.write(name + "/input", "another")
        with raises(errno.EBUSY):
            m.write(name + "/input", body("another"))
        os.write(first, b"two")
        os.close(first)
        assert m.read(name + "/text")
        assert [message["content"] for message in json.loads(m.read(name + "/messages"))][0] == "one two"


def test_renamed_session_goes_on():
    with Mount(**SLOW) as m:
        name = m.session("s")
        m.write(name + "/input", LONG)
        fd = os.open(m.at(name + "/output"), os.O_RDONLY)
        os.rename(m.at(name), m.at("sessions/t"))
        assert not os.path.exists(m.at(name))
        got = b""
        while piece := os.read(fd, 65536):
            got += piece
        assert got == m.read("sessions/t/text")
        os.close(fd)
        m.session("u")
        with raises(errno.EEXIST):
            os.rename(m.at("sessions/t"), m.at("sessions/u"))
        assert sorted(os.listdir(m.at("sessions"))) == ["error", "last", "new", "t", "u"]


def test_removed_session_is_stale():
    with Mount(endless=True) as m:
        name = m.session("s")
        m.write(name + "/input", FOREVER)
        fd = os.open(m.at(name + "/output"), os.O_RDONLY)
        codes = []

        def reader():
            try:
                while os.read(fd, 100):
                    pass
            except OSError as error:
                codes.append(error.errno)

        thread = threading.Thread(target=reader)
        thread.start()
        time.sleep(0.05)
        os.rmdir(m.at(name))
        thread.join()
        assert codes == [errno.ESTALE], codes
        os.close(fd)
        until(lambda: m.metric("requests_running") == 0, "its turn is cancelled")
        assert not os.path.exists(m.at(name))


def test_transaction_gives_what_http_gives():
    with Mount() as m:
        def exchange(request):
            fd = os.open(m.at("v1/chat/completions"), os.O_RDWR)
            out = b""
            try:
                for i in range(0, len(request), 40):  # in pieces
                    os.write(fd, request[i:i + 40].encode())
                while piece := os.read(fd, 65536):
                    out += piece
            finally:
                os.close(fd)
            return out

        request = body("count 30", max_tokens=20)
        whole = json.loads(exchange(request))
        assert whole["object"] == "chat.completion" and whole["usage"]["completion_tokens"] <= 20
        text = whole["choices"][0]["message"]["content"]
        assert text
        for include in (False, True):
            sse = exchange(body("count 30", max_tokens=20, stream=True,
                                **({"stream_options": {"include_usage": True}} if include else {}))).decode()
            events = sse.split("\n\n")
            assert events[-1] == "" and events[-2] == "data: [DONE]", sse
            chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
            assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == text
            assert (chunks[-1].get("usage") is not None) == include
        fd = os.open(m.at("v1/chat/completions"), os.O_RDWR)  # several on one descriptor, errors between
        for _ in range(3):
            with raises(errno.EINVAL):
                os.write(fd, b'{"messages":[{"role":"king","content":"x"}]}')
            error = json.loads(os.read(fd, 65536))["error"]
            assert error["param"] == "messages[0].role", error
            assert os.read(fd, 100) == b""
            os.write(fd, request.encode())
            assert json.loads(os.read(fd, 65536))["choices"][0]["message"]["content"] == text
            assert os.read(fd, 100) == b""
        os.close(fd)


def test_body_that_is_no_object_is_refused_with_a_reason():
    """Whatever it begins with: the write fails, the same descriptor gives the error object, and the next request works."""
    with Mount() as m:
        for garbage in (b"hello", b"[]", b"5", b'"x"', b"null", b"\xff", b"\xef\xbb\xbf{}", b"\0", b"[" * 100000):
            fd = os.open(m.at("v1/chat/completions"), os.O_RDWR)
            with raises(errno.EINVAL):
                os.write(fd, garbage)
            with raises(errno.EINVAL):  # what follows belongs to it
                os.write(fd, b"{}")
            error = json.loads(os.read(fd, 65536))["error"]
            assert error["type"] == "invalid_request_error" and "JSON object" in error["message"], error
            assert os.read(fd, 100) == b""
            os.write(fd, body("hello", max_tokens=3).encode())
            assert json.loads(os.read(fd, 65536))["object"] == "chat.completion"
            os.close(fd)
            with raises(errno.EINVAL):
                m.write("sessions/new", '{"messages":[{"role":"king","content":"x"}]}')
            with raises(errno.EINVAL):
                m.write("sessions/new", garbage)
            assert b"JSON object" in m.read("sessions/error"), m.read("sessions/error")


def test_refused_body_in_one_long_write_is_refused_once():
    """The kernel cuts a long write; refused at its last part, it is a short one to the writer, who writes the rest again. That is
    no new body, and no text."""
    with Mount() as m:
        name = m.session("s")
        content = "x" * (300 << 10)
        king = json.dumps({"messages": [{"role": "user", "content": content}, {"role": "king", "content": "x"}]}).encode()
        unknown = json.dumps({"messages": [{"role": "user", "content": content}], "model": "no-such-model"}).encode()
        for request, code, reason in ((king, errno.EINVAL, "messages[1].role"), (unknown, errno.ENOENT, "model")):
            for file in ("v1/chat/completions", "sessions/new", "ask", name + "/input"):
                fd = os.open(m.at(file), os.O_RDWR if "input" not in file else os.O_WRONLY)
                for _ in range(2):  # once more from the beginning is another body
                    done = os.write(fd, request)
                    assert 0 < done < len(request)
                    with raises(code):
                        os.write(fd, request[done:])
                    if file.startswith("v1"):
                        assert json.loads(os.read(fd, 65536))["error"]["param"] == reason
                    said = m.read("sessions/error") if "input" not in file else m.read(name + "/error")
                    assert file.startswith("v1") or said.startswith(reason.encode() + b":"), (file, said)
                if "input" in file:
                    os.write(fd, body("hello").encode())
                os.close(fd)
            assert m.read(name + "/text")
        assert len(json.loads(m.read(name + "/messages"))) == 4


def test_transaction_keeps_an_answer_until_it_is_read():
    with Mount() as m:
        for stream in (False, True):
            fd = os.open(m.at("v1/chat/completions"), os.O_RDWR)
            os.write(fd, body("hello", max_tokens=10, stream=stream).encode())
            os.write(fd, b"\n")  # what echo puts after it
            with raises(errno.EBUSY):
                os.write(fd, b'{"messages":')
            until(lambda: m.metric("requests_running") + m.metric("requests_queued") == 0, "it is answered")
            with raises(errno.EBUSY):
                os.write(fd, b'[{"role":"user","content":"x"}]}')
            answer = os.read(fd, 100)
            with raises(errno.EBUSY):
                os.write(fd, body("hello").encode())
            while piece := os.read(fd, 100):
                answer += piece
            assert answer.endswith(b"data: [DONE]\n\n") if stream else json.loads(answer)["usage"]
            os.write(fd, body("hello", max_tokens=3).encode())
            assert json.loads(os.read(fd, 65536))["object"] == "chat.completion"
            os.close(fd)


def test_names_of_several_new_sessions_are_all_read():
    with Mount() as m:
        fd = os.open(m.at("sessions/new"), os.O_RDWR)
        for _ in range(3):
            os.write(fd, body("hello", max_tokens=1).encode() + b"\n")
        names = os.read(fd, 100).decode().split()
        assert len(set(names)) == 3 and set(names) < set(os.listdir(m.at("sessions")))
        assert os.read(fd, 100) == b""
        os.write(fd, body("hello", max_tokens=1).encode())
        assert os.read(fd, 100).decode().strip() not in names
        os.close(fd)


def test_repeated_fields_hold_nobody_up():
    with Mount() as m:
        name = m.session("s")
        for file, text in ((name + "/params", "seed 1\n" * 18000), (name + "/params", '{"seed":1%s}' % (',"seed":2' * 14000)),
                           ("sessions/new", '{"messages":[{"role":"user","content":"hi"}]%s}' % (',"seed":3' * 200000))):
            fd = os.open(m.at(file), os.O_RDWR)
            text = text.encode()
            while text:
                text = text[os.write(fd, text):]
            os.close(fd)  # each took minutes when it was quadratic
        assert json.loads(m.read(name + "/params")) == {"seed": 2}
        assert json.loads(m.read("sessions/last/params")) == {"seed": 3}


def test_long_body_is_checked_beside_the_others():
    """Its last byte begins a check; the daemon answers others meanwhile: ten of them, if it takes long enough for this machine."""
    tower = "[" * 200 + "]" * 200
    user = '{"messages":[{"role":"user","content":"hi"}],"metadata":['
    with Mount() as m:
        def n_answered_beside(file, n_towers):
            text = (user + ",".join([tower] * n_towers) + "]").encode()
            fd = os.open(m.at(file), os.O_RDWR if "input" not in file else os.O_WRONLY)
            rest = text
            while rest:
                rest = rest[os.write(fd, rest):]
            codes, n_answered = [], 0

            def finish():
                try:
                    os.write(fd, b"}")
                except OSError as error:
                    codes.append(error.errno)

            writer = threading.Thread(target=finish)
            writer.start()
            while writer.is_alive():
                assert m.read("health") == b"ok\n"
                n_answered += 1
            writer.join()
            os.close(fd)
            assert codes == [errno.EINVAL], (file, codes)  # metadata is no array
            return n_answered

        for file in ("sessions/new", m.session("s") + "/input", "ask"):  # checked on the loop thread: two or three, however long it takes
            assert any(n_answered_beside(file, n_towers) >= 10 for n_towers in (1 << 8, 1 << 10, 1 << 12, 1 << 14)), file


def test_conversation_is_bounded():
    if "fake" in os.environ["TOKFS_BIN"]:
        return  # the null model's context counts bytes of the body
    with Mount() as m:
        name = m.session("s")
        padded = b'{"role":"user",' + b" " * (3 << 20) + b'"content":"hi"}'  # kept as it was written
        for i in range(3):
            fd = os.open(m.at(name + "/input"), os.O_WRONLY)
            rest = padded
            try:
                while rest:
                    rest = rest[os.write(fd, rest):]
            except OSError as error:
                assert error.errno == errno.EFBIG and i == 2
            os.close(fd)
            assert not rest or i == 2
            if not rest:
                assert m.read(name + "/text")
        assert b"limit" in m.read(name + "/error")
        assert len(json.loads(m.read(name + "/messages"))) == 4


def test_conversation_with_tools_and_roles():
    with Mount() as m:
        name = m.session("s")
        m.write(name + "/tools", json.dumps([{"type": "function", "function": {"name": "now", "parameters": {}}}]))
        assert json.loads(m.read(name + "/tools"))[0]["function"]["name"] == "now"
        m.write(name + "/input", json.dumps({"role": "user", "content": "What time is it?"}))
        m.read(name + "/text")
        m.write(name + "/input", json.dumps({"messages": [{"role": "user", "content": "one"},
                                                          {"role": "assistant", "content": "two"},
                                                          {"role": "user", "content": "three"}], "max_tokens": 5}))
        m.read(name + "/text")
        roles = [message["role"] for message in json.loads(m.read(name + "/messages"))]
        assert roles == ["user", "assistant", "user", "assistant", "user", "assistant"], roles
        m.write(name + "/ctl", "reset\n")
        assert json.loads(m.read(name + "/messages")) == []
        for bad in ("priority\n", "priority high\n", "priority 1.5\n"):
            with raises(errno.EINVAL):
                m.write(name + "/ctl", bad)
        m.write(name + "/ctl", "priority 3\n")
        m.write(name + "/ctl", "priority -1\n")  # the mount's owner may
        m.write(name + "/ctl", "close\n")
        assert not os.path.exists(m.at(name))


def test_least_recently_used_idle_session_goes():
    with Mount("--max-sessions", "4", endless=True) as m:
        for i in range(4):
            m.session(f"s{i}")
        m.write("sessions/s0/input", FOREVER)  # busy
        held = os.open(m.at("sessions/s1/status"), os.O_RDONLY)  # open
        m.session("s4")
        left = sorted(name for name in os.listdir(m.at("sessions")) if name.startswith("s"))
        assert left == ["s0", "s1", "s3", "s4"], left
        more = [os.open(m.at(f"sessions/{name}/status"), os.O_RDONLY) for name in ("s3", "s4")]
        with raises(errno.EDQUOT):
            m.session("s5")
        for fd in (held, *more):
            os.close(fd)
        m.write("sessions/s0/ctl", "cancel\n")


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
