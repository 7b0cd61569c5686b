"""Copying finished runs to object storage: only changed files, and every file before those that refer to it.

URL/RUN/manifest.json   every file with its size and sha256, written last; all other files are as in the run folder
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from pianogen.errors import RunError, SettingError
from pianogen.files import sha256_of
from pianogen.progress import Progress
from pianogen.runs.checkpoint import MANIFEST
from pianogen.runs.fetching import MAX_RECORD_BYTES, read_manifest
from pianogen.runs.run import open_run
from pianogen.storage import Address, Expected, Remote, is_name

_ENVIRONMENT = "environment.json"
_NOT_COPIED = ("mlflow.json", "mlflow.log", MANIFEST)  # local state of MLflow's mirror; written for each copy


@dataclass(frozen=True)
class Stored:
    """A run that was copied."""

    run: Path
    url: str
    num_files: int
    """Files that were copied by this call."""
    num_bytes: int


def store_runs(runs: Sequence[Path], url: str) -> Iterator[Stored]:
    """Copy runs to folders of their names below a URL, one after the other; unchanged files are not copied again.

    Raises:
        RunError: One is not a finished run, or the URL holds another run of its name.
        SettingError, StorageError: The URL cannot be written.
    """
    address = Address.parse(url)
    address.require_writable()
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        raise SettingError("two runs have the same name, so their copies would share a folder; rename one")
    for run in runs:
        _require_finished(run)
    remotes = [Remote(Address.parse(f"{address}/{name}")) for name in names]
    return (_store(run, remote) for run, remote in zip(runs, remotes, strict=True))


def _require_finished(run: Path) -> None:
    open_run(run)
    try:
        state = json.loads((run / "status.json").read_text())["state"]
    except (OSError, ValueError, KeyError, TypeError):
        state = "not started"
    if state in ("running", "not started"):
        raise RunError(
            f"{run} is {state}; only a run that has ended can be copied; run pianogen train again to finish it"
        )


def _store(run: Path, remote: Remote) -> Stored:
    files = files_of(run)
    _require_same_run(run, remote)
    there, sizes = read_manifest(remote), remote.sizes()
    news = [file for name, file in files.items() if there.get(name) != file or sizes.get(name) != file.num_bytes]
    _put(run, remote, news)
    manifest = {name: file for name, file in there.items() if name in sizes} | files
    if news or manifest != there:
        remote.write(MANIFEST, json.dumps(manifest_of(manifest), indent=2).encode())
    return Stored(run, str(remote.address), len(news), sum(file.num_bytes for file in news))


def manifest_of(files: Mapping[str, Expected]) -> dict[str, Any]:
    """The content of manifest.json."""
    entries = {name: {"bytes": file.num_bytes, "sha256": file.sha256} for name, file in sorted(files.items())}
    return {"format": 1, "files": entries}


def files_of(run: Path) -> dict[str, Expected]:
    """The files that are copied, by their names in the folder.

    Raises:
        RunError: A name cannot be part of a URL.
    """
    files = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        parts = name.split("/")
        if not path.is_file() or name in _NOT_COPIED or any(part.startswith((".", "damaged-")) for part in parts):
            continue
        if not all(map(is_name, parts)):
            raise RunError(f"{path} has a name that is not allowed in a URL; rename it")
        files[name] = Expected(name, path.stat().st_size, sha256_of(path))
    return files


def _require_same_run(run: Path, remote: Remote) -> None:
    there = remote.read_optional(_ENVIRONMENT, MAX_RECORD_BYTES)
    if there is not None and there != (run / _ENVIRONMENT).read_bytes():
        raise RunError(
            f"{remote.address} holds another run of that name (its {_ENVIRONMENT} differs); "
            f"rename {run}, or choose another --to"
        )


def _put(run: Path, remote: Remote, files: Sequence[Expected]) -> None:
    if not files:
        return
    total = sum(file.num_bytes for file in files)
    with Progress(f"copying {run} to {remote.address}", total=total / 1e6, unit="MB") as bar:

        def put(file: Expected) -> None:
            remote.put(run / file.name, file.name, lambda num_bytes: bar.advance(num_bytes / 1e6))

        for _, stage in groupby(sorted(files, key=_stage), _stage):
            remote.each(put, stage)


def _stage(file: Expected) -> int:
    """Order of copying: tensors and records, checkpoint manifests, best.json, and config.yaml, which makes it a run."""
    if file.name == "config.yaml":
        return 3
    if file.name == "checkpoints/best.json":
        return 2
    return 1 if file.name.endswith(f"/{MANIFEST}") else 0
