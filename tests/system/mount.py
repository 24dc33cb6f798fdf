"""What the tests of the mount in Python share: a mount on a directory of its own (standard library only).

Environment: TOKFS_BIN (program) and TOKFS_MODEL (its MODEL argument). Without /dev/fuse a test ends with 77, a visible skip.
"""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback


LONG_TOKENS = int(os.environ.get("TOKFS_LONG_TOKENS", "300"))  # of an answer that is long for the daemon under test

# What is to be caught in the act is asked of Mount(endless=True), where it takes minutes, and cancelled then: who is slow himself would miss
# the end of anything shorter.
ENDLESS = {"messages": [{"role": "user", "content": "count 100000"}], "temperature": 0, "ignore_eos": True}


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def need_fuse():
    if not os.access(os.environ.get("TOKFS_BIN", ""), os.X_OK):
        skip("TOKFS_BIN is not a program")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK) or not shutil.which("fusermount3"):
        skip("no access to FUSE")


class Mount:
    """Mounts when entered; unmounts, whatever happened, when left. `path` is the mount point."""

    def __init__(self, *options, endless=False, model=None, path=None, **environment):
        self.options = list(options)
        self.model = model or os.environ.get("TOKFS_MODEL", "demo")
        self.scratch = tempfile.mkdtemp(prefix="tokfs-test.")
        self.path = path or os.path.join(self.scratch, "m")
        self.environment = {**os.environ, **({"TOKFS_FAKE_TOKEN_US": "2000"} if endless else {}), **environment}
        self.daemon = None
        if endless and self.model == "demo":
            self.lengthen_context()

    def lengthen_context(self):
        """Serves a copy of the built-in model that knows of no limit: 65,536 tokens, each slower than the one before."""
        source = os.path.join(os.environ["TOKFS_SOURCE_ROOT"], "tools/demo/model")
        self.model = os.path.join(self.scratch, "demo")
        shutil.copytree(source, self.model)
        with open(self.model + "/config.json", "r+", encoding="utf-8") as file:
            config = {**json.load(file), "max_position_embeddings": 65536}
            file.seek(0)
            json.dump(config, file)
            file.truncate()
        self.options += ["--no-speculation", "--kv-mem", "192M"]

    def spawn(self):
        """Starts the daemon without waiting for the mount."""
        if not os.path.lexists(self.path) and not self.daemon:
            os.mkdir(self.path)
        if self.daemon:
            self.stderr.close()
        self.stderr = open(os.path.join(self.scratch, "stderr"), "w+")
        command = [os.environ["TOKFS_BIN"], "-f", *self.options, self.model, self.path]
        self.daemon = subprocess.Popen(command, stderr=self.stderr, env=self.environment)

    def start(self):
        self.spawn()
        n_left = 15000
        while not os.path.exists(self.path + "/health"):
            if self.daemon.poll() is not None or n_left == 0:
                raise AssertionError(f"the mount did not come up: {self.messages()}")
            n_left -= 1
            time.sleep(0.02)
        return self

    def messages(self):
        with open(self.stderr.name) as file:
            return file.read()

    def stop(self, sig=signal.SIGTERM):
        """Ends the daemon; its exit status."""
        if self.daemon.poll() is None:
            self.daemon.send_signal(sig)
        return self.daemon.wait(300)

    def __enter__(self):
        try:
            return self.start()
        except BaseException as error:  # leave nothing behind
            self.__exit__(type(error), error, None)
            raise

    def __exit__(self, kind, value, trace):
        if self.daemon and self.daemon.poll() is None:
            self.stop()
        subprocess.run(["fusermount3", "-u", "-q", "-z", self.path], stderr=subprocess.DEVNULL)
        if self.daemon and kind is None and self.daemon.returncode not in (0, -signal.SIGKILL):
            raise AssertionError(f"the daemon ended with {self.daemon.returncode}: {self.messages()}")
        shutil.rmtree(self.scratch, ignore_errors=True)

    # ---- files -----------------------------------------------------------------------------------------------------

    def at(self, name):
        return os.path.join(self.path, name)

    def read(self, name):
        with open(self.at(name), "rb") as file:
            return file.read()

    def write(self, name, text):
        """One write(2): what fails, fails here."""
        fd = os.open(self.at(name), os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(fd, text.encode() if isinstance(text, str) else text)
        finally:
            os.close(fd)

    def session(self, name):
        os.mkdir(self.at("sessions/" + name))
        return "sessions/" + name

    def metric(self, name):
        for line in self.read("metrics").decode().splitlines():
            if line.startswith(f"tokfs_{name} "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")


def transact(mount, path, request, wants_error=0):
    """Writes a JSON body to a transaction file and reads what it answers, the error object where the write failed."""
    fd = os.open(mount.at(path), os.O_RDWR)
    try:
        code = 0
        try:
            data = json.dumps(request).encode()
            for at in range(0, len(data), 100000):  # the kernel cuts longer writes, and tells of an error in the first part only
                os.write(fd, data[at:at + 100000])
        except OSError as error:
            code = error.errno
        assert code == wants_error, (request, os.strerror(code), os.read(fd, 4096))
        answer = b""
        while piece := os.read(fd, 1 << 16):
            answer += piece
        return answer.decode()
    finally:
        os.close(fd)


def until(condition, what, seconds=120):
    """So many seconds of this process: while it is stopped, or gets no processor, they do not pass. Long enough for any machine."""
    n_left = int(seconds / 0.005)
    while not condition():
        assert n_left > 0, f"waited in vain until {what}"
        n_left -= 1
        time.sleep(0.005)


def suspend(process):
    """SIGSTOP, and until no thread of it runs any more."""
    process.send_signal(signal.SIGSTOP)

    def is_stopped():
        states = []
        for thread in os.listdir(f"/proc/{process.pid}/task"):
            with contextlib.suppress(FileNotFoundError), open(f"/proc/{process.pid}/task/{thread}/stat", encoding="utf-8") as file:
                states.append(file.read().rsplit(")", 1)[1].split()[0])
        return set(states) == {"T"}

    until(is_stopped, "it is stopped")


def kernel_forgets_when_asked():
    """FUSE_NOTIFY_PRUNE."""
    return tuple(int(part) for part in os.uname().release.split(".")[:2]) >= (6, 18)


@contextlib.contextmanager
def raises(code):
    try:
        yield
    except OSError as error:
        assert error.errno == code, f"errno {error.errno} ({os.strerror(error.errno)}), wanted {os.strerror(code)}"
    else:
        raise AssertionError(f"no error, wanted {os.strerror(code)}")


@contextlib.contextmanager
def small_disk(size):
    """A file system that is soon full; None where there can be none."""
    with tempfile.TemporaryDirectory(prefix="tokfs-disk.") as path:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True, check=False)
        if made.returncode != 0:
            print("        no tmpfs to fill: not tried")
            yield None
            return
        try:
            yield path
        finally:
            subprocess.run(["umount", "-l", path], check=False)


def fill(path):
    """Makes a file that takes what is left of its disk, to the last byte."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        st = os.fstatvfs(fd)
        os.posix_fallocate(fd, 0, st.f_bavail * st.f_frsize)
    with contextlib.suppress(OSError):
        os.lseek(fd, 0, os.SEEK_END)
        while True:
            os.write(fd, bytes(512))
    os.close(fd)


def run_tests(tests):
    """Runs functions in order, all of them; exit status 1 when one failed."""
    need_fuse()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job would inherit that it is ignored
    n_failed = 0
    for test in tests:
        start = time.monotonic()
        try:
            test()
            print(f"ok      {test.__name__} ({time.monotonic() - start:.2f} s)", flush=True)
        except Exception:
            n_failed += 1
            print(f"FAILED  {test.__name__}", flush=True)
            traceback.print_exc(file=sys.stdout)
    sys.exit(1 if n_failed else 0)
