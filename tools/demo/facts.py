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
    / (what|which) (is|will be|would be|was|do we have|comes) (the |)(next |){u} {d} {x} / (what|which) {u} (was|will
    be|would be|are we in|do I get|goes|would come|comes) {d} {x} / (the |)(next |){u} {d} {x} / {u} {d} {x} / {d} {x}
    (comes|is|we have) (what|which {u}|) / (what|which) {u} (is it|do we have|will it be) {d} {x} /
    (tell|give|show|remind) me (which|what) {u} (is|comes) {d} {x} / (name|say|find|state) the {u} (that
    comes|right|just|directly|) {d} {x} / (what|which) (is|comes) (right|straight|directly|immediately|just) {d} {x} /
    the {u} that {f} {x} / what {f} {x} / {u} that {f} {x} / (what|which) {u} (immediately|directly|) {f} {x} / (do you
    know|can you say|I forgot) (what|which {u}) comes {d} {x} / {x} {u} {d} / it is the {u} {d} {x}, which is it
""")
AFTER_HELD = phrases("""
    can you tell me the {u} that comes {d} {x} / which {u} will be {d} {x} / do you know which {u} comes {d} {x} / say
    which {u} is {d} {x}
""")
NTH_TRAIN = phrases("""
    (what|which) is the {o} {u} of the {p} / the {o} {u} of the {p} / name the {o} {u} of the {p} / tell me the {o} {u}
    of the {p} / (which|what) {u} is the {o} (one |)(of|in) the {p} / what is the {o} {u} / (what|which) {u} is (number
    |){n} / give me the {o} {u} of the {p} / what is the name of the {o} {u} / which {u} comes {o} / (which|what) {u}
    has (the |)number {n} / what is {u} number {n} / (what|which) {u} (is|comes|stands) (the |){o} (in|of) (the|a) {p} /
    (the |){o} {u} (in|of) (the|a|every|any) {p} / {o} {u} / {u} (number|no|nr) {n} / (say|write|state|show|find) the
    {o} {u} (of|in) (the|a) {p} / (tell|give) me (the name of |)the {o} {u} (in|of) (the|a) {p} / (what|which) is the
    {o} {u} (in|of) a {p} / (what|how) is the {o} {u} (of the {p}|) called / (name|say) {u} number {n} / (what|which)
    {u} (comes|is) number {n} / the {u} with (the |)number {n} / number {n} of the {u}s / (do you know|I forgot|remind
    me) (what |)the {o} {u} (of the {p}|) (is|) / {o} {u} of (the |){p} / (whats|what's|which's) the {o} {u} (of the
    {p}|) / {u} {n} / {u} number {n} of the {p} / (the |){o} {u} / the {p}'s {o} {u} / (what|which) (comes|is) {o}
    (in|of) the {p}, as {u} / (which|what) {u} (is|comes) {o} (in|of) the {p} / {o} of the {u}s / (say|name|give me)
    (the |){o} {u} / (with|on) (which|what) {u} (is|comes) the {o} place in the {p}
""")
NTH_HELD = phrases("""
    can you name the {o} {u} of the {p} / which one is the {o} {u} of the {p} / do you know the {o} {u} of the {p} / say
    the {o} {u} of the {p}
