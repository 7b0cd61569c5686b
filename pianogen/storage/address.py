"""URLs of object storage: s3://BUCKET/PATH, gs://BUCKET/PATH, https://HOST/PATH, and http:// of this machine."""

import re
from dataclasses import dataclass
from typing import Self

from pianogen.errors import SettingError

WRITABLE = ("s3", "gs")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_THIS_MACHINE = re.compile(r"(?:127\.0\.0\.1|localhost)(?::\d+)?")
# what servers and fsspec take for more than a name: queries, fragments, versions, patterns
_SPECIAL = re.compile(r"[\x00-\x1f\x7f\\?#*\[\]]")
_LONGEST_NAME = 200  # bytes; a file system's limit is 255, and temporary names are longer


def is_url(text: str) -> bool:
    """Whether a user's word is a URL and no path of this machine, be it one that can be used or not."""
    return _URL.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether a text is the name of one file or folder, that can lead nowhere else."""
    return text not in ("", ".", "..") and "/" not in text and not _SPECIAL.search(text) and _is_short(text)


def _is_short(text: str) -> bool:
    return len(text.encode(errors="replace")) <= _LONGEST_NAME


@dataclass(frozen=True)
class Address:
    """A folder on object storage."""

    scheme: str
    parts: tuple[str, ...]
    """Bucket or host, and the names below it."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL.

        Raises:
            SettingError: It is none that can be used; the message does not repeat credentials.
        """
        found = _URL.fullmatch(url)
        scheme, path = found.groups() if found else ("", "")
        parts = tuple(path.rstrip("/").split("/"))
        if "@" in parts[0]:
            raise SettingError(f"a {scheme}:// URL holds credentials; they belong in the environment, not in a URL")
        if scheme not in ("s3", "gs", "https", "http"):
            raise SettingError(f"{url!r} cannot be used; a URL begins with s3://, gs:// or https://")
        if scheme == "http" and not _THIS_MACHINE.fullmatch(parts[0]):
            raise SettingError(f"{url!r} would be fetched unprotected; use https:// (http:// is for 127.0.0.1 alone)")
        if not all(is_name(part) for part in parts):
            raise SettingError(f"{url!r} is no plain URL; write {scheme}://BUCKET/FOLDER without .. and any of ?#*[]\\")
        return cls(scheme, parts)

    def __str__(self) -> str:
        return f"{self.scheme}://{'/'.join(self.parts)}"

    @property
    def name(self) -> str:
        """Its last name, or the bucket's."""
        return self.parts[-1]

    def require_writable(self) -> None:
        """Refuse a server that only gives.

        Raises:
            SettingError: It is one.
        """
        if self.scheme not in WRITABLE:
            raise SettingError(f"nothing can be written to {self}; name a bucket, s3://... or gs://...")
