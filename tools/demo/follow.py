"""Follow-ups: a turn that leaves out what the turn before it said, such as "and of Sweden?" after a capital."""

from __future__ import annotations

import random
from collections.abc import Callable

from letters import dashed, some_word
from phrase import dress, expand, phrases
from sums import SIGNS, solve
from turn import Turn
from words import CAPITALS, COLOURS, DAYS, MONTH_DAYS, MONTHS

AND = "(and|what about|how about|ok, and|now|and now|next:|then|and what about|or)"
THING = phrases(f"""
    {AND} {{x}} / {AND} the same for {{x}} / {{x}}, then / same (question |)for {{x}} / do the same (for|with) {{x}}
""")
PLACE = phrases(f"""
    {AND} (of |for |that of |) {{x}} / and {{x}}'s / what is it for {{x}} / same for {{x}} / and (the capital of|) {{x}}
""")
SUM = phrases(f"{AND} {{a}} {{s}} {{b}} / {AND} (what is|what's|how much is) {{a}} {{s}} {{b}} / {AND} {{a}}{{c}}{{b}}")


def said(rng: random.Random, patterns: list[str], **slots: object) -> str:
    return dress(rng, expand(rng, rng.choice(patterns), **slots))


def follow_capital(rng: random.Random) -> Turn:
    x = rng.choice(list(CAPITALS))
    y = CAPITALS[x]
    return Turn(said(rng, PLACE, x=x), f"The capital of {x} is {y}.", None if " " in y else y)


def follow_colour(rng: random.Random) -> Turn:
    x = rng.choice(list(COLOURS))
    start, colour = COLOURS[x]
    return Turn(said(rng, THING, x=x), f"{start} {colour}.", colour)


def follow_sum(rng: random.Random) -> Turn:
    sign = rng.choice("++-*")
    top = 10 if sign == "*" else 99
    a, b = rng.randint(0, top), rng.randint(0, top)
    if sign == "-" and a < b:
        a, b = b, a
    result = solve(a, sign, b)
    user = said(rng, SUM, a=a, b=b, s=rng.choice(SIGNS[sign]), c=SIGNS[sign][0])
    return Turn(user, f"{a} {sign} {b} = {result}.", str(result))


def follow_spell(rng: random.Random) -> Turn:
    w = some_word(rng, False)
    return Turn(said(rng, THING, x=w), dashed(w), dashed(w))


def follow_reverse(rng: random.Random) -> Turn:
    w = some_word(rng, False)
    return Turn(said(rng, THING, x=w), dashed(w[::-1]), dashed(w[::-1]))


def follow_length(rng: random.Random) -> Turn:
    w = some_word(rng, False)
    return Turn(said(rng, THING, x=w), f"{dashed(w)} has {len(w)} letter{'s'[: len(w) > 1]}.", str(len(w)))


def follow_calendar(rng: random.Random, before: Turn) -> Turn | None:
    """The neighbour of another day or month, or the length of another month, as the turn before asked for."""
    if " comes " in before.answer:
        names = DAYS if before.short in DAYS else MONTHS
        side = "after" if " comes after " in before.answer else "before"
        i = rng.randrange(len(names))
        y = names[(i + (1 if side == "after" else -1)) % len(names)]
        patterns = phrases(f"{AND} {side} {{x}} / {side} {{x}} / {AND} {side} {{x}} then")
        return Turn(said(rng, patterns, x=names[i]), f"{y} comes {side} {names[i]}.", y)
    if before.answer.split(" ")[0] in MONTHS and " has " in before.answer:
        i = rng.randrange(12)
        answer = f"{MONTHS[i]} has {MONTH_DAYS[i]} days" + (", or 29 in a leap year." if i == 1 else ".")
        return Turn(said(rng, THING, x=MONTHS[i]), answer, str(MONTH_DAYS[i]))
    return None


AFTER: dict[str, Callable[[random.Random], Turn]] = {
    "capitals": follow_capital,
    "colours": follow_colour,
    "arithmetic": follow_sum,
    "spelling": follow_spell,
    "reverse word": follow_reverse,
    "letters": follow_length,
}


def follow_up(rng: random.Random, task: str, before: Turn) -> Turn | None:
    """A turn that only makes sense after `before` of `task`, or None when there is none."""
    if task == "calendar":
        return follow_calendar(rng, before)
    if task == "capitals" and not before.answer.startswith("The capital of "):
        return None
    if task == "colours" and " make " in before.answer:
        return None
    return AFTER[task](rng) if task in AFTER else None