""")
INDEX_TRAIN = phrases("""
    which number (is|has) {x} / what number (month|) is {x} / what is the number of {x} / which month of the year is {x}
    / the number of {x} / what number does {x} have / tell me the number of {x} / (what|which) (number|month number)
    (is|has|does it have:) {x} / {x} is (what|which) (number|month|month number) / {x} (has|is) (which|what) number /
    (month number|number) of {x} / {x} as a number / (what|which) (place|position) (is|has) {x} (in the year|) / is {x}
    (the first or the last|early or late in the year) / {x}: which number / (tell|give|show) me the (month
    number|number) of {x} / (the|what is the) (month number|position) of {x} (in the year|) / how (is|do you write) {x}
    (written |)as a number / as a number, {x} is / {x} (month |)number / {x} number (what|please|) / (whats|what's) (the
    number of {x}|{x}'s number) / {x} is the how many'th month / {x} is month (what|number what|which) / which month
    number (is|has) {x} / {x} in numbers / (the |){x} is (which|what) month of the year / the how manieth month is {x}
""")
INDEX_HELD = ["do you know the number of {x}", "what would be the number of {x}", "which number does {x} have"]
LEN_TRAIN = phrases("""
    how many days (are in|has|are there in) {x} / how many days does {x} have / how long is {x} / number of days in {x}
    / how many days in {x} / tell me how many days {x} has / the number of days in {x} / what is the length of {x} / {x}
    has how many days / (can|could) you tell me how many days {x} has / how many days (are|is|do we have|will there
    be|make up|belong to) (in|) {x} / {x}, how many days / days (in|of) {x} / (the |)(length|number of days|day count)
    (of|in) {x} / {x}: how many days / how (long|many days) (is|does|has) (the month |the month of |){x}
    (last|long|take|got|) / (count|tell me|give me|say|find|show me) (the |)(number of |)days (in|of) {x} / (what|which)
    is the (number|count) of days in {x} / is {x} (a long|a short) month / how many days (go|fit) into {x} / for how
    many days does {x} last / I want to know how many days {x} has / how many days (are|) in the month of {x} / days in
    {x} / {x} days / {x}: days / {x} how many days / how long is (the month |){x} (in days|) / whats the number of days
    in {x} / (how many days|what) does {x} (have|count|got) / {x} has (how many|what number of) days / does {x} have
    (30|31|28) days / is {x} (30|31|28) days (long|) / {x} is how (long|many days) / how many (nights|days) (are|) in
    {x}
""")
LEN_HELD = phrases("""
    do you know how many days {x} has / how many days long is {x} / give me the number of days in {x} / of how many days
    does {x} consist
""")
DAYLIST_TRAIN = phrases("""
    (name|list|say|tell me|give me|what are|write|recite) (all |)the days of the week / (what|which) days are (there
    |)in a week / days of the week / the days of the week / (can|could) you (name|list) the days of the week / the seven
    days / what are the seven days (of the week|) / list (the|all) days / which days does a week have /
    (name|list|say|tell me|give me|what are|write|recite|show|print|show me) (all |)(the |)(seven |)(days of the
    week|days of a week|week's days) / (all|all the|the seven) days (of the week|) / (the |)names of (all |)the days /
    (say|name|list|tell me) the days (of the week|) (in order|) / week days / what days does a week have / how are the
    days (of the week|) called / which are the days of the week / (do you know|I forgot) (all |)the days of the week /
    list days of (the |)week / name days of week / (whats|what're|what are) the days (of the week|in a week|in the week)
    / the days, please / (tell|show|give) me every day of the week / all (seven |7 |)(days|of the days) / seven days / 7
    days of the week / every day of the week / days in a week, by name / (can|could) you (say|write|tell me|recite) (all
    |)the days (of the week|) / from the first day to the last day of the week / the week days by name / go through the
    days of the week
""")
DAYLIST_HELD = phrases("""
    do you know the days of the week / show me the days of the week / what are the names of the days / let me hear the
    days of the week
""")
MONTHLIST_TRAIN = [
    text.replace("days", "months").replace("week", "year").replace("seven", "twelve")
    for text in DAYLIST_TRAIN
    if "week days" not in text
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
    you tell me how many {u} {x} has / how many {u} make {x} / how many {u} (are there|do we have|does it
    take|go|fit|can you count|do I get) (in|for|into) {x} / {x} is how many {u} / {u} (in|per) {x} / {x} in {u} / {x},
    how many {u} / how long is {x} in {u} / (the |)(number|count) of {u} (in|per|of) {x} / {x} (consists of|is made
    of|lasts|is) how many {u} / how many {u} (make up|are) {x} / (tell|give|show) me the {u} in {x} / (do you know|I
    forgot) how many {u} (are in|make) {x} / {x} = how many {u} / {u} in {x} / {x} how many {u} / {x}: {u} / {x} equals
    how many {u} / how many {u} (in|per|is|make) {x} / {x} has (what number of|so many|how many) {u} / (whats|what's)
    the number of {u} in {x} / (how many {u}|how much {u}) (are|is) {x} / (count|number) the {u} (of|in) {x} / do u know
    how many {u} are in {x}
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
    capital of {x} / {x} has which capital / what city is {x}'s capital / {x} capital / {x}'s capital (city|) / (the
    |)capital city of {x} / (what|which) (is|city is|town is|is the name of) the capital (city |)(of|for|in) {x} /
    (tell|give|show|remind) me (of |)({x}'s capital|what the capital of {x} is|the name of the capital of {x}|which city
    is the capital of {x}) / (name|say|state|write) ({x}'s capital|the capital city of {x}|the capital of {x}) /
    (what|which) (city|town|place) is (the |)(seat of government|capital|main city) (of|in) {x} / (do you know|can you
    say|can you tell me|I forgot|I need|I want) (what |which city |)(the capital of {x}|{x}'s capital) (is|) / what
    (would|could) (be |)the capital of {x} (be|) / {x} - capital / for {x}, what is the capital / capital: {x} / what do
    you call the capital of {x} / {x} has (what|which) (city as its |)capital / and (of|for) {x} what is the capital /
    which capital (does {x} have|belongs to {x}) / what is the main city of {x} / how is the capital of {x} called /
    what (city|town) is the capital of {x} / whats the capital of {x} / {x} capital city / {x}, capital / {x} - what's
    the capital / whats {x}'s capital / what is the capital in {x} / (the |)capital (in|for) {x} / (what|which) (city
    |town |)is {x}'s (capital|main city|seat of government) / what's the name of {x}'s capital / (capital|capital city)
    (please|pls|)(:| of) {x} / and the capital of {x} / (quiz|geography)(:|,) (the |)capital of {x} / my
    (kid|homework|teacher) asks for the capital of {x} / where does the government of {x} sit / (who|what) is the
    capital of {x} / (I|we) (forgot|don't know|can't remember) (the capital of {x}|{x}'s capital) / {x} has its capital
    where / do u know the capital of {x}
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
    / (which|what|whose) country's capital is {y} / {y} is (which|what|whose) (country's |)capital / (which|what)
    (nation|land|state|country) (is|does) {y} (the capital (of|in)|belong to|in) / {y} is the capital (of|city of)
    (which|what|which country|what country|where|) / of (which|what) (land|nation|country) is {y} the capital (city|) /
    {y} is in (which|what) (country|land) / (which|what) (country|land|nation) (has|uses|chose|calls) {y} (as its|as
    the|its|as a) capital / the country (with|of|that has) (the capital |){y} / (tell|give) me the country (of|whose
    capital is|with the capital) {y} / {y} belongs to which country / capital {y}, (which|what) country / {y} country /
    where (on earth|in the world|) is {y} / the country of {y} / whats the country of {y} / (what|which) country is {y}
    (located |situated |)in / {y} is (located |)where / {y}, (which|what) country / {y} is a capital, (of what|of which
    country|where) / (where's|wheres) {y} / {y} (capital|is capital) of (what|which country|where) / whose capital is
    {y} / {y} is the capital (city |)of / which country's (main|capital) city is {y} / (in|to) (which|what)
    (country|land|state) (lies|belongs|is) {y} / where (does|would) one find {y} / what's {y} the capital of /
    (tell|show) me (which|what) country {y} (is in|belongs to|is the capital of)
""")
COUNTRY_HELD = phrases("""
    can you tell me which country {y} is in / what country has {y} as its capital / do you know where {y} is / in what
    land is {y}
""")
COLOUR_TRAIN = phrases("""
    what {c} is {x} / what is the {c} of {x} / which {c} is {x} / which {c} has {x} / tell me the {c} of {x} / the {c}
    of {x} / what {c} does {x} have / (can|could) you tell me the {c} of {x} / what's the {c} of {x} / do you know the
    {c} of {x} / which {c} does {x} have / {x} has what {c} / give me the {c} of {x} / name the {c} of {x} / what {c}
    has {x} / {x}: what {c} / (what|which) {c} (do|does|would|has|is|should) {x} (have|be|usually have|usually|normally)
    / (what|which) {c} (is|would be|has) (usually |normally |) {x} / {c} of {x} / {x} {c} / {x} is (what|which) {c} /
    {x} (has|is of) (what|which) {c} / (the|its|what is the usual|what is the normal) {c} of {x} / (tell|give|show) me
    (what|which) {c} {x} (is|has) / {x}, (what|which) {c} / (do you know|can you say|can you tell me|I forgot|I want to
    know) (what|which) {c} {x} (is|has) / (name|say|state) the {c} of {x} / is {x}
    (red|blue|green|yellow|white|black|brown) / (is|was) {x} (red|green|white|blue|pink|black) or
    (yellow|grey|brown|purple|orange) / how is {x} coloured / (what|which) is the {c} (of|for) {x} / paint {x}:
    (what|which) {c} / whats the {c} of {x} / what {c}'s {x} / {x}: {c} / {x}, {c} / {x} what {c} / {c} of {x}
    (please|pls|) / (what|which) {c} (are|is) (typically |mostly |commonly |) {x} / (which|what) {c} would you
    (give|paint|call|say is) {x} / what's {x}'s {c} / {x} (comes in|shows) (what|which) {c} / how does {x} look,
    (what|which) {c} / (I|we) (forgot|don't know|wonder) (what|which) {c} {x} (is|has) / (guess|say) the {c} of {x} / do
    u know what {c} {x} is / (what|which) {c} should I (paint|draw) {x} / describe the {c} of {x}
""")
COLOUR_HELD = phrases("""
    I would like to know the {c} of {x} / tell me which {c} {x} has / can you say what {c} {x} is / what kind of {c}
    does {x} have / in which {c} do we see {x}
""")
MIX_TRAIN = phrases("""
    what (do|does) {a} and {b} make / mix {a} and {b} / what {c} do {a} and {b} (make|give) / what do you get (if|when)
    you mix {a} (and|with) {b} / what is {a} (plus|and|mixed with) {b} / what happens if I mix {a} and {b} / which {c}
    do {a} and {b} (make|give) / {a} and {b} make (what|which {c}) / (can|could) you mix {a} and {b} / {a} mixed with
    {b} / combine {a} and {b} / what {c} is {a} mixed with {b} / {a} (and|plus|with|+) {b} / (what|which {c}) (do you|do
    I|do we|can I|will I) get (from|by mixing|out of|for|when mixing) {a} (and|with) {b} / (mix|combine|blend|put
    together) (the colours |the colors |) {a} (and|with) {b} / (what|which {c}) (does|will|would|comes from|results
    from) {a} (and|with|plus|mixed with) {b} (give|make|become|result in|) / (what happens|what do I get|what comes
    out|what will I get|what do you get) (if|when) (I|you|we) (mix|combine|blend) {a} (and|with|into) {b} /
    (mixing|blending) {a} (and|with) {b} (makes|gives) (what|which {c}) / {a} mixed (with|and) {b} (is|gives|makes)
    (what|) / (the |)mix of {a} and {b} / if I (mix|blend) {a} (and|with) {b}, what (do I get|is it|comes out) / {a} +
    {b} / {a} & {b} / {a} and {b} / whats {a} and {b} / {a} {b} mix / {a} mixed {b} / (mix|blend) of {a} (and|with) {b}
    / (paint|paints|colours|colors)(:|,) {a} and {b} / (what|which {c}) (is|comes out|happens) when {a} (meets|is mixed
    with|goes with) {b} / I (have|mix|put|blend|got) {a} (paint |)(and|with) {b} (paint|), (what|which {c}) (do I
    get|comes out|is it) / add {a} to {b} / if you (mix|blend|add) {a} (and|with|to) {b} / mixing {a} {b}
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
