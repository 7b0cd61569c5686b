"""`python -m shards` is `pianogen shards`."""

import subprocess
import sys


def test_python_m_shards_does_what_pianogen_shards_does(finished, tmp_path):
    command = [sys.executable, "-m", "shards", finished.folder, "--out", tmp_path / "out"]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "out" / "manifest.json").read_bytes() == (finished.out / "manifest.json").read_bytes()


def test_a_mistake_is_one_line_and_exit_status_2(tmp_path):
    command = [sys.executable, "-m", "shards", tmp_path / "nowhere", "--out", tmp_path / "out"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
