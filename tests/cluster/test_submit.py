"""`pianogen submit` on real nodes: the same ranks as the batch scripts start, and Slurm as the judge of how they end.

A stand-in takes the place of pianogen in the jobs, so that these tests are about submitting alone.
"""

import json
import re

import pytest
from project import Project
from slurm_cluster import until

pytestmark = pytest.mark.cluster
TRAIN = ("train", "--shards", "s", "--out", "runs/a run", "--optim.lr", "3e-4")
TINY = ("--cpus_per_task", "1")


def submitted(project: Project, *words: str, part: str = "", **variables: str) -> str:
    """Submit and return the job's number."""
    found = re.match(r"job (\d+) on slurm", project.submit(*words, part=part, **variables))
    assert found
    return found[1]


def test_each_task_is_one_rank_of_the_same_command(project: Project) -> None:
    job = submitted(project, "--nodes", "2", "--tasks_per_node", "2", *TINY, *TRAIN)
    assert project.cluster.wait(job) == "COMPLETED"
    calls = project.calls()
    ranks = {rank: (c["RANK"], c["LOCAL_RANK"], c["SLURMD_NODENAME"]) for (_, rank), c in calls.items()}
    assert ranks == {0: ("0", "0", "node1"), 1: ("1", "1", "node1"), 2: ("2", "0", "node2"), 3: ("3", "1", "node2")}
    shared = {(c["WORLD_SIZE"], c["SLURM_NTASKS"], c["LOCAL_WORLD_SIZE"], c["MASTER_ADDR"]) for c in calls.values()}
    assert shared == {("4", "4", "2", "node1")}
    assert calls["0", 3]["arguments"] == list(TRAIN)


def test_each_gpu_has_a_rank_that_sees_all_gpus_of_its_node(project: Project) -> None:
    project.cluster.wait(submitted(project, "--nodes", "2", "--gpus_per_node", "2", *TRAIN))
    calls = project.calls().values()
    assert {(c["WORLD_SIZE"], c["CUDA_VISIBLE_DEVICES"]) for c in calls} == {("4", "0,1")}


def test_a_signal_reaches_the_program_and_not_submitit(project: Project) -> None:
    job = submitted(project, "--nodes", "2", *TINY, *TRAIN, part="wait for USR2")
    until(lambda: project.seen("waiting-0") and project.seen("waiting-1"), 30, project.log)
    project.cluster.ask("scancel", "--signal=USR2", job)
    assert (project.cluster.wait(job), project.cluster.restarts(job)) == ("COMPLETED", 0)


def test_a_signal_before_python_listens_does_not_kill_the_rank(project: Project) -> None:
    job = submitted(project, *TINY, *TRAIN, part="import slowly")
    until(lambda: project.seen("0-0-0"), 30, project.log)
    project.cluster.ask("scancel", "--signal=USR2", job)
    assert (project.cluster.wait(job), project.cluster.restarts(job)) == ("COMPLETED", 0)


def test_a_requeued_job_runs_again(project: Project) -> None:
    job = submitted(project, *TINY, *TRAIN, part="wait for USR2")
    until(lambda: project.seen("waiting-0"), 30, project.log)
    project.cluster.ask("scontrol", "requeue", job)
    until(lambda: project.seen("1-0-0"), 60, lambda: project.cluster.state(job))
    assert f"job {job} on slurm: RUNNING, requeued once" in project.submit("status", "runs/a run")
    project.cluster.ask("scancel", "--signal=USR2", job)
    assert project.cluster.wait(job) == "COMPLETED"


def test_a_rank_that_fails_ends_the_job(project: Project) -> None:
    job = submitted(project, "--nodes", "2", *TINY, *TRAIN, part="lose rank 1")
    assert project.cluster.wait(job) == "FAILED"


def test_a_partition_of_the_command_overrides_that_of_the_site(project: Project) -> None:
    job = submitted(project, "--partition", "urgent", *TINY, *TRAIN, SBATCH_PARTITION="main")
    assert "Partition=urgent" in project.cluster.ask("scontrol", "show", "job", job)


def test_the_partition_of_the_site_is_the_default(project: Project) -> None:
    job = submitted(project, *TINY, *TRAIN, SBATCH_PARTITION="urgent")
    assert "Partition=urgent" in project.cluster.ask("scontrol", "show", "job", job)


def test_a_job_that_slurm_refuses_is_one_line(project: Project) -> None:
    with pytest.raises(AssertionError, match=r"LaunchError: Slurm refused the job: .*[Ii]nvalid partition"):
        project.submit("--partition", "nowhere", *TRAIN)
    assert list((project.elsewhere / "jobs").iterdir()) == []


def test_jobs_keep_their_record(project: Project) -> None:
    job = submitted(project, *TINY, *TRAIN)
    (record,) = (json.loads(file.read_text()) for file in project.elsewhere.glob("jobs/*/job.json"))
    assert (record["job_id"], record["target"]) == (job, str(project.elsewhere / "runs/a run"))
