"""The checkpoints of a training run: restored when it starts, written and pruned while it trains."""

import shutil
from dataclasses import asdict
from typing import Any

from accelerate import Accelerator

from pianogen.config import to_dict
from pianogen.data import ShardSet
from pianogen.distributed.process_group import on_any_rank, wait_for_all
from pianogen.errors import RunError
from pianogen.files import write_json
from pianogen.models import build_model
from pianogen.progress import console
from pianogen.runs import Run
from pianogen.runs.checkpoint import (
    BEST,
    RESUMABLE,
    clean_up,
    list_checkpoints,
    load_tensors,
    prune,
    verified_checkpoints,
    verify_checkpoint,
    write_checkpoint,
)
from pianogen.train.state import Best, TrainingState
from pianogen.train.trainer import Trainer
from pianogen.train.validation import Validation


class CheckpointManager:
    """Restores, writes and prunes checkpoints, and tracks the best one.

    A failed save causes a warning; the run continues and older checkpoints are kept. The best weights are the best ones
    that were written: position, best.json and the checkpoints agree on the step.
    """

    def __init__(self, run: Run, shards: ShardSet, accelerator: Accelerator) -> None:
        self._run, self._accelerator = run, accelerator
        self._identity: dict[str, Any] = {
            "model": to_dict(run.config.model),
            "tokenizer": to_dict(shards.tokenizer),
            "shards": shards.fingerprint,
        }
        self._measured: Best | None = None
        self._saved_step: int | None = None

    def restore(self) -> TrainingState | None:
        """Read the newest undamaged checkpoint, after the main rank has renamed damaged ones. Every rank must call it.

        Raises:
            RunError: All checkpoints are damaged, or the newest has a format that cannot be resumed.
        """
        folder = self._run.checkpoints
        if self._accelerator.is_main_process:
            clean_up(folder)
            self._rename_damaged()
        wait_for_all(self._accelerator)
        newest = next(verified_checkpoints(folder), None)
        if newest is None:
            if any(folder.glob("damaged-*")):
                raise RunError(f"every checkpoint in {folder} is damaged; give another --out to start a new run")
            return None
        path, training = newest
        if isinstance(training, RunError):
            raise training
        if training.get("format") not in RESUMABLE:
            raise RunError(
                f"the checkpoints in {self._run.path} have format {training.get('format')!r}, this pianogen resumes "
                f"{' and '.join(map(str, RESUMABLE))}, since the sample order differs; give another --out to start a "
                "new run, or finish it with the version that started it (evaluate and generate read format 1)"
            )
        state = TrainingState.load(path, training)
        self._saved_step = state.position.step
        return state

    def _rename_damaged(self) -> None:
        for path, training in verified_checkpoints(self._run.checkpoints):
            if not isinstance(training, RunError):
                return
            _warn(f"{training}; falling back to the previous checkpoint")
            renamed = path.with_name(f"damaged-{path.name}")
            shutil.rmtree(renamed, ignore_errors=True)
            path.rename(renamed)

    def record_validation(self, measured: Best) -> None:
        """Record the score of this step; its weights become the best once a checkpoint contains them."""
        self._measured = measured

    def save(self, trainer: Trainer, *, overwrite: bool = False) -> None:
        """Write a checkpoint of this step, if it has none, or `overwrite` it. Every rank must call it."""
        position = trainer.position
        if self._saved_step == position.step and not overwrite:
            return
        best_before, now = position.best, self._measured
        if now and now.step == position.step and not (best_before and best_before.nll <= now.nll):
            position.best = now
        state = trainer.state()
        if on_any_rank(self._accelerator.is_main_process and self._write(state), self._accelerator.device):
            self._saved_step = position.step
        else:
            position.best = best_before

    def _write(self, state: TrainingState) -> bool:
        step = state.position.step
        training = {**self._identity, "step": step, "position": state.position_json()}
        try:
            write_checkpoint(self._run.checkpoints, step, state.tensors(), training)
        except OSError as error:
            _warn(f"no checkpoint of step {step}: {error}; older checkpoints are unchanged")
            return False
        self._update_best_and_prune(state.position.best)
        return True

    def _update_best_and_prune(self, best: Best | None) -> None:
        file = self._run.checkpoints / BEST
        try:
            if best is None:
                file.unlink(missing_ok=True)
            else:
                write_json(file, asdict(best))
            prune(self._run.checkpoints, self._run.config.checkpoint.keep)  # after best.json, whose step it keeps
        except OSError as error:
            _warn(f"{file} was not updated: {error}; the next save tries again")

    def reconcile_best(self, trainer: Trainer, validation: Validation) -> None:
        """Check the restored best checkpoint against the folder and the settings. Every rank must call it.

        If it is missing or damaged, the next validation selects a new one. If it was measured on another slice of the
        validation split, it is scored again on the current one, because NLLs of two slices cannot be compared.
        """
        best = trainer.position.best
        if best and not self._is_complete(best, trainer.position.step):
            trainer.position.best = None
            self._warn_on_main_rank(
                f"the best checkpoint, of step {best.step}, is missing or damaged; a new best is chosen"
            )
        elif best and best.slice_tokens != validation.num_tokens:
            trainer.position.best = self._measure_again(best, validation)
        if self._accelerator.is_main_process:
            self._update_best_and_prune(trainer.position.best)

    def require_any(self) -> None:
        """Refuse to finish a run without a checkpoint.

        Raises:
            RunError: None could be written.
        """
        if self._accelerator.is_main_process and not list_checkpoints(self._run.checkpoints):
            raise RunError(
                f"no checkpoint of {self._run.path} could be written; free disk space and run the same command again"
            )

    def _is_complete(self, best: Best, restored_step: int) -> bool:
        if best.step == restored_step:
            return True
        is_complete = False
        if self._accelerator.is_main_process:
            try:
                verify_checkpoint(self._run.step_folder(best.step))
                is_complete = True
            except RunError:
                pass
        return on_any_rank(is_complete, self._accelerator.device)

    def _measure_again(self, best: Best, validation: Validation) -> Best | None:
        model = build_model(self._run.config.model).with_bf16(self._run.config.precision == "bf16")
        model.load_state_dict(load_tensors(self._run.step_folder(best.step), "model"))
        nll = validation.measure(model.to(self._accelerator.device)).get("validation/nll")
        self._warn_on_main_rank(
            f"validation reads {validation.num_tokens} tokens now, not {best.slice_tokens}: the best step, {best.step},"
            + (" has no finite NLL on them" if nll is None else f" has NLL {nll:.3f} on them, not {best.nll:.3f}"),
        )
        return None if nll is None else Best(best.step, nll, validation.num_tokens)

    def _warn_on_main_rank(self, text: str) -> None:
        if self._accelerator.is_main_process:
            _warn(text)


def _warn(text: str) -> None:
    console.print(f"[yellow]warning:[/] {text}", soft_wrap=True)
