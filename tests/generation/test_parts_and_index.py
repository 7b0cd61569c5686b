"""Runs x prompts x seeds as one request or one array: each piece once, in its folder, and one index of all."""

import csv
import html
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from launch.settings import SubmitConfig
from launch.submit import submissions
from pianogen.cli import main
from pianogen.config import GenerateConfig, ModelConfig, TokenizerConfig, TrainConfig, to_dict
from pianogen.errors import RunError, SettingError
from pianogen.generation import generate, job
from pianogen.generation.job import plan_series, share
from pianogen.models import build_model
from pianogen.runs import create_run
from pianogen.runs.checkpoint import write_checkpoint
from pianogen.tokens import Notes, decode, ids_of, write_midi

CONFIG = GenerateConfig(num=2, tokens=40)
ELSEWHERE = re.compile(
    r"""(?:src|href|url|@import|fetch|XMLHttpRequest|import)\s*[=(]?\s*["'(]?\s*(?:https?:|//)""", re.I
)
CHROMIUM = shutil.which("chromium")


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[[str], Path]:
    """Make a run folder of this name with one checkpoint, whose weights follow from the name."""

    def make(name: str) -> Path:
        config = TrainConfig(out=str(tmp_path / "runs" / name), model=ModelConfig(hidden_size=8))
        torch.manual_seed(sum(name.encode()))
        state = {"model": build_model(config.model).state_dict()}
        run = create_run(config, {"shards": {"tokenizer": asdict(TokenizerConfig())}})
        write_checkpoint(run.checkpoints, 200, state, {"step": 200, "model": to_dict(config.model)})
        return run.path

    return make


@pytest.fixture
def runs(make_run) -> list[Path]:
    return [make_run("attn"), make_run("lstm")]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    folder = tmp_path / "prompts"
    folder.mkdir()
    for pitch, name in ((60, "low"), (72, "high")):
        write_midi(Notes(np.array([0, 4]), np.array([4, 4]), np.array([pitch, pitch + 4])), folder / f"{name}.mid")
    (folder / "notes.txt").write_text("not a prompt")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "pieces & <more>"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def page_of(folder: Path) -> str:
    return (folder / "index.html").read_text("utf-8")


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "index.csv").read_text("utf-8"))))


@given(num=st.integers(1, 9), num_runs=st.integers(1, 4), num_seeds=st.integers(1, 4), count=st.integers(1, 12))
def test_the_tasks_of_an_array_make_every_piece_once_and_share_evenly(num, num_runs, num_seeds, count):
    config = GenerateConfig(num=num, num_seeds=num_seeds)
    series = plan_series([Path(f"runs/{number}") for number in range(num_runs)], Path("out"), config)
    tasks = [
        [(one, piece) for one, pieces in share(series, replace(config, part=f"{task}/{count}")) for piece in pieces]
        for task in range(count)
    ]
    everything = [(one, piece) for one in series for piece in range(num)]
    assert sorted((made for task in tasks for made in task), key=everything.index) == everything
    assert max(map(len, tasks)) - min(map(len, tasks)) <= 1


def test_a_part_makes_every_nth_piece(runs, out):
    paths = generate(runs[0], out, replace(CONFIG, num=7, part="1/3"))
    assert [path.name for path in paths] == ["0001.mid", "0004.mid"]
    assert sorted(contents(out)) == ["0001.json", "0001.mid", "0004.json", "0004.mid"]


def test_submit_puts_a_job_that_writes_the_index_behind_the_tasks():
    command = ["runs/attn", "--out", "pieces"]
    tasks = [["generate", "--part", part, *command] for part in ("0/2", "1/2")]
    jobs = submissions(SubmitConfig(array=2), "generate", command)
    assert [commands for _, commands in jobs] == [tasks, [["generate", *command]]]


def test_each_combination_has_a_folder_of_its_own(runs, prompts, out):
    paths = generate(runs, out, replace(CONFIG, prompt=str(prompts), seed=3, num_seeds=2))
    assert [path.relative_to(out).as_posix() for path in paths] == [
        f"{run}/{prompt}/seed-{seed}/000{piece}.mid"
        for run in ("attn", "lstm")
        for prompt in ("high", "low")
        for seed in (3, 4)
        for piece in (0, 1)
    ]
    assert all(path.exists() for path in paths)


