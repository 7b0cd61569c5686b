"""Signals and kills: only the steps since the last checkpoint are lost, and the final weights are the same."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from checkpoints import assert_same_tensors, tensors
from launching import ONE, TWO, launch, start, wait_for_step

from pianogen.config import BudgetConfig, CheckpointConfig, TrainConfig
from pianogen.distributed.requeue import UNFINISHED_STATUS
from pianogen.train import train

MakeRun = Callable[..., TrainConfig]
STEPS = 60


def status(config: TrainConfig) -> str:
    return json.loads((Path(config.out) / "status.json").read_text())["state"]


@pytest.fixture
def runs(tiny_run: MakeRun) -> tuple[TrainConfig, TrainConfig]:
    """One undisturbed run and one to disturb."""
    changes = {"checkpoint": CheckpointConfig(every_steps=5)}
    return tiny_run("quiet", STEPS, **changes), tiny_run("disturbed", STEPS, **changes)


def test_a_run_killed_three_times_ends_with_the_same_weights(runs: tuple[TrainConfig, TrainConfig]) -> None:
    quiet, disturbed = runs
    train(quiet)
    for step in (7, 23, 41):
        process = start(ONE, disturbed)
        wait_for_step(disturbed, step)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    train(disturbed)
    assert_same_tensors(tensors(disturbed.out), tensors(quiet.out))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_saves_and_leaves(runs: tuple[TrainConfig, TrainConfig], number: signal.Signals) -> None:
    quiet, disturbed = runs
    process = start(ONE, disturbed)
    wait_for_step(disturbed, 7)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert (process.returncode, status(disturbed)) == (UNFINISHED_STATUS, "stopped")
    train(quiet)
    train(disturbed)
    assert_same_tensors(tensors(disturbed.out), tensors(quiet.out))


def test_ctrl_c_saves_and_says_how_to_resume(runs: tuple[TrainConfig, TrainConfig]) -> None:
    _, disturbed = runs
    process = start(ONE, disturbed)
    wait_for_step(disturbed, 7)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to resume" in output
    assert "Traceback" not in output


def test_a_signal_to_one_rank_stops_both_at_the_same_step(runs: tuple[TrainConfig, TrainConfig]) -> None:
    quiet, disturbed = runs
    process = start(TWO, disturbed)
    wait_for_step(disturbed, 7)
    os.kill(json.loads((Path(disturbed.out) / "status.json").read_text())["pid"], signal.SIGUSR2)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, status(disturbed)) == (1, "stopped"), output  # torchrun's own
    for config in (disturbed, quiet):
        assert launch(TWO, config).returncode == 0
    assert_same_tensors(tensors(disturbed.out), tensors(quiet.out))


def test_two_at_once_in_one_folder_are_refused(runs: tuple[TrainConfig, TrainConfig]) -> None:
    _, config = runs
    process = start(ONE, replace(config, budget=BudgetConfig(seconds=300)))
    try:
        wait_for_step(config, 2)
        second = launch(ONE, config)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert second.returncode == 2
    assert "is in use by process" in second.stderr


def test_a_killed_rank_ends_the_job(runs: tuple[TrainConfig, TrainConfig]) -> None:
    _, config = runs
    process = start(TWO, replace(config, budget=BudgetConfig(seconds=300)))
    wait_for_step(config, 3)
    os.kill(json.loads((Path(config.out) / "status.json").read_text())["pid"], signal.SIGKILL)
    begin = time.monotonic()
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert time.monotonic() - begin < 60
