"""`pianogen study new`: the clips are alike but for the music, and say nothing; the folder is whole or not there."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from studied import PROMPTS, make_models, make_shards, small

from pianogen.cli import main
from pianogen.config import StudyNewConfig
from pianogen.data import open_shards
from pianogen.errors import PianogenError, RunError, StudyError
from pianogen.files import sha256_of
from pianogen.generation.sampler import Request, SampledPiece
from pianogen.runs.run import open_run
from pianogen.study import clip_files
from pianogen.study.excerpts import Excerpt, choose_excerpts
from pianogen.study.folder import StudyFolder, whole_folder
from pianogen.study.new import new_study
from pianogen.study.stimuli import MAX_ATTEMPTS, model_clips
from pianogen.tokens import Notes, encode, quantise, read_midi


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Clips without sound, which test_new_sound.py tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_files, "clip_sound", lambda notes, seconds, soundfont: notes.onset)
        patch.setattr(clip_files, "encode_sound", lambda sound, form: sound.tobytes())
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, quick: None) -> Path:
    """Shards, models, and a study of one of them."""
    folder = tmp_path_factory.mktemp("studied")
    shards = make_shards(folder)
    models = make_models(folder, shards)
    words = ["study", "new", str(folder / "study"), "--models", models[1], "--reference", str(shards)]
    words += ["--prompts", str(PROMPTS), "--seconds", "20", "--prompt_seconds", "4", "--power_studies", "20"]
    assert main(words) == 0
    return folder


@pytest.fixture
def study(made: Path) -> StudyFolder:
    return StudyFolder(made / "study")


@pytest.fixture
def excerpts(made: Path) -> list[Excerpt]:
    return choose_excerpts(open_shards(made / "shards"), PROMPTS + 1, 4.0, 20.0, 0)


def notes_of(study: StudyFolder, name: str) -> Notes:
    return quantise(read_midi(study.notes(name)), open_shards(study.path.parent / "shards").tokenizer)[0]


def clips_of(study: StudyFolder, condition: str) -> dict[int, str]:
    """Names of a condition's clips, by stimulus."""
    number = [one.name for one in study.design().conditions].index(condition)
    return {keyed.stimulus: name for name, keyed in study.key().items() if keyed.condition == number}


def test_every_clip_of_the_study_has_one_length(study: StudyFolder) -> None:
    seconds = study.sessions().seconds
    rated = [seconds[name] for name, keyed in study.key().items() if keyed.condition >= 0]
    assert rated == [20.0] * (4 * PROMPTS)


def test_every_clip_is_in_the_key_with_its_hash_and_has_a_name_that_says_nothing(study: StudyFolder) -> None:
    files = {path.stem: sha256_of(path) for path in study.clips.iterdir()}
    assert files == {name: keyed.sha256 for name, keyed in study.key().items()}
    assert all(len(name) == 12 and set(name) <= set("0123456789abcdef") for name in files)
    assert list(study.key()) != sorted(study.key())


def test_sessions_and_checks_use_the_clips_of_the_study(study: StudyFolder) -> None:
    sessions, key = study.sessions(), study.key()
    rated = {one.clip for session in sessions.sessions for one in session if one.role != "check"}
    assert rated == {name for name, keyed in key.items() if keyed.condition >= 0}
    attention = {one.clip for session in sessions.sessions for one in session if one.role == "check"}
    sound = {one.clip for one in sessions.sound_check}
    assert {one.expected for one in sessions.sound_check} == {2, 3, 4, 5}
    assert not attention & sound
    assert not rated & {*attention, *sound, *sessions.examples}


def test_the_reference_is_the_continuation_of_the_prompt(study: StudyFolder, excerpts: list[Excerpt]) -> None:
    for number, name in clips_of(study, "real").items():
        notes, cut = excerpts[number].notes, excerpts[number].prompt.num_steps
        follows = notes.onset >= cut
        assert np.array_equal(notes_of(study, name).pitch[:30], notes.pitch[follows][:30])
        assert notes.onset[~follows][-1] < cut


