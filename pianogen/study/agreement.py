"""How far the raters agree."""

import numpy as np

from pianogen.study.ratings import Ratings


def ordinal_alpha(ratings: Ratings) -> float | None:
    """Krippendorff's alpha for ordinal ratings: 1 for perfect agreement, 0 for that of chance.

    None if it is not defined: no stimulus has two ratings, or all ratings are equal.

    Reference: Krippendorff (2018), Content Analysis, chapter 12.
    """
    import krippendorff

    scores = ratings.scores
    pairable = scores[:, (~np.isnan(scores)).sum(axis=0) >= 2]
    if len(np.unique(pairable[~np.isnan(pairable)])) < 2:
        return None
    return float(krippendorff.alpha(reliability_data=scores, level_of_measurement="ordinal"))