def test_a_piece_is_the_same_alone_and_among_others(runs, prompts, tmp_path):
    generate(runs, tmp_path / "all", replace(CONFIG, prompt=str(prompts), num_seeds=2))
    generate(runs[1], tmp_path / "alone", replace(CONFIG, prompt=str(prompts / "low.mid"), seed=1))
    among = contents(tmp_path / "all" / "lstm" / "low" / "seed-1")
    alone = {name: data for name, data in contents(tmp_path / "alone").items() if not name.startswith("index")}
    assert among == alone


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"precision": "bf16"}, "precision bf16"),
        ({"ops": "reference"}, "ops reference"),
        ({"top_p": 0.95}, "top_p 0.95"),
        ({"tokens": 1_234_567, "bars": 1}, "tokens 1234567"),
    ],
)
def test_the_page_says_every_setting_that_was_given(change, shown, runs, out):
    generate(runs[0], out, replace(CONFIG, num=1, **change))
    assert shown in page_of(out)


def test_runs_without_prompts_say_so_in_their_folders(runs, out):
    paths = generate(runs, out, replace(CONFIG, num=1))
    assert [path.relative_to(out).parent.as_posix() for path in paths] == [
        "attn/from-nothing/seed-0",
        "lstm/from-nothing/seed-0",
    ]


def test_an_array_and_an_index_job_make_the_folder_of_one_job(runs, prompts, tmp_path, monkeypatch):
    config = replace(CONFIG, prompt=str(prompts), num_seeds=2)
    one, array = tmp_path / "one" / "pieces", tmp_path / "array" / "pieces"
    generate(runs, one, config)
    for part in ("2/3", "0/3", "1/3"):
        generate(runs, array, replace(config, part=part))
    assert not (array / "index.html").exists()
    asked: list[int] = []
    monkeypatch.setattr(job, "sample_each", lambda model, requests, *others: (asked.append(len(requests)), ())[1])
    generate(runs, array, config)
    assert (asked, contents(array)) == ([0, 0], contents(one))


def test_a_failed_task_is_run_again_alone_and_makes_only_what_is_missing(runs, out):
    config = replace(CONFIG, num=3)
    generate(runs, out, config)
    whole = contents(out)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.mid")}
    lost = out / "lstm" / "from-nothing" / "seed-0" / "0001.mid"  # the fifth of six
    lost.unlink()
    generate(runs, out, replace(config, part="1/3"))
    assert contents(out) == whole
    assert {path for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp} == {lost}


def test_a_failed_piece_is_named_by_its_folder_and_the_index_lists_the_others(runs, out, monkeypatch):
    sample_each = job.sample_each

    def fail_one(model, requests, *others):
        for made in sample_each(model, requests, *others):
            bad = made.request.piece == 1 and made.request.seed == 0
            yield replace(made, ended="failed", reason="no finite scores") if bad else made

    monkeypatch.setattr(job, "sample_each", fail_one)
    with pytest.raises(RunError, match="piece 1 of attn/from-nothing/seed-0 failed: no finite scores; piece 1 of lstm"):
        generate(runs, out, replace(CONFIG, num_seeds=2))
    assert len(rows_of(out)) == 6


def test_two_runs_of_one_name_are_refused(make_run, out, tmp_path):
    shutil.copytree(make_run("attn"), tmp_path / "others" / "attn")
    with pytest.raises(SettingError, match="two runs are called 'attn', and their pieces would share a folder"):
        generate([tmp_path / "runs" / "attn", tmp_path / "others" / "attn"], out, CONFIG)


def test_two_prompts_of_one_name_are_refused(runs, prompts, out):
    shutil.copy(prompts / "low.mid", prompts / "low.midi")
    with pytest.raises(SettingError, match="two prompts are called 'low'"):
        generate(runs, out, replace(CONFIG, prompt=str(prompts)))


def test_a_folder_without_a_prompt_is_refused(runs, tmp_path, out):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingError, match=r"the prompt folder .*empty holds no MIDI file or score"):
        generate(runs, out, replace(CONFIG, prompt=str(tmp_path / "empty")))


@pytest.mark.parametrize("settings", [{"part": "3/3"}, {"num_seeds": 0}])
def test_settings_that_ask_for_nothing_are_refused(settings):
    with pytest.raises(SettingError, match=f"setting '{next(iter(settings))}' is "):
        GenerateConfig(**settings)


def test_a_mistake_in_the_last_run_shows_before_the_first_piece(runs, tmp_path, out):
    with pytest.raises(RunError, match="is not a run folder"):
        generate([*runs, tmp_path / "nowhere"], out, CONFIG)
    assert not out.exists()


