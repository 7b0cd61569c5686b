"""Precision, recall and F1 of next-word prediction under each averaging rule, from per-class counts.

Counts have one row per group of targets (`GROUPS`) and one column per word. The end (xxeos) is reported separately: it
is in none of the averages. A class occurs when it has at least one target; a class that is never predicted has
precision 0.

Reference: Abbou (2020), DeepClassic, section 4; scikit-learn's `precision_recall_fscore_support`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

GROUPS = ("note", "wait", "duration", "end")
_END = GROUPS.index("end")


@dataclass(frozen=True)
class Averages:
    """One set of targets under every rule; all are shares from 0 to 1, and 0 if there are no targets."""

    targets: int
    """How many targets were counted."""
    classes: int
    """How many classes occur among them."""
    accuracy: float
    """Share of targets predicted; also the micro-averaged precision, recall and F1."""
    macro_precision: float
    """Plain mean over the classes that occur."""
    macro_recall: float
    """Plain mean over the classes that occur."""
    macro_f1: float
    """As the paper writes it: 2PR / (P + R) of the two means above."""
    macro_f1_sklearn: float
    """As scikit-learn defines it: the mean of each class's own F1."""
    weighted_precision: float
    """Mean over classes, weighted by their targets."""
    weighted_recall: float
    """The same for recall; equal to the accuracy."""
    weighted_f1: float
    """Mean of each class's own F1, weighted by its targets."""
    all_classes_precision: float
    """Mean over the whole vocabulary; a class that does not occur counts as 0."""
    all_classes_recall: float
    """Mean over the whole vocabulary; a class that does not occur counts as 0."""
    all_classes_f1: float
    """2PR / (P + R) of the two means above."""


@dataclass(frozen=True)
class Classification:
    """The averages over all targets but the end, and over each group; of the end only its recall and precision."""

    overall: Averages
    note: Averages
    wait: Averages
    duration: Averages
    end_targets: int
    end_recall: float
    """Share of the ends that were predicted."""
    end_precision: float
    """Share of the predicted ends, anywhere, that were right."""


def classification(
    true_positive: Int[np.ndarray, "groups V"],
    predicted: Int[np.ndarray, "groups V"],
    support: Int[np.ndarray, "groups V"],
) -> Classification:
    """Average the counts of every group and of all groups but the end.

    `predicted[g, w]` counts how often word w was predicted where the target belongs to group g.
    """
    groups = [averages(*rows) for rows in zip(true_positive, predicted, support, strict=True)]
    overall = averages(*(counts[:_END].sum(axis=0) for counts in (true_positive, predicted, support)))
    ended = np.flatnonzero(support[_END])
    hits = float(true_positive[_END].sum())
    return Classification(
        overall=overall,
        note=groups[0],
        wait=groups[1],
        duration=groups[2],
        end_targets=groups[_END].targets,
        end_recall=_ratio(hits, groups[_END].targets),
        end_precision=_ratio(hits, float(predicted[:, ended].sum())),
    )


def averages(
    true_positive: Int[np.ndarray, " V"], predicted: Int[np.ndarray, " V"], support: Int[np.ndarray, " V"]
) -> Averages:
    """Average the precision, recall and F1 of one set of targets."""
    occurs = support > 0
    weight = support[occurs].astype(np.float64)
    precision = _ratios(true_positive[occurs], predicted[occurs])
    recall = _ratios(true_positive[occurs], support[occurs])
    f1 = _ratios(2 * true_positive[occurs], predicted[occurs] + support[occurs])
    macro = _mean(precision), _mean(recall)
    all_words = float(precision.sum()) / len(support), float(recall.sum()) / len(support)
    return Averages(
        targets=int(support.sum()),
        classes=int(occurs.sum()),
        accuracy=_ratio(float(true_positive.sum()), float(support.sum())),
        macro_precision=macro[0],
        macro_recall=macro[1],
        macro_f1=harmonic_mean(*macro),
        macro_f1_sklearn=_mean(f1),
        weighted_precision=_mean(precision, weight),
        weighted_recall=_mean(recall, weight),
        weighted_f1=_mean(f1, weight),
        all_classes_precision=all_words[0],
        all_classes_recall=all_words[1],
        all_classes_f1=harmonic_mean(*all_words),
    )


def harmonic_mean(precision: float, recall: float) -> float:
    """F1 of one precision and one recall; 0 when both are 0."""
    return _ratio(2 * precision * recall, precision + recall)


def _mean(values: Float[np.ndarray, " classes"], weight: Float[np.ndarray, " classes"] | None = None) -> float:
    return float(np.average(values, weights=weight)) if len(values) else 0.0


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _ratios(part: Int[np.ndarray, " classes"], whole: Int[np.ndarray, " classes"]) -> Float[np.ndarray, " classes"]:
    """Quotients, 0 where the whole is 0."""
    return part / np.maximum(whole, 1)
