"""Runs, shards and pieces do not share a folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pianogen.cli import main
from pianogen.config import GenerateConfig, TrainConfig
from pianogen.errors import SettingError
from pianogen.folders import refuse_shards
from pianogen.generation import generate
from pianogen.runs import create_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    create_run(TrainConfig(out=str(tmp_path / "runs/a")), {})
    return tmp_path / "runs/a"


@pytest.mark.parametrize("part", [[], ["--part", "0/2"]])
@pytest.mark.parametrize("below", ["", "shards/deep"])
def test_shards_are_not_made_in_a_run_folder(
    run: Path, below: str, part: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(run.rglob("*"))
    assert main(["shards", "corpus", "--out", str(run / below), *part]) == 2
    assert f"but {run} is a run folder; give the shards another --out" in capsys.readouterr().err
    assert sorted(run.rglob("*")) == before


def test_shards_may_be_beside_runs(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shards", str(tmp_path / "none"), "--out", str(run.parent / "shards")]) == 2
    assert "another --out" not in capsys.readouterr().err


@pytest.mark.parametrize("below", ["", "run"])
@pytest.mark.parametrize("verb", ["train", "sweep"])
def test_a_run_or_sweep_is_not_started_in_a_folder_of_shards(
    tiny_shards: Path, below: str, verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "space.yaml").write_text("optim.lr: [0.1, 0.2]")
    out, before = tiny_shards / below, sorted(tiny_shards.rglob("*"))
    space = [str(tmp_path / "space.yaml")] if verb == "sweep" else []
    words = [verb, *space, "--shards", str(tiny_shards), "--out", str(out), "--budget.steps", "1"]
    assert main(words) == 2
    assert (
        f"but {tiny_shards} holds shards; give the {'run' if verb == 'train' else 'sweep'}" in capsys.readouterr().err
    )
    assert sorted(tiny_shards.rglob("*")) == before


def test_pieces_are_not_written_over_a_run_or_among_shards(run: Path, tiny_shards: Path) -> None:
    with pytest.raises(SettingError, match="is a run folder; give the pieces another --out"):
        generate(run, run, GenerateConfig())
    for out in (tiny_shards, tiny_shards / "pieces"):
        with pytest.raises(SettingError, match="holds shards; give the pieces another --out"):
            generate(run, out, GenerateConfig())


@pytest.mark.parametrize("out", ["", "evaluation"])
@pytest.mark.parametrize("verb", ["judge", "evaluate"])
def test_reports_are_not_written_among_the_scores_of_a_run(
    run: Path, verb: str, out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--reference" if verb == "judge" else "--files", str(tmp_path)]
    assert main([verb, str(run), *given, "--out", str(run / out)]) == 2
    assert f"but {run} is a run folder; give the re" in capsys.readouterr().err


def test_shards_that_are_not_finished_count(tmp_path: Path) -> None:
    (tmp_path / "shards/.parts").mkdir(parents=True)
    with pytest.raises(SettingError, match="holds shards"):
        refuse_shards(tmp_path / "shards/run", "the run")


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"format": 1}), "[" * 20_000], ids=range(4))
def test_another_manifest_is_not_shards(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    refuse_shards(tmp_path / "run", "the run")


def test_an_old_run_inside_shards_resumes(tiny_run: Callable[..., TrainConfig], tmp_path: Path) -> None:
    from pianogen.train import train

    config = tiny_run("parent/run", steps=1)
    train(config)
    (tmp_path / "parent/.parts").mkdir()
    train(config)