def test_the_prompt_is_not_heard_unless_asked_for(
    made: Path, study: StudyFolder, excerpts: list[Excerpt], tmp_path: Path
) -> None:
    new_study(tmp_path / "s", [str(made / "lstm")], small(made / "shards", with_prompt=True))
    heard = StudyFolder(tmp_path / "s")
    (tmp_path / "shards").symlink_to(made / "shards")
    for number, name in clips_of(heard, "lstm with prompt").items():
        prompt = excerpts[number].prompt
        before = excerpts[number].notes.pitch[excerpts[number].notes.onset < prompt.num_steps]
        assert np.array_equal(notes_of(heard, name).pitch[: len(before)], before)
        alone = notes_of(study, clips_of(study, "lstm with prompt")[number])
        assert not np.array_equal(alone.pitch[: len(before)], before)


def test_the_same_seed_makes_the_same_study_and_another_one_another(made: Path, tmp_path: Path) -> None:
    def content(folder: Path) -> dict[str, str]:
        files = (path for path in folder.rglob("*") if path.is_file() and path.name != "design.json")
        return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}

    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        new_study(tmp_path / name, [str(made / "rnn")], small(made / "shards", seed=seed))
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert not content(tmp_path / "a").keys() & content(tmp_path / "c").keys() - {
        *("key.json", "sessions.json", "settings.json")
    }


@pytest.mark.parametrize("archived", [False, True])
def test_raw_performances_are_a_further_condition(made: Path, tmp_path: Path, archived: bool) -> None:
    music = shutil.make_archive(str(tmp_path / "music"), "zip", made, "music") if archived else str(made / "music")
    config = small(made / "shards", raw=music)
    design = new_study(tmp_path / "s", [str(made / "rnn")], config)
    study = StudyFolder(tmp_path / "s")
    (tmp_path / "shards").symlink_to(made / "shards")
    assert [one.kind for one in design.conditions] == ["model", "model", "reference", "raw", "anchor"]
    for number, name in clips_of(study, "real as played").items():
        assert np.array_equal(
            notes_of(study, name).pitch[:30], notes_of(study, clips_of(study, "real")[number]).pitch[:30]
        )


class _Refuses:
    """A rule that says of the first pieces that they copy."""

    def __init__(self, times: int) -> None:
        self.left = times

    def broken(self, notes: Notes) -> str | None:
        self.left -= 1
        return "20 notes of a sonata" if self.left >= 0 else None


def test_a_piece_that_copies_is_replaced_and_the_key_says_so(made: Path, excerpts: list[Excerpt]) -> None:
    run, config = open_run(made / "lstm"), small(made / "shards")
    rule = _Refuses(1)
    kept, _ = model_clips(run, excerpts[:PROMPTS], None, config)
    replaced = [one for both in model_clips(run, excerpts[:PROMPTS], rule, config) for one in both]  # pyright: ignore[reportArgumentType]
    changed = [one for one in replaced if "copies 20 notes of a sonata" in one.source]
    assert len(changed) == 1
    assert kept[0].source in [one.source for one in replaced] or kept[1].source in [one.source for one in replaced]


