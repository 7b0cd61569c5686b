"""One training step of H = 512, B = 64, T = 256: forward, loss, backward, clipping, Adam."""

import statistics
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.speed.measure import (
    Contender,
    Row,
    gemm,
    gemm_flop,
    peak_memory_mb,
    ratios,
    relative_error,
    seconds_in_turn,
    threads,
)
from benchmarks.speed.plain import PlainModel, plain_loss
from pianogen.config import ModelConfig
from pianogen.models import build_model
from pianogen.ops.forms import has_native_bf16
from pianogen.ops.masked_cross_entropy import masked_cross_entropy
from pianogen.tokens.grammar import allowed, states_of
from pianogen.tokens.vocab import BOS, FIRST_DURATION, FIRST_NOTE, PAD, SEP, VOCABULARY_SIZE

HIDDEN, ROWS, STEPS = 512, 64, 256
_BOUNDS = {
    "fp32_vs_eager_fp32": {1: 1.55, 2: 1.4},
    "bf16_vs_eager_fp32": {1: 2.7},
    "bf16_vs_autocast": {1: 1.8},
    "bf16_vs_limit": {1: 0.65},
    "2_threads_vs_1": {2: 1.5},
}


def flop_per_token(kind: str, hidden_size: int) -> float:
    """Of the matrix products of a training step: recurrence, attention scores, decoder; the input is a gather."""
    recurrent = {"rnn": 6, "lstm": 24, "attn": 24 + 6}[kind] * hidden_size**2
    return recurrent + 6 * VOCABULARY_SIZE * hidden_size * (2 if kind == "attn" else 1)


