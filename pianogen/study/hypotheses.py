"""The conditions of a study and what is expected of them, in general terms."""

from collections.abc import Sequence
from itertools import pairwise

from pianogen.study.design import Condition

REAL, RAW, ANCHOR = "real", "real as played", "anchor"
PROMPTED = " with prompt"


def conditions_of(models: Sequence[tuple[str, str]], *, raw: bool) -> tuple[Condition, ...]:
    """The conditions of a study of models, given as (name, architecture), from the one expected to be worst."""
    found = [
        Condition(name + PROMPTED * prompted, "model", name, prompted, architecture)
        for name, architecture in models
        for prompted in (False, True)
    ]
    found.append(Condition(REAL, "reference"))
    return (*found, *([Condition(RAW, "raw")] if raw else []), Condition(ANCHOR, "anchor"))


def hypotheses_of(conditions: Sequence[Condition]) -> tuple[str, ...]:
    """Real music is rated higher than every model, and every model than the anchor.

    A model is rated higher with a prompt than without, and, with or without, higher than the one before it.
    """
    models = [one for one in conditions if one.kind == "model"]
    alone, prompted = ([one.name for one in models if one.prompted is wanted] for wanted in (False, True))
    pairs = [
        *((one.name, REAL) for one in models),
        *((ANCHOR, one.name) for one in models),
        *zip(alone, prompted, strict=True),
        *pairwise(alone),
        *pairwise(prompted),
    ]
    return tuple(f"{lower} < {higher}" for lower, higher in pairs)