def test_a_long_rest_after_the_prompt_is_skipped_and_shortens_no_clip(
    made: Path, excerpts: list[Excerpt], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def sample_late(model: object, requests: Iterable[Request], *_: object) -> Iterator[SampledPiece]:
        """Pieces whose first note comes 8 s after the prompt."""
        for request in requests:
            drawn.append(request.piece)
            prompts = (one.prompt for one in excerpts)
            cut = next((one.num_steps for one in prompts if np.array_equal(one.ids, request.prompt)), 0)
            onset = np.arange(cut + 64, request.limits.max_steps, 2)
            notes = Notes(onset, np.full_like(onset, 2), 60 + onset // 2 % 12)
            yield SampledPiece(request, encode(notes), "limit")

    monkeypatch.setattr("pianogen.study.stimuli.sample_each", sample_late)
    clips = model_clips(open_run(made / "lstm"), excerpts[:PROMPTS], None, small(made / "shards"))
    assert [int(one.notes.onset[0]) for both in clips for one in both] == [0] * 2 * PROMPTS
    assert all(one.notes.onset[-1] >= 125 for both in clips for one in both)  # 16 s are 128 steps
    assert drawn == 2 * list(range(2 * PROMPTS))  # the same pieces, for longer


def test_copies_are_refused_after_ten_pieces_and_kept_if_allowed(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pianogen.study.new.CopyRule", lambda index: _Refuses(10**6))
    models = [str(made / "rnn")]
    with pytest.raises(StudyError, match=f"{MAX_ATTEMPTS} pieces in a row .* --allow_copies true"):
        new_study(tmp_path / "s", models, small(made / "shards"))
    assert list(tmp_path.iterdir()) == []
    assert new_study(tmp_path / "s", models, small(made / "shards", allow_copies=True)).clips


def test_an_empty_folder_without_its_name_is_refused_before_a_study_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was refused when all was made: the unfinished study was inside it, and so it was not empty any more."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match="is given without its name"), whole_folder(Path()):
        pytest.fail("the study is being made")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("rnn/study", "is in the run folder .*rnn; make the study in another folder"),
        ("shards/study", "is in the shards .*shards; make the study"),
        ("study", "holds a study already, which is never changed"),
        ("music", "exists and is not an empty folder"),
    ],
)
def test_a_study_is_not_made_where_something_is(made: Path, place: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        new_study(made / place, [str(made / "rnn")], small(made / "shards"))


def test_what_a_killed_process_left_does_not_matter(made: Path, tmp_path: Path) -> None:
    left = tmp_path / ".s.building"
    (left / "clips").mkdir(parents=True)
    (left / "clips" / "x.mp3").write_bytes(b"half")
    (tmp_path / "s").mkdir()  # an empty folder is taken
    new_study(tmp_path / "s", [str(made / "rnn")], small(made / "shards"))
    assert not left.exists()
    assert not StudyFolder(tmp_path / "s").clip("x").exists()


@pytest.mark.parametrize(
    ("models", "changes", "kind", "message"),
    [
        (["rnn"], {"prompts": 40}, StudyError, "has 4 performances .* but 41 are needed"),
        (["rnn"], {"prompt_seconds": 60.0}, StudyError, "has 0 performances"),
        (["none"], {}, RunError, "none"),
        (["rnn", "rnn"], {}, StudyError, "two conditions would be called 'rnn'"),
        (["rnn"], {"raw": "no folder"}, StudyError, "setting 'raw' is 'no folder'"),
        (["rnn"], {"means": "no file"}, StudyError, "no file cannot be read"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    made: Path,
    tmp_path: Path,
    models: list[str],
    changes: dict[str, object],
    kind: type[PianogenError],
    message: str,
) -> None:
    with pytest.raises(kind, match=message) as caught:
        new_study(tmp_path / "s", [str(made / name) for name in models], small(made / "shards", **changes))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_models_of_other_tokens_are_refused(made: Path, tmp_path: Path) -> None:
    run = shutil.copytree(made / "rnn", tmp_path / "rnn")
    text = (run / "environment.json").read_text()
    (run / "environment.json").write_text(text.replace('"steps_per_quarter": 4', '"steps_per_quarter": 6'))
    with pytest.raises(StudyError, match=r"tokens with steps_per_quarter 6, but the shards .* have 4"):
        new_study(tmp_path / "s", [str(run)], small(made / "shards"))


def test_too_many_models_are_refused(made: Path, tmp_path: Path) -> None:
    models = [shutil.copytree(made / "rnn", tmp_path / f"rnn-{number}") for number in range(9)]
    with pytest.raises(StudyError, match="20 conditions need more than the 20 clips"):
        new_study(tmp_path / "s", [str(model) for model in models], small(made / "shards"))


def test_settings_are_checked() -> None:
    with pytest.raises(PianogenError, match="at most half of 'seconds'"):
        StudyNewConfig(reference="x", seconds=20, prompt_seconds=12, with_prompt=True)
