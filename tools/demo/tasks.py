"""The table of tasks: how often each is trained, and what makes its turns."""

from __future__ import annotations

import random

import howto
import talk
from facts import make_calendar, make_capital, make_colour
from letters import make_length, make_letter, make_order, make_repeat, make_reverse, make_spell, make_wordcount
from phrase import dress, expand
from sums import make_compare, make_count, make_hard_sum, make_sum
from turn import Make, Turn, ask
from words import (
    WORDS,
)


def make_howto(rng: random.Random, held: bool) -> Turn:
    fact = rng.choice(howto.FACTS)
    return Turn(ask(rng, held, fact.train, fact.held), fact.answer, fact.word, fact.command)


def make_talk(rng: random.Random, held: bool) -> Turn:
    row = rng.choice(talk.TALKS)
    return Turn(ask(rng, held, row.train, row.held), row.answer, row.word)


def make_unknown(rng: random.Random, held: bool) -> Turn:
    topics = talk.TOPICS + (talk.TOPICS_HELD if held else [])
    x, y = rng.sample(topics, 2)
    pattern = rng.choice(talk.UNKNOWN_HELD if held else talk.UNKNOWN_TRAIN)
    slots = {"x": x, "y": y, "n": rng.randint(2, 99), "m": rng.randint(2, 99), "w": rng.choice(WORDS)}
    return Turn(dress(rng, expand(rng, pattern, **slots)), talk.REFUSAL, talk.REFUSAL_WORD)


# weight in training, maker; the names are those of the evaluation's table
TASKS: dict[str, tuple[float, Make]] = {
    "howto": (16, make_howto),
    "small talk": (16, make_talk),
    "does not know": (10, make_unknown),
    "arithmetic": (16, make_sum),
    "too hard": (1.5, make_hard_sum),
    "compare": (2, make_compare),
    "spelling": (7, make_spell),
    "reverse word": (8, make_reverse),
    "reverse order": (3, make_order),
    "letters": (3, make_length),
    "first/last letter": (2, make_letter),
    "count words": (2, make_wordcount),
    "repeating": (6, make_repeat),
    "counting": (8, make_count),
    "calendar": (9, make_calendar),
    "capitals": (8, make_capital),
    "colours": (6, make_colour),
}
