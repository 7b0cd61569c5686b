"""Batched sampling gives legal pieces, the same in any batch, and one that fails does not affect the others."""

import dataclasses
from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pianogen.config import EmbeddingKind, GenerateConfig, Mask, ModelConfig
from pianogen.errors import TokenError
from pianogen.generation import Limits, Request, SampledPiece, sample, sample_each
from pianogen.generation.sampler import Batch
from pianogen.models import PianoModel, State, build_model
from pianogen.tokens import decode
from pianogen.tokens.grammar import NEXT_STATE, allowed, legal, states_of
from pianogen.tokens.vocab import EOS, FIRST_NOTE, ids_of

KINDS: list[str] = ["rnn", "lstm", "attn"]
MASKS: list[Mask] = ["strict", "paper"]
PROMPTS = [
    ids_of(words.split())
    for words in (
        "xxbos xxpad",
        "xxbos xxpad n72 d2 n52 d16 xxsep d2 n71 d2",
        "xxbos xxpad xxsep d9 n30 d1 xxsep d1 n80 d3",
    )
]
HIGHEST_KEY = FIRST_NOTE + 108


def random_model(kind: str = "lstm", spread: float = 4.0) -> PianoModel:
    """A small model of random weights, large enough that its distributions differ from uniform and from each other."""
    torch.manual_seed(0)
    model = build_model(ModelConfig(kind=kind, hidden_size=16))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(spread)
    return model


def requests_of(num: int, limits: Limits) -> list[Request]:
    """Pieces that begin with prompts of different lengths, in turn."""
    return [Request(piece, limits, PROMPTS[piece % len(PROMPTS)]) for piece in range(num)]


def tokens_of(samples: list[SampledPiece]) -> list[list[int]]:
    return [one.tokens.tolist() for one in samples]


def allowed_after(tokens: np.ndarray, mask: Mask = "strict") -> Tensor:
    """Which words may follow each token of a stream."""
    return torch.from_numpy(allowed(mask)[NEXT_STATE[states_of(tokens), tokens]])


class PoisonedModel(PianoModel):
    """Gives scores that are NaN to a row that has read the highest key."""

    def initial_state(self, batch: int, device: torch.device | str | None = None) -> State:
        return super().initial_state(batch, device) | {"poison": torch.zeros(batch)}

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        poison = state["poison"] + (tokens == HIGHEST_KEY)
        logits, after = super().step(tokens, {name: state[name] for name in state if name != "poison"})
        return logits.masked_fill(poison[:, None] > 0, torch.nan), after | {"poison": poison}

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        poison = (tokens == HIGHEST_KEY).any(dim=1).float()
        logits, after = super().forward(tokens, state)
        return logits, after | {"poison": poison}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_one_of_a_thousand_pieces_of_random_models_is_legal_and_decodes(kind, mask):
    config = GenerateConfig(batch=64, temperature=1.3)
    for made in sample_each(random_model(kind), requests_of(170, Limits(max_tokens=40, max_steps=50)), config, mask):
        assert legal(made.tokens, mask)
        assert made.tokens[-1] == EOS
        assert len(decode(made.tokens)) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_batches_of_1_8_and_64_give_the_same_pieces(kind):
    model, requests = random_model(kind), requests_of(70, Limits(max_tokens=50))
    batches = [tokens_of(sample(model, requests, GenerateConfig(batch=batch, seed=3))) for batch in (1, 8, 64)]
    assert batches[0] == batches[1] == batches[2]


@pytest.mark.parametrize("settings", [{"top_k": 5}, {"top_p": 0.7}, {"min_p": 0.1}, {"duration_temperature": 0.3}])
def test_batches_give_the_same_pieces_under_every_setting(settings):
    model, requests = random_model(), requests_of(20, Limits(max_tokens=50))
    config = GenerateConfig(batch=1, **settings)
    alone = tokens_of(sample(model, requests, config))
    assert tokens_of(sample(model, requests, dataclasses.replace(config, batch=8))) == alone
    assert tokens_of(sample(model, requests, GenerateConfig(batch=8))) != alone


def test_a_piece_does_not_depend_on_which_others_are_made():
    model, requests = random_model(), requests_of(12, Limits(max_tokens=50))
    config = GenerateConfig(batch=4)
    assert tokens_of(sample(model, requests[7:8], config)) == tokens_of(sample(model, requests, config))[7:8]


def test_each_piece_of_a_batch_may_have_settings_of_its_own():
    model, limits = random_model(), Limits(max_tokens=50)
    choices: list[dict[str, Any]] = [{}, {"top_k": 5}, {"top_p": 0.7}, {"min_p": 0.1}, {"temperature": 0.5}]
    choices.append({"duration_temperature": 0.3})
    configs = [GenerateConfig(seed=3, **one) for one in choices]
    alone = [tokens_of(sample(model, [Request(0, limits)], config))[0] for config in configs]
    together = [Request(0, limits, config=config) for config in configs]
    assert tokens_of(sample(model, together, GenerateConfig(seed=3))) == alone
    assert len({tuple(tokens) for tokens in alone}) == len(configs)


