"""The page of `pianogen play` in a real browser, with a real server and the pretrained model."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from pianogen.render.loudness import LOUDNESS_LUFS, PEAK_DBFS, loudness
from pianogen.tokens import Notes, midi_bytes

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # a browser may have to be installed first
DESKTOP, PHONE = (1280, 900), (320, 640)
SCALE = Notes(np.arange(0, 64, 4), np.full(16, 4), np.arange(60, 76))  # four bars of quarters
_DROP = """(page, [name, bytes]) => {
  const dropped = new DataTransfer();
  dropped.items.add(new File([new Uint8Array(bytes)], name));
  page.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
}"""
# when the button is pressed, and when the first note after it sounds
_WATCH_SOUND = """
window.sounded = null;
window.kinds = [];
addEventListener("click", (event) => { if (event.target.id === "make") window.pressed = performance.now(); }, true);
for (const kind of [AudioBufferSourceNode, OscillatorNode]) {
  const start = kind.prototype.start;
  kind.prototype.start = function (when = 0) {
    window.kinds.push(kind.name);
    window.sounded ??= performance.now() + 1000 * Math.max(0, when - this.context.currentTime);
    return start.call(this, when);
  };
}
"""
# Safari before 18.4, and one whose Web Audio decodes less than its elements
_SAYS_NO_VORBIS = """
const canPlayType = HTMLMediaElement.prototype.canPlayType;
HTMLMediaElement.prototype.canPlayType = function (type) {
  return type.includes("ogg") ? "" : canPlayType.call(this, type);
};
"""
_DECODES_NO_VORBIS = """
const decode = BaseAudioContext.prototype.decodeAudioData;
BaseAudioContext.prototype.decodeAudioData = async function (data) {
  if (new TextDecoder().decode(data.slice(0, 4)) === "OggS") throw new DOMException("Decoding failed", "EncodingError");
  return decode.call(this, data);
};
"""
# to the console, since what a driver evaluates in a page counts as a press
_TELL_KEY_AND_SOUND = """
window.AudioContext = class extends AudioContext {
  constructor() {
    super();
    this.addEventListener("statechange", () => console.log(`sound ${this.state}`));
  }
};
addEventListener("load", () => {
  const key = document.querySelector(".key").getBoundingClientRect();
  console.log(`key ${key.x + key.width / 2} ${key.y + key.height / 2}`);
});
"""
_MIDI_KEYBOARD = """
window.keyboard = { name: "Keyboard of the test" };
navigator.requestMIDIAccess = async () => ({ inputs: new Map([["1", window.keyboard]]) });
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address that the server prints; it is ended as Ctrl-C ends it."""
    log = tmp_path_factory.mktemp("play") / "play.log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "pianogen", "play", "--port", "0"], stdout=file, stderr=file, start_new_session=True
        )
    try:
        yield _printed_address(server, log)
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(60)


def _printed_address(server: "subprocess.Popen[bytes]", log: Path) -> str:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()
        if found := re.search(r"http://\S+", log.read_text()):
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"the server prints no address: {log.read_text()}")


@pytest.fixture
def visit(page: "Page", site: str) -> Iterator[Callable[..., None]]:
    """Opens the page; at the end nothing that it did was refused by its own policy or failed in JavaScript."""
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if "Content Security" in message.text else None)

    def opens(size: tuple[int, int] = DESKTOP, *, path: str = "/") -> None:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.goto(f"{site.rstrip('/')}{path}")
        page.locator("#make:enabled").wait_for()

    yield opens
    assert not faults


def drop(page: "Page", name: str, content: bytes) -> None:
    """Drop a file on the page, as from a folder's window."""
    page.locator("body").evaluate(_DROP, [name, list(content)])


def make(page: "Page", bars: int = 4) -> dict[str, Any]:
    """Press the button, wait until the newest take is finished, and return what the server said of it at first."""
    page.locator("#bars").fill(str(bars))
    with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        page.get_by_role("button", name="Make a piece").click()
    created = answer.value.json()
    page.locator(".take").first.get_by_text("WAV").wait_for()
    return created


def download(page: "Page", name: str) -> bytes:
    """The bytes of a file of the newest take."""
    with page.expect_download() as file:
        page.locator(".take").first.get_by_role("link", name=name, exact=True).click()
    return Path(file.value.path()).read_bytes()


