"""Short sentences, as somebody makes one up to have its words counted or repeated."""

from __future__ import annotations

import random

from phrase import capitalize, phrases

NOUNS = """
cat dog cow bird fish horse mouse bear fox frog house tree car boat train book key hat coat ball cake apple king queen
girl boy man woman baby teacher farmer doctor friend sister brother mother father river sea hill garden school park door
table chair bed box
""".split()
HOWS = "big small old young red black white little happy tired brave lazy green funny hungry quick".split()
PLACES = phrases("""
    in the garden / on the table / at home / under the bed / in my house / by the river / on the hill / at school / in a
    box / near the sea / behind the door / with my friend / for a long time / every day / in the morning / at night /
    very fast / again and again / all day long / with a red hat
""")
DOES = phrases("""
    sat / sleeps / runs / is sleeping / likes to sing / went home / was here / can swim / looks for food / eats fish /
    reads a book / plays the piano / jumps over the fence / is very happy / has a big key / wants some milk / sees the
    moon / drinks cold water / does not know / is late again / will come tomorrow
""")
FEEL, DID = "like see have want love saw need know".split(), "saw found lost bought took made".split()
WHAT = ["where", "what", "how big", "how old", "why"]


def somebody(rng: random.Random) -> str:
    how = f"{rng.choice(HOWS)} " if rng.random() < 0.4 else ""
    return f"{rng.choice(['the', 'a', 'my', 'your', 'our', 'this', 'the'])} {how}{rng.choice(NOUNS)}"


def sentence(rng: random.Random) -> str:
    """A sentence of two to a dozen words, in lower case."""
    who, does, place = somebody(rng), rng.choice(DOES), rng.choice(PLACES)
    match rng.randrange(8):
        case 0:
            return f"{who} {does}"
        case 1 | 2:
            return f"{who} {does} {place}"
        case 3:
            return f"i {rng.choice(FEEL)} {who}"
        case 4:
            return f"{who} is {rng.choice(HOWS)} and {rng.choice(HOWS)}"
        case 5:
            return f"{rng.choice(['we', 'you', 'they', 'he', 'she', 'it'])} {rng.choice(DID)} {who} {place}"
        case 6:
            return f"{rng.choice(WHAT)} is {who}"
        case _:
            return f"{who} and {somebody(rng)}"


def written(rng: random.Random, text: str) -> str:
    """Words as a user sets them apart: bare, quoted, as a sentence, with commas."""
    kind = rng.random()
    if kind < 0.45:
        return text
    if kind < 0.62:
        return f'"{text}"'
    if kind < 0.72:
        return f"'{text}'"
    if kind < 0.84:
        return capitalize(text) + rng.choice(["", ".", ".", "!"])
    return text + "." if kind < 0.92 else text.replace(" ", ", ")