@torch.inference_mode()
def test_a_piece_is_the_same_while_others_join_and_leave():
    model, requests = random_model(), requests_of(9, Limits(max_tokens=60, min_tokens=60))
    config = GenerateConfig(seed=3)
    alone = {request: made.tolist() for request, made in zip(requests, tokens_of_each(model, requests), strict=True)}
    batch, waiting, made = Batch(model, config, "strict", 5), deque(requests[:2]), {}
    for turn in range(2, 100):
        if turn < len(requests):
            waiting.append(requests[turn])
        if not batch.fill(waiting):
            break
        made |= {done.request: done.tokens.tolist() for done in batch.advance(max_words=3)}
        if turn == 5:
            assert requests[1] in dict(batch.unfinished())
            batch.stop(requests[1])
    assert made == {request: tokens for request, tokens in alone.items() if request is not requests[1]}


def tokens_of_each(model: PianoModel, requests: list[Request]) -> list[np.ndarray]:
    return [sample(model, [request], GenerateConfig(seed=3))[0].tokens for request in requests]


def test_pieces_and_seeds_differ():
    model, requests = random_model(), [Request(piece, Limits(60)) for piece in range(8)]
    pieces = [tokens_of(sample(model, requests, GenerateConfig(seed=seed))) for seed in (0, 1)]
    assert len({tuple(tokens) for seed in pieces for tokens in seed}) == 16


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_one_word_at_a_time_follows_the_model_over_the_whole_piece(kind):
    model = random_model(kind)
    requests = requests_of(6, Limits(max_tokens=80, min_tokens=80))
    config = GenerateConfig(batch=4, top_k=1)
    for made in sample(model, requests, config):
        with torch.no_grad():
            logits, _ = model(torch.from_numpy(made.tokens[None].astype(np.int64)))
        rivals = logits[0, :-1].masked_fill(~allowed_after(made.tokens[:-1]), -torch.inf)
        rivals[:, EOS] = -torch.inf  # kept away by the minimum
        fresh = range(len(made.request.prompt), len(made.tokens) - 3)  # up to where the maximum shows
        chosen = logits[0, [position - 1 for position in fresh], made.tokens[list(fresh)].tolist()]
        assert (chosen >= rivals[[position - 1 for position in fresh]].amax(dim=1) - 1e-4).all()


def test_prompts_are_unchanged_at_the_beginning():
    for made in sample(random_model(), requests_of(9, Limits(max_tokens=40)), GenerateConfig(batch=4)):
        np.testing.assert_array_equal(made.tokens[: len(made.request.prompt)], made.request.prompt)


def test_a_long_prompt_read_in_chunks_is_continued_as_if_read_at_once():
    model = random_model("attn")
    pairs = "n64 d2 xxsep d2 " * 700 + "n60 d4"
    prompt = ids_of(f"xxbos xxpad {pairs}".split())
    made = sample(model, [Request(0, Limits(len(prompt) + 20), prompt)], GenerateConfig(top_k=1))[0]
    with torch.no_grad():
        logits, _ = model(torch.from_numpy(prompt[None].astype(np.int64)))
    rivals = logits[0, -1].masked_fill(~allowed_after(prompt)[-1], -torch.inf)
    assert made.tokens[len(prompt)] == int(rivals.argmax())


def test_a_row_without_finite_scores_fails_alone_and_the_others_are_as_without_it():
    torch.manual_seed(0)
    model = PoisonedModel(ModelConfig(kind="attn", hidden_size=16))
    finite = requests_of(9, Limits(max_tokens=60))
    config = GenerateConfig(batch=5, min_p=0.2)  # so weak a model would otherwise strike the highest key by itself
    poisoned = Request(100, Limits(60), ids_of(["xxbos", "xxpad", "n108", "d1"]))
    fine = [made for made in sample(model, finite, config) if made.ended != "failed"]
    mixed = sample(model, [finite[0], poisoned, *finite[1:]], config)
    assert mixed[1].ended == "failed"
    assert tokens_of([made for made in mixed if made.ended != "failed"]) == tokens_of(fine)


def test_a_failed_piece_says_where_and_why():
    torch.manual_seed(0)
    model = random_model()
    with torch.no_grad():
        model.decoder.bias[EOS] = torch.nan
    made = sample(model, [Request(0)], GenerateConfig())[0]
    assert (made.ended, made.reason) == ("failed", "the model's scores for token 2 are not finite numbers")


def test_sampling_leaves_the_model_in_training_mode_as_it_found_it():
    model = random_model().train()
    sample(model, requests_of(3, Limits(max_tokens=20)), GenerateConfig())
    assert model.training


def test_a_prompt_with_an_unknown_word_is_refused_by_position():
    prompt = np.array([0, 1, 81, 139, 400, 139])
    with pytest.raises(TokenError, match=r"position 4 of the prompt is 400 \(not a word\)"):
        sample(random_model(), [Request(0, Limits(), prompt)], GenerateConfig())


class Factories(TorchFunctionMode):
    """Records which functions create a tensor without a device argument."""

    def __init__(self) -> None:
        self.without_device: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        makers = (torch.empty, torch.zeros, torch.ones, torch.full, torch.tensor, torch.arange)
        if func in makers and "device" not in (kwargs or {}):
            self.without_device.append(func.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("embedding", ["one_hot", "learned", "musical"])
def test_sampling_makes_every_tensor_on_the_models_device(embedding: EmbeddingKind) -> None:
    model = build_model(ModelConfig(kind="attn", hidden_size=8, embedding=embedding, embedding_size=8))
    with Factories() as factories:
        sample(model, requests_of(4, Limits(max_tokens=30)), GenerateConfig(batch=2))
    assert factories.without_device == []
