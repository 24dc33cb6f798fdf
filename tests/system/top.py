#!/usr/bin/env python3
"""tokfs-top on a real mount: as lines for a script, and live on a terminal."""
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import fcntl

from mount import ENDLESS, Mount, run_tests

TOP = os.environ["TOKFS_TOP"]


def top(*args, cwd=None):
    return subprocess.run([TOP, *args], capture_output=True, text=True, timeout=300, cwd=cwd)


def test_once_tells_what_runs():
    with Mount(endless=True) as m:
        for name in ("idle", "busy", "odd\u0085name"):
            m.session(name)
        m.write("sessions/busy/input", json.dumps(ENDLESS))
        said = top("--once", "-d", "0.2", m.path)
        assert said.returncode == 0, said
        lines = said.stdout.splitlines()
        assert re.match(r"\S+ at \S+: ok; 3 sessions, \d run, \d wait", lines[0]), lines
        assert lines[1].startswith("tokens/s") and "cached" in lines[1] and lines[4].split()[0] == "SESSION", lines
        assert len(lines) == 8 and [line for line in lines if line.startswith("odd??name ")], lines
        busy = [line for line in lines if line.startswith("busy ")][0].split()
        assert lines[5].startswith("busy ") and busy[2] in ("prefill", "decode"), lines
        assert top("--once", cwd=m.path).stdout.count("\n") == 8  # the current directory
        assert len(top("--once", "--sessions", "1", "-d", "0.01", m.path).stdout.splitlines()) == 6
        m.write("sessions/busy/ctl", "cancel\n")


def test_batch_gives_pages():
    with Mount() as m:
        said = top("-b", "-n", "3", "-d", "0.05", m.path)
        assert said.returncode == 0 and said.stdout.count("SESSION") == 3, said


def test_looking_changes_nothing():
    """Neither the order in which sessions give way nor what is charged."""
    with Mount("--max-sessions", "3") as m:
        for i in range(3):
            m.session(f"s{i}")
        before = m.read("metrics")
        assert top("-b", "-n", "2", "-d", "0.01", m.path).returncode == 0
        assert [line for line in m.read("metrics").splitlines() if b"held" in line or b"requests_total" in line] == \
            [line for line in before.splitlines() if b"held" in line or b"requests_total" in line]
        m.session("s3")
        assert sorted(n for n in os.listdir(m.at("sessions")) if n[0] == "s") == ["s1", "s2", "s3"]


def test_errors_are_one_line():
    for args, status, word in ((["/tmp", "--once"], 1, "health"), (["/nowhere", "--once"], 1, "/nowhere"), (["--zzz"], 2, "--zzz"),
                               (["-d", "x"], 2, "--delay x"), (["a", "b"], 2, "too much"), (["/tmp"], 1, "no terminal")):
        said = top(*args)
        assert said.returncode == status and word in said.stderr and said.stderr.count("\n") == 1, (args, said)
    assert "usage: tokfs-top" in top("--help").stdout and top("--version").stdout.startswith("tokfs-top ")


def test_live_on_a_terminal():
    with Mount() as m:
        for i in range(30):
            m.session(f"session-{i:02}")
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ["TERM"] = "vt100"
            os.execv(TOP, [TOP, "-d", "0.2", m.path])
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 100, 0, 0))
        said = b""

        def read_until(word):
            nonlocal said
            deadline = time.monotonic() + 300
            while word not in said:
                ready, _, _ = select.select([terminal], [], [], 1)
                assert time.monotonic() < deadline, (word, said[-1000:])
                said += os.read(terminal, 65536) if ready else b""
            said = said.split(word, 1)[1]

        read_until(b"TOKENS/S")
        read_until(b"session-29")
        os.write(terminal, b"jjjjjjjjjjjjjjjjjjjjjjjjjjjjjjj")  # to the end of the list
        read_until(b"00")
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)
        os.rmdir(m.at("sessions/session-29"))
        os.write(terminal, b" q")
        deadline = time.monotonic() + 300
        while True:  # the terminal must be read for it to end
            ready, _, _ = select.select([terminal], [], [], 0.1)
            try:
                said += os.read(terminal, 65536) if ready else b""
            except OSError:  # nobody has it open any more
                break
            assert time.monotonic() < deadline
        assert os.waitpid(pid, 0)[1] == 0
        os.close(terminal)


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
