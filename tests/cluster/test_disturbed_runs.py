"""Training on two nodes survives what a cluster does to it, and ends as if nothing had happened."""

import os
import re
import signal
import time
import warnings
from collections.abc import Iterator

import pytest
from slurm_cluster import Cluster, until
from training import ATTEMPT_S, STEPS, Trainings, differing, process_of_rank

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
ENDED_S = 60  # for a job whose rank has died


@pytest.fixture(scope="module")
def store(trainings: Trainings) -> str:
    """An MLflow store for one run; its tables are made before, which takes seconds."""
    uri = f"sqlite:///{trainings.folder / 'one run.db'}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlflow and sqlalchemy deprecate parts of each other as they load
        from mlflow import MlflowClient

        MlflowClient(uri).search_experiments()
    return uri


@pytest.fixture(scope="module")
def disturbed(trainings: Trainings, store: str) -> str:
    """A job that was preempted in its first attempt and in its second."""
    job = trainings.begin("disturbed", PIANOGEN_TRACK="on", MLFLOW_TRACKING_URI=store)
    for attempt, step in enumerate((100, 250), start=1):
        trainings.wait_for_step("disturbed", step)
        trainings.preempt()
        until(lambda attempt=attempt: trainings.cluster.restarts(job) == attempt, ATTEMPT_S, trainings.log)
    trainings.wait(job)
    return job


def resume_node2(cluster: Cluster) -> None:
    """Let node2 serve again, unless it does: it may come back by itself, and then Slurm refuses to resume it."""

    def is_up() -> bool:
        return "down" not in cluster.ask("sinfo", "-h", "-n", "node2", "-o", "%T")

    resume = ("scontrol", "update", "nodename=node2", "state=resume")
    until(lambda: is_up() or cluster.allows(*resume), 60, lambda: cluster.ask("sinfo", "-N", "-l"))


@pytest.fixture
def node_comes_back(cluster: Cluster) -> Iterator[None]:
    """Whatever happens in a test, node2 serves the next one."""

    def idle() -> bool:
        return "idle" in cluster.ask("sinfo", "-h", "-n", "node2", "-o", "%T")

    yield
    resume_node2(cluster)
    until(idle, 60, lambda: cluster.ask("sinfo", "-N", "-l"))


def test_a_job_that_ends_its_budget_completes_and_is_not_requeued(quiet: str, trainings: Trainings) -> None:
    assert (trainings.cluster.state(quiet), trainings.cluster.restarts(quiet)) == ("COMPLETED", 0)


def test_a_job_that_is_preempted_twice_has_three_attempts(disturbed: str, trainings: Trainings) -> None:
    ended = (trainings.cluster.state(disturbed), trainings.cluster.restarts(disturbed))
    assert ended == ("COMPLETED", 2), trainings.log()


@pytest.mark.usefixtures("disturbed", "quiet")
def test_it_ends_with_the_weights_of_a_run_never_disturbed(trainings: Trainings) -> None:
    assert differing(trainings.run("disturbed"), trainings.run("quiet")) == []


@pytest.mark.usefixtures("disturbed", "quiet")
def test_it_sees_every_sample_once(trainings: Trainings) -> None:
    run = trainings.run("disturbed")
    assert run.steps == list(range(1, STEPS + 1))  # which samples a step sees follows from its number
    assert run.losses == trainings.run("quiet").losses


@pytest.mark.mlflow
@pytest.mark.filterwarnings("ignore")  # as in `store`
@pytest.mark.usefixtures("disturbed")
def test_its_three_attempts_are_one_run_in_mlflow(store: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(store)
    (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    steps = [one.step for one in client.get_metric_history(run.info.run_id, "train/loss")]
    assert (run.info.status, sorted(steps)) == ("FINISHED", list(range(1, STEPS + 1)))


def test_two_ranks_on_each_node_end_with_the_weights_of_a_run_never_disturbed(trainings: Trainings) -> None:
    """One layout of four ranks, beside the two of the tests above."""
    options, steps = "--nodes=2 --ntasks-per-node=2", 200
    assert trainings.wait(trainings.begin("quiet 2x2", options, steps)) == "COMPLETED", trainings.log()
    job = trainings.begin("disturbed 2x2", options, steps)
    trainings.wait_for_step("disturbed 2x2", 60)
    trainings.cluster.ask("scancel", "--signal=USR2", job)
    assert (trainings.wait(job), trainings.cluster.restarts(job)) == ("COMPLETED", 1), trainings.log()
    assert differing(trainings.run("disturbed 2x2"), trainings.run("quiet 2x2")) == []


@pytest.mark.usefixtures("quiet", "node_comes_back")
def test_a_node_that_goes_down_costs_the_steps_since_the_last_checkpoint(trainings: Trainings) -> None:
    job = trainings.begin("node down")
    trainings.wait_for_step("node down", 130)
    trainings.cluster.ask("scontrol", "update", "nodename=node2", "state=down", "reason=test")
    until(lambda: trainings.cluster.restarts(job) == 1, 60, trainings.log)
    resume_node2(trainings.cluster)
    assert (trainings.wait(job), trainings.cluster.restarts(job)) == ("COMPLETED", 1), trainings.log()
    assert differing(trainings.run("node down"), trainings.run("quiet")) == []


def test_a_rank_that_is_killed_ends_the_job_and_is_named(trainings: Trainings) -> None:
    job = trainings.begin("rank lost", steps=1_000_000)
    trainings.wait_for_step("rank lost", 20)
    begin = time.monotonic()
    os.kill(process_of_rank(job, 1), signal.SIGKILL)
    assert (trainings.cluster.wait(job, ENDED_S), trainings.cluster.restarts(job)) == ("FAILED", 0)
    assert time.monotonic() - begin < ENDED_S
    assert "node2: task 1: Killed" in trainings.log()


def test_a_rank_that_is_stopped_ends_the_job_and_is_named(trainings: Trainings) -> None:
    job = trainings.begin("rank stopped", steps=1_000_000, rank_timeout_s="5")
    trainings.wait_for_step("rank stopped", 20)
    os.kill(process_of_rank(job, 1), signal.SIGSTOP)
    assert (trainings.cluster.wait(job, ENDED_S), trainings.cluster.restarts(job)) == ("FAILED", 0)
    assert re.search(r"rank 1 \(node2, process \d+\) has stopped reporting", trainings.log())
