"""The ABC reader beside abc2midi, which comes with symusic: the same notes from every tune of a folder?

    python -m benchmarks.score_readers_abc FOLDER [--differences N]

Files of many tunes are taken apart. What abc2midi plays beyond the written notes (repeats, graces, decorations, chord
symbols) is taken out of the text that it is given; tunes in which it reports an error are counted apart.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import symusic
from symusic.core import ScoreTick

from benchmarks.score_readers import rows_of
from pianogen.errors import InconsistentScoreError, SourceError
from pianogen.tokens.scores.abc import parse_abc
from pianogen.tokens.scores.written import sounding_notes

ABC2MIDI = Path(symusic.__file__).parent / "bin" / "abc2midi"
_TOLERANCE = Fraction(1, 12)  # of a quarter: abc2midi rounds to 1/480 and spreads chords
_FIELD = re.compile(r"[A-Za-z+][ \t]*:(?![:|])")
_MIDI_KEPT = re.compile(r"%%\s*(?:MIDI\s+(?:transpose|channel|nobarlines|barlines)|propagate-accidentals)")
_VOICE_NAMES = re.compile(  # abc2midi 4.85 forgets the octave of a clef that one of these follows
    r'\s(?:s|sub)?n(?:ame|m)\s*=\s*(?:"[^"]*"|\S+)|\s(?:middle|stem|stems|space|scale|dyn|lyrics|gstem|merge|cue)\s*=\s*\S+'
)
_PIECE = re.compile(
    r'(?P<keep>\[[A-Za-z]:[^\]]*\]|\(\d+(?::\d*)*)|(?P<drop>"(?:[^"\\]|\\.)*"|![^!|\s"]*!|\+[^+|\s"]*\+|\{[^}]*\}|\[\d[\d,.-]*)'
    r"|(?P<bar>(?:\[\||\.?\||:(?=[:|]))[|:\]]*(?:\[?\d+(?:[,.-]\d+)*)?)|(?P<letter>\.(?![-(|])|[~H-WYh-w!])"
)

Row = tuple[Fraction, Fraction, int]  # onset and end in quarters, pitch


class Verdict(NamedTuple):
    """What became of one tune."""

    outcome: str
    reason: str = ""


def main() -> None:
    """Print the counts of a folder, or of single files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--differences", type=int, default=0, help="how many tunes that differ to name")
    arguments = parser.parse_args()
    counts, named = Counter[Verdict](), arguments.differences
    files = [file for path in arguments.paths for file in abc_files(path)]
    for file, number, tune in _tunes(files):
        verdict = judge(tune)
        counts[verdict] += 1
        if verdict.outcome == "different" and named:
            named -= 1
            print(f"{file}: tune {number}: {verdict.reason}", file=sys.stderr)
    _print(len(files), counts)


def abc_files(path: Path) -> list[Path]:
    """The ABC files below a folder, or the file itself."""
    return sorted(path.rglob("*.abc")) if path.is_dir() else [path]


def judge(tune: str) -> Verdict:
    """Read one tune with both readers."""
    theirs, errors = read_with_abc2midi(cleaned(tune))
    try:
        raw = sounding_notes(parse_abc(tune))
    except SourceError as error:
        kind = "inconsistent" if isinstance(error, InconsistentScoreError) else "refused"
        reason = re.sub(r"\d+|'[^']*'", "#", re.sub(r"^line \d+: ", "", str(error)))
        return Verdict("refused, and abc2midi reports an error" if errors or not theirs else kind, reason)
    difference = first_difference(rows_of(raw), theirs)
    if difference is None:
        return Verdict("equal")
    return Verdict(
        "different where abc2midi reports an error" if errors else "different", difference if not errors else ""
    )


