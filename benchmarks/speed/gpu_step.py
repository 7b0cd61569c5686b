"""One training step on a GPU beside nn.LSTM + Linear + cross-entropy: forward, loss, backward, clipping, Adam.

The bounds are against that plain LSTM, for the attention model too; it has no grammar mask, no resets and no accuracy.
An xxbos resets a row about once per 17,000 tokens, as in MAESTRO's stream order. Ours runs as `pianogen train` does,
with deterministic algorithms and without TF32; the plain model in bf16 with torch's defaults and autocast, in fp32
without TF32. A round is several steps between two synchronizations.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.speed.gpu import gpu, peak_mb, seconds_of_rounds
from benchmarks.speed.measure import Contender, Row, ratios
from benchmarks.speed.plain import PlainModel
from benchmarks.speed.train_step import HIDDEN, STEPS, Steps, flop_per_token, legal_tokens
from pianogen.config import ModelConfig, OptimConfig
from pianogen.models import build_model
from pianogen.ops.arithmetic import reproducible_on_gpu
from pianogen.tokens.vocab import BOS
from pianogen.train.optim import build_optimizers

Precision = Literal["fp32", "bf16"]
TOKENS_PER_PERFORMANCE = 17_308  # MAESTRO's mean
_BOUNDS = {("lstm", "bf16"): 0.9, ("attn", "bf16"): 0.75}
_MTOK_PER_S_ON_H100 = {64: 3.0, 512: 8.0}  # the attention model in bf16
_LABELS = {"bf16": "nn.LSTM, autocast", "fp32": "nn.LSTM in fp32"}


@dataclass(frozen=True)
class Sizes:
    """What is measured."""

    hidden: int = HIDDEN
    steps: int = STEPS
    """Positions of a row."""
    global_batches: Sequence[int] = (64, 512)
    precisions: Sequence[Precision] = ("bf16", "fp32")
    repeats: int = 10
    """Training steps of a round."""
    gemm: int = 8192
    """Rows and columns of the matrix product that is the limit."""


def measure(rounds: int = 5) -> list[Row]:
    """All three models in bf16 and fp32, at every global batch."""
    return measure_on(gpu(), Sizes(), rounds)


def measure_on(device: torch.device, sizes: Sizes, rounds: int) -> list[Row]:
    """The same of any device."""
    rows = []
    for global_batch in sizes.global_batches:
        batch = streamed_tokens(global_batch, sizes.steps, device)
        for precision in sizes.precisions:
            rows += _rows(device, sizes, batch, precision, rounds)
    return rows


def streamed_tokens(rows: int, steps: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, targets and states (rows, steps) from the middle of performances, which end at random positions."""
    inputs, targets, states = legal_tokens(rows, steps)
    inputs = inputs.clone()
    inputs[:, 0] = inputs[:, -1]
    random = torch.Generator().manual_seed(0)
    num_ends = round(rows * steps / TOKENS_PER_PERFORMANCE)
    inputs.view(-1)[torch.randperm(inputs.numel(), generator=random)[:num_ends]] = BOS
    return inputs.to(device), targets.to(device), states.to(device)


def our_step(kind: str, hidden: int, batch: tuple[Tensor, Tensor, Tensor], precision: Precision) -> Contender:
    """The step of `pianogen.train.trainer.Trainer` on one rank."""
    model = build_model(ModelConfig(kind, hidden)).with_bf16(precision == "bf16").to(batch[0].device)
    return reproducible_on_gpu()(Steps(model, batch, _optimizer).ours)


def plain_step(hidden: int, batch: tuple[Tensor, Tensor, Tensor], precision: Precision) -> Contender:
    """nn.LSTM on one-hot input, Linear and cross-entropy."""
    inputs, targets, _ = batch
    steps = Steps(PlainModel("lstm", hidden).to(inputs.device), batch, _optimizer)

    def step() -> None:
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = steps.model(inputs)
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
        steps.update(loss)

    return step if precision == "bf16" else _without_tf32(step)


def _optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """That of the trainer."""
    return build_optimizers(model, OptimConfig())[0]


def _without_tf32(step: Contender) -> Contender:
    def run() -> None:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            step()

    return run


def _gemm(size: int, precision: Precision, device: torch.device) -> Contender:
    factor = torch.randn(size, size, device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    return lambda: factor @ factor


def _rows(
    device: torch.device, sizes: Sizes, batch: tuple[Tensor, Tensor, Tensor], precision: Precision, rounds: int
) -> list[Row]:
    global_batch, num_tokens = len(batch[0]), batch[0].numel()
    ours = {kind: our_step(kind, sizes.hidden, batch, precision) for kind in ("attn", "lstm", "rnn")}
    gemm_s = statistics.median(
        seconds_of_rounds({"gemm": _gemm(sizes.gemm, precision, device)}, device, sizes.repeats, rounds)["gemm"]
    )
    plain = plain_step(sizes.hidden, batch, precision)
    seconds = seconds_of_rounds({"plain": plain, **ours}, device, sizes.repeats, rounds)

    def speed(step_s: float) -> float:
        return 1e-3 * num_tokens / step_s

    rows = []
    for kind, run in ours.items():
        name = f"{kind}_{precision}_batch_{global_batch}"
        limit = speed(flop_per_token(kind, sizes.hidden) * num_tokens / (2.0 * sizes.gemm**3) * gemm_s)
        now, other = statistics.median(seconds[kind]), statistics.median(seconds["plain"])
        bound = _BOUNDS.get((kind, precision)) if device.type == "cuda" else None
        speeds = speed(now), speed(other), limit
        ratio = ratios(seconds["plain"], seconds[kind])
        rows.append(Row(name, "ktok/s", *speeds, _LABELS[precision], *ratio, bound, peak_mb(run, device)))
        if (kind, precision) == ("attn", "bf16") and global_batch in _MTOK_PER_S_ON_H100:
            rows.append(_absolute_row(name, device, speeds[0], limit, [speed(each) for each in seconds[kind]]))
    return rows


def _absolute_row(name: str, device: torch.device, ours: float, limit: float, speeds: Sequence[float]) -> Row:
    """The bound in tokens per second, which holds for an H100."""
    goal = 1e3 * _MTOK_PER_S_ON_H100[int(name.rpartition("_")[2])]
    is_h100 = device.type == "cuda" and "H100" in torch.cuda.get_device_name(device)
    ratio = ratios(speeds, [goal] * len(speeds))
    return Row(f"{name}_vs_speed", "ktok/s", ours, goal, limit, "goal for an H100", *ratio, 1.0 if is_h100 else None)
