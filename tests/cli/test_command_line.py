"""The command line: instant help, one clear line for a mistake, exit status 2."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pianogen import __version__
from pianogen.cli import VERBS, build_parser, main
from pianogen.config import TrainConfig, from_dict, to_dict
from pianogen.errors import SettingError
from pianogen.parsing import explain, settings_of

SETTINGS = build_parser().settings()
HEAVY = ("torch", "music21", "mlflow", "accelerate", "deepspeed", "matplotlib", "webdataset", "symusic")


def loaded(arguments: list[str]) -> set[str]:
    """The modules that a command has imported at its end."""
    script = (
        "import sys\nfrom pianogen.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "print('modules:', *sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(ran.stdout.splitlines()[-1].split()[1:])


def heavy(modules: set[str]) -> set[str]:
    return modules & {*HEAVY}


def test_help_imports_neither_a_verb_nor_settings_nor_anything_heavy() -> None:
    modules = loaded(["--help"])
    assert heavy(modules) == set()
    assert not [name for name in modules if name.startswith(("pianogen.verbs", "pianogen.config", "launch", "shards"))]


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_imports_no_other_verb_and_nothing_heavy(verb: str) -> None:
    modules = loaded([verb, "--help"])
    assert heavy(modules) == set()
    assert {name for name in modules if name.startswith("pianogen.verbs.")} - {"pianogen.verbs.out"} == {
        f"pianogen.verbs.{verb}"
    }


@pytest.mark.parametrize("verb", ["tokens", "shards"])
def test_reading_music_imports_nothing_that_learns(verb: str, tiny_shards: Path, tmp_path: Path) -> None:
    music = tiny_shards.parent / "music"
    arguments = {"tokens": [str(music / "00.mid")], "shards": [str(music), "--out", str(tmp_path / "shards")]}[verb]
    assert heavy(loaded([verb, *arguments])) <= {"symusic"}


@pytest.mark.parametrize("module", ["pianogen.train", "pianogen.track", "shards", "launch"])
def test_a_package_that_is_run_with_m_imports_no_torch_before_the_command_line_is_set_up(module: str) -> None:
    script = f"import sys, {module}; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["version"], ["train", "--version"], ["submit", "-V"]])
def test_the_version_is_printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(words)
    assert capsys.readouterr().out == f"pianogen {__version__}\n"


@pytest.mark.parametrize(("words", "expected"), [(["help"], "usage: pianogen"), (["help", "train"], "Train an RNN")])
def test_help_is_a_command_too(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(words)
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])
    assert VERBS[verb][1:] + "." in " ".join(capsys.readouterr().out.split()), "names keep their case"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "--model.hiden_size", "3"], "unknown setting 'model.hiden_size'; did you mean 'model.hidden_size'?"),
        (["train", "--hidden_size", "3"], "unknown setting 'hidden_size'; did you mean 'model.hidden_size'?"),
        (["train", "--model.hidden_size", "0"], "setting 'model.hidden_size' is 0, but it must be at least 1"),
        (
            ["train", "--model.kind", "gru"],
            "setting 'model.kind' is 'gru', but it must be one of rnn, lstm, attn, sha",
        ),
        (["train", "--config", "no/such.yaml"], "no/such.yaml"),
        (["train", "--out", "run", "--budget.steps", "1"], "setting 'shards' is missing"),
        (["train", "--out", "run", "--shards", "no/such"], "no budget is set"),
        (["generate", "no/such", "--out", "pieces"], "no/such is not a run folder"),
        (["evaluate", "no/such"], "no/such is not a run folder"),
        (["tokens", "no/such.mid"], "no/such.mid"),
        (["submit", "status", "--help"], "status takes one run folder: pianogen submit status RUN"),
        (["track", "sync"], "track sync needs at least one run folder"),
        (["train", "--validation.slice_tokens", "2"], "but it must be at least 3"),
        (["train", "--budget.steps", "x"], "setting 'budget.steps': Expected a int. Got value: x"),
        (["train", "--no-data.transpose"], "unknown setting 'no-data.transpose'; did you mean 'data.transpose'?"),
        (["evaluate", "run", "--split", "all"], "Expected one of 'train', 'validation', 'test'. Got value: all"),
        (["shards", "", "--out", "shards"], "SOURCE is empty"),
        (["shards", ".", "--out", ""], "setting 'out' is empty"),
        (["generate", "run", "--out", ""], "setting 'out' is empty"),
        (["generate", "run", "--out", "o", "--prompt", ""], "setting 'prompt' is empty"),
        (["generate", "run", "--out", "o", "--seconds", "1e300"], "'seconds' is 1e+300, but it must be at most"),
        (["generate", "run", "--out", "o", "--min_bars", "1e300"], "'min_bars' is 1e+300, but it must be at most"),
        (["generate", "run", "--out", "o", "--tokens", "9" * 20], "it must be at most 1000000000"),
        (["render", "", "--out", "o"], "one of FILES is empty"),
        (["trian"], "'trian'"),
        (["--seed"], "'seed' is not valid as --seed here; give it after its verb"),
        (
            ["tokens", "--file", "x"],
            "'file' is not valid as --file here; give it after its verb, or without the dashes",
        ),
        (["train", "--seed", "1", "--version"], "unknown setting 'version'; did you mean 'precision'?"),
        (["help", "trian"], "'trian'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(arguments)
    error = capsys.readouterr().err.strip()
    assert (status, "\n" in error, expected in error) == (2, False, True), error


def test_an_unknown_name_in_a_config_file_is_refused_with_the_nearest(
    tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text("model:\n  hiden_size: 8\n")
    status = main(["train", "--config", str(tmp_path / "run.yaml")])
    assert (status, capsys.readouterr().err) == (
        2,
        "pianogen: unknown setting 'model.hiden_size'; did you mean 'model.hidden_size'?\n",
    )


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], (False, False)),
        (["--piano_roll"], (True, False)),
        (["--musicxml", "--piano_roll"], (True, True)),
        (["--musicxml", "--num", "2"], (False, True)),
        (["--piano_roll", "true", "--musicxml", "False"], (True, False)),
        (["--piano_roll=false"], (False, False)),
    ],
)
@pytest.mark.parametrize("flags_first", [True, False])
def test_a_switch_may_stand_alone(flags: list[str], expected: tuple[bool, bool], flags_first: bool) -> None:
    rest = ["run", "--out", "pieces"]
    parsed = build_parser().parse_args(["generate", *(flags + rest if flags_first else rest + flags)])["generate"]
    assert (parsed.piano_roll, parsed.musicxml, parsed.out) == (*expected, "pieces")


def test_a_target_that_cannot_be_written_is_one_line_that_names_it(
    tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.txt").write_text("xxbos xxpad n60 d4 xxeos")
    target = tmp_path / "none" / "out.mid"
    assert main(["tokens", str(tmp_path / "words.txt"), "--to", str(target)]) == 2
    assert capsys.readouterr().err == (
        f"pianogen: No such file or directory ({target}); fix this and run the same command again to resume\n"
    )


def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path) -> None:
    (tmp_path / "run.yaml").write_text("seed: 5\nmodel:\n  kind: attn\n  hidden_size: 8\n")
    parser = build_parser()
    arguments = parser.parse_args(["train", "--config", str(tmp_path / "run.yaml"), "--model.hidden_size", "16"])
    config = settings_of(TrainConfig, parser.instantiate(arguments)["train"])
    assert (config.seed, config.model.kind, config.model.hidden_size, config.global_batch) == (5, "attn", 16, 64)


def test_settings_survive_being_written_and_read() -> None:
    config = TrainConfig(shards="a", out="b", seed=3)
    assert from_dict(TrainConfig, to_dict(config)) == config


def test_settings_of_another_version_are_refused_by_name() -> None:
    with pytest.raises(SettingError, match="colour"):
        from_dict(TrainConfig, {"colour": "blue"})


def test_an_error_keeps_its_cause_to_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text("model: [")
    status = main(["evaluate", str(tmp_path)])
    assert (status, "Traceback" in capsys.readouterr().err) == (2, False)


@pytest.mark.parametrize(("flags", "variable"), [(["--debug"], "0"), ([], "1")])
def test_its_whole_chain_of_causes_is_shown_on_demand(
    flags: list[str], variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIANOGEN_TRACEBACK", variable)
    (tmp_path / "config.yaml").write_text("model: [")
    status, said = main(["evaluate", str(tmp_path), *flags]), capsys.readouterr().err
    shown = [what in said for what in ("yaml.parser.ParserError", "direct cause", "\npianogen: ")]
    assert (status, shown) == (2, [True] * 3), said


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_debug_and_records_nothing_of_it(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])
    assert "--debug" in capsys.readouterr().out
    assert "debug" not in build_parser().parse_args(["train", "--debug"])["train"]


@given(st.sampled_from(SETTINGS))
def test_no_setting_is_suggested_to_itself(name: str) -> None:
    assert f"did you mean '{name}'" not in explain(f"unrecognized arguments: --{name}", SETTINGS)
