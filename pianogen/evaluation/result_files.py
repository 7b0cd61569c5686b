"""What an evaluation leaves behind.

RUN/evaluation/test.json  train.json             every average by name, and the baselines on the same targets
RUN/evaluation/comparison.md  figure-5.png       the table and the figure of one run
PARENT/comparison.md  figure-5.png               the same of several runs, in the parent directory of the first that is
                                                 no copy in the cache

The results of --precision bf16 are beside those of fp32: test-bf16.json, comparison-bf16.md, and so on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pianogen import track
from pianogen.config import EvaluateConfig
from pianogen.evaluation.figure import write_figure
from pianogen.evaluation.report import ComparisonRow, comparison_markdown, comparison_table
from pianogen.evaluation.results import Results, metrics_of
from pianogen.evaluation.subsets import Subset
from pianogen.files import write_atomic, write_json
from pianogen.folders import RESULTS_FOLDER
from pianogen.progress import console
from pianogen.runs import CheckpointInfo, Run
from pianogen.storage import is_copy
from pianogen.terminal import print_tables


def write_results(
    run: Run,
    checkpoint: CheckpointInfo,
    subset: Subset,
    found: Results,
    baselines: dict[str, Results],
    config: EvaluateConfig,
) -> None:
    """Write RUN/evaluation/SPLIT.json; precision, ops and shards are in it only where they are not the usual ones."""
    folder, name = run.path / RESULTS_FOLDER, subset.split + _suffix(config)
    arithmetic = {"precision": config.precision, "ops": config.ops}
    folder.mkdir(exist_ok=True)
    content: dict[str, Any] = {
        "split": subset.split,
        "step": checkpoint.step,
        "checkpoint_sha256": checkpoint.sha256,
        "performances": len(subset.performances),
        "chosen": subset.chosen,
        **{key: value for key, value in arithmetic.items() if value != getattr(EvaluateConfig, key)},
        **({} if subset.shards == run.environment["shards"]["fingerprint"] else {"shards": subset.shards}),
        "metrics": metrics_of(name, found),
        "results": found,
        "baselines": baselines,
    }
    write_json(folder / f"{name}.json", content)


def _suffix(config: EvaluateConfig) -> str:
    return "" if config.precision == "fp32" else f"-{config.precision}"


def suffix_of(config: EvaluateConfig) -> str:
    """What file names of a comparison end in: one split alone must not replace the table of all of them."""
    return (f"-{config.split}" if config.split else "") + _suffix(config)


def folder_beside(runs: Sequence[Run]) -> Path:
    """The folder that contains the first run that is not a copy in the cache."""
    return next((run for run in runs if not is_copy(run.path)), runs[0]).path.parent


def publish(runs: list[Run], rows: list[ComparisonRow], config: EvaluateConfig) -> None:
    """Write the figure and the table, print the table, and mirror the runs to MLflow; a failure there is a warning."""
    folder = runs[0].path / RESULTS_FOLDER if len(runs) == 1 else folder_beside(runs)
    suffix = suffix_of(config)
    write_figure(rows, folder / f"figure-5{suffix}.png")
    write_atomic(folder / f"comparison{suffix}.md", comparison_markdown(rows))
    for run in runs:
        if is_copy(run.path):  # MLflow mirrors the original run
            upload = f"upload them with `pianogen track sync {run.path} --to URL`"
            console.print(f"the results of {run.path.name} are in its local copy {run.path}; {upload}", soft_wrap=True)
        elif track.is_on():
            track.sync_or_warn(run.path)
    print_tables(comparison_table(rows))
    print(f"{folder / f'comparison{suffix}.md'}  {folder / f'figure-5{suffix}.png'}")
