"""Scores from counts: every average and likelihood as JSON, and those to log and plot as metrics by name."""

import math
from collections.abc import Callable
from dataclasses import asdict
from numbers import Real
from typing import Any, Literal

from pianogen.errors import PluginError
from pianogen.evaluation.counts import Counts
from pianogen.metrics import GROUPS, classification
from pianogen.plugins import Extension, extensions

_MAX_EXPONENT = 709.0  # e to a higher power overflows; only a diverged model reaches it

# names of metrics in metrics.jsonl and MLflow, and of `Averages`
_AVERAGES = {
    "accuracy": "accuracy",
    "precision_weighted": "weighted_precision",
    "recall_weighted": "weighted_recall",
    "f1_weighted": "weighted_f1",
    "precision_macro": "macro_precision",
    "recall_macro": "macro_recall",
    "f1_macro": "macro_f1",
}
_WEIGHTED_F1 = {f"f1_weighted_{group}": group for group in ("note", "wait", "duration")}
_LIKELIHOODS = {"nll": "nats_per_token", "nll_per_note": "nats_per_note", "nll_per_second": "nats_per_second"}
_BUILT_IN = (*_AVERAGES, *_WEIGHTED_F1, *_LIKELIHOODS)

Results = dict[str, Any]


def plugin_metrics() -> dict[str, Extension]:
    """The metrics that plugins add, by name, each one imported.

    Raises:
        PluginError: One cannot be imported, or has the name of a built-in metric.
    """
    found = extensions("metric", _BUILT_IN)
    for metric in found.values():
        metric.load()
    return found


def results(
    counts: Counts, *, seconds: float, notes: int, warn: Callable[[PluginError], None] | None = None
) -> Results:
    """Every average and likelihood by name, ready for JSON; None where the divisor is 0.

    Args:
        seconds: The performances' real time.
        notes: Notes encoded.
        warn: Called with the error of a plugin's metric that fails, which then has no value.

    Raises:
        PluginError: A plugin's metric fails, and `warn` is None.
    """
    found = classification(counts.true_positive, counts.predicted, counts.support)
    targets = dict(zip(GROUPS, counts.targets.tolist(), strict=True))
    return {
        "targets": {"all": sum(targets.values()), **targets},
        "notes": notes,
        "seconds": seconds,
        "averages": asdict(found.overall),
        "by_group": {name: asdict(getattr(found, name)) for name in GROUPS if name != "end"},
        "end": {"targets": found.end_targets, "precision": found.end_precision, "recall": found.end_recall},
        "nll": _likelihood(counts, seconds, notes),
        "plugins": {name: _measure(metric, counts, warn) for name, metric in plugin_metrics().items()},
    }


def _measure(metric: Extension, counts: Counts, warn: Callable[[PluginError], None] | None) -> float | None:
    try:
        value = metric.call(counts)
        if not isinstance(value, Real):
            raise PluginError(f"{metric} returned {value!r:.100}, which is not a number")
    except PluginError as error:
        if warn is None:
            raise
        warn(error)
        return None
    return _rate(float(value), 1)


def _likelihood(counts: Counts, seconds: float, notes: int) -> Results:
    total = float(counts.nll_nats.sum())
    per_token = _rate(total, int(counts.targets.sum()))
    by_group = zip(GROUPS, counts.nll_nats.tolist(), counts.targets.tolist(), strict=True)
    return {
        "nats": _rate(total, 1),
        "nats_per_token": per_token,
        "bits_per_token": None if per_token is None else per_token / math.log(2),
        "perplexity": None if per_token is None or per_token > _MAX_EXPONENT else math.exp(per_token),
        "nats_per_note": _rate(total, notes),
        "nats_per_second": _rate(total, seconds),
        "nats_per_token_by_group": {name: _rate(nats, number) for name, nats, number in by_group},
    }


def _rate(total: float, per: float) -> float | None:
    """None where the divisor is 0, or where an illegal target made the total infinite."""
    return total / per if per and math.isfinite(total) else None


def metrics_of(split: str, found: Results) -> dict[str, float]:
    """The scores to log and plot, named SPLIT/MEASURE; those without a value are left out."""
    metrics = {measure: found["averages"][key] for measure, key in _AVERAGES.items()}
    metrics |= {measure: found["by_group"][group]["weighted_f1"] for measure, group in _WEIGHTED_F1.items()}
    metrics |= {measure: found["nll"][key] for measure, key in _LIKELIHOODS.items()}
    metrics |= found["plugins"]
    return {f"{split}/{measure}": value for measure, value in metrics.items() if value is not None}


def nats_per_note_by_group(found: Results) -> dict[str, float]:
    """The parts of the NLL per note, by the group of the target; they add up to it."""
    nats, targets = found["nll"]["nats_per_token_by_group"], found["targets"]
    return {name: (nats[name] or 0.0) * targets[name] / found["notes"] for name in GROUPS}


def percentages(found: Results, rule: Literal["weighted", "macro"]) -> list[float]:
    """Precision, recall and F1 in percent under one rule of averaging."""
    return [100 * found["averages"][f"{rule}_{name}"] for name in ("precision", "recall", "f1")]
