"""Several processes over gloo: the same training as one, or a clear refusal."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import assert_same_tensors, tensors
from launching import ACCELERATE, TWO, launch, logged, losses
from tiny import WITH_SAMPLES

from pianogen.config import BudgetConfig, ModelConfig, OptimConfig, TrainConfig
from pianogen.distributed.process_group import check_launch
from pianogen.errors import LaunchError
from pianogen.train import train

MakeRun = Callable[..., TrainConfig]
TOLERANCE = 2e-6  # of the loss: sums over two ranks are made in another order


@pytest.mark.parametrize(
    "kind", ["attn", *(pytest.param(kind, marks=pytest.mark.ranks) for kind in ("rnn", "lstm", "sha"))]
)
def test_two_ranks_train_as_one(tiny_run: MakeRun, kind) -> None:
    changes: dict[str, Any] = {"model": ModelConfig(kind=kind, hidden_size=8)}
    if kind == "attn":  # the picture of a sample takes longer than a run
        changes["validation"] = WITH_SAMPLES
    alone, together = tiny_run("alone", **changes), tiny_run("together", **changes)
    train(alone)
    ran = launch(TWO, together)
    assert ran.returncode == 0, ran.stderr
    np.testing.assert_allclose(losses(together), losses(alone), rtol=TOLERANCE)
    np.testing.assert_allclose(logged(together, "validation/nll"), logged(alone, "validation/nll"), rtol=TOLERANCE)


def test_two_ranks_with_muon_train_as_one(tiny_run: MakeRun) -> None:
    changes = {"model": ModelConfig(kind="attn", hidden_size=8, layer_norm=True), "optim": OptimConfig(kind="muon")}
    alone, together = tiny_run("alone", **changes), tiny_run("together", **changes)
    train(alone)
    ran = launch(TWO, together)
    assert ran.returncode == 0, ran.stderr
    np.testing.assert_allclose(losses(together), losses(alone), rtol=TOLERANCE)


def test_two_ranks_that_accumulate_train_as_one(tiny_run: MakeRun, undisturbed: MakeRun) -> None:
    alone, together = undisturbed(), tiny_run("together", micro_batch=1)
    ran = launch(TWO, together)
    assert ran.returncode == 0, ran.stderr
    np.testing.assert_allclose(losses(together), losses(alone), rtol=TOLERANCE)


def test_two_ranks_resume_bit_equal(tiny_run: MakeRun) -> None:
    quiet, stopped = tiny_run("quiet"), tiny_run("stopped")
    for config in (quiet, replace(stopped, budget=BudgetConfig(steps=3)), stopped):
        ran = launch(TWO, config)
        assert ran.returncode == 0, ran.stderr
    assert_same_tensors(tensors(stopped.out), tensors(quiet.out))


@pytest.mark.slow
def test_four_ranks_resume_bit_equal(tiny_run: MakeRun) -> None:
    """Of more than two ranks the order of the sum counts."""
    four = tuple("4" if word == "2" else word for word in TWO)
    quiet, stopped = tiny_run("quiet"), tiny_run("stopped")
    for config in (quiet, replace(stopped, budget=BudgetConfig(steps=3)), stopped):
        ran = launch(four, config)
        assert ran.returncode == 0, ran.stderr
    assert_same_tensors(tensors(stopped.out), tensors(quiet.out))


def test_ranks_print_no_warnings(tiny_run: MakeRun) -> None:
    assert "Warning" not in launch(TWO, tiny_run(steps=2), forks=False).stderr


def test_a_run_of_two_ranks_resumes_with_one(tiny_run: MakeRun, undisturbed: MakeRun) -> None:
    quiet, elastic = undisturbed(), tiny_run("elastic")
    ran = launch(TWO, replace(elastic, budget=BudgetConfig(steps=3)))
    assert ran.returncode == 0, ran.stderr
    train(elastic)
    np.testing.assert_allclose(losses(elastic), losses(quiet), rtol=TOLERANCE)


def test_accelerate_launch_trains_with_two_processes(tiny_run: MakeRun, undisturbed: MakeRun) -> None:
    alone, together = undisturbed(), tiny_run("together")
    ran = launch((*ACCELERATE, "--multi_gpu", "-m", "pianogen.train"), together)
    assert ran.returncode == 0, ran.stderr
    np.testing.assert_allclose(losses(together), losses(alone), rtol=TOLERANCE)


def test_accelerate_launch_trains_with_one_process(tiny_run: MakeRun, undisturbed: MakeRun) -> None:
    alone, launched = undisturbed(), tiny_run("launched")
    ran = launch((*ACCELERATE[:4], "1", *ACCELERATE[5:], "-m", "pianogen.train"), launched)
    assert ran.returncode == 0, ran.stderr
    assert losses(launched).tolist() == losses(alone).tolist()


def test_a_launcher_that_starts_fewer_processes_than_asked_is_an_error(tiny_run: MakeRun) -> None:
    config = tiny_run()
    ran = launch((*ACCELERATE, "--cpu", "-m", "pianogen.train"), config)
    assert ran.returncode != 0
    assert "the launcher was asked for several processes but started one" in ran.stderr
    assert not Path(config.out).exists()


def test_a_global_batch_that_ranks_cannot_share_is_an_error(tiny_run: MakeRun) -> None:
    ran = launch(TWO, tiny_run(global_batch=3))
    assert ran.returncode != 0
    assert "setting 'global_batch' is 3, but it must be a multiple of the 2 ranks" in ran.stderr


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"MASTER_ADDR": "127.0.0.1"}, "started one"),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, "Slurm runs 4 tasks, but WORLD_SIZE is not set"),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "WORLD_SIZE": "2"}, "Slurm runs 4 tasks, but WORLD_SIZE is 2"),
    ],
)
def test_wrong_launches_are_refused(environment: dict[str, str], message: str) -> None:
    with pytest.raises(LaunchError, match=message):
        check_launch(environment)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"},
        {"SLURM_NTASKS": "4"},  # an interactive allocation, outside srun
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "WORLD_SIZE": "2"},
    ],
)
def test_right_launches_pass(environment: dict[str, str]) -> None:
    check_launch(environment)
