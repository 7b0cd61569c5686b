"""What is scored: the shards that the runs were trained on, and the performances of their splits."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from pianogen.config import EvaluateConfig
from pianogen.data import ShardSet, Split, chosen_performances, open_shards_at
from pianogen.errors import RunError, SettingError
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


def open_common_shards(runs: list[Run], config: EvaluateConfig) -> ShardSet:
    """Open the shards that all runs were trained on; exported runs may have been trained on others.

    Raises:
        RunError: The shards are not those of the training.
        SettingError: The runs differ in shards or mask, or the recorded path of the shards is a URL.
    """
    not_exported = [run for run in runs if not run.is_exported]
    by_fingerprint = {run.environment["shards"]["fingerprint"]: run for run in not_exported}
    if len(by_fingerprint) > 1:
        first, second, *_ = by_fingerprint.values()
        raise SettingError(f"{first.path} and {second.path} were trained on different shards; compare runs of the same")
    if len({run.config.model.mask for run in runs}) > 1:
        raise SettingError(
            "the runs differ in model.mask, so that their likelihoods cannot be compared; evaluate them separately"
        )
    first = [*not_exported, *runs][0]
    shards = open_shards_at(config.shards or _recorded_folder(first), tokenizer=first.tokenizer)
    for run in runs:
        _require_trained_on(shards, run)
    return shards


def _require_trained_on(shards: ShardSet, run: Run) -> None:
    """Refuse shards that the run was not trained on; of an exported run, only those of other tokens."""
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
    split, chosen = shards.split(name, variants=False), None
    if name == "train" and split.lengths.sum() > config.train_tokens:
        chosen = _choose(split, config.train_tokens)
    indices = range(len(split)) if chosen is None else chosen
    metadata = [split.metadata(index) for index in indices]
    return Subset(
        split=name,
        performances=[split.tokens(index) for index in indices],
        notes=sum(one["num_notes"] for one in metadata),
        seconds=sum(one["seconds"] for one in metadata),
        chosen=chosen,
        shards=shards.fingerprint,
    )


def _choose(split: Split, num_tokens: int) -> list[int]:
    fraction = num_tokens / float(split.lengths.sum())
    return chosen_performances(len(split), fraction, seed=0, stream=RandomStream.EVALUATED).tolist()