def new_notes(page: "Page") -> str | None:
    """The newest take's rectangles of notes that are not the prompt's."""
    return page.locator(".take .roll path.note").first.get_attribute("d")


def test_a_dropped_file_becomes_a_sound_of_its_length_and_loudness(visit: Callable[..., None], page: "Page") -> None:
    visit()
    drop(page, "scale.mid", midi_bytes(SCALE))
    page.get_by_text("scale").wait_for()
    created = make(page)
    sound, rate = soundfile.read(io.BytesIO(download(page, "WAV")), always_2d=True)
    status = page.request.get(f"{page.url}api/pieces/{created['id']}").json()
    ends = max(start + length for start, length, _ in status["notes"])
    assert status["notes"][:16] == np.stack([SCALE.onset, SCALE.duration, SCALE.pitch], axis=1).tolist()
    # the last note's release and half a second of silence
    assert 0 < len(sound) / rate - ends * status["seconds_per_step"] < 3
    peak_dbfs = 20 * np.log10(np.abs(sound).max())
    level = loudness(sound.T.astype(np.float32), rate)
    assert level == pytest.approx(LOUDNESS_LUFS, abs=0.2) or peak_dbfs == pytest.approx(PEAK_DBFS, abs=0.1)


def test_a_file_without_music_gets_one_clear_line(visit: Callable[..., None], page: "Page") -> None:
    visit()
    drop(page, "letter.mid", b"no notes at all")
    page.get_by_role("alert").filter(has_text="letter.mid").wait_for()
    assert page.locator(".take").count() == 0


HELD_MS = 150  # longer than a step of 125 ms: notes that begin in one step have the order of their pitches


def play_on_screen(page: "Page") -> None:
    for name in ("C 4", "E 4", "G 4"):
        page.get_by_role("button", name=name, exact=True).click(delay=HELD_MS)


def play_on_computer(page: "Page") -> None:
    for key in "adg":
        page.keyboard.press(key, delay=HELD_MS)


def play_on_midi_keyboard(page: "Page") -> None:
    assert page.evaluate("document.featurePolicy.allowsFeature('midi')")  # the server's headers do not forbid it
    page.get_by_role("button", name="Connect a MIDI keyboard").click()
    page.get_by_text("Keyboard of the test").wait_for()
    for pitch in (60, 64, 67):
        for status, velocity in ((0x90, 80), (0x90, 0)):  # many keyboards end a note by a velocity of 0
            page.evaluate("data => keyboard.onmidimessage({ data })", [status, pitch, velocity])
            page.wait_for_timeout(HELD_MS)


@pytest.mark.parametrize("play", [play_on_screen, play_on_computer, play_on_midi_keyboard])
def test_what_is_played_becomes_the_prompt(
    visit: Callable[..., None], page: "Page", play: Callable[["Page"], None]
) -> None:
    page.add_init_script(_MIDI_KEYBOARD)
    visit()
    play(page)
    page.get_by_text("3 notes played").wait_for()
    created = make(page)
    assert [pitch for _, _, pitch in created["notes"]] == [60, 64, 67]


def test_a_link_opened_in_a_new_browser_gives_the_same_notes(visit: Callable[..., None], page: "Page") -> None:
    visit()
    created = make(page)
    browser = page.context.browser
    assert browser
    other = browser.new_page()
    other.goto(f"{page.url.rstrip('/')}{created['link']}")
    other.locator(".take").get_by_text("WAV").wait_for()
    assert new_notes(other) == new_notes(page) != ""


def test_a_click_in_a_roll_chooses_where_the_model_goes_on(visit: Callable[..., None], page: "Page") -> None:
    visit()
    created = make(page, bars=8)
    page.get_by_role("button", name="Pause take 1").click()
    page.locator(".take .roll").click(position={"x": 6 * 32, "y": 40})  # the third bar
    with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        page.get_by_role("button", name="Continue from here").click()
    whole = page.request.get(f"{page.url}api/pieces/{created['id']}").json()["notes"]
    continued = answer.value.json()
    assert continued["notes"] == [note for note in whole if note[0] < 32]
    page.get_by_text("continues take 1 from bar 3").wait_for()


