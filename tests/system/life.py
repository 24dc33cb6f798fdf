#!/usr/bin/env python3
"""The daemon's life: starting in the background, refusing to start, draining, being killed, being mounted again."""
import contextlib
import ctypes
import errno
import json
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time

from mount import LONG_TOKENS, Mount, raises, run_tests, until

LONG = json.dumps({"messages": [{"role": "user", "content": "count 5000"}], "ignore_eos": True, "max_tokens": LONG_TOKENS})
SLOW = {"TOKFS_FAKE_TOKEN_US": "2000"}
BIN = os.environ.get("TOKFS_BIN", "")
DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/demo/model")
MODEL = os.environ.get("TOKFS_MODEL", "demo")


def tokfs(*arguments):
    return subprocess.run([BIN, *arguments], capture_output=True, text=True, timeout=60)


def is_mounted(path):
    with open("/proc/self/mountinfo") as file:
        return any(line.split()[4] == os.path.realpath(path) for line in file)


def test_background_start_and_fusermount():
    with tempfile.TemporaryDirectory() as path:
        started = tokfs(MODEL, path)
        try:
            assert started.returncode == 0 and not started.stderr, started.stderr
            with open(path + "/health") as file:
                assert file.read() == "ok\n"  # it answers as soon as the shell goes on
            second = tokfs(MODEL, path)
            assert second.returncode != 0 and "already" in second.stderr, second.stderr
        finally:
            subprocess.run(["fusermount3", "-u", path], check=True)
        assert not is_mounted(path) and os.listdir(path) == []


def refused(path, words, *options, model=MODEL):
    result = tokfs(*options, model, path)
    assert result.returncode not in (0, None), f"started: {options} {model} {path}"
    assert result.stderr.startswith("tokfs: ") and result.stderr.count("\n") == 1, result.stderr
    for word in words:
        assert word in result.stderr, f"{word!r} is not in {result.stderr!r}"
    assert not is_mounted(path)


def test_refusals_are_one_clear_line():
    with tempfile.TemporaryDirectory() as path:
        refused(path + "/none", [path + "/none", "No such file"])
        with open(path + "/file", "w"):
            pass
        refused(path + "/file", [path + "/file", "not a directory"])
        refused(path, [path, "not empty", "file"])
        os.mkdir(path + "/m")
        refused(path + "/m", ["-o ro"], "-o", "ro")
        refused(path + "/m", ["--ctx", "many"], "--ctx", "many")
        refused(path + "/m", ["--kv-mem", "-3"], "--kv-mem", "-3")
        refused(path + "/m", ["--frobnicate"], "--frobnicate")
        refused(path + "/m", ["no_such_option"], "-o", "no_such_option")
    if "fake" not in BIN:
        with tempfile.TemporaryDirectory() as path:
            os.mkdir(path + "/m")
            refused(path + "/m", [path, ".json", "No such file"], model=path)
            refused(path + "/m", ["no/such/model"], model="no/such/model")
            for name in os.listdir(DEMO):
                shutil.copy(os.path.join(DEMO, name), path)
            with open(path + "/config.json", "w") as file:
                file.write('{"architectures":["Mystery"]}')
            refused(path + "/m", [path, "config.json", "Mystery"], model=path)
            shutil.copy(DEMO + "/config.json", path)
            with open(path + "/model.safetensors", "r+b") as file:
                file.truncate(100000)
            refused(path + "/m", [path, "model.safetensors"], model=path)
            shutil.copy(DEMO + "/model.safetensors", path)
            refused(path + "/m", ["K"], "--kv-mem", "1K", model=path)


def forbid_io_uring():
    """Between fork and exec: io_uring_setup fails with EPERM, as in a container that forbids it (seccomp(2), x86-64 or aarch64,
    which share the number 425)."""
    libc = ctypes.CDLL(None, use_errno=True)
    # load the system call's number; 425: EPERM; else: allow
    program = struct.pack("=HBBIHBBIHBBIHBBI", 0x20, 0, 0, 0, 0x15, 0, 1, 425, 0x06, 0, 0, 0x00050000 | errno.EPERM,
                          0x06, 0, 0, 0x7FFF0000)
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", 4, ctypes.addressof(code))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, header, 0, 0):
        os._exit(88)


