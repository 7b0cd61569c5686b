"""The best checkpoint when a run is opened: is it still there, and was it measured as validation measures now?"""

from pianogen.distributed.process_group import on_any_rank
from pianogen.errors import RunError
from pianogen.models import build_model
from pianogen.progress import console
from pianogen.runs import Run
from pianogen.runs.checkpoint import load_tensors, verify_checkpoint
from pianogen.train.trainer import Best, Trainer
from pianogen.train.validation import Validation


def reconcile_best(run: Run, trainer: Trainer, validation: Validation) -> None:
    """Make what the position calls best true again. Every rank must call it.

    One that is gone or damaged is forgotten. One that was measured on another slice of the validation split is scored
    anew on the present one, for NLLs of two slices cannot be compared.
    """
    best = trainer.position.best
    if best is None:
        return
    if not _is_whole(run, trainer, best):
        trainer.position.best = None
        _warn(trainer, f"the best checkpoint, of step {best.step}, is gone or damaged; the best is chosen anew")
    elif best.slice_tokens != validation.num_tokens:
        trainer.position.best = _measured_again(run, trainer, validation, best)


def _is_whole(run: Run, trainer: Trainer, best: Best) -> bool:
    if best.step == trainer.position.step:  # it was just read
        return True
    is_whole = False
    if trainer.accelerator.is_main_process:
        try:
            verify_checkpoint(run.step_folder(best.step))
            is_whole = True
        except RunError:
            pass
    return on_any_rank(is_whole, trainer.accelerator.device)


def _measured_again(run: Run, trainer: Trainer, validation: Validation, best: Best) -> Best | None:
    model = build_model(trainer.config.model).precision(trainer.config.precision)
    model.load_state_dict(load_tensors(run.step_folder(best.step), "model"))
    nll = validation.measure(model.to(trainer.accelerator.device)).get("validation/nll")
    _warn(
        trainer,
        f"validation reads {validation.num_tokens} tokens now, not {best.slice_tokens}: the best step, {best.step}, "
        + ("has no finite NLL on them" if nll is None else f"has NLL {nll:.3f} on them, not {best.nll:.3f}"),
    )
    return None if nll is None else Best(best.step, nll, validation.num_tokens)


def _warn(trainer: Trainer, text: str) -> None:
    if trainer.accelerator.is_main_process:
        console.print(f"[yellow]warning:[/] {text}", soft_wrap=True)
