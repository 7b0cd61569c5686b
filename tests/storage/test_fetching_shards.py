"""Shards at a URL equal those in the folder: fetched once, verified, and resumed wherever a fetch stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pianogen.config import ShardsConfig
from pianogen.data import open_shards, open_shards_at
from pianogen.data.fetching import fetch_shards
from pianogen.errors import ShardError, StorageError
from pianogen.manifest import encode
from pianogen.storage import transport
from shards.build import build

TRAIN = "train-000000.tar"


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def without_locks(cache: Path) -> list[str]:
    return [name for name in files_of(cache) if not name.startswith("locks/")]


def shards_of(folder: Path) -> list[str]:
    return [entry["name"] for entry in json.loads((folder / "manifest.json").read_bytes())["shards"]]


@pytest.fixture
def site(web, tiny_shards: Path) -> str:
    """The shards on a plain web server."""
    shutil.copytree(tiny_shards, web.folder / "shards")
    return f"{web.url}/shards"


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def start_fetch(url: str) -> "subprocess.Popen[str]":
    script = "import sys; from pianogen.data.fetching import fetch_shards; print(fetch_shards(sys.argv[1]))"
    return subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("where", ["bucket", "site"])
def test_shards_at_a_url_equal_the_local_ones(where, request, tiny_shards):
    source = request.getfixturevalue(where)
    url = source if where == "site" else source.upload(tiny_shards, "data/shards")
    there, here = open_shards_at(url), open_shards(tiny_shards)
    assert (there.fingerprint, there.performances.tolist()) == (here.fingerprint, here.performances.tolist())
    for split in ("train", "validation", "test"):
        ours, theirs = here.split(split), there.split(split)
        assert [ours.tokens(index).tolist() for index in range(len(ours))] == [
            theirs.tokens(index).tolist() for index in range(len(theirs))
        ]


def test_a_folder_is_opened_as_before(tiny_shards):
    assert open_shards_at(str(tiny_shards)).folder == tiny_shards


def test_a_second_call_requests_only_the_manifest(bucket, tiny_shards):
    url = bucket.upload(tiny_shards, "shards")
    first = fetch_shards(url)
    with bucket.asked("GET") as names:
        assert fetch_shards(url) == first
    assert names == ["shards/manifest.json"]


def test_the_copy_has_the_files_of_the_manifest_and_no_others(bucket, tiny_shards):
    folder = fetch_shards(bucket.upload(tiny_shards, "shards"))
    assert files_of(folder) == sorted(["manifest.json", *shards_of(tiny_shards)])


def test_ranks_that_start_together_fetch_once(web, site, tiny_shards):
    web.stalls = {TRAIN: threading.Event()}
    with ThreadPoolExecutor(2) as ranks:  # the lock belongs to an opened file, so threads are to it as processes are
        folders = [ranks.submit(fetch_shards, site) for _ in range(2)]
        wait_until(lambda: web.asked.count("/shards/manifest.json") == 2)
        time.sleep(0.2)  # were nothing to hold it back, the second would ask for shards now
        web.stalls[TRAIN].set()
    assert folders[0].result() == folders[1].result()
    assert sorted(path for path in web.asked if path.endswith(".tar")) == [
        f"/shards/{name}" for name in sorted(shards_of(tiny_shards))
    ]


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"x" + data[1:]])
def test_a_shard_that_differs_from_the_manifest_is_not_renamed_into_place(web, site, cache, change):
    shard = web.folder / "shards" / TRAIN
    shard.write_bytes(change(shard.read_bytes()))
    with pytest.raises(StorageError, match=rf"{site}/{TRAIN} .*bytes"):
        open_shards_at(site)
    assert not [name for name in without_locks(cache) if name.endswith((TRAIN, "manifest.json", ".part"))]


def test_the_message_of_a_damaged_shard_names_both_hashes(bucket, tiny_shards):
    url = bucket.upload(tiny_shards, "shards")
    promised = json.loads((tiny_shards / "manifest.json").read_bytes())["shards"][0]
    bucket.put(f"shards/{promised['name']}", b"x" * promised["bytes"])
    with pytest.raises(
        StorageError, match=rf"with sha256 [0-9a-f]{{64}}, but .* {promised['sha256']}; upload the folder"
    ):
        open_shards_at(url)


def test_a_missing_shard_is_named(bucket, tiny_shards):
    url = bucket.upload(tiny_shards, "shards")
    bucket.delete(f"shards/{TRAIN}")
    with pytest.raises(StorageError, match=rf"{TRAIN} not found .*its manifest lists it"):
        open_shards_at(url)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../train-000000.tar"},
        {"name": "/tmp/train-000000.tar"},
        {"name": "a/train-000000.tar"},
        {"name": "pipe:id"},
        {"name": 7},
        {"bytes": -1},
        {"bytes": "many"},
        {"bytes": True},
        {"sha256": "../../x"},
        {"sha256": None},
    ],
)
def test_a_manifest_that_names_anything_but_shards_is_refused_before_anything_is_fetched(web, site, cache, change):
    file = web.folder / "shards" / "manifest.json"
    manifest = json.loads(file.read_bytes())
    manifest["shards"][0].update(change)
    del manifest["sha256"]
    file.write_bytes(encode(manifest))
    with pytest.raises(ShardError, match="is damaged"):
        open_shards_at(site)
    assert (web.asked, cache.exists()) == (["/shards/manifest.json"], False)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": 2}', b"\xff", b"[" * 100_000])
def test_another_file_than_a_manifest_is_one_error(web, site, data):
    (web.folder / "shards" / "manifest.json").write_bytes(data)
    with pytest.raises(ShardError, match=r"manifest\.json in 'http://.*/shards'"):
        open_shards_at(site)


def test_a_copy_that_the_disk_has_damaged_is_fetched_again(bucket, tiny_shards):
    url = bucket.upload(tiny_shards, "shards")
    shard = fetch_shards(url) / TRAIN
    shard.write_bytes(b"x" + shard.read_bytes()[1:])
    with bucket.asked("GET") as names:
        assert open_shards_at(url).fingerprint == open_shards(tiny_shards).fingerprint
    assert [name for name in names if name.endswith(".tar")] == [f"shards/{TRAIN}"]


def test_shards_that_are_uploaded_again_do_not_change_those_of_a_running_job(bucket, tiny_shards, tmp_path):
    url = bucket.upload(tiny_shards, "shards")
    running = open_shards_at(url)
    build(str(tiny_shards.parent / "music"), tmp_path / "others", ShardsConfig(split="random", seed=1))
    bucket.upload(tmp_path / "others", "shards")
    assert open_shards_at(url).fingerprint == open_shards(tmp_path / "others").fingerprint
    assert open_shards(running.folder).fingerprint == open_shards(tiny_shards).fingerprint


def test_a_killed_fetch_resumes_file_by_file(web, site, tiny_shards):
    web.stalls = {TRAIN: threading.Event()}
    others = [name for name in shards_of(tiny_shards) if name != TRAIN]
    cache = Path(os.environ["PIANOGEN_CACHE"])
    killed = start_fetch(site)
    wait_until(lambda: all(list(cache.rglob(name)) for name in [*others, f".{TRAIN}.part"]))
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    web.stalls.popitem()[1].set()
    web.asked.clear()
    folder = fetch_shards(site)
    assert web.asked == ["/shards/manifest.json", f"/shards/{TRAIN}"]
    assert files_of(folder) == sorted(["manifest.json", *shards_of(tiny_shards)])


def test_a_connection_that_breaks_is_retried(web, site, tiny_shards):
    web.breaks, web.answers = {TRAIN: 1}, {"manifest.json": [503, 429]}
    assert open_shards_at(site).fingerprint == open_shards(tiny_shards).fingerprint


def test_a_server_that_fails_again_and_again_is_one_error(web, site):
    web.answers = {"manifest.json": [500] * 3}
    with pytest.raises(StorageError, match=r"cannot reach .*: 500, .* run the same command again"):
        open_shards_at(site)
    assert len(web.asked) == 3


@pytest.mark.parametrize(("status", "complaint"), [(404, "not found"), (403, "denied"), (401, "denied")])
def test_a_denied_request_is_not_retried(web, site, status, complaint):
    web.answers = {"manifest.json": [status] * 3}
    with pytest.raises(StorageError, match=complaint):
        open_shards_at(site)
    assert len(web.asked) == 1


def test_a_server_that_sends_nothing_is_given_up_after_the_timeout(web, site, reopened, monkeypatch):
    monkeypatch.setattr(transport, "READ_TIMEOUT_S", 0.2)
    web.stalls = {TRAIN: threading.Event()}
    with pytest.raises(StorageError, match=rf"cannot reach .*{TRAIN}: .*[Tt]imeout"):
        open_shards_at(site)
