"""A run that starts from the weights of another: `pianogen train --init RUN`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import assert_same_tensors, tensors
from launching import logged
from logged import logged_lines

from pianogen.cli import main
from pianogen.config import BudgetConfig, ModelConfig, ShardsConfig, TokenizerConfig, TrainConfig
from pianogen.errors import RunError, SettingError
from pianogen.files import sha256_of
from pianogen.runs import open_run
from pianogen.track.run_folder import RunFolder
from pianogen.train import train

MakeRun = Callable[..., TrainConfig]
MODEL = ModelConfig(kind="attn", hidden_size=8, embedding="musical", embedding_size=6)


@pytest.fixture
def first(tiny_run: MakeRun) -> TrainConfig:
    """A finished run of another seed; the run that starts from it does not repeat its settings of the model."""
    config = tiny_run("first", steps=4, seed=7, model=MODEL)
    train(config)
    return config


@pytest.fixture
def second(tiny_run: MakeRun, first: TrainConfig) -> TrainConfig:
    return tiny_run("second", steps=4, init=first.out, model=ModelConfig())


def weights(out: str, checkpoint: str) -> dict[str, torch.Tensor]:
    return open_run(out).load_model(checkpoint)[0].state_dict()


def with_lr(config: TrainConfig, lr: float) -> TrainConfig:
    return replace(config, optim=replace(config.optim, lr=lr))


@pytest.mark.parametrize("checkpoint", ["best", "last", "2"])
def test_the_first_step_starts_from_the_weights_of_the_checkpoint(
    first: TrainConfig, second: TrainConfig, checkpoint: str
) -> None:
    train(with_lr(replace(second, init_checkpoint=checkpoint), 1e-30))
    assert_same_tensors(weights(second.out, "last"), weights(first.out, checkpoint))


def test_the_model_is_that_of_the_initial_weights(second: TrainConfig) -> None:
    train(second)
    assert open_run(second.out).config.model == MODEL


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 16}, "'model.hidden_size' is 16, but the weights of .*first have 8; leave it out"),
        ({"kind": "rnn"}, "'model.kind' is 'rnn', but the weights of .*first have 'attn'"),
    ],
)
def test_a_setting_that_contradicts_the_weights_is_refused(second: TrainConfig, changes: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        train(replace(second, model=ModelConfig(**changes)))
    assert not (Path(second.out) / "config.yaml").exists()


def test_a_setting_on_which_no_weight_depends_may_differ(second: TrainConfig) -> None:
    train(replace(second, model=ModelConfig(dropout=0.25, mask="paper")))
    assert open_run(second.out).config.model == replace(MODEL, dropout=0.25, mask="paper")


def command(config: TrainConfig, *words: str) -> list[str]:
    """The command of a run of two steps from another's weights."""
    assert config.init
    budget = ["--budget.steps", "2", "--validation.num_samples", "0", "--global_batch", "4"]
    return ["train", "--init", config.init, "--shards", config.shards, "--out", config.out, *budget, *words]


def test_the_command_needs_no_setting_of_the_model(second: TrainConfig) -> None:
    assert main(command(second)) == 0
    assert open_run(second.out).config.model == MODEL


@pytest.mark.parametrize("words", [["--model.kind", "lstm"], ["--model.kind", "attn", "--model.embedding", "one_hot"]])
def test_a_default_that_is_given_is_a_setting_too(
    second: TrainConfig, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(second, *words)) == 2
    assert f"setting '{words[-2][2:]}' is '{words[-1]}', but the weights of" in capsys.readouterr().err


