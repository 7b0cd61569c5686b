"""Starting Python programs as processes of their own, forked from one that has loaded torch and the trainer.

For tests in which the start itself is not what is tested; `fork_server.py` says what differs from a real start.
"""

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from fork_server import SOCKET, UNSYNCED

TRAINER = (
    *("pianogen.train.loop", "pianogen.verbs.train", "torch._dynamo", "torch.distributed.run", "accelerate"),
    *("torch.distributed.elastic.rendezvous.c10d_rendezvous_backend", "accelerate.commands.launch"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg"),
)
# and what a rank under ZeRO imports, which takes longer than the trainer does
ZERO = (*TRAINER, "deepspeed", "deepspeed.runtime.zero.muon.muon_optimizer")
# and what mirrors runs
MIRROR = (
    *("pianogen.track.following", "pianogen.verbs.track", "mlflow", "mlflow.store.tracking.sqlalchemy_store"),
    "mlflow.tracking._tracking_service.utils",
)
# what the server imports with: workers of shards have this seed; a process without a GPU has this accelerator; and
# pyarrow, which deepspeed and mlflow import, starts no thread, for a process with threads must not fork
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "DS_ACCELERATOR": "cpu",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


def _can_fork() -> bool:
    """Whether processes may go on as forks: not on a Mac, and not once CUDA is initialized."""
    if SOCKET in os.environ:  # this is a fork itself, which may have no need of torch
        return True
    import torch

    return sys.platform == "linux" and not torch.cuda.is_available()


CAN_FORK = _can_fork()
LIMIT_S = 600
"""For the end of what takes seconds: on a busy machine two ranks have waited 239 s for 7 s of processor time."""


class Forked:
    """A process that runs `python WORDS`, with what tests use of `subprocess.Popen`."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        stdin: int | None = None,
        stdout: IO[Any] | int | None = None,
        stderr: IO[Any] | int | None = None,
        start_new_session: bool = False,
        modules: tuple[str, ...] = TRAINER,
    ) -> None:
        server = os.environ.get(SOCKET) or fork_server(modules)
        self.returncode: int | None = None
        self._stdout = tempfile.TemporaryFile("w+") if stdout == subprocess.PIPE else None  # noqa: SIM115
        self._stderr = tempfile.TemporaryFile("w+") if stderr == subprocess.PIPE else None  # noqa: SIM115
        out = _number_of(self._stdout or stdout, 1)
        err = out if stderr == subprocess.STDOUT else _number_of(self._stderr or stderr, 2)
        request = {
            "words": list(map(str, words)),
            "environment": dict(os.environ if env is None else env),
            "folder": str(cwd or Path.cwd()),
            "new_session": start_new_session,
        }
        data = json.dumps(request).encode()
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(server)
        with Path(os.devnull).open() as nothing:
            files = [nothing.fileno() if stdin is None else stdin, out, err]
            socket.send_fds(self._connection, [len(data).to_bytes(8, "big")], files)
        self._connection.sendall(data)
        self.pid = int.from_bytes(self._receive(None), "big")

    def _receive(self, timeout: float | None) -> bytes:
        self._connection.settimeout(timeout)
        received = self._connection.recv(8)
        assert len(received) == 8, "the fork server has ended"
        return received

    def poll(self) -> int | None:
        """The exit status, or None while the process runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; returns the exit status, or minus the number of the signal that ended the process."""
        if self.returncode is None:
            try:
                self.returncode = int.from_bytes(self._receive(timeout), "big", signed=True)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from None
            self._connection.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; returns what was written to the pipes."""
        self.wait(timeout)
        return _content(self._stdout), _content(self._stderr)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it may have ended since
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless the process has ended."""
        self.send_signal(signal.SIGKILL)


def _number_of(file: IO[Any] | int | None, inherited: int) -> int:
    """The file's descriptor."""
    return inherited if file is None else file if isinstance(file, int) else file.fileno()


def _content(file: IO[str] | None) -> str:
    if file is None or file.closed:
        return ""
    with file:
        file.seek(0)
        return file.read()


def popen(args: Sequence[str], *, modules: tuple[str, ...] = TRAINER, **options: Any) -> Any:
    """Like `subprocess.Popen` of text, but Python is forked, with `modules` loaded, where this machine can."""
    if CAN_FORK and args[0] == sys.executable:
        return Forked(args[1:], modules=modules, **options)
    return subprocess.Popen(args, text=True, **options)


def run(
    args: Sequence[str], *, timeout: float = LIMIT_S, env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Like `subprocess.run` of text with its output captured, by `popen`; nothing waits for the disk.

    What `popen` starts does, since a test that disturbs a run must come before its end.
    """
    options |= {"env": {**(os.environ if env is None else env), UNSYNCED: "1"}, "start_new_session": True}
    process = popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as late:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        late.add_note("".join(process.communicate()))  # where it had got to
        raise
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(args, process.wait(), out, err)


@cache
def fork_server(modules: tuple[str, ...]) -> str:
    """Start a server for this process and its children; returns the path of its socket."""
    folder = tempfile.mkdtemp(prefix="fork")
    path, log = Path(folder, "socket"), Path(folder, "log")
    command = [sys.executable, str(Path(__file__).with_name("fork_server.py")), str(path), *modules]
    environment = {**os.environ, **_ENVIRONMENT}
    with log.open("w") as output:
        server = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )

    def end() -> None:
        assert server.stdin
        server.stdin.close()
        server.wait(LIMIT_S)
        shutil.rmtree(folder)

    atexit.register(end)
    limit = time.monotonic() + LIMIT_S
    while not path.exists():
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < limit, f"the fork server did not start in {LIMIT_S} s"
        time.sleep(0.05)
    return str(path)
