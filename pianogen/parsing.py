"""Command lines and YAML files into settings, and a parser's errors into one helpful line.

Only this module uses what is not public in jsonargparse: `_subcommands_action`, `_actions`, `_typehint` and the
text of its messages. tests/test_parsing.py checks it.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import zip_longest
from typing import Any, NoReturn, TypeVar

from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from pianogen.errors import SettingError

set_parsing_settings(docstring_parse_attribute_docstrings=True)

Settings = TypeVar("Settings")

_YES_OR_NO = ("true", "false", "yes", "no")

_UNKNOWN = (
    re.compile(r"unrecognized arguments: --?(?P<name>[\w.-]+)"),
    re.compile(r"(?:Key|option|key) ['\"](?P<name>[\w.]+)['\"] is not expected"),
    re.compile(r"does not accept (?:option|nested key) ['\"](?P<name>[\w.]+)['\"]"),
)

_OPTIONAL = re.compile(  # jsonargparse's message for an invalid value of an optional setting
    r"Does not validate against any of the Union subtypes\s+Subtypes: .*\s+Errors:\s+- (?P<rule>[^\n]*)\s+"
    r"- Expected a NoneType\s+Given value type: \w+\s+Given value: "
)


class Parser(ArgumentParser):
    """A parser that raises instead of exiting."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Turn an error into a SettingError that names the nearest valid setting.

        Raises:
            SettingError: Always.
        """
        raise SettingError(explain(message, self.settings())) from ex

    def parse_args(self, args: Sequence[str] | None = None, *others: Any, **options: Any) -> Namespace:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Parse a command line; a boolean flag without a value means true."""
        arguments = sys.argv[1:] if args is None else args
        return super().parse_args(list(with_values(arguments, self.switches())), *others, **options)

    def switches(self) -> set[str]:
        """The flags of boolean settings, of this parser and of its subcommands."""
        return {flag for action in self._all_actions() if _is_boolean(action) for flag in action.option_strings}

    def settings(self) -> list[str]:
        """The names of all settings, of this parser and of its subcommands."""
        return [action.dest for action in self._all_actions()]

    def _all_actions(self) -> list[argparse.Action]:
        below = [action for parser in self.actions() for action in parser._all_actions()]
        return [*self._actions, *below]

    def actions(self) -> list["Parser"]:
        """The parsers of its subcommands."""
        return list(self._subcommands_action.choices.values()) if self._subcommands_action else []


def sentence(help_line: str) -> str:
    """A help line as a sentence; names such as MAESTRO or F1 keep their case."""
    return f"{help_line[0].upper()}{help_line[1:]}."


def _is_boolean(action: argparse.Action) -> bool:
    return getattr(action, "_typehint", None) is bool


def with_values(arguments: Sequence[str], switches: set[str]) -> Iterator[str]:
    """Give each boolean flag without a value the value true."""
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        has_no_value = argument in switches and following.lower() not in _YES_OR_NO
        yield f"{argument}=true" if has_no_value else argument


def explain(message: str, known: Iterable[str]) -> str:
    """Shorten a parser's message to one line, with the nearest known name for an unknown one."""
    for pattern in _UNKNOWN:
        found = pattern.search(message)
        if found:
            return _unknown_setting(found["name"], known)
    message = re.sub(r"Parser key \"([\w.]+)\":", r"setting '\1':", message)
    message = re.sub(r"a (?:typing\.)?Literal\[(.*?)\]", r"one of \1", message)
    message = re.sub(r"<class '(\w+)'>", r"\1", message)
    message = _OPTIONAL.sub(r"\g<rule>. Got value: ", message)
    return " ".join(message.split())


def _unknown_setting(name: str, known: Iterable[str]) -> str:
    names = list(known)
    if name in names:  # it would suggest itself
        return f"'{name}' is not valid as --{name} here; give it after its verb, or without the dashes: see --help"
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
