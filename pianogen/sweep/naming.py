"""Settings by their dotted names, such as `optim.lr`."""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pianogen.config import flatten, to_dict
from pianogen.errors import SettingError
from pianogen.parsing import Parser, settings_of

Value = str | int | float | bool | None
Settings = TypeVar("Settings")


def with_settings(base: Settings, values: Mapping[str, Value]) -> Settings:
    """Replace the values of some settings.

    Raises:
        SettingError: A name is unknown, or a value is of the wrong kind or out of range.
    """
    parser, settings = _parser_of(type(base)), to_dict(base)
    known = flatten(settings)
    for name, value in values.items():
        if any(other.startswith(f"{name}.") for other in known):
            raise SettingError(f"setting '{name}' is {value!r}, but it must be settings by name")
        if name not in known:
            parser.error(f'Key "{name}" is not expected')
        put(settings, name, value)
    return settings_of(type(base), parser.instantiate(parser.parse_object(settings)))


@cache
def _parser_of(settings: type) -> Parser:
    parser = Parser()
    parser.add_class_arguments(settings)
    return parser


def put(settings: dict[str, Any], name: str, value: Any) -> None:
    """Set one of nested settings by its dotted name."""
    *sections, leaf = name.split(".")
    for section in sections:
        settings = settings.setdefault(section, {})
    settings[leaf] = value
