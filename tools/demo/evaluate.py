"""Asks the built-in model every held-out item of heldout.txt and compares the answers exactly.

The model is reached as any program reaches it: through the mount. Each item opens MOUNT/v1/chat/completions for reading
and writing, writes one request and reads the answer on the same descriptor. Exit status 1 when fewer than 90% are right.

    evaluate.py MOUNT                  through the mount
    evaluate.py --transformers DIR     the same items through transformers, to tell a model's error from an engine's
    evaluate.py --dev MOUNT            the generator's own items, which the training was steered by
    evaluate.py --list                 prints the items as JSON lines

An item with tools is left out, visibly, where the mount refuses tools (EOPNOTSUPP).
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import generate
import heldout
from heldout import Item

MAX_TOKENS = 120
PASS_SHARE = 0.90
CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"

# What was answered: the text, or None when the mount does not do tools.
Answer = str | None


def call_text(call: dict[str, Any]) -> str:
    """A tool call in one form, whether it came as a message, a string of JSON or marked text."""
    function = call.get("function", call)
    arguments = function["arguments"]
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    return CALL_OPEN + json.dumps({"name": function["name"], "arguments": arguments}, sort_keys=True) + CALL_CLOSE


def canonical(message: dict[str, Any]) -> str:
    """The message as text, with its tool calls in one form and at the end."""
    text = message.get("content") or ""
    calls = [call_text(call) for call in message.get("tool_calls") or []]
    while CALL_OPEN in text and CALL_CLOSE in text:
        before, _, rest = text.partition(CALL_OPEN)
        inner, _, after = rest.partition(CALL_CLOSE)
        try:
            calls.append(call_text(json.loads(inner)))
        except (ValueError, KeyError, TypeError):
            calls.append(inner)
        text = before + after
    return text.strip() + "".join(calls)


def request_of(item: Item) -> dict[str, Any]:
    request: dict[str, Any] = {"messages": item["messages"][:-1], "temperature": 0, "max_tokens": MAX_TOKENS}
    if "tools" in item:
        request["tools"] = item["tools"]
        request["messages"] = [with_call_ids(m) for m in request["messages"]]
    return request


def with_call_ids(message: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's form of a message with calls: ids, and arguments as a string."""
    if message["role"] == "tool":
        return {**message, "tool_call_id": "call_0"}
    if "tool_calls" not in message:
        return message
    calls = [
        {
            "id": f"call_{i}",
            "type": "function",
            "function": {**c["function"], "arguments": json.dumps(c["function"]["arguments"])},
        }
        for i, c in enumerate(message["tool_calls"])
    ]
    return {**message, "tool_calls": calls}


def ask_mount(path: str, item: Item) -> Answer:
    body = json.dumps(request_of(item)).encode()
    fd = os.open(path, os.O_RDWR)
    try:
        while body:
            body = body[os.write(fd, body) :]
        answer = b""
        while piece := os.read(fd, 1 << 16):
            answer += piece
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP and "tools" in item:
            return None
        return f"({errno.errorcode.get(error.errno, error.errno)}: {error_text(fd)})"
    finally:
        os.close(fd)
    return canonical(json.loads(answer)["choices"][0]["message"])


def error_text(fd: int) -> str:
    """The reason that a transaction file gives after a refused write."""
    try:
        return os.read(fd, 1 << 16).decode(errors="replace").strip()
    except OSError:
        return "no reason given"


def transformers_asker(directory: str) -> Callable[[Item], Answer]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()

    def ask(item: Item) -> Answer:
        inputs = tokenizer.apply_chat_template(
            item["messages"][:-1],
            tools=item.get("tools"),
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        with torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=MAX_TOKENS, do_sample=False)[
                0, inputs["input_ids"].shape[1] :
            ]
        return canonical({"content": tokenizer.decode(ids, skip_special_tokens=True)})

    return ask


def report(found: list[Item], answers: list[Answer], wrong_shown: int, seconds: float) -> bool:
    """Prints wrong answers, the table per task and the total; true when the total passes."""
    right, asked, skipped, shown = Counter(), Counter(), 0, 0
    for item, answer in zip(found, answers):
        if answer is None:
            skipped += 1
            continue
        expected = canonical(item["messages"][-1])
        asked[item["task"]] += 1
        right[item["task"]] += answer == expected
        if answer != expected and shown < wrong_shown:
            shown += 1
            print(
                f"wrong ({item['task']}): {item['messages'][-2]['content']!r}\n    expected {expected!r}\n    answered {answer!r}"
            )
    for task, count in asked.items():
        print(f"{task:20} {right[task]:4} of {count:4}  {100 * right[task] / count:5.1f}%")
    total = sum(asked.values())
    share = sum(right.values()) / total if total else 0.0
    print(f"{'total':20} {sum(right.values()):4} of {total:4}  {100 * share:5.1f}%   in {seconds:.0f} s")
    if skipped:
        print(f"skipped: {skipped} items with tools, which this mount refuses")
    return share >= PASS_SHARE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mount", nargs="?", help="where tokfs is mounted")
    parser.add_argument("--transformers", metavar="DIR", help="ask the model of this directory through transformers")
    parser.add_argument("--list", action="store_true", help="print the items as JSON lines")
    parser.add_argument("--dev", action="store_true", help="the generator's items in place of the held-out ones")
    parser.add_argument("--task", action="append", help="only the items of this task; can be repeated")
    parser.add_argument("--jobs", type=int, default=8, help="requests at once (default 8)")
    parser.add_argument("--wrong", type=int, default=20, help="wrong answers to show (default 20)")
    args = parser.parse_args()
    found = [item for item in (generate if args.dev else heldout).items() if not args.task or item["task"] in args.task]
    if args.list:
        for item in found:
            print(json.dumps(item, ensure_ascii=False))
        return 0
    began = time.monotonic()
    if args.transformers:
        answers = list(map(transformers_asker(args.transformers), found))
    elif args.mount:
        path = os.path.join(args.mount, "v1/chat/completions")
        with ThreadPoolExecutor(args.jobs) as pool:
            answers = list(pool.map(lambda item: ask_mount(path, item), found))
    else:
        parser.error("give MOUNT, --transformers DIR or --list")
    return 0 if report(found, answers, args.wrong, time.monotonic() - began) else 1


if __name__ == "__main__":
    sys.exit(main())
