"""A served study for tests: in this process behind its guard, or as a process of its own."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any, NamedTuple

from starlette.testclient import TestClient

from pianogen.study.app import application
from pianogen.study.design import Hearing
from pianogen.study.folder import StudyFolder
from pianogen.study.owner import Owner
from pianogen.study.store import Store
from pianogen.web import Guard, Sessions

HOST = "127.0.0.1:8000"


class Answer(NamedTuple):
    """An answer of the server."""

    status_code: int
    content: bytes

    def json(self) -> Any:
        """Its content."""
        return json.loads(self.content)


class Connection:
    """A client of one rater over a real connection, which keeps its cookie; much lighter than httpx."""

    def __init__(self, port: int, cookie: str = "") -> None:
        self._connection, self.cookie = HTTPConnection("127.0.0.1", port, timeout=120), cookie

    def close(self) -> None:
        """Leave."""
        self._connection.close()

    def get(self, path: str) -> Answer:
        """Ask for something."""
        return self._send("GET", path, None, {})

    def post(self, path: str, content: str, headers: dict[str, str]) -> Answer:
        """Send something."""
        return self._send("POST", path, content, headers)

    def _send(self, method: str, path: str, content: str | None, headers: dict[str, str]) -> Answer:
        cookie = {"cookie": self.cookie} if self.cookie else {}
        self._connection.request(method, path, content, headers | cookie)
        answer = self._connection.getresponse()
        self.cookie = (answer.headers["set-cookie"] or self.cookie).partition(";")[0]
        return Answer(answer.status, answer.read())


class Browser:
    """What a rater's browser sends; it keeps its cookie and its token."""

    def __init__(self, client: Any) -> None:
        """Use a client for one rater: starlette's, or a Connection."""
        self.client = client
        self.view: dict[str, Any] = {}
        self.next()

    def next(self) -> dict[str, Any]:
        """Ask where this rater is."""
        self.view = self.client.get("/api/next").json()
        return self.view

    def post(self, path: str, body: Any) -> Any:
        """Send something, and keep the new view if it was taken."""
        headers = {"x-csrf-token": self.view["csrf_token"], "content-type": "application/json"}
        answer = self.client.post(path, content=json.dumps(body), headers=headers)
        if answer.status_code == 200:
            self.view = answer.json()
        return answer

    def begin(self, folder: StudyFolder, code: str | None = None) -> dict[str, Any]:
        """Go to the first clip."""
        self.post("/api/consent", {} if code is None else {"code": code})
        right = {hearing.clip: hearing.expected for hearing in folder.sessions().sound_check}
        self.post("/api/sound-check", {"notes": right[self.view["clip"]]})
        self.post("/api/instructions", {})
        return self.view

    def answer(self, rating: int, **changes: Any) -> Any:
        """Answer the page that is shown, after its clip was sent, where it must be heard."""
        if self.view.get("must_finish"):
            self.client.get(f"/clips/{self.view['clip']}")
        body = {"position": self.view["position"], "value": rating, "heard_s": self.view["seconds"]}
        return self.post("/api/answers", body | changes)


def pages(folder: StudyFolder, rater: int = 0) -> tuple[Hearing, ...]:
    """The session of a rater."""
    sessions = folder.sessions().sessions
    return sessions[rater % len(sessions)]


@contextmanager
def served(folder: StudyFolder, password: str | None = None, clock: Callable[[], float] | None = None) -> Iterator[Any]:
    """Serve in this process; yields a function that makes clients without cookies. By default clips end at once."""
    with Store(folder) as store:
        fast = itertools.count(step=1000).__next__
        app = Guard(application(folder, store, Owner(password), clock or fast), Sessions(b"k" * 32), [HOST])
        yield lambda: TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=False)


@contextmanager
def server(folder: StudyFolder, port: int = 0) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """`pianogen study serve` in another process, which is killed at the end; yields it and its port."""
    command = [sys.executable, "-m", "pianogen", "study", "serve", str(folder.path), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            first = process.stdout.readline()
            yield process, int(first.partition("http://127.0.0.1:")[2].partition("/")[0])
        finally:
            process.kill()
