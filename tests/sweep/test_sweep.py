"""A sweep by one worker: the whole budget, the whole grid, bad trials given up, and a best file that train takes."""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import yaml
from forked import LIMIT_S, MIRROR, popen
from searching import LEARNING_RATES, rows_of, search, small

from pianogen import track
from pianogen.cli import main
from pianogen.config import DataConfig, TrainConfig
from pianogen.distributed.independent import separate_ranks
from pianogen.errors import RunError, SettingError, ShardError
from pianogen.runs import open_run
from pianogen.train import train
from pianogen.train.checkpointing import CheckpointManager

MakeRun = Callable[..., TrainConfig]
TWO_RATES = {"optim.lr": [1.0e-6, 1.0e-2]}  # the second learns in a few steps, the first does not


@pytest.fixture
def config(tiny_run: MakeRun) -> TrainConfig:
    """Settings of each trial; the sweep is in `out`."""
    return small(tiny_run("sweep", steps=4))


def test_calling_again_with_more_trials_resumes_the_sweep(config: TrainConfig) -> None:
    folder = search(config, LEARNING_RATES, trials=1)
    first = rows_of(folder)[0]
    search(config, LEARNING_RATES, trials=3)
    assert len(rows_of(folder)) == 3
    assert first in rows_of(folder)


def test_a_grid_tries_every_combination_exactly_once(config: TrainConfig) -> None:
    space = {"model.hidden_size": {"low": 2, "high": 4}, "optim.lr": [0.01, 0.02], "data.fraction": 0.5}
    rows = rows_of(search(config, space, grid=True))
    assert sorted((row["model.hidden_size"], row["optim.lr"]) for row in rows) == [
        (size, lr) for size in "234" for lr in ("0.01", "0.02")
    ]


def test_a_trial_worse_than_the_others_is_pruned(config: TrainConfig) -> None:
    space = {"optim.lr": [1.0e-2, 2.0e-2, 1.0e-6]}
    folder = search(replace(config, optim=replace(config.optim, warmup_tokens=0)), space, grid=True, prune_after=2)
    last = rows_of(folder)[-1]
    assert (last["optim.lr"], last["state"], last["last_step"]) == ("1e-06", "pruned", "1")
    assert json.loads((folder / "trials" / last["trial"] / "status.json").read_text())["state"] == "pruned"


def test_without_pruning_every_trial_uses_its_budget(config: TrainConfig) -> None:
    rows = rows_of(search(config, {"optim.lr": [1.0e-2, 1.0e-6]}, grid=True, prune=False, prune_after=1))
    assert [(row["state"], row["last_step"]) for row in rows] == [("finished", "4")] * 2


def test_settings_that_cannot_be_trained_fail_one_trial(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    from pianogen.sweep import worker

    def diverging(config: TrainConfig, *hook: object) -> None:
        if config.optim.lr > 0.5:
            raise RunError("the gradient was not finite 10 times")
        train(config, *hook)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "train", diverging)
    rows = rows_of(search(config, {"optim.lr": [1.0, 1.0e-2]}, grid=True))
    assert [(row["state"], row["reason"]) for row in rows] == [
        ("finished", ""),
        ("failed", "the gradient was not finite 10 times"),
    ]


