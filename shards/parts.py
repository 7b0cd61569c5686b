"""What the tasks of an array leave for the job that makes the shards: what they have read.

    DIR/.parts/3-of-8/tokens.i16      token streams, one behind the other in the order of the sources
                      readings.jsonl  a line for each source: what became of it, and where its tokens lie
                      part.json       what was read and how, and the hashes of both files; written last

A part counts only if all of it is as it would be if it were read now. So one that was cut short, damaged, or read with
other settings or from other files costs time, never wrong shards.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from pianogen.errors import SourceError
from pianogen.files import sync_folder
from pianogen.folders import PARTS_FOLDER
from pianogen.progress import console
from shards.files import write_whole
from shards.reading import Reading, ReadingConfig, SpooledTokens, load
from shards.sources import SourceFile

FORMAT = 2
_TOKENS, _READINGS, _RECORD = "tokens.i16", "readings.jsonl", "part.json"
_SLICE = 2000  # files checked at a time; bounds the answers that wait

Part = tuple[int, int]  # number, from 0, and count


class _UnusableError(Exception):
    """A part that has to be read again; the message says why."""


def part_folder(out: Path, part: Part) -> Path:
    """Where a part lies until the shards are made."""
    return out / PARTS_FOLDER / f"{part[0]}-of-{part[1]}"


def save_part(
    readings: Sequence[Reading],
    work: Path,
    folder: Path,
    part: Part,
    sources: Sequence[SourceFile],
    config: ReadingConfig,
) -> None:
    """Put a part in its folder; `work` holds the spools of its readings, and unfinished files."""
    (folder / _RECORD).unlink(missing_ok=True)
    sync_folder(folder)
    moved = _gather(readings, work)
    (work / _TOKENS).replace(folder / _TOKENS)
    lines = "".join(f"{json.dumps(asdict(reading))}\n" for reading in moved)
    write_whole(folder / _READINGS, lines.encode(), work)
    record = {**_request(part, sources, config), "sha256": _hashes(folder)}
    write_whole(folder / _RECORD, json.dumps(record, indent=1).encode(), work)


def find_part(out: Path, part: Part, sources: Sequence[SourceFile], config: ReadingConfig) -> list[Reading] | None:
    """The readings of a finished part, or None where it has to be read; if there was one, the reason is printed."""
    folder = part_folder(out, part)
    if not (folder / _RECORD).exists():
        return None
    try:
        return _load(folder, _request(part, sources, config), sources, config)
    except _UnusableError as reason:
        console.print(f"part {part[0]}/{part[1]} is read again: {reason}", markup=False, soft_wrap=True)
        return None


def find_parts(out: Path, sources: Sequence[SourceFile], config: ReadingConfig) -> list[Reading]:
    """The readings of all finished parts, each source once; parts of other divisions may lie side by side."""
    found: dict[int, Reading] = {}
    for folder in sorted((out / PARTS_FOLDER).glob("[0-9]*-of-[0-9]*")):
        number, _, count = folder.name.partition("-of-")
        for reading in find_part(out, (int(number), int(count)), sources, config) or ():
            found.setdefault(reading.index, reading)
    return list(found.values())


def _request(part: Part, sources: Sequence[SourceFile], config: ReadingConfig) -> dict[str, Any]:
    """What decides how a part reads, but for the bytes of the files; where they lie does not."""
    listed = hashlib.sha256()
    for source in sources:
        listed.update(json.dumps([source.name, source.member, source.composition]).encode())
    request = {
        "format": FORMAT,
        "part": part,
        "files": listed.hexdigest(),
        "settings": asdict(config),
        "readers": {name: version(name) for name in ("symusic", "pianogen")},
    }
    return json.loads(json.dumps(request))


def _gather(readings: Sequence[Reading], work: Path) -> list[Reading]:
    """Copy the streams out of the workers' spools into one file, so that the shards need few open files."""
    spools: dict[str, IO[bytes]] = {}
    with (work / _TOKENS).open("xb") as target:
        try:
            moved = [
                replace(reading, streams=tuple(_copy(stream, work, spools, target) for stream in reading.streams))
                for reading in readings
            ]
        finally:
            for spool in spools.values():
                spool.close()
        target.flush()
        os.fsync(target.fileno())
    return moved


def _copy(stream: SpooledTokens, work: Path, spools: dict[str, IO[bytes]], target: IO[bytes]) -> SpooledTokens:
    if stream.spool not in spools:
        spools[stream.spool] = (work / stream.spool).open("rb")
    spool = spools[stream.spool]
    spool.seek(stream.offset)
    offset = target.tell()
    target.write(spool.read(2 * stream.num_tokens))
    return replace(stream, spool=_TOKENS, offset=offset)


def _load(folder: Path, request: dict[str, Any], sources: Sequence[SourceFile], config: ReadingConfig) -> list[Reading]:
    try:
        record = dict(json.loads((folder / _RECORD).read_bytes()))
        if changed := [name for name, value in request.items() if record[name] != value]:
            raise _UnusableError(f"it was read with other {' and '.join(changed)}")
        if record["sha256"] != _hashes(folder):
            raise _UnusableError("its files are damaged")
        with (folder / _READINGS).open() as lines:
            readings = [Reading.from_json(json.loads(line)) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _UnusableError(f"its files cannot be read ({error})") from error
    if changed := _changed(readings, sources, config):
        raise _UnusableError(f"{changed!r} has changed since")
    # whoever opens a spool joins its name to the folder of his own ones, which a whole path overrules
    place = str((folder / _TOKENS).absolute())
    return [replace(one, streams=tuple(replace(stream, spool=place) for stream in one.streams)) for one in readings]


def _hashes(folder: Path) -> dict[str, str]:
    hashes = {}
    for name in (_TOKENS, _READINGS):
        with (folder / name).open("rb") as file:
            hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _changed(readings: Sequence[Reading], sources: Sequence[SourceFile], config: ReadingConfig) -> str | None:
    """Name a file whose bytes are others than those that were read; parsing costs far more than this."""
    known = [(sources[reading.index], reading.sha256) for reading in readings if reading.sha256 is not None]
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(known), _SLICE):
            several = known[start : start + _SLICE]
            hashes: Iterable[str | None] = pool.map(lambda pair: _sha256(pair[0], config), several)
            for (source, sha256), found in zip(several, hashes, strict=True):
                if found != sha256:
                    return source.name
    return None


def _sha256(source: SourceFile, config: ReadingConfig) -> str | None:
    try:
        return hashlib.sha256(load(source, round(config.max_file_mb * 1e6))).hexdigest()
    except SourceError:
        return None
