"""Random access to the performances in a folder of shards, trusting nothing that lies there.

The manifest says what every shard holds, and each shard is compared with it; tokens are checked before a model sees
them. Nothing is unpickled, extracted or fetched. Legend: P performances, T tokens.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Int16

from pianogen.config import TokenizerConfig
from pianogen.data.shard_file import ShardFile
from pianogen.errors import SettingError, ShardError
from pianogen.tokens.grammar import first_violation
from pianogen.tokens.vocab import EOS, WORDS, fingerprint

FORMAT = 1
MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 30
SPLITS = ("train", "validation", "test")
_SHARD_NAME = re.compile(r"(?:train|validation|test)-\d{6,12}\.tar")
_KEY = re.compile(r"\d{9,20}")


@dataclass(frozen=True)
class Entry:
    """One performance, or tempo variant, as the manifest names it."""

    split: str
    key: str
    num_tokens: int
    is_variant: bool
    shard: ShardFile
    place: int  # in the shard


class Split:
    """The performances of one split, in the order of the manifest."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._checked = np.zeros(len(entries), dtype=bool)
        self.lengths: Int[np.ndarray, " P"] = np.array([entry.num_tokens for entry in entries], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._entries)

    def tokens(self, index: int) -> Int16[np.ndarray, " T"]:
        """The tokens of a performance, xxbos to xxeos; checked when first read.

        Raises:
            ShardError: They cannot be read, or are no whole stream that the grammar allows.
        """
        entry = self._entries[index]
        ids = np.frombuffer(entry.shard.read_tokens(entry.place), dtype="<i2").astype(np.int16)
        if not self._checked[index]:
            _check(ids, entry)
            self._checked[index] = True
        return ids

    def metadata(self, index: int) -> dict[str, Any]:
        """What is known about a performance: source, composer, title, seconds, ...

        Raises:
            ShardError: It cannot be read.
        """
        entry = self._entries[index]
        try:
            value = json.loads(entry.shard.read_metadata(entry.place))
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise entry.shard.damaged(f"has metadata in {entry.key}.json that are no JSON object")
        return value

    def subset(self, indices: Sequence[int] | Int[np.ndarray, " P"]) -> "Split":
        """Some of the performances, in the order given."""
        return Split([self._entries[int(index)] for index in indices])


@dataclass(frozen=True)
class ShardSet:
    """A folder of shards, opened."""

    folder: Path
    manifest: dict[str, Any]
    tokenizer: TokenizerConfig
    entries: tuple[Entry, ...]

    @property
    def fingerprint(self) -> str:
        """Identity of the data set: equal for the same tokens in the same order, of the same meaning."""
        return self.manifest["fingerprint"]

    def split(self, name: str, variants: bool = True) -> Split:
        """One split; tempo variants, which only train has, can be left out.

        Raises:
            SettingError: There is no such split.
        """
        if name not in SPLITS:
            raise SettingError(f"split {name!r} does not exist; there are {', '.join(SPLITS)}")
        return Split([one for one in self.entries if one.split == name and (variants or not one.is_variant)])


