#!/usr/bin/env python3
"""The manifests of dist/kubernetes: what an API server would refuse, and what would not work. Usage: manifests.py SOURCE_ROOT TOKFS_BRIDGE"""
import os
import signal
import subprocess
import sys
import tempfile
import time

try:
    import yaml
except ImportError:
    print("skipped: the Python package yaml is missing")
    sys.exit(77)

ROOT, BRIDGE = sys.argv[1:]
VERSIONS = {"Service": "v1", "Deployment": "apps/v1"}


def load(name):
    with open(os.path.join(ROOT, "dist/kubernetes", name), encoding="utf-8") as file:
        return [document for document in yaml.safe_load_all(file) if document]


def check_probe(probe, ports):
    what = probe.get("httpGet") or probe.get("tcpSocket")
    assert what["port"] in ports, probe
    assert "httpGet" not in probe or what["path"] == "/health"


def check_container(container, volumes):
    assert container["name"] and container["image"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert all(len(name) <= 15 and 0 < port < 65536 for name, port in ports.items()), ports
    for name in "startupProbe", "readinessProbe", "livenessProbe":
        if name in container:
            check_probe(container[name], ports)
    for mount in container.get("volumeMounts", []):
        assert mount["name"] in volumes and mount["mountPath"].startswith("/"), mount
    assert container["resources"]["requests"] and container["resources"]["limits"]["memory"]
    return ports


def check_deployment(deployment):
    spec, labels = deployment["spec"], deployment["spec"]["template"]["metadata"]["labels"]
    assert spec["replicas"] > 0 and spec["selector"]["matchLabels"].items() <= labels.items()
    pod = spec["template"]["spec"]
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    ports = {}
    for container in pod["containers"]:
        ports.update(check_container(container, volumes))
        check_command(container)
    return labels, ports


def check_command(container):
    """Lines that begin a bridge are taken by it, up to the mount that is not there."""
    text = " ".join(container.get("args", []) if container.get("command", [""])[0] == "/bin/sh" else container.get("command", []))
    if container["command"][0] == "/bin/sh" if "command" in container else False:
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    at = text.find("tokfs-bridge ")
    if at < 0:
        return
    line = text[at:].replace("\\\n", " ").split("\n")[0].replace(" &", "")
    words = subprocess.run(["sh", "-c", f"set -f; POD_NAME=n POD_IP=10.0.0.1; printf '%s\\n' {line.replace('$(', '').replace(')', '')}"],
                           capture_output=True, text=True, check=True).stdout.split("\n")[1:-1]
    run = subprocess.run([BRIDGE, *words, "--help"], capture_output=True, text=True)
    assert run.returncode == 0, (words, run.stderr)


def started(text, scratch):
    """A shell that runs a container's script, with programs that do nothing but be there, once both of them are."""
    for name, line in ("tokfs", 'touch "$RUN/mnt/health"'), ("tokfs-bridge", 'touch "$RUN/served"'):
        path = os.path.join(scratch, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\necho $$ > $RUN/{name}.pid\n{line}\nexec sleep 600\n")
        os.chmod(path, 0o755)
    environment = {**os.environ, "PATH": scratch + ":" + os.environ["PATH"], "RUN": scratch, "POD_NAME": "n", "POD_IP": "10.0.0.1",
                   "MODEL_NAME": "m", "MODEL_DIR": "/m"}
    shell = subprocess.Popen(["/bin/sh", "-ec", text.replace("/run/tokfs", scratch)], env=environment)
    for _ in range(2000):
        if os.path.exists(scratch + "/served"):
            return shell
        assert shell.poll() is None, shell.returncode
        time.sleep(0.01)
    raise AssertionError("the bridge does not start")


def pid_of(scratch, name):
    with open(f"{scratch}/{name}.pid", encoding="utf-8") as file:
        return int(file.read())


def is_running(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def check_script(container):
    """It lives as long as both programs do, and takes both with it when it is told to end."""
    text, = container["args"]
    for name in "tokfs", "tokfs-bridge", None:
        with tempfile.TemporaryDirectory() as scratch:
            shell = started(text, scratch)
            pids = [pid_of(scratch, program) for program in ("tokfs", "tokfs-bridge")]
            if name:
                os.kill(pid_of(scratch, name), signal.SIGKILL)
            else:
                shell.send_signal(signal.SIGTERM)
            status = shell.wait(60)
            assert (status == 0) == (name is None), (name, status)
            assert name or not any(map(is_running, pids)), pids
            for pid in filter(is_running, pids):
                os.kill(pid, signal.SIGKILL)  # in a cluster they end with the container


def check_schemas(objects):
    """Where the Python package kubernetes-validate is installed: by the API's schemas, which take no field that they do not know."""
    try:
        import kubernetes_validate
    except ImportError:
        return
    for version in "1.26", kubernetes_validate.latest_version():
        for o in objects:
            kubernetes_validate.validate(o, version, strict=True)
    print("ok: by the schemas")


def main():
    objects = load("tokfs.yaml")
    names = [(o["kind"], o["metadata"]["name"]) for o in objects]
    assert len(set(names)) == len(names)
    pods = []
    for o in objects:
        assert o["apiVersion"] == VERSIONS[o["kind"]], o
        if o["kind"] == "Deployment":
            pods.append(check_deployment(o))
    for o in objects:
        if o["kind"] == "Service":
            ports = [ports for labels, ports in pods if o["spec"]["selector"].items() <= labels.items()]
            assert len(ports) == 1 and all(p["targetPort"] in ports[0] for p in o["spec"]["ports"]), o
    check_schemas(objects)
    check_script(next(c for o in objects if o["metadata"]["name"] == "tokfs-node" for c in o["spec"]["template"]["spec"]["containers"]))
    picker, = load("llm-d-values.yaml")
    types = {plugin["type"] for plugin in picker["plugins"]}
    assert all(ref["pluginRef"] in types for profile in picker["schedulingProfiles"] for ref in profile["plugins"])
    print(f"ok: {len(objects)} objects")


if __name__ == "__main__":
    main()
