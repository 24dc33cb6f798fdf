#!/usr/bin/env python3
"""Prints what `tokfs-model compare` is given to measure quantization on the built-in model: the first 300 held-out questions with the
model's own answers, as it reads them, a JSON array of token ids on each line.

    gen_demo_chats.py build/tools/model/tokfs-model > chats.txt
    tokfs-model compare --weights q8 tools/demo/model < chats.txt
"""

import json
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parent.parent.parent / "tools" / "demo"


def run(tool, command, lines):
    text = "\n".join(json.dumps(line) for line in lines)
    result = subprocess.run([tool, command, DEMO / "model"], input=text, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


def main():
    tool = sys.argv[1]
    items = [line.strip() for line in (DEMO / "heldout.txt").read_text().splitlines()]
    questions = [item.split(": ", 1)[-1] for item in items if item and item[0] not in "#["][:300]
    chats = [[{"role": "user", "content": question}] for question in questions]
    answers = run(tool, "generate", [{"messages": chat, "temperature": 0, "max_tokens": 120} for chat in chats])
    for chat, answer in zip(chats, answers):
        chat.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"]})
    texts = [rendered["output"] for rendered in run(tool, "render", [{"messages": chat} for chat in chats])]
    for ids in run(tool, "tokenize", texts):
        print(json.dumps(ids))


if __name__ == "__main__":
    main()
