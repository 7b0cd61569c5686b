"""A run behind a URL is that run: the same checkpoints by the same names, checked, and no URL in it is followed."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from pianogen.cli import main
from pianogen.errors import PianogenError, RunError, StorageError
from pianogen.runs import local_run, open_run, store_runs
from pianogen.runs.exporting import export

RUN = "runs/attn"


@pytest.fixture
def run(make_run) -> Path:
    return make_run()


@pytest.fixture
def uploaded(bucket, run) -> str:
    """The run on a bucket, as any tool would copy it."""
    return bucket.upload(run, RUN)


@pytest.fixture
def stored(bucket, run) -> str:
    """The run on a bucket, as `track sync --to` copies it."""
    return next(store_runs([run], bucket.url("runs"))).url


@pytest.fixture
def site(web, run) -> str:
    """The run on a web server, as any tool would copy it."""
    shutil.copytree(run, web.folder / "attn")
    return f"{web.url}/attn"


def names_of(folder: Path) -> set[str]:
    return {path.name for path in (folder / "checkpoints").glob("step-*")}


@pytest.mark.parametrize(
    ("how", "checkpoint"),
    [*(("uploaded", name) for name in ("best", "last", "2")), ("stored", "best"), ("stored", "last")],
)
def test_a_checkpoint_of_a_copy_is_the_one_that_the_run_has_by_that_name(how, checkpoint, run, request):
    copy = open_run(local_run(request.getfixturevalue(how), checkpoint))
    (model, found), (expected_model, expected) = (one.load_model(checkpoint) for one in (copy, open_run(run)))
    assert (found.step, found.sha256) == (expected.step, expected.sha256)
    assert all(map(lambda a, b: a.equal(b), model.state_dict().values(), expected_model.state_dict().values()))
    assert copy.tokenizer == open_run(run).tokenizer


def test_best_is_the_newest_if_no_best_is_recorded(bucket, uploaded, run):
    bucket.delete(f"{RUN}/checkpoints/best.json")
    assert open_run(local_run(uploaded)).find_checkpoint("best").name == "step-00000006"


def test_only_the_requested_checkpoint_is_fetched(uploaded):
    assert names_of(local_run(uploaded, "2")) == {"step-00000002"}


def test_a_copy_has_the_name_of_the_run(uploaded, cache):
    assert local_run(uploaded) == cache / "s3" / uploaded.removeprefix("s3://")


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_an_exported_run_on_a_web_server_is_fetched_by_its_own_manifest(web, run, checkpoint):
    made = export(run, web.folder / "shared")
    copy = open_run(local_run(f"{web.url}/shared", checkpoint))
    assert copy.is_exported
    assert copy.load_model(checkpoint)[1].sha256 == made.load_model()[1].sha256


def test_a_folder_is_used_as_it_is(run):
    assert local_run(str(run)) == run


def test_a_second_call_fetches_no_tensors(bucket, uploaded):
    local_run(uploaded)
    with bucket.asked("GET") as names:
        local_run(uploaded)
    assert names
    assert not [name for name in names if name.endswith(".safetensors")]


def test_a_copy_follows_a_run_that_has_changed(bucket, uploaded, make_run):
    local_run(uploaded, "last")
    others = make_run(folder="others")
    shutil.rmtree(others / "checkpoints" / "step-00000006")
    for name in bucket.contents(RUN):
        bucket.delete(f"{RUN}/{name}")
    bucket.upload(others, RUN)
    copy = open_run(local_run(uploaded, "last"))
    assert copy.find_checkpoint("last").name == "step-00000004"
    assert copy.environment["host"] == "maker of others"


def test_files_that_a_run_no_longer_has_are_removed_from_the_copy(bucket, uploaded):
    assert (local_run(uploaded) / "status.json").exists()
    bucket.delete(f"{RUN}/status.json")
    assert not (local_run(uploaded) / "status.json").exists()


def test_the_best_checkpoint_is_fetched_from_a_web_server_without_a_list(site):
    assert names_of(local_run(site)) == {"step-00000004"}


def test_the_last_checkpoint_on_a_web_server_is_unknown(site):
    with pytest.raises(StorageError, match="cannot be listed: it is not a bucket"):
        local_run(site, "last")


def test_the_last_checkpoint_on_a_web_server_is_known_from_a_manifest(web, bucket, stored):
    for name, data in bucket.contents(RUN).items():
        (web.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (web.folder / name).write_bytes(data)
    (web.folder / "attn").symlink_to(web.folder)
    assert names_of(local_run(f"{web.url}/attn", "last")) == {"step-00000006"}


@pytest.mark.parametrize(
    ("checkpoint", "complaint"),
    [("3", "has no checkpoint of step 3"), ("first", "no checkpoint 'first'; .* one of the steps 2, 4, 6")],
)
def test_a_missing_checkpoint_is_named(uploaded, checkpoint, complaint):
    with pytest.raises(RunError, match=complaint):
        local_run(uploaded, checkpoint)


def test_a_url_without_a_run_is_one_error(web):
    with pytest.raises(RunError, match=r"is not a run: .*/config\.yaml not found"):
        local_run(f"{web.url}/attn")


def test_damaged_tensors_are_not_renamed_into_place(site, web):
    file = web.folder / "attn" / "checkpoints" / "step-00000004" / "model.safetensors"
    file.write_bytes(b"x" + file.read_bytes()[1:])
    with pytest.raises(StorageError, match=r"model\.safetensors has .* but its manifest says"):
        local_run(site)


def test_a_damaged_record_is_detected_if_the_run_has_a_manifest(bucket, stored):
    bucket.put(f"{RUN}/config.yaml", bucket.get(f"{RUN}/config.yaml") + b"\n")
    with pytest.raises(StorageError, match=r"config\.yaml has .* but its manifest says"):
        local_run(stored)


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a/../../evil", "", ".", "a\\b", "x" * 300])
def test_a_manifest_cannot_name_files_outside_the_copy(web, site, cache, name):
    file = web.folder / "attn" / "checkpoints" / "step-00000004" / "manifest.json"
    manifest = json.loads(file.read_bytes())
    file.write_text(json.dumps({name: manifest["training.json"], **manifest}))
    with pytest.raises(StorageError, match=r"manifest\.json is damaged"):
        local_run(site)
    assert not list(cache.rglob("*evil*"))
    assert not list(cache.rglob("*.safetensors"))


@pytest.mark.parametrize("data", [b"", b"[]", b"7", b'{"step": {}}', b'{"step": "x"}', b"\xff"])
def test_a_best_that_cannot_be_read_is_one_error(site, web, data):
    (web.folder / "attn" / "checkpoints" / "best.json").write_bytes(data)
    with pytest.raises(PianogenError, match=r"best\.json cannot be read"):
        local_run(site)


def test_evaluate_does_not_follow_a_url_in_a_run(bucket, uploaded, tiny_shards, capsys):
    shards = bucket.upload(tiny_shards, "shards")
    environment = json.loads(bucket.get(f"{RUN}/environment.json"))
    environment["shards"]["folder"] = shards
    bucket.put(f"{RUN}/environment.json", json.dumps(environment).encode())
    with bucket.asked("GET") as names:
        status = main(["evaluate", uploaded])
    assert (status, f"name them yourself: --shards {shards}" in capsys.readouterr().err) == (2, True)
    assert not [name for name in names if name.startswith("shards")]


def test_evaluate_scores_a_run_and_shards_that_the_user_names(bucket, uploaded, tiny_shards, cache, capsys):
    shards = bucket.upload(tiny_shards, "shards")
    assert main(["evaluate", uploaded, "--shards", shards, "--split", "test"]) == 0
    said = capsys.readouterr()
    results = cache / "s3" / uploaded.removeprefix("s3://") / "evaluation"
    assert f"are in its local copy {results.parent}" in said.err
    assert json.loads((results / "test.json").read_bytes())["step"] == 4


def test_results_in_a_copy_can_be_put_beside_the_run(bucket, stored, tiny_shards):
    copy = local_run(stored)
    (copy / "evaluation").mkdir()
    (copy / "evaluation" / "test.json").write_text("{}")
    before = bucket.contents(RUN)
    assert next(store_runs([copy], bucket.url("runs"))).num_files == 1
    after = bucket.contents(RUN)
    assert after.pop("evaluation/test.json") == b"{}"
    assert {name for name in after if after[name] != before[name]} == {"manifest.json"}


def test_train_does_not_follow_a_url_in_a_file(bucket, tiny_shards, tmp_path, capsys):
    shards = bucket.upload(tiny_shards, "shards")
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"shards": shards, "budget": {"steps": 1}}))
    with bucket.asked("GET") as names:
        status = main(["train", "--config", str(tmp_path / "run.yaml"), "--out", str(tmp_path / "run")])
    assert (status, f"must be on the command line: --shards {shards}" in capsys.readouterr().err) == (2, True)
    assert names == []


def test_a_run_records_the_url_that_the_user_gave_and_resumes_with_it(bucket, tiny_shards, tmp_path):
    shards, run = bucket.upload(tiny_shards, "shards"), tmp_path / "run"
    small = ["--model.hidden_size", "8", "--global_batch", "4", "--data.excerpt_tokens", "16"]
    small += ["--validation.num_samples", "0", "--optim.horizon_tokens", "1000"]
    for steps in ("1", "2"):
        assert main(["train", "--shards", shards, "--out", str(run), "--budget.steps", steps, *small]) == 0
    assert (open_run(run).config.shards, open_run(run).environment["shards"]["folder"]) == (shards, shards)
    assert open_run(run).find_checkpoint("last").name == "step-00000002"
