"""Writing checkpoints while a run goes, and keeping the right ones.

The best weights are the best ones that were written: position, best.json and the checkpoints name the same step.
"""

from typing import Any

from pianogen.config import to_dict
from pianogen.data import ShardSet
from pianogen.distributed.process_group import on_any_rank
from pianogen.errors import RunError
from pianogen.files import write_atomic, write_json
from pianogen.progress import console
from pianogen.runs import Run
from pianogen.runs.checkpoint import BEST, list_checkpoints, prune, write_checkpoint
from pianogen.train.trainer import Best, Saved, Trainer


class Keeper:
    """Saves the trainer's state. A save that fails costs a warning, never the run or an older checkpoint."""

    def __init__(self, run: Run, trainer: Trainer, shards: ShardSet) -> None:
        self._run, self._trainer = run, trainer
        self._identity: dict[str, Any] = {
            "model": to_dict(trainer.config.model),
            "tokenizer": to_dict(shards.tokenizer),
            "shards": shards.fingerprint,
        }
        self._measured: Best | None = None
        self.saved_at: int | None = trainer.position.step or None

    def record_validation(self, measured: Best) -> None:
        """Take what validation measured at this step; the weights become the best once a checkpoint holds them."""
        self._measured = measured

    def save(self, *, again: bool = False) -> None:
        """Write a checkpoint of this step, if there is none, or `again`. Every rank must call it."""
        place = self._trainer.position
        if self.saved_at == place.step and not again:
            return
        best_before = place.best
        place.best = self._best()
        saved = self._trainer.snapshot()
        is_written = self._trainer.accelerator.is_main_process and self._write(saved)
        if on_any_rank(is_written, self._trainer.accelerator.device):
            self.saved_at = place.step
        else:
            place.best = best_before

    def _best(self) -> Best | None:
        place, now = self._trainer.position, self._measured
        if now is None or now.step != place.step or (place.best and place.best.nll <= now.nll):
            return place.best
        return now

    def _write(self, saved: Saved) -> bool:
        step = self._trainer.position.step
        try:
            write_checkpoint(
                self._run.checkpoints, step, saved.tensors, {**self._identity, "step": step, "position": saved.position}
            )
        except OSError as error:
            console.print(f"[yellow]warning:[/] no checkpoint of step {step}: {error}; the older ones stand")
            return False
        self.update_best_and_prune()
        return True

    def update_best_and_prune(self) -> None:
        """Write down which checkpoint is the best, and remove old ones; for the main rank alone."""
        best, file = self._trainer.position.best, self._run.checkpoints / BEST
        try:
            if best is None:
                file.unlink(missing_ok=True)
            else:
                write_json(file, {"step": best.step, "nll": best.nll, "slice_tokens": best.slice_tokens})
            prune(self._run.checkpoints, self._trainer.config.checkpoint.keep)
        except OSError as error:  # only now is what it names the best, so that nothing was removed that still is
            console.print(f"[yellow]warning:[/] {file} was not brought up to date: {error}; the next save tries again")

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
