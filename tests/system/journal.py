"""Conversations that outlive the daemon: --state, on the real mount. Crashes by the hundred are in crash.py."""
import contextlib
import errno
import json
import os
import signal
import shutil
import stat
import struct
import subprocess
import tempfile
import time

from mount import LONG_TOKENS, Mount, fill, raises, run_tests, small_disk, until

LONG = f"count {LONG_TOKENS}" if os.environ.get("TOKFS_MODEL") == "null" else "Tell me a long story."
ENDLESS_PARAMS = "temperature 0.9\nseed 5\nignore_eos true\n"  # of Mount(endless=True)
PARAMS = "temperature 0.9\nseed 5\nignore_eos true\nmax_tokens %d\n" % LONG_TOKENS


@contextlib.contextmanager
def directory():
    with tempfile.TemporaryDirectory(prefix="tokfs-state.") as path:
        yield path + "/s"


def restart(mount, sig=signal.SIGKILL):
    mount.stop(sig)
    return mount.start()


def everything(mount, session):
    names = ["system", "params", "tools", "output", "text", "events", "response.json", "messages", "status", "usage", "reasoning"]
    return {name: mount.read(f"{session}/{name}") for name in names}


def test_conversation_comes_back_as_it_was():
    with directory() as state, Mount("--state", state) as m:
        bob = m.session("bob")
        m.write(f"{bob}/system", "Be terse.\n")
        m.write(f"{bob}/params", "temperature 0.5\nseed 3\nmax_tokens 20\n")
        m.write(f"{bob}/tools", '{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}')
        m.write(f"{bob}/input", "Hello there\n")
        m.read(f"{bob}/text")
        m.write(f"{bob}/input", "And again\n")
        m.read(f"{bob}/text")
        before = everything(m, bob)
        restart(m)
        assert everything(m, bob) == before, "after kill -9"
        restart(m, signal.SIGTERM)
        assert everything(m, bob) == before, "after SIGTERM"
        status = os.stat(m.at(bob))
        assert stat.S_IMODE(status.st_mode) == 0o700 and status.st_uid == os.geteuid()
        m.write(f"{bob}/input", "A third time\n")
        m.read(f"{bob}/text")
        assert len(json.loads(m.read(f"{bob}/messages"))) == 7


def test_names_come_back_and_what_was_removed_does_not():
    with directory() as state, Mount("--state", state) as m:
        fd = os.open(m.at("sessions/new"), os.O_RDWR)
        os.write(fd, b'{"messages":[{"role":"user","content":"hi"}],"max_tokens":3}')
        name = os.read(fd, 100).decode().strip()
        os.close(fd)
        m.session("gone")
        m.session("old")
        os.rename(m.at("sessions/old"), m.at("sessions/renamed"))
        os.rmdir(m.at("sessions/gone"))
        inode = os.stat(m.at("sessions/renamed")).st_ino
        restart(m)
        assert set(os.listdir(m.at("sessions"))) == {"new", "error", "last", name, "renamed"}
        assert os.readlink(m.at("sessions/last")) == "renamed"
        assert os.stat(m.at("sessions/renamed")).st_ino == inode
        m.session("another")
        assert os.stat(m.at("sessions/another")).st_ino > inode


def test_running_turn_goes_on_and_ends_the_same():
    with Mount() as m:
        bob = m.session("bob")
        m.write(f"{bob}/params", PARAMS)
        m.write(f"{bob}/input", LONG + "\n")
        wanted = m.read(f"{bob}/text")
    for sig in (signal.SIGKILL, signal.SIGTERM):
        with directory() as state, Mount("--state", state, TOKFS_FAKE_TOKEN_US="5000") as m:
            bob = m.session("bob")
            m.write(f"{bob}/params", PARAMS)
            m.write(f"{bob}/input", LONG + "\n")
            until(lambda: m.read(f"{bob}/status").startswith((b"decode", b"done")), "it runs")
            if sig == signal.SIGTERM:
                m.daemon.send_signal(sig)  # twice: in a hurry
            restart(m, sig)
            assert m.read(f"{bob}/text") == wanted, f"after signal {sig}"
            assert len(json.loads(m.read(f"{bob}/messages"))) == 2


def test_cancel_and_reset_are_kept():
    with directory() as state, Mount("--state", state, endless=True) as m:
        bob, ann = m.session("bob"), m.session("ann")
        for session in (bob, ann):
            m.write(f"{session}/params", ENDLESS_PARAMS)
            m.write(f"{session}/input", "count 100000\n")
            until(lambda s=session: m.read(f"{s}/status").startswith(b"decode"), "it runs")
        m.write(f"{bob}/ctl", "cancel\n")
        m.write(f"{ann}/ctl", "reset\n")
        restart(m)
        until(lambda: m.read(f"{bob}/status").startswith(b"cancelled"), "it is cancelled")
        assert json.loads(m.read(f"{ann}/messages")) == []
        m.write(f"{ann}/params", "max_tokens 5\nignore_eos false\n")
        m.write(f"{ann}/input", "hi\n")
        m.read(f"{ann}/text")


