"""Laws of the drawn splits: whole groups, no split empty, about a tenth each, whatever the order of the files."""

from collections import defaultdict

import hypothesis.strategies as st
import pytest
from hypothesis import given

from pianogen.errors import SettingError
from pianogen.manifest import SPLITS
from shards.reading import Reading
from shards.sources import SourceFile
from shards.split import assign

SEEDS = st.integers(0, 2**32)


def works(compositions: list[int]) -> list[SourceFile]:
    """Performances of numbered compositions."""
    return [SourceFile(f"{index:04d}.mid", "", composition=f"work {work}") for index, work in enumerate(compositions)]


def unread(sources: list[SourceFile]) -> list[Reading]:
    """Readings without signatures."""
    return [Reading(index) for index in range(len(sources))]


@given(st.lists(st.integers(0, 30), min_size=60, max_size=120), SEEDS)
def test_no_composition_is_in_two_splits(compositions, seed):
    sources = works([*compositions, *range(31)])
    sides = defaultdict(set)
    for source, split in zip(sources, assign("composition", sources, unread(sources), seed), strict=True):
        sides[source.composition].add(split)
    assert {len(splits) for splits in sides.values()} == {1}


@given(st.integers(3, 300), SEEDS)
def test_random_gives_a_tenth_each_to_validation_and_test(count, seed):
    sources = works(list(range(count)))
    chosen = assign("random", sources, unread(sources), seed)
    share = max(1, round(count / 10))
    assert [chosen.count(split) for split in SPLITS] == [count - 2 * share, share, share]


@given(st.permutations(range(20)), SEEDS)
def test_the_draw_does_not_depend_on_the_order_of_the_files(order, seed):
    sources = works(list(range(20)))
    shuffled = [sources[index] for index in order]
    by_name = dict(zip(sources, assign("random", sources, unread(sources), seed), strict=True))
    assert assign("random", shuffled, unread(shuffled), seed) == [by_name[source] for source in shuffled]


def test_another_seed_gives_another_draw():
    sources = works(list(range(100)))
    assert assign("random", sources, unread(sources), 0) != assign("random", sources, unread(sources), 1)


def test_a_performance_without_a_given_split_is_named():
    sources = [SourceFile("a.mid", "", split="train"), SourceFile("b.mid", "")]
    with pytest.raises(SettingError, match=r"no split is given for 'b\.mid'"):
        assign("csv", sources, unread(sources), 0)
