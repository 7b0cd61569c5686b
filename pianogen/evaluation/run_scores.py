"""One run, scored on subsets of performances."""

from collections.abc import Sequence

import torch

from pianogen.config import EvaluateConfig
from pianogen.evaluation.report import MODEL_NAMES
from pianogen.evaluation.results import Results
from pianogen.evaluation.score import score_over_ranks
from pianogen.evaluation.subsets import Subset
from pianogen.models import PianoModel
from pianogen.ops.forms import using_form
from pianogen.runs import CheckpointInfo, Run


def load_to_score(run: Run, config: EvaluateConfig) -> tuple[PianoModel, CheckpointInfo]:
    """Load the run's model as the settings say, on the GPU if there is one."""
    model, checkpoint = run.load_model(config.checkpoint)
    model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu")).with_bf16(config.precision == "bf16")
    return model, checkpoint


def score_run(run: Run, subsets: Sequence[Subset], config: EvaluateConfig) -> tuple[CheckpointInfo, dict[str, Results]]:
    """Score a run on every subset, by split; every rank must call it, and gets the same."""
    model, checkpoint = load_to_score(run, config)
    found = {}
    for subset in subsets:
        title = f"scoring {run.path.name} on {subset.split}"
        with using_form(config.ops):
            counts = score_over_ranks(
                model, subset.performances, run.config.model.mask, rows=config.batch, progress_title=title
            )
        found[subset.split] = subset.results(counts)
    return checkpoint, found


def names_of(runs: Sequence[Run]) -> list[str]:
    """The name of each run's folder, after as many folders above it as tell it from the others."""
    paths = [run.path.resolve().parts for run in runs]
    return [
        next(
            "/".join(path[-depth:])
            for depth in range(1, len(path) + 1)
            if all(other[-depth:] != path[-depth:] for other in paths if other != path)
        )
        for path in paths
    ]


def name_in_tables(name: str, run: Run, config: EvaluateConfig) -> str:
    """The model's name, with that of the run where it says more."""
    kind = run.config.model.kind
    details = [name] if name != kind else []
    if config.precision != "fp32":
        details.append(config.precision)
    model = MODEL_NAMES.get(kind, kind)
    return f"{model} ({', '.join(details)})" if details else model