def test_the_command_line_takes_several_runs_and_a_part(runs, out, capsys):
    command = ["generate", *map(str, runs), "--out", str(out), "--num", "2", "--tokens", "40"]
    assert main([*command, "--part", "0/2"]) == main([*command, "--part", "1/2"]) == main(command) == 0
    assert len(rows_of(out)) == 4
    assert capsys.readouterr().out.splitlines()[-1] == f"4 pieces in {out}, one page of all: {out / 'index.html'}"


def test_the_table_says_of_each_piece_what_its_sidecar_says(runs, prompts, out):
    paths = generate(runs, out, replace(CONFIG, prompt=str(prompts), temperature=0.9))
    rows = rows_of(out)
    assert [out / row["file"] for row in rows] == paths
    for path, row in zip(paths, rows, strict=True):
        sidecar = json.loads(path.with_suffix(".json").read_text())
        notes = decode(ids_of(sidecar["words"].split()))
        assert (row["run"], row["prompt"], row["temperature"]) == (sidecar["run"], sidecar["prompt"]["name"], "0.9")
        assert row["checkpoint_sha256"] == sidecar["checkpoint"]["sha256"]
        assert (int(row["num_notes"]), int(row["num_tokens"])) == (len(notes), sidecar["num_tokens"])
        assert float(row["duration_s"]) == pytest.approx(sidecar["num_steps"] * 0.125, abs=1e-3)


def test_the_page_holds_the_notes_of_every_piece(runs, out):
    paths = generate(runs, out, CONFIG)
    embedded = re.findall(r'<script type="application/json">(.*?)</script>', page_of(out))
    for path, text in zip(paths, embedded, strict=True):
        notes = decode(ids_of(json.loads(path.with_suffix(".json").read_text())["words"].split()))
        assert json.loads(text) == np.stack([notes.onset, notes.duration, notes.pitch], axis=1).ravel().tolist()


def test_the_page_links_every_file_beside_a_piece(runs, out):
    generate(runs[0], out, replace(CONFIG, musicxml=True, piano_roll=True))
    links = {html.unescape(link) for link in re.findall(r'href="\./([^"]*)"', page_of(out))}
    assert links == set(contents(out)) - {"index.html"}


def test_a_page_needs_nothing_from_elsewhere(runs, prompts, out):
    generate(runs, out, replace(CONFIG, prompt=str(prompts)))
    assert not ELSEWHERE.search(page_of(out))
    assert "default-src 'none'" in page_of(out)


def test_names_are_text_on_the_page_whatever_they_hold(make_run, prompts, out):
    evil = "<script>alert(1)<" + '"&amp;'
    (prompts / "low.mid").rename(prompts / f"{evil}'.mid")
    run = make_run(evil)
    generate(run, out, replace(CONFIG, prompt=str(prompts)))
    page = page_of(out)
    assert "<script>alert" not in page
    assert page.count("<script") == 1 + page.count('<script type="application/json">')
    assert evil in html.unescape(page)


def test_an_index_is_the_same_bytes_when_it_is_written_again(runs, out):
    generate(runs, out, CONFIG)
    first = contents(out)
    generate(runs, out, CONFIG)
    assert contents(out) == first


def test_later_pieces_join_the_index_of_the_folder(runs, out):
    generate(runs[0], out, CONFIG)
    generate(runs[0], out, replace(CONFIG, num=4))
    assert [row["piece"] for row in rows_of(out)] == ["0", "1", "2", "3"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_the_page_plays_in_a_browser(runs, out, tmp_path):
    generate(runs, out, CONFIG)
    press = """<script>
    window.onerror = (message) => { document.title = message; };
    const buttons = document.querySelectorAll(".play");
    buttons[0].click();
    buttons[1].click();
    document.title = [...document.querySelectorAll(".play")].map((one) => one.getAttribute("aria-label")).join("; ");
    </script></body>"""
    (out / "pressed.html").write_text(page_of(out).replace("</body>", press))
    quiet = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    command = [str(CHROMIUM), *quiet.split(), "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'browser'}", "--autoplay-policy=no-user-gesture-required", "--dump-dom"]
    seen = subprocess.run([*command, (out / "pressed.html").as_uri()], capture_output=True, text=True, timeout=120)
    title = re.search("<title>(.*)</title>", seen.stdout)
    assert title is not None
    assert title[1] == "Play attn, piece 0; Pause attn, piece 1; Play lstm, piece 0; Play lstm, piece 1"
