#!/usr/bin/env python3
"""The names of the mount: what can be removed, what is listed, and directories read from odd places."""
import ctypes
import errno
import json
import os
import shutil
import signal
import subprocess

from mount import ENDLESS, Mount, kernel_forgets_when_asked, raises, run_tests, until


def run(*command, cwd=None):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_file_of_a_session_is_removed_with_it_only():
    with Mount() as m:
        files = sorted(os.listdir(m.at(m.session("s"))))
        assert len(files) == 15
        for file in files:
            removed = run("rm", "-f", m.at("sessions/s/" + file))
            assert removed.returncode == 1 and "not permitted" in removed.stderr, removed
        with raises(errno.EPERM):
            os.unlink("output", dir_fd=os.open(m.at("sessions/s"), os.O_PATH))
        assert run("rm", "-r", m.at("sessions/s/output")).returncode == 1
        with raises(errno.ENOENT):
            os.unlink(m.at("sessions/s/nothing"))
        assert sorted(os.listdir(m.at("sessions/s"))) == files


def test_rm_r_removes_a_session():
    with Mount() as m:
        ways = [["rm", "-r"], ["rm", "-rf"], ["find"]]
        ways += [["busybox", "rm", "-r"]] if shutil.which("busybox") else []
        for way in ways:
            path = m.at(m.session("s"))
            removed = run(*way, path, *(["-delete"] if way == ["find"] else []))
            assert removed.returncode == 0 and not removed.stderr, (way, removed)
            assert not os.path.exists(path), way
        for i in range(3):
            m.session(f"s{i}")
        shutil.rmtree(m.at("sessions/s0"))
        assert run("rm", "-r", "s1", "s2", cwd=m.at("sessions")).returncode == 0
        assert os.listdir(m.at("sessions")) == ["new", "error"]


def test_last_is_there_when_a_session_is():
    with Mount() as m:
        for command in (["ls", "-l"], ["find"], ["cat"]):
            listed = run(*command, m.at("sessions" if command != ["cat"] else "sessions/error"))
            assert listed.returncode == 0 and not listed.stderr, listed
        assert not os.path.lexists(m.at("sessions/last"))
        with raises(errno.EEXIST):
            os.mkdir(m.at("sessions/last"))
        m.session("s")
        assert os.readlink(m.at("sessions/last")) == "s" and "last" in os.listdir(m.at("sessions"))
        os.rmdir(m.at("sessions/s"))
        assert not os.path.lexists(m.at("sessions/last"))


def test_directory_read_from_anywhere_harms_nobody():
    """lseek(2) on a directory takes any offset, also where no entry begins."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(4096)
    getdents = {"x86_64": 217, "aarch64": 61}.get(os.uname().machine)
    if not getdents:
        return
    with Mount() as m:
        for i in range(20):
            m.session(f"a-session-with-a-longer-name-{i}")
        fd = os.open(m.at("sessions"), os.O_RDONLY | os.O_DIRECTORY)
        for offset in [*range(1500), 4095, 4096, 1 << 31, (1 << 62) - 1]:
            os.lseek(fd, offset, os.SEEK_SET)
            libc.syscall(getdents, fd, buffer, 4096)
        os.close(fd)
        assert len(os.listdir(m.at("sessions"))) == 23


def test_daemon_ends_while_directories_are_open():
    with Mount() as m:
        held = [os.open(m.at(m.session(f"s{i}")), os.O_RDONLY) for i in range(3)] + [os.open(m.at("sessions"), os.O_RDONLY)]
        m.daemon.send_signal(signal.SIGTERM)
        assert m.daemon.wait(300) == 0, m.messages()
        for fd in held:
            os.close(fd)


def test_file_that_only_tells_is_not_opened_for_writing():
    with Mount() as m:
        name = m.session("s")
        for file in ("README", "health", "v1/models", "sessions/error", name + "/output", name + "/messages", name + "/wait"):
            for mode in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
                with raises(errno.EACCES):
                    os.open(m.at(file), mode)


def test_names_of_ended_sessions_cost_nothing():
    """Nobody asks for them again: the kernel is told to forget them, but for what is in use."""
    with Mount(TOKFS_FAKE_TOKEN_US="0") as m:
        stays = m.session("stays")
        n_one = m.metric("held_bytes")
        for i in range(50):
            name = m.session(f"s{i}")
            m.write(name + "/input", "hello\n")
            for file in "text", "events", "status":
                m.read(f"{name}/{file}")
            m.write(name + "/ctl", "close\n")
        used = m.session("used")
        fd = os.open(m.at(used + "/status"), os.O_RDONLY)
        m.write(used + "/ctl", "close\n")
        if not kernel_forgets_when_asked():
            print("        this kernel cannot be asked to forget: not tried")
            os.close(fd)
            return
        until(lambda: m.metric("held_bytes") < 4 * n_one, "what nobody uses is forgotten")
        with raises(errno.ESTALE):
            os.read(fd, 10)
        os.close(fd)
        until(lambda: m.metric("held_bytes") == n_one, "it is forgotten when it is closed")
        assert os.listdir(m.at(stays)) and m.read(stays + "/status").startswith(b"idle")
        os.mkdir(m.at("sessions/s0"))
        assert m.read("sessions/s0/status").startswith(b"idle")


def test_draining_is_told_before_a_full_quota():
    with Mount("--max-sessions", "1", endless=True) as m:
        name = m.session("s")
        m.write(name + "/input", json.dumps(ENDLESS))
        out = os.open(m.at(name + "/output"), os.O_RDONLY)
        new = os.open(m.at("sessions/new"), os.O_WRONLY)
        body = b'{"messages":[{"role":"user","content":"hi"}]}'
        with raises(errno.EDQUOT):
            os.write(new, body)
        m.daemon.send_signal(signal.SIGTERM)
        until(lambda: m.read("health") != b"ok\n", "it drains")
        with raises(errno.ESHUTDOWN):
            os.write(new, body)
        assert m.read("sessions/error") == b"the mount is shutting down\n"
        with raises(errno.ESHUTDOWN):
            m.session("t")
        os.close(new)
        os.close(out)
        m.daemon.send_signal(signal.SIGTERM)
        assert m.daemon.wait(300) == 0


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
