"""The search space: a YAML file shaped as a run's settings, in which some settings have more than one value.

    model:
      kind: attn                                     one value holds for all trials
      hidden_size: [128, 256, 512]                   a list is a choice
    optim.lr: {low: 1.0e-4, high: 1.0e-2, log: true} a range; names may be dotted or nested

A range may have a `step`; a range of whole numbers has a step of 1 by default.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from pianogen.config import TrainConfig, flatten, to_dict
from pianogen.errors import SettingError
from pianogen.sweep.naming import Value, with_settings

_RANGE_KEYS = {"low", "high", "step", "log"}
_COMMAND_LINE_ONLY = {"shards", "out", "resume", "init", "init_checkpoint"}
# validation NLLs for two values of these cannot be compared, or are undefined
_NOT_SEARCHED = ("model.mask", "validation.", "checkpoint.")
_CHANGES_WHAT_A_STEP_IS = {"global_batch", "data.excerpt_tokens"}


@dataclass(frozen=True)
class Choice:
    """A setting that takes one of several values."""

    values: tuple[Value, ...]


@dataclass(frozen=True)
class Range:
    """A setting that takes a number from `low` to `high`."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whole numbers only."""
        return isinstance(self.low, int)

    def points(self) -> list[float] | None:
        """All of its values, if there are finitely many."""
        step = self.step or (1 if self.whole and not self.log else None)
        if step is None:
            return None
        # 0.1 is not a binary fraction: without rounding, 0.3 would be 0.30000000000000004 and the end might be missed
        number = math.floor(round((self.high - self.low) / step, 9)) + 1
        return [
            self.low + index * step if self.whole else round(self.low + index * step, 12) for index in range(number)
        ]


Searched = Choice | Range


@dataclass(frozen=True)
class Space:
    """The content of a space file."""

    searched: dict[str, Searched]
    fixed: dict[str, Value]

    def grid(self) -> list[dict[str, Value]]:
        """Every combination, the last setting changing fastest.

        Raises:
            SettingError: A range is continuous.
        """
        points = {name: _points(name, what) for name, what in self.searched.items()}
        return [dict(zip(points, values, strict=True)) for values in itertools.product(*points.values())]


def _points(name: str, what: Searched) -> Sequence[Value]:
    points = what.values if isinstance(what, Choice) else what.points()
    if points is None:
        raise SettingError(f"setting '{name}' is a range without a step; for --grid true give a list or a step")
    return points


def read_space(path: Path, base: TrainConfig) -> Space:
    """Read a space file, and validate the ends of every range and every choice with the other settings.

    Raises:
        SettingError: The file cannot be read, searches nothing, or has a value that training would refuse.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise SettingError(f"{path} must contain settings, as in `optim: {{lr: [0.001, 0.002]}}`")
    try:
        return _validated(_space_of(flatten(content, _is_range)), base)
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from error


def _is_range(value: dict[Any, Any]) -> bool:
    return bool(_RANGE_KEYS & set(value))


def _space_of(given: Mapping[str, Any]) -> Space:
    searched = {name: _searched(name, value) for name, value in given.items() if isinstance(value, list | dict)}
    for name in given:
        if name in _COMMAND_LINE_ONLY:
            raise SettingError(f"setting '{name}' belongs on the command line: pianogen sweep SPACE.yaml --{name} ...")
        if name in searched and name.startswith(_NOT_SEARCHED):
            raise SettingError(f"setting '{name}' cannot be searched: trials that differ in it cannot be compared")
    if not searched:
        raise SettingError("nothing is searched; give a setting a list of values, or low and high")
    return Space(searched, {name: value for name, value in given.items() if name not in searched})


def _searched(name: str, value: list[Any] | dict[str, Any]) -> Searched:
    if isinstance(value, dict):
        return _range(name, value)
    if not value or not all(isinstance(one, str | int | float | None) for one in value):
        raise SettingError(f"setting '{name}' is {value!r}, but a choice must be a list of one or more plain values")
    return Choice(tuple(value))


def _range(name: str, value: dict[str, Any]) -> Range:
    low, high, step = (_number(name, key, value.get(key)) for key in ("low", "high", "step"))
    log = value.get("log", False)
    unknown = sorted(set(value) - _RANGE_KEYS)
    rules = {
        "a range is made of low, high, step and log": not unknown,
        "a range needs both low and high": low is not None and high is not None,
        "low must be below high": low is None or high is None or low < high,
        "log must be true or false": isinstance(log, bool),
        "a step must be above 0": step is None or step > 0,
        "a range has either log or a step": not (log and step),
        "a logarithmic range must start above 0": not log or low is None or low > 0,
    }
    for rule, holds in rules.items():
        if not holds:
            raise SettingError(f"setting '{name}' is {value!r}, but {rule}")
    assert low is not None
    assert high is not None
    return Range(low, high, step, log)


def _number(name: str, key: str, value: Any) -> float | None:
    """Read a number; YAML reads 1e-4 as text, since it has no point."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)):
        return value
    raise SettingError(f"setting '{name}' has {key} {value!r}, but it must be a number")


def _validated(space: Space, base: TrainConfig) -> Space:
    """Convert every value as training reads it: a learning rate of 1 is the float 1.0, and "1e-3" is 0.001."""
    fixed = with_settings(base, space.fixed)

    def read(name: str, value: Value) -> Any:
        return flatten(to_dict(with_settings(fixed, {name: value})))[name]

    def read_all(name: str, what: Searched) -> Searched:
        if isinstance(what, Choice):
            return _require_distinct(name, Choice(tuple(read(name, value) for value in what.values)))
        return _require_steps_fit(name, replace(what, low=read(name, what.low), high=read(name, what.high)))

    searched = {name: read_all(name, what) for name, what in space.searched.items()}
    return Space(searched, {name: read(name, value) for name, value in space.fixed.items()})


def _require_distinct(name: str, choice: Choice) -> Choice:
    if len(set(choice.values)) < len(choice.values):
        raise SettingError(f"setting '{name}' is {list(choice.values)}, but the values of a choice must differ")
    return choice


def _require_steps_fit(name: str, what: Range) -> Range:
    step = what.step
    if step is None:
        return what
    if what.whole and not float(step).is_integer():
        raise SettingError(f"setting '{name}' has step {step}, but it must be a whole number")
    number = round((what.high - what.low) / step, 9)
    if not number.is_integer():
        raise SettingError(f"setting '{name}' goes from {what.low} to {what.high}, which steps of {step} do not reach")
    return replace(what, step=type(what.low)(step))


def require_comparable_steps(space: Space) -> None:
    """Refuse to prune if a step of one trial reads more than a step of another.

    Raises:
        SettingError: The space searches a setting that changes how much a step reads.
    """
    for name in sorted(_CHANGES_WHAT_A_STEP_IS & set(space.searched)):
        raise SettingError(
            f"setting '{name}' changes how much a step reads, so that trials cannot be compared at a step; "
            "add --prune false"
        )
