"""The whole job on small folders: the same bytes always, nothing half-done, nothing dropped in silence."""

import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from forked_workers import run_job
from small_sources import contents, piece, reasons, splits_of

from pianogen.config import ShardsConfig, TokenizerConfig
from pianogen.errors import SettingError, ShardError, SourceError
from pianogen.manifest import Manifest
from pianogen.tokens import encode, midi_bytes, read_midi, tokenize
from shards.build import build, collect, make_shards, reading_config, summary
from shards.files import staging_directory
from shards.pool import read_sources

# kills its own process at the n-th fsync of the job; every state that a kill can leave on the disk is between two
KILLED_JOB = """
import os, signal, sys
from pathlib import Path
from pianogen.config import ShardsConfig
from shards.build import build
left, fsync = [int(sys.argv[3])], os.fsync
def counted(descriptor):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)
os.fsync = counted
build(sys.argv[1], Path(sys.argv[2]), ShardsConfig())
"""
TORCH_FREE_JOB = """
import sys
from pathlib import Path
from pianogen.config import ShardsConfig
from shards.build import build
build(sys.argv[1], Path(sys.argv[2]), ShardsConfig())
sys.exit(" ".join(name for name in ("torch", "music21", "webdataset") if name in sys.modules) or 0)
"""


def test_output_is_the_same_bytes_for_any_number_of_workers(folder, make, real_workers):
    (folder / "broken.mid").write_bytes(b"no midi")
    outputs = [contents(make(folder, workers=workers, tempo_variants=(0.95,))[0]) for workers in (1, 3)]
    assert outputs[0] == outputs[1]


def test_output_does_not_depend_on_the_paths_of_the_folders(finished, folder, make):
    assert contents(make(folder)[0]) == contents(finished.out)


def test_parts_read_separately_give_the_same_shards_as_one_job(finished, folder, tmp_path):
    config = ShardsConfig()
    collection = collect(str(folder), config)
    out = tmp_path / "parts"
    with staging_directory(out) as work:
        readings = []
        for number in range(3):
            readings += read_sources(collection.sources, reading_config(config), work, workers=1, part=(number, 3))
        make_shards(collection, sorted(readings, key=lambda reading: reading.index), work, out, config)
    assert contents(out) == contents(finished.out)


def test_every_note_of_every_piece_is_in_the_shards(finished):
    found = {}
    for one in finished.manifest.performances:
        data = (finished.out / one.shard).read_bytes()
        found[one.source] = np.frombuffer(data, "<i2", one.num_tokens, one.tokens_offset).tolist()
    assert found == {f"book{seed % 2}/piece{seed:02d}.mid": encode(piece(seed)).tolist() for seed in range(12)}


def test_totals_are_those_of_the_performances(finished):
    totals = finished.manifest.splits
    lengths = dict.fromkeys(totals, 0)
    for one in finished.manifest.performances:
        lengths[one.split] += one.num_tokens
    assert {split: totals[split]["tokens"] for split in totals} == lengths


def test_shards_are_cut_at_the_size_asked_for(folder, make):
    _, manifest = make(folder, shard_mb=0.0006)
    assert [one.name for one in manifest.shards if one.num_performances > 2] == []


# in the job's first shard, before and after the shards get their names, before and after the manifest gets its own
@pytest.mark.parametrize("fsync", [1, 4, 5, 7, 8])
def test_a_killed_job_leaves_no_manifest_and_a_rerun_finishes_it(finished, folder, tmp_path, fsync):
    out = tmp_path / "killed"
    assert run_job(KILLED_JOB, folder, out, str(fsync)) == -signal.SIGKILL
    assert (out / "manifest.json").exists() == (fsync == 8)
    build(str(folder), out, ShardsConfig())
    assert contents(out) == contents(finished.out)


def test_a_job_imports_neither_torch_nor_music21_for_midi(folder, tmp_path):
    command = [sys.executable, "-c", TORCH_FREE_JOB, folder, tmp_path / "out"]
    assert subprocess.run(command, capture_output=True, text=True).returncode == 0


