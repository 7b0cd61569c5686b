"""The server decides what a rater is shown, stores each answer once, and gives away nothing of others."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from served import HOST, Browser, pages, served
from small_study import SECONDS

from pianogen.config import StudyServeConfig
from pianogen.errors import StudyError
from pianogen.study.answers import read_answers
from pianogen.study.folder import StudyFolder
from pianogen.study.serve import serve_study
from pianogen.study.store import MAX_COMMENT, Store

Clients = Callable[[], Any]


@pytest.fixture
def clients(folder: StudyFolder) -> Iterator[Clients]:
    with served(folder) as clients:
        yield clients


def test_a_rater_goes_through_all_stages_and_every_answer_is_stored(folder: StudyFolder, clients: Clients) -> None:
    rater = Browser(clients())
    stages = [rater.view["stage"]]
    rater.post("/api/consent", {})
    stages.append(rater.view["stage"])
    rater.begin(folder)
    for number, page in enumerate(pages(folder)):
        assert (rater.view["stage"], rater.view["position"], rater.view["clip"]) == ("clip", number, page.clip)
        assert rater.answer(number % 6, comment=f"c{number}").status_code == 200
        assert len(read_answers(folder)[1]) == number + 1
    assert [*stages, rater.view["stage"]] == ["consent", "sound-check", "finished"]
    raters, answers = read_answers(folder)
    assert raters[0].finished is not None
    assert [(one.clip, one.role) for one in answers] == [(page.clip, page.role) for page in pages(folder)]
    assert [(one.value, one.comment) for one in answers] == [(n % 6, f"c{n}") for n in range(len(answers))]


def test_a_page_of_a_repeat_looks_like_a_rating_and_a_check_asks_for_notes(
    folder: StudyFolder, clients: Clients
) -> None:
    rater = Browser(clients())
    rater.begin(folder)
    asked = []
    for _ in pages(folder):
        asked.append(rater.view["asks"])
        assert set(rater.view) == {"csrf_token", "stage", "clip", "seconds", "must_finish", "position", "of", "asks"}
        rater.answer(3)
    assert asked == ["notes" if page.role == "check" else "rating" for page in pages(folder)]


def test_a_browser_without_cookies_makes_no_rater_and_uses_no_code(folder: StudyFolder) -> None:
    with Store(folder) as store:
        store.add_codes(["AAAAA"])
    with served(folder) as clients:
        client = clients()
        rater = Browser(client)
        client.cookies.clear()
        refused = rater.post("/api/consent", {"code": "AAAAA"})
        assert (refused.status_code, "does not keep cookies" in refused.json()["error"]) == (403, True)
        client.cookies.clear()
        rater.next()
        assert rater.post("/api/consent", {"code": "AAAAA"}).status_code == 200
    assert len(read_answers(folder)[0]) == 1


def test_the_sound_check_is_asked_with_other_clips_until_it_is_right(folder: StudyFolder, clients: Clients) -> None:
    rater = Browser(clients())
    rater.post("/api/consent", {})
    first = rater.view["clip"]
    assert rater.post("/api/sound-check", {"notes": 99}).json()["wrong_answers"] == 1
    assert rater.view["clip"] != first
    rater.begin(folder)
    assert rater.view["stage"] == "clip"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/sound-check", {"notes": 2}),
        ("/api/instructions", {}),
        ("/api/answers", {"position": 0, "value": 1, "heard_s": 9}),
    ],
)
def test_no_stage_can_be_left_out(path: str, body: Any, folder: StudyFolder, clients: Clients) -> None:
    rater = Browser(clients())
    assert rater.post(path, body).status_code == 409
    assert rater.next()["stage"] == "consent"
    rater.post("/api/consent", {})
    if path != "/api/sound-check":
        assert rater.post(path, body).status_code == 409
    assert read_answers(folder)[1] == []


def test_an_answer_sent_again_is_stored_once_and_a_different_one_is_refused(
    folder: StudyFolder, clients: Clients
) -> None:
    rater = Browser(clients())
    rater.begin(folder)
    same = {"position": 0, "heard_s": SECONDS, "comment": "x"}
    for _ in range(3):
        assert rater.answer(4, **same).json()["position"] == 1
    for changed in ({"value": 5}, {"comment": "y"}):
        answer = rater.post("/api/answers", {"value": 4} | same | changed)
        assert (answer.status_code, "answered already" in answer.json()["error"]) == (409, True)
    for position in (2, 9_999):
        assert rater.post("/api/answers", {"value": 4} | same | {"position": position}).status_code == 409
    assert [(one.value, one.comment) for one in read_answers(folder)[1]] == [(4, "x")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": 6},
        {"value": -1},
        {"value": 2.5},
        {"value": "3"},
        {"value": True},
        {"value": None},
        {"value": 10**30},
        {"position": "0"},
        {"position": -1},
        {"heard_s": SECONDS / 2},
        {"heard_s": 0},
        {"heard_s": "long"},
        {"comment": "x" * (MAX_COMMENT + 1)},
        {"comment": 7},
        {"comment": "\ud800"},
    ],
)
def test_an_invalid_answer_is_refused_in_one_line_and_not_stored(
    wrong: dict[str, Any], folder: StudyFolder, clients: Clients
) -> None:
    rater = Browser(clients())
    rater.begin(folder)
    assert pages(folder)[0].role == "rating"
    refused = rater.answer(3, **wrong)
    assert refused.status_code == 422
    assert "\n" not in refused.json()["error"]
    assert read_answers(folder)[1] == []
    assert rater.answer(3).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"position": 0, "value": 1, "heard_s": NaN}', b"\xff" * 50, b"[" * 50_000]
)
def test_a_body_that_is_no_answer_is_refused(body: bytes, folder: StudyFolder, clients: Clients) -> None:
    rater = Browser(clients())
    rater.begin(folder)
    headers = {"x-csrf-token": rater.view["csrf_token"], "content-type": "application/json"}
    refused = rater.client.post("/api/answers", content=body, headers=headers)
    assert refused.status_code in (400, 422), refused.text
    assert "error" in refused.json()
    assert read_answers(folder)[1] == []


def test_sql_and_html_in_a_comment_are_stored_as_they_are(folder: StudyFolder, clients: Clients) -> None:
    comment = "'); DROP TABLE answers; --\n<script>alert(1)</script> \0 \N{MUSICAL SYMBOL G CLEF} {{ 7 * 7 }}"
    rater = Browser(clients())
    rater.begin(folder)
    assert rater.answer(3, comment=comment).status_code == 200
    assert read_answers(folder)[1][0].comment == comment


def test_a_clip_is_served_to_the_rater_whose_page_has_it_and_to_nobody_else(
    folder: StudyFolder, clients: Clients
) -> None:
    rater, other = Browser(clients()), Browser(clients())
    rater.begin(folder)
    first, second = (page.clip for page in pages(folder)[:2])
    get = rater.client.get
    assert get(f"/clips/{first}").content == folder.clip(first).read_bytes()
    assert get(f"/clips/{second}").status_code == 404
    assert other.client.get(f"/clips/{first}").status_code == 404
    rater.answer(3)
    assert (get(f"/clips/{second}").status_code, get(f"/clips/{first}").status_code) == (200, 200)
    assert "no-store" in get(f"/clips/{first}").headers["cache-control"]


def test_no_more_of_a_clip_is_heard_than_the_time_since_it_was_sent(folder: StudyFolder) -> None:
    now = [0.0]
    with served(folder, clock=lambda: now[0]) as clients:
        rater = Browser(clients())
        rater.post("/api/consent", {})
        rater.client.get(f"/clips/{rater.view['clip']}")  # of the sound check
        clip = rater.begin(folder)["clip"]
        now[0] += 100
        body = {"position": 0, "value": 3, "heard_s": SECONDS}
        assert rater.post("/api/answers", body).status_code == 422  # it was never sent
        rater.client.get(f"/clips/{clip}")
        now[0] += SECONDS / 2
        refused = rater.post("/api/answers", body)
        assert (refused.status_code, "heard to its end" in refused.json()["error"]) == (422, True)
        rater.client.get(f"/clips/{clip}", headers={"range": "bytes=0-1"})  # again: the first time counts
        now[0] += SECONDS / 2
        assert rater.post("/api/answers", body | {"heard_s": 50 * SECONDS}).status_code == 200
        now[0] += 100
        assert rater.post("/api/answers", body | {"position": 1}).status_code == 422  # the next one was not sent
        assert rater.post("/api/answers", body).status_code == 200  # the same answer again
    assert [one.heard_s for one in read_answers(folder)[1]] == [pytest.approx(SECONDS)]


def test_a_rater_who_heard_a_clip_before_the_server_was_started_again_may_answer(folder: StudyFolder) -> None:
    with served(folder) as clients:
        rater = Browser(clients())
        rater.begin(folder)
        cookie = rater.client.cookies
    with served(folder, clock=lambda: 0.0) as clients:
        client = clients()
        client.cookies = cookie
        body = {"position": 0, "value": 3, "heard_s": SECONDS}
        assert Browser(client).post("/api/answers", body).status_code == 200


def test_a_clip_is_served_in_ranges_as_safari_asks_for_it(folder: StudyFolder, clients: Clients) -> None:
    rater = Browser(clients())
    clip = rater.begin(folder)["clip"]
    content = folder.clip(clip).read_bytes()
    part = rater.client.get(f"/clips/{clip}", headers={"range": "bytes=0-1"})
    assert (part.status_code, part.content) == (206, content[:2])
    assert part.headers["content-range"] == f"bytes 0-1/{len(content)}"
    assert part.headers["content-type"] == "audio/mpeg"
    rest = rater.client.get(f"/clips/{clip}", headers={"range": "bytes=100-"})
    assert rest.content == content[100:]
    assert rater.client.get(f"/clips/{clip}", headers={"range": f"bytes={len(content)}-"}).status_code == 416


@pytest.mark.parametrize(
    "path",
    [
        *("/clips/../key.json", "/clips/..%2fkey.json", "/clips/%2e%2e%2f%2e%2e%2fkey.json", "/clips/..%5ckey.json"),
        *("/clips//etc/passwd", "/clips/%2fetc%2fpasswd", "/clips/..%00", "/clips/", "/key.json", "/answers.sqlite"),
        *("/static/../app.py", "/static/..%2fapp.py", "/static/index.html", "/static/%2fetc%2fpasswd", "/session.key"),
        *("/docs", "/openapi.json", "/sessions.json", "/codes.txt", "/clips/%ff", "/clips/" + "a" * 5000),
    ],
)
def test_no_address_names_a_file(path: str, folder: StudyFolder, clients: Clients) -> None:
    rater = Browser(clients())
    rater.begin(folder)
    answer = rater.client.get(path)
    assert answer.status_code == 404
    assert len(answer.content) < 100


def test_a_forged_host_and_a_post_of_another_site_store_nothing(folder: StudyFolder, clients: Clients) -> None:
    rater = Browser(clients())
    rater.begin(folder)
    body = {"position": 0, "value": 1, "heard_s": SECONDS}
    token = {"x-csrf-token": rater.view["csrf_token"]}
    post = rater.client.post
    assert post("/api/answers", json=body, headers=token | {"host": "evil.example"}).status_code == 400
    assert post("/api/answers", json=body, headers=token | {"origin": "http://evil.example"}).status_code == 403
    assert post("/api/answers", json=body).status_code == 403
    assert post("/api/answers", data=body, headers=token).status_code == 422  # as a form of another site could
    assert read_answers(folder)[1] == []


def test_counts_say_how_many_and_no_ratings(folder: StudyFolder, clients: Clients) -> None:
    rater = Browser(clients())
    rater.begin(folder)
    rater.answer(3)
    assert rater.client.get("/api/results").json() == {"planned": 14, "begun": 1, "finished": 0, "answers": 1}
    assert "Raters who began" in rater.client.get("/results").text


def test_a_password_opens_the_counts_and_guesses_are_few(folder: StudyFolder) -> None:
    with served(folder, "correct horse battery") as clients:
        client = clients()
        for path in ("/results", "/api/results"):
            assert client.get(path).status_code == 401
            assert client.get(path, auth=("", "wrong password")).status_code == 401
        for header in ("Basic", "Basic ÿ", "Basic !!", "Bearer x", "Basic /w=="):
            assert client.get("/results", headers=[(b"authorization", header.encode("latin-1"))]).status_code == 401
        assert client.get("/results", auth=("owner", "correct horse battery")).status_code == 200
        guesses = [client.get("/results", auth=("", f"guess {number}")).status_code for number in range(10)]
        assert set(guesses) == {401, 429}
        assert client.get("/results", auth=("", "correct horse battery")).status_code == 200
        assert Browser(clients()).view["stage"] == "consent"


def test_text_of_the_study_is_escaped_and_the_lab_adds_its_own(folder: StudyFolder) -> None:
    (folder.path / "consent.txt").write_text("Ethics <b>committee</b> 7.\n\nWrite to lab@example.org.\n")
    with served(folder) as clients:
        page = clients().get("/").text
    (folder.path / "consent.txt").unlink()
    assert "<p>Ethics &lt;b&gt;committee&lt;/b&gt; 7.</p>" in page
    assert "<p>Write to lab@example.org.</p>" in page


@pytest.mark.parametrize("name", ["consent.txt", "codes.txt"])
def test_a_text_that_is_not_utf_8_is_refused_in_one_line(name: str, folder: StudyFolder) -> None:
    (folder.path / name).write_bytes("Einverständnis".encode("latin-1"))
    try:
        with pytest.raises(StudyError, match=rf"{name} is not UTF-8 text; save it as UTF-8"):
            serve_study(folder.path, StudyServeConfig(port=0, codes=1))
    finally:
        (folder.path / name).unlink()


def test_nothing_that_identifies_a_rater_is_stored(folder: StudyFolder) -> None:
    with served(folder) as clients:
        client = clients()
        client.headers["user-agent"] = "Mozilla/5.0 (unmistakable)"
        client.headers["x-forwarded-for"] = "203.0.113.77"
        rater = Browser(client)
        rater.begin(folder)
        rater.answer(3)
        (cookie,) = client.cookies.values()
    stored = b"".join(file.read_bytes() for file in folder.path.iterdir() if file.is_file())
    for trace in ("unmistakable", "203.0.113.77", "testclient", cookie, cookie.partition(".")[0]):
        assert trace.encode() not in stored


def test_every_file_of_the_pages_is_served_under_the_policy(clients: Clients) -> None:
    client = clients()
    page = client.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not [part for part in (" style=", " onclick=", "<script>", "<style") if part in page.text]
    for name, kind in {"page.css": "text/css", "study.css": "text/css", "study.js": "text/javascript"}.items():
        answer = client.get(f"/static/{name}")
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)
    assert HOST not in page.text
