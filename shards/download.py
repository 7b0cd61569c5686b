"""Download a file once: interrupted downloads are resumed, and the file gets its name after its hash is checked."""

import fcntl
import hashlib
import os
import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from pianogen.errors import SourceError
from pianogen.progress import Progress

ATTEMPTS = 4
TIMEOUT_S = 60.0  # without a single byte
PAUSE_S = 1.0  # before the second attempt; it doubles
CHUNK_BYTES = 1 << 18


def download(url: str, target: Path, num_bytes: int, sha256: str) -> Path:
    """Download `url` to `target`, unless that exists.

    Raises:
        SourceError: The server cannot be reached, or it sends another file than the published one.
    """
    if target.is_file() and target.stat().st_size == num_bytes:
        return target
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as stream:
            _lock(stream.fileno(), target)
            _fetch_all(url, part, num_bytes)
            _check(part, url, num_bytes, sha256)
            os.fsync(stream.fileno())
            part.replace(target)
    except OSError as error:
        raise SourceError(f"cannot write {str(target)!r}: {error.strerror or error}") from error
    return target


def _lock(descriptor: int, target: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SourceError(f"another process is downloading {target.name}; wait for it, then run this again") from error


def _fetch_all(url: str, part: Path, num_bytes: int) -> None:
    with Progress(f"downloading {part.stem}", total=num_bytes / 1e6, unit="MB") as bar:
        for attempt in range(ATTEMPTS):
            try:
                _fetch_rest(url, part, num_bytes, bar)
                return
            except urllib.error.HTTPError as error:
                if error.code < 500 or attempt == ATTEMPTS - 1:
                    raise SourceError(f"{url} answered {error.code} {error.reason}") from error
            except (OSError, HTTPException) as error:
                if attempt == ATTEMPTS - 1:
                    done = f"{part.stat().st_size / 1e6:.1f} of {num_bytes / 1e6:.1f} MB"
                    raise SourceError(
                        f"download of {url} stopped at {done} ({error}); run the same command again to resume, "
                        "or download the archive by other means and pass it with --archive"
                    ) from error
            time.sleep(PAUSE_S * 2**attempt)


def _fetch_rest(url: str, part: Path, num_bytes: int, bar: Progress) -> None:
    """Append the missing bytes; start again if the server cannot resume or the partial file is too long."""
    done = part.stat().st_size
    if done == num_bytes:
        return
    if done > num_bytes:
        os.truncate(part, 0)
        done = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        if done and response.status != 206:
            os.truncate(part, 0)
            done = 0
        _append(response, part, done, num_bytes, bar)


def _append(response: HTTPResponse, part: Path, done: int, num_bytes: int, bar: Progress) -> None:
    with part.open("ab") as stream:
        while done < num_bytes and (chunk := response.read(min(CHUNK_BYTES, num_bytes - done))):
            stream.write(chunk)
            done += len(chunk)
            bar.update(done / 1e6)
    if done < num_bytes:
        raise ConnectionError("the server closed the connection")


def _check(part: Path, url: str, num_bytes: int, sha256: str) -> None:
    with part.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        part.unlink()
        raise SourceError(
            f"{url} sent {num_bytes} bytes with sha256 {found}, not the published {sha256}; try again later"
        )