def test_unusable_files_are_left_out_with_their_reasons(folder, make):
    notes = midi_bytes(piece(99))
    (folder / "empty.mid").write_bytes(b"")
    (folder / "text.mid").write_bytes(b"this is not a MIDI file")
    (folder / "cut.mid").write_bytes(notes[: len(notes) // 2])
    (folder / "huge.mid").write_bytes(bytes(60_000))
    (folder / "many.mid").write_bytes(midi_bytes(piece(98, length=500)))
    os.mkfifo(folder / "pipe.mid")
    (folder / "link.mid").symlink_to("/dev/zero")
    (folder / "broken.musicxml").write_text("<score-partwise><part>")
    _, manifest = make(folder, max_file_mb=0.05, max_notes=200)
    found = reasons(manifest)
    assert sorted(found) == sorted(path.name for path in folder.iterdir() if not path.is_dir())
    assert "max_file_mb" in found["huge.mid"]
    assert "max_notes" in found["many.mid"]
    assert found["pipe.mid"] == found["link.mid"] == "is not a regular file"
    assert sum(totals["performances"] for totals in manifest.splits.values()) == 12


def test_only_the_first_of_exact_duplicates_is_kept(folder, make):
    (folder / "copy.mid").write_bytes((folder / "book0" / "piece00.mid").read_bytes())
    _, manifest = make(folder)
    assert reasons(manifest) == {"copy.mid": "has the same notes as book0/piece00.mid"}


def test_a_job_without_a_usable_file_says_why(tmp_path, make):
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "a.mid").write_bytes(b"nothing")
    with pytest.raises(ShardError, match=r"none of the 1 files could be used; the first, 'a\.mid'"):
        make(tmp_path / "music")


@pytest.mark.parametrize("count", [1, 2])
def test_a_split_that_would_be_empty_is_an_error(tmp_path, make, count):
    (tmp_path / "music").mkdir()
    for seed in range(count):
        (tmp_path / "music" / f"{seed}.mid").write_bytes(midi_bytes(piece(seed)))
    with pytest.raises(ShardError, match=f"would be empty: {count} performances"):
        make(tmp_path / "music")


def test_tempo_variants_are_further_train_members(folder, make):
    _, manifest = make(folder, tempo_variants=(0.9, 1.1))
    tempos = {(one.split, one.tempo) for one in manifest.performances}
    assert tempos == {("train", 0.9), ("train", 1.0), ("train", 1.1), ("validation", 1.0), ("test", 1.0)}


def test_tempo_variants_are_counted_apart(finished, folder, make):
    plain = finished.manifest.splits["train"]
    varied = make(folder, tempo_variants=(0.9, 1.1))[1].splits["train"]
    assert varied["variants"]["performances"] == 2 * plain["performances"]
    assert {**varied, "variants": None} == {**plain, "variants": None}


def test_a_tempo_variant_is_quantised_after_the_change(folder, make):
    _, manifest = make(folder, tempo_variants=(1.1,))
    variant = next(one for one in manifest.performances if one.tempo == 1.1)
    raw = read_midi((folder / variant.source).read_bytes())
    assert variant.num_tokens == len(tokenize(raw.at_tempo(1.1), TokenizerConfig())[0])


def test_a_rerun_with_other_settings_leaves_no_old_shard(finished, folder, tmp_path):
    out = tmp_path / "twice"
    build(str(folder), out, ShardsConfig(shard_mb=0.0003))
    build(str(folder), out, ShardsConfig())
    assert contents(out) == contents(finished.out)


def test_other_files_in_the_output_folder_are_kept(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    build(str(folder), out, ShardsConfig())
    assert (out / "notes.txt").read_text() == "mine"


def test_two_jobs_cannot_write_to_one_folder(folder, tmp_path):
    with staging_directory(tmp_path / "out"), pytest.raises(ShardError, match="another job is writing shards to"):
        build(str(folder), tmp_path / "out", ShardsConfig())


@pytest.mark.parametrize("num_bytes", [100, 10_300])  # stops a worker's spool, and a tar
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(folder, tmp_path, num_bytes):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        with pytest.raises(ShardError, match=r"cannot write to .*out': File too large; .* run the same command again$"):
            build(str(folder), tmp_path / "out", ShardsConfig())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(tmp_path / "out") == {}


def test_an_out_that_is_a_file_is_one_clear_line(folder, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ShardError, match="cannot write to"):
        build(str(folder), tmp_path / "out", ShardsConfig())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "official"}, "only MAESTRO has an official split"),
        ({"split": "csv"}, "setting 'list' must name the csv"),
        ({"archive": "x.zip"}, "'archive' goes with the source 'maestro'"),
    ],
)
def test_settings_that_do_not_fit_a_folder_are_refused(folder, make, settings, message):
    with pytest.raises(SettingError, match=message):
        make(folder, **settings)


