"""Scoring the LSTM + attention model of H = 512 on 64 performances: forward, masked loss, counts of every word."""

import copy
import statistics

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.speed.measure import Contender, Row, gemm, gemm_flop, ratios, seconds_in_turn
from benchmarks.speed.plain import PlainModel
from benchmarks.speed.train_step import HIDDEN, ROWS, flop_per_token, legal_tokens
from pianogen.config import ModelConfig
from pianogen.evaluation import Counts, score
from pianogen.models import PianoModel, build_model
from pianogen.ops.forms import has_native_bf16
from pianogen.tokens.grammar import allowed
from pianogen.tokens.vocab import VOCABULARY_SIZE

STEPS, WINDOW = 512, 256
_KIND = "attn"


def performances() -> list[np.ndarray]:
    """Random music as token ids, without xxeos: what `legal_tokens` gives as inputs and targets."""
    inputs, targets, _ = legal_tokens(ROWS, STEPS)
    return list(torch.cat([inputs, targets[:, -1:]], dim=1).numpy().astype(np.int16))


@torch.no_grad()
def plain_scores(model: PlainModel, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[float, np.ndarray]:
    """What one would write: torch's cross-entropy, and numpy's counts of targets, predictions and hits."""
    legal, nll, counts = torch.tensor(allowed("strict")), 0.0, np.zeros((3, VOCABULARY_SIZE), np.int64)
    for start in range(0, STEPS, WINDOW):
        inputs, targets, states = (part[:, start : start + WINDOW] for part in batch)
        logits = model(inputs).float().masked_fill(~legal[states], -torch.inf).flatten(0, 1)
        nll += F.cross_entropy(logits, targets.flatten(), reduction="sum").item()
        found, wanted = logits.argmax(dim=1).numpy(), targets.flatten().numpy()
        for row, words in enumerate((wanted, found, wanted[found == wanted])):
            counts[row] += np.bincount(words, minlength=VOCABULARY_SIZE)
    return nll, counts


def error_of(model: PianoModel, music: list[np.ndarray]) -> float:
    """Difference of the NLL from that in float64, in nats per token."""

    def nll(counts: Counts) -> float:
        return counts.nll_nats.sum() / counts.targets.sum()

    exact = copy.deepcopy(model).with_bf16(False).double()
    return float(abs(nll(score(model, music, "strict")) - nll(score(exact, music, "strict"))))


def measure(rounds: int = 5) -> list[Row]:
    """On torch's number of threads, in fp32, and in bf16 where the processor has it."""
    batch, music = legal_tokens(ROWS, STEPS), performances()
    plain = PlainModel(_KIND, HIDDEN)
    precisions = ["fp32", "bf16"] if has_native_bf16(torch.device("cpu")) else ["fp32"]
    models = {name: build_model(ModelConfig(_KIND, HIDDEN)).with_bf16(name == "bf16") for name in precisions}
    ways: dict[str, Contender] = {"plain": lambda: plain_scores(plain, batch)}
    for name, model in models.items():
        ways[name] = lambda model=model: score(model, music, "strict")
        ways[f"gemm_{name}"] = gemm(torch.bfloat16 if name == "bf16" else torch.float32)
    seconds = seconds_in_turn(ways, rounds)
    return [row for name, model in models.items() for row in _rows(name, seconds, error_of(model, music))]


def _rows(precision: str, seconds: dict[str, list[float]], error: float) -> list[Row]:
    """Against plain torch in fp32, and against the matrix products of the forward pass alone."""
    flop = flop_per_token(_KIND, HIDDEN) / 3 * ROWS * STEPS  # a training step has three times as many
    limit = [flop / gemm_flop() * product for product in seconds[f"gemm_{precision}"]]
    name, own, plain = f"evaluate_{precision}, {torch.get_num_threads()} threads", seconds[precision], seconds["plain"]
    ours, other, most = (1e-3 * ROWS * STEPS / statistics.median(one) for one in (own, plain, limit))
    return [
        Row(name, "ktok/s", ours, other, most, "torch.nn in fp32", *ratios(plain, own), error=error),
        Row(name, "ktok/s", ours, None, most, "limit", *ratios(limit, own), error=error),
    ]
