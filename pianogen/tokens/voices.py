"""The voices of a staff: which notes share a stem, what is tied, and what a simplified score writes shorter.

A voice is a sequence of chords. Where a note begins in a voice while another one sounds, the sounding note is split
there and tied into the new chord, or, in a simplified score, ends there. A beam search over the onsets finds the
voices: of the notes of an onset, ordered by pitch, it gives the upper ones to one voice and the others to another one.
Its costs are matters of taste, found by looking at scores; a tie costs 1.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nsmallest
from itertools import groupby
from typing import NamedTuple

_BEAM = 8  # ways to write the notes so far that are followed up
_TIE = 1.0
_TIE_AGAIN = 0.5  # more, for each tie that the note has already
_SHORTER = 0.15  # a note is written shorter
_SHORTER_BEAT = 0.35  # for each beat that is left out
_SHORTER_WHOLE = 0.6  # times the part of the note that is left out
_LEGATO = 0.4  # times all of that, where the next note outlasts this one, as in a line that is played legato
_APART = 0.3  # notes of one onset in two voices
_SAME_LENGTH_APART = 0.8  # and of one length, which a chord shows better
_CROSSING = 1.2  # two notes sound together, and the lower one is in the higher voice
_SECOND = 0.2  # they are a second apart, so that their heads do not fit above each other
_LOWER_ALONE = 0.3  # only the lower voice sounds
_LEAP = 0.02  # for each semitone from the voice's chord before
_LARGEST_LEAP = 15
_MORE_VOICES = 2.0  # a third voice; the fourth costs twice as much


class Tone(NamedTuple):
    """A note on a staff, in grid steps."""

    onset: int
    end: int
    pitch: int


class Head(NamedTuple):
    """A note head; which of its sides has a tie."""

    pitch: int
    tied_back: bool = False
    tied_on: bool = False


class Chord(NamedTuple):
    """Heads on one stem."""

    start: int
    end: int
    heads: tuple[Head, ...]


@dataclass(frozen=True)
class Rules:
    """How a staff is written; a simplified one may shorten notes."""

    beat: int
    """Steps."""
    max_voices: int = 4
    simplified: bool = False


class _Sounding(NamedTuple):
    end: int
    pitch: int
    onset: int
    ties: int = 0


class _Voice(NamedTuple):
    """What sounds in a voice since `start`, and its chords before, the last one first."""

    start: int = 0
    sounding: tuple[_Sounding, ...] = ()
    pitch: float | None = None  # of the last notes that began
    chords: "tuple[Chord, object] | None" = None


class _State(NamedTuple):
    cost: float
    voices: tuple[_Voice, ...]


def voices_of(tones: list[Tone], rules: Rules) -> list[list[Chord]]:
    """Divide the notes of a staff, ordered by onset and then from high to low, among voices; upper ones come first."""
    states = [_State(0.0, (_Voice(),) * rules.max_voices)]
    for onset, group in groupby(tones, key=lambda tone: tone.onset):
        together = tuple(_Sounding(tone.end, tone.pitch, onset) for tone in group)
        best: dict[tuple[object, ...], _State] = {}
        for earlier in states:
            state = _advanced(earlier, onset, rules)
            for option in _options(state.voices, together):
                new = _with(state, option, onset, rules)
                key = tuple(voice.sounding for voice in new.voices)
                if key not in best or new.cost < best[key].cost:
                    best[key] = new
        states = nsmallest(_BEAM, best.values(), key=lambda state: state.cost)
    last = _advanced(states[0], max((tone.end for tone in tones), default=0), rules)
    return [chords for voice in last.voices if (chords := _in_order(voice.chords))]


def _in_order(chords: "tuple[Chord, object] | None") -> list[Chord]:
    found = []
    while chords is not None:
        found.append(chords[0])
        chords = chords[1]  # pyright: ignore[reportAssignmentType]
    return found[::-1]


_Option = dict[int, tuple[_Sounding, ...]]  # the notes that begin in each voice


def _options(voices: tuple[_Voice, ...], together: tuple[_Sounding, ...]) -> Iterator[_Option]:
    """All in one voice, or the upper ones in one and the others in another one."""
    busy = [bool(voice.sounding) for voice in voices]
    more = [index for index in range(2, len(voices)) if busy[index]]
    more += [index for index in range(2, len(voices)) if not busy[index]][:1]  # idle ones are alike
    usable = [*range(min(2, len(voices))), *(more if all(busy[:2]) else [index for index in more if busy[index]])]
    for index in usable:
        yield {index: together}
    for cut in range(1, len(together)):
        for index in usable:
            for other in usable:
                if other > index:
                    yield {index: together[:cut], other: together[cut:]}


def _with(state: _State, option: _Option, onset: int, rules: Rules) -> _State:
    """The state after notes have begun in some voices."""
    voices, cost = list(state.voices), state.cost
    for index, notes in option.items():
        voice, tied = _cut(voices[index], onset, rules, min(note.end for note in notes))
        cost += tied + _leap(voice, notes) + _MORE_VOICES * max(0, index - 1)
        pitch = sum(note.pitch for note in notes) / len(notes)
        voices[index] = _Voice(onset, (*voice.sounding, *notes), pitch, voice.chords)
    if len(option) == 2:
        upper, lower = option.values()
        cost += _SAME_LENGTH_APART if upper[-1].end == lower[0].end else _APART
    return _State(cost + _clashes(voices), tuple(voices))


def _leap(voice: _Voice, notes: tuple[_Sounding, ...]) -> float:
    if voice.pitch is None:
        return 0.0
    return _LEAP * min(_LARGEST_LEAP, min(abs(note.pitch - voice.pitch) for note in notes))


def _clashes(voices: list[_Voice]) -> float:
    """Cost of how the first two voices stand to each other."""
    if len(voices) < 2:
        return 0.0
    upper, lower = ([note.pitch for note in voice.sounding] for voice in voices[:2])
    if not upper:
        return _LOWER_ALONE if lower else 0.0
    if not lower:
        return 0.0
    second = _SECOND * (abs(min(upper) - max(lower)) <= 2)
    return second + _CROSSING * min(3, sum(high <= low for high in upper for low in lower))


def _advanced(state: _State, onset: int, rules: Rules) -> _State:
    """The state when all ends up to an onset are past; where one note of a chord ends, the others are tied or end."""
    voices, cost = list(state.voices), state.cost
    for index, voice in enumerate(state.voices):
        while voice.sounding and (end := min(note.end for note in voice.sounding)) <= onset:
            voice, tied = _cut(voice, end, rules)
            cost += tied
        voices[index] = voice
    return _State(cost, tuple(voices))


def _cut(voice: _Voice, time: int, rules: Rules, next_end: int = 0) -> tuple[_Voice, float]:
    """End the chord that sounds in a voice; of its notes that should sound on, tie some and shorten the others."""
    if not voice.sounding or time == voice.start:
        return voice, 0.0
    on, cost = [], 0.0
    for note in voice.sounding:
        if note.end > time:
            tie, shorter = _TIE + _TIE_AGAIN * note.ties, _cost_of_ending(note, time, next_end, rules)
            cost += min(tie, shorter)
            if tie <= shorter:
                on.append(note._replace(ties=note.ties + 1))
    tied_on = {note.pitch for note in on}
    heads = tuple(Head(note.pitch, note.ties > 0, note.pitch in tied_on) for note in voice.sounding)
    return _Voice(time, tuple(on), voice.pitch, (Chord(voice.start, time, heads), voice.chords)), cost


def _cost_of_ending(note: _Sounding, time: int, next_end: int, rules: Rules) -> float:
    if not rules.simplified:
        return math.inf
    left_out = note.end - time
    cost = _SHORTER + _SHORTER_BEAT * left_out / rules.beat + _SHORTER_WHOLE * left_out / (note.end - note.onset)
    return cost * _LEGATO if note.end < next_end else cost
