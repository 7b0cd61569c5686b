"""`pianogen render` makes the files of every source that can be read, and names the others."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pianogen.cli import main
from pianogen.config import RenderConfig
from pianogen.errors import SettingError
from pianogen.render.job import plan_tasks, render
from pianogen.render.samples import SAMPLED_KEYS, samples_script
from pianogen.tokens import Notes, write_midi, write_musicxml

NOTES = Notes(np.array([0, 4]), np.array([4, 4]), np.array([69, 72]))
QUICK = RenderConfig(svg=False, piano_roll=False)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder with two MIDI files, a score of one of them, and a score alone in a subfolder."""
    folder = tmp_path / "music"
    (folder / "more").mkdir(parents=True)
    for name in ("one.mid", "two.mid"):
        write_midi(NOTES, folder / name)
    write_musicxml(NOTES, folder / "one.musicxml")
    write_musicxml(NOTES, folder / "more" / "three.musicxml")
    return folder


def test_a_folder_gives_every_performance_once(music):
    tasks = plan_tasks([music], Path("out"))
    assert [task.source.relative_to(music).as_posix() for task in tasks] == [
        "more/three.musicxml",
        "one.mid",
        "two.mid",
    ]
    assert [task.target.as_posix() for task in tasks] == ["out/more/three", "out/one", "out/two"]


def test_every_kind_of_file_is_made(music, tmp_path, capsys):
    flags = ["--flac", "--ogg", "--mp3", "--musicxml"]
    assert main(["render", str(music / "one.mid"), "--out", str(tmp_path / "out"), *flags]) == 0
    made = {path.suffix for path in (tmp_path / "out").iterdir()}
    assert made == {".wav", ".flac", ".ogg", ".mp3", ".svg", ".musicxml", ".png"}
    assert capsys.readouterr().out == f"1 file rendered to {tmp_path / 'out'}\n"


def test_the_first_note_of_the_wav_file_is_at_its_pitch(music, tmp_path):
    render([music / "one.mid"], tmp_path / "out", QUICK)
    sound, rate = soundfile.read(tmp_path / "out" / "one.wav", always_2d=True)
    first = sound[: rate // 2, 0] * np.hanning(rate // 2)  # a quarter at 120 is 0.5 s
    loudest = np.abs(np.fft.rfft(first, 8 * rate)).argmax() / 8
    assert loudest == pytest.approx(440, rel=0.01)
    assert 1.0 < len(sound) / rate < 3.0


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_made(music, tmp_path, capsys):
    (music / "two.mid").write_bytes(b"nothing")
    assert main(["render", str(music), "--out", str(tmp_path / "out"), "--svg=false", "--piano_roll=false"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "two.mid" in line and line.startswith("pianogen: ")]
    assert said[-1] == f"pianogen: 1 of 3 files failed, as said above; the others are in {tmp_path / 'out'}"
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.*")) == ["one.wav", "three.wav"]


def test_the_files_do_not_depend_on_the_number_of_processes(music, tmp_path):
    for workers in (1, 2):
        config = RenderConfig(svg=False, piano_roll=False, workers=workers)
        render([music / "one.mid", music / "two.mid"], tmp_path / str(workers), config)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "12")
    assert one == two
    assert len(one) == 2


def test_two_sources_of_one_name_are_refused(music, tmp_path):
    write_midi(NOTES, music / "more" / "one.mid")
    with pytest.raises(SettingError, match="would have the same names"):
        plan_tasks([music / "one.mid", music / "more" / "one.mid"], tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (RenderConfig(wav=False, svg=False, piano_roll=False), "nothing is to be made"),
        (RenderConfig(soundfont="missing.sf2"), "setting 'soundfont' is 'missing.sf2': No such file"),
    ],
)
def test_what_would_fail_for_every_file_is_said_at_once(music, tmp_path, config, message):
    with pytest.raises(SettingError, match=re.escape(message)):
        render([music], tmp_path / "out", config)
    assert not (tmp_path / "out").exists()


def test_sound_js_has_thirty_notes_and_at_most_6_mb():
    assert len(SAMPLED_KEYS) == 30
    assert 0.3e6 < len(samples_script()) < 6e6


def test_a_damaged_sidecar_is_named_and_the_other_files_are_made(music, tmp_path, capsys):
    (music / "one.json").write_text('{"words": "", "steps_per_quarter": 96}')
    words = ["render", str(music / "one.mid"), str(music / "two.mid"), "--out", str(tmp_path / "out"), "--svg", "false"]
    assert main([*words, "--piano_roll", "false"]) == 2
    said = capsys.readouterr().err
    assert f"{music / 'one.mid'}: " in said
    assert "steps_per_quarter" in said
    assert (tmp_path / "out" / "two.wav").exists()
