"""The Dockerfile's install steps, taken in an empty folder, and the program that they leave to a user it does not know.

Everything is installed once more, which takes minutes and a package registry.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dockerfile import ROOT
from image import Image, skip_without_strangers

pytestmark = [pytest.mark.container, pytest.mark.timeout(1800)]
# pip's own, ourselves, and what only a CUDA build of torch brings, in the versions that it names
UNPINNED = re.compile(r"pip|setuptools|pianogen|triton|(cuda|nvidia)-.*")
SMALL = (
    *("--shards", "runs/shards", "--model.hidden_size", "8", "--global_batch", "4", "--data.excerpt_tokens", "16"),
    *("--validation.num_samples", "1", "--validation.sample_tokens", "32"),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the image's processes may write to."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def image(runs: Path, tiny_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image's files, and shards in runs."""
    skip_without_strangers()
    folder = tmp_path_factory.mktemp("image")
    try:
        image = Image(folder)
        image.mount(runs)
        image.run("pianogen", "shards", str(tiny_shards.parent / "music"), "--out=runs/shards", "--split=random")
        yield image
    finally:
        subprocess.run(["chmod", "-R", "u+w", folder], check=True)
        shutil.rmtree(folder)  # it is large


def test_everything_that_is_installed_is_pinned(image: Image) -> None:
    pinned = _versions((ROOT / "constraints.txt").read_text())
    installed = _versions(image.run("pip", "list", "--format=freeze"))
    assert any(package.startswith("torch==") for package in installed)
    assert {package for package in installed - pinned if not UNPINNED.match(package)} == set()


def _versions(listed: str) -> set[str]:
    """The lines that name one, written in one way; +cpu and the like is no other version."""
    lines = listed.lower().replace("_", "-").splitlines()
    return {line.partition("+")[0] for line in lines if "==" in line}


def test_the_installed_packages_fit_together(image: Image) -> None:
    assert "No broken requirements found" in image.run("pip", "check")


def test_a_user_unknown_to_the_image_trains_and_plays(image: Image, runs: Path) -> None:
    train = ["pianogen", "train", "--config=configs/attn.yaml", "--out=runs/attn", "--budget.steps=4", *SMALL]
    generate = ["pianogen", "generate", "runs/attn", "--num=1", "--bars=2", "--out=runs/pieces", "--piano_roll"]
    said = image.run(*train) + image.run(*generate)
    assert "cache" not in said  # as matplotlib complains of a home that it cannot write to
    assert json.loads((runs / "attn/environment.json").read_text())["git_commit"] is None
    assert (runs / "mlflow.db").stat().st_size > 0
    assert len(list((runs / "pieces").rglob("*.png"))) == 1


def test_the_packages_run_where_the_configs_lie_beside_them(image: Image) -> None:
    said = image.run("python", "-P", "-c", "import pianogen, launch; print(pianogen.__file__, launch.__file__)")
    assert said.split() == [str(image.workdir / package / "__init__.py") for package in ("pianogen", "launch")]


def test_process_1_answers_sigterm_with_a_checkpoint(image: Image, runs: Path) -> None:
    command = ["pianogen", "train", "--config=configs/lstm.yaml", "--out=runs/stopped", "--budget.seconds=300"]
    process = image.start(*command, *SMALL)
    try:
        _wait_for(runs / "stopped/metrics.jsonl", process)
        [first] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(first), signal.SIGTERM)
        said = "".join(process.communicate(timeout=120))
    finally:
        process.kill()
    assert process.returncode == 75
    assert "run the same command again to resume" in said
    assert list((runs / "stopped/checkpoints").glob("step-*"))


def _wait_for(file: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until training has written its first line."""
    for _ in range(1200):
        if process.poll() is not None or (file.exists() and file.stat().st_size):
            break
        time.sleep(0.1)
    assert process.poll() is None, process.communicate()
