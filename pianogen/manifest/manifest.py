"""The whole of manifest.json."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from pianogen.manifest.content import FORMAT, Entries, damaged_manifest, decode, encode
from pianogen.manifest.records import PerformanceRecord, ShardRecord, TokenizerRecord

MAX_MANIFEST_BYTES = 1 << 30
_NOT_COUNTED: dict[str, Any] = {"inconsistent_scores": 0}  # by early versions of format 1


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
        content, place = decode(data, folder)
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
