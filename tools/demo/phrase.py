"""Phrasings as small patterns, and the dress a sentence wears: capitals, punctuation, politeness.

A pattern such as "(can you |)spell {w}" stands for every choice of its brackets. Brackets nest; slots are filled last, so
that a slot's text is never read as a pattern.
"""

from __future__ import annotations

import random
import re

INNERMOST = re.compile(r"\(([^()]*)\)")
QUESTION_STARTS = set(
    "what what's how which who where when why can could would will are is am do does did if whats who's in on".split()
)
FUNCTION_WORDS = set("a an the is do does you to me I of are can my it this that in have".split())
FILLERS = ["really", "just", "now", "then", "again", "actually", "maybe", "well", "please", "also", "simply", "exactly"]


TAILS = (
    " my friend| today| now| then| again| for me|, dear model| right now|, will you| my dear| here| quickly| exactly|"
    " if you can|, i wonder|, mate| real quick|, buddy| anyway| lol| btw|, any idea|, do you know|, demo| once more"
).split("|")
OPENERS = (
    "please |hey, |ok, |so, |now |hi, |and |well, |hello, |next: |hey |ok |okay, |so |alright, |hmm, |hm |um, |oh, |"
    "then |also, |quick question: |question: |pls |plz |hi! |hello! |hey demo, |demo, |yo, |thanks. |thanks! |"
    "ok cool, |great, |good, now |right, |first, |next, |another one: |one more: |sorry, |just |quick: |btw, |"
    "listen, |dear demo, |be so kind: |i have a question: |hi there, "
).split("|")
CLOSERS = (
    " please|, please|, thanks| thanks| pls| plz|, thank you| thx|, please and thank you| please, thanks|"
    ", if you please|, ok"
).split("|")
# What is put before a question, and before a command, without changing what it asks.
ASK_WRAPS = (
    "can you tell me |could you tell me |tell me |please tell me |do you know |i want to know |i would like to know |"
    "i'd like to know |i wonder |just wondering, |any idea |would you know |may i ask |let me ask: |just tell me |"
    "could you please tell me |i need to know |do you happen to know |i was wondering |remind me |explain |say, "
).split("|")
DO_WRAPS = (
    "can you |could you |would you |can you please |could you please |i want you to |i need you to |i'd like you to |"
    "go ahead and |try to |kindly |will you |are you able to |let me see you |would you please |can u |your task: |"
    "your job: |now please |help me: "
).split("|")
COMMANDS = set(
    """spell reverse count say repeat tell add multiply subtract list name give write show mix compute calculate solve
    compare divide print echo put turn sort read flip take find pick start combine copy type recite""".split()
)
# As people type it: with the apostrophe, or without.
SHORTER = [
    (r"\b(what|who|how|where) is\b", r"\1's"),
    (r"\b(what|how) are\b", r"\1're"),
    (r"\bI am\b", "I'm"),
    (r"\bI would\b", "I'd"),
    (r"\bI have (?=got|told|to)", "I've "),
    (r"\byou are\b", "you're"),
    (r"\b(do|does|did|is|are|was) not\b", r"\1n't"),
    (r"\bcannot\b", "can't"),
    (r"\b(that|it|there) is\b", r"\1's"),
    (r"\blet us\b", "let's"),
]
SLANG = [(r"\byou\b", "u"), (r"\bplease\b", "pls"), (r"\bare you\b", "r u"), (r"\bwant to\b", "wanna")]
SYNONYMS: dict[str, list[str]] = {
    "session": ["conversation", "chat", "thread"],
    "conversation": ["session", "chat", "dialogue"],
    "answer": ["reply", "response"],
    "reply": ["answer", "response"],
    "delete": ["remove", "drop", "erase", "wipe", "trash", "kill"],
    "remove": ["delete", "drop", "erase"],
    "see": ["view", "check", "look at", "find out", "inspect", "get"],
    "show": ["display", "print"],
    "set": ["change", "adjust", "configure", "choose", "specify", "define", "modify"],
    "change": ["set", "alter", "modify", "tweak", "edit"],
    "find": ["locate", "get", "look up", "see"],
    "stop": ["halt", "end", "quit", "break off"],
    "cancel": ["abort", "stop", "interrupt", "halt"],
    "start": ["begin", "create", "open", "launch"],
    "create": ["make", "start", "open", "set up"],
    "use": ["work with", "make use of", "employ"],
    "read": ["see", "look at", "get", "fetch"],
    "send": ["pass", "give", "hand", "submit", "post"],
    "save": ["store", "keep", "write", "export"],
    "export": ["save", "dump", "download", "extract"],
    "list": ["show", "enumerate", "display", "print"],
    "wait": ["pause", "hold"],
    "follow": ["watch", "track", "observe", "monitor"],
    "big": ["large", "huge"],
    "model": ["bot", "program", "chatbot", "assistant"],
    "mount": ["file system", "filesystem", "directory", "folder", "server"],
    "server": ["daemon", "service", "mount", "process"],
    "know": ["find out", "tell", "see", "learn"],
    "good": ["great", "fine", "nice"],
    "made": ["created", "built", "developed"],
    "joke": ["pun", "joke"],
    "question": ["thing", "query", "request"],
    "tell": ["give", "show"],
    "can": ["could", "may"],
    "messages": ["history", "log", "transcript"],
    "error": ["failure", "problem", "error message"],
    "finished": ["done", "complete", "ready", "over"],
    "done": ["finished", "complete", "over", "ready"],
    "data": ["information", "text", "messages"],
    "computer": ["machine", "PC", "laptop"],
}


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


