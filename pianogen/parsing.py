"""Command lines and YAML files into settings, and a parser's complaint into one line that helps."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, NoReturn, TypeVar

from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from pianogen.errors import SettingError

set_parsing_settings(docstring_parse_attribute_docstrings=True)

Settings = TypeVar("Settings")

_UNKNOWN = (
    re.compile(r"unrecognized arguments: --?(?P<name>[\w.]+)"),
    re.compile(r"(?:Key|option|key) ['\"](?P<name>[\w.]+)['\"] is not expected"),
    re.compile(r"does not accept (?:option|nested key) ['\"](?P<name>[\w.]+)['\"]"),
)


class Parser(ArgumentParser):
    """A parser that raises instead of leaving the process."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Turn a complaint into a SettingError, naming the nearest right setting.

        Raises:
            SettingError: Always.
        """
        raise SettingError(explain(message, self.settings())) from ex

    def settings(self) -> list[str]:
        """Name every setting of this parser and of its subcommands."""
        names = [action.dest for action in self._actions]
        for subparser in (self._subcommands_action.choices if self._subcommands_action else {}).values():
            names += [action.dest for action in subparser._actions]
        return names


def explain(message: str, known: Iterable[str]) -> str:
    """Say in one line what a parser said in several, with the nearest known name for an unknown one."""
    for pattern in _UNKNOWN:
        found = pattern.search(message)
        if found:
            return _unknown_setting(found["name"], known)
    message = re.sub(r"Parser key \"([\w.]+)\":", r"setting '\1':", message)
    message = re.sub(r"a (?:typing\.)?Literal\[(.*?)\]", r"one of \1", message)
    message = re.sub(r"<class '(\w+)'>", r"\1", message)
    return " ".join(message.split())


def _unknown_setting(name: str, known: Iterable[str]) -> str:
    names = list(known)
    whole = difflib.get_close_matches(name, names, n=1)
    leaf = name.rpartition(".")[2]
    by_leaf = {known_name.rpartition(".")[2]: known_name for known_name in reversed(names)}
    nearest = whole or [by_leaf[match] for match in difflib.get_close_matches(leaf, by_leaf, n=1)]
    hint = f"; did you mean '{nearest[0]}'?" if nearest else "; --help lists the settings"
    return f"unknown setting '{name}'{hint}"


def settings_of(kind: type[Settings], arguments: Namespace) -> Settings:
    """Build a settings dataclass from the arguments of the same names."""
    names: list[str] = [item.name for item in fields(kind)]  # pyright: ignore[reportArgumentType]
    values: dict[str, Any] = {name: getattr(arguments, name) for name in names}
    return kind(**values)
