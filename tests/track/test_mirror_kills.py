"""A mirror that is killed at any request, of a run that is killed at any step, ends with everything sent once."""

import shutil
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mirrored import all_of, log, logged, points, state_of

from pianogen import track
from pianogen.track import mirror
from pianogen.train.journal import truncate_after

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.filterwarnings("ignore"),  # mlflow and sqlalchemy deprecate parts of each other as they load
]
REQUESTS = 12  # more than one sync of these runs makes
EVER = 10_000  # steps


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Which request the client dies at, by number or name, and whether the store has received it by then."""
    import mlflow

    plan: dict[str, Any] = {"request": None, "received": False}

    class Mortal(mlflow.MlflowClient):
        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name.startswith("_") or not callable(found):
                return found

            def ask(*given: Any, **named: Any) -> Any:
                dying = plan["request"] in (next(plan["made"]), name)
                if dying and not plan["received"]:
                    raise Killed
                answer = found(*given, **named)
                if dying:
                    raise Killed
                return answer

            return ask

    monkeypatch.setattr(mlflow, "MlflowClient", Mortal)
    return plan


def attempt(run: Path, back: int, num_steps: int, *, half: bool) -> None:
    """An attempt that resumes `back` steps before the last one, validates at every other step, and is killed."""
    truncate_after(run / "metrics.jsonl", EVER)
    start = max(0, logged(run)[-1]["step"] - back) if logged(run) else 0
    truncate_after(run / "metrics.jsonl", start)
    for step in range(start + 1, start + num_steps + 1):
        log(run, step, loss=1 / step, speed=time.time())
        if step % 2 == 0:
            log(run, step, nll=2 / step)
    if half:
        with (run / "metrics.jsonl").open("a") as file:
            file.write('{"step": ')


def sync_or_die(run: Path, plan: dict[str, Any], request: int | str | None, *, received: bool) -> None:
    plan.update(request=request, received=received, made=count())
    try:
        track.sync(run)
    except Killed:
        assert request is not None


ATTEMPTS = st.tuples(
    st.integers(0, 3), st.integers(1, 4), st.booleans(), st.none() | st.integers(0, REQUESTS), st.booleans()
)


@pytest.mark.parametrize("received", [False, True])
def test_the_request_that_creates_the_run_or_its_answer_may_be_lost(
    client: "MlflowClient", run: Path, kill_at: dict[str, Any], received: bool
) -> None:
    sync_or_die(run, kill_at, "create_run", received=received)
    assert len(all_of(client, run)) == received
    sync_or_die(run, kill_at, None, received=False)
    assert len(all_of(client, run)) == 1


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(attempts=st.lists(ATTEMPTS, min_size=1, max_size=4))
@example(attempts=[(0, 4, False, 5, True), (3, 4, True, None, False)])
def test_wherever_run_and_mirror_are_killed_each_step_is_sent_once(
    client: "MlflowClient",
    trained: Path,
    tmp_path_factory: pytest.TempPathFactory,
    kill_at: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    attempts: list[tuple[int, int, bool, int | None, bool]],
) -> None:
    monkeypatch.setattr(mirror, "_BATCH", 3)  # so that a batch ends within a line
    run = tmp_path_factory.mktemp("attempts")
    for name in ("config.yaml", "environment.json", "status.json"):
        shutil.copy(trained / name, run / name)
    (run / "metrics.jsonl").touch()
    for back, num_steps, half, request, received in attempts:
        attempt(run, back, num_steps, half=half)
        sync_or_die(run, kill_at, request, received=received)
    truncate_after(run / "metrics.jsonl", EVER)
    sync_or_die(run, kill_at, None, received=False)
    (one,) = all_of(client, run)
    assert one.info.run_id == state_of(run)["run_id"]
    for name in ("loss", "speed", "nll"):
        sent = [step for step, *_ in sorted(points(client, run, name), key=lambda point: point[0])]
        lines = [line["step"] for line in logged(run) if name in line]
        assert sent[: len(lines)] == lines
        assert len(set(sent)) == len(sent)
