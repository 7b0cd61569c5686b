"""The vocabulary is the same as musicautobot's."""

import pytest

from pianogen.errors import TokenError
from pianogen.tokens.vocab import VOCABULARY_SIZE, WORDS, ids_of, words_of


def test_there_are_312_different_words() -> None:
    assert VOCABULARY_SIZE == len(set(WORDS)) == 312


@pytest.mark.parametrize(
    ("word", "index"),
    [
        *[("xxbos", 0), ("xxpad", 1), ("xxeos", 2), ("xxsep", 8), ("n0", 9), ("n127", 136), ("d0", 137)],
        *[("d160", 297), ("mt0", 298), ("mt9", 307), ("dummy0", 308), ("dummy3", 311)],
    ],
)
def test_a_word_has_musicautobots_id(word: str, index: int) -> None:
    assert ids_of([word]).tolist() == [index]


def test_words_and_ids_are_inverse() -> None:
    assert tuple(words_of(ids_of(WORDS))) == WORDS


def test_an_unknown_word_is_named_with_its_position() -> None:
    with pytest.raises(TokenError, match=r"word 2 is 'n128'"):
        ids_of(["xxbos", "xxpad", "n128"])
