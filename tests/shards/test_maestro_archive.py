"""Archives in MAESTRO's layout: official splits, read without unpacking, damage is named."""

import hashlib
import zipfile

import pytest
from small_sources import piece, reasons, splits_of

from pianogen.errors import SourceError
from pianogen.tokens import midi_bytes
from shards import maestro

ROOT = "maestro-v3.0.0"
OFFICIAL = ["train", "train", "validation", "test", "train", "test"]


def list_of(names: list[str]) -> str:
    """The archive's own csv; every two performances are of one composition."""
    rows = [f"Composer,Work {i // 2},{OFFICIAL[i]},2018,{name},x.wav,1.0" for i, name in enumerate(names)]
    return "\n".join(["canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration", *rows])


@pytest.fixture
def archive(tmp_path):
    """Six performances, and a LICENSE."""
    names = [f"20{18 - index}/p{index}.midi" for index in range(6)]
    path = tmp_path / "maestro.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr(f"{ROOT}/LICENSE", "CC BY-NC-SA 4.0")
        stream.writestr(f"{ROOT}/{ROOT}.csv", list_of(names))
        for index, name in enumerate(names):
            stream.writestr(f"{ROOT}/{name}", midi_bytes(piece(index)))
    return path


def rewritten(archive, change):
    """The archive with its members changed: `change` takes and returns a dictionary of names and bytes."""
    with zipfile.ZipFile(archive) as stream:
        members = {name: stream.read(name) for name in stream.namelist()}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as stream:
        for name, data in change(members).items():
            stream.writestr(name, data)
    return archive


def test_the_official_split_is_the_default(archive, make):
    _, manifest = make("maestro", archive=str(archive))
    assert splits_of(manifest) == {f"20{18 - index}/p{index}.midi": OFFICIAL[index] for index in range(6)}


def test_a_given_archive_is_hashed_and_noted_when_unknown(archive, make):
    _, manifest = make("maestro", archive=str(archive))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert manifest.source["archive"] == {"sha256": digest, "published": False}


def test_an_archive_of_another_version_than_asked_for_is_refused(archive, make):
    with pytest.raises(SourceError, match=r"holds MAESTRO v3\.0\.0, but --version asks for v1\.0\.0"):
        make("maestro", archive=str(archive), version="v1.0.0")


def test_a_composition_split_can_replace_the_official_one(archive, make):
    found = splits_of(make("maestro", archive=str(archive), split="composition", seed=3)[1])
    sides = [found[f"20{18 - index}/p{index}.midi"] for index in range(6)]
    assert sides[0::2] == sides[1::2]
    assert set(sides) == {"train", "validation", "test"}


def test_a_listed_file_that_the_archive_lacks_is_named(archive, make):
    rewritten(archive, lambda members: {name: data for name, data in members.items() if "p0" not in name})
    assert make("maestro", archive=str(archive))[1].missing == ["2018/p0.midi"]


def test_a_zip_bomb_is_left_out_unopened(archive, make):
    rewritten(archive, lambda members: {**members, f"{ROOT}/2018/p0.midi": bytes(50_000_000)})
    _, manifest = make("maestro", archive=str(archive))
    assert reasons(manifest) == {"2018/p0.midi": "has 50000000 bytes; the limit is 16000000 (max_file_mb)"}


def test_a_damaged_member_is_left_out(archive, make):
    with zipfile.ZipFile(archive) as stream:
        offset = stream.getinfo(f"{ROOT}/2018/p0.midi").header_offset
    data = bytearray(archive.read_bytes())
    data[offset + 100] ^= 255
    archive.write_bytes(data)
    _, manifest = make("maestro", archive=str(archive))
    assert list(reasons(manifest)) == ["2018/p0.midi"]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not really", b"\x00" * 10_000])
def test_an_archive_that_is_not_a_zip_is_one_clear_line(tmp_path, make, data):
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(SourceError, match=r"archive '.*x\.zip' is damaged or not a zip"):
        make("maestro", archive=str(tmp_path / "x.zip"))


def test_a_missing_archive_is_one_clear_line(tmp_path, make):
    with pytest.raises(SourceError, match=r"cannot read archive '.*x\.zip': No such file"):
        make("maestro", archive=str(tmp_path / "x.zip"))


def test_an_archive_of_something_else_is_one_clear_line(tmp_path, make):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as stream:
        stream.writestr("a.mid", midi_bytes(piece(0)))
    with pytest.raises(SourceError, match=r"has 0 files maestro-vX\.Y\.Z\.csv"):
        make("maestro", archive=str(tmp_path / "x.zip"))


def test_a_download_that_changed_since_is_refused(archive, make, monkeypatch):
    monkeypatch.setattr(maestro, "fetch", lambda version: archive)
    with pytest.raises(SourceError, match="is no longer the published archive"):
        make("maestro")
