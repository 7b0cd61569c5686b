"""The function that submitit starts on the nodes: each of its tasks becomes one rank of `pianogen VERB`."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol


class Job(Protocol):
    """The part of submitit's JobEnvironment that is used."""

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
    """Replace this process by `pianogen ARGUMENTS`.

    This removes submitit's signal handlers, which would requeue the job before it has saved a checkpoint, and makes the
    exit status the program's own.
    """
    from submitit import JobEnvironment

    environment = rank_environment(JobEnvironment(), os.environ)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # it would end Python before the trainer's handler is installed
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-P", "-m", "pianogen", *arguments], environment)


def rank_environment(job: Job, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of torch: this rank, and the address of rank 0."""
    ranks = {
        "RANK": str(job.global_rank),
        "LOCAL_RANK": str(job.local_rank),
        "WORLD_SIZE": str(job.num_tasks),
        "LOCAL_WORLD_SIZE": str(job.num_tasks // job.num_nodes),
        "MASTER_ADDR": job.hostnames[0] if job.num_nodes > 1 else "127.0.0.1",
        "MASTER_PORT": str(10000 + int(job.raw_job_id) % 20000),  # below the kernel's ephemeral ports
        "PYTHONUNBUFFERED": "1",
    }
    threads = environment.get("OMP_NUM_THREADS") or environment.get("SLURM_CPUS_PER_TASK")
    return {**environment, **ranks, **({"OMP_NUM_THREADS": threads} if threads else {})}
