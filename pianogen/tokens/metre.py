"""Plausible time signatures: a MIDI file may state 255/1 or 4/2**255, which no score uses."""

COMMON_TIME = (4, 4)
_LARGEST = 64  # numerator
_SHORTEST_NOTE = 64  # denominator
_BAR_QUARTERS = (0.5, 32.0)  # shortest and longest bar; notation has no rests for much longer ones


def bar_steps(time_signature: tuple[int, int], steps_per_quarter: int) -> float:
    """Steps of the grid in a bar: 16 in 4/4 on a grid of sixteenths."""
    beats, unit = time_signature
    return steps_per_quarter * 4 * beats / unit


def plausible_metre(time_signature: tuple[int, int] | None) -> tuple[int, int]:
    """The time signature, or 4/4 if it is missing or implausible."""
    if time_signature is None:
        return COMMON_TIME
    beats, unit = time_signature
    if not (1 <= beats <= _LARGEST and 1 <= unit <= _SHORTEST_NOTE) or unit & (unit - 1):
        return COMMON_TIME
    shortest, longest = _BAR_QUARTERS
    return time_signature if shortest <= 4 * beats / unit <= longest else COMMON_TIME
