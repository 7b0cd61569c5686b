"""Model kinds, metrics and source formats that other installed packages add; see docs/extending.md.

A package names a function in the entry point group `pianogen.plugins`; it is called with a `Registry`, once per
process, when a name that is not built in is looked up.
"""

import pkgutil
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from pianogen.errors import PianogenError, PluginError

GROUP = "pianogen.plugins"

Kind = Literal["model", "metric", "source format"]
_NAMES: dict[Kind, re.Pattern[str]] = {
    "model": re.compile(r"[a-z][a-z0-9_]*"),
    "metric": re.compile(r"[a-z][a-z0-9_]*"),
    "source format": re.compile(r"\.[a-z0-9_]+"),
}


@dataclass(frozen=True)
class Extension:
    """One thing that a package adds."""

    kind: Kind
    name: str
    package: str
    target: Any
    """A class or function, or its import path."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of package {self.package}"

    def load(self) -> Any:
        """The class or function.

        Raises:
            PluginError: Its import path cannot be imported.
        """
        if not isinstance(self.target, str):
            return self.target
        try:
            return pkgutil.resolve_name(self.target)
        except Exception as error:  # a plugin's module may raise anything
            raise PluginError(f"{self}: cannot import {self.target}: {_line(error)}") from error

    def call(self, *arguments: Any) -> Any:
        """Call the function.

        Raises:
            PluginError: It failed.
        """
        function = self.load()
        try:
            return function(*arguments)
        except PianogenError:
            raise
        except Exception as error:
            raise PluginError(f"{self} failed: {_line(error)}") from error


@dataclass
class Registry:
    """What a plugin's function is called with.

    A class or function can be given as its import path, such as "package.module:Name", to be imported on first use.
    """

    package: str = ""
    extensions: dict[Kind, dict[str, Extension]] = field(default_factory=lambda: {kind: {} for kind in _NAMES})

    def add_model(self, name: str, layer_class: type | str) -> None:
        """Add a model kind: a subclass of `pianogen.models.layer.RecurrentLayer`."""
        self._add("model", name, layer_class)

    def add_metric(self, name: str, function: Callable[[Any], float] | str) -> None:
        """Add a metric: a function of `pianogen.evaluation.Counts`; a value that is not finite is left out."""
        self._add("metric", name, function)

    def add_source_format(self, suffixes: str | Sequence[str], reader: Callable[[Any], Any] | str) -> None:
        """Add file suffixes, such as ".txt", and a function from a path to `pianogen.tokens.RawNotes`."""
        for suffix in [suffixes] if isinstance(suffixes, str) else suffixes:
            self._add("source format", suffix.lower(), reader)

    def _add(self, kind: Kind, name: str, target: Any) -> None:
        added = Extension(kind, name, self.package, target)
        if not _NAMES[kind].fullmatch(name):
            raise PluginError(f"{added}: the name must match {_NAMES[kind].pattern}")
        if name in self.extensions[kind]:
            raise PluginError(f"{added}: {self.extensions[kind][name]} has the same name; uninstall one of them")
        self.extensions[kind][name] = added


def extensions(kind: Kind, built_in: Collection[str]) -> dict[str, Extension]:
    """What the installed packages add, by name, in an order that does not depend on the machine.

    Raises:
        PluginError: A plugin cannot be imported or failed, or a name is used twice or is one of `built_in`.
    """
    found = _registry().extensions[kind]
    for name in found:
        if name in built_in:
            raise PluginError(f"{found[name]}: pianogen has a {kind} of this name; rename it or uninstall the package")
    return found


@cache
def _registry() -> Registry:
    registry = Registry()
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (_package(entry), entry.name, entry.value)):
        registry.package = _package(entry)
        try:
            entry.load()(registry)
        except PluginError:
            raise
        except Exception as error:
            where = f"plugin {entry.name!r} of package {registry.package} ({entry.value})"
            raise PluginError(f"{where} failed: {_line(error)}; update or uninstall the package") from error
    return registry


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
