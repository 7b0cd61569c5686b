"""A forked Python program has arguments, environment, folder, output, signals and an end of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from forked import CAN_FORK, Forked

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
