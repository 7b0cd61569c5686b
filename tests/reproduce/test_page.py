"""The page: a function of the plan and the result files, whichever of them are there."""

import itertools
import json
from collections.abc import Callable

import numpy as np
import pytest
from planned import NAMES, Reproduction

from pianogen.cli import main
from pianogen.errors import RunError, SettingError
from pianogen.evaluation.counts import Counts
from pianogen.metrics import Interval, classification
from pianogen.reproduce.averages import padding_needed
from pianogen.reproduce.comparisons import direction
from pianogen.reproduce.curves import slope_of
from pianogen.reproduce.page import load_results, page_file, page_of, write_page
from pianogen.reproduce.plan_file import read_plan
from pianogen.reproduce.results import Result, read_sums
from pianogen.reproduce.rows import RULES, markdown, rows_of


def page(reproduction: Reproduction) -> str:
    plan = read_plan(reproduction.file)
    return page_of(plan, *load_results(plan, reproduction.results), reproduction.results)


def cells(text: str, first: str) -> list[list[str]]:
    """The cells of the table lines that begin with a cell."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [line for line in lines if line[0] == first]


def test_the_command_writes_the_page_that_its_results_make(quiet: Reproduction) -> None:
    assert page_file(quiet.results).read_text() == page(quiet)


@pytest.mark.parametrize("names", [names for count in range(3) for names in itertools.combinations(NAMES, count)])
def test_any_part_of_the_results_makes_a_page(names: tuple[str, ...], copy: Callable[..., Reproduction]) -> None:
    partly = copy(*NAMES)
    for name in set(NAMES) - set(names):
        (partly.results / f"{name}.json").unlink()
        (partly.results / f"{name}.npz").unlink()
    text = page(partly)
    assert f"{len(names)} of 3 runs of the plan are finished." in text
    assert {line.split(" | ")[0].removeprefix("| ") for line in text.partition("## Runs")[2].splitlines()} >= set(names)


def test_a_row_shows_the_mean_and_each_of_its_runs(quiet: Reproduction) -> None:
    nll = [quiet.result(name)["test"]["nll"]["nats_per_token"] for name in ("attn-0", "attn-1")]
    f1 = [100 * quiet.result(name)["test"]["averages"]["weighted_f1"] for name in ("attn-0", "attn-1")]
    line = cells(page(quiet), "LSTM + attention")[0]
    assert line[1] == "2"
    assert line[3] == f"{np.mean(nll):.3f} ({nll[0]:.3f}, {nll[1]:.3f})"
    assert line[4].endswith(f" / {np.mean(f1):.1f}")
    assert line[5] == f"{f1[0]:.1f}, {f1[1]:.1f}"
    assert line[7] == "67.1 / 63.0 / 65.0"


def test_an_unfinished_run_is_shown_at_its_tokens_and_labelled(copy: Callable[..., Reproduction]) -> None:
    partly = copy("attn-0")
    content = partly.result("attn-0")
    for name in ("test", "paper_code", "padded_batches", "checkpoint"):
        del content[name]
    content |= {"tokens": 321, "name": "rnn-0"}
    (partly.results / "rnn-0.unfinished.json").write_text(json.dumps(content))
    text = page(partly)
    assert cells(text.partition("## Unfinished runs")[2], "rnn-0")[0][1] == "321"
    assert cells(text, "RNN")[0][1:4] == ["0 of 1", "-", "-"]


def test_the_scores_in_a_result_are_those_of_its_sums(quiet: Reproduction) -> None:
    for name in NAMES:
        sums, found = read_sums(quiet.results, name), quiet.result(name)["test"]
        counts = Counts.zero()
        for whole, part in ((counts.true_positive, sums.true_positive), (counts.support, sums.support)):
            whole[0] = part.sum(axis=0)
        counts.predicted[0] = sums.predicted.sum(axis=0)
        averages = classification(counts.true_positive, counts.predicted, counts.support).overall
        assert averages.weighted_f1 == pytest.approx(found["averages"]["weighted_f1"])
        assert averages.macro_f1 == pytest.approx(found["averages"]["macro_f1"])
        assert sums.nll_nats.sum() / sums.targets.sum() == pytest.approx(found["nll"]["nats_per_token"])


def test_pairs_are_of_the_same_position_in_their_rows(copy: Callable[..., Reproduction]) -> None:
    partly = copy("rnn-0", "attn-1")
    partly.write(
        lambda plan: plan["tables"]["scores"].update(rows={"A": ["rnn-0", "attn-0"], "B": ["attn-0", "attn-1"]})
    )
    assert cells(page(partly), "B minus A") == []
    partly.write(
        lambda plan: plan["tables"]["scores"].update(rows={"A": ["attn-0", "rnn-0"], "B": ["rnn-0", "attn-1"]})
    )
    assert [line[1] for line in cells(page(partly), "B minus A")] == ["attn-1, rnn-0"]


def test_a_difference_is_that_of_the_two_rows(quiet: Reproduction) -> None:
    line = cells(page(quiet), "LSTM + attention minus RNN")[0]
    difference = np.subtract(*(quiet.result(name)["test"]["nll"]["nats_per_token"] for name in ("attn-0", "rnn-0")))
    assert line[1] == "attn-0, rnn-0"
    assert line[2].startswith(f"{difference:+.4f} [")


def test_a_verdict_names_only_what_the_interval_excludes() -> None:
    assert direction(Interval(0.2, 0.1, 0.3)) == "higher"
    assert direction(Interval(-0.2, -0.3, -0.1)) == "lower"
    assert direction(Interval(0.2, -0.1, 0.3)) == "not distinguished"


def test_each_row_after_the_first_has_a_verdict(quiet: Reproduction) -> None:
    assert page(quiet).count("LSTM + attention against RNN (1 pair of runs): NLL ") == 1


def test_a_recipe_is_compared_with_the_first_row(quiet: Reproduction) -> None:
    first, second = (quiet.result(name)["test"]["nll"] for name in ("attn-0", "attn-1"))
    line = cells(page(quiet).partition("## Recipes")[2], "seed 1")[0]
    assert line[4] == f"{second['nats_per_note']:.3f}"
    assert line[7] == f"{100 * (second['nats_per_note'] / first['nats_per_note'] - 1):+.1f} %"
    assert line[9].startswith(f"{second['nats_per_token'] - first['nats_per_token']:+.4f} [")
    assert cells(page(quiet).partition("## Recipes")[2], "base")[0][9] == "-"


def test_the_parts_of_a_recipes_nll_per_note_add_up_to_all_but_the_ends(quiet: Reproduction) -> None:
    parts = cells(page(quiet).partition("## Recipes")[2], "base")[0][5]
    test = quiet.result("attn-0")["test"]
    ends = test["nll"]["nats_per_token_by_group"]["end"] * test["targets"]["end"] / test["notes"]
    assert sum(map(float, parts.split(" + "))) == pytest.approx(test["nll"]["nats_per_note"] - ends, abs=2e-3)


def test_a_run_without_the_scores_of_the_papers_code_has_none(quiet: Reproduction) -> None:
    assert "paper_code" in quiet.result("attn-0")
    assert "paper_code" not in quiet.result("attn-1")


def test_the_baselines_follow_the_models(quiet: Reproduction) -> None:
    found = json.loads((quiet.results / "tiny.baselines.json").read_text())["baselines"]
    for name in ("unigram", "5-gram", "repeat-last"):
        line = cells(page(quiet), name)[0]
        assert line[3] == f"{found[name]['test']['nll']['nats_per_token']:.3f}"
        assert line[8].endswith(f" / {100 * found[name]['train']['averages']['weighted_f1']:.1f}")


def test_baselines_of_other_shards_are_refused(quiet: Reproduction, copy: Callable[..., Reproduction]) -> None:
    other = copy("attn-0")
    content = json.loads((quiet.results / "tiny.baselines.json").read_text())
    content["entry"]["shards"]["seed"] = 7
    (other.results / "tiny.baselines.json").write_text(json.dumps(content))
    with pytest.raises(SettingError, match="made with other settings"):
        page(other)


def test_every_rule_is_read_from_the_results(quiet: Reproduction) -> None:
    plan = read_plan(quiet.file)
    row = rows_of(plan.tables[1], load_results(plan, quiet.results)[0])[0]
    line = cells(page(quiet), row.label)[1]
    assert line[1:-1] == [f"{rule.percent(row.found[0])[2]:.1f}" for rule in RULES]


def test_the_padding_that_is_needed_gives_the_wanted_f1() -> None:
    share = padding_needed(50.0, 65.0)
    assert (1 - share) * 50.0 + share * 100.0 == pytest.approx(65.0)
    assert padding_needed(70.0, 65.0) == 0.0


def curve(values: list[tuple[int, float]]) -> Result:
    points = [{"tokens": tokens, "nll": 2.0 - f1, "weighted_f1": f1} for tokens, f1 in values]
    return Result("run", {"curve": points, "tokens": points[-1]["tokens"]})


def test_the_slope_of_a_straight_curve_is_found_and_followed() -> None:
    # 2 points more for every doubling; the first half of the curve is steeper and is not looked at
    found = slope_of(curve([(1000, 0.1), *[(n * 1000, 0.4 + 0.02 * np.log2(n / 8)) for n in range(4, 9)]]))
    assert found
    assert found.f1_per_doubling == pytest.approx(2.0)
    assert found.nll_per_doubling == pytest.approx(-0.02)
    assert found.tokens_for(50.0) == pytest.approx(8000 * 2**5)


def test_a_falling_or_short_curve_is_not_extrapolated() -> None:
    falling = slope_of(curve([(n * 1000, 0.4 - 0.01 * n) for n in range(4, 9)]))
    assert falling
    assert falling.tokens_for(50.0) is None
    assert slope_of(curve([(1000, 0.1), (2000, 0.2)])) is None


def test_the_figures_are_the_same_bytes_again(quiet: Reproduction) -> None:
    images = {path.name: path.read_bytes() for path in quiet.results.glob("*.png")}
    write_page(read_plan(quiet.file), quiet.results)
    assert images == {path.name: path.read_bytes() for path in quiet.results.glob("*.png")}
    links = {part.partition(")")[0] for part in page(quiet).split("](")[1:]}
    assert links == {f"{quiet.results.name}/{name}" for name in images}


@pytest.mark.parametrize(
    "content", ['{"format": 1', "[]", "3", '{"format": 2}', '{"format": 1, "entry": {}}', '{"format": 1, "entry": 3}']
)
def test_a_damaged_result_is_named(
    content: str, copy: Callable[..., Reproduction], capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = copy()
    (damaged.results / "rnn-0.json").write_text(content)
    assert main([*damaged.words, "--hours", "0"]) == 2
    line = capsys.readouterr().err
    assert "rnn-0.json cannot be read" in line
    assert line.count("\n") == 1


def test_damaged_sums_are_named(copy: Callable[..., Reproduction]) -> None:
    damaged = copy()
    (damaged.results / "attn-0.npz").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(RunError, match=r"attn-0\.npz cannot be read"):
        page(damaged)


def test_a_table_has_as_many_cells_in_each_line() -> None:
    assert markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
