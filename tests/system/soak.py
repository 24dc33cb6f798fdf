#!/usr/bin/env python3
"""A soak: random clients for so many seconds. See --help.

Clients ask, converse, transact, write garbage, read slowly, stop, are interrupted and killed, rename and remove under each
other's hands; with --full-disk the state directory's file system is full now and then. Every answer that comes to its end is
compared with what the same question was answered when all was quiet, every answer that was cut short with the beginning of it.
At the end the journal must give another daemon all that this one has, and nothing may be left: no session, sequence, page,
descriptor or byte.
"""
import argparse
import contextlib
import errno
import json
import mmap
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import shutil

from mount import Mount, fill, kernel_forgets_when_asked, need_fuse, small_disk, until

QUESTIONS = ["hello", "What is 3 plus 4?", "Spell cat.", "count 40", "count 200", "What day comes after Monday?", "My name is Ada.",
             "Tell me about \u00e9l\u00e9phants and \u732b.", "x" * 300, "one two three four five six seven eight nine ten"]
LIMITS = [1, 7, 60]
HANG_SECONDS = 120
FILES = ["ask", "v1/chat/completions", "v1/completions", "tokenize", "detokenize", "apply-template", "generate", "sessions/new", "README",
         "health", "metrics", "v1/models", "sessions/error", "kv/stats"]
SESSION_FILES = ["input", "system", "params", "tools", "output", "text", "events", "response.json", "messages", "status", "usage",
                 "error", "wait", "ctl", "reasoning"]
# What may come of an action when others remove, cancel and fill everything.
EXPECTED = {errno.ESTALE, errno.ENOENT, errno.ECANCELED, errno.EBUSY, errno.EDQUOT, errno.EAGAIN, errno.EIO}
KEPT_FILES = ["system", "params", "tools", "messages", "status", "output"]
DISK_SIZE = "64m"


def request(question, limit, **fields):
    return json.dumps({"messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": limit, **fields})


def read_whole(fd, rng, slowly=False):
    got = b""
    while piece := os.read(fd, rng.choice((1, 100, 4096, 65536)) if not slowly else rng.randint(1, 9)):
        got += piece
        if slowly:
            time.sleep(rng.random() * 0.01)
    return got


