"""What a run's folder and its scores say, as the content of a result file."""

import json
import statistics
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from pianogen.config import EvaluateConfig
from pianogen.data import open_shards
from pianogen.evaluation.counts import FIRST_TARGET
from pianogen.evaluation.predictions import Predictions, padding_of_batches, predict
from pianogen.evaluation.run_scores import load_to_score
from pianogen.evaluation.subsets import Subset, read_subset
from pianogen.metrics import PerformanceSums
from pianogen.ops.arithmetic import reproducible_on_gpu
from pianogen.progress import Progress
from pianogen.reproduce.machine import processor_name
from pianogen.reproduce.plan import PlannedRun
from pianogen.runs import Run, open_run
from pianogen.track.run_folder import RunFolder
from pianogen.train.usage import CPU

CHECKPOINT = "last"  # of runs of equal tokens, the best checkpoints would differ in tokens


def progress_of(planned: PlannedRun, folder: Path) -> dict[str, Any] | None:
    """How far a run is; None if its folder has no step yet."""
    lines = list(RunFolder(folder).lines())
    tokens = {line["step"]: line["train/tokens"] for line in lines if "train/tokens" in line}
    if not tokens:
        return None
    speeds = [line["train/tokens_per_s"] for line in lines if "train/tokens_per_s" in line]
    per_cpu_s = [
        line["train/tokens_per_s"] * 100 / line[CPU] for line in lines if "train/tokens_per_s" in line and line.get(CPU)
    ]
    run = open_run(folder)
    return {
        "entry": planned.entry,
        "commit": run.environment.get("git_commit"),
        "seed": run.config.seed,
        "steps": max(tokens),
        "tokens": max(tokens.values()),
        "hours": round(_seconds(folder) / 3600, 3),
        "tokens_per_s": round(statistics.median(speeds)) if speeds else None,
        "tokens_per_cpu_s": round(statistics.median(per_cpu_s)) if per_cpu_s else None,
        "machine": _machine(run),
        "precision": run.config.precision,
        "curve": _curve(lines, tokens),
    }


def _curve(lines: list[dict[str, Any]], tokens: dict[int, int]) -> list[dict[str, Any]]:
    by_step = {line["step"]: line for line in lines if "validation/nll" in line and line["step"] in tokens}
    return [
        {
            "tokens": tokens[step],
            "nll": round(line["validation/nll"], 5),
            "weighted_f1": round(line["validation/f1_weighted"], 5),
        }
        for step, line in sorted(by_step.items())
    ]


def _seconds(folder: Path) -> float:
    try:
        return float(json.loads((folder / "status.json").read_text())["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def _machine(run: Run) -> dict[str, Any]:
    environment = run.environment
    names = ("cores", "threads", "gpu", "operations")
    return {"processor": processor_name(), **{name: environment.get(name) for name in names}}


@reproducible_on_gpu()
def score_run(planned: PlannedRun, folder: Path, shards: Path) -> tuple[dict[str, Any], PerformanceSums]:
    """Score the last checkpoint of a run on the test split and a part of train; return scores for its result."""
    run = open_run(folder)
    model, checkpoint = load_to_score(run, EvaluateConfig(checkpoint=CHECKPOINT))
    opened = open_shards(shards)
    test, train = (read_subset(opened, split, EvaluateConfig()) for split in ("test", "train"))
    passes = [test, train, *[test] * planned.paper_code]
    with Progress(f"scoring {folder.name}", total=sum(map(_num_targets, passes)), unit="tokens") as bar:
        score = partial(predict, model, mask=run.config.model.mask, progress=bar.advance)
        carried, trained = score(test.performances), score(train.performances)
        scores = {
            "parameters": model.num_parameters,
            "checkpoint": {"step": checkpoint.step, "sha256": checkpoint.sha256},
            "shards": run.environment["shards"]["fingerprint"],
            "test": {"performances": len(test.performances), **test.results(carried.counts())},
            "train": {"performances": len(train.performances), **train.results(trained.counts())},
        }
        if planned.paper_code:
            excerpt_tokens = run.config.data.excerpt_tokens
            cut = score(test.performances, excerpt_tokens=excerpt_tokens)
            scores["paper_code"] = {"excerpt_tokens": excerpt_tokens, **_as_paper_code(cut, test)}
            scores["padded_batches"] = _padded_batches(carried, test, run.config.global_batch)
    return scores, carried.by_performance()


def _num_targets(subset: Subset) -> int:
    return sum(len(ids) - FIRST_TARGET for ids in subset.performances)


def _as_paper_code(cut: Predictions, subset: Subset) -> dict[str, Any]:
    found = subset.results(cut.counts())
    return {
        "nll": found["nll"]["nats_per_token"],
        "without_padding": found["averages"],
        "with_padding": asdict(cut.averages_with_padding(cut.padding)),
        "padding_share": _share(cut.padding, cut),
    }


def _padded_batches(found: Predictions, subset: Subset, batch: int) -> dict[str, Any]:
    """Scores with whole performances padded to the longest one of each batch, and padding as a class."""
    padding = padding_of_batches([len(ids) - 1 for ids in subset.performances], batch)
    return {
        "batch": batch,
        "with_padding": asdict(found.averages_with_padding(padding)),
        "padding_share": _share(padding, found),
    }


def _share(padding: int, found: Predictions) -> float:
    return padding / (padding + len(found.targets))
