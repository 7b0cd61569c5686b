"""The command line of `pianogen study`: each action has its own arguments, and mistakes are one line."""

import pytest

from pianogen.cli import main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("new s --models a --reference b --promts 3", "unknown setting 'promts'; did you mean 'prompts'?"),
        ("new s --models a --reference b --prompts 1", "setting 'prompts' is 1, but it must be from 2 to 40"),
        ("new s --models a --reference b --seconds 5", "setting 'seconds' is 5.0, but it must be from 20 to 30"),
        ("new s --models a --reference b --raw s3://c/d", "setting 'raw' is 's3://c/d', but it must be a local path"),
        ("new s --reference b", "models"),
        ("new s --models a", "reference"),
        ("nwe s", "nwe"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", *words.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_debug_is_taken_after_the_action(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "new", "s", "--models", "a", "--reference", "b", "--prompts", "1", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err
