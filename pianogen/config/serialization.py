"""Settings as plain nested values, and back."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, TypeVar, get_type_hints

from pianogen.config.rules import require

Settings = TypeVar("Settings")


def to_dict(settings: Any) -> dict[str, Any]:
    """Write settings as plain nested values, ready for YAML or JSON."""
    return json.loads(json.dumps(asdict(settings)))


def from_dict(kind: type[Settings], values: dict[str, Any]) -> Settings:
    """Read what `to_dict` wrote.

    Raises:
        SettingError: A name is unknown or a value breaks its rule.
    """
    hints = get_type_hints(kind)
    require(isinstance(values, dict), kind.__name__, values, "settings by name")
    unknown = sorted(set(values) - set(hints))
    require(not unknown, kind.__name__, unknown, f"made of {', '.join(hints)}; was it written by another version?")
    return kind(**{name: _read(hints[name], value) for name, value in values.items()})


def flatten(
    settings: Mapping[Any, Any], is_value: Callable[[dict[Any, Any]], bool] = lambda settings: False, prefix: str = ""
) -> dict[str, Any]:
    """Nested settings by their dotted names, such as `optim.lr`; a dict for which `is_value` is true is kept whole."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        nested = isinstance(value, dict) and not is_value(value)
        flat |= flatten(value, is_value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return flat


def differences(one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """The settings in which two objects of settings differ: the dotted name, and both values."""
    there = flatten(to_dict(other))
    for name, value in flatten(to_dict(one)).items():
        if value != there.get(name):
            yield name, value, there.get(name)


def _read(hint: Any, value: Any) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return from_dict(hint, value)
    return tuple(value) if isinstance(value, list) else value