def test_text_that_was_written_is_a_turn_after_kill():
    with directory() as state, Mount("--state", state) as m:
        bob = m.session("bob")
        m.write(f"{bob}/params", "max_tokens 4\n")
        fd = os.open(m.at(f"{bob}/input"), os.O_WRONLY)
        os.write(fd, b"Hello ")
        os.write(fd, b"there\n")
        system = os.open(m.at(f"{bob}/system"), os.O_WRONLY | os.O_TRUNC)
        os.write(system, b"Be brief.\n")
        restart(m)
        for lost in (fd, system):
            with contextlib.suppress(OSError):
                os.close(lost)
        m.read(f"{bob}/text")
        messages = json.loads(m.read(f"{bob}/messages"))
        assert messages[0] == {"role": "system", "content": "Be brief."}, messages
        assert {"role": "user", "content": "Hello there"} in messages, messages


def test_state_directory_is_nobody_elses_and_one_daemons():
    with directory() as state, Mount("--state", state) as m:
        assert stat.S_IMODE(os.stat(state).st_mode) == 0o700
        assert [(name, stat.S_IMODE(os.stat(f"{state}/{name}").st_mode)) for name in os.listdir(state)] == [("journal", 0o600)]
        other = m.scratch + "/other"
        os.mkdir(other)
        result = subprocess.run([os.environ["TOKFS_BIN"], "-f", "--state", state, m.model, other], capture_output=True, text=True,
                                check=False)
        assert result.returncode == 1 and "another tokfs uses it" in result.stderr, result
        m.stop()
        os.chmod(state, 0o755)
        result = subprocess.run([os.environ["TOKFS_BIN"], "-f", "--state", state, m.model, other], capture_output=True, text=True,
                                check=False)
        assert result.returncode == 1 and "its mode is 0755" in result.stderr, result
        os.chmod(state, 0o700)
        with open(f"{state}/journal", "r+b") as file:
            file.write(b"something else")
        result = subprocess.run([os.environ["TOKFS_BIN"], "-f", "--state", state, m.model, other], capture_output=True, text=True,
                                check=False)
        assert result.returncode == 1 and f"{state}/journal" in result.stderr, result


def test_other_weights_are_refused():
    """The same model with other numbers in it would go on with answers otherwise."""
    with directory() as state, tempfile.TemporaryDirectory() as path:
        if os.environ["TOKFS_MODEL"] != "demo":
            return
        shutil.copytree(os.path.join(os.environ["TOKFS_SOURCE_ROOT"], "tools/demo/model"), path + "/demo")
        with Mount("--state", state, model=path + "/demo") as m:
            bob = m.session("bob")
            m.stop()
            weights = path + "/demo/model.safetensors"
            with open(weights, "r+b") as file:
                head = struct.unpack("<Q", file.read(8))[0]
                file.seek(8 + head)
                first = file.read(1)
                file.seek(8 + head)
                file.write(bytes([first[0] ^ 1]))
            other = m.scratch + "/other"
            os.mkdir(other)
            result = subprocess.run([os.environ["TOKFS_BIN"], "-f", "--state", state, m.model, other], capture_output=True, text=True,
                                    check=False)
            assert result.returncode == 1 and "with other weights" in result.stderr, result
            with open(weights, "r+b") as file:
                file.seek(8 + head)
                file.write(first)
            m.start()
            assert os.path.isdir(m.at(bob))


def test_full_disk_fails_what_would_be_lost():
    with small_disk("256k") as disk:
        if not disk:
            return
        with Mount("--state", disk + "/s", "--log-level", "error", endless=True) as m:
            bob = m.session("bob")
            m.write(f"{bob}/params", ENDLESS_PARAMS)
            m.write(f"{bob}/input", "count 100000\n")
            until(lambda: m.read(f"{bob}/status").startswith(b"decode"), "it runs")
            fill(disk + "/filler")
            until(lambda: m.read(f"{bob}/status").startswith(b"error"), "the turn has failed")
            assert b"No space left on device" in m.read(f"{bob}/error")
            assert b"No space left on device" in m.read("health")
            assert m.metric("journal_ok") == 0 and m.metric("journal_errors_total") > 0
            with raises(errno.ENOSPC):
                os.mkdir(m.at("sessions/ann"))
            with raises(errno.ENOSPC):
                m.write(f"{bob}/system", "x")
            with raises(errno.ENOSPC):
                os.rmdir(m.at(bob))
            assert b"No space left on device" in m.messages().encode()
            os.unlink(disk + "/filler")
            until(lambda: m.read("health") == b"ok\n", "it is mended")
            m.write(f"{bob}/params", "max_tokens 5\n")
            m.write(f"{bob}/input", "hello\n")
            before = m.read(f"{bob}/text")
            restart(m)
            assert m.read(f"{bob}/text") == before


