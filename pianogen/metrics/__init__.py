"""Measures of predictions and of music: pure numpy, from counts or notes to numbers."""

from pianogen.metrics.bootstrap import Interval, PerformanceSums, intervals, resampled
from pianogen.metrics.classification import GROUPS, Averages, Classification, averages, classification

__all__ = [
    "GROUPS",
    "Averages",
    "Classification",
    "Interval",
    "PerformanceSums",
    "averages",
    "classification",
    "intervals",
    "resampled",
]
