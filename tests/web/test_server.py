"""The server answers on the socket that it was given, and ends when it is told to."""

import asyncio
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator

import pytest
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

# what the last lines of Python's own end would collect
_HELD = """
class Held:
    def __del__(self):
        print("collected", flush=True)
held = Held()
held.itself = held
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


@pytest.mark.parametrize(("served", "said"), [(True, ""), (False, "collected\n")])
def test_the_process_ends_without_looking_through_all_that_it_holds(served: bool, said: str) -> None:
    """Imports of torch are a quarter of a million objects, and took most of the time from Ctrl-C to the end."""
    server = _SERVER.replace("serve(Guard", "try:\n    serve(Guard") + "except KeyboardInterrupt:\n    pass\n"
    script = _HELD + (server if served else "print(flush=True)")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            port = process.stdout.readline().strip()
            if served:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/").close()
                process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
            assert process.stdout.read() == said
        finally:
            process.kill()


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
