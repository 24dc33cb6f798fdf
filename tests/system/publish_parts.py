"""What tests of publishing share: a Redis and a bridge of their own, and what a mount says that it holds. A test that includes it is skipped
where there is no Redis."""
import json
import os
import shutil
import signal
import subprocess
import tempfile

from mount import skip, until

try:
    import redis

    from kv_consumer import Blocks
except ImportError as error:
    skip(f"the Python package {error.name} is missing")
if not shutil.which("redis-server"):
    skip("redis-server is missing")

DEMO_MODEL = os.path.join(os.environ.get("TOKFS_SOURCE_ROOT", "."), "tools/demo/model")


def need_blocks():
    if os.environ.get("TOKFS_MODEL") == "null":
        skip("the null model's blocks are not asked for")


class Redis:
    """A server of its own, on a Unix socket or a port of the loopback."""

    def __init__(self, *options, port=0):
        self.dir = tempfile.mkdtemp(prefix="tokfs-redis.")
        self.port, self.path, self.options = port, os.path.join(self.dir, "s"), options
        self.url = f"unix://{self.path}"

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.path, "--dir", self.dir,
             "--save", "", *self.options], stdout=subprocess.DEVNULL)
        until(self.answers, "Redis answers")

    def client(self):
        return redis.Redis(unix_socket_path=self.path, socket_timeout=10)

    def answers(self):
        try:
            return self.client().ping()
        except redis.AuthenticationError:
            return True
        except redis.ConnectionError:
            return False
        except redis.RedisError:  # it is loading
            return False

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(sig)
        self.process.wait(300)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)


class Bridge:
    def __init__(self, *mounts, redis=None, options=()):
        self.scratch = tempfile.mkdtemp(prefix="tokfs-bridge.")
        self.pub, self.replay = f"ipc://{self.scratch}/pub", f"ipc://{self.scratch}/replay"
        self.command = [os.environ["TOKFS_BRIDGE"], "--listen", f"unix:{self.scratch}/http", "--node", "n1", "--address", "10.0.0.7:8000",
                        *(["--redis", redis] if redis else []), "--zmq", self.pub, "--zmq-replay", self.replay, *options,
                        *[m if isinstance(m, str) else m.path for m in mounts]]

    def start(self):
        self.stderr = open(os.path.join(self.scratch, "stderr"), "w+")
        self.process = subprocess.Popen(self.command, stderr=self.stderr)
        return self

    def messages(self):
        with open(self.stderr.name) as file:
            return file.read()

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        return self.process.wait(300)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.stop()
        if kind:
            print(self.messages())
        shutil.rmtree(self.scratch, ignore_errors=True)
        if kind is None and self.process.returncode not in (0, -signal.SIGKILL):
            raise AssertionError(f"the bridge ended with {self.process.returncode}")


def held(mount):
    """What the mount says of itself: hash -> (parent, tokens)."""
    blocks = Blocks()
    for line in map(json.loads, mount.read("kv/snapshot").splitlines()):
        for block in line["blocks"] if line["type"] == "stored" else []:
            parent = block["parent"]
            blocks[int(block["hash"], 16)] = None if parent is None else int(parent, 16), tuple(block["tokens"])
    return blocks
