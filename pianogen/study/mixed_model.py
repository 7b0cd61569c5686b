"""A linear mixed model beside the permutation tests: raters and stimuli are both random, and crossed."""

import warnings
from dataclasses import dataclass

import numpy as np

from pianogen.study.ratings import Ratings


@dataclass(frozen=True)
class Effect:
    """A condition's mean as the model estimates it, against the baseline."""

    condition: str
    difference: float
    standard_error: float
    p: float


@dataclass(frozen=True)
class MixedModel:
    """The fitted model."""

    baseline: str
    """The first condition with ratings."""
    effects: tuple[Effect, ...]
    rater_sd: float
    stimulus_sd: float
    error_sd: float
    converged: bool


def fit_mixed_model(ratings: Ratings) -> MixedModel | None:
    """Fit rating ~ condition + (1 | rater) + (1 | stimulus) by restricted maximum likelihood.

    It takes the scale of 0 to 5 as a measurement; the ratings are ordinal, so the permutation tests are the primary
    analysis. None if the ratings cannot be fitted, such as equal ones, or one for each stimulus.

    Reference: Baayen, Davidson & Bates (2008), Mixed-Effects Modeling with Crossed Random Effects.
    """
    import pandas as pd
    from statsmodels.regression.mixed_linear_model import MixedLM
    from statsmodels.tools.sm_exceptions import ConvergenceWarning

    rater, stimulus = np.nonzero(~np.isnan(ratings.scores))
    table = pd.DataFrame({"score": ratings.scores[rater, stimulus], "rater": rater, "stimulus": stimulus})
    table["condition"] = ratings.condition_of[stimulus]
    # crossed effects are variance components of one group that holds everything
    components = {"rater": "0 + C(rater)", "stimulus": "0 + C(stimulus)"}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)  # `converged` says so; a variance of 0 is at the boundary
        model = MixedLM.from_formula(
            "score ~ C(condition)", groups=np.ones(len(table)), vc_formula=components, data=table
        )
        try:
            fitted = model.fit(reml=True)
        except (np.linalg.LinAlgError, ValueError, ZeroDivisionError):
            return None
        deviations = dict(zip(model.exog_vc.names, np.sqrt(np.maximum(fitted.vcomp, 0)), strict=True))
        columns = list(zip(fitted.fe_params, fitted.bse_fe, fitted.pvalues, strict=False))[1:]
    if not np.isfinite([fitted.scale, *deviations.values(), *np.ravel(columns)]).all():
        return None
    baseline, *later = sorted(set(table["condition"]))
    effects = tuple(
        Effect(ratings.conditions[other], *map(float, column)) for other, column in zip(later, columns, strict=False)
    )
    return MixedModel(
        ratings.conditions[baseline],
        effects,
        rater_sd=float(deviations["rater"]),
        stimulus_sd=float(deviations["stimulus"]),
        error_sd=float(np.sqrt(fitted.scale)),
        converged=bool(fitted.converged),
    )
