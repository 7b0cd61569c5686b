"""The real MAESTRO v3: the numbers of its official split, and the paper's setting."""

import os

import pytest

from pianogen.data.shard_set import open_shards

ARCHIVE = os.environ.get("PIANOGEN_MAESTRO_ARCHIVE")
V1_LIST = os.environ.get("PIANOGEN_MAESTRO_V1_CSV")
pytestmark = [
    pytest.mark.maestro,
    pytest.mark.skipif(ARCHIVE is None, reason="PIANOGEN_MAESTRO_ARCHIVE does not name maestro-v3.0.0-midi.zip"),
]


def test_the_official_split_has_the_published_numbers(make):
    out, manifest = make("maestro", archive=ARCHIVE, workers=2)
    splits = manifest.splits
    assert {name: (split["performances"], split["tokens"]) for name, split in splits.items()} == {
        "train": (962, 16_650_680),
        "validation": (137, 1_885_715),
        "test": (177, 2_160_885),
    }
    assert sum(split["notes"] for split in splits.values()) == 7_040_163
    assert (manifest.dropped, manifest.missing) == ([], [])
    counts = manifest.report["counts"]
    assert (counts["shortened_to_minimum"], counts["merged"]) == (2_471_126, 24_234)
    assert int(open_shards(out).split("train").lengths.sum()) == 16_650_680


@pytest.mark.skipif(V1_LIST is None, reason="PIANOGEN_MAESTRO_V1_CSV does not name maestro-v1.0.0.csv")
def test_the_paper_split_is_a_tenth_of_version_1(make):
    _, manifest = make("maestro", archive=ARCHIVE, list=V1_LIST, split="random", workers=2)
    assert [split["performances"] for split in manifest.splits.values()] == [947, 118, 118]
    assert (len(manifest.missing), manifest.source["list"]["rows"]) == (1, 1184)
