"""The mean ratings that are expected of conditions: those of the paper, or of a file."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from pianogen.errors import StudyError
from pianogen.study.design import HIGHEST, LOWEST, Condition

# the paper's Figure 6: from nothing, and from a prompt
_MODELS = {"rnn": (1.0, 2.2), "lstm": (2.5, 3.5), "attn": (2.6, 3.8)}
_REAL = 4.9
_ANCHOR = 0.5  # the paper has none; it should be below all


def paper_means(conditions: Sequence[Condition]) -> list[float]:
    """The paper's mean ratings by architecture; one that it does not have is taken for its best, attention."""
    return [_paper_mean(condition) for condition in conditions]


def read_means(path: Path, conditions: Sequence[Condition]) -> list[float]:
    """Read a YAML file that gives every condition's mean by its name.

    Raises:
        StudyError: It cannot be read, a condition is missing or unknown, or a mean is not on the scale.
    """
    names = [condition.name for condition in conditions]
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise StudyError(f"the means {path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or set(found) != set(names):
        raise StudyError(f"the means {path} must give a mean to each of the conditions {', '.join(map(repr, names))}")
    for name in names:
        if isinstance(found[name], bool) or not isinstance(found[name], int | float):
            raise StudyError(f"the means {path} give {name!r} {found[name]!r}, but it must be a number")
        if not LOWEST <= found[name] <= HIGHEST:
            raise StudyError(f"the means {path} give {name!r} {found[name]}, but it must be from {LOWEST} to {HIGHEST}")
    return [float(found[name]) for name in names]


def _paper_mean(condition: Condition) -> float:
    if condition.kind == "anchor":
        return _ANCHOR
    if condition.kind != "model":
        return _REAL
    return _MODELS.get(condition.architecture or "", _MODELS["attn"])[condition.prompted]
