"""Sampling runs on the model's device, and the host reads one tensor a position: the logits."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pianogen.config import GenerateConfig, ModelConfig
from pianogen.generation import Limits, Request, sample
from pianogen.models import PianoModel, build_model
from pianogen.tokens.vocab import VOCABULARY_SIZE

NUM_PIECES, LENGTH = 3, 30
REQUESTS = [Request(piece, Limits(min_tokens=LENGTH, max_tokens=LENGTH)) for piece in range(NUM_PIECES)]
HOST_READS = ("cpu", "numpy", "tolist", "item", "__bool__", "__int__", "__float__", "__array__")

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.fixture
def model() -> PianoModel:
    torch.manual_seed(0)
    return build_model(ModelConfig(kind="attn", hidden_size=8))


@pytest.mark.parametrize("device", DEVICES)
def test_all_that_enters_and_leaves_the_model_is_on_its_device(
    model: PianoModel, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Counter[str] = Counter()

    def watched(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            logits, state = function(*arguments)
            given = [
                tensor for value in arguments for tensor in (value.values() if isinstance(value, dict) else [value])
            ]
            seen.update(
                tensor.device.type for tensor in [*given, logits, *state.values()] if isinstance(tensor, Tensor)
            )
            return logits, state

        return call

    model.to(device)
    monkeypatch.setattr(model, "step", watched(model.step))
    monkeypatch.setattr(model, "forward", watched(model.forward))
    sample(model, REQUESTS, GenerateConfig(batch=2))
    assert set(seen) == {device}


@pytest.mark.parametrize("device", DEVICES)
def test_the_host_reads_the_logits_of_a_position_and_nothing_else(
    model: PianoModel, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every read of a GPU's tensor stops the host until the GPU has finished, so each position affords one.

    A prompt is read in one pass, in which a GPU's recurrence asks once where pieces begin.
    """
    reads: list[tuple[str, tuple[int, ...]]] = []
    steps: list[int] = []
    passes: list[int] = []

    def watched(name: str) -> Any:
        original = getattr(Tensor, name)

        def read(self: Tensor, *arguments: Any, **named: Any) -> Any:
            reads.append((name, tuple(self.shape)))
            return original(self, *arguments, **named)

        return read

    model.to(device)
    original_step, original_forward = model.step, model.forward

    def forward(*given: Any) -> Any:
        before = len(reads)
        result = original_forward(*given)
        passes.append(sum(name == "cpu" for name, _ in reads[before:]))
        del reads[before:]
        return result

    monkeypatch.setattr(model, "forward", forward)
    monkeypatch.setattr(model, "step", lambda *given: (steps.append(len(given[0])), original_step(*given))[1])
    for name in HOST_READS:
        monkeypatch.setattr(Tensor, name, watched(name))
    sample(model, REQUESTS, GenerateConfig(batch=NUM_PIECES))
    assert max(passes) == (device == "cuda")
    fetched = [shape for name, shape in reads if name == "cpu"]
    assert fetched == [(rows, VOCABULARY_SIZE) for rows in steps]
    assert {shape for _, shape in reads} == set(fetched)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_makes_the_pieces_of_a_cpu(model: PianoModel) -> None:
    """The model of 8 units in float32 is far from a tie at every position of these pieces."""
    on_cpu = sample(model, REQUESTS, GenerateConfig(batch=2))
    on_gpu = sample(model.to("cuda"), REQUESTS, GenerateConfig(batch=2))
    for here, there in zip(on_cpu, on_gpu, strict=True):
        np.testing.assert_array_equal(here.tokens, there.tokens)
