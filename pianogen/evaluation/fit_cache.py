"""The fit of the baselines, kept beside the shards, so that only the first evaluation has to read the train split.

SHARDS/.baselines/MASK.fit               where the folder can be written
CACHE/baselines/FINGERPRINT/MASK.fit     elsewhere; for CACHE see `pianogen.storage.cache_folder`

A file is one line, the identity of the fit and the SHA-256 of what follows, then the bytes of the arrays. Two processes
that write at once write the same bytes.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pianogen.config import Mask
from pianogen.data import ShardSet, Split
from pianogen.errors import StorageError
from pianogen.evaluation.baselines import MAX_ORDER, NUM_ROLES, Fit
from pianogen.evaluation.ngram import KeyCounts
from pianogen.files import write_atomic
from pianogen.progress import console
from pianogen.storage import cache_folder
from pianogen.tokens.vocab import VOCABULARY_SIZE

_VERSION = 1  # increase it when `Fit` counts something else
_FOLDER = ".baselines"
_HEADER_BYTES = 64 + 1 + 64 + 1  # two hashes in hexadecimal


def fit_of(shards: ShardSet, mask: Mask) -> Fit:
    """Fit to the train split without its tempo variants, or read what an earlier call kept."""
    train = shards.split("train", variants=False)
    identity = _identity(shards, train, mask)
    for path in _paths(shards, mask):
        if (found := _read(path, identity)) is not None:
            return found
    fit = Fit.of([train.tokens(index) for index in range(len(train))], mask)
    _keep(_paths(shards, mask), identity, fit)
    return fit


def _identity(shards: ShardSet, train: Split, mask: Mask) -> str:
    """What the fit depends on, as one hash."""
    lengths = hashlib.sha256(train.lengths.astype("<i8").tobytes()).hexdigest()
    parts = [_VERSION, shards.fingerprint, lengths, mask, MAX_ORDER, VOCABULARY_SIZE]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _paths(shards: ShardSet, mask: Mask) -> Iterator[Path]:
    """Where the fit may be, the preferred place first."""
    yield shards.folder / _FOLDER / f"{mask}.fit"
    try:
        yield cache_folder() / "baselines" / shards.fingerprint[:32] / f"{mask}.fit"
    except StorageError:  # this user has no home directory
        return


def _read(path: Path, identity: str) -> Fit | None:
    """The fit in a file, or None; an unusable file is named on the console."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    header, body = data[:_HEADER_BYTES], memoryview(data)[_HEADER_BYTES:]
    if header != _header(identity, body):
        why = "damaged" if header.startswith(identity.encode()) else "not of these shards and this version"
        console.print(f"[yellow]note:[/] {path} is {why}; fitting the baselines again", soft_wrap=True)
        return None
    share, table = np.frombuffer(body, "<f8", NUM_ROLES), np.frombuffer(body, "<i8", offset=8 * NUM_ROLES)
    keys, counts = table.reshape(2, -1).astype(np.int64)
    return Fit(KeyCounts(keys, counts), share.astype(np.float64))


def _keep(paths: Iterator[Path], identity: str, fit: Fit) -> None:
    """Write the fit to the first place that can be written; if there is none, say so."""
    arrays = (fit.repeat_share.astype("<f8"), fit.table.keys.astype("<i8"), fit.table.counts.astype("<i8"))
    body = b"".join(array.tobytes() for array in arrays)
    reason: OSError | str = "there is no folder for it"
    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, _header(identity, body) + body)
        except OSError as error:
            reason = error
        else:
            return
    console.print(f"[yellow]note:[/] the fit of the baselines could not be kept: {reason}", soft_wrap=True)


def _header(identity: str, body: bytes | memoryview) -> bytes:
    return f"{identity} {hashlib.sha256(body).hexdigest()}\n".encode()
