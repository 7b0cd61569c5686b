"""Properties of the ABC reader: scores are read back, any text is read or refused, and the time is linear."""

import contextlib
import itertools
import time
from fractions import Fraction
from typing import NamedTuple

import pytest
from abc_notes import QUARTERS, Row, rows
from hypothesis import given
from hypothesis import strategies as st

from pianogen.errors import SourceError
from pianogen.tokens.scores.abc import parse_abc
from pianogen.tokens.scores.written import sounding_notes

NAMES = ["=C", "^C", "=D", "_E", "=E", "=F", "^F", "=G", "_A", "=A", "_B", "=B"]


class Event(NamedTuple):
    """Pitches of equal onset; none for a rest."""

    pitches: tuple[int, ...]
    units: int  # sixteenths
    tied: bool  # to the next event, if that has the same pitches


Voices = list[list[list[Event]]]  # voices of bars of events


@st.composite
def scores(draw: st.DrawFn) -> Voices:
    """A few voices of a few bars; each bar has the same length in all voices."""
    num_voices, bar_lengths = draw(st.integers(1, 3)), draw(st.lists(st.integers(1, 16), min_size=1, max_size=4))
    chord = st.sets(st.integers(36, 96), max_size=3).map(lambda pitches: tuple(sorted(pitches)))
    voices: Voices = []
    for _ in range(num_voices):
        bars: list[list[Event]] = []
        for length in bar_lengths:
            cuts = sorted(draw(st.sets(st.integers(1, length))) | {0, length})
            spans = [end - start for start, end in itertools.pairwise(cuts)]
            bars.append([Event(draw(chord), span, draw(st.booleans())) for span in spans])
        voices.append(bars)
    return voices


def note_name(pitch: int) -> str:
    """A pitch in ABC, with an explicit accidental."""
    octave, step = divmod(pitch, 12)
    marks = "'" * (octave - 5) if octave > 5 else "," * (5 - octave)
    return NAMES[step] + marks


def written(event: Event) -> str:
    """An event in ABC, counted in sixteenths."""
    name = "z" if not event.pitches else f"[{' '.join(note_name(pitch) for pitch in event.pitches)}]"
    return f"{name}{event.units}{'-' if event.tied and event.pitches else ''}"


def expected(voices: Voices) -> list[Row]:
    """The sounding notes of a score, with tied events joined; unisons of several voices are all kept."""
    table: list[Row] = []
    for bars in voices:
        now, open_ties = 0, dict[int, int]()  # pitch -> onset
        for event in (event for bar in bars for event in bar):
            end = now + event.units
            onsets = {pitch: open_ties.get(pitch, now) for pitch in event.pitches}
            table += [
                (Fraction(onset, 4), Fraction(now - onset, 4), pitch)
                for pitch, onset in open_ties.items()
                if pitch not in onsets
            ]
            open_ties = onsets if event.tied else {}
            table += [] if event.tied else [(Fraction(on, 4), Fraction(end - on, 4), p) for p, on in onsets.items()]
            now = end
        table += [(Fraction(onset, 4), Fraction(now - onset, 4), pitch) for pitch, onset in open_ties.items()]
    return sorted(table)


@given(scores(), st.booleans())
def test_a_score_written_as_abc_is_read_back(voices: Voices, by_bar: bool) -> None:
    lines = [f"[V:{n}]" + "|".join("".join(map(written, bar)) for bar in bars) + "|" for n, bars in enumerate(voices)]
    if by_bar:
        lines = [
            f"[V:{n}]{''.join(map(written, bars[bar]))}|"
            for bar in range(len(voices[0]))
            for n, bars in enumerate(voices)
        ]
    tune = "X:1\nL:1/16\nK:C\n" + "\n".join(lines) + "\n"
    if any(event.pitches for bars in voices for bar in bars for event in bar):
        assert rows(tune) == expected(voices)


@given(st.text() | st.text(alphabet="XKLMVQ:[](){}|&zZxyABCcd12/<>-^_=!+\"%,'\n 3").map(lambda text: QUARTERS + text))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SourceError):
        assert len(sounding_notes(parse_abc(text))) > 0


@pytest.mark.parametrize(
    "unit",
    ["C-", "[", "{", '"', "(3", "!", "+C", "C/9973", "|:", "C>", "&", "^", "/", "1.1", "[V:1]C[V:2]C",
     "\n+:a", "\n%%begintext", "\nX:1", "\nV:1", "%\\", "\nm:n=n", "[C"],
)  # fmt: skip
def test_the_time_is_linear_in_the_length_of_the_text(unit: str) -> None:
    def seconds(count: int) -> float:
        begin = time.process_time()
        with contextlib.suppress(SourceError):
            parse_abc(QUARTERS + unit * count)
        return time.process_time() - begin

    def least(count: int) -> float:
        return min(seconds(count) for _ in range(3))  # garbage collection and other processes only add time

    assert least(8000) < 40 * max(least(800), 0.005)
