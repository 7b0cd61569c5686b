"""What is asked of a cluster: the batch scripts and `pianogen submit` ask for the same, and nonsense is refused."""

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from submitting import ROOT, submit

from launch.job_folder import make_job_folder
from launch.settings import SubmitConfig, Verb, overridden_variables, resources_of, sbatch_parameters
from launch.submit import submissions
from pianogen.cli import main
from pianogen.errors import SettingError

SCRIPTS: list[tuple[str, str]] = [
    *(("train", f"train_{kind}.sh") for kind in ("rnn", "lstm", "attn")),
    *((verb, f"{verb}.sh") for verb in ("shards", "generate", "evaluate", "sweep", "reproduce")),
]
ARGUMENTS = {
    "train": ["--shards", "s", "--out", "runs/a"],
    "shards": ["corpus", "--out", "s"],
    "generate": ["runs/a", "--out", "p"],
    "evaluate": ["runs/a"],
    "reproduce": ["--out", "runs/reproduce"],
    "sweep": ["space.yaml", "--shards", "s", "--out", "runs/sweep", "--budget.steps", "5"],
}


def sbatch_lines(text: str) -> dict[str, str]:
    """Options of a batch file by name, times in minutes."""
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=?(\S*)$", text, re.MULTILINE))
    if ":" in options["time"]:
        hours, minutes, _ = map(int, options["time"].split(":"))
        options["time"] = str(60 * hours + minutes)
    return options


@pytest.mark.parametrize(("verb", "script"), SCRIPTS)
def test_a_batch_script_asks_for_what_submit_asks_for(
    verb: str, script: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SBATCH_GPUS_PER_NODE", raising=False)
    submit("--dry_run", verb, *ARGUMENTS[verb])
    ours, theirs = sbatch_lines(capsys.readouterr().out), sbatch_lines((ROOT / "slurm" / script).read_text())
    names = {"job-name", "output"}
    if verb not in ("train", "sweep", "reproduce"):
        names.add("signal")  # submitit writes one always; only the trainer listens to it
    assert {k: v for k, v in ours.items() if k not in names} == {k: v for k, v in theirs.items() if k not in names}


@pytest.mark.parametrize("verb", get_args(Verb))
def test_what_can_be_submitted_has_a_batch_script(verb: str) -> None:
    assert verb in {name for name, script in SCRIPTS if (ROOT / "slurm" / script).exists()}


@given(gpus=st.integers(0, 16), tasks=st.none() | st.integers(1, 16), by_site=st.booleans())
def test_there_is_a_rank_for_each_gpu_unless_tasks_are_given(gpus: int, tasks: int | None, by_site: bool) -> None:
    config = SubmitConfig(tasks_per_node=tasks, gpus_per_node=None if by_site else gpus)
    resources = resources_of(config, "train", {"SBATCH_GPUS_PER_NODE": f"a100:{gpus}"} if by_site else {})
    assert (resources.gpus_per_node, resources.tasks_per_node) == (gpus, tasks or max(1, gpus))


@pytest.mark.parametrize(
    ("asked", "gpus"),
    [
        *(("4", 4), ("a100", 1), ("a100:4", 4), ("volta:3,kepler:5", 8), ("volta,kepler:5", 6), ("a100=2", 2)),
        *(("gpu:2", 2), ("gpu:a100:2", 2), ("3g.20gb", 1), ("1g.5gb:7", 7), ("0", 0), ("", 0)),
    ],
)
def test_every_form_in_which_slurm_takes_gpus_is_counted(asked: str, gpus: int) -> None:
    assert resources_of(SubmitConfig(), "train", {"SBATCH_GPUS_PER_NODE": asked}).gpus_per_node == gpus


@pytest.mark.parametrize(
    ("asked", "gpus"),
    [("gpu", 1), ("gpu:4", 4), ("gpu:a100", 1), ("gres/gpu:a100:4", 4), ("lustre:1,gpu:2,gpu:k80:1", 3), ("none", 0)],
)
def test_gpus_are_found_among_generic_resources(asked: str, gpus: int) -> None:
    assert resources_of(SubmitConfig(), "train", {"SBATCH_GRES": asked}).gpus_per_node == gpus


@pytest.mark.parametrize("asked", ["a100:", ":4", "a100:x", "a100:4:2", "4,a100:x"])
def test_gpus_that_slurm_would_refuse_are_one_line(asked: str) -> None:
    with pytest.raises(SettingError, match=f"SBATCH_GPUS_PER_NODE is '{asked}', but it must be written as"):
        resources_of(SubmitConfig(), "train", {"SBATCH_GPUS_PER_NODE": asked})


def test_types_of_gpus_that_the_site_asks_for_are_left_to_sbatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBATCH_GPUS_PER_NODE", "volta:3,kepler:5")
    parameters = sbatch_parameters(SubmitConfig(), "train")
    assert (parameters["gpus_per_node"], parameters["ntasks_per_node"]) == (None, 8)


def test_gpus_of_the_command_override_generic_ones() -> None:
    config = SubmitConfig(gpus_per_node=2)
    assert "SBATCH_GRES" in overridden_variables(config, {"SBATCH_GRES": "gpu:a100:4"})
    assert "SBATCH_GRES" not in overridden_variables(config, {"SBATCH_GRES": "gpu:4,lustre:1"})


@pytest.mark.parametrize("path", sorted((ROOT / "slurm").glob("*.sh")), ids=lambda path: path.name)
def test_a_batch_script_leaves_the_folder_of_its_log_to_slurm(path: Path) -> None:
    """Slurm puts the working directory before a relative name as it is, but replaces % in an absolute one."""
    assert all("/" not in name for name in re.findall(r"--(?:output|error)=(\S+)", path.read_text()))


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_working_directory_with_a_percent_sign_is_refused(
    dry_run: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "100%j").mkdir()
    monkeypatch.chdir(tmp_path / "100%j")
    assert main(["submit", *(["--dry_run"] if dry_run else []), "train", *ARGUMENTS["train"]]) == 2
    assert re.search(r"'jobs' is 'jobs', which is '.*/100%j/jobs', but .*--jobs", capsys.readouterr().err)
    assert not list(Path().iterdir())


def test_a_link_to_a_folder_with_a_percent_sign_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "a%t").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a%t")
    with pytest.raises(SettingError, match="a path without %"):
        make_job_folder(tmp_path / "link", "train")


