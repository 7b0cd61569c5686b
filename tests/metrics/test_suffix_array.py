"""Longest matches by a suffix array, against a search of every place."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pianogen.metrics.suffix_array import longest_matches, suffix_array

TAIL_BITS = 2
END_OF_TEXT, END_OF_QUERY = 14, 15  # heads as of 12 and 13, which occur

symbols = st.integers(0, 13)
texts = st.lists(symbols, max_size=30)
few = st.lists(st.integers(0, 1), max_size=60)  # long repetitions


def array(values: list[int]) -> np.ndarray:
    return np.array(values, np.int32)


@given(texts | few)
def test_the_suffix_array_sorts_the_suffixes(values):
    assert suffix_array(array(values)).tolist() == sorted(range(len(values)), key=lambda at: values[at:])


def match(text: list[int], at: int, query: list[int], begin: int) -> int:
    """Equal symbols, and one more if only its tail differs."""
    length = 0
    while text[at + length] == query[begin + length]:
        length += 1
    return length + (text[at + length] >> TAIL_BITS == query[begin + length] >> TAIL_BITS)


@given(texts | few, texts | few)
def test_each_match_is_as_long_as_the_longest_of_all_places_and_is_where_it_says(text, query):
    text, query = [*text, END_OF_TEXT], [*query, END_OF_QUERY]
    lengths, places = longest_matches(array(text), suffix_array(array(text)), array(query), TAIL_BITS)
    for begin in range(len(query)):
        assert lengths[begin] == max(match(text, at, query, begin) for at in range(len(text)))
        assert lengths[begin] == match(text, int(places[begin]), query, begin)


def test_nothing_matches_an_empty_text():
    lengths, _ = longest_matches(array([]), array([]), array([3, END_OF_QUERY]), TAIL_BITS)
    assert lengths.tolist() == [0, 0]
