"""The table of tasks: how often each is trained, and what makes its turns."""

from __future__ import annotations

import random

import howto
import talk
from facts import make_calendar, make_capital, make_colour
from letters import make_length, make_letter, make_order, make_repeat, make_reverse, make_spell, make_wordcount
from sums import make_compare, make_count, make_hard_sum, make_sum
from turn import Make, Turn, ask
from words import WORDS


def make_howto(rng: random.Random, held: bool) -> Turn:
    fact = rng.choice(howto.FACTS)
    return Turn(ask(rng, held, fact.train, fact.held, loose=True), fact.answer, fact.word, fact.command)


def make_talk(rng: random.Random, held: bool) -> Turn:
    row = rng.choice(talk.TALKS)
    return Turn(ask(rng, held, row.train, row.held, loose=True), row.answer, row.word)


def make_unknown(rng: random.Random, held: bool) -> Turn:
    x, y = rng.sample(talk.TOPICS + (talk.TOPICS_HELD if held else []), 2)
    slots = {"x": x, "y": y, "n": rng.randint(2, 99), "m": rng.randint(2, 99), "w": rng.choice(WORDS)}
    user = ask(rng, held, talk.UNKNOWN_TRAIN, talk.UNKNOWN_HELD, loose=True, **slots)
    return Turn(user, talk.REFUSAL, talk.REFUSAL_WORD)


# weight in training, maker; the names are those of the evaluation's table
TASKS: dict[str, tuple[float, Make]] = {
    "howto": (16, make_howto),
    "small talk": (18, make_talk),
    "does not know": (14, make_unknown),
    "arithmetic": (45, make_sum),
    "too hard": (2, make_hard_sum),
    "compare": (5, make_compare),
    "spelling": (5, make_spell),
    "reverse word": (14, make_reverse),
    "reverse order": (8, make_order),
    "letters": (6, make_length),
    "first/last letter": (2, make_letter),
    "count words": (6, make_wordcount),
    "repeating": (8, make_repeat),
    "counting": (4, make_count),
    "calendar": (4, make_calendar),
    "capitals": (4, make_capital),
    "colours": (4, make_colour),
}
