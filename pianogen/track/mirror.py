"""One folder's run in a store. What is missing there is asked of the store, so that a killed mirror can resume.

A metric's value at a step is sent once: a resumed run may repeat steps that were sent before it was killed. Scores of
`pianogen evaluate` concern the run as a whole and are sent as step 0, where MLflow puts what has no step: its pages
draw them as bars side by side and show the newest of several.
"""

import os
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from pianogen.errors import RunError
from pianogen.progress import console
from pianogen.track.mirror_state import is_copied, locked, new_state, read_state
from pianogen.track.run_folder import RunFolder, run_folders_in
from pianogen.track.store import EXPERIMENT, Store, StoreError, default_store, explaining

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

_BATCH = 1000  # the most metrics that MLflow takes at once
_PARAM_LENGTH, _TAG_LENGTH = 6000, 8000  # the longest values that MLflow takes
_STATUS = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "stopped": "KILLED",
    "pruned": "KILLED",
    "failed": "FAILED",
}


def sync(path: Path) -> str:
    """Update the mirror of a run, of a sweep with its trials, or of all runs in a folder; return a line for each.

    A second call changes nothing. A damaged folder does not prevent mirroring the others.

    Raises:
        RunError: There is no run, one of them is damaged or cannot be written, or the store cannot be reached.
    """
    mirrored, failed = [], []
    for folder in run_folders_in(path):
        try:
            uri, run_id = mirror(folder)
            mirrored.append(f"{folder.path}: mirrored to {uri}, experiment {EXPERIMENT}, run {run_id}")
        except StoreError:
            raise
        except RunError as error:
            failed.append(error)
    if failed:
        others = f" ({len(mirrored)} other folders are mirrored)" if mirrored else ""
        raise RunError(f"{failed[0]}{others}") from failed[0]
    return "\n".join(mirrored)


def sync_or_warn(path: Path) -> None:
    """As `sync`, without its lines; an error is a warning."""
    try:
        sync(path)
    except RunError as error:
        console.print(f"[yellow]warning:[/] {escape(str(error))}", soft_wrap=True)


def mirror(folder: RunFolder) -> tuple[str, str]:
    """Mirror one folder; return the store's URI and the run's id there.

    Raises:
        RunError: As `sync`.
    """
    _require_text(folder.resolved)
    uri = default_store(folder.parent_directory)
    with explaining(uri, folder.path), locked(folder.path):
        mirrored = _Mirror(folder, Store(uri))
        mirrored.send()
        return uri, mirrored.run_id


