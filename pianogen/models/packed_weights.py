"""What the compiled step reads of a model: its sizes, and its weights as panels.

The scale and shift of a layer norm are multiplied into the weights that read its results, but for the one whose results
the memory of sha holds.
"""

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pianogen.models.lstm import LstmLayer
from pianogen.models.rnn import RnnLayer
from pianogen.ops.native import pack_weight
from pianogen.tokens.vocab import BOS, VOCABULARY_SIZE

if TYPE_CHECKING:
    from pianogen.models.model import PianoModel
    from pianogen.models.sha import ShaBlock

_OF_BLOCK = ("query", "norm_weight", "norm_bias", "wider", "narrower", "wider_bias")
SIZES = ("layers", "units", "gates_per_unit", "words", "first_word", "window")
WEIGHTS = ("table", "recurrent", "below", "biases", "attention", "decoder", "decoder_bias", *_OF_BLOCK)

Fields = dict[str, int | Tensor | None]


class WeightPacker:
    """Lays matrices out for one library and one type of the products."""

    def __init__(self, library: ctypes.CDLL, *, bf16: bool) -> None:
        self._library, self._bf16 = library, bf16

    @torch.no_grad()
    def fields(self, model: "PianoModel") -> Fields:
        """SIZES and WEIGHTS of a model whose layers are LSTM or RNN layers."""
        layers = [layer for layer in model.layers if isinstance(layer, LstmLayer | RnnLayer)]
        above = [(layer.weight_ih, layer.bias) for layer in layers[1:]]
        parts = model.decoder.weight.split(model.config.hidden_size, dim=1)
        decoder, decoder_bias = _after_norms(_norms_of_decoder(model), parts, model.decoder.bias)
        return {
            **{"layers": len(layers), "units": model.config.hidden_size, "gates_per_unit": layers[0].gates_per_unit},
            **{"words": VOCABULARY_SIZE, "first_word": BOS},
            "table": model.embedding(torch.arange(VOCABULARY_SIZE, device="cpu")),
            "recurrent": self._packed([layer.weight_hh for layer in layers], by_unit=True),
            "below": self._packed([weight for weight, _ in above if weight is not None], by_unit=True),
            "biases": torch.stack([bias for _, bias in above if bias is not None]) if above else None,
            "attention": self._packed([model.attention.weight] if model.attention else []),
            "decoder": self._packed(decoder),
            "decoder_bias": decoder_bias,
            **self._of_block(model.block),
        }

    def _of_block(self, block: "ShaBlock | None") -> Fields:
        if block is None:
            return {"window": 0, **dict.fromkeys(_OF_BLOCK)}
        window, units = block.state_shapes["memory"]
        fields: Fields = {"window": window, "query": self._packed([block.query * units**-0.5])}
        fields |= {"norm_weight": block.norm.weight, "norm_bias": block.norm.bias}
        if block.feed_forward is None:
            return fields | dict.fromkeys(("wider", "narrower", "wider_bias"))
        layer = block.feed_forward
        wider, bias = _after_norms((None, block.context_norm), layer.wider.split(units, dim=1), layer.bias)
        return fields | {"wider": self._packed(wider), "wider_bias": bias, "narrower": self._packed([layer.narrower])}

    def _packed(self, weights: Sequence[Tensor], *, by_unit: bool = False) -> Float[Tensor, " P"] | None:
        ways = {"transposed": not by_unit, "bf16": self._bf16}
        packed = [pack_weight(self._library, weight if by_unit else weight.t(), **ways) for weight in weights]
        return torch.cat(packed) if packed else None


def _norms_of_decoder(model: "PianoModel") -> tuple[nn.Module | None, nn.Module]:
    """The norm above h, and that above the context."""
    if model.block is None:
        return model.norm, model.context_norm
    layer = model.block.feed_forward
    return None if layer is None else layer.norm, model.block.context_norm


def _after_norms(
    norms: tuple[nn.Module | None, nn.Module], parts: Sequence[Float[Tensor, "G H"]], bias: Float[Tensor, " G"]
) -> tuple[list[Tensor], Float[Tensor, " G"]]:
    """The weights of h and of the context, and the bias, of a linear map above layer norms that only standardize."""
    parts, bias = list(parts), bias.clone()
    for index, norm in enumerate(norms):
        if isinstance(norm, nn.LayerNorm):
            bias += parts[index] @ norm.bias
            parts[index] = parts[index] * norm.weight
    return parts, bias
