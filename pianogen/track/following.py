"""Mirroring during training, in another process: training neither waits for it nor fails with it."""

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
from pianogen.track.mirror import mirror
from pianogen.track.run_folder import RunFolder

_POLL_S = 5.0
_PAUSE_RATIO = 10  # pause for this many times as long as the last update took: updates take 1/11 of the time at most
_EXIT_TIMEOUT_S = 30.0  # how long the end of training waits for the mirror
_NICENESS = 10  # training has priority


def is_on() -> bool:
    """Whether runs are mirrored automatically; with PIANOGEN_TRACK=off only by `pianogen track sync`."""
    return os.environ.get("PIANOGEN_TRACK") != "off"


@contextmanager
def mirroring(run: Path | None) -> Iterator[None]:
    """Keep the mirror of `run` up to date from another process; do nothing without a run, or if switched off."""
    if run is None or not is_on():
        yield
        return
    follower = _start(run)
    try:
        yield
    finally:
        if isinstance(follower, OSError) or not _succeeded(follower):
            reason = str(follower) if isinstance(follower, OSError) else str(run / "mlflow.log")
            console.print(
                f"[yellow]warning:[/] the mirror in MLflow is incomplete ({escape(reason)}); "
                f"to complete it: pianogen track sync {escape(shlex.quote(str(run)))}",
                soft_wrap=True,
            )


def _start(run: Path) -> "subprocess.Popen[bytes] | OSError":
    """Start the follower. An OSError is returned, not raised: training may work without a log or another process."""
    command = [sys.executable, "-m", "pianogen.track", str(run)]
    try:
        with (run / "mlflow.log").open("ab") as log:
            # a session of its own, so that Ctrl-C does not end it with training; it ends when its stdin closes
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.PIPE, start_new_session=True)
    except OSError as error:
        return error


def _succeeded(follower: "subprocess.Popen[bytes]") -> bool:
    assert follower.stdin
    follower.stdin.close()
    try:
        return follower.wait(_EXIT_TIMEOUT_S) == 0
    except subprocess.TimeoutExpired:
        follower.kill()
        with suppress(subprocess.TimeoutExpired):
            follower.wait(1)
        return False


def follow(run: Path) -> None:
    """Mirror `run` until stdin closes, as it does however training ends, and then once more to the last line."""
    os.nice(_NICENESS)
    pause, reported, over = 0.0, "", False
    while not over:
        over = bool(select.select([sys.stdin], [], [], pause)[0])
        begin = time.monotonic()
        try:
            mirror(RunFolder(run))
            reported = ""
        except PianogenError as error:
            if over:
                raise SystemExit(str(error)) from error
            if str(error) != reported:
                reported = str(error)
                print(reported, file=sys.stderr, flush=True)
        # the first update loads MLflow and may create the tables of a new store
        pause = max(_POLL_S, _PAUSE_RATIO * (time.monotonic() - begin)) if pause else _POLL_S
