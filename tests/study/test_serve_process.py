"""A server that is killed, crowded or attacked loses no answer, and goes on serving the others."""

import asyncio
import io
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from served import HOST, Browser, Connection, pages, server
from small_study import make_study

from pianogen.config import StudyServeConfig
from pianogen.errors import SettingError, StudyError
from pianogen.files import write_json
from pianogen.study.answers import read_answers
from pianogen.study.app import application
from pianogen.study.folder import StudyFolder
from pianogen.study.owner import Owner
from pianogen.study.serve import PASSWORD, serve_study
from pianogen.study.store import Store
from pianogen.web import Guard, Sessions


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return make_study(tmp_path / "s", must_finish=False)  # raters who do not wait


@contextmanager
def _rater(port: int, cookie: str = "") -> Iterator[Browser]:
    connection = Connection(port, cookie)
    try:
        yield Browser(connection)
    finally:
        connection.close()


def _with_long_sessions(folder: StudyFolder, length: int) -> int:
    """Let each session be its first page many times."""
    path = folder.path / "sessions.json"
    plan = folder.sessions()
    page = vars(next(page for page in plan.sessions[0] if page.role == "rating"))
    sound_check = [vars(hearing) for hearing in plan.sound_check]
    write_json(path, {**vars(plan), "sound_check": sound_check, "sessions": [[page] * length]})
    return length


def _values(folder: StudyFolder) -> list[int]:
    return [answer.value for answer in read_answers(folder)[1]]


def test_a_server_that_is_killed_loses_no_answer_that_it_has_acknowledged(folder: StudyFolder) -> None:
    length = _with_long_sessions(folder, 60)
    cookie, acknowledged = "", 0
    for kill_at in (10, 30):
        with server(folder) as (process, port), _rater(port, cookie) as rater:
            if rater.view["stage"] == "consent":
                rater.begin(folder)
            cookie = rater.client.cookie
            assert (
                acknowledged <= rater.view["position"] <= acknowledged + 1
            )  # the last one may be there unacknowledged
            acknowledged = rater.view["position"]
            killing = threading.Event()

            def kill(process: Any = process, killing: threading.Event = killing) -> None:
                killing.wait()
                process.kill()

            threading.Thread(target=kill).start()
            try:
                while rater.view["stage"] == "clip":
                    acknowledged += rater.answer(acknowledged % 6).status_code == 200
                    if acknowledged >= kill_at:
                        killing.set()
            except OSError:  # includes an http.client.RemoteDisconnected
                pass
            killing.set()
        stored = _values(folder)
        assert len(stored) in (acknowledged, acknowledged + 1)
        assert stored == [number % 6 for number in range(len(stored))]
    with server(folder) as (_, port), _rater(port, cookie) as rater:
        while rater.view["stage"] == "clip":
            assert rater.answer(rater.view["position"] % 6).status_code == 200
    assert _values(folder) == [number % 6 for number in range(length)]
    assert read_answers(folder)[0][0].finished is not None


def test_a_hundred_raters_at_once_have_every_answer_stored_once(folder: StudyFolder) -> None:
    raters = 100
    with server(folder) as (_, port):

        def rate(name: int) -> None:
            with _rater(port) as rater:
                rater.begin(folder)
                while rater.view["stage"] == "clip":
                    rater.answer((name + rater.view["position"]) % 6, comment=str(name))

        with ThreadPoolExecutor(raters) as threads:
            list(threads.map(rate, range(raters)))
    people, answers = read_answers(folder)
    assert [one.number for one in people] == list(range(raters))
    assert all(one.finished for one in people)
    length = len(pages(folder))
    assert Counter(int(one.comment) for one in answers) == dict.fromkeys(range(raters), length)
    assert {(one.rater, one.position) for one in answers} == {(r, p) for r in range(raters) for p in range(length)}
    assert all(one.value == (int(one.comment) + one.position) % 6 for one in answers)
    assert all(one.clip == pages(folder, one.rater)[one.position].clip for one in answers)


