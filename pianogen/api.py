"""The public interface of the package: a few functions over the libraries behind the commands; see docs/api.md."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int, Int16

from pianogen import tokens
from pianogen.config import EvaluateConfig, GenerateConfig, TokenizerConfig, from_dict
from pianogen.errors import RunError, SettingError
from pianogen.runs import Run, local_run
from pianogen.runs import open_run as _open_local
from pianogen.storage import is_url
from pianogen.tokens import Notes, read_performance, tokenize

if TYPE_CHECKING:
    from pianogen.evaluation import ComparisonRow
    from pianogen.models import PianoModel

__all__ = ["decode", "encode", "evaluate", "generate", "load_model", "open_run"]

# of GenerateConfig: what the command writes
_FILE_SETTINGS = (
    *("musicxml", "num_seeds", "part", "piano_roll"),
    *("svg", "wav", "flac", "ogg", "mp3", "html_sound", "soundfont"),
)


def open_run(path: Path | str, checkpoint: str = "best") -> Run:
    """Open the run folder that `pianogen train` wrote, its s3:// or gs:// URL, or the model of the name `pretrained`.

    A `Path` is always a folder: "pretrained" is the model that ships with the package, Path("pretrained") is not.
    Of a URL only `checkpoint` is fetched: best, last, or a step number. Of a folder all checkpoints can be used.

    Raises:
        RunError: It is missing, is not a run folder, or the URL has no such checkpoint.
        SettingError: Its model kind needs a plugin that is not installed.
        StorageError: The URL cannot be read.
    """
    run = _open_local(local_run(path, checkpoint) if isinstance(path, str) else path)
    return replace(run, fetched_checkpoint=checkpoint) if is_url(str(path)) else run


def load_model(run: Run | Path | str, checkpoint: str = "best", device: str = "cpu") -> "PianoModel":
    """Load a model in evaluation mode; `checkpoint` is best (lowest validation loss), last, or a step number.

    Raises:
        RunError: The checkpoint is missing, damaged or of an unknown format.
    """
    return _opened(run, checkpoint).load_model(checkpoint)[0].to(device)


def encode(source: Notes | Path | str, tokenizer: TokenizerConfig | None = None) -> Int16[np.ndarray, " T"]:
    """Encode a MIDI file, a score, or notes on the grid as token ids, xxbos to xxeos.

    `tokenizer` says how a file is quantised; a run's is `run.tokenizer`.

    Raises:
        SourceError: The file is missing, of an unknown type, or damaged.
        TokenError: There are no notes.
    """
    if isinstance(source, Notes):
        return tokens.encode(source)
    return tokenize(read_performance(Path(source)), tokenizer or TokenizerConfig())[0]


def decode(ids: Int[np.ndarray, " T"] | Sequence[int]) -> Notes:
    """Decode token ids into notes on the grid; `pianogen.tokens.write_midi` writes them to a file.

    Raises:
        TokenError: A token is not allowed at its position, or the stream is incomplete.
    """
    return tokens.decode(ids)


def generate(
    run: Run | Path | str,
    *,
    prompt: Path | str | Int[np.ndarray, " T"] | Sequence[int] | None = None,
    num: int = 1,
    seed: int = 0,
    **settings: Any,
) -> list[Int[np.ndarray, " T"]]:
    """Generate pieces as token ids, xxbos to xxeos and the prompt included; no file is written.

    Args:
        prompt: A MIDI file or score, or token ids, to continue.
        settings: Others of `GenerateConfig`, such as `bars`, `temperature` or `checkpoint`.

    Raises:
        RunError: The checkpoint is missing or damaged, or the model's scores are not finite numbers.
        SettingError: A setting is unknown or breaks its rule.
        SourceError, TokenError: The prompt cannot be read.
    """
    from pianogen.generation import Request, plan_limits, sample
    from pianogen.generation.job import device_of, prompt_of
    from pianogen.generation.prompt import prompt_of_ids
    from pianogen.ops.arithmetic import reproducible_on_gpu
    from pianogen.ops.forms import using_form

    for name in _FILE_SETTINGS:
        if name in settings:
            raise SettingError(
                f"setting '{name}' is of the command pianogen generate, which writes files; leave it out"
            )
    config = from_dict(GenerateConfig, {"num": num, "seed": seed, **settings})
    run = _opened(run, config.checkpoint)
    if prompt is None or isinstance(prompt, Path | str):
        start = prompt_of(None if prompt is None else Path(prompt), config, run.tokenizer)
    else:
        prompt_of(None, config, run.tokenizer)  # refuses prompt_seconds and prompt_bars
        start = prompt_of_ids(prompt, run.tokenizer)
    limits = plan_limits(config, start)
    model = load_model(run, config.checkpoint).to(device_of(config.device))
    model.with_bf16(config.precision == "bf16")
    requests = [Request(piece, limits, start.ids) for piece in range(num)]
    with using_form(config.ops), reproducible_on_gpu():
        pieces = sample(model, requests, config, run.config.model.mask)
    for piece in pieces:
        if piece.ended == "failed":
            raise RunError(f"piece {piece.request.piece} of {run.path} failed: {piece.reason}; try another checkpoint")
    return [piece.tokens for piece in pieces]


def evaluate(runs: Run | Path | str | Sequence[Run | Path | str], **settings: Any) -> "list[ComparisonRow]":
    """Do what `pianogen evaluate` does, the files and the printed table included; returns the rows of the table.

    `settings` are those of `EvaluateConfig`, such as `split` or `checkpoint`.

    Raises:
        RunError: A run or checkpoint is missing or damaged, or its shards are not those it was trained on.
        SettingError: A setting is unknown or breaks its rule, or the runs cannot be compared.
    """
    from pianogen import evaluation

    config = from_dict(EvaluateConfig, settings)
    several = [runs] if isinstance(runs, Run | Path | str) else runs
    return evaluation.evaluate([_opened(run, config.checkpoint).path for run in several], config)


def _opened(run: Run | Path | str, checkpoint: str) -> Run:
    if not isinstance(run, Run):
        return open_run(run, checkpoint)
    if run.fetched_checkpoint not in (None, checkpoint):
        raise RunError(
            f"{run.path} was fetched with checkpoint {run.fetched_checkpoint!r} only; for {checkpoint!r}, "
            f"call open_run(URL, checkpoint={checkpoint!r})"
        )
    return run
