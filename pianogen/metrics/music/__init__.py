"""Measures of music: each is a `Metric`, a function of the windows of a piece.

References: Yang & Lerch (2020), On the Evaluation of Generative Models in Music; Wu & Yang (2020), The Jazz Transformer
on the Front Line; Dong et al. (2020), MusPy; Krumhansl & Kessler (1982), Tracing the Dynamic Changes in Perceived Tonal
Organization in a Spatial Representation of Musical Keys; Cohen (1960), A Coefficient of Agreement for Nominal Scales.
"""

from pianogen.metrics.music import harmony, pitch, rhythm, structure
from pianogen.metrics.music.metric import Metric
from pianogen.metrics.music.structure import self_similarity
from pianogen.metrics.music.windows import Piece, Windows

METRICS: tuple[Metric, ...] = tuple(
    value for module in (pitch, rhythm, harmony, structure) for value in vars(module).values() if type(value) is Metric
)

__all__ = ["METRICS", "Metric", "Piece", "Windows", "self_similarity"]
