"""Files to sound, scores and pictures, many at once.

    DIR/NAME.wav  NAME.svg  NAME.png  ...        NAME is the file's, with its subfolder where a folder was named

Every file is written atomically. One that fails is named, and the others are made.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pianogen.config import RenderConfig, TokenizerConfig
from pianogen.errors import PianogenError, RunError, SettingError, SourceError
from pianogen.files import write_atomic
from pianogen.folders import make_out, refuse_run_or_shards
from pianogen.progress import Progress, console
from pianogen.render.sound import check_sound, encode_sound, piano_sound, played, sound_formats
from pianogen.tokens import (
    MIDI_SUFFIXES,
    Notes,
    RawNotes,
    find_sources,
    musicxml_bytes,
    quantise,
    read_performance,
    source_suffixes,
)
from pianogen.tokens.metre import bar_steps, plausible_metre


@dataclass(frozen=True)
class Task:
    """A file, and what the files made of it begin with."""

    source: Path
    target: Path


def render(sources: Sequence[Path], out: Path, config: RenderConfig) -> int:
    """Make the requested files of each MIDI file and score, and return how many of these there are.

    A source is a MIDI file, a score, or a folder, of which every such file is taken.

    Raises:
        SettingError: A setting or `out` cannot be used, or there is nothing to do.
        SourceError: Some sources could not be rendered; each has been named on stderr.
    """
    _check(out, config)
    tasks = plan_tasks(sources, out)
    for folder in {task.target.parent for task in tasks}:
        make_out(folder)
    failed = 0
    with Progress("rendering", total=len(tasks), unit="files") as bar:
        for reasons in _run(tasks, config):
            failed += bool(reasons)
            for reason in reasons:
                console.print(f"pianogen: {reason}", soft_wrap=True, markup=False)
            bar.advance(1)
    if failed:
        raise SourceError(f"{failed} of {len(tasks)} files failed, as said above; the others are in {out}")
    return len(tasks)


def plan_tasks(sources: Sequence[Path], out: Path) -> list[Task]:
    """List the files to render, in order.

    Raises:
        SettingError: A folder has none, or the files made of two sources would have the same name.
    """
    tasks: dict[Path, Task] = {}
    for source, name in (found for one in sources for found in _files(one)):
        task = Task(source, out / name.parent / name.stem)
        other = tasks.setdefault(task.target, task)
        if other is not task and other.source.resolve() != source.resolve():
            raise SettingError(
                f"the files made of {other.source} and of {source} would have the same names, {task.target}.*;"
                " render them to different folders"
            )
    return list(tasks.values())


def render_file(task: Task, config: RenderConfig) -> list[str]:
    """Make the files of one source; what goes wrong is said, one line for each kind of file."""
    try:
        raw = read_performance(task.source)
    except PianogenError as error:
        return [str(error)]
    try:
        written = _Written.of(task, raw, config)
    except PianogenError as error:  # such as a grid in a damaged sidecar
        return [f"{task.source}: {error}"]
    reasons = []
    for make in (partial(_sounds, raw, config), written.score, written.svg, written.picture):
        try:
            for suffix, data in make():
                write_atomic(task.target.with_name(task.target.name + suffix), data)
        except PianogenError as error:
            reasons.append(f"{task.source}: {error}")
    return reasons


def _check(out: Path, config: RenderConfig) -> None:
    """Report at once what would fail for every file."""
    refuse_run_or_shards(out, "the files")
    sounds = sound_formats(config)
    if not (sounds or config.svg or config.musicxml or config.piano_roll):
        raise SettingError("nothing is to be made; leave out one of the flags that say false")
    check_sound(sounds, config.soundfont)


def _files(source: Path) -> Iterator[tuple[Path, Path]]:
    """Each file of a source, and its name relative to the source; of one folder and stem, the MIDI file only."""
    if not source.is_dir():
        yield source, Path(source.name)
        return
    found = sorted(path for path in find_sources(source) if path.is_file())
    if not found:
        raise SettingError(f"the folder {source} holds no MIDI file or score ({' '.join(source_suffixes())})")
    of_midi = {path.with_suffix("") for path in found if path.suffix.lower() in MIDI_SUFFIXES}
    for path in found:
        if path.suffix.lower() in MIDI_SUFFIXES or path.with_suffix("") not in of_midi:
            yield path, path.relative_to(source)


def _run(tasks: Sequence[Task], config: RenderConfig) -> Iterable[list[str]]:
    """What went wrong with each task, as they finish."""
    work = partial(render_file, config=config)
    workers = min(config.workers, len(tasks))
    return map(work, tasks) if workers == 1 else _in_processes(work, tasks, workers)


def _in_processes(work: Callable[[Task], list[str]], tasks: Sequence[Task], workers: int) -> Iterator[list[str]]:
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running = [pool.submit(work, task) for task in tasks]
        try:
            for future in as_completed(running):
                yield future.result()
        except BrokenProcessPool as error:
            raise RunError("a worker process was killed, perhaps for lack of memory; use fewer --workers") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _sounds(raw: RawNotes, config: RenderConfig) -> Iterator[tuple[str, bytes]]:
    """The audio files, by suffix."""
    if forms := sound_formats(config):
        sound = piano_sound(played(raw), config.soundfont)
        for form in forms:
            yield f".{form}", encode_sound(sound, form)


@dataclass(frozen=True)
class _Written:
    """What the score and the picture show; each of the functions yields files by suffix."""

    notes: Notes
    steps_per_quarter: int
    time_signature: tuple[int, int]
    prompt_steps: int | None
    title: str
    config: RenderConfig

    @classmethod
    def of(cls, task: Task, raw: RawNotes, config: RenderConfig) -> "_Written":
        piece = _sidecar(task.source)
        steps_per_quarter = piece.get("steps_per_quarter", config.steps_per_quarter)
        notes, _ = quantise(raw, TokenizerConfig(steps_per_quarter=steps_per_quarter))
        time_signature = plausible_metre(raw.time_signature)
        prompt_steps = piece.get("prompt_steps") or None
        return cls(notes, steps_per_quarter, time_signature, prompt_steps, task.source.stem, config)

    @property
    def _metre(self) -> dict[str, Any]:
        return {"steps_per_quarter": self.steps_per_quarter, "time_signature": self.time_signature}

    def score(self) -> Iterator[tuple[str, bytes]]:
        """MusicXML."""
        if self.config.musicxml:
            yield ".musicxml", musicxml_bytes(self.notes, **self._metre)

    def svg(self) -> Iterator[tuple[str, str]]:
        """The score as a picture."""
        if self.config.svg:
            from pianogen.render.notation import engraved

            yield ".svg", engraved(self.notes, **self._metre, title=self.title)

    def picture(self) -> Iterator[tuple[str, bytes]]:
        """The piano roll."""
        if self.config.piano_roll:
            from pianogen.render.piano_roll import piano_roll  # matplotlib is slow to import

            buffer = io.BytesIO()
            piano_roll(
                self.notes,
                buffer,
                steps_per_quarter=self.steps_per_quarter,
                bar_steps=bar_steps(self.time_signature, self.steps_per_quarter),
                prompt_steps=self.prompt_steps,
                title=self.title,
            )
            yield ".png", buffer.getvalue()


def _sidecar(source: Path) -> dict[str, int]:
    """The whole numbers that the sidecar of a piece of `pianogen generate` says; nothing for other files."""
    try:
        sidecar = json.loads(source.with_suffix(".json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(sidecar, dict) or "words" not in sidecar:
        return {}
    return {name: value for name, value in sidecar.items() if isinstance(value, int)}
