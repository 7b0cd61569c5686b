"""A piece of the page is byte for byte that of `pianogen generate`, and is dropped when nobody wants it."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from play_site import QUEUE, Site, serving, wait_until
from symusic.core import NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from pianogen.config import PlayConfig, TokenizerConfig
from pianogen.play import piece as piece_module
from pianogen.tokens import read_score, tokenize

TICKS = 480
LONG = {"num_tokens": 4000, "min_tokens": 4000}
SETTINGS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.7, "duration_temperature": 1.2},
    {"top_p": 0.9},
    {"top_k": 7, "min_p": 0.01},
    {"bars": 2, "min_bars": 1},
]


@pytest.fixture(scope="session")
def waltz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight bars in 3/4, at 60 quarters per minute and from the third bar on at 120."""
    score = ScoreTick(TICKS)
    score.time_signatures.append(TimeSignatureTick(0, 3, 4))
    score.tempos.append(TempoTick(0, qpm=60))
    score.tempos.append(TempoTick(6 * TICKS, qpm=120))
    track = TrackTick()
    for beat in range(24):
        track.notes.append(NoteTick(beat * TICKS, TICKS, 60 + beat % 5, 80))
    score.tracks.append(track)
    path = tmp_path_factory.mktemp("waltz") / "waltz.mid"
    score.dump_midi(path)
    return path


def upload(site: Site, path: Path) -> dict[str, Any]:
    with site.client() as client:
        answer = client.post("/api/prompts", content=path.read_bytes(), headers={"x-filename": path.name})
    assert answer.status_code == 201, answer.text
    return answer.json()


def events_of(site: Site, piece_id: str) -> list[tuple[str, dict[str, Any]]]:
    blocks = site.get(f"/api/pieces/{piece_id}/events").text.strip().split("\n\n")
    lines = [block.split("\n") for block in blocks if not block.startswith(":")]
    return [(one[0].removeprefix("event: "), json.loads(one[1].removeprefix("data: "))) for one in lines]


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_piece_from_nothing_is_that_of_generate(site: Site, generated: Callable[..., Path], settings: dict[str, Any]):
    made = site.post(seed=5, tokens=81, **settings)
    assert site.midi(made["id"]) == generated(seed=5, tokens=81, **settings).read_bytes()


@pytest.mark.parametrize("bars", [None, 1, 2.5])
def test_a_continuation_of_an_uploaded_file_is_that_of_generate(
    site: Site, generated: Callable[..., Path], waltz: Path, bars: float | None
):
    prompt = {"id": upload(site, waltz)["id"]} | ({} if bars is None else {"end_step": round(bars * 12)})
    made = site.post(seed=5, bars=3, prompt=prompt)
    expected = generated(seed=5, bars=3, tokens=made["settings"]["tokens"], prompt=str(waltz), prompt_bars=bars)
    assert site.midi(made["id"]) == expected.read_bytes()


def test_among_15_other_visitors_pieces_are_those_of_generate(site: Site, generated: Callable[..., Path], waltz: Path):
    prompt = {"id": upload(site, waltz)["id"], "end_step": 24}
    wanted = [
        {"seed": seed, "bars": 6, **settings, **({"prompt": prompt} if seed % 3 == 0 else {})}
        for seed, settings in enumerate(SETTINGS * 3 + SETTINGS[:1])
    ]
    made = [site.post(**one) for one in wanted]
    assert len(made) == 16
    files = [site.midi(one["id"]) for one in made]
    for one, piece, file in list(zip(wanted, made, files, strict=True))[:6]:
        settings = {**one, "tokens": piece["settings"]["tokens"]}
        if settings.pop("prompt", None):
            settings |= {"prompt": str(waltz), "prompt_bars": 2}
        assert file == generated(**settings).read_bytes()


def test_events_tell_all_notes_from_the_beginning_with_the_prompt_marked(site: Site):
    prompt = [[0, 4, 60], [4, 4, 64], [4, 2, 67]]
    made = site.post(seed=1, num_tokens=60, prompt={"notes": prompt})
    events = events_of(site, made["id"])
    notes = [event for name, event in events if name == "notes"]
    of_prompt = [note for event in notes if event["prompt"] for note in event["notes"]]
    told = [note for event in notes for note in event["notes"]]
    assert of_prompt == [[0, 4, 60], [4, 2, 67], [4, 4, 64]]
    assert events[-1][0] == "done"
    assert events[-1][1]["num_notes"] == len(told)
    whole = site.get(f"/api/pieces/{made['id']}").json()
    assert (whole["state"], whole["prompt_steps"], whole["notes"]) == ("done", 8, told)


def test_the_score_and_the_sound_are_those_of_generate(site: Site, generated: Callable[..., Path], tmp_path: Path):
    made = site.post(seed=2, tokens=61)
    expected = generated(seed=2, tokens=61, musicxml=True, wav=True)
    sound, score = (site.get(f"/api/pieces/{made['id']}{suffix}") for suffix in (".wav", ".musicxml"))
    assert sound.content == expected.with_suffix(".wav").read_bytes()
    assert 'filename="piece-2.wav"' in sound.headers["content-disposition"]
    (tmp_path / "here.musicxml").write_bytes(score.content)
    paths = (tmp_path / "here.musicxml", expected.with_suffix(".musicxml"))  # their ids differ from file to file
    here, there = (tokenize(read_score(path), TokenizerConfig())[0].tolist() for path in paths)
    assert here == there


