"""Carrying out a plan: every run once, exactly resumed after a kill, saved when the time is over."""

import itertools
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from logged import logged_lines
from planned import NAMES, Reproduction

from pianogen.cli import main
from pianogen.config import ReproduceConfig, ShardSetConfig
from pianogen.distributed.preemption import Preemption
from pianogen.errors import RunError, SettingError
from pianogen.locks import FileLock
from pianogen.reproduce import job, results
from pianogen.reproduce.page import page_file
from pianogen.reproduce.plan_file import read_plan
from pianogen.reproduce.shard_sets import make_shards
from pianogen.runs import open_run
from pianogen.train.trainer import Trainer


@pytest.fixture(autouse=True)
def _no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing figures takes longer than the runs; test_page.py makes pages."""
    monkeypatch.setattr(job, "write_page", lambda plan, folder: folder)


def last_step(run: Path) -> int:
    return max((line["step"] for line in logged_lines(run)), default=0)


def wait_for(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def stop_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let the time be over when a run has taken its first step."""

    def make(run: Path) -> None:
        over = threading.Event()

        @contextmanager
        def stop_after(seconds: float) -> Iterator[None]:
            def ask() -> None:
                wait_for(lambda: last_step(run) >= 1)
                over.set()
                os.kill(os.getpid(), signal.SIGUSR2)

            thread = threading.Thread(target=ask)
            thread.start()
            yield
            thread.join()

        monkeypatch.setattr(job, "_stop_after", stop_after)
        monkeypatch.setattr(job.Job, "left_s", lambda self: 0.0 if over.is_set() else 60.0)

    return make


def test_every_run_has_a_result_of_its_own_settings(quiet: Reproduction) -> None:
    found = {name: quiet.result(name) for name in NAMES}
    assert {name: (one["entry"]["settings"]["model"]["kind"], one["seed"]) for name, one in found.items()} == {
        "rnn-0": ("rnn", 0),
        "attn-0": ("attn", 0),
        "attn-1": ("attn", 1),
    }
    assert len({json.dumps(one["curve"]) for one in found.values()}) == 3


def test_a_run_with_a_result_is_not_run_again(copy: Callable[..., Reproduction]) -> None:
    done = copy()
    before = {path: path.stat().st_mtime_ns for path in done.results.glob("*.json")}
    assert not done.run()
    assert before == {path: path.stat().st_mtime_ns for path in done.results.glob("*.json")}
    assert not (done.out / "runs").exists()


class _Killed(BaseException):
    """As SIGKILL: whatever would have come next does not happen."""


