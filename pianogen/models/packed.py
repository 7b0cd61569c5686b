"""A model's weights laid out once, so that reading one token a row is one call of a compiled kernel.

See pianogen/ops/native/step.h. The gate sums of the first layer are a table by word, whatever the embedding.
"""

import ctypes
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pianogen.models.lstm import LstmLayer
from pianogen.models.rnn import RnnLayer
from pianogen.ops.forms import compiled
from pianogen.ops.native import Kernel, kernels, pack_weight
from pianogen.tokens.vocab import BOS, VOCABULARY_SIZE

if TYPE_CHECKING:
    from pianogen.models.model import PianoModel, State

_SIZES = ("rows", "layers", "units", "gates_per_unit", "words", "first_word")
_WEIGHTS = ("tokens", "table", "recurrent", "below", "biases", "attention", "decoder", "decoder_bias")
_STATES = (*("h0", "c0", "lse0", "context0"), *("before", "after", "mean"), *("h", "c", "lse", "context", "logits"))

_FEW_PRODUCTS = 1 << 18  # about as long as threads take to begin and end


def can_pack(model: "PianoModel") -> bool:
    """Whether the kernel computes what the model's own layers do, with its weights where and of the type they are."""
    layers_are_known = all(type(layer) in (LstmLayer, RnnLayer) for layer in model.layers)
    is_even = model.config.hidden_size % 2 == 0  # bfloat16 is multiplied by pairs
    return layers_are_known and compiled(model.decoder.weight, bf16=model.bf16) and (is_even or not model.bf16)


class PackedModel:
    """What `PianoModel.step` computes; later changes of the model's weights have no effect."""

    @torch.no_grad()
    def __init__(self, model: "PianoModel") -> None:
        library = kernels()
        assert library is not None
        config, layers = model.config, [layer for layer in model.layers if isinstance(layer, LstmLayer | RnnLayer)]
        self._bf16 = model.bf16
        self._names = (*model.layer_state_names, *(model.attention.state_names if model.attention else ()))
        above = [(layer.weight_ih, layer.bias) for layer in layers[1:]]
        decoder = model.decoder.weight.split(config.hidden_size, dim=1)
        self._kernel = Kernel(library, f"model_step_{'bf16' if model.bf16 else 'fp32'}", _SIZES, (*_WEIGHTS, *_STATES))
        self._arguments = self._kernel.arguments(
            **{"rows": 0, "layers": len(layers), "units": config.hidden_size, "words": VOCABULARY_SIZE},
            **{"gates_per_unit": layers[0].gates_per_unit, "first_word": BOS, "tokens": None},
            table=model.embedding(torch.arange(VOCABULARY_SIZE, device="cpu")),
            recurrent=self._packed(library, [layer.weight_hh for layer in layers], by_unit=True),
            below=self._packed(library, [weight for weight, _ in above if weight is not None], by_unit=True),
            biases=torch.stack([bias for _, bias in above if bias is not None]) if above else None,
            attention=self._packed(library, [model.attention.weight] if model.attention else [], by_unit=False),
            decoder=self._packed(library, decoder, by_unit=False),
            decoder_bias=model.decoder.bias.clone(),
            **dict.fromkeys(_STATES),
        )
        matrices = (*(layer.weight_hh for layer in layers), *(weight for weight, _ in above), *decoder)
        self._num_products = sum(matrix.numel() for matrix in matrices if matrix is not None)  # a row, but for W_a

    def _packed(
        self, library: ctypes.CDLL, weights: "list[Tensor] | tuple[Tensor, ...]", *, by_unit: bool
    ) -> Float[Tensor, " P"] | None:
        packed = [
            pack_weight(library, weight if by_unit else weight.t(), transposed=not by_unit, bf16=self._bf16)
            for weight in weights
        ]
        return torch.cat(packed) if packed else None

    def step(self, tokens: Int[Tensor, " B"], state: "State") -> tuple[Float[Tensor, "B V"], "State"]:
        """Read one token a row."""
        rows, tokens = len(tokens), tokens.long().contiguous()
        before = {name: state[name].contiguous() for name in self._names}
        after = {name: torch.empty_like(value) for name, value in before.items()}
        logits = before["h"].new_empty(rows, VOCABULARY_SIZE)
        operands = {"before": torch.empty_like(after["h"]), "after": after["h"], "mean": after.get("context")}
        if self._bf16:
            operands = {
                name: None if x is None else torch.empty_like(x, dtype=torch.bfloat16) for name, x in operands.items()
            }
        tensors = after | operands | {f"{name}0": value for name, value in before.items()}
        addresses = {name: value.data_ptr() for name, value in tensors.items() if value is not None}
        addresses |= {"tokens": tokens.data_ptr(), "logits": logits.data_ptr()}
        threads = 1 if rows * self._num_products < _FEW_PRODUCTS else torch.get_num_threads()
        self._kernel.run(self._arguments, rows=rows, threads=threads, **addresses)
        return logits, after
