"""Validation during training: the loss on a fixed slice of the validation split, and samples."""

import numpy as np
from jaxtyping import Int
from rich.markup import escape

from pianogen.config import GenerateConfig
from pianogen.data import ShardSet, Split
from pianogen.errors import PluginError
from pianogen.evaluation import metrics_of, plugin_metrics, results, score_over_ranks
from pianogen.generation import Limits, Request, sample
from pianogen.models import PianoModel
from pianogen.progress import console
from pianogen.render import piano_roll
from pianogen.runs import Run
from pianogen.tokens import decode, write_midi
from pianogen.train.trainer import Trainer

_BATCH_ROWS = 16


def head_of(split: Split, num_tokens: int) -> list[Int[np.ndarray, " T"]]:
    """The first performances of a split, up to `num_tokens`; the last one is cut there."""
    taken: list[Int[np.ndarray, " T"]] = []
    for index in range(len(split)):
        room = num_tokens - sum(map(len, taken))
        if room < 3:
            break
        taken.append(split.tokens(index)[:room])
    return taken


class Validation:
    """Scores the same slice each time, divided over the ranks, and generates samples."""

    def __init__(self, run: Run, trainer: Trainer, shards: ShardSet) -> None:
        self._run, self._trainer, self._config = run, trainer, trainer.config.validation
        self._steps_per_quarter = shards.tokenizer.steps_per_quarter
        self._performances = head_of(shards.split("validation"), self._config.slice_tokens)
        self.num_tokens = sum(map(len, self._performances))
        """Tokens of the slice."""
        plugin_metrics()  # one that cannot be imported ends the run before its first step

    def measure(self, model: PianoModel) -> dict[str, float]:
        """Score a model; the metrics are the same on every rank, which must all call it with the same weights."""
        counts = score_over_ranks(model, self._performances, self._trainer.config.model.mask, rows=_BATCH_ROWS)
        return metrics_of("validation", results(counts, seconds=0.0, notes=0, warn=self._warn))

    def _warn(self, error: PluginError) -> None:
        if self._trainer.accelerator.is_main_process:
            console.print(f"[yellow]warning:[/] {escape(str(error))}", soft_wrap=True)

    def validate(self) -> dict[str, float]:
        """Score the trainer's model and write samples; see `measure`."""
        model = self._trainer.evaluation_model()
        values = self.measure(model)
        if self._trainer.accelerator.is_main_process:
            try:
                self._write_samples(model)
            except OSError as error:  # a full disk costs samples, never the run
                console.print(f"[yellow]warning:[/] no samples: {error}", soft_wrap=True)
        return values

    def _write_samples(self, model: PianoModel) -> None:
        folder = self._run.path / "samples"
        folder.mkdir(exist_ok=True)
        config = GenerateConfig(num=max(1, self._config.num_samples), seed=self._trainer.config.seed)
        requests = [
            Request(piece, Limits(max_tokens=self._config.sample_tokens)) for piece in range(self._config.num_samples)
        ]
        for done in sample(model, requests, config, self._trainer.config.model.mask):
            name = f"step-{self._trainer.position.step:08d}-{done.request.piece}"
            if done.ended == "failed":
                continue
            notes = decode(done.tokens)
            write_midi(notes, folder / f"{name}.mid", steps_per_quarter=self._steps_per_quarter)
            title = f"{self._trainer.config.model.kind}, step {self._trainer.position.step}"
            piano_roll(notes, folder / f"{name}.png", steps_per_quarter=self._steps_per_quarter, title=title)