def first_difference(ours: list[Row], theirs: list[Row]) -> str | None:
    """The first pitch and place where two readings differ; of equal notes at one onset the longest counts."""
    mine, other = _by_pitch(ours), _by_pitch(theirs)
    found: list[tuple[Fraction, str]] = []
    for pitch in mine.keys() | other.keys():
        left, right = mine.get(pitch, []), other.get(pitch, [])
        for one, two in zip(left, right, strict=False):
            if max(abs(one[0] - two[0]), abs(one[1] - two[1])) > _TOLERANCE:
                found.append((min(one[0], two[0]), f"pitch {pitch}: ours {_span(one)}, theirs {_span(two)}"))
                break
        else:
            if len(left) != len(right):
                rest = left[len(right) :] or right[len(left) :]
                who = "ours" if len(left) > len(right) else "theirs"
                found.append((rest[0][0], f"pitch {pitch}: only {who} {_span(rest[0])}"))
    return min(found)[1] if found else None


def read_with_abc2midi(tune: str) -> tuple[list[Row], bool]:
    """The notes abc2midi finds, and whether it reports an error."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "tune.abc", Path(folder) / "tune.mid"
        source.write_text(tune, encoding="utf-8")
        command = [str(ABC2MIDI), str(source), "-o", str(target), "-NGRA", "-NGUI", "-NFER"]
        output = subprocess.run(command, capture_output=True, timeout=60, check=False).stdout
        if not target.exists():
            return [], True
        try:
            score = ScoreTick.from_midi(target.read_bytes(), sanitize_data=True)
        except (RuntimeError, ValueError):  # what symusic raises of a broken file
            return [], True
    tick = Fraction(1, score.ticks_per_quarter)
    notes = [note for track in score.tracks if not track.is_drum for note in track.notes]
    rows = [((note.time - 1) * tick, (note.time + note.duration) * tick, note.pitch) for note in notes]
    return rows, b"Error" in output


def cleaned(tune: str) -> str:
    """A tune without what abc2midi plays beyond the written notes."""
    lines: list[str] = []
    in_body = False
    for line in tune.splitlines():
        if in_body and not line.strip():
            break
        if line.startswith("%%") and not _MIDI_KEPT.match(line):
            continue
        line = line if line.startswith("%%") else re.sub(r"(?<!\\)%.*", "", line)
        if _FIELD.match(line) or line.startswith("%%"):
            if line[0] not in "RPwWsHNZTCSBDFGAOdr+":
                lines.append(_VOICE_NAMES.sub("", line).rstrip() if line[0] in "VK" else line)
            if line[0] == "K" and not in_body:
                lines.append("%%MIDI chordattack 0")
                in_body = True
        elif in_body and line.strip():
            lines.append(_PIECE.sub(_replacement, line))
    return "\n".join(line for line in lines if line.strip()) + "\n"  # a blank line would end the tune


def _replacement(match: re.Match[str]) -> str:
    if match["keep"]:
        return match[0]
    return " | " if match["bar"] else ""


def _tunes(files: list[Path]) -> Iterator[tuple[Path, int, str]]:
    for file in files:
        data = file.read_bytes()
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        for number, tune in enumerate(re.split(r"(?m)^(?=X[ \t]*:)", text.replace("\r\n", "\n").replace("\r", "\n"))):
            if number:
                yield file, number, tune


def _by_pitch(rows: list[Row]) -> dict[int, list[tuple[Fraction, Fraction]]]:
    """The spans of each pitch; of those that begin together the longest."""
    spans: dict[int, list[tuple[Fraction, Fraction]]] = defaultdict(list)
    for onset, end, pitch in sorted(rows):
        before = spans[pitch][-1] if spans[pitch] else None
        if before is not None and onset - before[0] <= _TOLERANCE:
            spans[pitch][-1] = (before[0], max(end, before[1]))
        else:
            spans[pitch].append((onset, end))
    return spans


def _span(span: tuple[Fraction, Fraction]) -> str:
    return f"{float(span[0]):.3f}-{float(span[1]):.3f}"


def _print(num_files: int, counts: Counter[Verdict]) -> None:
    outcomes = Counter[str]()
    for verdict, count in counts.items():
        outcomes[verdict.outcome] += count
    print(f"files {num_files}\ntunes {counts.total()}")
    for outcome, count in outcomes.most_common():
        print(f"{outcome} {count}")
        reasons = Counter({one.reason: many for one, many in counts.items() if one.outcome == outcome and one.reason})
        if outcome != "different":
            for reason, many in reasons.most_common(20):
                print(f"    {many:6} {reason}")


if __name__ == "__main__":
    main()
