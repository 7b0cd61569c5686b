"""Real music to compare with: the test split of shards and train as its floor, or the halves of a folder."""

from dataclasses import dataclass
from pathlib import Path

from pianogen.config import JudgeConfig, TokenizerConfig
from pianogen.data import ShardSet, open_shards_at
from pianogen.errors import SettingError
from pianogen.judge.piece_sets import (
    MAX_FLOOR_PIECES,
    PieceSet,
    drawn,
    noise_like,
    of_split,
    read_folder,
    without_repeats,
)
from pianogen.manifest import MANIFEST_NAME
from pianogen.storage import is_url


@dataclass(frozen=True)
class References:
    """What pieces are compared with."""

    reference: PieceSet
    floor: PieceSet
    """Other real pieces, whose distances to the reference are the least to expect."""
    noise: PieceSet
    tokenizer: TokenizerConfig
    description: str
    shards: ShardSet | None = None
    """Beside which their measures are kept, and whose train split is searched for copies."""


def references(config: JudgeConfig) -> References:
    """Read the reference, its floor and the noise.

    Raises:
        SettingError: There is nothing to compare with.
        ShardError: The shards are damaged.
    """
    path = Path(config.reference)
    if is_url(config.reference) or (path / MANIFEST_NAME).is_file():
        return _of_shards(config)
    if not path.is_dir():
        raise SettingError(f"setting 'reference' is {config.reference!r}, but it must be shards or a folder of files")
    return _of_folder(path, config)


def _of_shards(config: JudgeConfig) -> References:
    shards = open_shards_at(config.reference)
    tokenizer, spq = shards.tokenizer, shards.tokenizer.steps_per_quarter
    test, train = shards.split("test"), shards.split("train", variants=False)
    if len(test) < 2 or len(train) < 1:
        raise SettingError(
            f"the shards {config.reference} have {len(test)} performances in test and {len(train)} in train, but two "
            "and one are needed; give other shards or a folder of files"
        )
    reference = of_split(test, "real: test", "reference", spq, range(len(test)))
    chosen = drawn(len(train), MAX_FLOOR_PIECES, config.seed)
    floor = of_split(train, "real: train", "floor", spq, chosen)
    return References(
        reference=reference,
        floor=floor,
        noise=noise_like(reference, config.seed),
        tokenizer=tokenizer,
        description=f"the {len(test)} test performances of {shards.folder.resolve().name}, decoded from their tokens; "
        f"floor: {len(chosen)} drawn of its {len(train)} training performances",
        shards=shards,
    )


def _of_folder(path: Path, config: JudgeConfig) -> References:
    both = without_repeats(read_folder(path, "real", "reference", config.tokenizer))
    if len(both.pieces) < 3:
        raise SettingError(
            f"the reference {path} has {len(both.pieces)} pieces, but judging needs at least 3; add some"
        )
    reference = PieceSet("real: even files", "reference", both.pieces[::2], both.left_out)
    return References(
        reference=reference,
        floor=PieceSet("real: odd files", "floor", both.pieces[1::2]),
        noise=noise_like(reference, config.seed),
        tokenizer=config.tokenizer,
        description=f"every other file of {path.resolve().name}, {len(reference.pieces)} pieces; floor: the others",
    )
