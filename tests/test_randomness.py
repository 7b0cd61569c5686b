"""Random streams share no keys, and every random draw uses one of them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pianogen
from pianogen.data import chosen_performances
from pianogen.randomness import RandomStream, stream_key

PACKAGE = Path(pianogen.__file__).parent
SEEDS, COUNTERS = st.integers(-(2**63), 2**64 - 1), st.lists(st.integers(0, 2**40), max_size=3)


@given(SEEDS, COUNTERS, st.lists(st.sampled_from(RandomStream), min_size=2, max_size=2, unique=True))
def test_two_streams_share_no_key(seed: int, counters: list[int], streams: list[RandomStream]) -> None:
    first, second = streams
    assert stream_key(seed, first, *counters) != stream_key(seed, second, *counters)


def test_all_positions_of_all_streams_have_different_keys() -> None:
    keys = [
        stream_key(seed, stream, *counters)
        for seed in range(9)
        for stream in RandomStream
        for counters in [(), *all_counters()]
    ]
    assert len(set(keys)) == len(keys)


def all_counters() -> list[tuple[int, ...]]:
    """Small epochs, steps and ranks, as they occur in training."""
    return [(first,) for first in range(20)] + [(first, second) for first in range(20) for second in range(8)]


def test_evaluate_samples_the_training_split_independently_of_data_fraction() -> None:
    trained, scored = (
        chosen_performances(1000, 0.1, 0, stream) for stream in (RandomStream.SUBSAMPLE, RandomStream.EVALUATED)
    )
    assert len(set(trained.tolist()) & set(scored.tolist())) < 30  # 10 of the 100 by chance


@pytest.mark.parametrize(
    "pattern",
    [r"stream_key\([^)]*,\s*\d", r"np\.random\.(?!Philox)", r"default_rng|RandomState", r"^(import|from) random"],
)
def test_every_file_draws_from_a_named_stream(pattern: str) -> None:
    found = [file.name for file in PACKAGE.rglob("*.py") if re.search(pattern, file.read_text(), re.MULTILINE)]
    assert found == []


def test_only_generation_and_the_named_streams_use_philox() -> None:
    files = [file.name for file in PACKAGE.rglob("*.py") if re.search(r"Philox\(", file.read_text())]
    assert sorted(files) == ["choice.py", "randomness.py"]


def test_stream_numbers_and_keys_are_stable() -> None:
    numbers = {stream.name: stream.value for stream in RandomStream}
    assert (numbers["ORDER"], numbers["DROPOUT"], numbers["TRIAL"]) == (1, 5, 7)
    assert stream_key(7, RandomStream.ORDER, 3) == 17660545061438988286  # a changed key would break resuming
