"""The compiled draw writes the pieces that the one in numpy writes, whatever the scores, settings and limits."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.config import GenerateConfig, Mask
from pianogen.generation.draw import CompiledDraw, Draw, NumpyDraw, build_draw
from pianogen.generation.limits import Limits
from pianogen.generation.pieces import End, Pieces
from pianogen.tokens.grammar import legal
from pianogen.tokens.vocab import VOCABULARY_SIZE, ids_of

pytestmark = pytest.mark.usefixtures("compiled_kernels")
PROMPTS = ["xxbos xxpad", "xxbos xxpad xxsep d3 n60 d9 n21 d1", "xxbos xxpad n22 d4 xxsep d5"]
SHARES = st.none() | st.sampled_from([0.0113, 0.317, 0.811, 1.0])  # no tie with k words of n that are equally likely
CONFIGS = st.builds(
    GenerateConfig,
    temperature=st.sampled_from([5e-324, 0.3, 1.0, 3.0]),
    duration_temperature=st.none() | st.just(0.5),
    top_k=st.none() | st.sampled_from([1, 2, 40, 10**6]),
    top_p=SHARES,
    min_p=SHARES,
)
LIMITS = st.builds(
    Limits,
    max_tokens=st.integers(11, 90),
    max_steps=st.none() | st.integers(9, 40),
    min_tokens=st.sampled_from([0, 9, 40, 1000]),
    min_steps=st.sampled_from([0, 12, 35]),
)
PIECES = st.lists(
    st.tuples(st.sampled_from(PROMPTS), LIMITS, st.integers(-(2**63), 2**64 - 1)), min_size=1, max_size=20
)


DEFAULTS = GenerateConfig()


def started(rows: list[tuple[str, Limits, int]], mask: Mask, configs: list[GenerateConfig] | None = None) -> Pieces:
    """Pieces of which the configs, in turn, are the settings."""
    pieces, configs = Pieces(len(rows), mask), configs or [DEFAULTS]
    for row, (prompt, limits, seed) in enumerate(rows):
        pieces.start(row, ids_of(prompt.split()), limits, seed, row, configs[row % len(configs)])
    return pieces


def draw_all(draw: Draw, pieces: Pieces, seed: int, spread: float) -> list[tuple[list[int], int]]:
    """Draw with the same random scores for any draw, until every piece has ended."""
    generator, ended = torch.Generator().manual_seed(seed), []
    while len(pieces):
        logits = spread * torch.randn(1, VOCABULARY_SIZE, generator=generator).expand(len(pieces), -1)
        if draw(logits):
            ended += [(pieces.tokens_of(row).tolist(), int(pieces.rows["end"][row])) for row in pieces.ended()]
            pieces.keep(np.flatnonzero(pieces.rows["end"] == End.RUNNING))
    return ended


@settings(max_examples=40)
@given(
    PIECES,
    st.lists(CONFIGS, min_size=1, max_size=3),
    st.sampled_from(["strict", "paper"]),
    st.integers(0, 100),
    st.sampled_from([0.0, 2.0, 30.0]),
)
def test_both_draws_write_the_same_pieces(
    rows: Any, configs: list[GenerateConfig], mask: Mask, seed: int, spread: float
):
    written = []
    for kind in (CompiledDraw, NumpyDraw):
        pieces = started(rows, mask, configs)
        written.append(draw_all(kind(pieces), pieces, seed, spread))
    assert written[0] == written[1]
    assert all(legal(np.array(tokens), mask) for tokens, _ in written[0])


@pytest.mark.parametrize("kind", [CompiledDraw, NumpyDraw])
def test_a_row_with_a_score_that_is_not_finite_fails_and_keeps_its_tokens(kind: type[CompiledDraw | NumpyDraw]):
    pieces = started([(prompt, Limits(), 0) for prompt in PROMPTS], "strict")
    logits = torch.zeros(3, VOCABULARY_SIZE)
    logits[0, -1], logits[2, 0] = math.nan, math.inf
    assert kind(pieces)(logits) == 2
    assert pieces.rows["end"].tolist() == [End.FAILED, End.RUNNING, End.FAILED]
    assert pieces.tokens_of(0).tolist() == ids_of(PROMPTS[0].split()).tolist()
    assert len(pieces.tokens_of(1)) == len(PROMPTS[1].split()) + 1


@pytest.mark.parametrize("kind", [CompiledDraw, NumpyDraw])
def test_a_row_draws_the_same_in_any_batch(kind: type[CompiledDraw | NumpyDraw]):
    rows = [(PROMPTS[row % 3], Limits(40), row) for row in range(40)]
    alone = started(rows, "strict")
    alone.keep(np.arange(17, 18))
    together = started(rows, "strict")
    logits = torch.randn(40, VOCABULARY_SIZE, generator=torch.Generator().manual_seed(0))
    kind(together)(logits)
    kind(alone)(logits[17:18])
    assert together.rows[17] == alone.rows[0]


def test_a_batch_that_never_ends_needs_no_more_room_for_a_late_piece_than_for_the_tenth():
    pieces, limits = Pieces(2, "strict"), Limits(max_tokens=31)
    draw, prompt = build_draw(pieces), ids_of(["xxbos", "xxpad"])
    logits = torch.zeros(2, VOCABULARY_SIZE)
    for row in range(2):
        pieces.start(row, prompt, limits, 0, row, GenerateConfig())
    rooms = []
    for number in range(300):
        while not draw(logits):
            pass
        for row in pieces.ended():
            pieces.start(row, prompt, limits, 0, number, GenerateConfig())
        rooms.append(pieces.tokens.shape[1])
    assert rooms[-1] == rooms[10]
