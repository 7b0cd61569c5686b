"""The generation job: pieces of runs, prompts and seeds, each written once however often the job is started.

DIR/0000.mid ...                     one run, at most one prompt, one seed
DIR/RUN/PROMPT/seed-0/0000.mid ...   several of any

A piece depends on its number and not on the rest of its batch, so that the tasks of an array can each write a part of
the same folder, and a job that was killed is finished by running it again.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from pianogen.config import GenerateConfig, TokenizerConfig, part_of
from pianogen.errors import RunError, SettingError
from pianogen.files import write_atomic
from pianogen.folders import refuse_run_or_shards
from pianogen.generation.index import write_index
from pianogen.generation.limits import Limits, plan_limits
from pianogen.generation.piece_folder import PieceFolder, WriteFile, request_of
from pianogen.generation.prompt import Prompt, read_prompt
from pianogen.generation.sampler import Request, sample_each
from pianogen.ops.arithmetic import reproducible_on_gpu
from pianogen.ops.forms import using_form
from pianogen.progress import Progress
from pianogen.render.samples import SOUND_FILE, samples_script
from pianogen.render.sound import check_sound, sound_formats
from pianogen.runs import Run, open_run
from pianogen.storage import is_url, working_copy
from pianogen.tokens import source_suffixes

NO_PROMPT = "from-nothing"
# the layout above
_PIECE_FILE = re.compile(r"sound\.js|(?:[^/]+/[^/]+/seed-\d+/)?\d+\.(?:mid|json|musicxml|svg|png|wav|flac|ogg|mp3)")
_MAX_NAMED_FAILURES = 5  # keeps the error on one line


@dataclass(frozen=True)
class Series:
    """Pieces that differ only in their number."""

    run: Path
    prompt: Path | None
    seed: int
    folder: Path


@dataclass(frozen=True)
class _Task:
    """The pieces of one series that this job makes, and what they start from."""

    series: Series
    pieces: list[int]
    prompt: Prompt
    limits: Limits


def generate(
    runs: Path | Sequence[Path], out: Path, config: GenerateConfig, write_file: WriteFile = write_atomic
) -> list[Path]:
    """Write the requested pieces that do not exist yet, and return the MIDI files of all requested pieces.

    Unless `config.part` is set, `out`/index.csv and index.html then list every piece in `out`. Every file is written by
    `write_file`, a piece's sidecar last.

    Raises:
        RunError: A run or checkpoint is missing or damaged, `out` holds pieces of another request, or pieces failed.
        SettingError: A setting or a prompt leaves nothing to generate, or `out` is a run folder or holds shards.
        SourceError: A prompt cannot be read.
    """
    refuse_run_or_shards(out, "the pieces")
    check_sound([*sound_formats(config), *(["ogg"] if config.html_sound else [])], config.soundfont)
    series = plan_series([runs] if isinstance(runs, Path) else runs, out, config)
    opened = {one.run: open_run(one.run) for one in series}
    # read every prompt before generating: a mistake is reported at once
    tasks = [_task(opened[one.run], one, pieces, config) for one, pieces in share(series, config)]
    paths, failed = [], []
    for path, run in opened.items():
        made, not_made = _make(run, [task for task in tasks if task.series.run == path], config, write_file)
        paths += made
        failed += not_made
    if config.part is None:
        if config.html_sound:
            write_file(out / SOUND_FILE, samples_script(config.soundfont))
        write_index(out, write_file)
    if failed:
        raise _failure(failed, out)
    return paths


def generate_at(runs: Sequence[Path], out: str, config: GenerateConfig) -> int:
    """Generate to a folder or an s3:// or gs:// URL, and return how many of the requested pieces exist now.

    Each piece is uploaded when it is finished; pieces that the URL already has are not generated again.

    Raises:
        RunError, SettingError, SourceError: As `generate`.
        StorageError: The URL cannot be read or written.
    """
    if not is_url(out):
        return len(generate(runs, Path(out), config))
    with working_copy(out) as copy:
        copy.pull(lambda name: _PIECE_FILE.fullmatch(name) is not None, lambda name: name.endswith(".json"))
        return len(generate(runs, copy.folder, config, copy.put))


def plan_series(runs: Sequence[Path], out: Path, config: GenerateConfig) -> list[Series]:
    """List the series of a request: runs x prompts x seeds, in this order.

    Raises:
        SettingError: Two series would share a folder, or the folder of prompts is empty.
    """
    prompts = _prompt_files(config)
    seeds = range(config.seed, config.seed + config.num_seeds)
    is_single = len(runs) == len(seeds) == 1 and (config.prompt is None or prompts == [Path(config.prompt)])
    run_names = {run: run.resolve().name for run in runs}
    prompt_names = {prompt: prompt.stem if prompt else NO_PROMPT for prompt in prompts}
    if len(run_names) < len(runs):
        raise SettingError("a run is named twice; name each once")
    _check_names("runs", run_names.values())
    _check_names("prompts", prompt_names.values())
    return [
        Series(run, prompt, seed, out if is_single else out / run_names[run] / prompt_names[prompt] / f"seed-{seed}")
        for run in runs
        for prompt in prompts
        for seed in seeds
    ]


def share(series: Sequence[Series], config: GenerateConfig) -> list[tuple[Series, list[int]]]:
    """The piece numbers of each series that this task of an array makes; without an array, all of them."""
    first, step = part_of(config.part)
    return [
        (one, [piece for piece in range(config.num) if (index * config.num + piece) % step == first])
        for index, one in enumerate(series)
    ]


def _prompt_files(config: GenerateConfig) -> list[Path | None]:
    if config.prompt is None:
        return [None]
    path = Path(config.prompt)
    if not path.is_dir():
        return [path]
    suffixes = source_suffixes()
    files = (file for file in path.iterdir() if not file.name.startswith("."))
    found: list[Path | None] = [file for file in sorted(files) if file.name.lower().endswith(suffixes)]
    if not found:
        raise SettingError(f"the prompt folder {path} holds no MIDI file or score ({' '.join(suffixes)})")
    return found


def _check_names(kind: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise SettingError(f"two {kind} are called {name!r}, and their pieces would share a folder; rename one")
        seen.add(name)


def _task(run: Run, series: Series, pieces: list[int], config: GenerateConfig) -> _Task:
    prompt = prompt_of(series.prompt, config, run.tokenizer)
    return _Task(series, pieces, prompt, plan_limits(config, prompt))


def prompt_of(path: Path | None, config: GenerateConfig, tokenizer: TokenizerConfig) -> Prompt:
    """Read the prompt at `path`, cut as the settings say; the empty prompt without one."""
    if path is not None:
        return read_prompt(path, tokenizer, seconds=config.prompt_seconds, bars=config.prompt_bars)
    for name in ("prompt_seconds", "prompt_bars"):
        value = getattr(config, name)
        if value is not None:
            raise SettingError(f"setting '{name}' is {value:g}, but there is no prompt; --prompt FILE names one")
    return Prompt(steps_per_quarter=tokenizer.steps_per_quarter)


@reproducible_on_gpu()
def _make(
    run: Run, tasks: list[_Task], config: GenerateConfig, write_file: WriteFile
) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Generate the missing pieces of one run, all its prompts and seeds in the same batches."""
    tasks = [task for task in tasks if task.pieces]
    if not tasks:
        return [], []
    device = device_of(config.device)
    model, checkpoint = run.load_model(config.checkpoint)
    model.to(device)
    paths: list[Path] = []
    folder_of: dict[Request, PieceFolder] = {}
    for task in tasks:
        seed = task.series.seed
        request = request_of(run.path.resolve().name, checkpoint, replace(config, seed=seed), task.prompt)
        folder = PieceFolder(task.series.folder, task.prompt, request, config, write_file)
        folder.open()
        paths += [folder.file(piece, ".mid") for piece in task.pieces]
        missing = [piece for piece in task.pieces if not folder.holds(piece)]
        folder_of |= {Request(piece, task.limits, task.prompt.ids, seed): folder for piece in missing}
    failed = []
    model.with_bf16(config.precision == "bf16")
    with using_form(config.ops), Progress("generating", total=len(folder_of), unit="pieces") as bar:
        for made in sample_each(model, folder_of, config, run.config.model.mask):
            folder = folder_of[made.request]
            if made.ended == "failed":
                failed.append((folder.file(made.request.piece, ""), made.reason or ""))
            else:
                folder.write(made)
            bar.advance(1)
    return paths, failed


def device_of(name: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device that the setting `device` selects on this machine."""
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise SettingError(
            "setting 'device' is 'cuda', but torch finds no GPU; --device auto uses a GPU if there is one"
        )
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")


def _failure(failed: Sequence[tuple[Path, str]], out: Path) -> RunError:
    reasons = [
        f"piece {_piece_name(path, out)} failed: {reason}" for path, reason in sorted(failed)[:_MAX_NAMED_FAILURES]
    ]
    if len(failed) > _MAX_NAMED_FAILURES:
        reasons.append(f"and {len(failed) - _MAX_NAMED_FAILURES} more")
    return RunError(f"{'; '.join(reasons)}. All others are in {out}; try another --checkpoint")


def _piece_name(path: Path, out: Path) -> str:
    folder = path.relative_to(out).parent.as_posix()
    return f"{int(path.name)}" if folder == "." else f"{int(path.name)} of {folder}"
