"""The mirror in MLflow: complete, in order, and a second call changes nothing."""

import json
import resource
import shutil
import signal
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mirrored import all_of, change, log, logged, points, state_of, steps, there

from pianogen import track
from pianogen.errors import RunError

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.filterwarnings("ignore"),  # mlflow and sqlalchemy deprecate parts of each other as they load
]


@pytest.mark.parametrize("name", ["train/loss", "train/tokens_per_s", "system/cpu_percent", "validation/nll"])
def test_every_logged_metric_is_sent_once_at_its_step_and_time(client: "MlflowClient", run: Path, name: str) -> None:
    track.sync(run)
    expected = [(line["step"], round(line["time"] * 1000), line[name]) for line in logged(run) if name in line]
    assert points(client, run, name) == expected != []


def test_a_second_sync_writes_nothing(client: "MlflowClient", run: Path, store: str) -> None:
    def content() -> dict[Path, str]:
        database = Path(store.removeprefix("sqlite:///"))
        files = [database, *database.parent.glob("mlartifacts/**/*"), *run.glob("**/*")]
        return {
            file: f"{file.stat().st_mtime_ns} {sha256(file.read_bytes()).hexdigest()}"
            for file in files
            if file.is_file()
        }

    scored(run, f1=0.5)
    track.sync(run)
    before = content()
    track.sync(run)
    assert content() == before


def scored(run: Path, f1: float, step: int = 6) -> None:
    """Write what `pianogen evaluate` writes, as far as the mirror reads it."""
    (run / "evaluation").mkdir(exist_ok=True)
    scores = {"test/f1_weighted": f1, "train/loss": 9.0}
    (run / "evaluation" / "test.json").write_text(json.dumps({"split": "test", "step": step, "metrics": scores}))


def test_results_in_another_precision_have_names_of_their_own(client: "MlflowClient", run: Path) -> None:
    scored(run, f1=0.5, step=6)
    scores = {"test-bf16/f1_weighted": 0.4}
    (run / "evaluation/test-bf16.json").write_text(json.dumps({"split": "test", "step": 4, "metrics": scores}))
    track.sync(run)
    metrics = there(client, run).data.metrics
    names = ("test/f1_weighted", "test/step", "test-bf16/f1_weighted", "test-bf16/step")
    assert [metrics[name] for name in names] == [0.5, 6, 0.4, 4]


def test_settings_state_and_times_are_there(client: "MlflowClient", run: Path) -> None:
    track.sync(run)
    found = there(client, run)
    status, environment = (json.loads((run / f"{name}.json").read_text()) for name in ("status", "environment"))
    assert (found.data.params["model.kind"], found.data.params["optim.lr"]) == ("attn", "0.002")
    assert (found.info.status, found.info.run_name) == ("FINISHED", "run")
    assert found.info.start_time == round(environment["time"] * 1000)
    assert found.info.end_time == round(status["time"] * 1000)


def test_tags_are_model_shards_and_machines(client: "MlflowClient", run: Path) -> None:
    for name in ("environment.json", "status.json"):
        change(run / name, world_size=8, num_nodes=2, host="node1")
    track.sync(run)
    tags = there(client, run).data.tags
    shards = json.loads((run / "environment.json").read_text())["shards"]["fingerprint"]
    assert (tags["model"], tags["shards"]) == ("attn", shards[:12])
    assert (tags["world_size"], tags["num_nodes"], tags["host"]) == ("8", "2", "node1")


def test_ranks_and_machines_are_those_of_the_last_attempt(client: "MlflowClient", run: Path) -> None:
    change(run / "environment.json", world_size=8, num_nodes=2)
    track.sync(run)
    change(run / "status.json", world_size=4, num_nodes=1, host="node7")
    track.sync(run)
    tags = there(client, run).data.tags
    assert (tags["world_size"], tags["num_nodes"], tags["host"]) == ("4", "1", "node7")


def test_a_resumed_run_is_running_again(client: "MlflowClient", run: Path) -> None:
    track.sync(run)
    change(run / "status.json", state="running")
    track.sync(run)
    assert there(client, run).info.status == "RUNNING"


