#!/usr/bin/env python3
"""curl with jq, and the program `llm`, against the bridge on the real mount; its answers are checked with OpenAI's schema."""
import json
import os
import shutil
import subprocess
import sys

from wire import need, serving

need("llm")

from bridge import BRIDGE, Bridge
from mount import Mount, run_tests

WEATHER = 'def get_weather(city: str) -> str:\n    "Weather of a place."\n    return "sunny"\n'


def shell(command, wire, status=0):
    """What a line of shell says, with the bridge's address in $url."""
    done = subprocess.run(["bash", "-c", "set -o pipefail; " + command], env={**os.environ, "url": wire.base_url}, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == status, (command, done)
    return done.stdout


def ask(text, **fields):
    return "'" + json.dumps({"messages": [{"role": "user", "content": text}], "temperature": 0, **fields}) + "'"


def test_curl_and_jq():
    if not shutil.which("curl") or not shutil.which("jq"):
        print("        skipped: no curl, or no jq")
        return
    with serving() as (_, wire):
        assert shell("curl -s $url/models | jq -r .data[].id", wire) == "demo\n"
        assert shell("curl -s $url/models/demo | jq -r .object", wire) == "model\n"
        whole = shell(f"curl -s $url/chat/completions -d {ask('What is 12 + 30?')} | jq -r .choices[0].message.content", wire)
        assert whole == "12 + 30 = 42.\n", whole
        streamed = (f"curl -sN $url/chat/completions -d {ask('What is 12 + 30?', stream=True)} | sed -n 's/^data: //; /^{{/p' | "
                    "jq -rj '.choices[].delta.content // empty'")
        assert shell(streamed, wire) == whole.strip()
        asks = f"curl -s $url/chat/completions -H 'Content-Type: application/json' -H 'Expect: 100-continue' -d {ask('Spell cat.')}"
        assert shell(f"{asks} | jq -r .choices[0].message.content", wire) == "c-a-t\n"
        body = f"printf %s {ask('Spell cat.')} | curl -s -H 'Transfer-Encoding: chunked' -T - -X POST $url/chat/completions"
        assert shell(f"{body} | jq -r .choices[0].message.content", wire) == "c-a-t\n"
        wrong = ask("x", temperature=9)
        assert shell(f"curl -s $url/chat/completions -d {wrong} | jq -r '.error.param, .error.code'", wire) == \
            "temperature\ndecimal_above_max_value\n"
        shell(f"curl -sf $url/chat/completions -d {wrong}", wire, status=22)  # --fail sees the status
        assert shell(f"curl -s -o /dev/null -w '%{{http_code}}' $url/embeddings -d '{{\"model\":\"demo\",\"input\":\"x\"}}'", wire) == "400"
        assert shell("curl -s ${url%/v1}/metrics | grep -c ^tokfs_", wire).strip() != "0"
    with Mount() as m, Bridge(m, listen=f"unix:{m.scratch}/s") as b:
        done = subprocess.run(["curl", "-s", "--unix-socket", b.listen.removeprefix("unix:"), "http://x/health"], capture_output=True, timeout=300)
        assert done.stdout == b"ok\n", done


class Llm:
    """`llm` with a home of its own, in which the bridge is a model."""

    def __init__(self, home, wire):
        self.home = home
        os.mkdir(home)
        with open(home + "/extra-openai-models.yaml", "w") as file:
            for name, more in (("tokfs", "supports_tools: true\n  supports_schema: true"), ("tokfs-text", "completion: true")):
                file.write(f'- model_id: {name}\n  model_name: demo\n  api_base: "{wire.base_url}"\n  {more}\n')

    def __call__(self, *arguments, model="tokfs", stdin="", wanted=0):
        done = subprocess.run([sys.executable, "-m", "llm", "-m", model, *arguments], input=stdin, text=True, capture_output=True,
                              env={**os.environ, "LLM_USER_PATH": self.home, "OPENAI_API_KEY": "none"}, timeout=300)
        assert done.returncode == wanted, (arguments, done)
        return done.stdout.strip() if wanted == 0 else done.stderr


def test_llm():
    with serving() as (m, wire):
        llm = Llm(m.scratch + "/llm", wire)
        assert llm("-o", "temperature", "0", "What is 12 + 30?") == "12 + 30 = 42."
        assert llm("-c", "-o", "seed", "1", "-o", "temperature", "0", "And 2 + 2?") == "2 + 2 = 4."
        assert llm("--no-stream", "-s", "Answer in one word.", "-o", "temperature", "0", stdin="What is the capital of Italy?") == "Rome"
        assert "sunny" in llm("--functions", WEATHER, "-o", "temperature", "0", "What is the weather in Paris?")
        said = llm("--schema", json.dumps({"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}), "What is 12 + 30?")
        assert json.loads(said)["n"] in (1, 2), said
        llm("-o", "max_tokens", "4", "one two", model="tokfs-text")
        assert "stop" in llm("-o", "stop", "x" * 300, "hi", wanted=1)


if __name__ == "__main__":
    if not os.access(BRIDGE, os.X_OK):
        print("skipped: TOKFS_BRIDGE is not a program")
        sys.exit(77)
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
