"""Pieces on a bucket are the files that a folder would hold, made once whoever makes them, and listed at the end."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pianogen.cli import main
from pianogen.config import GenerateConfig
from pianogen.errors import RunError
from pianogen.generation import generate, generate_at

CONFIG = GenerateConfig(num=3, tokens=40)


@pytest.fixture
def runs(make_run) -> list[Path]:
    return [make_run("attn"), make_run("lstm")]


@pytest.fixture
def one_job(runs, tmp_path) -> dict[str, bytes]:
    """What a folder on disk holds of all pieces."""
    folder = tmp_path / "pieces"
    generate(runs, folder, CONFIG)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bucket_holds_the_files_of_a_folder(bucket, runs, one_job):
    assert generate_at(runs, bucket.url("pieces"), CONFIG) == 6
    assert bucket.contents("pieces") == one_job


def test_an_array_and_an_index_job_make_the_same(bucket, runs, one_job):
    for part in ("1/2", "0/2"):
        generate_at(runs, bucket.url("pieces"), replace(CONFIG, part=part))
        assert "index.html" not in bucket.contents("pieces")
    with bucket.asked("PUT") as names:
        generate_at(runs, bucket.url("pieces"), CONFIG)
    assert names == ["pieces/index.csv", "pieces/index.html"]
    assert bucket.contents("pieces") == one_job


def test_a_second_call_makes_only_what_is_missing(bucket, runs, one_job):
    generate_at(runs, bucket.url("pieces"), CONFIG)
    folder = "pieces/lstm/from-nothing/seed-0"
    bucket.delete(f"{folder}/0001.mid")
    bucket.delete(f"{folder}/0002.json")
    with bucket.asked("PUT") as names:
        generate_at(runs, bucket.url("pieces"), CONFIG)
    made = [f"{folder}/000{piece}.{kind}" for piece in (1, 2) for kind in ("json", "mid")]
    assert sorted(names) == sorted([*made, "pieces/index.csv", "pieces/index.html"])
    assert bucket.contents("pieces") == one_job


def test_a_sidecar_is_uploaded_after_the_files_it_describes(bucket, runs):
    with bucket.asked("PUT") as names:
        generate_at(runs[:1], bucket.url("pieces"), replace(CONFIG, musicxml=True))
    for piece in ("pieces/0000", "pieces/0001", "pieces/0002"):
        assert [name for name in names if name.startswith(piece)][-1] == f"{piece}.json"


def test_a_picture_that_is_asked_for_later_is_added(bucket, runs):
    generate_at(runs[:1], bucket.url("pieces"), CONFIG)
    with bucket.asked("PUT") as names:
        generate_at(runs[:1], bucket.url("pieces"), replace(CONFIG, piano_roll=True))
    pictures = [f"pieces/000{piece}.png" for piece in range(3)]
    assert sorted(names) == [*pictures, "pieces/index.csv", "pieces/index.html"]
    assert all(bucket.get(name).startswith(b"\x89PNG") for name in pictures)


def test_pieces_of_another_request_are_refused_by_their_url(bucket, runs):
    url = bucket.url("pieces")
    generate_at(runs[:1], url, CONFIG)
    with pytest.raises(RunError, match=rf"{url}/0000\.json was generated with settings\.temperature = 1\.0"):
        generate_at(runs[:1], url, replace(CONFIG, temperature=0.5))


def test_files_that_are_not_pieces_are_left_alone(bucket, runs, one_job):
    foreign = {"notes.txt": b"mine", "0001.wav": b"sound", "a/b/c/0001.json": b"{}", "index.html": b"old"}
    for name, data in foreign.items():
        bucket.put(f"pieces/{name}", data)
    generate_at(runs, bucket.url("pieces"), CONFIG)
    assert bucket.contents("pieces") == {**foreign, **one_job}


def test_a_page_opens_in_a_browser(bucket, runs):
    generate_at(runs[:1], bucket.url("pieces"), CONFIG)
    about = bucket.client.head_object(Bucket=bucket.name, Key="pieces/index.html")
    assert about["ContentType"] == "text/html"


def test_the_command_reads_a_run_and_writes_pieces_by_their_urls(bucket, runs, capsys):
    run, out = bucket.upload(runs[0], "runs/attn"), bucket.url("pieces")
    assert main(["generate", run, "--out", f"{out}/", "--num", "1", "--tokens", "40"]) == 0
    assert capsys.readouterr().out == f"1 pieces in {out}/, one page of all: {out}/index.html\n"
    assert json.loads(bucket.get("pieces/0000.json"))["run"] == "attn"
