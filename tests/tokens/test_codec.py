"""Encoding and decoding are inverse; broken streams are refused."""

import numpy as np
import pytest
from hypothesis import given
from note_tables import note_tables, performances, raw_of, rows_of, table_of

from pianogen.config import TokenizerConfig
from pianogen.errors import TokenError
from pianogen.tokens.codec import decode, encode, tokenize
from pianogen.tokens.grammar import legal
from pianogen.tokens.notes import Notes, RawNotes, quantise
from pianogen.tokens.vocab import ids_of, words_of

PAPER = TokenizerConfig()
GOLDEN_WORDS = (
    "xxbos xxpad n72 d2 n52 d16 n48 d16 n45 d16 xxsep d2 n71 d2 xxsep d2 n71 d2 xxsep d2 n69 d2 xxsep d2 n69 d2 "
    "xxsep d2 n67 d4 xxsep d4 n64 d1 xxsep d1 n62 d1 xxeos"
)
GOLDEN_IDS = (
    "0 1 81 139 61 153 57 153 54 153 8 139 80 139 8 139 80 139 8 139 78 139 8 139 78 139 8 139 76 141 8 141 73 138 "
    "8 138 71 138 2"
)
GOLDEN_NOTES = [
    *[(0, 2, 72), (0, 16, 52), (0, 16, 48), (0, 16, 45)],
    *[(2, 2, 71), (4, 2, 71), (6, 2, 69), (8, 2, 69), (10, 4, 67), (14, 1, 64), (15, 1, 62)],
]


def stream(words: str) -> np.ndarray:
    """A stream given as words."""
    return ids_of(words.split())


@given(note_tables())
def test_decoding_an_encoded_table_gives_it_back(notes: Notes) -> None:
    assert rows_of(decode(encode(notes))) == rows_of(notes)


@given(note_tables())
def test_encoding_a_decoded_stream_gives_it_back(notes: Notes) -> None:
    ids = encode(notes)
    assert encode(decode(ids)).tolist() == ids.tolist()


@given(note_tables())
def test_every_encoded_stream_is_legal_under_both_masks(notes: Notes) -> None:
    ids = encode(notes)
    assert legal(ids, "strict")
    assert legal(ids, "paper")


@given(performances())
def test_a_performance_is_restored_up_to_rounding_and_caps(raw: RawNotes) -> None:
    notes, report = quantise(raw, PAPER)
    if len(notes) and not report.capped_waits:
        assert rows_of(decode(encode(notes))) == rows_of(notes)


def test_the_golden_bar_has_its_words() -> None:
    assert " ".join(words_of(encode(table_of(GOLDEN_NOTES)))) == GOLDEN_WORDS


def test_the_golden_bar_has_its_ids() -> None:
    assert " ".join(map(str, encode(table_of(GOLDEN_NOTES)).tolist())) == GOLDEN_IDS


def test_ids_are_16_bit_numbers() -> None:
    assert encode(table_of(GOLDEN_NOTES)).dtype == np.int16


def test_leading_silence_is_a_wait() -> None:
    assert encode(table_of([(3, 1, 60)])).tolist() == stream("xxbos xxpad xxsep d3 n60 d1 xxeos").tolist()


def test_a_wait_is_capped_at_d160() -> None:
    assert words_of(encode(table_of([(500, 1, 60)])))[2:4] == ["xxsep", "d160"]


def test_an_empty_table_cannot_be_encoded() -> None:
    with pytest.raises(TokenError, match="there are no notes to encode"):
        encode(table_of([]))


def test_the_error_states_why_no_notes_are_left() -> None:
    with pytest.raises(TokenError, match=r"no notes are left of 1 read: 1 are outside A0\.\.C8"):
        tokenize(raw_of([(0, 480, 20)]), PAPER)


def test_consecutive_waits_add_up() -> None:
    ids = stream("xxbos xxpad xxsep d160 xxsep d40 n60 d1 xxsep d2 xxeos")
    assert rows_of(decode(ids)) == [(200, 1, 60)]


def test_a_group_in_any_order_is_decoded_in_canonical_order_keeping_the_longest() -> None:
    assert rows_of(decode(stream("xxbos xxpad n60 d1 n64 d2 n60 d4 xxeos"))) == [(0, 2, 64), (0, 4, 60)]


def test_a_stream_of_waits_only_is_an_empty_table() -> None:
    assert len(decode(stream("xxbos xxpad xxsep d4 xxeos"))) == 0


@pytest.mark.parametrize("words", ["xxbos xxpad", "xxbos xxpad n60 d1", "xxbos xxpad n60 d1 xxeos"])
def test_an_open_stream_is_read_on_request(words: str) -> None:
    assert len(decode(stream(words), allow_open=True)) == words.count("n60")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "ends at token 0; expected xxbos"),
        ("xxpad", "token 0 is 1 (xxpad); expected xxbos"),
        ("xxbos n60", "token 1 is 69 (n60); expected xxpad"),
        ("xxbos xxpad xxeos", "token 2 is 2 (xxeos); expected a note n21..n108 or xxsep"),
        ("xxbos xxpad n20 d1 xxeos", "token 2 is 29 (n20); expected a note n21..n108 or xxsep"),
        ("xxbos xxpad n60 n61 d1 xxeos", "token 3 is 70 (n61); expected a length d1..d128"),
        ("xxbos xxpad n60 d129 xxeos", "token 3 is 266 (d129); expected a length d1..d128"),
        ("xxbos xxpad xxsep d0 n60 d1 xxeos", "token 3 is 137 (d0); expected a wait d1..d160"),
        ("xxbos xxpad n60 d1 d1 xxeos", "token 4 is 138 (d1); expected a note n21..n108, xxsep or xxeos"),
        ("xxbos xxpad n60 d1 xxeos xxpad", "token 5 is 1 (xxpad); expected no further token"),
        ("xxbos xxpad n60 d1", "ends at token 4; expected a note n21..n108, xxsep or xxeos"),
    ],
)
def test_the_error_of_a_broken_stream_names_the_position(words: str, message: str) -> None:
    with pytest.raises(TokenError) as error:
        decode(stream(words))
    assert message in str(error.value)


def test_an_open_stream_must_end_with_a_whole_pair() -> None:
    with pytest.raises(TokenError, match=r"ends at token 3; expected a length"):
        decode(stream("xxbos xxpad n60"), allow_open=True)


@pytest.mark.parametrize("index", [-1, 312, 70_000])
def test_an_id_outside_the_vocabulary_is_refused(index: int) -> None:
    with pytest.raises(TokenError, match=f"token 2 is {index}, which is not in the vocabulary"):
        decode([0, 1, index, 138, 2])


@pytest.mark.parametrize("ids", [np.array([0.0, 1.0]), np.zeros((2, 2), dtype=int)])
def test_anything_but_a_one_dimensional_array_of_integers_is_refused(ids: np.ndarray) -> None:
    with pytest.raises(TokenError, match="one-dimensional array of integers"):
        decode(ids)