def test_forbidden_io_uring_is_told():
    with tempfile.TemporaryDirectory() as path:
        result = subprocess.run([BIN, MODEL, path], capture_output=True, text=True, timeout=60, preexec_fn=forbid_io_uring)
        assert result.returncode == 1 and "io_uring" in result.stderr and result.stderr.count("\n") == 1, result.stderr
        assert not is_mounted(path)


def test_help_and_version():
    assert "usage: tokfs" in tokfs("--help").stdout
    assert tokfs("--version").stdout.startswith("tokfs ")


def test_sigterm_lets_running_answers_end():
    with Mount(**SLOW) as m:
        os.mkdir(m.at("sessions/s"))
        m.write("sessions/s/input", LONG)
        out = open(m.at("sessions/s/output"), "rb", buffering=0)
        more = os.open(m.at("sessions/new"), os.O_WRONLY)
        m.daemon.send_signal(signal.SIGTERM)
        until(lambda: not os.path.exists(m.at("health")) or m.read("health") != b"ok\n", "it drains")
        try:
            with raises(errno.ESHUTDOWN):
                os.write(more, LONG.encode())
        except AssertionError:
            if "fake" in BIN:  # a real model may have said all by now
                raise
        got = b""
        try:
            while piece := out.read(65536):
                got += piece
        except OSError as error:  # its 10 seconds were not enough for a real model in a slow build
            assert error.errno == errno.ECANCELED and "fake" not in BIN
        assert got, "the running answer was cut off"
        if "fake" in BIN:
            assert got.endswith(b" 300 ")
        os.close(more)
        out.close()
        assert m.daemon.wait(30) == 0
        assert not is_mounted(m.path)


def test_sigterm_twice_is_at_once():
    with Mount(TOKFS_FAKE_TOKEN_US="20000") as m:
        os.mkdir(m.at("sessions/s"))
        m.write("sessions/s/input", LONG)
        codes = []

        def reader():
            try:
                while fd_out.read(65536):
                    pass
                codes.append(0)
            except OSError as error:
                codes.append(error.errno)

        fd_out = open(m.at("sessions/s/output"), "rb", buffering=0)
        thread = threading.Thread(target=reader)
        thread.start()
        time.sleep(0.1)
        start = time.monotonic()
        m.daemon.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        if m.daemon.poll() is None:
            m.daemon.send_signal(signal.SIGINT)
        assert m.daemon.wait(10) == 0 and time.monotonic() - start < 5
        thread.join(10)
        assert not thread.is_alive(), "a reader hangs"
        if "fake" in BIN:
            assert codes and codes[0] in (errno.ENOTCONN, errno.ECONNABORTED), codes
        with contextlib.suppress(OSError):
            fd_out.close()


def stat_error(path):
    try:
        os.stat(path)
        return 0
    except OSError as error:
        return error.errno


def test_kill_leaves_no_reader_hanging_and_the_mount_point_usable():
    with Mount(**SLOW) as m:
        os.mkdir(m.at("sessions/s"))
        m.write("sessions/s/input", LONG)
        readers = [subprocess.Popen(["cat", m.at("sessions/s/" + name)], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.PIPE) for name in ("output", "wait", "text", "events")]
        time.sleep(0.1)
        m.daemon.kill()
        m.daemon.wait()
        for reader in readers:
            reader.communicate(timeout=10)
            assert reader.returncode is not None
            if "fake" in BIN:
                assert reader.returncode == 1, "a reader took the end of the daemon for the end of the answer"
        # A request on its way while the kernel takes the connection down gets ECONNABORTED, later ones ENOTCONN.
        until(lambda: stat_error(m.at("health")) == errno.ENOTCONN, "the connection is gone")
        m.start()  # on the same mount point
        assert m.read("health") == b"ok\n"


def test_limit_of_open_files_of_the_daemon_is_not_reached():
    with Mount() as m:
        before = len(os.listdir(f"/proc/{m.daemon.pid}/fd"))
        files = [os.open(m.at("ask"), os.O_RDWR) for _ in range(500)]
        assert len(os.listdir(f"/proc/{m.daemon.pid}/fd")) == before, "an open file costs the daemon a descriptor"
        for fd in files:
            os.close(fd)
        until(lambda: m.metric("open_files") == 1, "all are released")


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
