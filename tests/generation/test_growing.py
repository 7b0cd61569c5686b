"""A piece keeps its grammar and its limits whatever words are drawn."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen.config import Mask
from pianogen.errors import TokenError
from pianogen.generation.draws import Draws
from pianogen.generation.growing import Growing
from pianogen.generation.limits import Limits
from pianogen.generation.prompt import Prompt, clock_and_end
from pianogen.tokens import decode
from pianogen.tokens.grammar import legal
from pianogen.tokens.vocab import EOS, FIRST_NOTE, LOWEST_PITCH, SEP, ids_of

MASKS = st.sampled_from(["strict", "paper"])
SEEDS = st.integers(0, 10**6)
PROMPTS = st.sampled_from(["xxbos xxpad", "xxbos xxpad xxsep d3 n60 d9 n21 d1", "xxbos xxpad n22 d4 xxsep d5"])
START = Prompt().ids


def grow(seed: int, limits: Limits, mask: Mask, prompt: np.ndarray = START, low: float = 0.0) -> Growing:
    """Write a piece of arbitrary legal words; `low` draws the lowest key and short lengths more often."""
    growing, draws = Growing(prompt, limits, mask), Draws(seed, 0)
    bias = np.zeros(312)
    bias[FIRST_NOTE + LOWEST_PITCH] = bias[SEP] = low
    bias[EOS] = -0.99  # a uniform choice would end most pieces at once
    while growing.ending is None:
        words = growing.legal()
        assert words.any()
        scores = draws.bits(len(growing.tokens)) / 2**64 + bias
        growing.take(int(np.argmax(np.where(words, scores, -np.inf))))
    return growing


@given(SEEDS, MASKS, PROMPTS, st.integers(11, 80), st.integers(9, 60) | st.none(), st.sampled_from([0.0, 0.8]))
def test_a_piece_is_legal_and_decodes_and_keeps_its_maxima(seed, mask, prompt, max_tokens, max_steps, low):
    prompt = ids_of(prompt.split())
    tokens = np.array(grow(seed, Limits(max_tokens, max_steps), mask, prompt, low).tokens)
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
    growing = grow(
        seed, Limits(max_tokens=min_tokens + spare, min_tokens=min_tokens), mask, ids_of(prompt.split()), low
    )
    assert len(growing.tokens) >= min_tokens


@given(SEEDS, MASKS, PROMPTS, st.integers(9, 40), st.integers(0, 4), st.sampled_from([0.0, 0.8]))
def test_no_piece_ends_before_its_minimum_of_steps(seed, mask, prompt, min_steps, spare, low):
    limits = Limits(max_tokens=10_000, max_steps=min_steps + spare, min_steps=min_steps)
    growing = grow(seed, limits, mask, ids_of(prompt.split()), low)
    assert growing.reached >= min_steps


@given(SEEDS, MASKS, st.integers(5, 60), st.integers(1, 30))
def test_where_limits_contradict_each_other_the_maximum_wins(seed, mask, max_tokens, max_steps):
    limits = Limits(max_tokens, max_steps, min_tokens=1000, min_steps=1000)
    growing = grow(seed, limits, mask)
    assert len(growing.tokens) <= max_tokens
    assert 1 <= growing.reached <= max_steps
    assert growing.ending == "limit"


@given(SEEDS, MASKS, st.integers(7, 40), st.integers(0, 40))
def test_a_shorter_piece_is_the_beginning_of_a_longer_one(seed, mask, max_tokens, more):
    longer = grow(seed, Limits(max_tokens + more), mask)
    shorter = grow(seed, Limits(max_tokens), mask)
    beginning = shorter.tokens[:-1]
    assert longer.tokens[: len(beginning)] == beginning


@given(SEEDS, st.integers(5, 60), st.none() | st.integers(1, 30))
def test_a_piece_that_the_model_ends_has_the_same_tokens_without_maxima(seed, max_tokens, max_steps):
    limits = Limits(max_tokens, max_steps)
    growing = grow(seed, limits, "strict")
    if growing.ending == "xxeos":
        assert grow(seed, replace(limits, max_tokens=10_000), "strict").tokens == growing.tokens


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("xxbos xxpad n60", "has 3 tokens, but must be xxbos xxpad and whole pairs"),
        ("xxbos xxpad n60 d4 xxeos", "without xxeos"),
        ("xxbos xxpad n60 d4 n61 d4", "position 4 of the prompt is 70 .n61., which breaks the strict grammar"),
        ("xxbos xxpad n60 d4 n59 d4 n58 d4", "has 8 tokens, which leaves no room for a note among 10"),
    ],
)
def test_a_prompt_that_cannot_be_continued_is_refused(words, message):
    with pytest.raises(TokenError, match=message):
        Growing(ids_of(words.split()), Limits(max_tokens=10), "strict")


def test_a_prompt_that_sounds_on_does_not_count_towards_the_minimum_of_steps():
    prompt = ids_of(["xxbos", "xxpad", "n60", "d128"])
    growing = grow(0, Limits(min_steps=100), "strict", prompt)
    assert growing.reached >= 100
    assert len(growing.tokens) > len(prompt) + 1
