"""A run starts from the weights of a run behind a URL that the command line names."""

from pathlib import Path

import pytest
from tiny import tiny_config

from pianogen.cli import main
from pianogen.config import ModelConfig
from pianogen.errors import SettingError
from pianogen.reproduce.plan_file import read_plan
from pianogen.runs import open_run
from pianogen.train import train


@pytest.fixture
def url(bucket, make_run) -> str:
    return bucket.upload(make_run(), "runs/attn")


def test_the_weights_are_those_of_the_run_at_the_url(url, make_run, tiny_shards, tmp_path) -> None:
    config = tiny_config(tiny_shards, tmp_path / "run", steps=1, init=url, model=ModelConfig())
    train(config)
    first = open_run(make_run(folder="again"))
    assert open_run(config.out).config.model == first.config.model
    assert open_run(config.out).environment["init"]["sha256"] == first.load_model("best")[1].sha256


def test_a_url_in_a_file_is_refused(url, tiny_shards, tmp_path, capsys) -> None:
    (tmp_path / "run.yaml").write_text(f"init: {url}\n")
    words = ["--shards", str(tiny_shards), "--out", str(tmp_path / "run"), "--budget.steps", "1"]
    assert main(["train", "--config", str(tmp_path / "run.yaml"), *words]) == 2
    assert f"setting 'init' is '{url}' in a file, but a URL must be on the command line" in capsys.readouterr().err


def test_a_url_that_only_the_run_names_is_not_followed(url, tiny_shards, tmp_path) -> None:
    config = tiny_config(tiny_shards, tmp_path / "run", steps=2, init=url, model=ModelConfig())
    train(config)
    for checkpoint in Path(config.out, "checkpoints").iterdir():
        checkpoint.rename(tmp_path / checkpoint.name)
    with pytest.raises(SettingError, match=f"has no checkpoint yet; to start it again, give --init {url}"):
        train(tiny_config(tiny_shards, tmp_path / "run", steps=2, model=ModelConfig()))


def test_a_url_in_a_plan_is_refused(tmp_path) -> None:
    settings = "{init: 's3://bucket/run', budget.tokens: 1}"
    plan = f"shards: {{official: {{split: official}}}}\nruns:\n  a: {{shards: official, settings: {settings}}}\n"
    (tmp_path / "plan.yaml").write_text(plan)
    with pytest.raises(SettingError, match="run 'a': setting 'init' is 's3://bucket/run', but a URL must be on"):
        read_plan(tmp_path / "plan.yaml")
