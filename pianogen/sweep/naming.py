"""Settings by their dotted names, such as `optim.lr`."""

from collections.abc import Mapping
from typing import Any

from pianogen.config import TrainConfig, flatten, to_dict
from pianogen.errors import SettingError
from pianogen.parsing import Parser, settings_of

Value = str | int | float | bool | None


def with_settings(base: TrainConfig, values: Mapping[str, Value]) -> TrainConfig:
    """Replace the values of some settings.

    Raises:
        SettingError: A name is unknown, or a value is of the wrong kind or out of range.
    """
    parser, settings = Parser(), to_dict(base)
    parser.add_class_arguments(TrainConfig)
    known = flatten(settings)
    for name, value in values.items():
        if any(other.startswith(f"{name}.") for other in known):
            raise SettingError(f"setting '{name}' is {value!r}, but it must be settings by name")
        if name not in known:
            parser.error(f'Key "{name}" is not expected')
        put(settings, name, value)
    return settings_of(TrainConfig, parser.instantiate(parser.parse_object(settings)))


def put(settings: dict[str, Any], name: str, value: Any) -> None:
    """Set one of nested settings by its dotted name."""
    *sections, leaf = name.split(".")
    for section in sections:
        settings = settings.setdefault(section, {})
    settings[leaf] = value
