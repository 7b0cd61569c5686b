"""Exact resume: a run that was stopped and resumed ends bit-equal to one that was not stopped."""

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checkpoints import assert_same_tensors, newest, tensors
from logged import logged_lines
from safetensors import SafetensorError
from tiny import WITH_SAMPLES

from pianogen.config import (
    BudgetConfig,
    DataConfig,
    EvaluateConfig,
    GenerateConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
)
from pianogen.errors import RunError, SettingError
from pianogen.evaluation.job import evaluate
from pianogen.files import sha256_of, write_json
from pianogen.generation import generate
from pianogen.train import train

STEPS = 14  # more than an epoch of the tiny shards at 4 rows of 48 tokens

MakeRun = Callable[..., TrainConfig]


def log(run: str) -> list[dict[str, Any]]:
    """Everything logged but times and usage."""
    return logged_lines(Path(run))


def stop_and_resume(config: TrainConfig, *, after: int) -> None:
    train(replace(config, budget=BudgetConfig(steps=after)))
    train(config)


def assert_same(run: str, undisturbed: str) -> None:
    assert_same_tensors(tensors(run), tensors(undisturbed))
    assert training_of(run) == training_of(undisturbed)


def training_of(run: str) -> dict[str, Any]:
    training = json.loads((newest(run) / "training.json").read_text())
    training["position"].pop("seconds")
    return training


@pytest.mark.parametrize("order", ["stream", "excerpts"])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "attn", "sha"])
def test_a_resumed_run_ends_bit_equal(tiny_run: MakeRun, kind: Any, order: Any) -> None:
    changes: dict[str, Any] = {
        "model": ModelConfig(kind=kind, hidden_size=8),
        "data": DataConfig(order=order, excerpt_tokens=48),
    }
    if (kind, order) == ("attn", "stream"):  # the picture of a sample takes longer than a run
        changes["validation"] = replace(WITH_SAMPLES, every_steps=10)  # the stopped run makes one more sample
    quiet, stopped = tiny_run("quiet", STEPS, **changes), tiny_run("stopped", STEPS, **changes)
    train(quiet)
    stop_and_resume(stopped, after=5)
    assert_same(stopped.out, quiet.out)


@pytest.mark.parametrize("after", range(1, 9))
def test_it_may_stop_after_any_step(tiny_run: MakeRun, undisturbed: MakeRun, after: int) -> None:
    changes = {"data": DataConfig(excerpt_tokens=200)}  # an epoch ends within these steps
    quiet, stopped = undisturbed(9, **changes), tiny_run("stopped", 9, **changes)
    stop_and_resume(stopped, after=after)
    assert_same(stopped.out, quiet.out)


def test_dropout_and_accumulation_resume_bit_equal(tiny_run: MakeRun) -> None:
    model = ModelConfig(kind="lstm", hidden_size=8, num_layers=2, dropout=0.3)
    changes = {"model": model, "micro_batch": 1, "validation": WITH_SAMPLES}
    quiet, stopped = tiny_run("quiet", **changes), tiny_run("stopped", **changes)
    train(quiet)
    stop_and_resume(stopped, after=3)
    assert_same(stopped.out, quiet.out)


def test_muon_resumes_bit_equal(tiny_run: MakeRun) -> None:
    changes = {
        "model": ModelConfig(kind="attn", hidden_size=8, num_layers=2, embedding="learned", layer_norm=True),
        "optim": OptimConfig(kind="muon"),
    }
    quiet, stopped = tiny_run("quiet", **changes), tiny_run("stopped", **changes)
    train(quiet)
    stop_and_resume(stopped, after=3)
    assert_same(stopped.out, quiet.out)
    assert "optimizer/momentum.attention.weight" in tensors(quiet.out)


def test_the_log_of_a_resumed_run_repeats_and_misses_nothing(tiny_run: MakeRun, undisturbed: MakeRun) -> None:
    quiet, stopped = undisturbed(), tiny_run("stopped")
    stop_and_resume(stopped, after=3)
    assert [line for line in log(stopped.out) if "train/loss" in line] == [
        line for line in log(quiet.out) if "train/loss" in line
    ]


