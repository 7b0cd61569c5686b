"""A sweep whose workers are tasks of an array on two nodes: they share the trials, and none is lost with a worker."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from arrays import EACH_A_NODE, process_of_task, wait_for_tasks
from slurm_cluster import until
from training import ATTEMPT_S, SETTINGS, TinyRun, Trainings

from pianogen import track
from pianogen.cli import main
from pianogen.runs import open_run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
SPACE = {"optim": {"lr": {"low": 1.0e-3, "high": 1.0e-1, "log": True}}}
TRIALS, STEPS = 3, 200
FLAGS = {**SETTINGS, "trials": TRIALS, "budget.steps": STEPS, "checkpoint.every_steps": 20}


class Sweep:
    """A sweep's folder, and the array of its two workers."""

    def __init__(self, trainings: Trainings, name: str) -> None:
        self.path = trainings.folder / name / "sweep"
        space = trainings.folder / "space.yaml"
        space.write_text(yaml.safe_dump(SPACE))
        flags = [word for key, value in FLAGS.items() for word in (f"--{key}", str(value))]
        where = {"PIANOGEN_SHARDS": str(trainings.shards), "PIANOGEN_RUNS": str(self.path.parent)}
        self.array = trainings.sbatch(f"--array=0-1 {EACH_A_NODE}", "sweep.sh", space, *flags, **where)

    @property
    def trials(self) -> list[TinyRun]:
        """Those that were started, by number."""
        return [TinyRun(path) for path in sorted((self.path / "trials").glob("*"))]

    def statuses(self) -> list[dict[str, Any]]:
        """How each trial ended, and where."""
        return [json.loads((trial.path / "status.json").read_text()) for trial in self.trials]


@pytest.fixture(scope="module")
def quiet_sweep(trainings: Trainings) -> Sweep:
    """A sweep with nothing in its way."""
    sweep = Sweep(trainings, "quiet sweep")
    ended = wait_for_tasks(trainings.cluster, sweep.array, 0, 1)
    assert ended == ["COMPLETED", "COMPLETED"], trainings.log()
    return sweep


def test_the_workers_share_the_trials_and_train_each_once(quiet_sweep: Sweep) -> None:
    assert [status["state"] for status in quiet_sweep.statuses()] == ["finished"] * TRIALS
    assert {status["host"] for status in quiet_sweep.statuses()} == {"node1", "node2"}
    assert [trial.steps for trial in quiet_sweep.trials] == [list(range(1, STEPS + 1))] * TRIALS


def test_the_best_settings_are_a_config_file_for_train(quiet_sweep: Sweep, tmp_path: Path) -> None:
    out = tmp_path / "best"
    command = ["train", "--config", str(quiet_sweep.path / "best.yaml"), "--out", str(out), "--budget.steps", "2"]
    assert main(command) == 0
    best = min(quiet_sweep.trials, key=lambda trial: min(line.get("validation/nll", 9.0) for line in trial.lines))
    assert open_run(out).config.optim == open_run(best.path).config.optim


def test_a_killed_worker_and_a_requeued_one_change_nothing_in_the_result(
    trainings: Trainings, quiet_sweep: Sweep
) -> None:
    cluster, sweep = trainings.cluster, Sweep(trainings, "disturbed sweep")
    until(lambda: sum(bool(trial.steps) for trial in sweep.trials) >= 2, ATTEMPT_S, trainings.log)
    os.kill(process_of_task(sweep.array, 0, "sweep"), signal.SIGKILL)
    cluster.ask("scancel", "--signal=USR2", f"{sweep.array}_1")
    assert wait_for_tasks(cluster, sweep.array, 0, 1) == ["FAILED", "COMPLETED"], trainings.log()
    assert cluster.restarts(f"{sweep.array}_1") == 1
    assert [trial.losses for trial in sweep.trials] == [trial.losses for trial in quiet_sweep.trials]
    assert (sweep.path / "trials.csv").read_text() == (quiet_sweep.path / "trials.csv").read_text()


@pytest.mark.mlflow
@pytest.mark.filterwarnings("ignore")  # mlflow and sqlalchemy deprecate parts of each other as they load
def test_the_trials_of_both_nodes_are_children_of_one_run(quiet_sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    store = f"sqlite:///{quiet_sweep.path.parent / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    for run in (*quiet_sweep.trials, quiet_sweep):
        track.sync(run.path)
    client = MlflowClient(store)
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    (parent,) = [run for run in runs if run.data.tags.get("kind") == "sweep"]
    children = {str(run.info.run_name): run.data.tags for run in runs if run is not parent}
    assert sorted(children) == [trial.path.name for trial in quiet_sweep.trials]
    assert {tags["mlflow.parentRunId"] for tags in children.values()} == {parent.info.run_id}
    assert {tags["host"] for tags in children.values()} == {"node1", "node2"}
