"""abc2midi, which is included in symusic, as the second reader of ABC."""

import subprocess
import tempfile
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import symusic
from symusic.core import ScoreTick

from benchmarks.score_readers.abc_text import cleaned, tunes_of
from benchmarks.score_readers.comparison import Row, SecondReader, SecondReading
from pianogen.tokens.scores.reader import decode_text

ABC2MIDI = Path(symusic.__file__).parent / "bin" / "abc2midi"
_TOLERANCE = Fraction(1, 12)  # of a quarter: abc2midi rounds to 1/480 and spreads chords

_Span = tuple[Fraction | float, Fraction | float]


def second_reader() -> SecondReader:
    """abc2midi, with a tolerance for its rounding."""
    return SecondReader("abc2midi", (".abc",), _read, tunes_of, first_difference_by_pitch)


def _read(path: Path) -> SecondReading:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "tune.abc", Path(folder) / "tune.mid"
        source.write_text(cleaned(decode_text(path.read_bytes())), encoding="utf-8")
        command = [str(ABC2MIDI), str(source), "-o", str(target), "-NGRA", "-NGUI", "-NFER"]
        output = subprocess.run(command, capture_output=True, timeout=60, check=False).stdout
        if not target.exists():
            raise ValueError("it writes no MIDI file")
        try:
            score = ScoreTick.from_midi(target.read_bytes(), sanitize_data=True)
        except RuntimeError as error:  # raised by symusic for a damaged file
            raise ValueError("it writes a damaged MIDI file") from error
    tick = Fraction(1, score.ticks_per_quarter)
    notes = [note for track in score.tracks if not track.is_drum for note in track.notes]
    rows: list[Row] = [((note.time - 1) * tick, (note.time + note.duration) * tick, note.pitch) for note in notes]
    return SecondReading(rows, reports_error=b"Error" in output)


def first_difference_by_pitch(own: list[Row], other: list[Row]) -> str:
    """The earliest difference beyond the tolerance; of notes with equal onset and pitch, the longest counts."""
    own_spans, other_spans = _spans_by_pitch(own), _spans_by_pitch(other)
    found: list[tuple[Fraction | float, str]] = []
    for pitch in own_spans.keys() | other_spans.keys():
        left, right = own_spans.get(pitch, []), other_spans.get(pitch, [])
        for one, two in zip(left, right, strict=False):
            if max(abs(one[0] - two[0]), abs(one[1] - two[1])) > _TOLERANCE:
                found.append((min(one[0], two[0]), f"pitch {pitch}: pianogen {_span(one)}, abc2midi {_span(two)}"))
                break
        else:
            if len(left) != len(right):
                rest = left[len(right) :] or right[len(left) :]
                reader = "pianogen" if len(left) > len(right) else "abc2midi"
                found.append((rest[0][0], f"pitch {pitch}: only {reader} {_span(rest[0])}"))
    return min(found)[1] if found else ""


def _spans_by_pitch(rows: list[Row]) -> dict[int, list[_Span]]:
    """The onset and end of each pitch's notes; of notes with equal onset, the longest."""
    spans: dict[int, list[_Span]] = defaultdict(list)
    for onset, end, pitch in sorted(rows):
        before = spans[pitch][-1] if spans[pitch] else None
        if before is not None and onset - before[0] <= _TOLERANCE:
            spans[pitch][-1] = (before[0], max(end, before[1]))
        else:
            spans[pitch].append((onset, end))
    return spans


def _span(span: _Span) -> str:
    return f"{float(span[0]):.3f}-{float(span[1]):.3f}"
