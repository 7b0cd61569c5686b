"""Requests that are refused: by the guard, or in one line that names the setting."""

import base64
import io
import json
from typing import Any

import pytest
import soundfile
from play_site import Site

from pianogen.render.samples import SAMPLED_KEYS


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"prompt": {"notes": [[0, 4, 20]]}},
            r"note 0 of the prompt is [0, 4, 20], but its pitch must be from 21 to 108",
        ),
        (
            {"prompt": {"notes": [[0, 4, 60], [-1, 4, 60]]}},
            "note 1 of the prompt is [-1, 4, 60], but its start must be",
        ),
        ({"prompt": {"notes": [[0, 0, 60]]}}, "its length must be from 1 to 128 steps"),
        ({"prompt": {"notes": [[0, 129, 60]]}}, "its length must be from 1 to 128 steps"),
        ({"prompt": {"notes": []}}, "the prompt has no notes"),
        ({"prompt": {"notes": [[8, 1, 60]], "end_step": 3}}, "the prompt's first note starts at step 8"),
        ({"prompt": {"notes": [[i, 1, 60 + i % 2] for i in range(3000)]}}, "a piece at most 4096 with it"),
        ({"temperature": 0}, "temperature: Input should be greater than 0"),
        ({"top_p": 1.5}, "top_p: Input should be less than or equal to 1"),
        ({"tokens": 10**9}, "'tokens' is 1000000000, but must be from 5 to 4096"),
        ({"tokens": 50, "num_tokens": 50}, "'tokens' and 'num_tokens' exclude each other"),
        ({"bars": 1e20}, "bars: Input should be less than or equal to 1000000"),
        ({"min_seconds": 1e308}, "min_seconds: Input should be less than or equal to 1000000"),
        ({"min_tokens": 90, "tokens": 50}, "setting 'min_tokens' is 90"),
        ({"topp": 0.9}, "unknown setting 'topp'; did you mean 'top_p'?"),
        ({"model": "../../etc"}, "'model' is '../../etc', but must be one of pretrained"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0"),
    ],
)
def test_a_bad_setting_is_refused_by_name(site: Site, body: dict[str, Any], message: str):
    with site.client() as client:
        answer = client.post("/api/pieces", json=body)
    assert answer.status_code == 422
    assert message in answer.json()["error"]


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"temperature": NaN}', '{"temperature": 1e999}'])
def test_a_body_that_is_no_object_is_refused(site: Site, text: str):
    with site.client() as client:
        answer = client.post("/api/pieces", content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"]


@pytest.mark.parametrize("piece_id", ["x", "%2e%2e", "eNo", "A" * 11_000, "%00"])
def test_what_is_no_id_is_refused(site: Site, piece_id: str):
    for path in (piece_id, f"{piece_id}/events", f"{piece_id}.mid"):
        answer = site.get(f"/api/pieces/{path}")
        assert answer.status_code in (404, 422)
        assert answer.json()["error"]


def test_only_uploads_may_be_large(site: Site):
    with site.client() as client:
        assert client.post("/api/pieces", content=b" " * 100_000).status_code == 413


def test_a_forged_host_is_refused(site: Site):
    with site.client(headers={"host": "evil.example"}) as client:
        assert client.get("/").status_code == 400
        assert client.post("/api/pieces", json={}).status_code == 400


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_another_sites_page_cannot_ask_for_pieces(site: Site, headers: dict[str, str]):
    with site.client(headers=headers) as client:
        assert client.post("/api/pieces", json={}).status_code == 403
        assert client.post("/api/prompts", content=b"x").status_code == 403


def test_a_page_needs_the_token_of_its_session(site: Site):
    with site.client() as client:
        page = client.get("/").text
        token = page.split('name="csrf-token" content="')[1].split('"')[0]
        assert client.post("/api/pieces", json={"tokens": 21}).status_code == 403
        assert client.post("/api/pieces", json={"tokens": 21}, headers={"x-csrf-token": token}).status_code == 201


@pytest.mark.parametrize("name", ["..%2fapp.py", "index.html", "%2e%2e", "play.css%00", "app.py"])
def test_only_listed_files_are_served(site: Site, name: str):
    assert site.get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize(
    ("name", "kind"), [("play.js", "text/javascript"), ("play.css", "text/css"), ("page.css", "text/css")]
)
def test_files_of_the_page_have_their_type(site: Site, name: str, kind: str):
    answer = site.get(f"/static/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)


def test_the_api_describes_itself_and_the_models(site: Site):
    paths = site.get("/api/openapi.json").json()["paths"]
    assert {"/api/models", "/api/prompts", "/api/pieces", "/api/pieces/{piece_id}/events"} <= paths.keys()
    (model,) = site.get("/api/models").json()
    assert (model["name"], model["steps_per_quarter"], model["bar_steps"]) == ("pretrained", 4, 16)


@pytest.mark.parametrize(("query", "expected"), [("", "OGG"), ("?format=ogg", "OGG"), ("?format=mp3", "MP3")])
def test_the_sampled_piano_is_served_in_the_format_that_a_browser_asks_for(site: Site, query: str, expected: str):
    script = site.get(f"/api/sound.js{query}").text
    files = json.loads(script.removeprefix("globalThis.pianogenSamples = ").removesuffix(";\n"))
    notes = [soundfile.info(io.BytesIO(base64.b64decode(file))) for file in files.values()]
    assert {(note.format, note.samplerate, round(note.duration) <= 6) for note in notes} == {(expected, 44100, True)}
    assert list(map(int, files)) == list(SAMPLED_KEYS)


def test_a_format_of_the_sampled_piano_that_no_browser_needs_is_refused(site: Site):
    answer = site.get("/api/sound.js?format=flac")
    assert (answer.status_code, answer.json()["error"]) == (422, "format: Input should be 'ogg' or 'mp3'")
