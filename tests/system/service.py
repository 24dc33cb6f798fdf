#!/usr/bin/env python3
"""tokfs as a service: what a service manager is told, what the log gets, and mount(8) with options of fstab(5)."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from mount import Mount, run_tests, until

BIN = os.environ.get("TOKFS_BIN", "")
MODEL = os.environ.get("TOKFS_MODEL", "demo")


@contextlib.contextmanager
def manager(abstract=False):
    """A socket as a service manager has it: (its name, the messages that came)."""
    with tempfile.TemporaryDirectory() as path, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        name = f"@tokfs-test-{os.getpid()}" if abstract else path + "/notify"
        listener.bind(name.replace("@", "\0"))
        listener.settimeout(300)
        yield name, lambda: listener.recv(4096).decode()


def test_service_manager_is_told():
    for abstract in False, True:
        with manager(abstract) as (name, receive), Mount(NOTIFY_SOCKET=name) as m:
            ready = receive().splitlines()
            assert ready[0] == "READY=1" and ready[1].startswith("STATUS=") and m.path in ready[1], ready
            m.daemon.send_signal(signal.SIGTERM)
            assert receive().startswith("STOPPING=1\n")
            assert m.daemon.wait(300) == 0


def test_nobody_listening_is_no_obstacle():
    for name in ("/nowhere/at/all", "@", "", "relative", "/" + "x" * 200):
        with Mount(NOTIFY_SOCKET=name) as m:
            assert m.read("health") == b"ok\n"


def logged(*options, journal=False):
    """What it says on standard error from start to end."""
    with tempfile.NamedTemporaryFile() as out, tempfile.TemporaryDirectory() as path:
        environment = dict(os.environ)
        if journal:
            st = os.fstat(out.fileno())
            environment["JOURNAL_STREAM"] = f"{st.st_dev}:{st.st_ino}"
        daemon = subprocess.Popen([BIN, "-f", "--device", "cpu", *options, MODEL, path], stderr=out, env=environment)
        until(lambda: os.path.exists(path + "/health"), "it is mounted")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(300) == 0
        with open(out.name) as file:
            return file.read().splitlines()


def test_log_has_levels():
    assert logged() == []
    assert logged("--log-level", "error") == []
    lines = logged("--log-level", "info")
    assert len(lines) == 3 and all(line.startswith("tokfs: info: ") for line in lines), lines
    assert "is mounted at" in lines[0] and "told to end" in lines[1] and "has ended" in lines[2], lines
    lines = logged(journal=True)  # whose lines carry their level
    assert len(lines) == 3 and all(line.startswith("<6>tokfs: info: ") for line in lines), lines
    assert logged("--log-level", "warning", journal=True) == []
    refused = subprocess.run([BIN, "--log-level", "loud", MODEL, "/"], capture_output=True, text=True)
    assert refused.returncode == 2 and "--log-level loud" in refused.stderr, refused


def test_own_options_come_with_o():
    with Mount("-o", "max-sessions=3,no-speculation,x-systemd.automount,nofail,_netdev,served-name=a\\,b") as m:
        for i in range(5):
            m.session(f"s{i}")
        assert len([n for n in os.listdir(m.at("sessions")) if n.startswith("s")]) == 3
        if "fake" not in BIN:
            assert b'"a,b"' in m.read("v1/models")
    for option, word in ("ctx", "needs a value"), ("no-speculation=1", "takes no value"), ("ctx=x", "--ctx x"), ("help", "help"):
        refused = subprocess.run([BIN, "-o", option, MODEL, "/nowhere"], capture_output=True, text=True)
        assert refused.returncode == 2 and word in refused.stderr, refused


def test_mount_helper():
    """As mount(8) calls it: mount.fuse.tokfs SOURCE DIR [-sfnv] [-N namespace] [-o options] [-t type]."""
    with tempfile.TemporaryDirectory() as path:
        os.mkdir(path + "/m")
        helper = path + "/mount.fuse.tokfs"
        os.symlink(BIN, helper)
        said = subprocess.run([helper, MODEL, path + "/m", "-f", "-v", "-t", "fuse.tokfs"], capture_output=True)
        assert said.returncode == 0 and not os.path.exists(path + "/m/health"), said  # -f: as if
        said = subprocess.run([helper, MODEL, path + "/m", "-n", "-s", "-o", "rw,dev,suid,auto,max-sessions=5,fsname=x"],
                              capture_output=True)
        try:
            assert said.returncode == 0, said
            with open(path + "/m/health") as file:
                assert file.read() == "ok\n"
            with open("/proc/mounts") as file:
                assert any(line.startswith(f"x {path}/m fuse.tokfs ") for line in file)
        finally:
            subprocess.run(["fusermount3", "-u", path + "/m"], check=True)
        assert subprocess.run([helper, MODEL, path + "/m", "-o", "nonsense"], capture_output=True).returncode == 2


def test_mount_command():
    """A line of fstab, with what fuse3 brings for it; the program by its path, as it is not installed."""
    if os.geteuid() != 0 or not any(map(os.path.exists, ("/sbin/mount.fuse", "/sbin/mount.fuse3"))):
        print("        not root, or no mount.fuse here: not tried")
        return
    with tempfile.TemporaryDirectory() as path:
        os.mkdir(path + "/m")
        fstab = path + "/fstab"
        with open(fstab, "w") as file:
            file.write(f"{BIN}#{MODEL} {path}/m fuse noauto,allow_other,max-sessions=7,nofail,x-systemd.automount 0 0\n")
        said = subprocess.run(["mount", "-T", fstab, path + "/m"], capture_output=True, text=True)
        try:
            assert said.returncode == 0, said
            assert os.statvfs(path + "/m").f_files == 7
        finally:
            subprocess.run(["umount", path + "/m"], stderr=subprocess.DEVNULL)


def test_units_are_well_formed():
    units = os.environ.get("TOKFS_UNITS", "")
    if not shutil.which("systemd-analyze") or not os.path.exists(units):
        print("        no systemd-analyze here: not tried")
        return
    for name, instance in ("tokfs@.service", "tokfs@x.service"), ("tokfs-bridge.service", "tokfs-bridge.service"):
        with tempfile.TemporaryDirectory() as path:
            with open(f"{units}/{name}") as file, open(f"{path}/{name}", "w") as copy:
                lines = [f"ExecStart={BIN} {line.split(None, 1)[1]}" if line.startswith("ExecStart=") else line for line in file]
                copy.writelines(lines)
            said = subprocess.run(["systemd-analyze", "verify", "--man=no", f"{path}/{instance}"], capture_output=True, text=True)
            complaints = [line for line in said.stderr.splitlines() if name.split(".")[0] in line]
            assert not complaints, said


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
