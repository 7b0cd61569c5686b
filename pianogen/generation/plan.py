"""What one request asks for: runs x prompts x seeds, each combination a series of numbered pieces.

DIR/0000.mid ...                     of one run, one prompt at most, and one seed
DIR/RUN/PROMPT/seed-0/0000.mid ...   of several of any
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pianogen.config import GenerateConfig, part_of
from pianogen.errors import SettingError
from pianogen.tokens import MIDI_SUFFIXES, SCORE_SUFFIXES

NO_PROMPT = "from-nothing"
_SUFFIXES = MIDI_SUFFIXES + SCORE_SUFFIXES


@dataclass(frozen=True)
class Series:
    """Pieces that differ by their number alone."""

    run: Path
    prompt: Path | None
    seed: int
    folder: Path


def plan(runs: Sequence[Path], out: Path, config: GenerateConfig) -> list[Series]:
    """List the series of a request; runs come first, then prompts, then seeds.

    Raises:
        SettingError: Two would share a folder, or the folder of prompts holds none.
    """
    prompts = _prompts(config)
    seeds = range(config.seed, config.seed + config.num_seeds)
    has_one = len(runs) == len(seeds) == 1 and (config.prompt is None or prompts == [Path(config.prompt)])
    of_run = {run: run.resolve().name for run in runs}
    of_prompt = {prompt: prompt.stem if prompt else NO_PROMPT for prompt in prompts}
    if len(of_run) < len(runs):
        raise SettingError("a run is named twice; name each once")
    _check_names("runs", of_run.values())
    _check_names("prompts", of_prompt.values())
    return [
        Series(run, prompt, seed, out if has_one else out / of_run[run] / of_prompt[prompt] / f"seed-{seed}")
        for run in runs
        for prompt in prompts
        for seed in seeds
    ]


def share(series: Sequence[Series], config: GenerateConfig) -> list[tuple[Series, list[int]]]:
    """The numbers to make of each series: of all pieces that are asked for, those of this task of an array."""
    first, step = part_of(config.part)
    return [
        (one, [piece for piece in range(config.num) if (place * config.num + piece) % step == first])
        for place, one in enumerate(series)
    ]


def _prompts(config: GenerateConfig) -> list[Path | None]:
    if config.prompt is None:
        return [None]
    path = Path(config.prompt)
    if not path.is_dir():
        return [path]
    files = (file for file in path.iterdir() if not file.name.startswith("."))
    found: list[Path | None] = [file for file in sorted(files) if file.name.lower().endswith(_SUFFIXES)]
    if not found:
        raise SettingError(f"the folder of prompts {path} holds no MIDI file or score ({' '.join(_SUFFIXES)})")
    return found


def _check_names(kind: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise SettingError(f"two {kind} are called {name!r}, and their pieces would share a folder; rename one")
        seen.add(name)
