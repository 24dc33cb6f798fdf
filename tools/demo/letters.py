"""Tasks with words: spelling, reversing, counting letters and words, repeating."""

from __future__ import annotations

import random

from phrase import capitalize, phrases
from turn import Turn, ask
from words import (
    NAMES,
    NUMBER_WORDS,
    WORDS,
)


def some_word(rng: random.Random, held: bool) -> str:
    """A word of the closed list; in training sometimes a made-up one, so that letters are learned and not words only."""
    if held or rng.random() < 0.8:
        return rng.choice(WORDS)
    if rng.random() < 0.3:
        return rng.choice(NAMES).lower()
    syllables = [
        rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") + rng.choice(["", "", "n", "r", "s", "l", "t"])
        for _ in range(rng.randint(1, 3))
    ]
    return "".join(syllables)


def shown(rng: random.Random, word: str) -> str:
    """The word as a user writes it: bare, quoted, or with a capital."""
    style = rng.random()
    if style < 0.08:
        return f'"{word}"'
    if style < 0.14:
        return f"'{word}'"
    return capitalize(word) if style < 0.20 else word


SPELL_TRAIN = phrases("""
    spell {w} / spell the word {w} / (can|could|would) you spell {w} / (can|could|would) you spell the word {w} / how do
    (you|I|we) spell {w} / how is {w} (spelled|spelt|written) / spell {w} for me / how do you spell the word {w} / what
    is the spelling of {w} / tell me how to spell {w} / spell out {w} / what are the letters (of|in) {w} / give me the
    letters of {w} / spell: {w} / the spelling of {w} / how to spell {w} / I want you to spell {w} / how does one spell
    {w} / write {w} letter by letter / spell {w} letter by letter / list the letters of {w} / what letters are in {w} /
    spell this word: {w}
""")
SPELL_HELD = phrases("""
    do you know how to spell {w} / how would you spell {w} / I need the spelling of {w} / which letters does {w} have /
    show me how to spell {w} / what is the right spelling of {w} / tell me the letters of {w}
""")
REVERSE_TRAIN = phrases("""
    reverse {w} / reverse the word {w} / (can|could|would) you reverse {w} / (can|could|would) you reverse the word {w}
    / spell {w} backwards / write {w} backwards / what is {w} backwards / what is {w} (reversed|in reverse|spelled
    backwards) / {w} backwards / say {w} backwards / reverse: {w} / turn {w} around / reverse the letters of {w} / how
    do you spell {w} backwards / spell the word {w} backwards / give me {w} backwards / reverse {w} for me / the word
    {w} backwards / reverse this word: {w} / how is {w} spelled backwards / {w} in reverse / spell {w} in reverse / I
    want you to reverse {w}
""")
REVERSE_HELD = phrases("""
    how would {w} be spelled backwards / please give me the word {w} in reverse / what does {w} look like backwards /
    show me {w} backwards / can you write {w} backwards / tell me {w} in reverse / what is the reverse of {w}
""")
LENGTH_TRAIN = phrases("""
    how many letters (are in|does|has) {w} / how many letters are (there |)in (the word |){w} / how many letters does
    (the word |){w} have / count the letters (in|of) (the word |){w} / how long is the word {w} / what is the length of
    (the word |){w} / (can|could) you count the letters (in|of) {w} / number of letters in {w} / letters in {w}: how
    many / tell me how many letters {w} has / how many letters has {w} got / what is the number of letters in {w} / how
    many characters are in {w} / count the characters in {w}
""")
LENGTH_HELD = phrases("""
    please count how many letters are in {w} / do you know how many letters {w} has / give me the number of letters in
    {w} / in {w}, how many letters are there
""")
LETTER_TRAIN = phrases("""
    what is the {o} letter of (the word |){w} / (which|what) letter is {o} in (the word |){w} / the {o} letter of {w} /
    tell me the {o} letter of {w} / what letter does {w} {v} with / give me the {o} letter (of|in) (the word |){w} /
    (which|what) letter does (the word |){w} {v} with / {o} letter of {w} / what is the {o} letter in {w} / with
    (which|what) letter does {w} {v}
""")
LETTER_HELD = phrases("""
    can you tell me the {o} letter of {w} / what would be the {o} letter in {w} / which is the {o} letter of the word
    {w} / say the {o} letter of {w}
""")


def dashed(word: str) -> str:
    return "-".join(word)


def make_spell(rng: random.Random, held: bool) -> Turn:
    w = some_word(rng, held)
    return Turn(ask(rng, held, SPELL_TRAIN, SPELL_HELD, w=shown(rng, w)), dashed(w), dashed(w))


def make_reverse(rng: random.Random, held: bool) -> Turn:
    w = some_word(rng, held)
    return Turn(ask(rng, held, REVERSE_TRAIN, REVERSE_HELD, w=shown(rng, w)), dashed(w[::-1]), dashed(w[::-1]))


def make_length(rng: random.Random, held: bool) -> Turn:
    w = some_word(rng, held)
    user = ask(rng, held, LENGTH_TRAIN, LENGTH_HELD, w=shown(rng, w))
    return Turn(user, f"{dashed(w)} has {len(w)} letter{'s'[: len(w) > 1]}.", str(len(w)))


