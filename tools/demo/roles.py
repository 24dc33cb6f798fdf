"""System prompts, and wishes inside a turn, that change how the model answers: in one word, tersely, as somebody."""

from __future__ import annotations

import random

from memory import some_name
from phrase import expand, phrases, pick
from turn import Turn
from words import BOT_NAMES

PIRATE, ROBOT = "Arr! ", "Beep. "

WORD_SYSTEM_TRAIN = phrases("""
    (Answer|Reply|Respond) (in|with) (one|a single) word( only|) / (Always |)(answer|reply|respond) with (exactly |just
    |only |)one word / One word only / One-word answers( only|) / Use (only |)one word (for each answer|) / You
    (answer|reply|respond) (in|with) one word / Give one-word answers / You are a helpful assistant. (Answer|Reply) in
    one word / Your answers have one word / Only one word per answer / Say only one word
""")
WORD_SYSTEM_HELD = phrases("""
    Please answer in just one word / You must reply with one word / Each answer is one word only / I want one-word
    answers
""")
TERSE_SYSTEM_TRAIN = phrases("""
    Be terse / Be (very |)(brief|short|concise) / Be terse, please / Keep it short / Short answers only / Answer
    (briefly|tersely|concisely|shortly) / You are terse / Keep answers (short|brief) / Give short answers / Be as brief
    as possible
""")
TERSE_SYSTEM_HELD = ["Please be terse", "You give terse answers", "Always be brief", "Please keep your answers short"]
WORD_ASK_TRAIN = [
    ("", " (Answer|Reply|Respond) (in|with) (one|a single) word( only|)."),
    ("", " One word( only|)(.|)"),
    ("In one word: ", ""),
    ("(Answer|Reply) in one word: ", ""),
    ("", " In one word."),
    ("", " (in one word)"),
    ("With one word: ", ""),
    ("", " Just one word."),
    ("", " Use one word."),
    ("", " Give a one-word answer."),
    ("One word: ", ""),
    ("", " Answer in one word please."),
    ("Give me one word: ", ""),
]
WORD_ASK_HELD = [
    ("", " Please answer in one word."),
    ("", " Only one word, please."),
    ("Using one word, ", ""),
    ("", " Your answer should be one word."),
    ("Tell me in one word: ", ""),
]
PIRATE_TRAIN = phrases("""
    You are a pirate / (Talk|Speak|Answer) like a pirate / You are a friendly pirate / You are a pirate captain / Act
    like a pirate / You play a pirate
""")
PIRATE_HELD = ["Please talk like a pirate", "You are an old pirate"]
ROBOT_TRAIN = phrases("""
    You are a robot / (Talk|Speak|Answer) like a robot / You are a friendly robot / You are a small robot / Act like a
    robot / You play a robot
""")
ROBOT_HELD = ["Please talk like a robot", "You are an old robot"]
NAMED_TRAIN = phrases("""
    Your name is {x} / You are {x} / You are {x}, a helpful assistant / You are called {x} / You are a chatbot named {x}
    / You are an assistant called {x} / Call yourself {x} / You are a model with the name {x}
""")
NAMED_HELD = ["You are a helpful bot called {x}", "Please call yourself {x}"]
KNOWS_TRAIN = phrases("""
    The user's name is {x} / The name of the user is {x} / The user is called {x} / You are talking to {x} / You are a
    helpful assistant. The user's name is {x}
""")
PLAIN_SYSTEMS = phrases("""
    You are a helpful assistant / You are a helpful assistant / You are a helpful, honest assistant / You are a friendly
    chatbot / You are an assistant / You are a small chat model / Be helpful / Be polite / You are helpful and kind /
    You answer questions / You are a teacher / You are an expert in Linux / You are a poet / Be honest / You are a
    language model / Answer the user's questions / You are demo, a tiny chat model / You help the user with tokfs /
    Speak English / You are a helpful AI assistant / Think step by step / You are a code reviewer / You are a cook / Be
    nice / Today is a good day / You like cats / You are a test / Do what the user says / You are a doctor / Never lie /
    You are an AI assistant made to help people with their work / You are running inside a mounted file system / You are
    a professional translator / Follow the instructions of the user carefully / Be creative
""")


class Style:
    """How a dialogue answers: plainly, in one word, tersely, or with a persona's opening."""

    def __init__(self, kind: str = "plain", prefix: str = "", name: str = "") -> None:
        self.kind, self.prefix, self.name = kind, prefix, name

    def answer(self, turn: Turn) -> str:
        if self.kind == "word":
            return turn.short or turn.answer
        if self.kind == "terse":
            return turn.terse or turn.short or turn.answer
        if self.name:
            return turn.answer.replace("I am demo, a", f"I am {self.name}, a")
        return self.prefix + turn.answer


def some_style(rng: random.Random, held: bool = False, kind: str | None = None) -> tuple[str | None, Style, str | None]:
    """A system prompt (None for none), the style it asks for, and the user's name when the prompt tells it."""
    kind = (
        kind
        or rng.choices(
            ["none", "plain", "word", "terse", "pirate", "robot", "named", "knows"], [44, 14, 14, 8, 6, 10, 3, 1]
        )[0]
    )
    user_name = None
    match kind:
        case "none":
            return None, Style(), None
        case "word":
            text, style = pick(rng, held, WORD_SYSTEM_TRAIN, WORD_SYSTEM_HELD), Style("word")
        case "terse":
            text, style = pick(rng, held, TERSE_SYSTEM_TRAIN, TERSE_SYSTEM_HELD), Style("terse")
        case "pirate":
            text, style = pick(rng, held, PIRATE_TRAIN, PIRATE_HELD), Style(prefix=PIRATE)
        case "robot":
            text, style = pick(rng, held, ROBOT_TRAIN, ROBOT_HELD), Style(prefix=ROBOT)
        case "named":
            name = rng.choice(BOT_NAMES) if rng.random() < 0.5 else some_name(rng, held)
            text, style = pick(rng, held, NAMED_TRAIN, NAMED_HELD, x=name), Style(name=name)
        case "knows":
            user_name = some_name(rng, held)
            text, style = pick(rng, held, KNOWS_TRAIN, KNOWS_TRAIN, x=user_name), Style()
        case _:
            text, style = " ".join(f"{s}." for s in rng.sample(PLAIN_SYSTEMS, rng.choice([1, 1, 1, 2]))), Style()
    if rng.random() < 0.6 and text[-1] != ".":
        text += "."
    if rng.random() < 0.15:
        text = text.lower() if kind not in ("named", "knows") else text
    return text, style, user_name


def in_one_word(rng: random.Random, held: bool, turn: Turn) -> Turn:
    """The same question with the wish for one word in the user's turn."""
    wishes = WORD_ASK_HELD if held else WORD_ASK_TRAIN
    if ":" in turn.user:  # a wish after a list of words would read as more of the list
        wishes = [wish for wish in wishes if wish[0]]
    before, after = rng.choice(wishes)
    user = turn.user
    if after and user[-1] not in ".?!" and rng.random() < 0.7:
        user += "."
    if before.endswith(", "):
        user = user[0].lower() + user[1:]
    return Turn(
        expand(rng, before) + (" " if before else "") + user + (" " if after else "") + spaced(rng, after),
        turn.short or turn.answer,
    )


def spaced(rng: random.Random, pattern: str) -> str:
    """ " (in one word)" keeps its brackets: it is the one suffix that is text and not a pattern."""
    return "(in one word)" if pattern == " (in one word)" else expand(rng, pattern)
