"""The mirror of run folders in MLflow; the only place that knows mlflow.

A run folder is the truth. Mirroring it is idempotent and may happen at any time: beside the training process, in a
process of its own that training never waits for, or afterwards with `pianogen track sync RUN`.
"""

import fcntl
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pianogen.errors import PianogenError, RunError, SettingError
from pianogen.progress import console

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "pianogen"
_BATCH = 1000  # the most metrics that MLflow takes at once
_POLL_S = 5.0
_PATIENCE_S = 30.0  # how long the end of training waits for the mirror
_MIRRORED = (
    *("config.yaml", "environment.json", "samples/*", "evaluation/*", "model/*"),
    *("sweep.yaml", "best.yaml", "trials.csv"),
)
_STATUS = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "stopped": "KILLED",
    "pruned": "KILLED",
    "failed": "FAILED",
}


def parent_of(run: Path) -> Path | None:
    """The sweep that a run is a trial of, as its parent.json says."""
    file = run / "parent.json"
    return (run / json.loads(file.read_text())["folder"]).resolve() if file.exists() else None


def _shelf(run: Path) -> Path:
    """The folder that holds a run, or the sweep that it is a trial of."""
    return (parent_of(run) or run.resolve()).parent


def default_store(run: Path) -> str:
    """Name the store beside the runs, unless MLFLOW_TRACKING_URI names another."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_shelf(run) / 'mlflow.db'}"


def is_on() -> bool:
    """Whether runs are mirrored by themselves; PIANOGEN_TRACK=off leaves it to `pianogen track sync`."""
    return os.environ.get("PIANOGEN_TRACK") != "off"


@contextmanager
def mirroring(run: Path | None) -> Iterator[None]:
    """Keep a mirror of `run` up to date from another process; without a run, or switched off, do nothing."""
    if run is None or not is_on():
        yield
        return
    with (run / "mlflow.log").open("ab") as log:
        command = [sys.executable, "-m", "pianogen.track", str(run)]
        # its own session, so that a Ctrl-C meant for training does not cut the mirror off; it ends when its stdin does
        follower = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        _wait_for(follower, run)


def _wait_for(follower: "subprocess.Popen[bytes]", run: Path) -> None:
    assert follower.stdin
    follower.stdin.close()
    try:
        failed = follower.wait(_PATIENCE_S) != 0
    except subprocess.TimeoutExpired:
        follower.kill()
        failed = True
    if failed:
        console.print(
            f"[yellow]warning:[/] MLflow has not everything ({run / 'mlflow.log'}); pianogen track sync {run} mends it"
        )


def follow(run: Path) -> None:
    """Mirror `run` until stdin closes, as it does however training ends; then once more, to the last line."""
    over = False
    while not over:
        over = bool(select.select([sys.stdin], [], [], _POLL_S)[0])
        try:
            sync(run)
        except PianogenError as error:
            print(error, file=sys.stderr, flush=True)
            if over:
                raise SystemExit(1) from None


def _state(run: Path) -> str:
    """What status.json says; a run that has none yet is about to begin."""
    file = run / "status.json"
    return json.loads(file.read_text())["state"] if file.exists() else "running"


def sync(run: Path) -> str:
    """Bring the mirror of one run, or of a sweep, up to date and say where it is; a second call changes nothing.

    Raises:
        RunError: It is no run folder, or the store cannot be reached.
    """
    if not (run / "config.yaml").exists() and not (run / "sweep.yaml").exists():
        raise RunError(f"{run} is no run folder: it has no config.yaml")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    from mlflow import MlflowClient

    uri = default_store(run)
    try:
        with _alone(run):
            # a client of a new sqlite file makes its tables, and two of them at once get in each other's way
            with _alone(_shelf(run)) if uri.startswith("sqlite:") else nullcontext():
                client = MlflowClient(tracking_uri=uri)
            mirror = _Mirror(run, client, uri)
            mirror.sync()
    except Exception as error:  # every store and transport raises its own; none of them may stop training
        raise RunError(f"MLflow at {uri} cannot be reached: {' '.join(str(error).split())[:300]}") from error
    return f"{run}: mirrored to {uri}, experiment {EXPERIMENT}, run {mirror.run_id}"


@contextmanager
def _alone(run: Path) -> Iterator[None]:
    """Keep other processes from mirroring the same folder: the trials of a sweep all make sure of their parent."""
    with (run / ".mlflow.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Mirror:
    """One run's part of an MLflow store. `mlflow.json` in the run folder remembers what has been sent."""

    def __init__(self, run: Path, client: "MlflowClient", uri: str) -> None:
        self._run, self._client, self._uri = run, client, uri
        self._memory = run / "mlflow.json"
        sent: dict[str, Any] = json.loads(self._memory.read_text()) if self._memory.exists() else {}
        if sent.get("uri") != uri or not self._knows(sent["run_id"]):
            sent = {"uri": uri, "run_id": self._create(), "steps": {}, "artifacts": {}}
        self._sent = sent
        self._remember()

    def _knows(self, run_id: str) -> bool:
        """Whether the store still has the run: it may have been deleted since."""
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_run(run_id).info.lifecycle_stage == "active"
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise

    @property
    def run_id(self) -> str:
        """MLflow's name of the run."""
        return self._sent["run_id"]

    def sync(self) -> None:
        """Send what is new: metrics, artifacts, and how the run ended."""
        self._send_metrics()
        self._send_evaluations()
        self._send_artifacts()
        state = _state(self._run)
        if state != self._sent.get("state"):
            if state == "running":
                self._client.update_run(self.run_id, status=_STATUS[state])
            else:
                ended = round((self._run / "status.json").stat().st_mtime * 1000)
                self._client.set_terminated(self.run_id, status=_STATUS[state], end_time=ended)
            self._sent["state"] = state
            self._remember()

    def _create(self) -> str:
        import yaml
        from mlflow.entities import Param

        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        experiment_id = experiment.experiment_id if experiment else self._create_experiment()
        is_sweep = (self._run / "sweep.yaml").exists()
        settings = yaml.safe_load((self._run / ("sweep.yaml" if is_sweep else "config.yaml")).read_text())
        tags = {"model": str(settings["model"]["kind"]), **({"kind": "sweep"} if is_sweep else self._origin())}
        # written once, when the run began
        beginning = self._run / ("sweep.yaml" if is_sweep else "environment.json")
        run_id = self._client.create_run(
            experiment_id,
            start_time=round(beginning.stat().st_mtime * 1000),
            run_name=self._run.resolve().name,
            tags=tags,
        ).info.run_id
        self._client.log_batch(run_id, params=[Param(name, str(value)) for name, value in _flat(settings)])
        return run_id

    def _origin(self) -> dict[str, str]:
        """Where a run comes from, as tags."""
        environment = json.loads((self._run / "environment.json").read_text())
        tags = {
            "shards": environment["shards"]["fingerprint"][:12],
            "world_size": str(environment["world_size"]),
            "git_commit": str(environment["git_commit"]),
            "host": environment["host"],
        }
        parent = parent_of(self._run)
        if parent:
            with _alone(parent):
                tags["mlflow.parentRunId"] = _Mirror(parent, self._client, self._uri).run_id
        return tags

    def _create_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        store = default_store(self._run)
        beside = _shelf(self._run) / "mlartifacts"
        try:
            return self._client.create_experiment(EXPERIMENT, beside.as_uri() if store.startswith("sqlite") else None)
        except MlflowException:  # another run's mirror was quicker
            experiment = self._client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                raise
            return experiment.experiment_id

    def _send_metrics(self) -> None:
        from mlflow.entities import Metric

        # the last step sent of each metric: a resumed run repeats steps that a killed life had told already
        last, metrics = self._sent["steps"], []
        for line in _whole_lines(self._run / "metrics.jsonl"):
            step, when = line.pop("step"), round(line.pop("time") * 1000)
            news = [name for name in line if step > last.get(name, -1)]
            metrics += [Metric(name, float(line[name]), when, step) for name in news]
            last.update(dict.fromkeys(news, step))
        self._log(metrics)
        self._remember()

    def _send_evaluations(self) -> None:
        from mlflow.entities import Metric

        for file in sorted((self._run / "evaluation").glob("*.json")):
            if self._is_new(file):
                found = json.loads(file.read_text())
                when = round(file.stat().st_mtime * 1000)
                self._log([Metric(name, float(value), when, found["step"]) for name, value in found["metrics"].items()])

    def _log(self, metrics: list[Any]) -> None:
        for start in range(0, len(metrics), _BATCH):
            self._client.log_batch(self.run_id, metrics=metrics[start : start + _BATCH])

    def _send_artifacts(self) -> None:
        for file in sorted(path for pattern in _MIRRORED for path in self._run.glob(pattern)):
            if file.is_file() and self._is_new(file):
                folder = file.parent.relative_to(self._run).as_posix()
                self._client.log_artifact(self.run_id, str(file), None if folder == "." else folder)
                self._sent["artifacts"][self._name(file)] = file.stat().st_mtime_ns
                self._remember()

    def _is_new(self, file: Path) -> bool:
        return self._sent["artifacts"].get(self._name(file)) != file.stat().st_mtime_ns

    def _name(self, file: Path) -> str:
        return file.relative_to(self._run).as_posix()

    def _remember(self) -> None:
        temporary = self._memory.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(self._sent, indent=2) + "\n")
        temporary.replace(self._memory)


def _whole_lines(file: Path) -> list[dict[str, Any]]:
    """Read the lines of a file that somebody may still be writing."""
    if not file.exists():
        return []
    text = file.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


# one person looks at runs: no dozen of workers for jobs, and nothing told to anybody
_UI_ENVIRONMENT = {
    "MLFLOW_WORKERS": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def ui(runs: Path, port: int) -> None:
    """Open the MLflow UI of a folder of runs on 127.0.0.1, until Ctrl-C.

    Raises:
        SettingError: There is nothing to show.
    """
    store = default_store(runs / "any")
    if store.startswith("sqlite:///") and not Path(store.removeprefix("sqlite:///")).exists():
        raise SettingError(f"{runs} has no mlflow.db; name the folder that holds the runs: pianogen track ui FOLDER")
    artifacts = (runs.resolve() / "mlartifacts").as_uri()
    console.print(f"MLflow: http://127.0.0.1:{port}  (Ctrl-C ends it)", soft_wrap=True)
    stores = ["--backend-store-uri", store, "--default-artifact-root", artifacts]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "mlflow", "server", *stores, *address]
    subprocess.run(command, check=False, env={**_UI_ENVIRONMENT, **os.environ})


if __name__ == "__main__":
    follow(Path(sys.argv[1]))
