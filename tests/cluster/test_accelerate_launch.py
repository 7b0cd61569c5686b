"""`accelerate launch` on two nodes: one launcher a node, two ranks each."""

import sys
from pathlib import Path

import pytest
from project import ROOT
from slurm_cluster import Cluster

pytestmark = pytest.mark.cluster

LAUNCH = """
"$1" -m accelerate.commands.launch --config_file "$2/configs/accelerate/cpu_two_nodes.yaml" \
  --machine_rank "$SLURM_PROCID" --main_process_ip node1 --main_process_port 29500 "$2/tests/launch/ranks_that_add.py"
"""


def test_two_nodes_run_the_ranks_that_their_config_names(cluster: Cluster, tmp_path: Path) -> None:
    words = ("srun", "--wait=0", "--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=2", "bash", "-c", LAUNCH)
    said = cluster.ask(*words, "launch", sys.executable, ROOT, cwd=tmp_path)
    assert sorted(said.splitlines()) == [f"rank {rank} of 4 total 10" for rank in range(4)]
