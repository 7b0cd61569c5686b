"""A folder as a source: what counts as a file to read, and in which order."""

import os
from pathlib import Path

import pytest

from pianogen.errors import SourceError
from shards.sources import collect_folder


def names(folder):
    return [source.name for source in collect_folder(folder).sources]


def test_music_is_found_in_subfolders_sorted_and_other_files_are_ignored(tmp_path):
    for name in ("b.mid", "a/z.MIDI", "a/score.mxl", "a/notes.txt", "c.musicxml", ".hidden.mid", ".git/x.mid"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert names(tmp_path) == ["a/score.mxl", "a/z.MIDI", "b.mid", "c.musicxml"]


def test_links_to_folders_are_not_followed(tmp_path):
    (tmp_path / "a.mid").touch()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert names(tmp_path) == ["a.mid"]


def test_a_file_whose_name_is_not_utf_8_can_be_read(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.mid")).touch()
    (source,) = collect_folder(tmp_path).sources
    assert (source.name, Path(source.path).exists()) == ("\ufffd.mid", True)


def test_an_empty_folder_is_one_clear_line(tmp_path):
    with pytest.raises(SourceError, match=r"has no MIDI file or score \(\.mid \.midi"):
        collect_folder(tmp_path)


def test_a_file_is_not_a_source(tmp_path):
    (tmp_path / "a.mid").touch()
    with pytest.raises(SourceError, match=r"a\.mid' is not a folder"):
        collect_folder(tmp_path / "a.mid")
