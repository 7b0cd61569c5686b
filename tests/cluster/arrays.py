"""Arrays of jobs on the test cluster: how the tasks end, where they run, and which process one of them is."""

import re
from pathlib import Path

from slurm_cluster import Cluster, until

EACH_A_NODE = "--mem=5G"  # of 8: Slurm would put all tasks on the first node
_TASK_S = 200  # for a task to begin or to end, on a busy machine


def wait_for_tasks(cluster: Cluster, array: str, *tasks: int) -> list[str]:
    """Wait until these tasks of an array have ended for good, and return how."""
    return [cluster.wait(f"{array}_{task}", _TASK_S) for task in tasks]


def nodes_of(cluster: Cluster, array: str) -> set[str]:
    """The nodes that the tasks of an array were given."""
    return set(re.findall(r"\bNodeList=(\S+)", cluster.ask("scontrol", "show", "job", array)))


def process_of_task(array: str, task: int, verb: str) -> int:
    """Wait until a task has started and return its process id: the nodes of the test cluster share the machine's."""
    found: list[int] = []

    def has_started() -> bool:
        found.extend(_processes(array, task, verb))
        return bool(found)

    until(has_started, _TASK_S, lambda: f"task {task} of array {array} has not started")
    return found[0]


def _processes(array: str, task: int, verb: str) -> list[int]:
    # srun and the shells around a rank carry no RANK
    wanted = {f"SLURM_ARRAY_JOB_ID={array}".encode(), f"SLURM_ARRAY_TASK_ID={task}".encode(), b"RANK=0"}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        if wanted <= set(environment) and f"\0pianogen\0{verb}\0".encode() in command:
            found.append(int(process.name))
    return found
