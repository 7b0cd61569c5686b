"""The figure shows the values it is given, and the same ones in the same bytes."""

import io
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest

from pianogen.evaluation.counts import Counts
from pianogen.evaluation.figure import write_figure
from pianogen.evaluation.report import ComparisonRow
from pianogen.evaluation.results import results

DARK_BLUE, PAPER_RED = (0x08, 0x51, 0x9C), (0xD9, 0x48, 0x01)


def row_with_accuracy(percent: int, kind: str | None = None) -> ComparisonRow:
    targets, predictions = np.full(100, 69), np.where(np.arange(100) < percent, 69, 70)
    counts = Counts.of(targets, predictions, np.zeros(100, np.int64), np.ones(100))
    found = results(counts, seconds=1.0, notes=100)
    return ComparisonRow("a model", kind, {"train": found, "test": found})


def picture_of(rows) -> bytes:
    buffer = io.BytesIO()
    write_figure(rows, buffer)
    return buffer.getvalue()


def amount(picture: bytes, colour: tuple[int, int, int]) -> int:
    pixels = np.round(matplotlib.image.imread(io.BytesIO(picture))[..., :3] * 255).astype(int)
    return int((pixels == colour).all(axis=-1).sum())


def test_the_same_rows_give_the_same_bytes():
    rows = [row_with_accuracy(50, kind="lstm"), row_with_accuracy(30)]
    assert picture_of(rows) == picture_of(rows)


def test_a_better_model_has_taller_bars():
    worse, better = ([row_with_accuracy(percent, kind="lstm"), row_with_accuracy(90)] for percent in (10, 80))
    assert amount(picture_of(better), DARK_BLUE) > amount(picture_of(worse), DARK_BLUE)


def test_a_baseline_is_outlined_and_a_model_is_filled():
    filled, outlined = (amount(picture_of([row_with_accuracy(50, kind=kind)]), DARK_BLUE) for kind in ("lstm", None))
    assert outlined < filled / 4


def test_on_other_music_the_papers_values_are_not_marked():
    row = replace(row_with_accuracy(50, kind="rnn"), of_maestro=False)
    assert amount(picture_of([row]), PAPER_RED) == 0


@pytest.mark.parametrize(("kind", "marked"), [("rnn", True), ("mamba", False), (None, False)])
def test_the_papers_values_are_marked_if_it_has_them(kind, marked):
    assert (amount(picture_of([row_with_accuracy(50, kind=kind)]), PAPER_RED) > 0) == marked
