"""Kills the daemon at random instants while clients talk to it, starts it again, and compares every byte with what an undisturbed
run had said.

Environment: TOKFS_CRASHES, how often it is killed (default 12); TOKFS_CRASH_SYNC, the value of --sync (default batch);
TOKFS_CRASH_SEED. The last line has the figures.

What is asserted: a text whose write had returned is a turn; a session whose mkdir had returned is there, and one whose rmdir had
returned is not; settings whose write had returned are in force; what a reader saw of an answer is how the answer begins; and
answers, messages and events are those of the undisturbed run.
"""
import errno
import json
import os
import random
import sys
import threading
import time

from mount import Mount, need_fuse

N_CRASHES = int(os.environ.get("TOKFS_CRASHES", "12"))
SYNC = os.environ.get("TOKFS_CRASH_SYNC", "batch")
N_CLIENTS = 8
IS_NULL = os.environ.get("TOKFS_MODEL") == "null"

# The daemon is away, or its mount point is a plain directory until the next one has mounted.
AWAY = {errno.ENOTCONN, errno.ECONNABORTED, errno.ENOENT, errno.ENODEV, errno.EIO, errno.ENOTDIR, errno.ESHUTDOWN}

PROMPTS = ["count 400", "count 150", "a few words to say again and again"] if IS_NULL else \
    ["Tell me a story.", "What is the capital of France?", "Write about a dragon and a king.", "Count to ten."]


def scripts():
    """Each: settings, and what is said, turn after turn."""
    for i in range(6):
        params = f"temperature {0.7 + 0.1 * i:.1f}\nseed {100 + i}\nmax_tokens {80 + 40 * i}\n"
        if not IS_NULL:
            params += "ignore_eos true\n"
        yield {"params": params, "system": f"You are number {i}.\n", "turns": [PROMPTS[(i + k) % len(PROMPTS)] for k in range(2)]}


class Lost(AssertionError):
    pass


class Service:
    """The daemon, whichever it is at the moment."""

    def __init__(self, mount):
        self.mount = mount
        self.is_up = threading.Event()
        self.generation = 0
        self.problems = []
        self.removed = set()
        self.counts = {"sessions": 0, "turns": 0, "taken_up": 0, "bytes": 0, "writes": 0, "compactions": 0}
        self.lock = threading.Lock()

    def count(self, **more):
        with self.lock:
            for name, n in more.items():
                self.counts[name] += n

    def steadily(self, look):
        """The result of `look` while one daemon was up all the time."""
        while True:
            self.is_up.wait()
            before = self.generation
            try:
                return look()
            except OSError as error:
                is_same = self.is_up.is_set() and self.generation == before
                if error.errno not in AWAY or (is_same and self.answers()):
                    raise
                time.sleep(0.005)

    def answers(self):
        """Whether the daemon still answers: a look that failed was then not its absence."""
        try:
            return self.mount.daemon.poll() is None and os.path.exists(self.mount.at("health"))
        except OSError:
            return False


class Client:
    def __init__(self, service, name, script, expected):
        self.service, self.name, self.script, self.expected = service, name, script, expected
        self.dir = service.mount.at("sessions/" + name)

    def read(self, name):
        def look():
            with open(f"{self.dir}/{name}", "rb") as file:
                return file.read()
        return self.service.steadily(look)

    def lost(self, what):
        raise Lost(f"{self.name}: {what}")

    def make(self):
        is_uncertain = False
        while True:
            self.service.is_up.wait()
            try:
                os.mkdir(self.dir)
                return
            except FileExistsError:
                if not is_uncertain:
                    raise
                return
            except OSError as error:
                if error.errno not in AWAY:
                    raise
                is_uncertain = True
                time.sleep(0.005)

    def write(self, name, text):
        """Whether the write returned; otherwise nobody knows what became of it."""
        is_written = False
        self.service.is_up.wait()
        try:
            fd = os.open(f"{self.dir}/{name}", os.O_WRONLY | os.O_TRUNC)
            try:
                is_written = os.write(fd, text.encode()) == len(text.encode())
            finally:
                os.close(fd)
        except OSError as error:
            if error.errno not in AWAY:
                raise
            time.sleep(0.005)
        self.service.count(writes=is_written)
        return is_written

    def set(self, name, text, wanted):
        while not self.write(name, text):
            if self.read(name) == wanted:
                return
        if self.read(name) != wanted:
            self.lost(f"{name} is {self.read(name)!r} after its write had returned")

    def progress(self, turn):
        """'done', 'running' or 'absent': what there is of this turn."""
        while True:
            status = self.read("status").decode().split()[0]
            n_messages = len(json.loads(self.read("messages")))
            if n_messages >= 1 + 2 * (turn + 1):  # the system prompt comes first
                return "done"
            if status in ("queued", "prefill", "decode"):
                return "running"
            if self.read("status").decode().split()[0] == status:  # it did not begin, or end, in between
                return "absent" if n_messages == 1 + 2 * turn and status != "error" else self.lost(
                    f"turn {turn} is {status} with {n_messages} messages: {self.read('error')!r}")

    def say(self, turn):
        text = self.script["turns"][turn] + "\n"
        is_written = self.write("input", text)
        while self.progress(turn) == "absent":
            if is_written:
                self.lost(f"turn {turn}, whose write had returned")
            is_written = self.write("input", text)

    def listen(self, turn):
        """Reads the answer as it grows, and begins again where the daemon went away."""
        seen, is_first = b"", True
        while True:
            got = b""
            try:
                self.service.is_up.wait()
                with open(f"{self.dir}/output", "rb", buffering=0) as file:
                    while piece := file.read(65536):
                        got += piece
                        common = min(len(got), len(seen))
                        if got[:common] != seen[:common]:
                            self.lost(f"a reader saw {seen!r}, and after a restart {got!r}")
                        seen = max(seen, got, key=len)
                if self.progress(turn) == "done":
                    break
            except OSError as error:
                if error.errno not in AWAY:
                    raise
                self.service.count(taken_up=is_first and len(seen) > 0)
                is_first = False
                time.sleep(0.005)
                if self.progress(turn) == "absent":
                    self.lost(f"turn {turn}, of which a reader had seen {len(seen)} bytes")
        whole = self.read("text")
        if not whole.startswith(seen):
            self.lost(f"a reader saw {seen!r} of {whole!r}")
        return whole

    def remove(self):
        while True:
            self.service.is_up.wait()
            try:
                os.rmdir(self.dir)
                self.service.removed.add(self.name)
                return
            except OSError as error:
                if error.errno not in AWAY:
                    raise
                time.sleep(0.005)
            try:
                self.service.steadily(lambda: os.stat(self.dir))
            except FileNotFoundError:
                return

    def run(self):
        """Plays the script; what came of it, without what differs from run to run."""
        self.make()
        self.set("system", self.script["system"], self.script["system"].encode())
        if self.expected:
            self.set("params", self.script["params"], self.expected["params"])
        else:
            self.write("params", self.script["params"])
        result = {"texts": []}
        for turn in range(len(self.script["turns"])):
            self.say(turn)
            result["texts"].append(self.listen(turn))
            result[f"events {turn}"] = plain(self.read("events"))
        result["params"] = self.read("params")
        result["messages"] = self.read("messages")
        result["response"] = plain(self.read("response.json"))
        self.remove()
        return result


