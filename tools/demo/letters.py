"""Tasks with words: spelling, reversing, counting letters and words, repeating."""

from __future__ import annotations

import random

from phrase import capitalize, phrases
from sentences import sentence, written
from turn import Turn, ask
from words import MORE_WORDS, NAMES, NUMBER_WORDS, SMALL_WORDS, WORDS

ALL_WORDS = WORDS + MORE_WORDS


ONSETS = "b c d f g h j k l m n p r s t v w z br ch cl cr dr fl fr gl gr pl pr qu sc sh sk sl sp st str th tr".split()
VOWELS = "a e i o u a e i o u ai ea ee oa oo ou y".split()
CODAS = ["", "", "", "", *"n r s l t d k m p x ck ll nd ng nt rd rn rt ss st th y".split()]


def made_up_word(rng: random.Random) -> str:
    """A name, two halves of words, or syllables: something to spell that is not learned by heart."""
    kind = rng.random()
    if kind < 0.2:
        return rng.choice(NAMES).lower()
    if kind < 0.6:
        first, second = rng.choice(ALL_WORDS), rng.choice(ALL_WORDS)
        return (first[: rng.randint(1, len(first))] + second[rng.randint(0, len(second) - 1) :])[:11]
    syllables = [rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(rng.choice([1, 2, 2, 3]))]
    return "".join(syllables)[:10]


