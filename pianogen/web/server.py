"""One process that serves an application until it is told to stop."""

import gc
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from starlette.types import ASGIApp

_MAX_CONNECTIONS = 1000
_MAX_HEADER_BYTES = 16_000
_GRACE_S = 5  # for requests that run when the server is told to stop


def serve(
    app: ASGIApp,
    listening: socket.socket,
    on_stop: Callable[[], None] = lambda: None,
    on_start: Callable[[], None] = lambda: None,
) -> None:
    """Serve an application on a socket that listens, until SIGINT or SIGTERM.

    Requests are not logged: their addresses identify people.

    Args:
        on_stop: Called as soon as it is told to stop, so that the application can end responses that go on for long;
            the server waits some seconds for them.
        on_start: Called when it answers, and a signal ends it with all that the application does at its end.
    """
    try:
        _server(app, on_stop, on_start).run(sockets=[listening])
    finally:
        gc.freeze()  # the process ends, and need not look through all that it has imported for what to free


@contextmanager
def serving(app: ASGIApp, listening: socket.socket, on_stop: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Serve an application in a thread of this process, until the end of `with`; `on_stop` as in `serve`."""
    server = _server(app, on_stop)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None], on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop, self._on_start = on_stop, on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it answers; signals are handled from before this on."""
        await super().startup(sockets)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the application before waiting for its responses; the `lifespan` events come after them."""
        self._on_stop()
        await super().shutdown(sockets)


def _server(app: ASGIApp, on_stop: Callable[[], None], on_start: Callable[[], None] = lambda: None) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_MAX_CONNECTIONS,
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        timeout_graceful_shutdown=_GRACE_S,
        http="h11",
        ws="none",
    )
    return _Server(config, on_stop, on_start)
