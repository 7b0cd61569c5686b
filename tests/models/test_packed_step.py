"""A step over weights that are packed once gives what the layers give."""

import copy
import ctypes
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import stepped, tokens
from torch import Tensor

from pianogen.config import EmbeddingKind, ModelConfig
from pianogen.models import PianoModel, build_model
from pianogen.models.lstm import LstmLayer
from pianogen.models.packed import PackedModel, can_pack
from pianogen.ops.forms import using_form
from pianogen.ops.native import build
from pianogen.tokens.vocab import BOS

pytestmark = pytest.mark.usefixtures("compiled_kernels")
FEED_FORWARD = "sha with a feed-forward layer"
KINDS = ("rnn", "lstm", "attn", "sha", FEED_FORWARD)
WITH_OWN_NORMS = ("sha", FEED_FORWARD)
ALL: list[tuple[str, EmbeddingKind]] = list(itertools.product(KINDS, ("one_hot", "learned", "musical")))
CASES = pytest.mark.parametrize(
    ("kind", "layer_norm"),
    [(kind, norm) for kind in KINDS for norm in (False, True) if not (norm and kind in WITH_OWN_NORMS)],
)
WINDOW = 4  # a memory of sha that pieces outgrow


@pytest.fixture(scope="module")
def emulated_bf16(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Kernels whose two bfloat16 instructions are written out, so that any processor can run the others."""
    folder = tmp_path_factory.mktemp("kernels")
    return ctypes.CDLL(str(build.compile_kernels("cc", folder, "emulated", ("-DEMULATE_BF16",))))


def small(
    kind: str,
    embedding: EmbeddingKind = "one_hot",
    num_layers: int = 2,
    hidden: int = 37,
    layer_norm: bool = False,
    window: int = WINDOW,
) -> PianoModel:
    torch.manual_seed(0)
    config = ModelConfig(
        kind.split()[0], hidden, num_layers, 0.0, embedding, embedding_size=5, layer_norm=layer_norm,
        attention_window=window, feed_forward=kind == FEED_FORWARD,
    )  # fmt: skip
    model = build_model(config).eval()
    for name, parameter in model.named_parameters():
        if "norm." in name or name == "block.feed_forward.bias":  # which begin as 0 and 1
            torch.nn.init.uniform_(parameter, -1, 1)
    return model


@settings(max_examples=40)
@given(
    *(st.sampled_from(ALL), st.integers(1, 3), st.integers(1, 70), st.integers(1, 9), st.integers(0, 1000)),
    st.booleans(),
)
def test_packed_steps_give_one_pass_in_float64(
    case: tuple[str, EmbeddingKind], layers: int, hidden: int, batch: int, seed: int, layer_norm: bool
):
    has_own_norms = case[0] in WITH_OWN_NORMS
    model, words = small(*case, layers, hidden, layer_norm and not has_own_norms), tokens(batch, seed=seed)
    with torch.no_grad():
        logits, last = copy.deepcopy(model).double()(words)
    with model.packed():
        assert can_pack(model)
        got = stepped(model, words)
    expected = (logits.float(), {name: value.float() for name, value in last.items()})
    # a norm of few units may divide by their standard deviation of 1e-3, and so multiply the error
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-3 if layer_norm or has_own_norms else 1e-5)


@pytest.mark.parametrize("hidden", [37, 96])
def test_a_long_window_gives_one_pass_in_float64(hidden: int):
    model, words = small("sha", hidden=hidden, window=150), tokens(2, 400, begins=0.005)
    with torch.no_grad():
        exact, last = copy.deepcopy(model).double()(words)
    with model.packed():
        logits, state = stepped(model, words)
    torch.testing.assert_close(logits, exact.float(), rtol=0, atol=1e-5)
    torch.testing.assert_close(state["memory"], last["memory"].float(), rtol=1e-4, atol=1e-5)


@CASES
def test_a_row_has_the_same_bits_in_any_batch_and_with_any_number_of_threads(kind: str, layer_norm: bool):
    model, words = small(kind, hidden=96, layer_norm=layer_norm), tokens(200, 4)
    before = min(torch.get_num_threads(), 2)
    with model.packed():
        together = stepped(model, words)[0]
        torch.set_num_threads(3 - before)  # tests run on one thread
        assert torch.equal(stepped(model, words)[0], together)
        torch.set_num_threads(before)
        for row in (0, 95, 96, 199):
            assert torch.equal(stepped(model, words[row : row + 1])[0][0], together[row])


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_step_builds_no_graph_and_changes_only_the_memory_of_the_given_state(kind: str):
    model = small(kind)
    with model.packed():
        _, state = model.step(torch.tensor([60, 7]), model.initial_state(2))
        before = {name: value.clone() for name, value in state.items()}
        logits, after = model.step(torch.tensor([BOS, 9]), state)
    assert not logits.requires_grad
    assert not any(value.requires_grad for value in after.values())
    assert {name for name in state if not torch.equal(state[name], before[name])} <= {"memory"}


def test_rows_may_be_taken_joined_and_overwritten_between_steps():
    model, words = small("sha"), tokens(3, 30)

    def edited() -> Tensor:
        _, state = stepped(model, words)
        state = {name: torch.cat((value[[2, 0]], model.initial_state(1)[name])) for name, value in state.items()}
        _, state = stepped(model, words[:, :3], state)
        for name, value in stepped(model, words[:1])[1].items():
            state[name][1] = value[0]
        return stepped(model, words[1:], {name: value[1:] for name, value in state.items()})[0]

    with model.packed():
        got = edited()
    torch.testing.assert_close(got, edited(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("together", [0, 1])
def test_two_streams_may_take_turns(together: int):
    model, words, halves = small("sha"), tokens(4, 20, begins=0), (slice(2), slice(2, 4))
    with model.packed():
        expected, _ = stepped(model, words)
        state = stepped(model, words[:, :together])[1] if together else model.initial_state(4)
        states = [{name: value[rows] for name, value in state.items()} for rows in halves]
        for t in range(together, 20):
            for index, rows in enumerate(halves):
                step, states[index] = model.step(words[rows, t], states[index])
                assert torch.equal(step, expected[rows, t])


def test_one_state_may_begin_several_rows():
    model, words = small("sha"), tokens(3, 20)
    with model.packed():
        _, state = stepped(model, words[:1])
        begun = {name: value.expand(3, *value.shape[1:]) for name, value in state.items()}
        got = stepped(model, words, begun)[0]
        for row in range(3):
            _, state = stepped(model, words[:1])
            assert torch.equal(stepped(model, words[row : row + 1], state)[0][0], got[row])


def test_steps_may_enter_and_leave_inference_mode():
    model, words = small("sha"), tokens(2, 3 * WINDOW)
    with model.packed():
        with torch.inference_mode():
            _, state = stepped(model, words)
        got = stepped(model, words, state)[0]
        assert torch.equal(got, stepped(model, torch.cat((words, words), dim=1))[0][:, 3 * WINDOW :])


def test_the_feed_forward_layer_is_exact():
    model, words = small(FEED_FORWARD, hidden=96), tokens(3, 30)
    with torch.no_grad():
        exact = copy.deepcopy(model).double()(words)[0].float()
    with model.packed():
        got = stepped(model, words)[0]
    torch.testing.assert_close(got, exact, rtol=0, atol=1e-5)  # the approximation of GELU by tanh is off by more


def test_extreme_scores_and_gates_stay_finite():
    model = small("attn")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1000)
    with model.packed():
        logits, state = stepped(model, tokens(3))
    assert logits.isfinite().all()
    assert all(value.isfinite().all() for value in state.values())


def test_weights_are_packed_only_where_the_kernel_computes_the_same():
    class Other(LstmLayer):
        """A layer of a plugin that is an LSTM but for its step."""

    model = small("lstm")
    with using_form("reference"):
        assert not can_pack(model)
    assert not can_pack(copy.deepcopy(model).double())
    model.layers[0].__class__ = Other
    assert not can_pack(model)


def test_after_the_block_a_step_uses_the_weights_of_the_model_again():
    model, words = small("lstm"), tokens(2)
    with model.packed():
        packed = stepped(model, words)[0]
    with torch.no_grad():
        model.decoder.bias.add_(1)
    torch.testing.assert_close(stepped(model, words)[0], packed + 1, rtol=1e-4, atol=1e-5)


@CASES
def test_bf16_products_change_the_logits_by_less_than_two_percent(
    kind: str, layer_norm: bool, emulated_bf16: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
):
    model, words = small(kind, hidden=36, layer_norm=layer_norm), tokens(3)
    exact = stepped(model, words)[0]
    monkeypatch.setattr("pianogen.models.packed.kernels", lambda: emulated_bf16)
    model._packed = PackedModel(model.with_bf16(True))
    rough = stepped(model, words)[0]
    assert 0 < (rough - exact).norm() < 0.02 * exact.norm()


def test_one_pass_goes_on_after_bf16_steps(emulated_bf16: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch):
    model, words = small("sha", hidden=36), tokens(3, 12, begins=0)
    exact = model(words)[0][:, 6:]
    monkeypatch.setattr("pianogen.models.packed.kernels", lambda: emulated_bf16)
    model._packed = PackedModel(model.with_bf16(True))
    _, state = stepped(model, words[:, :6])
    rough, last = model(words[:, 6:], state)
    assert 0 < (rough - exact).norm() < 0.02 * exact.norm()
    assert last["memory"].dtype == torch.float32
