"""fsspec's file systems as this project uses them, and what their many exceptions mean in one line."""

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
_LATER = (408, 429)
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "DefaultCredentialsError")
_WHERE_FROM = {
    "s3": "credentials come from the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "credentials come from the environment: GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth",
    "https": "over https only what everybody may read can be fetched",
}
_CHECK = {
    "s3": "check the network, and AWS_ENDPOINT_URL if the server is not Amazon's",
    "gs": "check the network",
    "https": "check the network and the name",
}


class UnreadableError(StorageError):
    """It is not there, or not for us to see."""


@dataclass(frozen=True)
class Transport:
    """A file system, and what each of its transfers is told besides."""

    files: Any
    get_options: dict[str, Any]


@cache
def open_transport(scheme: str) -> Transport:
    """Make the file system of a scheme, one for all URLs; it connects when it is first used.

    Raises:
        StorageError: Its package is not installed.
    """
    # its talk over gRPC with zonal buckets is an experiment, and asks of every bucket which kind it is
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
        # they print tracebacks of errors that become one line here, unless somebody listens
        logging.getLogger(name).addHandler(logging.NullHandler())
    patience = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S)
    files = kind(skip_instance_cache=True, use_listings_cache=False, **_options(scheme, patience))
    # gcsfs's transfer of several parts tries six times what tries six times already
    return Transport(files, {"concurrency": 1} if scheme == "gs" else {})


def _options(scheme: str, patience: Any) -> dict[str, Any]:
    if scheme == "s3":
        timeouts = {"connect_timeout": CONNECT_TIMEOUT_S, "read_timeout": READ_TIMEOUT_S}
        retries = {"mode": "standard", "total_max_attempts": 2}
        # files travel side by side already, and each of ten parts of a file would hold 50 MB of memory
        return {"config_kwargs": {**timeouts, "retries": retries}, "max_concurrency": 1}
    if scheme == "gs":
        return {"requests_timeout": patience, "session_kwargs": {"trust_env": True}}
    return {"client_kwargs": {"timeout": patience, "trust_env": True}}  # trust_env: proxies


def is_local(error: Exception) -> bool:
    """Whether it is this machine's disk that failed, and no server."""
    return isinstance(error, OSError) and (error.errno in _DISK or str(error.filename).startswith("/"))


def explain(error: Exception, url: str, scheme: str) -> StorageError:
    """Say what went wrong with a URL in one line."""
    scheme = "https" if scheme == "http" else scheme
    said = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, FileNotFoundError) or _status(error) == 404:
        return UnreadableError(f"{url} is not there ({said}); check the URL" if said != url else f"{url} is not there")
    if _is_refusal(error):
        return UnreadableError(f"{url} refuses access ({said}); {_WHERE_FROM[scheme]}")
    return StorageError(f"{url} cannot be reached: {said}; {_CHECK[scheme]}, and the same command goes on")


def is_final(error: BaseException | None) -> bool:
    """Whether asking again would bring the same answer."""
    refused = isinstance(error, FileNotFoundError) or _is_refusal(error)
    return refused or (400 <= _status(error) < 500 and _status(error) not in _LATER)


def _is_refusal(error: BaseException | None) -> bool:
    return (
        isinstance(error, PermissionError)
        or type(error).__name__ in _NO_CREDENTIALS
        or _status(error) in (401, 403)
        or str(error).startswith("Forbidden")  # what gcsfs makes of 403
    )


def _status(error: BaseException | None) -> int:
    """The answer's status in an exception of aiohttp or gcsfs; 0 in any other."""
    found = getattr(error, "status", None) or getattr(error, "code", None)
    return found if isinstance(found, int) else 0
