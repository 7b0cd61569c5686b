"""Every error keeps its cause, which --debug prints."""

import ast
from pathlib import Path

import pytest

from pianogen.errors import RunError
from pianogen.generation.piece_folder import read_sidecar

ROOT = Path(__file__).parents[1]


def hidden_causes(file: Path) -> list[int]:
    """Lines of an `except` block that raise `from None` or without a cause."""
    lines = []
    for handler in ast.walk(ast.parse(file.read_text())):
        if not isinstance(handler, ast.ExceptHandler):
            continue
        raised = [node for node in ast.walk(handler) if isinstance(node, ast.Raise) and node.exc is not None]
        lines += [
            node.lineno
            for node in raised
            if node.cause is None or (isinstance(node.cause, ast.Constant) and node.cause.value is None)
        ]
    return lines


@pytest.mark.parametrize("package", ["shards", "launch", "pianogen"])
def test_no_error_hides_its_cause(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    assert {str(file): lines for file in files if (lines := hidden_causes(file))} == {}


def test_the_error_of_an_unreadable_sidecar_states_the_reason(tmp_path: Path) -> None:
    (tmp_path / "0000.json").mkdir()
    with pytest.raises(RunError, match=r"cannot read .*: Is a directory"):
        read_sidecar(tmp_path / "0000.json")
