"""Reading shards: every token as it was written, and every difference from the manifest is an error."""

import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from small_shards import NUM_PIECES, edit_manifest, piece, to_format_1

from pianogen.config import TokenizerConfig
from pianogen.data import shard_file
from pianogen.data.shard_set import open_shards
from pianogen.errors import SettingError, ShardError
from pianogen.tokens import encode

SHARD = "train-000000.tar"


def vouch_for(folder: Path, data: bytes) -> None:
    """Replace the first shard, and let the manifest vouch for its bytes, as an attacker would."""
    (folder / SHARD).write_bytes(data)
    shard = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit_manifest(folder, lambda manifest: next(o for o in manifest["shards"] if o["name"] == SHARD).update(shard))


def repacked(folder: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]) -> None:
    """Rewrite the first shard with its members changed, vouched for by a manifest of format 1."""
    to_format_1(folder)
    with tarfile.open(folder / SHARD) as tar:
        members = [(info, tar.extractfile(info).read()) for info in tar]  # pyright: ignore[reportOptionalMemberAccess]
    change(members)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    vouch_for(folder, stream.getvalue())


def test_every_performance_is_read_as_it_was_written(pristine):
    shards = open_shards(pristine)
    found = {}
    for name in ("train", "validation", "test"):
        split = shards.split(name, variants=False)
        found |= {split.metadata(i)["source"]: split.tokens(i).tolist() for i in range(len(split))}
    assert found == {f"{seed}.mid": encode(piece(seed)).tolist() for seed in range(NUM_PIECES)}


def test_lengths_are_those_of_the_tokens(pristine):
    split = open_shards(pristine).split("train")
    assert split.lengths.tolist() == [len(split.tokens(index)) for index in range(len(split))]


def test_tokens_are_int16_of_this_machine_and_may_be_changed(pristine):
    tokens = open_shards(pristine).split("train").tokens(0)
    assert (tokens.dtype, tokens.flags.writeable) == (np.dtype(np.int16), True)


def test_tempo_variants_can_be_left_out(pristine):
    shards = open_shards(pristine)
    assert (len(shards.split("train")), len(shards.split("train", variants=False))) == (16, 8)


def test_a_subset_keeps_the_order_given(pristine):
    split = open_shards(pristine).split("train")
    assert split.subset([3, 1]).lengths.tolist() == split.lengths[[3, 1]].tolist()


def test_tokenizer_settings_come_from_the_manifest(pristine):
    assert open_shards(pristine).tokenizer == TokenizerConfig()


def test_an_unknown_split_is_named(pristine):
    with pytest.raises(SettingError, match="split 'dev' does not exist; there are train, validation, test"):
        open_shards(pristine).split("dev")


