"""The pages: whole, closed to other hosts, and true to the index."""

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.publishing.catalogue.check_site import check_site
from coreml_updatable.publishing.catalogue.publish import publish
from coreml_updatable.publishing.vectors.document import to_bytes
from coreml_updatable.publishing.vectors.record import record
from coreml_updatable.spec.messages import Model
from tests.publishing.catalogue.conftest import network

VOID = {"meta", "img", "input", "br", "link", "hr", "wbr"}


class Page(HTMLParser):
    """The tags of a page, and whether they close in their turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)


def vectors() -> dict[str, bytes]:
    random = np.random.default_rng(1)
    pictures = [random.integers(0, 256, (8, 8, 3), dtype=np.uint8) for _ in range(3)]
    result: dict[str, bytes] = {}
    model = network(1)
    model.description.metadata.versionString = "1.0"
    document, files = record(model, "Luncher.mlmodel", "image", "label", pictures, [(pictures[0], "healthy")])
    return {**result, **files, "Luncher.vectors.json": to_bytes(document)}


@pytest.fixture
def published(make_build: Callable[..., Path], site: Path) -> Path:
    publish([make_build("Luncher", more=vectors()), make_build("Digits")], site)
    return site


PAGES = ("index.html", "models/Luncher/index.html", "models/Digits/index.html")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_asks_no_other_host(published: Path, name: str) -> None:
    text = (published / name).read_text()
    page = Page(text)
    assert (page.faults, page.open) == ([], [])
    assert [tag for tag, _ in page.tags].count("h1") == 1
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed")
        for attribute in ("src", "href", "srcset", "action", "xlink:href"):
            assert not re.match(r"\w+://|//", attributes.get(attribute) or ""), (tag, attributes)
        assert not [attribute for attribute in attributes if attribute.startswith("on")]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", PAGES)
def test_the_policy_allows_this_style_and_script_only(published: Path, name: str) -> None:
    text = (published / name).read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "base-uri 'none'; form-action 'none'" in policy[1]
    for tag in ("style", "script"):
        for content in re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in policy[1]


def test_sums_stand_at_the_download_buttons(published: Path) -> None:
    text = (published / "models/Luncher/index.html").read_text()
    buttons = re.findall(r'class="button" href="([^"]*)" download>.*?SHA-256 ([0-9a-f]{64})', text, re.DOTALL)
    assert [place for place, _ in buttons] == ["1.0/Luncher.mlmodel", "1.0/LuncherKNN.mlmodel"]
    for place, digest in buttons:
        assert hashlib.sha256((published / "models/Luncher" / place).read_bytes()).hexdigest() == digest


def test_pictures_stand_beside_their_answers(published: Path) -> None:
    page = Page((published / "models/Luncher/index.html").read_text())
    cards = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(cards) == 3
    assert all((attributes["src"] or "").startswith("data:image/png") for attributes in cards)
    assert "one update with 1 photo labeled “healthy”" in " ".join(" ".join(page.words).split())
    assert check_site(published).faults == ()


def test_what_it_learned_from_is_told_once_and_that_it_is_drawn_at_the_top(published: Path) -> None:
    text = (published / "models/Luncher/index.html").read_text()
    assert text.count("no photos were used") == 1
    header, _, rest = text.partition("</header>")
    assert "drawings" in header
    assert "no photos were used" in rest


def test_links_of_a_page_are_checked(published: Path) -> None:
    (published / "models/Luncher/1.0/report.json").unlink()
    assert any("index.html: links to '1.0/report.json'" in fault for fault in check_site(published).faults)


def hostile(models: dict[str, Model]) -> None:
    for model in models.values():
        for feature in model.description.input:
            feature.shortDescription = '"><script>alert(1)</script>'
        model.description.metadata.license = "</code><img src=x onerror=alert(1)>"


def test_texts_of_a_model_stay_texts(make_build: Callable[..., Path], site: Path) -> None:
    publish([make_build("Luncher", change=hostile)], site)
    page = Page((site / "models/Luncher/index.html").read_text())
    assert page.faults == []
    assert "script" not in [tag for tag, _ in page.tags]
    assert not [attributes for tag, attributes in page.tags if tag == "img"]
    assert '"><script>alert(1)</script>' in "".join(page.words)


def test_an_empty_catalogue_has_a_page(site: Path) -> None:
    publish([], site, base_url="https://example.org/")
    assert "0 models" in "".join(Page((site / "index.html").read_text()).words)


def test_the_key_is_told(make_build: Callable[..., Path], site: Path, tmp_path: Path) -> None:
    from coreml_updatable.publishing.catalogue.signing import make_keys, read_private_key

    public = make_keys(tmp_path / "key")
    build: Any = make_build("Luncher")
    publish([build], site, key=read_private_key(tmp_path / "key", site))
    assert public in (site / "index.html").read_text()
    assert public in (site / "models/Luncher/index.html").read_text()
    before = (site / "index.html").read_bytes()
    publish([build], site)
    assert (site / "index.html").read_bytes() == before
