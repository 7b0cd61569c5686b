"""A real headless Chromium; skipped where there is none and it cannot be installed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

# nothing of the browser's own on the network, and nothing that asks for a GPU; root has no sandbox
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def _find() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


def _install() -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        pytest.skip("there is no chromium, and only root on Debian can install it")
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    subprocess.run([*apt, "update"], check=False)  # a stale list may still have it
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*apt, "install", "-y", "--no-install-recommends", "chromium"], check=True, env=quietly)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser, Debian's own: the client must not download another."""
    if _find() is None:
        _install()
    found = _find()
    assert found, "apt-get installed chromium, but there is none on PATH"
    return found


@pytest.fixture
def page(chromium: str) -> Iterator["Page"]:
    """An empty page of a browser that nobody has used before."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # the client makes a fresh profile, and ends the browser it started
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=_FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 1070})
            page.set_default_timeout(60_000)
            yield page
        finally:
            browser.close()
