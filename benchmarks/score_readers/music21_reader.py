"""music21 as the second reader of MusicXML.

It is not always right; the docstring of pianogen/tokens/scores/musicxml.py states where the standard differs.
"""

import warnings
from fractions import Fraction
from pathlib import Path

from music21.chord import Chord
from music21.common.numberTools import opFrac
from music21.converter import Converter
from music21.harmony import Harmony
from music21.note import Note
from music21.stream import Part, Stream

from benchmarks.score_readers.comparison import SecondReader, SecondReading
from pianogen.tokens.scores.written import WrittenNote, join_ties


def second_reader() -> SecondReader:
    """music21, at sounding pitch."""
    return SecondReader("music21", (".musicxml", ".mxl", ".xml"), _read)


def _read(path: Path) -> SecondReading:
    reader = Converter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.parseFile(path, forceSource=True, storePickle=False)
            assert reader.stream is not None
            score = reader.stream.toSoundingPitch()
        assert score is not None
        parts = list(score.getElementsByClass(Part)) or [score]
        joined = [note for part in parts for note in join_ties(_written_notes(part))]
    except Exception as error:  # music21 raises exceptions of any type
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return SecondReading([(note.onset, note.end, note.pitch) for note in joined])


def _written_notes(part: Stream) -> list[WrittenNote]:
    flat, notes = part.flatten(), []
    for element in flat.notes:
        if element.duration.isGrace or isinstance(element, Harmony) or not isinstance(element, Note | Chord):
            continue
        onset = Fraction(opFrac(part.offset + flat.elementOffset(element)))
        end = onset + Fraction(opFrac(element.duration.quarterLength))
        for note in [element] if isinstance(element, Note) else element.notes:
            kind = note.tie.type if note.tie is not None else None
            tie = kind if kind in ("start", "continue", "stop") else None
            notes.append(WrittenNote(onset, end, round(note.pitch.ps), tie))
    return notes
