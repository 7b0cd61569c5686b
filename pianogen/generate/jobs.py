"""The job: pieces of one run in one folder, each made once whatever happens on the way.

A piece depends on its number and not on its neighbours, so that the tasks of an array may each make a slice of the same
folder, and a job that was killed is finished by running it again.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from pianogen.config import GenerateConfig, TokenizerConfig, TrainConfig
from pianogen.errors import RunError, SettingError
from pianogen.generate.folder import Folder
from pianogen.generate.limits import plan_limits
from pianogen.generate.prompt import Prompt, read_prompt
from pianogen.generate.sampler import Request, Sample, sample_each
from pianogen.generate.sidecar import request_of
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


def generate(run_path: str | Path, out: Path, config: GenerateConfig) -> list[Path]:
    """Make pieces 0 to `config.num` - 1 of a run, but for those already there, and return their MIDI files.

    Raises:
        RunError: The run or checkpoint is missing or damaged, `out` holds pieces of another request, or pieces failed.
        SettingError: A setting or the prompt leaves nothing to make.
        SourceError: The prompt cannot be read.
    """
    return generate_pieces(open_run(run_path), out, config, range(config.num))


def generate_pieces(run: Source, out: Path, config: GenerateConfig, pieces: Iterable[int]) -> list[Path]:
    """Make the pieces of these numbers, but for those already there, and return their MIDI files.

    Raises:
        RunError, SettingError, SourceError: As `generate`.
    """
    pieces = list(pieces)
    prompt = _prompt_of(config, run.tokenizer)
    limits = plan_limits(config, prompt)
    model, checkpoint = run.load_model(config.checkpoint)
    request = request_of(run.path.resolve().name, checkpoint.step, checkpoint.sha256, config, prompt)
    folder = Folder(out, prompt, request, config)
    folder.open()
    missing = [Request(piece, limits, prompt.ids) for piece in pieces if not folder.holds(piece)]
    failed: list[Sample] = []
    with Progress("generating", total=len(missing), unit="pieces") as bar:
        for sample in sample_each(model, missing, config, run.config.model.mask):
            if sample.ended == "failed":
                failed.append(sample)
            else:
                folder.write(sample)
            bar.advance(1)
    if failed:
        raise _failure(failed, out)
    return [folder.file(piece, ".mid") for piece in pieces]


def _prompt_of(config: GenerateConfig, tokenizer: TokenizerConfig) -> Prompt:
    if config.prompt is not None:
        path = Path(config.prompt)
        return read_prompt(path, tokenizer, seconds=config.prompt_seconds, bars=config.prompt_bars)
    for name in ("prompt_seconds", "prompt_bars"):
        value = getattr(config, name)
        if value is not None:
            raise SettingError(f"setting '{name}' is {value:g}, but there is no prompt; --prompt FILE names one")
    return Prompt(steps_per_quarter=tokenizer.steps_per_quarter)


def _failure(failed: list[Sample], out: Path) -> RunError:
    failed = sorted(failed, key=lambda sample: sample.request.piece)
    reasons = [f"piece {sample.request.piece} failed: {sample.reason}" for sample in failed[:_NAMED_FAILURES]]
    if len(failed) > _NAMED_FAILURES:
        reasons.append(f"and {len(failed) - _NAMED_FAILURES} more")
    return RunError(f"{'; '.join(reasons)}. All others are in {out}; try another --checkpoint")
