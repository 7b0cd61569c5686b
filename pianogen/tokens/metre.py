"""Which time signatures are taken at their word: a MIDI file can say 255/1 or 4/2**255, which no score does."""

COMMON_TIME = (4, 4)
_LARGEST = 64  # numerator
_SHORTEST_NOTE = 64  # denominator
_QUARTERS = (0.5, 32.0)  # of a bar; notation has no rest for much longer ones


def plausible_metre(time_signature: tuple[int, int] | None) -> tuple[int, int]:
    """The time signature itself, or 4/4 where there is none or it can hardly be meant or written."""
    if time_signature is None:
        return COMMON_TIME
    beats, unit = time_signature
    if not (1 <= beats <= _LARGEST and 1 <= unit <= _SHORTEST_NOTE) or unit & (unit - 1):
        return COMMON_TIME
    shortest, longest = _QUARTERS
    return time_signature if shortest <= 4 * beats / unit <= longest else COMMON_TIME
