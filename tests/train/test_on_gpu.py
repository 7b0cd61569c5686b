"""On a GPU: training that is killed and resumed ends bit-equal, and samples are made where the model is.

Every test here needs one, and says so where it skips. What can be tested without is in tests/ops/test_arithmetic.py,
tests/train/test_environment.py and tests/generation/test_devices.py.
"""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import assert_same_tensors, tensors
from launching import ONE, launch, start, wait_for_step
from tiny import WITH_SAMPLES

from pianogen.config import BudgetConfig, CheckpointConfig, DataConfig, ModelConfig, TrainConfig
from pianogen.generation import SampledPiece, sample
from pianogen.models import PianoModel
from pianogen.train import train, validation

MakeRun = Callable[..., TrainConfig]
STEPS = 40

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: training on one cannot be tested")


@pytest.fixture
def runs(tiny_run: MakeRun) -> Callable[..., tuple[TrainConfig, TrainConfig]]:
    """Make an undisturbed run and one to disturb, of a size for which cuDNN has its persistent kernels."""

    def make(kind: Any, precision: Any) -> tuple[TrainConfig, TrainConfig]:
        changes: dict[str, Any] = {
            "model": ModelConfig(kind=kind, hidden_size=128),
            "data": DataConfig(excerpt_tokens=48),
            "checkpoint": CheckpointConfig(every_steps=5),
            "global_batch": 16,
            "precision": precision,
        }
        return tiny_run("quiet", STEPS, **changes), tiny_run("disturbed", STEPS, **changes)

    return make


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "attn"])
def test_a_killed_and_resumed_run_ends_bit_equal(
    runs: Callable[..., tuple[TrainConfig, TrainConfig]], kind: str, precision: str
) -> None:
    quiet, disturbed = runs(kind, precision)
    assert launch(ONE, quiet).returncode == 0
    process = start(ONE, disturbed)
    wait_for_step(disturbed, 13)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert launch(ONE, disturbed).returncode == 0
    assert_same_tensors(tensors(disturbed.out), tensors(quiet.out))


def test_a_run_records_the_gpu_and_its_arithmetic(runs: Callable[..., tuple[TrainConfig, TrainConfig]]) -> None:
    config, _ = runs("lstm", "bf16")
    assert launch(ONE, config).returncode == 0
    recorded = json.loads((Path(config.out) / "environment.json").read_text())
    assert recorded["arithmetic"] == "bf16, no TF32, deterministic"
    assert recorded["gpu"] in recorded["operations"]


def test_samples_are_made_on_the_gpu(
    runs: Callable[..., tuple[TrainConfig, TrainConfig]], monkeypatch: pytest.MonkeyPatch
) -> None:
    devices: list[str] = []

    def watched(model: PianoModel, *arguments: Any) -> list[SampledPiece]:
        devices.append(next(model.parameters()).device.type)
        return sample(model, *arguments)

    monkeypatch.setattr(validation, "sample", watched)
    config, _ = runs("attn", "bf16")
    train(replace(config, budget=BudgetConfig(steps=1), validation=WITH_SAMPLES))
    assert devices == ["cuda"]
