"""One user turn with its exact answer, and how a task asks for it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from phrase import blur, dress, expand, slipped


@dataclass
class Turn:
    user: str
    answer: str
    short: str | None = None  # the one-word answer, where there is one
    terse: str | None = None  # the answer under "Be terse", when it is not the one-word answer


Make = Callable[[random.Random, bool], Turn]


def ask(
    rng: random.Random,
    held: bool,
    train_list: list[str],
    held_list: list[str],
    fold: bool = True,
    end: bool = True,
    loose: bool = False,
    **slots: object,
) -> str:
    """A dressed phrasing of one of the two lists. In training a user's slips are added; `loose` adds more of them."""
    pattern = rng.choice(held_list if held else train_list)
    if loose or held:
        text = expand(rng, pattern, **slots)
        return dress(rng, text if held else blur(rng, text), fold, end)
    return dress(rng, slipped(rng, pattern, **slots), fold, end)
