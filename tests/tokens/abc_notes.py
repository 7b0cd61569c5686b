"""ABC tunes as literals, and the notes read from them."""

from fractions import Fraction

from pianogen.tokens.scores.abc import parse_abc
from pianogen.tokens.scores.written import sounding_notes

QUARTERS = "X:1\nM:4/4\nL:1/4\nK:C\n"
EIGHTHS = "X:1\nM:4/4\nL:1/8\nK:C\n"

Row = tuple[Fraction, Fraction, int]  # onset and duration in quarters, pitch


def rows(tune: str) -> list[Row]:
    """The sounding notes of a whole tune, sorted."""
    raw = sounding_notes(parse_abc(tune))
    quarter = raw.ticks_per_quarter
    table = zip(raw.onset.tolist(), raw.duration.tolist(), raw.pitch.tolist(), strict=True)
    return sorted((Fraction(onset, quarter), Fraction(duration, quarter), pitch) for onset, duration, pitch in table)


def music(line: str) -> list[Row]:
    """The sounding notes of a music line in 4/4 and C major with a quarter as unit."""
    return rows(f"{QUARTERS}{line}\n")


def pitches(line: str) -> list[int]:
    """Sounding pitches in order of onset."""
    return [pitch for _, _, pitch in music(line)]


def durations(line: str, header: str = QUARTERS) -> list[Fraction]:
    """Durations in quarters, in order of onset."""
    return [duration for _, duration, _ in rows(f"{header}{line}\n")]
