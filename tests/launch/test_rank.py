"""A task of submitit becomes a rank of torch."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from launch.rank import rank_environment


@dataclass
class Task:
    """One task of a job, as submitit describes it."""

    num_nodes: int
    local_world_size: int
    global_rank: int
    raw_job_id: str
    hostnames: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.hostnames = [f"node{index}" for index in range(self.num_nodes)]

    @property
    def num_tasks(self) -> int:
        return self.num_nodes * self.local_world_size

    @property
    def local_rank(self) -> int:
        return self.global_rank % self.local_world_size


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    nodes, each = draw(st.integers(1, 64)), draw(st.integers(1, 8))
    job = draw(st.integers(1, 10**7))
    return Task(nodes, each, draw(st.integers(0, nodes * each - 1)), str(job))


@given(task=tasks())
def test_ranks_are_numbered_as_torch_does(task: Task) -> None:
    made = {name: value for name, value in rank_environment(task, {}).items() if "RANK" in name or "WORLD" in name}
    assert made == {
        "RANK": str(task.global_rank),
        "LOCAL_RANK": str(task.local_rank),
        "WORLD_SIZE": str(task.num_tasks),
        "LOCAL_WORLD_SIZE": str(task.local_world_size),
    }


@given(task=tasks(), other=st.integers(0, 3))
def test_all_ranks_of_a_job_have_the_same_master(task: Task, other: int) -> None:
    sibling = Task(task.num_nodes, task.local_world_size, other % task.num_tasks, task.raw_job_id)
    places = {(e["MASTER_ADDR"], e["MASTER_PORT"]) for e in (rank_environment(t, {}) for t in (task, sibling))}
    assert len(places) == 1


@given(task=tasks())
def test_the_port_is_unprivileged_and_below_the_ephemeral_ports(task: Task) -> None:
    assert 1024 <= int(rank_environment(task, {})["MASTER_PORT"]) < 32768


@given(task=tasks())
def test_the_master_of_several_nodes_is_not_localhost(task: Task) -> None:
    assert (rank_environment(task, {})["MASTER_ADDR"] == "127.0.0.1") == (task.num_nodes == 1)


def test_a_rank_uses_the_threads_of_slurm() -> None:
    assert rank_environment(Task(1, 1, 0, "1"), {"SLURM_CPUS_PER_TASK": "4"})["OMP_NUM_THREADS"] == "4"


def test_threads_that_the_user_sets_override_slurm() -> None:
    given_both = {"SLURM_CPUS_PER_TASK": "4", "OMP_NUM_THREADS": "2"}
    assert rank_environment(Task(1, 1, 0, "1"), given_both)["OMP_NUM_THREADS"] == "2"


def test_the_rest_of_the_environment_is_kept() -> None:
    assert rank_environment(Task(1, 1, 0, "1"), {"HOME": "/home/me"})["HOME"] == "/home/me"
