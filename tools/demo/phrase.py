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
FUNCTION_WORDS = set("a an the is do does you to me I of are can my it this that in have".split())
FILLERS = ["really", "just", "now", "then", "again", "actually", "maybe", "well", "please", "also"]
TAILS = [
    " my friend",
    " today",
    " now",
    " then",
    " again",
    " for me",
    ", dear model",
    " right now",
    ", will you",
    " my dear",
]
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


def blur(rng: random.Random, text: str) -> str:
    """A user's slips and fillers: a small word left out, a word or a tail added, two letters swapped."""
    kind, words = rng.random(), text.split()
    if kind > 0.20:
        return text
    at = rng.randrange(len(words))
    if kind < 0.06:
        kept = [w for i, w in enumerate(words) if i != at or w not in FUNCTION_WORDS]
        return " ".join(kept) or text
    if kind < 0.11:
        return " ".join(words[:at] + [rng.choice(FILLERS)] + words[at:])
    if kind < 0.18:
        return text + rng.choice(TAILS)
    word = words[at]
    if len(word) > 3 and word.isalpha():
        i = rng.randrange(len(word) - 1)
        words[at] = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    return " ".join(words)


def normal(text: str) -> str:
    """Equal for two texts that differ in case, punctuation and spaces only."""
    return re.sub(r"[^a-z0-9+*/-]+", " ", text.lower()).strip()
