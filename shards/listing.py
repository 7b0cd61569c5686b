"""A csv in MAESTRO's format: which files to use, and their composer, title and split."""

import csv
import hashlib
import io
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pianogen.errors import SourceError
from pianogen.manifest import SPLITS, SplitName
from shards.sources import Collection


@dataclass(frozen=True)
class ListedFile:
    """One line of the list."""

    name: str
    composer: str | None
    title: str | None
    split: SplitName | None

    @property
    def composition(self) -> str | None:
        """Composer and title as one key, however they are capitalised, accented or punctuated."""
        return f"{_plain(self.composer)}|{_plain(self.title)}" if self.composer and self.title else None


def restrict(collection: Collection, path: Path, *, take_split: bool) -> Collection:
    """Keep the listed files only; the list's composer, title and (`take_split`) split replace those of the source."""
    data = read_bytes(path, "list")
    rows = parse_list(data, path.name, need_split=take_split)
    kept = []
    for source in collection.sources:
        if row := rows.pop(source.name, None):
            known = replace(
                source,
                composer=row.composer or source.composer,
                title=row.title or source.title,
                composition=row.composition or source.composition,
            )
            kept.append(replace(known, split=row.split) if take_split else known)
    if not kept:
        raise SourceError(
            f"none of the {len(rows)} files that {path.name} lists is in the source; their names must be equal"
        )
    listed = {"name": path.name, "sha256": hashlib.sha256(data).hexdigest(), "rows": len(kept) + len(rows)}
    description = {**collection.description, "list": listed}
    return replace(collection, description=description, sources=tuple(kept), missing=tuple(sorted(rows)))


def read_bytes(path: Path, what: str) -> bytes:
    """Read a file that the user named.

    Raises:
        SourceError: The file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot read {what} {str(path)!r}: {error.strerror}") from error


def parse_list(data: bytes, name: str, *, need_split: bool) -> dict[str, ListedFile]:
    """Read a csv in MAESTRO's format: midi_filename, and if known canonical_composer, canonical_title, split.

    Raises:
        SourceError: It is not such a csv; the message names the line.
    """
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        lines = [(reader.line_num, line) for line in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"list {name} is not a csv in UTF-8: {error}") from error
    needed = ["midi_filename", "split"] if need_split else ["midi_filename"]
    if lacking := [column for column in needed if column not in (reader.fieldnames or ())]:
        raise SourceError(f"list {name} has no column {lacking[0]!r}; it must have MAESTRO's: {', '.join(needed)}")
    rows: dict[str, ListedFile] = {}
    for number, line in lines:
        row = _row(line, f"list {name}, line {number}", need_split)
        if rows.setdefault(row.name, row) != row:
            raise SourceError(f"list {name}, line {number} names {row.name!r} again, with other values")
    return rows


def _row(line: Mapping[str, str | None], where: str, need_split: bool) -> ListedFile:
    split = line.get("split") or None
    if split not in SPLITS and (need_split or split is not None):
        raise SourceError(f"{where} has split {split!r}; it must be one of {', '.join(SPLITS)}")
    if not line["midi_filename"]:
        raise SourceError(f"{where} names no file")
    return ListedFile(
        name=PurePosixPath(line["midi_filename"]).as_posix(),
        composer=line.get("canonical_composer") or None,
        title=line.get("canonical_title") or None,
        split=split,
    )


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in decomposed if not unicodedata.combining(c)).split())
