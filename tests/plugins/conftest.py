"""Plugin packages installed into the process of a test."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plugin_package import write_package

from pianogen import plugins


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