def test_a_sweep_of_failures_names_the_first_reason(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    from pianogen.sweep import worker

    def failing(config: TrainConfig, *hook: object) -> None:
        raise RunError("no luck")

    monkeypatch.setattr(worker, "train", failing)
    with pytest.raises(RunError, match=r"all 2 trials of .* failed; the first: no luck"):
        search(config, TWO_RATES, grid=True)


def test_a_trial_that_kills_three_workers_is_failed(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    from pianogen.sweep import worker

    def deadly(config: TrainConfig, *hook: object) -> None:
        if config.optim.lr > 0.5:
            raise MemoryError
        train(config, *hook)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "train", deadly)
    space = {"optim.lr": [1.0, 1.0e-2]}
    for _ in range(3):
        with pytest.raises(MemoryError):
            search(config, space, grid=True)
    assert [(row["state"], row["reason"]) for row in rows_of(search(config, space, grid=True))] == [
        ("finished", ""),
        ("failed", "3 workers were killed after step 0; their logs may contain the reason"),
    ]


def test_failures_in_a_journal_of_version_0_1_0_are_counted(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pianogen.sweep import worker

    def killed(config: TrainConfig, *hook: object) -> None:
        raise MemoryError

    monkeypatch.setattr(worker, "train", killed)
    for _ in range(3):
        with pytest.raises(MemoryError):
            search(config, LEARNING_RATES, trials=1)
    journal = Path(config.out) / "journal.log"
    journal.write_text(journal.read_text().replace('"failures"', '"deaths"'))
    with pytest.raises(RunError, match="3 workers were killed after step 0"):
        search(config, LEARNING_RATES, trials=1)


def test_a_trial_that_gets_further_with_every_worker_is_finished(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pianogen.sweep import worker

    attempts = count(1)

    def dying(config: TrainConfig, hook: Callable[[int, dict[str, float]], bool]) -> None:
        attempt = next(attempts)

        def validate_or_die(step: int, metrics: dict[str, float]) -> bool:
            if step == attempt:  # before its checkpoint: the next attempt repeats it
                raise MemoryError
            return hook(step, metrics)

        train(config, validate_or_die)

    monkeypatch.setattr(worker, "train", dying)
    for _ in range(4):
        with pytest.raises(MemoryError):
            search(config, LEARNING_RATES, trials=1)
    assert [(row["state"], row["last_step"]) for row in rows_of(search(config, LEARNING_RATES, trials=1))] == [
        ("finished", "4")
    ]


def test_a_line_that_a_full_disk_cut_short_costs_nothing_else(config: TrainConfig) -> None:
    folder = search(config, LEARNING_RATES, trials=1)
    with (folder / "journal.log").open("a") as journal:
        journal.write('{"op_code":7,"trial_i')
    search(config, LEARNING_RATES, trials=2)
    assert [row["state"] for row in rows_of(search(config, LEARNING_RATES, trials=3))] == ["finished"] * 3


def test_a_damaged_journal_is_named(config: TrainConfig) -> None:
    journal = search(config, LEARNING_RATES, trials=1) / "journal.log"
    journal.write_text(journal.read_text().replace('"op_code"', '"op_c', 1))
    with pytest.raises(RunError, match=r"journal\.log is damaged \(.*; give another --out"):
        search(config, LEARNING_RATES, trials=1)


def test_missing_shards_fail_no_trial(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="nowhere"):
        search(replace(config, shards=str(tmp_path / "nowhere")), LEARNING_RATES, trials=1)
    assert not (Path(config.out) / "trials").exists()


def test_a_signal_between_two_trials_is_not_lost(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    from pianogen.sweep import worker

    def interrupted(config: TrainConfig, *hook: object) -> None:
        os.kill(os.getpid(), signal.SIGUSR2)  # before train has its own handler, as if a moment earlier
        train(config, *hook)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "train", interrupted)
    assert [row["state"] for row in rows_of(search(config, TWO_RATES, grid=True))] == ["finished"]


def test_a_signal_after_the_last_step_of_a_trial_is_not_lost(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(checkpoints: CheckpointManager) -> None:
        os.kill(os.getpid(), signal.SIGUSR2)  # the trial has used its budget, so that it is finished and not stopped

    monkeypatch.setattr(CheckpointManager, "require_any", interrupted)
    assert [row["state"] for row in rows_of(search(config, TWO_RATES, grid=True))] == ["finished"]


def test_a_stepped_range_gives_round_numbers(config: TrainConfig) -> None:
    rows = rows_of(search(config, {"model.dropout": {"low": 0.1, "high": 0.3, "step": 0.1}}, grid=True))
    assert sorted(row["model.dropout"] for row in rows) == ["0.1", "0.2", "0.3"]


def test_best_yaml_is_a_run_with_the_best_settings_on_all_data(config: TrainConfig, tmp_path: Path) -> None:
    sample = replace(config, data=DataConfig(excerpt_tokens=16, fraction=0.5))
    folder = search(sample, TWO_RATES, grid=True)
    assert main(["train", "--config", str(folder / "best.yaml"), "--out", str(tmp_path / "best")]) == 0
    best, trial = open_run(tmp_path / "best").config, open_run(folder / "trials" / "0001").config
    assert (best.optim.lr, trial.data.fraction) == (1.0e-2, 0.5)
    assert replace(best, out="", data=trial.data, optim=trial.optim) == replace(trial, out="")
    assert best.data == replace(trial.data, fraction=1.0)


def test_the_best_trial_is_first_with_its_lowest_validation_nll(config: TrainConfig) -> None:
    folder = search(config, TWO_RATES, grid=True)
    first = rows_of(folder)[0]
    lines = (folder / "trials" / first["trial"] / "metrics.jsonl").read_text().splitlines()
    nlls = [json.loads(line)["validation/nll"] for line in lines if "validation/nll" in line]
    assert (first["optim.lr"], float(first["validation_nll"])) == ("0.01", min(nlls))


def test_one_seed_gives_one_search(config: TrainConfig, tmp_path: Path) -> None:
    once = search(config, LEARNING_RATES, trials=2)
    again = search(replace(config, out=str(tmp_path / "again")), LEARNING_RATES, trials=2)
    assert rows_of(once) == rows_of(again)
    assert len({row["optim.lr"] for row in rows_of(once)}) == 2


def test_other_settings_than_at_the_start_are_refused_by_name(config: TrainConfig) -> None:
    search(config, LEARNING_RATES, trials=1)
    with pytest.raises(SettingError, match=r"setting 'seed' is 9, but the sweep in .* was started with 1"):
        search(replace(config, seed=9), LEARNING_RATES, trials=1)


def test_another_space_is_refused_by_name(config: TrainConfig) -> None:
    search(config, LEARNING_RATES, trials=1)
    space = {"optim": {"lr": {"low": 1.0e-3, "high": 1.0, "log": True}}}
    with pytest.raises(SettingError, match=r"setting 'optim\.lr\.high' is 1\.0, but .* started with 0\.1"):
        search(config, space, trials=1)


def test_a_bad_space_is_one_line_and_exit_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "space.yaml").write_text("optim: {lrr: [1]}")
    status = main(["sweep", str(tmp_path / "space.yaml"), "--shards", "s", "--out", "o", "--budget.steps", "1"])
    assert (status, capsys.readouterr().err) == (
        2,
        f"pianogen: {tmp_path / 'space.yaml'}: unknown setting 'optim.lrr'; did you mean 'optim.lr'?\n",
    )


def test_a_sub_sample_is_one_flag(config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(TWO_RATES))
    flags = ["--shards", config.shards, "--out", config.out, "--budget.steps", "1", "--model.hidden_size", "4"]
    flags += ["--data.excerpt_tokens", "16", "--global_batch", "4", "--data.fraction", "0.1", "--trials", "1"]
    assert main(["sweep", str(tmp_path / "space.yaml"), *flags]) == 0
    assert open_run(Path(config.out) / "trials" / "0000").config.data.fraction == 0.1


def test_each_rank_of_a_job_is_a_worker_with_a_gpu_of_its_own() -> None:
    environment = {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "node1"}
    environment |= {"MASTER_PORT": "10000", "SLURM_NTASKS": "4", "SLURM_PROCID": "3", "CUDA_VISIBLE_DEVICES": "4,5"}
    separate_ranks(environment)
    assert environment == {
        "RANK": "0",
        "LOCAL_WORLD_SIZE": "2",
        "SLURM_PROCID": "3",
        "CUDA_VISIBLE_DEVICES": "5",
    }


def test_a_single_rank_of_a_job_is_a_worker_without_a_process_group() -> None:
    environment = {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": "node1"}
    separate_ranks(environment)
    assert environment == {"RANK": "0", "LOCAL_WORLD_SIZE": "1"}


def test_a_process_without_a_launcher_keeps_its_environment() -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "0,1"}
    separate_ranks(environment)
    assert environment == {"CUDA_VISIBLE_DEVICES": "0,1"}


@pytest.mark.mlflow
@pytest.mark.filterwarnings("ignore")  # mlflow and sqlalchemy deprecate parts of each other as they load
def test_trials_are_children_of_one_run_in_the_store_beside_the_sweep(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("PIANOGEN_TRACK", "off")
    folder = search(config, TWO_RATES, grid=True)
    trials = [folder / "trials" / name for name in ("0000", "0001")]
    # both make the store and the parent at once
    sync = (sys.executable, "-m", "pianogen", "track", "sync")
    syncing = [popen([*sync, str(run)], modules=MIRROR) for run in trials]
    assert [process.wait(timeout=LIMIT_S) for process in syncing] == [0, 0]
    track.sync(folder)
    client = MlflowClient(tracking_uri=f"sqlite:///{folder.parent / 'mlflow.db'}")
    parent, *children = [
        client.get_run(json.loads((run / "mlflow.json").read_text())["run_id"]) for run in (folder, *trials)
    ]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert (parent.info.status, parent.data.tags["kind"]) == ("FINISHED", "sweep")
    assert {item.path for item in client.list_artifacts(parent.info.run_id)} == {
        "sweep.yaml",
        "best.yaml",
        "trials.csv",
        "trials.png",
    }
