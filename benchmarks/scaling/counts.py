"""What a training step of a model consists of, counted on the model itself: `python -m benchmarks.scaling.counts`.

A kernel is an operation that writes a tensor; on a GPU each is launched by the host, one after another. The host's time
for one is that of a model so small that it does next to nothing else, on a CPU, where nothing is launched.
"""

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from pianogen.config import ModelConfig
from pianogen.models import PianoModel, build_model
from pianogen.ops.forms import using_form
from pianogen.tokens.vocab import VOCABULARY_SIZE

_FP32_BYTES = 4
_WRITES_NOTHING = frozenset({"detach", "empty", "empty_like", "new_empty"})
_EARLY = ("decoder.",)  # what backward reaches before the loops over time


@dataclass(frozen=True)
class StepCounts:
    """Of one step in fp32; a position is one place in time, in all rows at once."""

    parameters: int
    gradient_bytes: int
    early_share: float
    """Share of the gradient that is complete before back-propagation through time."""
    flop_per_token: float
    kernels_per_position: float
    validation_kernels_per_position: float
    """The same without a backward pass."""


class _Kernels(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.count += not (func.is_view or func.overloadpacket.__name__ in _WRITES_NOTHING)
        return func(*args, **(kwargs or {}))


@using_form("reference")
def counts_of(config: ModelConfig) -> StepCounts:
    """Run a few positions of the model in plain torch, as on a GPU, and count."""
    model = build_model(config)
    early = sum(value.numel() for name, value in model.named_parameters() if name.startswith(_EARLY))
    flops = FlopCounterMode(display=False)
    _step(model, _tokens(1, 32), within=flops)
    return StepCounts(
        parameters=model.num_parameters,
        gradient_bytes=model.num_parameters * _FP32_BYTES,
        early_share=early / model.num_parameters,
        flop_per_token=flops.get_total_flops() / 32,
        kernels_per_position=(_kernels(model, 64) - _kernels(model, 32)) / 32,
        validation_kernels_per_position=(_kernels(model, 64, validating=True) - _kernels(model, 32, validating=True))
        / 32,
    )


@using_form("reference")
def host_s_per_kernel(config: ModelConfig, positions: int = 256, repeats: int = 9) -> float:
    """Seconds that this machine's CPU takes for a kernel with nothing to compute: the median of some steps."""
    model, seconds = build_model(replace(config, hidden_size=8)), []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        _step(model, _tokens(1, positions))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]) / _kernels(model, positions)


def _tokens(rows: int, positions: int) -> Tensor:
    return torch.randint(9, VOCABULARY_SIZE, (rows, positions))


def _kernels(model: PianoModel, positions: int, *, validating: bool = False) -> int:
    kernels = _Kernels()
    if validating:
        with torch.inference_mode(), kernels:
            model(_tokens(1, positions))
    else:
        _step(model, _tokens(1, positions), within=kernels)
    return kernels.count


def _step(model: PianoModel, tokens: Tensor, within: AbstractContextManager[Any] | None = None) -> None:
    model.zero_grad(set_to_none=True)
    with within or torch.enable_grad():
        logits, _ = model(tokens)
        logits.sum().backward()


def main() -> None:
    """Print what was counted, and the host's time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=("rnn", "lstm", "attn"), default="attn")
    parser.add_argument("--hidden_size", type=int, default=ModelConfig().hidden_size)
    args = parser.parse_args()
    config = ModelConfig(kind=args.kind, hidden_size=args.hidden_size)
    counts = counts_of(config)
    for field in fields(counts):
        print(f"{field.name:26} {getattr(counts, field.name):,.12g}")
    print(f"{'host_us_per_kernel':26} {1e6 * host_s_per_kernel(config):.1f} (measured, on this machine)")


if __name__ == "__main__":
    main()
