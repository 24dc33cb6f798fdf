#!/usr/bin/env python3
"""Many users on one mount, with real user ids: who sees, reads, writes and ends what, and how much each may have.

As root only: elsewhere it is a visible skip.
"""
import ctypes
import errno
import json
import os
import pickle
import resource
import signal
import stat
import subprocess
import tempfile
import time
import traceback

from mount import ENDLESS, Mount, raises, run_tests, skip, until

ALICE, BOB = 61001, 61002  # need no entry in passwd
IS_FAKE = "fake" in os.environ.get("TOKFS_BIN", "")


def body(text, **fields):
    return json.dumps({"messages": [{"role": "user", "content": text}], "temperature": 0, **fields})


LONG = json.dumps(ENDLESS)


class Shared(Mount):
    """A mount that everybody may enter."""

    def __init__(self, *options, **more):
        super().__init__("-o", "allow_other", *options, **more)
        os.chmod(self.scratch, 0o755)


def become(uid):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def as_user(uid, call, *args):
    """call(*args) in a process of that user: its result, or its exception raised here."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            become(uid)
            result = (True, call(*args))
        except BaseException as error:
            result = (False, (type(error), getattr(error, "errno", None), traceback.format_exc()))
        with os.fdopen(write_end, "wb") as file:
            pickle.dump(result, file)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as file:
        is_good, result = pickle.load(file)
    os.waitpid(pid, 0)
    if not is_good and result[1]:
        raise OSError(result[1], result[2])
    if not is_good:
        raise AssertionError(result[2])
    return result


def refused(uid, code, call, *args):
    with raises(code):
        as_user(uid, call, *args)


def make(m, uid, name):
    as_user(uid, m.session, name)
    return "sessions/" + name


def ask(m, name, text):
    """Begins a turn; the whole answer."""
    m.write(name + "/input", text)
    return m.read(name + "/text")


def test_without_allow_other_others_are_kept_out():
    with Mount() as m:
        os.chmod(m.scratch, 0o755)
        refused(ALICE, errno.EACCES, os.listdir, m.path)
        refused(ALICE, errno.EACCES, m.read, "health")
        refused(ALICE, errno.EACCES, m.write, "ask", "hi")


def test_each_user_lists_and_reads_his_own():
    with Shared() as m:
        a, b = make(m, ALICE, "a"), make(m, BOB, "b")
        for uid, name in (ALICE, a), (BOB, b):
            stat = os.stat(m.at(name))
            assert (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777) == (uid, uid, 0o700)
            for file in os.listdir(m.at(name)):
                assert os.stat(m.at(f"{name}/{file}")).st_uid == uid, file
            assert as_user(uid, ask, m, name, body("hello"))
        assert as_user(ALICE, os.listdir, m.at("sessions")) == ["new", "error", "last", "a"]
        assert as_user(BOB, os.listdir, m.at("sessions")) == ["new", "error", "last", "b"]
        assert sorted(os.listdir(m.at("sessions"))) == ["a", "b", "error", "new"]  # root: all, and none of his own for last
        assert as_user(ALICE, os.readlink, m.at("sessions/last")) == "a"
        assert as_user(BOB, os.readlink, m.at("sessions/last")) == "b"
        refused(ALICE, errno.EINVAL, m.write, "sessions/new", '{"messages":5}')
        assert as_user(ALICE, m.read, "sessions/error").startswith(b"messages")
        assert as_user(BOB, m.read, "sessions/error") == b""


def test_the_creator_is_the_fsuid():
    libc = ctypes.CDLL(None)
    with Shared() as m:
        libc.setfsgid(BOB)
        libc.setfsuid(BOB)
        try:
            os.mkdir(m.at("sessions/b"))
        finally:
            libc.setfsuid(0)
            libc.setfsgid(0)
        assert os.stat(m.at("sessions/b")).st_uid == BOB


def every_way_in(m, name):
    """What another user may try on a session: (what, errno, call, arguments)."""
    path = m.at(name)
    files = [("read", os.O_RDONLY), ("write", os.O_WRONLY), ("truncate", os.O_WRONLY | os.O_TRUNC)]
    for file in ("input", "system", "params", "tools", "output", "text", "events", "response.json", "messages", "status", "usage",
                 "error", "wait", "ctl", "reasoning"):
        for what, flags in files:
            yield f"{what} {file}", errno.EACCES, os.open, (f"{path}/{file}", flags)
        yield f"stat {file}", errno.EACCES, os.stat, (f"{path}/{file}",)
        yield f"unlink {file}", errno.EACCES, os.unlink, (f"{path}/{file}",)
        yield f"truncate {file}", errno.EACCES, os.truncate, (f"{path}/{file}", 0)
    yield "list", errno.EACCES, os.listdir, (path,)
    yield "enter", errno.EACCES, os.chdir, (path,)
    yield "make inside", errno.EACCES, os.mkdir, (path + "/x",)
    yield "remove", errno.EPERM, os.rmdir, (path,)
    yield "rename", errno.EPERM, os.rename, (path, m.at("sessions/mine"))
    yield "replace", errno.EEXIST, os.mkdir, (path,)
    yield "chmod", errno.EPERM, os.chmod, (path, 0o777)
    yield "chown", errno.EPERM, os.chown, (path, BOB, BOB)
    yield "utime", errno.EPERM, os.utime, (path, (0, 0))
    yield "watch", errno.EACCES, watch, (path,)


def watch(path):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.inotify_add_watch(libc.inotify_init(), path.encode(), 0xFFF) < 0:
        raise OSError(ctypes.get_errno(), "inotify_add_watch")


def test_no_way_into_anothers_session():
    with Shared(endless=True) as m:
        name = make(m, ALICE, "a")
        as_user(ALICE, m.write, name + "/input", LONG)
        for what, code, call, args in every_way_in(m, name):
            try:
                as_user(BOB, call, *args)
            except OSError as error:
                assert error.errno == code, (what, error)
            else:
                raise AssertionError(what + ": nothing stopped it")
        removed = subprocess.run(["rm", "-rf", m.at(name)], user=BOB, group=BOB, extra_groups=[], capture_output=True)
        assert removed.returncode == 1, removed
        holder = subprocess.Popen(["sleep", "600"], user=ALICE, group=ALICE, extra_groups=[], stdin=open(m.at(name + "/wait")))
        refused(BOB, errno.EACCES, os.open, f"/proc/{holder.pid}/fd/0", os.O_RDONLY)
        holder.kill()
        holder.wait()
        assert as_user(ALICE, m.read, name + "/status").split()[0] in (b"prefill", b"decode")
        as_user(ALICE, m.write, name + "/ctl", "cancel\n")
        assert as_user(ALICE, m.read, name + "/wait").split()[0] == b"cancelled"
        as_user(ALICE, os.rmdir, m.at(name))


def test_the_control_the_owner_of_a_session_may():
    with Shared() as m:
        name = make(m, ALICE, "a")
        n_refused = 0
        for what, code, call, args in every_way_in(m, name):
            if what.split()[0] in ("unlink", "rename", "remove", "replace", "chmod", "chown", "make"):
                continue
            if what in ("read input", "read ctl", "truncate input", "truncate ctl"):
                continue
            try:
                as_user(ALICE, call, *args)
            except OSError:
                n_refused += 1
                assert what.split()[1] not in ("system", "params", "tools"), what
        assert n_refused == 30, n_refused  # files that only tell are neither written nor truncated
        as_user(ALICE, os.rename, m.at(name), m.at("sessions/mine"))
        as_user(ALICE, os.rmdir, m.at("sessions/mine"))


def test_names_cannot_be_guessed():
    with Shared() as m:
        def create():
            fd = os.open(m.at("sessions/new"), os.O_RDWR)
            os.write(fd, body("hi", max_tokens=1).encode())
            return os.read(fd, 100).decode().strip()

        names = {as_user(uid, create) for uid in (ALICE, BOB) * 10}
        assert len(names) == 20 and all(len(name) == 32 and not name.strip("0123456789abcdef") for name in names)
        assert len(as_user(BOB, os.listdir, m.at("sessions"))) == 13


def test_kv_and_hurry_are_the_owners():
    with Shared() as m:
        assert m.read("kv/stats")
        refused(ALICE, errno.EACCES, os.listdir, m.at("kv"))
        refused(ALICE, errno.EACCES, m.read, "kv/stats")
        name = make(m, ALICE, "a")
        refused(ALICE, errno.EPERM, m.write, name + "/ctl", "priority -1\n")
        assert b"owner of the mount" in as_user(ALICE, m.read, name + "/error")
        as_user(ALICE, m.write, name + "/ctl", "priority 5\n")
        m.session("r")
        m.write("sessions/r/ctl", "priority -1\n")
        refused(ALICE, errno.EACCES, os.mkdir, m.at("x"))
        refused(ALICE, errno.EACCES, os.rmdir, m.at("models"))


def test_prefix_cache_tells_nothing_of_others():
    if IS_FAKE:
        return
    prompt = "Please tell me what the secret plan for the tenth of October is, step by step."

    def cached(m, uid, name):
        make(m, uid, name)
        as_user(uid, ask, m, "sessions/" + name, body(prompt, max_tokens=2))
        return int(as_user(uid, m.read, f"sessions/{name}/usage").split()[3])

    with Shared() as m:
        assert cached(m, ALICE, "a1") == 0
        assert cached(m, ALICE, "a2") > 10
        assert cached(m, BOB, "b1") == 0
        assert cached(m, BOB, "b2") > 10
    with Shared("--share-prefix-cache") as m:
        assert cached(m, ALICE, "a1") == 0 and cached(m, BOB, "b1") > 10


def test_quota_of_sessions():
    with Shared("--user-sessions", "3", "--max-sessions", "100") as m:
        for i in range(5):
            make(m, ALICE, f"a{i}")
        assert [n for n in as_user(ALICE, os.listdir, m.at("sessions")) if n[0] == "a"] == ["a2", "a3", "a4"]
        held = [os.open(m.at(f"sessions/a{i}/status"), os.O_RDONLY) for i in (2, 3, 4)]
        refused(ALICE, errno.EDQUOT, m.session, "a5")
        refused(ALICE, errno.EDQUOT, m.write, "sessions/new", body("hi"))
        assert b"--user-sessions" in as_user(ALICE, m.read, "sessions/error")
        make(m, BOB, "b")
        for i in range(5):
            m.session(f"r{i}")  # the owner of the mount
        for fd in held:
            os.close(fd)
        make(m, ALICE, "a6")


def test_nobody_loses_a_session_to_who_has_more():
    with Shared("--user-sessions", "100", "--max-sessions", "4") as m:
        make(m, ALICE, "a")
        for i in range(20):
            make(m, BOB, f"b{i}")
        assert os.path.exists(m.at("sessions/a"))
        make(m, ALICE, "a2")
        make(m, ALICE, "a3")  # two each
        assert sorted(n for n in os.listdir(m.at("sessions")) if n[0] in "ab") == ["a", "a2", "b18", "b19"] or \
            len([n for n in os.listdir(m.at("sessions")) if n[0] == "b"]) == 2


def test_quota_of_turns():
    with Shared("--user-turns", "2", endless=True) as m:
        for i in range(3):
            make(m, ALICE, f"a{i}")
        for i in range(2):
            as_user(ALICE, m.write, f"sessions/a{i}/input", LONG)
        refused(ALICE, errno.EDQUOT, m.write, "sessions/a2/input", LONG)
        assert b"--user-turns" in as_user(ALICE, m.read, "sessions/a2/error")

        def transact():
            fd = os.open(m.at("v1/chat/completions"), os.O_RDWR)
            with raises(errno.EDQUOT):
                os.write(fd, LONG.encode())
            return json.loads(os.read(fd, 65536))["error"]

        error = as_user(ALICE, transact)
        assert error["code"] == 429 or error.get("type") == "rate_limit_error" or "--user-turns" in error["message"], error
        refused(ALICE, errno.EDQUOT, m.write, "ask", LONG)
        as_user(BOB, m.write, make(m, BOB, "b") + "/input", LONG)
        as_user(ALICE, m.write, "sessions/a0/ctl", "cancel\n")
        as_user(ALICE, m.read, "sessions/a0/wait")
        as_user(ALICE, m.write, "sessions/a2/input", LONG)
        for name in "a1", "a2", "b":
            m.write(f"sessions/{name}/ctl", "cancel\n")


def test_quota_of_files():
    with Shared("--user-files", "50") as m:
        def hold():
            held = [os.open(m.at("ask"), os.O_RDWR) for _ in range(45)]
            held += [os.open(m.at("sessions"), os.O_RDONLY) for _ in range(5)]
            for path in ("ask", "health", "sessions"):
                with raises(errno.EDQUOT):
                    os.open(m.at(path), os.O_RDONLY)
            return len(held)

        assert as_user(ALICE, hold) == 50
        until(lambda: m.metric("open_files") == 1, "all are released")
        assert as_user(ALICE, hold) == 50
        held = [os.open(m.at("health"), os.O_RDONLY) for _ in range(100)]  # the owner's
        for fd in held:
            os.close(fd)


def begin(m, file, size, flags=os.O_RDWR):
    """Begins a body of so many bytes and leaves it unfinished; the descriptor."""
    fd = os.open(m.at(file), flags)
    rest = b'{"messages":[{"role":"user","content":"' + b"x" * size
    while rest:
        rest = rest[os.write(fd, rest):]
    return fd


def give_up(fds):
    """Closes what was not finished, which close(2) tells."""
    for fd in fds:
        with raises(errno.EINVAL):
            os.close(fd)


def test_quota_of_bytes():
    with Shared("--user-bytes", "8M") as m:
        def begin_many():
            fds = []
            try:
                while True:
                    fds.append(begin(m, "v1/chat/completions", 1 << 20))
                    assert len(fds) < 10
            except OSError as error:
                assert error.errno == errno.EDQUOT, error
            fd = os.open(m.at("v1/chat/completions"), os.O_RDWR)
            n = len(fds)
            give_up(fds)
            os.write(fd, body("hi", max_tokens=2).encode())
            assert json.loads(os.read(fd, 65536))["object"] == "chat.completion"
            return n

        empty = m.metric("held_bytes")
        assert 2 <= as_user(ALICE, begin_many) <= 7
        until(lambda: m.metric("held_bytes") == empty, "all is given back")
        fds = [begin(m, "ask", 1 << 20) for _ in range(20)]  # the owner's
        assert m.metric("held_bytes") > 20 << 20
        assert as_user(ALICE, begin_many) > 1
        give_up(fds)


def test_listings_of_directories_are_counted():
    with Shared("--user-bytes", "400K") as m:
        for i in range(40):
            make(m, ALICE, "a" * 200 + str(i))

        def hold():
            fds = []
            while len(fds) < 200:
                fds.append(os.open(m.at("sessions"), os.O_RDONLY))

        refused(ALICE, errno.EDQUOT, hold)
        assert len(as_user(ALICE, os.listdir, m.at("sessions"))) == 43


def test_conversations_are_counted():
    with Shared("--user-bytes", "400K") as m:
        names = [make(m, ALICE, f"a{i}") for i in range(8)]

        def fill():
            for name in names:
                m.write(name + "/system", "x" * 60000)
                m.write(name + "/input", body("y" * 30000, max_tokens=1))
                m.read(name + "/text")

        if IS_FAKE:  # a real model has no room for so long a prompt
            refused(ALICE, errno.EDQUOT, fill)
        for name in names:
            as_user(ALICE, os.rmdir, m.at(name))
        until(lambda: m.metric("held_bytes") < 20000, "all is given back")


def test_bytes_of_all_together():
    with Mount("--max-bytes", "8M") as m:
        fds = []
        try:
            while len(fds) < 20:
                fds.append(begin(m, "sessions/new", 1 << 20))
        except OSError as error:
            assert error.errno == errno.EAGAIN, error
        assert 2 <= len(fds) <= 7
        assert b"--max-bytes" in m.read("sessions/error")
        give_up(fds)
        m.write("sessions/new", body("hi", max_tokens=1))


def test_quota_of_tokens():
    with Shared("--user-tokens", "60") as m:
        name = make(m, ALICE, "a")
        as_user(ALICE, ask, m, name, body("count 100", max_tokens=100, ignore_eos=True))
        refused(ALICE, errno.EDQUOT, m.write, name + "/input", body("hi"))
        error = as_user(ALICE, m.read, name + "/error")
        assert b"--user-tokens" in error and b"try again in" in error, error
        assert as_user(BOB, ask, m, make(m, BOB, "b"), body("hi", max_tokens=5))
        m.session("r")
        for _ in range(3):
            ask(m, "sessions/r", body("count 100", max_tokens=100, ignore_eos=True))


def test_writer_that_stalls_is_given_up():
    with Mount("--write-timeout", "2") as m:
        name = m.session("s")
        text = os.open(m.at(m.session("t") + "/input"), os.O_WRONLY)
        os.write(text, b"half of a ")
        setting = os.open(m.at(name + "/params"), os.O_WRONLY)
        os.write(setting, b'{"temperature":')
        files = [("v1/chat/completions", os.O_RDWR), ("sessions/new", os.O_RDWR), ("ask", os.O_RDWR), (name + "/input", os.O_WRONLY)]
        fds = [begin(m, file, 100000, flags) for file, flags in files]  # each in one write
        until(lambda: m.metric("held_bytes") < 100000, "they are given up, and with them who wrote before")
        for fd in (*fds, setting, text):
            with raises(errno.ETIMEDOUT):
                os.write(fd, b'"}]}')
        assert "stalled" in json.loads(os.read(fds[0], 65536))["error"]["message"]
        for fd in (*fds, setting, text):
            os.close(fd)
        assert b"stalled" in m.read("sessions/error") and b"stalled" in m.read("sessions/t/error")
        with raises(errno.ETIMEDOUT):  # what would have been a turn
            m.read("sessions/t/text")
        assert m.read(name + "/params") == b"{}\n"
        assert ask(m, "sessions/t", "whole") and ask(m, name, body("whole"))


def test_owners_outlive_the_daemon():
    with tempfile.TemporaryDirectory(prefix="tokfs-state.") as state, Shared("--state", state + "/s") as m:
        def converse():
            session = m.session("alices")
            m.write(f"{session}/params", "max_tokens 5\n")
            m.write(f"{session}/input", "hello\n")
            return m.read(f"{session}/text")

        said = as_user(ALICE, converse)
        m.stop(signal.SIGKILL)
        m.start()
        status = os.stat(m.at("sessions/alices"))
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (ALICE, ALICE, 0o700)
        with raises(errno.EACCES):
            as_user(BOB, m.read, "sessions/alices/text")
        assert as_user(BOB, os.listdir, m.at("sessions")) == ["new", "error"]
        assert as_user(ALICE, m.read, "sessions/alices/text") == said
        as_user(ALICE, os.rmdir, m.at("sessions/alices"))
        m.stop(signal.SIGKILL)
        m.start()
        assert not os.path.exists(m.at("sessions/alices"))


def test_a_crowd_leaves_nothing():
    """A user whose processes are killed in the middle of everything."""
    with Shared(endless=True) as m:
        def disturb(i):
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
            fds = [begin(m, file, 1000) for file in ("ask", "v1/chat/completions", "sessions/new")]
            name = m.session(f"a{i}")
            m.write(name + "/input", LONG)
            fds += [os.open(m.at(f"{name}/{file}"), os.O_RDONLY) for file in ("output", "events", "wait")]
            fds.append(os.open(m.at("v1/chat/completions"), os.O_RDWR))
            os.write(fds[-1], LONG.encode())
            time.sleep(600)

        pids = []
        for i in range(20):
            pid = os.fork()
            if pid == 0:
                try:
                    become(ALICE)
                    disturb(i)
                finally:
                    os._exit(1)
            pids.append(pid)
        until(lambda: m.metric("open_files") >= 100, "they are at it")
        for pid in pids:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        until(lambda: m.metric("open_files") == 1, "all is released")
        for name in as_user(ALICE, os.listdir, m.at("sessions")):
            if name.startswith("a"):
                as_user(ALICE, os.rmdir, m.at("sessions/" + name))
        until(lambda: m.metric("requests_running") + m.metric("requests_queued") == 0, "all is ended")
        until(lambda: m.metric("held_bytes") == 0, "no byte is left")


if os.geteuid() != 0:
    skip("not root: no other user's part can be taken")
everything = [value for name, value in list(globals().items()) if name.startswith("test_")]
# What depends on a model, and not on the mount alone.
run_tests(everything if IS_FAKE else [test_each_user_lists_and_reads_his_own, test_no_way_into_anothers_session,
                                      test_prefix_cache_tells_nothing_of_others, test_quota_of_turns, test_quota_of_tokens])
