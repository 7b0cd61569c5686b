"""MAESTRO: the official archive, downloaded or given by the user, read without unpacking it.

Reference: Hawthorne et al. (2019), Enabling Factorized Piano Music Modeling and Generation with the MAESTRO Dataset.
Licence of the data: CC BY-NC-SA 4.0.
"""

import hashlib
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pianogen.config import ShardsConfig
from pianogen.errors import SourceError
from pianogen.storage import cache_folder
from shards.download import download
from shards.listing import parse_list
from shards.sources import Collection, SourceFile

BASE_URL = "https://storage.googleapis.com/magentadata/datasets/maestro"
MAX_LIST_BYTES = 16_000_000
_LIST_NAME = re.compile(r"(?:(?P<root>[^/]+)/)?maestro-(?P<version>v\d+\.\d+\.\d+)\.csv")


@dataclass(frozen=True)
class Published:
    """Size and hash of a published archive."""

    num_bytes: int
    sha256: str


PUBLISHED = {
    "v1.0.0": Published(46_579_421, "f620f9e1eceaab8beea10617599add2e9c83234199b550382a2f603098ae7135"),
    "v2.0.0": Published(59_243_107, "ec2cc9d94886c6b376db1eaa2b8ad1ce62ff9f0a28b3744782b13163295dadf3"),
    "v3.0.0": Published(58_416_533, "70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c"),
}
NEWEST = "v3.0.0"


def collect(config: ShardsConfig) -> Collection:
    """List the performances of the archive, downloading it first if it was not given.

    Raises:
        SourceError: The archive is missing, damaged, or not MAESTRO's.
    """
    path = Path(config.archive) if config.archive is not None else fetch(config.version or NEWEST)
    try:
        with zipfile.ZipFile(path) as archive:
            return _collect(path, archive, config)
    except OSError as error:
        raise SourceError(f"cannot read archive {str(path)!r}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise SourceError(f"archive {str(path)!r} is damaged or not a zip ({error}); download it again") from error


def fetch(version: str) -> Path:
    """Path of the published archive in the user's cache folder, downloaded if it is missing."""
    name = f"maestro-{version}-midi.zip"
    wanted = PUBLISHED[version]
    return download(f"{BASE_URL}/{version}/{name}", cache_folder() / name, wanted.num_bytes, wanted.sha256)


def _collect(path: Path, archive: zipfile.ZipFile, config: ShardsConfig) -> Collection:
    lists = [match for name in archive.namelist() if (match := _LIST_NAME.fullmatch(name))]
    if len(lists) != 1:
        raise SourceError(
            f"archive {str(path)!r} has {len(lists)} files maestro-vX.Y.Z.csv, where MAESTRO's has one; "
            "give the archive that its site calls maestro-v3.0.0-midi.zip"
        )
    if config.version not in (None, lists[0]["version"]):
        raise SourceError(
            f"archive {str(path)!r} holds MAESTRO {lists[0]['version']}, but --version asks for {config.version}; "
            "omit --version or --archive"
        )
    with archive.open(lists[0].string) as stream:
        rows = parse_list(stream.read(MAX_LIST_BYTES), lists[0].string, need_split=True)
    root = f"{lists[0]['root']}/" if lists[0]["root"] else ""
    members = set(archive.namelist())
    sources = [
        SourceFile(
            name=row.name,
            path=str(path),
            member=root + row.name,
            composer=row.composer,
            title=row.title,
            composition=row.composition,
            split=row.split,
        )
        for row in sorted(rows.values(), key=lambda row: row.name)
        if root + row.name in members
    ]
    if not sources:
        raise SourceError(f"archive {str(path)!r} has none of the files that its own list names; download it again")
    return Collection(
        description={"kind": "maestro", "version": lists[0]["version"]},
        sources=tuple(sources),
        missing=tuple(sorted(name for name in rows if root + name not in members)),
        has_official_split=True,
        details=lambda: _identify(path, lists[0]["version"], downloaded=config.archive is None),
    )


def _identify(path: Path, version: str, *, downloaded: bool) -> dict[str, Any]:
    """The archive's hash, and whether it is the published one: the user's may have been repacked.

    Raises:
        SourceError: It was downloaded, and has changed since.
    """
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    is_published = version in PUBLISHED and digest == PUBLISHED[version].sha256
    if downloaded and not is_published:
        raise SourceError(
            f"the download {str(path)!r} is no longer the published archive; delete it and run the same command again"
        )
    return {"archive": {"sha256": digest, "published": is_published}}
