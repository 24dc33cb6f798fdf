"""Phrasings as small patterns, and the dress a sentence wears: capitals, punctuation, politeness.

A pattern such as "(can you |)spell {w}" stands for every choice of its brackets. Brackets nest; slots are filled last, so
that a slot's text is never read as a pattern.
"""

from __future__ import annotations

import random
import re

INNERMOST = re.compile(r"\(([^()]*)\)")
QUESTION_STARTS = set(
    "what what's how who which where when why can could would will are is am do does did if whats who's in on".split()
)
OPENERS = ["please ", "hey, ", "ok, ", "so, ", "now ", "hi, ", "and ", "well, ", "hello, ", "next: "]
CLOSERS = [" please", ", please", ", thanks", " thanks"]


def phrases(text: str) -> list[str]:
    """The phrases of a text in which " / " separates them; line ends are spaces."""
    return [phrase for phrase in " ".join(text.split()).split(" / ") if phrase]


def expand(rng: random.Random, pattern: str, **slots: object) -> str:
    """One random reading of the pattern."""
    while match := INNERMOST.search(pattern):
        choice = rng.choice(match.group(1).split("|"))
        pattern = pattern[: match.start()] + choice + pattern[match.end() :]
    text = re.sub(r" +", " ", pattern).strip()
    return text.format(**slots)


def pick(rng: random.Random, held: bool, train: list[str], heldout: list[str], **slots: object) -> str:
    return expand(rng, rng.choice(heldout if held else train), **slots)


def is_question(text: str) -> bool:
    return text.split(" ", 1)[0].lower().strip(",") in QUESTION_STARTS


def capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]


def dress(rng: random.Random, text: str, fold: bool = True, end: bool = True) -> str:
    """Varies case, punctuation and politeness. `fold` allows all lower case; `end` allows a mark or words at the end."""
    mark = "?" if is_question(text) else "."
    if rng.random() < 0.15:
        text = rng.choice(OPENERS) + text
    if end and rng.random() < 0.08:
        text += rng.choice(CLOSERS)
    style = rng.random()
    if style < 0.60:
        text = capitalize(text)
    elif style < 0.75 and fold:
        text = text.lower()
    if not end:
        return text
    style = rng.random()
    if style < 0.65:
        return text + mark
    if style < 0.70:
        return text + "!"
    return text


def normal(text: str) -> str:
    """Equal for two texts that differ in case, punctuation and spaces only."""
    return re.sub(r"[^a-z0-9+*/-]+", " ", text.lower()).strip()
