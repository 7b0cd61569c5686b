"""Runs on object storage: the files needed to use one are fetched into the cache, once per node.

The copy is a run folder with only the requested checkpoints. A run that `store_runs` copied has a manifest of all its
files; one that was copied by other means has at least the manifest of each checkpoint.
"""

import hashlib
import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from pianogen.errors import RunError, StorageError
from pianogen.files import write_atomic
from pianogen.runs.checkpoint import MANIFEST, list_checkpoints, step_of
from pianogen.runs.pretrained import PRETRAINED, pretrained_run
from pianogen.storage import Address, Expected, Remote, UnreadableError, fetch, is_name, is_url, keep_copy

_RECORDS = ("config.yaml", "environment.json")
_BEST = "checkpoints/best.json"
_OPTIONAL = ("status.json", _BEST)
_CHECKPOINT = re.compile(rf"checkpoints/step-(\d{{8,18}})/{re.escape(MANIFEST)}")
MAX_RECORD_BYTES = 64 << 20


def local_run(name: str, checkpoint: str = "best") -> Path:
    """The folder of a run: `pretrained`, a path, or a URL, which is fetched with one checkpoint.

    Raises:
        RunError: The URL is not a run, or has no such checkpoint; or this installation has no `pretrained`.
        SettingError, StorageError: The URL cannot be used, or its files cannot be fetched or are damaged.
    """
    if name == PRETRAINED:
        return pretrained_run()
    if not is_url(name):
        return Path(name)
    remote = Remote(Address.parse(name))
    with keep_copy(remote.address) as folder:
        remote_run = _RemoteRun(remote, folder, read_manifest(remote))
        remote_run.fetch_records()
        remote_run.fetch_checkpoint(remote_run.step_of(checkpoint))
    return folder


def read_manifest(remote: Remote) -> dict[str, Expected]:
    """Every file of a run by its manifest; empty without a manifest.

    Raises:
        StorageError: The manifest is damaged.
    """
    data = remote.read_optional(MANIFEST, MAX_RECORD_BYTES)
    return {} if data is None else _entries(data, remote.url(MANIFEST), "files")


def _entries(data: bytes, url: str, key: str | None = None) -> dict[str, Expected]:
    try:
        content = json.loads(data)
        entries = content[key] if key else content
        for name in entries:
            if not all(map(is_name, name.split("/"))):
                raise ValueError(f"name {name!r}")
        return {name: Expected.of(name, entry) for name, entry in entries.items()}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise StorageError(f"{url} is damaged ({error}); copy the run there again") from error


@dataclass(frozen=True)
class _RemoteRun:
    remote: Remote
    folder: Path
    files: dict[str, Expected]

    def fetch_records(self) -> None:
        """Fetch the current small files."""
        (self.folder / "checkpoints").mkdir(exist_ok=True)
        for name in (*_RECORDS, *_OPTIONAL):
            try:
                write_atomic(self.folder / name, self._read(name))
            except UnreadableError as error:
                if name in _RECORDS:
                    raise RunError(f"{self.remote.address} is not a run: {error}") from error
                (self.folder / name).unlink(missing_ok=True)

    def _read(self, name: str) -> bytes:
        data = self.remote.read(name, MAX_RECORD_BYTES)
        if name in self.files:
            self.files[name].check(len(data), hashlib.sha256(data).hexdigest(), self.remote.url(name))
        return data

    def step_of(self, checkpoint: str) -> int:
        """The step that `Run.find_checkpoint` would find in the complete run."""
        best = self._best_step() if checkpoint == "best" else None
        if best is not None:
            return best
        if checkpoint.isdecimal():
            return int(checkpoint)
        steps = self._steps()
        if checkpoint not in ("best", "last") or not steps:
            there = f"; use --checkpoint last, or one of the steps {', '.join(map(str, steps))}" if steps else ""
            raise RunError(f"{self.remote.address} has no checkpoint {checkpoint!r}{there}")
        return steps[-1]

    def _best_step(self) -> int | None:
        file = self.folder / _BEST
        try:
            return int(json.loads(file.read_bytes())["step"]) if file.exists() else None
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{self.remote.url(_BEST)} cannot be read: {error}; use --checkpoint last") from error

    def _steps(self) -> list[int]:
        """Steps of the remote checkpoints; others are removed from the copy, or `last` would find them."""
        names = [_CHECKPOINT.fullmatch(name) for name in self.files or self.remote.sizes()]
        steps = sorted(int(found[1]) for found in names if found)
        for path in list_checkpoints(self.folder / "checkpoints"):
            if step_of(path) not in steps:
                shutil.rmtree(path)
        return steps

    def fetch_checkpoint(self, step: int) -> None:
        """Fetch a checkpoint's files, and its manifest last."""
        name = f"checkpoints/step-{step:08d}"
        try:
            data = self._read(f"{name}/{MANIFEST}")
        except UnreadableError as error:
            there = f"{self.remote.address} has no checkpoint of step {step}"
            raise RunError(f"{there}; choose another --checkpoint") from error
        files = _entries(data, self.remote.url(f"{name}/{MANIFEST}"))
        fetch(self.remote, [replace(file, name=f"{name}/{file.name}") for file in files.values()], self.folder)
        write_atomic(self.folder / name / MANIFEST, data)
