"""Runs of different tokenizers, compared on the performances that the shards of all have in one split."""

import io
import json
import math
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from small_run import make_run
from tiny import random_notes

from pianogen.config import EvaluateConfig, ShardsConfig, TokenizerConfig
from pianogen.data import open_shards
from pianogen.errors import SettingError
from pianogen.evaluation import evaluate, score
from pianogen.evaluation.nll_figure import write_nll_figure
from pianogen.evaluation.results import results
from pianogen.evaluation.shard_comparison import common_subsets
from pianogen.evaluation.shard_report import ShardsRow, shards_caption, shards_markdown, shards_table
from pianogen.metrics import GROUPS
from pianogen.runs import open_run
from pianogen.tokens import write_midi
from shards.build import build

FINE = TokenizerConfig(steps_per_quarter=8)


def write_music(folder: Path, numbers: range) -> Path:
    folder.mkdir(parents=True)
    for number in numbers:  # on a grid of 8, so that a grid of 4 merges some notes
        write_midi(random_notes(number, 40 + number), folder / f"{number:02d}.mid", steps_per_quarter=8)
    return folder


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Shards of the same files at two grids, of fewer files, and of others."""
    folder = tmp_path_factory.mktemp("grids")
    all_files, others = write_music(folder / "music", range(40)), write_music(folder / "others", range(40, 60))
    fewer = write_music(folder / "fewer", range(28))
    for name, music, tokenizer in (
        ("grid-4", all_files, TokenizerConfig()),
        ("grid-8", all_files, FINE),
        ("fewer", fewer, FINE),
        ("others", others, FINE),
    ):
        build(str(music), folder / "shards" / name, ShardsConfig(split="random", tokenizer=tokenizer))
    return {name: folder / "shards" / name for name in ("grid-4", "grid-8", "fewer", "others")}


@pytest.fixture
def runs(sets, tmp_path: Path) -> list[Path]:
    return [make_run(tmp_path / "runs" / name, "lstm", shards=sets[name]) for name in ("grid-4", "grid-8")]


def sources(folder: Path, split: str) -> list[str]:
    found = open_shards(folder).split(split)
    return [found.metadata(index)["source"] for index in range(len(found))]


def content(runs: list[Path], name: str = "comparison-shards") -> dict:
    return json.loads((runs[0].parent / f"{name}.json").read_text())


@pytest.mark.parametrize("split", ["train", "test"])
def test_common_performances_are_those_in_the_split_of_every_set(sets, split):
    folders = sets["grid-4"], sets["fewer"]
    expected = set(sources(folders[0], split)) & set(sources(folders[1], split))
    found = common_subsets({str(folder): open_shards(folder) for folder in folders}, split, EvaluateConfig())
    for folder, subset in zip(folders, found.values(), strict=True):
        assert {sources(folder, split)[index] for index in subset.chosen or ()} == expected
    assert 0 < len(expected) < len(sources(folders[0], split))


def test_common_performances_have_one_order_and_one_length_in_seconds(sets):
    folders = sets["grid-4"], sets["fewer"]
    one, other = common_subsets(
        {str(folder): open_shards(folder) for folder in folders}, "train", EvaluateConfig()
    ).values()
    names = [
        [sources(folder, "train")[index] for index in subset.chosen or ()]
        for folder, subset in zip(folders, (one, other), strict=True)
    ]
    assert names[0] == names[1]
    assert one.seconds == other.seconds


def test_of_train_about_as_many_tokens_as_asked_for_are_compared(sets):
    opened = {name: open_shards(sets[name]) for name in ("grid-4", "grid-8")}
    few, all_of_them = (common_subsets(opened, "train", EvaluateConfig(train_tokens=tokens)) for tokens in (500, 10**6))
    assert (
        0 < len(few["grid-4"].performances) == len(few["grid-8"].performances) < len(all_of_them["grid-4"].performances)
    )


def test_shards_without_a_common_performance_are_refused(sets, tmp_path):
    runs = [make_run(tmp_path / name, "lstm", shards=sets[name]) for name in ("grid-4", "others")]
    with pytest.raises(SettingError, match="no performance in common"):
        evaluate(runs, EvaluateConfig())


def test_each_run_is_scored_on_the_tokens_of_its_own_grid(runs, sets):
    rows = evaluate(runs, EvaluateConfig())
    for run, row in zip(runs, rows, strict=False):
        split = open_shards(sets[run.name]).split("test")
        ids = [split.tokens(index) for index in range(len(split))]
        nats = float(score(open_run(run).load_model()[0], ids, "strict").nll_nats.sum())
        assert row.splits["test"]["nll"]["nats"] == pytest.approx(nats, rel=1e-5)
    assert [row.name for row in rows[2:]] == ["5-gram", "5-gram"]


def test_the_results_of_the_runs_whole_splits_are_left_alone(runs):
    evaluate(runs, EvaluateConfig())
    assert not any((run / "evaluation").exists() for run in runs)
    assert {path.name for path in runs[0].parent.iterdir() if path.is_file()} == {
        f"comparison-shards.{suffix}" for suffix in ("md", "png", "json")
    }


def test_the_file_says_what_was_compared_and_what_was_left_out(sets, tmp_path):
    runs = [make_run(tmp_path / name, "lstm", shards=sets[name]) for name in ("grid-4", "fewer")]
    evaluate(runs, EvaluateConfig(split="train"))
    found = content(runs, "comparison-shards-train")
    common = set(sources(sets["grid-4"], "train")) & set(sources(sets["fewer"], "train"))
    assert set(found["sources"]) == common
    assert found["left_out"] == {run.name: len(sources(sets[run.name], "train")) - len(common) for run in runs}


def test_runs_whose_folders_have_one_name_are_all_in_the_file(sets, tmp_path):
    runs = [make_run(tmp_path / name / "run", "lstm", shards=sets[name]) for name in ("grid-4", "grid-8")]
    evaluate(runs, EvaluateConfig())
    found = content(runs)
    assert list(found["runs"]) == list(found["left_out"]) == ["grid-4/run", "grid-8/run"]


def test_shards_that_were_moved_are_found_by_their_fingerprint(runs, sets, tmp_path):
    there = tmp_path / "moved"
    for name, new in (("grid-4", "b"), ("grid-8", "a")):
        shutil.copytree(sets[name], there / new)
    assert len(evaluate(runs, EvaluateConfig(shards=str(there)))) == 4


def test_moved_shards_that_are_not_there_are_named(runs, tmp_path):
    with pytest.raises(SettingError, match=r"holds the shards of .*grid-4, fingerprint"):
        evaluate(runs, EvaluateConfig(shards=str(tmp_path)))


def test_shards_of_one_tokenizer_are_compared_by_token_too(sets, tmp_path, capsys):
    runs = [make_run(tmp_path / name, "lstm", shards=sets[name]) for name in ("grid-8", "fewer")]
    evaluate(runs, EvaluateConfig(split="train"))
    assert "the same" in capsys.readouterr().out
    assert "in brackets, is of other tokens" not in (tmp_path / "comparison-shards-train.md").read_text()


def row_of(nats: list[float], targets: list[int], steps_per_quarter: int = 4, notes: int = 10) -> ShardsRow:
    """A row whose groups have these sums."""
    by_group = {name: one / number for name, one, number in zip(GROUPS, nats, targets, strict=True)}
    found = {
        "targets": dict(zip(GROUPS, targets, strict=True)),
        "notes": notes,
        "nll": {
            "nats_per_token_by_group": by_group,
            "nats_per_note": sum(nats) / notes,
            "nats_per_second": sum(nats) / 4,
            "nats_per_token": sum(nats) / sum(targets),
        },
    }
    return ShardsRow(f"grid {steps_per_quarter}", "lstm", TokenizerConfig(steps_per_quarter), found)


ROWS = [row_of([20, 8, 10, 1], [10, 8, 10, 1]), row_of([22, 12, 16, 1], [11, 10, 11, 1], 8, notes=11)]


def test_the_parts_add_up_to_the_nats_of_a_note():
    for row in ROWS:
        assert sum(row.nats_per_note().values()) == pytest.approx(row.found["nll"]["nats_per_note"])


def test_halving_the_steps_adds_one_bit_for_each_length_and_wait():
    assert ROWS[0].finer_nats_per_note(4) == 0
    assert ROWS[1].finer_nats_per_note(4) == pytest.approx(math.log(2) * (11 + 10 / 2) / 11)


def test_the_table_shows_parts_fewer_notes_and_tokens_in_brackets_in_100_columns():
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(shards_table(ROWS, shards_caption(ROWS, "test", 3, {"a": 0, "b": 2})))
    text = console.export_text()
    assert "…" not in text
    for expected in ("10 (-1)", "2.000", "0.800", "1.000", "(1.345)", "grid 8", "left out: 0 of a's, 2 of b's"):
        assert expected in text
    assert "| (1.345) |" in shards_markdown(ROWS, "caption")


def test_the_figure_of_the_same_rows_has_the_same_bytes():
    pictures = [io.BytesIO(), io.BytesIO()]
    for picture in pictures:
        write_nll_figure(ROWS, picture)
    assert pictures[0].getvalue() == pictures[1].getvalue()


def test_a_real_result_makes_a_row(runs):
    model = open_run(runs[0]).load_model()[0]
    split = open_shards(open_run(runs[0]).environment["shards"]["folder"]).split("test")
    counts = score(model, [split.tokens(0)], "strict")
    found = results(counts, seconds=1.0, notes=split.metadata(0)["num_notes"])
    row = ShardsRow("one", "lstm", TokenizerConfig(), found)
    assert sum(row.nats_per_note().values()) == pytest.approx(found["nll"]["nats_per_note"])
    assert json.loads(json.dumps(row.content(), allow_nan=False))["name"] == "one"
