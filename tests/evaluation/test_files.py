"""Files scored by a model: the numbers of `score`, every token in its place, and a wrong bar found."""

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_run import make_run
from tiny import random_notes
from torch.nn.functional import cross_entropy

from pianogen.cli import main
from pianogen.config import EvaluateConfig, ModelConfig, TokenizerConfig, TrainConfig, to_dict
from pianogen.errors import SettingError, SourceError
from pianogen.evaluation import evaluate_files, score
from pianogen.evaluation.music_file import MusicFile
from pianogen.evaluation.predictions import predict
from pianogen.evaluation.surprise import Surprise
from pianogen.models import build_model
from pianogen.runs import create_run, open_run
from pianogen.runs.checkpoint import write_checkpoint
from pianogen.tokens import encode, write_midi
from pianogen.tokens.notes import Notes, canonical
from pianogen.tokens.tempo import TempoMap

BARS, BAR_STEPS = 12, 16
CHORDS = ((48, 60, 64, 67), (45, 57, 60, 64), (41, 57, 60, 65), (43, 59, 62, 67))  # bass, then three to break


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def write(folder: Path, *names: str) -> list[Path]:
    """A MIDI file of each name, all different."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        write_midi(random_notes(number, 30 + 5 * number), folder / name)
    return [folder / name for name in names]


def lines_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text().splitlines()))


def test_scores_of_files_are_those_of_their_tokens(run, tmp_path):
    files = write(tmp_path, "a.mid", "b.mid")
    (summary,) = evaluate_files([run], files, EvaluateConfig())
    model, ids = open_run(run).load_model()[0], [MusicFile.read(file, TokenizerConfig()).ids for file in files]
    expected = [float(score(model, [one], "strict").nll_nats.sum()) for one in ids]
    assert [one["results"]["nll"]["nats"] for one in summary["files"]] == pytest.approx(expected, rel=1e-5)
    assert summary["total"]["nll"]["nats"] == pytest.approx(sum(expected), rel=1e-5)


def test_the_csv_names_every_token_with_its_surprise_and_probability(run, tmp_path):
    (file,) = write(tmp_path, "a.mid")
    (summary,) = evaluate_files([run], [file], EvaluateConfig(), tmp_path / "out")
    lines, ids = lines_of(tmp_path / "out/a.csv"), MusicFile.read(file, TokenizerConfig()).ids
    assert [int(line["token"]) for line in lines] == list(range(2, len(ids)))
    surprise = np.array([float(line["surprise_nats"]) for line in lines])
    assert surprise.sum() == pytest.approx(summary["total"]["nll"]["nats"], abs=1e-3)
    assert np.exp(-surprise) == pytest.approx([float(line["probability"]) for line in lines], rel=1e-2)
    right = [line["word"] == line["likeliest_word"] for line in lines]
    assert right == [line["rank"] == "1" for line in lines]


def test_a_note_is_at_its_time_bar_and_beat_and_a_wait_where_it_leads_to(run, tmp_path):
    notes = canonical(np.array([0, 0, 20, 36]), np.array([4, 4, 2, 4]), np.array([60, 64, 62, 65]))
    write_midi(notes, tmp_path / "a.mid")  # at 120 quarters a minute, a step is 1/8 s
    evaluate_files([run], [tmp_path / "a.mid"], EvaluateConfig(), tmp_path / "out")
    places = {
        (line["word"], line["pitch"]): (float(line["time_s"]), int(line["bar"]), float(line["beat"]))
        for line in lines_of(tmp_path / "out/a.csv")
    }
    assert places["n64", "64"] == places["d4", "60"] == (0.0, 1, 1.0)
    assert places["d20", ""] == places["n62", "62"] == (2.5, 2, 2.0)
    assert places["xxsep", ""] == places["d4", "65"] == (4.5, 3, 2.0)
    assert places["xxeos", ""] == (5.0, 3, 3.0)


def test_seconds_follow_the_tempo_of_the_file(tmp_path):
    (file,) = write(tmp_path, "a.mid")
    music = MusicFile.read(file, TokenizerConfig())
    halfway = TempoMap(np.array([0, 4 * music.raw.ticks_per_quarter]), np.array([60.0, 120.0]))
    music = replace(music, raw=replace(music.raw, tempo_map=halfway))
    assert music.seconds_at(np.array([0, 8, 16, 24])) == pytest.approx([0, 2, 4, 5])


def test_bars_have_the_length_of_the_time_signature(tmp_path):
    (file,) = write(tmp_path, "a.mid")
    music = MusicFile.read(file, TokenizerConfig())
    waltz = replace(music, raw=replace(music.raw, time_signature=(3, 4)))
    bars, beats = waltz.bars_at(np.array([0, 11, 12, 26]))
    assert (bars.tolist(), beats.tolist()) == ([1, 1, 2, 3], [1.0, 3.75, 1.0, 1.5])


def test_folders_are_searched_and_files_of_one_name_get_results_of_their_own(run, tmp_path):
    write(tmp_path / "music", "a.mid")
    write(tmp_path / "music/more", "a.mid", "b.MID")
    (tmp_path / "music/notes.txt").write_text("not music")
    (summary,) = evaluate_files([run], [tmp_path / "music"], EvaluateConfig(), tmp_path / "out")
    assert {one["name"] for one in summary["files"]} == {"a", "a-2", "b"}
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        f"{name}.{suffix}" for name in ("a", "a-2", "b") for suffix in ("csv", "png")
    } | {"summary.json"}


def test_bad_files_get_a_line_each_and_the_others_are_scored(run, tmp_path, capsys):
    (tmp_path / "bad.mid").write_bytes(b"junk")
    files = [*write(tmp_path, "a.mid"), tmp_path / "bad.mid", tmp_path / "missing.mid"]
    assert main(["evaluate", str(run), "--files", *map(str, files), "--out", str(tmp_path / "out")]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("pianogen:")]
    assert ["bad.mid" in errors[0], "missing.mid" in errors[1], "2 of 3 files" in errors[2]] == [True] * 3
    found = json.loads((tmp_path / "out/summary.json").read_text())
    assert ([one["name"] for one in found["files"]], len(found["failed"])) == (["a"], 2)


def test_one_bad_file_alone_is_its_own_error(run, tmp_path):
    with pytest.raises(SourceError, match=r"missing\.mid is not a file"):
        evaluate_files([run], [tmp_path / "missing.mid"], EvaluateConfig(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_out_nothing_is_written(run, tmp_path, capsys):
    files = write(tmp_path, "a.mid")
    before = sorted(tmp_path.rglob("*"))
    evaluate_files([run], files, EvaluateConfig())
    assert sorted(tmp_path.rglob("*")) == before
    assert "NLL/token" in capsys.readouterr().out


def test_several_runs_have_folders_of_their_own(run, tmp_path):
    other = make_run(tmp_path / "other", kind="rnn")
    summaries = evaluate_files([run, other], write(tmp_path, "a.mid"), EvaluateConfig(), tmp_path / "out")
    assert [one["run"] for one in summaries] == ["run", "other"]
    assert all((tmp_path / "out" / name / "a.png").exists() for name in ("run", "other"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--files", "a.mid", "--split", "test"], "setting 'split' is 'test'"),
        (["--out", "x"], "setting 'out' goes with --files"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(run, words, message, capsys):
    assert main(["evaluate", str(run), *words]) == 2
    assert message in capsys.readouterr().err


def test_results_are_not_written_over_a_run(run, tmp_path):
    with pytest.raises(SettingError, match="is a run folder"):
        evaluate_files([run], write(tmp_path, "a.mid"), EvaluateConfig(), run)


def pattern(first_chord: int) -> Notes:
    """A broken chord in eighths over a bass note in each bar, four chords that come again and again."""
    rows = []
    for bar in range(BARS):
        bass, *broken = CHORDS[(first_chord + bar) % len(CHORDS)]
        rows.append((bar * BAR_STEPS, 16, bass))
        rows += [(bar * BAR_STEPS + 2 * index, 2, broken[index % 3]) for index in range(8)]
    return canonical(*np.array(rows).T)


def with_wrong_bar(notes: Notes, bar: int, seed: int) -> Notes:
    """The same with random pitches, onsets and lengths in one bar, as many notes as there were."""
    random = np.random.default_rng(seed)
    wrong = notes.onset // BAR_STEPS == bar
    onset, duration, pitch = notes.onset.copy(), notes.duration.copy(), notes.pitch.copy()
    onset[wrong] = bar * BAR_STEPS + random.integers(0, BAR_STEPS, wrong.sum())
    duration[wrong], pitch[wrong] = random.integers(1, 9, wrong.sum()), random.integers(36, 85, wrong.sum())
    return canonical(onset, duration, pitch)


@pytest.fixture(scope="module")
def run_that_knows_the_pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small LSTM, trained until it predicts the pattern."""
    path = tmp_path_factory.mktemp("pattern") / "run"
    config = TrainConfig(out=str(path), model=ModelConfig(kind="lstm", hidden_size=48))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model(config.model)
        optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
        ids = torch.tensor(np.stack([encode(pattern(chord)) for chord in range(len(CHORDS))])).long()
        for _ in range(60):
            logits, _ = model(ids[:, :-1])
            loss = cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    created = create_run(config, {"shards": {"tokenizer": asdict(TokenizerConfig())}})
    state = {"step": 1, "model": to_dict(config.model)}
    write_checkpoint(created.checkpoints, 1, {"model": model.state_dict()}, state)
    return path


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_wrong_bar_is_where_the_surprise_is_highest(run_that_knows_the_pattern, tmp_path, seed):
    bar = 2 + 2 * seed
    write_midi(with_wrong_bar(pattern(seed), bar, seed), tmp_path / "wrong.mid")
    write_midi(pattern(seed), tmp_path / "right.mid")
    (summary,) = evaluate_files([run_that_knows_the_pattern], sorted(tmp_path.glob("*.mid")), EvaluateConfig())
    right, wrong = (one["surprising_bars"] for one in summary["files"])
    assert wrong[0]["bar"] == bar + 1
    assert wrong[0]["nats_per_note"] > 2 * wrong[1]["nats_per_note"]
    assert right[0]["nats_per_note"] < wrong[0]["nats_per_note"] / 2


def test_the_surprises_of_notes_and_the_end_are_the_total(run, tmp_path):
    (file,) = write(tmp_path, "a.mid")
    music = MusicFile.read(file, TokenizerConfig())
    found = predict(open_run(run).load_model()[0], [music.ids], "strict")
    surprise = Surprise(music, found.of_performance(0))
    assert surprise.of_notes.sum() + found.nll_nats[-1] == pytest.approx(found.nll_nats.sum())
