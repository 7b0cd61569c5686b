"""What `pianogen judge` leaves in the folder of a run: each set's metrics under a name of their own."""

import json
from pathlib import Path

import pytest
from judge.judged import tune

from pianogen import track
from pianogen.config import JudgeConfig, TokenizerConfig
from pianogen.errors import RunError
from pianogen.judge.comparison import Judgement, Mean
from pianogen.judge.mirroring import mirror
from pianogen.judge.piece_sets import NamedPiece, PieceSet, judged_sets
from pianogen.metrics.music import Piece
from pianogen.tokens import encode, write_midi
from pianogen.tokens.vocab import words_of
from pianogen.track.mirror import sync_or_warn


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name in ("config.yaml", "environment.json"):
        (tmp_path / name).touch()
    return tmp_path


def mirrored(run: Path, *sets: tuple[str, bool]) -> dict[str, float]:
    """The metrics after judging sets of these names, with or without prompt, whose values are 0, 1, ..."""
    piece = Piece.of(tune(0))
    given = [PieceSet(name, "judged", [NamedPiece("0", piece, run / "pieces", 7)], has_prompt=p) for name, p in sets]
    found = [
        Judgement(one.name, "judged", 1, 1, 1.0, [], {"10 s": {"polyphony": Mean(value, None, None, 1, 1)}}, {}, {})
        for value, one in enumerate(given)
    ]
    mirror(given, found, {"first_seconds": 120})
    content = json.loads((run / "evaluation" / "judge.json").read_text())
    assert (content["step"], content["first_seconds"]) == (7, 120)
    return content["metrics"]


def test_one_set_of_a_kind_is_called_by_its_kind(run):
    expected = {"judge/10s/polyphony": 0, "judge-prompt/10s/polyphony": 1}
    assert mirrored(run, ("a", False), ("b", True)) == expected


def test_a_name_that_ends_like_a_set_with_prompt_is_no_prompt(run):
    assert mirrored(run, ("a, with prompt", False)) == {"judge/10s/polyphony": 0}


def write_generated(folder: Path, number: int, prompt: dict[str, str] | None, prompt_steps: int = 0) -> None:
    """Write a piece as `pianogen generate` does."""
    folder.mkdir(parents=True, exist_ok=True)
    write_midi(tune(number), folder / f"{number}.mid")
    request = {"run": "r", "prompt": prompt, "prompt_steps": prompt_steps, "steps_per_quarter": 4}
    sidecar = {"words": " ".join(words_of(encode(tune(number)))), "checkpoint": {"step": 7}, **request}
    (folder / f"{number}.json").write_text(json.dumps(sidecar))


@pytest.mark.parametrize("below", [".", "r", "r/p", "r/p/seed-0"])
def test_the_prompt_is_left_out_of_whichever_folder_of_a_request_is_judged(tmp_path, below):
    write_generated(tmp_path / "r" / "p" / "seed-0", 0, {"name": "p"}, prompt_steps=80)
    (found,) = judged_sets([f"mine={tmp_path / below}"], JudgeConfig("the shards"), TokenizerConfig())
    assert (found.name, found.has_prompt) == ("mine", True)
    assert len(found.pieces[0].piece.notes) == (tune(0).onset >= 80).sum() < len(tune(0))


@pytest.mark.parametrize("given", ["{0}", "{0}/all", "{0}/all/r/p/seed-0/0.mid"])
def test_the_prompt_is_left_out_above_a_request_and_of_a_single_file(tmp_path, given):
    write_generated(tmp_path / "all" / "r" / "p" / "seed-0", 0, {"name": "p"}, prompt_steps=80)
    (found,) = judged_sets([given.format(tmp_path)], JudgeConfig("the shards"), TokenizerConfig())
    assert [len(one.piece.notes) for one in found.pieces] == [(tune(0).onset >= 80).sum()]
    assert (found.has_prompt, found.pieces[0].step) == (True, 7)


def test_a_generated_piece_and_its_score_among_other_files_are_one_piece(tmp_path):
    for number in range(2):
        write_generated(tmp_path / "above" / f"request-{number}", number, None)
        (tmp_path / "above" / f"request-{number}" / f"{number}.musicxml").touch()
    (tmp_path / "above" / "other.json").write_text('{"of": "another program"}')
    write_midi(tune(2), tmp_path / "above" / "other.mid")
    (found,) = judged_sets([str(tmp_path / "above")], JudgeConfig("the shards"), TokenizerConfig())
    assert [len(one.piece.notes) for one in found.pieces] == [len(tune(number)) for number in (2, 0, 1)]
    assert found.left_out == []


def test_a_folder_of_generated_pieces_is_a_set_with_prompt_and_one_without(tmp_path):
    for number, prompt in enumerate([None, {"name": "p"}, None]):
        write_generated(tmp_path, number, prompt)
    found = judged_sets([str(tmp_path)], JudgeConfig("the shards"), TokenizerConfig())
    described = [(one.name, one.has_prompt, len(one.pieces)) for one in found]
    assert described == [("r, without prompt", False, 2), ("r, with prompt", True, 1)]
    assert found[1].first(1).has_prompt


def test_two_sets_of_a_run_are_called_by_their_names(run):
    found = mirrored(run, ("cold", False), ("hot, v1.2", False), ("prompted", True))
    assert list(found) == ["judge/cold/10s/polyphony", "judge/hot-v1-2/10s/polyphony", "judge-prompt/10s/polyphony"]


def test_names_that_differ_in_what_a_metric_cannot_be_called_do_not_replace_each_other(run):
    found = mirrored(run, ("a b", False), ("a,b", False), ("a-b", False), ("x" * 200 + "1", False), ("x" * 200, False))
    assert sorted(found.values()) == [0, 1, 2, 3, 4]


def test_a_mirror_that_fails_is_a_warning(tmp_path, monkeypatch, capsys):
    def fail(path: Path) -> None:
        raise RunError("the store [of all runs] cannot be reached")

    monkeypatch.setattr("pianogen.track.mirror.sync", fail)
    sync_or_warn(tmp_path)
    assert capsys.readouterr().err == "warning: the store [of all runs] cannot be reached\n"
    assert track.sync_or_warn is sync_or_warn
