"""Reads heldout.txt, the hand-written items that the model is judged by, in the form of generate.py's items.

The file says how it is written. Nothing here is random: an item is a line, and a line is an item.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import howto
import talk

Message = dict[str, Any]
Item = dict[str, Any]

FILE = Path(__file__).resolve().parent / "heldout.txt"
ROWS = {"howto": {row.name: row for row in howto.FACTS}, "talk": {row.name: row for row in talk.TALKS}}
ROW_TASKS = {"howto": "howto", "small talk": "talk"}
FIXED = {"does not know": talk.REFUSAL, "too hard": talk.TOO_HARD}
REFERENCE = re.compile(r"@(\w+)\.(\w+)(?:\.(word|command))?")
CALL = re.compile(r"(\w+)\((\w+)=([^)]*)\)")
SAYS = {
    "weather": "Get the current weather of a city.",
    "time": "Get the local time of a city.",
    "population": "Get the number of people in a city.",
}


def resolved(text: str) -> str:
    """The text with its references replaced by the answers they name."""
    text = text.replace("@unknown", talk.REFUSAL).replace("@hard", talk.TOO_HARD)
    return REFERENCE.sub(lambda m: getattr(ROWS[m[1]][m[2]], m[3] or "answer"), text)


def tool_schema(name: str, argument: str) -> Item:
    says = next(text for kind, text in SAYS.items() if kind in name)
    parameters = {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
    return {"type": "function", "function": {"name": name, "description": says, "parameters": parameters}}


def answer_message(text: str) -> Message:
    calls = [
        {"type": "function", "function": {"name": name, "arguments": {argument: value}}}
        for name, argument, value in CALL.findall(text)
    ]
    if calls:
        return {"role": "assistant", "content": "", "tool_calls": calls}
    return {"role": "assistant", "content": resolved(text)}


def asked_message(text: str) -> Message:
    if text.startswith("tool: "):
        return {"role": "tool", "content": text.removeprefix("tool: ")}
    return {"role": "user", "content": text.replace("\\n", "\n")}


def item_of(task: str, line: str) -> Item:
    if task in ROW_TASKS:
        name, _, line = line.partition(": ")
        line = f"{line} => @{ROW_TASKS[task]}.{name}"
    elif task in FIXED:
        line = f"{line} => {FIXED[task]}"
    item: Item = {"task": task, "messages": []}
    if match := re.match(r"\{([^}]*)\} (.*)", line):
        item["messages"].append({"role": "system", "content": match[1]})
        line = match[2]
    if match := re.match(r"<([^>]*)> (.*)", line):
        item["tools"] = [tool_schema(*tool.split()) for tool in match[1].split(", ")]
        line = match[2]
    for turn in line.split(" ;; "):
        question, _, answer = turn.partition(" => ")
        item["messages"] += [asked_message(question), answer_message(answer)]
    return item


def lines() -> Iterator[tuple[str, str]]:
    """Each item's task and line."""
    task = ""
    for line in FILE.read_text().splitlines():
        if line.startswith("["):
            task = line.strip("[]")
        elif line and not line.startswith("#"):
            yield task, line


def items() -> list[Item]:
    return [item_of(task, line) for task, line in lines()]
