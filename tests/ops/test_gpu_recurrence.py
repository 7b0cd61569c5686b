"""The GPU's recurrences against the reference in float64: on the CPU torch's own layers run, on a GPU cuDNN's."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from form_laws import GPU, NEEDS_GPU, Inputs, assert_near, exactly, moved, results_and_gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pianogen.ops.recurrence import fused, gpu, pieces, reference

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 9))  # batch, time, hidden
KINDS = pytest.mark.parametrize("kind", ["rnn", "lstm"])
WAYS = pytest.mark.parametrize("max_cuts", [1000, -1], ids=["time is cut", "rows are cut"])
NUM_WORDS, WIDTH = 7, 3


@pytest.fixture(autouse=True)
def _exact_products_in_fp32() -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def arguments(kind: str, batch: int, time: int, hidden: int, seed: int = 0) -> Inputs:
    """Inputs, their weight and bias, a table of gate sums, the weight, initial states and a keep mask, in float32."""
    torch.manual_seed(seed)
    gates = hidden * (4 if kind == "lstm" else 1)
    shapes = [(batch, time, WIDTH), (gates, WIDTH), (gates,), (NUM_WORDS, gates), (gates, hidden)]
    shapes += [(batch, hidden)] * (2 if kind == "lstm" else 1)
    tensors = [torch.randn(shape).div(shape[-1] ** 0.5).requires_grad_() for shape in shapes]
    return (*tensors, torch.rand(batch, time) > 0.2)


def words_of(keep: Tensor) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(NUM_WORDS, size=tuple(keep.shape))).to(keep.device)


def by_gpu_form(kind: str, *, of_words: bool, bf16: bool = False) -> Any:
    """Every input takes part, so that each has a gradient."""

    def run(x: Tensor, weight_ih: Tensor, bias: Tensor, table: Tensor, weight_hh: Tensor, *rest: Tensor):
        function = getattr(gpu, kind)
        if of_words:
            results = function(table, None, None, weight_hh, *rest, words_of(rest[-1]), bf16)
            return (*results, x * 1, weight_ih * 1, bias * 1)
        return (*function(x, weight_ih, bias, weight_hh, *rest, None, bf16), table * 1)

    return run


def by_reference(kind: str, *, of_words: bool, bf16: bool = False, module: Any = reference) -> Any:
    def run(x: Tensor, weight_ih: Tensor, bias: Tensor, table: Tensor, weight_hh: Tensor, *rest: Tensor):
        function = getattr(module, kind)
        if of_words:
            results = function(F.embedding(words_of(rest[-1]), table), weight_hh, *rest, bf16=bf16)
            return (*results, x * 1, weight_ih * 1, bias * 1)
        return (*function(F.linear(x, weight_ih, bias), weight_hh, *rest, bf16=bf16), table * 1)

    return run


@WAYS
@KINDS
@settings(max_examples=25)
@given(sizes=SIZES, seed=st.integers(0, 1000), of_words=st.booleans())
def test_results_and_gradients_are_those_of_float64(
    max_cuts: int, kind: str, sizes: tuple[int, int, int], seed: int, of_words: bool
):
    inputs = arguments(kind, *sizes, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "MAX_CUTS", max_cuts)
        got = results_and_gradients(by_gpu_form(kind, of_words=of_words), moved(inputs, GPU))
    assert_near(got, results_and_gradients(by_reference(kind, of_words=of_words), exactly(inputs)), 3e-6)


@WAYS
@KINDS
@pytest.mark.parametrize("keep", [torch.zeros, torch.ones], ids=["every step is reset", "no step is reset"])
def test_resets_at_every_step_or_at_none(monkeypatch: pytest.MonkeyPatch, max_cuts: int, kind: str, keep: Any):
    monkeypatch.setattr(gpu, "MAX_CUTS", max_cuts)
    inputs = (*arguments(kind, 3, 5, 4)[:-1], keep(3, 5).bool())
    got = results_and_gradients(by_gpu_form(kind, of_words=True), moved(inputs, GPU))
    assert_near(got, results_and_gradients(by_reference(kind, of_words=True), exactly(inputs)), 3e-6)


@KINDS
def test_inputs_of_a_thousand_saturate_without_nan(kind: str):
    x, *others = arguments(kind, 3, 5, 4)
    inputs = ((1000 * x.detach()).requires_grad_(), *others)
    got = results_and_gradients(by_gpu_form(kind, of_words=False), moved(inputs, GPU))
    assert all(tensor.isfinite().all() for tensor in got)
    expected = results_and_gradients(by_reference(kind, of_words=False), exactly(inputs))
    assert_near(got[:1], expected[:1], 1e-4)  # fp32 rounds sums of thousands to about 1e-4


@KINDS
@given(cut=st.integers(1, 6), seed=st.integers(0, 1000))
def test_two_passes_with_carried_state_equal_one_pass(kind: str, cut: int, seed: int):
    _, _, _, table, weight, *states, keep = moved(exactly(arguments(kind, 2, 7, 3, seed=seed)), GPU)
    words = words_of(keep)

    def run(part: slice, *states: Tensor) -> tuple[Tensor, ...]:
        return getattr(gpu, kind)(table, None, None, weight, *states, keep[:, part], words[:, part], False)

    first, *carried = run(slice(cut), *states)
    second, *last = run(slice(cut, None), *carried)
    torch.testing.assert_close((torch.cat((first, second), dim=1), *last), run(slice(None), *states))


@KINDS
def test_states_of_any_memory_layout_are_taken(kind: str):
    *weights, keep = moved(exactly(arguments(kind, 2, 5, 3)), GPU)
    run = by_gpu_form(kind, of_words=True)
    plain = run(*weights, keep)
    strided = [torch.stack((state, state), dim=1)[:, 1] for state in weights[5:]]
    torch.testing.assert_close(run(*weights[:5], *strided, keep), plain)


@WAYS
@KINDS
def test_bf16_stays_near_the_bf16_reference_and_returns_fp32(monkeypatch: pytest.MonkeyPatch, max_cuts: int, kind: str):
    monkeypatch.setattr(gpu, "MAX_CUTS", max_cuts)
    inputs = arguments(kind, 4, 6, 16)
    got = results_and_gradients(by_gpu_form(kind, of_words=True, bf16=True), moved(inputs, GPU))
    expected = results_and_gradients(by_reference(kind, of_words=True), exactly(inputs))
    assert all(tensor.dtype == torch.float32 for tensor in got)
    assert_near(got, expected, 0.03)
    assert float((got[0].cpu().double() - expected[0]).abs().max()) > 1e-5, "bf16 was used"


@KINDS
def test_the_weights_are_views_of_one_buffer_with_room_for_cudnns_two_biases(kind: str):
    _, weight_ih, bias, _, weight_hh, *_ = arguments(kind, 1, 1, 5)
    for its_bias in (bias, None):
        views = gpu._one_buffer(weight_ih, weight_hh, its_bias, torch.float32)
        begins = views[0].data_ptr()
        sizes = [view.numel() for view in views]
        assert [view.data_ptr() - begins for view in views] == [4 * sum(sizes[:index]) for index in range(len(views))]
        room = views[0].untyped_storage().nbytes() // 4
        assert room == weight_ih.numel() + weight_hh.numel() + 2 * len(weight_hh)


@given(batch=st.integers(1, 5), time=st.integers(1, 9), seed=st.integers(0, 1000), share=st.sampled_from([0, 0.3, 1]))
def test_pieces_are_a_packed_sequence_of_the_rows_between_resets(batch: int, time: int, seed: int, share: float):
    keep = np.random.default_rng(seed).random((batch, time)) >= share
    plan = pieces.split(keep)
    resets = [[0, *(t for t in range(1, time) if not row[t]), time] for row in keep]
    spans = [(row, a, b) for row, cuts in enumerate(resets) for a, b in pairwise(cuts)]
    spans.sort(key=lambda span: span[1] - span[2])
    packed = torch.nn.utils.rnn.pack_sequence(
        [torch.tensor([t * batch + row for t in range(a, b)]) for row, a, b in spans]
    )
    assert plan.order.tolist() == packed.data.tolist()
    assert plan.batch_sizes.tolist() == packed.batch_sizes.tolist()
    assert plan.place[plan.order].tolist() == list(range(batch * time))
    assert plan.row.tolist() == [row for row, _, _ in spans]
    assert plan.begins.tolist() == [not keep[row, a] for row, a, _ in spans]
    assert [spans[piece][0::2] for piece in plan.last] == [(row, time) for row in range(batch)]


@NEEDS_GPU
@WAYS
@KINDS
@pytest.mark.parametrize("bf16", [False, True])
def test_a_batch_of_training_size_equals_the_torch_form_on_the_gpu(
    monkeypatch: pytest.MonkeyPatch, max_cuts: int, kind: str, bf16: bool
):
    monkeypatch.setattr(gpu, "MAX_CUTS", max_cuts)
    inputs = moved((*arguments(kind, 64, 256, 512)[:-1], torch.rand(64, 256) > 0.001), GPU)
    got = results_and_gradients(by_gpu_form(kind, of_words=True, bf16=bf16), inputs)
    expected = results_and_gradients(by_reference(kind, of_words=True, module=fused), inputs)
    assert_near(got, tuple(tensor.cpu().double() for tensor in expected), 0.05 if bf16 else 1e-4)


@NEEDS_GPU
@KINDS
@pytest.mark.parametrize("bf16", [False, True])
def test_cudnn_runs_and_need_not_copy_the_weights_together(monkeypatch: pytest.MonkeyPatch, kind: str, bf16: bool):
    monkeypatch.setattr(gpu.warnings, "filterwarnings", lambda *_, **__: None)  # the warning would be an error
    inputs = moved(arguments(kind, 8, 4, 64), GPU)
    with torch.profiler.profile() as profile:
        by_gpu_form(kind, of_words=True, bf16=bf16)(*inputs)
    assert "aten::_cudnn_rnn" in {event.name for event in profile.events() or ()}
