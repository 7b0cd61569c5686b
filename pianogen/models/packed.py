"""A model's weights laid out once, so that reading one token a row is one call of a compiled kernel.

See pianogen/ops/native/step.h. The gate sums of the first layer are a table by word, whatever the embedding.
"""

import ctypes
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pianogen.models.lstm import LstmLayer
from pianogen.models.norm import LayerNorm
from pianogen.models.rnn import RnnLayer
from pianogen.ops.forms import compiled
from pianogen.ops.native import Kernel, kernels, pack_weight
from pianogen.tokens.vocab import BOS, VOCABULARY_SIZE

if TYPE_CHECKING:
    from pianogen.models.model import PianoModel, State

_SIZES = ("rows", "layers", "units", "gates_per_unit", "words", "first_word", "window")
_WEIGHTS = (
    *("tokens", "table", "recurrent", "below", "biases", "attention", "decoder", "decoder_bias"),
    *("query", "norm_weight", "norm_bias"),
)
_STATES = (
    *("h0", "c0", "lse0", "context0", "length0"),
    *("before", "after", "mean", "normed", "vectors", "queries"),
    *("memory", "h", "c", "lse", "context", "length", "logits"),
)

_FEW_PRODUCTS = 1 << 18  # about as long as threads take to begin and end


def can_pack(model: "PianoModel") -> bool:
    """Whether the kernel computes what the model's own layers do, with its weights where and of the type they are."""
    layers_are_known = all(type(layer) in (LstmLayer, RnnLayer) for layer in model.layers)
    is_even = model.config.hidden_size % 2 == 0  # bfloat16 is multiplied by pairs
    return (
        (model.block is None or model.block.feed_forward is None)
        and layers_are_known
        and compiled(model.decoder.weight, bf16=model.bf16)
        and (is_even or not model.bf16)
    )


class PackedModel:
    """What `PianoModel.step` computes; later changes of the model's weights have no effect."""

    @torch.no_grad()
    def __init__(self, model: "PianoModel") -> None:
        library = kernels()
        assert library is not None
        config, layers = model.config, [layer for layer in model.layers if isinstance(layer, LstmLayer | RnnLayer)]
        self._bf16, self._scratch = model.bf16, torch.empty(0, device="cpu")
        block, self._vectors = model.block, torch.empty(0, device="cpu")
        self._has_norms = isinstance(model.norm, LayerNorm) or block is not None
        above_layers = model.attention.state_names if model.attention else block.state_shapes if block else ()
        self._names = (*model.layer_state_names, *above_layers)
        above = [(layer.weight_ih, layer.bias) for layer in layers[1:]]
        decoder, decoder_bias = _decoder_after_norms(model)
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
            decoder_bias=decoder_bias,
            window=block.state_shapes["memory"][0] if block else 0,
            query=self._packed(library, [block.query * config.hidden_size**-0.5] if block else [], by_unit=False),
            norm_weight=block.norm.weight if block else None,
            norm_bias=block.norm.bias if block else None,
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
        """Read one token a row; the memory of sha is changed in place."""
        rows, fields, after = tokens.shape[0], self._arguments.fields, {}
        tokens = tokens.long().contiguous()
        before = {name: state[name].contiguous() for name in self._names}
        for name, value in before.items():
            after[name] = value if name == "memory" else torch.empty_like(value)
            setattr(fields, f"{name}0", value.data_ptr())
            setattr(fields, name, after[name].data_ptr())
        logits = torch.empty(rows, VOCABULARY_SIZE, device="cpu")
        fields.rows, fields.tokens, fields.logits = rows, tokens.data_ptr(), logits.data_ptr()
        self._set_operands(after)
        threads = 1 if rows * self._num_products < _FEW_PRODUCTS else torch.get_num_threads()
        self._kernel.run(self._arguments, threads)
        return logits, after

    def _set_operands(self, after: "State") -> None:
        """Say where the kernel puts what it multiplies; in float32 h and context are where the new state is."""
        fields, size = self._arguments.fields, after["h"].numel()
        if self._scratch.numel() < 5 * size:
            self._scratch = torch.empty(5 * size, dtype=torch.bfloat16 if self._bf16 else torch.float32, device="cpu")
        start, width = self._scratch.data_ptr(), size * self._scratch.element_size()
        fields.before, fields.after, fields.mean = start, start + width, start + 2 * width
        fields.normed = start + 3 * width if self._has_norms else None
        if "memory" in after:
            rows, _, units = after["memory"].shape
            if self._vectors.numel() != 2 * rows * units:
                self._vectors = torch.empty(2 * rows * units, device="cpu")
            fields.vectors = self._vectors.data_ptr()
            fields.queries = fields.vectors + rows * units * self._vectors.element_size()
        if not self._bf16:
            fields.after, fields.mean = fields.h, fields.context


def _decoder_after_norms(model: "PianoModel") -> tuple[list[Tensor], Float[Tensor, " V"]]:
    """The decoder's weight by feature, and its bias, with the scales and shifts of the layer norms multiplied in."""
    parts, bias = list(model.decoder.weight.split(model.config.hidden_size, dim=1)), model.decoder.bias.clone()
    norms = (model.norm, model.context_norm if model.block is None else model.block.context_norm)
    for index, norm in enumerate(norms):
        if isinstance(norm, nn.LayerNorm):
            bias += parts[index] @ norm.bias
            parts[index] = parts[index] * norm.weight
    return parts, bias
