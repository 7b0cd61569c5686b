"""The whole network: carried state, resets, equality with torch.nn, and what checkpoints and ranks rely on."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import stepped, tokens
from torch import Tensor, nn

from pianogen.config import EmbeddingKind, ModelConfig
from pianogen.models import PianoModel, build_model
from pianogen.tokens.vocab import BOS, VOCABULARY_SIZE

ALL: list[tuple[str, EmbeddingKind]] = list(
    itertools.product(("rnn", "lstm", "attn", "sha"), ("one_hot", "learned", "musical", "skip_gram"))
)
NORMS = pytest.mark.parametrize("layer_norm", [False, True], ids=["plain", "norm"])
KINDS = pytest.mark.parametrize("kind", ["rnn", "lstm", "attn", "sha"])


def small(
    kind: str,
    embedding: EmbeddingKind = "one_hot",
    num_layers: int = 2,
    dropout: float = 0.0,
    *,
    layer_norm: bool = False,
) -> PianoModel:
    """A float64 model in evaluation mode, always with the same weights."""
    torch.manual_seed(0)
    config = ModelConfig(
        kind,
        7,
        num_layers,
        dropout,
        embedding,
        embedding_size=5,
        layer_norm=layer_norm and kind != "sha",
        feed_forward=layer_norm and kind == "sha",  # sha is always normed: "norm" tests its other variant
    )
    return build_model(config).double().eval()


@NORMS
@pytest.mark.parametrize(("kind", "embedding"), ALL)
def test_stepping_one_token_at_a_time_equals_one_pass(kind: str, embedding: EmbeddingKind, layer_norm: bool):
    model, words = small(kind, embedding, layer_norm=layer_norm), tokens()
    logits, last = model(words)
    torch.testing.assert_close(stepped(model, words), (logits.detach(), {k: v.detach() for k, v in last.items()}))


@settings(max_examples=25)
@given(case=st.sampled_from(ALL), cut=st.integers(1, 8), seed=st.integers(0, 1000), layer_norm=st.booleans())
def test_a_stream_cut_anywhere_gives_the_same_logits(
    case: tuple[str, EmbeddingKind], cut: int, seed: int, layer_norm: bool
):
    model, words = small(*case, layer_norm=layer_norm), tokens(seed=seed)
    first, state = model(words[:, :cut])
    second, last = model(words[:, cut:], state)
    torch.testing.assert_close((torch.cat((first, second), dim=1), last), model(words))


@KINDS
def test_a_piece_that_begins_in_the_middle_knows_nothing_of_the_one_before(kind: str):
    model, words = small(kind), tokens().clamp(min=1)
    words[:, 4] = BOS
    torch.testing.assert_close(model(words)[0][:, 4:], model(words[:, 4:])[0])


@KINDS
def test_rows_do_not_influence_each_other(kind: str):
    model, words = small(kind), tokens()
    torch.testing.assert_close(model(words)[0][1:2], model(words[1:2])[0])


@KINDS
def test_the_future_does_not_influence_the_past(kind: str):
    model, words = small(kind), tokens()
    changed = words.clone()
    changed[:, 6:] = 5
    assert torch.equal(model(words)[0][:, :6], model(changed)[0][:, :6])


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_one_hot_models_equal_torch_nn_on_dense_one_hot_input(kind: str):
    model, words = small(kind, num_layers=2), tokens().clamp(min=1)
    peer = (nn.LSTM if kind == "lstm" else nn.RNN)(VOCABULARY_SIZE, 7, num_layers=2, batch_first=True).double()
    ours = model.state_dict()
    gates = ours["embedding.bias"].shape[0]
    theirs = {"weight_ih_l0": ours["embedding.weight"].t(), "bias_ih_l0": ours["embedding.bias"]}
    theirs |= {"weight_ih_l1": ours["layers.1.weight_ih"], "bias_ih_l1": ours["layers.1.bias"]}
    for index in range(2):
        theirs |= {f"weight_hh_l{index}": ours[f"layers.{index}.weight_hh"], f"bias_hh_l{index}": torch.zeros(gates)}
    peer.load_state_dict(theirs)
    hidden = peer(F.one_hot(words, VOCABULARY_SIZE).double())[0]
    torch.testing.assert_close(model(words)[0], model.decoder(hidden))


@NORMS
@pytest.mark.parametrize(("kind", "embedding"), ALL)
def test_every_parameter_reports_one_gradient_a_pass_as_data_parallel_training_needs(
    kind: str, embedding: EmbeddingKind, layer_norm: bool
):
    model, reported = small(kind, embedding, layer_norm=layer_norm), []
    for name, parameter in model.named_parameters():
        parameter.register_post_accumulate_grad_hook(lambda _, name=name: reported.append(name))
    model(tokens())[0].square().sum().backward()
    assert sorted(reported) == sorted(name for name, _ in model.named_parameters())


@NORMS
@KINDS
def test_gradients_agree_with_finite_differences(kind: str, layer_norm: bool):
    model, words = small(kind, num_layers=1, layer_norm=layer_norm), tokens(batch=2, time=4)
    names, values = zip(*model.named_parameters(), strict=True)

    def loss(*parameters: Tensor) -> Tensor:
        return torch.func.functional_call(model, dict(zip(names, parameters, strict=True)), (words,))[0].square().sum()

    def fresh(*parameters: Tensor) -> float:
        return float(loss(*(parameter.detach() for parameter in parameters)))

    gradients = torch.autograd.grad(loss(*values), values)
    direction = [torch.randn_like(value) for value in values]
    ahead, behind = (
        fresh(*(value + sign * 1e-6 * way for value, way in zip(values, direction, strict=True))) for sign in (1, -1)
    )
    slope = sum(float((gradient * way).sum()) for gradient, way in zip(gradients, direction, strict=True))
    assert slope == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)


@pytest.mark.parametrize(("kind", "embedding"), ALL)
def test_initial_weights_follow_from_the_seed_alone(kind: str, embedding: EmbeddingKind):
    first, second = small(kind, embedding).state_dict(), small(kind, embedding).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_parameter_names_are_the_checkpoint_format():
    assert sorted(small("attn", "learned").state_dict()) == [
        "attention.weight",
        "decoder.bias",
        "decoder.weight",
        "embedding.bias",
        "embedding.projection",
        "embedding.weight",
        "layers.0.weight_hh",
        "layers.1.bias",
        "layers.1.weight_hh",
        "layers.1.weight_ih",
    ]


def test_layer_norms_add_a_scale_and_a_shift_for_each_vector_that_the_decoder_reads():
    def added(kind: str) -> list[str]:
        return sorted(small(kind, layer_norm=True).state_dict().keys() - small(kind).state_dict().keys())

    assert added("lstm") == ["norm.bias", "norm.weight"]
    assert added("attn") == ["context_norm.bias", "context_norm.weight", "norm.bias", "norm.weight"]


def test_the_decoder_reads_the_state_and_the_context_each_normalised():
    model, words = small("attn", num_layers=1, layer_norm=True), tokens()
    logits, state = model(words)
    normed = [F.layer_norm(vector, (7,)) for vector in (state["h"][:, 0], state["context"])]
    torch.testing.assert_close(logits[:, -1], model.decoder(torch.cat(normed, dim=1)))


def test_the_papers_lstm_has_its_number_of_parameters():
    v, h = VOCABULARY_SIZE, 512
    assert build_model(ModelConfig()).num_parameters == (v * 4 * h + 4 * h) + 4 * h * h + (h * v + v)


@KINDS
def test_state_is_batch_first_and_of_the_weights_type(kind: str):
    model = small(kind)
    state, after = model.initial_state(3), model(tokens())[1]
    assert {name: value.shape for name, value in after.items()} == {name: value.shape for name, value in state.items()}
    assert all(len(value) == 3 and value.dtype == torch.float64 for value in (*state.values(), *after.values()))


@KINDS
def test_bf16_products_change_the_logits_by_less_than_two_percent(kind: str):
    model, words = small(kind, "learned").float(), tokens()
    exact = model(words)[0]
    rough = model.with_bf16(True)(words)[0]
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).norm() < 0.02 * exact.norm()


@NORMS
def test_dropout_acts_in_training_only_and_follows_torchs_seed(layer_norm: bool):
    model, words = small("attn", dropout=0.5, layer_norm=layer_norm), tokens()
    still = model(words)[0]
    assert torch.equal(model(words)[0], still)
    model.train()
    torch.manual_seed(3)
    first = model(words)[0]
    torch.manual_seed(3)
    assert torch.equal(model(words)[0], first)
    assert not torch.equal(first, still)


@KINDS
def test_step_builds_no_graph_and_leaves_the_given_state_alone(kind: str):
    model = small(kind)
    state = model.initial_state(3)
    before = {name: value.clone() for name, value in state.items()}
    logits, after = model.step(torch.tensor([BOS, 60, 7]), state)
    assert not logits.requires_grad
    assert not any(value.requires_grad for value in after.values())
    assert all(torch.equal(state[name], before[name]) for name in state)
