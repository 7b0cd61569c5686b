"""The fit of the baselines, kept beside the shards, so that only the first evaluation has to read the train split.

The file is .baselines/MASK.fit, see `pianogen.data.kept_file`; its content is the bytes of the arrays.
"""

import numpy as np

from pianogen.config import Mask
from pianogen.data import KeptFile, ShardSet, identity_of
from pianogen.evaluation.baselines import MAX_ORDER, NUM_ROLES, Fit
from pianogen.evaluation.ngram import KeyCounts
from pianogen.tokens.vocab import VOCABULARY_SIZE

_VERSION = 1  # increase it when `Fit` counts something else


def fit_of(shards: ShardSet, mask: Mask) -> Fit:
    """Fit to the train split without its tempo variants, or read what an earlier call kept."""
    train = shards.split("train", variants=False)
    file = KeptFile(
        shards,
        "baselines",
        f"{mask}.fit",
        identity_of(_VERSION, shards, [train], mask, MAX_ORDER, VOCABULARY_SIZE),
        content="the fit of the baselines",
        again="fitting the baselines again",
    )
    if (body := file.read()) is not None:
        return _from_bytes(body)
    fit = Fit.of([train.tokens(index) for index in range(len(train))], mask)
    file.keep(_to_bytes(fit))
    return fit


def _from_bytes(body: memoryview) -> Fit:
    share, table = np.frombuffer(body, "<f8", NUM_ROLES), np.frombuffer(body, "<i8", offset=8 * NUM_ROLES)
    keys, counts = table.reshape(2, -1).astype(np.int64)
    return Fit(KeyCounts(keys, counts), share.astype(np.float64))


def _to_bytes(fit: Fit) -> bytes:
    arrays = (fit.repeat_share.astype("<f8"), fit.table.keys.astype("<i8"), fit.table.counts.astype("<i8"))
    return b"".join(array.tobytes() for array in arrays)