def test_the_other_take_begins_where_the_last_one_was_left(visit: Callable[..., None], page: "Page") -> None:
    visit()
    make(page)
    page.get_by_role("button", name="Make another").click()
    page.get_by_label("Compare").check()
    page.get_by_role("slider", name="Position in Take 2").click(position={"x": 6 * 32, "y": 40})
    page.get_by_role("button", name="Pause take 2").click()
    page.get_by_role("button", name="Play take 1").click()
    page.get_by_role("button", name="Pause take 1").click()
    steps = [int(one.get_attribute("aria-valuenow") or 0) for one in page.locator(".take .roll").all()]
    assert 0 <= steps[1] - steps[0] < 32  # moved on while the buttons were pressed


def test_a_kept_take_is_there_after_a_reload(visit: Callable[..., None], page: "Page") -> None:
    visit()
    make(page)
    page.get_by_role("button", name="Keep").click()
    before = new_notes(page)
    page.reload()
    page.locator(".take").get_by_text("WAV").wait_for()
    assert new_notes(page) == before != ""


def test_keeping_a_take_keeps_those_that_the_server_cannot_make_today(visit: Callable[..., None], page: "Page") -> None:
    page.add_init_script("localStorage['pianogen.kept'] ??= JSON.stringify([{ id: 'gone', label: 'from nothing' }])")
    visit()
    page.get_by_role("alert").filter(has_text="not the ID of a piece").wait_for()
    make(page)
    page.get_by_role("button", name="Keep").click()
    kept = page.evaluate("JSON.parse(localStorage['pianogen.kept']).map((one) => one.id)")
    assert (len(kept), kept[0]) == (2, "gone")


def test_nothing_sounds_before_a_press_and_a_note_soon_after(
    visit: Callable[..., None], page: "Page", capsys: pytest.CaptureFixture[str]
) -> None:
    page.add_init_script(_WATCH_SOUND)
    visit()
    page.locator("html[data-sound=samples]").wait_for(state="attached")
    assert page.evaluate("sounded") is None
    waits_ms = []
    for _ in range(5):
        page.evaluate("() => { window.sounded = null; }")
        make(page)
        waits_ms.append(page.evaluate("sounded - pressed"))
        page.get_by_role("button", name="Remove").click()
    with capsys.disabled():
        quartiles = np.percentile(waits_ms, [25, 50, 75]).round().astype(int)
        print(f"\nfrom the press to the first sound: {quartiles[1]} ms (quartiles {quartiles[0]}, {quartiles[2]})")
    assert min(waits_ms) > 0


@pytest.mark.parametrize("script", [_SAYS_NO_VORBIS, _DECODES_NO_VORBIS], ids=["says so", "says otherwise"])
def test_a_browser_without_vorbis_plays_the_recordings_as_mp3(
    visit: Callable[..., None], page: "Page", script: str
) -> None:
    page.add_init_script(_WATCH_SOUND + script)
    visit()
    page.locator("html[data-sound=samples]").wait_for(state="attached")
    page.get_by_role("button", name="C 4", exact=True).click(delay=HELD_MS)
    assert page.evaluate("kinds") == ["AudioBufferSourceNode"]
    loaded = page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
    assert [name for name in loaded if "sound.js?" in name][-1] == f"{page.url}api/sound.js?format=mp3"


def test_a_first_tap_on_a_touchscreen_permits_sound(page: "Page", site: str) -> None:
    """Its beginning is no press to a browser, so that what is called then permits nothing; its end is one."""
    assert page.context.browser
    phone = page.context.browser.new_page(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    phone.add_init_script(_TELL_KEY_AND_SOUND)
    with phone.expect_console_message(lambda message: message.text.startswith("key")) as key:
        phone.goto(site)
    x, y = map(float, key.value.text.split()[1:])
    finger = phone.context.new_cdp_session(phone)
    with phone.expect_console_message(lambda message: message.text == "sound running", timeout=20_000):
        finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_serious(visit: Callable[..., None], page: "Page", size: tuple[int, int]) -> None:
    from axe_playwright_python.sync_playwright import Axe

    visit(size)
    page.get_by_text("More settings").click()
    page.get_by_role("button", name="C 4").click(delay=50)
    make(page)
    page.get_by_role("button", name="Copy link").click()
    found = Axe().run(page)
    serious = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
    assert not serious, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]  # nothing to scroll sideways
