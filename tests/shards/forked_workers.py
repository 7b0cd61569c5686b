"""Workers of `shards` that are forked, with their pipes, from a process that has loaded what they import.

A real start takes most of a second of processor time, many times what a worker then takes for some small files.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

from forked import CAN_FORK, Forked, run

from shards import pool

MODULES = ("shards.worker", "shards.build")


class ForkedWorker(Forked):
    """A process that runs `python WORDS`, with pipes of bytes from and to it."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str], stderr: IO[bytes]) -> None:
        (inward, stdin), (stdout, outward) = os.pipe(), os.pipe()
        self.stdin, self.stdout = os.fdopen(stdin, "wb", 0), os.fdopen(stdout, "rb", 0)
        super().__init__(words, env=env, stdin=inward, stdout=outward, stderr=stderr, modules=MODULES)
        os.close(inward)
        os.close(outward)


def module_for(pool_command: Sequence[str]) -> Any:
    """What `shards.pool` shall use as `subprocess`: it forks its own command, and starts others as ever."""

    def popen(command: Sequence[str], **options: Any) -> Any:
        if command != pool_command:
            return subprocess.Popen(command, **options)
        return ForkedWorker(command[command.index("-m") :], options["env"], options["stderr"])

    return SimpleNamespace(Popen=popen, PIPE=subprocess.PIPE)


def fork_workers() -> None:
    """Have the jobs of this process fork their workers, where this machine can."""
    if CAN_FORK:
        pool.subprocess = module_for(pool.WORKER)


def run_job(code: str, *words: str | Path) -> int:
    """Run a program whose jobs fork their workers, in a fork itself; returns its exit status."""
    command = [sys.executable, "-c", f"import forked_workers\nforked_workers.fork_workers()\n{code}", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return run(command, env=environment, modules=MODULES).returncode
