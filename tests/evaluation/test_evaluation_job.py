"""Results of an evaluation: files and rows of each precision apart, and by default the files of earlier versions."""

import json
import shutil
from pathlib import Path

import pytest

from pianogen.config import EvaluateConfig
from pianogen.errors import SettingError
from pianogen.evaluation import ComparisonRow, evaluate
from pianogen.models import PianoModel
from pianogen.ops import forms

GOLDEN = Path(__file__).parents[1] / "golden/format-2"
KEYS_BEFORE = ["split", "step", "checkpoint_sha256", "performances", "chosen", "metrics", "results", "baselines"]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of shards and a run that an earlier version wrote."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "old"))


def scored(old: Path, **settings) -> list[ComparisonRow]:
    return evaluate([old / "run"], EvaluateConfig(split="test", shards=str(old / "shards"), **settings))


def found(old: Path, name: str = "test") -> dict:
    return json.loads((old / "run" / "evaluation" / f"{name}.json").read_text())


def test_by_default_a_result_has_the_keys_that_it_had_before_precision_was_a_setting(old):
    scored(old)
    assert list(found(old)) == KEYS_BEFORE
    assert all(name.startswith("test/") for name in found(old)["metrics"])


def test_results_of_bf16_are_beside_those_of_fp32_and_leave_them_as_they_are(old):
    scored(old)
    before = {path.name: path.read_bytes() for path in (old / "run/evaluation").iterdir()}
    scored(old, precision="bf16")
    after = {path.name: path.read_bytes() for path in (old / "run/evaluation").iterdir()}
    assert after.keys() - before.keys() == {"test-bf16.json", "comparison-test-bf16.md", "figure-5-test-bf16.png"}
    assert after.items() >= before.items()


def test_a_result_of_bf16_says_so_in_its_row_its_file_and_its_metrics(old):
    row, *_ = scored(old, precision="bf16")
    assert row.name.endswith("(run, bf16)")
    assert found(old, "test-bf16")["precision"] == "bf16"
    assert {name.partition("/")[0] for name in found(old, "test-bf16")["metrics"]} == {"test-bf16"}


def test_bf16_differs_from_fp32_by_its_rounding_only(old):
    fp32, bf16 = (scored(old, precision=name)[0].splits["test"]["nll"]["nats"] for name in ("fp32", "bf16"))
    assert bf16 != fp32
    assert bf16 == pytest.approx(fp32, rel=5e-3)


@pytest.mark.parametrize("ops", ["auto", "reference"])
def test_the_form_asked_for_is_used_recorded_and_given_back(old, ops, monkeypatch):
    used, forward = set(), PianoModel.forward

    def spied(self, *arguments):
        used.add(forms._chosen)
        return forward(self, *arguments)

    monkeypatch.setattr(PianoModel, "forward", spied)
    scored(old, ops=ops)
    assert (used, found(old).get("ops", "auto"), forms._chosen) == ({ops}, ops, "auto")


def test_a_precision_that_does_not_exist_is_refused():
    from pianogen.cli import build_parser

    with pytest.raises(SettingError, match=r"Expected one of 'fp32', 'bf16'\. Got value: fp16"):
        build_parser().parse_args(["evaluate", "run", "--precision", "fp16"])


def test_runs_whose_folders_have_one_name_are_told_apart_by_those_above(old):
    first, second = (Path(shutil.copytree(old / "run", old / month / "run")) for month in ("may", "june"))
    runs = [old / "run", first, second, old / "run"]
    rows = evaluate(runs, EvaluateConfig(split="test", shards=str(old / "shards")))
    names = [row.name.partition(" (")[2] for row in rows[:4]]
    assert names == ["old/run)", "may/run)", "june/run)", "old/run)"]
