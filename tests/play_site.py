"""A server of the play page in a thread, and a program that asks it for pieces."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from pianogen import web
from pianogen.config import PlayConfig
from pianogen.play import build_app
from pianogen.play.api import Service
from pianogen.play.app import LIMITS
from pianogen.play.piece import Piece
from pianogen.web import Guard, Place, Sessions
from pianogen.web.rates import Rate

MANY = Rate(burst=1e6, per_second=1e6)
QUEUE = 20


@dataclass(frozen=True)
class Site:
    """A server that runs."""

    url: str
    service: Service
    stop: Callable[[], None]

    def client(self, **options: Any) -> httpx2.Client:
        """A program without a session."""
        return httpx2.Client(base_url=self.url, timeout=120, trust_env=False, verify=False, **options)

    @contextmanager
    def page(self) -> Iterator[httpx2.Client]:
        """A browser's page, with its session."""
        with self.client() as client:
            page = client.get("/").text
            client.headers["x-csrf-token"] = page.split('name="csrf-token" content="')[1].split('"')[0]
            yield client

    def ask(self, **body: Any) -> httpx2.Response:
        """Ask for a piece, as another program each time."""
        with self.client() as client:
            return client.post("/api/pieces", json=body)

    def post(self, **body: Any) -> dict[str, Any]:
        """Begin a piece."""
        answer = self.ask(**body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def kept(self, piece_id: str) -> Piece:
        """The piece in the server's memory."""
        piece = self.service.pieces.kept(piece_id)
        assert piece is not None
        return piece

    def get(self, path: str) -> httpx2.Response:
        """Read an address."""
        with self.client() as client:
            return client.get(path)

    def midi(self, piece_id: str) -> bytes:
        """The MIDI file of a piece, after it is done."""
        answer = self.get(f"/api/pieces/{piece_id}.mid")
        assert answer.status_code == 200, answer.text
        return answer.content


@contextmanager
def serving(config: PlayConfig) -> Iterator[Site]:
    """Serve in a thread."""
    application, place = build_app(config), Place(0)
    with place.listen() as listening:
        port = listening.getsockname()[1]
        limits = replace(LIMITS, of_a_session=MANY, of_an_address=MANY)
        guarded = Guard(application, Sessions(), place.names(port), limits)
        application.state.start()
        with web.serving(guarded, listening, application.state.stop):
            yield Site(f"http://127.0.0.1:{port}", application.state.service, application.state.stop)


def wait_until(holds: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for another thread."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.01)
