"""The JSON file beside each piece: where it comes from, and what it is."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pianogen.config import GenerateConfig, flatten
from pianogen.errors import RunError
from pianogen.generation.prompt import Prompt

# what decides which words are drawn; the rest only says how many pieces, how fast, and what else to write
_SETTINGS = (
    "prompt_seconds",
    "prompt_bars",
    "tokens",
    "bars",
    "seconds",
    "min_tokens",
    "min_bars",
    "min_seconds",
    "temperature",
    "duration_temperature",
    "top_k",
    "top_p",
    "min_p",
)


def request_of(run: str, step: int, sha256: str, config: GenerateConfig, prompt: Prompt) -> dict[str, Any]:
    """Say what was asked for: two pieces of equal request and number are the same piece."""
    settings = asdict(config)
    return {
        "run": run,
        "checkpoint": {"step": step, "sha256": sha256},
        "seed": config.seed,
        "prompt": {"name": prompt.name, "sha256": prompt.sha256} if prompt.name else None,
        "settings": {name: settings[name] for name in _SETTINGS},
    }


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """Read a sidecar, or None where there is none.

    Raises:
        RunError: The file is no sidecar.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}; mend that, or remove it") from error
    except (ValueError, RecursionError) as error:
        raise _no_sidecar(path) from error
    if not isinstance(content, dict) or not isinstance(content.get("words"), str):
        raise _no_sidecar(path)
    return content


def _no_sidecar(path: Path) -> RunError:
    return RunError(f"{path} is no sidecar of a piece; remove it, and the piece is made again")


def check_same_request(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to mix pieces of two requests in one folder.

    Raises:
        RunError: They differ; the message names the first difference.
    """
    there, here = flatten({key: found.get(key) for key in wanted}), flatten(wanted)
    for name in here | there:
        if there.get(name) != here.get(name):
            raise RunError(
                f"{path} was made with {name} = {there.get(name)!r}, but {here.get(name)!r} is asked for;"
                " choose another --out, or remove that folder"
            )
