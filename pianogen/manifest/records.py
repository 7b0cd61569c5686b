"""The objects in manifest.json, which check their own values."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import itemgetter
from typing import Any, Literal, Self, get_args

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
NOT_LOCATED = {"tokens_offset": 0, "metadata_offset": 0, "metadata_bytes": 0}  # by format 1
_SHARD_NAME = re.compile(r"(?:train|validation|test)-\d{6,12}\.tar")
_KEY = re.compile(r"\d{9,18}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Record:
    """A dataclass that is an object in the file."""

    __slots__ = ()

    @classmethod
    def from_file(cls, entry: Mapping[str, Any]) -> Self:
        """Read an object of the file.

        Raises:
            KeyError, TypeError, ValueError: A value is missing or not allowed.
        """
        return cls(*_values(cls)(entry))

    @classmethod
    def columns(cls, entries: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
        """The values of each field in some objects of the file, not checked.

        Raises:
            KeyError, TypeError: A value is missing.
        """
        rows = map(_values(cls), entries)
        return dict(zip((name for name, _ in _names(cls)), zip(*rows, strict=True), strict=True))

    def to_file(self) -> dict[str, Any]:
        """The inverse of `from_file`."""
        return {name_in_file: getattr(self, name) for name, name_in_file in _names(type(self))}


def _names(record: Any) -> list[tuple[str, str]]:
    """Names of the fields, and of the same in the file, where counts have no prefix."""
    return [(field.name, field.name.removeprefix("num_")) for field in fields(record)]


@lru_cache
def _values(record: Any) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    return itemgetter(*[name_in_file for _, name_in_file in _names(record)])


@dataclass(frozen=True, slots=True)
class ShardRecord(_Record):
    """A tar in the folder."""

    name: str
    split: SplitName
    num_performances: int
    num_tokens: int
    num_bytes: int
    sha256: str

    def __post_init__(self) -> None:
        # a name that is a path or an address would lead out of the folder
        if not _SHARD_NAME.fullmatch(self.name):
            raise ValueError(f"shard name {self.name!r:.100}")
        if self.split not in SPLITS or not _are_counts(self.num_performances, self.num_tokens, self.num_bytes):
            raise ValueError(f"split or sizes of shard {self.name}")
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 {self.sha256!r:.100} of shard {self.name}")


@dataclass(frozen=True, slots=True)
class PerformanceRecord(_Record):
    """A performance, or a tempo variant of one: the members KEY.i16 and KEY.json of a tar."""

    key: str
    shard: str
    split: SplitName
    num_tokens: int  # with xxbos and xxeos
    num_notes: int
    seconds: float
    tempo: float  # factor; above 1 is faster
    lowest_pitch: int
    highest_pitch: int
    source: str
    sha256: str  # of the source file
    composer: str | None
    title: str | None
    tokens_offset: int = 0  # bytes from the start of the tar to the data of the member
    metadata_offset: int = 0
    metadata_bytes: int = 0

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"key {self.key!r:.100}")
        if type(self.tempo) not in (int, float):
            raise ValueError(f"tempo {self.tempo!r:.100} of {self.key}")
        if not _are_counts(self.num_tokens, self.tokens_offset, self.metadata_offset, self.metadata_bytes):
            raise ValueError(f"number of tokens or offsets of {self.key}")

    @staticmethod
    def are_valid(columns: Mapping[str, Sequence[Any]]) -> bool:
        """Whether records with these values could be made."""
        return (
            all(map(_KEY.fullmatch, columns["key"]))
            and {int, float} >= set(map(type, columns["tempo"]))
            and all(_are_counts(*columns[name]) for name in ("num_tokens", *NOT_LOCATED))
        )

    @property
    def tokens_bytes(self) -> int:
        """Size of the member KEY.i16: raw little-endian int16."""
        return 2 * self.num_tokens


@dataclass(frozen=True)
class TokenizerRecord:
    """How the tokens were made."""

    fingerprint: str
    settings: dict[str, Any]
    words: list[str]


def _are_counts(*values: int) -> bool:
    return set(map(type, values)) == {int} and min(values) >= 0
