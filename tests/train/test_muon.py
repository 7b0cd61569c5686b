"""Muon: orthogonal steps, gates as matrices of their own, and which parameters it trains."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pianogen.config import ModelConfig, OptimConfig, TrainConfig
from pianogen.errors import SettingError
from pianogen.models import PianoModel, build_model
from pianogen.train.muon import Muon, orthogonal
from pianogen.train.optim import build_optimizers, hidden_matrices, learning_rate, set_learning_rate

SIDES = st.integers(1, 12)
SEEDS = st.integers(0, 1000)


def random_matrix(rows: int, columns: int, seed: int) -> Tensor:
    """In float64, its singular values between 1 and 20."""
    generator = torch.Generator().manual_seed(seed)
    left, _, right = torch.linalg.svd(torch.randn(rows, columns, generator=generator).double(), full_matrices=False)
    return left @ torch.diag(1 + 19 * torch.rand(min(rows, columns), generator=generator).double()) @ right


def stepped(stack: Tensor, gradients: list[Tensor], gates: int) -> Tensor:
    """The weight after a step of Muon for each gradient."""
    weight = torch.nn.Parameter(stack.clone())
    optimizer = Muon({gates: [weight]}, lr=0.1)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach()


def model_of(kind: str, **settings) -> PianoModel:
    return build_model(ModelConfig(kind=kind, hidden_size=8, embedding_size=6, **settings))


@given(SIDES, SIDES, SEEDS)
def test_orthogonal_keeps_the_singular_vectors_and_makes_every_singular_value_about_one(
    rows: int, columns: int, seed: int
):
    matrix = random_matrix(rows, columns, seed)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    core = left.T @ orthogonal(matrix[None])[0] @ right.T
    assert ((core.diag() > 0.6) & (core.diag() < 1.3)).all()
    torch.testing.assert_close(core, core.diag().diag())


@given(SIDES, SIDES, SEEDS)
def test_orthogonal_in_bf16_differs_by_rounding(rows: int, columns: int, seed: int):
    matrix = random_matrix(rows, columns, seed)[None].float()
    found = orthogonal(matrix, bf16=True)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), orthogonal(matrix), atol=0.2, rtol=0)


def test_muon_computes_in_the_precision_of_the_model():
    stack, gradient = torch.zeros(512, 512), torch.randn(512, 512, generator=torch.Generator().manual_seed(0))

    def step(model: PianoModel) -> Tensor:
        weight = model.get_parameter("layers.0.weight_hh")
        weight.data, weight.grad = stack.clone(), gradient
        _, muon = build_optimizers(model, OptimConfig(kind="muon"))
        muon.step()
        return weight.detach()

    exact, rounded = (step(build_model(ModelConfig("rnn", 512)).with_bf16(bf16)) for bf16 in (False, True))
    difference = float((exact - rounded).norm() / exact.norm())
    assert 1e-4 < difference < 0.05


def test_orthogonal_leaves_zeros_as_they_are():
    assert torch.equal(orthogonal(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


@given(SIDES, SIDES, st.integers(1, 4), SEEDS)
def test_each_gate_of_a_stack_moves_as_a_matrix_of_its_own(rows: int, columns: int, gates: int, seed: int):
    stack, *gradients = (random_matrix(gates * rows, columns, seed + k) for k in range(3))
    parts = zip(*(x.chunk(gates) for x in (stack, *gradients)), strict=True)
    alone = torch.cat([stepped(weight, list(of_gate), 1) for weight, *of_gate in parts])
    torch.testing.assert_close(stepped(stack, gradients, gates), alone)


@given(SIDES, SIDES, SEEDS)
def test_the_scale_of_the_loss_does_not_matter(rows: int, columns: int, seed: int):
    weight, *gradients = (random_matrix(rows, columns, seed + k) for k in range(3))
    scaled = [1000 * gradient for gradient in gradients]
    torch.testing.assert_close(stepped(weight, scaled, 1), stepped(weight, gradients, 1))


def test_a_matrix_without_a_gradient_stays():
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = Muon({1: [weight]}, lr=0.1)
    optimizer.step()
    assert torch.equal(weight, torch.ones(2, 2))
    assert not optimizer.state


def test_muon_trains_recurrent_attention_and_projection_matrices_gate_by_gate():
    assert hidden_matrices(model_of("attn", embedding="learned", num_layers=2, layer_norm=True)) == {
        "embedding.projection": 4,
        "layers.0.weight_hh": 4,
        "layers.1.weight_hh": 4,
        "layers.1.weight_ih": 4,
        "attention.weight": 1,
    }
    assert hidden_matrices(model_of("rnn")) == {"layers.0.weight_hh": 1}


@pytest.mark.parametrize("kind", ["adam", "muon"])
@pytest.mark.parametrize("embedding", ["one_hot", "learned", "musical"])
def test_every_parameter_has_one_optimizer(kind, embedding):
    model = model_of("attn", embedding=embedding, layer_norm=True)
    optimizers = build_optimizers(model, OptimConfig(kind=kind))
    owned = [id(one) for optimizer in optimizers for group in optimizer.param_groups for one in group["params"]]
    assert sorted(owned) == sorted(map(id, model.parameters()))


@given(st.integers(0, 3_000_000))
def test_both_optimizers_are_at_the_same_point_of_the_schedule(tokens: int):
    config = OptimConfig(kind="muon", lr=0.002, muon_lr=0.03, horizon_tokens=2_000_000)
    adam, muon = build_optimizers(model_of("lstm"), config)
    set_learning_rate((adam, muon), config, learning_rate(config, tokens))
    assert muon.param_groups[0]["lr"] == pytest.approx(15 * adam.param_groups[0]["lr"])


def test_muon_under_zero_is_refused_with_the_way_out():
    with pytest.raises(SettingError, match=r"'optim.kind' is 'muon', but it must be adam with --deepspeed.* leave"):
        TrainConfig(deepspeed="zero2.json", optim=OptimConfig(kind="muon"))
