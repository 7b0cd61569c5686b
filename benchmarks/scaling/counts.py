"""What ranks exchange in a training step, counted on the model itself: `python -m benchmarks.scaling.counts`."""

import argparse
from dataclasses import dataclass, fields

from pianogen.config import ModelConfig
from pianogen.models import build_model

_FP32_BYTES = 4
_EARLY = ("decoder.",)  # what backward reaches before the loops over time


@dataclass(frozen=True)
class StepCounts:
    """Of one step."""

    parameters: int
    gradient_bytes: int
    """In fp32."""
    early_share: float
    """Share of the gradient that is complete before back-propagation through time."""


def counts_of(config: ModelConfig) -> StepCounts:
    """Count the parameters of the model."""
    model = build_model(config)
    early = sum(value.numel() for name, value in model.named_parameters() if name.startswith(_EARLY))
    return StepCounts(
        parameters=model.num_parameters,
        gradient_bytes=model.num_parameters * _FP32_BYTES,
        early_share=early / model.num_parameters,
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
