"""Voices in bars: chords split at bar lines and beats with ties, the rests between them, and where stems point.

Times are in grid steps.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pianogen.tokens.voices import Chord, Head


class Segment(NamedTuple):
    """The part of a chord or rest within one bar; a rest has no heads."""

    start: Fraction
    end: Fraction
    heads: tuple[Head, ...] = ()
    hidden: bool = False


def split_at_bar_lines(voice: list[Chord], bar_length: Fraction) -> Iterator[Segment]:
    """Split chords at bar lines, with ties across them."""
    for chord in voice:
        whole = Segment(Fraction(chord.start), Fraction(chord.end), chord.heads)
        lines = range(int(whole.start // bar_length) + 1, -int(-whole.end // bar_length))
        yield from _split(whole, [line * bar_length for line in lines])


def _split(segment: Segment, cuts: list[Fraction]) -> Iterator[Segment]:
    """Split a segment, all of whose heads are tied at each cut."""
    edges = [segment.start, *cuts, segment.end]
    for start, end in pairwise(edges):
        heads = tuple(
            Head(head.pitch, head.tied_back or start > segment.start, head.tied_on or end < segment.end)
            for head in segment.heads
        )
        yield segment._replace(start=start, end=end, heads=heads)


def split_at_beats(segment: Segment, bar_start: Fraction, beat: int) -> Iterator[Segment]:
    """Split a segment that starts off the half beats at the next beat; on grids with tuplets, split at every beat.

    So every part has a note value in music21, and the beats are easy to read. A part with three dots is split, too.
    """
    tuplets = beat & (beat - 1) != 0
    off_beat = (segment.start - bar_start) % Fraction(beat, 2) != 0
    if _dots(segment.end - segment.start) > 2 and not tuplets and not off_beat:
        half = (segment.end - segment.start) * Fraction(8, 15)
        return _split(segment, [segment.start + half])
    cuts: list[Fraction] = []
    next_beat = ((segment.start - bar_start) // beat + 1) * beat + bar_start
    while next_beat < segment.end and (tuplets or (not cuts and off_beat)):
        cuts.append(next_beat)
        next_beat += beat
    return _split(segment, cuts)


def _dots(length: Fraction) -> int:
    """Dots of the note value, or 0 if there is none."""
    odd = length.numerator // (length.numerator & -length.numerator)
    return odd.bit_length() - 1 if odd & (odd + 1) == 0 else 0


def gaps(sounding: list[Segment], start: Fraction, end: Fraction) -> list[Segment]:
    """Rests where nothing sounds."""
    rests = []
    for segment in sorted(sounding, key=lambda segment: segment.start):
        if segment.start > start:
            rests.append(Segment(start, segment.start))
        start = max(start, segment.end)
    return [*rests, Segment(start, end)] if start < end else rests


def with_rests(segments: list[Segment], start: Fraction, end: Fraction, shown: list[Segment]) -> Iterator[Segment]:
    """Fill a voice up with rests, which are hidden except for those that are to be shown."""
    start_of_rest = start
    for segment in sorted([*segments, *shown], key=lambda segment: segment.start):
        if segment.start > start_of_rest:
            yield Segment(start_of_rest, segment.start, hidden=True)
        yield segment
        start_of_rest = segment.end
    if start_of_rest < end:
        yield Segment(start_of_rest, end, hidden=True)


def stem_directions(voices: dict[int, list[Segment]]) -> dict[int, str]:
    """Where the stems of voices point that sound while another one does."""
    together = [
        number
        for number, own in voices.items()
        if any(
            one.start < other.end and other.start < one.end
            for one in own
            for name, others in voices.items()
            if name != number
            for other in others
        )
    ]
    by_pitch = sorted(together, key=lambda number: -_mean_pitch(voices[number]))
    return {number: "up" if place < len(by_pitch) / 2 else "down" for place, number in enumerate(by_pitch)}


def _mean_pitch(segments: list[Segment]) -> float:
    return float(np.mean([head.pitch for segment in segments for head in segment.heads]))
