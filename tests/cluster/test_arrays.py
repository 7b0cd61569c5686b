"""Arrays of the real program on two nodes: the parts make one whole, and only a task that failed is run again."""

import csv
import html
import os
import re
import signal
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from arrays import EACH_A_NODE, nodes_of, process_of_task, wait_for_tasks
from project import ROOT, Project
from small_run import make_run
from training import Trainings

from pianogen.tokens import Notes, write_midi

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written(folder: Path) -> dict[str, int]:
    """When each file in a folder was written, by name."""
    return {name: (folder / name).stat().st_mtime_ns for name in contents(folder)}


def write_melody(path: Path, seed: int) -> None:
    """A MIDI file that differs from those of other seeds."""
    random = np.random.default_rng(seed)
    write_midi(Notes(np.arange(40), random.integers(1, 5, 40), random.integers(30, 100, 40)), path)


@pytest.fixture(scope="module")
def music(trainings: Trainings) -> Path:
    """Ten pieces and a file that is none."""
    folder = trainings.folder / "music"
    folder.mkdir()
    for seed in range(10):
        write_melody(folder / f"{seed}.mid", seed)
    (folder / "broken.mid").write_bytes(b"no midi")
    return folder


@pytest.fixture(scope="module")
def shards(trainings: Trainings, music: Path) -> Path:
    """The shards that one process makes of the music."""
    out = trainings.folder / "shards of one process"
    command = (sys.executable, "-m", "pianogen", "shards", music, "--out", out)
    trainings.cluster.ask(*command, cwd=trainings.folder, PYTHONPATH=str(ROOT))
    return out


@pytest.fixture(scope="module")
def models(trainings: Trainings) -> list[Path]:
    """Two run folders, each with a checkpoint of weights that nobody trained."""
    kinds: tuple[str, ...] = ("attn", "lstm")
    return [make_run(trainings.run(f"untrained {kind}").path, kind, seed=1) for kind in kinds]


@pytest.fixture(scope="module")
def prompts(trainings: Trainings) -> Path:
    """A folder of two."""
    folder = trainings.folder / "prompts"
    folder.mkdir()
    for seed, name in enumerate(("high", "low")):
        write_melody(folder / f"{name}.mid", seed)
    return folder


def test_a_task_of_shards_is_one_process_where_the_site_gives_every_job_gpus(project: Project) -> None:
    project.run("--nodes=2 --cpus-per-task=1", "shards.sh", "music", SBATCH_GPUS_PER_NODE="4")
    assert {rank: call["WORLD_SIZE"] for (_, rank), call in project.calls().items()} == {0: "1"}


def test_an_array_on_two_nodes_and_a_final_job_make_the_bytes_of_one_process(
    trainings: Trainings, music: Path, shards: Path
) -> None:
    out = trainings.folder / "shards of an array"
    array = trainings.sbatch(f"--array=0-2 {EACH_A_NODE}", "shards.sh", music, PIANOGEN_SHARDS=str(out))
    final = trainings.sbatch(f"--dependency=afterok:{array}", "shards.sh", music, PIANOGEN_SHARDS=str(out))
    assert trainings.wait(final) == "COMPLETED", trainings.log()
    assert nodes_of(trainings.cluster, array) == {"node1", "node2"}
    assert contents(out) == contents(shards)


def test_a_killed_task_is_rerun_alone_and_the_waiting_job_writes_the_shards(
    trainings: Trainings, music: Path, shards: Path
) -> None:
    cluster, out = trainings.cluster, trainings.folder / "shards of a broken array"
    array = trainings.sbatch("--array=0-2", "shards.sh", music, PIANOGEN_SHARDS=str(out))
    final = trainings.sbatch(f"--dependency=afterok:{array}", "shards.sh", music, PIANOGEN_SHARDS=str(out))
    os.kill(process_of_task(array, 1, "shards"), signal.SIGKILL)
    assert wait_for_tasks(cluster, array, 0, 1, 2) == ["COMPLETED", "FAILED", "COMPLETED"], trainings.log()
    others = {name: when for name, when in written(out / ".parts").items() if not name.startswith("1-of-3/")}
    rerun = trainings.sbatch("--array=1", "shards.sh", music, PIANOGEN_SHARDS=str(out), PIANOGEN_PARTS="3")
    assert wait_for_tasks(cluster, rerun, 1) == ["COMPLETED"], trainings.log()
    parts = written(out / ".parts")
    assert {name.partition("/")[0] for name in others} == {"0-of-3", "2-of-3"}
    assert {name.partition("/")[0] for name, _ in parts.items() - others.items()} == {"1-of-3"}
    cluster.ask("scontrol", "update", f"jobid={final}", f"dependency=afterok:{rerun}")
    assert trainings.wait(final) == "COMPLETED", trainings.log()
    assert contents(out) == contents(shards)


