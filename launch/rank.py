"""What submitit starts on the nodes: each of its tasks becomes one rank of `pianogen VERB`."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol


class Job(Protocol):
    """What is asked of submitit's JobEnvironment."""

    @property
    def global_rank(self) -> int: ...
    @property
    def local_rank(self) -> int: ...
    @property
    def num_tasks(self) -> int: ...
    @property
    def num_nodes(self) -> int: ...
    @property
    def hostnames(self) -> Sequence[str]: ...
    @property
    def raw_job_id(self) -> str: ...


def become_rank(arguments: Sequence[str]) -> None:
    """Run `pianogen ARGUMENTS` in place of this process.

    So nothing of submitit's remains: its signal handlers, which would requeue the job before it has saved, are gone,
    and the exit status is the program's own.
    """
    from submitit import JobEnvironment

    environment = rank_environment(JobEnvironment(), os.environ)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # it would end Python, until the trainer's handler is up
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-P", "-m", "pianogen", *arguments], environment)


def rank_environment(job: Job, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment that torch reads: which rank this is, and where the others are."""
    ranks = {
        "RANK": str(job.global_rank),
        "LOCAL_RANK": str(job.local_rank),
        "WORLD_SIZE": str(job.num_tasks),
        "LOCAL_WORLD_SIZE": str(job.num_tasks // job.num_nodes),
        "MASTER_ADDR": job.hostnames[0] if job.num_nodes > 1 else "127.0.0.1",
        "MASTER_PORT": str(10000 + int(job.raw_job_id) % 20000),  # below the ports that the kernel hands out
        "PYTHONUNBUFFERED": "1",
    }
    threads = environment.get("OMP_NUM_THREADS") or environment.get("SLURM_CPUS_PER_TASK")
    return {**environment, **ranks, **({"OMP_NUM_THREADS": threads} if threads else {})}
