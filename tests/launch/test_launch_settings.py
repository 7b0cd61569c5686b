"""What is asked of a cluster: the batch scripts and `pianogen submit` ask for the same, and nonsense is refused."""

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from submitting import ROOT, submit

from launch.settings import SubmitConfig, Verb, overruled_variables, resources_of
from pianogen.errors import SettingError

SCRIPTS: list[tuple[str, str]] = [
    *(("train", f"train_{kind}.sh") for kind in ("rnn", "lstm", "attn")),
    *((verb, f"{verb}.sh") for verb in ("shards", "generate", "evaluate", "sweep")),
]
ARGUMENTS = {
    "train": ["--shards", "s", "--out", "runs/a"],
    "shards": ["corpus", "--out", "s"],
    "generate": ["runs/a", "--out", "p"],
    "evaluate": ["runs/a"],
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
    if verb not in ("train", "sweep"):
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


@pytest.mark.parametrize("verb", ["shards", "generate"])
@given(gpus=st.integers(0, 16))
def test_what_an_array_shares_out_is_one_process_a_task(verb: Verb, gpus: int) -> None:
    assert resources_of(SubmitConfig(), verb, {"SBATCH_GPUS_PER_NODE": str(gpus)}).tasks_per_node == 1


@pytest.mark.parametrize("name", ["nodes", "tasks_per_node"])
def test_ranks_that_would_repeat_the_work_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match=f"'{name}' is 2, but it must be 1 for shards, whose work --array"):
        resources_of(SubmitConfig(**{name: 2}), "shards", {})  # pyright: ignore[reportArgumentType]


@given(tasks=st.integers(1, 64))
def test_the_ranks_of_a_node_share_its_cpus(tasks: int) -> None:
    cpus = resources_of(SubmitConfig(tasks_per_node=tasks), "train", {}).cpus_per_task
    assert cpus == max(1, 8 // tasks)


def test_only_settings_that_are_given_overrule_the_site() -> None:
    assert overruled_variables(SubmitConfig()) == set()
    assert overruled_variables(SubmitConfig(partition="debug", time_min=5)) == {"SBATCH_PARTITION", "SBATCH_TIMELIMIT"}


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


def test_site_names_stand_in_one_file_alone() -> None:
    others = [path for path in Path(ROOT / "slurm").glob("*.sh") if path.name != "site.sh"]
    text = "".join(path.read_text() for path in others)
    assert not re.search(r"--(partition|account|qos|constraint|reservation)\b", text)
