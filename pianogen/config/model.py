"""Settings of the network."""

import difflib
from dataclasses import dataclass
from typing import Literal

from pianogen.config.rules import require
from pianogen.plugins import extensions

PAPER_KINDS = ("rnn", "lstm", "attn")
MODEL_KINDS = (*PAPER_KINDS, "sha")
EmbeddingKind = Literal["one_hot", "learned", "musical", "skip_gram"]
Mask = Literal["strict", "paper"]


@dataclass(frozen=True)
class ModelConfig:
    """The network; the defaults are the paper's."""

    kind: str = "lstm"
    """rnn, lstm, attn: an LSTM with feed-forward attention over its own past, or sha: an LSTM with one attention head
    over its last outputs and layer norms; or a kind that a plugin adds."""
    hidden_size: int = 512
    """Units in each recurrent layer."""
    num_layers: int = 1
    """Recurrent layers, one above the other."""
    dropout: float = 0.0
    """Probability of dropping a unit between layers and before the decoder."""
    embedding: EmbeddingKind = "one_hot"
    """What the first layer sees: the paper's one-hot word, a learned vector, musical features of the word, or a vector
    computed from the words that occur near it in the train split (skip_gram, as in Word2Vec)."""
    embedding_size: int = 256
    """Width of an embedding other than one_hot, which has none."""
    freeze_embedding: bool = False
    """Whether the vectors of skip_gram stay as they are computed, instead of being trained further."""
    layer_norm: bool = False
    """Normalise what the decoder reads: the hidden state and, apart, the attention's context."""
    attention_window: int = 256
    """Positions that the attention head of sha sees, the current one included."""
    feed_forward: bool = False
    """Whether sha has a feed-forward layer before the decoder; other kinds have none."""
    mask: Mask = "strict"
    """Grammar filter before the softmax: the paper's alternation, or strict, which admits canonical streams only."""

    def __post_init__(self) -> None:
        if self.kind not in MODEL_KINDS:
            known = [*MODEL_KINDS, *extensions("model", MODEL_KINDS)]
            nearest = difflib.get_close_matches(self.kind, known, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else "others need a plugin, see docs/extending.md"
            rule = f"one of {', '.join(known)}; {hint}"
            require(self.kind in known, "model.kind", self.kind, rule)
        require(self.hidden_size >= 1, "model.hidden_size", self.hidden_size, "at least 1")
        require(self.num_layers >= 1, "model.num_layers", self.num_layers, "at least 1")
        require(0.0 <= self.dropout < 1.0, "model.dropout", self.dropout, "at least 0 and below 1")
        require(
            self.kind == "sha" or not self.feed_forward, "model.feed_forward", True, "false unless model.kind is sha"
        )
        require(self.attention_window >= 1, "model.attention_window", self.attention_window, "at least 1")
        own_norms = self.kind == "sha" and self.layer_norm
        require(not own_norms, "model.layer_norm", True, "false if model.kind is sha, which has its own")
        computed = self.embedding == "skip_gram"
        rule = "false unless model.embedding is skip_gram"
        require(computed or not self.freeze_embedding, "model.freeze_embedding", True, rule)
        require(self.embedding_size >= 1, "model.embedding_size", self.embedding_size, "at least 1")
