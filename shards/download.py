"""Download a file once: interrupted downloads are resumed, and the file gets its name after its hash is checked."""

import hashlib
import os
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from pianogen.errors import SourceError
from pianogen.locks import FileLock, LockHeldError
from pianogen.progress import Progress
from pianogen.retry import retry

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
        with FileLock(part, wait=False, record_holder=False):
            _fetch_all(url, part, num_bytes)
            _check(part, url, num_bytes, sha256)
            part.replace(target)
    except LockHeldError as error:
        raise SourceError(f"another process is downloading {target.name}; wait for it, then run this again") from error
    except OSError as error:
        raise SourceError(f"cannot write {str(target)!r}: {error.strerror or error}") from error
    return target


def _fetch_all(url: str, part: Path, num_bytes: int) -> None:
    with Progress(f"downloading {part.stem}", total=num_bytes / 1e6, unit="MB") as bar:
        try:
            retry(
                lambda: _fetch_rest(url, part, num_bytes, bar),
                attempts=ATTEMPTS,
                pause_s=PAUSE_S,
                is_temporary=_is_temporary,
            )
        except urllib.error.HTTPError as error:
            raise SourceError(f"{url} answered {error.code} {error.reason}") from error
        except (OSError, HTTPException) as error:
            done = f"{part.stat().st_size / 1e6:.1f} of {num_bytes / 1e6:.1f} MB"
            raise SourceError(
                f"download of {url} stopped at {done} ({error}); run the same command again to resume, "
                "or download the archive by other means and pass it with --archive"
            ) from error


def _is_temporary(error: Exception) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500
    return isinstance(error, OSError | HTTPException)


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
        os.fsync(stream.fileno())
    if found != sha256:
        part.unlink()
        raise SourceError(
            f"{url} sent {num_bytes} bytes with sha256 {found}, not the published {sha256}; try again later"
        )