def open_shards(folder: Path | str, *, verify: bool = True, tokenizer: TokenizerConfig | None = None) -> ShardSet:
    """Open what `pianogen shards` wrote.

    Args:
        verify: Compare the hash of every shard with the manifest; their sizes are compared in any case.
        tokenizer: The settings that the tokens must have been made with, such as a model's.

    Raises:
        ShardError: The folder is missing, unfinished or damaged, or made with other settings.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    try:
        found = _tokenizer(manifest)
        shards, entries = _entries(folder, manifest)
        valid = isinstance(manifest["fingerprint"], str)
    except (KeyError, TypeError, ValueError, AttributeError, SettingError) as error:
        raise ShardError(
            f"{MANIFEST_NAME} in {str(folder)!r} is damaged ({error}); run pianogen shards again"
        ) from error
    if not valid:
        raise ShardError(f"{MANIFEST_NAME} in {str(folder)!r} has no fingerprint; run pianogen shards again")
    _require_same(found, tokenizer, folder)
    for shard in shards:
        shard.verify(whole=verify)
    return ShardSet(folder, manifest, found, entries)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST_NAME
    if not path.is_file():
        what = "is not finished or holds no shards" if folder.is_dir() else "does not exist"
        raise ShardError(f"folder {str(folder)!r} {what}; make it with pianogen shards SOURCE --out {folder}")
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise ShardError(f"{MANIFEST_NAME} in {str(folder)!r} is larger than {MAX_MANIFEST_BYTES} bytes")
        return parse_manifest(path.read_bytes(), str(folder))
    except OSError as error:
        raise ShardError(
            f"cannot read {MANIFEST_NAME} in {str(folder)!r}: {error}; run pianogen shards again"
        ) from error


def parse_manifest(data: bytes, place: str) -> dict[str, Any]:
    """Read a manifest's bytes.

    Raises:
        ShardError: They are none, or of another format.
    """
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ShardError(f"cannot read {MANIFEST_NAME} in {place!r}: {error}; run pianogen shards again") from error
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if version != FORMAT:
        raise ShardError(
            f"{MANIFEST_NAME} in {place!r} has format {version!r}, this pianogen reads {FORMAT}; make the shards anew"
        )
    return manifest


def _tokenizer(manifest: dict[str, Any]) -> TokenizerConfig:
    recorded = manifest["tokenizer"]
    if recorded["words"] != list(WORDS):
        raise ValueError("its vocabulary is not this pianogen's")
    tokenizer = TokenizerConfig(**recorded["settings"])
    if fingerprint(tokenizer) != recorded["fingerprint"]:
        raise ValueError("its tokenizer settings do not have the fingerprint it records")
    return tokenizer


def _require_same(found: TokenizerConfig, wanted: TokenizerConfig | None, folder: Path) -> None:
    if wanted is None or found == wanted:
        return
    for name, value in asdict(wanted).items():
        if (other := asdict(found)[name]) != value:
            raise ShardError(
                f"shards in {str(folder)!r} were made with {name} {other!r}, but {value!r} is needed; "
                f"make them anew with pianogen shards ... --tokenizer.{name} {value}"
            )


def _entries(folder: Path, manifest: dict[str, Any]) -> tuple[list[ShardFile], tuple[Entry, ...]]:
    """The shards, and every performance's place in them.

    Raises:
        ShardError: A shard holds another number of performances than the manifest says.
    """
    members: dict[str, list[dict[str, Any]]] = {shard_name(one): [] for one in manifest["shards"]}
    for performance in manifest["performances"]:
        members[performance["shard"]].append(performance)
    shards, entries = [], []
    for one in manifest["shards"]:
        held = members[one["name"]]
        if len(held) != one["performances"] or any(entry["split"] != one["split"] for entry in held):
            raise ShardError(
                f"shard {one['name']} holds {one['performances']} performances of {one['split']}, its manifest lists "
                f"{len(held)}; rebuild it with pianogen shards ... --out {folder}"
            )
        keys = tuple(_key(entry["key"]) for entry in held)
        num_tokens = tuple(int(entry["tokens"]) for entry in held)
        shard = ShardFile(folder / one["name"], int(one["bytes"]), str(one["sha256"]), keys, num_tokens)
        shards.append(shard)
        entries.extend(
            Entry(one["split"], keys[place], num_tokens[place], float(held[place]["tempo"]) != 1.0, shard, place)
            for place in range(len(held))
        )
    return shards, tuple(entries)


def shard_name(shard: dict[str, Any]) -> str:
    """A name inside the folder: never a path or an address."""
    if not _SHARD_NAME.fullmatch(shard["name"]):
        raise ValueError(f"shard name {shard['name']!r}")
    return shard["name"]


def _key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"key {key!r}")
    return key


def _check(ids: Int16[np.ndarray, " T"], entry: Entry) -> None:
    position = first_violation(ids, "paper")
    if position is not None:
        raise entry.shard.damaged(
            f"has token {ids[position]} at position {position} of {entry.key}.i16, against the grammar"
        )
    if len(ids) == 0 or ids[-1] != EOS:
        raise entry.shard.damaged(f"has a stream in {entry.key}.i16 that does not end with xxeos")
