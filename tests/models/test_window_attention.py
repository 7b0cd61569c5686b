"""Attention over a bounded window: equal to a loop over positions, and to itself at any cut of the stream."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pianogen.models import window_attention as module
from pianogen.models.window_attention import Memory, window_attention, window_attention_cell

ROWS, UNITS = 3, 5
SIZES = st.tuples(st.integers(1, 7), st.integers(1, 20), st.integers(0, 1000))  # window, steps, seed


@pytest.fixture(autouse=True)
def _several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 4)


def case(steps: int, seed: int, resets: float = 0.2) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, vectors and keep, in float64."""
    random = torch.Generator().manual_seed(seed)
    queries, vectors = torch.randn(2, ROWS, steps, UNITS, dtype=torch.float64, generator=random)
    return queries, vectors, torch.rand(ROWS, steps, generator=random) >= resets


def empty(window: int) -> Memory:
    return Memory(torch.zeros(ROWS, window, UNITS, dtype=torch.float64), torch.zeros(ROWS, dtype=torch.float64))


def by_loops(queries: Tensor, vectors: Tensor, keep: Tensor, window: int) -> Tensor:
    contexts = torch.empty_like(vectors)
    for row in range(len(queries)):
        first = 0
        for t in range(queries.shape[1]):
            first = first if keep[row, t] else t
            seen = vectors[row, max(first, t - window + 1) : t + 1]
            contexts[row, t] = (seen @ queries[row, t] / UNITS**0.5).softmax(dim=0) @ seen
    return contexts


@settings(max_examples=60)
@given(SIZES)
def test_it_equals_a_loop_over_positions(sizes: tuple[int, int, int]):
    window, steps, seed = sizes
    given_case = case(steps, seed)
    torch.testing.assert_close(
        window_attention(*given_case[:2], empty(window), given_case[2])[0], by_loops(*given_case, window)
    )


@settings(max_examples=60)
@given(SIZES, st.data())
def test_a_stream_cut_anywhere_gives_the_same_contexts_and_memory(sizes: tuple[int, int, int], data: st.DataObject):
    window, steps, seed = sizes
    queries, vectors, keep = case(steps + 1, seed)
    cut = data.draw(st.integers(1, steps))
    first, memory = window_attention(queries[:, :cut], vectors[:, :cut], empty(window), keep[:, :cut])
    second, last = window_attention(queries[:, cut:], vectors[:, cut:], memory, keep[:, cut:])
    whole = window_attention(queries, vectors, empty(window), keep)
    torch.testing.assert_close((torch.cat((first, second), dim=1), last), whole)


@settings(max_examples=30)
@given(SIZES)
def test_cells_equal_one_pass(sizes: tuple[int, int, int]):
    window, steps, seed = sizes
    queries, vectors, keep = case(steps, seed, resets=0)
    memory, contexts = empty(window), []
    for t in range(steps):
        context, memory = window_attention_cell(queries[:, t], vectors[:, t], memory)
        contexts.append(context)
    torch.testing.assert_close(
        (torch.stack(contexts, dim=1), memory), window_attention(queries, vectors, empty(window), keep)
    )


def test_positions_older_than_the_window_have_no_influence():
    queries, vectors, keep = case(10, 0, resets=0)
    changed = vectors.clone()
    changed[:, 3] += 1
    before, after = (window_attention(queries, each, empty(4), keep)[0] for each in (vectors, changed))
    assert (before != after).any(dim=(0, 2)).tolist() == [3 <= t < 7 for t in range(10)]


@pytest.mark.parametrize("given_memory", [False, True])
def test_gradients_agree_with_finite_differences(given_memory: bool):
    queries, vectors, keep = case(6, 1)
    memory = Memory(
        torch.randn(ROWS, 4, UNITS, dtype=torch.float64), torch.tensor([0.0, 2.0, 4.0], dtype=torch.float64)
    )
    inputs = (queries, vectors, memory.vectors if given_memory else empty(4).vectors)

    def contexts(queries: Tensor, vectors: Tensor, remembered: Tensor) -> tuple[Tensor, Tensor]:
        given = Memory(remembered, memory.length if given_memory else empty(4).length)
        result, after = window_attention(queries, vectors, given, keep)
        return result, after.vectors

    assert torch.autograd.gradcheck(contexts, tuple(each.clone().requires_grad_() for each in inputs))


def test_a_memory_with_nothing_of_this_piece_is_not_read():
    queries, vectors, keep = case(3, 2, resets=0)
    stale = Memory(torch.full_like(empty(4).vectors, 7.0), empty(4).length)
    torch.testing.assert_close(
        window_attention(queries, vectors, stale, keep)[0], window_attention(queries, vectors, empty(4), keep)[0]
    )


def test_scores_too_large_for_the_exponential_stay_finite():
    queries, vectors, keep = case(9, 3)
    contexts, memory = window_attention(1e6 * queries, vectors, empty(4), keep)
    assert contexts.isfinite().all()
    assert memory.vectors.isfinite().all()
