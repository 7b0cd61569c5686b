"""Pages for the owner alone: HTTP Basic authentication with one password."""

import hmac
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from pianogen.web.rates import Buckets, Rate

_ATTEMPTS = Rate(burst=10, per_second=0.1)
_basic = HTTPBasic(realm="pianogen")


class Password:
    """A dependency of the pages that need it; any user name is accepted."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._failures = Buckets(_ATTEMPTS)

    def __call__(self, given: Annotated[HTTPBasicCredentials, Depends(_basic)]) -> None:
        """Pass if the password is right.

        Raises:
            HTTPException: 401 for a wrong one; 429 after many, which slows down guessing for everybody.
        """
        if hmac.compare_digest(given.password.encode(), self._password):
            return
        if self._failures.take(""):
            raise HTTPException(429, "too many wrong passwords", {"Retry-After": "10"})
        raise HTTPException(401, "wrong password", {"WWW-Authenticate": 'Basic realm="pianogen"'})
