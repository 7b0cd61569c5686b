"""What every request must pass before an application sees it, as ASGI middleware.

In this order: the Host and Origin headers, the rate, the token of a request that changes something, and the size of its
body. Responses get headers that keep other sites' pages away. No address is written down.

Reference: OWASP cheat sheets, Cross-Site Request Forgery Prevention and HTTP Headers.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pianogen.web.rates import Buckets, Rate
from pianogen.web.sessions import Sessions

_CHANGES_NOTHING = {"GET", "HEAD", "OPTIONS"}
_OWN_PAGES = {"same-origin", "none"}  # of Sec-Fetch-Site; none: typed by the user
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True)
class Limits:
    """What one client may ask for."""

    body_bytes: int = 64_000
    of_a_session: Rate = field(default_factory=lambda: Rate(burst=120, per_second=10))
    of_an_address: Rate = field(default_factory=lambda: Rate(burst=400, per_second=10))
    """Requests without a session, of which each one opens a session: many people may share an address."""
    larger_bodies: Mapping[str, int] = field(default_factory=dict)
    """Paths that take more than `body_bytes`, and how many."""

    def body_of(self, path: str) -> int:
        """The largest body of a path, in bytes."""
        return self.larger_bodies.get(path, self.body_bytes)


class Guard:
    """ASGI middleware; `scope["session"]` and `scope["csrf_token"]` are the application's to use."""

    def __init__(self, app: ASGIApp, sessions: Sessions, names: Iterable[str], limits: Limits | None = None) -> None:
        """Guard an application.

        Args:
            names: Values of the Host header to answer, with their ports.
        """
        self.app, self.sessions = app, sessions
        self.limits = limits or Limits()
        self._names = frozenset(names)
        self._sessions, self._addresses = Buckets(self.limits.of_a_session), Buckets(self.limits.of_an_address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that is refused, and pass on the others."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no application uses WebSockets
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        session = self.sessions.read(headers.get("cookie"))
        refusal = self._refusal(scope, headers, session)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send))
            return
        cookie = None
        if session is None:
            session = self.sessions.new()
            cookie = self.sessions.cookie(session, secure=scope["scheme"] == "https")
        scope["session"], scope["csrf_token"] = session, self.sessions.token(session)
        body = _Body(receive, send, self.limits.body_of(scope["path"]))
        await self.app(scope, body.receive, _with_headers(body.send, cookie))

    def _refusal(self, scope: Scope, headers: Headers, session: str | None) -> PlainTextResponse | None:
        """The answer to a request that must not reach the application."""
        if headers.get("host", "").lower() not in self._names:
            return _refused(400, "this server does not answer to that name (header Host)")
        if not self._is_own(headers):
            return _refused(403, "a page of another site sent this request (header Origin)")
        if wait_s := self._wait_s(scope, session):
            return _refused(429, "too many requests", {"retry-after": str(math.ceil(wait_s))})
        changes = scope["method"] not in _CHANGES_NOTHING
        if changes and session is not None and not self.sessions.is_token(session, headers.get("x-csrf-token")):
            return _refused(403, "the header X-CSRF-Token is missing or belongs to another session; reload the page")
        max_bytes = self.limits.body_of(scope["path"])
        if _length_of(headers) > max_bytes:
            return _too_large(max_bytes)
        return None

    def _is_own(self, headers: Headers) -> bool:
        """Whether no other site's page has sent it; programs send neither of these headers."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and urlsplit(origin).netloc.lower() not in self._names:
            return False
        navigates = headers.get("sec-fetch-mode") == "navigate"  # a link to a page, which changes nothing
        return site is None or site in _OWN_PAGES or (navigates and origin is None)

    def _wait_s(self, scope: Scope, session: str | None) -> float:
        if session is not None:
            return self._sessions.take(session)
        client = scope.get("client")
        return self._addresses.take(client[0] if client else "")


class _Body:
    """Counts a body whose length was not announced, and answers for the application when it is too large."""

    def __init__(self, receive: Receive, send: Send, max_bytes: int) -> None:
        self._receive, self._send, self._max_bytes = receive, send, max_bytes
        self._seen, self._refused = 0, False

    @property
    def _too_large(self) -> bool:
        return self._seen > self._max_bytes

    async def receive(self) -> Message:
        """The next part of the body; after the limit, the client counts as gone."""
        if self._too_large:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if self._too_large else message

    async def send(self, message: Message) -> None:
        """Pass the response on, or send 413 once in its place."""
        if not self._too_large:
            await self._send(message)
        elif not self._refused and message["type"] == "http.response.start":
            self._refused = True
            await _too_large(self._max_bytes)({"type": "http"}, self._receive, self._send)


def _with_headers(send: Send, cookie: str | None = None) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if cookie is not None:
                headers.append("set-cookie", cookie)
        await send(message)

    return sending


def _length_of(headers: Headers) -> int:
    value = headers.get("content-length", "0")
    return int(value) if value.isascii() and value.isdigit() else 0


def _too_large(max_bytes: int) -> PlainTextResponse:
    return _refused(413, f"the request is larger than {max_bytes:,} bytes", {"connection": "close"})


def _refused(status: int, reason: str, headers: dict[str, str] | None = None) -> PlainTextResponse:
    return PlainTextResponse(f"{reason}\n", status, headers)
