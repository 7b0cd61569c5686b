"""The shape of every measure of a piece: a function of windows, with its definition, unit, range and source.

A measure has one value, or K, for each window. Where it is not defined, such as the range of no notes, the value is
NaN: whoever averages leaves it out and says how many there were. The definition is the docstring of the function.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from pianogen.metrics.music.windows import Windows

Function = Callable[[Windows], np.ndarray]


@dataclass(frozen=True)
class Metric:
    """One measure of music."""

    name: str
    compute: Function
    unit: str
    low: float
    """The least possible value."""
    high: float
    """The greatest possible value, or infinity."""
    reference: str
    undefined: str
    """When it has no value; empty if it always has one."""
    size: int = 1
    """Values of one window: 1, or the bins of a histogram."""
    whole_only: bool = False
    """Computed of whole pieces alone."""

    @property
    def definition(self) -> str:
        """What it is, in one paragraph."""
        return " ".join(inspect.getdoc(self.compute).split())  # pyright: ignore[reportOptionalMemberAccess]

    @property
    def title(self) -> str:
        """Its name as words."""
        return self.name.replace("_", " ")

    @property
    def unit_and_size(self) -> str:
        """The unit, and how many values a window has if more than one."""
        return f"{self.unit}, {self.size} values" if self.size > 1 else self.unit

    @property
    def limits(self) -> str:
        """The least and the greatest possible value."""
        return f"{self.low:.3g} to {'∞' if math.isinf(self.high) else f'{self.high:.3g}'}"

    @property
    def windows(self) -> str:
        """Of which windows it is computed: whole, or all."""
        return "whole" if self.whole_only else "all"

    def __call__(self, windows: Windows) -> Float[np.ndarray, "W K"]:
        """Its value in each window; NaN where it is not defined."""
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.asarray(self.compute(windows), np.float64)
        return values.reshape(windows.num, self.size)


def metric(unit: str, low: float = 0, high: float = math.inf, **others: Any) -> Callable[[Function], Metric]:
    """Make a measure of a function of its name."""
    others = {"reference": "pianogen", "undefined": "", **others}
    return lambda function: Metric(function.__name__, function, unit, low, high, **others)


def entropy_bits(counts: Float[np.ndarray, "W K"]) -> Float[np.ndarray, " W"]:
    """Shannon entropy of each row of counts, in bits; NaN where there are none."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    terms = np.where(shares > 0, shares * np.log2(np.where(shares > 0, shares, 1)), 0)
    return np.where(np.isfinite(shares).all(axis=1), np.abs(terms.sum(axis=1)), np.nan)


def mean_by_window(window: np.ndarray, values: np.ndarray, num: int) -> Float[np.ndarray, " W"]:
    """Mean of the values of each window; NaN where there are none."""
    return np.bincount(window, values, num) / np.bincount(window, minlength=num)
