"""Remembering: a turn that tells the user's name or favourite colour, and one that asks for it later."""

from __future__ import annotations

import random

import talk
from phrase import capitalize, dress, phrases, pick
from turn import Turn
from words import HELD_NAMES, NAMES

TELL_TRAIN = phrases("""
    my name is {x} / I am {x} / I'm {x} / call me {x} / my name's {x} / you can call me {x} / hi, I am {x} / hello, my
    name is {x} / they call me {x} / my friends call me {x} / the name is {x} / this is {x} / hi, my name is {x} /
    people call me {x} / I am called {x} / please call me {x} / hello, I'm {x} / name: {x} / remember my name: {x} /
    remember that my name is {x} / actually, my name is {x} / my first name is {x} / it's {x} / {x} is my name / {x}
    here / no, my name is {x}
""")
TELL_HELD = phrases("""
    let me introduce myself: I am {x} / hi there, my name is {x} / you may call me {x} / everybody calls me {x} / I go
    by the name {x} / please remember that I am {x}
""")
NAME_TRAIN = phrases("""
    what is my name / what's my name / do you (remember|know|recall) my name / who am I / tell me my name / say my name
    / (can|could) you tell me my name / how am I called / what am I called / my name is what / what did I say my name
    (is|was) / which name did I (give|tell) you / do you (remember|know) who I am / what was my name / what do you call
    me / my name? / do you still (know|remember) my name / repeat my name / what name do I have / remember my name? /
    have I told you my name
""")
NAME_HELD = phrases("""
    what was my name again / can you remember what I am called / and what is my name / do you still know who I am /
    please say what my name is / could you say my name
""")
COLOUR_TELL_TRAIN = phrases("""
    my favourite colour is {x} / my favorite color is {x} / I like {x} best / {x} is my favourite colour / {x} is my
    favorite color / the colour I like best is {x} / I love the colour {x} / remember that my favourite colour is {x} /
    my best colour is {x} / I like the color {x}
""")
COLOUR_TELL_HELD = ["my most favourite colour is {x}", "you should know that my favourite colour is {x}"]
COLOUR_ASK_TRAIN = phrases("""
    what is my (favourite colour|favorite color) / which (colour|color) do I like (best|) / what's my (favourite
    colour|favorite color) / do you (remember|know) my (favourite colour|favorite color) / tell me my (favourite
    colour|favorite color) / what (colour|color) do I like (best|) / my (favourite colour|favorite color) is what / what
    was my (favourite colour|favorite color)
""")
COLOUR_ASK_HELD = phrases("""
    which is my favourite colour / can you say my favourite colour / what did I say is my favourite colour
""")
NO_NAME = Turn("", "You have not told me your name.", talk.REFUSAL_WORD)
NO_COLOUR = Turn("", "You have not told me your favourite colour.", talk.REFUSAL_WORD)


def some_name(rng: random.Random, held: bool) -> str:
    """A name; in training often a made-up one, so that the model copies names rather than choosing among them."""
    if held:
        return rng.choice(NAMES + HELD_NAMES)
    if rng.random() < 0.7:
        return rng.choice(NAMES)
    parts = [
        rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") + rng.choice(["", "", "n", "r", "s", "l"])
        for _ in range(rng.randint(1, 3))
    ]
    name = capitalize("".join(parts))
    return name if name not in HELD_NAMES else "Ada"


def tell_name(rng: random.Random, held: bool, name: str) -> Turn:
    return Turn(
        dress(rng, pick(rng, held, TELL_TRAIN, TELL_HELD, x=name), fold=False), f"Nice to meet you, {name}!", "OK"
    )


def ask_name(rng: random.Random, held: bool, name: str | None) -> Turn:
    user = dress(rng, pick(rng, held, NAME_TRAIN, NAME_HELD))
    return Turn(user, f"Your name is {name}.", name) if name else Turn(user, NO_NAME.answer, NO_NAME.short)


def tell_colour(rng: random.Random, held: bool, colour: str) -> Turn:
    user = dress(rng, pick(rng, held, COLOUR_TELL_TRAIN, COLOUR_TELL_HELD, x=colour))
    return Turn(user, f"I will remember that you like {colour}.", "OK")


def ask_colour(rng: random.Random, held: bool, colour: str | None) -> Turn:
    user = dress(rng, pick(rng, held, COLOUR_ASK_TRAIN, COLOUR_ASK_HELD))
    return (
        Turn(user, f"Your favourite colour is {colour}.", colour)
        if colour
        else Turn(user, NO_COLOUR.answer, NO_COLOUR.short)
    )
