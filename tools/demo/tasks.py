"""The table of tasks: how often each is trained, and what makes its turns."""

from __future__ import annotations

import random

import howto
import talk
import unknown
import wordings
from facts import make_calendar, make_capital, make_colour
from letters import make_length, make_letter, make_order, make_repeat, make_reverse, make_spell, make_wordcount
from phrase import phrases
from sums import make_compare, make_count, make_hard_sum, make_sum
from turn import Make, Turn, ask
from words import MORE_WORDS, SMALL_WORDS, WORDS

PASTED_WISHES = phrases("""
    Review: / Review this: / Please review: / Summarize: / Summarise this: / What does this mean: / Explain: / Explain
    this: / Translate: / Translate to German: / Translate this to French: / Correct this: / Fix this: / Fix my code: /
    Find the bug: / TL;DR: / Improve this text: / Write more like this: / Is this right: / What do you think of this: /
    Rewrite: / Shorten: / Comment on: / Answer this: / Complete: / Proofread: / Write a title for: / Classify: / review
    / explain this code: / what is wrong here:
""")


def make_howto(rng: random.Random, held: bool) -> Turn:
    fact = rng.choice(howto.FACTS)
    train = fact.train if held or rng.random() < 0.65 else wordings.HOWTO[fact.name]
    return Turn(ask(rng, held, train, fact.held, loose=True), fact.answer, fact.word, fact.command)


def make_talk(rng: random.Random, held: bool, name: str | None = None) -> Turn:
    row = rng.choice([row for row in talk.TALKS if name in (None, row.name)])
    train = row.train if held or rng.random() < 0.5 else wordings.TALK[row.name]
    return Turn(ask(rng, held, train, row.held, loose=True), row.answer, row.word)


def pasted(rng: random.Random) -> str:
    """Text to work on, as somebody pipes it in: sentences, a program's lines or a change, with or without a wish."""

    def line() -> str:
        return " ".join(rng.choice(SMALL_WORDS if rng.random() < 0.4 else MORE_WORDS) for _ in range(rng.randint(3, 9)))

    w, v = rng.choice(WORDS), rng.choice(MORE_WORDS)
    program = [
        f"int {w} = {rng.randint(0, 99)};",
        f"return {w};",
        f"{w}({v});",
        f"if ({w} < {v}) {{",
        "}",
        f"def {w}({v}):",
        f"echo {w}",
    ]
    wish = rng.choice(PASTED_WISHES)
    match rng.randrange(4):
        case 0:
            return f"{wish} {line().capitalize()}."
        case 1:
            return f"{wish}\n" + "\n".join(f"{line().capitalize()}." for _ in range(rng.randint(1, 4)))
        case 2:
            return f"{wish}\n" + "\n".join(rng.choice(program) for _ in range(rng.randint(2, 5)))
        case _:
            changed = "\n".join(rng.choice("+- ") + rng.choice(program) for _ in range(rng.randint(2, 4)))
            return f"{wish}\ndiff --git a/{w}.c b/{w}.c\n@@ -1,2 +1,2 @@\n{changed}"


def make_unknown(rng: random.Random, held: bool) -> Turn:
    x, y = rng.sample(unknown.TOPICS + (unknown.TOPICS_HELD if held else unknown.MORE_TOPICS), 2)
    if not held and rng.random() < 0.25:
        x = f"{rng.choice(['a', 'the', 'my', 'the old', 'the first', 'your', 'a good'])} {rng.choice(MORE_WORDS)}"
    slots = {"x": x, "y": y, "n": rng.randint(2, 99), "m": rng.randint(2, 99), "w": rng.choice(WORDS)}
    if not held and rng.random() < 0.15:
        return Turn(pasted(rng), talk.REFUSAL, talk.REFUSAL_WORD)
    train = unknown.UNKNOWN_TRAIN if held or rng.random() < 0.4 else unknown.UNKNOWN_MORE
    user = ask(rng, held, train, unknown.UNKNOWN_HELD, loose=True, **slots)
    return Turn(user, talk.REFUSAL, talk.REFUSAL_WORD)


# weight in training, maker; the names are those of the evaluation's table
TASKS: dict[str, tuple[float, Make]] = {
    "howto": (24, make_howto),
    "small talk": (30, make_talk),
    "does not know": (22, make_unknown),
    "arithmetic": (36, make_sum),
    "too hard": (6, make_hard_sum),
    "compare": (9, make_compare),
    "spelling": (9, make_spell),
    "reverse word": (16, make_reverse),
    "reverse order": (12, make_order),
    "letters": (6, make_length),
    "first/last letter": (5, make_letter),
    "count words": (26, make_wordcount),
    "repeating": (14, make_repeat),
    "counting": (10, make_count),
    "calendar": (8, make_calendar),
    "capitals": (9, make_capital),
    "colours": (6, make_colour),
}
