"""What slurm/*.sh start on real nodes: which ranks, with which arguments, from anywhere, and how they end.

A stand-in takes the place of pianogen here, so that these tests are about the scripts alone and take seconds.
"""

import pytest
from project import ROOT, Project
from slurm_cluster import until

pytestmark = pytest.mark.cluster
SCRIPTS = sorted({path.name for path in (ROOT / "slurm").glob("[!_]*.sh")} - {"site.sh"})


@pytest.mark.parametrize("kind", ["attn", "lstm", "rnn"])
def test_each_task_of_a_training_job_is_one_rank(project: Project, kind: str) -> None:
    assert project.run("--nodes=2 --ntasks-per-node=2 --cpus-per-task=1", f"train_{kind}.sh") == "COMPLETED"
    calls = project.calls()
    ranks = {rank: (c["RANK"], c["LOCAL_RANK"], c["SLURMD_NODENAME"]) for (_, rank), c in calls.items()}
    assert ranks == {0: ("0", "0", "node1"), 1: ("1", "1", "node1"), 2: ("2", "0", "node2"), 3: ("3", "1", "node2")}
    shared = {(c["WORLD_SIZE"], c["SLURM_NTASKS"], c["LOCAL_WORLD_SIZE"], c["MASTER_ADDR"]) for c in calls.values()}
    assert shared == {("4", "4", "2", "node1")}
    assert len({c["MASTER_PORT"] for c in calls.values()}) == 1


def test_arguments_reach_the_program_as_they_were_given(project: Project) -> None:
    given = ["--optim.lr", "3e-4", "--out", "a folder with spaces/$HOME *", "/slurm/train_attn.sh"]
    project.run("--cpus-per-task=1", "train_attn.sh", *given)
    config = str(project.path / "configs/attn.yaml")
    defaults = ["train", "--config", config, "--shards", "runs/shards", "--out", "runs/attn"]
    assert project.calls()["0", 0]["arguments"] == [*defaults, *given]


@pytest.mark.parametrize("where", [".", "slurm", "slurm/.."])
def test_the_scripts_find_their_project_from_any_folder(project: Project, where: str) -> None:
    cwd = project.path / where
    script = {".": "slurm/evaluate.sh", "slurm": "evaluate.sh", "slurm/..": "slurm/../slurm/evaluate.sh"}[where]
    job = project.cluster.sbatch("--cpus-per-task=1", script, "runs/attn", cwd=cwd)
    assert project.cluster.wait(job) == "COMPLETED"
    assert project.calls(cwd)["0", 0]["file"] == str(project.path / "pianogen/__main__.py")


@pytest.mark.parametrize("gpus", ["--gpus-per-node=2", "--ntasks-per-node=2 --gpus-per-task=1", "--gres=gpu:2"])
def test_each_gpu_has_a_rank_that_sees_all_gpus_of_its_node(project: Project, gpus: str) -> None:
    project.run(f"--nodes=2 --cpus-per-task=4 {gpus}", "train_lstm.sh")
    calls = project.calls().values()
    assert [c["LOCAL_RANK"] for c in calls].count("1") == 2
    assert {(c["WORLD_SIZE"], c["CUDA_VISIBLE_DEVICES"]) for c in calls} == {("4", "0,1")}


def test_ranks_share_the_cpus_of_a_node(project: Project) -> None:
    project.run("--gpus-per-node=2 --cpus-per-task=8", "train_lstm.sh", OMP_NUM_THREADS="")
    assert {c["OMP_NUM_THREADS"] for c in project.calls().values()} == {"4"}


def test_site_settings_reach_sbatch_and_the_job(project: Project) -> None:
    with (project.path / "slurm/site.sh").open("a") as site:
        site.write("export SBATCH_PARTITION=urgent PIANOGEN_RUNS=/scratch/runs FROM_SITE=yes\n")
    command = f'. "{project.path}/slurm/site.sh" && sbatch --parsable -c 1 "{project.path}/slurm/train_rnn.sh"'
    job = project.cluster.ask("bash", "-c", command, cwd=project.elsewhere).strip()
    project.cluster.wait(job)
    assert "Partition=urgent" in project.cluster.ask("scontrol", "show", "job", job)
    call = project.calls()["0", 0]
    assert ("/scratch/runs/rnn" in call["arguments"], call["FROM_SITE"]) == (True, "yes")


