"""Rendezvous of the ranks of a job: a TCP store at MASTER_ADDR, hosted by rank 0 or by torch's launcher."""

import datetime
import os
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Self, TypeVar

import torch.distributed as dist
from torch.distributed import PrefixStore, TCPStore  # pyright: ignore[reportPrivateImportUsage] - torch documents them

from pianogen.errors import LaunchError

RESPONSE_S = 10.0  # of the store
Response = TypeVar("Response")


@dataclass(frozen=True)
class Rendezvous:
    """The address of the store, and the rank of this process."""

    host: str
    port: int
    rank: int
    world_size: int
    hosted_by_launcher: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables that slurm/_rank.sh, submitit's ranks and torch's launcher set.

        Raises:
            LaunchError: One of them is missing or not a number.
        """
        try:
            return cls(
                environment["MASTER_ADDR"],
                int(environment["MASTER_PORT"]),
                int(environment["RANK"]),
                int(environment["WORLD_SIZE"]),
                environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
            )
        except (KeyError, ValueError) as error:
            raise LaunchError(
                f"a job of several ranks needs RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, but {error} is "
                "missing or invalid; start through slurm/*.sh, `pianogen submit`, torchrun or accelerate launch"
            ) from error

    @property
    def host_process(self) -> str:
        """The process that hosts the store, for messages."""
        return "the launcher" if self.hosted_by_launcher else "rank 0"

    def store(self, timeout_s: float, *, hosting: bool = False) -> TCPStore:
        """Connect to the store, or host it.

        Raises:
            torch.distributed.DistError: No process hosts it within `timeout_s`.
        """
        timeout = datetime.timedelta(seconds=timeout_s)
        return TCPStore(self.host, self.port, self.world_size, hosting, timeout, wait_for_workers=False)


def join(rendezvous: Rendezvous, backend: str, report: str, timeout_s: float, collective_timeout_s: float) -> None:
    """Store a first report of this rank, wait for those of all ranks, and initialize the process group.

    Raises:
        LaunchError: A rank did not join within `timeout_s`; the message names it.
    """
    address = f"{rendezvous.host}:{rendezvous.port}"
    try:
        store = rendezvous.store(timeout_s, hosting=rendezvous.rank == 0 and not rendezvous.hosted_by_launcher)
        store.set(report_key(rendezvous.rank), report)
        missing = _missing_ranks(rendezvous, store, timeout_s)
    except dist.DistError as error:
        raise LaunchError(
            f"{rendezvous.host_process} could not be reached at {address} within {timeout_s:g} s "
            f"({str(error).splitlines()[0]}); check its lines in the log, and the network between the nodes"
        ) from error
    if missing:
        raise LaunchError(
            f"{format_ranks(missing)} of {rendezvous.world_size} did not join at {address} within "
            f"{timeout_s:g} s; check their lines in the log, and their nodes (--rank_timeout_s changes the limit)"
        )
    dist.init_process_group(
        backend,
        store=PrefixStore("ranks", store),
        rank=rendezvous.rank,
        world_size=rendezvous.world_size,
        timeout=datetime.timedelta(seconds=collective_timeout_s),
    )


def _missing_ranks(rendezvous: Rendezvous, store: TCPStore, timeout_s: float) -> list[int]:
    """Wait for the first report of every rank, and return the ranks without one."""
    keys = [report_key(rank) for rank in range(rendezvous.world_size)]

    def wait() -> list[int]:
        try:
            store.wait(keys, datetime.timedelta(seconds=timeout_s))
        except dist.DistError:
            return [rank for rank, key in enumerate(keys) if not store.check([key])]
        return []

    return call_store(wait, timeout_s + RESPONSE_S)


def call_store(call: Callable[[], Response], timeout_s: float) -> Response:
    """Call the store with a time limit: its own ones do not hold if its host process is stopped but still connected.

    Raises:
        torch.distributed.DistError: No response within `timeout_s`, or the call raised it.
    """
    response: Future[Response] = Future()

    def run() -> None:
        try:
            response.set_result(call())
        except Exception as error:
            response.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return response.result(timeout_s)
    except TimeoutError as error:
        raise dist.DistStoreError("no response") from error


def report_key(rank: int) -> str:
    """The key of a rank's report in the store."""
    return f"rank/{rank}"


def process_name() -> str:
    """The host and id of this process, for messages."""
    return f"{socket.gethostname()}, process {os.getpid()}"


def format_ranks(ranks: list[int], most: int = 8) -> str:
    """`rank 3`, or `ranks 3, 4, 5`, shortened after `most`."""
    shown = ", ".join(map(str, ranks[:most])) + (f" and {len(ranks) - most} more" if len(ranks) > most else "")
    return f"rank{'s' if len(ranks) > 1 else ''} {shown}"
