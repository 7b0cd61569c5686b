"""The files of a study's clips: sound under a random name, and the key to what each of them is."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pianogen.config import StudyNewConfig, TokenizerConfig
from pianogen.files import sha256_of
from pianogen.metrics.music.windows import SECONDS_PER_QUARTER
from pianogen.progress import Progress
from pianogen.randomness import RandomStream, generator
from pianogen.render.sound import encode_sound, played_piece
from pianogen.render.synthesis import PlayedNotes
from pianogen.study.anchor import shuffled
from pianogen.study.clips import clip_sound, seconds_of_check, separate_notes
from pianogen.study.cutting import cut
from pianogen.study.design import Hearing, Keyed
from pianogen.study.excerpts import Excerpt
from pianogen.study.folder import StudyFolder
from pianogen.study.raw import RawPerformances
from pianogen.study.stimuli import Stimulus
from pianogen.tokens import Notes, midi_bytes

_RAW_STEPS_PER_QUARTER = 48  # 10 ms at 120 quarters per minute
_RAW_STEP_S = SECONDS_PER_QUARTER / _RAW_STEPS_PER_QUARTER
CHECK_COUNTS = (2, 3, 4, 5)
NOT_RATED = -1  # in the key: the condition of a clip that is not a stimulus


@dataclass(frozen=True, eq=False)
class _Recording:
    """A clip to record."""

    condition: int
    number: int
    notes: PlayedNotes
    seconds: float
    source: str


class ClipWriter:
    """Collects clips, then records all of them."""

    def __init__(self, study: StudyFolder, config: StudyNewConfig, tokenizer: TokenizerConfig) -> None:
        """Make the folders."""
        self._study, self._config, self._tokenizer = study, config, tokenizer
        self._names = _names(config.seed)
        self._recordings: dict[str, _Recording] = {}
        study.clips.mkdir()
        study.key_path.with_suffix("").mkdir()

    @property
    def _seconds_per_step(self) -> float:
        return SECONDS_PER_QUARTER / self._tokenizer.steps_per_quarter

    def piece(self, condition: int, number: int, stimulus: Stimulus) -> str:
        """Add a clip of notes on the grid; returns its name."""
        notes = played_piece(stimulus.notes, self._seconds_per_step)
        name = self._add(condition, number, notes, self._config.seconds, stimulus.source)
        if condition != NOT_RATED:
            midi = midi_bytes(stimulus.notes, steps_per_quarter=self._tokenizer.steps_per_quarter)
            self._study.notes(name).write_bytes(midi)
        return name

    def raw(self, condition: int, number: int, excerpt: Excerpt, performances: RawPerformances) -> str:
        """Add a clip of what a performer played where the reference begins; returns its name."""
        start = self._first_onset(excerpt)
        notes = performances.played(excerpt, self._tokenizer, start, self._config.seconds)
        name = self._add(condition, number, notes, self._config.seconds, f"{excerpt.title}, as played")
        steps = [np.rint(values / _RAW_STEP_S).astype(np.int64) for values in (notes.onset, notes.duration)]
        table = Notes(steps[0], np.maximum(steps[1], 1), notes.pitch)
        order = np.lexsort((-table.pitch, table.onset))
        table = Notes(*(column[order] for column in (table.onset, table.duration, table.pitch)))
        self._study.notes(name).write_bytes(midi_bytes(table, steps_per_quarter=_RAW_STEPS_PER_QUARTER))
        return name

    def reference(self, excerpt: Excerpt) -> Stimulus:
        """What followed the prompt."""
        start = self._first_onset(excerpt)
        steps = round(self._config.seconds / self._seconds_per_step)
        return Stimulus(cut(excerpt.notes, start, steps, 1 / self._seconds_per_step), excerpt.title)

    def anchor(self, excerpt: Excerpt, number: int) -> Stimulus:
        """The notes of the reference at other times."""
        reference = self.reference(excerpt)
        notes = shuffled(reference.notes, generator(self._config.seed, RandomStream.STUDY_ANCHOR, number))
        return Stimulus(notes, f"{reference.source}, notes shuffled in time")

    def checks(self, what: str) -> tuple[Hearing, ...]:
        """Clips of 2 to 5 separate notes, in random order, whose number is asked for."""
        random, found = generator(self._config.seed, RandomStream.STUDY_CHECK, len(self._recordings)), []
        for count in CHECK_COUNTS:
            name = self._add(NOT_RATED, count, separate_notes(count, random), seconds_of_check(count), what)
            found.append(Hearing(name, "check", count))
        return tuple(found[index] for index in random.permutation(len(found)).tolist())

    def examples(self, excerpt: Excerpt) -> tuple[str, ...]:
        """Clips of the instructions: music of people, and the same notes shuffled, near the ends of the scale."""
        reference, anchor = self.reference(excerpt), self.anchor(excerpt, self._config.prompts)
        return self.piece(NOT_RATED, 0, reference), self.piece(NOT_RATED, 1, anchor)

    def record(self) -> tuple[dict[str, Keyed], dict[str, float]]:
        """Write the sound of every clip; returns the key and the lengths in seconds."""
        key: dict[str, Keyed] = {}
        with (
            Progress("recording", total=len(self._recordings), unit="clips") as bar,
            ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,  # numpy and libsndfile run beside each other
        ):
            for name, digest in zip(self._recordings, pool.map(self._record, self._recordings), strict=True):
                one = self._recordings[name]
                key[name] = Keyed(one.condition, one.number, one.source, digest)
                bar.advance(1)
        return key, {name: one.seconds for name, one in self._recordings.items()}

    def _record(self, name: str) -> str:
        """Write a clip's sound; returns its hash."""
        one, path = self._recordings[name], self._study.clip(name)
        path.write_bytes(encode_sound(clip_sound(one.notes, one.seconds, self._config.soundfont), "mp3"))
        return sha256_of(path)

    def _first_onset(self, excerpt: Excerpt) -> int:
        return 0 if self._config.with_prompt else excerpt.prompt.num_steps

    def _add(self, condition: int, number: int, notes: PlayedNotes, seconds: float, source: str) -> str:
        name = next(self._names)
        self._recordings[name] = _Recording(condition, number, notes, seconds, source)
        return name


def _names(seed: int) -> Iterator[str]:
    """Twelve random hexadecimal digits each, all different."""
    random, seen = generator(seed, RandomStream.STUDY_NAMES), set()
    while True:
        name = f"{int(random.integers(1 << 48)):012x}"
        if name not in seen:
            seen.add(name)
            yield name
