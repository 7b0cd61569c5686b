"""Several workers on one sweep, and workers that are killed."""

import json
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from forked import LIMIT_S
from searching import LEARNING_RATES, rows_of, search, small, start_worker

from pianogen.config import BudgetConfig, CheckpointConfig, TrainConfig
from pianogen.distributed.requeue import UNFINISHED_STATUS
from pianogen.sweep.worker_group import WorkerGroup

MakeRun = Callable[..., TrainConfig]


def test_two_workers_make_each_trial_once_and_the_whole_budget(tiny_run: MakeRun) -> None:
    config = small(tiny_run("sweep", steps=8))
    workers = [start_worker(config, LEARNING_RATES, "--trials", "8") for _ in range(2)]
    said = [worker.communicate(timeout=LIMIT_S)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    folder = Path(config.out)
    announced = [line for text in said for line in text.splitlines() if line.startswith("trial ")]
    assert sorted(line.split()[1] for line in announced) == [f"{number:04d}" for number in range(8)]
    assert {row["state"] for row in rows_of(folder)} <= {"finished", "pruned"}
    assert len({row["optim.lr"] for row in rows_of(folder)}) == 8
    assert len(list((folder / "trials").iterdir())) == 8


def test_the_trial_of_a_killed_worker_is_resumed_from_its_checkpoint(tiny_run: MakeRun) -> None:
    config = replace(small(tiny_run("sweep", steps=100_000)), checkpoint=CheckpointConfig(every_steps=1, keep=1))
    worker = start_worker(config, LEARNING_RATES, "--trials", "2")
    step = _wait_for_checkpoint(Path(config.out) / "trials" / "0000")
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    before = _lines(Path(config.out) / "trials" / "0000")[:step]
    over_soon = replace(config, budget=BudgetConfig(steps=step + 30))
    # sweep.yaml has the budget that the sweep was started with
    record = Path(config.out) / "sweep.yaml"
    record.write_text(record.read_text().replace("steps: 100000", f"steps: {step + 30}"))
    rows = rows_of(search(over_soon, LEARNING_RATES, trials=2, prune=True))
    after = _lines(Path(config.out) / "trials" / "0000")
    assert [row["state"] for row in rows] == ["finished", "finished"]
    assert after[:step] == before
    assert after[-1]["step"] == step + 30


def test_a_worker_asked_to_stop_leaves_its_trial_for_the_next(tiny_run: MakeRun) -> None:
    config = small(tiny_run("sweep", steps=100_000))
    worker = start_worker(config, LEARNING_RATES, "--trials", "1")
    _wait_for_checkpoint(Path(config.out) / "trials" / "0000")
    worker.send_signal(signal.SIGTERM)
    said = worker.communicate(timeout=LIMIT_S)[0]
    assert ("1 of 1 trials: 1 running" in said, worker.returncode) == (True, UNFINISHED_STATUS), said
    status = json.loads((Path(config.out) / "trials" / "0000" / "status.json").read_text())
    assert status["state"] == "stopped"


def test_exactly_the_last_worker_of_a_job_to_leave_is_told_so(tmp_path: Path) -> None:
    job = {"WORLD_SIZE": "3", "MASTER_ADDR": "node1", "MASTER_PORT": "12345"}
    workers = [WorkerGroup(tmp_path, job) for _ in range(3)]
    assert [worker.leave() for worker in workers] == [False, False, True]
    assert list(tmp_path.iterdir()) == []


def test_a_worker_of_another_job_belongs_to_another_group(tmp_path: Path) -> None:
    job = {"WORLD_SIZE": "2", "MASTER_ADDR": "node1", "MASTER_PORT": "12345"}
    first, other, single = (
        WorkerGroup(tmp_path, job),
        WorkerGroup(tmp_path, {**job, "MASTER_PORT": "12346"}),
        WorkerGroup(tmp_path, {}),
    )
    assert (first.leave(), single.leave(), other.leave()) == (True, True, True)


def _wait_for_checkpoint(run: Path) -> int:
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        steps = [int(path.name[5:]) for path in (run / "checkpoints").glob("step-*")]
        if steps and max(steps) >= 3:
            return max(steps)
        time.sleep(0.02)
    raise AssertionError(f"{run} has no checkpoint after {LIMIT_S} s")


def _lines(run: Path) -> list[dict[str, float]]:
    """Training steps of metrics.jsonl, without a line that a kill left half written."""
    text = (run / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [line for line in lines if "train/loss" in line]