class Client:
    """One process: does one thing after the other until the time is up. `wrong` ends the soak."""

    def __init__(self, m, answers, rng, number, must_fail, progress):
        self.m, self.answers, self.rng, self.number, self.progress = m, answers, rng, number, progress
        self.must_fail = must_fail  # what cannot be recorded
        self.expected = EXPECTED | ({errno.ENOSPC} if must_fail else set())
        self.n_sessions = self.n_compared = 0
        self.names = []

    def pick(self):
        return self.rng.choice(list(self.answers))

    def expect(self, got, wanted, what):
        self.n_compared += 1
        assert got == wanted, f"{what}: {got[:300]!r} is not {wanted[:300]!r}"

    def expect_beginning(self, got, wanted, what):
        self.n_compared += 1
        assert wanted.startswith(got), f"{what}: {got[:300]!r} is no beginning of {wanted[:300]!r}"

    def make(self):
        name = f"sessions/c{self.number}-{self.n_sessions}"
        self.n_sessions += 1
        os.mkdir(self.m.at(name))
        self.names.append(name)
        return name

    # ---- what it does ----------------------------------------------------------------------------------------------

    def ask(self):
        fd = os.open(self.m.at("ask"), os.O_RDWR)
        try:
            question, limit = self.pick()
            os.write(fd, request(question, limit).encode())
            if self.rng.random() < 0.3:
                return  # goes away
            self.expect(read_whole(fd, self.rng, self.rng.random() < 0.1), self.answers[question, limit], "ask")
            if self.rng.random() < 0.3:
                os.write(fd, b"and again\n")
                os.read(fd, 100)
        finally:
            os.close(fd)

    def transact(self):
        question, limit = self.pick()
        is_streamed = self.rng.random() < 0.5
        fd = os.open(self.m.at("v1/chat/completions"), os.O_RDWR)
        try:
            text = request(question, limit, stream=is_streamed).encode()
            at = self.rng.randint(1, len(text))
            os.write(fd, text[:at])
            if text[at:]:
                os.write(fd, text[at:])
            got = read_whole(fd, self.rng)
        finally:
            os.close(fd)
        if is_streamed:
            chunks = [json.loads(line[6:]) for line in got.decode().split("\n\n") if line.startswith("data: {")]
            said = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
        else:
            said = json.loads(got)["choices"][0]["message"]["content"] or ""
        self.expect(said.encode(), self.answers[question, limit], "transaction")

    def converse(self):
        name = self.make()
        for _ in range(self.rng.randint(1, 3)):
            question, limit = self.pick()
            self.m.write(name + "/input", request(question, limit))
            how = self.rng.choice(("output", "text", "events", "wait", "response.json"))
            fd = os.open(self.m.at(f"{name}/{how}"), os.O_RDONLY)
            try:
                got = read_whole(fd, self.rng, self.rng.random() < 0.05)
            finally:
                os.close(fd)
            if how == "wait":
                if self.must_fail and got.startswith(b"error "):
                    return
                assert got.startswith(b"done "), got
                got = self.m.read(name + "/text")
            elif how == "events":
                lines = [json.loads(line) for line in got.splitlines()]
                got = "".join(c["choices"][0]["delta"].get("content") or "" for c in lines if c["choices"]).encode()
            elif how == "response.json":
                got = (json.loads(got)["choices"][0]["message"]["content"] or "").encode()
            self.expect(got, self.answers[question, limit], f"conversation, {how}")
            self.m.write(name + "/ctl", "reset\n")  # so that the next question is as if it were the first
        if self.rng.random() < 0.8:
            os.rmdir(self.m.at(name))

    def create_and_cancel(self):
        question, limit = self.pick()
        fd = os.open(self.m.at("sessions/new"), os.O_RDWR)
        os.write(fd, request(question, limit).encode())
        name = "sessions/" + os.read(fd, 100).decode().strip()
        self.names.append(name)
        os.close(fd)
        out = os.open(self.m.at(name + "/output"), os.O_RDONLY)
        got = b""
        try:
            time.sleep(self.rng.random() * 0.02)
            how = self.rng.choice(("cancel", "close", "rmdir", "reset", "nothing"))
            if how == "rmdir":
                os.rmdir(self.m.at(name))
            elif how != "nothing":
                self.m.write(name + "/ctl", how + "\n")
            while piece := os.read(out, 65536):
                got += piece
        except OSError as error:
            if error.errno not in self.expected:
                raise
        finally:
            os.close(out)
            self.expect_beginning(got, self.answers[question, limit], "cancelled")
            if os.path.exists(self.m.at(name)):
                os.rmdir(self.m.at(name))

    def write_garbage(self):
        name = self.make() if self.rng.random() < 0.5 else None
        file = self.rng.choice(FILES) if not name else name + "/" + self.rng.choice(SESSION_FILES)
        text = self.rng.choice((os.urandom(self.rng.randint(1, 3000)), b"[" * self.rng.randint(1, 100000),
                                request(*self.pick()).encode()[:self.rng.randint(1, 80)], b"\0", b"{}", b'{"messages":[]}',
                                b"x" * self.rng.randint(1, 300000), b'{"messages":[{"role":"user","content":"hi"}],"n":99999}'))
        fd = -1
        try:
            fd = os.open(self.m.at(file), self.rng.choice((os.O_RDONLY, os.O_WRONLY, os.O_RDWR)) | self.rng.choice((0, os.O_TRUNC)) |
                         os.O_NONBLOCK)
            os.write(fd, text)
            os.lseek(fd, self.rng.choice((0, 5, 1 << 40)), os.SEEK_SET)
            os.read(fd, 100)
        except OSError:
            pass  # whatever it is
        finally:
            try:
                if fd >= 0:
                    os.close(fd)
            except OSError:
                pass
            if name:
                os.rmdir(self.m.at(name))

    def look_around(self):
        walk = self.rng.choice((["ls", "-lR"], ["find", "."], ["cat", "metrics", "health"], ["ls", "sessions"]))
        subprocess.run(walk, cwd=self.m.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    def set_up(self):
        name = self.make()
        system = "Be kind. " * self.rng.randint(1, 500)
        self.m.write(name + "/system", system)
        self.expect(self.m.read(name + "/system"), system.encode(), "system")
        self.m.write(name + "/params", "temperature 0.5\nseed 4\n")
        self.expect(self.m.read(name + "/params"), b'{"temperature":0.5,"seed":4}\n', "params")
        os.rename(self.m.at(name), self.m.at(name + "-moved"))
        self.expect(self.m.read(name + "-moved/system"), system.encode(), "system after the move")
        shutil.rmtree(self.m.at(name + "-moved"))

    def abandon(self):
        """A process that is stopped, interrupted and killed in the middle of something, and leaves it as it is."""
        name = self.make()
        program = self.rng.choice((
            f"cat {name}/output {name}/events {name}/wait", f"tail -f {name}/output", f"cat > {name}/input",
            "{ printf '{\"messages\":[' >&3; sleep 5; } 3<>v1/chat/completions", "{ echo count 400 >&3; cat <&3; } 3<>ask",
            f"while :; do echo hi > {name}/input; cat {name}/text; done", f"cp {name}/text /dev/null; exec 3<{name}; sleep 5"))
        self.m.write(name + "/input", request("count 200", 60))
        child = subprocess.Popen(["sh", "-c", program], cwd=self.m.path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, start_new_session=True)
        for _ in range(self.rng.randint(0, 3)):
            time.sleep(self.rng.random() * 0.05)
            os.killpg(child.pid, self.rng.choice((signal.SIGSTOP, signal.SIGCONT, signal.SIGWINCH)))
        time.sleep(self.rng.random() * 0.1)
        os.killpg(child.pid, signal.SIGCONT)
        os.killpg(child.pid, self.rng.choice((signal.SIGKILL, signal.SIGINT, signal.SIGTERM)))
        try:
            child.wait(1)
        except subprocess.TimeoutExpired:  # a shell that has its program for its end
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        child.stdin.close()
        if self.rng.random() < 0.8:
            os.rmdir(self.m.at(name))

    def hold(self):
        """Many descriptors, read by nobody."""
        fds = [os.open(self.m.at(self.rng.choice(FILES)), os.O_RDONLY) for _ in range(self.rng.randint(1, 60))]
        time.sleep(self.rng.random() * 0.1)
        for fd in fds:
            os.close(fd)

    # ---- until the time is up --------------------------------------------------------------------------------------

    def run(self, deadline):
        actions = [(self.ask, 4), (self.transact, 4), (self.converse, 5), (self.create_and_cancel, 4), (self.write_garbage, 4),
                   (self.look_around, 1), (self.set_up, 1), (self.abandon, 2), (self.hold, 1)]
        n = 0
        while time.monotonic() < deadline:
            action = self.rng.choices([a for a, _ in actions], [w for _, w in actions])[0]
            self.progress[self.number] = n % 251 + 1
            try:
                action()
            except OSError as error:
                if error.errno not in self.expected:
                    raise AssertionError(f"{action.__name__}: {error}") from error
            n += 1
        return n


def hang(*_):
    raise AssertionError(f"it hung for {HANG_SECONDS} s")


def run_client(m, answers, number, seed, deadline, must_fail, progress):
    signal.signal(signal.SIGUSR1, hang)
    rng = random.Random(seed * 1000 + number)
    client = Client(m, answers, rng, number, must_fail, progress)
    with open(os.path.join(m.scratch, f"client{number}"), "w") as report:
        try:
            n = client.run(deadline)
            report.write(f"ok {n} {client.n_compared}\n" + "\n".join(client.names))
        except BaseException:
            report.write("FAILED\n" + traceback.format_exc())


def fill_now_and_then(disk, seed, deadline):
    """The file system is full for some seconds, again and again, and has room at the end."""
    rng = random.Random(seed)
    n = 0
    while time.monotonic() + 12 < deadline:
        time.sleep(rng.uniform(0.5, 8))
        fill(disk + "/filler")
        time.sleep(rng.choice((rng.uniform(0, 0.5), rng.uniform(0, 8))))
        os.unlink(disk + "/filler")
        n += 1
    print(f"the disk was full {n} times", flush=True)


def resident_bytes(m):
    with open(f"/proc/{m.daemon.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def sessions_of(m):
    return [name for name in os.listdir(m.at("sessions")) if name not in ("new", "error", "last")]


def remove_all(m):
    for name in sessions_of(m):
        os.rmdir(m.at("sessions/" + name))


def everything(m):
    """What the sessions say, those that say it."""
    said = {}
    for session in sessions_of(m):
        for name in KEPT_FILES:
            try:
                said[session, name] = m.read(f"sessions/{session}/{name}")
            except OSError as error:
                said[session, name] = errno.errorcode[error.errno]
    return said


def fork(run, *arguments):
    pid = os.fork()
    if pid == 0:
        run(*arguments)
        sys.stdout.flush()
        os._exit(0)
    return pid


def watch(m, clients, others, deadline, progress):
    """Waits for the processes, and wakes clients that hang; the daemon's resident memory at each tenth of the time."""
    seen, begun = [], time.monotonic()
    idle = {number: (0, 0) for number in clients}  # by its number, a client's progress and for how many tenths of a second
    while clients or others:
        clients = {number: pid for number, pid in clients.items() if os.waitpid(pid, os.WNOHANG)[0] == 0}
        others = [pid for pid in others if os.waitpid(pid, os.WNOHANG)[0] == 0]
        for number, pid in clients.items():
            last, n = idle[number]
            idle[number] = (progress[number], n + 1 if last == progress[number] else 0)
            if n == HANG_SECONDS * 10:
                os.kill(pid, signal.SIGUSR1)
        if len(seen) < 11 and m.daemon.poll() is None and time.monotonic() >= begun + (deadline - begun) * len(seen) / 10:
            seen.append(resident_bytes(m) / 1048576)
        time.sleep(0.1)
    return seen


def reports(m, n_clients):
    """(actions, answers compared, clients that failed, names of sessions that were made)"""
    n_actions = n_compared = n_failed = 0
    names = []
    for number in range(n_clients):
        with open(os.path.join(m.scratch, f"client{number}")) as report:
            said = report.read()
        if said.startswith("ok "):
            n_actions += int(said.split()[1])
            n_compared += int(said.split()[2])
            names += said.splitlines()[1:]
        else:
            n_failed += 1
            print(f"client {number}: {said or 'it was killed'}")
    return n_actions, n_compared, n_failed, names


def check_messages(m, state):
    """Only what a full disk makes it say."""
    complaints = [line for line in m.messages().splitlines() if state not in line]
    assert not complaints, complaints


def check_nothing_is_left(m, names, n_fds):
    until(lambda: m.metric("open_files") == 1, "all files are released")
    until(lambda: m.metric("requests_running") + m.metric("requests_queued") == 0, "all turns have ended")
    if kernel_forgets_when_asked():
        with contextlib.suppress(AssertionError):
            until(lambda: m.metric("held_bytes") == 0, "all names are forgotten", 30)
        print(f"{int(m.metric('held_bytes'))} bytes are held for what the kernel was asked to forget", flush=True)
    for name in names:  # an older one forgets a name that is gone when it is asked for it
        assert not os.path.exists(m.at(name))
    if os.geteuid() == 0:  # one whose last use followed its lookup at once, it remembers until it needs the memory
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("2")
        until(lambda: m.metric("held_bytes") == 0, "all bytes are given back")
    left = {name: m.metric(name) for name in ("sessions", "parked_requests")}
    assert m.metric("held_bytes") <= 4096 * len(names), "what was said in removed sessions is kept"
    assert not any(left.values()), left
    assert m.metric("kv_pages_free") == m.metric("kv_pages"), "pages are held"
    more_fds = len(os.listdir(f"/proc/{m.daemon.pid}/fd")) - n_fds
    assert more_fds == 0, f"{more_fds} descriptors are left"


def check_the_journal(m, state):
    """Another daemon, with a copy of the journal as it is, says what this one says."""
    wanted = everything(m)
    with tempfile.TemporaryDirectory(prefix="tokfs-soak.") as path:
        shutil.copytree(state, path + "/s")
        with Mount("--state", path + "/s", "--max-sessions", "300") as other:
            got = everything(other)
    differ = [key for key in {**wanted, **got} if wanted.get(key) != got.get(key)]
    assert not differ, [(key, wanted.get(key), got.get(key)) for key in differ[:3]]
    return len({session for session, _ in wanted})


@contextlib.contextmanager
def state_directory(on_disk):
    if on_disk:
        with small_disk(DISK_SIZE) as disk:
            yield disk and disk + "/s", disk
    else:
        with tempfile.TemporaryDirectory(prefix="tokfs-soak.") as path:
            yield path + "/s", None


def soak(seconds, n_clients, seed, on_error):
    """on_error: of --on-journal-error, with a disk that is full now and then; None: with room always."""
    must_fail = on_error == "fail"
    with state_directory(on_error is not None) as (state, disk):
        if not state:
            return
        options = ["--state", state, "--max-sessions", "300", "--journal-slack", "4M", "--on-journal-error", on_error or "fail"]
        with Mount(*options, TOKFS_FAKE_TOKEN_US="500") as m:
            answers = {}
            for question in QUESTIONS:
                for limit in LIMITS:
                    name = m.session("reference")
                    m.write(name + "/input", request(question, limit))
                    answers[question, limit] = m.read(name + "/text")
                    os.rmdir(m.at(name))
            n_fds = len(os.listdir(f"/proc/{m.daemon.pid}/fd"))
            deadline = time.monotonic() + seconds
            progress = mmap.mmap(-1, n_clients)
            clients = {number: fork(run_client, m, answers, number, seed, deadline, must_fail, progress) for number in range(n_clients)}
            others = [fork(fill_now_and_then, disk, seed, deadline)] if disk else []
            resident = watch(m, clients, others, deadline, progress)
            n_actions, n_compared, n_failed, names = reports(m, n_clients)
            assert m.daemon.poll() is None, f"the daemon ended with {m.daemon.returncode}: {m.messages()}"
            until(lambda: m.read("health") == b"ok\n", "the journal is in order")
            until(lambda: m.metric("requests_running") + m.metric("requests_queued") == 0, "all turns have ended")
            n_errors, n_compactions = m.metric("journal_errors_total"), m.metric("journal_compactions_total")
            n_kept = check_the_journal(m, state)
            remove_all(m)
            check_nothing_is_left(m, names, n_fds)
            resident.append(resident_bytes(m) / 1048576)
            assert n_failed == 0, f"{n_failed} clients failed"
            check_messages(m, state)
            print(f"{n_clients} clients, {seconds} s: {n_actions} actions, {n_compared} answers compared, {n_kept} sessions read "
                  f"from the journal; {int(n_errors)} errors of the journal, {int(n_compactions)} compactions; resident MiB "
                  + " ".join(f"{n:.1f}" for n in resident), flush=True)
            # The end of the mount asserts that all counts are zero; its exit status is looked at.


def main():
    parser = argparse.ArgumentParser(description="Random clients on a mount with a journal.")
    parser.add_argument("seconds", type=float, nargs="?", default=60)
    parser.add_argument("clients", type=int, nargs="?", default=12)
    parser.add_argument("seed", type=int, nargs="?", default=int(time.time()))
    parser.add_argument("--full-disk", action="store_true",
                        help="half of the time with --on-journal-error fail, half with continue, on a disk that is full now and then")
    options = parser.parse_args()
    need_fuse()
    print("seed", options.seed, flush=True)
    if options.full_disk:
        for on_error in "fail", "continue":
            print("--on-journal-error", on_error, flush=True)
            soak(options.seconds / 2, options.clients, options.seed, on_error)
    else:
        soak(options.seconds, options.clients, options.seed, None)


if __name__ == "__main__":
    main()