def _require_text(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise RunError(f"{shown} is not mirrored: its path is not UTF-8, which MLflow requires; rename it") from error


def _fitted(values: dict[str, str], length: int, source: Path) -> dict[str, str]:
    """Cut values that are longer than MLflow accepts, mark them as cut, and warn."""
    return {
        name: value if len(value) <= length else _cut(name, value, length, source) for name, value in values.items()
    }


@cache  # a follower gets the same value every few seconds, and warns once
def _cut(name: str, value: str, length: int, source: Path) -> str:
    mark = f" [cut: {len(value)} characters, whole in the artifact {source.name}]"
    console.print(
        f"[yellow]warning:[/] MLflow takes {length} of the {len(value)} characters of {escape(name)}; "
        f"the whole value is in {escape(str(source))} and in the artifact {source.name}",
        soft_wrap=True,
    )
    return value[: length - len(mark)] + mark


class _Mirror:
    """One folder's run in a store, as it was in the store when this was created."""

    def __init__(self, folder: RunFolder, store: Store) -> None:
        self._folder, self._store, self._client = folder, store, store.client
        self._state = read_state(folder.path) or new_state(folder.path)
        origin = _fitted(folder.origin(), _TAG_LENGTH, folder.origin_file)
        self._tags = origin | self._parent_tag() | {"folder": str(folder.resolved)}
        self._run = self._find() or self._create()
        if (self._state.uri, self._state.run_id) != (store.uri, self.run_id):
            self._state.uri, self._state.run_id, self._state.artifacts = store.uri, self.run_id, {}
            self._state.write()
        latest = self._run.data.to_proto().metrics
        self._values = {metric.key: metric.value for metric in latest}
        self._steps = {metric.key: metric.step for metric in latest}

    @property
    def run_id(self) -> str:
        """MLflow's id of the run."""
        return self._run.info.run_id

    def _parent_tag(self) -> dict[str, str]:
        """For a trial, the tag that names the sweep's run as its parent run."""
        sweep = self._folder.sweep
        if sweep is None:
            return {}
        with locked(sweep):
            return {"mlflow.parentRunId": _Mirror(RunFolder(sweep), self._store).run_id}

    def _find(self) -> "Run | None":
        state = self._state
        found = self._store.find(state.id, state.run_id if state.uri == self._store.uri else None)
        recorded = found.data.tags.get("folder") if found else None
        if recorded and is_copied(self._folder.path, Path(recorded), state.id):
            self._state = new_state(self._folder.path)
            return None
        return found

    def _create(self) -> "Run":
        tags = self._tags | {"folder_id": self._state.id}
        return self._store.create(self._folder.resolved.name, self._folder.started_ms(), tags)

    def send(self) -> None:
        """Send what the store does not have."""
        self._send_origin()
        self._send_metrics(self._new_steps())
        self._send_metrics(self._new_scores())
        self._send_files()
        self._send_state()

    def _send_origin(self) -> None:
        from mlflow.entities import Param, RunTag

        data = self._run.data
        # MLflow refuses a second value of a parameter: budget and the like keep their first values
        settings = {name: value for name, value in self._folder.settings().items() if name not in data.params}
        params = [Param(*setting) for setting in _fitted(settings, _PARAM_LENGTH, self._folder.settings_file).items()]
        tags = [RunTag(*tag) for tag in self._tags.items() if data.tags.get(tag[0]) != tag[1]]
        if params or tags:
            self._client.log_batch(self.run_id, params=params, tags=tags)
        if any(tag.key == "folder" for tag in tags):  # the folder was moved
            self._client.update_run(self.run_id, name=self._folder.resolved.name)

    def _new_steps(self) -> "Iterator[Metric]":
        from mlflow.entities import Metric

        for line in self._folder.lines():
            step, when = line.pop("step"), round(line.pop("time") * 1000)
            for name, value in line.items():
                if step > self._steps.get(name, -1):
                    self._steps[name] = step
                    yield Metric(name, float(value), when, step)

    def _new_scores(self) -> "Iterator[Metric]":
        from mlflow.entities import Metric

        for when, scores in self._folder.evaluations():
            for name, value in scores.items():
                # training's own metric of that name, such as train/accuracy, is kept
                if self._steps.get(name, 0) == 0 and self._values.get(name) != value:
                    yield Metric(name, value, when, 0)

    def _send_metrics(self, metrics: "Iterator[Metric]") -> None:
        while batch := list(islice(metrics, _BATCH)):
            self._client.log_batch(self.run_id, metrics=batch)

    def _send_files(self) -> None:
        sent = self._state.artifacts
        news = [(name, file) for name, file in self._folder.files() if sent.get(name) != file.stat().st_mtime_ns]
        try:
            for name, file in news:
                changed, inside = file.stat().st_mtime_ns, Path(name).parent.as_posix()
                self._client.log_artifact(self.run_id, str(file), None if inside == "." else inside)
                sent[name] = changed
        finally:
            if news:
                self._state.write()

    def _send_state(self) -> None:
        status, info = _STATUS[self._folder.state()], self._run.info
        if status == "RUNNING" and info.status != status:
            self._client.update_run(self.run_id, status=status)
        if status != "RUNNING":
            ended = self._folder.ended_ms()
            if (info.status, info.end_time) != (status, ended):
                self._client.set_terminated(self.run_id, status=status, end_time=ended)
