"""The performances of small shards."""

import pytest

from pianogen.data import ShardSet
from pianogen.tokens import Notes, decode


@pytest.fixture
def train(shards: ShardSet) -> list[Notes]:
    """The performances of the train split."""
    split = shards.split("train")
    return [decode(split.tokens(index)) for index in range(len(split))]
