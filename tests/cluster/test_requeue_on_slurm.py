"""A job requests a requeue from a real Slurm, exactly when it should.

A stand-in takes the place of the trainer: asked to stop, it calls the real `requeue` on every rank, and leaves.
"""

import pytest
from project import Project
from slurm_cluster import until

pytestmark = pytest.mark.cluster
PART = "requeue when asked to stop"
TINY = "--cpus-per-task=1"


def waiting(project: Project, options: str, *ranks: int, **variables: str) -> str:
    """Start a training job and return its number when its ranks listen to signals."""
    job = project.sbatch(options, "train_attn.sh", part=PART, **variables)
    until(lambda: all(project.seen(f"waiting-{rank}") for rank in ranks), 30, project.log)
    return job


def test_a_job_that_is_signalled_before_its_limit_is_requeued(project: Project) -> None:
    job = waiting(project, f"--nodes=2 {TINY}", 0, 1)
    project.cluster.ask("scancel", "--signal=USR2", job)
    assert (project.cluster.wait(job), project.cluster.restarts(job)) == ("COMPLETED", 1)
    assert (project.note("requeued-0"), project.note("requeued-1")) == (True, False)


def test_a_job_that_is_preempted_is_requeued(project: Project) -> None:
    job = waiting(project, "--nodes=2 --cpus-per-task=8", 0, 1)
    urgent = project.cluster.sbatch("-p", "urgent", "-N", "2", "-c", "8", "--wrap", "sleep 1", cwd=project.elsewhere)
    assert project.cluster.wait(urgent) == "COMPLETED"
    assert (project.cluster.wait(job), project.cluster.restarts(job)) == ("COMPLETED", 1)


def test_a_cancelled_job_stays_cancelled(project: Project) -> None:
    job = waiting(project, TINY, 0)
    project.cluster.ask("scancel", job)
    assert (project.cluster.wait(job), project.cluster.restarts(job)) == ("CANCELLED", 0)
    assert "it was cancelled" in project.log()


def test_a_job_that_used_its_requeues_ends(project: Project) -> None:
    job = waiting(project, TINY, 0, PIANOGEN_MAX_REQUEUES="0")
    project.cluster.ask("scancel", "--signal=USR2", job)
    assert (project.cluster.wait(job), project.cluster.restarts(job)) == ("COMPLETED", 0)
    assert "it was requeued 0 times" in project.log()


def test_a_task_of_an_array_does_not_requeue_the_others(project: Project) -> None:
    job = project.sbatch(f"--array=0-1 {TINY}", "train_attn.sh", part=PART)
    until(lambda: len(project.calls()) == 2 and project.seen("waiting-0"), 30, project.log)
    project.cluster.ask("scancel", "--signal=USR2", f"{job}_1")  # the one that has the array's own number
    until(lambda: project.seen("1-1-0"), 60, project.log)
    assert project.cluster.restarts(f"{job}_0") == 0
    project.cluster.ask("scancel", job)
