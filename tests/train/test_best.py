"""The weights called best are the best that were written, measured on the slice that validation reads now."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pianogen.config import BudgetConfig, CheckpointConfig, TrainConfig, ValidationConfig
from pianogen.data import open_shards
from pianogen.evaluation import metrics_of, results, score
from pianogen.runs import open_run
from pianogen.runs.checkpoint import list_checkpoints, write_checkpoint
from pianogen.train import train
from pianogen.train.validation import Validation, head_of

MakeRun = Callable[..., TrainConfig]
SLICE, SHORTER = 120, 60  # tokens


def every_two(steps: int, make: MakeRun, keep: int = 1) -> TrainConfig:
    validation = ValidationConfig(every_steps=2, slice_tokens=SLICE, num_samples=0)
    return make(steps=steps, validation=validation, checkpoint=CheckpointConfig(every_steps=2, keep=keep))


def give_nlls(monkeypatch: pytest.MonkeyPatch, nlls: Mapping[int, float]) -> None:
    """Have validation find these by step."""
    monkeypatch.setattr(Validation, "validate", lambda self: {"validation/nll": nlls[self._trainer.position.step]})


def fill_disk(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    """Have the first save of each of these steps fail."""
    left = list(steps)

    def write(folder: Path, step: int, *what: Any) -> Path:
        if step in left:
            left.remove(step)
            raise OSError(28, "No space left on device")
        return write_checkpoint(folder, step, *what)

    monkeypatch.setattr("pianogen.train.checkpointing.write_checkpoint", write)


def best_of(config: TrainConfig) -> int:
    """The step that best.json names, which must exist."""
    named = json.loads((Path(config.out) / "checkpoints" / "best.json").read_text())["step"]
    assert open_run(config.out).find_checkpoint("best").name == f"step-{named:08d}"
    return named


@pytest.mark.parametrize(("nlls", "best"), [({2: 1.0, 4: 0.5, 6: 0.9}, 6), ({2: 0.6, 4: 0.5, 6: 0.9}, 2)])
def test_weights_that_could_not_be_saved_are_never_the_best(
    tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch, nlls: dict[int, float], best: int
) -> None:
    config = every_two(6, tiny_run)
    give_nlls(monkeypatch, nlls)
    fill_disk(monkeypatch, 4)
    train(config)
    assert best_of(config) == best
    train(config)  # and every rerun
    assert best_of(config) == best


def test_the_position_names_the_best_that_was_written(tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    config = every_two(6, tiny_run)
    give_nlls(monkeypatch, {2: 0.6, 4: 0.5, 6: 0.9})
    fill_disk(monkeypatch, 4)
    train(config)
    training = json.loads((open_run(config.out).find_checkpoint("last") / "training.json").read_text())
    assert training["position"]["best"] == {"step": 2, "nll": 0.6, "slice_tokens": SLICE}


def test_the_last_save_is_tried_again_where_it_failed(tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    config = every_two(4, tiny_run)
    give_nlls(monkeypatch, {2: 0.6, 4: 0.5})
    fill_disk(monkeypatch, 4)
    train(config)
    assert best_of(config) == 4


def test_a_best_json_that_cannot_be_written_removes_nothing_that_it_names(
    tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = every_two(2, tiny_run)
    give_nlls(monkeypatch, {2: 0.6, 4: 0.5})
    train(config)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pianogen.train.checkpointing.write_json", full)
    train(replace(config, budget=BudgetConfig(steps=4)))
    assert (best_of(config), "was not updated" in " ".join(capsys.readouterr().err.split())) == (2, True)
    monkeypatch.undo()
    train(replace(config, budget=BudgetConfig(steps=4)))
    assert best_of(config) == 4


def test_a_best_checkpoint_that_is_missing_is_forgotten(tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    config = every_two(6, tiny_run, keep=2)
    give_nlls(monkeypatch, {2: 0.1, 4: 0.8, 6: 0.9, 8: 0.7})
    train(config)
    shutil.rmtree(open_run(config.out).step_folder(2))
    train(replace(config, budget=BudgetConfig(steps=8)))
    assert best_of(config) == 8


def test_the_best_is_the_best_on_the_slice_that_is_read_now(tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    config = every_two(4, tiny_run, keep=9)
    with monkeypatch.context() as patch:
        give_nlls(patch, {2: 0.002, 4: 0.001})  # as an easy slice would
        train(config)
    train(replace(config, budget=BudgetConfig(steps=8), validation=replace(config.validation, slice_tokens=SHORTER)))
    run = open_run(config.out)
    performances = head_of(open_shards(config.shards).split("validation"), SHORTER)
    nlls = {}
    for path in list_checkpoints(run.checkpoints):
        model, info = run.load_model(path.name[5:])
        if info.step >= 4:  # step 2 was worse than 4 when it was measured
            found = results(score(model, performances, "strict", rows=16), seconds=0.0, notes=0)
            nlls[info.step] = metrics_of("validation", found)["validation/nll"]
    named = json.loads((run.checkpoints / "best.json").read_text())
    assert (named["step"], named["slice_tokens"]) == (min(nlls, key=lambda step: nlls[step]), SHORTER)
    assert named["nll"] == pytest.approx(nlls[named["step"]], rel=1e-6)


def test_more_tokens_than_there_are_is_the_same_slice(
    tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    all_of_it = ValidationConfig(every_steps=2, slice_tokens=10**6, num_samples=0)
    config = tiny_run(steps=2, validation=all_of_it)
    train(config)
    train(replace(config, validation=replace(all_of_it, slice_tokens=10**7)))
    assert "validation reads" not in capsys.readouterr().err


def test_the_last_step_is_validated_where_a_resumed_run_has_no_step_left(tiny_run: MakeRun) -> None:
    config = tiny_run(steps=6)  # validated at 4 and 6, saved at 2, 4 and 6
    train(config)
    for step in (4, 6):
        shutil.rmtree(open_run(config.out).step_folder(step))
    train(replace(config, budget=BudgetConfig(steps=2)))
    log = map(json.loads, (Path(config.out) / "metrics.jsonl").read_text().splitlines())
    assert [line["step"] for line in log if "validation/nll" in line] == [2]
    assert best_of(config) == 2
