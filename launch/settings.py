"""The resources of a job, as settings and as parameters of sbatch; a test compares them with slurm/*.sh."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pianogen.config import require
from pianogen.errors import SettingError

Verb = Literal["train", "shards", "generate", "evaluate", "sweep", "reproduce"]
_DAY, _FOUR_HOURS = 24 * 60, 4 * 60
TIME_MIN: dict[Verb, int] = {
    "train": _DAY,
    "sweep": _DAY,
    "reproduce": _DAY,
    "shards": _FOUR_HOURS,
    "generate": _FOUR_HOURS,
    "evaluate": _FOUR_HOURS,
}
CPUS_PER_NODE = 8
SIGNAL_SECONDS = 120  # before the time limit, to finish a step and save a checkpoint


@dataclass(frozen=True)
class SubmitConfig:
    """Where a job runs and with which resources."""

    cluster: Literal["slurm", "local", "debug"] = "slurm"
    """slurm; local: the same job on this machine, in the background; debug: in this process."""
    nodes: int = 1
    """Machines."""
    tasks_per_node: int | None = None
    """Ranks on each node; by default one for each of its GPUs, or one."""
    gpus_per_node: int | None = None
    """GPUs on each node; by default those of SBATCH_GPUS_PER_NODE or SBATCH_GRES, which site.sh may set, or none."""
    cpus_per_task: int | None = None
    """CPU cores per rank; by default the ranks of a node share 8."""
    partition: str | None = None
    """Slurm partition; by default SBATCH_PARTITION, or the cluster's own."""
    time_min: int | None = None
    """Time limit in minutes; by default a day for train, sweep and reproduce, four hours for the rest."""
    array: int = 1
    """Array tasks: shards divides its files among them, generate its pieces, reproduce its runs; a sweep runs as many
    workers. The ranks of a task of generate divide its pieces once more."""
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
            is_possible = self.cluster == "slurm" or getattr(self, name) == 1
            require(is_possible, name, getattr(self, name), f"1 with --cluster {self.cluster}")


@dataclass(frozen=True)
class Resources:
    """The settings with their defaults filled in."""

    nodes: int
    tasks_per_node: int
    gpus_per_node: int
    cpus_per_task: int
    time_min: int


def resources_of(config: SubmitConfig, verb: Verb, environment: Mapping[str, str] = os.environ) -> Resources:
    """Fill in the defaults, as slurm/_run.sh does.

    Raises:
        SettingError: Several ranks are requested for a job that has one, or the site's variable for GPUs is invalid.
    """
    gpus = config.gpus_per_node if config.gpus_per_node is not None else _gpus_of_site(environment)
    reason = _reason_for_one_rank(config, verb)
    if reason:
        for name in ("nodes", "tasks_per_node"):
            value = getattr(config, name)
            require(value in (None, 1), name, value, f"1 for {verb}{reason}")
    tasks = config.tasks_per_node or (1 if reason else max(1, gpus))
    cpus = config.cpus_per_task or max(1, CPUS_PER_NODE // tasks)
    return Resources(config.nodes, tasks, gpus, cpus, config.time_min or TIME_MIN[verb])


def _reason_for_one_rank(config: SubmitConfig, verb: Verb) -> str:
    if verb in ("shards", "reproduce"):
        return ", which is divided by --array"
    # elsewhere a second job writes the page of all pieces
    return " with --cluster local" if verb == "generate" and config.cluster == "local" else ""


def num_gpus(asked: str, variable: str) -> int:
    """Count the GPUs of Slurm's --gpus-per-node (`4`, `a100`, `a100:4`, `volta:3,kepler:5`), or of its --gres.

    Raises:
        SettingError: The value, which is that of `variable`, has none of Slurm's forms.
    """
    return sum(_num_of(one.strip(), asked, variable) for one in asked.split(",") if one.strip())


def _num_of(one: str, asked: str, variable: str) -> int:
    words = re.split("[:=]", one.removeprefix("gres/").removeprefix("gres:"))
    if variable == "SBATCH_GRES" and words[0] != "gpu":  # `none`, or other resources than GPUs
        return 0
    what = words[1:] if words[0] == "gpu" else words  # a type, a number, or both
    if all(words) and len(what) <= 2:
        if not what or (len(what) == 1 and not _is_number(what[0])):  # `a100` means one; so does a type such as 3g.20gb
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
    """The parameters of submitit's Slurm executor; `after` is the number of a job that must succeed first."""
    resources, ends_others = resources_of(config, verb), int(verb != "generate")
    return {
        "job_name": f"pianogen-{verb}",
        "partition": config.partition,
        "time": resources.time_min,
        "nodes": resources.nodes,
        "ntasks_per_node": resources.tasks_per_node,
        "cpus_per_task": resources.cpus_per_task,
        # sbatch reads the site's variable itself, with its types of GPUs
        "gpus_per_node": config.gpus_per_node or None,
        "dependency": f"afterok:{after}" if after else None,
        "signal_delay_s": SIGNAL_SECONDS,
        "additional_parameters": {"requeue": True},
        "stderr_to_stdout": True,
        "wckey": None,  # submitit's default, which some clusters refuse
        # for the reasons see slurm/_run.sh
        "srun_args": [f"--cpus-per-task={resources.cpus_per_task}", f"--kill-on-bad-exit={ends_others}", "--wait=0"],
    }


def overridden_variables(config: SubmitConfig, environment: Mapping[str, str] = os.environ) -> set[str]:
    """Variables that sbatch would prefer to the batch file, but that a setting of this command overrides."""
    given = {
        "SBATCH_PARTITION": config.partition,
        "SBATCH_TIMELIMIT": config.time_min,
        "SBATCH_GPUS_PER_NODE": config.gpus_per_node,
        # kept if it requests other resources than GPUs too
        "SBATCH_GRES": config.gpus_per_node if _only_gpus(environment.get("SBATCH_GRES", "")) else None,
    }
    return {name for name, value in given.items() if value is not None}


def _only_gpus(gres: str) -> bool:
    return bool(gres) and all(re.match(r"(gres[/:])?gpu([:=]|$)", one.strip()) for one in gres.split(","))
