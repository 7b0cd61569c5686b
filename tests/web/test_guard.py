"""What passes the guard, and what is refused before an application sees it."""

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from pianogen.web import Guard, Limits, Sessions
from pianogen.web.rates import Rate

HOST = "127.0.0.1:8000"
KEY = b"k" * 32
COOKIE = Sessions(KEY).cookie("", secure=False).partition("=")[0]
MAX_BYTES = 1000


class Site:
    """A guarded application that counts what reaches it."""

    def __init__(self, limits: Limits | None = None, key: bytes | None = KEY) -> None:
        self.seen: list[str] = []
        self.sessions = Sessions(key)
        application = FastAPI()

        @application.get("/")
        def read(request: Request) -> dict[str, str]:
            self.seen.append("read")
            return {"session": request.scope["session"], "token": request.scope["csrf_token"]}

        @application.post("/")
        async def change(request: Request) -> int:
            size = len(await request.body())
            self.seen.append("change")
            return size

        guarded = Guard(application, self.sessions, [HOST, "study.example.org"], limits or Limits(body_bytes=MAX_BYTES))
        self.client = TestClient(guarded, base_url=f"http://{HOST}", raise_server_exceptions=False)

    def token(self) -> dict[str, str]:
        """Open a session, and return the header with its token."""
        return {"x-csrf-token": self.client.get("/").json()["token"]}


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:9000", "study.example.org.evil.example", ""])
def test_another_host_name_is_refused(host: str, site: Site) -> None:
    assert site.client.get("/", headers={"host": host}).status_code == 400
    assert not site.seen


@pytest.mark.parametrize("host", [HOST, "study.example.org", "STUDY.example.org"])
def test_a_known_host_name_is_answered(host: str, site: Site) -> None:
    assert site.client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://{HOST}.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "origin": "http://evil.example"},
    ],
)
def test_a_request_of_another_sites_page_is_refused(headers: dict[str, str], site: Site) -> None:
    token = site.token()
    site.seen.clear()
    assert site.client.post("/", headers=headers | token).status_code == 403
    assert not site.seen


def test_a_link_from_another_site_opens_a_page(site: Site) -> None:
    assert (
        site.client.get("/", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}).status_code == 200
    )


def test_a_change_needs_the_token_of_its_own_session(site: Site) -> None:
    token = site.token()
    foreign = Sessions(b"k" * 32).token("another session")
    assert site.client.post("/").status_code == 403
    assert site.client.post("/", headers={"x-csrf-token": foreign}).status_code == 403
    assert site.client.post("/", headers=[(b"x-csrf-token", "ü".encode())]).status_code == 403
    assert site.client.post("/", headers=token).status_code == 200


def test_a_program_without_a_session_needs_no_token(site: Site) -> None:
    assert site.client.post("/", content=b"123").json() == 3


@pytest.mark.parametrize("other", [b"o" * 32, None])
def test_another_server_on_the_same_host_leaves_the_session_of_a_key_as_it_is(other: bytes | None, site: Site) -> None:
    first = site.client.get("/").json()["session"]
    beside = Site(key=other)  # on another port, to which a browser sends the same cookies
    beside.client.cookies = site.client.cookies
    beside.client.get("/")
    site.client.cookies = beside.client.cookies
    assert site.client.get("/").json()["session"] == first


def test_a_session_lasts_as_long_as_its_cookie_and_a_forged_one_is_replaced(site: Site) -> None:
    first = site.client.get("/").json()["session"]
    assert site.client.get("/").json()["session"] == first
    site.client.cookies.clear()
    forged = {"cookie": f"{COOKIE}={first}.c2lnbmF0dXJl"}
    assert site.client.get("/", headers=forged).json()["session"] != first


@pytest.mark.parametrize("other", ['consent={"necessary": true}', "path=/", "a=b c", "ä=ö", "x", "=", 'open="'])
def test_cookies_that_others_set_for_the_same_host_do_not_hide_the_session(other: str, site: Site) -> None:
    first = site.client.get("/").json()["session"]
    ours = f"{COOKIE}={site.client.cookies[COOKIE]}"
    site.client.cookies.clear()
    for cookies in (f"{other}; {ours}", f"{ours}; {other}"):
        answer = site.client.get("/", headers=[(b"cookie", cookies.encode("latin-1"))])
        assert answer.json()["session"] == first


@pytest.mark.parametrize("cookie", [f"{COOKIE}=", f"{COOKIE}=a.b.c", "\x80", f"a=b; =; {COOKIE}"])
def test_a_damaged_cookie_opens_a_new_session(cookie: str, site: Site) -> None:
    answer = site.client.get("/", headers=[(b"cookie", cookie.encode("latin-1"))])
    assert answer.status_code == 200
    assert f"{COOKIE}=" in answer.headers["set-cookie"]


def test_a_large_body_is_refused_by_its_announced_length(site: Site) -> None:
    answer = site.client.post("/", content=b"short", headers={"content-length": str(10**9)})
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert not site.seen


def test_a_path_may_take_larger_bodies_than_the_others() -> None:
    site = Site(Limits(body_bytes=10, larger_bodies={"/": MAX_BYTES}))
    token = site.token()
    assert site.client.post("/", content=b"x" * 100, headers=token).json() == 100
    assert site.client.post("/other", content=b"x" * 100, headers=token).status_code == 413
    assert site.client.post("/", content=b"x" * (MAX_BYTES + 1), headers=token).status_code == 413


def test_a_large_body_of_unknown_length_is_refused(site: Site) -> None:
    answer = site.client.post("/", content=(b"x" * 100 for _ in range(11)))
    assert answer.status_code == 413
    assert "larger than 1,000 bytes" in answer.text
    assert not site.seen


def test_a_body_of_just_the_limit_passes(site: Site) -> None:
    assert site.client.post("/", content=(b"x" * 100 for _ in range(10))).json() == MAX_BYTES


def test_many_requests_of_one_session_are_refused_and_others_are_served() -> None:
    site = Site(Limits(of_a_session=Rate(burst=5, per_second=0.001), of_an_address=Rate(burst=100, per_second=1)))
    answers = [site.client.get("/") for _ in range(10)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429] * 4  # the first one opened the session
    assert int(answers[-1].headers["retry-after"]) > 0
    site.client.cookies.clear()
    assert site.client.get("/").status_code == 200


def test_opening_sessions_without_end_is_refused_while_open_sessions_go_on() -> None:
    site = Site(Limits(of_an_address=Rate(burst=3, per_second=0.001)))
    first = site.client.get("/").headers["set-cookie"].partition(";")[0]
    site.client.cookies.clear()
    answers = []
    for _ in range(5):
        answers.append(site.client.get("/").status_code)
        site.client.cookies.clear()
    assert answers == [200, 200, 429, 429, 429]
    assert site.client.get("/", headers={"cookie": first}).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"host": "evil.example"}])
def test_every_answer_keeps_other_sites_away(headers: dict[str, str], site: Site) -> None:
    answer = site.client.get("/", headers=headers)
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_cookie_is_not_for_scripts_and_secure_where_the_connection_is(site: Site) -> None:
    assert "HttpOnly" in site.client.get("/").headers["set-cookie"]
    site.client.cookies.clear()
    assert "Secure" in site.client.get(f"https://{HOST}/").headers["set-cookie"]
