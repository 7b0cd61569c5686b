"""How far a set is from the reference: measures, distances and their floor, for each length of window."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from pianogen.judge.features import COLUMNS, SCALARS, FeatureTable, Tables
from pianogen.judge.piece_sets import Role
from pianogen.judge.spacing import spread
from pianogen.metrics.bootstrap import sample_and_draw_weights
from pianogen.metrics.sets import FrechetDistance, frechet, overlap

MAX_WINDOWS = 400  # of each set, evenly spaced, whose pairs are compared
_DRAWS_OF_MEANS = 1000


@dataclass(frozen=True)
class Mean:
    """Mean over pieces of a measure's mean over their windows, and the middle 95 % over draws of the pieces."""

    value: float | None
    low: float | None
    high: float | None
    defined: int
    """Windows in which it is defined."""
    windows: int


@dataclass(frozen=True)
class Distances:
    """How far a set is from the reference at one length of window."""

    frechet: FrechetDistance | None
    overlap: float | None
    """Mean overlapping area over the measures that both have."""
    kl_nats: float | None
    """Mean divergence over the same."""
    by_measure: dict[str, dict[str, float] | None]
    """Area, divergence and bandwidth of each measure; None where it is not defined."""


@dataclass(frozen=True)
class Judgement:
    """One set, compared with the reference."""

    name: str
    role: Role
    pieces: int
    notes: int
    median_seconds: float
    left_out: list[str]
    means: dict[str, dict[str, Mean]]
    """By the length of window, then by measure."""
    distances: dict[str, Distances]
    """By the length of window; empty for the reference itself."""
    floors: dict[str, Distances]
    """The same of as many real pieces and windows, by the length of window."""

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def distances(candidate: FeatureTable, reference: FeatureTable, *, draws: int, seed: int) -> Distances:
    """Compare two sets at one length of window."""
    few, many = (table.values[spread(len(table.values), MAX_WINDOWS)] for table in (candidate, reference))
    found = {name: overlap(few[:, columns], many[:, columns]) for name, columns in COLUMNS.items()}
    known = [one for one in found.values() if one is not None]
    return Distances(
        frechet=frechet(candidate.sample(), reference.sample(), draws=draws, seed=seed),
        overlap=float(np.mean([one.area for one in known])) if known else None,
        kl_nats=float(np.mean([one.kl_nats for one in known])) if known else None,
        by_measure={name: None if one is None else asdict(one) for name, one in found.items()},
    )


def floor(candidate: FeatureTable, real: FeatureTable, reference: FeatureTable, *, draws: int, seed: int) -> Distances:
    """The distances of other real pieces to the reference: as many pieces, with as many windows, as the candidate."""
    return distances(real.as_many_as(candidate), reference, draws=draws, seed=seed)


def means(tables: Tables, seed: int) -> dict[str, dict[str, Mean]]:
    """Every measure of one value, at each length of window."""
    return {name: _means(table, seed) for name, table in tables.items()}


def _means(table: FeatureTable, seed: int) -> dict[str, Mean]:
    values = np.column_stack([table.of(one.name) for one in SCALARS])
    of_pieces, has = _means_of_pieces(values, table)
    weights = sample_and_draw_weights(len(has), _DRAWS_OF_MEANS, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = (weights @ np.where(has, of_pieces, 0)) / (weights @ has)
    found = {}
    for column, one in enumerate(SCALARS):
        finite = drawn[1:, column][np.isfinite(drawn[1:, column])]
        low, high = np.quantile(finite, [0.025, 0.975]).tolist() if len(finite) else (None, None)
        value = float(drawn[0, column])
        defined = int(np.isfinite(values[:, column]).sum())
        found[one.name] = Mean(value if np.isfinite(value) else None, low, high, defined, len(values))
    return found


def _means_of_pieces(
    values: Float[np.ndarray, "N K"], table: FeatureTable
) -> tuple[Float[np.ndarray, "P K"], Float[np.ndarray, "P K"]]:
    """The mean over the windows of each piece, and 1 where there is one."""
    total, number = np.zeros((2, table.num_pieces, values.shape[1]))
    known = np.isfinite(values)
    np.add.at(total, table.piece, np.where(known, values, 0))
    np.add.at(number, table.piece, known)
    return total / np.maximum(number, 1), (number > 0).astype(np.float64)
