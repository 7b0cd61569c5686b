"""Performances and scores are read by their suffix; other files are refused."""

import subprocess
import sys
from pathlib import Path

import pytest
from note_tables import rows_of, table_of

from pianogen.config import TokenizerConfig
from pianogen.errors import SourceError
from pianogen.tokens import quantise, read_performance, write_midi, write_musicxml

BAR = table_of([(0, 4, 60), (4, 4, 64), (8, 8, 67)])


@pytest.mark.parametrize("name", ["piece.mid", "PIECE.MIDI", "piece.musicxml", "piece.xml"])
def test_a_file_is_read_by_its_suffix(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    (write_midi if "mid" in name.lower() else write_musicxml)(BAR, path)
    assert rows_of(quantise(read_performance(path), TokenizerConfig())[0]) == rows_of(BAR)


@pytest.mark.parametrize("name", ["notes.txt", "notes", "notes.mid.gz"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SourceError, match=r"unknown suffix; known are \.mid, .*\.krn"):
        read_performance(tmp_path / name)


def test_a_folder_or_missing_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.mid"):
        with pytest.raises(SourceError, match="is not a file"):
            read_performance(path)


def test_reading_midi_loads_neither_torch_nor_music21() -> None:
    code = "import pianogen.tokens, sys; print([name for name in ('torch', 'music21') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
