"""The job with its pieces on object storage: each goes there as it is made, and what is there is not made again."""

import re
from collections.abc import Sequence
from pathlib import Path

from pianogen.config import GenerateConfig
from pianogen.generation.jobs import generate
from pianogen.storage import is_url, working_copy

_PIECE = re.compile(r"(?:[^/]+/[^/]+/seed-\d+/)?\d+\.(?:mid|json|musicxml|png)")  # as `plan` lays them out


def generate_at(runs: Sequence[Path], out: str, config: GenerateConfig) -> int:
    """Make pieces in a folder or below an s3:// or gs:// URL, and return how many there are now of those asked for.

    Raises:
        RunError, SettingError, SourceError: As `generate`.
        StorageError: The URL cannot be read or written.
    """
    if not is_url(out):
        return len(generate(runs, Path(out), config))
    with working_copy(out) as copy:
        copy.pull(lambda name: _PIECE.fullmatch(name) is not None, lambda name: name.endswith(".json"))
        return len(generate(runs, copy.folder, config, copy.put))
