"""The server answers on the socket that it was given, and ends when it is told to."""

import asyncio
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from pianogen.web import Place, serving

_SERVER = """
from starlette.responses import PlainTextResponse
from pianogen.web import Guard, Place, Sessions, serve
listening = Place(0).listen()
port = listening.getsockname()[1]
print(port, flush=True)
serve(Guard(PlainTextResponse("served"), Sessions(), Place(0).names(port)), listening)
"""


def test_a_guarded_application_is_served_until_sigterm() -> None:
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout
        assert server.stderr
        try:
            port = int(server.stdout.readline())
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
                assert answer.read() == b"served"
                assert "server" not in {name.lower() for name in answer.headers}
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=60) in (0, -signal.SIGTERM)
            assert server.stderr.read() == ""
        finally:
            server.kill()


def test_a_response_that_goes_on_is_told_to_end_before_the_server_waits_for_it() -> None:
    stopped = threading.Event()

    async def words() -> AsyncIterator[str]:
        yield "begun, "
        while not stopped.is_set():
            await asyncio.sleep(0.01)
        yield "ended"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await StreamingResponse(words())(scope, receive, send)

    with Place(0).listen() as listening:
        with serving(app, listening, stopped.set):
            answer = urllib.request.urlopen(f"http://127.0.0.1:{listening.getsockname()[1]}/")
            assert answer.read(7) == b"begun, "
        assert answer.read() == b"ended"
