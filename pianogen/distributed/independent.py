"""Ranks that work without a process group: each takes its share of the work and one GPU of its node."""

from collections.abc import Mapping, MutableMapping

from pianogen.errors import LaunchError


def rank_and_count(environment: Mapping[str, str]) -> tuple[int, int]:
    """This process among those that one launcher, or one srun, started for the same command; (0, 1) without one.

    Raises:
        LaunchError: The launcher's variables do not name a rank.
    """
    # not SLURM_NTASKS, which the one process of a batch script has too
    names = ("RANK", "WORLD_SIZE") if "WORLD_SIZE" in environment else ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")
    if names[1] not in environment:
        return 0, 1
    rank, count = (environment.get(name, "") for name in names)
    if not (rank.isdecimal() and count.isdecimal() and int(rank) < int(count)):
        raise LaunchError(
            f"{names[0]} is {rank!r} and {names[1]} is {count!r}, but they must number the ranks from 0; start through "
            "slurm/*.sh, `pianogen submit`, torchrun or srun"
        )
    return int(rank), int(count)


def take_one_gpu(environment: MutableMapping[str, str]) -> None:
    """Leave only the GPU of this rank visible, of those of its node. Call it before CUDA starts."""
    local_rank = int(environment.get("LOCAL_RANK") or environment.get("SLURM_LOCALID") or "0")
    devices = environment.get("CUDA_VISIBLE_DEVICES", str(local_rank)).split(",")
    environment["CUDA_VISIBLE_DEVICES"] = devices[local_rank % len(devices)]


def separate_ranks(environment: MutableMapping[str, str]) -> None:
    """Make each rank of a job a worker of its own, which trains on its own GPU of the node without a process group.

    Also a single rank: a process group, which a launcher's variables request, would not last beyond the first trial.
    """
    if "WORLD_SIZE" not in environment:
        return
    if int(environment["WORLD_SIZE"]) > 1:
        take_one_gpu(environment)
    environment["RANK"] = "0"  # any of them may be the last that can request the requeue
    # LOCAL_WORLD_SIZE stays: the workers of a node share its cores
    for name in ("WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "SLURM_NTASKS"):
        environment.pop(name, None)
