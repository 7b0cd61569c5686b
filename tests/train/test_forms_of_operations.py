"""Training with each form of the operations: the same result, and the choice is recorded and resolved once."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from logged import logged_lines

from pianogen.config import (
    BudgetConfig,
    CheckpointConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
    ValidationConfig,
)
from pianogen.ops import forms
from pianogen.runs import open_run
from pianogen.train import opening, train

MakeRun = Callable[..., TrainConfig]
STEPS = 200
LEARNING: dict[str, Any] = {
    "global_batch": 8,
    "data": DataConfig(excerpt_tokens=16),
    "optim": OptimConfig(warmup_tokens=2_000),
    "checkpoint": CheckpointConfig(every_steps=STEPS),
    "validation": ValidationConfig(every_steps=STEPS, slice_tokens=1_000, num_samples=0),
}


@pytest.fixture(autouse=True)
def _automatic_form() -> Iterator[None]:
    with forms.using_form("auto"):
        yield


def last_nll(config: TrainConfig) -> float:
    """Train, and return the last validation NLL in nats per token."""
    train(config)
    return [line["validation/nll"] for line in logged_lines(Path(config.out)) if "validation/nll" in line][-1]


@pytest.mark.timeout(900)  # 800 steps, on a machine that may be busy
@pytest.mark.usefixtures("compiled_kernels")
@pytest.mark.parametrize("kind", ["rnn", "lstm", "attn"])
def test_200_steps_end_at_the_same_validation_loss_in_every_form(tiny_run: MakeRun, kind: str) -> None:
    def nll(ops: Literal["auto", "reference"], precision: Literal["fp32", "bf16"]) -> float:
        model = ModelConfig(kind=kind, hidden_size=16)
        return last_nll(tiny_run(f"{ops}-{precision}", STEPS, model=model, ops=ops, precision=precision, **LEARNING))

    reference = nll("reference", "fp32")
    assert reference < 4.0, "the model has learned"
    assert nll("auto", "fp32") == pytest.approx(reference, abs=1e-4)
    assert nll("auto", "bf16") == pytest.approx(reference, abs=5e-3)
    if forms.has_native_bf16(torch.device("cpu")):  # elsewhere auto is this form
        assert nll("reference", "bf16") == pytest.approx(reference, abs=5e-3)


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "fp32")])
def test_precision_auto_is_resolved_when_a_run_starts_and_kept_when_it_resumes(
    tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch, native: bool, precision: str
) -> None:
    monkeypatch.setattr(opening, "has_native_bf16", lambda _: native)
    config = tiny_run("run", 2, precision="auto")
    train(config)
    assert open_run(config.out).config.precision == precision
    monkeypatch.setattr(opening, "has_native_bf16", lambda _: not native)
    train(replace(config, budget=BudgetConfig(steps=3)))
    assert open_run(config.out).config.precision == precision


@pytest.mark.usefixtures("compiled_kernels")
def test_resuming_with_another_form_warns_that_bits_differ(
    tiny_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_run("run", 2)
    train(config)
    environment = json.loads((Path(config.out) / "environment.json").read_text())
    assert re.fullmatch(r"compiled AVX\w+( with bf16)?", environment["operations"])
    train(replace(config, budget=BudgetConfig(steps=3)))
    assert "round differently" not in capsys.readouterr().err
    train(replace(config, ops="reference", budget=BudgetConfig(steps=4)))
    warning = capsys.readouterr().err
    assert "was started with compiled AVX" in warning
    assert "is resumed with torch AVX" in warning