def test_a_step_that_was_sent_before_a_kill_is_not_sent_again(client: "MlflowClient", run: Path) -> None:
    log(run, 7, **{"train/loss": 4.0})
    track.sync(run)
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:-1]))
    log(run, 7, **{"train/loss": 4.0})
    log(run, 8, **{"train/loss": 3.0})
    track.sync(run)
    assert steps(client, run, "train/loss") == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_half_written_line_is_sent_when_it_is_complete(client: "MlflowClient", run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "time": 4e9, "train')
    track.sync(run)
    assert steps(client, run, "train/loss") == [1, 2, 3, 4, 5, 6]
    with (run / "metrics.jsonl").open("a") as file:
        file.write('/loss": 4.0}\n')
    track.sync(run)
    assert steps(client, run, "train/loss") == [1, 2, 3, 4, 5, 6, 7]


def test_the_newer_of_two_evaluations_is_shown_even_of_an_earlier_step(client: "MlflowClient", run: Path) -> None:
    scored(run, f1=0.5, step=6)
    track.sync(run)
    scored(run, f1=0.4, step=4)
    track.sync(run)
    shown = there(client, run).data.metrics
    assert (shown["test/f1_weighted"], shown["test/step"]) == (0.4, 4)


def test_a_score_does_not_change_a_training_metric_of_the_same_name(client: "MlflowClient", run: Path) -> None:
    scored(run, f1=0.5)
    track.sync(run)
    assert steps(client, run, "train/loss") == [1, 2, 3, 4, 5, 6]


def test_a_run_that_the_store_has_lost_is_mirrored_again(client: "MlflowClient", run: Path) -> None:
    track.sync(run)
    lost = state_of(run)["run_id"]
    client.delete_run(lost)
    track.sync(run)
    assert state_of(run)["run_id"] != lost
    assert steps(client, run, "train/loss") == [1, 2, 3, 4, 5, 6]


def test_two_stores_have_one_run_each_however_often_they_change(
    client: "MlflowClient", run: Path, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    shutil.copy(store.removeprefix("sqlite:///"), run.parent / "other.db")
    for uri in (store, f"sqlite:///{run.parent / 'other.db'}", store):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        track.sync(run)
    assert len(all_of(client, run)) == 1
    assert steps(client, run, "train/loss") == [1, 2, 3, 4, 5, 6]


@pytest.fixture
def sweep(trained: Path, tmp_path: Path) -> Path:
    """A sweep of two trials, and a third that has not started."""
    folder = tmp_path / "sweep"
    for name in ("0000", "0001"):
        shutil.copytree(trained, folder / "trials" / name)
        (folder / "trials" / name / "parent.json").write_text('{"folder": "../.."}')
    (folder / "trials" / "0002").mkdir()
    (folder / "sweep.yaml").write_text("model: {kind: attn}\noptim: {lr: [0.1, 0.2]}\n")
    (folder / "status.json").write_text('{"state": "running"}')
    return folder


def test_a_sweep_is_mirrored_with_its_trials_as_children_in_their_order(client: "MlflowClient", sweep: Path) -> None:
    lines = track.sync(sweep).splitlines()
    trials = [sweep / "trials" / "0000", sweep / "trials" / "0001"]
    assert [line.partition(":")[0] for line in lines] == [str(one) for one in (sweep, *trials)]
    parent = state_of(sweep)["run_id"]
    assert [there(client, trial).data.tags["mlflow.parentRunId"] for trial in trials] == [parent, parent]
    assert [steps(client, trial, "train/loss") for trial in trials] == [[1, 2, 3, 4, 5, 6]] * 2


def test_syncing_a_sweep_twice_makes_no_second_run(client: "MlflowClient", sweep: Path) -> None:
    first = track.sync(sweep)
    assert track.sync(sweep) == first
    assert [len(all_of(client, one)) for one in (sweep, *(sweep / "trials").glob("000[01]"))] == [1, 1, 1]


def test_a_trial_that_was_taken_out_of_its_sweep_is_a_run_like_others(client: "MlflowClient", sweep: Path) -> None:
    copy = shutil.copytree(sweep / "trials" / "0000", sweep.parent / "best")
    track.sync(Path(copy))
    assert "mlflow.parentRunId" not in there(client, Path(copy)).data.tags


def test_all_runs_of_a_folder_are_mirrored_despite_a_damaged_one(client: "MlflowClient", run: Path) -> None:
    for name in ("a", "c"):
        shutil.copytree(run, run.parent / name)
    (run.parent / "comparison.md").write_text("no run")
    (run.parent / "a" / "environment.json").write_text("{}")
    with pytest.raises(RunError, match=r"cannot read .*/a: KeyError: 'shards' \(2 other folders are mirrored\)"):
        track.sync(run.parent)
    assert [len(all_of(client, run.parent / name)) for name in ("c", "run")] == [1, 1]


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run folder and contains none"):
        track.sync(tmp_path)


def test_a_server_that_is_down_is_named_in_one_line(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(RunError, match=r"^.*run is not mirrored: MLflow at http://127\.0\.0\.1:9 cannot be reached.*$"):
        track.sync(run)


@pytest.mark.usefixtures("client")
def test_a_folder_that_may_not_be_written_is_named_in_one_line(run: Path) -> None:
    (run / ".mlflow.lock").mkdir()  # to root, who may write anything, this alone is forbidden
    with pytest.raises(RunError, match=r"^cannot write .*run/\.mlflow\.lock: Is a directory; .*$"):
        track.sync(run)


@pytest.fixture
def full_disk(run: Path) -> Iterator[Path]:
    """A run on a disk where no file can grow, which the writer sees as it sees a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    yield run
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("client")
def test_a_full_disk_is_named_in_one_line(full_disk: Path) -> None:
    with pytest.raises(RunError, match=r"^cannot write .*run/mlflow\.json: File too large; .*$") as caught:
        track.sync(full_disk)
    of_the_run = caught.value.__cause__
    assert of_the_run
    assert isinstance(of_the_run.__cause__, OSError)


@pytest.mark.usefixtures("client")
def test_a_damaged_state_of_the_mirror_is_named_in_one_line(run: Path) -> None:
    (run / "mlflow.json").write_text('{"id": "')
    with pytest.raises(
        RunError, match=r"^cannot read .*run/mlflow\.json: .*; remove that file to mirror .* as a new run$"
    ):
        track.sync(run)