def test_a_missing_source_is_one_clear_line(make):
    with pytest.raises(SourceError, match="source '/nowhere' does not exist; give corpus, maestro, or a folder"):
        make("/nowhere")


def test_the_manifest_on_disk_is_the_one_returned(finished):
    on_disk = (finished.out / "manifest.json").read_bytes()
    assert finished.manifest.to_bytes() == Manifest.parse(on_disk, "out").to_bytes() == on_disk


def test_the_fingerprint_follows_the_notes(finished, folder, make):
    (folder / "book0" / "piece00.mid").write_bytes(midi_bytes(piece(77)))
    assert make(folder)[1].fingerprint != finished.manifest.fingerprint


def test_the_summary_names_what_was_left_out(folder, make):
    (folder / "broken.mid").write_bytes(b"no midi")
    assert "broken.mid" in summary(make(folder)[1])


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "1 of them is a score that contradicts itself"), (2, "2 of them are scores that contradict")],
)
def test_scores_that_contradict_themselves_are_counted(folder, make, count, said):
    one, two = (f"<part id='{number}'><measure number='{number}'/></part>" for number in (1, 2))
    for number in range(count):
        (folder / f"parts{number}.musicxml").write_text(f"<score-partwise>{one}{two}</score-partwise>")
    (folder / "broken.musicxml").write_text("<score-partwise>")
    _, manifest = make(folder)
    assert (manifest.inconsistent_scores, len(manifest.dropped)) == (count, count + 1)
    assert said in summary(manifest)


def test_a_list_chooses_the_files_and_counts_those_missing(folder, make, tmp_path):
    rows = [f"book{seed % 2}/piece{seed:02d}.mid" for seed in range(6)]
    path = tmp_path / "list.csv"
    path.write_text("\n".join(["midi_filename", *rows, "book9/gone.mid"]) + "\n")
    _, manifest = make(folder, list=str(path), split="random")
    assert manifest.missing == ["book9/gone.mid"]
    assert sorted(splits_of(manifest)) == sorted(rows)


def test_a_list_gives_the_split_when_asked_to(folder, make, tmp_path):
    rows = {"book0/piece00.mid": "test", "book1/piece01.mid": "train", "book0/piece02.mid": "validation"}
    path = tmp_path / "list.csv"
    path.write_text("midi_filename,split\n" + "".join(f"{name},{split}\n" for name, split in rows.items()))
    assert splits_of(make(folder, list=str(path), split="csv")[1]) == rows


def test_composition_split_keeps_transposed_copies_together(folder, make):
    notes = piece(0)
    for shift in range(1, 6):
        (folder / f"up{shift}.mid").write_bytes(midi_bytes(replace(notes, pitch=notes.pitch + shift)))
    found = splits_of(make(folder, split="composition")[1])
    assert len({split for name, split in found.items() if name.startswith("up") or name == "book0/piece00.mid"}) == 1
