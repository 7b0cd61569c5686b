"""What a model thinks of files: their scores, and where each of them surprises it.

OUT/summary.json        scores of each file and of all, the bars that surprise most, and files that could not be read
OUT/NAME.csv  NAME.png  every token of NAME.mid with its surprise; a piano roll in the colours of surprise
OUT/RUN/...             the same of several runs
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pianogen.config import EvaluateConfig, TokenizerConfig, to_dict
from pianogen.errors import SettingError, SourceError
from pianogen.evaluation.counts import FIRST_TARGET, Counts
from pianogen.evaluation.file_report import files_table
from pianogen.evaluation.music_file import Failure, MusicFile, read_all
from pianogen.evaluation.predictions import predict
from pianogen.evaluation.results import Results, results
from pianogen.evaluation.run_scores import load_to_score
from pianogen.evaluation.surprise import Surprise
from pianogen.files import write_atomic, write_json
from pianogen.folders import refuse_run_or_shards
from pianogen.ops.arithmetic import reproducible_on_gpu
from pianogen.ops.forms import using_form
from pianogen.progress import Progress, console
from pianogen.runs import CheckpointInfo, Run, open_run
from pianogen.terminal import print_tables

_NUM_BARS = 5  # listed in the summary
_TITLE_LENGTH = 40  # characters beside the legend
_OF_SPLITS = ("split", "train_tokens", "shards")  # settings


@reproducible_on_gpu()
def evaluate_files(
    paths: Sequence[Path], files: Sequence[Path | str], config: EvaluateConfig, out: Path | None = None
) -> list[dict[str, Any]]:
    """Score every run on files and the files in folders, print a table each, and return their summaries.

    With `out`, the summaries and what surprises the models are written there. A file that cannot be read is named on
    stderr, and the others are scored.

    Raises:
        RunError: A run or checkpoint is missing or damaged.
        SettingError: A setting is of splits, two runs have one name, or `out` is a run folder or holds shards.
        SourceError: A file could not be read; it is raised at the end.
    """
    _require_fitting(config)
    if out is not None:
        refuse_run_or_shards(out, "the results of files")
    runs = [open_run(path) for path in paths]
    names = [run.path.resolve().name for run in runs]
    if len(set(names)) < len(names):
        raise SettingError("two runs have the same name, and their results would share a folder; rename one")
    readings = {tokenizer: _read(files, tokenizer) for tokenizer in dict.fromkeys(run.tokenizer for run in runs)}
    summaries = []
    for run, name in zip(runs, names, strict=True):
        folder = out if out is None or len(runs) == 1 else out / name
        summaries.append(_evaluate_run(run, name, *readings[run.tokenizer], config, folder))
    if failed := readings[runs[-1].tokenizer][1]:
        raise _failure(failed, num_read=len(summaries[0]["files"]))
    return summaries


def _read(files: Sequence[Path | str], tokenizer: TokenizerConfig) -> tuple[list[MusicFile], list[Failure]]:
    """Read the files and name those of several that cannot be read."""
    music, failed = read_all(files, tokenizer)
    for error in failed if len(failed) + len(music) > 1 else ():
        console.print(f"pianogen: {error}", markup=False, soft_wrap=True)
    return music, failed


def _require_fitting(config: EvaluateConfig) -> None:
    for name in _OF_SPLITS:
        if (value := getattr(config, name)) != getattr(EvaluateConfig, name):
            raise SettingError(f"setting '{name}' is {value!r}, but it is of the shards' splits; leave it or files out")


def _evaluate_run(
    run: Run, name: str, music: Sequence[MusicFile], failed: Sequence[Failure], config: EvaluateConfig, out: Path | None
) -> dict[str, Any]:
    model, checkpoint = load_to_score(run, config)
    if not music:
        return {"run": name, "files": []}
    surprises = _score(model, music, run, config)
    entries = [_entry(one, stem) for one, stem in zip(surprises, _stems(music), strict=True)]
    total = sum((one.found.counts() for one in surprises), start=Counts.zero())
    seconds, notes = sum(one.raw.seconds for one in music), sum(len(one.notes) for one in music)
    summary = {
        **_heading(name, checkpoint, run, config),
        "files": entries,
        "total": results(total, seconds=seconds, notes=notes),
        "failed": [str(error) for error in failed],
    }
    print_tables(files_table(summary))
    if out is not None:
        _write(out, surprises, summary)
    return summary


def _score(model: Any, music: Sequence[MusicFile], run: Run, config: EvaluateConfig) -> list[Surprise]:
    ids = [one.ids for one in music]
    num_targets = sum(len(one) - FIRST_TARGET for one in ids)
    with using_form(config.ops), Progress(f"scoring {len(music)} files", total=num_targets, unit="tokens") as bar:
        found = predict(model, ids, run.config.model.mask, rows=config.batch, progress=bar.advance)
    return [Surprise(one, found.of_performance(index)) for index, one in enumerate(music)]


def _heading(name: str, checkpoint: CheckpointInfo, run: Run, config: EvaluateConfig) -> dict[str, Any]:
    return {
        "run": name,
        "step": checkpoint.step,
        "checkpoint_sha256": checkpoint.sha256,
        "tokenizer": to_dict(run.tokenizer),
        "precision": config.precision,
        "ops": config.ops,
    }


def _entry(surprise: Surprise, stem: str) -> dict[str, Any]:
    music = surprise.music
    found: Results = results(surprise.found.counts(), seconds=music.raw.seconds, notes=len(music.notes))
    return {
        "file": str(music.path),
        "name": stem,
        "sha256": music.sha256,
        "quantisation": {name: count for name, count in asdict(music.report).items() if count},
        "results": found,
        "surprising_bars": surprise.bars()[:_NUM_BARS],
    }


def _stems(music: Sequence[MusicFile]) -> list[str]:
    """The names of the files' results: those of the files, numbered where several have the same."""
    stems: list[str] = []
    for one in music:
        stem, number = one.path.stem, 1
        while stem.casefold() in map(str.casefold, stems):
            number += 1
            stem = f"{one.path.stem}-{number}"
        stems.append(stem)
    return stems


def _write(out: Path, surprises: Sequence[Surprise], summary: dict[str, Any]) -> None:
    """Write the CSV files and pictures, then the summary."""
    from pianogen.render import surprise_roll

    out.mkdir(parents=True, exist_ok=True)
    with Progress("drawing", total=len(surprises), unit="files") as bar:
        for one, entry in zip(surprises, summary["files"], strict=True):
            write_atomic(out / f"{entry['name']}.csv", one.csv())
            surprise_roll(
                one.music.notes,
                one.of_notes,
                out / f"{entry['name']}.png",
                steps_per_quarter=one.music.steps_per_quarter,
                bar_steps=one.music.bar_steps,
                marked_bar=entry["surprising_bars"][0]["bar"] - 1,
                title=_short(one.music.path.name),
            )
            bar.advance(1)
    write_json(out / "summary.json", summary)
    print(f"{out / 'summary.json'}  {out / summary['files'][0]['name']}.png ...")


def _short(name: str) -> str:
    return name if len(name) <= _TITLE_LENGTH else f"{name[: _TITLE_LENGTH - 1]}…"


def _failure(failed: Sequence[Failure], num_read: int) -> Failure:
    if len(failed) == 1 and not num_read:
        return failed[0]
    of = len(failed) + num_read
    return SourceError(f"{len(failed)} of {of} files could not be read (see above); the others were scored")
