"""The cluster of these tests is a real one, and leaves nothing behind, even where its owner is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from slurm_cluster import Cluster, until

pytestmark = pytest.mark.cluster

OWNER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from slurm_cluster import Cluster
cluster = Cluster(Path(sys.argv[2]))
cluster.wait_until_ready()
print("ready", flush=True)
time.sleep(600)
"""


def processes_of(folder: Path) -> list[str]:
    """Commands that name the folder, and tasks of its jobs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:  # it has ended
            continue
        if str(folder).encode() in words and int(process.name) != os.getpid():
            found.append(words.split(b"\0")[0].decode())
    return found


def interfaces() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith("pianoslurm")}


def test_two_nodes_answer_under_their_own_names(cluster: Cluster) -> None:
    names = cluster.ask("srun", "--nodes=2", "bash", "-c", "echo $SLURMD_NODENAME").split()
    assert sorted(names) == ["node1", "node2"]


def test_the_accounting_has_a_finished_job(cluster: Cluster, tmp_path: Path) -> None:
    job = cluster.sbatch("--wrap", "exit 3", cwd=tmp_path)
    cluster.wait(job)
    until(lambda: cluster.attempts(job) == ["FAILED"], 20, lambda: str(cluster.attempts(job)))


@pytest.mark.usefixtures("cluster")  # which skips where there can be none
def test_nothing_is_left_when_the_owner_is_killed(short_folder: Path) -> None:
    folder, before = short_folder, interfaces()
    words = [sys.executable, "-c", OWNER, str(Path(__file__).parent), str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        assert processes_of(folder)
        owner.send_signal(signal.SIGKILL)
    until(lambda: not processes_of(folder), 40, lambda: str(processes_of(folder)))
    assert interfaces() == before
