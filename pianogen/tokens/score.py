"""Written scores to notes in ticks, with music21: exact fractions of a quarter, in whatever ticks hold them all.

All parts merged, sounding pitch, tied notes joined, grace notes left out and counted, repeats not expanded, chords as
their notes. The writer of scores is pianogen/tokens/engrave.py.
"""

import math
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pianogen.errors import SourceError
from pianogen.tokens.engrave import write_musicxml
from pianogen.tokens.notes import RawNotes
from pianogen.tokens.tempo import DEFAULT_QUARTERS_PER_MINUTE, TempoMap

if TYPE_CHECKING:
    from music21.note import NotRest
    from music21.stream import Score, Stream

__all__ = ["read_score", "score_notes", "write_musicxml"]

MAX_SCORE_BYTES = 32 * 2**20  # unpacked; music21 needs about a minute for one MB
_TEXT_FORMATS = {".abc": "abc", ".krn": "humdrum"}
_MAX_TICKS = 2**48  # above it, tick arithmetic could leave int64


class _Written(NamedTuple):
    """A note head; onset and end in quarters."""

    onset: Fraction
    end: Fraction
    pitch: int
    tie: str | None


def read_score(path: Path) -> RawNotes:
    """Read a MusicXML, ABC or kern file.

    Raises:
        SourceError: It is missing, too large, broken, holds several pieces, or no notes.
    """
    from music21.stream import Opus

    _check_size(path)
    try:
        score = _parse(path)
        if isinstance(score, Opus):
            raise SourceError(f"it holds {len(score.scores)} pieces; give each a file of its own")
        return score_notes(score)
    except SourceError as error:
        raise SourceError(f"{path} cannot be used: {error}") from None
    except Exception as error:  # music21 raises whatever it stumbles over, some of it only when pitches are asked for
        raise SourceError(f"{path} is no readable score: {_one_line(error)}") from None


def score_notes(score: "Score | Stream") -> RawNotes:
    """Collect the sounding notes of a music21 score; the score itself is not changed.

    Raises:
        SourceError: It holds no notes, or rhythms too fine for one tick to fit them all.
    """
    from music21.meter import TimeSignature
    from music21.stream import Part

    score = _at_sounding_pitch(score)
    joined: list[_Written] = []
    grace_notes = 0
    for part in list(score.getElementsByClass(Part)) or [score]:
        written, grace = _written_notes(part, Fraction(0) if part is score else _quarters(part.offset))
        joined += _join_ties(written)
        grace_notes += grace
    if not joined:
        raise SourceError("it holds no notes")
    marks = _tempo_marks(score)
    times = [time for note in joined for time in (note.onset, note.end)] + list(marks)
    ticks_per_quarter = math.lcm(*{time.denominator for time in times})
    last = max(note.end for note in joined)
    if last * ticks_per_quarter > _MAX_TICKS:
        raise SourceError(f"no tick fits all its rhythms: a quarter would need {ticks_per_quarter} of them")

    def ticks(times: list[Fraction]) -> np.ndarray:
        return np.array([int(time * ticks_per_quarter) for time in times], dtype=np.int64)

    onset, end = ticks([note.onset for note in joined]), ticks([note.end for note in joined])
    tempo_map = TempoMap(ticks(list(marks)), np.array(list(marks.values())))
    meter = next(iter(score.recurse().getElementsByClass(TimeSignature)), None)
    return RawNotes(
        onset=onset,
        duration=end - onset,
        pitch=np.array([note.pitch for note in joined], dtype=np.int64),
        ticks_per_quarter=ticks_per_quarter,
        seconds=tempo_map.seconds_at(int(end.max()), ticks_per_quarter),
        time_signature=None if meter is None else (meter.numerator, meter.denominator),
        tempo_map=tempo_map,
        grace_notes=grace_notes,
    )


def _check_size(path: Path) -> None:
    try:
        size = path.stat().st_size
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path} cannot be read: {_one_line(error)}") from None
    if size > MAX_SCORE_BYTES:
        raise SourceError(f"{path} has {size} bytes unpacked; a score may have at most {MAX_SCORE_BYTES}")
    if size == 0:
        raise SourceError(f"{path} is empty")


