"""The processes of one job: how many there are, whether they agree, and sums over them.

One process is a job of one rank; nothing above this file asks which it is, but through these functions.
"""

import os
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import (
    DeepSpeedPlugin,
    DistributedDataParallelKwargs,
    DistributedType,
    InitProcessGroupKwargs,
)

from pianogen.distributed.heartbeat import Watch, arrivals
from pianogen.distributed.rendezvous import Meeting, join
from pianogen.errors import LaunchError

RANK_TIMEOUT_S = 600.0
_RELEASE_TIMEOUT_S = 5.0
# tensors that gloo's threads may still hold, see `end_ranks`
_lent: list[weakref.ref[torch.Tensor]] = []
_watches: list[Watch] = []


class _Ddp(DistributedDataParallelKwargs):
    """What DDP is told; accelerate's own form lacks the first setting, which replaces one that torch deprecates."""

    def to_kwargs(self) -> dict[str, Any]:
        """Arguments of DistributedDataParallel: no buffer is ever changed, so none is sent round."""
        return {"forward_sync_buffers": False, "gradient_as_bucket_view": True}


def start_ranks(plugin: DeepSpeedPlugin | None = None, timeout_s: float = RANK_TIMEOUT_S) -> Accelerator:
    """Join the other processes of this job, over NCCL where there are GPUs and gloo where not.

    A rank that is waited for longer than `timeout_s`, now or later, ends the job and is named.

    Raises:
        LaunchError: The job was started with another number of processes than it was asked for, or one did not come.
    """
    check_launch(os.environ)
    _share_cores(os.environ)
    has_gpu = torch.cuda.is_available()
    backend = "nccl" if has_gpu else "gloo"
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        _join_and_watch(backend, timeout_s)
    if plugin is None:
        accelerator = Accelerator(cpu=not has_gpu)
        # not passed as a handler, for those must have accelerate's exact class
        setattr(accelerator, "ddp_handler", _Ddp())  # noqa: B010 - accelerate declares it as None
    else:  # with cpu=True beside a plugin accelerate would silently use DDP
        accelerator = Accelerator(deepspeed_plugin=plugin, kwargs_handlers=[InitProcessGroupKwargs(backend=backend)])
        assert accelerator.distributed_type == DistributedType.DEEPSPEED
    asked = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != asked:
        raise LaunchError(f"WORLD_SIZE asks for {asked} processes, but accelerate runs {accelerator.num_processes}")
    return accelerator


def _join_and_watch(backend: str, timeout_s: float) -> None:
    meeting = Meeting.of(os.environ)
    arrivals.arrive()
    watch = Watch(meeting, timeout_s)
    # the watch speaks first: a collective that times out names nobody
    join(meeting, backend, watch.report(), timeout_s, collective_timeout_s=2 * timeout_s + 60)
    watch.start()
    _watches.append(watch)


def before_end(call: Callable[[], None]) -> None:
    """Have something done before this process ends because a rank hangs."""
    for watch in _watches:
        watch.before_end = call


def meet() -> None:
    """Tell the watch that this rank comes to an exchange with all others."""
    arrivals.arrive()


def check_launch(environment: Mapping[str, str]) -> None:
    """Refuse a launch that would silently train alone.

    accelerate's launcher without a GPU starts one process however many it was asked for, and leaves MASTER_ADDR
    behind; srun starts as many as it was asked for, and none of them knows of the others. A task of srun may also be
    torch's launcher, which then tells its own ranks.

    Raises:
        LaunchError: So it is.
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
    """Refuse ranks that were started with other settings, code or shards.

    Raises:
        LaunchError: A rank differs from rank 0; the message names the key. Every rank raises it.
    """
    if not dist.is_initialized():
        return
    meet()
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, dict(facts))
    for rank, theirs in enumerate(everyone):
        for key, value in everyone[0].items():
            if theirs.get(key) != value:
                raise LaunchError(f"rank {rank} has {key} = {theirs.get(key)!r}, but rank 0 has {value!r}")


def wait_for_all(accelerator: Accelerator) -> None:
    """Wait until every rank has come here."""
    meet()
    accelerator.wait_for_everyone()


def sum_over_ranks(values: torch.Tensor) -> torch.Tensor:
    """Add a tensor up over all ranks, in place."""
    if dist.is_initialized():
        meet()
        dist.all_reduce(_lend(values))
    return values


def on_any_rank(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set on at least one rank. Every rank must call it."""
    return sum_over_ranks(torch.tensor([flag], dtype=torch.float64, device=device)).item() > 0


def gather_rows(values: torch.Tensor) -> torch.Tensor:
    """Put the rows of all ranks together, in rank order."""
    if not dist.is_initialized():
        return values
    meet()
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather([_lend(part) for part in parts], _lend(values.contiguous()))
    return torch.cat(parts)


def _lend(values: torch.Tensor) -> torch.Tensor:
    """Another name for a tensor, which lives for as long as a collective holds it."""
    alias = values.detach()
    _lent[:] = [ref for ref in _lent if ref() is not None] + [weakref.ref(alias)]
    return alias


def end_ranks() -> None:
    """Leave the job in order.

    gloo's threads let go of a tensor some time after its collective, and need Python for it: were Python to end before,
    the process would abort.
    """
    while _watches:
        _watches.pop().stop()
    if not dist.is_initialized():
        return
    end = time.monotonic() + _RELEASE_TIMEOUT_S
    while any(ref() is not None for ref in _lent) and time.monotonic() < end:
        time.sleep(0.001)
    dist.destroy_process_group()
