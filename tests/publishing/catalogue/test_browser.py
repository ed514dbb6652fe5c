"""The gallery in a real browser: clicked, filtered, read without scripts, and judged by axe."""

import dataclasses
import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from coreml_updatable.publishing.catalogue.publish import publish
from coreml_updatable.publishing.report.page import render
from coreml_updatable.publishing.report.values import Report
from tests.publishing.catalogue.test_pages import vectors

pytestmark = pytest.mark.browser
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SIZES = {"phone": (390, 844), "desktop": (1280, 900)}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def published(make_build: Callable[..., Path], site: Path) -> Path:
    """Under a sub-path of what is served."""
    folder = site / "deep" / "catalogue"
    publish([make_build("Luncher", more=vectors()), make_build("Digits")], folder)
    return folder


@pytest.fixture
def address(published: Path) -> Iterator[str]:
    handler = partial(Quiet, directory=str(published.parents[1]))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/deep/catalogue/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    assert program is not None, "no chromium on the path; install it (Debian's package is called chromium)"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


def opened(browser: Any, address: str, **options: Any) -> tuple[Any, list[str]]:
    """A page, and what it asked for or complained of that it should not have."""
    page = browser.new_context(**options).new_page()
    wrong: list[str] = []
    page.on("request", lambda item: None if item.url.startswith((address, "data:")) else wrong.append(item.url))
    page.on("console", lambda entry: wrong.append(entry.text) if entry.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address + "index.html")
    return page, wrong


def test_a_visitor_finds_and_fetches_a_model(browser: Any, address: str) -> None:
    page, wrong = opened(browser, address)
    page.get_by_label("Search").fill("lunch")
    assert page.locator(".models-list li:visible").count() == 1
    assert page.get_by_role("status").inner_text() == "1 of 2 models"
    page.get_by_role("link", name="Luncher").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Luncher.mlmodel,").click()
    shown = page.locator(".downloads .hash").first.inner_text().split()[-1]
    assert hashlib.sha256(Path(download.value.path()).read_bytes()).hexdigest() == shown
    page.get_by_role("link", name="All models").click()
    assert page.locator("h1").count() == 1
    assert wrong == []


def test_it_can_be_read_without_scripts_and_from_a_file(browser: Any, published: Path) -> None:
    page, wrong = opened(browser, published.as_uri() + "/", java_script_enabled=False)
    assert page.locator(".models-list li:visible").count() == 2
    assert not page.locator("#filter").is_visible()
    page.get_by_role("link", name="Digits").click()
    assert page.get_by_role("heading", name="Digits", exact=True).is_visible()
    assert wrong == []
    page, wrong = opened(browser, published.as_uri() + "/")
    page.get_by_label("Input").select_option("Image (RGB 8 × 8)")
    assert page.locator(".models-list li:visible").count() == 2
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_axe_finds_no_serious_fault(browser: Any, address: str, scheme: str, size: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    width, height = SIZES[size]
    page, _ = opened(
        browser, address, color_scheme=scheme, viewport={"width": width, "height": height}, bypass_csp=True
    )
    for place in ("index.html", "models/Luncher/index.html"):
        page.goto(address + place)
        result = [
            f"{fault['id']}: {fault['nodes'][0]['html'][:100]}"
            for fault in Axe().run(page).response["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert result == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place


def test_the_keyboard_reaches_everything(browser: Any, address: str) -> None:
    page, _ = opened(browser, address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName + (document.activeElement.name || '')"))
    assert {"INPUTwords", "SELECTinput", "SELECTsize", "A"} <= reached


LETTERS = "[...document.querySelectorAll('figure svg text')].map(item => item.getBoundingClientRect().height)"
CAPTIONS = "[...document.querySelectorAll('table > caption')].map(item => item.getBoundingClientRect().right)"


@pytest.mark.parametrize("size", list(SIZES))
def test_a_report_can_be_read_on_every_screen(browser: Any, report: Report, tmp_path: Path, size: str) -> None:
    losses = tuple({"epoch": float(epoch), "train_loss": 1 / epoch} for epoch in range(1, 9))
    (tmp_path / "report.html").write_text(
        render(dataclasses.replace(report, history=losses, personalization=None)), encoding="utf-8"
    )
    (tmp_path / "index.html").write_text(render(report), encoding="utf-8")
    width, height = SIZES[size]
    page, _ = opened(browser, tmp_path.as_uri() + "/", viewport={"width": width, "height": height})
    assert max(page.evaluate(CAPTIONS)) <= width, "a caption is cut off"
    page.goto((tmp_path / "report.html").as_uri())
    letters = page.evaluate(LETTERS)
    assert letters
    assert max(letters) <= 1.5 * 16, "the letters of a chart that stands alone are larger than the text"
