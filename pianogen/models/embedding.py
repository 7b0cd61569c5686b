"""What each word adds to the gates of the first layer: W_ih times a one-hot word, a vector or musical features.

There are only 312 words, so their gate columns form a small table (V, G) and every input is a row of it: no one-hot
tensor and no dense product over time exists, whatever the embedding.
"""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from pianogen.config import ModelConfig
from pianogen.models.linear import uniform
from pianogen.tokens.vocab import FIRST_DURATION, FIRST_NOTE, LAST_DURATION, NUM_PITCHES, VOCABULARY_SIZE

NUM_KINDS = FIRST_NOTE + 3  # one per special word, then notes, durations and the unused words
NOTE_KIND, DURATION_KIND, OTHER_KIND = range(FIRST_NOTE, NUM_KINDS)
NUM_PITCH_CLASSES = 12
NUM_OCTAVES = math.ceil(NUM_PITCHES / NUM_PITCH_CLASSES)
NUM_WAVES = 4  # sines and cosines of the log-duration, so that neighbouring short lengths stay apart
ONE_HOT_BOUND = 0.7
OCTAVE_SCALE = 0.3  # ratio of an octave's initial vector to a pitch class's; below 1, octaves start similar


class Embedding(nn.Module, ABC):
    """A table of gate columns; a subclass defines the rows."""

    def __init__(self, num_gates: int, hidden_size: int) -> None:
        super().__init__()
        self.bound = hidden_size**-0.5
        self.bias = uniform(num_gates, bound=self.bound)

    @abstractmethod
    def rows(self, words: Int[Tensor, " N"]) -> Float[Tensor, "N G"]:
        """W_ih times the vectors of these words."""

    def forward(self, tokens: Int[Tensor, "*B"]) -> Float[Tensor, "*B G"]:
        """W_ih x + b of each token."""
        return (self.rows(tokens.flatten()) + self.bias).view(*tokens.shape, -1)


class OneHotEmbedding(Embedding):
    """The paper's input: row w of the weight is column w of W_ih."""

    def __init__(self, num_gates: int, hidden_size: int) -> None:
        super().__init__(num_gates, hidden_size)
        # one input is active, so the usual bound for H inputs would leave the gates close to 0 and slow down learning
        self.weight = uniform(VOCABULARY_SIZE, num_gates, bound=ONE_HOT_BOUND)

    def rows(self, words: Int[Tensor, " N"]) -> Float[Tensor, "N G"]:
        """Rows of the weight, as they are."""
        return F.embedding(words, self.weight)


class DenseEmbedding(Embedding):
    """One vector per word, then a dense W_ih."""

    def __init__(self, num_gates: int, hidden_size: int, size: int) -> None:
        super().__init__(num_gates, hidden_size)
        self.projection = uniform(num_gates, size, bound=self.bound)

    def rows(self, words: Int[Tensor, " N"]) -> Float[Tensor, "N G"]:
        """Vectors of the words, projected."""
        return F.linear(self.vectors(words), self.projection)

    @abstractmethod
    def vectors(self, words: Int[Tensor, " N"]) -> Float[Tensor, "N E"]:
        """The vectors of these words."""


class LearnedEmbedding(DenseEmbedding):
    """A free vector for each word."""

    def __init__(self, num_gates: int, hidden_size: int, size: int) -> None:
        super().__init__(num_gates, hidden_size, size)
        self.weight = nn.Parameter(torch.randn(VOCABULARY_SIZE, size))

    def vectors(self, words: Int[Tensor, " N"]) -> Float[Tensor, "N E"]:
        """Rows of the weight."""
        return F.embedding(words, self.weight)


class FrozenEmbedding(DenseEmbedding):
    """A vector for each word that training does not change; whoever builds the model sets them."""

    weight: Tensor

    def __init__(self, num_gates: int, hidden_size: int, size: int) -> None:
        super().__init__(num_gates, hidden_size, size)
        self.register_buffer("weight", torch.zeros(VOCABULARY_SIZE, size))

    def vectors(self, words: Int[Tensor, " N"]) -> Float[Tensor, "N E"]:
        """Rows of the weight."""
        return F.embedding(words, self.weight)


class MusicalEmbedding(DenseEmbedding):
    """The sum of one vector for each musical feature of the word: octaves, and similar lengths, start similar."""

    features: Tensor

    def __init__(self, num_gates: int, hidden_size: int, size: int) -> None:
        super().__init__(num_gates, hidden_size, size)
        features = word_features()
        scale = torch.ones(features.shape[1], 1)
        scale[NUM_KINDS + NUM_PITCH_CLASSES :][:NUM_OCTAVES] = OCTAVE_SCALE
        self.weight = nn.Parameter(torch.randn(features.shape[1], size) * scale)
        self.register_buffer("features", features, persistent=False)

    def vectors(self, words: Int[Tensor, " N"]) -> Float[Tensor, "N E"]:
        """The sum of the feature vectors of each word."""
        return self.features[words] @ self.weight


def word_features() -> Float[Tensor, "V F"]:
    """Kind, pitch class and octave as indicators, then the log-duration and its waves; (V, F)."""
    kinds = torch.full((VOCABULARY_SIZE,), OTHER_KIND)
    kinds[:FIRST_NOTE] = torch.arange(FIRST_NOTE)
    kinds[FIRST_NOTE:FIRST_DURATION] = NOTE_KIND
    kinds[FIRST_DURATION : LAST_DURATION + 1] = DURATION_KIND
    pitches = torch.arange(NUM_PITCHES)
    pitch_classes = torch.zeros(VOCABULARY_SIZE, NUM_PITCH_CLASSES)
    pitch_classes[FIRST_NOTE:FIRST_DURATION] = F.one_hot(pitches % NUM_PITCH_CLASSES, NUM_PITCH_CLASSES).float()
    octaves = torch.zeros(VOCABULARY_SIZE, NUM_OCTAVES)
    octaves[FIRST_NOTE:FIRST_DURATION] = F.one_hot(pitches // NUM_PITCH_CLASSES, NUM_OCTAVES).float()
    steps = torch.arange(LAST_DURATION + 1 - FIRST_DURATION).clamp(min=1)  # d0 is never used
    logs = steps.log2()[:, None] / math.log2(LAST_DURATION - FIRST_DURATION)
    angles = math.pi * logs * 2.0 ** torch.arange(NUM_WAVES)
    durations = torch.zeros(VOCABULARY_SIZE, 1 + 2 * NUM_WAVES)
    durations[FIRST_DURATION : LAST_DURATION + 1] = torch.cat((logs, angles.sin(), angles.cos()), dim=1)
    return torch.cat((F.one_hot(kinds, NUM_KINDS).float(), pitch_classes, octaves, durations), dim=1)


def build_embedding(config: ModelConfig, num_gates: int) -> Embedding:
    """Build the embedding of the settings."""
    if config.embedding == "one_hot":
        return OneHotEmbedding(num_gates, config.hidden_size)
    kinds = {"learned": LearnedEmbedding, "musical": MusicalEmbedding, "skip_gram": LearnedEmbedding}
    kind = FrozenEmbedding if config.freeze_embedding else kinds[config.embedding]
    return kind(num_gates, config.hidden_size, config.embedding_size)
