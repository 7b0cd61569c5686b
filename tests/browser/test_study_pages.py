"""Raters go through a whole study in a real browser: with a pause, carelessly, and by keyboard on a phone's size."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from study.served import pages, server
from study.small_study import make_study

from pianogen.study.answers import Answer, read_answers
from pianogen.study.folder import StudyFolder

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Playwright

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
_PHONE = {"width": 320, "height": 640}
_DESKTOP = {"width": 1100, "height": 800}


class Served(NamedTuple):
    """A study and the address of its pages."""

    folder: StudyFolder
    address: str

    def answers(self, rater: int) -> list[Answer]:
        """What a rater has answered so far."""
        return [answer for answer in read_answers(self.folder)[1] if answer.rater == rater]

    def number_of_notes(self) -> str:
        """The right answer of the first sound check."""
        return str(self.folder.sessions().sound_check[0].expected)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        if "PIANOGEN_SCREENSHOTS" in os.environ:  # clips of a length as people hear
            patch.setattr("study.small_study.SECONDS", 6.0)
        folder = make_study(tmp_path_factory.mktemp("study") / "s")
    with server(folder) as (_, port):
        yield Served(folder, f"http://127.0.0.1:{port}/")


@pytest.fixture(scope="module")
def playwright() -> "Iterator[Playwright]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright


def _open(
    playwright: "Playwright", chromium: str, profile: Path, size: dict[str, int], dark: bool = False
) -> "BrowserContext":
    """A browser whose profile outlasts it, as a user's does."""
    context = playwright.chromium.launch_persistent_context(
        profile,
        executable_path=chromium,
        headless=True,
        args=_FLAGS,
        viewport=size,  # pyright: ignore[reportArgumentType]
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(60_000)
    return context


def _check_access(page: "Page") -> None:
    """Nothing that axe-core calls serious, no sideways scrolling, and the heading is where a screen reader begins."""
    from axe_playwright_python.sync_playwright import Axe

    results = Axe().run(page)
    serious = [one for one in results.response["violations"] if one["impact"] in ("serious", "critical")]
    assert not serious, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _shoot(page: "Page", name: str, tmp_path: Path) -> None:
    """Keep a picture; PIANOGEN_SCREENSHOTS=docs/images renews those in the documents."""
    page.screenshot(path=Path(os.environ.get("PIANOGEN_SCREENSHOTS", tmp_path)) / f"{name}.png")


def _heading(page: "Page", text: str) -> None:
    """Wait for a page, which must take the focus to its heading."""
    page.get_by_role("heading", level=1, name=text).wait_for()
    assert page.evaluate("document.activeElement.tagName") == "H1"


def _begin(page: "Page", study: Served) -> None:
    """From the address to the first clip, with the mouse."""
    page.goto(study.address)
    page.get_by_label("I agree").check()
    page.get_by_role("button", name="Begin").click()
    _hear(page)
    page.get_by_label("Number of notes").fill(study.number_of_notes())
    page.get_by_role("button", name="Check").click()
    page.get_by_role("button", name="Begin rating").click()


def _hear(page: "Page") -> None:
    page.get_by_role("button", name="Play").first.click()
    page.get_by_role("button", name="Play again").wait_for()


def _rate(page: "Page", study: Served, rater: int, position: int, rating: int, comment: str = "") -> None:
    _heading(page, f"Clip {position + 1} of {len(pages(study.folder, rater))}")
    _hear(page)
    _answer(page, study, rater, position, rating, comment)


def _answer(page: "Page", study: Served, rater: int, position: int, rating: int, comment: str) -> None:
    hearing = pages(study.folder, rater)[position]
    if hearing.role == "check":
        page.get_by_label("Number of notes").fill(str(hearing.expected))
    else:
        page.get_by_role("radio", name=f"{rating}").check()
    page.get_by_label("Comment").fill(comment)
    page.get_by_role("button", name="Next").click()


def test_a_rater_who_closes_the_browser_goes_on_at_the_same_page(
    study: Served, playwright: "Playwright", chromium: str, tmp_path: Path
) -> None:
    rater = len(read_answers(study.folder)[0])
    expected = pages(study.folder, rater)
    context = _open(playwright, chromium, tmp_path / "profile", _DESKTOP)
    page = context.pages[0]
    page.goto(study.address)
    _heading(page, "Would you like to take part?")
    _check_access(page)
    _shoot(page, "study-consent", tmp_path)
    _begin(page, study)
    half = len(expected) // 2
    for position in range(half):
        _rate(page, study, rater, position, position % 6, f"comment {position} <b>'; --")
    context.close()
    assert len(study.answers(rater)) == half

    with _open(playwright, chromium, tmp_path / "profile", _DESKTOP) as context:
        page = context.pages[0]
        page.goto(study.address)
        for position in range(half, len(expected)):
            _rate(page, study, rater, position, position % 6, f"comment {position} <b>'; --")
        _heading(page, "Thank you")
        _check_access(page)
        page.reload()
        _heading(page, "Thank you")
    answers = study.answers(rater)
    given = [answer.expected if answer.role == "check" else number % 6 for number, answer in enumerate(expected)]
    assert [answer.value for answer in answers] == given
    assert [answer.comment for answer in answers] == [f"comment {number} <b>'; --" for number in range(len(expected))]
    assert all(answer.heard_s > 0.3 for answer in answers)


def test_a_careless_rater_is_kept_waiting_for_the_end_of_each_clip_and_is_recorded_as_given(
    study: Served, playwright: "Playwright", chromium: str, tmp_path: Path
) -> None:
    rater = len(read_answers(study.folder)[0])
    with _open(playwright, chromium, tmp_path / "profile", _DESKTOP) as context:
        page = context.pages[0]
        _begin(page, study)
        hearings = pages(study.folder, rater)
        for position, hearing in enumerate(hearings):
            _heading(page, f"Clip {position + 1} of {len(hearings)}")
            button = page.get_by_role("button", name="Next")
            assert button.is_disabled()
            if position == 0:
                _check_access(page)
            _hear(page)
            if position == 0:
                button.click()  # without an answer: the browser asks for one
                assert page.get_by_role("radio", name="0").evaluate("radio => radio.validity.valueMissing")
                _check_access(page)
            if hearing.role == "check":
                page.get_by_label("Number of notes").fill("99")
            else:
                page.get_by_role("radio", name="5").check()
            if position == 0:
                _shoot(page, "study-clip", tmp_path)
            button.dblclick()  # an answer sent twice is one answer
        _heading(page, "Thank you")
    assert [answer.value for answer in study.answers(rater)] == [99 if one.role == "check" else 5 for one in hearings]


def _tab_to(page: "Page", name: str) -> None:
    """Press Tab until the element with this text, or of this name, has the focus."""
    for _ in range(12):
        page.keyboard.press("Tab")
        # past the last element the body is the active one, and its text is that of all
        here = page.evaluate(
            "(e => e === document.body ? '' : `${e.innerText || ''} ${e.name || ''} ${e.id}`)(document.activeElement)"
        )
        if name in here:
            return
    raise AssertionError(f"Tab does not lead to {name!r}")


def test_a_rater_takes_part_by_keyboard_alone_on_a_screen_as_small_as_a_phones(
    study: Served, playwright: "Playwright", chromium: str, tmp_path: Path
) -> None:
    rater = len(read_answers(study.folder)[0])
    with _open(playwright, chromium, tmp_path / "profile", _PHONE, dark=True) as context:
        page, press = context.pages[0], context.pages[0].keyboard.press
        page.goto(study.address)
        _heading(page, "Would you like to take part?")
        _check_access(page)
        _tab_to(page, "agree")
        press("Space")
        _tab_to(page, "Begin")
        press("Enter")
        _heading(page, "Can you hear the sound?")
        _check_access(page)
        _shoot(page, "study-sound-check-phone", tmp_path)
        _tab_to(page, "notes")
        page.keyboard.type("99")
        press("Enter")
        page.get_by_text("That was not the number.").wait_for()
        _check_access(page)
        _tab_to(page, "Play")
        press("Enter")
        page.get_by_role("button", name="Play again").wait_for()
        _tab_to(page, "notes")
        page.keyboard.type(str(study.folder.sessions().sound_check[1].expected))
        press("Enter")
        _heading(page, "How it works")
        _check_access(page)
        _tab_to(page, "Begin rating")
        press("Enter")
        hearings = pages(study.folder, rater)
        for position, hearing in enumerate(hearings):
            _heading(page, f"Clip {position + 1} of {len(hearings)}")
            page.get_by_role("button", name="Play").wait_for()  # when the clip is loaded
            _tab_to(page, "Play")
            press("Space")
            page.get_by_role("status").get_by_text("You can answer now").wait_for(state="attached")
            _tab_to(page, "value")
            press("4") if hearing.role != "check" else page.keyboard.type(str(hearing.expected))
            if position == 0 or hearing.role == "check":
                _check_access(page)
                _shoot(page, "study-check-phone" if hearing.role == "check" else "study-clip-phone", tmp_path)
            _tab_to(page, "Next")
            press("Enter")
        _heading(page, "Thank you")
    values = [answer.value for answer in study.answers(rater)]
    assert values == [one.expected if one.role == "check" else 4 for one in hearings]


def test_a_rater_is_told_that_the_server_was_killed_and_goes_on_when_it_is_back(
    playwright: "Playwright", chromium: str, tmp_path: Path
) -> None:
    folder = make_study(tmp_path / "s")
    with _open(playwright, chromium, tmp_path / "profile", _DESKTOP) as context:
        page = context.pages[0]
        with server(folder) as (_, port):
            study = Served(folder, f"http://127.0.0.1:{port}/")
            _begin(page, study)
            _rate(page, study, 0, 0, 1)
            _heading(page, "Clip 2 of")
            _hear(page)
        _answer(page, study, 0, 1, 2, "sent twice")  # the server was killed by SIGKILL
        page.get_by_role("alert").get_by_text("The server cannot be reached. Nothing is lost").wait_for()
        assert [answer.value for answer in study.answers(0)] == [1]
        with server(folder, port):
            page.get_by_role("button", name="Next").click()
            _rate(page, study, 0, 2, 3)
            _heading(page, "Clip 4 of")
    given = [2 if hearing.role != "check" else hearing.expected for hearing in pages(folder)[1:2]]
    assert [answer.value for answer in study.answers(0)] == [1, *given, 3]


def test_the_owners_page_counts_raters_and_is_kept_up_to_date(
    study: Served, playwright: "Playwright", chromium: str, tmp_path: Path
) -> None:
    begun = len(read_answers(study.folder)[0])
    with _open(playwright, chromium, tmp_path / "profile", _PHONE) as context:
        page = context.pages[0]
        page.goto(f"{study.address}results")
        page.get_by_role("heading", name="How far the study is").wait_for()
        _check_access(page)
        assert page.locator("[data-count=begun]").inner_text() == str(begun)
        _begin(context.new_page(), study)
        page.locator("[data-count=begun]").get_by_text(str(begun + 1)).wait_for()
