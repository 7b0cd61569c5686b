"""The process group of one job: start, agreement checks, collectives and end.

A single process is a job of one rank; the code above this module does not distinguish the two.
"""

import atexit
import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn.functional  # DDP would import it while there is a group, and its defaults keep that
from accelerate import Accelerator
from accelerate.utils import DeepSpeedPlugin, DistributedType, InitProcessGroupKwargs

from pianogen.distributed.accelerate_internals import set_ddp_settings
from pianogen.distributed.heartbeat import HeartbeatMonitor, record_collective
from pianogen.distributed.rendezvous import Rendezvous, join
from pianogen.errors import LaunchError

RANK_TIMEOUT_S = 600.0
_monitors: list[HeartbeatMonitor] = []
_ended_groups: list[dist.ProcessGroup] = []  # see `end_ranks`
atexit.register(_ended_groups.clear)


def start_ranks(plugin: DeepSpeedPlugin | None = None, timeout_s: float = RANK_TIMEOUT_S) -> Accelerator:
    """Join the process group of this job, over NCCL with GPUs and gloo without.

    If the others wait for a rank longer than `timeout_s`, now or later, the job ends with an error that names it.

    Raises:
        LaunchError: The number of processes is not the requested one, or a rank did not join.
    """
    check_launch(os.environ)
    _share_cores(os.environ)
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        _join_and_monitor(backend, timeout_s)
    try:
        return _accelerator(plugin, backend)
    except BaseException:
        end_ranks()
        raise


def _accelerator(plugin: DeepSpeedPlugin | None, backend: str) -> Accelerator:
    if plugin is None:
        accelerator = Accelerator(cpu=backend == "gloo")
        set_ddp_settings(accelerator)
    else:  # with cpu=True beside a plugin accelerate would silently use DDP
        accelerator = Accelerator(deepspeed_plugin=plugin, kwargs_handlers=[InitProcessGroupKwargs(backend=backend)])
        assert accelerator.distributed_type == DistributedType.DEEPSPEED
    asked = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != asked:
        raise LaunchError(f"WORLD_SIZE asks for {asked} processes, but accelerate runs {accelerator.num_processes}")
    return accelerator


def _join_and_monitor(backend: str, timeout_s: float) -> None:
    rendezvous = Rendezvous.from_environment(os.environ)
    record_collective()
    monitor = HeartbeatMonitor(rendezvous, timeout_s)
    # longer than the monitor's timeout, whose error names the rank
    join(rendezvous, backend, monitor.report(), timeout_s, collective_timeout_s=2 * timeout_s + 60)
    monitor.start()
    _monitors.append(monitor)


def before_exit(call: Callable[[], None]) -> None:
    """Set what is called before this process exits because a rank hangs."""
    for monitor in _monitors:
        monitor.before_exit = call


def check_launch(environment: Mapping[str, str]) -> None:
    """Refuse a launch that would silently train with one rank.

    Without a GPU, accelerate's launcher starts one process instead of the requested number, with MASTER_ADDR set. srun
    starts the requested number, but sets none of torch's variables. A task of srun may also be torch's launcher, which
    sets them for its own ranks.

    Raises:
        LaunchError: The launcher asked for more processes than WORLD_SIZE says.
    """
    world_size = environment.get("WORLD_SIZE")
    if world_size is None and "MASTER_ADDR" in environment:
        raise LaunchError(
            "the launcher was asked for several processes but started one: on CPUs use "
            "`accelerate launch --multi_gpu --num_processes N` or `torchrun --nproc_per_node N`"
        )
    starts_ranks = "SLURM_PROCID" in environment and "TORCHELASTIC_RUN_ID" not in environment
    tasks = environment.get("SLURM_NTASKS") if starts_ranks else None
    if tasks is not None and int(tasks) != int(world_size or 1):
        raise LaunchError(
            f"Slurm runs {tasks} tasks, but WORLD_SIZE is {world_size or 'not set'}; start through slurm/*.sh or "
            "`pianogen submit`, which export RANK, LOCAL_RANK and WORLD_SIZE"
        )


def _share_cores(environment: Mapping[str, str]) -> None:
    if "OMP_NUM_THREADS" not in environment:
        on_this_node = int(environment.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // on_this_node))


def check_agreement(facts: Mapping[str, Any]) -> None:
    """Refuse ranks with different settings, code or shards.

    Raises:
        LaunchError: A rank differs from rank 0; the message names the key. Every rank raises it.
    """
    if not dist.is_initialized():
        return
    record_collective()
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, dict(facts))
    for rank, theirs in enumerate(everyone):
        for key, value in everyone[0].items():
            if theirs.get(key) != value:
                raise LaunchError(f"rank {rank} has {key} = {theirs.get(key)!r}, but rank 0 has {value!r}")


def wait_for_all(accelerator: Accelerator) -> None:
    """Wait until every rank has reached this call."""
    record_collective()
    accelerator.wait_for_everyone()


def sum_over_ranks(values: torch.Tensor) -> torch.Tensor:
    """Add a tensor up over all ranks, in place."""
    if dist.is_initialized():
        record_collective()
        dist.all_reduce(values)
    return values


def on_any_rank(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set on at least one rank. Every rank must call it."""
    return sum_over_ranks(torch.tensor([flag], dtype=torch.float64, device=device)).item() > 0


def gather_rows(values: torch.Tensor) -> torch.Tensor:
    """Concatenate the rows of all ranks, in rank order."""
    if not dist.is_initialized():
        return values
    record_collective()
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)


def end_ranks() -> None:
    """Leave the process group.

    A thread of gloo holds a lock of the group while it releases a tensor, for which it needs the GIL, and the group's
    destructor takes this lock. Only the destructor of the Python object releases the GIL first
    (https://github.com/pytorch/pytorch/issues/56297), that of DDP does not: if DDP held the last reference to the
    group, the process could wait forever. So a reference is kept here, until the exit of Python at the latest.

    A rank that works on alone must call this first: its monitor would take those that have left for hanging ones. A
    second call does nothing.
    """
    while _monitors:
        _monitors.pop().stop()
    if dist.group.WORLD is not None:
        _ended_groups[:] = [dist.group.WORLD]
        dist.destroy_process_group()
