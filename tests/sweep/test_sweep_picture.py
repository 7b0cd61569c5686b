"""The picture of a sweep shows the trials it is given, and the same ones in the same bytes."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from searching import LEARNING_RATES, search, small

from pianogen.config import TrainConfig
from pianogen.sweep.figure import write_figure
from pianogen.sweep.results import TrialRow
from pianogen.sweep.space import Choice, Range, Searched

BEST, FINISHED, PRUNED, FAILED = (0xD9, 0x48, 0x01), (0x08, 0x51, 0x9C), (0x42, 0x92, 0xC6), (0x88, 0x88, 0x88)
SEARCHED: dict[str, Searched] = {"model.hidden_size": Choice((8, 16)), "optim.lr": Range(1.0e-4, 1.0e-2, log=True)}


def row(number: int, nll: float, state: str = "finished", lr: float = 1.0e-3) -> TrialRow:
    return TrialRow(number, state, nll, 1, 1, {"model.hidden_size": 8 * (1 + number % 2), "optim.lr": lr}, "")


def picture_of(rows: Sequence[TrialRow], searched: dict[str, Searched] | None = None) -> bytes:
    buffer = io.BytesIO()
    write_figure(rows, SEARCHED if searched is None else searched, buffer)
    return buffer.getvalue()


def amount(picture: bytes, colour: tuple[int, int, int]) -> int:
    return len(places(picture, colour))


def places(picture: bytes, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of the pixels that have a colour."""
    pixels = np.round(matplotlib.image.imread(io.BytesIO(picture))[..., :3] * 255).astype(int)
    return np.argwhere((pixels == colour).all(axis=-1))


ROWS = [row(0, 1.9), row(1, 1.6), row(2, 1.8)]


def test_the_same_trials_in_any_order_give_the_same_bytes() -> None:
    assert picture_of(ROWS) == picture_of(ROWS[::-1])


@pytest.mark.parametrize(
    ("state", "nll", "colour"), [("pruned", 1.85, PRUNED), ("failed", math.inf, FAILED), ("finished", 1.7, FINISHED)]
)
def test_every_state_has_its_mark(state: str, nll: float, colour: tuple[int, int, int]) -> None:
    assert amount(picture_of([*ROWS, row(3, nll, state)]), colour) > amount(picture_of(ROWS), colour)


def test_a_diverged_trial_does_not_compress_the_others() -> None:
    rows = [row(number, 1.6 + number / 50) for number in range(12)]
    heights = [np.ptp(places(picture_of(some), FINISHED)[:, 0]) for some in (rows, [*rows, row(12, 50.0)])]
    assert heights[1] > heights[0] / 2


def test_each_setting_has_a_panel_in_which_the_best_is_marked() -> None:
    one, two = (amount(picture_of(ROWS, dict(list(SEARCHED.items())[:number])), BEST) for number in (1, 2))
    assert two > one > 0


def test_a_logarithmic_range_has_a_logarithmic_axis() -> None:
    """1e-3 is the middle of 1e-4 to 1e-2 on one, and a tenth on the other."""

    def position(log: bool) -> float:
        found = places(picture_of([row(0, 1.6)], {"optim.lr": Range(1.0e-4, 1.0e-2, log=log)}), BEST)
        return float(np.median(found[found[:, 0] > found[:, 0].max() - 20][:, 1]))

    assert position(log=True) > 2 * position(log=False)


def test_one_trial_and_many_settings_are_drawn_too() -> None:
    searched: dict[str, Searched] = {f"setting{number}": Range(1, 5) for number in range(7)}
    rows = [
        TrialRow(0, "finished", 1.6, 1, 1, dict.fromkeys(searched, 3), ""),
        TrialRow(1, "running", math.inf, None, None, {}, ""),
    ]
    assert amount(picture_of(rows, searched), BEST) > 0


def test_a_range_of_a_billion_numbers_is_drawn_at_once() -> None:
    rows = [TrialRow(0, "finished", 1.6, 1, 1, {"optim.horizon_tokens": 5_000_000}, "")]
    assert amount(picture_of(rows, {"optim.horizon_tokens": Range(1, 2_000_000_000)}), BEST) > 0


def test_a_sweep_writes_its_figure_beside_its_table(tiny_run) -> None:
    config: TrainConfig = small(tiny_run("sweep", steps=2))
    folder: Path = search(config, LEARNING_RATES, trials=1)
    assert amount((folder / "trials.png").read_bytes(), BEST) > 0
