#!/usr/bin/env python3
"""The service under systemd: boots a Debian system in namespaces of its own, installs tokfs there, and uses it.

Environment: TOKFS_TEST_ROOT, a directory with a Debian system (debootstrap), to which nothing is written, with the packages systemd,
systemd-sysv, dbus, fuse3 and the libraries of tokfs; TOKFS_BUILD_ROOT, the build that is installed. Root only. Without them: a skip.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

from mount import skip, until

ROOT = os.environ.get("TOKFS_TEST_ROOT", "")
BUILD = os.environ.get("TOKFS_BUILD_ROOT", "")
UNIT = "tokfs@demo.service"
MOUNT = "/run/tokfs/demo"
INIT = "/lib/systemd/systemd"

# In new namespaces (mounts, processes, names, cgroups): the root over ROOT, the file systems that systemd wants to find, and then
# itself as process 1.
BOOT = """
set -e
mount -t overlay -o lowerdir="$1",upperdir="$2/upper",workdir="$2/work" overlay "$2/root"
cd "$2/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
mknod -m 666 dev/fuse c 10 229
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
hostname tokfs-test
pivot_root . mnt
umount -l /mnt
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin """ + INIT + """ --log-target=null --show-status=0
"""


class System:
    def __enter__(self):
        self.scratch = tempfile.mkdtemp(prefix="tokfs-systemd.")
        for name in "upper", "work", "root":
            os.mkdir(f"{self.scratch}/{name}")
        self.put("/etc/systemd/system/systemd-sysctl.service", None)  # the kernel's variables are the host's
        self.put("/etc/systemd/system/console-getty.service", None)
        installed = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", f"{self.scratch}/upper"],
                                   capture_output=True, text=True, check=False)
        assert installed.returncode == 0, installed
        self.cgroup = self.make_cgroup()
        self.boot()
        return self

    def __exit__(self, *_):
        self.power_off()
        until(lambda: self.remove_cgroup(), "its cgroup is empty")
        shutil.rmtree(self.scratch)

    def put(self, path, text):
        """A file of the system before it is booted; None: a link to /dev/null."""
        path = f"{self.scratch}/upper{path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if text is None:
            os.symlink("/dev/null", path)
        else:
            with open(path, "w") as file:
                file.write(text)

    def make_cgroup(self):
        with open("/proc/mounts") as file:
            at = next(line.split()[1] for line in file if line.split()[2] == "cgroup2")
        path = tempfile.mkdtemp(prefix="tokfs-systemd.", dir=at)
        return path

    def remove_cgroup(self):
        for path, _, _ in os.walk(self.cgroup, topdown=False):
            try:
                os.rmdir(path)
            except OSError:
                return False
        return True

    def join_cgroup(self):
        with open(f"{self.cgroup}/cgroup.procs", "w") as file:
            file.write("0")

    def boot(self):
        command = ["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "--propagation", "private", "--kill-child",
                   "sh", "-c", BOOT, "sh", ROOT, self.scratch]
        self.unshare = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=self.join_cgroup)
        until(lambda: self.is_booted(), "systemd runs", 30)
        until(lambda: self.run("systemctl is-system-running").stdout.strip() in ("running", "degraded"), "it is up", 60)

    def is_booted(self):
        assert self.unshare.poll() is None, "it did not boot"
        with open(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children") as file:
            pids = file.read().split()
        if not pids or os.readlink(f"/proc/{pids[0]}/exe") == os.readlink("/proc/self/exe"):
            return False
        self.pid = pids[0]
        with open(f"/proc/{self.pid}/comm") as file:
            return file.read().strip() == "systemd"

    def run(self, command, user=None):
        """A line for its shell."""
        change = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if user else []
        return subprocess.run(["nsenter", "-t", self.pid, "-m", "-p", "-u", "-i", "-C", "-r", "-w", "env", "-i", "LANG=C.UTF-8",
                               "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *change, "sh", "-c", command],
                              capture_output=True, text=True, check=False, timeout=120)

    def do(self, command, user=None):
        """One that must succeed; what it says."""
        done = self.run(command, user)
        assert done.returncode == 0, (command, done)
        return done.stdout

    def show(self, name, unit=UNIT):
        return self.do(f"systemctl show -p {name} --value '{unit}'").strip()

    def log(self, unit=UNIT):
        return [json.loads(line) for line in self.do(f"journalctl -u '{unit}' -o json --no-pager").splitlines()]

    def power_off(self):
        if self.unshare.poll() is None:
            self.run("systemctl --no-block poweroff")
            self.unshare.wait(60)


def test_unit_is_verified(s):
    said = s.run(f"systemd-analyze verify --man=no {UNIT}")
    assert said.returncode == 0 and not said.stderr, said
    level = re.search(r"level for \S+: (\S+)", s.do(f"systemd-analyze security --no-pager {UNIT}")).group(1)
    print(f"        systemd {s.do('systemctl --version').split()[1]}; exposure level {level}")
    assert float(level) < 5


def test_it_is_mounted_when_start_returns(s):
    s.do(f"systemctl start {UNIT}")
    assert s.do(f"cat {MOUNT}/health") == "ok\n"
    assert s.show("StatusText") == f"demo is mounted at {MOUNT}" and s.show("Type") == "notify"
    pid = s.show("MainPID")
    assert s.do(f"readlink /proc/{pid}/ns/mnt") == s.do("readlink /proc/1/ns/mnt"), "others would not see what it mounts"
    assert s.do(f"stat -c '%a %U' /var/lib/tokfs/demo /var/lib/tokfs/demo/journal").splitlines() == ["700 root", "600 root"]


def test_users_have_their_own(s):
    for user in "ann", "bob":
        s.do(f"useradd {user}")
    said = s.do(f"mkdir {MOUNT}/sessions/a && echo 'My name is Ada.' > {MOUNT}/sessions/a/input && cat {MOUNT}/sessions/a/output", "ann")
    assert "Ada" in said, said
    assert s.run(f"cat {MOUNT}/sessions/a/output", "bob").returncode == 1
    assert "a" not in s.do(f"ls {MOUNT}/sessions", "bob").split()
    assert s.do(f"{{ echo hello >&3; cat <&3; }} 3<>{MOUNT}/ask", "bob")
    assert s.run(f"cat {MOUNT}/kv/stats", "bob").returncode == 1


def test_the_journal_has_its_messages(s):
    messages = [(line["PRIORITY"], line["MESSAGE"]) for line in s.log() if line["SYSLOG_IDENTIFIER"] == "tokfs"]
    assert len(messages) == 1 and messages[0][0] == "6" and "is mounted at" in messages[0][1], messages  # its level, not the stream's


def test_what_is_killed_is_started_again_with_its_conversations(s):
    before = s.do(f"cat {MOUNT}/sessions/a/messages", "ann")
    pid = s.show("MainPID")
    s.do(f"kill -9 {pid}")
    until(lambda: s.show("MainPID") not in ("0", pid) and s.show("SubState") == "running", "it is started again", 30)
    assert s.do(f"cat {MOUNT}/sessions/a/messages", "ann") == before
    assert s.show("NRestarts") == "1"


def test_stop_lets_answers_end(s):
    s.do(f"printf 'ignore_eos true\\nmax_tokens 1500\\n' > {MOUNT}/sessions/a/params", "ann")
    s.do(f"echo 'count 300' > {MOUNT}/sessions/a/input && until grep -qE 'decode|done' {MOUNT}/sessions/a/status; do :; done", "ann")
    s.do(f"systemctl stop {UNIT}")
    assert s.show("Result") == "success" and s.show("ExecMainStatus") == "0"
    assert MOUNT not in s.do("cat /proc/mounts")
    messages = [line["MESSAGE"] for line in s.log() if line["SYSLOG_IDENTIFIER"] != "systemd"]
    assert "told to end" in messages[-2] and "has ended" in messages[-1], messages
    s.do(f"systemctl start {UNIT}")
    assert "done" in s.do(f"cat {MOUNT}/sessions/a/status", "ann")
    assert "completion_tokens=1500" in s.do(f"cat {MOUNT}/sessions/a/status", "ann")


def test_options_come_from_the_environment(s):
    drop_in = "/run/systemd/system/tokfs@other.service.d"
    s.do(f"mkdir -p {drop_in} && printf '[Service]\\nEnvironment=\"OPTIONS=--max-sessions 7 --served-name b\" STATE=\\n' > {drop_in}/x.conf "
         "&& systemctl daemon-reload && systemctl start tokfs@other")
    assert '"b"' in s.do("cat /run/tokfs/other/v1/models") and s.do("stat -f -c %c /run/tokfs/other").strip() == "7"
    assert not s.do("ls -A /var/lib/tokfs/other") and s.do(f"cat {MOUNT}/health") == "ok\n"
    s.do(f"rm -r {drop_in}; systemctl daemon-reload; systemctl stop tokfs@other")


def test_a_model_that_is_none_is_told_in_the_log(s):
    drop_in = "/run/systemd/system/tokfs@none.service.d"
    s.do(f"mkdir -p {drop_in} && printf '[Service]\\nEnvironment=MODEL=/nowhere\\nRestart=no\\n' > {drop_in}/x.conf && systemctl daemon-reload")
    assert s.run("systemctl start tokfs@none").returncode == 1
    assert any("/nowhere" in line["MESSAGE"] and line["PRIORITY"] == "3" for line in s.log("tokfs@none")), s.log("tokfs@none")
    s.do(f"rm -r {drop_in}; systemctl daemon-reload")


def test_lines_of_fstab(s):
    s.do("mkdir -p /srv/llm /srv/auto")
    s.do("printf '%s\\n' 'demo /srv/llm fuse.tokfs noauto,nofail,allow_other,max-sessions=7 0 0' "
         "'demo /srv/auto fuse.tokfs noauto,nofail,allow_other,x-systemd.automount 0 0' >> /etc/fstab && systemctl daemon-reload")
    s.do("mount /srv/llm")
    assert s.do("cat /srv/llm/health", "bob") == "ok\n" and s.do("stat -f -c %c /srv/llm").strip() == "7"
    s.do("umount /srv/llm")
    s.do("systemctl start srv-llm.mount")
    assert s.do("cat /srv/llm/health", "bob") == "ok\n"
    s.do("systemctl stop srv-llm.mount")
    if s.run("systemctl start srv-auto.automount").returncode == 0:
        assert s.do("cat /srv/auto/health", "bob") == "ok\n"
        s.do("systemctl stop srv-auto.automount srv-auto.mount")
    else:
        print("        this kernel has no autofs: x-systemd.automount not tried")
    until(lambda: not s.run("pgrep -x tokfs").stdout.split()[1:], "their daemons have ended", 30)


def test_it_comes_back_with_the_machine(s):
    s.do(f"systemctl enable {UNIT}")
    before = s.do(f"cat {MOUNT}/sessions/a/messages", "ann")
    s.power_off()
    s.boot()
    assert s.do(f"cat {MOUNT}/sessions/a/messages", "ann") == before
    last = [line["MESSAGE"] for line in s.log() if line["SYSLOG_IDENTIFIER"] == "tokfs"]
    assert any("has ended" in message for message in last[-3:]), last  # before the machine did


def main():
    if os.geteuid() != 0 or not ROOT or not os.path.exists(ROOT + INIT) or not os.path.isdir(BUILD) or not shutil.which("unshare"):
        skip("not root, or no TOKFS_TEST_ROOT with systemd")
    n_failed = 0
    with System() as system:
        for test in [value for name, value in list(globals().items()) if name.startswith("test_")]:
            begun = time.monotonic()
            try:
                test(system)
                print(f"ok      {test.__name__} ({time.monotonic() - begun:.2f} s)", flush=True)
            except Exception:
                n_failed += 1
                print(f"FAILED  {test.__name__}", flush=True)
                traceback.print_exc(file=sys.stdout)
    sys.exit(1 if n_failed else 0)


main()
