"""The shards of a plan, made once."""

import json
from pathlib import Path

import shards.build
from pianogen.config import ReproduceConfig, ShardSetConfig, flatten, to_dict
from pianogen.errors import SettingError
from pianogen.files import sha256_of, write_json
from pianogen.locks import FileLock
from pianogen.manifest import MANIFEST_NAME
from pianogen.progress import console


def make_shards(folder: Path, planned: ShardSetConfig, command: ReproduceConfig) -> Path:
    """Make shards in `folder` unless they are there; processes that need the same ones wait for each other.

    Raises:
        SettingError: The folder was made for other settings.
        PianogenError: As `pianogen shards`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        _require_same(folder.with_suffix(".json"), planned, folder)
        if (folder / MANIFEST_NAME).exists():
            _require_same_list(folder, planned, command)
        else:
            console.print(f"making the shards {folder.name}", soft_wrap=True)
            console.print(shards.build.run(planned.source, folder, planned.settings(command)), soft_wrap=True)
    return folder


def _require_same_list(folder: Path, planned: ShardSetConfig, command: ReproduceConfig) -> None:
    """Refuse another list of files than that of the first call; without one, the shards there are used."""
    if not planned.listed or command.list is None:
        return
    source = json.loads((folder / MANIFEST_NAME).read_bytes()).get("source", {})
    if source.get("list", {}).get("sha256") not in (None, sha256_of(Path(command.list))):
        raise SettingError(
            f"{folder} holds the files of another list than {command.list}, of {source['list']['name']}; give that "
            "--list, or another --out"
        )


def _require_same(record: Path, planned: ShardSetConfig, folder: Path) -> None:
    """Compare the settings with those of the first call, or record them."""
    if not record.exists():
        write_json(record, to_dict(planned))
        return
    try:
        then = flatten(to_dict(ShardSetConfig())) | flatten(json.loads(record.read_text()))
    except (ValueError, AttributeError) as error:
        raise SettingError(f"{record} cannot be read ({error}); remove it and {folder}") from error
    for name, value in flatten(to_dict(planned)).items():
        if value != then.get(name):
            raise SettingError(
                f"'{name}' of shards {folder.name!r} is {value!r} in the plan, but {folder} was made with "
                f"{then.get(name)!r}; give another --out, or the shards another name"
            )
