"""Writing checkpoints while a run goes, and keeping the right ones."""

from typing import Any

from pianogen.config import to_dict
from pianogen.data import ShardSet
from pianogen.errors import RunError
from pianogen.files import write_atomic, write_json
from pianogen.progress import console
from pianogen.runs import Run
from pianogen.runs.checkpoint import list_checkpoints, prune, write_checkpoint
from pianogen.train.trainer import Trainer


class Keeper:
    """Saves the trainer's state. A save that fails costs a warning, never the run or an older checkpoint."""

    def __init__(self, run: Run, trainer: Trainer, shards: ShardSet) -> None:
        self._run, self._trainer = run, trainer
        self._identity: dict[str, Any] = {
            "model": to_dict(trainer.config.model),
            "tokenizer": to_dict(shards.tokenizer),
            "shards": shards.fingerprint,
        }
        self.saved_at: int | None = trainer.position.step or None
        self.failures = 0

    def save(self, *, again: bool = False) -> None:
        """Write a checkpoint of this step, if there is none, or `again`. Every rank must call it."""
        place = self._trainer.position
        if self.saved_at == place.step and not again:
            return
        saved = self._trainer.snapshot()
        if self._trainer.accelerator.is_main_process:
            try:
                training = {**self._identity, "step": place.step, "position": saved.position}
                write_checkpoint(self._run.checkpoints, place.step, saved.tensors, training)
                self._keep_the_right_ones()
            except OSError as error:
                self.failures += 1
                console.print(f"[yellow]warning:[/] no checkpoint of step {place.step}: {error}; the older ones stand")
        self.saved_at = place.step

    def export(self) -> None:
        """Put the best weights and their settings into RUN/model, for MLflow and for whoever wants these two files.

        Raises:
            RunError: No checkpoint of this run could be written.
        """
        if not self._trainer.accelerator.is_main_process:
            return
        if not list_checkpoints(self._run.checkpoints):
            raise RunError(
                f"no checkpoint of {self._run.path} could be written; free its disk and give the same command"
            )
        best, target = self._run.find_checkpoint("best"), self._run.path / "model"
        target.mkdir(exist_ok=True)
        for name in ("model.safetensors", "training.json"):
            write_atomic(target / name, (best / name).read_bytes())

    def _keep_the_right_ones(self) -> None:
        place, keep = self._trainer.position, self._trainer.config.checkpoint.keep
        if place.best_step is not None and (self._run.checkpoints / f"step-{place.best_step:08d}").exists():
            write_json(self._run.checkpoints / "best.json", {"step": place.best_step, "nll": place.best_nll})
        prune(self._run.checkpoints, keep, place.best_step)
