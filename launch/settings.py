"""What a job asks of a cluster, and how Slurm is told; slurm/*.sh ask for the same, by test."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pianogen.config import require
from pianogen.errors import SettingError

Verb = Literal["train", "shards", "generate", "evaluate", "sweep"]
_DAY, _FOUR_HOURS = 24 * 60, 4 * 60
TIME_MIN: dict[Verb, int] = {
    "train": _DAY,
    "sweep": _DAY,
    "shards": _FOUR_HOURS,
    "generate": _FOUR_HOURS,
    "evaluate": _FOUR_HOURS,
}
_SHARED_OUT_BY_ARRAY: frozenset[Verb] = frozenset({"shards", "generate"})
CPUS_PER_NODE = 8
SIGNAL_SECONDS = 120  # before the time limit: enough to finish a step and save


@dataclass(frozen=True)
class SubmitConfig:
    """Where a job runs and what it gets."""

    cluster: Literal["slurm", "local", "debug"] = "slurm"
    """slurm; local: the same job on this machine, in the background; debug: in this process."""
    nodes: int = 1
    """Machines."""
    tasks_per_node: int | None = None
    """Ranks on each node; by default one for each of its GPUs, or one."""
    gpus_per_node: int | None = None
    """GPUs on each node; by default SBATCH_GPUS_PER_NODE or SBATCH_GRES, which site.sh may set, or none."""
    cpus_per_task: int | None = None
    """CPU cores of a rank; by default the ranks of a node share 8."""
    partition: str | None = None
    """Slurm partition; by default SBATCH_PARTITION, or the cluster's own."""
    time_min: int | None = None
    """Time limit in minutes; by default a day for train and sweep, four hours for the rest."""
    array: int = 1
    """Tasks: shards divides its files among them, generate its pieces, and a sweep has as many workers."""
    jobs: str = "jobs"
    """Folder for the job folders; on a file system that all nodes share."""
    dry_run: bool = False
    """Print the batch file instead of submitting it."""

    def __post_init__(self) -> None:
        for name in ("nodes", "tasks_per_node", "cpus_per_task", "time_min", "array"):
            value = getattr(self, name)
            require(value is None or value >= 1, name, value, "at least 1")
        gpus = self.gpus_per_node
        require(gpus is None or gpus >= 0, "gpus_per_node", gpus, "at least 0")
        require("%" not in self.jobs, "jobs", self.jobs, "a path without %, which Slurm would replace")
        for name in ("nodes", "array"):
            alone = self.cluster == "slurm" or getattr(self, name) == 1
            require(alone, name, getattr(self, name), f"1 with --cluster {self.cluster}")


@dataclass(frozen=True)
class Resources:
    """The settings with their defaults filled in."""

    nodes: int
    tasks_per_node: int
    gpus_per_node: int
    cpus_per_task: int
    time_min: int


def resources_of(config: SubmitConfig, verb: Verb, environment: Mapping[str, str] = os.environ) -> Resources:
    """Fill the defaults in, as slurm/_run.sh does.

    Raises:
        SettingError: Several ranks are asked for where each would do all of the work, or the site's variable that asks
            for GPUs cannot be read.
    """
    gpus = config.gpus_per_node if config.gpus_per_node is not None else _gpus_of_site(environment)
    if verb in _SHARED_OUT_BY_ARRAY:
        for name in ("nodes", "tasks_per_node"):
            value = getattr(config, name)
            require(value in (None, 1), name, value, f"1 for {verb}, whose work --array shares out")
    tasks = config.tasks_per_node or (1 if verb in _SHARED_OUT_BY_ARRAY else max(1, gpus))
    cpus = config.cpus_per_task or max(1, CPUS_PER_NODE // tasks)
    return Resources(config.nodes, tasks, gpus, cpus, config.time_min or TIME_MIN[verb])


def num_gpus(asked: str, variable: str) -> int:
    """Count the GPUs of Slurm's --gpus-per-node (`4`, `a100`, `a100:4`, `volta:3,kepler:5`), or of its --gres.

    Raises:
        SettingError: It is in no form that Slurm knows; `variable` names where it stands.
    """
    return sum(_num_of(one.strip(), asked, variable) for one in asked.split(",") if one.strip())


def _num_of(one: str, asked: str, variable: str) -> int:
    words = re.split("[:=]", one.removeprefix("gres/").removeprefix("gres:"))
    if variable == "SBATCH_GRES" and words[0] != "gpu":  # `none`, or something else than GPUs
        return 0
    what = words[1:] if words[0] == "gpu" else words  # a type, a number, or both
    if all(words) and len(what) <= 2:
        if not what or (len(what) == 1 and not _is_number(what[0])):  # `a100` is one: a type such as 3g.20gb, too
            return 1
        if _is_number(what[-1]):
            return int(what[-1])
    rule = "as --gpus-per-node is, such as 4, a100 or a100:4,v100:2"
    if variable == "SBATCH_GRES":
        rule = "as --gres is, such as gpu:4 or gpu:a100:4"
    raise SettingError(f"{variable} is {asked!r}, but it must be written {rule}; or give --gpus_per_node")


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()


def _gpus_of_site(environment: Mapping[str, str]) -> int:
    for variable in ("SBATCH_GPUS_PER_NODE", "SBATCH_GRES"):
        if asked := environment.get(variable):
            return num_gpus(asked, variable)
    return 0


def sbatch_parameters(config: SubmitConfig, verb: Verb, after: str | None = None) -> dict[str, Any]:
    """The parameters of submitit's Slurm executor; `after` names a job that must have succeeded."""
    resources = resources_of(config, verb)
    return {
        "job_name": f"pianogen-{verb}",
        "partition": config.partition,
        "time": resources.time_min,
        "nodes": resources.nodes,
        "ntasks_per_node": resources.tasks_per_node,
        "cpus_per_task": resources.cpus_per_task,
        # what the site asks for stays as it is, with its types: sbatch reads the variable itself
        "gpus_per_node": config.gpus_per_node or None,
        "dependency": f"afterok:{after}" if after else None,
        "signal_delay_s": SIGNAL_SECONDS,
        "additional_parameters": {"requeue": True},
        "stderr_to_stdout": True,
        "wckey": None,  # submitit's own name for it, which some clusters refuse
        # the reasons stand in slurm/_run.sh
        "srun_args": [f"--cpus-per-task={resources.cpus_per_task}", "--kill-on-bad-exit=1", "--wait=0"],
    }


def overruled_variables(config: SubmitConfig, environment: Mapping[str, str] = os.environ) -> set[str]:
    """Variables that sbatch would prefer to the batch file, for settings that this command line gives."""
    given = {
        "SBATCH_PARTITION": config.partition,
        "SBATCH_TIMELIMIT": config.time_min,
        "SBATCH_GPUS_PER_NODE": config.gpus_per_node,
        # it may also name what is no GPU, and then stays
        "SBATCH_GRES": config.gpus_per_node if _only_gpus(environment.get("SBATCH_GRES", "")) else None,
    }
    return {name for name, value in given.items() if value is not None}


def _only_gpus(gres: str) -> bool:
    return bool(gres) and all(re.match(r"(gres[/:])?gpu([:=]|$)", one.strip()) for one in gres.split(","))
