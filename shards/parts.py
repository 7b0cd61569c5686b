"""Parts of the source files, read by the tasks of a job array and loaded by the job that writes the shards.

    DIR/.parts/3-of-8/tokens.i16      token streams, concatenated in the order of the sources
                      readings.jsonl  a line per source file: its facts and token offsets, or why it is dropped
                      part.json       what was read and how, and the hashes of both files; written last

A part is used only if reading it now would give the same. One that is incomplete, damaged, or read with other settings
or from other files is read again.
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
from pianogen.files import fsync_path, write_atomic
from pianogen.folders import PARTS_FOLDER
from pianogen.progress import console
from shards.reading import Reading, ReadingConfig, SpooledTokens, load
from shards.sources import SourceFile

FORMAT = 2
_TOKENS, _READINGS, _RECORD = "tokens.i16", "readings.jsonl", "part.json"
_SLICE = 2000  # files checked at a time; bounds the queue of results

Part = tuple[int, int]  # number, from 0, and count


class _UnusableError(Exception):
    """A part that has to be read again; the message says why."""


def part_folder(out: Path, part: Part) -> Path:
    """Folder of a part, until the shards are made."""
    return out / PARTS_FOLDER / f"{part[0]}-of-{part[1]}"


def save_part(
    readings: Sequence[Reading],
    work: Path,
    folder: Path,
    part: Part,
    sources: Sequence[SourceFile],
    config: ReadingConfig,
) -> None:
    """Write a part to its folder; `work` is for its spools and unfinished files."""
    (folder / _RECORD).unlink(missing_ok=True)
    fsync_path(folder)
    moved = _gather(readings, work)
    (work / _TOKENS).replace(folder / _TOKENS)
    lines = "".join(f"{json.dumps(asdict(reading))}\n" for reading in moved)
    write_atomic(folder / _READINGS, lines, staging=work)
    record = {**_request(part, sources, config), "sha256": _hashes(folder)}
    write_atomic(folder / _RECORD, json.dumps(record, indent=1), staging=work)


def find_part(out: Path, part: Part, sources: Sequence[SourceFile], config: ReadingConfig) -> list[Reading] | None:
    """The readings of a finished part, or None if it has to be read; why one is not used is printed."""
    folder = part_folder(out, part)
    if not (folder / _RECORD).exists():
        return None
    try:
        return _load(folder, _request(part, sources, config), sources, config)
    except _UnusableError as reason:
        console.print(f"part {part[0]}/{part[1]} is read again: {reason}", markup=False, soft_wrap=True)
        return None


def find_parts(out: Path, sources: Sequence[SourceFile], config: ReadingConfig) -> list[Reading]:
    """The readings of all finished parts, each source once; parts of several divisions may overlap."""
    found: dict[int, Reading] = {}
    for folder in sorted((out / PARTS_FOLDER).glob("[0-9]*-of-[0-9]*")):
        number, _, count = folder.name.partition("-of-")
        for reading in find_part(out, (int(number), int(count)), sources, config) or ():
            found.setdefault(reading.index, reading)
    return list(found.values())


def _request(part: Part, sources: Sequence[SourceFile], config: ReadingConfig) -> dict[str, Any]:
    """What determines the content of a part, except the bytes of the files; their folder does not."""
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
    # a caller joins the name of a spool to its own folder, which an absolute path overrides
    tokens = str((folder / _TOKENS).absolute())
    return [replace(one, streams=tuple(replace(stream, spool=tokens) for stream in one.streams)) for one in readings]


def _hashes(folder: Path) -> dict[str, str]:
    hashes = {}
    for name in (_TOKENS, _READINGS):
        with (folder / name).open("rb") as file:
            hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _changed(readings: Sequence[Reading], sources: Sequence[SourceFile], config: ReadingConfig) -> str | None:
    """Name a file that has changed since it was read; parsing would cost far more than this."""
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
