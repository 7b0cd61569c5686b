"""An error's cause is kept: the one line hides it from users, and --debug shows it."""

import ast
from pathlib import Path

import pytest

from pianogen.errors import RunError
from pianogen.generation.piece_folder import read_sidecar

ROOT = Path(__file__).parents[1]


def hidden_causes(file: Path) -> list[int]:
    """Lines that raise `from None`, or raise a new error in an `except` without a cause."""
    lines = []
    for handler in ast.walk(ast.parse(file.read_text())):
        if not isinstance(handler, ast.ExceptHandler):
            continue
        raised = [node for node in ast.walk(handler) if isinstance(node, ast.Raise) and node.exc is not None]
        lines += [
            one.lineno
            for one in raised
            if one.cause is None or (isinstance(one.cause, ast.Constant) and one.cause.value is None)
        ]
    return lines


@pytest.mark.parametrize("package", ["shards", "launch", "pianogen"])
def test_no_error_hides_its_cause(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    assert {str(file): lines for file in files if (lines := hidden_causes(file))} == {}


def test_a_sidecar_that_may_not_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "0000.json").mkdir()
    with pytest.raises(RunError, match=r"cannot read .*: Is a directory"):
        read_sidecar(tmp_path / "0000.json")
