"""What the mirror reads from the folder of a run, sweep or listening study. Reading changes nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pianogen.config import flatten
from pianogen.errors import RunError

_SHOWN = (
    *("config.yaml", "environment.json", "samples/*", "evaluation/*"),
    *("sweep.yaml", "best.yaml", "trials.csv", "trials.png"),
    *("design.json", "results/figure-6.*", "results/results.*", "results/ratings.csv"),  # of a listening study
)
_DESIGN, _RESULTS = "design.json", "results/results.json"
_LAYOUT = ("world_size", "num_nodes", "host")


class RunFolder:
    """The folder of a run, sweep or listening study. Every method may raise RunError for a damaged file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_sweep = (path / "sweep.yaml").exists()
        self.is_study = (path / _DESIGN).exists()
        own = "sweep.yaml" if self.is_sweep else _DESIGN if self.is_study else None
        self.settings_file = path / (own or "config.yaml")
        self.origin_file = path / (own or "environment.json")  # written once

    @property
    def resolved(self) -> Path:
        """The absolute path without symbolic links."""
        return self.path.resolve()

    @property
    def sweep(self) -> Path | None:
        """The sweep of a trial, unless the trial was moved out of it."""
        file = self.path / "parent.json"
        sweep = (self.path / _read(file)["folder"]).resolve() if file.exists() else None
        return sweep if sweep and (sweep / "sweep.yaml").exists() else None

    @property
    def parent_directory(self) -> Path:
        """The folder that contains this folder, or its sweep."""
        return (self.sweep or self.resolved).parent

    def settings(self) -> dict[str, str]:
        """Every setting by its dotted name, such as optim.lr."""
        with self._reading():
            settings = _read(self.settings_file)
            settings.pop("power", None)  # of a study: by hypothesis, which is no name for MLflow
            return {name: str(value) for name, value in flatten(settings).items()}

    def origin(self) -> dict[str, str]:
        """Model, shards and commit; the number of ranks and nodes and the host are those of the last attempt."""
        with self._reading():
            if self.is_study:
                return {"kind": "study", "simulated": str(_read(self.settings_file)["simulated"]).lower()}
            model = {"model": str(_read(self.settings_file)["model"]["kind"])}
            if self.is_sweep:
                return {**model, "kind": "sweep"}
            environment = _read(self.origin_file)
            newest = {**environment, **self._status()}
            return {
                **model,
                "shards": environment["shards"]["fingerprint"][:12],
                "git_commit": str(environment["git_commit"]),
                **_init(environment),
                **{name: str(newest[name]) for name in _LAYOUT if name in newest},
            }

    def _status(self) -> dict[str, Any]:
        """The content of status.json; a run without one is starting."""
        if self.is_study:
            return {"state": "finished" if (self.path / _RESULTS).exists() else "running"}
        file = self.path / "status.json"
        return _read(file) if file.exists() else {"state": "running"}

    def state(self) -> str:
        """One of running, finished, stopped, pruned and failed."""
        with self._reading():
            return self._status()["state"]

    def started_ms(self) -> int:
        """When the first attempt started, since the Unix epoch."""
        origin = {} if self.is_sweep or self.is_study else _read(self.origin_file)
        return _milliseconds(origin.get("time"), self.origin_file)

    def ended_ms(self) -> int:
        """When the last attempt ended, since the Unix epoch."""
        return _milliseconds(self._status().get("time"), self.path / (_RESULTS if self.is_study else "status.json"))

    def lines(self) -> Iterator[dict[str, Any]]:
        """The lines of metrics.jsonl, up to the first incomplete one, which may be being written."""
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
        """Results of `pianogen evaluate` or of a study: the time in ms since the Unix epoch, and the scores by name."""
        for file in sorted(self.path.glob(_RESULTS if self.is_study else "evaluation/*.json")):
            with self._reading():
                found = _read(file)
                scores = {name: float(value) for name, value in found["metrics"].items()}
                if not self.is_study:
                    scores[f"{file.stem}/step"] = float(found["step"])
            yield _milliseconds(None, file), scores

    def files(self) -> Iterator[tuple[str, Path]]:
        """Files to send as artifacts: names in the folder, and paths."""
        for file in sorted(path for pattern in _SHOWN for path in self.path.glob(pattern)):
            if file.is_file():
                yield file.relative_to(self.path).as_posix(), file

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(f"cannot read {self.path}: {type(error).__name__}: {error}") from error


def _init(environment: dict[str, Any]) -> dict[str, str]:
    """The run whose weights this one started from, if any."""
    if "init" not in environment:
        return {}
    init = environment["init"]
    return {"init": f"{init['run']}, step {init['step']}, weights {init['sha256'][:12]}"}


def run_folders_in(path: Path) -> list[RunFolder]:
    """The run or study at `path`, the sweep there followed by its trials, or all of these in that folder.

    Raises:
        RunError: There is none.
    """
    if _is_one(path):
        trials = sorted((path / "trials").glob("*")) if (path / "sweep.yaml").exists() else []
        return [RunFolder(path), *(RunFolder(trial) for trial in trials if _is_one(trial))]
    inside = sorted(path.glob("*"))
    if found := [folder for one in inside if _is_one(one) for folder in run_folders_in(one)]:
        return found
    raise RunError(f"{path} is not a run folder and contains none: it has no config.yaml")


def _is_one(path: Path) -> bool:
    return any((path / name).exists() for name in ("config.yaml", "sweep.yaml", _DESIGN))


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text()) if file.suffix == ".yaml" else json.loads(file.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"cannot read {file}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise RunError(f"cannot read {file}: it contains {type(content).__name__}, not settings by name")
    return content


def _milliseconds(recorded_s: float | None, file: Path) -> int:
    """The time recorded in a file, or else its modification time."""
    return round((file.stat().st_mtime if recorded_s is None else recorded_s) * 1000)
