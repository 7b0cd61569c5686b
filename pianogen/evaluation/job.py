"""The evaluation job: score runs on whole splits beside the baselines, write the results, and compare."""

from pathlib import Path

import torch

from pianogen.config import EvaluateConfig, Mask
from pianogen.data import ShardSet
from pianogen.distributed.process_group import end_ranks, start_ranks
from pianogen.evaluation.baselines import Baselines
from pianogen.evaluation.fit_cache import fit_of
from pianogen.evaluation.report import MODEL_NAMES, ComparisonRow, Results, results
from pianogen.evaluation.result_files import publish, write_results
from pianogen.evaluation.score import score_over_ranks
from pianogen.evaluation.subsets import Subset, open_common_shards, read_subset
from pianogen.ops.arithmetic import reproducible_on_gpu
from pianogen.ops.forms import using_form
from pianogen.progress import status
from pianogen.runs import CheckpointInfo, Run, open_run, writable


@reproducible_on_gpu()
def evaluate(paths: list[Path], config: EvaluateConfig) -> list[ComparisonRow]:
    """Score every run, write the results, print one table and return its rows.

    Of several ranks each scores a share, and rank 0 alone writes and returns rows.

    Raises:
        RunError: A run or checkpoint is missing or damaged, or its shards are not those it was trained on.
        SettingError: Runs with different shards or masks are compared.
    """
    runs = [open_run(writable(path)) for path in paths]
    accelerator = start_ranks()
    try:
        shards = open_common_shards(runs, config)
        subsets = [
            read_subset(shards, split, config) for split in ([config.split] if config.split else ["test", "train"])
        ]
        scored = [_score_run(run, subsets, config) for run in runs]
        if accelerator.is_main_process:
            baselines = _Baselines(shards, runs[0].config.model.mask)
            for run, (checkpoint, found) in zip(runs, scored, strict=True):
                for subset in subsets:
                    write_results(run, checkpoint, subset, found[subset.split], baselines.results(subset), config)
            rows = [_row(run, found, config, shards) for run, (_, found) in zip(runs, scored, strict=True)]
            rows += baselines.rows(subsets)
            publish(runs, rows, config)
            return rows
    finally:
        end_ranks()
    return []


def _score_run(run: Run, subsets: list[Subset], config: EvaluateConfig) -> tuple[CheckpointInfo, dict[str, Results]]:
    """Score one run on every subset; every rank must call it, and gets the same."""
    model, checkpoint = run.load_model(config.checkpoint)
    model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu")).with_bf16(config.precision == "bf16")
    found = {}
    for subset in subsets:
        title = f"scoring {run.path.name} on {subset.split}"
        with using_form(config.ops):
            counts = score_over_ranks(
                model, subset.performances, run.config.model.mask, rows=config.lanes, progress_title=title
            )
        found[subset.split] = results(counts, seconds=subset.seconds, notes=subset.notes)
    return checkpoint, found


class _Baselines:
    """The baselines of one data set, fitted on first use; results are kept, because several runs share them."""

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
            self._fitted = Baselines.of(fit_of(self._shards, self._mask), self._mask)
        return self._fitted

    def rows(self, subsets: list[Subset]) -> list[ComparisonRow]:
        """The baselines as rows of the table."""
        by_split = {subset.split: self.results(subset) for subset in subsets}
        names = list(next(iter(by_split.values())))
        return [ComparisonRow(name, None, {split: found[name] for split, found in by_split.items()}) for name in names]


def _row(run: Run, found: dict[str, Results], config: EvaluateConfig, shards: ShardSet) -> ComparisonRow:
    kind = run.config.model.kind
    details = [run.path.name] if run.path.name != kind else []
    if config.precision != "fp32":
        details.append(config.precision)
    name = MODEL_NAMES.get(kind, kind)
    name = f"{name} ({', '.join(details)})" if details else name
    return ComparisonRow(name, kind, found, of_maestro=shards.source.get("kind") == "maestro")
