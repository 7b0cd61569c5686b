"""File locks: who may hold one, and when it is released."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pianogen.locks import FileLock, LockHeldError

_HOLD = """
import sys; from pathlib import Path; from pianogen.locks import FileLock
lock = FileLock(Path(sys.argv[1])); print("locked", flush=True); sys.stdin.read()
"""


def test_a_held_lock_is_refused_and_its_holder_named(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"), pytest.raises(LockHeldError) as caught:
        FileLock(tmp_path / "lock", wait=False)
    assert caught.value.holder == f"{os.getpid()} on {os.uname().nodename}"


def test_shared_locks_exclude_only_an_exclusive_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with FileLock(path, shared=True), FileLock(path, shared=True, wait=False), pytest.raises(LockHeldError):
        FileLock(path, wait=False)


def test_only_the_last_of_several_sharing_processes_can_upgrade(tmp_path: Path) -> None:
    first, last = (FileLock(tmp_path / "lock", shared=True) for _ in range(2))
    assert not first.try_upgrade()
    assert last.try_upgrade()


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(LockHeldError, match=f"locked by process {holder.pid} on "):
            FileLock(path, wait=False)
        holder.kill()
        holder.wait()
        FileLock(path, wait=False).release()


def test_a_lock_on_a_file_with_content_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"content")
    with FileLock(path, record_holder=False):
        pass
    assert path.read_bytes() == b"content"


def test_a_folder_is_locked_without_a_file_in_it(tmp_path: Path) -> None:
    with FileLock(tmp_path, folder=True), pytest.raises(LockHeldError):
        FileLock(tmp_path, folder=True, wait=False)
    assert not any(tmp_path.iterdir())
