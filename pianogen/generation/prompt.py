"""The beginning of a performance, for a model to continue."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from pianogen.config import TokenizerConfig
from pianogen.errors import SettingError
from pianogen.tokens import Notes, RawNotes, decode, encode, quantise, read_performance
from pianogen.tokens.metre import bar_steps, plausible_metre
from pianogen.tokens.vocab import BOS, EOS, FIRST_DURATION, PAD, SEP

DEFAULT_TEMPO = 120.0  # quarters per minute
_ROUNDING = 1e-6  # steps


def _start() -> Int[np.ndarray, " T"]:
    return np.array([BOS, PAD], dtype=np.int16)


@dataclass(frozen=True)
class Prompt:
    """What a piece starts from, and the metre and tempo it continues in; by default empty, in 4/4 at 120."""

    ids: Int[np.ndarray, " T"] = field(default_factory=_start)
    """`xxbos xxpad` and whole pairs, without xxeos."""
    num_steps: int = 0
    """Step from which the length of the continuation is counted: the cut, or the end of the last note."""
    steps_per_quarter: int = 4
    quarters_per_minute: float = DEFAULT_TEMPO
    """Tempo at the end of the prompt."""
    time_signature: tuple[int, int] = (4, 4)
    name: str | None = None
    """The file's name, without its folder."""
    sha256: str | None = None
    """Of the file's bytes."""

    @property
    def bar_steps(self) -> float:
        """Steps in a bar: 16 in 4/4 on a grid of sixteenths."""
        return bar_steps(self.time_signature, self.steps_per_quarter)

    @property
    def seconds_per_step(self) -> float:
        """Duration of a step at the prompt's last tempo."""
        return 60 / (self.quarters_per_minute * self.steps_per_quarter)

    @property
    def clock(self) -> int:
        """Onset of the last note, in steps."""
        return clock_and_end(self.ids)[0]


def read_prompt(
    path: Path, tokenizer: TokenizerConfig, *, seconds: float | None = None, bars: float | None = None
) -> Prompt:
    """Read the notes that start within the first `seconds` or `bars` of a file; each keeps its whole length.

    Seconds follow the file's tempo map, and bars its first time signature, or 4/4 if that is implausible.

    Raises:
        SourceError: The file is missing or broken.
        SettingError: Both cuts are set, or no note starts before the cut.
    """
    if seconds is not None and bars is not None:
        raise SettingError(f"settings 'prompt_seconds' ({seconds:g}) and 'prompt_bars' ({bars:g}) exclude each other")
    raw = read_performance(path)
    notes, _ = quantise(raw, tokenizer)
    whole = Prompt(steps_per_quarter=tokenizer.steps_per_quarter, time_signature=plausible_metre(raw.time_signature))
    steps_per_tick = tokenizer.steps_per_quarter / raw.ticks_per_quarter
    cut = math.inf  # steps
    if seconds is not None:
        cut = raw.ticks_at(seconds) * steps_per_tick
    elif bars is not None:
        cut = bars * whole.bar_steps
    kept = _before(notes, cut, path)
    ids = encode(kept)[:-1]
    return replace(
        whole,
        ids=ids,
        num_steps=_length(ids, kept, cut),
        quarters_per_minute=_tempo_before(raw, cut / steps_per_tick),
        name=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def prompt_of_ids(ids: Int[np.ndarray, " T"] | Sequence[int], tokenizer: TokenizerConfig) -> Prompt:
    """A prompt of token ids; an xxeos at their end is left out.

    Raises:
        TokenError: They break the grammar or end inside a pair.
    """
    ids = np.asarray(ids)
    decode(ids, allow_open=True)
    ids = ids[: -1 if ids[-1] == EOS else None].astype(np.int16)
    return Prompt(ids=ids, num_steps=clock_and_end(ids)[1], steps_per_quarter=tokenizer.steps_per_quarter)


def clock_and_end(ids: Int[np.ndarray, " T"]) -> tuple[int, int]:
    """Find the last onset and the end of the last note, in steps; both are 0 in a sequence without a note."""
    kinds, steps = ids[2::2], ids[3::2].astype(np.int64) - FIRST_DURATION
    if not len(steps):
        return 0, 0
    onsets = np.cumsum(np.where(kinds == SEP, steps, 0))
    ends = np.where(kinds == SEP, 0, onsets + steps)
    return int(onsets[-1]), int(ends.max())


def _before(notes: Notes, cut: float, path: Path) -> Notes:
    kept = notes.onset < cut - _ROUNDING
    if not kept.any():
        raise SettingError(
            f"the prompt {path} has no note on the keyboard in its first {cut:g} steps of the grid;"
            " raise --prompt_seconds or --prompt_bars, or use another file"
        )
    return notes.select(kept)


def _length(ids: Int[np.ndarray, " T"], notes: Notes, cut: float) -> int:
    clock, end = clock_and_end(ids)
    if math.isinf(cut):
        return end
    lost = int(notes.onset[-1]) - clock  # steps removed where long waits were capped
    return min(end, math.ceil(cut - _ROUNDING) - lost)


def _tempo_before(raw: RawNotes, tick: float) -> float:
    mark = int(np.searchsorted(raw.tempo_map.tick, tick, side="left")) - 1
    return float(raw.tempo_map.quarters_per_minute[max(mark, 0)])
