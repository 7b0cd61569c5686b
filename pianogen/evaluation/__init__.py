"""Scoring models and baselines on whole performances, and reporting it."""

from pianogen.evaluation.baselines import Baselines, baseline_results
from pianogen.evaluation.counts import Counts
from pianogen.evaluation.figure import write_figure
from pianogen.evaluation.job import evaluate
from pianogen.evaluation.naming import metrics_of
from pianogen.evaluation.report import Row, comparison_markdown, comparison_table, results
from pianogen.evaluation.score import divide, score

__all__ = [
    "Baselines",
    "Counts",
    "Row",
    "baseline_results",
    "comparison_markdown",
    "comparison_table",
    "divide",
    "evaluate",
    "metrics_of",
    "results",
    "score",
    "write_figure",
]
