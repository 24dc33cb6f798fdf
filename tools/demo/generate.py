"""Writes the dialogues that the built-in model learns from, and the items that the training is steered by.

A dialogue is a system prompt (or none), perhaps tools, and turns drawn from the tasks until a length is reached. The
phrasings of the items here are lists of their own. A training turn or system prompt that happens to equal one of these
items, or one of heldout.txt, is dropped.
Pure Python and seeded: the same seed gives the same lines.

    python3 generate.py --dialogues 5      prints dialogues as JSON lines
    python3 generate.py --items            prints the items as JSON lines
"""

from __future__ import annotations

import argparse
import json
import random

import heldout
from facts import make_calendar, make_capital, make_colour
from follow import follow_up
from memory import NO_NAME, ask_colour, ask_name, some_name, tell_colour, tell_name
from phrase import normal
from roles import Style, in_one_word, some_style
from sums import make_count, make_sum
from tasks import TASKS, make_howto, make_talk
from toolcall import TOOL_KINDS, Item, Message, make_tool, tool_turn
from turn import Turn
from words import COLOUR_NAMES

EVAL_SEED = 20


def messages_length(messages: list[Message]) -> int:
    return sum(len(json.dumps(m.get("tool_calls", ""))) + len(m["content"]) + 20 for m in messages)


class Writer:
    """Writes training dialogues; `blocked` are the normal forms of the held-out turns."""

    def __init__(self, seed: int, blocked: set[str] | None = None) -> None:
        self.rng = random.Random(seed)
        self.blocked = held_turns() if blocked is None else blocked
        self.names = list(TASKS)
        self.weights = [weight for weight, _ in TASKS.values()]
        self.last: tuple[str, Turn] | None = None  # the task's turn just before, for a follow-up

    def task_turn(self) -> Turn:
        while True:
            task = self.rng.choices(self.names, self.weights)[0]
            turn = TASKS[task][1](self.rng, False)
            if self.last and self.rng.random() < 0.12 and (following := follow_up(self.rng, *self.last)):
                task, turn = self.last[0], following
            if normal(turn.user) not in self.blocked:
                self.last = (task, turn)
                return turn

    def system_prompt(self, kind: str | None) -> tuple[str | None, Style, str | None]:
        while True:
            system, style, name = some_style(self.rng, kind=kind)
            if not system or normal(system) not in self.blocked:
                return system, style, name

    def dialogue(self, length: int, with_tools: bool = False) -> Item:
        """A dialogue of at least `length` characters."""
        rng, self.last = self.rng, None
        system, style, name = self.system_prompt(rng.choice(["none", "plain"]) if with_tools else None)
        messages: list[Message] = [{"role": "system", "content": system}] if system else []
        colour: str | None = None
        kinds = list(TOOL_KINDS)
        tools = (
            {kind: make_tool(rng, kind) for kind in rng.sample(kinds, rng.choice([1, 1, 2, 2, 3]))}
            if with_tools
            else {}
        )
        used = sum(len(json.dumps(t)) for t in tools.values())
        while len(messages) < 2 or used + messages_length(messages) < length:
            if rng.random() < (0.7 if with_tools else 0.015) and not style.prefix and style.kind == "plain":
                kind = rng.choice(list(tools) if tools and rng.random() < 0.85 else kinds)
                messages += tool_turn(rng, False, kind, tools)
                self.last = None
                continue
            turn, name, colour = self.next_turn(name, colour)
            if style.name and rng.random() < 0.2:
                turn, self.last = self.name_question(), None
            answer = style.answer(turn)
            if style.kind == "plain" and not style.prefix and turn.short and rng.random() < 0.09:
                turn = in_one_word(rng, False, turn)
                answer = turn.answer
            messages += [{"role": "user", "content": turn.user}, {"role": "assistant", "content": answer}]
        item: Item = {"messages": messages}
        if tools:
            item["tools"] = list(tools.values())
        return item

    def name_question(self) -> Turn:
        """Who the model is: asked often where a system prompt has given it a name."""
        while True:
            turn = make_talk(self.rng, False, "who")
            if normal(turn.user) not in self.blocked:
                return turn

    def next_turn(self, name: str | None, colour: str | None) -> tuple[Turn, str | None, str | None]:
        rng, p, before = self.rng, self.rng.random(), self.last
        self.last = None
        if p < (0.03 if name else 0.09):
            name = some_name(rng, False)
            turn = tell_name(rng, False, name)
        elif p < (0.14 if name else 0.11):
            turn = ask_name(rng, False, name)
        elif p < 0.16:
            colour = rng.choice(COLOUR_NAMES)
            turn = tell_colour(rng, False, colour)
        elif p < (0.20 if colour else 0.165):
            turn = ask_colour(rng, False, colour)
        else:
            self.last = before
            turn = self.task_turn()
        return (turn, name, colour) if normal(turn.user) not in self.blocked else self.next_turn(name, colour)


