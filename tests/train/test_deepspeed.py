"""DeepSpeed's ZeRO 1, 2, 3 over gloo: the loss curve of one rank, and checkpoints that any other setup resumes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from forked import ZERO
from launching import ONE, TWO, launch, losses

from pianogen.config import BudgetConfig, ModelConfig, TrainConfig
from pianogen.errors import SettingError
from pianogen.train import train
from pianogen.train.zero import read_stage

MakeRun = Callable[..., TrainConfig]
TOLERANCE = 2e-5  # of the loss: ZeRO sums gradients in other pieces than DDP
FOLDER = Path(__file__).parents[2] / "configs" / "deepspeed"


def file_of(stage: int) -> str:
    return str(FOLDER / f"zero{stage}.json")


def run(launcher: tuple[str, ...], config: TrainConfig, *, forks: bool = True) -> None:
    ran = launch(launcher, config, forks=forks, modules=ZERO)
    assert ran.returncode == 0, ran.stderr[-3000:]


SHA = ModelConfig("sha", 8, embedding="skip_gram", embedding_size=6, freeze_embedding=True)


@pytest.mark.parametrize(
    ("stage", "model"),
    [
        pytest.param(1, ModelConfig("rnn", 8), marks=pytest.mark.ranks, id="1-rnn"),
        pytest.param(2, ModelConfig("lstm", 8), id="2-lstm"),
        pytest.param(3, ModelConfig("attn", 8, layer_norm=True), id="3-attn"),
        pytest.param(3, SHA, marks=pytest.mark.ranks, id="3-sha"),
    ],
)
def test_two_ranks_under_zero_train_as_one_without(tiny_run: MakeRun, stage: int, model: ModelConfig) -> None:
    alone, spread = tiny_run("alone", model=model), tiny_run("spread", model=model, deepspeed=file_of(stage))
    train(alone)
    run(TWO, spread)
    np.testing.assert_allclose(losses(spread), losses(alone), rtol=TOLERANCE)


@pytest.mark.parametrize("stage", [*(pytest.param(stage, marks=pytest.mark.ranks) for stage in (1, 2)), 3])
def test_zero_accumulates_as_one_rank_does_not_have_to(tiny_run: MakeRun, stage: int) -> None:
    alone = tiny_run("alone")
    spread = tiny_run("spread", micro_batch=2, deepspeed=file_of(stage))
    train(alone)
    run(ONE, spread)
    np.testing.assert_allclose(losses(spread), losses(alone), rtol=TOLERANCE)


@pytest.mark.parametrize(
    "attempts",
    [
        pytest.param(((ONE, None), (TWO, 1), (ONE, 3)), id="ddp-zero1-zero3"),
        pytest.param(((TWO, 2), (ONE, None), (TWO, None)), marks=pytest.mark.ranks, id="zero2-ddp-ddp"),
        pytest.param(((TWO, 3), (TWO, 2), (ONE, 1)), marks=pytest.mark.ranks, id="zero3-zero2-zero1"),
    ],
)
def test_a_checkpoint_resumes_under_any_stage_and_number_of_ranks(tiny_run: MakeRun, attempts) -> None:
    quiet, moved = tiny_run("quiet"), tiny_run("moved")
    train(quiet)
    for number, (launcher, stage) in enumerate(attempts, 1):
        deepspeed = file_of(stage) if stage else None
        run(launcher, replace(moved, deepspeed=deepspeed, budget=BudgetConfig(steps=2 * number)))
    np.testing.assert_allclose(losses(moved), losses(quiet), rtol=TOLERANCE)


def test_deepspeed_compiles_nothing_that_a_killed_build_could_block(
    tiny_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "extensions"))
    run(ONE, tiny_run(steps=2, deepspeed=file_of(1)), forks=False)
    assert not (tmp_path / "extensions").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a DeepSpeed file"),
        ("{}", "zero_optimization"),
        ('{"zero_optimization": {"stage": 0}}', "asks for ZeRO stage 0"),
        ('{"zero_optimization": {"stage": 2}, "optimizer": {}}', "sets 'optimizer'"),
    ],
)
def test_a_wrong_deepspeed_file_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "zero.json").write_text(text)
    with pytest.raises(SettingError, match=message):
        read_stage(str(tmp_path / "zero.json"))
