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
    here / no, my name is {x} / (hi|hello|hey|good day), (I am|I'm|my name is|this is|it is) {x} / (hi|hello|hey)
    (there|demo|bot|), (I am|my name is|I'm) {x} / {x} is (what they call me|how I am called|what I am called|who I am)
    / (name is|name's|the name's|my name's) {x} / (you|just|please|everyone|people) (can|may|should|) (call|name) me {x}
    / (I am|I'm) (the one called|known as|named|called) {x} / my (full|real|given|first) name is {x} / (by the
    way|btw|so|well|and|oh), (my name is|I am|I'm|I am called) {x} / {x} (speaking|is here|again) / (do|will
    you|please|) remember (me|), (I am|my name is|I'm) {x} / (you are|you're) (talking|speaking|chatting) (to|with) {x}
    / I (have|got) the name {x} / (my|the) name is {x}, (by the way|remember that|what is yours|nice to meet
    you|hello|hi) / (I am|I'm) {x}, (by the way|nice to meet you|hello|hi|your user|who are you) / (let me|may I)
    introduce (me|myself), I am {x} / (they|friends|people|all) (named|call) me {x} / (actually|sorry|wait|no), (I am|my
    name is|I'm|it is|call me) {x} / from now on (call me|I am|my name is) {x} / (today|here) I am {x} / im {x} / i'm
    {x} / (it's|it is|its) me, {x} / {x} is my (first |real |own |)name / (so |well |ok |hey |)I('m| am) {x} / my name?
    {x} / (hi|hey|hello)(,|!) {x} (here|speaking) / (you're|you are) (chatting|speaking|talking) (to|with) {x} / (just
    |please |)call me {x}(, please|) / (everybody|my mum|my family|my mates) (just |)calls me {x} / (I|we) go by {x} /
    (write|note) down(,|:) my name is {x} / don't forget(,|:) (I am|I'm|my name is) {x} / (before we start|first of
    all|to begin with), (I am|my name is) {x} / name's {x} / (me|myself)(:|,) {x} / my (mother|father|parents)
    (named|called) me {x}
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
    have I told you my name / (what|which|how) (is|was|did I say is) my (first |own |) name (again|now|please|) /
    (so|and|now|ok|well), (what is|what was|who am|do you know|do you remember|say) (my name|I) / (tell|remind|give) me
    (of |)my name (again|please|) / (do|can|could) you (still|) (remember|know|recall|say|tell|repeat) (me |)(my
    name|what my name is|what I am called|who I am|my own name|how I am called|the name I gave you) (again|) /
    (what|which) name (did I (give|tell|say)|have I (given|told|got)|do I go by|was it|is mine) (you|) / (who|what) (am
    I|was I|do you think I am|are you talking to|are you speaking with|is your user|is writing) (again|called|named|) /
    my name (is|was|again|please|) (what|) / (you|) (remember|know|recall) (my name|me|who I am|what I am called) /
    (did|have) I (tell|told|mention|mentioned|say|given|give) (you |)my name / (how|what) (do|did|should|would|will) you
    (call|name) me / (what|how) did I (introduce myself|call myself|say I am called) (as|) /
    (guess|say|state|write|spell out) (my name|who I am|what I am called) / (have you|did you)
    (forgotten|forget|got|remember|remembered) my name / (with whom|who) do you (talk|speak|chat) (with|to|) / who is
    (this|talking|speaking) to you / is my name known (to you|) / whats my name / my name? / do u (know|remember) my
    name / (hey|so|ok|well), (what's|whats|what is) my name / (what|how) did I (say|tell you) (my name was|I was
    called|my name is) / (can|do) you (still |)(tell|remember|recall) (what my name is|who I am|my name|who you are
    talking to) / (my name,|the name) please / (tell me|say|name) who I am / (I|do I) have a name, (what is it|which
    one) / who (do you think |)(am I|I am) / (is|was) my name (ann|bob|known)(, or what is it|) / (quick test|memory
    test|do you remember)(:|,) my name / (which|what) (was|is) (the|my) name (I gave|I told you|again|then) / how should
    you call me / how (do|will) you (address|call) me / say hi to me by name / forgot my name already
""")
NAME_HELD = phrases("""
    what was my name again / can you remember what I am called / and what is my name / do you still know who I am /
    please say what my name is / could you say my name
""")
COLOUR_TELL_TRAIN = phrases("""
    my favourite colour is {x} / my favorite color is {x} / I like {x} best / {x} is my favourite colour / {x} is my
    favorite color / the colour I like best is {x} / I love the colour {x} / remember that my favourite colour is {x} /
    my best colour is {x} / I like the color {x} / {x} is (the colour|the color) I (like|love|prefer) (best|most|) / I
    (like|love|prefer|adore) (the colour|the color|) {x} (best|most|the most|more than any other|) / (my favourite|my
    favorite) is (the colour|the color|) {x} / (of|among) all (colours|colors), I (like|love|prefer) {x} (best|most|) /
    (please|) (remember|know|note|keep in mind) (that|), (my favourite colour is|my favorite color is|I like|I like
    best) {x} / (my|the) (top|best|most loved|beloved|preferred) (colour|color) is {x} / (by the way|and|also|btw), (my
    favourite colour is|my favorite color is|I like) {x} / {x} is (my|the) (favourite|favorite|best|nicest|most
    beautiful) (colour|color) (for me|) / for me {x} is the best (colour|color) / fav (colour|color) is {x} / my fav
    (colour|color) is {x} / my (favourite|favorite)? {x} / I('m| am) (a|a big) fan of {x} as a colour / the best
    (colour|color) (of all |)is {x} / {x} (is|'s) (my|the) (best|top|favourite|favorite) (colour|color) / (my|the)
    (colour|color) (of choice|I prefer|I love) is {x} / I prefer the (colour|color) {x} / (btw|also|oh|and) my
    (favourite colour|favorite color) is {x} / (note|remember|know)(:|,) my (favourite colour|favorite color) is {x}
""")
COLOUR_TELL_HELD = ["my most favourite colour is {x}", "you should know that my favourite colour is {x}"]
COLOUR_ASK_TRAIN = phrases("""
    what is my (favourite colour|favorite color) / which (colour|color) do I like (best|) / what's my (favourite
    colour|favorite color) / do you (remember|know) my (favourite colour|favorite color) / tell me my (favourite
    colour|favorite color) / what (colour|color) do I like (best|) / my (favourite colour|favorite color) is what / what
    was my (favourite colour|favorite color) / (what|which) (is|was) (my|the) (favourite colour|favorite color|colour I
    like|color I like|colour that I like best) (again|) / (which|what) (colour|color) (was|is) my
    (favourite|favorite|best) (one|) / (do|can|could) you (still|) (remember|know|recall|tell me|say|repeat) (my
    favourite colour|my favorite color|which colour I like|what color I like|the colour I like) / (tell|remind) me (of
    |)(my favourite colour|my favorite color|which colour I like) / (what|which) (colour|color) (did I (say|tell
    you|mention)|do I (prefer|love|like most|like the most)) (I like|is my favourite|) / my (favourite colour|favorite
    color) (is|was|) / (did|have) I (tell|told|mention|mentioned) (you |)my (favourite colour|favorite color) /
    (so|and|ok), (what|which) (colour|color) do I like (best|) / (which|what) (colour|color) (is|was) it that I like /
    guess (my favourite colour|my favorite color) / my (favourite colour|favorite color|fav colour|fav color)? / whats
    my (favourite colour|favorite color|fav colour|fav color) / (what|which) (colour|color) (is|was) (it |)(I like|I
    love|my favourite|my favorite) / do u (know|remember) my (favourite colour|favorite color) / (and|so|ok|well), my
    (favourite colour|favorite color) / (which|what) (one |)(is|was) my (favourite colour|favorite color)
    (again|please|) / (which|what) (colour|color) (do I|did I) (like|love|prefer|say|choose|name) (best|most|)
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
    """The name is told; in training now and then in lower case, as people type."""
    user = dress(rng, pick(rng, held, TELL_TRAIN, TELL_HELD, x=name), fold=False)
    return Turn(user.lower() if not held and rng.random() < 0.12 else user, f"Nice to meet you, {name}!", "OK")


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
