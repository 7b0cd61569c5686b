"""The benchmark that compares score readers with second readers finds equal notes equal, and reports differences."""

import subprocess
import sys
from pathlib import Path

import pytest
from note_tables import table_of

from pianogen.tokens import write_musicxml

ROOT = Path(__file__).parents[2]
TUNES = {
    "accidentals": "^FFf=F|F^c-|c2_B2|__A^^AAa",
    "rhythms": "A>BA<<B|(3ABc(5ABcde|[CE]2>[DF]2|z2x2",
    "repeats": '|:A2{ga}B2|1.c~d:|2!trill!e2"Am"f2||',
    "voices": "[V:1 clef=treble-8]c4|[V:2 octave=-1]e4&g2^g2|[V:1][K:D]f4|[V:2][K:D]c4|",
    "whole-bar-rests": "A4|Z2|B4",
    "keys": "F2[K:Eb min]G2|[K:F#mix]E4|[K:A phr ^c]c2C2",
}


def compared(score_format: str, folder: Path) -> list[str]:
    """The lines that the benchmark prints for a folder."""
    command = [sys.executable, "-m", "benchmarks.score_readers", score_format, str(folder)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()


def test_abc2midi_reads_the_same_notes(tmp_path: Path) -> None:
    tunes = "\n\n".join(f"X:1\nT:{name}\nM:4/4\nL:1/4\nK:C\n{music}" for name, music in TUNES.items())
    (tmp_path / "tunes.abc").write_text(tunes + "\n")
    assert compared("abc", tmp_path)[:2] == ["1 files, 6 pieces", "     6 equal"]


@pytest.mark.parametrize(
    ("music", "outcome"), [("[C2E2]2", "     1 different"), ("C &/D", "     1 refused, abc2midi reports an error")]
)
def test_a_difference_and_a_refusal_are_counted(tmp_path: Path, music: str, outcome: str) -> None:
    (tmp_path / "tune.abc").write_text(f"X:1\nM:4/4\nL:1/4\nK:C\n{music}\n")
    assert outcome in compared("abc", tmp_path)


def test_music21_reads_the_same_notes(tmp_path: Path) -> None:
    write_musicxml(table_of([(0, 4, 60), (4, 20, 64), (8, 8, 67)]), tmp_path / "piece.musicxml")
    assert compared("musicxml", tmp_path)[:2] == ["1 files, 1 pieces", "     1 equal"]
