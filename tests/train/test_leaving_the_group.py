"""The end of a process group: gloo's threads need the GIL to release tensors, also while the group is destroyed."""

import subprocess
import sys
from pathlib import Path

import pytest
from forked import LIMIT_S, run
from launching import TWO, environment

# gloo's thread holds the last reference to a tensor, and waits for the GIL with a lock of the group held
START = """
import sys
import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from pianogen.distributed.process_group import end_ranks

dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)


def use_group(model):
    sys.setswitchinterval(1000)  # Python does not give the GIL up by itself
    dist.all_reduce(torch.zeros(1_000_000), async_op=True)
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        pass
    end_ranks()


"""

DDP = "DistributedDataParallel(torch.nn.Linear(1, 1))"
# what is registered first is called last
SHOW_THREADS = """
import atexit
from pathlib import Path


@atexit.register
def show_threads():
    print([name for path in Path("/proc/self/task").glob("*/comm") if "gloo" in (name := path.read_text())])


"""


def test_ddp_can_be_destroyed_while_gloo_releases_a_tensor() -> None:
    ran = run([sys.executable, "-c", f"{START}use_group({DDP})"])
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="the names of threads are read from /proc")
@pytest.mark.parametrize("model", ["None", DDP])
def test_gloo_has_released_its_tensors_and_has_no_thread_when_python_exits(model: str) -> None:
    command = [sys.executable, "-c", f"{SHOW_THREADS}{START}use_group({model})"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "[]\n", "")


def test_an_error_after_joining_leaves_no_heartbeat_behind(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import os
import threading
from pathlib import Path

from pianogen.distributed import process_group


def fail(**given):
    raise OSError("no accelerator")


process_group.Accelerator = fail
try:
    process_group.start_ranks()
except OSError as error:
    names = [thread.name for thread in threading.enumerate() if "heartbeat" in thread.name]
    Path(__file__).with_name(os.environ["RANK"]).write_text(f"{error}, {names}")
"""
    )
    ran = run([*TWO[:-2], str(program)], env=environment())
    assert ran.returncode == 0, ran.stderr
    assert [(tmp_path / rank).read_text() for rank in "01"] == 2 * ["no accelerator, []"]
