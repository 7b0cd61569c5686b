"""`python -m pianogen.track.guard COMMAND...` runs a command until it ends or stdin closes, then kills its processes.

Stdin closes however the parent ends, also by SIGKILL. The guard must lead a process group of its own, which it kills.
"""

import os
import select
import signal
import subprocess
import sys
import time

from pianogen.track.ui import GRACE_S

_POLL_S = 0.2


def guard(command: list[str]) -> None:
    """Run `command`, then end it, its children and this process."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while child.poll() is None and not select.select([sys.stdin], [], [], _POLL_S)[0]:
        pass
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    end = time.monotonic() + GRACE_S
    while child.poll() is None and time.monotonic() < end:
        time.sleep(_POLL_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    guard(sys.argv[1:])
