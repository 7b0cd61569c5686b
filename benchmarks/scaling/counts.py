"""What a training step of a model consists of, counted on the model itself: `python -m benchmarks.scaling.counts`."""

import argparse
from dataclasses import dataclass, fields

import torch
from torch.utils.flop_counter import FlopCounterMode

from pianogen.config import ModelConfig
from pianogen.models import build_model
from pianogen.ops.forms import using_form
from pianogen.tokens.vocab import VOCABULARY_SIZE

_FP32_BYTES = 4
_EARLY = ("decoder.",)  # what backward reaches before the loops over time
_POSITIONS = 32


@dataclass(frozen=True)
class StepCounts:
    """Of one step."""

    parameters: int
    gradient_bytes: int
    """In fp32."""
    early_share: float
    """Share of the gradient that is complete before back-propagation through time."""
    flop_per_token: float


@using_form("reference")
def counts_of(config: ModelConfig) -> StepCounts:
    """Run a few positions of the model in plain torch, and count."""
    model = build_model(config)
    early = sum(value.numel() for name, value in model.named_parameters() if name.startswith(_EARLY))
    with FlopCounterMode(display=False) as flops:
        logits, _ = model(torch.randint(9, VOCABULARY_SIZE, (1, _POSITIONS)))
        logits.sum().backward()
    return StepCounts(
        parameters=model.num_parameters,
        gradient_bytes=model.num_parameters * _FP32_BYTES,
        early_share=early / model.num_parameters,
        flop_per_token=flops.get_total_flops() / _POSITIONS,
    )


def main() -> None:
    """Print what was counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=("rnn", "lstm", "attn"), default="attn")
    parser.add_argument("--hidden_size", type=int, default=ModelConfig().hidden_size)
    args = parser.parse_args()
    counts = counts_of(ModelConfig(kind=args.kind, hidden_size=args.hidden_size))
    for field in fields(counts):
        print(f"{field.name:26} {getattr(counts, field.name):,.12g}")


if __name__ == "__main__":
    main()
