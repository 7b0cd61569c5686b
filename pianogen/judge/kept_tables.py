"""The measures of real music and noise, kept beside the shards that they are of: SHARDS/.judge/ROLE-IDENTITY.npz.

See `pianogen.data.kept_file`. Settings that are judged with in turn have a file each.
"""

import hashlib
import inspect
import io
from collections.abc import Callable
from functools import cache

import numpy as np

from pianogen.config import JudgeConfig
from pianogen.data import KeptFile, ShardSet, identity_of
from pianogen.judge.features import FeatureTable, Tables
from pianogen.judge.piece_sets import PieceSet
from pianogen.metrics.music import extremes, harmony, metric, pitch, rhythm, structure, windows

VERSION = 1  # increase it when the layout of the file, or what is measured other than by `_code`, changes
FOLDER = "judge"


def kept_tables(shards: ShardSet, one: PieceSet, config: JudgeConfig, make: Callable[[], Tables]) -> Tables:
    """What an earlier call measured of the same pieces with the same code, or what `make` measures."""
    split = shards.split("train", variants=False) if one.role == "floor" else shards.split("test")
    windows_s = sorted(map(float, config.windows_s))
    notes = [len(named.piece.notes) for named in one.pieces]
    settings = (one.role, config.seed, windows_s, config.first_seconds)
    identity = identity_of(VERSION, shards, [split], _code(), *settings, notes)
    file = KeptFile(
        shards,
        FOLDER,
        f"{one.role}-{identity[:16]}.npz",
        identity,
        content=f"the measures of {one.name}",
        again=f"measuring {one.name} again",
    )
    if (body := file.read()) is not None:
        return _read(body)
    made = make()
    file.keep(_written(made))
    return made


@cache
def _code() -> str:
    """A hash of the modules that compute the measures and the noise."""
    modules = (extremes, harmony, metric, pitch, rhythm, structure, windows)
    return hashlib.sha256("".join(inspect.getsource(module) for module in modules).encode()).hexdigest()


def _read(body: memoryview) -> Tables:
    with np.load(io.BytesIO(body), allow_pickle=False) as data:
        num_pieces = int(data["num_pieces"])
        return {
            str(name): FeatureTable(data[f"values{i}"].astype(np.float64), data[f"piece{i}"], num_pieces)
            for i, name in enumerate(data["names"])
        }


def _written(made: Tables) -> bytes:
    arrays: dict[str, np.ndarray] = {"names": np.array(list(made))}
    for index, table in enumerate(made.values()):
        arrays |= {f"values{index}": table.values.astype(np.float32), f"piece{index}": table.piece}
        arrays["num_pieces"] = np.array(table.num_pieces)
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)  # pyright: ignore[reportArgumentType]
    return data.getvalue()