@pytest.mark.parametrize("where", ["third step", "scoring", "sums written"])
def test_a_plan_killed_in_the_middle_of_a_run_ends_with_the_same_results(
    where: str, copy: Callable[..., Reproduction], quiet: Reproduction, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = copy("rnn-0", "attn-1")
    shutil.copytree(quiet.out / "shards", killed.out / "shards")
    target, name = {
        "third step": (Trainer, "step"),
        "scoring": (job, "score_run"),
        "sums written": (results, "write_json"),
    }[where]
    with monkeypatch.context() as patched:
        patched.setattr(target, name, _killed_at(3 if where == "third step" else 1, getattr(target, name)))
        with pytest.raises(_Killed):
            killed.run()
    assert not (killed.results / "attn-0.json").exists()
    killed.run()
    assert killed.repeatable("attn-0") == quiet.repeatable("attn-0")
    assert (killed.results / "attn-0.npz").read_bytes() == (quiet.results / "attn-0.npz").read_bytes()


def _killed_at(call: int, function: Callable[..., Any]) -> Callable[..., Any]:
    calls = itertools.count(1)

    def replaced(*arguments: Any) -> Any:
        if next(calls) == call:
            raise _Killed
        return function(*arguments)

    return replaced


def test_at_the_end_of_the_time_the_run_is_saved_and_reported_at_its_tokens(
    fresh: Reproduction, quiet: Reproduction, stop_in: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_in(fresh.out / "runs/rnn-0")
    assert not fresh.run(hours=1)
    unfinished = json.loads((fresh.results / "rnn-0.unfinished.json").read_text())
    assert 0 < unfinished["tokens"] < quiet.result("rnn-0")["tokens"]
    assert [path.name for path in fresh.results.glob("*.json")] == ["rnn-0.unfinished.json"]
    assert [path.name for path in (fresh.out / "runs").iterdir()] == ["rnn-0"]
    monkeypatch.undo()
    monkeypatch.setenv("PIANOGEN_TRACK", "off")
    fresh.run(part="0/3")
    assert fresh.repeatable("rnn-0") == quiet.repeatable("rnn-0")
    assert not (fresh.results / "rnn-0.unfinished.json").exists()


def test_the_time_stops_training_even_if_it_is_over_before_training_listens() -> None:
    outer = Preemption()
    try:
        with job._stop_after(0.0):
            wait_for(lambda: outer.wanted)
            inner = Preemption()
            wait_for(lambda: inner.wanted)
            inner.release()
    finally:
        outer.release()


def test_a_signal_asks_for_another_call(
    fresh: Reproduction, stop_in: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_in(fresh.out / "runs/rnn-0")
    monkeypatch.setattr(job.Job, "left_s", lambda self: 60.0)
    assert fresh.run()


def test_a_run_that_was_begun_with_another_budget_is_refused(
    fresh: Reproduction, stop_in: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    fresh.write(lambda plan: plan["settings"].update({"budget.steps": None, "budget.tokens": 900}))
    stop_in(fresh.out / "runs/rnn-0")
    fresh.run()
    monkeypatch.undo()
    fresh.write(lambda plan: plan["settings"].update({"budget.tokens": 1000}))
    assert main(fresh.words) == 2
    assert "'optim.horizon_tokens' is 1000, but the run in" in capsys.readouterr().err


def test_a_second_process_gets_one_clear_line(copy: Callable[..., Reproduction], capsys: Any) -> None:
    busy = copy()
    busy.out.mkdir()
    with FileLock(busy.out / ".lock"):
        assert main(busy.words) == 2
    assert f"{busy.out} is in use by pianogen reproduce in process {os.getpid()}" in capsys.readouterr().err


def test_parts_may_run_at_once_and_together_do_all_runs(
    copy: Callable[..., Reproduction], quiet: Reproduction, monkeypatch: pytest.MonkeyPatch
) -> None:
    divided = copy("rnn-0")
    shutil.copytree(quiet.out / "shards", divided.out / "shards")
    pages = []
    monkeypatch.setattr(job, "write_page", lambda plan, folder: pages.append(folder))
    with FileLock(divided.out / ".lock", shared=True):  # as another task holds it
        for part in range(4):
            assert not divided.run(part=f"{part}/4")
    assert not pages
    for name in NAMES:
        assert divided.repeatable(name) == quiet.repeatable(name)
    divided.run()
    assert len(pages) == 1


def test_a_changed_entry_is_named_and_nothing_is_run(copy: Callable[..., Reproduction], capsys: Any) -> None:
    changed = copy()
    changed.write(lambda plan: plan["settings"].update({"optim": {"lr": 0.02}}))
    assert main(changed.words) == 2
    line = capsys.readouterr().err
    assert "'optim.lr' of run 'rnn-0' is 0.02 in the plan, but" in line
    assert "rnn-0.json was made with 0.01; remove that file" in line
    assert line.count("\n") == 1


def test_a_setting_that_did_not_exist_when_a_result_was_made_has_its_default(copy: Callable[..., Reproduction]) -> None:
    old = copy()
    for name in NAMES:
        content = old.result(name)
        del content["entry"]["settings"]["model"]["dropout"]
        (old.results / f"{name}.json").write_text(json.dumps(content))
    assert not old.run()


def test_shards_of_other_settings_are_refused(
    copy: Callable[..., Reproduction], quiet: Reproduction, capsys: Any
) -> None:
    changed = copy("rnn-0")
    shutil.copytree(quiet.out / "shards", changed.out / "shards")
    changed.write(lambda plan: plan["shards"]["tiny"].update(seed=3))
    (changed.results / "rnn-0.json").unlink()
    assert main(changed.words) == 2
    assert "'seed' of shards 'tiny' is 3 in the plan" in capsys.readouterr().err


def test_shards_of_another_list_are_refused(music: Path, tmp_path: Path) -> None:
    planned = ShardSetConfig(source=str(music), split="random", listed=True)
    files = sorted(path.relative_to(music).as_posix() for path in music.rglob("*.mid"))
    for name, chosen in (("one.csv", files), ("other.csv", files[1:])):
        (tmp_path / name).write_text("\n".join(["midi_filename", *chosen]))
    one, other = (ReproduceConfig(list=str(tmp_path / name)) for name in ("one.csv", "other.csv"))
    for command in (one, one, ReproduceConfig()):
        assert make_shards(tmp_path / "shards", planned, command) == tmp_path / "shards"
    with pytest.raises(SettingError, match=r"holds the files of another list than .*other\.csv, of one\.csv"):
        make_shards(tmp_path / "shards", planned, other)


@pytest.mark.parametrize("inside", [".", "deeper/.."])
def test_the_folder_of_results_may_be_the_present_one(
    inside: str, tmp_path: Path, quiet: Reproduction, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "present/deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "present")
    plan = read_plan(quiet.file)
    found = job.Job(tmp_path / "out", plan, ReproduceConfig(plan=str(quiet.file), results=inside)).results
    assert page_file(found) == tmp_path / "present.md"


def test_a_run_that_fails_does_not_keep_the_others_from_running(
    copy: Callable[..., Reproduction], monkeypatch: pytest.MonkeyPatch, quiet: Reproduction
) -> None:
    from pianogen.train import train

    def diverging(config: Any) -> Any:
        if config.model.kind == "rnn":
            raise RunError("the run has diverged")
        return train(config)

    partly = copy("attn-0")
    shutil.copytree(quiet.out / "shards", partly.out / "shards")
    monkeypatch.setattr(job, "train", diverging)
    with pytest.raises(RunError, match="1 of the runs failed; the first: rnn-0: the run has diverged"):
        partly.run()
    assert partly.repeatable("attn-1") == quiet.repeatable("attn-1")


def test_scores_are_of_the_checkpoint_that_the_result_names(quiet: Reproduction) -> None:
    _, checkpoint = open_run(quiet.out / "runs/attn-0").load_model("last")
    assert quiet.result("attn-0")["checkpoint"] == {"step": 12, "sha256": checkpoint.sha256}
