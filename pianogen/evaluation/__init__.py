"""Scoring models and baselines on whole performances, and reporting it."""

from pianogen.evaluation.baselines import Baselines
from pianogen.evaluation.counts import Counts
from pianogen.evaluation.figure import write_figure
from pianogen.evaluation.files import evaluate_files
from pianogen.evaluation.job import evaluate
from pianogen.evaluation.report import ComparisonRow, comparison_markdown, comparison_table
from pianogen.evaluation.results import metrics_of, plugin_metrics, results
from pianogen.evaluation.score import divide, score, score_over_ranks

__all__ = [
    "Baselines",
    "ComparisonRow",
    "Counts",
    "comparison_markdown",
    "comparison_table",
    "divide",
    "evaluate",
    "evaluate_files",
    "metrics_of",
    "plugin_metrics",
    "results",
    "score",
    "score_over_ranks",
    "write_figure",
]
