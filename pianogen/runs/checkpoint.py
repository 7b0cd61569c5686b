"""A checkpoint: a folder that is complete or absent, of safetensors and JSON, never pickle.

    step-00000200/
      model.safetensors       weights by parameter name; with optim.ema their average
      unaveraged.safetensors  with optim.ema only: the weights that training continues with
      optimizer.safetensors   Adam's moments as `exp_avg.NAME` and `exp_avg_sq.NAME`, Muon's as `momentum.NAME`
      state.safetensors       recurrent state of each row of the global batch (format 2: lanes.safetensors)
      training.json           step, targets seen, settings of the model and of the tokenizer, identity of the shards
      manifest.json           size and SHA-256 of each file above

It does not depend on how many ranks wrote it. Training resumes formats 2 and 3, which differ in names; format 1 has
another sample order, and is read for its weights only. The hashes are there because safetensors does not notice a
flipped bit.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pianogen.errors import RunError
from pianogen.files import fsync_path, sha256_of, write_json

Tensors = Mapping[str, Any]  # torch tensors by name; torch itself is imported late
MANIFEST = "manifest.json"
BEST = "best.json"  # beside the checkpoints: step and NLL of the best one
TRAINING = "training.json"
FORMAT = 3
READABLE = (1, 2, 3)  # for their weights
RESUMABLE = (2, 3)


@dataclass(frozen=True)
class CheckpointInfo:
    """Which checkpoint it is."""

    step: int
    sha256: str
    """Of model.safetensors."""
    path: Path


def write_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensors], training: Mapping[str, Any]) -> Path:
    """Write `folder`/step-XXXXXXXX from groups of tensors (`model`, `optimizer`, `state`).

    Raises:
        OSError: The disk is full or the folder cannot be written; existing checkpoints are unchanged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target = step_folder(folder, step)
    temporary = folder / f".{target.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        for group, values in tensors.items():
            # detached from memory that views share, since safetensors refuses tensors that overlap
            save_file({name: value.contiguous() for name, value in values.items()}, temporary / f"{group}.safetensors")
        write_json(temporary / TRAINING, {"format": FORMAT, **training})
        _write_manifest(temporary)
        _replace_folder(temporary, target)
    except SafetensorError as error:  # safetensors does not raise an OSError for a full disk
        raise OSError(str(error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _replace_folder(new: Path, target: Path) -> None:
    """Put a folder in the place of another, which `clean_up` restores after a kill between the two renames."""
    old = target.with_name(f".{target.name}.old")
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    fsync_path(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _write_manifest(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    for name in names:
        fsync_path(folder / name)
    write_json(
        folder / MANIFEST,
        {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)} for name in names},
    )


def verify_checkpoint(path: Path) -> dict[str, Any]:
    """Check every file against the manifest and return training.json.

    Raises:
        RunError: A file is missing, truncated or changed; the message names it.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        for name, entry in manifest.items():
            size = (path / name).stat().st_size
            if size != entry["bytes"]:
                raise RunError(f"{path / name} has {size} bytes, its manifest says {entry['bytes']}: it was cut short")
            if sha256_of(path / name) != entry["sha256"]:
                raise RunError(f"{path / name} does not have the hash that its manifest names: it was damaged")
        return json.loads((path / TRAINING).read_text())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} is not a complete checkpoint: {error}") from error


def require_readable(path: Path, training: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of a format that this version does not know.

    Raises:
        RunError: It is of such a format.
    """
    if training.get("format") not in READABLE:
        known = ", ".join(map(str, READABLE))
        raise RunError(
            f"{path} has format {training.get('format')!r}, this pianogen reads {known}; use the version that wrote it"
        )


def load_tensors(path: Path, group: str) -> dict[str, Any]:
    """Read one group of tensors of a verified checkpoint onto the CPU."""
    from safetensors.torch import load_file

    return load_file(path / f"{group}.safetensors")


def list_checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints in a folder, newest first, by step."""
    named = [path for path in folder.glob("step-*") if path.name[5:].isdecimal()]
    return sorted(named, key=step_of, reverse=True)


def step_of(path: Path) -> int:
    """The step that a checkpoint's path names."""
    return int(path.name[5:])


def verified_checkpoints(folder: Path) -> Iterator[tuple[Path, dict[str, Any] | RunError]]:
    """Verify checkpoints, newest first; yield each with its training.json, or the error."""
    for path in list_checkpoints(folder):
        try:
            yield path, verify_checkpoint(path)
        except RunError as error:
            yield path, error


def clean_up(folder: Path) -> None:
    """Remove what a killed writer left, and restore the checkpoint that it was about to replace."""
    for old in folder.glob(".step-*.old"):
        target = old.with_name(old.name[1:].removesuffix(".old"))
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(target)
    for path in folder.glob(".step-*.tmp"):
        shutil.rmtree(path, ignore_errors=True)


def step_folder(folder: Path, step: int) -> Path:
    """Path of the checkpoint of a step; it need not exist."""
    return folder / f"step-{step:08d}"


def read_best(folder: Path) -> int | None:
    """The step that best.json names; None without such a file.

    Raises:
        RunError: The file is damaged.
    """
    file = folder / BEST
    try:
        return int(json.loads(file.read_text())["step"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{file} cannot be read: {error}; use --checkpoint last") from error


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest checkpoints and the one that best.json names.

    Raises:
        OSError: One of them cannot be removed.
        RunError: best.json is damaged; nothing is removed.
    """
    best_step = read_best(folder)
    for path in list_checkpoints(folder)[keep:]:
        if best_step is None or path != step_folder(folder, best_step):
            shutil.rmtree(path)