def test_lines_after_the_checkpoint_are_dropped(tiny_run: MakeRun) -> None:
    config = tiny_run(steps=4)
    train(config)
    with (Path(config.out) / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "time": 0, "train/loss": 9.9}\n{"step": 6, "ti')
    train(replace(config, budget=BudgetConfig(steps=6)))
    steps = [line["step"] for line in log(config.out) if "train/loss" in line]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_finished_run_is_left_as_it_is(tiny_run: MakeRun) -> None:
    config = tiny_run(steps=4)
    train(config)
    before = tensors(config.out)
    train(config)
    assert_same_tensors(tensors(config.out), before)


def damage(file: Path, how: str) -> None:
    data = bytearray(file.read_bytes())
    if how == "flip":
        data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data[: {"empty": 0, "half": len(data) // 2, "short": len(data) - 8}.get(how, len(data))]))


@pytest.mark.parametrize("how", ["empty", "half", "short", "flip"])
@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "training.json", "manifest.json"])
def test_a_damaged_checkpoint_costs_one_interval_and_no_more(
    tiny_run: MakeRun, undisturbed: MakeRun, name: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet, stopped = undisturbed(), tiny_run("stopped")
    shutil.copytree(undisturbed(4).out, stopped.out)
    damage(newest(stopped.out) / name, how)
    train(stopped)
    assert "falling back to the previous checkpoint" in capsys.readouterr().err
    assert_same(stopped.out, quiet.out)


def test_the_last_step_is_validated_wherever_the_last_checkpoint_was(tiny_run: MakeRun) -> None:
    config = tiny_run(steps=6)  # saved at 2, 4, 6; validated at 4
    train(config)
    assert [line["step"] for line in log(config.out) if "validation/nll" in line] == [4, 6]


def test_a_run_with_every_checkpoint_damaged_is_refused(tiny_run: MakeRun) -> None:
    config = tiny_run(steps=4)
    train(config)
    for checkpoint in (Path(config.out) / "checkpoints").glob("step-*"):
        damage(checkpoint / "model.safetensors", "half")
    with pytest.raises(RunError, match=r"every checkpoint in .* is damaged"):
        train(replace(config, budget=BudgetConfig(steps=6)))


def test_a_killed_writer_leaves_nothing_behind(tiny_run: MakeRun) -> None:
    config = tiny_run(steps=4)
    train(config)
    stale = Path(config.out) / "checkpoints" / ".step-00000006.1.tmp"
    stale.mkdir()
    (stale / "model.safetensors").write_bytes(b"half")
    train(replace(config, budget=BudgetConfig(steps=6)))
    assert not stale.exists()


def test_other_settings_are_refused_by_name(tiny_run: MakeRun) -> None:
    config = tiny_run(steps=2)
    train(config)
    with pytest.raises(SettingError, match=r"setting 'model.hidden_size' is 9, but the run in .* was started with 8"):
        train(replace(config, model=ModelConfig(kind="attn", hidden_size=9)))


def as_of_format(run: str, number: int) -> None:
    """Rewrite the checkpoints as another version would have numbered them."""
    for checkpoint in (Path(run) / "checkpoints").glob("step-*"):
        training, manifest = checkpoint / "training.json", checkpoint / "manifest.json"
        write_json(training, {**json.loads(training.read_text()), "format": number})
        entry = {"bytes": training.stat().st_size, "sha256": sha256_of(training)}
        write_json(manifest, {**json.loads(manifest.read_text()), "training.json": entry})


def test_a_run_of_format_1_is_not_resumed(tiny_run: MakeRun) -> None:
    config = tiny_run(steps=4)
    train(config)
    as_of_format(config.out, 1)
    files = [path for path in Path(config.out).rglob("*") if path.is_file() and path.name != ".lock"]
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(RunError, match=r"have format 1, this pianogen resumes 2 and 3.* another --out"):
        train(replace(config, budget=BudgetConfig(steps=6)))
    assert {path: path.read_bytes() for path in files} == before


@pytest.mark.parametrize(("number", "is_read"), [(1, True), (2, True), (3, True), (4, False)])
def test_weights_are_read_from_earlier_formats_and_not_from_a_later_one(
    tiny_run: MakeRun, tmp_path: Path, number: int, is_read: bool
) -> None:
    config = tiny_run(steps=4)
    train(config)
    as_of_format(config.out, number)
    with nullcontext() if is_read else pytest.raises(RunError, match="has format 4, this pianogen reads 1, 2, 3"):
        evaluate([Path(config.out)], EvaluateConfig(split="test"))
        assert generate(Path(config.out), tmp_path / "pieces", GenerateConfig(num=1, tokens=16))


def test_resume_never_refuses_a_folder_that_holds_a_run(tiny_run: MakeRun) -> None:
    config = tiny_run(steps=2)
    train(config)
    with pytest.raises(RunError, match="holds a run already"):
        train(replace(config, resume="never"))


def test_a_full_disk_costs_a_warning_and_no_older_checkpoint(
    tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_run(steps=4)
    train(replace(config, budget=BudgetConfig(steps=2)))

    def full(*_: object) -> None:  # safetensors has an error of its own for it
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    train(config)
    assert "No space left on device" in capsys.readouterr().err
    assert [path.name for path in (Path(config.out) / "checkpoints").glob("*step*")] == ["step-00000002"]
