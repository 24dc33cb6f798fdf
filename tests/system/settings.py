#!/usr/bin/env python3
"""What is written to a conversation counts as a whole or not at all: its settings, and texts that end too early."""
import errno
import json
import os
import subprocess
import time

from mount import ENDLESS, Mount, raises, run_tests, until

LIMIT = 256 << 10
FOREVER = json.dumps(ENDLESS)


def tool(name):
    return {"type": "function", "function": {"name": name, "parameters": {}}}


def bash(mount, script, *arguments):
    return subprocess.run(["bash", "-c", script, "bash", *arguments], cwd=mount.path, capture_output=True, timeout=300)


def add(mount, name, text):
    fd = os.open(mount.at(name), os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def test_setting_over_its_limit_leaves_the_old_one():
    """In one write, in many, by adding; and a refused piece takes those before and after it with it."""
    with Mount() as m:
        name = m.session("s")
        old = {"system": b"Be terse", "params": b'{"stop":["END"]}\n', "tools": json.dumps([tool("now")]).encode() + b"\n"}
        long = {"system": "x" * 1000, "params": f'stop {"x" * 200}\n', "tools": json.dumps([tool("x" * 60)])}
        for file, text in old.items():
            m.write(f"{name}/{file}", text)
            whole = m.read(f"{name}/{file}")
            assert whole.split() == text.split() or json.loads(whole) == json.loads(text)
            for mode in (os.O_TRUNC, os.O_APPEND):
                fd = os.open(m.at(f"{name}/{file}"), os.O_WRONLY | mode)
                with raises(errno.EFBIG):  # ill-formed too, but the length is seen first
                    for _ in range(LIMIT // 4096 + 2):
                        os.write(fd, (b"# " + b"x" * 4094) if file != "tools" else b"[" + b" " * 4095 if _ == 0 else b" " * 4096)
                assert f"limit of {LIMIT}".encode() in m.read(name + "/error")
                with raises(errno.EFBIG):
                    os.write(fd, long[file].encode())
                os.close(fd)
                assert m.read(f"{name}/{file}") == whole, (file, mode)
        fd = os.open(m.at(name + "/system"), os.O_WRONLY | os.O_TRUNC)
        os.write(fd, b"Be verbose")
        assert m.read(name + "/system") == b"Be terse"  # not before it is whole
        os.close(fd)
        assert m.read(name + "/system") == b"Be verbose"
        add(m, name + "/system", "x" * (LIMIT - 10))
        with raises(errno.EFBIG):
            add(m, name + "/system", "y")
        assert m.read(name + "/system") == b"Be verbose" + b"x" * (LIMIT - 10)
        assert bash(m, '{ echo top_p 0.5; echo temprature 1; echo min_p 0.1; } > sessions/s/params').returncode != 0
        assert json.loads(m.read(name + "/params")) == {"stop": ["END"]}
        m.write(name + "/system", "")  # opened with O_TRUNC, nothing written: empty
        assert m.read(name + "/system") == b""


def test_settings_are_replaced_or_added_to():
    with Mount() as m:
        name = m.session("s")
        assert bash(m, """set -e
            cd sessions/s
            echo one > system; echo two >> system
            { echo temperature 0.5; echo top_p 0.9; } > params; echo temperature 0.7 >> params
            echo "$1" > tools; echo "$2" >> tools""", json.dumps([tool("a")]), json.dumps(tool("b"))).returncode == 0
        assert m.read(name + "/system") == b"one\ntwo\n"
        assert json.loads(m.read(name + "/params")) == {"temperature": 0.7, "top_p": 0.9}
        assert [t["function"]["name"] for t in json.loads(m.read(name + "/tools"))] == ["a", "b"]
        with raises(errno.EINVAL):
            add(m, name + "/tools", json.dumps([tool(f"t{i}") for i in range(127)]))
        assert len(json.loads(m.read(name + "/tools"))) == 2
        first, second = (os.open(m.at(name + "/params"), os.O_WRONLY | os.O_APPEND) for _ in range(2))
        os.write(first, b"top_k 5\n")
        os.write(second, b"seed 7\n")
        os.close(second)
        os.close(first)
        assert json.loads(m.read(name + "/params")) == {"temperature": 0.7, "top_p": 0.9, "top_k": 5, "seed": 7}
        for file, empty in (("system", b""), ("params", b"{}\n"), ("tools", b"[]\n")):
            with raises(errno.EINVAL):
                os.truncate(m.at(f"{name}/{file}"), 3)
            assert m.read(f"{name}/{file}") != empty
            fd = os.open(m.at(f"{name}/{file}"), os.O_WRONLY)
            os.ftruncate(fd, 0)
            assert m.read(f"{name}/{file}") != empty
            os.close(fd)
            assert m.read(f"{name}/{file}") == empty
        m.write(name + "/system", "{ is a brace,\n  and the indentation stays")
        assert m.read(name + "/system") == b"{ is a brace,\n  and the indentation stays"


def test_text_that_ends_inside_a_character_is_refused():
    with Mount() as m:
        name = m.session("s")
        m.write(name + "/system", "Be terse")
        for text in (b"\xc3", b"caf\xc3", b"\xf0\x9f\x98"):
            fd = os.open(m.at(name + "/system"), os.O_WRONLY | os.O_TRUNC)
            os.write(fd, text)
            with raises(errno.EINVAL):
                os.close(fd)
            assert m.read(name + "/system") == b"Be terse"
            assert b"system: text ends inside a UTF-8 character" in m.read(name + "/error"), m.read(name + "/error")
            m.write(name + "/input", "hello")
            assert m.read(name + "/text") and m.read(name + "/error") == b""
            bash(m, "printf %s \"$1\" > sessions/s/input", os.fsdecode(text))
            with raises(errno.EIO):
                m.read(name + "/output")
            assert b"ends inside a UTF-8 character" in m.read(name + "/error")
            fd = os.open(m.at("ask"), os.O_RDWR)
            os.write(fd, text)
            with raises(errno.EINVAL):
                os.read(fd, 100)
            assert b"ends inside a UTF-8 character" in m.read("sessions/error")
            os.write(fd, b"hello")
            assert os.read(fd, 100)
            os.close(fd)
        for file in ("system", "input"):
            assert bash(m, f"{{ printf 'caf\\xc3'; printf '\\xa9'; }} > sessions/s/{file}").returncode == 0
        assert m.read(name + "/text") and m.read(name + "/system") == "café".encode()
        assert json.loads(m.read(name + "/messages"))[-2] == {"role": "user", "content": "café"}


def test_blank_input_is_told():
    with Mount() as m:
        name = m.session("s")
        m.write(name + "/input", "hello")
        n_messages = len(json.loads(m.read(name + "/messages"))) if m.read(name + "/text") else 0
        for blank in ("\n", "  \n\t\n", " "):
            m.write(name + "/input", blank)
            with raises(errno.EIO):
                m.read(name + "/text")
            assert b"nothing but white space" in m.read(name + "/error")
        m.write(name + "/input", "")  # as touch(1) does: nothing was written
        assert bash(m, "{ echo; echo '  hi'; echo there; } > sessions/s/input").returncode == 0
        assert m.read(name + "/text") and m.read(name + "/error") == b""
        messages = json.loads(m.read(name + "/messages"))
        assert len(messages) == n_messages + 2 and messages[-2]["content"] == "  hi\nthere", messages


def test_error_goes_with_the_next_success():
    with Mount(endless=True) as m:
        name = m.session("s")
        m.write(name + "/input", FOREVER)
        with raises(errno.EBUSY):
            m.write(name + "/input", "and now?")
        assert b"a turn is running" in m.read(name + "/error")
        m.write(name + "/ctl", "cancel\n")
        m.read(name + "/wait")
        m.write(name + "/ctl", "reset\n")
        for refused in ("params", "tools", "ctl"):
            with raises(errno.EINVAL):
                m.write(f"{name}/{refused}", "nonsense\n")
            assert m.read(name + "/error")
            m.write(name + "/input", json.dumps({"role": "user", "content": "hi"}))
            assert m.read(name + "/text") and m.read(name + "/error") == b"", refused


def test_text_refused_because_busy_is_refused_to_its_end():
    """The pieces that come when the other turn has ended must not become a turn of their own."""
    with Mount(endless=True) as m:
        name = m.session("s")
        m.write(name + "/input", FOREVER)
        fd = os.open(m.at(name + "/input"), os.O_WRONLY)
        with raises(errno.EBUSY):
            os.write(fd, b"one ")
        m.write(name + "/ctl", "cancel\n")
        until(lambda: m.read(name + "/status").startswith(b"cancelled"), "the turn ended")
        with raises(errno.EBUSY):
            os.write(fd, b"two")
        os.close(fd)
        assert m.read(name + "/status").startswith(b"cancelled")
        fd = os.open(m.at(name + "/input"), os.O_WRONLY)
        os.write(fd, FOREVER.encode())
        with raises(errno.EBUSY):
            os.write(fd, FOREVER.encode())  # whole: another try is another body
        m.write(name + "/ctl", "cancel\n")
        until(lambda: m.read(name + "/status").startswith(b"cancelled"), "the turn ended")
        os.write(fd, json.dumps({"role": "user", "content": "hi"}).encode())
        os.close(fd)
        assert m.read(name + "/text")


def test_error_is_empty_once_a_text_is_taken():
    with Mount() as m:
        name = m.session("s")
        with raises(errno.EINVAL):
            m.write(name + "/input", '{"role":"user","content":"hi","frob":1}')
        assert m.read(name + "/error")
        m.write(name + "/input", "count 100\n")
        assert m.read(name + "/error") == b""


def test_blank_creation_is_told():
    with Mount() as m:
        with raises(errno.EINVAL):
            m.write("sessions/new", "{}")
        before = m.read("sessions/error")
        subprocess.run(["sh", "-c", 'echo > "$1"', "sh", m.at("sessions/new")])
        assert b"white space" in m.read("sessions/error") != before
        with raises(errno.EINVAL):
            m.write("sessions/new", "{}")
        subprocess.run(["sh", "-c", ': > "$1"', "sh", m.at("sessions/new")])
        assert m.read("sessions/error") == before  # nothing was written


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
