"""Downloads resume where they stopped, and only the published bytes get the final name."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pianogen.errors import SourceError
from shards import download as module
from shards.download import download

DATA = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(DATA).hexdigest()


@dataclass
class Server:
    """What it sends, how it fails, and what it was asked for."""

    url: str = ""
    data: bytes = DATA
    resumes: bool = True
    breaks_after: list[int] = field(default_factory=list)  # bytes sent before the connection drops, by request
    status: int = 200
    ranges: list[str | None] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    """A web server with one file."""
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and state.resumes else 0
            self.send_response(state.status if state.status != 200 else 206 if start else 200)
            self.send_header("Content-Length", str(len(state.data) - start))
            self.end_headers()
            rest = state.data[start:]
            self.wfile.write(rest[: state.breaks_after.pop(0)] if state.breaks_after else rest)

        def log_message(self, format: str, *args: object) -> None:
            pass

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{listening.server_port}/file.zip"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    listening.shutdown()
    listening.server_close()
    thread.join()


def test_a_download_has_the_published_bytes(server, tmp_path):
    assert download(server.url, tmp_path / "file.zip", len(DATA), SHA256).read_bytes() == DATA


def test_an_existing_file_is_not_downloaded_again(server, tmp_path):
    (tmp_path / "file.zip").write_bytes(DATA)
    download(server.url, tmp_path / "file.zip", len(DATA), SHA256)
    assert server.ranges == []


def test_a_broken_connection_is_resumed_at_the_byte(server, tmp_path):
    server.breaks_after = [300_000, 200_000]
    assert download(server.url, tmp_path / "file.zip", len(DATA), SHA256).read_bytes() == DATA
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_job_resumes_where_the_earlier_one_stopped(server, tmp_path):
    server.breaks_after = [100_000, 0, 0, 0]
    with pytest.raises(SourceError, match=r"stopped at 0\.1 of 1\.0 MB .* run the same command again to resume"):
        download(server.url, tmp_path / "file.zip", len(DATA), SHA256)
    assert download(server.url, tmp_path / "file.zip", len(DATA), SHA256).read_bytes() == DATA
    assert server.ranges[-1] == "bytes=100000-"


def test_a_server_that_cannot_resume_sends_all_again(server, tmp_path):
    server.resumes = False
    (tmp_path / "file.zip.part").write_bytes(DATA[:1000])
    assert download(server.url, tmp_path / "file.zip", len(DATA), SHA256).read_bytes() == DATA


@pytest.mark.parametrize("start", [DATA + b"more", b"x" * len(DATA), b"x" * 1000])
def test_other_bytes_never_get_the_final_name(server, tmp_path, start):
    (tmp_path / "file.zip.part").write_bytes(start)
    server.data = DATA[:-1] + b"x"
    with pytest.raises(SourceError, match="not the published"):
        download(server.url, tmp_path / "file.zip", len(DATA), SHA256)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_one_clear_line(server, tmp_path):
    server.status = 404
    with pytest.raises(SourceError, match=r"file\.zip answered 404 Not Found"):
        download(server.url, tmp_path / "file.zip", len(DATA), SHA256)


def test_no_network_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    with pytest.raises(SourceError, match=r"stopped at 0\.0 of 1\.0 MB .* pass it with --archive"):
        download("http://127.0.0.1:9/file.zip", tmp_path / "file.zip", len(DATA), SHA256)


def test_a_cache_that_cannot_be_written_is_one_clear_line(server, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(SourceError, match="cannot write"):
        download(server.url, tmp_path / "cache" / "file.zip", len(DATA), SHA256)
