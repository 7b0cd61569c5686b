"""URLs of object storage: s3://BUCKET/PATH, gs://BUCKET/PATH, https://HOST/PATH, and http:// of this machine."""

import re
from dataclasses import dataclass
from typing import Self

from pianogen.errors import SettingError

WRITABLE = ("s3", "gs")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_THIS_MACHINE = re.compile(r"(?:127\.0\.0\.1|localhost)(?::\d+)?")
# characters with a meaning to servers or fsspec: queries, fragments, versions, patterns
_SPECIAL = re.compile(r"[\x00-\x1f\x7f\\?#*\[\]]")
_MAX_NAME_BYTES = 200  # a file system's limit is 255, and temporary names are longer


def is_url(text: str) -> bool:
    """Whether an argument is a URL, supported or not, and not a local path."""
    return _URL.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether a text is the plain name of one file or folder, which cannot refer to another folder."""
    return text not in ("", ".", "..") and "/" not in text and not _SPECIAL.search(text) and _is_short(text)


def _is_short(text: str) -> bool:
    return len(text.encode(errors="replace")) <= _MAX_NAME_BYTES


@dataclass(frozen=True)
class Address:
    """A folder on object storage."""

    scheme: str
    parts: tuple[str, ...]
    """Bucket or host, and the names below it."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse a URL.

        Raises:
            SettingError: It is not supported; the message does not repeat credentials.
        """
        found = _URL.fullmatch(url)
        scheme, path = found.groups() if found else ("", "")
        parts = tuple(path.rstrip("/").split("/"))
        if "@" in parts[0]:
            raise SettingError(f"a {scheme}:// URL contains credentials; give them in the environment, not in a URL")
        if scheme not in ("s3", "gs", "https", "http"):
            raise SettingError(f"{url!r} is not supported; a URL must start with s3://, gs:// or https://")
        if scheme == "http" and not _THIS_MACHINE.fullmatch(parts[0]):
            raise SettingError(f"{url!r} would be fetched unencrypted; use https:// (http:// is for 127.0.0.1 only)")
        if not all(is_name(part) for part in parts):
            raise SettingError(
                f"{url!r} is not a plain URL; write {scheme}://BUCKET/FOLDER without .. or any of ?#*[]\\"
            )
        return cls(scheme, parts)

    def __str__(self) -> str:
        return f"{self.scheme}://{'/'.join(self.parts)}"

    @property
    def name(self) -> str:
        """The last name of the path, or that of the bucket."""
        return self.parts[-1]

    def require_writable(self) -> None:
        """Refuse a read-only server.

        Raises:
            SettingError: The scheme is read-only.
        """
        if self.scheme not in WRITABLE:
            raise SettingError(f"cannot write to {self}; give a bucket, s3://... or gs://...")
