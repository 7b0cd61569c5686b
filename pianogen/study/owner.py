"""The password of a study's owner, which opens the page of counts."""

import base64
import hashlib
import hmac
import secrets
import threading

from pianogen.errors import SettingError
from pianogen.web.rates import Buckets, Rate

MIN_PASSWORD = 10
"""Characters of a password."""
_GUESSES = Rate(burst=5, per_second=0.1)


class Owner:
    """Checks passwords by HTTP Basic authentication; only a hash is kept, and guesses are few."""

    def __init__(self, password: str | None) -> None:
        """Use a password, or none: everyone who reaches the server is the owner.

        Raises:
            SettingError: It is too short.
        """
        if password is not None and len(password) < MIN_PASSWORD:
            raise SettingError(f"the password has {len(password)} characters, but it must have at least {MIN_PASSWORD}")
        self._salt = secrets.token_bytes(16)
        self._hash = None if password is None else self._scrypt(password)
        self._guesses = Buckets(_GUESSES)
        self._mutex = threading.Lock()  # one guess at a time: each takes 16 MB
        self._known: bytes | None = None

    def wait_s(self, header: str | None, client: str) -> float | None:
        """Check an Authorization header: 0 if it is the owner's, None if it is not, else the seconds to wait."""
        if self._hash is None:
            return 0.0
        password = _password(header)
        if password is None:
            return None
        with self._mutex:
            quick = hmac.digest(self._salt, password.encode(), "sha256")
            if self._known is not None and hmac.compare_digest(quick, self._known):
                return 0.0
            if wait_s := self._guesses.take(client):
                return wait_s
            if not hmac.compare_digest(self._scrypt(password), self._hash):
                return None
            self._known = quick  # the page asks every few seconds
            return 0.0

    def _scrypt(self, password: str) -> bytes:
        return hashlib.scrypt(password.encode(), salt=self._salt, n=2**14, r=8, p=1)


def _password(header: str | None) -> str | None:
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2] or None
    except ValueError:  # not base64, or not UTF-8
        return None
