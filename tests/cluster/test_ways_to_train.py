"""Every way onto two nodes trains the same run: ZeRO, accelerate's launcher, `pianogen submit`; and scores it alike."""

import json
import re
import sys
from typing import Any

import numpy as np
import pytest
from project import ROOT
from slurm_cluster import Cluster
from training import STEPS, Trainings, differing

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.usefixtures("quiet")]
ZERO_TOLERANCE = 2e-5  # of the loss: ZeRO sums gradients in other pieces than DDP

ACCELERATE = """
exec "$0" -m accelerate.commands.launch --config_file "$1/configs/accelerate/cpu_two_nodes.yaml" --num_processes 2 \
  --machine_rank "$SLURM_PROCID" --main_process_ip node1 --main_process_port 29500 -m pianogen.train "${@:2}"
"""


def test_zero_has_the_loss_curve_of_ddp_also_after_a_requeue(trainings: Trainings) -> None:
    steps = 200
    job = trainings.begin("zero", steps=steps, deepspeed=str(ROOT / "configs/deepspeed/zero2.json"))
    trainings.wait_for_step("zero", 60)
    trainings.cluster.ask("scancel", "--signal=USR2", job)
    assert (trainings.wait(job), trainings.cluster.restarts(job)) == ("COMPLETED", 1), trainings.log()
    losses = trainings.run("quiet").losses[:steps]
    np.testing.assert_allclose(trainings.run("zero").losses, losses, rtol=ZERO_TOLERANCE)


def test_accelerate_launch_on_two_nodes_has_the_same_losses(cluster: Cluster, trainings: Trainings) -> None:
    words = ("srun", "--wait=0", "--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=1", "bash", "-c", ACCELERATE)
    given = (sys.executable, ROOT, *trainings.settings("launched", steps=30))
    variables = {**trainings.environment(), "PYTHONPATH": str(ROOT)}
    cluster.ask(*words, *given, cwd=trainings.folder, **variables)
    run = trainings.run("launched")
    assert json.loads((run.path / "environment.json").read_text())["world_size"] == 2
    assert run.losses == trainings.run("quiet").losses[:30]


def test_a_submitted_job_survives_a_signal_and_status_shows_it(cluster: Cluster, trainings: Trainings) -> None:
    def pianogen(*words: str) -> str:
        variables = {**trainings.environment(), "PYTHONPATH": str(ROOT)}
        return cluster.ask(sys.executable, "-m", "pianogen", *words, cwd=trainings.folder, **variables)

    options = ("--nodes", "2", "--cpus_per_task", "1")
    found = re.match(r"job (\d+) on slurm", pianogen("submit", *options, "train", *trainings.settings("submitted")))
    assert found
    trainings.wait_for_step("submitted", 100)
    cluster.ask("scancel", "--signal=USR2", found[1])
    assert trainings.wait(found[1]) == "COMPLETED", trainings.log()
    run = trainings.run("submitted")
    assert differing(run, trainings.run("quiet")) == []
    shown = pianogen("submit", "status", str(run.path))
    assert f"job {found[1]} on slurm: COMPLETED, requeued once" in shown
    assert f"step {STEPS}, loss {run.losses[-1]:.3f}" in shown


def test_two_nodes_score_as_one_process_does(cluster: Cluster, trainings: Trainings) -> None:
    run = str(trainings.run("quiet").path)

    def scored() -> dict[str, Any]:
        return json.loads((trainings.run("quiet").path / "evaluation/test.json").read_text())

    job = trainings.sbatch("--nodes=2", "evaluate.sh", run)
    assert trainings.wait(job) == "COMPLETED", trainings.log()
    together = scored()
    words = (sys.executable, "-m", "pianogen", "evaluate", run)
    cluster.ask(*words, cwd=trainings.folder, **trainings.environment(), PYTHONPATH=str(ROOT))
    single = scored()
    assert together["metrics"] == pytest.approx(single["metrics"], rel=1e-6)
    assert together["checkpoint_sha256"] == single["checkpoint_sha256"]