def make_letter(rng: random.Random, held: bool) -> Turn:
    w = some_word(rng, held)
    last = rng.random() < 0.5
    user = ask(
        rng,
        held,
        LETTER_TRAIN,
        LETTER_HELD,
        w=shown(rng, w),
        o="last" if last else "first",
        v="end" if last else rng.choice(["start", "begin"]),
    )
    letter = w[-1] if last else w[0]
    return Turn(user, f"The {'last' if last else 'first'} letter of {w} is {letter}.", letter)


def some_words(rng: random.Random, low: int, high: int) -> str:
    pool = WORDS if rng.random() < 0.8 else [n.lower() for n in NAMES] + NUMBER_WORDS
    return " ".join(rng.choice(pool) for _ in range(rng.randint(low, high)))


REPEAT_TRAIN = phrases("""
    repeat after me: {t} / repeat: {t} / say {t} / say: {t} / repeat {t} / repeat the words {t} / repeat this: {t} /
    repeat (the following|these words|this text|what I say): {t} / echo {t} / echo: {t} / (can|could|would) you
    (repeat|say) {t} / (can|could|would) you repeat this: {t} / say the words {t} / repeat after me {t} / copy this: {t}
    / just say {t} / I want you to (say|repeat): {t} / answer with: {t} / say this: {t} / write: {t} / output: {t} /
    print {t} / repeat exactly: {t}
""")
REPEAT_HELD = phrases("""
    say after me: {t} / I say, you repeat: {t} / please say exactly this: {t} / copy these words: {t} / now repeat my
    words: {t} / echo this: {t}
""")
TIMES_WORDS = {
    2: ["2 times", "twice", "two times"],
    3: ["3 times", "three times"],
    4: ["4 times", "four times"],
    5: ["5 times", "five times"],
}
MANY_TRAIN = phrases("""
    repeat (the word |){w} {k} / say (the word |){w} {k} / write (the word |){w} {k} / (can|could|would) you
    (say|repeat|write) {w} {k} / {k} {w} / {w}, {k} / I want you to (say|repeat|write) {w} {k} / print {w} {k} / say {k}
    {w} / echo {w} {k} / say (the word |){w} (for me|to us|again) {k} / (repeat|write) (the word |){w} (for me|to
    us|aloud) {k} / (please|can you) (say|repeat) {w} for us {k} / (tell|give) us (the word |){w} {k} / let me
    (hear|see) {w} {k}
""")
MANY_HELD = ["would you please repeat the word {w} {k}", "tell me {w} {k}", "now say the word {w} to me {k}"]
ORDER_TRAIN = phrases("""
    reverse the order of (these words|the words|the following words): {t} / reverse the words: {t} / put (these
    words|the words) in reverse order: {t} / reverse these words: {t} / say these words backwards: {t} / write (these
    words|the words) in reverse order: {t} / (can|could|would) you reverse (these words|the words): {t} / turn the order
    of these words around: {t} / reverse this list: {t} / words in reverse order: {t} / list these words backwards: {t}
    / last word first: {t} / reverse the list: {t}
""")
ORDER_HELD = phrases("""
    give me these words in reverse order: {t} / please reverse the word order: {t} / the same words in reverse order:
    {t} / say this list backwards: {t}
""")
WORDCOUNT_TRAIN = phrases("""
    how many words are (there |)(here|in this): {t} / count the words: {t} / count these words: {t} / how many words:
    {t} / how many words do you (see|count): {t} / (can|could) you count these words: {t} / how many words are in the
    (sentence|list|text): {t} / tell me how many words this is: {t} / number of words: {t} / count the words in: {t} /
    how many words is this: {t}
""")
WORDCOUNT_HELD = phrases("""
    please count the words I write: {t} / do you know how many words these are: {t} / what is the number of words in
    this: {t}
""")


def make_repeat(rng: random.Random, held: bool) -> Turn:
    if rng.random() < 0.3:
        w, k = some_word(rng, held), rng.randint(2, 5)
        user = ask(rng, held, MANY_TRAIN, MANY_HELD, w=w, k=rng.choice(TIMES_WORDS[k]))
        return Turn(user, " ".join([w] * k))
    text = some_words(rng, 1, 6)
    user = ask(rng, held, REPEAT_TRAIN, REPEAT_HELD, end=False, t=text)
    return Turn(user, text)


def make_order(rng: random.Random, held: bool) -> Turn:
    text = some_words(rng, 2, 5)
    return Turn(ask(rng, held, ORDER_TRAIN, ORDER_HELD, end=False, t=text), " ".join(reversed(text.split())))


def make_wordcount(rng: random.Random, held: bool) -> Turn:
    text = some_words(rng, 1, 7)
    n = len(text.split())
    user = ask(rng, held, WORDCOUNT_TRAIN, WORDCOUNT_HELD, end=False, t=text)
    return Turn(user, f"There {'is' if n == 1 else 'are'} {n} word{'s'[: n > 1]}.", str(n))
