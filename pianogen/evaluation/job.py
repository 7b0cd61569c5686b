"""The evaluation job: score runs on whole splits beside the baselines, write the results, and compare."""

from pathlib import Path

from pianogen.config import EvaluateConfig, Mask
from pianogen.data import ShardSet
from pianogen.distributed.process_group import end_ranks, start_ranks
from pianogen.evaluation.baselines import Baselines
from pianogen.evaluation.fit_cache import fit_of
from pianogen.evaluation.report import ComparisonRow
from pianogen.evaluation.result_files import publish, write_results
from pianogen.evaluation.results import Results
from pianogen.evaluation.run_scores import name_in_tables, names_of, score_run
from pianogen.evaluation.shard_comparison import compare_over_shards, differ_in_shards
from pianogen.evaluation.subsets import Subset, open_recorded_shards, read_subset, require_same_mask, require_trained_on
from pianogen.ops.arithmetic import reproducible_on_gpu
from pianogen.progress import status
from pianogen.runs import open_run, writable


@reproducible_on_gpu()
def evaluate(paths: list[Path], config: EvaluateConfig) -> list[ComparisonRow]:
    """Score every run, write the results, print one table and return its rows.

    Runs of different shards are compared on what their shards share: see `shard_comparison`. Of several ranks each
    scores a share, and rank 0 alone writes and returns rows.

    Raises:
        RunError: A run or checkpoint is missing or damaged, or its shards are not those it was trained on.
        SettingError: Runs are compared that differ in their masks, or whose shards share no performance.
    """
    runs = [open_run(writable(path)) for path in paths]
    require_same_mask(runs)
    accelerator = start_ranks()
    try:
        own = [run for run in runs if not run.is_exported] or runs  # exported runs are scored on any shards
        if differ_in_shards(own):
            return compare_over_shards(runs, config, writes=accelerator.is_main_process)
        shards = open_recorded_shards(own[0], config.shards)
        for run in runs:
            if run is not own[0]:
                require_trained_on(shards, run)
        subsets = [
            read_subset(shards, split, config) for split in ([config.split] if config.split else ["test", "train"])
        ]
        scored = [score_run(run, subsets, config) for run in runs]
        end_ranks()  # rank 0 goes on alone
        if accelerator.is_main_process:
            baselines = _Baselines(shards, runs[0].config.model.mask)
            for run, (checkpoint, found) in zip(runs, scored, strict=True):
                for subset in subsets:
                    write_results(run, checkpoint, subset, found[subset.split], baselines.results(subset), config)
            of_maestro = shards.source.get("kind") == "maestro"
            rows = [
                ComparisonRow(name_in_tables(name, run, config), run.config.model.kind, found, of_maestro=of_maestro)
                for name, run, (_, found) in zip(names_of(runs), runs, scored, strict=True)
            ]
            rows += baselines.rows(subsets)
            publish(runs, rows, config)
            return rows
    finally:
        end_ranks()
    return []


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
            self._results[subset.split] = {name: subset.results(counts) for name, counts in counted.items()}
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
