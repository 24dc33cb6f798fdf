#!/usr/bin/env python3
"""Requests that take longer than they may: their readers get what was said in time, then ETIMEDOUT."""
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


def read_to_error(m, name):
    fd, text = os.open(m.at(name), os.O_RDONLY), b""
    try:
        with raises(errno.ETIMEDOUT):
            while piece := os.read(fd, 65536):
                text += piece
    finally:
        os.close(fd)
    return text


def test_conversation_ends_at_its_deadline():
    with slow_mount() as m:
        timeout, text = 0.05, b""
        while not text:  # on a busy machine nothing may have been said in time
            start, timeout = time.monotonic(), 2 * timeout
            m.write("sessions/new", body(timeout=timeout))
            text = read_to_error(m, "sessions/last/output")
            assert time.monotonic() - start >= timeout
        assert m.read("sessions/last/status").startswith(b"error "), m.read("sessions/last/status")
        assert m.read("sessions/last/wait").startswith(b"error ")
        reason = m.read("sessions/last/error")
        assert f"timeout: deadline: after {timeout:g} s".encode() in reason, reason
        with raises(errno.ETIMEDOUT):
            m.read("sessions/last/text")
        assert read_to_error(m, "sessions/last/events").count(b"\n") > 1
        m.write("sessions/last/params", "max_tokens 3\n")  # in place of what the body said; it goes on
        m.write("sessions/last/input", "Hello")
        m.read("sessions/last/text")


def test_conversation_has_a_timeout_among_its_params():
    with slow_mount() as m:
        name = m.session("s")
        m.write(name + "/params", "timeout 0.1\nignore_eos true\n")
        m.write(name + "/input", "count 100000")
        read_to_error(m, name + "/output")
        with raises(errno.EINVAL):
            m.write(name + "/params", "timeout -1\n")


def transaction(m, text):
    fd, answer = os.open(m.at("v1/chat/completions"), os.O_RDWR), b""
    try:
        os.write(fd, text.encode())
        with raises(errno.ETIMEDOUT):
            while piece := os.read(fd, 65536):
                answer += piece
    finally:
        os.close(fd)
    return answer


def test_transaction_answers_with_an_error_object():
    with slow_mount() as m:
        error = json.loads(transaction(m, body(timeout=0.1)))["error"]
        assert error["param"] == "timeout" and error["message"].startswith("deadline: "), error
        assert b"data: {" in transaction(m, body(timeout=0.1, stream=True))
        for value in (0, -1, "1", 1e10, True):
            fd = os.open(m.at("v1/chat/completions"), os.O_RDWR)
            with raises(errno.EINVAL):
                os.write(fd, body(timeout=value).encode())
            os.close(fd)


def test_mount_sets_the_most():
    """A request may ask for less than the mount allows, not for more."""
    with slow_mount("--timeout", "0.1") as m:
        for fields in ({}, {"timeout": 100}):
            m.write("sessions/new", body(**fields))
            read_to_error(m, "sessions/last/output")
            assert b"after 0.1 s" in m.read("sessions/last/error"), m.read("sessions/last/error")
        m.write("sessions/new", body(timeout=0.05))
        read_to_error(m, "sessions/last/output")
        assert b"after 0.05 s" in m.read("sessions/last/error"), m.read("sessions/last/error")


def test_queue_is_not_waited_in_for_longer():
    if "fake" in os.environ["TOKFS_BIN"]:
        return  # it runs everybody at once
    with Mount("--max-sequences", "1") as m:
        m.session("first")
        m.write("sessions/first/params", "ignore_eos true\n")
        m.write("sessions/first/input", "Hello")
        until(lambda: m.read("sessions/first/status").startswith(b"decode "), "the first runs")
        m.write("sessions/new", body(timeout=0.02))
        assert read_to_error(m, "sessions/last/output") == b""
        assert b"in the queue" in m.read("sessions/last/error"), m.read("sessions/last/error")
        m.write("sessions/first/ctl", "cancel")


run_tests([test_conversation_ends_at_its_deadline, test_conversation_has_a_timeout_among_its_params,
           test_transaction_answers_with_an_error_object, test_mount_sets_the_most, test_queue_is_not_waited_in_for_longer])
