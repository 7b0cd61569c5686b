"""Performances of the test split whose beginnings are prompts, and what follows them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pianogen.data import ShardSet
from pianogen.errors import StudyError
from pianogen.generation import Prompt
from pianogen.metrics.music.windows import SECONDS_PER_QUARTER
from pianogen.randomness import RandomStream, generator
from pianogen.tokens import Notes, decode, encode

MIN_NOTES = 10  # of a prompt and of a continuation


@dataclass(frozen=True, eq=False)
class Excerpt:
    """The beginning of a performance."""

    notes: Notes
    """Of the prompt and of all that follows."""
    prompt: Prompt
    """The notes that begin before step `prompt.num_steps`."""
    metadata: dict[str, Any]

    @property
    def title(self) -> str:
        """Its composer, title and file, as far as they are known."""
        known = [str(self.metadata[name]) for name in ("composer", "title", "source") if self.metadata.get(name)]
        return ", ".join(known)


def choose_excerpts(shards: ShardSet, count: int, prompt_s: float, clip_s: float, seed: int) -> list[Excerpt]:
    """Draw performances that are long enough, each of another composition where the titles are known.

    Raises:
        StudyError: There are too few.
        ShardError: One cannot be read.
    """
    found: list[Excerpt] = []
    for excerpt in _long_enough(shards, prompt_s, clip_s, seed):
        found.append(excerpt)
        if len(found) == count:
            return found
    raise StudyError(
        f"the test split of {shards.folder} has {len(found)} performances of different compositions that last "
        f"{prompt_s + clip_s:g} s with at least {MIN_NOTES} notes before and after {prompt_s:g} s, but {count} are "
        "needed (one for the instructions); lower --prompts, or give other shards as --reference"
    )


def _long_enough(shards: ShardSet, prompt_s: float, clip_s: float, seed: int) -> Iterator[Excerpt]:
    test, spq = shards.split("test"), shards.tokenizer.steps_per_quarter
    steps, more = round(prompt_s * spq / SECONDS_PER_QUARTER), round(clip_s * spq / SECONDS_PER_QUARTER)
    compositions = set()
    for index in generator(seed, RandomStream.STUDY_PROMPTS).permutation(len(test)).tolist():
        metadata = test.metadata(index)
        composition = tuple(metadata.get(name) for name in ("composer", "title"))
        if composition in compositions and all(composition):
            continue
        notes = decode(test.tokens(index))
        if not len(notes):
            continue
        cut = int(notes.onset[0]) + steps  # silence before the first note does not count
        before = notes.onset < cut
        if before.all():
            continue
        end = notes.onset[~before][0] + more  # a clip begins with the first note after the prompt
        after = ~before & (notes.onset < end)
        if min(before.sum(), after.sum()) < MIN_NOTES or (notes.onset + notes.duration).max() < end:
            continue
        compositions.add(composition)
        prompt = notes.select(before)
        yield Excerpt(notes, Prompt(encode(prompt)[:-1], cut, spq), metadata)