def legal_tokens(rows: int, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, targets and grammar states (rows, steps) of random single notes, each followed by a wait."""
    random = np.random.Generator(np.random.Philox(0))
    count = (rows, steps // 4 + 1)
    notes, separators = FIRST_NOTE + random.integers(40, 80, count), np.full(count, SEP)
    lengths, waits = (FIRST_DURATION + random.integers(1, 17, count) for _ in range(2))
    body = np.stack([notes, lengths, separators, waits], axis=2).reshape(rows, -1)
    tokens = np.concatenate([np.tile([BOS, PAD], (rows, 1)), body], axis=1).astype(np.int16)[:, : steps + 1]
    states = np.stack([states_of(row)[1:] for row in tokens]).astype(np.int64)
    tokens = torch.from_numpy(tokens.astype(np.int64))
    return tokens[:, :-1], tokens[:, 1:], torch.from_numpy(states)


def fused_adam(model: nn.Module) -> torch.optim.Optimizer:
    """Adam as one operation."""
    return torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)


class Steps:
    """Training steps of one model on one batch."""

    def __init__(
        self,
        model: nn.Module,
        batch: tuple[Tensor, Tensor, Tensor],
        build: Callable[[nn.Module], torch.optim.Optimizer] = fused_adam,
    ) -> None:
        self.model, self.batch = model, batch
        self.allowed = torch.tensor(allowed("strict"), device=batch[0].device)
        self.optimizer = build(model)

    def ours(self) -> None:
        """As `pianogen.train.trainer.Trainer.step` on one rank."""
        self.update(self.loss())

    def loss(self) -> Tensor:
        """Sum over the batch."""
        inputs, targets, states = self.batch
        logits, _ = self.model(inputs)
        return masked_cross_entropy(
            logits.flatten(0, 1), targets.flatten(), states.flatten(), self.allowed, reuse=True
        ).loss_sum

    def plain(self) -> None:
        """The same of a plain model."""
        inputs, targets, states = self.batch
        self.update(plain_loss(self.model(inputs), targets, states, self.allowed))

    def autocast(self) -> None:
        """The same with torch's automatic mixed precision."""
        with torch.autocast("cpu", torch.bfloat16):
            self.plain()

    def update(self, loss: Tensor) -> None:
        """Backward, clipping and Adam."""
        self.optimizer.zero_grad(set_to_none=True)
        (loss / self.batch[1].numel()).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


def contenders(kind: str, batch: tuple[Tensor, Tensor, Tensor], *, bf16: bool) -> dict[str, Contender]:
    """Every way to train a model, and the matrix products that are the limit."""

    def ours(in_bf16: bool) -> Contender:
        return Steps(build_model(ModelConfig(kind, HIDDEN)).with_bf16(in_bf16), batch).ours

    plain = Steps(PlainModel(kind, HIDDEN), batch)
    found = {"fp32": ours(False), "eager_fp32": plain.plain, "gemm_fp32": gemm(torch.float32)}
    if bf16:
        found |= {"bf16": ours(True), "autocast": plain.autocast, "gemm_bf16": gemm(torch.bfloat16)}
    return found


def gradient_error(kind: str, *, bf16: bool) -> float:
    """Of all parameters, on a batch that float64 can afford."""
    batch, found = legal_tokens(4, 64), []
    for in_float64 in (False, True):
        torch.manual_seed(0)
        model = build_model(ModelConfig(kind, HIDDEN)).with_bf16(bf16 and not in_float64)
        model.to(torch.float64 if in_float64 else torch.float32)
        found.append(torch.autograd.grad(Steps(model, batch).loss(), list(model.parameters())))
    return relative_error(*found)


def measure(rounds: int = 5) -> list[Row]:
    """All three models on one thread and on two."""
    bf16, batch = has_native_bf16(torch.device("cpu")), legal_tokens(ROWS, STEPS)
    rows = []
    for kind in ("attn", "lstm", "rnn"):
        ways, seconds = contenders(kind, batch, bf16=bf16), {}
        for number in (1, 2):
            with threads(number):
                seconds[number] = seconds_in_turn(ways, rounds)
        extra = {
            precision: {
                "peak_mb": peak_memory_mb(ways[precision]),
                "error": gradient_error(kind, bf16=precision == "bf16"),
            }
            for precision in ("fp32", "bf16")
            if precision in ways
        }
        rows += [row for number in (1, 2) for row in _rows(kind, number, seconds, extra)]
    return rows


def _rows(
    kind: str, number: int, seconds: dict[int, dict[str, list[float]]], extra: dict[str, dict[str, float]]
) -> list[Row]:
    num_tokens, rows = ROWS * STEPS, []
    prefix = "step" if kind == "attn" else f"{kind}_step"
    now = seconds[number]

    def speed(step_seconds: list[float]) -> float:
        return 1e-3 * num_tokens / statistics.median(step_seconds)

    def limit(precision: str) -> list[float]:
        """Seconds of a step at the speed of the large matrix product."""
        flop = flop_per_token(kind, HIDDEN) * num_tokens
        return [flop / gemm_flop() * product for product in now[f"gemm_{precision}"]]

    def add(name: str, own: str, other: list[float], label: str) -> None:
        bound = _BOUNDS.get(name, {}).get(number) if kind == "attn" else None
        against = None if label == "limit" else speed(other)
        full_name = f"{prefix}_{name}" + ("" if number == 1 else f", {number} threads")
        speeds = speed(now[own]), against, speed(limit(own))
        rows.append(Row(full_name, "ktok/s", *speeds, label, *ratios(other, now[own]), bound, **extra[own]))

    for precision in [name for name in ("fp32", "bf16") if name in now]:
        add(f"{precision}_vs_eager_fp32", precision, now["eager_fp32"], "torch.nn in fp32")
        if precision == "bf16":
            add("bf16_vs_autocast", precision, now["autocast"], "torch.nn under autocast")
        add(f"{precision}_vs_limit", precision, limit(precision), "limit")
    if number == 2:
        own = "bf16" if "bf16" in now else "fp32"
        add("2_threads_vs_1", own, seconds[1][own], "ours on 1 thread")
    return rows
