"""The whole network: embedding, recurrent layers, optional attention and layer norms, and a linear decoder.

The loss and the sampler, not the model, apply the grammar mask. Parameter names are the checkpoint format.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from pianogen.config import MODEL_KINDS, ModelConfig
from pianogen.errors import PluginError
from pianogen.models.attention import CausalAttention
from pianogen.models.embedding import build_embedding
from pianogen.models.layer import LayerState, RecurrentLayer
from pianogen.models.linear import linear_of_parts
from pianogen.models.lstm import LstmLayer
from pianogen.models.norm import LayerNorm
from pianogen.models.packed import PackedModel, can_pack
from pianogen.models.rnn import RnnLayer
from pianogen.models.sha import ShaBlock
from pianogen.ops.forms import for_gpu
from pianogen.ops.recurrence import gather_words
from pianogen.plugins import extensions
from pianogen.tokens.vocab import BOS, VOCABULARY_SIZE

# every tensor is batch first: h and c (B, L, H), lse and context (B, H), memory (B, W, H), length (B)
State = dict[str, Tensor]
_EMPTY = {"lse": -torch.inf}  # what a part of the state holds before any token, if not 0
_LAYERS: dict[str, type[RecurrentLayer]] = {"rnn": RnnLayer, "lstm": LstmLayer, "attn": LstmLayer, "sha": LstmLayer}


class PianoModel(nn.Module):
    """A model of the next token. `xxbos` empties its row's state before it is read, so rows may hold several pieces."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        layer = _layer_class(config.kind)
        attends, size = config.kind in ("attn", "sha"), config.hidden_size
        self.config = config
        self.bf16 = False
        self._packed: PackedModel | None = None
        self.layer_state_names = layer.state_names
        self.embedding = build_embedding(config, layer.gates_per_unit * size)
        self.layers = nn.ModuleList(layer(size, first=index == 0) for index in range(config.num_layers))
        self.attention = CausalAttention(size) if config.kind == "attn" else None
        self.norm = LayerNorm(size) if config.layer_norm else nn.Identity()
        self.context_norm = LayerNorm(size) if config.layer_norm and config.kind == "attn" else nn.Identity()
        self.block: ShaBlock | None = None
        if config.kind == "sha":
            self.block = ShaBlock(size, window=config.attention_window, feed_forward=config.feed_forward)
        self.dropout = nn.Dropout(config.dropout)
        self.decoder = nn.Linear(2 * size if attends else size, VOCABULARY_SIZE)

    @property
    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

    def with_bf16(self, enabled: bool) -> "PianoModel":
        """Choose whether matrix products are computed in bfloat16; weights, state and logits keep their type."""
        self.bf16 = enabled
        return self

    def initial_state(self, batch: int, device: torch.device | str | None = None) -> State:
        """The state before any token."""
        weight, layers = self.decoder.weight, (batch, self.config.num_layers, self.config.hidden_size)
        shapes = dict.fromkeys(self.layer_state_names, layers)
        if self.attention is not None:
            shapes |= dict.fromkeys(self.attention.state_names, (batch, self.config.hidden_size))
        if self.block is not None:
            shapes |= {name: (batch, *shape) for name, shape in self.block.state_shapes.items()}
        empty = weight.new_empty(0, device=weight.device if device is None else device)
        return {name: empty.new_full(shape, _EMPTY.get(name, 0.0)) for name, shape in shapes.items()}

    def forward(self, tokens: Int[Tensor, "B T"], state: State | None = None) -> tuple[Float[Tensor, "B T V"], State]:
        """Read tokens; returns the logits of what follows each one, and the state after the last.

        With the state of one call passed to the next, any cut of a stream gives the same logits. The returned state is
        part of the graph: detach it to end back-propagation there.
        """
        state = self.initial_state(len(tokens)) if state is None else state
        keep, layer_states = tokens != BOS, []
        x, words = self._embedded(tokens)
        for index, layer in enumerate(self._recurrent_layers()):
            x = self.dropout(x) if index else x
            given = x if layer.takes_input or not index else layer.project(x, self.bf16)
            optional = {} if index or words is None else {"words": words}
            x, layer_state = layer(given, self._layer_state(state, index), keep, self.bf16, **optional)
            layer_states.append(layer_state)
        state_after = _stacked(layer_states)
        if self.block is not None:
            features, block_state = self.block(x, state, keep, self.bf16)
            return self._decode(*map(self.dropout, features)), state_after | block_state
        if self.attention is not None:
            contexts, attention_state = self.attention(x, state, keep, self.bf16)
            features = (self.dropout(self.norm(x)), self.dropout(self.context_norm(contexts)))
            return self._decode(*features), state_after | attention_state
        return self._decode(self.dropout(self.norm(x))), state_after

    @contextmanager
    def packed(self) -> Iterator[None]:
        """Lay the weights out once for many steps, until the end of the `with` block; they must not change inside."""
        self._packed = PackedModel(self) if can_pack(self) else None
        try:
            yield
        finally:
            self._packed = None

    @contextmanager
    def in_evaluation_mode(self) -> Iterator[None]:
        """Without dropout, until the end of the `with` block."""
        was_training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(was_training)

    def step(self, tokens: Int[Tensor, " B"], state: State) -> tuple[Float[Tensor, "B V"], State]:
        """Read one token a row: what `forward` computes in evaluation mode, at the cost of one position.

        It is faster inside `with model.packed():`, where the state that is given must not be used again. With bf16, the
        memory of sha is then bfloat16; `forward` reads either.
        """
        if self._packed is not None:
            return self._packed.step(tokens, state)
        return self._step(tokens, state)

    @torch.no_grad()
    def _step(self, tokens: Int[Tensor, " B"], state: State) -> tuple[Float[Tensor, "B V"], State]:
        state, layer_states = _emptied(state, tokens == BOS), []
        x = self.embedding(tokens)
        for index, layer in enumerate(self._recurrent_layers()):
            gates = layer.project(x, self.bf16) if index else x
            layer_states.append(layer.step(gates, self._layer_state(state, index), self.bf16))
            x = layer_states[-1]["h"]
        state_after = _stacked(layer_states)
        if self.block is not None:
            features, block_state = self.block.step(x, state, self.bf16)
            return self._decode(*features), state_after | block_state
        if self.attention is not None:
            attention_state = self.attention.step(x, state, self.bf16)
            features = (self.norm(x), self.context_norm(attention_state["context"]))
            return self._decode(*features), state_after | attention_state
        return self._decode(self.norm(x)), state_after

    def _embedded(self, tokens: Int[Tensor, "B T"]) -> tuple[Tensor, Int[Tensor, "B T"] | None]:
        """Gate sums (B, T, G); or for a long input those of all words, (V, G), and the rows that the layer reads."""
        if tokens.numel() <= VOCABULARY_SIZE and not for_gpu(self.decoder.weight):
            return self.embedding(tokens.t()).transpose(0, 1), None
        table = self.embedding(torch.arange(VOCABULARY_SIZE, device=tokens.device))
        if self._recurrent_layers()[0].takes_input:
            return table, tokens
        return gather_words(table, tokens), None

    def _recurrent_layers(self) -> list[RecurrentLayer]:
        return cast("list[RecurrentLayer]", list(self.layers))

    def _decode(self, *features: Tensor) -> Tensor:
        return linear_of_parts(features, self.decoder.weight, self.decoder.bias, self.bf16)

    def _layer_state(self, state: State, index: int) -> LayerState:
        return {name: state[name][:, index] for name in self.layer_state_names}


