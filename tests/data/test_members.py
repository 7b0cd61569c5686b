"""The table of all performances: what the records of the manifest say, in little memory."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_shards import edit_manifest, to_format_1

from pianogen.data import open_shards, training_batches
from pianogen.manifest import MANIFEST_NAME, SPLITS, Manifest, content

NUM_PERFORMANCES = 20_000
BYTES_THAT_DO_NOT_GROW = 1 << 16


def table_of_records(folder: Path) -> list[tuple]:
    manifest = Manifest.parse((folder / MANIFEST_NAME).read_bytes(), str(folder))
    numbers = {shard.name: number for number, shard in enumerate(manifest.shards)}
    return [
        (
            SPLITS.index(one.split),
            numbers[one.shard],
            int(one.key),
            one.num_tokens,
            one.tempo != 1,
            one.tokens_offset,
            one.metadata_offset,
            one.metadata_bytes,
        )
        for one in manifest.performances
    ]


@pytest.mark.parametrize("chunk_bytes", [1, 700, 1 << 20])
def test_the_table_says_what_the_records_say_wherever_the_manifest_is_cut(pristine, monkeypatch, chunk_bytes):
    monkeypatch.setattr(content, "_CHUNK_BYTES", chunk_bytes)
    assert open_shards(pristine, verify=False).performances.tolist() == table_of_records(pristine)


def test_performances_that_are_not_in_the_order_of_the_shards_are_sorted_by_shard(folder, pristine):
    edit_manifest(folder, lambda manifest: manifest["performances"].sort(key=lambda one: one["shard"], reverse=True))
    assert open_shards(folder).performances.tolist() == open_shards(pristine).performances.tolist()


@pytest.mark.parametrize("indent", [None, 1, 2, 4])
def test_a_manifest_of_format_1_in_another_layout_is_read(folder, pristine, indent):
    to_format_1(folder)
    path = folder / MANIFEST_NAME
    path.write_text(json.dumps(json.loads(path.read_text()), indent=indent))
    assert open_shards(folder).performances.tolist() == open_shards(pristine).performances.tolist()


def test_a_rank_holds_at_most_64_bytes_for_each_performance(folder):
    manifest = Manifest.parse((folder / MANIFEST_NAME).read_bytes(), str(folder))
    first = next(iter(manifest.performances))
    size = -(-(first.metadata_offset + first.metadata_bytes) // 512) * 512
    shard = replace(manifest.shards[0], num_performances=NUM_PERFORMANCES, num_bytes=size * NUM_PERFORMANCES)
    with (folder / shard.name).open("wb") as tar:
        tar.truncate(shard.num_bytes)
    performances = [
        replace(
            first,
            key=f"{number:09d}",
            tokens_offset=first.tokens_offset + number * size,
            metadata_offset=first.metadata_offset + number * size,
        )
        for number in range(NUM_PERFORMANCES)
    ]
    (folder / MANIFEST_NAME).write_bytes(replace(manifest, shards=[shard], performances=performances).to_bytes())
    del performances
    tracemalloc.start()
    try:
        split = open_shards(folder, verify=False).split("train")
        batches = training_batches(split, order="stream", excerpt_tokens=16, global_batch=4, seed=0, transposed=True)
        batches.order.spans(0, range(4))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held <= 64 * NUM_PERFORMANCES + BYTES_THAT_DO_NOT_GROW


def test_lengths_are_those_of_the_manifest(pristine):
    shards = open_shards(pristine, verify=False)
    split = shards.split("validation")
    assert np.array_equal(split.lengths, shards.performances["num_tokens"][shards.performances["split"] == 1])
