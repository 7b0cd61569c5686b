"""One folder's part of a store, which itself says what it has: a mirror that was killed anywhere goes on from there.

A metric's value at a step is sent once: a later life may repeat steps that a killed one had told already. Scores of
`pianogen evaluate` concern the run as a whole and stand at step 0, where MLflow puts what has no step: its pages draw
them as bars side by side, and of several show the newest.
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
from pianogen.track.folder import Folder, folders_in
from pianogen.track.memory import alone, is_copied, memory_of, new_memory
from pianogen.track.store import EXPERIMENT, Store, StoreError, asking, default_store

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
    """Bring the mirror of a run up to date, or of a sweep with its trials, or of all runs in a folder; say where it is.

    A second call changes nothing. A folder that is damaged does not keep the others from being mirrored.

    Raises:
        RunError: There is no run, one of them is damaged or cannot be written, or the store cannot be reached.
    """
    told, failed = [], []
    for folder in folders_in(path):
        try:
            told.append(_told(folder, *mirror(folder)))
        except StoreError:
            raise
        except RunError as error:
            failed.append(error)
    if failed:
        others = f" ({len(told)} other folders are mirrored)" if told else ""
        raise RunError(f"{failed[0]}{others}") from failed[0]
    return "\n".join(told)


def mirror(folder: Folder) -> tuple[str, str]:
    """Mirror one folder alone; say into which store, and as which run of it.

    Raises:
        RunError: As `sync`.
    """
    _require_text(folder.place)
    uri = default_store(folder.shelf)
    with asking(uri, folder.path), alone(folder.path):
        mirrored = _Mirror(folder, Store(uri))
        mirrored.send()
        return uri, mirrored.run_id


def _told(folder: Folder, uri: str, run_id: str) -> str:
    return f"{folder.path}: mirrored to {uri}, experiment {EXPERIMENT}, run {run_id}"


def _require_text(place: Path) -> None:
    try:
        str(place).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(place).decode(errors="backslashreplace")
        raise RunError(f"{shown} is not mirrored: its path is not UTF-8, which MLflow requires; rename it") from error


def _fitted(values: dict[str, str], length: int, source: Path) -> dict[str, str]:
    """Values that MLflow takes whole: a longer one is cut, says so at its end, and is warned of."""
    return {
        name: value if len(value) <= length else _cut(name, value, length, source) for name, value in values.items()
    }


@cache  # a follower meets the same value every few seconds, and warns once
def _cut(name: str, value: str, length: int, source: Path) -> str:
    mark = f" [cut: {len(value)} characters, whole in the artifact {source.name}]"
    console.print(
        f"[yellow]warning:[/] MLflow takes {length} of the {len(value)} characters of {escape(name)}; "
        f"the whole value is in {escape(str(source))} and in the artifact {source.name}",
        soft_wrap=True,
    )
    return value[: length - len(mark)] + mark


class _Mirror:
    """One folder's run in a store, as the store had it when this was made."""

    def __init__(self, folder: Folder, store: Store) -> None:
        self._folder, self._store, self._client = folder, store, store.client
        self._memory = memory_of(folder.path) or new_memory(folder.path)
        origin = _fitted(folder.origin(), _TAG_LENGTH, folder.began_file)
        self._tags = origin | self._family() | {"folder": str(folder.place)}
        self._there = self._find() or self._create()
        if (self._memory.uri, self._memory.run_id) != (store.uri, self.run_id):
            self._memory.uri, self._memory.run_id, self._memory.artifacts = store.uri, self.run_id, {}
            self._memory.keep()
        latest = self._there.data.to_proto().metrics
        self._values = {metric.key: metric.value for metric in latest}
        self._steps = {metric.key: metric.step for metric in latest}

    @property
    def run_id(self) -> str:
        """MLflow's name of the run."""
        return self._there.info.run_id

    def _family(self) -> dict[str, str]:
        """Of a trial, the run that its sweep is."""
        sweep = self._folder.sweep
        if sweep is None:
            return {}
        with alone(sweep):
            return {"mlflow.parentRunId": _Mirror(Folder(sweep), self._store).run_id}

    def _find(self) -> "Run | None":
        memory = self._memory
        there = self._store.find(memory.id, memory.run_id if memory.uri == self._store.uri else None)
        place = there.data.tags.get("folder") if there else None
        if place and is_copied(self._folder.path, Path(place), memory.id):
            self._memory = new_memory(self._folder.path)
            return None
        return there

    def _create(self) -> "Run":
        tags = self._tags | {"folder_id": self._memory.id}
        return self._store.create(self._folder.place.name, self._folder.began_ms(), tags)

    def send(self) -> None:
        """Send what the store does not have."""
        self._send_origin()
        self._send_metrics(self._new_steps())
        self._send_metrics(self._new_scores())
        self._send_files()
        self._send_state()

    def _send_origin(self) -> None:
        from mlflow.entities import Param, RunTag

        data = self._there.data
        # MLflow takes no second value of a parameter: budget and the like stand as the run was begun with
        settings = {name: value for name, value in self._folder.settings().items() if name not in data.params}
        params = [Param(*setting) for setting in _fitted(settings, _PARAM_LENGTH, self._folder.settings_file).items()]
        tags = [RunTag(*tag) for tag in self._tags.items() if data.tags.get(tag[0]) != tag[1]]
        if params or tags:
            self._client.log_batch(self.run_id, params=params, tags=tags)
        if any(tag.key == "folder" for tag in tags):  # it was moved
            self._client.update_run(self.run_id, name=self._folder.place.name)

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
                # training's own curve of that name, such as train/accuracy, keeps it
                if self._steps.get(name, 0) == 0 and self._values.get(name) != value:
                    yield Metric(name, value, when, 0)

    def _send_metrics(self, metrics: "Iterator[Metric]") -> None:
        while batch := list(islice(metrics, _BATCH)):
            self._client.log_batch(self.run_id, metrics=batch)

    def _send_files(self) -> None:
        sent = self._memory.artifacts
        news = [(name, file) for name, file in self._folder.files() if sent.get(name) != file.stat().st_mtime_ns]
        try:
            for name, file in news:
                changed, inside = file.stat().st_mtime_ns, Path(name).parent.as_posix()
                self._client.log_artifact(self.run_id, str(file), None if inside == "." else inside)
                sent[name] = changed
        finally:
            if news:
                self._memory.keep()

    def _send_state(self) -> None:
        status, info = _STATUS[self._folder.state()], self._there.info
        if status == "RUNNING" and info.status != status:
            self._client.update_run(self.run_id, status=status)
        if status != "RUNNING":
            ended = self._folder.ended_ms()
            if (info.status, info.end_time) != (status, ended):
                self._client.set_terminated(self.run_id, status=status, end_time=ended)
