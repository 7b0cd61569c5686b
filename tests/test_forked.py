"""A forked Python program has arguments, environment, folder, output, signals and an end of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forked import CAN_FORK, Forked, run

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="programs are not forked on a Mac, or beside a GPU")


def fork(*words: str, **options: object) -> Forked:
    """Fork from a server that has loaded nothing."""
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return Forked(words, **{"modules": (), **pipe, **options})  # pyright: ignore[reportArgumentType]


def test_it_has_the_arguments_environment_and_folder_that_it_is_given(tmp_path: Path) -> None:
    program = "import os, sys; print(sys.argv, os.environ['NAME'], os.getcwd())"
    process = fork("-c", program, "word", cwd=tmp_path, env={"NAME": "value"})
    assert process.communicate(60) == (f"['-c', 'word'] value {tmp_path}\n", "")


def test_its_output_and_errors_are_apart_unless_they_are_joined() -> None:
    program = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
    assert fork("-c", program).communicate(60) == ("out\n", "err\n")
    assert fork("-c", program, stderr=subprocess.STDOUT).communicate(60) == ("out\nerr\n", "")


@pytest.mark.parametrize(("end", "status"), [("sys.exit(3)", 3), ("1 / 0", 1), ("os.kill(os.getpid(), 9)", -9)])
def test_it_ends_as_a_real_process_would(end: str, status: int) -> None:
    real = subprocess.run([sys.executable, "-c", f"import os, sys; {end}"], capture_output=True)
    process = fork("-c", f"import os, sys; {end}")
    process.communicate(60)
    assert (process.returncode, real.returncode) == (status, status)


def test_a_module_runs_as_the_main_one_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import atexit, sys\natexit.register(print, 'end')\nprint(__name__, sys.argv[1:])"
    )
    assert fork("-m", "program", "word", cwd=tmp_path).communicate(60) == ("__main__ ['word']\nend\n", "")


def test_a_signal_reaches_it_and_its_own_session(tmp_path: Path) -> None:
    program = "import pathlib, time; pathlib.Path('started').touch(); time.sleep(60)"
    process = fork("-c", program, cwd=tmp_path, start_new_session=True)
    while not (tmp_path / "started").exists():
        assert process.poll() is None
    assert os.getpgid(process.pid) == process.pid
    process.send_signal(signal.SIGTERM)
    process.communicate(60)
    assert process.returncode == -signal.SIGTERM


def test_its_own_session_is_there_from_the_start() -> None:
    for _ in range(20):
        process = fork("-c", "import time; time.sleep(60)", start_new_session=True)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(60)
        assert process.returncode == -signal.SIGKILL


def test_a_signal_to_a_process_that_has_just_ended_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    process = fork("-c", "pass")
    process.communicate(60)
    monkeypatch.setattr(process, "poll", lambda: None)  # as if it had ended a moment later
    process.kill()
    assert process.returncode == 0


def test_the_server_can_be_reached_as_soon_as_its_socket_is_there(tmp_path: Path) -> None:
    program = """
import socket, sys, time
from fork_server import serve

listen = socket.socket.listen
socket.socket.listen = lambda *given: (time.sleep(0.5), listen(*given))
serve(sys.argv[1], [])
"""
    path = tmp_path / "socket"
    server = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], cwd=Path(__file__).parent, stdin=subprocess.PIPE
    )
    try:
        while not path.exists():
            assert server.poll() is None
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
    finally:
        server.communicate()


def test_a_program_that_is_late_ends_and_its_output_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = Forked.wait

    def be_late(process: Forked, timeout: float | None = None) -> int:
        while timeout and not (tmp_path / "printed").exists():
            time.sleep(0.01)
        return wait(process, 0 if timeout else timeout)

    monkeypatch.setattr(Forked, "wait", be_late)
    program = "import pathlib, time; print('so far', flush=True); pathlib.Path('printed').touch(); time.sleep(600)"
    with pytest.raises(subprocess.TimeoutExpired) as late:
        run([sys.executable, "-c", program], timeout=60, cwd=tmp_path, modules=())
    assert late.value.__notes__ == ["so far\n"]


def test_only_a_program_that_runs_to_its_end_does_not_wait_for_the_disk() -> None:
    words = ("-c", "import os; print(os.fsync.__module__)")
    ended = run([sys.executable, *words], timeout=60, modules=())
    assert (ended.stdout, fork(*words).communicate(60)[0]) == ("unsynced\n", "posix\n")
