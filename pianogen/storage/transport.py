"""fsspec's file systems with the options used here, and their exceptions as one line."""

import errno
import logging
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from pianogen.errors import StorageError

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60  # without a single byte
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_TEMPORARY = (408, 429)
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "DefaultCredentialsError")
_CREDENTIALS = {
    "s3": "credentials come from the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "credentials come from the environment: GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth",
    "https": "over https only public files can be fetched",
}
_CHECK = {
    "s3": "check the network, and AWS_ENDPOINT_URL if the server is not Amazon's",
    "gs": "check the network",
    "https": "check the network and the name",
}


class UnreadableError(StorageError):
    """A file is not found, or access is denied."""


@dataclass(frozen=True)
class Transport:
    """A file system, and the extra options of its transfers."""

    files: Any
    get_options: dict[str, Any]


@cache
def open_transport(scheme: str) -> Transport:
    """Create the file system of a scheme, one for all URLs; it connects on first use.

    Raises:
        StorageError: The scheme's package is not installed.
    """
    # gcsfs's support of zonal buckets over gRPC is experimental, and queries the type of every bucket
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    try:
        import aiohttp
        import fsspec

        kind = fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise StorageError(
            f"{scheme}:// needs a package that is not installed ({error.name or error}): pip install 'pianogen[cloud]'"
        ) from error
    for name in ("aiobotocore", "asyncio", "botocore", "fsspec", "gcsfs", "google", "s3fs"):
        # without a handler they print tracebacks of errors that become one line here
        logging.getLogger(name).addHandler(logging.NullHandler())
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S)
    files = kind(skip_instance_cache=True, use_listings_cache=False, **_options(scheme, timeout))
    # gcsfs's transfer in several parts retries six times what already retries six times
    return Transport(files, {"concurrency": 1} if scheme == "gs" else {})


def _options(scheme: str, timeout: Any) -> dict[str, Any]:
    if scheme == "s3":
        timeouts = {"connect_timeout": CONNECT_TIMEOUT_S, "read_timeout": READ_TIMEOUT_S}
        retries = {"mode": "standard", "total_max_attempts": 2}
        # several files are transferred at once, and each of ten parts of a file would take 50 MB of memory
        return {"config_kwargs": {**timeouts, "retries": retries}, "max_concurrency": 1}
    if scheme == "gs":
        return {"requests_timeout": timeout, "session_kwargs": {"trust_env": True}}
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}  # trust_env: proxies


def is_local(error: Exception) -> bool:
    """Whether this machine's disk failed, and not a server."""
    return isinstance(error, OSError) and (error.errno in _DISK or str(error.filename).startswith("/"))


def explain(error: Exception, url: str, scheme: str) -> StorageError:
    """The error for a URL, in one line."""
    scheme = "https" if scheme == "http" else scheme
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, FileNotFoundError) or _status(error) == 404:
        return UnreadableError(f"{url} not found ({reason}); check the URL" if reason != url else f"{url} not found")
    if _is_refusal(error):
        return UnreadableError(f"access to {url} denied ({reason}); {_CREDENTIALS[scheme]}")
    return StorageError(f"cannot reach {url}: {reason}; {_CHECK[scheme]} and run the same command again")


def is_final(error: BaseException | None) -> bool:
    """Whether a retry would fail in the same way."""
    refused = isinstance(error, FileNotFoundError) or _is_refusal(error)
    return refused or (400 <= _status(error) < 500 and _status(error) not in _TEMPORARY)


def _is_refusal(error: BaseException | None) -> bool:
    return (
        isinstance(error, PermissionError)
        or type(error).__name__ in _NO_CREDENTIALS
        or _status(error) in (401, 403)
        or str(error).startswith("Forbidden")  # gcsfs's message for 403
    )


def _status(error: BaseException | None) -> int:
    """The HTTP status in an exception of aiohttp or gcsfs; 0 in any other."""
    found = getattr(error, "status", None) or getattr(error, "code", None)
    return found if isinstance(found, int) else 0
