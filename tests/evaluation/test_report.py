"""Reports name every number, are JSON, and appear in a table that a terminal of 100 columns can show."""

import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from small_performances import spell

from pianogen.evaluation.baselines import Baselines
from pianogen.evaluation.counts import Counts
from pianogen.evaluation.report import MODEL_NAMES, ComparisonRow, comparison_markdown, comparison_table
from pianogen.evaluation.results import results

PIECE = spell("xxbos xxpad n60 d1 xxsep d2 n62 d3 xxeos")


def counts_of(targets, predictions, groups, nll) -> Counts:
    return Counts.of(*(np.array(column) for column in (targets, predictions, groups)), nll_nats=np.array(nll))


def some_results(nll=2.0):
    return results(counts_of([69, 138], [69, 139], [0, 2], [nll, nll]), seconds=1.0, notes=1)


def rows():
    models = [
        ComparisonRow(name, kind, {"train": some_results(), "test": some_results(1.5)})
        for kind, name in MODEL_NAMES.items()
    ]
    baselines = [ComparisonRow(name, None, {"test": some_results(2.5)}) for name in ("unigram", "repeat-last")]
    return models + baselines


def printed(table, width=100) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_likelihoods_divide_the_same_total():
    nll = results(counts_of([69, 138, 2], [69, 138, 2], [0, 2, 3], [1.0, 2.0, 3.0]), seconds=4.0, notes=2)["nll"]
    found = nll["nats"], nll["nats_per_token"], nll["nats_per_note"], nll["nats_per_second"]
    assert found == (6.0, 2.0, 3.0, 1.5)


def test_perplexity_bits_and_nats_agree():
    nll = some_results(math.log(8))["nll"]
    assert (nll["bits_per_token"], nll["perplexity"]) == pytest.approx((3, 8))


def test_a_model_that_has_diverged_has_a_likelihood_and_no_perplexity():
    nll = some_results(1e30)["nll"]
    assert (nll["nats_per_token"], nll["perplexity"]) == (1e30, None)


def test_the_end_costs_likelihood_but_is_in_no_average():
    found = results(counts_of([69, 2], [69, 69], [0, 3], [1.0, 5.0]), seconds=1.0, notes=1)
    assert (found["averages"]["accuracy"], found["nll"]["nats"], found["end"]["recall"]) == (1.0, 6.0, 0.0)


def test_groups_are_reported_separately():
    found = results(counts_of([69, 138], [69, 139], [0, 2], [1.0, 1.0]), seconds=1.0, notes=1)["by_group"]
    assert [found[name]["accuracy"] for name in ("note", "wait", "duration")] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("counts", [Counts.zero(), counts_of([69], [70], [0], [math.inf])])
def test_results_are_strict_json_even_without_targets(counts):
    found = results(counts, seconds=0.0, notes=0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_results_of_baselines_are_strict_json():
    for counts in Baselines.fit([PIECE], "strict").score([PIECE]).values():
        json.dumps(results(counts, seconds=1.0, notes=2), allow_nan=False)


def test_the_table_fits_100_columns_with_no_cell_cut():
    text = printed(comparison_table(rows()))
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert "LSTM + attention" in text


def test_the_papers_numbers_are_beside_the_models_it_has():
    lines = printed(comparison_table(rows())).splitlines()
    attention = lines.index(next(line for line in lines if "LSTM + attention" in line))
    assert "68.1 65.5 66.8" in lines[attention]
    assert "67.1 63.0 65.0" in lines[attention + 1]


def test_a_model_that_the_paper_did_not_have_has_no_number_of_the_paper():
    row = ComparisonRow("mamba", "mamba", {"test": some_results()})
    assert row.paper("test") is None
    assert "| mamba | test | 50.0 / 50.0 / 50.0 | 50.0 / 50.0 / 50.0 | 50.0 | 2.000 | - |" in comparison_markdown([row])


def test_a_name_with_brackets_is_printed_as_it_is():
    assert "runs/[a]" in printed(comparison_table([ComparisonRow("runs/[a]", "lstm", {"test": some_results()})]))


def test_markdown_has_one_line_per_model_and_split():
    text = comparison_markdown(rows())
    assert sum(line.startswith("| ") for line in text.splitlines()) == 2 + 2 * len(MODEL_NAMES) + 2
    assert "| LSTM | test | 50.0 / 50.0 / 50.0 | 50.0 / 50.0 / 50.0 | 50.0 | 1.500 | 66.6 / 62.3 / 64.4 |" in text


def test_on_other_music_the_papers_numbers_are_not_in_the_table():
    elsewhere = [replace(row, of_maestro=row.kind is None) for row in rows()]
    for text in (printed(comparison_table(elsewhere)), comparison_markdown(elsewhere)):
        assert "LSTM + attention" in text
        assert "paper" not in text
