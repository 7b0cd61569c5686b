"""A mirror beside training: another process, which training neither waits for nor fails with."""

import os
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.markup import escape

from pianogen.errors import PianogenError
from pianogen.progress import console
from pianogen.track.folder import Folder
from pianogen.track.mirror import mirror

_POLL_S = 5.0
_REST = 10  # times as long as the last look took: a long run, or a slow store, is looked at less often
_PATIENCE_S = 30.0  # how long the end of training waits for the mirror
_NICENESS = 10  # training goes first


def is_on() -> bool:
    """Whether runs are mirrored by themselves; PIANOGEN_TRACK=off leaves it to `pianogen track sync`."""
    return os.environ.get("PIANOGEN_TRACK") != "off"


@contextmanager
def mirroring(run: Path | None) -> Iterator[None]:
    """Keep a mirror of `run` up to date from another process; without a run, or switched off, do nothing."""
    if run is None or not is_on():
        yield
        return
    follower = _start(run)
    try:
        yield
    finally:
        if isinstance(follower, OSError) or not _ended_well(follower):
            reason = str(follower) if isinstance(follower, OSError) else str(run / "mlflow.log")
            console.print(
                f"[yellow]warning:[/] MLflow has not everything ({escape(reason)}); "
                f"pianogen track sync {escape(shlex.quote(str(run)))} mends it",
                soft_wrap=True,
            )


def _start(run: Path) -> "subprocess.Popen[bytes] | OSError":
    """Start the follower; a machine that has no room for its log or its process may have room for training:
    what it lacks is returned, not raised.
    """
    command = [sys.executable, "-m", "pianogen.track", str(run)]
    try:
        with (run / "mlflow.log").open("ab") as log:
            # its own session, so that a Ctrl-C meant for training does not cut it off; it ends when its stdin does
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.PIPE, start_new_session=True)
    except OSError as error:
        return error


def _ended_well(follower: "subprocess.Popen[bytes]") -> bool:
    assert follower.stdin
    follower.stdin.close()
    try:
        return follower.wait(_PATIENCE_S) == 0
    except subprocess.TimeoutExpired:
        follower.kill()
        with suppress(subprocess.TimeoutExpired):
            follower.wait(1)
        return False


def follow(run: Path) -> None:
    """Mirror `run` until stdin closes, as it does however training ends; then once more, to the last line."""
    os.nice(_NICENESS)
    pause, told, over = 0.0, "", False
    while not over:
        over = bool(select.select([sys.stdin], [], [], pause)[0])
        begin = time.monotonic()
        try:
            mirror(Folder(run))
            told = ""
        except PianogenError as error:
            if over:
                raise SystemExit(str(error)) from error
            if str(error) != told:
                told = str(error)
                print(told, file=sys.stderr, flush=True)
        # the first look has to load MLflow, and it may have to make the tables of a new store
        pause = max(_POLL_S, _REST * (time.monotonic() - begin)) if pause else _POLL_S
