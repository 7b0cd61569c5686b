"""Where the members of performances are in a tar."""

import io
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pianogen.errors import ShardError
from pianogen.manifest.records import PerformanceRecord

MAX_METADATA_BYTES = 1 << 20
_MAX_HEADER_BYTES = 1 << 16


def locate_members(path: Path, performances: Sequence[PerformanceRecord]) -> list[PerformanceRecord]:
    """Find the members of performances in a tar that holds them in this order and nothing else.

    Raises:
        ShardError: The tar is damaged or holds other members.
        OSError: It cannot be read.
    """
    try:
        with _TarHeaders(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            located = [_located(tar, one, path) for one in performances]
            if tar.next() is not None:
                raise damaged_shard(path, f"holds more than the {len(performances)} performances of its manifest")
    except (tarfile.TarError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
        raise damaged_shard(path, f"is not a plain tar ({error})") from error
    return located


def _located(tar: tarfile.TarFile, one: PerformanceRecord, path: Path) -> PerformanceRecord:
    tokens = _next_member(tar, f"{one.key}.i16", path)
    if tokens.size != one.tokens_bytes:
        raise damaged_shard(
            path, f"holds {tokens.size // 2} tokens in {tokens.name}, its manifest says {one.num_tokens}"
        )
    metadata = _next_member(tar, f"{one.key}.json", path)
    if not 0 <= metadata.size <= MAX_METADATA_BYTES:
        raise damaged_shard(path, f"has {metadata.size} bytes of metadata in {metadata.name}")
    return replace(
        one,
        tokens_offset=tokens.offset_data,
        metadata_offset=metadata.offset_data,
        metadata_bytes=metadata.size,
    )


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
