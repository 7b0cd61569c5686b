"""A rank that stops, hangs or never joins ends the job in time, and the error names it."""

import ast
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from forked import popen
from launching import command, environment, wait_for_step

import pianogen
from pianogen.config import BudgetConfig, TrainConfig
from pianogen.distributed.heartbeat import Report, failed_ranks

pytestmark = pytest.mark.slow
MakeRun = Callable[..., TrainConfig]
Ranks = list["subprocess.Popen[str]"]
TIMEOUT_S = 5  # no less: two ranks on a busy machine are seconds apart
IN_TIME_S = 60  # for the end of a process on a busy machine; a collective alone would wait longer than that

# hangs on one rank, as on a file server that does not answer
HANG = """
import os, sys, threading
from pianogen.cli import main
import {module} as module

where, hangs = getattr(module, "{attribute}".split(".")[0]), lambda *given: {when}
owner = module if "." not in "{attribute}" else where
name = "{attribute}".split(".")[-1]
work = getattr(owner, name)
def hang(*given, **named):
    if os.environ["RANK"] == "{rank}" and hangs(*given):
        threading.Event().wait()
    return work(*given, **named)
setattr(owner, name, hang)
sys.exit(main(["train", *sys.argv[1:]]))
"""


def hanging(module: str, attribute: str, rank: int, when: str = "True") -> str:
    """A program that trains, but for one rank that never returns from a function."""
    return HANG.format(module=f"pianogen.{module}", attribute=attribute, rank=rank, when=when)


# what each rank does between the first agreement and the first backward pass
OPENING = [
    ("train.trainer", "build_model", 1),
    pytest.param("train.opening", "create_run", 0, marks=pytest.mark.ranks),
    pytest.param("train.checkpointing", "verified_checkpoints", 1, marks=pytest.mark.ranks),
    pytest.param("train.trainer", "Trainer._micro_batches", 1, marks=pytest.mark.ranks),
    pytest.param("train.checkpointing", "write_checkpoint", 0, marks=pytest.mark.ranks),
]


@contextmanager
def started(config: TrainConfig, *ranks: int, code: str = "") -> Iterator[Ranks]:
    """Start some of two ranks, each a process, without a launcher that would end them by itself."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    python = (sys.executable, "-c", code) if code else (sys.executable, "-m", "pianogen.train")
    words = command(python, config)
    processes: Ranks = []
    for rank in ranks:
        attribute = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        variables = {**environment(), **attribute, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        processes.append(popen(words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def error_of(process: "subprocess.Popen[str]") -> str:
    """The output of a rank, which must have ended by itself with an error."""
    said, _ = process.communicate(timeout=IN_TIME_S)
    assert process.returncode in (1, 2)
    return said


@pytest.fixture
def endless(tiny_run: MakeRun) -> TrainConfig:
    """A run of two ranks without an end."""
    return tiny_run("endless", budget=BudgetConfig(steps=1_000_000), rank_timeout_s=TIMEOUT_S)


@pytest.mark.parametrize(("stopped", "waiting"), [(1, 0), (0, 1)])
def test_a_rank_that_is_stopped_is_named_by_the_other(endless: TrainConfig, stopped: int, waiting: int) -> None:
    with started(endless, 0, 1) as ranks:
        wait_for_step(endless, 5)
        ranks[stopped].send_signal(signal.SIGSTOP)
        said = error_of(ranks[waiting])
    assert re.search(f"rank {stopped} .*(has stopped reporting|does not respond)", said), said


def test_a_rank_that_hangs_is_named_with_the_line_where_it_hangs(endless: TrainConfig) -> None:
    with started(endless, 0, 1, code=hanging("data.batches", "Batches.batch", 1, "given[1] == 5")) as (first, _):
        said = error_of(first)
    assert re.search(r"rank 1 \(.*, process \d+\) has not reached collective \d+, last seen at \S+:\d+", said)
    assert '"state": "failed"' in (Path(endless.out) / "status.json").read_text()


@pytest.mark.parametrize(("module", "attribute", "rank"), OPENING)
def test_a_rank_that_hangs_before_the_first_step_is_named(
    endless: TrainConfig, module: str, attribute: str, rank: int
) -> None:
    with started(endless, 0, 1, code=hanging(module, attribute, rank)) as ranks:
        said = error_of(ranks[1 - rank])
    assert re.search(rf"rank {rank} \(.*\) has not reached collective \d+, last seen at", said), said


def test_every_collective_is_recorded_for_the_heartbeat() -> None:
    silent = []
    for file in (Path(pianogen.__file__).parent).rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef):
                recorded = [call.lineno for call in calls(function, "record_collective")]
                waits = [call.lineno for call in calls(function, *COLLECTIVES)]
                silent += [f"{file.name}:{line}" for line in waits if not recorded or line < min(recorded)]
    assert silent == []


COLLECTIVES = (
    *("all_reduce", "all_gather", "all_gather_object", "barrier", "broadcast", "wait_for_everyone", "prepare"),
    *("safe_get_full_fp32_param", "safe_get_full_optimizer_state", "safe_set_full_optimizer_state"),
    *("_engine.step", "_engine.backward", "_accelerator.backward"),
)


def calls(function: ast.FunctionDef, *names: str) -> list[ast.Call]:
    """Calls of functions by their last names, or of methods by the last name of what they are called on as well."""
    found = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    return [call for call in found if f".{ast.unparse(call.func)}".endswith(tuple(f".{name}" for name in names))]


@pytest.mark.parametrize(("there", "missing"), [(0, "rank 1 of 2 did not join"), (1, "rank 0 could not be reached")])
def test_a_rank_that_never_joins_is_named(endless: TrainConfig, there: int, missing: str) -> None:
    with started(endless, there) as (process,):
        assert missing in error_of(process)


def test_ranks_wait_for_a_slow_one_within_the_time_limit(endless: TrainConfig) -> None:
    with started(endless, 0, 1) as ranks:
        wait_for_step(endless, 5)
        ranks[1].send_signal(signal.SIGSTOP)
        time.sleep(TIMEOUT_S / 2)
        ranks[1].send_signal(signal.SIGCONT)
        before = (Path(endless.out) / "metrics.jsonl").read_text().count("\n")
        wait_for_step(endless, before + 5)
        assert [rank.poll() for rank in ranks] == [None, None]


def reports(*pairs: tuple[int, int]) -> dict[int, Report]:
    return {rank: Report(tick, collectives, "", "") for rank, (tick, collectives) in enumerate(pairs)}


def test_a_rank_that_stopped_reporting_is_named_before_those_that_wait_for_it() -> None:
    before, now = reports((5, 9), (5, 8), (5, 8)), reports((8, 9), (8, 8), (5, 8))
    assert failed_ranks(before, now)[0] == [2]


def test_no_rank_is_named_if_all_reached_the_collective() -> None:
    assert failed_ranks(reports((5, 9), (5, 9)), reports((8, 9), (8, 9)))[0] == []