def test_a_midi_file_does_not_wait_for_others_sounds(site: Site):
    made = site.post(seed=2, tokens=61)
    site.service.files.acquire_nowait()  # somebody's sound is being made
    try:
        assert site.midi(made["id"])[:4] == b"MThd"
        with site.client() as client, pytest.raises(httpx2.ReadTimeout):
            client.get(f"/api/pieces/{made['id']}.wav", timeout=0.3)
    finally:
        site.service.files.release()


def test_a_link_gives_the_same_piece_after_a_restart(site: Site):
    made = site.post(
        seed=8, num_tokens=40, top_p=0.95, prompt={"notes": [[0, 3, 50], [2, 8, 70]], "quarters_per_minute": 90}
    )
    before = site.midi(made["id"])
    with serving(PlayConfig(device="cpu", batch=2)) as restarted:
        assert restarted.midi(made["id"]) == before
        assert restarted.get(f"/api/pieces/{made['id']}").json()["seed"] == 8


def test_without_a_seed_pieces_differ_and_the_seed_is_told(site: Site):
    first, second = (site.post(tokens=61) for _ in range(2))
    assert first["seed"] != second["seed"]
    assert site.post(tokens=61, seed=first["seed"])["id"] == first["id"]


def test_readers_of_an_unfinished_piece_are_told_at_once_that_the_server_stops():
    with serving(PlayConfig(device="cpu", batch=1)) as stopping, stopping.client() as client:
        made, waiting = (stopping.post(seed=seed, **LONG) for seed in (71, 72))
        with (
            client.stream("GET", made["events"]) as first,
            stopping.client() as other,
            other.stream("GET", waiting["events"]) as second,
        ):
            lines = [answer.iter_lines() for answer in (first, second)]
            for one in lines:
                next(one)
            threading.Thread(target=stopping.stop).start()
            assert all('data: {"error":"the server is stopped"}' in one for one in map(list, lines))


def test_a_piece_whose_last_reader_has_left_is_dropped(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(piece_module, "LEAVE_S", 0.3)
    made = site.post(seed=31, **LONG)
    piece = site.kept(made["id"])
    with site.client() as client, client.stream("GET", f"/api/pieces/{made['id']}/events") as answer:
        next(answer.iter_lines())
        assert piece.state in ("queued", "running")
    wait_until(lambda: piece.state == "stopped")
    assert len(piece.tokens) < 4000


def test_a_piece_that_is_deleted_is_dropped_and_may_be_asked_for_again(site: Site):
    made = site.post(seed=32, **LONG)
    piece = site.kept(made["id"])
    with site.client() as client:
        assert client.delete(f"/api/pieces/{made['id']}").status_code == 204
    wait_until(lambda: piece.state == "stopped")
    assert site.get(f"/api/pieces/{made['id']}").json()["state"] == "stopped"
    assert site.post(seed=32, **LONG)["state"] == "queued"
    with site.client() as client:
        client.delete(f"/api/pieces/{made['id']}")


def test_a_piece_that_another_visitor_follows_is_not_stopped_by_one(site: Site):
    made = site.post(seed=33, num_tokens=400, min_tokens=400)
    piece = site.kept(made["id"])
    with piece.read(), piece.read():
        piece.stop()
        wait_until(lambda: piece.state == "done")


def test_more_than_the_queue_holds_is_refused_and_the_others_are_made(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(piece_module, "LEAVE_S", 600)  # however long the requests take
    answers = [site.ask(seed=seed, **LONG) for seed in range(100, 100 + 16 + 2 * QUEUE)]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert {answer.status_code for answer in refused} == {503}
    assert "wait already" in refused[0].json()["error"]
    assert refused[0].headers["retry-after"]
    made = [site.kept(answer.json()["id"]) for answer in answers if answer.status_code == 201]
    assert QUEUE <= len(made) <= QUEUE + 16
    for piece in made:
        piece.stop()
    wait_until(lambda: all(piece.state == "stopped" for piece in made))
    assert site.midi(site.post(seed=1, tokens=21)["id"])


def test_one_visitor_cannot_fill_the_batch(site: Site):
    with site.page() as visitor, site.page() as another:
        answers = [visitor.post("/api/pieces", json={"seed": seed, **LONG}) for seed in range(200, 205)]
        assert [answer.status_code for answer in answers] == [201] * 4 + [429]
        assert answers[-1].json()["error"].startswith("4 pieces are being made for you; stop one")
        assert another.post("/api/pieces", json={"seed": 205, "tokens": 21}).status_code == 201
        for answer in answers[:4]:
            visitor.delete(f"/api/pieces/{answer.json()['id']}")
        wait_until(lambda: all(site.kept(answer.json()["id"]).state == "stopped" for answer in answers[:4]))
        assert visitor.post("/api/pieces", json={"seed": 206, "tokens": 21}).status_code == 201


def test_a_piece_that_is_about_to_be_stopped_or_has_failed_is_made_again(site: Site):
    made = site.post(seed=61, num_tokens=60)
    piece = site.kept(made["id"])
    piece.stop()
    assert site.post(seed=61, num_tokens=60)["id"] == made["id"]
    site.kept(made["id"]).end("failed", "no memory")
    assert site.midi(made["id"])[:4] == b"MThd"


def test_readers_at_once_get_the_same(site: Site):
    made, told = site.post(seed=41, num_tokens=200, min_tokens=100), []
    threads = [threading.Thread(target=lambda: told.append(events_of(site, made["id"])[-1])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 8
    assert all(one == told[0] for one in told)


def test_a_file_of_a_stopped_piece_is_made_again(site: Site):
    made = site.post(seed=51, num_tokens=60)
    piece = site.kept(made["id"])
    piece.stop()
    wait_until(lambda: piece.state in ("stopped", "done"))
    assert site.midi(made["id"])[:4] == b"MThd"
