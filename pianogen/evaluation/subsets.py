"""What is scored: the shards that the runs were trained on, and the performances of their splits."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from pianogen.config import EvaluateConfig
from pianogen.data import ShardSet, Split, chosen_performances, open_shards_at
from pianogen.errors import RunError, SettingError
from pianogen.evaluation.counts import Counts
from pianogen.evaluation.results import Results, results
from pianogen.manifest import MANIFEST_NAME
from pianogen.progress import console
from pianogen.randomness import RandomStream
from pianogen.runs import Run
from pianogen.storage import is_url


@dataclass(frozen=True)
class Subset:
    """Performances to score, and which they are."""

    split: str
    performances: list[Int[np.ndarray, " T"]]
    notes: int
    seconds: float
    chosen: list[int] | None
    """Indices of the performances in the split; None for all."""
    shards: str = ""
    """Fingerprint of the shards."""

    def results(self, counts: Counts) -> Results:
        """What the counts of all its targets say; see `report.results`."""
        return results(counts, seconds=self.seconds, notes=self.notes)


def require_same_mask(runs: Sequence[Run]) -> None:
    """Refuse to compare likelihoods over different sets of words.

    Raises:
        SettingError: The runs differ in their mask.
    """
    if len({run.config.model.mask for run in runs}) > 1:
        raise SettingError(
            "the runs differ in model.mask, so that their likelihoods cannot be compared; evaluate them separately"
        )


def open_recorded_shards(run: Run, location: str | None, *, is_parent: bool = False) -> ShardSet:
    """Open the shards that a run was trained on, where they are now or, without a location, where they were.

    Args:
        is_parent: The location is a folder in which the shards of several runs are, each in a folder of its own.

    Raises:
        RunError: The shards are not those of the training.
        SettingError: The recorded path is a URL, or the parent folder does not hold the run's shards.
    """
    if location is None:
        location = _recorded_folder(run)
    elif is_parent:
        location = _find_below(location, run)
    shards = open_shards_at(location, tokenizer=run.tokenizer)
    require_trained_on(shards, run)
    return shards


def require_trained_on(shards: ShardSet, run: Run) -> None:
    """Refuse shards that the run was not trained on; of an exported run, only those of other tokens.

    Raises:
        RunError: They are other shards.
        SettingError: Their tokenizer has other settings.
    """
    recorded = run.environment["shards"]["fingerprint"]
    if shards.tokenizer != run.tokenizer:
        raise SettingError(f"{run.path} was trained on tokens of other settings than these shards; score it separately")
    if shards.fingerprint == recorded:
        return
    if not run.is_exported:
        raise RunError(
            f"{run.path} was trained on shards with fingerprint {recorded[:12]}, but these have "
            f"{shards.fingerprint[:12]}; use --shards to name the right ones"
        )
    console.print(
        f"{run.path.name} was trained on other shards ({recorded[:12]}), which may hold performances of these",
        soft_wrap=True,
    )


def _find_below(parent: str, run: Run) -> str:
    """The folder in `parent` that holds the run's shards."""
    wanted = run.environment["shards"]["fingerprint"]
    for manifest in sorted(Path(parent).glob(f"*/{MANIFEST_NAME}")):
        try:
            found = json.loads(manifest.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(found, dict) and found.get("fingerprint") == wanted:
            return str(manifest.parent)
    raise SettingError(
        f"no folder in {parent} holds the shards of {run.path}, fingerprint {wanted[:12]}; of runs of different "
        "shards, --shards names the folder that holds all their folders of shards"
    )


def _recorded_folder(run: Run) -> str:
    """The shards folder that the run recorded. A recorded URL is never opened: only one that the user types."""
    folder = run.environment["shards"]["folder"]
    if folder is None:
        raise SettingError(f"{run.path} is an export, which does not say where shards are; name some: --shards DIR")
    if not isinstance(folder, str) or is_url(folder):
        raise SettingError(f"{run.path} was trained on shards at {folder}; name them yourself: --shards {folder}")
    return folder


def read_subset(shards: ShardSet, name: str, config: EvaluateConfig) -> Subset:
    """Read a whole split; of train, a seeded choice of performances with about `train_tokens` tokens."""
    split = shards.split(name, variants=False)
    if name == "train" and split.lengths.sum() > config.train_tokens:
        return subset_of(split, name, chosen_of_train(split, config.train_tokens), shards.fingerprint)
    return subset_of(split, name, None, shards.fingerprint)


def subset_of(split: Split, name: str, chosen: list[int] | None, fingerprint: str) -> Subset:
    """Read performances of a split, by their indices; all without. `fingerprint` is that of its shards."""
    indices = range(len(split)) if chosen is None else chosen
    metadata = [split.metadata(index) for index in indices]
    return Subset(
        split=name,
        performances=[split.tokens(index) for index in indices],
        notes=sum(one["num_notes"] for one in metadata),
        seconds=sum(one["seconds"] for one in metadata),
        chosen=chosen,
        shards=fingerprint,
    )


def chosen_of_train(split: Split, num_tokens: int) -> list[int]:
    """Indices of performances with about `num_tokens` tokens, always the same; all if there are no more."""
    fraction = min(1.0, num_tokens / float(split.lengths.sum()))
    return chosen_performances(len(split), fraction, seed=0, stream=RandomStream.EVALUATED).tolist()
