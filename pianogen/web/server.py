"""One process that serves an application until it is told to stop."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from starlette.types import ASGIApp

_MAX_CONNECTIONS = 1000
_MAX_HEADER_BYTES = 16_000
_GRACE_S = 5  # for requests that run when the server is told to stop


def serve(app: ASGIApp, listening: socket.socket) -> None:
    """Serve an application on a socket that listens, until SIGINT or SIGTERM.

    Requests are not logged: their addresses identify people.
    """
    _server(app).run(sockets=[listening])


@contextmanager
def serving(app: ASGIApp, listening: socket.socket) -> Iterator[None]:
    """Serve an application in a thread of this process, until the end of `with`."""
    server = _server(app)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def _server(app: ASGIApp) -> uvicorn.Server:
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
    return uvicorn.Server(config)
