#!/usr/bin/env python3
"""The daemon's life: starting in the background, refusing to start, draining, being killed, being mounted again."""
import contextlib
import ctypes
import errno
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time

from mount import ENDLESS, LONG_TOKENS, Mount, raises, run_tests, transact, until

LONG = json.dumps({"messages": [{"role": "user", "content": "count 5000"}], "ignore_eos": True, "max_tokens": LONG_TOKENS})
FOREVER = json.dumps(ENDLESS)
BIN = os.environ.get("TOKFS_BIN", "")
DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/demo/model")
MODEL = os.environ.get("TOKFS_MODEL", "demo")


def tokfs(*arguments):
    return subprocess.run([BIN, *arguments], capture_output=True, text=True, timeout=300)


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


def refused(path, words, *options, model=MODEL, status=None):
    result = tokfs(*options, model, path)
    assert result.returncode not in (0, None), f"started: {options} {model} {path}"
    assert status in (None, result.returncode), f"status {result.returncode}: {options} {model} {path}"
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
        refused(path + "/m", ["-o no_such_option", "`-o no_such_option'"], "-o", "no_such_option", status=2)
        refused(path + "/m", ["-o max_read=abc", "max_read"], "-o", "max_read=abc", status=2)
        refused(path + "/m", ["--max-sequences", "4096"], "--max-sequences", "5000", status=2)
        refused(path + "/m", ["MOUNTPOINT", path], path, status=2)
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
            refused(path + "/m", ["--kv-mem", "1024 bytes"], "--kv-mem", "1K", model=path, status=1)
            refused(path + "/m", ["--kv-mem", "32 tokens"], "--kv-mem", "40960", model=path, status=1)
            refused(path + "/m", ["--kv-mem", "free"], "--kv-mem", "999999T", model=path, status=1)
            refused(path + "/m", ["--kv-mem with --ctx"], "--kv-mem", "100K", "--ctx", "2000", model=path, status=1)
            refused(path + "/m", ["--ctx", "8 tokens", "32"], "--ctx", "8", model=path, status=1)
            refused(path + "/m", ["--ctx", "100000", "limit of 2048"], "--ctx", "100000", model=path, status=1)
            for text in "", "[1]", "{":
                with open(path + "/generation_config.json", "w") as file:
                    file.write(text)
                refused(path + "/m", [path, "generation_config.json: "], model=path, status=1)


def test_a_pipe_in_place_of_a_file_is_refused():
    if "fake" in BIN:
        return
    for name in "config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "generation_config.json":
        with tempfile.TemporaryDirectory() as path:
            os.mkdir(path + "/m")
            demo_copy(path)
            os.unlink(os.path.join(path, name))
            os.mkfifo(os.path.join(path, name))
            refused(path + "/m", [path, name, "not a regular file"], model=path, status=1)


def test_the_tokenizer_of_a_larger_model_is_refused():
    if "fake" in BIN:
        return
    with tempfile.TemporaryDirectory() as path:
        os.mkdir(path + "/m")
        demo_copy(path)
        with open(path + "/config.json") as file:
            config = json.load(file)
        config["vocab_size"] = 1000
        with open(path + "/config.json", "w") as file:
            json.dump(config, file)
        refused(path + "/m", [path, "tokenizer", "1023", "vocab_size of 1000"], model=path, status=1)


def demo_copy(path):
    for name in os.listdir(DEMO):
        shutil.copy(os.path.join(DEMO, name), path)


def set_template(path, template):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path + "/chat_template.jinja")
    with open(path + "/tokenizer_config.json") as file:
        config = json.load(file)
    config["chat_template"] = template
    with open(path + "/tokenizer_config.json", "w") as file:
        json.dump(config, file)


def test_a_template_that_fills_the_context_is_refused():
    if "fake" in BIN:
        return
    with tempfile.TemporaryDirectory() as path:
        os.mkdir(path + "/m")
        demo_copy(path)
        set_template(path, "word " * 100 + "{{ messages[0].content }}")
        refused(path + "/m", ["--ctx", "context's 64"], "--ctx", "64", model=path, status=1)
        refused(path + "/m", ["--kv-mem", "no room"], "--kv-mem", "100K", model=path, status=1)
        with Mount("--ctx", "2000", model=path) as m:
            assert not m.messages(), m.messages()


