"""Every random stream has its own keys, and no module draws in another way."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pianogen
from pianogen.data import chosen_performances
from pianogen.randomness import RandomStream, stream_key

PACKAGE = Path(pianogen.__file__).parent
SEEDS, INDICES = st.integers(-(2**63), 2**64 - 1), st.lists(st.integers(0, 2**40), max_size=3)


@given(SEEDS, INDICES, st.lists(st.sampled_from(RandomStream), min_size=2, max_size=2, unique=True))
def test_no_two_streams_share_a_key(seed: int, indices: list[int], streams: list[RandomStream]) -> None:
    first, second = streams
    assert stream_key(seed, first, *indices) != stream_key(seed, second, *indices)


def test_no_draw_of_a_stream_shares_a_key_with_another() -> None:
    keys = [
        stream_key(seed, stream, *indices) for seed in range(9) for stream in RandomStream for indices in [(), *draws()]
    ]
    assert len(set(keys)) == len(keys)


def draws() -> list[tuple[int, ...]]:
    """Small epochs, steps and ranks."""
    return [(first,) for first in range(20)] + [(first, second) for first in range(20) for second in range(8)]


def test_what_evaluate_scores_of_train_is_not_what_a_fraction_trained_on() -> None:
    trained, scored = (
        chosen_performances(1000, 0.1, 0, stream) for stream in (RandomStream.SUBSAMPLE, RandomStream.EVALUATED)
    )
    assert len(set(trained.tolist()) & set(scored.tolist())) < 30  # 10 of the 100 by chance


@pytest.mark.parametrize("drawing", [r"stream_key\([^)]*,\s*\d", r"np\.random\.(?!Philox)", r"^(import|from) random"])
def test_no_file_draws_but_from_a_named_stream(drawing: str) -> None:
    found = [file.name for file in PACKAGE.rglob("*.py") if re.search(drawing, file.read_text(), re.MULTILINE)]
    assert found == []


def test_pieces_alone_are_drawn_by_philox() -> None:
    files = [file for file in PACKAGE.rglob("*.py") if "np.random.Philox" in file.read_text()]
    assert [file.name for file in files] == ["draws.py"]


def test_a_stream_keeps_its_number_and_its_keys() -> None:
    numbers = {stream.name: stream.value for stream in RandomStream}
    assert (numbers["ORDER"], numbers["DROPOUT"], numbers["TRIAL"]) == (1, 5, 7)
    assert stream_key(7, RandomStream.ORDER, 3) == 17660545061438988286  # another key is another format of checkpoint
