"""The benchmark that holds the ABC reader against abc2midi finds the two equal, and tells where they are not."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUNES = {
    "accidentals": "^FFf=F|F^c-|c2_B2|__A^^AAa",
    "rhythms": "A>BA<<B|(3ABc(5ABcde|[CE]2>[DF]2|z2x2",
    "repeats": '|:A2{ga}B2|1.c~d:|2!trill!e2"Am"f2||',
    "voices": "[V:1 clef=treble-8]c4|[V:2 octave=-1]e4&g2^g2|[V:1][K:D]f4|[V:2][K:D]c4|",
    "whole-bar-rests": "A4|Z2|B4",
    "keys": "F2[K:Eb min]G2|[K:F#mix]E4|[K:A phr ^c]c2C2",
}


def compared(folder: Path) -> list[str]:
    """The lines that the benchmark prints for a folder."""
    command = [sys.executable, "-m", "benchmarks.score_readers_abc", str(folder)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()


def test_both_readers_find_the_same_notes(tmp_path: Path) -> None:
    for name, music in TUNES.items():
        (tmp_path / f"{name}.abc").write_text(f"X:1\nM:4/4\nL:1/4\nK:C\n{music}\n")
    assert compared(tmp_path)[:3] == ["files 6", "tunes 6", "equal 6"]


@pytest.mark.parametrize(
    ("music", "outcome"), [("[C2E2]2", "different 1"), ("C &/D", "refused, and abc2midi reports an error 1")]
)
def test_a_difference_and_a_refusal_are_counted(tmp_path: Path, music: str, outcome: str) -> None:
    (tmp_path / "tune.abc").write_text(f"X:1\nM:4/4\nL:1/4\nK:C\n{music}\n")
    assert outcome in compared(tmp_path)
