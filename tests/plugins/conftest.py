"""Plugin packages as an installer would leave them: modules and a .dist-info folder on the import path."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pianogen import plugins


def write_package(folder: Path, name: str, modules: dict[str, str], entry_point: str) -> None:
    """Write the package `name` with its modules; `entry_point` is like "package.module:function"."""
    (folder / name).mkdir(parents=True)
    for file, text in {"__init__.py": "", **modules}.items():
        (folder / name / file).write_text(text)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{plugins.GROUP}]\n{name} = {entry_point}\n")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Install a package into this process, given the body of its `register(registry)`."""
    monkeypatch.syspath_prepend(tmp_path)
    imported = set(sys.modules)

    def write(name: str, body: str) -> None:
        text = "import math\n\n\ndef register(registry):\n" + "".join(f"    {line}\n" for line in body.splitlines())
        write_package(tmp_path, name, {"plugin.py": text}, f"{name}.plugin:register")
        plugins._registry.cache_clear()

    plugins._registry.cache_clear()
    yield write
    plugins._registry.cache_clear()
    for name in set(sys.modules) - imported:
        if "_plugin" in name:  # another test may write a package of the same name
            del sys.modules[name]
