"""Both masks allow exactly the next words that independently written regular expressions allow."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from note_tables import note_tables

from pianogen.config import Mask
from pianogen.tokens import grammar
from pianogen.tokens.codec import encode
from pianogen.tokens.notes import Notes
from pianogen.tokens.vocab import VOCABULARY_SIZE, WORDS, ids_of

LENGTH = r"d(?:[1-9]|[1-9]\d|1[01]\d|12[0-8]) "  # d1..d128
WAIT = r"xxsep d(?:[1-9]|[1-9]\d|1[0-5]\d|160) "  # d1..d160
GROUP = "(?=n)" + "".join(f"(?:n{pitch} {LENGTH})?" for pitch in range(108, 20, -1))
NOTE = rf"n(?:2[1-9]|[3-9]\d|10[0-8]) {LENGTH}"
STREAMS: dict[Mask, re.Pattern[str]] = {
    "strict": re.compile(rf"xxbos xxpad (?:{WAIT})?(?:{GROUP}{WAIT})*{GROUP}xxeos "),
    "paper": re.compile(rf"xxbos xxpad (?:{NOTE}|{WAIT})+xxeos "),
}
MASKS = pytest.mark.parametrize("mask", ["strict", "paper"])


def states_and_their_streams() -> Iterator[tuple[int, str]]:
    """Every state of the grammar, with words that lead to it."""
    yield grammar.START_OF_STREAM, ""
    yield grammar.AFTER_BOS, "xxbos "
    yield grammar.AFTER_PAD, "xxbos xxpad "
    yield grammar.WAIT, "xxbos xxpad xxsep "
    yield grammar.AFTER_WAIT, "xxbos xxpad xxsep d1 "
    yield grammar.END, "xxbos xxpad n60 d1 xxeos "
    for key, pitch in enumerate(range(21, 109)):
        yield grammar.FIRST_NOTE_STATE + key, f"xxbos xxpad n{pitch} "
        yield grammar.FIRST_AFTER_NOTE_STATE + key, f"xxbos xxpad n{pitch} d1 "


def finished(words: str) -> str:
    """The shortest way to end a stream whose last word is legal."""
    *before, last = ["", *words.split()]
    if last.startswith("d"):
        return words + ("n60 d1 xxeos " if before[-1] == "xxsep" else "xxeos ")
    endings = {"xxbos": "xxpad n60 d1 xxeos ", "xxpad": "n60 d1 xxeos ", "xxsep": "d1 n60 d1 xxeos ", "xxeos": ""}
    return words + endings.get(last, "d1 xxeos ")


def test_the_list_of_states_is_complete() -> None:
    assert sorted(state for state, _ in states_and_their_streams()) == list(range(grammar.NUM_STATES))


@MASKS
def test_a_mask_admits_exactly_the_words_of_the_regular_expression(mask: Mask) -> None:
    wrong = [
        (words, word)
        for state, words in states_and_their_streams()
        for index, word in enumerate(WORDS)
        if bool(STREAMS[mask].fullmatch(finished(f"{words}{word} "))) != grammar.allowed(mask)[state, index]
    ]
    assert wrong == []


def test_words_lead_to_the_state_they_are_listed_for() -> None:
    after = {state: _state_after(ids_of(words.split())) for state, words in states_and_their_streams() if words}
    assert all(state == reached for state, reached in after.items())


def test_every_strict_word_is_admitted_by_paper_too() -> None:
    assert not (grammar.allowed("strict") & ~grammar.allowed("paper")).any()


@MASKS
def test_every_state_but_the_end_admits_a_word(mask: Mask) -> None:
    stuck = np.flatnonzero(~grammar.allowed(mask).any(axis=1))
    assert stuck.tolist() == [grammar.END]


def test_a_forbidden_word_leads_to_the_end() -> None:
    assert (grammar.NEXT_STATE[~grammar.allowed("paper")] == grammar.END).all()


@given(st.lists(st.one_of(st.integers(0, 8), st.integers(0, 311), st.integers(-2, 400)), max_size=12))
def test_vectorized_states_equal_a_loop_over_words(tail: list[int]) -> None:
    ids = np.array([0, 1, 69, 138, 8, 138, *tail])
    state, expected = grammar.START_OF_STREAM, []
    for index in ids.tolist():
        expected.append(state)
        state = int(grammar.NEXT_STATE[state, index]) if 0 <= index < VOCABULARY_SIZE else grammar.END
    assert grammar.states_of(ids).tolist() == expected


@given(note_tables(), st.data())
def test_the_states_of_an_excerpt_follow_from_its_first_state(notes: Notes, data: st.DataObject) -> None:
    ids = encode(notes)
    cut = data.draw(st.integers(0, len(ids) - 1))
    states = grammar.states_of(ids)
    assert grammar.states_of(ids[cut:], start=int(states[cut])).tolist() == states[cut:].tolist()


@given(note_tables())
def test_every_prefix_of_a_stream_is_legal(notes: Notes) -> None:
    ids = encode(notes)
    assert all(grammar.legal(ids[:length], "strict") for length in range(len(ids) + 1))


@pytest.mark.parametrize(
    ("words", "strict", "paper"),
    [
        ("xxbos xxpad n60 d1 n60 d1 xxeos", 4, None),
        ("xxbos xxpad n60 d1 n61 d1 xxeos", 4, None),
        ("xxbos xxpad xxsep d1 xxsep d1 n60 d1 xxeos", 4, None),
        ("xxbos xxpad n60 d1 xxsep d1 xxeos", 6, None),
        ("xxbos xxpad n60 d129", 3, 3),
        ("xxbos xxpad n60 d1 xxeos xxbos", 5, 5),
    ],
)
def test_the_first_violation_is_found(words: str, strict: int | None, paper: int | None) -> None:
    ids = ids_of(words.split())
    assert (grammar.first_violation(ids, "strict"), grammar.first_violation(ids, "paper")) == (strict, paper)


def test_masks_cannot_be_changed_by_a_caller() -> None:
    with pytest.raises(ValueError, match="read-only"):
        grammar.allowed("strict")[0, 0] = True


def _state_after(ids: np.ndarray) -> int:
    return int(grammar.NEXT_STATE[grammar.states_of(ids)[-1], ids[-1]])