# --- items of development ---------------------------------------------------------------------------------------------

COUNTS = {
    "howto": 70,
    "small talk": 70,
    "does not know": 40,
    "arithmetic": 60,
    "too hard": 10,
    "compare": 15,
    "spelling": 40,
    "reverse word": 40,
    "reverse order": 20,
    "letters": 20,
    "first/last letter": 15,
    "count words": 15,
    "repeating": 30,
    "counting": 40,
    "calendar": 50,
    "capitals": 45,
    "colours": 40,
    "memory": 50,
    "one word": 40,
    "terse": 20,
    "persona": 20,
    "tools": 30,
}
FILLERS = [make_sum, make_capital, make_colour, make_calendar, make_howto, make_count]


def as_messages(turns: list[tuple[str, str]], system: str | None = None) -> list[Message]:
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for user, answer in turns:
        messages += [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]
    return messages


def filler(rng: random.Random, n: int) -> list[tuple[str, str]]:
    turns = [rng.choice(FILLERS)(rng, False) for _ in range(n)]
    return [(t.user, t.answer) for t in turns]


def styled_turn(rng: random.Random) -> Turn:
    while True:
        turn = rng.choice(FILLERS)(rng, True)
        if turn.short:
            return turn


def memory_item(rng: random.Random) -> list[Message]:
    """A fact is told, two or three other turns follow, then it is asked for."""
    if rng.random() < 0.75:
        name = some_name(rng, True)
        tell, ask = tell_name(rng, True, name), ask_name(rng, True, name if rng.random() < 0.9 else None)
        told = [(tell.user, tell.answer)] if ask.answer != NO_NAME.answer else filler(rng, 1)
    else:
        colour = rng.choice(COLOUR_NAMES)
        tell, ask = tell_colour(rng, True, colour), ask_colour(rng, True, colour)
        told = [(tell.user, tell.answer)]
    return as_messages(told + filler(rng, rng.randint(2, 3)) + [(ask.user, ask.answer)])


def tools_item(rng: random.Random) -> Item:
    """Ends with a call, with the answer made from a tool's result, or with a question that no tool is for."""
    kinds = rng.sample(["weather", "time"], rng.randint(1, 2))
    tools = {kind: make_tool(rng, kind) for kind in kinds}
    messages = tool_turn(rng, True, rng.choice(kinds), tools)
    if rng.random() < 0.5:
        messages = messages[:2]
    elif rng.random() < 0.4:
        turn = make_capital(rng, True)
        messages = as_messages([(turn.user, turn.answer)])
    return {"messages": messages, "tools": list(tools.values())}


def make_item(rng: random.Random, task: str) -> Item:
    if task == "memory":
        return {"messages": memory_item(rng)}
    if task == "tools":
        return tools_item(rng)
    if task == "one word":
        turn = styled_turn(rng)
        if rng.random() < 0.5:
            return {"messages": as_messages([(turn.user, turn.short or "")], some_style(rng, True, "word")[0])}
        turn = in_one_word(rng, True, turn)
        return {"messages": as_messages([(turn.user, turn.answer)])}
    if task in ("terse", "persona"):
        system, style, _ = some_style(rng, True, task if task == "terse" else rng.choice(["pirate", "robot"]))
        turn = styled_turn(rng)
        return {"messages": as_messages([(turn.user, style.answer(turn))], system)}
    turn = TASKS[task][1](rng, True)
    before = filler(rng, rng.randint(1, 3)) if rng.random() < 0.25 else []
    return {"messages": as_messages(before + [(turn.user, turn.answer)])}


def items(seed: int = EVAL_SEED) -> list[Item]:
    """The items of development: {task, messages (the last one is the right answer), tools?}, all different."""
    rng, found, seen = random.Random(seed), [], set()
    for task, count in COUNTS.items():
        while count:
            item = make_item(rng, task)
            key = json.dumps(item["messages"][:-1])
            if key not in seen:
                seen.add(key)
                found.append({"task": task, **item})
                count -= 1
    return found


def held_turns() -> set[str]:
    """Normal forms of what is new in the judged turns: the system prompt if there is one, else the user's last turn."""
    held = set()
    for item in items() + heldout.items():
        first, asked = item["messages"][0], [m for m in item["messages"] if m["role"] == "user"]
        held.add(normal((first if first["role"] == "system" else asked[-1])["content"]))
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dialogues", type=int, default=0, help="how many to print")
    parser.add_argument("--length", type=int, default=600, help="characters of each")
    parser.add_argument("--items", action="store_true", help="print the items")
    args = parser.parse_args()
    if args.items:
        for item in items():
            print(json.dumps(item, ensure_ascii=False))
    writer = Writer(args.seed)
    for i in range(args.dialogues):
        print(json.dumps(writer.dialogue(args.length, with_tools=i % 12 == 11), ensure_ascii=False))


if __name__ == "__main__":
    main()
