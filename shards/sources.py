"""The files that SOURCE names, in a fixed order, with what is known about each."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pianogen.errors import SourceError
from pianogen.manifest import SplitName
from pianogen.tokens import find_sources, load_readers, source_suffixes


@dataclass(frozen=True)
class SourceFile:
    """One file to read: `path` itself, or `member` of the zip at `path`."""

    name: str  # within SOURCE, with forward slashes
    path: str
    member: str | None = None
    composer: str | None = None
    title: str | None = None
    composition: str | None = None  # the same for every performance of one work; None: not known
    split: SplitName | None = None  # the official one, or the list's


@dataclass(frozen=True)
class Collection:
    """The files of SOURCE."""

    description: dict[str, Any]  # for the manifest: without paths of this machine
    sources: tuple[SourceFile, ...]
    missing: tuple[str, ...] = ()  # listed, but not found
    has_official_split: bool = False
    # slow facts for the manifest, such as an archive's hash: called once, while the files are read
    details: Callable[[], dict[str, Any]] = field(default=dict)


def collect_folder(folder: Path) -> Collection:
    """Find the MIDI files and scores in a folder and those below it, sorted by name.

    Raises:
        SourceError: It is not a folder, or has no such file.
        PluginError: The reader of a plugin's format cannot be imported.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise SourceError(f"source {str(folder)!r} {what}; give corpus, maestro, or a folder of MIDI files or scores")
    # bytes that are not UTF-8 would break the manifest: in the name they are replaced, in the path kept
    sources = [
        SourceFile(name=_printable(path.relative_to(folder)), path=str(path))
        for path in find_sources(folder, _refuse_unreadable)
    ]
    if not sources:
        raise SourceError(f"folder {str(folder)!r} has no MIDI file or score ({' '.join(source_suffixes())})")
    load_readers({Path(source.path).suffix.lower() for source in sources})
    return Collection(
        description={"kind": "folder", "name": _printable(Path(folder.resolve().name))},
        sources=tuple(sorted(sources, key=lambda source: (source.name, source.path))),
    )


def _refuse_unreadable(error: OSError) -> None:
    raise SourceError(f"cannot list folder {error.filename!r}: {error.strerror}")


def _printable(path: Path) -> str:
    return os.fsencode(PurePosixPath(path)).decode("utf-8", "replace")
