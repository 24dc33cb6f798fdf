#!/usr/bin/env python3
"""Requests that take longer than they may: their readers get what was said in time, then ETIMEDOUT.

How fast the machine is decides where a request is when its time is over: not read yet (then the write itself fails with ETIMEDOUT), in the
queue, running, or already answered. A test that wants one of these tries with other timeouts until it is met.
"""
import errno
import json
import os
import time

from mount import Mount, raises, run_tests, until

SLOW = {"TOKFS_FAKE_TOKEN_US": "2000"}
ENDLESS = {"messages": [{"role": "user", "content": "count 100000"}], "ignore_eos": True}  # ends with the context, or much later


def body(**fields):
    return json.dumps({**ENDLESS, **fields})


def slow_mount(*options):
    """The built-in model takes about half a second to fill its context in this way."""
    fake = "fake" in os.environ["TOKFS_BIN"]
    return Mount(*options, **SLOW) if fake else Mount("--no-speculation", "--threads", "1", *options)


def try_timeouts(attempt):
    """What attempt(timeout) gives for the first timeout, from short to long and again, for which that is not None."""
    timeouts = [0.05 * 2**i for i in range(8)] * 4
    for timeout in timeouts:
        if (result := attempt(timeout)) is not None:
            return result
    raise AssertionError(f"never met in {len(timeouts)} attempts")


def is_taken(fd, text):
    """Writes a request. Whether it was read before its time was over."""
    try:
        os.write(fd, text.encode())
    except OSError as error:
        assert error.errno == errno.ETIMEDOUT, error
        return False
    return True


def new_session(m, **fields):
    fd = os.open(m.at("sessions/new"), os.O_WRONLY)
    try:
        return is_taken(fd, body(**fields))
    finally:
        os.close(fd)


def read_on(fd):
    """What is said, and whether ETIMEDOUT is the end of it."""
    text = b""
    try:
        while piece := os.read(fd, 65536):
            text += piece
    except OSError as error:
        assert error.errno == errno.ETIMEDOUT, error
        return text, True
    return text, False


def read_file(m, name):
    fd = os.open(m.at(name), os.O_RDONLY)
    try:
        return read_on(fd)
    finally:
        os.close(fd)


def test_conversation_ends_at_its_deadline():
    with slow_mount() as m:
        def cut_short(timeout):
            start = time.monotonic()
            if not new_session(m, timeout=timeout):
                return None
            text, is_over = read_file(m, "sessions/last/output")
            assert not is_over or time.monotonic() - start >= timeout
            return timeout if text and is_over else None

        timeout = try_timeouts(cut_short)
        assert m.read("sessions/last/status").startswith(b"error "), m.read("sessions/last/status")
        assert m.read("sessions/last/wait").startswith(b"error ")
        reason = m.read("sessions/last/error")
        assert f"timeout: deadline: after {timeout:g} s the request was still running" in reason.decode(), reason
        with raises(errno.ETIMEDOUT):
            m.read("sessions/last/text")
        events, is_over = read_file(m, "sessions/last/events")
        assert is_over and events.count(b"\n") > 1, events
        m.write("sessions/last/params", "max_tokens 3\n")  # in place of what the body said; it goes on
        m.write("sessions/last/input", "Hello")
        m.read("sessions/last/text")


def test_conversation_has_a_timeout_among_its_params():
    with slow_mount() as m:
        def ends_in_time(timeout):
            name = m.session("s")
            m.write(name + "/params", f"timeout {timeout:g}\nignore_eos true\n")
            m.write(name + "/input", "count 100000")
            _, is_over = read_file(m, name + "/output")
            os.rmdir(m.at(name))
            return is_over or None

        try_timeouts(ends_in_time)
        with raises(errno.EINVAL):
            m.write(m.session("s") + "/params", "timeout -1\n")


def transaction(m, **fields):
    """Whether the request was taken, and what can be read then, to ETIMEDOUT or not."""
    fd = os.open(m.at("v1/chat/completions"), os.O_RDWR)
    try:
        return is_taken(fd, body(**fields)), *read_on(fd)
    finally:
        os.close(fd)


def test_transaction_answers_with_an_error_object():
    with slow_mount() as m:
        def whole(timeout):
            taken, answer, is_over = transaction(m, timeout=timeout)
            if not taken or is_over:
                error = json.loads(answer)["error"]
                assert error["param"] == "timeout" and error["message"].startswith("deadline: "), error
            return True if taken and is_over else None

        def streamed(timeout):
            taken, answer, is_over = transaction(m, timeout=timeout, stream=True)
            return True if taken and is_over and b'data: {"id"' in answer else None

        try_timeouts(whole)
        try_timeouts(streamed)
        for value in (0, -1, "1", 1e10, True):
            fd = os.open(m.at("v1/chat/completions"), os.O_RDWR)
            with raises(errno.EINVAL):
                os.write(fd, body(timeout=value).encode())
            os.close(fd)


def test_mount_sets_the_most():
    """A request may ask for less than the mount allows, not for more."""
    with slow_mount("--timeout", "0.03") as m:
        for fields, most in ({}, b"0.03"), ({"timeout": 100}, b"0.03"), ({"timeout": 0.02}, b"0.02"):
            if new_session(m, **fields):
                assert read_file(m, "sessions/last/output")[1]
                reason = m.read("sessions/last/error")
            else:
                reason = m.read("sessions/error")
            assert b"deadline: after " + most + b" s " in reason, reason


def test_queue_is_not_waited_in_for_longer():
    if "fake" in os.environ["TOKFS_BIN"]:
        return  # it runs everybody at once
    with Mount("--max-sequences", "1") as m:
        def ends_in_the_queue(timeout):
            assert new_session(m)
            first = "sessions/" + os.path.basename(os.readlink(m.at("sessions/last")))
            until(lambda: not m.read(first + "/status").startswith((b"queued", b"prefill")), "the first runs")
            ended = None
            if new_session(m, timeout=timeout):
                text, is_over = read_file(m, "sessions/last/output")
                runs = m.read(first + "/status").startswith(b"decode ")  # it has not made room
                if runs and is_over and b"in the queue" in m.read("sessions/last/error"):
                    assert text == b""
                    ended = True
            os.rmdir(m.at(first))
            return ended

        try_timeouts(ends_in_the_queue)


run_tests([test_conversation_ends_at_its_deadline, test_conversation_has_a_timeout_among_its_params,
           test_transaction_answers_with_an_error_object, test_mount_sets_the_most, test_queue_is_not_waited_in_for_longer])