def plain(lines):
    """JSON lines without names and times, and without what depends on the cache."""
    out = []
    for line in lines.decode().splitlines():
        value = json.loads(line)
        value.pop("id", None)
        value.pop("created", None)
        if value.get("usage"):
            value["usage"].pop("prompt_tokens_details", None)
        out.append(json.dumps(value))
    return "\n".join(out).encode()


def client_loop(service, number, expected, stop):
    played = 0
    try:
        while not stop.is_set() and not service.problems:
            index = (number + played) % len(expected)
            script, wanted = expected[index]
            got = Client(service, f"c{number}-{played}", script, wanted).run()
            for name in wanted:
                if got[name] != wanted[name]:
                    raise Lost(f"c{number}-{played}: {name} is\n{got[name]!r}\nand was\n{wanted[name]!r}")
            played += 1
            service.count(sessions=1, turns=len(script["turns"]), bytes=sum(len(b"".join(v) if isinstance(v, list) else v) for v in got.values()))
    except Exception as error:  # pylint: disable=broad-except
        service.problems.append(f"{type(error).__name__}: {error}")


def crash(service, chance):
    mount = service.mount
    service.count(compactions=int(mount.metric("journal_compactions_total")))
    service.is_up.clear()
    mount.daemon.kill()
    mount.daemon.wait()
    service.generation += 1
    if chance.random() < 0.1:  # while it starts
        mount.spawn()
        time.sleep(chance.uniform(0, 0.1))
        mount.daemon.kill()
        mount.daemon.wait()
    mount.start()
    listed = set(os.listdir(mount.at("sessions")))
    back = listed & service.removed
    if back:
        service.problems.append(f"removed sessions are back: {back}")
    service.is_up.set()


def main():
    need_fuse()
    chance = random.Random(int(os.environ.get("TOKFS_CRASH_SEED", "0")) or None)
    with Mount(model=os.environ.get("TOKFS_MODEL")) as undisturbed:
        service = Service(undisturbed)
        service.is_up.set()
        expected = [(script, Client(service, f"s{i}", script, None).run()) for i, script in enumerate(scripts())]
    mount = Mount(TOKFS_FAKE_TOKEN_US="400")
    mount.options = ["--state", mount.scratch + "/state", "--sync", SYNC, "--journal-slack", "256K", "--log-level", "error"]
    with mount:
        service = Service(mount)
        service.is_up.set()
        stop = threading.Event()
        threads = [threading.Thread(target=client_loop, args=(service, i, expected, stop), daemon=True) for i in range(N_CLIENTS)]
        for thread in threads:
            thread.start()
        n_crashes = 0
        while n_crashes < N_CRASHES and not service.problems:
            time.sleep(chance.uniform(0, 0.5))
            crash(service, chance)
            n_crashes += 1
        stop.set()
        for thread in threads:
            thread.join(400)
            if thread.is_alive():
                service.problems.append("a client did not come to its end")
        service.count(compactions=int(mount.metric("journal_compactions_total")))
    for problem in service.problems:
        print("FAILED ", problem)
    print(f"{n_crashes} kills (--sync {SYNC}): {service.counts['sessions']} sessions of {service.counts['turns']} turns, "
          f"{service.counts['writes']} acknowledged writes, {service.counts['taken_up']} answers taken up again in the middle, "
          f"{service.counts['bytes']} bytes compared, {service.counts['compactions']} compactions: "
          f"{len(service.problems)} lost or different")
    sys.exit(1 if service.problems else 0)


if __name__ == "__main__":
    main()
