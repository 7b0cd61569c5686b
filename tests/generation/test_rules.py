"""A piece keeps its grammar and its limits whatever words are drawn."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.config import GenerateConfig, Mask
from pianogen.errors import TokenError
from pianogen.generation.choice import NoiseStream
from pianogen.generation.limits import Limits
from pianogen.generation.pieces import End, Pieces
from pianogen.generation.prompt import Prompt, clock_and_end
from pianogen.generation.rules import append_words, legal_words
from pianogen.tokens import decode
from pianogen.tokens.grammar import legal
from pianogen.tokens.vocab import EOS, FIRST_NOTE, LOWEST_PITCH, SEP, ids_of

MASKS = st.sampled_from(["strict", "paper"])
SEEDS = st.integers(0, 10**6)
PROMPTS = st.sampled_from(["xxbos xxpad", "xxbos xxpad xxsep d3 n60 d9 n21 d1", "xxbos xxpad n22 d4 xxsep d5"])
START = Prompt().ids


@dataclass
class Written:
    """A finished piece."""

    tokens: list[int]
    end: End
    end_step: int


def build(seed: int, limits: Limits, mask: Mask, prompt: np.ndarray = START, low: float = 0.0) -> Written:
    """Write a piece of arbitrary legal words; `low` draws the lowest key and short lengths more often."""
    pieces, noise = Pieces(1, mask), NoiseStream(seed, 0)
    pieces.start(0, prompt, limits, seed, 0, GenerateConfig())
    bias = np.zeros(312)
    bias[FIRST_NOTE + LOWEST_PITCH] = bias[SEP] = low
    bias[EOS] = -0.99  # a uniform choice would end most pieces at once
    while not pieces.ended():
        words, length = legal_words(pieces.rows, mask)[0], int(pieces.rows["length"][0])
        assert words.any()
        scores = noise.bits(length) / 2**64 + bias
        pieces.make_room()
        append_words(pieces.rows, np.array([np.argmax(np.where(words, scores, -np.inf))]))
        pieces.write_last(np.arange(1))
    return Written(pieces.tokens_of(0).tolist(), End(pieces.rows["end"][0]), int(pieces.rows["end_step"][0]))


@given(SEEDS, MASKS, PROMPTS, st.integers(11, 80), st.integers(9, 60) | st.none(), st.sampled_from([0.0, 0.8]))
def test_a_piece_is_legal_and_decodes_and_keeps_its_maxima(seed, mask, prompt, max_tokens, max_steps, low):
    prompt = ids_of(prompt.split())
    tokens = np.array(build(seed, Limits(max_tokens, max_steps), mask, prompt, low).tokens)
    end = clock_and_end(tokens[:-1])[1]
    assert legal(tokens, mask)
    assert tokens[-1] == EOS
    assert len(decode(tokens)) > 0
    assert len(tokens) <= max_tokens
    assert max_steps is None or end <= max(max_steps, clock_and_end(prompt)[1])
    np.testing.assert_array_equal(tokens[: len(prompt)], prompt)


@given(SEEDS, MASKS, PROMPTS, st.integers(6, 40), st.integers(0, 4), st.sampled_from([0.0, 0.8]))
def test_no_piece_ends_before_its_minimum_of_tokens(seed, mask, prompt, min_pairs, spare, low):
    min_tokens = 2 * min_pairs + 1
    piece = build(seed, Limits(max_tokens=min_tokens + spare, min_tokens=min_tokens), mask, ids_of(prompt.split()), low)
    assert len(piece.tokens) >= min_tokens


@given(SEEDS, MASKS, PROMPTS, st.integers(9, 40), st.integers(0, 4), st.sampled_from([0.0, 0.8]))
def test_no_piece_ends_before_its_minimum_of_steps(seed, mask, prompt, min_steps, spare, low):
    limits = Limits(max_tokens=10_000, max_steps=min_steps + spare, min_steps=min_steps)
    piece = build(seed, limits, mask, ids_of(prompt.split()), low)
    assert piece.end_step >= min_steps


@given(SEEDS, MASKS, st.integers(5, 60), st.integers(1, 30))
def test_where_limits_contradict_each_other_the_maximum_wins(seed, mask, max_tokens, max_steps):
    limits = Limits(max_tokens, max_steps, min_tokens=1000, min_steps=1000)
    piece = build(seed, limits, mask)
    assert len(piece.tokens) <= max_tokens
    assert 1 <= piece.end_step <= max_steps
    assert piece.end == End.LIMIT


@given(SEEDS, MASKS, st.integers(7, 40), st.integers(0, 40))
def test_a_shorter_piece_is_the_beginning_of_a_longer_one(seed, mask, max_tokens, more):
    longer = build(seed, Limits(max_tokens + more), mask)
    shorter = build(seed, Limits(max_tokens), mask)
    beginning = shorter.tokens[:-1]
    assert longer.tokens[: len(beginning)] == beginning


@given(SEEDS, st.integers(5, 60), st.none() | st.integers(1, 30))
def test_a_piece_that_the_model_ends_has_the_same_tokens_without_maxima(seed, max_tokens, max_steps):
    limits = Limits(max_tokens, max_steps)
    piece = build(seed, limits, "strict")
    if piece.end == End.MODEL:
        assert build(seed, replace(limits, max_tokens=10_000), "strict").tokens == piece.tokens


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("xxbos xxpad n60", "has 3 tokens, but must be xxbos xxpad and whole pairs"),
        ("xxbos xxpad n60 d4 xxeos", "without xxeos"),
        ("xxbos xxpad n60 d4 n61 d4", "position 4 of the prompt is 70 .n61., which breaks the strict grammar"),
        ("xxbos xxpad n60 d4 n59 d4 n58 d4", "has 8 tokens, and a piece at most 10: no room for a note"),
    ],
)
def test_a_prompt_that_cannot_be_continued_is_refused(words, message):
    with pytest.raises(TokenError, match=message):
        Pieces(1, "strict").start(0, ids_of(words.split()), Limits(max_tokens=10), 0, 0, GenerateConfig())


def test_a_prompt_that_sounds_on_does_not_count_towards_the_minimum_of_steps():
    prompt = ids_of(["xxbos", "xxpad", "n60", "d128"])
    piece = build(0, Limits(min_steps=100), "strict", prompt)
    assert piece.end_step >= 100
    assert len(piece.tokens) > len(prompt) + 1
