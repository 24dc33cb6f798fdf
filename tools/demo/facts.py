"""Tasks of knowledge: days and months, capitals, colours."""

from __future__ import annotations

import random

import talk
from phrase import capitalize, dress, expand, phrases
from turn import Turn, ask
from words import (
    CAPITALS,
    COLOURS,
    DAYS,
    MIXES,
    MONTH_DAYS,
    MONTHS,
    ORDINALS,
    UNKNOWN_PLACES,
)

AFTER_TRAIN = phrases("""
    (what|which) {u} (comes|is) (right |){d} {x} / what comes {d} {x} / what is the {u} {d} {x} / the {u} {d} {x} / tell
    me the {u} {d} {x} / (which|what) is the {u} (right |){d} {x} / what {u} do we have {d} {x} / name the {u} {d} {x} /
    {d} {x} comes which {u} / (what|which) {u} {f} {x} / give me the {u} {d} {x} / say the {u} {d} {x} / what is {d} {x}
""")
AFTER_HELD = phrases("""
    can you tell me the {u} that comes {d} {x} / which {u} will be {d} {x} / do you know which {u} comes {d} {x} / say
    which {u} is {d} {x}
""")
NTH_TRAIN = phrases("""
    (what|which) is the {o} {u} of the {p} / the {o} {u} of the {p} / name the {o} {u} of the {p} / tell me the {o} {u}
    of the {p} / (which|what) {u} is the {o} (one |)(of|in) the {p} / what is the {o} {u} / (what|which) {u} is (number
    |){n} / give me the {o} {u} of the {p} / what is the name of the {o} {u} / which {u} comes {o} / (which|what) {u}
    has (the |)number {n} / what is {u} number {n}
""")
NTH_HELD = phrases("""
    can you name the {o} {u} of the {p} / which one is the {o} {u} of the {p} / do you know the {o} {u} of the {p} / say
    the {o} {u} of the {p}
""")
INDEX_TRAIN = phrases("""
    which number (is|has) {x} / what number (month|) is {x} / what is the number of {x} / which month of the year is {x}
    / the number of {x} / what number does {x} have / tell me the number of {x}
""")
INDEX_HELD = ["do you know the number of {x}", "what would be the number of {x}", "which number does {x} have"]
LEN_TRAIN = phrases("""
    how many days (are in|has|are there in) {x} / how many days does {x} have / how long is {x} / number of days in {x}
    / how many days in {x} / tell me how many days {x} has / the number of days in {x} / what is the length of {x} / {x}
    has how many days / (can|could) you tell me how many days {x} has
""")
LEN_HELD = phrases("""
    do you know how many days {x} has / how many days long is {x} / give me the number of days in {x} / of how many days
    does {x} consist
""")
DAYLIST_TRAIN = phrases("""
    (name|list|say|tell me|give me|what are|write|recite) (all |)the days of the week / (what|which) days are (there
    |)in a week / days of the week / the days of the week / (can|could) you (name|list) the days of the week / the seven
    days / what are the seven days (of the week|) / list (the|all) days / which days does a week have
""")
DAYLIST_HELD = phrases("""
    do you know the days of the week / show me the days of the week / what are the names of the days / let me hear the
    days of the week
""")
MONTHLIST_TRAIN = [
    text.replace("days", "months").replace("week", "year").replace("seven", "twelve") for text in DAYLIST_TRAIN
]
MONTHLIST_HELD = [text.replace("days", "months").replace("week", "year") for text in DAYLIST_HELD]
UNITS = {
    "a week": ("A week has 7 days.", "7", "days"),
    "a year": ("A year has 12 months.", "12", "months"),
    "a day": ("A day has 24 hours.", "24", "hours"),
    "an hour": ("An hour has 60 minutes.", "60", "minutes"),
    "a minute": ("A minute has 60 seconds.", "60", "seconds"),
}
UNIT_TRAIN = phrases("""
    how many {u} (are in|has|are there in|in) {x} / how many {u} does {x} have / tell me how many {u} {x} has / the
    number of {u} in {x} / {x} has how many {u} / number of {u} in {x} / what is the number of {u} in {x} / (can|could)
    you tell me how many {u} {x} has / how many {u} make {x}
""")
UNIT_HELD = phrases("""
    do you know how many {u} {x} has / how many {u} are part of {x} / give me the number of {u} in {x}
""")


def make_calendar(rng: random.Random, held: bool) -> Turn:
    kind = rng.random()
    unit, names, period = ("day", DAYS, "week") if rng.random() < 0.5 else ("month", MONTHS, "year")
    if kind < 0.45:
        after, i = rng.random() < 0.55, rng.randrange(len(names))
        x, y = names[i], names[(i + 1 if after else i - 1) % len(names)]
        d, follows = ("after", "follows") if after else ("before", "precedes")
        return Turn(ask(rng, held, AFTER_TRAIN, AFTER_HELD, u=unit, x=x, d=d, f=follows), f"{y} comes {d} {x}.", y)
    if kind < 0.65:
        i = rng.randrange(len(names))
        last = i == len(names) - 1 and rng.random() < 0.5
        o = "last" if last else ORDINALS[i]
        pattern = expand(rng, rng.choice(NTH_HELD if held else NTH_TRAIN), u=unit, p=period, o="{o}", n="{n}")
        if "{n}" in pattern:
            o = ORDINALS[i]
        return Turn(
            dress(rng, pattern.format(o=o, n=i + 1)), f"The {o} {unit} of the {period} is {names[i]}.", names[i]
        )
    if kind < 0.73:
        i = rng.randrange(12)
        return Turn(
            ask(rng, held, INDEX_TRAIN, INDEX_HELD, x=MONTHS[i]), f"{MONTHS[i]} is month number {i + 1}.", str(i + 1)
        )
    if kind < 0.85:
        i = rng.randrange(12)
        answer = f"{MONTHS[i]} has {MONTH_DAYS[i]} days" + (", or 29 in a leap year." if i == 1 else ".")
        return Turn(ask(rng, held, LEN_TRAIN, LEN_HELD, x=MONTHS[i]), answer, str(MONTH_DAYS[i]))
    if kind < 0.93:
        x = rng.choice(list(UNITS))
        answer, short, unit = UNITS[x]
        return Turn(ask(rng, held, UNIT_TRAIN, UNIT_HELD, x=x, u=unit), answer, short)
    if unit == "day":
        return Turn(ask(rng, held, DAYLIST_TRAIN, DAYLIST_HELD), ", ".join(DAYS) + ".")
    return Turn(ask(rng, held, MONTHLIST_TRAIN, MONTHLIST_HELD), ", ".join(MONTHS) + ".")


