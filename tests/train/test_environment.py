"""What a run records of its machines."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from launching import TWO, launch

from pianogen.config import BudgetConfig, TrainConfig
from pianogen.errors import LaunchError
from pianogen.files import write_json
from pianogen.train import loop, opening, train
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


def test_the_arithmetic_is_recorded_and_ranks_must_agree_on_it(
    tiny_run: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: dict[str, Any] = {}
    monkeypatch.setattr(opening, "check_agreement", compared.update)
    config = tiny_run(steps=1, precision="bf16")
    train(config)
    recorded = json.loads((Path(config.out) / "environment.json").read_text())["arithmetic"]
    assert recorded.startswith("bf16")  # on a GPU there is more
    assert compared["arithmetic"] == recorded


@pytest.mark.parametrize("then", ["fp32, TF32, not deterministic", None])
def test_resuming_with_other_arithmetic_warns_unless_none_was_recorded(
    tiny_run: Callable[..., TrainConfig], capsys: pytest.CaptureFixture[str], then: str | None
) -> None:
    config = tiny_run(steps=1)
    train(config)
    file = Path(config.out) / "environment.json"
    write_json(file, {**json.loads(file.read_text()), "arithmetic": then})
    train(replace(config, budget=BudgetConfig(steps=2)))
    warning = f"was started with {then} arithmetic and is resumed with fp32"
    assert (warning in capsys.readouterr().err) == (then is not None)


def test_gpu_arithmetic_is_set_before_the_ranks_meet(
    tiny_run: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA's libraries and NCCL read it when they start. The GPU is pretended, so the run ends there."""

    def meet(*_: object) -> None:
        raise LaunchError(f"{os.environ['CUBLAS_WORKSPACE_CONFIG']} {torch.are_deterministic_algorithms_enabled()}")

    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(loop, "start_ranks", meet)
    with pytest.raises(LaunchError, match=r"^:16:8 True$"):
        train(tiny_run())
    assert not torch.are_deterministic_algorithms_enabled()


def test_status_json_has_the_ranks_and_machines_of_the_newest_attempt(tiny_run: Callable[..., TrainConfig]) -> None:
    config = tiny_run(steps=2)
    assert launch(TWO, config).returncode == 0
    first = json.loads((Path(config.out) / "status.json").read_text())
    train(replace(config, budget=BudgetConfig(steps=4)))
    second = json.loads((Path(config.out) / "status.json").read_text())
    assert [(status["world_size"], status["num_nodes"]) for status in (first, second)] == [(2, 1), (1, 1)]
