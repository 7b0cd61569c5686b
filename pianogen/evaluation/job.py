"""The verb `evaluate`: score runs on whole splits beside the baselines, write it down, and compare.

RUN/evaluation/test.json  train.json   every average, by name, and the baselines on the same targets
RUN/evaluation/comparison.md  figure-5.png   the table, and the paper's Figure 5; of several runs, in their folder
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from rich.console import Console

from pianogen import track
from pianogen.config import EvaluateConfig, Mask
from pianogen.data import ShardSet, Split, chosen_performances, open_shards_at
from pianogen.distributed.process_group import end_ranks, start_ranks, sum_over_ranks
from pianogen.errors import RunError, SettingError
from pianogen.evaluation.baselines import Baselines
from pianogen.evaluation.counts import Counts
from pianogen.evaluation.figure import write_figure
from pianogen.evaluation.naming import metrics_of
from pianogen.evaluation.report import MODEL_NAMES, Results, Row, comparison_markdown, comparison_table, results
from pianogen.evaluation.score import divide, score
from pianogen.files import write_atomic, write_json
from pianogen.progress import Progress, console, status
from pianogen.randomness import RandomStream
from pianogen.runs import CheckpointInfo, Run, open_run
from pianogen.storage import is_copy, is_url

Performances = list[Int[np.ndarray, " T"]]


@dataclass(frozen=True)
class Subset:
    """Performances to score, and how to name them again."""

    split: str
    performances: Performances
    notes: int
    seconds: float
    chosen: list[int] | None
    """Which performances of the split; None for all."""


def evaluate(paths: list[Path], config: EvaluateConfig) -> list[Row]:
    """Score every run, write it down, print one table and return its rows. Under several ranks each scores a share.

    Raises:
        RunError: A run or checkpoint is missing or damaged, or its shards are not those it was trained on.
        SettingError: Runs with different shards or masks are compared.
    """
    runs = [open_run(path) for path in paths]
    accelerator = start_ranks()
    try:
        shards = _shards_of(runs, config)
        subsets = [_subset(shards, split, config) for split in ([config.split] if config.split else ["test", "train"])]
        scored = [_score_run(run, subsets, config) for run in runs]
        if accelerator.is_main_process:
            baselines = _Baselines(shards, runs[0].config.model.mask)
            for run, (checkpoint, found) in zip(runs, scored, strict=True):
                for subset in subsets:
                    _write(run, checkpoint, subset, found[subset.split], baselines.results(subset))
            rows = [_row(run, found) for run, (_, found) in zip(runs, scored, strict=True)]
            rows += baselines.rows(subsets)
            _publish(runs, rows, config.split)
            return rows
    finally:
        end_ranks()
    return []


def _shards_of(runs: list[Run], config: EvaluateConfig) -> ShardSet:
    prints = {run.environment["shards"]["fingerprint"]: run for run in runs}
    if len(prints) > 1:
        first, second, *_ = prints.values()
        raise SettingError(f"{first.path} and {second.path} were trained on different shards; compare runs of the same")
    masks = {run.config.model.mask for run in runs}
    if len(masks) > 1:
        raise SettingError(
            "the runs differ in model.mask, so that their likelihoods cannot be compared; evaluate them apart"
        )
    recorded = runs[0].environment["shards"]
    shards = open_shards_at(config.shards or _recorded_folder(runs[0]), tokenizer=runs[0].tokenizer)
    if shards.fingerprint != recorded["fingerprint"]:
        raise RunError(
            f"{runs[0].path} was trained on shards with fingerprint {recorded['fingerprint'][:12]}, but these have "
            f"{shards.fingerprint[:12]}; --shards names where the right ones lie"
        )
    return shards


def _recorded_folder(run: Run) -> str:
    """Where the run says that its shards lay. A file may name a folder, but it may not send us to a server."""
    folder = run.environment["shards"]["folder"]
    if not isinstance(folder, str) or is_url(folder):
        raise SettingError(f"{run.path} was trained on shards at {folder}; name them yourself: --shards {folder}")
    return folder


def _subset(shards: ShardSet, name: str, config: EvaluateConfig) -> Subset:
    """The whole of a split; of train a seeded choice of performances that holds about `train_tokens`."""
    split, chosen = shards.split(name, variants=False), None
    if name == "train" and split.lengths.sum() > config.train_tokens:
        chosen = _stand_for_train(split, config.train_tokens)
    places = range(len(split)) if chosen is None else chosen
    about = [split.metadata(place) for place in places]
    return Subset(
        split=name,
        performances=[split.tokens(place) for place in places],
        notes=sum(one["num_notes"] for one in about),
        seconds=sum(one["seconds"] for one in about),
        chosen=chosen,
    )


def _stand_for_train(split: Split, num_tokens: int) -> list[int]:
    return chosen_performances(
        len(split), num_tokens / float(split.lengths.sum()), seed=0, stream=RandomStream.EVALUATED
    ).tolist()


def _score_run(run: Run, subsets: list[Subset], config: EvaluateConfig) -> tuple[CheckpointInfo, dict[str, Results]]:
    """Score one run on every subset; every rank must call it, and gets the same."""
    model, checkpoint = run.load_model(config.checkpoint)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    found = {}
    for subset in subsets:
        mine = _share(subset.performances)
        title = f"scoring {run.path.name} on {subset.split}"
        with Progress(title, total=sum(map(len, mine)), unit="tokens", shown=_rank() == 0) as bar:
            counts = score(model, mine, run.config.model.mask, lanes=config.lanes, progress=bar.advance)
        vector = sum_over_ranks(torch.from_numpy(counts.to_vector()).to(device)).cpu().numpy()
        found[subset.split] = results(Counts.from_vector(vector), seconds=subset.seconds, notes=subset.notes)
    return checkpoint, found


def _share(performances: Performances) -> Performances:
    """The performances that this rank scores."""
    num_ranks = int(os.environ.get("WORLD_SIZE", "1"))
    return [performances[index] for index in divide([len(tokens) for tokens in performances], num_ranks)[_rank()]]


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))


class _Baselines:
    """The baselines of one data set, fitted when first asked for; what was found is kept beside the runs."""

    def __init__(self, shards: ShardSet, mask: Mask) -> None:
        self._shards = shards
        self._mask: Mask = mask
        self._fitted: Baselines | None = None
        self._results: dict[str, dict[str, Results]] = {}

    def results(self, subset: Subset) -> dict[str, Results]:
        """Every baseline's results on a subset, by name."""
        if subset.split not in self._results:
            with status(f"fitting the baselines and scoring them on {subset.split}"):
                counted = self._fit().score(subset.performances)
            self._results[subset.split] = {
                name: results(counts, seconds=subset.seconds, notes=subset.notes) for name, counts in counted.items()
            }
        return self._results[subset.split]

    def _fit(self) -> Baselines:
        if self._fitted is None:
            train = self._shards.split("train", variants=False)
            self._fitted = Baselines.fit([train.tokens(index) for index in range(len(train))], self._mask)
        return self._fitted

    def rows(self, subsets: list[Subset]) -> list[Row]:
        """The baselines as rows of the table."""
        by_split = {subset.split: self.results(subset) for subset in subsets}
        names = list(next(iter(by_split.values())))
        return [Row(name, None, {split: found[name] for split, found in by_split.items()}) for name in names]


