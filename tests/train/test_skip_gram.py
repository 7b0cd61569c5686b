"""Word vectors from co-occurrences: what is counted, what a factorization keeps, and runs that start from them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from checkpoints import tensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from pianogen.config import BudgetConfig, ModelConfig, TrainConfig
from pianogen.data import Split
from pianogen.errors import RunError, SettingError
from pianogen.runs import open_run
from pianogen.tokens.vocab import VOCABULARY_SIZE
from pianogen.train import train
from pianogen.train.skip_gram import VECTORS, WINDOW, count_pairs, factorized

MakeRun = Callable[..., TrainConfig]
FINE_TUNED = ModelConfig("lstm", 8, embedding="skip_gram", embedding_size=6)
FROZEN = replace(FINE_TUNED, freeze_embedding=True)


class Performances:
    """A split of these tokens."""

    def __init__(self, *performances: list[int]) -> None:
        self._performances = performances

    def __len__(self) -> int:
        return len(self._performances)

    def tokens(self, index: int) -> np.ndarray:
        return np.array(self._performances[index], dtype=np.int16)


def pairs_of(*performances: list[int]) -> np.ndarray:
    return count_pairs(cast("Split", Performances(*performances)))


def weights_of(config: TrainConfig) -> torch.Tensor:
    return tensors(config.out, "model")["embedding.weight"]


def vectors_of(config: TrainConfig) -> torch.Tensor:
    return load_file(Path(config.out) / VECTORS)["vectors"]


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 5), max_size=20), min_size=1, max_size=3))
def test_every_pair_of_near_tokens_counts_once_in_either_order(performances: list[list[int]]):
    expected = np.zeros((VOCABULARY_SIZE, VOCABULARY_SIZE), dtype=np.int64)
    for ids in performances:
        for here, there in np.ndindex(len(ids), len(ids)):
            expected[ids[here], ids[there]] += 0 < abs(here - there) <= WINDOW
    assert (pairs_of(*performances) == expected).all()


def test_vectors_of_full_width_keep_all_of_the_information():
    random = np.random.default_rng(0)
    pairs = random.integers(0, 50, (VOCABULARY_SIZE, VOCABULARY_SIZE))
    pairs += pairs.T
    total = pairs.sum(axis=1)
    with np.errstate(divide="ignore"):
        information = np.log(pairs / total[:, None] / total * total.sum()).clip(min=0)
    vectors = factorized(pairs, VOCABULARY_SIZE)
    gram = vectors @ vectors.T
    gram *= np.linalg.norm(information) / np.linalg.norm(gram)
    np.testing.assert_allclose(gram @ gram, information @ information, atol=1e-8)


def test_words_of_the_same_surroundings_have_the_same_vector_and_others_do_not():
    first, second = [1, 2, 3, 4, 5, 6], [1, 2, 7, 4, 5, 6]
    vectors = factorized(pairs_of(first, second, [3, 8, 8, 8], [7, 8, 8, 8]), 4)
    np.testing.assert_allclose(vectors[3], vectors[7], atol=1e-12)
    assert np.abs(vectors[3] - vectors[2]).max() > 1e-3


def test_a_word_that_never_occurs_has_the_vector_0_and_the_others_a_mean_square_of_1():
    vectors = factorized(pairs_of([1, 2, 3, 1, 4, 2]), 3)
    assert np.flatnonzero(vectors.any(axis=1)).tolist() == [1, 2, 3, 4]
    assert (vectors[1:5] ** 2).mean() == pytest.approx(1)


def test_frozen_vectors_stay_and_the_rest_of_the_model_learns(tiny_run: MakeRun):
    config = tiny_run(model=FROZEN)
    train(config)
    assert torch.equal(weights_of(config), vectors_of(config))
    assert vectors_of(config).count_nonzero() > 0


def test_vectors_that_are_not_frozen_are_trained_further(tiny_run: MakeRun):
    config = tiny_run(model=FINE_TUNED, steps=1)
    train(config)
    moved = (weights_of(config) - vectors_of(config)).abs().max()
    assert 0 < moved <= 1.01 * config.optim.lr  # Adam's first step


@pytest.mark.parametrize("model", [FINE_TUNED, FROZEN])
def test_two_runs_and_a_resumed_one_have_the_same_vectors(tiny_run: MakeRun, model: ModelConfig):
    quiet, stopped = tiny_run("quiet", model=model), tiny_run("stopped", model=model)
    train(quiet)
    train(replace(stopped, budget=BudgetConfig(steps=3)))
    (Path(stopped.out) / VECTORS).unlink()  # what a checkpoint holds needs no file
    train(stopped)
    assert torch.equal(weights_of(stopped), weights_of(quiet))


def test_a_model_is_read_without_the_file_of_vectors(tiny_run: MakeRun):
    config = tiny_run(model=FROZEN)
    train(config)
    vectors = vectors_of(config)
    (Path(config.out) / VECTORS).unlink()
    model, _ = open_run(config.out).load_model("last")
    assert torch.equal(model.state_dict()["embedding.weight"], vectors)


def test_a_damaged_file_ends_a_run_without_checkpoint_with_its_name(tiny_run: MakeRun):
    config = tiny_run(model=FINE_TUNED)
    train(replace(config, budget=BudgetConfig(steps=1)))
    for checkpoint in (Path(config.out) / "checkpoints").iterdir():
        checkpoint.rename(Path(config.out) / checkpoint.name)
    (Path(config.out) / VECTORS).write_bytes(b"")
    with pytest.raises(RunError, match=r"word-vectors\.safetensors is missing or damaged"):
        train(config)


def test_more_components_than_words_are_refused_before_the_run_exists(tiny_run: MakeRun):
    config = tiny_run(model=replace(FINE_TUNED, embedding_size=VOCABULARY_SIZE + 1))
    with pytest.raises(SettingError, match=r"'model\.embedding_size' is 313, but it must be at most 312"):
        train(config)
    assert not (Path(config.out) / "config.yaml").exists()


def test_only_computed_vectors_can_be_frozen():
    with pytest.raises(SettingError, match=r"'model\.freeze_embedding' is True, but it must be false unless"):
        ModelConfig(embedding="learned", freeze_embedding=True)
