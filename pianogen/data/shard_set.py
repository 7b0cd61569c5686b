"""Random access to the performances in a folder of shards, without trusting its content.

The manifest says what every shard holds, and each shard is compared with it; tokens are checked before a model sees
them. Nothing is unpickled, extracted or fetched. Legend: P performances, T tokens.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Int16, Shaped

from pianogen.config import TokenizerConfig, differences
from pianogen.data.members import members_of
from pianogen.data.shard_file import ShardFile
from pianogen.data.verification import verify_all
from pianogen.errors import SettingError, ShardError
from pianogen.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, SPLITS, Manifest, TokenizerRecord
from pianogen.tokens.grammar import first_violation
from pianogen.tokens.vocab import EOS, WORDS, fingerprint


class Split:
    """The performances of one split, in the order of the manifest."""

    def __init__(
        self, shards: Sequence[ShardFile], members: Shaped[np.ndarray, " M"], chosen: Int[np.ndarray, " P"]
    ) -> None:
        """Take the chosen rows of the table of all members."""
        self._shards, self._members = shards, members
        self._chosen = chosen.astype(np.int32)
        self._checked = np.zeros(len(chosen), dtype=bool)
        self.lengths: Int[np.ndarray, " P"] = members["num_tokens"][chosen]

    def __len__(self) -> int:
        return len(self._chosen)

    def tokens(self, index: int, start: int = 0, stop: int | None = None) -> Int16[np.ndarray, " T"]:
        """The tokens of a performance, xxbos to xxeos, or those from `start` to `stop`; checked when first read.

        Raises:
            ShardError: They cannot be read, or are not a whole stream that the grammar allows.
        """
        if not self._checked[index]:
            one = self._members[self._chosen[index]]
            ids = self._read(index, 0, int(self.lengths[index]))
            _check(ids, self._shards[int(one["shard"])], f"{one['key']:09d}.i16")
            self._checked[index] = True
            return ids[start:stop]
        return self._read(index, start, int(self.lengths[index]) if stop is None else stop)

    def _read(self, index: int, start: int, stop: int) -> Int16[np.ndarray, " T"]:
        number = self._chosen[index]
        offset = int(self._members["tokens_offset"][number]) + 2 * start
        data = self._shards[int(self._members["shard"][number])].read(offset, 2 * (stop - start))
        return np.frombuffer(data, dtype="<i2").astype(np.int16)

    def metadata(self, index: int) -> dict[str, Any]:
        """What is known about a performance: source, composer, title, seconds, ...

        Raises:
            ShardError: It cannot be read.
        """
        one = self._members[self._chosen[index]]
        shard = self._shards[int(one["shard"])]
        try:
            value = json.loads(shard.read(int(one["metadata_offset"]), int(one["metadata_bytes"])))
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise shard.damaged(f"has metadata in {one['key']:09d}.json that are not a JSON object")
        return value

    def subset(self, indices: Sequence[int] | Int[np.ndarray, " P"]) -> "Split":
        """Some of the performances, in the order given."""
        return Split(self._shards, self._members, self._chosen[np.asarray(indices, dtype=np.int64)])


@dataclass(frozen=True, eq=False)
class ShardSet:
    """A folder of shards, opened."""

    folder: Path
    fingerprint: str
    """Identity of the data set: equal for the same tokens in the same order, of the same meaning."""
    tokenizer: TokenizerConfig
    shards: tuple[ShardFile, ...]
    performances: Shaped[np.ndarray, " P"]
    source: dict[str, Any] = field(default_factory=dict)
    """What they were made of: its kind, and for example the version of MAESTRO."""

    def split(self, name: str, variants: bool = True) -> Split:
        """One split; tempo variants, which only train has, can be left out.

        Raises:
            SettingError: There is no such split.
        """
        if name not in SPLITS:
            raise SettingError(f"split {name!r} does not exist; there are {', '.join(SPLITS)}")
        chosen = self.performances["split"] == SPLITS.index(name)
        if not variants:
            chosen &= ~self.performances["is_variant"]
        return Split(self.shards, self.performances, np.flatnonzero(chosen))


def open_shards(folder: Path | str, *, verify: bool = True, tokenizer: TokenizerConfig | None = None) -> ShardSet:
    """Open what `pianogen shards` wrote.

    Args:
        verify: Compare the hash of every shard with the manifest, which the ranks of a node share; their sizes are
            compared in any case.
        tokenizer: The settings that the tokens must have been made with, such as a model's.

    Raises:
        ShardError: The folder is missing, unfinished or damaged, or made with other settings.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    found = _tokenizer(manifest.tokenizer, folder)
    _require_same(found, tokenizer, folder)
    shards = tuple(ShardFile(folder / shard.name, shard.num_bytes, shard.sha256) for shard in manifest.shards)
    for shard in shards:
        shard.verify(whole=False)
    if verify:
        verify_all(shards)
    members = members_of(manifest, shards, str(folder))
    return ShardSet(folder, manifest.fingerprint, found, shards, members, manifest.source)


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST_NAME
    if not path.is_file():
        what = "is not finished or holds no shards" if folder.is_dir() else "does not exist"
        raise ShardError(f"folder {str(folder)!r} {what}; make it with pianogen shards SOURCE --out {folder}")
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise ShardError(f"{MANIFEST_NAME} in {str(folder)!r} is larger than {MAX_MANIFEST_BYTES} bytes")
        return Manifest.parse(path.read_bytes(), str(folder))
    except OSError as error:
        raise ShardError(
            f"cannot read {MANIFEST_NAME} in {str(folder)!r}: {error}; run pianogen shards again"
        ) from error


def _tokenizer(recorded: TokenizerRecord, folder: Path) -> TokenizerConfig:
    try:
        if recorded.words != list(WORDS):
            raise ValueError("its vocabulary is not this pianogen's")
        tokenizer = TokenizerConfig(**recorded.settings)
        if fingerprint(tokenizer) != recorded.fingerprint:
            raise ValueError("its tokenizer settings do not have the fingerprint it records")
    except (TypeError, ValueError, SettingError) as error:
        raise ShardError(
            f"{MANIFEST_NAME} in {str(folder)!r} is damaged ({error}); run pianogen shards again"
        ) from error
    return tokenizer


def _require_same(found: TokenizerConfig, wanted: TokenizerConfig | None, folder: Path) -> None:
    for name, value, other in () if wanted is None else differences(wanted, found):
        raise ShardError(
            f"shards in {str(folder)!r} were made with {name} {other!r}, but {value!r} is needed; "
            f"make them again with pianogen shards ... --tokenizer.{name} {value}"
        )


def _check(ids: Int16[np.ndarray, " T"], shard: ShardFile, name: str) -> None:
    position = first_violation(ids, "paper")
    if position is not None:
        raise shard.damaged(f"has token {ids[position]} at position {position} of {name}, against the grammar")
    if len(ids) == 0 or ids[-1] != EOS:
        raise shard.damaged(f"has a stream in {name} that does not end with xxeos")