def test_no_template_is_warned_of_and_chats_are_refused():
    if "fake" in BIN:
        return
    for template in None, "", " \n":
        with tempfile.TemporaryDirectory() as path:
            demo_copy(path)
            set_template(path, template)
            with Mount(model=path) as m:
                assert "warning" in m.messages() and f"{path} has no chat template" in m.messages(), m.messages()
                with raises(errno.EOPNOTSUPP):
                    m.write("sessions/new", LONG)
                assert b"no chat template" in m.read("sessions/error")


def test_a_context_cut_by_memory_is_warned_of():
    if "fake" in BIN:
        return
    with Mount("--kv-mem", "1M") as m:
        assert "warning" in m.messages() and "--kv-mem" in m.messages() and "2048" in m.messages(), m.messages()
    with Mount("--kv-mem", "1M", "--ctx", "256") as m:
        assert not m.messages(), m.messages()


def test_packed_weights_are_kept_and_taken():
    if "fake" in BIN:
        return
    ask = {"messages": [{"role": "user", "content": "What is 7 plus 5?"}], "seed": 1, "max_tokens": 20}
    with tempfile.TemporaryDirectory() as path:
        demo_copy(path)
        packed = path + "/tokfs-cpu-stored.packed"
        answers, options = [], ["--pack-cache", "auto", "--device", "cpu", "--log-level", "info"]
        for words in "packed weights kept", "packed weights taken", "made anew", "others may write it":
            if words == "made anew":
                os.truncate(packed, 100000)
            if words == "others may write it":
                os.chmod(packed, 0o666)
            with Mount(*options, model=path) as m:
                assert words in m.messages() and ("warning: --pack-cache" in m.messages()) == ("others" in words), m.messages()
                answers.append(json.loads(transact(m, "v1/chat/completions", ask))["choices"])
        assert answers == answers[:1] * 4, answers


def close_standard_files():
    os.closerange(0, 3)


def test_start_without_standard_files():
    with tempfile.TemporaryDirectory() as path:
        assert subprocess.run([BIN, MODEL, path], preexec_fn=close_standard_files, timeout=300).returncode == 0
        try:
            with open(path + "/health") as file:
                assert file.read() == "ok\n"
        finally:
            subprocess.run(["fusermount3", "-u", path], check=True)
        assert subprocess.run([BIN, "--help"], preexec_fn=close_standard_files, timeout=300).returncode == 0
        assert subprocess.run([BIN, "--bogus"], preexec_fn=close_standard_files, timeout=300).returncode == 2


def test_too_few_descriptors_are_told():
    def limit(soft, hard):
        return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    with tempfile.TemporaryDirectory() as path:
        result = subprocess.run([BIN, MODEL, path], capture_output=True, text=True, timeout=300, preexec_fn=limit(8, 8))
        assert result.returncode == 1 and "ulimit -n) is 8" in result.stderr and not is_mounted(path), result.stderr
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        result = subprocess.run([BIN, MODEL, path], timeout=300, preexec_fn=limit(8, hard))  # a soft one is no obstacle
        subprocess.run(["fusermount3", "-u", path], check=True)
        assert result.returncode == 0


