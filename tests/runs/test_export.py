"""`pianogen export` writes a folder that everything reads as a run, and that says nothing of the machine."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tiny import tiny_config

import pianogen
from pianogen.cli import main
from pianogen.config import ModelConfig, TrainConfig
from pianogen.errors import RunError, SettingError
from pianogen.files import sha256_of
from pianogen.runs import open_run
from pianogen.runs.exporting import export
from pianogen.runs.model_card import licence_of
from pianogen.storage import is_copy
from pianogen.train import train


@pytest.fixture(scope="module")
def config(tiny_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """A finished run, scored on its test split."""
    config = tiny_config(tiny_shards, tmp_path_factory.mktemp("exporting") / "mine", steps=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIANOGEN_TRACK", "off")
        train(config)
        pianogen.evaluate(config.out, split="test")
    return config


@pytest.fixture
def exported(config: TrainConfig, tmp_path: Path) -> Path:
    assert main(["export", config.out, "--out", str(tmp_path / "shared")]) == 0
    return tmp_path / "shared"


def weights_file(run: Path) -> Path:
    return open_run(run).find_checkpoint("last") / "model.safetensors"


def test_the_weights_are_bf16_on_disk_and_fp32_when_read(config: TrainConfig, exported: Path) -> None:
    stored = load_file(weights_file(exported))
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}
    theirs, ours = (open_run(path).load_model()[0].state_dict() for path in (config.out, exported))
    assert {value.dtype for value in ours.values()} == {torch.float32}
    assert all(torch.equal(theirs[name].bfloat16().float(), ours[name]) for name in theirs)


def test_it_holds_the_checkpoint_that_is_asked_for_and_no_state_of_training(
    config: TrainConfig, tmp_path: Path
) -> None:
    made = export(Path(config.out), tmp_path / "second", "2")
    files = {file.relative_to(made.checkpoints).as_posix() for file in made.checkpoints.rglob("*") if file.is_file()}
    step = "step-00000002"
    assert files == {f"{step}/{name}" for name in ("model.safetensors", "training.json", "manifest.json")}


def test_every_file_has_its_hash_in_the_manifest(exported: Path) -> None:
    files = json.loads((exported / "manifest.json").read_text())["files"]
    there = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    assert there - {"manifest.json"} == files.keys()
    assert all(sha256_of(exported / name) == entry["sha256"] for name, entry in files.items())


def test_no_file_names_a_place_on_this_machine(exported: Path, config: TrainConfig, tmp_path: Path) -> None:
    host = open_run(config.out).environment["host"]
    places = [str(tmp_path.parent), str(Path(config.out).parent), config.shards, f'"{host}"']
    for file in exported.rglob("*"):
        if file.suffix in (".json", ".yaml", ".md"):
            assert [place for place in places if place in file.read_text()] == []


def test_everyone_can_read_the_files(exported: Path) -> None:
    assert [path for path in exported.rglob("*") if not path.stat().st_mode & 0o004] == []


@pytest.mark.parametrize("words", [["generate", "--num", "1", "--tokens", "32", "--out"], ["export", "--out"]])
def test_commands_read_it_as_a_run(exported: Path, tmp_path: Path, words: list[str]) -> None:
    assert main([words[0], str(exported), *words[1:], str(tmp_path / "made")]) == 0


def test_its_scores_are_those_of_its_own_weights(exported: Path, config: TrainConfig) -> None:
    rows = pianogen.evaluate(exported, split="test", shards=config.shards)
    assert rows[0].splits["test"]["targets"]["all"] > 0
    found = json.loads((exported / "evaluation" / "test.json").read_text())
    assert found["checkpoint_sha256"] == sha256_of(weights_file(exported))


def test_scoring_it_needs_the_name_of_shards(exported: Path) -> None:
    with pytest.raises(SettingError, match=r"is an export, which does not say where shards are; name some: --shards"):
        pianogen.evaluate(exported)


@pytest.fixture
def other_shards(tiny_shards: Path, tmp_path: Path) -> str:
    from pianogen.config import ShardsConfig
    from shards.build import build

    build(str(tiny_shards.parent / "music"), tmp_path / "others", ShardsConfig(split="random", seed=1))
    return str(tmp_path / "others")


def test_it_is_scored_beside_a_run_on_that_runs_shards(
    exported: Path, other_shards: str, tiny_run: Callable[..., TrainConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    tuned = tiny_run("tuned", steps=2, init=str(exported), model=ModelConfig())
    tuned = replace(tuned, shards=other_shards)
    train(tuned)
    rows = pianogen.evaluate([exported, tuned.out], split="test")
    assert [row.name for row in rows[:2]] == ["LSTM + attention (shared)", "LSTM + attention (tuned)"]
    assert "shared was trained on other shards" in capsys.readouterr().err


def test_another_run_is_not_scored_on_other_shards(config: TrainConfig, other_shards: str) -> None:
    with pytest.raises(RunError, match="use --shards to name the right ones"):
        pianogen.evaluate(config.out, shards=other_shards)


def test_training_does_not_resume_it(exported: Path, config: TrainConfig, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in exported.rglob("*")}
    words = ["--shards", config.shards, "--out", str(exported), "--budget.steps", "9"]
    assert main(["train", *words]) == 2
    message = f"{exported} has weights only, without the state of the optimizer; start a new run: --init {exported}"
    assert capsys.readouterr().err == f"pianogen: {message}\n"
    assert {path: path.stat().st_mtime_ns for path in exported.rglob("*")} == before


def test_a_run_starts_from_it_and_names_no_folder_when_exported(
    exported: Path, tiny_run: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    tuned = tiny_run("tuned", steps=1, init=str(exported), model=ModelConfig())
    train(tuned)
    assert export(Path(tuned.out), tmp_path / "again").environment["init"]["run"] == "shared"


def test_the_card_has_data_recipe_metrics_and_limits(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    head, text = yaml.safe_load(card.split("---\n")[1]), card.split("---\n")[2]
    assert head["library_name"] == "pianogen"
    metrics = json.loads((exported / "evaluation" / "test.json").read_text())["metrics"]
    for words in ("`global_batch 4`", "steps_per_quarter 4", f"{metrics['test/nll']:.4f}", "no loudness"):
        assert words in text
    assert "before rounding to bfloat16" in text


def test_an_export_of_an_export_has_the_scores_of_the_rounded_weights(exported: Path, config: TrainConfig) -> None:
    pianogen.evaluate(exported, split="test", shards=config.shards)
    again = export(exported, exported.with_name("again"))
    assert sha256_of(weights_file(again.path)) == sha256_of(weights_file(exported))
    assert "| these |" in (again.path / "README.md").read_text()
    assert again.environment["exported"] == open_run(exported).environment["exported"]


def test_weights_that_learned_from_maestro_have_its_licence(config: TrainConfig, tmp_path: Path) -> None:
    environment = json.loads((Path(config.out) / "environment.json").read_text())
    from shutil import copytree

    run = copytree(config.out, tmp_path / "run")
    environment["init"] = {"run": "pretrained", "step": 1, "sha256": "0" * 64, "data": ["maestro"]}
    (run / "environment.json").write_text(json.dumps(environment))
    made = export(run, tmp_path / "shared").path
    assert "license: cc-by-nc-sa-4.0" in (made / "README.md").read_text()
    assert "CC-BY-NC-SA-4.0" in (made / "LICENSE").read_text()


def test_other_data_have_no_licence_of_ours(exported: Path) -> None:
    assert licence_of(["folder", "corpus"]) is None
    assert not (exported / "LICENSE").exists()


def test_a_folder_that_is_not_empty_is_left_alone(config: TrainConfig, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(SettingError, match="exists and is not empty"):
        export(Path(config.out), tmp_path / "full")
    with pytest.raises(SettingError, match="is a run folder; give the export another --out"):
        export(Path(config.out), exported)
    assert not is_copy(exported)
