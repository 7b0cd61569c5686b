"""`pianogen judge` on small folders: what it writes, and that real music is nearer than noise."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from judge.judged import tune, write_tunes

from pianogen.config import JudgeConfig
from pianogen.data import ShardSet
from pianogen.errors import SettingError
from pianogen.judge.comparison import Judgement
from pianogen.judge.job import judge
from pianogen.judge.piece_sets import read_folder
from pianogen.tokens import Notes, decode, encode, write_midi
from pianogen.tokens.notes import canonical
from pianogen.tokens.vocab import words_of

MEASURES = ("frechet", "overlap", "kl_nats")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    write_tunes(folder / "real", range(24))
    write_tunes(folder / "model", range(100, 106))
    return folder


@pytest.fixture(scope="module")
def config(folders: Path) -> JudgeConfig:
    return JudgeConfig(str(folders / "real"), draws=20, windows_s=[5, 10], workers=1, players=1)


@pytest.fixture(scope="module")
def judged(folders: Path, config: JudgeConfig) -> list[Judgement]:
    return judge([str(folders / "model")], folders / "out", config)


def score(one: Judgement, window: str, measure: str) -> float:
    """How far the set is: greater is farther."""
    found = one.distances[window]
    if measure == "frechet":
        assert found.frechet is not None
        return found.frechet.distance
    value = getattr(found, measure)
    return -value if measure == "overlap" else value


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("window", ["5 s", "10 s", "whole"])
def test_noise_is_farther_than_held_out_music_by_every_set_measure(
    judged: list[Judgement], window: str, measure: str
) -> None:
    _, real, *_, noise = judged
    assert score(real, window, measure) < score(noise, window, measure)


def test_the_floor_of_a_set_is_of_as_many_real_pieces(judged: list[Judgement]) -> None:
    model = judged[2]
    found = [model.floors[window].frechet for window in ("5 s", "10 s", "whole")]
    real = [judged[1].distances[window].frechet for window in ("5 s", "10 s", "whole")]
    assert all(few and many and few.distance > many.distance for few, many in zip(found, real, strict=True))


def test_the_results_are_json_that_says_everything_the_page_shows(folders: Path, judged: list[Judgement]) -> None:
    content = json.loads((folders / "out" / "judge.json").read_text())
    assert content["sets"] == [one.as_json() for one in judged]


def test_the_page_is_one_file_that_loads_nothing(folders: Path, judged: list[Judgement]) -> None:
    page = (folders / "out" / "judge.html").read_text()
    assert "default-src 'none'" in page
    assert page.count('class="player"') == 4
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_same_pieces_and_seed_give_the_same_results(
    folders: Path, config: JudgeConfig, judged: list[Judgement], tmp_path: Path
) -> None:
    again = judge([str(folders / "model")], tmp_path, replace(config, workers=2))
    assert again == judged


def test_a_set_with_an_empty_and_a_broken_file_is_judged_and_says_so(
    folders: Path, config: JudgeConfig, tmp_path: Path
) -> None:
    odd = write_tunes(tmp_path / "odd", range(200, 203))
    (odd / "broken.mid").write_bytes(b"not a MIDI file")
    write_midi(canonical(np.array([0]), np.array([1]), np.array([60])), odd / "one.mid")
    found = judge([f"named={odd}"], tmp_path / "out", config)[2]
    assert (found.name, found.pieces, len(found.left_out)) == ("named", 4, 1)
    entropy = found.means["whole"]["interval_entropy"]
    assert (entropy.defined, entropy.windows) == (3, 4)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["no/such"], "no/such does not exist; give folders of pieces, NAME=FOLDER, or files"),
        (["{out}"], "set 'empty' has no piece: there is no file that ends in .mid"),
        (["{model}", "{model}"], "two sets are called 'model'; name them: NAME=FOLDER"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    names: list[str], message: str, folders: Path, config: JudgeConfig, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    given = [name.format(out=tmp_path / "empty", model=folders / "model") for name in names]
    with pytest.raises(SettingError, match=message):
        judge(given, tmp_path / "out", config)


def test_copies_in_a_folder_of_real_music_are_not_the_floor_of_their_originals(
    folders: Path, config: JudgeConfig, judged: list[Judgement], tmp_path: Path
) -> None:
    for file in (folders / "real").iterdir():
        for name in (file.name, f"{file.stem}-copy.mid"):
            (tmp_path / "twice").mkdir(exist_ok=True)
            (tmp_path / "twice" / name).write_bytes(file.read_bytes())
    found = judge([str(folders / "model")], tmp_path / "out", replace(config, reference=str(tmp_path / "twice")))
    assert [one.distances for one in found] == [one.distances for one in judged]
    assert len(found[0].left_out) == 24


def test_a_reference_of_two_files_is_refused(config: JudgeConfig, folders: Path, tmp_path: Path) -> None:
    few = write_tunes(tmp_path / "few", range(2))
    with pytest.raises(SettingError, match="has 2 pieces, but judging needs at least 3; add some"):
        judge([str(folders / "model")], tmp_path / "out", replace(config, reference=str(few)))


@pytest.mark.parametrize(("first_seconds", "says"), [(None, True), (5.0, False)])
def test_the_page_says_where_whole_pieces_have_other_lengths(
    first_seconds: float | None, says: bool, config: JudgeConfig, tmp_path: Path
) -> None:
    short = write_tunes(tmp_path / "short", range(3), num_bars=4)
    judge([str(short)], tmp_path / "out", replace(config, windows_s=[2], first_seconds=first_seconds))
    page = (tmp_path / "out" / "judge.html").read_text()
    assert ("those of the reference last 20 s (median), but short 8 s." in page) == says


@pytest.mark.parametrize(("first_seconds", "says"), [(None, False), (10.0, True), (9.5, False)])
def test_the_page_says_where_pieces_that_end_a_little_early_lack_their_last_window(
    first_seconds: float | None, says: bool, config: JudgeConfig, tmp_path: Path
) -> None:
    early = write_tunes(tmp_path / "early", range(3), num_bars=5)
    for file in early.iterdir():
        piece = read_folder(file, "one", "judged", config.tokenizer).beginnings(9.75).pieces[0].piece
        write_midi(piece.notes, file)
    judge([str(early)], tmp_path / "out", replace(config, windows_s=[5], first_seconds=first_seconds))
    page = (tmp_path / "out" / "judge.html").read_text()
    assert ("Windows of 5 s in a piece: early 1.0, but 2.0 in the reference" in page) == says


@pytest.mark.parametrize(("steps", "says"), [(4, False), (8, True)])
def test_the_page_says_where_pieces_have_another_grid_than_the_reference(
    steps: int, says: bool, config: JudgeConfig, tmp_path: Path
) -> None:
    sidecar = {"run": "r", "prompt": None, "prompt_steps": 0, "checkpoint": {"step": 7}, "steps_per_quarter": steps}
    sidecar["words"] = " ".join(words_of(encode(tune(0))))
    (tmp_path / "made").mkdir()
    write_midi(tune(0), tmp_path / "made" / "0.mid", steps_per_quarter=steps)
    (tmp_path / "made" / "0.json").write_text(json.dumps(sidecar))
    judge([f"made={tmp_path / 'made'}"], tmp_path / "out", config)
    page = (tmp_path / "out" / "judge.html").read_text()
    assert ("made has 8 steps per quarter, but the reference 4" in page) == says


def test_pictures_of_structure_show_no_more_than_the_page_says(config: JudgeConfig, tmp_path: Path) -> None:
    long = write_tunes(tmp_path / "long", range(3), num_bars=20)
    judge([str(long)], tmp_path / "out", config)
    page = (tmp_path / "out" / "judge.html").read_text()
    most = re.search(r"its first (\d+) s at most", page)
    shown = re.findall(r"<span class=\"soft\">[^<]+, (\d+) s</span></figcaption>", page)
    assert most
    assert shown
    assert max(map(int, shown)) <= int(most[1])


def test_first_seconds_judges_pieces_and_reference_as_if_they_ended_there(
    folders: Path, config: JudgeConfig, judged: list[Judgement], tmp_path: Path
) -> None:
    for name in ("real", "model"):
        (tmp_path / name).mkdir()
        for one in read_folder(folders / name, name, "judged", config.tokenizer).beginnings(10).pieces:
            write_midi(one.piece.notes, tmp_path / name / one.name)
    first = judge(
        [str(folders / "model")], tmp_path / "first", replace(config, first_seconds=10, windows_s=[5, 10, 15])
    )
    short = judge([str(tmp_path / "model")], tmp_path / "short", replace(config, reference=str(tmp_path / "real")))
    assert first[:3] == short[:3] != judged[:3]
    assert "the first 10 s of each piece" in (tmp_path / "first" / "judge.html").read_text()


def test_shards_are_a_reference_whose_measures_are_kept(tiny_shards: Path, folders: Path, tmp_path: Path) -> None:
    config = JudgeConfig(str(tiny_shards), draws=20, windows_s=[5], workers=1, players=0)
    first = judge([str(folders / "model")], tmp_path / "out", config)
    kept = list((tiny_shards / ".judge").iterdir())
    again = judge([str(folders / "model")], tmp_path / "out", config)
    assert len(kept) == 3
    assert [one.distances for one in again] == [one.distances for one in first]


def write_longest(train: list[Notes], folder: Path) -> Notes:
    """Write the longest performance, which a judged model has copied."""
    folder.mkdir()
    copied = max(train, key=len)
    write_midi(copied, folder / "0.mid")
    return copied


def test_copies_are_searched_in_the_train_split_beside_the_test_split(
    shards: ShardSet, train: list[Notes], tmp_path: Path
) -> None:
    copied = write_longest(train, tmp_path / "copied")
    config = JudgeConfig(str(shards.folder), draws=20, windows_s=[5], workers=1, players=0)
    judge([str(tmp_path / "copied")], tmp_path / "out", config)
    human, found = json.loads((tmp_path / "out" / "judge.json").read_text())["originality"]
    assert len(human["pieces"]) == len(shards.split("test"))
    assert found["summary"]["exact"]["maximum"] == len(copied)
    assert found["pieces"][0]["exact_share"] == 1.0
    page = (tmp_path / "out" / "judge.html").read_text()
    assert f"<td>{len(copied)}</td>" in page.partition("The longest runs")[2]


def test_with_first_seconds_copies_are_searched_in_beginnings_of_pieces_and_of_the_test_split(
    shards: ShardSet, train: list[Notes], tmp_path: Path
) -> None:
    copied = write_longest(train, tmp_path / "copied")
    config = JudgeConfig(str(shards.folder), draws=20, windows_s=[1], workers=1, players=0, first_seconds=2)
    for _ in range(2):  # the second time, the human baseline is kept
        judge([str(tmp_path / "copied")], tmp_path / "out", config)
        human, found = json.loads((tmp_path / "out" / "judge.json").read_text())["originality"]
        assert found["pieces"][0]["notes"] == (copied.onset < copied.onset[0] + 16).sum() < len(copied)
        split = shards.split("test")
        test = [decode(split.tokens(number)) for number in range(len(split))]
        assert [one["notes"] for one in human["pieces"]] == [(one.onset < one.onset[0] + 16).sum() for one in test]


def test_a_folder_as_reference_has_no_train_split_to_copy_from(folders: Path, judged: list[Judgement]) -> None:
    assert json.loads((folders / "out" / "judge.json").read_text())["originality"] == []
    assert "<h2>Originality" not in (folders / "out" / "judge.html").read_text()
