"""What a user sees in the real MLflow UI: three models side by side under the same names."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pianogen.config import CheckpointConfig, EvaluateConfig, ModelConfig, TrainConfig, ValidationConfig
from pianogen.evaluate import evaluate
from pianogen.train import train

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.mlflow,
    pytest.mark.timeout(900),  # a browser may have to be installed first
    pytest.mark.filterwarnings("ignore"),  # mlflow and sqlalchemy deprecate parts of each other as they load
]
KINDS = ("rnn", "lstm", "attn")
# one worker and no job runners: all of them load MLflow anew, and one visitor needs one
_SMALL_SERVER = {
    "MLFLOW_WORKERS": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
# the page draws its tables as columns of loose boxes and keeps hidden ones, so that a row is what lies at one height
_SEEN_BESIDE = """label => {
    const here = label.getBoundingClientRect(), seen = new Set()
    for (let x = here.right; x < innerWidth; x += 4)
        seen.add(document.elementFromPoint(x, here.top + here.height / 2))
    return [...seen].filter(one => one.children.length === 0).map(one => one.textContent.trim()).filter(Boolean)
}"""


@pytest.fixture
def runs(tiny_run: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A finished run of each model, evaluated and mirrored into the store beside them."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("PIANOGEN_TRACK", "off")
    for kind in KINDS:
        model = ModelConfig(kind=kind, hidden_size=32)
        rare = ValidationConfig(every_steps=20, slice_tokens=200, num_samples=1, sample_tokens=32)
        train(tiny_run(kind, steps=40, model=model, validation=rare, checkpoint=CheckpointConfig(every_steps=40)))
    monkeypatch.delenv("PIANOGEN_TRACK")
    paths = [tmp_path / kind for kind in KINDS]
    evaluate(paths, EvaluateConfig())
    return paths


@pytest.fixture
def ui(runs: list[Path], tmp_path: Path) -> Iterator[str]:
    """The address of `pianogen track ui`, ended as Ctrl-C ends it."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    command = [sys.executable, "-m", "pianogen", "track", "ui", str(runs[0].parent), "--port", str(port)]
    with _in_background(command, tmp_path / "ui.log") as server:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/health", server, tmp_path / "ui.log")
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _in_background(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env={**os.environ, **_SMALL_SERVER}, stdout=file, stderr=file, start_new_session=True
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with suppress(ProcessLookupError):  # whoever of its session is left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_it_answers(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()
        with suppress(OSError), urllib.request.urlopen(address, timeout=5):  # a URLError is an OSError too
            return
        time.sleep(0.2)
    raise AssertionError(f"{address} does not answer: {log.read_text()}")


def _compare_all_runs(page: "Page", ui: str) -> None:
    page.goto(f"{ui}/#/experiments")
    page.get_by_role("button", name="Model training").click()
    page.get_by_role("button", name="Close").click()  # a chat that takes a quarter of the page
    page.get_by_role("link", name="pianogen").first.click()
    page.get_by_role("checkbox", name="Select all runs").click()
    page.get_by_role("button", name="Compare").click()


def _tidy(page: "Page") -> None:
    """Leave on the page what the picture in the documents is about."""
    page.get_by_role("button", name="Visualizations").click()
    page.get_by_role("button", name="Parameters").click()
    page.get_by_role("button", name="MLflow Assistant").evaluate("button => button.style.display = 'none'")
    page.mouse.move(0, 0)


def _row(page: "Page", label: str) -> list[str]:
    """What a user sees to the right of a label."""
    return page.get_by_text(label, exact=True).evaluate(_SEEN_BESIDE)


def test_three_models_stand_side_by_side_under_one_name_of_f1(
    runs: list[Path], ui: str, page: "Page", tmp_path: Path
) -> None:
    _compare_all_runs(page, ui)
    _tidy(page)
    page.get_by_text("test/f1_weighted", exact=True).wait_for()
    page.screenshot(path=os.environ.get("PIANOGEN_SCREENSHOT", tmp_path / "mlflow.png"))
    shown = dict(zip(_row(page, "Run Name:"), map(float, _row(page, "test/f1_weighted")), strict=True))
    scored = {run.name: json.loads((run / "evaluation" / "test.json").read_text())["metrics"] for run in runs}
    # the page shows three decimals
    assert shown == {name: pytest.approx(found["test/f1_weighted"], abs=0.0006) for name, found in scored.items()}
