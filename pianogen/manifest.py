"""manifest.json: what the shards of a folder hold, where it came from, and what was left out.

`pianogen shards` writes it last, and `pianogen.data` reads it. Its second line is the SHA-256 of all lines below, as
`tail -n +3 manifest.json | sha256sum` prints it. Format 1 had neither that line nor the offsets of the members.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pianogen.errors import ShardError

FORMAT = 2
MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 30
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
MAX_METADATA_BYTES = 1 << 20
_MAX_HEADER_BYTES = 1 << 16
_SHARD_NAME = re.compile(r"(?:train|validation|test)-\d{6,12}\.tar")
_KEY = re.compile(r"\d{9,18}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NOT_COUNTED: dict[str, Any] = {"inconsistent_scores": 0}  # by early versions of format 1
_NOT_LOCATED = {"tokens_offset": 0, "metadata_offset": 0, "metadata_bytes": 0}  # by format 1
_BEFORE_ENTRIES, _BETWEEN_ENTRIES, _AFTER_ENTRIES = b'\n "performances": [', b"},\n  {", b"\n ]"  # see `to_json`
_CHUNK_BYTES = 1 << 20
_HASH_LINE = re.compile(rb'\{\n "sha256": "([0-9a-f]{64})",\n')


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
            and all(_are_counts(*columns[name]) for name in ("num_tokens", *_NOT_LOCATED))
        )

    @property
    def tokens_bytes(self) -> int:
        """Size of the member KEY.i16: raw little-endian int16."""
        return 2 * self.num_tokens


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
            yield [{**_NOT_LOCATED, **entry} for entry in entries] if self._version == 1 else entries
            begin = end + 1  # behind the comma


@dataclass(frozen=True)
class TokenizerRecord:
    """How the tokens were made."""

    fingerprint: str
    settings: dict[str, Any]
    words: list[str]


@dataclass(frozen=True)
class Manifest:
    """The whole file."""

    fingerprint: str
    """Identity of the data set: equal for the same tokens in the same order, of the same meaning."""
    source: dict[str, Any]
    settings: dict[str, Any]
    tokenizer: TokenizerRecord
    readers: dict[str, str]
    splits: dict[str, dict[str, Any]]
    report: dict[str, Any]
    shards: list[ShardRecord]
    missing: list[str]
    dropped: list[dict[str, Any]]
    inconsistent_scores: int
    performances: list[PerformanceRecord] | Entries
    """In the order of the shards and of their members; in a manifest that was read, checked by `pianogen.data`."""
    format: int = FORMAT

    @classmethod
    def parse(cls, data: bytes, folder: str) -> Self:
        """Read the bytes of a manifest.json, but not yet its performances, whose offsets in format 1 are 0.

        Raises:
            ShardError: It is damaged or of another format.
        """
        content, place = _decode(data, folder)
        if content["format"] == 1:
            content = {**_NOT_COUNTED, **content}
        try:
            manifest = cls(
                **{field.name: content[field.name] for field in fields(cls)}
                | {
                    "tokenizer": TokenizerRecord(**content["tokenizer"]),
                    "shards": [ShardRecord.from_file(entry) for entry in content["shards"]],
                    "performances": Entries(data, *place, content["format"])
                    if any(place)
                    else Entries.of(content["performances"], content["format"]),
                }
            )
            manifest._check()
        except (KeyError, TypeError, ValueError) as error:
            raise damaged_manifest(folder, str(error)) from error
        return manifest

    def _check(self) -> None:
        if type(self.fingerprint) is not str:
            raise ValueError(f"fingerprint {self.fingerprint!r:.100}")
        if len({shard.name for shard in self.shards}) < len(self.shards):
            raise ValueError("it lists a shard twice")

    def to_bytes(self) -> bytes:
        """The content of manifest.json."""
        return encode(
            {
                "format": self.format,
                **{field.name: getattr(self, field.name) for field in fields(self)},
                "tokenizer": asdict(self.tokenizer),
                "shards": [shard.to_file() for shard in self.shards],
                "performances": [performance.to_file() for performance in self.performances],
            }
        )


def locate_members(path: Path, performances: Sequence[PerformanceRecord]) -> list[PerformanceRecord]:
    """Find the members of performances in a tar that holds them in this order and nothing else.

    Raises:
        ShardError: The tar is damaged or holds other members.
        OSError: It cannot be read.
    """
    located = []
    try:
        with _TarHeaders(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for one in performances:
                tokens = _next_member(tar, f"{one.key}.i16", path)
                if tokens.size != one.tokens_bytes:
                    raise damaged_shard(
                        path, f"holds {tokens.size // 2} tokens in {tokens.name}, its manifest says {one.num_tokens}"
                    )
                metadata = _next_member(tar, f"{one.key}.json", path)
                if not 0 <= metadata.size <= MAX_METADATA_BYTES:
                    raise damaged_shard(path, f"has {metadata.size} bytes of metadata in {metadata.name}")
                located.append(
                    replace(
                        one,
                        tokens_offset=tokens.offset_data,
                        metadata_offset=metadata.offset_data,
                        metadata_bytes=metadata.size,
                    )
                )
            if tar.next() is not None:
                raise damaged_shard(path, f"holds more than the {len(performances)} performances of its manifest")
    except (tarfile.TarError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
        raise damaged_shard(path, f"is not a plain tar ({error})") from error
    return located


class _TarHeaders(io.FileIO):
    """A tar of which only the headers are read: `tarfile` allocates as many bytes as a hostile header asks for."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


def _next_member(tar: tarfile.TarFile, name: str, path: Path) -> tarfile.TarInfo:
    member = tar.next()
    if member is None or member.type != tarfile.REGTYPE or member.pax_headers or member.name != name:
        found = "nothing" if member is None else f"{member.name[:100]!r}"
        raise damaged_shard(path, f"has {found} where a regular member {name} should be")
    return member


def damaged_shard(path: Path, what: str) -> ShardError:
    """The error for a shard that is not what its manifest says."""
    return ShardError(f"shard {path.name} {what}; rebuild it with pianogen shards ... --out {path.parent}")


def damaged_manifest(folder: str, what: str) -> ShardError:
    return ShardError(f"{MANIFEST_NAME} in {folder!r} is damaged ({what:.200}); run pianogen shards again")


def _decode(data: bytes, folder: str) -> tuple[dict[str, Any], tuple[int, int]]:
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


def _are_counts(*values: int) -> bool:
    return set(map(type, values)) == {int} and min(values) >= 0


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