def test_shards_of_other_settings_are_refused_naming_the_setting(pristine):
    with pytest.raises(ShardError, match="were made with steps_per_quarter 4, but 12 is needed"):
        open_shards(pristine, tokenizer=TokenizerConfig(steps_per_quarter=12))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_of_a_shard_is_found(folder, pristine, place, bit):
    data = bytearray((pristine / SHARD).read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    (folder / SHARD).write_bytes(data)
    with pytest.raises(ShardError, match=f"shard {SHARD} has another sha256 than its manifest says; rebuild it"):
        open_shards(folder)


@pytest.mark.parametrize("kept", [0, 700, -1024, -1])
def test_a_shard_cut_short_is_found_even_without_hashing(folder, kept):
    data = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(data[:kept])
    with pytest.raises(ShardError, match=f"shard {SHARD} has {len(data[:kept])} bytes, its manifest says {len(data)}"):
        open_shards(folder, verify=False)


def test_a_missing_shard_is_named(folder):
    (folder / SHARD).unlink()
    with pytest.raises(ShardError, match=f"cannot read shard {SHARD} in .*: No such file"):
        open_shards(folder)


def test_a_shard_deleted_while_it_is_used_is_named(folder):
    split = open_shards(folder).split("train")
    split.tokens(0)
    (folder / SHARD).unlink()
    with pytest.raises(ShardError, match=f"cannot read shard {SHARD}"):
        split.tokens(0)


def test_a_shard_cut_while_it_is_used_is_named(folder):
    split = open_shards(folder).split("train")
    split.tokens(0)
    (folder / SHARD).write_bytes(b"")
    with pytest.raises(ShardError, match=f"shard {SHARD} is cut short"):
        split.tokens(0)


def test_a_read_is_repeated_after_a_file_system_error(pristine, monkeypatch):
    pread, failures = shard_file.os.pread, [OSError(5, "Input/output error")] * 2

    def failing_twice(*args):
        if failures:
            raise failures.pop()
        return pread(*args)

    split = open_shards(pristine).split("train")
    monkeypatch.setattr(shard_file, "PAUSE_S", 0.0)
    monkeypatch.setattr(shard_file.os, "pread", failing_twice)
    assert len(split.tokens(0)) == split.lengths[0]


def test_a_lasting_file_system_error_names_the_shard(pristine, monkeypatch):
    def broken(*args):
        raise OSError(5, "Input/output error")

    split = open_shards(pristine).split("train")
    monkeypatch.setattr(shard_file, "PAUSE_S", 0.0)
    monkeypatch.setattr(shard_file.os, "pread", broken)
    with pytest.raises(ShardError, match=f"cannot read shard {SHARD} in .*: Input/output error"):
        split.tokens(0)


def rename(name: str) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    """Give the first member another name."""
    return lambda members: setattr(members[0][0], "name", name)


def retype(kind: bytes, target: str = "") -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    """Make the first member something other than a file."""

    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[0][0].type, members[0][0].linkname = kind, target

    return change


def test_a_shard_repacked_with_plain_members_is_read(folder):
    repacked(folder, lambda members: None)
    split = open_shards(folder).split("train")
    assert len(split.tokens(0)) == split.lengths[0]


@pytest.mark.parametrize(
    "change",
    [
        rename("/etc/passwd"),
        rename("../../x.i16"),
        rename("000000000.pkl"),
        rename("000000000.pth"),
        rename("x" * 200 + ".i16"),
        retype(tarfile.SYMTYPE, "/etc/passwd"),
        retype(tarfile.LNKTYPE, "000000001.i16"),
        retype(tarfile.CHRTYPE),
        retype(tarfile.FIFOTYPE),
        retype(tarfile.DIRTYPE),
        retype(tarfile.GNUTYPE_SPARSE),
        lambda members: members.insert(0, members[0]),
        lambda members: members.append(members[0]),
        lambda members: members.reverse(),
        lambda members: members.pop(),
        lambda members: members[0][0].pax_headers.update({"path": "../../x"}),
        lambda members: members[0][0].pax_headers.update({"GNU.sparse.realsize": "10000000000"}),
    ],
)
def test_hostile_members_are_refused_though_the_manifest_vouches_for_them(folder, change):
    before = sorted(path for path in folder.parent.rglob("*"))
    repacked(folder, change)
    with pytest.raises(ShardError, match=f"shard {SHARD}"):
        open_shards(folder)
    assert sorted(path for path in folder.parent.rglob("*")) == before


@pytest.mark.parametrize("size", [b"77777777777\0", b"\x80" + bytes(10) + b"\x01", b"-0000002000\0", b"           \0"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE])
def test_hostile_sizes_are_refused(folder, size, kind):
    to_format_1(folder)
    data = bytearray((folder / SHARD).read_bytes())
    data[124:136], data[156:157] = size, kind
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    vouch_for(folder, bytes(data))
    with pytest.raises(ShardError, match=f"shard {SHARD}"):
        open_shards(folder)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(header=st.binary(min_size=512, max_size=512))
def test_any_other_header_is_refused(folder, pristine, header):
    shutil.copy(pristine / "manifest.json", folder)
    to_format_1(folder)
    vouch_for(folder, header + (pristine / SHARD).read_bytes()[512:])
    with pytest.raises(ShardError, match=f"shard {SHARD}"):
        open_shards(folder)


@pytest.mark.parametrize(
    ("position", "token", "message"),
    [
        (2, 312, "has token 312 at position 2 of 000000000.i16, against the grammar"),
        (2, -1, "has token -1 at position 2"),
        (3, 9, "has token 9 at position 3"),
        (0, 1, "has token 1 at position 0"),
        (-1, 8, "does not end with xxeos"),
    ],
)
def test_tokens_against_the_grammar_never_reach_a_model(folder, position, token, message):
    def change(members):
        ids = np.frombuffer(members[0][1], "<i2").copy()
        ids[position] = token
        members[0] = (members[0][0], ids.tobytes())

    repacked(folder, change)
    with pytest.raises(ShardError, match=message):
        open_shards(folder).split("train").tokens(0)


@pytest.mark.parametrize("data", [b"[1]", b"{", b"\xff", b"[" * 100_000])
def test_metadata_that_are_not_an_object_are_named(folder, data):
    def change(members):
        members[1][0].size = len(data)
        members[1] = (members[1][0], data)

    repacked(folder, change)
    with pytest.raises(ShardError, match=r"has metadata in 000000000\.json that are not a JSON object"):
        open_shards(folder).split("train").metadata(0)
