"""A page with sound.js beside it, opened from disk, plays the recordings at the pitch of the notes."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pianogen.render import player, render_template
from pianogen.render.samples import SOUND_FILE, samples_script
from pianogen.tokens import Notes

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

# what is on its way to the loudspeaker is also measured, and recordings that start are counted
_LISTEN = """
window.started = 0;
const connect = AudioNode.prototype.connect, start = AudioBufferSourceNode.prototype.start;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) {
    window.meter = new AnalyserNode(to.context, { fftSize: 32768, smoothingTimeConstant: 0 });
    connect.call(this, window.meter);
  }
  return connect.call(this, to, ...rest);
};
AudioBufferSourceNode.prototype.start = function (...when) { window.started += 1; return start.apply(this, when); };
"""
_LOUDEST_HZ = """() => {
  const level = new Float32Array(meter.frequencyBinCount);
  meter.getFloatFrequencyData(level);
  const loudest = level.indexOf(Math.max(...level));
  return level[loudest] > -90 ? loudest * meter.context.sampleRate / meter.fftSize : 0;
}"""


def open_piece(page: "Page", folder: Path, *, sound: bool) -> None:
    """A page with a piece of one long a', opened from disk."""
    notes = Notes(*(np.array([value]) for value in (0, 64, 69)))
    card = {"number": 0, "facts": "", "files": {}, "player": player(notes, seconds_per_step=0.125, label="a")}
    series = [{"labels": {"run": "r", "seed": "0"}, "start": "", "settings": [], "pieces": [card]}]
    shown = {"name": "n", "sizes": [], "filters": {}, "series": series}
    (folder / "index.html").write_text(render_template("pieces.html", title="t", sound=sound, **shown))
    page.add_init_script(_LISTEN)
    page.goto((folder / "index.html").as_uri())


def wait_for_sound(page: "Page") -> None:
    """Wait until something sounds. Playwright's own waiting evaluates a string, which the page's policy forbids."""
    for _ in range(300):
        if page.evaluate(_LOUDEST_HZ) > 0:
            return
        page.wait_for_timeout(100)
    raise AssertionError("nothing sounds")


def test_a_page_on_disk_plays_the_recordings_at_their_pitch(page: "Page", tmp_path: Path) -> None:
    (tmp_path / SOUND_FILE).write_text(samples_script())
    open_piece(page, tmp_path, sound=True)
    page.wait_for_selector('html[data-sound="samples"]', state="attached")
    page.click(".play")
    wait_for_sound(page)
    page.wait_for_timeout(1000)  # until the window of the analyser is full
    assert page.evaluate("started") == 1
    assert page.evaluate(_LOUDEST_HZ) == pytest.approx(440, rel=0.01)


@pytest.mark.parametrize("script", [None, "globalThis.pianogenSamples = { 21: 'AAAA' };"])
def test_without_recordings_that_can_be_decoded_the_oscillator_plays(
    page: "Page", tmp_path: Path, script: str | None
) -> None:
    if script:
        (tmp_path / SOUND_FILE).write_text(script)
    open_piece(page, tmp_path, sound=script is not None)
    page.click(".play")
    wait_for_sound(page)
    assert page.evaluate("started") == 0
