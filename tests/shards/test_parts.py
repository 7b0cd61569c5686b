"""Parts read by the tasks of an array: together they equal one job, and a damaged or outdated one is read again."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from forked_workers import run_job
from hypothesis import given
from hypothesis import strategies as st
from small_sources import Finished, contents, piece

from pianogen.cli import main
from pianogen.config import ShardsConfig, TokenizerConfig, part_of
from pianogen.errors import SettingError, ShardError
from pianogen.folders import PARTS_FOLDER
from pianogen.tokens import midi_bytes
from shards import build as building
from shards.build import build, read_part, run
from shards.files import locked

# kills its own process at the n-th fsync of the task
KILLED_TASK = """
import os, signal, sys
from pathlib import Path
from pianogen.config import ShardsConfig
from shards.build import read_part
left, fsync = [int(sys.argv[3])], os.fsync
def counted(descriptor):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)
os.fsync = counted
read_part(sys.argv[1], Path(sys.argv[2]), ShardsConfig(part="1/3"))
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "parts and shards"


@pytest.fixture
def read_again(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collects the numbers of the files that are read from now on."""
    seen: list[int] = []
    read = building.read_sources

    def watched(*arguments, **settings):
        readings = read(*arguments, **settings)
        seen.extend(reading.index for reading in readings)
        return readings

    monkeypatch.setattr(building, "read_sources", watched)
    return seen


def read_parts(folder: Path, out: Path, count: int, **settings) -> None:
    for number in range(count):
        run(str(folder), out, ShardsConfig(part=f"{number}/{count}", **settings))


def files_of_a_part(out: Path, name: str) -> dict[str, bytes]:
    return contents(out / PARTS_FOLDER / name)


@given(st.integers(1, 50), st.integers(0, 200))
def test_the_parts_of_any_division_are_the_whole(count: int, size: int):
    parts = [part_of(f"{number}/{count}") for number in range(count)]
    assert sorted(index for number, step in parts for index in range(number, size, step)) == list(range(size))


@pytest.mark.parametrize("part", ["8/8", "-1/8", "1", "1/0", "0/0", "a/b", "1/8 ", "1/8/2", "", "\u0661/8"])
def test_an_invalid_part_is_one_clear_line(part):
    with pytest.raises(SettingError, match=re.escape(f"setting 'part' is {part!r}, but it must be K/N with K from 0")):
        ShardsConfig(part=part)


@pytest.mark.parametrize(("count", "workers"), [(1, 1), (3, 2)])
def test_an_array_and_a_final_job_give_the_same_bytes_as_one_process(folder, make, out, count, workers, read_again):
    (folder / "broken.mid").write_bytes(b"no midi")
    (folder / "copy.mid").write_bytes((folder / "book0" / "piece00.mid").read_bytes())
    one_process = contents(make(folder, tempo_variants=(0.95,))[0])
    read_parts(folder, out, count, tempo_variants=(0.95,), workers=workers)
    read_again.clear()
    build(str(folder), out, ShardsConfig(tempo_variants=(0.95,)))
    assert (contents(out), read_again) == (one_process, [])


def test_the_command_line_reads_parts_and_makes_shards_of_them(finished: Finished, folder, out):
    command = ["shards", str(folder), "--out", str(out)]
    assert [main([*command, "--part", part]) for part in ("1/2", "0/2")] == [0, 0]
    assert not (out / "manifest.json").exists()
    assert main(command) == 0
    assert contents(out) == contents(finished.out)


def test_the_final_job_removes_the_parts(folder, out):
    read_parts(folder, out, 2)
    build(str(folder), out, ShardsConfig())
    assert not (out / PARTS_FOLDER).exists()


def test_a_part_is_the_same_bytes_for_any_number_of_workers(folder, tmp_path):
    for workers in (1, 3):
        read_part(str(folder), tmp_path / f"{workers}", ShardsConfig(part="0/2", workers=workers))
    assert files_of_a_part(tmp_path / "1", "0-of-2") == files_of_a_part(tmp_path / "3", "0-of-2")


def test_files_that_no_task_has_read_are_read_by_the_final_job(finished, folder, out, read_again):
    for part in ("0/3", "2/3"):
        read_part(str(folder), out, ShardsConfig(part=part))
    read_again.clear()
    build(str(folder), out, ShardsConfig())
    assert sorted(read_again) == [1, 4, 7, 10]
    assert contents(out) == contents(finished.out)


def test_there_may_be_more_tasks_than_files(finished, folder, out):
    for part in ("0/13", "12/13"):
        read_part(str(folder), out, ShardsConfig(part=part))
    build(str(folder), out, ShardsConfig())
    assert contents(out) == contents(finished.out)


def test_parts_of_two_divisions_can_be_combined(finished, folder, out, read_again):
    for part in ("0/2", "0/3", "1/3"):
        read_part(str(folder), out, ShardsConfig(part=part))
    read_again.clear()
    build(str(folder), out, ShardsConfig())
    assert sorted(read_again) == [5, 11]
    assert contents(out) == contents(finished.out)


def test_a_finished_part_is_not_read_again(folder, out, read_again):
    first = read_part(str(folder), out, ShardsConfig(part="1/3"))
    whole = files_of_a_part(out, "1-of-3")
    read_again.clear()
    second = read_part(str(folder), out, ShardsConfig(part="1/3"))
    assert (read_again, files_of_a_part(out, "1-of-3")) == ([], whole)
    assert first == second.replace("was read before", "is read")


@pytest.mark.parametrize("fsync", [1, 2, 3, 5])  # before and behind each of the part's files gets its name
def test_a_killed_task_is_run_again_alone(finished, folder, out, fsync, read_again):
    assert run_job(KILLED_TASK, folder, out, str(fsync)) == -signal.SIGKILL
    assert not (out / PARTS_FOLDER / "1-of-3" / "part.json").exists()
    read_parts(folder, out, 3)
    assert len(read_again) == 12
    build(str(folder), out, ShardsConfig())
    assert contents(out) == contents(finished.out)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("tokens.i16", flip_a_bit),
        ("tokens.i16", lambda path: os.truncate(path, 10)),
        ("tokens.i16", Path.unlink),
        ("readings.jsonl", flip_a_bit),
        ("part.json", lambda path: path.write_text('{"format": 1, "pa')),
        ("part.json", lambda path: path.write_text("[]")),
    ],
)
def test_a_damaged_part_is_read_again(finished, folder, out, name: str, damage: Callable[[Path], None], capsys):
    read_part(str(folder), out, ShardsConfig(part="2/3"))
    damage(out / PARTS_FOLDER / "2-of-3" / name)
    build(str(folder), out, ShardsConfig())
    assert "part 2/3 is read again: its files" in capsys.readouterr().err
    assert contents(out) == contents(finished.out)


def test_parts_read_with_other_settings_are_read_again(finished, folder, out, capsys):
    read_parts(folder, out, 2, tokenizer=TokenizerConfig(steps_per_quarter=12))
    build(str(folder), out, ShardsConfig())
    assert "part 0/2 is read again: it was read with other settings" in capsys.readouterr().err
    assert contents(out) == contents(finished.out)


def test_after_a_file_is_added_every_part_is_read_again(folder, make, out, capsys):
    read_parts(folder, out, 2)
    (folder / "book0" / "piece00b.mid").write_bytes(midi_bytes(piece(50)))
    build(str(folder), out, ShardsConfig())
    assert capsys.readouterr().err.count("it was read with other files") == 2
    assert contents(out) == contents(make(folder)[0])


def test_after_a_file_is_changed_its_part_is_read_again(folder, make, out, read_again, capsys):
    read_parts(folder, out, 3)
    (folder / "book0" / "piece00.mid").write_bytes(midi_bytes(piece(50)))
    read_again.clear()
    build(str(folder), out, ShardsConfig())
    assert sorted(read_again) == [0, 3, 6, 9]
    assert "part 0/3 is read again: 'book0/piece00.mid' has changed since" in capsys.readouterr().err
    assert contents(out) == contents(make(folder)[0])


def test_parts_stay_valid_when_the_folder_of_their_files_moves(finished, folder, out, read_again):
    read_parts(finished.folder, out, 2)
    read_again.clear()
    build(str(folder), out, ShardsConfig())
    assert (read_again, contents(out)) == ([], contents(finished.out))


def test_tasks_exclude_the_final_job_but_not_each_other(folder, out):
    with locked(out, shared=True):
        read_part(str(folder), out, ShardsConfig(part="0/2"))
        with pytest.raises(ShardError, match="another job is writing shards to"):
            build(str(folder), out, ShardsConfig())
    with locked(out), pytest.raises(ShardError, match="another job is writing shards to"):
        read_part(str(folder), out, ShardsConfig(part="1/2"))
