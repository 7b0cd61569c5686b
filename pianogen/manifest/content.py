"""The bytes of manifest.json: a line for each entry of a list, below their hash; performances are decoded in parts."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Self

from pianogen.errors import ShardError
from pianogen.manifest.records import NOT_LOCATED, PerformanceRecord

FORMAT = 2
MANIFEST_NAME = "manifest.json"
_BEFORE_ENTRIES, _BETWEEN_ENTRIES, _AFTER_ENTRIES = b'\n "performances": [', b"},\n  {", b"\n ]"  # see `to_json`
_CHUNK_BYTES = 1 << 20
_HASH_LINE = re.compile(rb'\{\n "sha256": "([0-9a-f]{64})",\n')


class Entries:
    """The performances of a manifest.json, decoded a thousand or two at a time, because a million at once take 2 GB."""

    def __init__(self, data: bytes, begin: int, end: int, version: int) -> None:
        self._data, self._begin, self._end, self._version = data, begin, end, version

    @classmethod
    def of(cls, entries: Iterable[Any], version: int) -> Self:
        """The same of decoded objects."""
        data = b",\n  ".join(json.dumps(entry).encode() for entry in entries)
        return cls(data, 0, len(data), version)

    def __iter__(self) -> Iterator[PerformanceRecord]:
        """Each record.

        Raises:
            KeyError, TypeError, ValueError: A value is missing or not allowed.
        """
        for entries in self.chunks():
            yield from map(PerformanceRecord.from_file, entries)

    def chunks(self) -> Iterator[list[dict[str, Any]]]:
        """Objects of the file, some at a time, not checked.

        Raises:
            TypeError, ValueError: They cannot be decoded.
        """
        begin = self._begin
        while begin < self._end:
            cut = self._data.rfind(_BETWEEN_ENTRIES, begin, min(begin + _CHUNK_BYTES, self._end))
            if cut < 0:
                cut = self._data.find(_BETWEEN_ENTRIES, begin, self._end)
            end = self._end if cut < 0 else cut + 1
            entries = json.loads(b"[" + self._data[begin:end] + b"]")
            yield [{**NOT_LOCATED, **entry} for entry in entries] if self._version == 1 else entries
            begin = end + 1  # behind the comma


def decode(data: bytes, folder: str) -> tuple[dict[str, Any], tuple[int, int]]:
    """Parse the JSON, and check its format and hash.

    Returns:
        The content, and where its performances are in the data: they are left out, unless the layout is another.
    """
    begin = data.find(_BEFORE_ENTRIES) + len(_BEFORE_ENTRIES)
    end = data.find(_AFTER_ENTRIES, begin)
    is_by_line = len(_BEFORE_ENTRIES) <= begin < end
    try:
        content = json.loads(data[:begin] + data[end:] if is_by_line else data)
        if is_by_line and (not isinstance(content, dict) or content.get("performances") != []):
            content, is_by_line = json.loads(data), False
    except (ValueError, RecursionError) as error:
        raise damaged_manifest(folder, str(error)) from error
    version = content.get("format") if isinstance(content, dict) else None
    if type(version) is not int or not 1 <= version <= FORMAT:
        raise ShardError(
            f"{MANIFEST_NAME} in {folder!r} has format {version!r:.100}, this pianogen reads 1 to {FORMAT}; "
            "run pianogen shards again"
        )
    line = _HASH_LINE.match(data)
    if version > 1 and (line is None or hashlib.sha256(memoryview(data)[line.end() :]).hexdigest().encode() != line[1]):
        raise damaged_manifest(folder, "its content has another sha256 than its second line says")
    return content, (begin, end) if is_by_line else (0, 0)


def encode(content: dict[str, Any]) -> bytes:
    """Put the hash of what is below it into the second line."""
    rest = to_json(content).removeprefix(b"{\n")
    return b'{\n "sha256": "%s",\n' % hashlib.sha256(rest).hexdigest().encode() + rest


def to_json(value: dict[str, Any]) -> bytes:
    """JSON with one line for each entry of a list, so that two files can be compared by line."""
    entries = (f" {json.dumps(name)}: {_lines(entry)}" for name, entry in value.items())
    return ("{\n" + ",\n".join(entries) + "\n}\n").encode()


def _lines(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in value) + "\n ]"
    return json.dumps(value, ensure_ascii=False)


def damaged_manifest(folder: str, what: str) -> ShardError:
    """The error for a manifest that cannot be read."""
    return ShardError(f"{MANIFEST_NAME} in {folder!r} is damaged ({what:.200}); run pianogen shards again")