def _row(run: Run, found: dict[str, Results]) -> Row:
    kind = run.config.model.kind
    named = MODEL_NAMES[kind] if run.path.name == kind else f"{MODEL_NAMES[kind]} ({run.path.name})"
    return Row(named, kind, found)


def _write(run: Run, checkpoint: CheckpointInfo, subset: Subset, found: Results, baselines: dict[str, Results]) -> None:
    folder = run.path / "evaluation"
    folder.mkdir(exist_ok=True)
    content: dict[str, Any] = {
        "split": subset.split,
        "step": checkpoint.step,
        "checkpoint_sha256": checkpoint.sha256,
        "performances": len(subset.performances),
        "chosen": subset.chosen,
        "metrics": metrics_of(subset.split, found),
        "results": found,
        "baselines": baselines,
    }
    write_json(folder / f"{subset.split}.json", content)


def _publish(runs: list[Run], rows: list[Row], split: str | None) -> None:
    """Draw the figure, write and print the table, and tell MLflow; MLflow being away costs a warning.

    What compares several runs lies in the folder that holds them, and what concerns one run in that run.
    """
    folder = runs[0].path / "evaluation" if len(runs) == 1 else runs[0].path.parent
    suffix = f"-{split}" if split else ""  # one split alone must not replace the table of all of them
    write_figure(rows, folder / f"figure-5{suffix}.png")
    write_atomic(folder / f"comparison{suffix}.md", comparison_markdown(rows))
    for run in runs:
        if is_copy(run.path):  # MLflow mirrors the run where it was made
            beside = f"pianogen track sync {run.path} --to URL puts them beside the run"
            console.print(f"results of {run.path.name} lie in its copy {run.path}; {beside}", soft_wrap=True)
        elif track.is_on():
            _mirror(run)
    Console(width=max(100, console.width)).print(comparison_table(rows))
    print(f"{folder / f'comparison{suffix}.md'}  {folder / f'figure-5{suffix}.png'}")


def _mirror(run: Run) -> None:
    try:
        track.sync(run.path)
    except RunError as error:
        console.print(f"[yellow]warning:[/] {error}", soft_wrap=True)
