"""Sessions without stored data: a random name in a signed cookie, and a token against cross-site requests."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from itsdangerous import BadSignature, Signer
from starlette.requests import cookie_parser

from pianogen.errors import RunError

COOKIE = "pianogen_session"
_ID_BYTES, _KEY_BYTES = 16, 32


class Sessions:
    """Issues and reads session cookies; whoever has the key can forge them, so it stays in one file of the owner's."""

    def __init__(self, key: bytes | None = None) -> None:
        """Use a key, by default a random one, which ends all sessions with the process.

        A browser sends the cookies of a host to each of its ports, so that those of a key have a name of their own:
        another study, or `pianogen play`, on the same machine does not replace them.
        """
        self._cookie = COOKIE if key is None else f"{COOKIE}_{hashlib.sha256(key).hexdigest()[:8]}"
        key = secrets.token_bytes(_KEY_BYTES) if key is None else key
        self._cookies = Signer(key, salt="pianogen.session")
        self._tokens = Signer(key, salt="pianogen.csrf")

    def new(self) -> str:
        """A new session's name."""
        return secrets.token_urlsafe(_ID_BYTES)

    def read(self, header: str | None) -> str | None:
        """The session in a Cookie header; None if there is none or it is not ours.

        The header has other sites' cookies too, of a domain above and of other ports, with any values: http.cookies
        would drop ours behind one such as {"seen": true}.
        """
        try:
            value = cookie_parser(header or "").get(self._cookie)
            return None if value is None else self._cookies.unsign(value).decode()
        except (BadSignature, UnicodeError):
            return None

    def cookie(self, session: str, *, secure: bool) -> str:
        """The Set-Cookie header of a session. It is read by this site only, and never by scripts."""
        value = self._cookies.sign(session).decode()
        rules = "Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000" + ("; Secure" if secure else "")
        return f"{self._cookie}={value}; {rules}"

    def token(self, session: str) -> str:
        """What a page sends back with each request that changes something, in the header X-CSRF-Token."""
        return self._tokens.get_signature(session).decode()

    def is_token(self, session: str, token: str | None) -> bool:
        """Whether a token is that of the session."""
        return token is not None and hmac.compare_digest(self.token(session).encode(), token.encode())


def key_in(file: Path) -> bytes:
    """Read the key in a file that only its owner can read, or make one, so that sessions outlast the process.

    Raises:
        RunError: The file is not a key.
    """
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
            handle.write(secrets.token_bytes(_KEY_BYTES))
            handle.flush()
            os.fsync(handle.fileno())
    except FileExistsError:
        pass
    key = file.read_bytes()
    if len(key) != _KEY_BYTES:
        raise RunError(f"{file} is not a key of {_KEY_BYTES} bytes; remove it, which ends the sessions that are open")
    return key
