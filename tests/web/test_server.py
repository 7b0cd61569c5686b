"""The server answers on the socket that it was given, and ends when it is told to."""

import signal
import subprocess
import sys
import urllib.request

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
