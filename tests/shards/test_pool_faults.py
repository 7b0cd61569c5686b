"""Workers that hang, crash or grow: each loses only the file that it was reading."""

import sys

import pytest
from small_sources import piece, reasons

from pianogen.errors import ShardError
from pianogen.tokens import midi_bytes
from shards import pool

FAULTY_WORKER = """
import os, signal, sys, time
from shards import worker
read = worker.tokenize_source
def faulty(source, data, config):
    if data == b"hang":
        time.sleep(100)
    if data == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if data == b"leave":
        os._exit(3)
    if data == b"grow":
        return bytearray(3 << 30)
    if data == b"surprise":
        raise ZeroDivisionError(source.path)
    return read(source, data, config)
worker.tokenize_source = faulty
worker.main()
"""


@pytest.fixture
def _faulty_workers(monkeypatch):
    monkeypatch.setattr(pool, "WORKER", (sys.executable, "-c", FAULTY_WORKER))
    monkeypatch.setattr(pool, "MAX_SECONDS", 1)


@pytest.mark.usefixtures("_faulty_workers")
def test_a_file_that_breaks_its_worker_is_left_out_and_the_rest_is_read(folder, make):
    for fault in ("hang", "crash", "leave", "grow", "surprise"):
        (folder / f"{fault}.mid").write_text(fault)
    _, manifest = make(folder, workers=2)
    assert reasons(manifest) == {
        "hang.mid": "takes longer than 1 s to read",
        "crash.mid": "crashes its reader (SIGSEGV)",
        "leave.mid": "crashes its reader (exit status 3)",
        "grow.mid": "needs more than 2 GB of memory",
        "surprise.mid": "cannot be read: ZeroDivisionError: surprise.mid",
    }
    assert sum(split["performances"] for split in manifest.splits.values()) == 12


@pytest.mark.usefixtures("_faulty_workers")
def test_a_worker_that_crashes_at_the_last_file_does_not_block_the_job(tmp_path, make):
    (tmp_path / "music").mkdir()
    for seed in range(4):
        (tmp_path / "music" / f"{seed}.mid").write_bytes(midi_bytes(piece(seed)))
    (tmp_path / "music" / "z.mid").write_text("crash")
    assert list(reasons(make(tmp_path / "music")[1])) == ["z.mid"]


def test_workers_that_do_not_start_end_the_job_with_their_last_line(folder, make, monkeypatch):
    monkeypatch.setattr(pool, "WORKER", (sys.executable, "-c", "raise SystemExit('no library')"))
    with pytest.raises(ShardError, match=r"a worker process did not start \(no library\)"):
        make(folder)
