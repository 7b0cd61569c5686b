"""Whether the MusicXML reader and music21 read the same notes from a folder of scores, and how long each takes.

    python -m benchmarks.score_readers_musicxml FOLDER [--limit FILES]

Notes are (onset, end, pitch) in quarters, ties joined, grace notes left out. music21 is not always right: docs of
pianogen/tokens/scores/musicxml.py say where the standard decides otherwise.
"""

import argparse
import time
import warnings
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.score_readers import rows_of
from pianogen.errors import SourceError
from pianogen.tokens.scores import read_score
from pianogen.tokens.scores.written import WrittenNote, join_ties

if TYPE_CHECKING:
    from music21.stream import Stream

SUFFIXES = (".musicxml", ".mxl", ".xml")
Row = tuple[Fraction, Fraction, int]  # onset and end in quarters, pitch


def our_rows(path: Path) -> list[Row]:
    """The notes that pianogen reads, sorted."""
    return sorted(rows_of(read_score(path)))


def music21_rows(path: Path) -> list[Row]:
    """The notes that music21 reads, at sounding pitch, sorted."""
    from music21.converter import Converter
    from music21.stream import Part

    reader = Converter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader.parseFile(path, forceSource=True, storePickle=False)
        assert reader.stream is not None
        score = reader.stream.toSoundingPitch()
    assert score is not None
    joined = [note for part in list(score.getElementsByClass(Part)) or [score] for note in join_ties(_heads(part))]
    return sorted((note.onset, note.end, note.pitch) for note in joined)


def _heads(part: "Stream") -> list[WrittenNote]:
    from music21.chord import Chord
    from music21.common.numberTools import opFrac
    from music21.harmony import Harmony
    from music21.note import Note

    flat, heads = part.flatten(), []
    for element in flat.notes:
        if element.duration.isGrace or isinstance(element, Harmony) or not isinstance(element, Note | Chord):
            continue
        onset = Fraction(opFrac(part.offset + flat.elementOffset(element)))
        end = onset + Fraction(opFrac(element.duration.quarterLength))
        for note in [element] if isinstance(element, Note) else element.notes:
            kind = note.tie.type if note.tie is not None else None
            tie = kind if kind in ("start", "continue", "stop") else None
            heads.append(WrittenNote(onset, end, round(note.pitch.ps), tie))
    return heads


def main() -> None:
    """Read, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, help="read only so many files")
    args = parser.parse_args()
    files = sorted(path for path in args.folder.rglob("*") if path.suffix.lower() in SUFFIXES)[: args.limit]
    counts, seconds = Counter[str](), {"pianogen": 0.0, "music21": 0.0}
    for path in files:
        start = time.process_time()
        try:
            ours, reason = our_rows(path), ""
        except SourceError as error:
            ours, reason = None, f"refused ({type(error).__name__})"
            print(error)
        seconds["pianogen"] += time.process_time() - start
        start = time.process_time()
        try:
            theirs = music21_rows(path)
        except Exception:  # music21 raises whatever it stumbles over
            theirs = None
        seconds["music21"] += time.process_time() - start
        if ours is None or theirs is None:
            counts[(reason or "read") + ("" if theirs is not None else ", music21 cannot read it")] += 1
        else:
            counts["equal" if ours == theirs else "different"] += 1
            if ours != theirs:
                both = (Counter(ours) & Counter(theirs)).total()
                print(f"{path}: different: {len(ours)} notes, music21 {len(theirs)}, {both} alike")
    print(f"{len(files)} files: " + ", ".join(f"{count} {what}" for what, count in counts.most_common()))
    print("CPU seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))


if __name__ == "__main__":
    main()
