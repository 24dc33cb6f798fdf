"""Tasks with numbers: sums, sums that are too hard, comparing, counting."""

from __future__ import annotations

import random

import talk
from phrase import dress, expand, phrases
from turn import Turn, ask
from words import (
    NUMBER_WORDS,
)

SIGNS = {
    "+": ["+", "+", "plus", "and"],
    "-": ["-", "-", "minus"],
    "*": ["*", "x", "times"],
    "/": ["/", "divided by"],
}
SUM_TRAIN = phrases("""
    {a} {s} {b} / {a}{c}{b} / {a} {s} {b} = / what is {a} {s} {b} / what's {a} {s} {b} / (can you |could you
    |)(compute|calculate|work out|evaluate) {a} {s} {b} / how much is {a} {s} {b} / what does {a} {s} {b}
    (make|give|equal) / tell me (what|how much) {a} {s} {b} is / what is {a}{c}{b} / {a} {s} {b} is what / (give|tell)
    me {a} {s} {b} / do you know {a} {s} {b} / what do you get for {a} {s} {b} / solve {a} {s} {b} / the
    (sum|result|value) of {a} {s} {b} / (compute|calculate|solve): {a} {s} {b} / what is the (result|value|answer) of
    {a} {s} {b} / I need {a} {s} {b} / do the (sum|maths): {a} {s} {b} / {a} {s} {b}, what is it / how many (do|does)
    {a} {s} {b} (make|give) / how many are {a} {s} {b} / please (compute|solve|work out) {a} {s} {b} / (let me|please|)
    know {a} {s} {b} / what is your answer to {a} {s} {b} / I would like {a} {s} {b}
""")
SUM_HELD = phrases("""
    what would {a} {s} {b} be / can you tell me what {a} {s} {b} is / please find {a} {s} {b} / what is the answer to
    {a} {s} {b} / how many is {a} {s} {b} / I want to know {a} {s} {b} / let us compute {a} {s} {b}
""")
PLUS_TRAIN = phrases("""
    add {a} (and|to) {b} / what is the sum of {a} and {b} / (can you|could you|please) add {a} (and|to) {b} / the sum of
    {a} and {b}
""")
PLUS_HELD = ["what do I get when I add {a} and {b}", "tell me the sum of {a} and {b}"]
MINUS_TRAIN = phrases("""
    subtract {b} from {a} / take {b} (away|) from {a} / what is {a} less {b} / what is the difference of {a} and {b} /
    (can you|could you) subtract {b} from {a}
""")
MINUS_HELD = ["what do I get when I subtract {b} from {a}", "what is left when I take {b} from {a}"]
TIMES_TRAIN = phrases("""
    multiply {a} (by|and|with) {b} / what is the product of {a} and {b} / (can you|could you) multiply {a} by {b}
""")
TIMES_HELD = ["what do I get when I multiply {a} by {b}", "tell me the product of {a} and {b}"]


def solve(a: int, sign: str, b: int) -> int:
    return {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else 0}[sign]


def make_sum(rng: random.Random, held: bool) -> Turn:
    sign = rng.choices("+-*/", weights=[45, 30, 20, 5])[0]
    top = 99 if rng.random() < 0.75 else 12
    a, b = rng.randint(0, top), rng.randint(0, top)
    if sign == "-" and a < b and rng.random() < 0.6:
        a, b = b, a
    if sign in "*/":
        a, b = rng.randint(0, 10), rng.randint(1, 10)
    if sign == "/":
        a *= b
    patterns = SUM_HELD if held else SUM_TRAIN
    own = {"+": (PLUS_TRAIN, PLUS_HELD), "-": (MINUS_TRAIN, MINUS_HELD), "*": (TIMES_TRAIN, TIMES_HELD)}.get(sign)
    if own and rng.random() < 0.2:
        patterns = own[held]
    said = [str(a), str(b)]
    if not held and rng.random() < 0.06 and max(a, b) <= 20:
        said = [NUMBER_WORDS[a], NUMBER_WORDS[b]]
    spoken, tight = rng.choice(SIGNS[sign]), SIGNS[sign][0]
    if said[0].isalpha():
        tight = f" {spoken} "
    user = dress(rng, expand(rng, rng.choice(patterns), a=said[0], b=said[1], s=spoken, c=tight))
    result = solve(a, sign, b)
    return Turn(user, f"{a} {sign} {b} = {result}.", str(result))


def make_hard_sum(rng: random.Random, held: bool) -> Turn:
    kind = rng.randrange(4)
    a, b = rng.randint(100, 9999), rng.randint(1, 9999)
    sign = rng.choice("+-*/")
    if kind == 1:
        a, b = b, a
    elif kind == 2:
        a, b, sign = rng.randint(11, 99), rng.randint(2, 99), "*"
        if rng.random() < 0.5:
            a, b = b, a
    elif kind == 3:
        a, b, sign = rng.randint(1, 99), rng.choice([0, 7, 8, 9, 11, 13]), "/"
        a += b > 0 and a % b == 0
    user = ask(rng, held, SUM_TRAIN, SUM_HELD, a=a, b=b, s=rng.choice(SIGNS[sign]), c=SIGNS[sign][0])
    return Turn(user, talk.TOO_HARD, talk.REFUSAL_WORD)


