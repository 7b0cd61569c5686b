"""A simulated rater: takes part in a served study by the requests that a browser sends."""

import json
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

from pianogen.errors import StudyError
from pianogen.web.place import LOOPBACK

_TIMEOUT_S = 60
_TOO_MANY = 429
_Rate = Callable[[str, int], int]


class RaterProgram:
    """One rater with a session of their own."""

    def __init__(self, port: int, notes: dict[str, int], rate: _Rate) -> None:
        """Prepare a rater.

        Args:
            port: Of the server on this machine.
            notes: How many notes the clips of sound and attention checks have.
            rate: The rating of a clip on a page.
        """
        self._connection = HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_S)
        self._notes, self._rate = notes, rate
        self._headers: dict[str, str] = {}

    def take_part(self) -> None:
        """Go from consent to the last page.

        Raises:
            StudyError: The server does not answer, or refuses a request.
        """
        self._get("/")  # the page itself; its answer starts the session
        shown = json.loads(self._get("/api/next"))
        while shown["stage"] != "finished":
            shown = self._answer(shown)
        self._connection.close()

    def _answer(self, shown: dict[str, Any]) -> dict[str, Any]:
        self._headers["X-CSRF-Token"] = shown["csrf_token"]
        for clip in [shown, *shown.get("examples", [])]:
            if "clip" in clip:
                self._get(f"/clips/{clip['clip']}")
        if shown["stage"] == "consent":
            return self._post("/api/consent", {})
        if shown["stage"] == "sound-check":
            return self._post("/api/sound-check", {"notes": self._notes[shown["clip"]]})
        if shown["stage"] == "instructions":
            return self._post("/api/instructions", {})
        clip, position = shown["clip"], shown["position"]
        value = self._notes[clip] if shown["asks"] == "notes" else self._rate(clip, position)
        return self._post("/api/answers", {"position": position, "value": value, "heard_s": shown["seconds"]})

    def _get(self, path: str) -> bytes:
        return self._send("GET", path)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return json.loads(self._send("POST", path, json.dumps(body)))

    def _send(self, method: str, path: str, body: str | None = None) -> bytes:
        """Send a request, again if the server says that there were too many."""
        headers = self._headers | ({"Content-Type": "application/json"} if body else {})
        while True:
            try:
                self._connection.request(method, path, body, headers)
                answer = self._connection.getresponse()
                content = answer.read()
            except (OSError, HTTPException) as error:
                raise StudyError(f"the server does not answer {method} {path}: {error}") from error
            if answer.status == _TOO_MANY:
                time.sleep(float(answer.headers.get("Retry-After", 1)))
                continue
            return self._taken(answer, content, f"{method} {path}")

    def _taken(self, answer: HTTPResponse, content: bytes, request: str) -> bytes:
        if answer.status >= 300:
            raise StudyError(f"the server refuses {request} with {answer.status}: {content.decode(errors='replace')}")
        if cookie := answer.headers.get("Set-Cookie"):
            self._headers["Cookie"] = cookie.partition(";")[0]
        return content