def _layer_class(kind: str) -> type[RecurrentLayer]:
    if kind in _LAYERS:
        return _LAYERS[kind]
    added = extensions("model", MODEL_KINDS)[kind]
    layer = added.load()
    if not (isinstance(layer, type) and issubclass(layer, RecurrentLayer)):
        raise PluginError(f"{added}: {layer!r} is not a subclass of pianogen.models.layer.RecurrentLayer")
    for name in ("gates_per_unit", "state_names"):
        if not hasattr(layer, name):
            raise PluginError(f"{added}: {layer.__name__} has no {name}")
    if "h" not in layer.state_names:
        raise PluginError(f"{added}: state_names is {layer.state_names!r}, but must contain 'h', the layer's output")
    return layer


def _stacked(layer_states: list[LayerState]) -> State:
    return {name: torch.stack([state[name] for state in layer_states], dim=1) for name in layer_states[0]}


def _emptied(state: State, rows: Bool[Tensor, " B"]) -> State:
    return {
        name: value.masked_fill(rows.view(-1, *[1] * (value.dim() - 1)), _EMPTY.get(name, 0.0))
        for name, value in state.items()
    }


def build_model(config: ModelConfig) -> PianoModel:
    """The model that the settings describe; its initial weights follow from torch's random state alone."""
    return PianoModel(config)
