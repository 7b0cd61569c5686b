"""Where the ranks of a job find each other: a store at MASTER_ADDR, held by rank 0 or by torch's launcher."""

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

ANSWER_S = 10.0  # for the store
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Meeting:
    """The place where the ranks meet, and which of them this process is."""

    host: str
    port: int
    rank: int
    world_size: int
    held_by_launcher: bool

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables that slurm/_rank.sh, submitit's ranks and torch's launcher set.

        Raises:
            LaunchError: One of them is missing or no number.
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
                f"a job of several ranks needs RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, but {error} does not "
                "serve; start through slurm/*.sh, `pianogen submit`, torchrun or accelerate launch"
            ) from error

    @property
    def holder(self) -> str:
        """Who holds the store, in words."""
        return "the launcher" if self.held_by_launcher else "rank 0"

    def store(self, timeout_s: float, *, holding: bool = False) -> TCPStore:
        """Connect to the store, or hold it.

        Raises:
            torch.distributed.DistError: Nobody holds it, for so long.
        """
        timeout = datetime.timedelta(seconds=timeout_s)
        return TCPStore(self.host, self.port, self.world_size, holding, timeout, wait_for_workers=False)


def join(meeting: Meeting, backend: str, greeting: str, timeout_s: float, collective_timeout_s: float) -> None:
    """Leave a greeting under this rank's key, wait for those of all ranks, and make their process group.

    Raises:
        LaunchError: Somebody did not come within `timeout_s`; the message names the ranks.
    """
    try:
        store = meeting.store(timeout_s, holding=meeting.rank == 0 and not meeting.held_by_launcher)
        store.set(key_of(meeting.rank), greeting)
        missing = _wait_for_all(meeting, store, timeout_s)
    except dist.DistError as error:
        raise LaunchError(
            f"{meeting.holder} could not be reached at {meeting.host}:{meeting.port} within {timeout_s:g} s "
            f"({str(error).splitlines()[0]}); look at its lines in the log, and whether nodes reach each other's ports"
        ) from error
    if missing:
        raise LaunchError(
            f"{ranks_in_words(missing)} of {meeting.world_size} did not come to {meeting.host}:{meeting.port} within "
            f"{timeout_s:g} s; look at their lines in the log, and at their nodes (--rank_timeout_s changes the limit)"
        )
    dist.init_process_group(
        backend,
        store=PrefixStore("ranks", store),
        rank=meeting.rank,
        world_size=meeting.world_size,
        timeout=datetime.timedelta(seconds=collective_timeout_s),
    )


def _wait_for_all(meeting: Meeting, store: TCPStore, timeout_s: float) -> list[int]:
    """Wait, and name those who did not come."""
    keys = [key_of(rank) for rank in range(meeting.world_size)]

    def look() -> list[int]:
        try:
            store.wait(keys, datetime.timedelta(seconds=timeout_s))
        except dist.DistError:
            return [rank for rank, key in enumerate(keys) if not store.check([key])]
        return []

    return ask(look, timeout_s + ANSWER_S)


def ask(question: Callable[[], Answer], timeout_s: float) -> Answer:
    """Ask the store something: its own time limits do not hold where its holder is stopped but still connected.

    Raises:
        torch.distributed.DistError: There is no answer within `timeout_s`, or the store says so.
    """
    asked: Future[Answer] = Future()

    def run() -> None:
        try:
            asked.set_result(question())
        except Exception as error:
            asked.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return asked.result(timeout_s)
    except TimeoutError as error:
        raise dist.DistStoreError("it does not answer") from error


def key_of(rank: int) -> str:
    """Where a rank tells the others about itself."""
    return f"rank/{rank}"


def name_of_process() -> str:
    """The host and the number of this process, for messages."""
    return f"{socket.gethostname()}, process {os.getpid()}"


def ranks_in_words(ranks: list[int], most: int = 8) -> str:
    """`rank 3`, or `ranks 3, 4, 5`, cut short where there are many."""
    named = ", ".join(map(str, ranks[:most])) + (f" and {len(ranks) - most} more" if len(ranks) > most else "")
    return f"rank{'s' if len(ranks) > 1 else ''} {named}"
