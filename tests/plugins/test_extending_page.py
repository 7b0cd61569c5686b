"""docs/extending.md as a user would follow it: its code is installed as a package, and the real commands use it."""

import json
import os
import re
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from forked import LIMIT_S, run
from plugin_package import write_package

from pianogen import plugins
from pianogen.config import ModelConfig
from pianogen.models import build_model
from pianogen.tokens.vocab import BOS, VOCABULARY_SIZE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()
PIANOGEN = (sys.executable, "-m", "pianogen")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m")
TINY = (
    *("--global_batch", "4", "--model.kind", "gru", "--model.hidden_size", "8", "--model.num_layers", "2"),
    *("--data.excerpt_tokens", "16", "--checkpoint.every_steps", "2"),
    *("--validation.every_steps", "2", "--validation.slice_tokens", "200", "--validation.num_samples", "0"),
)


def install_page(folder: Path) -> None:
    """Write the package of the page, as an installer would, into a folder."""
    blocks = dict(re.findall(r"^`([\w/.]+)`[^\n]*:\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
    (entry_point,) = tomllib.loads(blocks.pop("pyproject.toml"))["project"]["entry-points"][plugins.GROUP].values()
    write_package(folder, "pianogen_toy", {Path(name).name: text for name, text in blocks.items()}, entry_point)


@dataclass(frozen=True)
class Project:
    """A folder with performances in the toy format, and an environment in which the package is installed."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, fails: bool = False, forks: bool = True) -> str:
        """Run a command in the folder; returns what it prints. Without `forks`, from a real start of Python."""
        if forks:
            done = run(command, cwd=self.folder, env=self.environment)
        else:
            done = subprocess.run(
                command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=LIMIT_S
            )
        assert (done.returncode != 0) == fails, done.stderr
        return done.stdout + done.stderr

    def json(self, path: str) -> dict:
        return json.loads((self.folder / path).read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Shards of the toy format, written by two workers, and a run of the toy model on two ranks."""
    folder = tmp_path_factory.mktemp("project")
    install_page(folder / "packages")
    (folder / "music").mkdir()
    for number in range(20):
        random = np.random.default_rng(number)
        onset = np.cumsum(random.choice([0.25, 0.5], 30 + number))
        pitch = 60 + np.cumsum(random.integers(-2, 3, len(onset))) % 24
        table = np.stack([onset, np.full(len(onset), 0.5), pitch], axis=1)
        np.savetxt(folder / "music" / f"{number:02d}.notes", table, fmt="%g")
    kept = {name: value for name, value in os.environ.items() if name not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    path = os.pathsep.join([str(folder / "packages"), str(ROOT)])
    project = Project(folder, {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PIANOGEN_TRACK": "off"})
    project.run(*PIANOGEN, "shards", "music", "--out", "shards", "--split", "random", "--workers", "2", forks=False)
    for steps in ("2", "4"):  # the second resumes
        words = ("pianogen.train", "--shards", "shards", "--out", "run", *TINY, "--budget.steps", steps)
        project.run(*TORCHRUN, *words)
    return project


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The package in this process."""
    install_page(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    plugins._registry.cache_clear()
    yield
    plugins._registry.cache_clear()


def test_the_toy_models_steps_equal_one_pass_cut_anywhere(installed: None):
    torch.manual_seed(0)
    model = build_model(ModelConfig(kind="gru", hidden_size=7, num_layers=2)).double().eval()
    words = torch.randint(1, VOCABULARY_SIZE, (3, 9))
    words[1, 4] = BOS
    whole, last = model(words)
    state, steps = model.initial_state(3), []
    for t in range(9):
        logits, state = model.step(words[:, t], state)
        steps.append(logits)
    torch.testing.assert_close((torch.stack(steps, dim=1), state), (whole.detach(), {"h": last["h"].detach()}))
    first, middle = model(words[:, :5])
    torch.testing.assert_close(torch.cat((first, model(words[:, 5:], middle)[0]), dim=1), whole)


def test_the_toy_format_is_tokenized_without_torch(project: Project):
    assert project.run(*PIANOGEN, "tokens", "music/00.notes").startswith("xxbos xxpad ")
    read = "from pianogen.cli import main; main(['tokens', 'music/00.notes'])"
    project.run(sys.executable, "-c", f"import sys; {read}; assert 'torch' not in sys.modules", forks=False)


def test_shards_hold_every_performance_of_the_toy_format(project: Project):
    manifest = project.json("shards/manifest.json")
    assert project.run(*PIANOGEN, "shards", "music", "--out", "one", "--split", "random")
    assert project.json("one/manifest.json")["fingerprint"] == manifest["fingerprint"]


def test_a_damaged_file_is_quarantined_with_the_readers_reason(project: Project, tmp_path: Path):
    (tmp_path / "bad.notes").write_text("no numbers")
    message = project.run(*PIANOGEN, "tokens", str(tmp_path / "bad.notes"), fails=True)
    assert message.startswith(f"pianogen: {tmp_path}/bad.notes is not lines of onset, duration and pitch")


def test_two_ranks_train_resume_and_log_the_metric(project: Project):
    lines = [json.loads(line) for line in (project.folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "validation/distinct_words" in line][-1] == 4
    assert project.json("run/status.json")


def test_the_metric_is_in_the_evaluation(project: Project):
    project.run(*PIANOGEN, "evaluate", "run")
    found = project.json("run/evaluation/test.json")
    assert found["metrics"]["test/distinct_words"] == found["results"]["plugins"]["distinct_words"] > 0
    assert found["baselines"]["unigram"]["plugins"]["distinct_words"] > 0
    assert "gru (run)" in (project.folder / "run" / "evaluation" / "comparison.md").read_text()


def test_pieces_are_generated_from_a_prompt_of_the_toy_format(project: Project):
    words = "generate run --prompt music/00.notes --prompt_bars 1 --num 2 --bars 2 --out pieces"
    project.run(*PIANOGEN, *words.split())
    assert sorted(path.name for path in (project.folder / "pieces").glob("*.mid")) == ["0000.mid", "0001.mid"]


def test_without_the_package_the_run_is_refused_in_one_line(project: Project):
    bare = Project(project.folder, {**project.environment, "PYTHONPATH": str(ROOT)})
    message = bare.run(*PIANOGEN, "generate", "run", "--out", "none", fails=True)
    assert "'model.kind' is 'gru', but it must be one of rnn, lstm, attn, sha; others need a plugin" in message
    assert message.count("\n") == 1


def test_a_local_job_trains_the_toy_model(project: Project):
    words = ("train", "--shards", "shards", "--out", "submitted", *TINY, "--budget.steps", "2")
    project.run(*PIANOGEN, "submit", "--cluster", "local", *words)
    status, end = project.folder / "submitted" / "status.json", time.monotonic() + LIMIT_S
    while not (status.exists() and json.loads(status.read_text()).get("state") == "finished"):
        assert time.monotonic() < end, [path.read_text() for path in (project.folder / "jobs").rglob("*log*")]
        time.sleep(0.2)
