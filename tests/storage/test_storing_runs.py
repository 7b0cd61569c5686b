"""Copying a run uploads all of it, once, and every file before those that name it."""

import json
import shutil
from pathlib import Path

import pytest

from pianogen.cli import main
from pianogen.errors import RunError, SettingError
from pianogen.runs import local_run, store_runs

RUN = "runs/attn"


@pytest.fixture
def run(make_run) -> Path:
    return make_run()


def store(run: Path, url: str) -> int:
    return next(store_runs([run], url)).num_files


def test_all_of_a_run_is_copied_but_what_belongs_to_this_machine(bucket, run):
    store(run, bucket.url("runs"))
    there = bucket.contents(RUN)
    manifest = json.loads(there.pop("manifest.json"))["files"]
    here = {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert here.keys() - there.keys() == {".lock", "mlflow.json"}
    assert there == {name: data for name, data in here.items() if name in there}
    assert manifest.keys() == there.keys()


def test_a_second_call_copies_nothing(bucket, run):
    store(run, bucket.url("runs"))
    with bucket.asked("PUT") as names:
        assert store(run, bucket.url("runs")) == 0
    assert names == []


def test_only_what_differs_is_copied(bucket, run):
    store(run, bucket.url("runs"))
    with (run / "metrics.jsonl").open("a") as file:
        file.write("{}\n")
    bucket.delete(f"{RUN}/status.json")
    with bucket.asked("PUT") as names:
        assert store(run, bucket.url("runs")) == 2
    assert sorted(names) == [f"{RUN}/manifest.json", f"{RUN}/metrics.jsonl", f"{RUN}/status.json"]


def test_every_file_is_uploaded_before_one_that_names_it(bucket, run):
    with bucket.asked("PUT") as names:
        store(run, bucket.url("runs"))
    order = {name.removeprefix(f"{RUN}/"): number for number, name in enumerate(names)}
    for manifest in [name for name in order if name.startswith("checkpoints/") and name.endswith("/manifest.json")]:
        folder = manifest.removesuffix("manifest.json")
        assert order[manifest] == max(number for name, number in order.items() if name.startswith(folder))
        assert order[manifest] < order["checkpoints/best.json"] < order["config.yaml"]
    assert names[-2:] == [f"{RUN}/config.yaml", f"{RUN}/manifest.json"]


def test_checkpoints_that_are_pruned_locally_are_kept_remotely(bucket, run):
    store(run, bucket.url("runs"))
    shutil.rmtree(run / "checkpoints" / "step-00000002")
    assert store(run, bucket.url("runs")) == 0
    assert (local_run(bucket.url(RUN), "2") / "checkpoints" / "step-00000002" / "model.safetensors").exists()


def test_another_run_of_the_same_name_is_not_overwritten(bucket, run, make_run):
    store(run, bucket.url("runs"))
    before = bucket.contents(RUN)
    with pytest.raises(RunError, match=r"holds another run of that name .* choose another --to"):
        store(make_run(folder="others"), bucket.url("runs"))
    assert bucket.contents(RUN) == before


@pytest.mark.parametrize("state", ["running", "not started"])
def test_a_run_that_has_not_ended_is_refused(bucket, run, state):
    if state == "running":
        (run / "status.json").write_text(json.dumps({"state": state}))
    else:
        (run / "status.json").unlink()
    with pytest.raises(RunError, match=f"is {state}; only a run that has ended can be copied"):
        store(run, bucket.url("runs"))
    assert bucket.contents("runs") == {}


def test_a_mistake_in_the_last_run_shows_before_the_first_is_copied(bucket, run, tmp_path):
    with pytest.raises(RunError, match="is not a run folder"):
        store_runs([run, tmp_path / "none"], bucket.url("runs"))
    assert bucket.contents("runs") == {}


def test_two_runs_of_one_name_are_refused(run, make_run):
    with pytest.raises(SettingError, match="two runs have the same name"):
        store_runs([run, make_run(folder="others")], "s3://bucket/runs")


def test_a_name_that_no_url_can_hold_is_refused(bucket, run):
    (run / "what?.txt").touch()
    with pytest.raises(RunError, match="has a name that is not allowed in a URL"):
        store(run, bucket.url("runs"))


def test_the_command_prints_what_it_has_copied(bucket, run, capsys):
    command = ["track", "sync", str(run), "--to", bucket.url("runs")]
    assert main(command) == main(command) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{run}: 17 files (")
    assert second == f"{run}: 0 files (0.0 MB) copied to {bucket.url(RUN)}"
