"""What music a run's weights come from."""

from pathlib import Path
from typing import Any

from pianogen.errors import PianogenError
from pianogen.manifest import MANIFEST_NAME, Manifest
from pianogen.runs.run import Run

UNKNOWN = "unknown"


def source_of(run: Run) -> dict[str, Any]:
    """What its shards were made of; empty if that is not known.

    A run of an older version does not record it: then the manifest of its shards says it, if they are where they were.
    """
    shards = run.environment["shards"]
    if isinstance(found := shards.get("source"), dict):
        return found
    try:
        folder = str(shards["folder"])
        manifest = Manifest.parse(Path(folder, MANIFEST_NAME).read_bytes(), folder)
    except (OSError, KeyError, ValueError, PianogenError):
        return {}
    return manifest.source if manifest.fingerprint == shards.get("fingerprint") else {}


def data_of(run: Run) -> list[str]:
    """The kinds of data that its weights have learned from, such as maestro; its initial weights count too."""
    before = run.environment.get("init", {}).get("data", [])
    return list(dict.fromkeys([*map(str, before), str(source_of(run).get("kind", UNKNOWN))]))
