"""Building the compiled operations: once, whole or not at all, and never in the way of a command."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from pianogen.ops import forms
from pianogen.ops.native import build

kernels = build.kernels.__wrapped__  # asks again each time


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled_kernels: object) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # optimizing is four fifths of a build's time, and the code is not run here
    monkeypatch.setattr(build, "_FLAGS", tuple("-O0" if flag == "-O3" else flag for flag in build._FLAGS))
    return tmp_path / "pianogen"


def test_a_library_is_built_once(cache: Path):
    assert kernels() is not None
    (library,) = cache.iterdir()
    written = library.stat().st_mtime_ns
    assert kernels() is not None
    assert [path.stat().st_mtime_ns for path in cache.iterdir()] == [written]


def test_builds_at_the_same_time_leave_one_library(cache: Path):
    with ThreadPoolExecutor(3) as several:
        libraries = list(several.map(lambda _: kernels(), range(3)))
    assert None not in libraries
    assert len(list(cache.iterdir())) == 1


def test_what_a_killed_build_leaves_behind_holds_up_nobody(cache: Path):
    (cache / "tmpkilled").mkdir(parents=True)
    (cache / "tmpkilled" / "kernels.o").write_bytes(b"half")
    assert kernels() is not None


def test_other_processors_get_libraries_of_their_own(cache: Path, monkeypatch: pytest.MonkeyPatch):
    kernels()
    monkeypatch.setattr(build, "_processor", lambda: "another")
    kernels()
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize(
    ("compiler", "reason"), [("no-such-compiler", "no C compiler"), ("false", "failed")], ids=["missing", "failing"]
)
def test_without_a_library_one_line_says_why(
    compiler: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("CC", compiler)
    assert kernels() is None
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert reason in lines[0]


def test_a_cache_that_cannot_be_written_costs_one_line(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    cache.write_text("a file where the folder should be")
    assert kernels() is None
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_damaged_library_is_built_again(cache: Path):
    path = build._library()
    path.write_bytes(path.read_bytes()[:1000])
    assert kernels() is not None


def test_the_reference_form_can_be_forced():
    x = torch.zeros(3)
    assert forms.compiled(x)
    with forms.using_form("reference"):
        assert not forms.compiled(x)
    assert forms.compiled(x)


def test_kernels_share_the_threads_of_torch():
    script = (
        "import torch\n"
        "from pianogen.ops.recurrence import lstm\n"
        "torch.set_num_threads(2)\n"
        "lstm(torch.zeros(2, 3, 256), torch.zeros(256, 64), torch.zeros(2, 64), torch.zeros(2, 64),"
        " torch.ones(2, 3).bool())\n"
        "print(sum('gomp' in line for line in open('/proc/self/maps') if 'r-xp' in line))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 1
