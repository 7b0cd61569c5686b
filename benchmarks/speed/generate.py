"""Sampling with H = 512, or less where a row says so, on one thread: the model's step, and what the sampler adds to it.

The step's limit is the time to read its weights once (one row), or its matrix products at the speed that torch reaches
for the recurrent one alone (64 rows).
"""

import copy
import statistics
from collections import deque
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.speed.measure import Contender, Row, ratios, seconds_in_turn, threads
from benchmarks.speed.plain import PlainModel
from pianogen.config import GenerateConfig, ModelConfig
from pianogen.generation.limits import Limits
from pianogen.generation.sampler import Batch, Request
from pianogen.models import PianoModel, State, build_model
from pianogen.tokens.vocab import FIRST_NOTE, VOCABULARY_SIZE

HIDDEN = 512
_POSITIONS = {1: 301, 16: 65, 64: 21, 1024: 21}  # by rows; odd, so that a piece may end there
_SHA = {
    "sha": ModelConfig("sha", HIDDEN),
    "sha, 448 units, 2 layers, feed-forward, window 1,024": ModelConfig(
        "sha", 448, 2, embedding="learned", feed_forward=True, attention_window=1024
    ),
}
_STEP_BOUNDS = {1: 0.6, 64: 0.75}
_SAMPLER_BOUND = 1 / 1.1


def measure(rounds: int = 5) -> list[Row]:
    """The models with an LSTM, with 1, 64 and 1,024 rows; of sha, which is not in the paper, only the step."""
    with threads(1):
        measured = [row for kind in ("lstm", "attn") for rows in (1, 64, 1024) for row in _measure(kind, rows, rounds)]
        return [*measured, *(_sha_row(name, rows, rounds) for name in _SHA for rows in (1, 16, 64))]


def _measure(kind: str, rows: int, rounds: int) -> list[Row]:
    torch.manual_seed(0)
    model, positions = build_model(ModelConfig(kind, HIDDEN)).eval(), _POSITIONS[rows]
    with model.packed():
        made = np.stack([one.tokens for one in _started(model, rows, positions).advance()])
        words = torch.from_numpy(made[:, 1 : 1 + positions].astype(np.int64).T.copy())
        started = [_started(model, rows, positions) for _ in range(rounds + 1)]
        plain = "nn.LSTM a step, torch.multinomial"
        contenders: dict[str, Contender] = {
            "sampler": lambda: started.pop().advance(),
            "step": lambda: _steps(model.step, model.initial_state(rows), words),
            "plain": _plain(kind, rows, positions),
            "floor": _floor(model, rows, positions),
        }
        seconds = seconds_in_turn(contenders, rounds)
        error = _error(model, words)
    label = f"{kind}, {rows:,} row{'s' if rows > 1 else ''}"
    speed = {name: 1e-3 * rows * positions / statistics.median(times) for name, times in seconds.items()}
    own = speed["sampler"], speed["step"]
    return [
        Row(f"{label}: sampler", "ktok/s", own[0], speed["step"], None, "the model's step alone",
            *ratios(seconds["step"], seconds["sampler"]), _SAMPLER_BOUND),
        Row(f"{label}: sampler", "ktok/s", own[0], speed["plain"], None, plain,
            *ratios(seconds["plain"], seconds["sampler"])),
        Row(f"{label}: step", "ktok/s", own[1], None, speed["floor"], "limit",
            *ratios(seconds["floor"], seconds["step"]), _STEP_BOUNDS.get(rows), error=error),
    ]  # fmt: skip


def _sha_row(name: str, rows: int, rounds: int) -> Row:
    """The step with a full memory, compiled and by the layers of torch."""
    torch.manual_seed(0)
    model, positions = build_model(_SHA[name]).eval(), _POSITIONS[rows]
    words, plain = torch.randint(FIRST_NOTE, VOCABULARY_SIZE, (positions, rows)), copy.deepcopy(model)
    with model.packed():
        seconds = seconds_in_turn({"packed": _stream(model, words), "layers": _stream(plain, words)}, rounds)
        error = _error(model, words)
    packed, layers = (1e-3 * rows * positions / statistics.median(seconds[way]) for way in ("packed", "layers"))
    label = f"{name}, {rows:,} row{'s' if rows > 1 else ''}: step"
    ratio = ratios(seconds["layers"], seconds["packed"])
    return Row(label, "ktok/s", packed, layers, None, "the same in torch", *ratio, error=error)


def _stream(model: PianoModel, words: Tensor) -> Contender:
    """Steps that go on from one call to the next, with a full memory."""
    state = model.initial_state(words.shape[1])
    state["length"].fill_(model.config.attention_window)

    @torch.inference_mode()
    def run() -> None:
        nonlocal state
        for row in words:
            _, state = model.step(row, state)

    return run


def _started(model: PianoModel, rows: int, positions: int) -> Batch:
    """A batch whose pieces all end after as many positions; to start one costs 0.1 ms, once in a piece."""
    batch = Batch(model, GenerateConfig(batch=rows), "strict", rows)
    limits = Limits(max_tokens=2 + positions, min_tokens=2 + positions)
    batch.fill(deque(Request(piece, limits) for piece in range(rows)))
    return batch


@torch.inference_mode()
def _steps(step: Callable[[Tensor, State], tuple[Tensor, State]], state: State, words: Tensor) -> list[Tensor]:
    all_logits = []
    for row in words:
        logits, state = step(row, state)
        all_logits.append(logits)
    return all_logits


def _error(model: PianoModel, words: Tensor) -> float:
    """The largest difference of the packed step's logits from those of one pass in float64."""
    words = words[:64, :64]
    logits = torch.stack(_steps(model.step, model.initial_state(words.shape[1]), words), dim=1)
    exact = build_model(model.config).double().eval()
    exact.load_state_dict(model.state_dict())
    with torch.no_grad():
        return float((exact(words.t())[0] - logits).abs().max())


def _plain(kind: str, rows: int, positions: int) -> Contender:
    """The same without pianogen, grammar, limits and filters; the attention keeps its two running sums."""
    model = PlainModel(kind, HIDDEN).eval()

    @torch.inference_mode()
    def run() -> None:
        words, state, sums = torch.ones(rows, 1, dtype=torch.int64), None, (0.0, 0.0)
        for _ in range(positions):
            hidden, state = model.recurrent(F.one_hot(words, VOCABULARY_SIZE).float(), state)
            hidden = hidden[:, -1]
            if model.attention is not None:
                weight = model.attention(hidden).exp()
                sums = sums[0] + weight * hidden, sums[1] + weight
                hidden = torch.cat([hidden, sums[0] / sums[1]], dim=-1)
            words = torch.multinomial(model.decoder(hidden).softmax(dim=-1), 1)

    return run


def _floor(model: PianoModel, rows: int, positions: int) -> Contender:
    """Reading all weights that a step multiplies by; or the recurrent product, as often as a step has its FLOP."""
    numbers = sum(weight.numel() for name, weight in model.named_parameters() if not name.startswith("embedding"))
    if rows == 1:
        weights = torch.randn(numbers)
        return lambda: [weights.sum() for _ in range(positions)]
    hidden, weight = torch.randn(rows, HIDDEN), torch.randn(HIDDEN, 4 * HIDDEN)
    calls = round(positions * numbers / weight.numel())
    return lambda: [hidden @ weight for _ in range(calls)]
