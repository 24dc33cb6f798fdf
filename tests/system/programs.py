#!/usr/bin/env python3
"""The manual's one-liners from Python, Perl and curl, and what other programs make of the mount's files: each copies whole answers,
and none that walks the tree hangs or starts a generation. A program that is not here is left out and named.
"""
import errno
import json
import mmap
import os
import pty
import select
import shutil
import signal
import subprocess
import threading
import time

from mount import ENDLESS, LONG_TOKENS, Mount, raises, run_tests, until

SLOW = {"TOKFS_FAKE_TOKEN_US": "2000"}


def body(text, **fields):
    return json.dumps({"messages": [{"role": "user", "content": text}], "temperature": 0, **fields})


LONG = body("count 5000", ignore_eos=True, max_tokens=LONG_TOKENS)
FOREVER = json.dumps(ENDLESS)
REQUEST = body("Why is the sky blue?", max_tokens=40)


def has(program):
    if shutil.which(program):
        return True
    print(f"        no {program} here: not tried")
    return False


def run(*command, cwd=None, text=None, **environment):
    result = subprocess.run(command, cwd=cwd, input=text, capture_output=True, timeout=300, env={**os.environ, **environment})
    assert result.returncode == 0, (command, result.returncode, result.stderr)
    return result.stdout


def answer(m):
    """What the request is answered with."""
    name = m.session("reference")
    m.write(name + "/input", REQUEST)
    return m.read(name + "/text")


# ---- Python --------------------------------------------------------------------------------------------------------


def test_python_asks():
    with Mount() as m, open(m.at("ask"), "r+b", buffering=0) as ask:
        for question in b"hello there\n", b"and again\n":  # two turns on one descriptor
            ask.write(question)
            assert ask.read()


def test_python_makes_a_session_of_a_request():
    with Mount() as m:
        wanted = answer(m)
        with open(m.at("sessions/new"), "r+b", buffering=0) as new:
            new.write(REQUEST.encode())
            name = new.readline().decode().strip()
        assert m.read(f"sessions/{name}/output") == wanted
        with open(m.at("sessions/new"), "w") as new:  # buffered: one write at the close
            new.write(REQUEST)
        assert m.read("sessions/last/output") == wanted


def test_python_converses():
    with Mount() as m:
        name = m.at(m.session("bob"))
        with open(name + "/system", "w") as file:
            file.write("Be terse\n")
        with open(name + "/params", "w") as file:
            print("temperature", 0, file=file)
        for i in range(3):
            with open(name + "/input", "w") as file:
                print("turn", i, file=file)
            with open(name + "/output") as file:
                assert file.read()
        with open(name + "/messages") as file:
            assert [x["role"] for x in json.load(file)] == ["system"] + ["user", "assistant"] * 3
        with open(name + "/input", "w") as file:
            file.write(LONG)
        with open(name + "/ctl", "w") as file:
            print("cancel", file=file)
        with open(name + "/wait") as file:
            assert file.readline().split()[0] in ("cancelled", "done")


def test_python_follows_a_conversation():
    """A file that has come to its end goes on with the next turn, as for tail -f."""
    with Mount() as m:
        name = m.session("bob")
        with open(m.at(name + "/output"), "rb", buffering=0) as output:
            assert output.read() == b""
            for i in range(3):
                m.write(name + "/input", body(f"turn {i}", max_tokens=20))
                whole = m.read(name + "/text")
                got = b""
                while len(got) < len(whole):
                    got += output.read() or b""
                assert got == whole


def test_python_transacts():
    with Mount() as m:
        wanted = answer(m).decode()
        with open(m.at("v1/chat/completions"), "r+b", buffering=0) as file:
            file.write(REQUEST.encode())
            assert json.loads(file.read())["choices"][0]["message"]["content"] == wanted