@pytest.mark.parametrize("announced", [True, False])
def test_an_upload_of_a_gigabyte_is_refused_before_it_is_read(announced: bool, folder: StudyFolder) -> None:
    """The client sends until the server has closed the connection; a few buffers are on their way by then."""
    kind = f"content-length: {10**9}" if announced else "transfer-encoding: chunked"
    block = b"x" * 10_000
    part = block if announced else b"%x\r\n%s\r\n" % (len(block), block)
    with server(folder) as (_, port), socket.create_connection(("127.0.0.1", port), timeout=60) as upload:
        head = (
            f"POST /api/answers HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n{kind}\r\n\r\n"
        )
        upload.sendall(head.encode())
        sent = 0
        try:
            while sent < 10**9:
                sent += upload.send(part)
        except OSError:
            pass
        assert sent < 10**8
        with _rater(port) as other:
            assert other.view["stage"] == "consent"


@pytest.mark.parametrize("keeps_cookie", [True, False])
def test_ten_thousand_requests_of_one_client_are_limited_while_another_is_served(
    keeps_cookie: bool, folder: StudyFolder
) -> None:
    with Store(folder) as store:
        sessions = Sessions(b"k" * 32)
        guarded = Guard(application(folder, store, Owner(None)), sessions, [HOST])
        flood = sessions.cookie("flood", secure=False).partition(";")[0] if keeps_cookie else None
        other = sessions.cookie("other", secure=False).partition(";")[0]

        async def requests() -> tuple[Counter[int], Counter[int]]:
            began = time.monotonic()
            of_flood, of_other = Counter[int](), Counter[int]()
            for number in range(10_000):
                of_flood[await _get(guarded, "/api/next", flood)] += 1
                if number % 200 == 0:
                    of_other[await _get(guarded, "/api/next", other)] += 1
            permitted = 400 + 10 * (time.monotonic() - began)
            assert of_flood[200] <= permitted
            return of_flood, of_other

        of_flood, of_other = asyncio.run(requests())
    assert set(of_flood) == {200, 429}
    assert of_flood[429] > 8_000
    assert of_other == {200: 50}


async def _get(app: Any, path: str, cookie: str | None) -> int:
    """The status of a request, without a connection."""
    headers = [(b"host", HOST.encode())] + ([(b"cookie", cookie.encode())] if cookie else [])
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": headers, "client": ("192.0.2.1", 1), "scheme": "http", "http_version": "1.1", "root_path": ""}
    status = 0

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    return status


def test_a_second_server_of_a_study_is_refused_until_the_first_has_ended(folder: StudyFolder) -> None:
    with server(folder) as (process, _):
        with pytest.raises(StudyError, match=f"served by process {process.pid} on"):
            serve_study(folder.path, StudyServeConfig(port=0))
        process.terminate()
        process.wait(timeout=60)
    assert [file.name for file in folder.path.glob("answers.sqlite*")] == ["answers.sqlite"]  # no log beside it
    Store(folder).close()


_STOPPED_WHEN_ANNOUNCED = """
import signal, sys
from pathlib import Path
from pianogen.config import StudyServeConfig
from pianogen.study import serve
serve._announce = lambda *_: signal.raise_signal(signal.SIGTERM)
serve.serve_study(Path(sys.argv[1]), StudyServeConfig(port=0))
"""


def test_a_server_that_is_stopped_as_it_prints_its_address_leaves_one_file_of_answers(folder: StudyFolder) -> None:
    done = subprocess.run([sys.executable, "-c", _STOPPED_WHEN_ANNOUNCED, str(folder.path)], timeout=60, check=False)
    assert done.returncode in (0, -signal.SIGTERM)
    assert [file.name for file in folder.path.glob("answers.sqlite*")] == ["answers.sqlite"]


def test_a_study_without_one_of_its_clips_is_refused(folder: StudyFolder) -> None:
    missing = folder.clip(folder.sessions().sessions[0][0].clip)
    missing.unlink()
    with pytest.raises(StudyError, match=rf"{missing.name} is missing, so .* is incomplete"):
        serve_study(folder.path, StudyServeConfig(port=0))


@pytest.mark.parametrize(
    ("settings", "password", "reason"),
    [
        ({"host": "0.0.0.0"}, "long enough", "--public study.example.org"),
        ({"public": ["study.example.org"]}, None, f"needs a password; give it as {PASSWORD}"),
        ({"public": ["study.example.org"]}, "short", "has 5 characters, but it must have at least 10"),
    ],
)
def test_a_public_study_needs_names_and_a_password(
    settings: dict[str, Any], password: str | None, reason: str, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSWORD, raising=False)
    if password is not None:
        monkeypatch.setenv(PASSWORD, password)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(SettingError, match=reason):
        serve_study(folder.path, StudyServeConfig(port=0, **settings))