COMPARE_TRAIN = phrases("""
    which is (bigger|larger|greater|more), {a} or {b} / what is (bigger|larger|greater|more), {a} or {b} / {a} or {b},
    which is (bigger|larger|greater|more) / which number is (bigger|larger|greater): {a} or {b} / the
    (bigger|larger|greater) of {a} and {b} / tell me the (bigger|larger|greater) of {a} and {b} / is {a}
    (larger|greater|more) than {b} / (which|what) of {a} and {b} is (bigger|greater|more) / what is the (bigger|greater)
    number of {a} and {b} / (is|are) {a} or {b} (bigger|greater|larger|more)
""")
COMPARE_HELD = phrases("""
    which of {a} and {b} is larger / what is the larger number of {a} and {b} / is {a} or {b} the bigger number
""")


def make_compare(rng: random.Random, held: bool) -> Turn:
    a, b = rng.sample(range(100), 2)
    return Turn(
        ask(rng, held, COMPARE_TRAIN, COMPARE_HELD, a=a, b=b),
        f"{max(a, b)} is larger than {min(a, b)}.",
        str(max(a, b)),
    )


UP_TRAIN = phrases("""
    count (from {a} |){to} {b} / (can|could|would) you count (from {a} |){to} {b} / count up (from {a} |){to} {b} /
    count for me (from {a} |){to} {b} / I want you to count (from {a} |){to} {b} / say the numbers from {a} to {b} /
    list the numbers from {a} to {b} / the numbers from {a} to {b} / write the numbers {a} to {b} / numbers from {a} to
    {b} / start at {a} and count to {b} / what are the numbers from {a} to {b} / count {a} to {b} / tell me the numbers
    from {a} to {b}
""")
UP_HELD = phrases("""
    let me hear you count from {a} to {b} / give me the numbers from {a} to {b} / do you know how to count from {a} to
    {b} / show me the numbers from {a} to {b}
""")
DOWN_TRAIN = phrases("""
    count down from {b}( to {a}|) / count backwards from {b}( to {a}|) / (can|could|would) you count (down|backwards)
    from {b}( to {a}|) / count from {b} down to {a} / count from {b} to {a} / count down (for me |)from {b} to {a} /
    start at {b} and count down to {a} / the numbers from {b} down to {a} / do a countdown from {b}( to {a}|) /
    countdown from {b} / say the numbers from {b} down to {a}
""")
DOWN_HELD = phrases("""
    let me hear you count down from {b} to {a} / give me a countdown from {b} to {a} / please count in reverse from {b}
    to {a}
""")
STEP_TRAIN = phrases("""
    count (to {b} by {k}|by {k} to {b}) / (can|could|would) you count (to {b} by {k}|by {k} to {b}) / count by {k} up to
    {b} / count in {k} to {b} / count up to {b} in {k} / count to {b} in steps of {j} / in steps of {j}, count to {b} /
    count in steps of {j} up to {b}
""")
STEP_HELD = phrases("""
    let me hear you count by {k} to {b} / please count up by {k} to {b} / show me how to count to {b} by {k}
""")
NEXT_TRAIN = phrases("""
    what (number |)comes (right |)after {a} / what number is after {a} / which number (comes after|follows) {a} / what
    is the number after {a} / what is the next number after {a} / the number after {a} / what follows {a} / tell me the
    number after {a} / give me the number after {a} / what is one more than {a} / what number follows {a}
""")
NEXT_HELD = phrases("""
    can you tell me which number comes after {a} / say the number that comes after {a} / which is the number after {a}
""")
PREV_TRAIN = phrases("""
    what (number |)comes (right |)before {a} / what number is before {a} / which number (comes before|precedes) {a} /
    what is the number before {a} / the number before {a} / what is one less than {a} / tell me the number before {a} /
    give me the number before {a} / which number is before {a} / what number precedes {a}
""")
PREV_HELD = phrases("""
    can you tell me which number comes before {a} / say the number that comes before {a} / which is the number just
    before {a}
""")


def make_count(rng: random.Random, held: bool) -> Turn:
    kind = rng.random()
    if kind < 0.35:
        a = 1 if rng.random() < 0.5 else rng.randint(0, 90)
        b = a + rng.randint(2, 14 if a == 1 else 9)
        pattern = expand(
            rng,
            rng.choice(UP_HELD if held else UP_TRAIN),
            a="{a}",
            b="{b}",
            to=rng.choice(["to", "up to", "until", "till"]) if not held else "to",
        )
        if "{a}" not in pattern:
            a, b = 1, rng.randint(3, 20)
        return Turn(dress(rng, pattern.format(a=a, b=b)), " ".join(map(str, range(a, b + 1))))
    if kind < 0.55:
        a = 1 if rng.random() < 0.6 else rng.randint(0, 90)
        b = a + rng.randint(2, 9)
        pattern = expand(rng, rng.choice(DOWN_HELD if held else DOWN_TRAIN), a="{a}", b="{b}")
        if "{a}" not in pattern:
            a, b = 1, rng.randint(3, 15)
        return Turn(dress(rng, pattern.format(a=a, b=b)), " ".join(map(str, range(b, a - 1, -1))))
    if kind < 0.7:
        k, name = rng.choice([(2, "twos"), (3, "threes"), (5, "fives"), (10, "tens")])
        b = k * rng.randint(3, 10)
        user = ask(
            rng,
            held,
            STEP_TRAIN,
            STEP_HELD,
            b=b,
            k=rng.choice([name, f"{k}s"]),
            j=rng.choice([str(k), NUMBER_WORDS[k]]),
        )
        return Turn(user, " ".join(map(str, range(k, b + 1, k))))
    a, after = rng.randint(1, 99), rng.random() < 0.55
    user = ask(rng, held, NEXT_TRAIN if after else PREV_TRAIN, NEXT_HELD if after else PREV_HELD, a=a)
    b = a + 1 if after else a - 1
    return Turn(user, f"{b} comes {'after' if after else 'before'} {a}.", str(b))
