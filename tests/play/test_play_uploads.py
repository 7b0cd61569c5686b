"""Files that visitors send: read on the model's grid, or refused in one clear line."""

import errno
import os
import socket
from pathlib import Path

import pytest
from play_site import Site
from tiny import random_notes

from pianogen.errors import SourceError
from pianogen.play.uploads import MAX_BYTES, title_and_suffix
from pianogen.tokens import midi_bytes

NOTES = random_notes(1, 30)
FILE = midi_bytes(NOTES, quarters_per_minute=90)


def send(site: Site, data: bytes, name: str = "a.mid") -> tuple[int, str]:
    with site.client() as client:
        answer = client.post("/api/prompts", params={"name": name}, content=data)
    return answer.status_code, answer.text


def test_a_file_is_read_with_its_tempo_and_can_be_asked_for_again(site: Site):
    with site.client() as client:
        made = client.post("/api/prompts", content=FILE, headers={"x-filename": "My Waltz.MID"}).json()
    assert made["title"] == "My Waltz"
    assert (round(made["quarters_per_minute"]), made["time_signature"]) == (90, [4, 4])
    assert made["notes"] == [
        list(note) for note in zip(NOTES.onset.tolist(), NOTES.duration.tolist(), NOTES.pitch.tolist(), strict=True)
    ]
    assert site.get(f"/api/prompts/{made['id']}").json() == made


@pytest.mark.parametrize("data", [b"MThd broken", FILE[:40], b"\x00" * 1000])
def test_a_broken_file_is_refused_in_one_line(site: Site, data: bytes):
    status, text = send(site, data)
    assert status == 422
    assert "a.mid" in text
    assert "\\n" not in text
    assert "/tmp" not in text


def test_with_a_full_disk_an_upload_is_refused_in_one_line_without_a_path(site: Site, monkeypatch: pytest.MonkeyPatch):
    def write(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/pianogen-play-x/prompt.mid")

    monkeypatch.setattr(Path, "write_bytes", write)
    status, text = send(site, FILE)
    assert status == 503
    assert "disk may be full" in text
    assert "/tmp" not in text


def test_an_empty_file_is_refused(site: Site):
    assert send(site, b"") == (422, '{"error":"a.mid is empty; send the bytes of the file as the body"}')


@pytest.mark.parametrize("name", ["", "a", "a.exe", "../../etc/passwd", ".mid.txt"])
def test_a_name_of_no_music_is_refused(site: Site, name: str):
    status, text = send(site, FILE, name)
    assert status == 422
    assert "is not that of a MIDI file or score" in text


@pytest.mark.parametrize("name", ["../../../tmp/evil.mid", "/etc/evil.mid", "C:\\evil\\evil.mid", "a/b\x00\n/evil.mid"])
def test_a_path_in_a_name_is_only_a_title(site: Site, name: str):
    before = set(Path("/tmp").glob("evil*"))
    assert title_and_suffix(name) == ("evil", ".mid")
    assert send(site, FILE, name)[0] == 201
    assert set(Path("/tmp").glob("evil*")) == before


def test_the_longest_suffix_counts():
    assert title_and_suffix("song.MusicXML") == ("song", ".musicxml")
    with pytest.raises(SourceError, match="is not that of a MIDI file or score"):
        title_and_suffix("song.mid.zip")


def refusal(site: Site, header: str, body: list[bytes]) -> bytes:
    """The first bytes of the answer to an upload that is never finished."""
    host, port = site.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        head = f"POST /api/prompts?name=a.mid HTTP/1.1\r\nHost: {host}:{port}\r\n{header}\r\n\r\n"
        connection.sendall(head.encode())
        for part in body:
            connection.sendall(part)
        return connection.recv(1000)


def test_an_upload_of_1_gb_is_refused_by_its_announced_length(site: Site):
    assert refusal(site, "Content-Length: 1000000000", [b"MThd"]).startswith(b"HTTP/1.1 413 ")


def test_an_upload_in_chunks_is_refused_while_it_is_sent(site: Site):
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    chunks = [chunk] * (MAX_BYTES // 0x10000 + 1)
    assert refusal(site, "Transfer-Encoding: chunked", chunks).startswith(b"HTTP/1.1 413 ")


def test_ten_scores_are_listed_and_can_be_read(site: Site):
    listed = site.get("/api/prompts").json()
    assert len(listed) == 10
    read = site.get(f"/api/prompts/{listed[1]['id']}").json()
    assert (read["title"], read["composer"]) == (listed[1]["title"], listed[1]["composer"])
    assert len(read["notes"]) > 100


def test_an_unknown_prompt_is_not_found(site: Site):
    answer = site.get("/api/prompts/..%2f..%2fetc")
    assert answer.status_code == 404
    assert site.get("/api/prompts/0123456789abcdef").json()["error"].startswith("the server has no prompt")
