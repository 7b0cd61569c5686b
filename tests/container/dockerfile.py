"""The Dockerfile and what reaches its builder, read as far as this project makes use of both formats."""

import os
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePath

ROOT = Path(__file__).parents[2]
Instruction = tuple[str, str]
"""A keyword and what it is told: ("RUN", "pip install ...")."""


def instructions() -> list[Instruction]:
    """All of the Dockerfile, in order."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", "").splitlines()
    return [(word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in whole if line)]


def all_of(keyword: str) -> list[str]:
    """What every instruction of a kind is told."""
    return [told for word, told in instructions() if word == keyword]


def copied(told: str) -> frozenset[PurePath]:
    """The files that a COPY takes from the context."""
    *sources, _ = told.split()
    return frozenset(file for file in context() if any(file.is_relative_to(source) for source in sources))


@cache
def context() -> frozenset[PurePath]:
    """The files that reach the builder."""
    found: set[PurePath] = set()
    for name, folders, files in os.walk(ROOT):
        here = Path(name).relative_to(ROOT)
        folders[:] = [folder for folder in folders if reaches_builder(here / folder)]
        found |= {here / file for file in files if reaches_builder(here / file)}
    return frozenset(found)


def reaches_builder(path: PurePath) -> bool:
    """Whether .dockerignore lets a path through: the last rule decides that names it, or a folder that it lies in."""
    above = [path, *path.parents]
    named = [rule for rule in _rules() if any(_names(rule.removeprefix("!"), each) for each in above)]
    return not named or named[-1].startswith("!")


@cache
def _rules() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _names(pattern: str, path: PurePath) -> bool:
    if pattern.startswith("**/"):
        return fnmatchcase(path.name, pattern.removeprefix("**/"))
    wanted = PurePath(pattern).parts
    return len(path.parts) == len(wanted) and all(map(fnmatchcase, path.parts, wanted))
