"""The shards are WebDataset tars: the libraries of that name open them."""

import json
import sys

import numpy as np
from forked import run
from small_sources import piece

from pianogen.tokens import encode

# in a process of its own: webdataset and wids import torch, print, and keep their cache where the environment says
READ_WITH_WIDS = """
import sys
import numpy as np
import wids
shards = wids.ShardListDataset(sys.argv[1], transformations=[])
samples = {}
for index in range(len(shards)):
    sample = shards[index]
    source = __import__("json").load(sample[".json"])["source"]
    samples[source] = [sample["__dataset__"], np.frombuffer(sample[".i16"].read(), "<i2").tolist()]
print(__import__("json").dumps(samples))
"""
READ_WITH_WEBDATASET = """
import json, sys
from shards.writing import load_tar_writer
load_tar_writer()
import webdataset
samples = webdataset.WebDataset(sys.argv[1:], shardshuffle=False)
print(json.dumps([[sample["__key__"], len(sample["i16"])] for sample in samples]))
"""


def test_wids_reads_every_performance_by_the_index(finished, tmp_path):
    command = [sys.executable, "-c", READ_WITH_WIDS, str(finished.out / "index.json")]
    environment = {"WIDS_CACHE": str(tmp_path), "PATH": ""}
    found = json.loads(run(command, env=environment).stdout)
    expected = {one.source: one.split for one in finished.manifest.performances}
    assert {source: split for source, (split, _) in found.items()} == expected
    assert found["book0/piece04.mid"][1] == encode(piece(4)).tolist()


def test_webdataset_streams_a_shard(finished):
    command = [sys.executable, "-c", READ_WITH_WEBDATASET, str(finished.out / "train-000000.tar")]
    found = json.loads(run(command).stdout)
    train = [one for one in finished.manifest.performances if one.split == "train"]
    assert found == [[one.key, 2 * one.num_tokens] for one in train]


def test_members_carry_no_time_and_no_user(finished):
    header = (finished.out / "test-000000.tar").read_bytes()[:512]
    assert (header[108:124], header[136:148], header[265:329]) == (b"0000000\0" * 2, b"0" * 11 + b"\0", bytes(64))


def test_a_json_member_has_the_metadata(finished):
    data = (finished.out / "test-000000.tar").read_bytes()
    start = data.index(b"{")
    metadata = json.loads(data[start : data.index(b"}", start) + 1])
    assert metadata.keys() == {
        *("source", "sha256", "split", "composer", "title", "seconds", "num_notes", "num_tokens"),
        *("tempo", "time_signature", "steps_per_quarter"),
    }


def test_tokens_are_little_endian_16_bit(finished):
    data = (finished.out / "test-000000.tar").read_bytes()
    assert np.frombuffer(data[512:516], "<i2").tolist() == [0, 1]
