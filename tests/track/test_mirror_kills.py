"""A mirror that dies at any request, of a run that dies at any step, in the end has everything once."""

import shutil
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mirrored import all_of, log, logged, points, remembered

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
    """Which request the client dies at, by number or name, and whether the store has heard it by then."""
    import mlflow

    plan: dict[str, Any] = {"request": None, "heard": False}

    class Mortal(mlflow.MlflowClient):
        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name.startswith("_") or not callable(found):
                return found

            def ask(*given: Any, **named: Any) -> Any:
                dying = plan["request"] in (next(plan["made"]), name)
                if dying and not plan["heard"]:
                    raise Killed
                answer = found(*given, **named)
                if dying:
                    raise Killed
                return answer

            return ask

    monkeypatch.setattr(mlflow, "MlflowClient", Mortal)
    return plan


def live(run: Path, back: int, num_steps: int, *, half: bool) -> None:
    """One life of a run: it goes on `back` steps before the last one told, looks at every other step, and is killed."""
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


def sync_or_die(run: Path, plan: dict[str, Any], request: int | str | None, *, heard: bool) -> None:
    plan.update(request=request, heard=heard, made=count())
    try:
        track.sync(run)
    except Killed:
        assert request is not None


LIVES = st.tuples(
    st.integers(0, 3), st.integers(1, 4), st.booleans(), st.none() | st.integers(0, REQUESTS), st.booleans()
)


@pytest.mark.parametrize("heard", [False, True])
def test_the_request_that_makes_the_run_may_be_lost_or_answered_to_nobody(
    client: "MlflowClient", run: Path, kill_at: dict[str, Any], heard: bool
) -> None:
    sync_or_die(run, kill_at, "create_run", heard=heard)
    assert len(all_of(client, run)) == heard
    sync_or_die(run, kill_at, None, heard=False)
    assert len(all_of(client, run)) == 1


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=st.lists(LIVES, min_size=1, max_size=4))
@example(lives=[(0, 4, False, 5, True), (3, 4, True, None, False)])
def test_wherever_run_and_mirror_are_killed_each_step_arrives_once(
    client: "MlflowClient",
    trained: Path,
    tmp_path_factory: pytest.TempPathFactory,
    kill_at: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    lives: list[tuple[int, int, bool, int | None, bool]],
) -> None:
    monkeypatch.setattr(mirror, "_BATCH", 3)  # so that a batch ends within a line
    run = tmp_path_factory.mktemp("lives")
    for name in ("config.yaml", "environment.json", "status.json"):
        shutil.copy(trained / name, run / name)
    (run / "metrics.jsonl").touch()
    for back, num_steps, half, request, heard in lives:
        live(run, back, num_steps, half=half)
        sync_or_die(run, kill_at, request, heard=heard)
    truncate_after(run / "metrics.jsonl", EVER)
    sync_or_die(run, kill_at, None, heard=False)
    (one,) = all_of(client, run)
    assert one.info.run_id == remembered(run)["run_id"]
    for name in ("loss", "speed", "nll"):
        sent = [step for step, *_ in sorted(points(client, run, name), key=lambda point: point[0])]
        told = [line["step"] for line in logged(run) if name in line]
        assert sent[: len(told)] == told
        assert len(set(sent)) == len(sent)