def test_a_failed_task_of_pieces_is_rerun_alone_and_makes_only_what_is_missing(
    trainings: Trainings, models: list[Path], prompts: Path
) -> None:
    cluster, out = trainings.cluster, trainings.folder / "pieces & more"
    words = (*models, "--prompt", prompts, "--num_seeds", "2", "--num", "1", "--tokens", "200", "--out", out)
    series = [f"{run.name}/{prompt}/seed-{seed}" for run in models for prompt in ("high", "low") for seed in (0, 1)]
    in_the_way = out / series[-1]
    in_the_way.parent.mkdir(parents=True)
    in_the_way.touch()  # a file where the second task needs a folder
    array = trainings.sbatch(f"--array=0-1 {EACH_A_NODE}", "generate.sh", *words)
    assert wait_for_tasks(cluster, array, 0, 1) == ["COMPLETED", "FAILED"], trainings.log()
    assert nodes_of(cluster, array) == {"node1", "node2"}
    in_the_way.unlink()
    before = written(out)
    rerun = trainings.sbatch("--array=1", "generate.sh", *words, PIANOGEN_PARTS="2")
    index = trainings.sbatch(f"--dependency=afterok:{rerun}", "generate.sh", *words)
    assert trainings.wait(index) == "COMPLETED", trainings.log()
    missing = {f"{piece}/0000{end}" for piece in (series[5], series[7]) for end in (".json", ".mid")}
    assert {name for name, _ in written(out).items() - before.items()} == {*missing, "index.csv", "index.html"}
    assert_index_lists(out, [f"{piece}/0000.mid" for piece in series])


def test_ranks_divide_the_pieces_and_one_process_writes_the_page(
    trainings: Trainings, models: list[Path], tmp_path: Path
) -> None:
    words = (*models, "--num", "3", "--tokens", "40", "--out")
    alone = trainings.sbatch("", "generate.sh", *words, tmp_path / "alone/pieces")
    together = trainings.sbatch("--nodes=2 --ntasks-per-node=2", "generate.sh", *words, tmp_path / "4/pieces")
    assert [trainings.wait(job) for job in (alone, together)] == ["COMPLETED"] * 2, trainings.log()
    assert contents(tmp_path / "4/pieces") == contents(tmp_path / "alone/pieces")
    assert all(f"(part {rank}/4)" in trainings.log() for rank in range(4))


def assert_index_lists(out: Path, pieces: list[str]) -> None:
    """The table and the page hold these pieces, each once, and the page links every file."""
    with (out / "index.csv").open() as file:
        assert [row["file"] for row in csv.DictReader(file)] == pieces
    page = (out / "index.html").read_text()
    assert page.count('<script type="application/json">') == len(pieces)
    links = [unquote(html.unescape(link)) for link in re.findall(r'href="\./([^"]*)"', page)]
    assert sorted(links) == sorted(contents(out).keys() - {"index.html"})


def test_only_the_tasks_of_srun_are_ranks_and_not_a_command_of_the_batch_script(trainings: Trainings) -> None:
    """Slurm sets the number of tasks of the job for both, and that of the step for the first alone."""
    file = trainings.folder / "say_rank.py"
    file.write_text(
        "import os\nfrom pianogen.distributed.independent import rank_and_count\n"
        "print('rank', *rank_and_count(os.environ))\n"
    )
    command = f"env PYTHONPATH='{ROOT}' '{sys.executable}' '{file}'"
    words = ("--ntasks=2", "--output=ranks.log", "--wrap", f"{command}; srun --ntasks=2 {command}")
    job = trainings.cluster.sbatch(*words, cwd=trainings.folder)
    assert trainings.wait(job) == "COMPLETED", trainings.log()
    lines = (trainings.folder / "ranks.log").read_text().splitlines()
    assert sorted(line for line in lines if line.startswith("rank")) == ["rank 0 1", "rank 0 2", "rank 1 2"]
