"""What a user sees in the real MLflow UI: three models side by side under the same names, and what tells them apart."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pianogen.config import (
    BudgetConfig,
    DataConfig,
    EvaluateConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
    ValidationConfig,
)
from pianogen.evaluation.job import evaluate
from pianogen.train import train

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.mlflow,
    pytest.mark.timeout(900),  # a browser may have to be installed first
    pytest.mark.filterwarnings("ignore"),  # mlflow and sqlalchemy deprecate parts of each other as they load
]
KINDS: tuple[str, ...] = ("rnn", "lstm", "attn")
# one worker and no job runners: all of them load MLflow again, and one visitor needs one
_SMALL_SERVER = {
    "MLFLOW_WORKERS": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
# the page draws its tables as columns of loose boxes and keeps hidden ones, so a row is what has one vertical position
_SEEN_BESIDE = """label => {
    const here = label.getBoundingClientRect(), seen = new Set()
    for (let x = here.right; x < innerWidth; x += 4)
        seen.add(document.elementFromPoint(x, here.top + here.height / 2))
    return [...seen].filter(one => one.children.length === 0).map(one => one.textContent.trim()).filter(Boolean)
}"""


@pytest.fixture(scope="module")
def runs(tiny_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """A finished run of each model, evaluated and mirrored into the store beside them; attn tells of two machines."""
    directory = tmp_path_factory.mktemp("runs")
    paths = [directory / kind for kind in KINDS]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("PIANOGEN_TRACK", "off")
        for kind, path in zip(KINDS, paths, strict=True):
            train(_settings(kind, path, tiny_shards))
        for name in ("environment.json", "status.json"):
            recorded = json.loads((directory / "attn" / name).read_text())
            (directory / "attn" / name).write_text(json.dumps({**recorded, "world_size": 8, "num_nodes": 2}))
        patch.delenv("PIANOGEN_TRACK")
        evaluate(paths, EvaluateConfig())
        _paint(paths)
        yield paths


def _paint(runs: list[Path]) -> None:
    """Choose the colours as a user does in the table of runs: by chance two of them may be alike."""
    from mlflow import MlflowClient

    for run, colour in zip(runs, ("#9ecae1", "#4292c6", "#08519c"), strict=True):
        there = json.loads((run / "mlflow.json").read_text())
        MlflowClient(tracking_uri=there["uri"]).set_tag(there["run_id"], "mlflow.runColor", colour)


def _settings(kind: str, path: Path, shards: Path) -> TrainConfig:
    return TrainConfig(
        shards=str(shards),
        out=str(path),
        global_batch=8,
        model=ModelConfig(kind=kind, hidden_size=64),
        data=DataConfig(excerpt_tokens=32),
        optim=OptimConfig(lr=0.01, warmup_tokens=1000),
        budget=BudgetConfig(steps=100),
        validation=ValidationConfig(every_steps=20, slice_tokens=500, num_samples=0),
    )


@pytest.fixture(scope="module")
def ui(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address that `pianogen track ui` prints; it is ended as Ctrl-C ends it."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    log = tmp_path_factory.mktemp("ui") / "ui.log"
    command = [sys.executable, "-m", "pianogen", "track", "ui", str(runs[0].parent), "--port", str(port)]
    with _in_background(command, log) as server:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/health", server, log)
        printed = re.search(r"http://\S+", log.read_text())
        assert printed
        yield printed[0]


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


def _open_runs(page: "Page", ui: str) -> None:
    page.goto(ui)
    page.get_by_role("button", name="Close").click()  # a chat that takes a quarter of the page
    page.get_by_role("checkbox", name="Select all runs").wait_for()
    page.get_by_role("button", name="MLflow Assistant").evaluate("button => button.style.display = 'none'")


def _row(page: "Page", label: str) -> list[str]:
    """What a user sees to the right of a label."""
    return page.get_by_text(label, exact=True).evaluate(_SEEN_BESIDE)


def _scores(runs: list[Path], name: str) -> dict[str, float]:
    return {run.name: json.loads((run / "evaluation" / "test.json").read_text())["metrics"][name] for run in runs}


def test_the_charts_of_all_runs_draw_f1_as_a_bar_for_each_model(
    runs: list[Path], ui: str, page: "Page", tmp_path: Path
) -> None:
    _open_runs(page, ui)
    page.locator("label:has(input[value=CHART])").click()
    page.get_by_placeholder("Search metric charts").fill("test/f1|test/nll$")
    named = page.get_by_text("test/f1_weighted", exact=True)
    bars = page.get_by_test_id("experiment-view-compare-runs-card").filter(has=named).locator(".bartext")
    page.get_by_text("(6)", exact=True).wait_for()
    bars.nth(len(KINDS) - 1).wait_for()
    page.mouse.move(0, 0)
    page.screenshot(path=os.environ.get("PIANOGEN_SCREENSHOT", tmp_path / "mlflow.png"))
    scores = _scores(runs, "test/f1_weighted")
    assert bars.all_text_contents() == [f"{scores[kind]:.2f}" for kind in KINDS]


def test_the_printed_address_opens_the_runs_of_model_training(ui: str, page: "Page") -> None:
    page.goto(ui)
    page.get_by_role("checkbox", name="Select all runs").wait_for()
    assert [page.get_by_role("link", name=name, exact=True).count() for name in KINDS] == [1, 1, 1]
    assert "workflowType=machine_learning" in page.url


def test_three_models_stand_side_by_side_under_one_name_of_f1(runs: list[Path], ui: str, page: "Page") -> None:
    _open_runs(page, ui)
    page.get_by_role("checkbox", name="Select all runs").click()
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("button", name="Visualizations").click()  # out of the way
    page.get_by_role("button", name="Parameters").click()
    page.get_by_text("test/f1_weighted", exact=True).wait_for()
    shown = dict(zip(_row(page, "Run Name:"), map(float, _row(page, "test/f1_weighted")), strict=True))
    # the page shows three decimals
    assert shown == {run: pytest.approx(f1, abs=0.0006) for run, f1 in _scores(runs, "test/f1_weighted").items()}


def test_model_shards_and_machines_can_be_columns(runs: list[Path], ui: str, page: "Page") -> None:
    _open_runs(page, ui)
    page.get_by_role("button", name="Columns").click()
    for tag in ("model", "shards", "num_nodes"):
        page.get_by_placeholder("Search columns").fill(tag)
        # tags come last; there is a setting `shards` too, the folder
        page.get_by_test_id("column-selector-tree").get_by_title(tag, exact=True).last.click()
    page.keyboard.press("Escape")
    shown = {tag: page.locator(f"[col-id='tags.`{tag}`'][role=gridcell]") for tag in ("model", "shards", "num_nodes")}
    shown["num_nodes"].nth(len(KINDS) - 1).wait_for()
    table = {tag: cells.all_text_contents() for tag, cells in shown.items()}
    shards = json.loads((runs[0] / "environment.json").read_text())["shards"]["fingerprint"][:12]
    assert table["shards"] == [shards] * 3
    assert dict(zip(table["model"], table["num_nodes"], strict=True)) == {"rnn": "1", "lstm": "1", "attn": "2"}


def test_the_page_of_a_run_shows_how_busy_it_kept_the_machine(ui: str, page: "Page") -> None:
    _open_runs(page, ui)
    page.get_by_role("link", name="attn", exact=True).click()
    page.get_by_role("tab", name="System metrics").click()
    page.get_by_text("system/cpu_percent").first.wait_for()
