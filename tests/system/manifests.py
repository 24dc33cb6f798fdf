#!/usr/bin/env python3
"""The manifests of dist/kubernetes: what an API server would refuse, and what would not work. Usage: manifests.py SOURCE_ROOT TOKFS_BRIDGE"""
import os
import subprocess
import sys

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
    picker, = load("llm-d-values.yaml")
    types = {plugin["type"] for plugin in picker["plugins"]}
    assert all(ref["pluginRef"] in types for profile in picker["schedulingProfiles"] for ref in profile["plugins"])
    print(f"ok: {len(objects)} objects")


if __name__ == "__main__":
    main()
