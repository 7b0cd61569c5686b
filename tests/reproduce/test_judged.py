"""Pieces of a plan's runs, judged: made once, of the runs whose folders were kept, and shown on the page."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planned import Reproduction

from pianogen.cli import main
from pianogen.errors import SettingError
from pianogen.generation.index import find_pieces
from pianogen.reproduce import judging
from pianogen.reproduce.page import load_results, page_of
from pianogen.reproduce.plan_file import read_plan


def with_pieces(plan: dict[str, Any]) -> None:
    plan["tables"] = {"pieces": {"title": "Pieces", "columns": "judged", "rows": {"A": ["attn-0"], "B": ["rnn-0"]}}}
    plan["pieces"] = {"num": 2, "seconds": 12, "prompt_seconds": 4}


def page(reproduction: Reproduction) -> str:
    plan = read_plan(reproduction.file)
    return page_of(plan, *load_results(plan, reproduction.results), reproduction.results)


def lines(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(("| A", "| B", "| random"))]


@pytest.fixture(scope="module")
def judged(quiet: Reproduction, tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    """A plan with a table of pieces, carried out where one of its two runs has been removed."""
    done = Reproduction(tmp_path_factory.mktemp("judged"), json.loads(json.dumps(quiet.plan)))
    done.write(with_pieces)
    shutil.copytree(quiet.results, done.results)
    shutil.copytree(quiet.out, done.out)
    shutil.rmtree(done.out / "runs/rnn-0")
    assert not done.run()
    return done


def test_a_run_has_a_line_with_and_without_prompt_and_noise_is_last(judged: Reproduction) -> None:
    found = lines(page(judged))
    assert [line[:4] for line in found] == [
        ["A", "attn-0", "without", "2"],
        ["A", "attn-0", "with", "2"],
        ["random notes", "-", "-", found[2][3]],
    ]
    assert "floor" in found[0][5]


def test_pieces_are_made_longer_than_what_is_compared_of_them(judged: Reproduction) -> None:
    made = [one for name in ("without", "with") for one in find_pieces(judged.out / "pieces/attn-0" / name)]
    assert {one.sidecar["settings"]["seconds"] > 12 for one in made} == {True}
    sets = judged.result("attn-0.judge")["sets"]
    assert all(sets[name]["median_seconds"] <= 12 for name in ("without", "with"))


def test_a_run_without_its_folder_is_left_out_and_named(judged: Reproduction) -> None:
    assert not (judged.results / "rnn-0.judge.json").exists()
    assert "Not judged yet, or the run's folder was not kept: rnn-0." in page(judged)


def test_a_run_that_is_not_finished_is_named(judged: Reproduction, copy: Callable[..., Reproduction]) -> None:
    partly = copy("attn-0")
    partly.write(with_pieces)
    assert "Not judged yet, or the run's folder was not kept: attn-0. Not finished: rnn-0." in page(partly)


def test_judged_pieces_are_not_judged_again(judged: Reproduction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "judge_run", lambda *given: pytest.fail("judged again"))
    assert not judged.run()


def test_pieces_that_there_are_are_kept(judged: Reproduction) -> None:
    piece = judged.out / "pieces/attn-0/without/0000.mid"
    before, file = piece.stat().st_mtime_ns, judged.results / "attn-0.judge.json"
    content = file.read_bytes()
    file.unlink()
    assert not judged.run()
    assert (piece.stat().st_mtime_ns, file.read_bytes()) == (before, content)


def judged_again(judged: Reproduction, folder: Path, change: Callable[[dict[str, Any]], None]) -> Reproduction:
    """The plan changed and carried out again in a copy of its folders, without the file that is of other pieces."""
    again = Reproduction(folder, json.loads(json.dumps(judged.plan)))
    again.write(change)
    shutil.copytree(judged.results, again.results)
    shutil.copytree(judged.out, again.out)
    (again.results / "attn-0.judge.json").unlink()
    return again


def test_fewer_pieces_are_not_judged_with_those_that_are_left_of_more(judged: Reproduction, tmp_path: Path) -> None:
    fewer = judged_again(judged, tmp_path, lambda plan: plan["pieces"].update(num=1))
    assert not fewer.run()
    assert [line[2:4] for line in lines(page(fewer))[:2]] == [["without", "1"], ["with", "1"]]


def test_pieces_of_other_settings_are_made_again(judged: Reproduction, tmp_path: Path) -> None:
    other = judged_again(judged, tmp_path, lambda plan: plan["pieces"].update(seed=1, seconds=10))
    assert not other.run()
    assert max(one["median_seconds"] for one in other.result("attn-0.judge")["sets"].values()) <= 10


def test_pieces_of_weights_that_were_trained_again_are_made_again(judged: Reproduction, tmp_path: Path) -> None:
    again = judged_again(judged, tmp_path, lambda plan: None)
    for sidecar in (again.out / "pieces/attn-0").rglob("[0-9]*.json"):
        content = json.loads(sidecar.read_text())
        content["checkpoint"]["sha256"] = "0" * 64
        sidecar.write_text(json.dumps(content))
    (again.out / "pieces/attn-0/made-of.json").unlink(missing_ok=True)
    assert not again.run()
    assert again.result("attn-0.judge")["checkpoint"] == again.result("attn-0")["checkpoint"]


@pytest.mark.parametrize("change", [("pieces", "num", 3), ("checkpoint", "sha256", "0")])
def test_a_file_of_other_pieces_is_refused(
    change: tuple[str, str, Any], judged: Reproduction, copy: Callable[..., Reproduction]
) -> None:
    other = copy("attn-0")
    other.write(with_pieces)
    section, name, value = change
    content = judged.result("attn-0.judge")
    content[section][name] = value
    (other.results / "attn-0.judge.json").write_text(json.dumps(content))
    with pytest.raises(SettingError, match=r"attn-0\.judge\.json is of pieces with other settings"):
        page(other)


def test_a_wrong_number_of_pieces_is_named(fresh: Reproduction, tmp_path: Path, capsys: Any) -> None:
    fresh.write(lambda plan: plan.update(pieces={"num": 0}))
    assert main(fresh.words) == 2
    assert "pieces: setting 'num' is 0, but it must be at least 1" in capsys.readouterr().err