@given(gpus=st.integers(0, 16))
def test_a_task_of_shards_is_one_process_and_of_generate_one_for_each_gpu(gpus: int) -> None:
    site = {"SBATCH_GPUS_PER_NODE": str(gpus)}
    ranks = {verb: resources_of(SubmitConfig(), verb, site).tasks_per_node for verb in get_args(Verb)}
    assert (ranks["shards"], ranks["generate"]) == (1, max(1, gpus))


@pytest.mark.parametrize("name", ["nodes", "tasks_per_node"])
def test_ranks_that_would_repeat_the_work_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match=f"'{name}' is 2, but it must be 1 for shards, which is divided by --array"):
        resources_of(SubmitConfig(**{name: 2}), "shards", {})  # pyright: ignore[reportArgumentType]


def test_ranks_whose_page_no_later_job_would_write_are_refused() -> None:
    config = SubmitConfig(cluster="local", tasks_per_node=2)
    with pytest.raises(SettingError, match="'tasks_per_node' is 2, but it must be 1 for generate with --cluster local"):
        resources_of(config, "generate", {})


@given(st.integers(1, 3), st.none() | st.integers(1, 3), st.none() | st.integers(0, 3), st.integers(1, 3))
def test_one_process_writes_the_page_after_all_others(nodes: int, tasks: int | None, gpus: int | None, array: int):
    config = SubmitConfig(nodes=nodes, tasks_per_node=tasks, gpus_per_node=gpus, array=array)
    *shares, (final, commands) = submissions(config, "generate", ["runs/a", "--out", "p"])
    assert commands == [["generate", "runs/a", "--out", "p"]]
    resources = resources_of(final, "generate", {})
    assert (resources.nodes, resources.tasks_per_node) == (1, 1)
    is_divided = array > 1 or nodes * (tasks or gpus or 1) > 1
    assert [len(commands) for _, commands in shares] == ([array] if is_divided else [])
    assert final.gpus_per_node == (gpus and 1 if is_divided else gpus)


@pytest.mark.parametrize(("verb", "ends_others"), [("train", 1), ("generate", 0)])
def test_a_rank_that_fails_ends_the_others_unless_they_work_independently(verb: Verb, ends_others: int) -> None:
    assert f"--kill-on-bad-exit={ends_others}" in sbatch_parameters(SubmitConfig(), verb)["srun_args"]


@given(tasks=st.integers(1, 64))
def test_the_ranks_of_a_node_share_its_cpus(tasks: int) -> None:
    cpus = resources_of(SubmitConfig(tasks_per_node=tasks), "train", {}).cpus_per_task
    assert cpus == max(1, 8 // tasks)


def test_only_settings_that_are_given_override_the_site() -> None:
    assert overridden_variables(SubmitConfig()) == set()
    assert overridden_variables(SubmitConfig(partition="debug", time_min=5)) == {"SBATCH_PARTITION", "SBATCH_TIMELIMIT"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nodes": 0}, "'nodes' is 0"),
        ({"time_min": 0}, "'time_min' is 0"),
        ({"gpus_per_node": -1}, "'gpus_per_node' is -1"),
        ({"cluster": "local", "nodes": 2}, "'nodes' is 2, but it must be 1 with --cluster local"),
        ({"cluster": "local", "array": 2}, "'array' is 2, but it must be 1 with --cluster local"),
        ({"jobs": "a%j"}, "'jobs' is 'a%j'"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=re.escape(message)):
        SubmitConfig(**settings)  # pyright: ignore[reportArgumentType]


def test_only_one_file_has_names_of_the_site() -> None:
    others = [path for path in Path(ROOT / "slurm").glob("*.sh") if path.name != "site.sh"]
    text = "".join(path.read_text() for path in others)
    assert not re.search(r"--(partition|account|qos|constraint|reservation)\b", text)
