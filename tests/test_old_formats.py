"""What earlier versions wrote stays usable: shards, a run of format 2 and its pieces.

golden/format-2 was written by commit 3ac5c1f; metrics-to-step-6.jsonl is what that commit logged when resuming it.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pianogen.config import BudgetConfig, GenerateConfig
from pianogen.data import open_shards
from pianogen.generation import generate
from pianogen.runs import open_run
from pianogen.train import train


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of the folders that the earlier version wrote."""
    return Path(shutil.copytree(Path(__file__).parent / "golden/format-2", tmp_path / "old"))


def logged(file: Path, name: str) -> dict[int, float]:
    """A metric by step."""
    return {line["step"]: line[name] for line in map(json.loads, file.read_text().splitlines()) if name in line}


def test_old_shards_open(old: Path) -> None:
    shards = open_shards(old / "shards")
    assert [len(shards.split(name)) for name in ("train", "validation", "test")] == [16, 1, 1]


def test_the_model_of_an_old_run_loads(old: Path) -> None:
    model, info = open_run(old / "run").load_model()
    assert (info.step, model.config.hidden_size) == (4, 4)


def test_an_old_run_resumes_as_the_version_that_wrote_it_would(old: Path) -> None:
    run = open_run(old / "run")
    config = replace(run.config, shards=str(old / "shards"), out=str(old / "run"), budget=BudgetConfig(steps=6))
    assert train(config) == "finished"
    for name in ("train/loss", "validation/nll"):
        assert logged(run.metrics_file, name) == pytest.approx(logged(old / "metrics-to-step-6.jsonl", name), rel=1e-5)
    newest = run.find_checkpoint("last")
    training = json.loads((newest / "training.json").read_text())
    assert (training["format"], training["position"]["last_validated_step"]) == (3, 6)
    assert (newest / "state.safetensors").exists()


def test_a_piece_of_an_old_run_is_not_made_again(old: Path) -> None:
    before = (old / "pieces/0000.mid").stat().st_mtime_ns
    generate(old / "run", old / "pieces", GenerateConfig(num=2, tokens=32))
    assert (old / "pieces/0000.mid").stat().st_mtime_ns == before
    assert (old / "pieces/0001.mid").exists()


def test_a_piece_made_again_has_the_same_sidecar_byte_for_byte(old: Path) -> None:
    before = (old / "pieces/0000.json").read_bytes()
    (old / "pieces/0000.json").unlink()
    generate(old / "run", old / "pieces", GenerateConfig(num=1, tokens=32))
    assert (old / "pieces/0000.json").read_bytes() == before
