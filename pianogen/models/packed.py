"""A model's weights laid out once, so that reading one token a row is one call of a compiled kernel.

See pianogen/ops/native/step.h. The gate sums of the first layer are a table by word, whatever the embedding.
"""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pianogen.models.lstm import LstmLayer
from pianogen.models.norm import LayerNorm
from pianogen.models.packed_weights import SIZES, WEIGHTS, WeightPacker
from pianogen.models.rnn import RnnLayer
from pianogen.models.sliding_memories import SlidingMemories
from pianogen.ops.forms import compiled
from pianogen.ops.native import Kernel, kernels
from pianogen.tokens.vocab import VOCABULARY_SIZE

if TYPE_CHECKING:
    from pianogen.models.model import PianoModel, State

_STATES = (
    *("tokens", "h0", "c0", "lse0", "context0", "length0"),
    *("before", "after", "mean", "normed", "inner", "vectors", "queries"),
    *("memory", "h", "c", "lse", "context", "length", "logits"),
)

_FEW_PRODUCTS = 1 << 18  # about as long as threads take to begin and end


def can_pack(model: "PianoModel") -> bool:
    """Whether the kernel computes what the model's own layers do, with its weights where and of the type they are."""
    layers_are_known = all(type(layer) in (LstmLayer, RnnLayer) for layer in model.layers)
    is_even = model.config.hidden_size % 2 == 0  # bfloat16 is multiplied by pairs
    return layers_are_known and compiled(model.decoder.weight, bf16=model.bf16) and (is_even or not model.bf16)


class PackedModel:
    """What `PianoModel.step` computes; later changes of the model's weights have no effect."""

    def __init__(self, model: "PianoModel") -> None:
        library, block = kernels(), model.block
        assert library is not None
        self._dtype, self._scratch = torch.bfloat16 if model.bf16 else torch.float32, torch.empty(0, device="cpu")
        self._vectors, self._memories = torch.empty(0, device="cpu"), SlidingMemories(self._dtype)
        self._has_norms = isinstance(model.norm, LayerNorm) or block is not None
        self._widening = block.feed_forward.widening if block and block.feed_forward else 0
        above_layers = model.attention.state_names if model.attention else ("length",) if block else ()
        self._names = (*model.layer_state_names, *above_layers)
        pointers = (*WEIGHTS, *_STATES)
        self._kernel = Kernel(
            library, f"model_step_{'bf16' if model.bf16 else 'fp32'}", ("rows", "stride", *SIZES), pointers
        )
        fields = WeightPacker(library, bf16=model.bf16).fields(model)
        self._arguments = self._kernel.arguments(rows=0, stride=0, **fields, **dict.fromkeys(_STATES))
        matrices = (weight for name, weight in model.named_parameters() if not name.startswith("embedding."))
        self._num_products = sum(weight.numel() for weight in matrices if weight.dim() == 2)  # a row

    def step(self, tokens: Int[Tensor, " B"], state: "State") -> tuple[Float[Tensor, "B V"], "State"]:
        """Read one token a row; the given memory of sha must not be used again."""
        rows, fields, after = tokens.shape[0], self._arguments.fields, {}
        tokens = tokens.long().contiguous()
        before = {name: state[name].contiguous() for name in self._names}
        assert len(before["h"]) == rows
        for name, value in before.items():
            after[name] = torch.empty_like(value)
            setattr(fields, f"{name}0", value.data_ptr())
            setattr(fields, name, after[name].data_ptr())
        if "memory" in state:
            after["memory"] = self._memories.after(state["memory"])
            fields.memory, fields.stride = after["memory"].data_ptr(), after["memory"].stride(0)
        logits = torch.empty(rows, VOCABULARY_SIZE, device="cpu")
        fields.rows, fields.tokens, fields.logits = rows, tokens.data_ptr(), logits.data_ptr()
        self._set_operands(after)
        threads = 1 if rows * self._num_products < _FEW_PRODUCTS else torch.get_num_threads()
        self._kernel.run(self._arguments, threads)
        return logits, after

    def _set_operands(self, after: "State") -> None:
        """Say where the kernel puts what it multiplies; in float32 h and context are where the new state is."""
        fields, (rows, layers, units) = self._arguments.fields, after["h"].shape
        counts = {"before": layers, "after": layers, "mean": 1, "normed": 2, "inner": self._widening}
        size = rows * units
        if self._scratch.numel() < size * sum(counts.values()):
            self._scratch = torch.empty(size * sum(counts.values()), dtype=self._dtype, device="cpu")
        address = self._scratch.data_ptr()
        for name, count in counts.items():
            setattr(fields, name, address)
            address += count * size * self._scratch.element_size()
        if not self._has_norms:
            fields.normed = None
        if "memory" in after:
            if self._vectors.numel() != 2 * size:
                self._vectors = torch.empty(2 * size, device="cpu")
            fields.vectors = self._vectors.data_ptr()
            fields.queries = fields.vectors + size * self._vectors.element_size()
        if self._dtype == torch.float32:
            fields.after, fields.mean = fields.h, fields.context