def test_python_runs_a_batch():
    with Mount() as m:
        wanted = answer(m)
        results = {}

        def one(i):
            name = m.session(f"n{i}")
            m.write(name + "/input", REQUEST)
            shutil.copyfile(m.at(name + "/text"), os.path.join(m.scratch, f"n{i}.txt"))
            with open(os.path.join(m.scratch, f"n{i}.txt"), "rb") as file:
                results[i] = file.read()

        threads = [threading.Thread(target=one, args=(i,)) for i in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(results[i] == wanted for i in range(12))


# ---- Perl ----------------------------------------------------------------------------------------------------------


def perl(m, program, *args):
    head = "use strict; use warnings; use Fcntl; sub slurp { open my $f, '<', shift or die \"$!\"; local $/; my $t = <$f>; " \
           "close $f or die \"$!\"; $t // '' } sub spew { open my $f, '>', shift or die \"$!\"; print $f @_ or die \"$!\"; " \
           "close $f or die \"$!\" } $| = 1; "
    return run("perl", "-e", head + program, *args, cwd=m.path)


def test_perl():
    if not has("perl"):
        return
    with Mount() as m:
        wanted = answer(m)
        both = perl(m, "open my $f, '+<', 'ask' or die $!; for ('hello there', 'and again') { syswrite $f, \"$_\\n\" or die $!; "
                       "while (sysread $f, my $piece, 65536) { print $piece } print \"|\" }")
        assert both.count(b"|") == 2 and all(both.split(b"|")[:2]), both
        assert perl(m, "open my $f, '+<', 'sessions/new' or die $!; syswrite $f, $ARGV[0] or die $!; sysread $f, my $id, 100; "
                       "chomp $id; print slurp(\"sessions/$id/output\")", REQUEST) == wanted
        assert perl(m, "spew('sessions/new', $ARGV[0]); print slurp('sessions/last/output')", REQUEST) == wanted
        assert perl(m, "mkdir 'sessions/bob' or die $!; spew('sessions/bob/system', \"Be terse\\n\"); "
                       "spew('sessions/bob/params', \"temperature 0\\n\"); spew('sessions/bob/input', \"hi\\n\"); "
                       "print slurp('sessions/bob/output')")
        assert perl(m, "spew('sessions/bob/input', \"more\\n\"); print slurp('sessions/bob/output')")
        assert len(json.loads(m.read("sessions/bob/messages"))) == 5
        assert perl(m, "spew('sessions/bob/input', $ARGV[0]); spew('sessions/bob/ctl', 'cancel'); print slurp('sessions/bob/wait')",
                    LONG).split()[0] in (b"cancelled", b"done")
        assert perl(m, "use File::Copy; copy('sessions/reference/text', $ARGV[0]) or die $!; print slurp($ARGV[0])",
                    os.path.join(m.scratch, "copy")) == wanted
        assert json.loads(perl(m, "open my $f, '+<', 'v1/chat/completions' or die $!; syswrite $f, $ARGV[0] or die $!; "
                                  "local $/; print <$f>", REQUEST))["object"] == "chat.completion"
        refused = subprocess.run(["perl", "-e", "open my $f, '+<', 'v1/chat/completions'; syswrite $f, '{}' or exit $!"], cwd=m.path)
        assert refused.returncode == errno.EINVAL
        perl(m, "rmdir 'sessions/bob' or die $!")
        assert not os.path.exists(m.at("sessions/bob"))


# ---- curl ----------------------------------------------------------------------------------------------------------


def test_curl():
    if not has("curl"):
        return

    def curl(*args):
        return run("curl", "-sS", *args)

    with Mount() as m:
        wanted = answer(m)
        request = os.path.join(m.scratch, "request.json")
        with open(request, "w") as file:
            file.write(REQUEST)
        url = "file://" + m.path
        run("sh", "-c", f"curl -sS -T {request} {url}/sessions/new && cat {m.path}/sessions/last/output >{m.scratch}/out")
        with open(m.scratch + "/out", "rb") as file:
            assert file.read() == wanted
        m.session("bob")
        curl("-T", request, url + "/sessions/bob/input")
        assert curl(url + "/sessions/bob/text") == wanted
        assert curl(url + "/v1/models") == m.read("v1/models")
        with open(request, "w") as file:
            file.write("Be terse\n")
        curl("-T", request, url + "/sessions/bob/system")
        assert m.read("sessions/bob/system") == b"Be terse\n"
        with open(request, "w") as file:
            file.write('{"messages":5}')
        assert subprocess.run(["curl", "-sS", "-T", request, url + "/sessions/new"], capture_output=True).returncode != 0


# ---- copying -------------------------------------------------------------------------------------------------------

# Each writes what it read of $FILE to $COPY. Those that take the size from a stat(2) before they open copy only what is there.
COPIERS = [
    ("cat", 'cat "$FILE" >"$COPY"'),
    ("cp", 'cp "$FILE" "$COPY"'),
    ("cp", 'cp -p --sparse=always --reflink=auto "$FILE" "$COPY"'),
    ("dd", 'dd if="$FILE" of="$COPY" bs=7 status=none'),
    ("head", 'head -c 100000000 "$FILE" >"$COPY"'),
    ("tail", 'tail -c +1 "$FILE" >"$COPY"'),
    ("tar", 'tar -C "$DIR" -cf - text | tar -xOf - >"$COPY"'),
    ("rsync", 'rsync -a "$FILE" "$COPY"'),
    ("rsync", 'rsync --inplace --no-whole-file "$FILE" "$COPY"'),
    ("busybox", 'busybox cat "$FILE" >"$COPY"'),
    ("busybox", 'busybox cp "$FILE" "$COPY"'),
    ("busybox tar", 'busybox tar -C "$DIR" -cf - text | tar -xOf - >"$COPY"'),
    ("install", 'install -m 600 "$FILE" "$COPY"'),
    ("python3", 'python3 -c "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])" "$FILE" "$COPY"'),
    ("curl", 'curl -sS "file://$FILE" >"$COPY"'),
    ("awk", 'awk 1 ORS= RS="\\001" "$FILE" >"$COPY"'),
    ("cpio", 'cd "$DIR" && echo text | cpio -o --quiet | cpio -i --quiet --to-stdout >"$COPY"'),
]


def test_text_is_copied_whole():
    """While the answer grows, and when it is there."""
    with Mount(**SLOW) as m:
        request = body("count 300", max_tokens=100, ignore_eos=True)
        reference = m.session("reference")
        m.write(reference + "/input", request)
        wanted = m.read(reference + "/text")
        for i, (program, command) in enumerate(COPIERS):
            if not has(program.split()[0]):
                continue
            name = m.session(f"s{i}")
            copy = os.path.join(m.scratch, "copy")
            for what in "growing", "done":
                if what == "growing":
                    m.write(name + "/input", request)
                if program in ("busybox tar", "cpio"):
                    m.read(name + "/wait")
                run("sh", "-c", command, FILE=m.at(name + "/text"), DIR=m.at(name), COPY=copy)
                with open(copy, "rb") as file:
                    assert file.read() == wanted, (what, command)
                os.unlink(copy)


def test_text_is_mapped_and_spliced():
    with Mount(**SLOW) as m:
        name = m.session("s")
        m.write(name + "/input", body("count 300", max_tokens=100, ignore_eos=True))
        wanted = m.read(name + "/text")
        with open(m.at(name + "/text"), "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            assert mapped[:] == wanted
        fd = os.open(m.at(name + "/text"), os.O_RDONLY)
        end, begin = os.pipe()
        got = b""
        while (n := os.splice(fd, begin, 4096)) > 0:
            got += os.read(end, n)
        assert got == wanted
        for file in fd, end, begin:
            os.close(file)


# ---- walking -------------------------------------------------------------------------------------------------------

WALKERS = [
    ("grep", ["grep", "-r", "-s", "role", "."]),
    ("grep", ["grep", "-R", "-s", "-l", "x", "."]),
    ("find", ["find", "."]),
    ("find", ["find", ".", "-type", "f", "-size", "+1k", "-newer", "health"]),
    ("ls", ["ls", "-laR"]),
    ("du", ["du", "-a"]),
    ("tar", ["tar", "-cf", "/dev/null", "--ignore-failed-read", "sessions"]),
    ("wc", ["sh", "-c", "find . -type f -exec wc {} + 2>/dev/null"]),
    ("file", ["sh", "-c", "find . -type f -exec file {} +"]),
    ("busybox", ["busybox", "find", "."]),
    ("python3", ["python3", "-c", "import os\nfor d, _, fs in os.walk('.'):\n for f in fs:\n  try: open(os.path.join(d, f)).read()\n"
                                  "  except OSError: pass"]),
]


def test_walkers_neither_hang_nor_start_anything():
    """Beside idle sessions, one with an answer and one whose answer runs, which they may wait for."""
    with Mount(**SLOW) as m:
        m.session("idle")
        m.write(m.session("done") + "/input", body("hello", max_tokens=3))
        m.read("sessions/done/text")
        busy = m.session("busy")
        for program, command in WALKERS:
            if not has(program):
                continue
            m.write(busy + "/input", LONG)
            before = m.metric("requests_total")
            result = subprocess.run(command, cwd=m.path, capture_output=True, timeout=300)
            assert m.metric("requests_total") == before, command
            assert result.returncode in (0, 1, 2), (command, result)
            m.write(busy + "/ctl", "cancel\n")
            m.read(busy + "/wait")
            m.write(busy + "/ctl", "reset\n")
        assert len(json.loads(m.read("sessions/done/messages"))) == 2


# ---- a terminal ----------------------------------------------------------------------------------------------------


def test_stopped_in_a_shell_and_continued():
    """Ctrl-Z and fg, with a shell that controls its jobs; the turn ends while its reader is stopped."""
    with Mount(endless=True) as m:
        name = m.session("s")
        m.write(name + "/input", FOREVER)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        said = b""

        def read_until(word):
            nonlocal said
            deadline = time.monotonic() + 300
            while word not in said:
                ready, _, _ = select.select([terminal], [], [], 1)
                assert time.monotonic() < deadline, (word, said[-500:])
                said += os.read(terminal, 65536) if ready else b""
            said = said.split(word, 1)[1]

        try:
            os.write(terminal, f"cd {m.path}; PS1='rea''dy> '; bind 'set enable-bracketed-paste off'\n".encode())
            read_until(b"ready> ")
            os.write(terminal, f"cat {name}/output {name}/wait >{m.scratch}/copy\n".encode())
            until(lambda: m.metric("parked_requests") >= 1, "cat waits")
            os.write(terminal, b"\x1a")
            read_until(b"Stopped")
            read_until(b"ready> ")
            m.write(name + "/ctl", "cancel\n")
            os.write(terminal, b"fg\n")
            read_until(b"ready> ")
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(terminal)
        said = json.loads(m.read(name + "/messages"))[-1]["content"].encode()
        with open(m.scratch + "/copy", "rb") as file:
            got = file.read()
        assert said and got == said + m.read(name + "/wait"), (len(got), len(said), got[-100:])


def test_select_waits_for_bytes():
    with Mount(**SLOW) as m:
        name = m.session("s")
        fds = {file: os.open(m.at(f"{name}/{file}"), os.O_RDONLY) for file in ("output", "events", "wait")}
        for file in "output", "events":
            assert os.read(fds[file], 10) == b"", file  # the end of no turn, told once
        ask = os.open(m.at("ask"), os.O_RDWR | os.O_NONBLOCK)
        m.write(name + "/input", LONG)
        os.write(ask, LONG.encode())
        assert select.select([], [ask], [], 0)[1] == [ask]
        waiting = {fds["output"], fds["events"], fds["wait"], ask}
        seen = set()
        while seen != waiting:
            ready, _, _ = select.select(list(waiting - seen), [], [], 60)
            assert ready, "select timed out"
            for fd in ready:
                assert os.read(fd, 10)
                seen.add(fd)
        with raises(errno.EAGAIN):
            while os.read(ask, 65536):
                pass
            raise BlockingIOError(errno.EAGAIN, "it had ended")
        for fd in (*fds.values(), ask):
            os.close(fd)


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
