"""A process that loads torch and the trainer once and then forks: what it runs starts in a tenth of a second.

    python fork_server.py SOCKET MODULE...

Starting Python with torch and accelerate takes 5 to 15 s of processor time, many times what a tiny run then takes. A
fork runs `python WORDS` with arguments, environment, folder and files of its own and a fresh `__main__`. What it does
not do as a real start does: importing, and taking the interpreter down, which with torch takes 2 s. `forked.py` is the
client.
"""

import atexit
import gc
import importlib
import json
import multiprocessing
import os
import runpy
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

SOCKET = "PIANOGEN_TEST_FORK_SERVER"  # the variable that names it, for what forks run
UNSYNCED = "PIANOGEN_TEST_UNSYNCED"  # the variable that has forks, and what they fork, not wait for the disk


def serve(path: str, modules: list[str]) -> None:
    """Load modules, and fork for each request until stdin is closed."""
    for name in modules:
        importlib.import_module(name)
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a process with threads must not fork"
    gc.freeze()  # forks share the memory of what is loaded
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen()
    Path(f"{path}.new").rename(path)  # clients connect as soon as it is there
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _answer(connection, path)
            os._exit(0)
        connection.close()


def _answer(connection: socket.socket, path: str) -> None:
    """Fork again: one process runs the program, the other tells the client its number and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    header, files, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as stream:
        request = json.loads(stream.read(int.from_bytes(header, "big")))
    request["environment"][SOCKET] = path
    ready, has_session = os.pipe()
    arguments = (request, files, connection, (ready, has_session))
    process = multiprocessing.get_context("fork").Process(target=_run, args=arguments)
    process.start()
    assert process.pid
    os.close(has_session)
    os.read(ready, 1)  # until the other process closes it: the client may signal the session at once
    os.close(ready)
    for number in (*files, 0, 1, 2):
        os.close(number)
    connection.sendall(process.pid.to_bytes(8, "big"))
    process.join()
    assert process.exitcode is not None
    connection.sendall(process.exitcode.to_bytes(8, "big", signed=True))


def _run(request: dict[str, Any], files: list[int], connection: socket.socket, ready: tuple[int, int]) -> None:
    """Do what `python WORDS` does; `ready` is closed once it has its session."""
    connection.close()
    if request["new_session"]:
        os.setsid()
    for number in ready:
        os.close(number)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - multiprocessing has closed it
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[1:1] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.chdir(request["folder"])
    if "torch.distributed.run" in sys.modules:
        _have_torchs_launcher_fork()
    if UNSYNCED in os.environ:
        import unsynced  # noqa: F401 - for what it does
    sys.modules["__main__"] = type(sys)("__main__")
    try:
        _run_words([word for word in request["words"] if word != "-u"])
    finally:
        atexit._run_exitfuncs()


def _run_words(words: list[str]) -> None:
    match words:
        case ["-c", code, *rest]:
            sys.argv, sys.path[0] = ["-c", *rest], ""
            exec(compile(code, "<string>", "exec"), sys.modules["__main__"].__dict__)
        case ["-m", module, *rest]:
            sys.argv, sys.path[0] = [module, *rest], str(Path.cwd())
            if not hasattr(sys.modules.get(module), "__path__"):
                sys.modules.pop(module, None)  # runpy warns of a module that is loaded already, unless a package
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [file, *_]:
            sys.argv, sys.path[0] = words, str(Path(file).parent)
            runpy.run_path(file, run_name="__main__")


def _have_torchs_launcher_fork() -> None:
    """Have torchrun, and accelerate launch through it, fork its ranks from here as well."""
    from forked import popen
    from torch.distributed.elastic.multiprocessing.subprocess_handler import subprocess_handler

    subprocess_handler.Popen = popen  # pyright: ignore[reportPrivateImportUsage]


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
