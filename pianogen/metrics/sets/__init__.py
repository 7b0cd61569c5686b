"""Distances between two sets of pieces, from the features of their pieces or windows."""

from pianogen.metrics.sets.frechet import FrechetDistance, Sample, frechet
from pianogen.metrics.sets.overlap import Overlap, distances, overlap

__all__ = ["FrechetDistance", "Overlap", "Sample", "distances", "frechet", "overlap"]
