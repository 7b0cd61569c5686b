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
from forked import LIMIT_S
from launching import ONE, TWO, launch, start, wait_for_step

from pianogen.config import BudgetConfig, CheckpointConfig, TrainConfig
from pianogen.distributed.requeue import UNFINISHED_STATUS
from pianogen.train import train

MakeRun = Callable[..., TrainConfig]
STEPS = 60


def status(config: TrainConfig) -> str:
    return json.loads((Path(config.out) / "status.json").read_text())["state"]


CHANGES = {"checkpoint": CheckpointConfig(every_steps=5)}


@pytest.fixture
def disturbed(tiny_run: MakeRun) -> TrainConfig:
    """A run to disturb."""
    return tiny_run("disturbed", STEPS, **CHANGES)


def test_a_run_killed_three_times_ends_with_the_same_weights(disturbed: TrainConfig, undisturbed: MakeRun) -> None:
    for step in (7, 23, 41):
        process = start(ONE, disturbed)
        wait_for_step(disturbed, step)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    train(disturbed)
    assert_same_tensors(tensors(disturbed.out), tensors(undisturbed(STEPS, **CHANGES).out))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_saves_and_leaves(disturbed: TrainConfig, undisturbed: MakeRun, number: signal.Signals) -> None:
    process = start(ONE, disturbed)
    wait_for_step(disturbed, 7)
    process.send_signal(number)
    process.communicate(timeout=LIMIT_S)
    assert (process.returncode, status(disturbed)) == (UNFINISHED_STATUS, "stopped")
    train(disturbed)
    assert_same_tensors(tensors(disturbed.out), tensors(undisturbed(STEPS, **CHANGES).out))


def test_ctrl_c_saves_and_says_how_to_resume(disturbed: TrainConfig) -> None:
    process = start(ONE, disturbed)
    wait_for_step(disturbed, 7)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert "run the same command again to resume" in output
    assert "Traceback" not in output


def test_a_signal_to_one_rank_stops_both_at_the_same_step(disturbed: TrainConfig, tiny_run: MakeRun) -> None:
    quiet = tiny_run("quiet", STEPS, **CHANGES)
    process = start(TWO, disturbed)
    wait_for_step(disturbed, 7)
    os.kill(json.loads((Path(disturbed.out) / "status.json").read_text())["pid"], signal.SIGUSR2)
    output, _ = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, status(disturbed)) == (1, "stopped"), output  # torchrun's own
    for config in (disturbed, quiet):
        assert launch(TWO, config).returncode == 0
    assert_same_tensors(tensors(disturbed.out), tensors(quiet.out))


def test_two_at_once_in_one_folder_are_refused(disturbed: TrainConfig) -> None:
    process = start(ONE, replace(disturbed, budget=BudgetConfig(seconds=300)))
    try:
        wait_for_step(disturbed, 2)
        second = launch(ONE, disturbed)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert second.returncode == 2
    assert "is in use by process" in second.stderr


def test_a_killed_rank_ends_the_job(disturbed: TrainConfig) -> None:
    process = start(TWO, replace(disturbed, budget=BudgetConfig(seconds=300)))
    wait_for_step(disturbed, 3)
    os.kill(json.loads((Path(disturbed.out) / "status.json").read_text())["pid"], signal.SIGKILL)
    begin = time.monotonic()
    process.communicate(timeout=LIMIT_S)
    assert process.returncode != 0
    assert time.monotonic() - begin < 60
