"""Runs of different shards, such as of different tokenizers, compared on the performances that all shards have.

PARENT/comparison-shards.{md,png,json}     table, figure and every number, beside the first run that is not a copy
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pianogen.config import EvaluateConfig
from pianogen.data import ShardSet
from pianogen.distributed.process_group import end_ranks
from pianogen.errors import SettingError
from pianogen.evaluation.baselines import Baselines
from pianogen.evaluation.fit_cache import fit_of
from pianogen.evaluation.nll_figure import write_nll_figure
from pianogen.evaluation.report import ComparisonRow
from pianogen.evaluation.result_files import folder_beside, suffix_of
from pianogen.evaluation.run_scores import name_in_tables, names_of, score_run
from pianogen.evaluation.shard_report import ShardsRow, shards_caption, shards_markdown, shards_table
from pianogen.evaluation.subsets import Subset, chosen_of_train, open_recorded_shards, subset_of
from pianogen.files import write_atomic, write_json
from pianogen.progress import status
from pianogen.runs import Run
from pianogen.terminal import print_tables

_BASELINE = "5-gram"  # of each tokenizer: what its tokens cost a model that knows little


def differ_in_shards(runs: Sequence[Run]) -> bool:
    """Whether the runs were trained on several data sets."""
    return len({_fingerprint(run) for run in runs}) > 1


def compare_over_shards(runs: Sequence[Run], config: EvaluateConfig, *, writes: bool) -> list[ComparisonRow]:
    """Score every run on the performances of one split, by default test, that the shards of all runs have in it.

    Every rank must call it; the one that `writes` writes the results, prints the table and returns its rows.

    Raises:
        SettingError: There is no such performance, or the shards cannot be found.
        ShardError, RunError: Shards are missing or damaged, or are not those of the training.
    """
    split = config.split or "test"
    shards = {_fingerprint(run): open_recorded_shards(run, config.shards, is_parent=True) for run in runs}
    subsets = common_subsets(shards, split, config)
    scored = [(run, *score_run(run, [subsets[_fingerprint(run)]], config)) for run in runs]
    end_ranks()  # the one that writes goes on alone
    if not writes:
        return []
    names = names_of(runs)
    rows = [
        ShardsRow(name_in_tables(name, run, config), run.config.model.kind, run.tokenizer, found[split])
        for name, (run, _, found) in zip(names, scored, strict=True)
    ]
    rows += [_baseline(shards[key], subset, runs[0]) for key, subset in subsets.items()]
    num_common = len(next(iter(subsets.values())).performances)
    left_out = {
        name: len(shards[_fingerprint(run)].split(split, variants=False)) - num_common
        for name, run in zip(names, runs, strict=True)
    }
    caption = shards_caption(rows, split, num_common, left_out)
    content: dict[str, Any] = {
        "split": split,
        "left_out": left_out,
        "sources": _sources(shards, subsets),
        "shards": {
            key: {"tokenizer": asdict(one.tokenizer), "performances": subsets[key].chosen}
            for key, one in shards.items()
        },
        "runs": {
            name: {"step": point.step, "checkpoint_sha256": point.sha256, "shards": _fingerprint(run)}
            for name, (run, point, _) in zip(names, scored, strict=True)
        },
        "rows": [row.content() for row in rows],
    }
    _publish(folder_beside(runs), rows, caption, content, config)
    return [ComparisonRow(row.name, row.kind, {split: row.found}) for row in rows]


def common_subsets(shards: dict[str, ShardSet], name: str, config: EvaluateConfig) -> dict[str, Subset]:
    """The performances that one split of all shards has, told by the SHA-256 of their source files, in one order.

    Raises:
        SettingError: There is none.
    """
    splits = {key: one.split(name, variants=False) for key, one in shards.items()}
    index_of = {
        key: {_source(split.metadata(index)): index for index in range(len(split))} for key, split in splits.items()
    }
    first, *others = index_of
    common = [source for source in index_of[first] if all(source in index_of[key] for key in others)]
    if not common:
        folders = ", ".join(str(one.folder) for one in shards.values())
        raise SettingError(
            f"the {name} splits of {folders} have no performance in common, so that their runs cannot be compared; "
            "make the shards of the same files, with the same --split and --seed"
        )
    if name == "train":
        indices = [index_of[first][source] for source in common]
        common = [common[one] for one in chosen_of_train(splits[first].subset(indices), config.train_tokens)]
    return {
        key: subset_of(split, name, [index_of[key][source] for source in common], key) for key, split in splits.items()
    }


def _fingerprint(run: Run) -> str:
    return run.environment["shards"]["fingerprint"]


def _source(metadata: dict[str, Any]) -> str:
    return metadata.get("sha256") or metadata["source"]


def _sources(shards: dict[str, ShardSet], subsets: dict[str, Subset]) -> list[str]:
    key, subset = next(iter(subsets.items()))
    split = shards[key].split(subset.split, variants=False)
    return [split.metadata(index)["source"] for index in subset.chosen or ()]


def _baseline(shards: ShardSet, subset: Subset, run: Run) -> ShardsRow:
    mask = run.config.model.mask
    with status(f"fitting the baselines of {shards.folder}"):
        counts = Baselines.of(fit_of(shards, mask), mask).score(subset.performances)[_BASELINE]
    found = subset.results(counts)
    return ShardsRow(_BASELINE, None, shards.tokenizer, found)


def _publish(
    folder: Path, rows: Sequence[ShardsRow], caption: str, content: dict[str, Any], config: EvaluateConfig
) -> None:
    path = folder / f"comparison-shards{suffix_of(config)}.md"
    write_nll_figure(rows, path.with_suffix(".png"))
    write_json(path.with_suffix(".json"), content)
    write_atomic(path, shards_markdown(rows, caption))
    print_tables(shards_table(rows, caption))
    print(f"{path}  {path.with_suffix('.png')}")
