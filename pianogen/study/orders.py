"""Which stimuli a rater hears, and in which order.

Legend: C conditions, K clips of each condition per rater, P stimuli (prompts) in each condition.

Reference: Williams (1949), Experimental Designs Balanced for the Estimation of Residual Effects of Treatments.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True)
class Clip:
    """One stimulus of a session."""

    condition: int
    stimulus: int
    """Index within the condition; the same index is the same prompt in every condition that has prompts."""


def williams_square(conditions: int) -> Int[np.ndarray, "rows C"]:
    """Orders of conditions in which each one follows each other one equally often, and has each place equally often.

    C rows for an even number of conditions, 2 C for an odd one.
    """
    steps = np.arange(conditions)
    first = np.where(steps % 2 == 1, (steps + 1) // 2, -(steps // 2)) % conditions  # 0, 1, -1, 2, -2 and so on
    square = (first + steps[:, None]) % conditions
    return square if conditions % 2 == 0 else np.concatenate([square, square[:, ::-1]])


def session(rater: int, conditions: int, clips: int, stimuli: int) -> list[Clip]:
    """The clips of one rater: K blocks, each with every condition once, in the order of a row of the square.

    Consecutive blocks get consecutive rows, and consecutive stimuli of each condition, so that after a whole number of
    rounds every stimulus was heard equally often. After each round the stimuli move on by one, or a stimulus would be
    heard in the same row, and so in the same place, by all of its raters. Within a block no two conditions have the
    same prompt, as long as there are as many prompts as conditions.
    """
    rows = williams_square(conditions)
    blocks = range(rater * clips, (rater + 1) * clips)
    moved = {block: block + block // math.lcm(len(rows), stimuli) for block in blocks}
    return [
        Clip(int(condition), int(moved[block] + condition) % stimuli)
        for block in blocks
        for condition in rows[block % len(rows)]
    ]
