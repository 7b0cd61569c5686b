"""The baselines' scores beside those of the models, once for each set of shards.

RESULTS/SHARDS.baselines.json
"""

from pathlib import Path
from typing import Any

from pianogen.config import EvaluateConfig, Mask, to_dict
from pianogen.data import open_shards
from pianogen.errors import SettingError
from pianogen.evaluation.baselines import Baselines
from pianogen.evaluation.fit_cache import fit_of
from pianogen.evaluation.subsets import read_subset
from pianogen.files import write_json
from pianogen.progress import status
from pianogen.reproduce.plan import Plan, PlannedRun
from pianogen.reproduce.results import FORMAT, read_json

_SPLITS = ("test", "train")
Scores = dict[str, dict[str, Any]]  # split -> what `results` returns


def wanted(plan: Plan) -> list[PlannedRun]:
    """A run on each set of shards whose baselines are in a table."""
    first = [plan.runs[table.first_run] for table in plan.tables if table.baselines]
    return list({run.shard_set: run for run in first}.values())


def write_baselines(folder: Path, run: PlannedRun, shards: Path) -> None:
    """Fit the baselines to the train split of a run's shards and score them as the run is scored."""
    opened, mask = open_shards(shards), run.train.model.mask
    with status(f"fitting and scoring the baselines on {run.shard_set}"):
        baselines = Baselines.of(fit_of(opened, mask), mask)
        content: dict[str, Scores] = {}
        for split in _SPLITS:
            subset = read_subset(opened, split, EvaluateConfig())
            for name, counts in baselines.score(subset.performances).items():
                content.setdefault(name, {})[split] = subset.results(counts)
    entry = {"shards": to_dict(run.shards), "mask": mask}
    write_json(baselines_file(folder, run.shard_set), {"format": FORMAT, "entry": entry, "baselines": content})


def read_baselines(folder: Path, run: PlannedRun) -> dict[str, Scores]:
    """The scores by baseline; empty if they are not there yet.

    Raises:
        RunError: The file is damaged or of another format.
        SettingError: It was made with other settings.
    """
    file = baselines_file(folder, run.shard_set)
    if not file.exists():
        return {}
    content = read_json(file, {"entry", "baselines"})
    mask: Mask = run.train.model.mask
    if content["entry"] != {"shards": to_dict(run.shards), "mask": mask}:
        raise SettingError(f"{file} was made with other settings than the plan's; remove it to make it again")
    return content["baselines"]


def baselines_file(folder: Path, shard_set: str) -> Path:
    """The file of the baselines on some shards; a run's name has no dot, so that it is no run's."""
    return folder / f"{shard_set}.baselines.json"