def test_full_disk_is_told_where_all_goes_on():
    with small_disk("256k") as disk:
        if not disk:
            return
        options = ["--state", disk + "/s", "--on-journal-error", "continue", "--log-level", "error"]
        with Mount(*options, TOKFS_FAKE_TOKEN_US="2000") as m:
            bob = m.session("bob")
            m.write(f"{bob}/params", PARAMS)
            fill(disk + "/filler")
            m.write(f"{bob}/input", LONG + "\n")
            whole = m.read(f"{bob}/text")
            until(lambda: b"goes on without it" in m.read("health"), "it is told")
            m.session("ann")
            os.unlink(disk + "/filler")
            until(lambda: m.read("health") == b"ok\n", "it is mended")
            restart(m)
            assert m.read(f"{bob}/text") == whole and os.path.isdir(m.at("sessions/ann"))


@contextlib.contextmanager
def disk_that_hangs():
    """A file system of its own, and a function that tells it to hang or to go on; None where there can be none."""
    with tempfile.TemporaryDirectory(prefix="tokfs-disk.") as path:
        with open(path + "/image", "wb") as file:
            file.truncate(16 << 20)
        os.mkdir(path + "/d")
        made = subprocess.run("mkfs.ext4 -q image && mount -o loop image d", cwd=path, shell=True, capture_output=True, check=False)
        if made.returncode != 0 or not shutil.which("fsfreeze"):
            print("        no file system to freeze: not tried")
            subprocess.run(["umount", path + "/d"], capture_output=True, check=False)
            yield None, None
            return
        try:
            yield path + "/d", lambda hangs: subprocess.run(["fsfreeze", "-f" if hangs else "-u", path + "/d"], capture_output=True,
                                                            check=hangs)
        finally:
            subprocess.run(["fsfreeze", "-u", path + "/d"], capture_output=True, check=False)
            subprocess.run(["umount", path + "/d"], check=True)


def mkdir(path):
    """Once more where somebody has stopped and continued this process: a reply that is held can be interrupted."""
    with contextlib.suppress(InterruptedError):
        return os.mkdir(path)
    return mkdir(path)


def interrupted_mkdir(path):
    """Its exit status after SIGINT, which the shell has caught."""
    program = f"trap 'exit 3' INT; echo; mkdir {path}"
    child = subprocess.Popen(["bash", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    with child.stdout:
        child.stdout.readline()  # the trap is set
        time.sleep(0.5)
        os.killpg(child.pid, signal.SIGINT)
        return child.wait(300)


def test_medium_that_hangs_holds_up_nobody():
    with disk_that_hangs() as (disk, hang):
        if not disk:
            return
        with Mount("--state", disk + "/s", "--journal-timeout", "3", "--log-level", "error", TOKFS_FAKE_TOKEN_US="1000") as m, \
                contextlib.ExitStack() as at_end:
            at_end.callback(hang, False)  # before the daemon is to end
            bob, ann = m.session("bob"), m.session("ann")
            m.write(f"{bob}/params", PARAMS)
            m.write(f"{ann}/input", "hello\n")
            before = m.read(f"{ann}/text")
            hang(True)
            m.write("ask", "hello")  # what is not recorded goes on at once
            assert m.read("health") == b"ok\n"
            assert interrupted_mkdir(m.at("sessions/eve")) == 3 and not os.path.exists(m.at("sessions/eve"))
            with raises(errno.ETIMEDOUT):
                mkdir(m.at("sessions/eve"))
            assert b"timed out" in m.read("health") and m.metric("journal_ok") == 0
            assert "does not answer" in m.messages(), m.messages()
            with raises(errno.ETIMEDOUT):
                m.write(f"{bob}/input", "hello\n")
            assert m.read(f"{ann}/text") == before
            with open(m.at("ask"), "r+b", buffering=0) as ask:
                ask.write(b"hello\n")
                assert ask.read(100)
            hang(False)
            until(lambda: m.read("health") == b"ok\n", "it is mended")
            m.write(f"{bob}/input", "hello\n")
            answer = m.read(f"{bob}/text")
            restart(m)
            assert m.read(f"{bob}/text") == answer and m.read(f"{ann}/text") == before
            assert sorted(name for name in os.listdir(m.at("sessions")) if len(name) == 3 and name != "new") == ["ann", "bob"]


def test_grown_journal_is_rewritten():
    with directory() as state, Mount("--state", state, "--journal-slack", "4K", TOKFS_FAKE_TOKEN_US="0") as m:
        bob = m.session("bob")
        m.write(f"{bob}/params", "max_tokens 30\n")
        for i in range(30):
            m.write(f"{bob}/input", f"Turn {i}: count 30\n")
            m.read(f"{bob}/text")
            m.write(f"{bob}/ctl", "reset\n")
        until(lambda: m.metric("journal_compactions_total") > 0, "it is rewritten")
        assert m.metric("journal_bytes") < 40000
        assert os.path.getsize(f"{state}/journal") < 40000
        m.write(f"{bob}/input", "hello\n")
        before = m.read(f"{bob}/text")
        restart(m)
        assert m.read(f"{bob}/text") == before


if __name__ == "__main__":
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
