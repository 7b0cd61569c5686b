"""The job: pieces of runs, prompts and seeds, each made once whatever happens on the way.

A piece depends on its number and not on its neighbours, so that the tasks of an array may each make a slice of the same
folder, and a job that was killed is finished by running it again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pianogen.config import GenerateConfig, TokenizerConfig, TrainConfig
from pianogen.errors import RunError, SettingError
from pianogen.files import write_atomic
from pianogen.folders import refuse_run, refuse_shards, run_above
from pianogen.generation.device import device_of
from pianogen.generation.folder import Folder, Put
from pianogen.generation.index import write_index
from pianogen.generation.limits import Limits, plan_limits
from pianogen.generation.plan import Series, plan, share
from pianogen.generation.prompt import Prompt, read_prompt
from pianogen.generation.sampler import Request, sample_each
from pianogen.generation.sidecar import request_of
from pianogen.models import PianoModel
from pianogen.progress import Progress
from pianogen.runs import CheckpointInfo, open_run

_NAMED_FAILURES = 5  # an error stays one line


class Source(Protocol):
    """What a job needs of a run."""

    @property
    def path(self) -> Path:
        """The run folder."""
        ...

    @property
    def config(self) -> TrainConfig:
        """The settings it was trained with."""
        ...

    @property
    def tokenizer(self) -> TokenizerConfig:
        """The settings of its tokens."""
        ...

    def load_model(self, checkpoint: str = "best") -> tuple[PianoModel, CheckpointInfo]:
        """Load the weights of a checkpoint."""
        ...


@dataclass(frozen=True)
class _Order:
    """Pieces of one series, and what they begin with."""

    series: Series
    pieces: list[int]
    prompt: Prompt
    limits: Limits


def generate(runs: Path | Sequence[Path], out: Path, config: GenerateConfig, put: Put = write_atomic) -> list[Path]:
    """Make the pieces that are asked for, but for those already there, and return their MIDI files.

    All of them are listed in `out`/index.csv and index.html at the end; a part of an array leaves that to the plain
    command. Every file is written by `put`, a piece's sidecar last.

    Raises:
        RunError: A run or checkpoint is missing or damaged, `out` holds pieces of another request, or pieces failed.
        SettingError: A setting or a prompt leaves nothing to make, or `out` is a run folder or holds shards.
        SourceError: A prompt cannot be read.
    """
    if run_above(out) == out.resolve():  # RUN/pieces is a fine place
        refuse_run(out, "the pieces")
    refuse_shards(out, "the pieces")
    series = plan([runs] if isinstance(runs, Path) else runs, out, config)
    opened = {one.run: open_run(one.run) for one in series}
    # every prompt is read before any piece is made: a mistake shows at once
    batches = [
        _orders(run, [(one, pieces) for one, pieces in share(series, config) if one.run == path], config)
        for path, run in opened.items()
    ]
    paths, failed = [], []
    for run, orders in zip(opened.values(), batches, strict=True):
        made, not_made = _make(run, orders, config, put)
        paths += made
        failed += not_made
    if config.part is None:
        write_index(out, put)
    if failed:
        raise _failure(failed, out)
    return paths


def generate_pieces(
    run: Source, out: Path, config: GenerateConfig, pieces: Iterable[int], put: Put = write_atomic
) -> list[Path]:
    """Make the pieces of these numbers, of one run, prompt and seed, but for those already there.

    Raises:
        RunError, SettingError, SourceError: As `generate`.
    """
    series = Series(run.path, Path(config.prompt) if config.prompt is not None else None, config.seed, out)
    paths, failed = _make(run, _orders(run, [(series, list(pieces))], config), config, put)
    if failed:
        raise _failure(failed, out)
    return paths


def _orders(run: Source, shares: Iterable[tuple[Series, list[int]]], config: GenerateConfig) -> list[_Order]:
    shares = list(shares)
    paths = dict.fromkeys(series.prompt for series, _ in shares)
    prompts = {path: _read_prompt(path, config, run.tokenizer) for path in paths}
    limits = {path: plan_limits(config, prompt) for path, prompt in prompts.items()}
    return [_Order(one, pieces, prompts[one.prompt], limits[one.prompt]) for one, pieces in shares]


def _make(
    run: Source, orders: list[_Order], config: GenerateConfig, put: Put
) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Make what is missing of one run's pieces, of all prompts and seeds side by side."""
    orders = [order for order in orders if order.pieces]
    if not orders:
        return [], []
    device = device_of(config.device)
    model, checkpoint = run.load_model(config.checkpoint)
    model.to(device)
    name = run.path.resolve().name
    paths: list[Path] = []
    folder_of: dict[Request, Folder] = {}
    for order in orders:
        seed = order.series.seed
        request = request_of(name, checkpoint.step, checkpoint.sha256, replace(config, seed=seed), order.prompt)
        folder = Folder(order.series.folder, order.prompt, request, config, put)
        folder.open()
        paths += [folder.file(piece, ".mid") for piece in order.pieces]
        missing = [piece for piece in order.pieces if not folder.holds(piece)]
        folder_of |= {Request(piece, order.limits, order.prompt.ids, seed): folder for piece in missing}
    failed = []
    with Progress("generating", total=len(folder_of), unit="pieces") as bar:
        for sample in sample_each(model, folder_of, config, run.config.model.mask):
            folder = folder_of[sample.request]
            if sample.ended == "failed":
                failed.append((folder.file(sample.request.piece, ""), sample.reason or ""))
            else:
                folder.write(sample)
            bar.advance(1)
    return paths, failed


def _read_prompt(path: Path | None, config: GenerateConfig, tokenizer: TokenizerConfig) -> Prompt:
    if path is not None:
        return read_prompt(path, tokenizer, seconds=config.prompt_seconds, bars=config.prompt_bars)
    for name in ("prompt_seconds", "prompt_bars"):
        value = getattr(config, name)
        if value is not None:
            raise SettingError(f"setting '{name}' is {value:g}, but there is no prompt; --prompt FILE names one")
    return Prompt(steps_per_quarter=tokenizer.steps_per_quarter)


def _failure(failed: Sequence[tuple[Path, str]], out: Path) -> RunError:
    reasons = [f"piece {_place(path, out)} failed: {reason}" for path, reason in sorted(failed)[:_NAMED_FAILURES]]
    if len(failed) > _NAMED_FAILURES:
        reasons.append(f"and {len(failed) - _NAMED_FAILURES} more")
    return RunError(f"{'; '.join(reasons)}. All others are in {out}; try another --checkpoint")


def _place(path: Path, out: Path) -> str:
    folder = path.relative_to(out).parent.as_posix()
    return f"{int(path.name)}" if folder == "." else f"{int(path.name)} of {folder}"
