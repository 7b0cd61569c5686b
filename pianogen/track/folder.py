"""What a run folder, or that of a sweep, has to show. Reading it changes nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pianogen.errors import RunError

_SHOWN = (
    *("config.yaml", "environment.json", "samples/*", "evaluation/*"),
    *("sweep.yaml", "best.yaml", "trials.csv", "trials.png"),
)
_LAYOUT = ("world_size", "num_nodes", "host")


class Folder:
    """A run folder, or that of a sweep. Every reading may find a damaged file, which is a RunError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_sweep = (path / "sweep.yaml").exists()
        self.settings_file = path / ("sweep.yaml" if self.is_sweep else "config.yaml")
        self.began_file = path / ("sweep.yaml" if self.is_sweep else "environment.json")  # written once

    @property
    def place(self) -> Path:
        """Where it lies, whatever way leads there."""
        return self.path.resolve()

    @property
    def sweep(self) -> Path | None:
        """The sweep that it is a trial of, unless it was taken away from there."""
        file = self.path / "parent.json"
        sweep = (self.path / _read(file)["folder"]).resolve() if file.exists() else None
        return sweep if sweep and (sweep / "sweep.yaml").exists() else None

    @property
    def shelf(self) -> Path:
        """The folder that holds it, or that holds its sweep."""
        return (self.sweep or self.place).parent

    def settings(self) -> dict[str, str]:
        """Every setting by its full name, such as optim.lr."""
        with self._reading():
            return {name: str(value) for name, value in _flat(_read(self.settings_file))}

    def origin(self) -> dict[str, str]:
        """What made it. Ranks, machines and host are those of its newest life."""
        with self._reading():
            model = {"model": str(_read(self.settings_file)["model"]["kind"])}
            if self.is_sweep:
                return {**model, "kind": "sweep"}
            began = _read(self.began_file)
            newest = {**began, **self._status()}
            return {
                **model,
                "shards": began["shards"]["fingerprint"][:12],
                "git_commit": str(began["git_commit"]),
                **{name: str(newest[name]) for name in _LAYOUT if name in newest},
            }

    def _status(self) -> dict[str, Any]:
        """What status.json says; a run that has none yet is about to begin."""
        file = self.path / "status.json"
        return _read(file) if file.exists() else {"state": "running"}

    def state(self) -> str:
        """One of running, finished, stopped, pruned and failed."""
        with self._reading():
            return self._status()["state"]

    def began_ms(self) -> int:
        """When its first life began, since the Unix epoch."""
        told = {} if self.is_sweep else _read(self.began_file)
        return _milliseconds(told.get("time"), self.began_file)

    def ended_ms(self) -> int:
        """When its newest life ended, since the Unix epoch."""
        return _milliseconds(self._status().get("time"), self.path / "status.json")

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it has logged, in order, up to a line that is not whole: somebody may be writing it."""
        file = self.path / "metrics.jsonl"
        if not file.exists():
            return
        with self._reading(), file.open("rb") as lines:
            for line in lines:
                try:
                    logged = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    return
                if logged is None:
                    return
                yield logged

    def evaluations(self) -> Iterator[tuple[int, dict[str, float]]]:
        """What `pianogen evaluate` found: when, in ms since the Unix epoch, and the scores by name."""
        for file in sorted((self.path / "evaluation").glob("*.json")):
            with self._reading():
                found = _read(file)
                scores = {name: float(value) for name, value in found["metrics"].items()}
                scores[f"{found['split']}/step"] = float(found["step"])
            yield _milliseconds(None, file), scores

    def files(self) -> Iterator[tuple[str, Path]]:
        """What else is worth a look: names in the folder, and paths."""
        for file in sorted(path for pattern in _SHOWN for path in self.path.glob(pattern)):
            if file.is_file():
                yield file.relative_to(self.path).as_posix(), file

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(f"{self.path} cannot be read: {type(error).__name__}: {error}") from error


def folders_in(path: Path) -> list[Folder]:
    """What `path` means: a run, a sweep and then its trials, or all runs and sweeps that lie in it.

    Raises:
        RunError: There is none.
    """
    if _holds_one(path):
        trials = sorted((path / "trials").glob("*")) if (path / "sweep.yaml").exists() else []
        return [Folder(path), *(Folder(trial) for trial in trials if _holds_one(trial))]
    inside = sorted(path.glob("*"))
    if found := [folder for one in inside if _holds_one(one) for folder in folders_in(one)]:
        return found
    raise RunError(f"{path} is no run folder and holds none: it has no config.yaml")


def _holds_one(path: Path) -> bool:
    return (path / "config.yaml").exists() or (path / "sweep.yaml").exists()


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text()) if file.suffix == ".yaml" else json.loads(file.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise RunError(f"{file} cannot be read: it holds {type(content).__name__}, not settings by name")
    return content


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _milliseconds(told_s: float | None, file: Path) -> int:
    """A time that a file tells, or that of the file itself."""
    return round((file.stat().st_mtime if told_s is None else told_s) * 1000)
