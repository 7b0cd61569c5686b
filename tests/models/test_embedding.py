"""The input tables: a gather equals the dense product, and the musical one knows octaves and lengths."""

import pytest
import torch
import torch.nn.functional as F

from pianogen.config import EmbeddingKind, ModelConfig
from pianogen.models.embedding import MusicalEmbedding, build_embedding
from pianogen.tokens.vocab import FIRST_NOTE, HIGHEST_PITCH, LOWEST_PITCH, VOCABULARY_SIZE, ids_of

EMBEDDINGS = pytest.mark.parametrize("kind", ["one_hot", "learned", "musical", "skip_gram"])


def musical_vectors(seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    embedding = build_embedding(ModelConfig(hidden_size=8, embedding="musical"), num_gates=32)
    assert isinstance(embedding, MusicalEmbedding)
    return embedding.vectors(torch.arange(VOCABULARY_SIZE)).detach()


@EMBEDDINGS
def test_gathering_from_the_whole_table_equals_looking_words_up(kind: EmbeddingKind):
    embedding = build_embedding(ModelConfig(hidden_size=8, embedding=kind, embedding_size=6), num_gates=32).double()
    tokens = torch.randint(0, VOCABULARY_SIZE, (3, VOCABULARY_SIZE))
    short = torch.stack([embedding(row) for row in tokens])
    torch.testing.assert_close(embedding(tokens), short)


def test_one_hot_columns_equal_the_dense_product():
    embedding = build_embedding(ModelConfig(hidden_size=8), num_gates=32)
    tokens = torch.randint(0, VOCABULARY_SIZE, (3, 200))
    dense = F.linear(F.one_hot(tokens, VOCABULARY_SIZE).float(), embedding.get_parameter("weight").t(), embedding.bias)
    torch.testing.assert_close(embedding(tokens), dense)


@pytest.mark.parametrize("seed", range(5))
def test_octaves_start_nearer_than_any_other_interval(seed: int):
    notes = musical_vectors(seed)[FIRST_NOTE + LOWEST_PITCH : FIRST_NOTE + HIGHEST_PITCH + 1]
    distance = torch.cdist(notes, notes)
    interval = torch.arange(len(notes))[:, None] - torch.arange(len(notes))
    octave = (interval % 12 == 0) & (interval != 0)
    assert distance[octave].max() < distance[interval % 12 != 0].min()


def test_every_word_in_use_starts_with_a_vector_of_its_own():
    in_use = musical_vectors(0)[:298]  # the rest are musicautobot's dummies
    in_use = torch.cat((in_use[: 9 + 128], in_use[9 + 128 + 1 :]))  # d0 is never written
    distance = torch.cdist(in_use, in_use) + 100 * torch.eye(len(in_use))
    assert distance.min() > 1e-2


def test_lengths_in_the_same_ratio_share_the_log_duration():
    half, whole, eight, sixteen = (musical_feature(word) for word in ("d2", "d4", "d8", "d16"))
    torch.testing.assert_close(whole - half, sixteen - eight)


def musical_feature(word: str) -> torch.Tensor:
    embedding = build_embedding(ModelConfig(embedding="musical"), num_gates=4)
    assert isinstance(embedding, MusicalEmbedding)
    return embedding.features[int(ids_of([word])[0]), -9]  # the log-duration stands before its eight waves
