"""The whole job: find the source files, read them in worker processes, write the shards.

The tasks of a job array may read parts of them beforehand, each in its own folder; see `shards.parts`.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from pianogen.config import ShardsConfig, part_of
from pianogen.errors import SettingError
from pianogen.files import fsync_path, write_atomic
from pianogen.folders import PARTS_FOLDER, refuse_run
from pianogen.manifest import MANIFEST_NAME, Manifest, to_json
from pianogen.progress import Progress
from shards import corpus, maestro
from shards.files import locked, remove_folder, staging_directory
from shards.listing import restrict
from shards.manifest import INDEX_NAME, make_index, make_manifest, old_shards
from shards.parts import find_part, find_parts, part_folder, save_part
from shards.pool import read_sources
from shards.reading import Reading, ReadingConfig
from shards.sources import Collection, SourceFile, collect_folder
from shards.split import SplitKind
from shards.writing import load_tar_writer, select, write_shards

SHOWN = 3  # dropped files in the summary


def run(source: str, out: Path, config: ShardsConfig) -> str:
    """Make the shards, or read one part of the source files if `part` is set, and summarise it in a few lines.

    Raises:
        PianogenError: As `build`; or `out` is or is below a run folder.
    """
    refuse_run(out, "the shards")
    return summary(build(source, out, config)) if config.part is None else read_part(source, out, config)


def build(source: str, out: Path, config: ShardsConfig) -> Manifest:
    """Make shards of SOURCE (corpus, maestro, or a folder) in `out`, and return their manifest.

    The same input and settings give the same bytes, whatever the number of workers, and whichever parts were read
    before. A job that is killed leaves no manifest; running it again finishes it.

    Raises:
        PianogenError: The settings do not fit, no source file can be used, or `out` cannot be written.
    """
    assert config.part is None
    collection = collect(source, config)
    with staging_directory(out) as work, ThreadPoolExecutor() as background:
        # both take about as long as reading a small source
        details = background.submit(collection.details)
        writer = background.submit(load_tar_writer)
        readings = _read(collection.sources, out, work, config)
        writer.result()
        known = replace(collection, description={**collection.description, **details.result()}, details=dict)
        manifest = make_shards(known, readings, work, out, config)
        remove_folder(out / PARTS_FOLDER)
        return manifest


def _read(sources: Sequence[SourceFile], out: Path, work: Path, config: ShardsConfig) -> list[Reading]:
    """Load finished parts, and read the other files."""
    settings = reading_config(config)
    with Progress("reading files", total=len(sources), unit="files") as bar:
        before = find_parts(out, sources, settings)
        bar.advance(len(before))
        readings = read_sources(
            sources,
            settings,
            work,
            workers=config.workers,
            skip={reading.index for reading in before},
            on_reading=lambda reading: bar.advance(1),
        )
    return sorted([*before, *readings], key=lambda reading: reading.index)


def read_part(source: str, out: Path, config: ShardsConfig) -> str:
    """Read one part of the source files into `out`, unless it is there, and summarise it in a line.

    Raises:
        PianogenError: As `build`.
    """
    sources, settings, part = collect(source, config).sources, reading_config(config), part_of(config.part)
    # the parts may be read at the same time, but not while the shards are made
    with locked(out, shared=True), staging_directory(part_folder(out, part)) as work:
        readings = find_part(out, part, sources, settings)
        state = "was read before"
        if readings is None:
            with Progress(f"reading part {config.part}", total=len(range(part[0], len(sources), part[1]))) as bar:
                readings = read_sources(
                    sources,
                    settings,
                    work,
                    workers=config.workers,
                    part=part,
                    on_reading=lambda reading: bar.advance(1),
                )
            save_part(readings, work, part_folder(out, part), part, sources, settings)
            state = "is read"
    files = f"{len(readings):,} of {len(sources):,} files"
    return f"part {config.part} {state}: {files}; the same command without --part makes the shards"


def collect(source: str, config: ShardsConfig) -> Collection:
    """Find the files of SOURCE; if `list` is set, those that it names.

    Raises:
        SourceError: It is missing or has no file to read.
        SettingError: The settings do not fit this kind of source.
    """
    if not str(source):
        raise SettingError("SOURCE is empty; give corpus, maestro, or a folder of MIDI files or scores")
    if config.archive is not None and source != "maestro":
        raise SettingError(f"setting 'archive' goes with the source 'maestro', not with {source!r}")
    if config.split == "official" and source != "maestro":
        raise SettingError(
            f"setting 'split' is 'official', but only MAESTRO has an official split; {source!r} can be split by "
            "random, composition, or csv with --list"
        )
    if config.split == "csv" and config.list is None:
        raise SettingError("setting 'split' is 'csv', so setting 'list' must name the csv that holds the split")
    if source == "maestro":
        collection = maestro.collect(config)
    elif source == "corpus":
        collection = corpus.collect()
    else:
        collection = collect_folder(Path(source))
    return (
        collection if config.list is None else restrict(collection, Path(config.list), take_split=config.split == "csv")
    )


def reading_config(config: ShardsConfig) -> ReadingConfig:
    """The settings that workers need."""
    return ReadingConfig(
        tokenizer=config.tokenizer,
        tempo_variants=config.tempo_variants,
        max_file_mb=config.max_file_mb,
        max_notes=config.max_notes,
        signatures=config.split in ("composition", None),
    )


def make_shards(
    collection: Collection, readings: Sequence[Reading], work: Path, out: Path, config: ShardsConfig
) -> Manifest:
    """Write readings, whose tokens are in spool files in `work`, as shards to `out`; the manifest is written last.

    Raises:
        ShardError: No file can be used, a split is empty, or `out` cannot be written.
    """
    split: SplitKind = config.split or ("official" if collection.has_official_split else "composition")
    selection = select(collection.sources, readings, split, config.seed)
    shards, performances = [], []
    with Progress("writing shards", total=len(selection.performances), unit="performances") as bar:
        for shard, records in write_shards(selection.performances, work, work, config):
            shards.append(shard)
            performances.extend(records)
            bar.advance(len(records))
    manifest = make_manifest(collection, selection, shards, performances, config, split)
    _publish(manifest, work, out)
    return manifest


def _publish(manifest: Manifest, work: Path, out: Path) -> None:
    """Move the finished files into `out`. While there is no manifest, the folder counts as unfinished."""
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    fsync_path(out)
    for path in old_shards(out, [shard.name for shard in manifest.shards]):
        path.unlink()
    for shard in manifest.shards:
        (work / shard.name).replace(out / shard.name)
    write_atomic(out / INDEX_NAME, to_json(make_index(manifest.shards)), staging=work)
    write_atomic(out / MANIFEST_NAME, manifest.to_bytes(), staging=work)


def summary(manifest: Manifest) -> str:
    """What was made and what was left out, in a few lines."""
    lines = [f"{'':10}  performances        notes       tokens     hours"]
    for name, split in manifest.splits.items():
        numbers = (
            f"{split['performances']:12,}  {split['notes']:11,}  {split['tokens']:11,}  {split['seconds'] / 3600:8.1f}"
        )
        extra = split["variants"]["performances"]
        lines.append(f"{name:10}  {numbers}" + (f"  and {extra:,} tempo variants" if extra else ""))
    if dropped := manifest.dropped:
        lines.append(f"left out: {len(dropped):,}, each with its reason in {MANIFEST_NAME}{_contradictions(manifest)}")
        lines.extend(f"  {one['source']}: {one['reason']}" for one in dropped[:SHOWN])
    if manifest.missing:
        lines.append(f"listed but not found: {len(manifest.missing):,}, such as {manifest.missing[0]}")
    return "\n".join(lines)


def _contradictions(manifest: Manifest) -> str:
    count = manifest.inconsistent_scores
    if count == 0:
        return ""
    return (
        "; 1 of them is a score that contradicts itself"
        if count == 1
        else (f"; {count:,} of them are scores that contradict themselves")
    )