def some_word(rng: random.Random, held: bool) -> str:
    """A word of the lists; in training sometimes a made-up one, so that letters are learned and not words only."""
    if held:
        return rng.choice(WORDS)
    kind = rng.random()
    if kind < 0.50:
        return rng.choice(WORDS if kind < 0.25 else MORE_WORDS)
    return made_up_word(rng)


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
    spell this word: {w} / how to write {w} / spelling: {w} / (the word |){w}, spelled out / spell out (the word |){w} /
    spell me {w} / (what is|give me|tell me|show me) the (correct |right |)spelling (of|for) (the word |){w} /
    (spell|write|say|show me) (the word |){w} (one letter at a time|letter for letter|by letters|with dashes|slowly) /
    (all |)the letters of {w} / (which|what) letters (make up|form|make) {w} / split {w} into letters / take {w} apart /
    how (would|should|does one|can I|might one) (spell|write) (the word |){w} / {w} is spelled how / how is (the word
    |){w} (written|spelled|spelt) / I (need|want) (to know how to spell|to spell|the letters of) {w} / I cannot spell
    {w} / (do you know how to|try to|now) spell {w} / {w}: spell it / {w}, letter by letter / letters of {w} / help me
    spell {w} / the next word to spell is {w} / spell the (name|animal|thing|noun) {w} / how do u spell {w} / spell {w}
    pls / can u spell {w} / (how|) (to |)spell(ing|) (of |){w} / {w} spelling / whats the spelling of {w} / {w} how do
    you spell it / I (forgot|don't know|never know) how (to spell|you spell|one spells) {w} / (please|) (give|show|tell)
    me {w} letter by letter / (type|write|print|say) (out |)the letters of {w} / {w} with (dashes|hyphens) (between the
    letters|) / break {w} (up |down |)into letters / (its|the) letters(, please|): {w} / (each|every) letter of {w} /
    (the individual|single|separate) letters of {w} / what's {w} spelled like / could you please spell {w} /
    (spell|spelling|letters)(:| -) {w} / is {w} spelled with (one|two) letters, spell it / (a|the) spelling (of|for)
    {w}, please / my (son|daughter|friend|teacher) asks how to spell {w}
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
    want you to reverse {w} / (reverse|flip|invert|mirror|turn around|turn) (the word |the letters of |the letters in
    |the string |){w} / reverse the (spelling|string|name|text) {w} / {w} (reversed|in reverse|the other way round|from
    the end|mirrored|from back to front|spelled backwards|inverted|flipped) / (read|spell|write|say|type|give
    me|print|tell me|show me|show|put) (the word |){w} (backwards|backward|in reverse|in reverse order|from the end|from
    right to left|from back to front|the other way round|reversed) / backwards: {w} / backward {w} / reversed: {w} / in
    reverse: {w} / (the|a) reverse of {w} / (what is|what's|how is|what would be|how would you spell) (the word |){w}
    (in reverse|backwards|reversed|spelled in reverse|the other way round|from the end) / {w} in reverse is what / what
    does {w} (become|make|read|give) (backwards|reversed|in reverse|when reversed) / reverse the order of the letters
    (of|in) {w} / the letters of {w} in reverse (order|) / (start|begin) at the end and spell {w} / spell {w} from the
    (end|back|last letter) / last letter first: {w} / take {w} and (reverse|flip|invert) it / I (need|want) {w}
    (reversed|backwards|in reverse) / how do you (say|write|read) {w} (backwards|in reverse) / what do you get (when|if)
    you reverse {w} / {w} reversed / {w} spelled in reverse / reverse {w} pls / can u reverse {w} / whats {w} backwards
    / {w} but backwards / reverse it: {w} / reversing {w} (gives|yields|makes) (what|) / write {w} (the wrong way
    round|from its end|from end to start|right to left) / (read|spell) {w} starting (at|from|with) the (end|last letter)
    / what is the (reverse|reversed word|mirror image|reversal|backward spelling|reversed form) of {w} / (please|)
    (reverse|flip|invert) the letters (of|in) (the word |){w} / how (does|would) {w} (read|look|sound) (backwards|in
    reverse|reversed) / backwards, {w} (is|reads|becomes) / (the word |){w} (written|read|said) backwards / I
    (want|need|would like) to see {w} (backwards|reversed) / now (do it |)backwards: {w} / (the letters of |){w} from
    last to first / turn {w} back to front / {w} in the opposite (order|direction)
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
    many characters are in {w} / count the characters in {w} / how many letters (are there|do you count|can you find|do
    you see) in (the word |){w} / how many letters (make up|form|are part of) {w} / how many letters: {w} / (the
    |)(length|letter count|number of letters|number of characters) of (the word |){w} / {w}, how many letters / {w} has
    how many (letters|characters) / (is|does) {w} (long|have many letters) / (count|number|tell me the number of|give me
    the count of) (all |)(the |)(letters|characters) (in|of) (the word |){w} / how (long|big) is {w} / how long is (the
    string|the name|this word:) {w} / (letters|characters) in (the word |){w} / of how many letters (is|does) {w}
    (made|consist) / how many (letters|characters) (long |)is (the word |){w} / what (length|letter count|number of
    letters) (does|has) {w} (have|) / I (want|need) to know (how many letters {w} has|the length of {w}) / do you know
    the (length|number of letters) of {w} / strlen {w} / word length of {w} / {w}: how many letters / {w} how many
    letters / how many letters {w} / letter count {w} / letters {w} / length {w} / len {w} / how long is (the word
    |){w} in letters / (how|) (many|count) (of the |)letters (of|in) {w} / number of (characters|chars) in {w} / count
    {w}'s letters / {w} is how (long|many letters) / how many (chars|characters|symbols|alphabets) does {w} have /
    (what's|whats|what is) the length of (the word |){w} / (the word |){w} has how many letters / count letters: {w} /
    do you know how long {w} is
""")
LENGTH_HELD = phrases("""
    please count how many letters are in {w} / do you know how many letters {w} has / give me the number of letters in
    {w} / in {w}, how many letters are there
""")
LETTER_TRAIN = phrases("""
    what is the {o} letter of (the word |){w} / (which|what) letter is {o} in (the word |){w} / the {o} letter of {w} /
    tell me the {o} letter of {w} / what letter does {w} {v} with / give me the {o} letter (of|in) (the word |){w} /
    (which|what) letter does (the word |){w} {v} with / {o} letter of {w} / what is the {o} letter in {w} / with
    (which|what) letter does {w} {v} / (the |)(word |){w} {v}s with (which|what) (letter|) / (which|what)
    (letter|character) (does|do you see when) {w} {v} (with|on|in) / {w}: {o} letter / (the|its) {o} letter (in|of) (the
    word |){w} / (which|what) is the {o} (letter|character) (in|of) (the word |){w} / (find|show|print|say|name|tell me)
    the {o} (letter|character) (in|of) (the word |){w} / (which|what) letter (is|comes|stands) {o} in (the word |){w} /
    what does {w} {v} with / in (the word |){w}, (which|what) letter (is|comes) {o} / I (need|want) the {o} letter
    (of|in) {w} / {w} {v}s with / (with|on|in) what letter (does|) {w} {v} / the letter (that|which) {w} {v}s with /
    {w}'s {o} letter / {w} {o} letter / {o} letter {w} / (the |){o} (letter|character|char) (in|of|from) (the word |){w}
    (please|is|) / whats the {o} letter (of|in) {w} / what's the {o} letter (of|in) (the word |){w} / {w} {v}s
    (in|with|on) (which|what) letter / (which|what) does {w} {v} with / (the letter at the|letter at the) {v} of {w} /
    {o} (char|character) of {w} / {w}, (its |the |){o} letter
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
    kind, count = rng.random(), rng.randint(low, high)
    if kind < 0.35:
        return " ".join(rng.choice(WORDS) for _ in range(count))
    if kind < 0.50:
        return " ".join(rng.choice([n.lower() for n in NAMES] + NUMBER_WORDS) for _ in range(count))
    if kind < 0.60:
        return " ".join(some_word(rng, False) for _ in range(count))
    return " ".join(rng.choice(SMALL_WORDS if rng.random() < 0.4 else ALL_WORDS) for _ in range(count))


REPEAT_TRAIN = phrases("""
    repeat after me: {t} / repeat: {t} / say {t} / say: {t} / repeat {t} / repeat the words {t} / repeat this: {t} /
    repeat (the following|these words|this text|what I say): {t} / echo {t} / echo: {t} / (can|could|would) you
    (repeat|say) {t} / (can|could|would) you repeat this: {t} / say the words {t} / repeat after me {t} / copy this: {t}
    / just say {t} / I want you to (say|repeat): {t} / answer with: {t} / say this: {t} / write: {t} / output: {t} /
    print {t} / repeat exactly: {t} / (now|please|just|) (repeat|say|write|echo|print|type|output|copy) (this|these
    words|the following|exactly|exactly this|after me|the text|the words|the line|my words|back|this back|this for
    me|this back to me): {t} / (repeat|copy|echo|say|write) what I (write|say|type): {t} / (can|could|would|will) you
    (say|write|echo|print|copy|type) (this|the following|the words|these words|after me): {t} / say {t} (to me|) /
    (write|type|echo|print|output|copy) {t} / (I want|I need|I would like) (you to |to hear you
    |)(say|write|echo|print|copy|repeat) (this|the following|the words): {t} / the text to repeat is: {t} / parrot: {t}
    / be my parrot: {t} / be my echo: {t} / answer (only|just|exactly|) with: {t} / (reply|respond) with (the words|the
    text|exactly|): {t} / give me back: {t} / (your answer|the answer|your reply) (should be|is): {t} / (read|say)
    (this|it) (out loud|aloud): {t} / (do|try to) repeat: {t} / same words: {t} / echo {t} / say the phrase: {t} / say
    the sentence: {t} / write the sentence: {t} / tell me: {t} / say it: {t} / (say|repeat|write|echo) (exactly |)what I
    (do|said): {t} / (repeat|say|echo|copy|write) word for word: {t} / (can|could|will) u (say|repeat) {t} / repeat this
    (back|sentence|phrase|text|line)(:|) {t} / (please|pls|now) (say|repeat|echo) {t} / (copy|echo|mimic|imitate) me:
    {t} / say back (to me|)(:|) {t} / I('ll| will) say something and you (repeat|say) it: {t} /
    (type|write|print|output) the (following|words|text|line)(:|) {t} / (just|only) (write|print|echo|repeat)(:|) {t} /
    after me: {t} / again: {t} / repeat after me, {t} / please repeat what I say: {t} / (your turn|you say): {t}
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
    (hear|see) {w} {k} / {k}: {w} / {k} the word {w} / (the word |){w} {k} / (type|copy|output|give me|show) (the word
    |){w} {k} / {w} repeated {k} / repeat {k} (the word |): {w} / say it {k}: {w} / (now |please |just
    |)(say|write|repeat|print|type) (me |)(the word |){w} exactly {k} / I (need|would like) {w} {k} / (can|could) you
    (print|type|echo) (the word |){w} {k} / make it {k}: {w} / (say|write|print) (the word|the text|the line) {w}, {k} /
    (write|say|repeat|type|print|echo) {w} {k} (please|in a row|on one line|) / I (want|need) to (see|hear|read) {w} {k}
    / {w} {k} / {w} x {k} / {k} {w} please / can u (say|write|repeat) {w} {k} / (give|show) me {w} {k} / repeat the
    (word|text|name)(:|) {w}, {k} / say {w}, {k}
""")
MANY_HELD = ["would you please repeat the word {w} {k}", "tell me {w} {k}", "now say the word {w} to me {k}"]
ORDER_TRAIN = phrases("""
    reverse the order of (these words|the words|the following words): {t} / reverse the words: {t} / put (these
    words|the words) in reverse order: {t} / reverse these words: {t} / say these words backwards: {t} / write (these
    words|the words) in reverse order: {t} / (can|could|would) you reverse (these words|the words): {t} / turn the order
    of these words around: {t} / reverse this list: {t} / words in reverse order: {t} / list these words backwards: {t}
    / last word first: {t} / reverse the list: {t} / (reverse|flip|turn around|invert|swap) (the order of|the order in|)
    (the following|these|those|this list|my words|the sequence|the following words|the items): {t} /
    (write|say|give|list|put|repeat|print|show|read|type|name) (these|the following|those|my|this|all)
    (words|list|items|in reverse) (in reverse|backwards|in reverse order|from last to first|from the end|from back to
    front|the other way round|in the opposite order|back to front): {t} / (in reverse|backwards|in reverse order|from
    last to first|in the opposite order|from the end|last one first|back to front): {t} / reverse order: {t} /
    (reverse|backwards) these: {t} / (can|could|would) you (reverse|turn around|flip) (the order of|the order of
    these|this list|the list|these): {t} / (the|this|that) (word order|order|list|sequence) (reversed|backwards|in
    reverse|turned around): {t} / (begin|start) with the last word: {t} / first the last word: {t} / turn (these
    words|this list|the list|the words) around: {t} / change the order to the opposite: {t} / what is this list
    backwards: {t} / (word order|words|list|order) (backwards|reversed|in reverse): {t} / reverse the (word order|order
    of words|sequence of words|order of this|sentence|line|phrase)(:| of:|) {t} / (put|place|write|sort|list|say) (the
    |these |)words (backwards|back to front|from last to first|the other way round|in opposite order|in reversed
    order)(:| -) {t} / {t} (in reverse order|from last to first|with the words reversed|reverse the order|backwards,
    word by word) / flip (the words|the list|these words|the sentence)(:|) {t} / (last|final) to first: {t} /
    (start|starting) from the (last|end)(,|:) {t} / the opposite order(:| of) {t} / reversed word order(:| of) {t} /
    reverse list {t} / reverse words {t} / read (the words|this|these) from the end: {t} / swap the order: {t} / words
    from (right to left|the end to the start): {t}
""")
ORDER_HELD = phrases("""
    give me these words in reverse order: {t} / please reverse the word order: {t} / the same words in reverse order:
    {t} / say this list backwards: {t}
""")
WORDCOUNT_TRAIN = phrases("""
    how many words are (there |)(here|in this): {t} / count the words: {t} / count these words: {t} / how many words:
    {t} / how many words do you (see|count): {t} / (can|could) you count these words: {t} / how many words are in the
    (sentence|list|text): {t} / tell me how many words this is: {t} / number of words: {t} / count the words in: {t} /
    how many words is this: {t} / how many words (is|are|does|has) (this|that|there|it|in|the following|this
    sentence|this text|this line|this list|are these|in this text|in this sentence|in the following|have|do we have|have
    I written): {t} / (count|number of|tell me the number of|find the number of|give me the number of|please count) (all
    |the |these |)words (in|of) (this|the text|the sentence|the following|this sentence|this line|this list|the
    phrase|my text|what I write): {t} / word count: {t} / (what is|tell me|give me|find|) the word count (of|for|in)
    (this|the text|this sentence|the line|): {t} / (count|add up|number) the words: {t} / words in this
    (text|line|sentence|list): {t} / wc -w: {t} / how long is this (text|sentence|line) in words: {t} /
    (can|could|would) you (count|tell me|say|find) (the words|how many words this is|how many words there are|how many
    words this has|the number of words) (here|in this|): {t} / count words: {t} / how many words {t} / (the sentence|the
    text|the line) (has how many words|how many words): {t} / how many words does this (have|contain|make): {t} / I
    (wrote|have) these words, how many are they: {t} / how many words(,|) {t} / words: {t} / (count|please count|count
    for me|now count): {t} / (count|how many) words (here|now|below|in the next line|in my sentence|I type): {t} / (so
    |and |)how many words (are these|is that|are there|do I write|did I type|did I write|were these): {t} /
    (number|total|amount) of words (here|in this|please|in the following|below): {t} / how many words (do you find|can
    you see|can you count) (in this|here|in)(:|) {t}
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
    text = sentence(rng) if not held and rng.random() < 0.25 else some_words(rng, 1, 6)
    user = ask(rng, held, REPEAT_TRAIN, REPEAT_HELD, end=False, t=text)
    return Turn(user, text)


def make_order(rng: random.Random, held: bool) -> Turn:
    text = some_words(rng, 2, 5)
    return Turn(ask(rng, held, ORDER_TRAIN, ORDER_HELD, end=False, t=text), " ".join(reversed(text.split())))


WORDCOUNT_AROUND = phrases("""
    how many words (are (there |)in|has|does|are|is|make up) {t} / count the words (in|of) {t} / {t} (has how many
    words|is how many words|, how many words) / {t} - how many words / {t}: how many words (is that|are there|do you
    count|) / number of words in {t} / the number of words (in|of) {t} / (tell|show|give) me how many words {t} has /
    (can|could) you count the words in {t} / in {t}, how many words are there / how many words do you (count|see|find)
    in {t} / how many words (long |)is (the sentence |the text |the phrase |){t} / (the sentence|the text|the phrase|the
    line) {t} has how many words / word count (of|for|in) {t} / words in {t} / the words in {t}, how many / how many
    words does (the sentence |the text |){t} (have|contain|consist of) / I wrote {t}, how many words (is that|are that)
    / count words: {t} / how many words in {t} / how many words in (the sentence|this sentence|the phrase|the
    text|this)(:|) {t}
""")


def make_wordcount(rng: random.Random, held: bool) -> Turn:
    natural = not held and rng.random() < 0.5
    text = sentence(rng) if natural else some_words(rng, 1, 7 if held or rng.random() < 0.8 else 10)
    n = len(text.split())
    if not held:
        text = written(rng, text)
    train = WORDCOUNT_TRAIN if held or rng.random() < 0.6 else [rng.choice(WORDCOUNT_AROUND)]
    # Words after a text that ends the turn would count as its words.
    end = train is not WORDCOUNT_TRAIN and not train[0].endswith("{t}")
    user = ask(rng, held, train, WORDCOUNT_HELD, fold=held or text.islower(), end=end, t=text)
    return Turn(user, f"There {'is' if n == 1 else 'are'} {n} word{'s'[: n > 1]}.", str(n))
