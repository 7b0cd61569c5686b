"""Score files of every format: size limits, damage, archives and files of several pieces."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from musicxml_by_hand import bar, note, one_part, partwise
from note_tables import rows_of

from pianogen.errors import InconsistentScoreError, SourceError
from pianogen.tokens.scores import MAX_SCORE_BYTES, read_score

BROKEN = [b"no score", b"<?xml version='1.0'?><score-partwise><part>", bytes(range(256)) * 4]


@pytest.mark.parametrize("name", ["a.musicxml", "a.xml", "a.mxl", "A.MUSICXML"])
def test_musicxml_is_read_with_any_suffix(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(one_part(note("C4", 4)))
    assert rows_of(read_score(tmp_path / name)) == [(0, 1, 60)]


def test_a_compressed_score_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.mxl", "w") as archive:
        archive.writestr("a.musicxml", one_part(note("C4", 4)))
    assert rows_of(read_score(tmp_path / "a.mxl")) == [(0, 1, 60)]


@pytest.mark.parametrize("name", ["a.musicxml", "a.mxl", "a.abc", "a.krn"])
@pytest.mark.parametrize("data", BROKEN)
def test_a_broken_score_is_refused_in_one_line(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError) as error:
        read_score(tmp_path / name)
    assert "\n" not in str(error.value)


def test_an_error_names_the_file_and_keeps_its_type(tmp_path: Path) -> None:
    (tmp_path / "a.musicxml").write_bytes(partwise([bar(1, note("C4", 4))], [bar(2, note("C4", 4))]))
    with pytest.raises(InconsistentScoreError, match=r"a\.musicxml cannot be used: bars at the same position"):
        read_score(tmp_path / "a.musicxml")


def test_a_truncated_score_is_refused(tmp_path: Path) -> None:
    whole = one_part(note("C4", 4))
    (tmp_path / "a.musicxml").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="is not a valid MusicXML file"):
        read_score(tmp_path / "a.musicxml")


@pytest.mark.parametrize("suffix", [".musicxml", ".mxl", ".xml", ".abc", ".krn"])
def test_an_empty_missing_or_huge_score_is_refused(tmp_path: Path, suffix: str) -> None:
    empty, huge = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    empty.touch()
    with huge.open("wb") as file:
        file.truncate(MAX_SCORE_BYTES + 1)
    for path, message in ((empty, "is empty"), (tmp_path / f"c{suffix}", "cannot read"), (huge, "has more than")):
        with pytest.raises(SourceError, match=message):
            read_score(path)


def test_a_small_archive_of_a_huge_score_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.mxl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.musicxml", bytes(MAX_SCORE_BYTES + 1))
    with pytest.raises(SourceError, match="a score may have at most"):
        read_score(tmp_path / "a.mxl")


def test_a_file_of_several_pieces_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.musicxml").write_bytes(b"<opus><score/><score/></opus>")
    with pytest.raises(SourceError, match="holds several pieces"):
        read_score(tmp_path / "a.musicxml")


def test_reading_a_score_loads_no_music21(tmp_path: Path) -> None:
    (tmp_path / "a.musicxml").write_bytes(one_part(note("C4", 4)))
    code = (
        "import sys; from pathlib import Path; from pianogen.tokens import read_score; read_score(Path(sys.argv[1]));"
    )
    code += "print('music21' in sys.modules)"
    command = [sys.executable, "-c", code, str(tmp_path / "a.musicxml")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