CAPITAL_TRAIN = phrases("""
    what is the capital (city |)of {x} / what's the capital of {x} / capital of {x} / the capital of {x} / tell me the
    capital of {x} / (can|could) you tell me the capital of {x} / (which|what) city is the capital of {x} / name the
    capital of {x} / do you know the capital of {x} / {x}: capital / what capital does {x} have / give me the capital of
    {x} / which is the capital of {x} / what is {x}'s capital / the capital city of {x} / what is the name of the
    capital of {x} / {x} has which capital / what city is {x}'s capital
""")
CAPITAL_HELD = phrases("""
    I would like to know the capital of {x} / can you name the capital of {x} / which city is capital of {x} / say the
    capital of {x} / what is the capital called in {x}
""")
COUNTRY_TRAIN = phrases("""
    (which|what) country has the capital {y} / {y} is the capital of (which|what) country / {y} is the capital of what /
    of (which|what) country is {y} the capital / in (which|what) country is {y} / where is {y} / which country is {y} in
    / (what|which) country is {y} the capital of / tell me where {y} is / where can I find {y} / which country does {y}
    belong to / {y}: which country / (what|which) land is {y} in / (what|which) land has the capital {y} / (can|could)
    you (tell me|say) where {y} is / to (what|which) (land|country) does {y} belong / (what|which) is the country of {y}
""")
COUNTRY_HELD = phrases("""
    can you tell me which country {y} is in / what country has {y} as its capital / do you know where {y} is / in what
    land is {y}
""")
COLOUR_TRAIN = phrases("""
    what {c} is {x} / what is the {c} of {x} / which {c} is {x} / which {c} has {x} / tell me the {c} of {x} / the {c}
    of {x} / what {c} does {x} have / (can|could) you tell me the {c} of {x} / what's the {c} of {x} / do you know the
    {c} of {x} / which {c} does {x} have / {x} has what {c} / give me the {c} of {x} / name the {c} of {x} / what {c}
    has {x} / {x}: what {c}
""")
COLOUR_HELD = phrases("""
    I would like to know the {c} of {x} / tell me which {c} {x} has / can you say what {c} {x} is / what kind of {c}
    does {x} have / in which {c} do we see {x}
""")
MIX_TRAIN = phrases("""
    what (do|does) {a} and {b} make / mix {a} and {b} / what {c} do {a} and {b} (make|give) / what do you get (if|when)
    you mix {a} (and|with) {b} / what is {a} (plus|and|mixed with) {b} / what happens if I mix {a} and {b} / which {c}
    do {a} and {b} (make|give) / {a} and {b} make (what|which {c}) / (can|could) you mix {a} and {b} / {a} mixed with
    {b} / combine {a} and {b} / what {c} is {a} mixed with {b}
""")
MIX_HELD = phrases("""
    I mix {a} and {b}, what do I get / which {c} comes from {a} and {b} / tell me what {a} and {b} make / mixing {a} and
    {b} gives what
""")


def make_capital(rng: random.Random, held: bool) -> Turn:
    if not held and rng.random() < 0.1:
        return Turn(
            ask(rng, held, CAPITAL_TRAIN, CAPITAL_HELD, x=rng.choice(UNKNOWN_PLACES)), talk.REFUSAL, talk.REFUSAL_WORD
        )
    x = rng.choice(list(CAPITALS))
    y = CAPITALS[x]
    if rng.random() < 0.3:
        return Turn(
            ask(rng, held, COUNTRY_TRAIN, COUNTRY_HELD, y=y), f"{y} is the capital of {x}.", x if " " not in x else None
        )
    return Turn(
        ask(rng, held, CAPITAL_TRAIN, CAPITAL_HELD, x=x), f"The capital of {x} is {y}.", y if " " not in y else None
    )


def make_colour(rng: random.Random, held: bool) -> Turn:
    c = rng.choice(["colour", "color"])
    if rng.random() < 0.2:
        pair = rng.choice(list(MIXES))
        a, b = pair if rng.random() < 0.5 else pair[::-1]
        return Turn(
            ask(rng, held, MIX_TRAIN, MIX_HELD, a=a, b=b, c=c),
            f"{capitalize(a)} and {b} make {MIXES[pair]}.",
            MIXES[pair],
        )
    x = rng.choice(list(COLOURS))
    start, colour = COLOURS[x]
    return Turn(ask(rng, held, COLOUR_TRAIN, COLOUR_HELD, x=x, c=c), f"{start} {colour}.", colour)
