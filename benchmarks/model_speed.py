"""How fast our LSTM trains and steps beside torch.nn.LSTM: `python benchmarks/model_speed.py --rounds 15`.

Each round times every contender once, one after the other, so that a noisy machine disturbs all alike; what counts is
the ratio within a round. A training step is forward, cross-entropy and backward with the same decoder, no optimizer.
"""

import argparse
import statistics

import torch
import torch.nn.functional as F
from speed.measure import Contender, ratios, seconds_in_turn
from torch import Tensor, nn

from pianogen.config import EmbeddingKind, ModelConfig
from pianogen.models import build_model
from pianogen.tokens.vocab import VOCABULARY_SIZE


class TorchLstm(nn.Module):
    """What one would write without pianogen: one-hot or embedding, nn.LSTM, a linear decoder."""

    def __init__(self, hidden_size: int, embedding_size: int | None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY_SIZE, embedding_size) if embedding_size else None
        self.lstm = nn.LSTM(embedding_size or VOCABULARY_SIZE, hidden_size, batch_first=True)
        self.decoder = nn.Linear(hidden_size, VOCABULARY_SIZE)

    def forward(self, tokens: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, object]:
        """Logits and the state after the last token."""
        x = self.embedding(tokens) if self.embedding else F.one_hot(tokens, VOCABULARY_SIZE).float()
        hidden, after = self.lstm(x, state)
        return self.decoder(hidden), after


def training_step(model: nn.Module, tokens: Tensor) -> Contender:
    """Forward, loss and backward over one batch."""

    def run() -> None:
        model.zero_grad(set_to_none=True)
        logits, _ = model(tokens[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()

    return run


def generation_steps(kind: str, hidden_size: int, num_steps: int) -> dict[str, Contender]:
    """One token after another at batch 1, ours and torch.nn.LSTM called step by step."""
    ours = build_model(ModelConfig(kind=kind, hidden_size=hidden_size)).eval()
    theirs = TorchLstm(hidden_size, None).eval()

    def run_ours() -> None:
        state = ours.initial_state(1)
        for _ in range(num_steps):
            _, state = ours.step(torch.tensor([60]), state)

    @torch.no_grad()
    def run_theirs() -> None:
        state = None
        for _ in range(num_steps):
            _, state = theirs(torch.tensor([[60]]), state)

    return {f"step, {kind}, ours": run_ours, "step, nn.LSTM": run_theirs}


def report(seconds: dict[str, list[float]], ours: str, unit: str, count: int) -> None:
    """Print the median time of each, and the ratio to ours: median and quartiles over the rounds."""
    for name, times in seconds.items():
        middle, low, high = ratios(times, seconds[ours])
        milliseconds = 1e3 * statistics.median(times) / count
        print(f"{name:34} {milliseconds:9.3f} ms a {unit}   x{middle:.2f} ({low:.2f}-{high:.2f})")


def main() -> None:
    """Parse the sizes, run both comparisons, print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("hidden", 512), ("batch", 64), ("time", 128), ("embedding", 256), ("rounds", 9)):
        parser.add_argument(f"--{name}", type=int, default=default)
    sizes = parser.parse_args()
    torch.manual_seed(0)
    tokens = torch.randint(9, VOCABULARY_SIZE, (sizes.batch, sizes.time + 1))

    def ours(kind: str, embedding: EmbeddingKind) -> Contender:
        config = ModelConfig(kind, sizes.hidden, embedding=embedding, embedding_size=sizes.embedding)
        return training_step(build_model(config), tokens)

    training = {
        "lstm, one_hot, ours": ours("lstm", "one_hot"),
        "lstm, learned embedding, ours": ours("lstm", "learned"),
        "attn, one_hot, ours": ours("attn", "one_hot"),
        "nn.LSTM on dense one-hot": training_step(TorchLstm(sizes.hidden, None), tokens),
        "nn.LSTM on nn.Embedding": training_step(TorchLstm(sizes.hidden, sizes.embedding), tokens),
    }
    print(f"{sizes}, {torch.get_num_threads()} threads; ratio = time over that of ours, median (quartiles)")
    report(seconds_in_turn(training, sizes.rounds), "lstm, one_hot, ours", "step", 1)
    generation = generation_steps("lstm", sizes.hidden, 50)
    report(seconds_in_turn(generation, sizes.rounds), "step, lstm, ours", "token", 50)


if __name__ == "__main__":
    main()
