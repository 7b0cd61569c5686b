"""One process that serves an application until it is told to stop."""

import socket

import uvicorn
from starlette.types import ASGIApp

_MAX_CONNECTIONS = 1000
_MAX_HEADER_BYTES = 16_000
_GRACE_S = 5  # for requests that run when the server is told to stop


def serve(app: ASGIApp, listening: socket.socket) -> None:
    """Serve an application on a socket that listens, until SIGINT or SIGTERM.

    Requests are not logged: their addresses identify people.
    """
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
    uvicorn.Server(config).run(sockets=[listening])