def _parse(path: Path) -> "Score | Stream":
    from music21.converter import Converter

    reader, suffix = Converter(), path.suffix.lower()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # music21 warns of engraving details, which do not matter here
        if suffix in _TEXT_FORMATS:  # as text: from a broken file music21 leaves a handle open
            reader.parseData(_text(path), format=_TEXT_FORMATS[suffix])
        else:  # without music21's cache of pickles, which lies where others may write and would run their code
            reader.parseFile(path, forceSource=True, storePickle=False)
    if reader.stream is None:
        raise SourceError("music21 finds nothing in it")
    return reader.stream


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # what older encodings of folk tunes and chorales mostly are


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _quarters(length: float | Fraction) -> Fraction:
    """An offset or length of music21, exactly: its floats are powers of two, all else are fractions."""
    from music21.common.numberTools import opFrac

    return Fraction(opFrac(length))


def _at_sounding_pitch(score: "Score | Stream") -> "Score | Stream":
    from music21.instrument import Instrument
    from music21.spanner import Ottava

    transposing = any(one.transposition is not None for one in score.recurse().getElementsByClass(Instrument))
    if transposing or any(score.recurse().getElementsByClass(Ottava)):
        sounding = score.toSoundingPitch(inPlace=False)  # copies the score, so only where it must
        assert sounding is not None
        return sounding
    return score


def _written_notes(part: "Stream", start: Fraction) -> tuple[list[_Written], int]:
    """Note heads of a part, and how many grace notes were left out."""
    written: list[_Written] = []
    grace_notes = 0
    flat = part.flatten()
    for element in flat.notes:
        heads = list(_heads(element))
        if element.duration.isGrace:
            grace_notes += len(heads)
            continue
        onset = start + _quarters(flat.elementOffset(element))
        end = onset + _quarters(element.duration.quarterLength)
        written += [_Written(onset, end, pitch, tie) for pitch, tie in heads]
    return written, grace_notes


def _heads(element: "NotRest") -> Iterator[tuple[int, str | None]]:
    """Pitch and tie of each note in a note or chord; nothing for chord symbols and percussion."""
    from music21.chord import Chord
    from music21.harmony import Harmony
    from music21.note import Note

    notes = [element] if isinstance(element, Note) else []
    if isinstance(element, Chord) and not isinstance(element, Harmony):
        notes = list(element.notes)
    for note in notes:
        yield round(note.pitch.ps), None if note.tie is None else note.tie.type


def _join_ties(written: list[_Written]) -> list[_Written]:
    """Join each tied note with its continuation, the same pitch in the same part at its very end.

    A continuation that is marked as one goes first; some encoders mark only where ties begin.
    """
    joined: list[_Written] = []
    open_ties: dict[tuple[int, Fraction], list[int]] = defaultdict(list)  # pitch and end -> places in `joined`
    for note in sorted(written, key=lambda head: (head.onset, head.tie not in ("continue", "stop"))):
        candidates = open_ties[note.pitch, note.onset]
        if candidates:
            place = candidates.pop(0)
            joined[place] = joined[place]._replace(end=note.end)
        else:
            place = len(joined)
            joined.append(note)
        if note.tie in ("start", "continue"):
            open_ties[note.pitch, note.end].append(place)
    return joined


def _tempo_marks(score: "Score | Stream") -> dict[Fraction, float]:
    """Quarters per minute by offset, ascending, one at 0; of several at one offset the first counts."""
    from music21.tempo import MetronomeMark

    marks: dict[Fraction, float] = {}
    for mark in score.flatten().getElementsByClass(MetronomeMark):
        pace = mark.getQuarterBPM()
        if pace is not None and pace > 0:
            marks.setdefault(_quarters(mark.offset), float(pace))
    marks.setdefault(Fraction(0), DEFAULT_QUARTERS_PER_MINUTE)
    return dict(sorted(marks.items()))