def test_a_file_of_settings_counts_as_given(
    second: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lstm.yaml").write_text("model:\n  kind: lstm\n")
    assert main([*command(second), "--config", str(tmp_path / "lstm.yaml")]) == 2
    assert "setting 'model.kind' is 'lstm'" in capsys.readouterr().err


def test_shards_of_other_tokens_are_refused(second: TrainConfig, tiny_shards: Path, tmp_path: Path) -> None:
    from shards.build import build

    finer = ShardsConfig(split="random", tokenizer=TokenizerConfig(steps_per_quarter=8))
    build(str(tiny_shards.parent / "music"), tmp_path / "finer", finer)
    with pytest.raises(SettingError, match=r"finer were made with steps_per_quarter 8, but .*first was trained with 4"):
        train(replace(second, shards=str(tmp_path / "finer")))


def test_the_origin_is_recorded(first: TrainConfig, second: TrainConfig) -> None:
    train(second)
    recorded = open_run(second.out).environment["init"]
    checkpoint = open_run(first.out).find_checkpoint("best")
    assert recorded == {
        "run": first.out,
        "step": int(checkpoint.name.removeprefix("step-")),
        "sha256": sha256_of(checkpoint / "model.safetensors"),
        "data": ["folder"],
    }
    assert open_run(second.out).config.init == first.out
    tag = RunFolder(Path(second.out)).origin()["init"]  # in MLflow
    assert tag == f"{first.out}, step {recorded['step']}, weights {recorded['sha256'][:12]}"


def test_the_initial_weights_are_validated_before_the_first_step(first: TrainConfig, second: TrainConfig) -> None:
    train(replace(first, budget=BudgetConfig(steps=8)))
    train(replace(second, init_checkpoint="last"))
    here, there = logged_lines(Path(second.out))[0], logged_lines(Path(first.out))[-1]
    assert (here["step"], there["step"]) == (0, 8)
    assert here["validation/nll"] == pytest.approx(there["validation/nll"])


def test_fine_tuning_lowers_the_validation_nll(second: TrainConfig) -> None:
    train(replace(second, budget=BudgetConfig(steps=12)))
    first, *_, last = logged(second, "validation/nll")
    assert last < first


def test_a_resumed_run_ends_bit_equal_without_its_initial_weights(
    tiny_run: MakeRun, first: TrainConfig, second: TrainConfig
) -> None:
    quiet = replace(second, out=str(Path(second.out).with_name("quiet")))
    train(quiet)
    train(replace(second, budget=BudgetConfig(steps=2)))
    Path(first.out).rename(Path(first.out).with_name("gone"))
    train(second)
    assert_same_tensors(tensors(second.out), tensors(quiet.out))


def test_resuming_needs_no_init(second: TrainConfig) -> None:
    train(replace(second, budget=BudgetConfig(steps=2)))
    assert train(replace(second, init=None)) == "finished"


def test_resuming_with_another_init_is_refused(first: TrainConfig, second: TrainConfig) -> None:
    train(replace(second, budget=BudgetConfig(steps=2)))
    with pytest.raises(SettingError, match="setting 'init' is 'other', but the run in"):
        train(replace(second, init="other"))


@pytest.fixture
def killed(second: TrainConfig) -> TrainConfig:
    """A run that was killed before its first checkpoint."""
    train(replace(second, budget=BudgetConfig(steps=2)))
    for checkpoint in (Path(second.out) / "checkpoints").iterdir():
        checkpoint.rename(Path(second.out).with_name(f"away-{checkpoint.name}"))
    return second


def test_a_run_killed_before_its_first_checkpoint_starts_from_them_again(killed: TrainConfig) -> None:
    quiet = replace(killed, out=str(Path(killed.out).with_name("quiet")))
    train(quiet)
    train(killed)
    assert_same_tensors(tensors(killed.out), tensors(quiet.out))
    assert logged_lines(Path(killed.out)) == logged_lines(Path(quiet.out))


def test_it_does_not_start_again_from_other_weights(killed: TrainConfig, first: TrainConfig) -> None:
    train(replace(first, budget=BudgetConfig(steps=6)))
    with pytest.raises(RunError, match=r"is not what the run in .*second was started from"):
        train(replace(killed, init_checkpoint="best", init=first.out))


def test_an_empty_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--init", "", "--shards", "s", "--out", "o", "--budget.steps", "1"]) == 2
    assert "setting 'init' is '', but it must be a run folder, its URL, or pretrained" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_refused(second: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nothing is not a run folder"):
        train(replace(second, init=str(tmp_path / "nothing")))
