"""What each rater hears: the balanced order of the clips, one of them again, and an attention check."""

import math
from collections.abc import Sequence

from numpy.random import Generator

from pianogen.randomness import RandomStream, generator
from pianogen.study.design import Hearing
from pianogen.study.orders import session, williams_square

MAX_CLIPS = 20  # of a rater, the repeated one included; a session lasts about 20 minutes
REPEAT_AFTER = 4  # clips: the first hearing is no longer in the ear


def clips_per_condition(conditions: int, stimuli: int) -> int:
    """How many clips of each condition a rater hears; 0 if there are too many conditions."""
    return min((MAX_CLIPS - 1) // conditions, stimuli)


def num_sessions(raters: int, conditions: int, clips: int, stimuli: int) -> int:
    """At least one session per rater, in whole rounds: every row of the square and every stimulus equally often."""
    round_of_blocks = math.lcm(len(williams_square(conditions)), stimuli)
    sessions = round_of_blocks // math.gcd(round_of_blocks, clips)
    return sessions * math.ceil(raters / sessions)


def plan_sessions(
    raters: int, clips: int, names: Sequence[Sequence[str]], checks: Sequence[Hearing], seed: int
) -> tuple[tuple[Hearing, ...], ...]:
    """The sessions of a study.

    Args:
        raters: The number planned.
        clips: Of each condition per rater.
        names: Of the clips, by condition and stimulus.
        checks: Of which each session has one.
        seed: Of the places of the repeated clip and the check.
    """
    conditions, stimuli = len(names), len(names[0])
    sessions = []
    for rater in range(num_sessions(raters, conditions, clips, stimuli)):
        heard = [
            Hearing(names[clip.condition][clip.stimulus], "rating")
            for clip in session(rater, conditions, clips, stimuli)
        ]
        random = generator(seed, RandomStream.STUDY_SESSION, rater)
        sessions.append(_with_repeat_and_check(heard, checks, random))
    return tuple(sessions)


def _with_repeat_and_check(heard: list[Hearing], checks: Sequence[Hearing], random: Generator) -> tuple[Hearing, ...]:
    assert len(heard) >= REPEAT_AFTER, "a session is too short to hear a clip again"
    first = int(random.integers(0, len(heard) - REPEAT_AFTER + 1))
    again = int(random.integers(first + REPEAT_AFTER, len(heard) + 1))
    heard.insert(again, Hearing(heard[first].clip, "repeat"))
    check = checks[int(random.integers(len(checks)))]
    heard.insert(int(random.integers(1, len(heard) + 1)), check)  # not before the first clip
    return tuple(heard)
