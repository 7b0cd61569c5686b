"""What a power failure must not lose is synced, before and after it gets its name."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pianogen.files import write_atomic
from pianogen.runs.checkpoint import write_checkpoint

Syncs = list[tuple[int, bool]]
"""The inode that was synced, and whether the new name existed by then."""


@pytest.fixture
def syncs_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Syncs]:
    """Record what is synced while a path gets its name."""

    def record(path: Path) -> Syncs:
        syncs: Syncs = []
        monkeypatch.setattr(os, "fsync", lambda number: syncs.append((os.fstat(number).st_ino, path.exists())))
        return syncs

    return record


def inode(path: Path) -> int:
    return path.stat().st_ino


def test_a_file_is_synced_before_it_gets_its_name_and_its_folder_after(
    tmp_path: Path, syncs_of: Callable[[Path], Syncs]
) -> None:
    path = tmp_path / "file"
    syncs = syncs_of(path)
    write_atomic(path, "content")
    assert syncs == [(inode(path), False), (inode(tmp_path), True)]


def test_every_file_of_a_checkpoint_is_synced_before_it_gets_its_name_and_its_folder_after(
    tmp_path: Path, syncs_of: Callable[[Path], Syncs]
) -> None:
    syncs = syncs_of(tmp_path / "step-00000001")
    tensors = {"model": {"a": torch.ones(2)}, "optimizer": {"b": torch.ones(2)}}
    path = write_checkpoint(tmp_path, 1, tensors, {"step": 1})
    names = {"model.safetensors", "optimizer.safetensors", "training.json", "manifest.json"}
    assert {file.name for file in path.iterdir()} == names
    assert {(inode(file), False) for file in path.iterdir()} <= set(syncs)
    assert syncs[-1] == (inode(tmp_path), True)
