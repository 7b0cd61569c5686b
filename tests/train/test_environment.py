"""What a run records of its machines."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from launching import TWO, launch

from pianogen.config import BudgetConfig, TrainConfig
from pianogen.train import train
from pianogen.train.environment import layout


@pytest.mark.parametrize(
    ("world_size", "environment", "num_nodes"),
    [
        (1, {}, 1),
        (8, {"LOCAL_WORLD_SIZE": "4"}, 2),
        (5, {"LOCAL_WORLD_SIZE": "2"}, 3),  # the last machine has one
        (1, {"LOCAL_WORLD_SIZE": "4", "SLURM_STEP_NUM_NODES": "2"}, 1),  # a worker of a sweep, alone among others
        (4, {"SLURM_STEP_NUM_NODES": "2"}, 2),
        (1, {"SLURM_STEP_NUM_NODES": "2"}, 1),
    ],
)
def test_machines_are_counted_from_the_variables_of_the_launcher(
    world_size: int, environment: dict[str, str], num_nodes: int
) -> None:
    assert layout(world_size, environment) == {"world_size": world_size, "num_nodes": num_nodes}


def test_a_run_on_one_machine_says_so(tiny_run: Callable[..., TrainConfig]) -> None:
    config = tiny_run(steps=1)
    train(config)
    recorded = json.loads((Path(config.out) / "environment.json").read_text())
    assert (recorded["num_nodes"], recorded["host"]) == (1, os.uname().nodename)


def test_status_json_has_the_ranks_and_machines_of_the_newest_attempt(tiny_run: Callable[..., TrainConfig]) -> None:
    config = tiny_run(steps=2)
    assert launch(TWO, config).returncode == 0
    first = json.loads((Path(config.out) / "status.json").read_text())
    train(replace(config, budget=BudgetConfig(steps=4)))
    second = json.loads((Path(config.out) / "status.json").read_text())
    assert [(status["world_size"], status["num_nodes"]) for status in (first, second)] == [(2, 1), (1, 1)]