def shorten(rng: random.Random, text: str) -> str:
    """Contractions, often without their apostrophe, and now and then a chat's spelling."""
    for pattern, short in SHORTER:
        text = re.sub(pattern, short, text)
    if rng.random() < 0.5:
        text = re.sub(r"(?<=[a-z])'(?=(s|m|re|d|ve|t)\b)", "", text)
    if rng.random() < 0.08:
        pattern, short = rng.choice(SLANG)
        text = re.sub(pattern, short, text)
    return text


def wrap(rng: random.Random, text: str) -> str:
    """A question or command as part of a longer sentence; anything else as it is."""
    first = text.split(" ", 1)[0].lower()
    if first in ("what", "which", "who", "how", "where", "when", "why", "what's"):
        return rng.choice(ASK_WRAPS) + text
    return rng.choice(DO_WRAPS) + text if first in COMMANDS else text


# How a turn ends, and of a hundred turns how many; "?" stands for the mark that fits.
MARKS = {"": 38, "?": 50, "!": 4, "??": 1.5, " ?": 1.5, "...": 1, " :)": 1.5, "?!": 0.5, "!!": 1, ",": 0.5}


def dress(rng: random.Random, text: str, fold: bool = True, end: bool = True) -> str:
    """Varies case, punctuation and politeness. `fold` allows lower or upper case; `end` a mark or words at the end."""
    if not any(c.isalnum() for c in text):
        return text  # "Hi, ..." would be a greeting
    mark = "?" if is_question(text) else "."
    if rng.random() < 0.09:
        text = wrap(rng, text)
    if rng.random() < 0.16:
        text = rng.choice(OPENERS) + text
    if end and rng.random() < 0.10:
        text += rng.choice(CLOSERS)
    if rng.random() < 0.35:
        text = shorten(rng, text)
    style = rng.random()
    if style < 0.45:
        text = capitalize(text)
    elif style < 0.82 and fold:
        text = text.lower()
    elif style < 0.82:
        text = re.sub(r"\bI\b", "i", text)
    elif style < 0.85 and fold:
        text = text.upper()
    if not end:
        return text
    chosen = rng.choices(list(MARKS), list(MARKS.values()))[0]
    return text + (mark if chosen == "?" and rng.random() < 0.9 else chosen)


def slip(rng: random.Random, word: str) -> str:
    """The word with two letters swapped, one left out or one doubled."""
    if len(word) < 4 or not word.isalpha():
        return word
    i, kind = rng.randrange(len(word) - 1), rng.random()
    if kind < 0.5:
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    return word[: i + 1] + word[i + 2 :] if kind < 0.8 else word[: i + 1] + word[i:]


def blur(rng: random.Random, text: str) -> str:
    """A user's slips, fillers and choice of words: a small word left out, one added or another used, a typing error."""
    words = text.split()
    known = [i for i, w in enumerate(words) if w in SYNONYMS]
    if known and rng.random() < 0.30:
        for i in rng.sample(known, rng.randint(1, min(2, len(known)))):
            words[i] = rng.choice(SYNONYMS[words[i]])
        text = " ".join(words)
        words = text.split()
    kind, at = rng.random(), rng.randrange(len(words))
    if kind > 0.25:
        return text
    if kind < 0.09:
        kept = [w for i, w in enumerate(words) if i != at or w not in FUNCTION_WORDS]
        return " ".join(kept) or text
    if kind < 0.13:
        return " ".join(words[:at] + [rng.choice(FILLERS)] + words[at:])
    if kind < 0.19:
        return text + rng.choice(TAILS)
    words[at] = slip(rng, words[at])
    return " ".join(words)


def slipped(rng: random.Random, pattern: str, **slots: object) -> str:
    """A reading of the pattern, at times with a slip or without a small word; what fills the slots stays as it is."""
    words = expand(rng, pattern, **{name: f"{{{name}}}" for name in slots}).split(" ")
    kind, at = rng.random(), rng.randrange(len(words))
    if kind < 0.07:
        words[at] = slip(rng, words[at])
    elif kind < 0.12:
        words = [w for i, w in enumerate(words) if i != at or w not in FUNCTION_WORDS] or words
    return " ".join(words).format(**slots)


def normal(text: str) -> str:
    """Equal for two texts that differ in case, punctuation and spaces only."""
    return re.sub(r"[^a-z0-9+*/-]+", " ", text.lower()).strip()