@pytest.mark.parametrize(
    ("script", "arguments"), [("shards.sh", ["some music"]), ("generate.sh", ["runs/attn", "--num", "6"])]
)
def test_each_task_of_an_array_makes_its_part(project: Project, script: str, arguments: list[str]) -> None:
    job = project.sbatch("--cpus-per-task=1 --array=0-2", script, *arguments)
    until(lambda: len(project.calls()) == 3, 60, project.log)
    project.cluster.ask("scancel", job)
    parts = {task: c["arguments"][c["arguments"].index("--part") + 1] for (task, _), c in project.calls().items()}
    assert parts == {"0": "0/3", "1": "1/3", "2": "2/3"}


def test_a_failed_task_of_an_array_can_run_alone(project: Project) -> None:
    project.run("--cpus-per-task=1 --array=2", "generate.sh", "runs/attn", PIANOGEN_PARTS="3")
    assert "2/3" in project.calls()["2", 0]["arguments"]


def test_a_job_that_is_no_array_makes_everything(project: Project) -> None:
    project.run("--cpus-per-task=1", "generate.sh", "runs/attn")
    assert project.calls()["0", 0]["arguments"] == ["generate", "--out", "runs/attn/pieces", "runs/attn"]


@pytest.mark.parametrize(
    ("options", "last_calls"),
    [
        ("--gpus-per-node=1", {0: "1"}),
        ("--gpus-per-node=2", {0: "1", 1: "2"}),  # rank 0's was followed by that of the process that writes the page
        ("--array=0 --gpus-per-node=2", {0: "2", 1: "2"}),
    ],
)
def test_each_gpu_has_a_rank_that_makes_pieces(project: Project, options: str, last_calls: dict[int, str]) -> None:
    assert project.run(f"--cpus-per-task=2 {options}", "generate.sh", "runs/attn") == "COMPLETED"
    assert {rank: call["WORLD_SIZE"] for (_, rank), call in project.calls().items()} == last_calls


def test_a_rank_that_fails_leaves_the_others_to_make_their_pieces(project: Project) -> None:
    options = "--cpus-per-task=1 --ntasks-per-node=2"
    assert project.run(options, "generate.sh", "runs/attn", part="rank 0 is last and rank 1 fails") == "FAILED"
    assert project.seen("left-0-0-0")


def test_a_signal_before_python_listens_does_not_kill_the_rank(project: Project) -> None:
    job = project.sbatch("--cpus-per-task=1", "train_attn.sh", part="import slowly")
    until(lambda: project.seen("0-0-0"), 30, project.log)
    project.cluster.ask("scancel", "--signal=USR2", job)
    assert project.cluster.wait(job) == "COMPLETED"


def test_the_signal_reaches_every_rank(project: Project) -> None:
    job = project.sbatch("--nodes=2 --cpus-per-task=1", "train_attn.sh", part="wait for USR2")
    until(lambda: project.seen("waiting-0") and project.seen("waiting-1"), 30, project.log)
    project.cluster.ask("scancel", "--signal=USR2", job)
    assert project.cluster.wait(job) == "COMPLETED"


def test_a_rank_that_fails_ends_the_job(project: Project) -> None:
    assert project.run("--nodes=2 --cpus-per-task=1", "train_attn.sh", part="lose rank 1") == "FAILED"
    assert "task 1: Exited with exit code 3" in project.log()


def test_a_rank_that_is_done_early_does_not_end_the_others(project: Project) -> None:
    assert project.run("--nodes=2 --cpus-per-task=1", "train_attn.sh", part="rank 0 is last") == "COMPLETED"
    assert project.seen("left-0-0-0")


def test_a_requeued_job_appends_to_its_log(project: Project) -> None:
    job = project.sbatch("--cpus-per-task=1", "train_attn.sh", part="wait for USR2")
    until(lambda: project.seen("waiting-0"), 30, project.log)
    project.cluster.ask("scontrol", "requeue", job)
    until(lambda: project.seen("1-0-0"), 60, lambda: project.cluster.state(job))
    project.cluster.ask("scancel", "--signal=USR2", job)
    assert project.cluster.wait(job) == "COMPLETED"
    assert "DUE TO JOB REQUEUE" in project.log()


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_run_by_hand_says_how_to_submit_it(project: Project, script: str) -> None:
    words = ["bash", "-c", f'! bash "{project.path}/slurm/{script}" runs/attn 2>&1']
    assert f"submit it: sbatch slurm/{script}" in project.cluster.ask(*words)