@contextlib.contextmanager
def held_while_loading(*options, path):
    """The program with a terminal that takes no output (as after Ctrl-S): it loads until it tells of its progress."""
    master, terminal = os.openpty()
    termios.tcflow(terminal, termios.TCOOFF)
    process = subprocess.Popen([BIN, *options, MODEL, path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=terminal, start_new_session=True)
    try:
        def loading():
            pid = process.pid
            if "-f" not in options:
                with open(f"/proc/{pid}/task/{pid}/children") as file:
                    pid = int(file.read().split()[0])
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            is_asleep = fields[0] == "S" and len(os.listdir(f"/proc/{pid}/fd")) > 4
            return fields[11:13] if is_asleep else None  # the processor time that it has had

        def settled():
            try:
                before = loading()
                return before and all(time.sleep(0.05) or loading() == before for _ in range(6))
            except (OSError, IndexError):
                return False

        until(settled, "it loads")
        assert process.poll() is None and not is_mounted(path)
        yield process, master, terminal
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(master)
        os.close(terminal)
        subprocess.run(["fusermount3", "-u", "-q", "-z", path], stderr=subprocess.DEVNULL)


def is_pending(pid, sig):
    with open(f"/proc/{pid}/status") as file:
        pending = next(line.split()[1] for line in file if line.startswith("ShdPnd:"))
    return int(pending, 16) >> (sig - 1) & 1


def has_processes(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_signal_while_loading_ends_it_at_once():
    for options, sig in (("-f",), signal.SIGINT), (("-f",), signal.SIGTERM), ((), signal.SIGINT), ((), signal.SIGTERM):
        with tempfile.TemporaryDirectory() as path, held_while_loading(*options, path=path) as (process, master, terminal):
            process.send_signal(sig)  # without -f: to the process that was started alone, not to the one that loads
            until(lambda: not is_pending(process.pid, sig), "it is taken and passed on")
            time.sleep(0.2)
            termios.tcflow(terminal, termios.TCOON)
            assert process.wait(300) == 1, (options, sig, process.returncode)
            said = os.read(master, 4096)
            assert b"tokfs: interrupted while loading" in said, said
            assert not is_mounted(path)
            until(lambda: not has_processes(process.pid), "nobody is left")


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
        result = subprocess.run([BIN, MODEL, path], capture_output=True, text=True, timeout=300, preexec_fn=forbid_io_uring)
        assert result.returncode == 1 and "io_uring" in result.stderr and result.stderr.count("\n") == 1, result.stderr
        assert not is_mounted(path)


def test_help_and_version():
    assert "usage: tokfs" in tokfs("--help").stdout
    assert tokfs("--version").stdout.startswith("tokfs ")


def test_sigterm_lets_running_answers_end():
    def drains():
        try:
            return m.read("health") != b"ok\n"
        except OSError:
            return True  # it has ended

    with Mount(TOKFS_FAKE_TOKEN_US="8000") as m:
        os.mkdir(m.at("sessions/s"))
        m.write("sessions/s/input", LONG)
        out = open(m.at("sessions/s/output"), "rb", buffering=0)
        more = os.open(m.at("sessions/new"), os.O_WRONLY)
        m.daemon.send_signal(signal.SIGTERM)
        until(drains, "it drains")
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
        assert m.daemon.wait(300) == 0
        assert not is_mounted(m.path)


def test_sigterm_twice_is_at_once():
    with Mount(endless=True) as m:
        os.mkdir(m.at("sessions/s"))
        m.write("sessions/s/input", FOREVER)
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
        m.daemon.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        if m.daemon.poll() is None:
            m.daemon.send_signal(signal.SIGINT)
        assert m.daemon.wait(300) == 0
        thread.join(300)
        assert not thread.is_alive(), "a reader hangs"
        assert codes and codes[0] in (errno.ENOTCONN, errno.ECONNABORTED), codes  # ECANCELED comes after ten seconds
        with contextlib.suppress(OSError):
            fd_out.close()


def stat_error(path):
    try:
        os.stat(path)
        return 0
    except OSError as error:
        return error.errno


def test_kill_leaves_no_reader_hanging_and_the_mount_point_usable():
    with Mount(endless=True) as m:
        os.mkdir(m.at("sessions/s"))
        m.write("sessions/s/input", FOREVER)
        readers = [subprocess.Popen(["cat", m.at("sessions/s/" + name)], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.PIPE) for name in ("output", "wait", "text", "events")]
        time.sleep(0.1)
        m.daemon.kill()
        m.daemon.wait()
        for reader in readers:
            reader.communicate(timeout=300)
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
